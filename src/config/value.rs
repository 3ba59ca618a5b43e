//! Values of a configuration file as what they should be: a text, a number, a time, one of a few words, a mapping.
//!
//! Each reading says what is wrong where it is wrong and gives `None`; the caller goes on with a default. A key that
//! nobody asked for is a mistake, said by [`Fields::finish`] with the nearest key that somebody did ask for. A key
//! without a value is a mistake too: an emptied list of permissions must not quietly mean all of them.

use std::{ops::RangeInclusive, time::Duration};

use crate::config::{
    fault::{Place, Report, Spot, item, member, nearest},
    quantity,
    raw::{Entry, Node, Shape},
};

/// A value and its place.
#[derive(Clone)]
pub(crate) struct Value<'a> {
    /// Where it stands.
    pub(crate) place: Place<'a>,
    node: &'a Node,
}

/// Which times a setting takes.
#[derive(Clone, Copy)]
pub(crate) enum Times {
    /// Any but none at all.
    Positive,
    /// Any, none at all too.
    OrZero,
}

impl<'a> Value<'a> {
    /// The whole of a file.
    pub(crate) fn root(file: &'a str, node: &'a Node, report: &'a Report) -> Self {
        Self { place: Place::whole(file, report).at(node.spot), node }
    }

    /// Reports a mistake in this value.
    pub(crate) fn fault(&self, message: impl Into<String>) {
        self.place.fault(message);
    }

    /// A text in which nothing is replaced: `${…}`, which other programs replace, is refused.
    pub(crate) fn text(&self) -> Option<&'a str> {
        let text = self.prose()?;
        match text.split_once("${") {
            None => Some(text),
            Some((_, rest)) => {
                let name = rest.split('}').next().unwrap_or_default();
                let name = if is_variable(name) { name } else { "…" };
                self.fault(format!(
                    "`${{{name}}}` is not replaced; write the value, or env:{name} where a secret belongs"
                ));
                None
            }
        }
    }

    /// A text for people or models, in which every character may stand.
    pub(crate) fn prose(&self) -> Option<&'a str> {
        match &self.node.shape {
            Shape::Scalar { text, .. } => Some(text),
            Shape::Null => self.without_value(),
            Shape::List(_) | Shape::Map(_) => self.wrong("must be a text"),
        }
    }

    /// What stands without quotes.
    fn plain(&self, wanted: &'static str) -> Option<&'a str> {
        match &self.node.shape {
            Shape::Scalar { text, plain: true } => Some(text),
            Shape::Null => self.without_value(),
            Shape::Scalar { plain: false, .. } | Shape::List(_) | Shape::Map(_) => {
                self.wrong(wanted)
            }
        }
    }

    /// A text that is not empty.
    pub(crate) fn filled_text(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.trim().is_empty() { self.wrong("must not be empty") } else { Some(text) }
    }

    /// Where something is in the file system: any text but what YAML takes for a number or a truth.
    pub(crate) fn path(&self) -> Option<&'a str> {
        let text = self.filled_text()?;
        let other = text.parse::<f64>().is_ok() || matches!(text, "true" | "false");
        let plain = matches!(&self.node.shape, Shape::Scalar { plain: true, .. });
        if plain && other { self.wrong("must be a path, as in folder/name") } else { Some(text) }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        const WANTED: &str = "must be true or false";
        match self.plain(WANTED)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.wrong(WANTED),
        }
    }

    /// A whole number in `range`.
    pub(crate) fn integer(&self, range: &RangeInclusive<u64>) -> Option<u64> {
        const WANTED: &str = "must be a whole number";
        let digits = self.plain(WANTED)?;
        let parsed = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>());
        match parsed {
            Some(Ok(number)) if range.contains(&number) => Some(number),
            Some(_) => {
                let (least, most) = (range.start(), range.end());
                self.wrong(match most {
                    &u64::MAX => format!("must be at least {least}"),
                    _ => format!("must be from {least} to {most}"),
                })
            }
            None if digits.starts_with('-') => self.wrong("must not be negative"),
            None => self.wrong(WANTED),
        }
    }

    /// A number in `range`.
    pub(crate) fn number(&self, range: &RangeInclusive<f64>) -> Option<f64> {
        const WANTED: &str = "must be a number";
        let text = self.plain(WANTED)?;
        let looks_like_one =
            text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        let number =
            looks_like_one.then(|| text.parse::<f64>().ok()).flatten().filter(|n| n.is_finite());
        match number {
            Some(number) if range.contains(&number) => Some(number),
            Some(number) if number < 0.0 && *range.start() >= 0.0 => {
                self.wrong("must not be negative")
            }
            Some(_) if *range.end() >= f64::MAX => self.wrong("is out of range"),
            Some(_) => self.wrong(format!("must be from {} to {}", range.start(), range.end())),
            None => self.wrong(WANTED),
        }
    }

    /// A time with its unit.
    pub(crate) fn duration(&self, times: Times) -> Option<Duration> {
        match (quantity::duration(self.text()?), times) {
            (Ok(Duration::ZERO), Times::Positive) => self.wrong("must be more than 0"),
            (Ok(time), Times::Positive | Times::OrZero) => Some(time),
            (Err(message), Times::Positive | Times::OrZero) => self.wrong(message),
        }
    }

    /// A size with its unit, in bytes, in `range`.
    pub(crate) fn size(&self, range: &RangeInclusive<u64>) -> Option<u64> {
        match quantity::size(self.text()?) {
            Ok(bytes) if range.contains(&bytes) => Some(bytes),
            Ok(_) => self.wrong(format!(
                "must be from {} to {}",
                readable(*range.start()),
                readable(*range.end())
            )),
            Err(message) => self.wrong(message),
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        let word = self.text()?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(*choice);
        }
        let names = || choices.iter().map(|(name, _)| *name);
        let suggestion = self.place.suggestion(word, names());
        let all = names().collect::<Vec<_>>().join(", ");
        let one_of = if choices.len() > 1 { "one of " } else { "" };
        self.wrong(format!("must be {one_of}{all}{suggestion}"))
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        match &self.node.shape {
            Shape::List(items) => Some(
                items.iter().enumerate().map(|(index, node)| self.child(index, node)).collect(),
            ),
            Shape::Null => self.without_value(),
            Shape::Scalar { .. } | Shape::Map(_) => self.wrong("must be a list, as in [a, b]"),
        }
    }

    /// A list that is not empty.
    pub(crate) fn filled_items(&self) -> Option<Vec<Self>> {
        let items = self.items()?;
        if items.is_empty() { self.wrong("must not be empty") } else { Some(items) }
    }

    /// The entries of a mapping whose keys are names of the operator's own.
    pub(crate) fn entries(&self) -> Option<Vec<Named<'a>>> {
        let named = |entry: &'a Entry| {
            let path = member(&self.place.path, &entry.key);
            let place = |spot| Place { path: path.clone(), ..self.place.at(spot) };
            Named {
                name: &entry.key,
                place: place(entry.spot),
                value: Self { place: place(spot_of(entry)), node: &entry.value },
            }
        };
        let entries: Vec<Named<'a>> = self.mapping()?.iter().map(named).collect();
        for entry in entries.iter().filter(|entry| entry.name.contains("${")) {
            entry.place.fault("`${…}` is not replaced; write the name");
        }
        Some(entries)
    }

    /// The members of a mapping whose keys are ours.
    pub(crate) fn fields(&self) -> Option<Fields<'a>> {
        let entries = self.mapping()?;
        Some(Fields { place: self.place.clone(), entries, known: Vec::new(), missing: Vec::new() })
    }

    /// Whether nothing is here.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.node.shape, Shape::Null)
    }

    /// Whether this is anything but an empty list.
    pub(crate) fn is_filled(&self) -> bool {
        !matches!(&self.node.shape, Shape::List(items) if items.is_empty())
    }

    /// Whether this is a mapping with this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        matches!(&self.node.shape, Shape::Map(entries) if entries.iter().any(|e| e.key == key))
    }

    fn mapping(&self) -> Option<&'a [Entry]> {
        match &self.node.shape {
            Shape::Map(entries) => Some(entries),
            Shape::Null => self.without_value(),
            Shape::Scalar { .. } | Shape::List(_) => {
                self.wrong("must be a mapping, as in {name: value}")
            }
        }
    }

    fn child(&self, index: usize, node: &'a Node) -> Self {
        let path = item(&self.place.path, index);
        Self { place: Place { path, ..self.place.at(node.spot) }, node }
    }

    fn without_value<T>(&self) -> Option<T> {
        self.wrong("has no value: give it one, or leave it out")
    }

    /// Reports a mistake and gives nothing.
    pub(crate) fn wrong<T>(&self, message: impl Into<String>) -> Option<T> {
        self.fault(message);
        None
    }
}

/// An entry of a mapping whose keys are the operator's own names.
pub(crate) struct Named<'a> {
    /// The name.
    pub(crate) name: &'a str,
    /// Where the name stands.
    pub(crate) place: Place<'a>,
    /// What it names.
    pub(crate) value: Value<'a>,
}

/// The members of a mapping whose keys are ours; [`Fields::finish`] must end the reading.
pub(crate) struct Fields<'a> {
    /// Where the mapping stands.
    pub(crate) place: Place<'a>,
    entries: &'a [Entry],
    known: Vec<&'static str>,
    missing: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The value of `key`, if it is there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        self.entries.iter().find(|entry| entry.key == key).map(|entry| self.value_of(entry))
    }

    /// The value of `key`; its absence is a mistake.
    ///
    /// What stands under a near miss is read too, so that the mistakes in it are not hidden by the one in its name.
    pub(crate) fn require(&mut self, key: &'static str) -> Option<Value<'a>> {
        let near = |entry: &&Entry| nearest(&entry.key, std::iter::once(key)).is_some();
        let value = self.take(key).or_else(|| {
            let mut others = self.entries.iter().filter(|e| !self.known.contains(&e.key.as_str()));
            others.find(near).map(|entry| self.value_of(entry))
        });
        if value.is_none() {
            self.missing.push(key);
        }
        value
    }

    fn value_of(&self, entry: &'a Entry) -> Value<'a> {
        let path = member(&self.place.path, name_of(entry));
        let place = Place { path, ..self.place.at(spot_of(entry)) };
        Value { place, node: &entry.value }
    }

    /// A time, or `default`.
    pub(crate) fn duration(
        &mut self,
        key: &'static str,
        times: Times,
        default: Duration,
    ) -> Duration {
        self.take(key).and_then(|value| value.duration(times)).unwrap_or(default)
    }

    /// A whole number in `range`, or `default`.
    pub(crate) fn integer(
        &mut self,
        key: &'static str,
        range: &RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        self.take(key).and_then(|value| value.integer(range)).unwrap_or(default)
    }

    /// `true` or `false`; absent is `false`.
    pub(crate) fn flag(&mut self, key: &'static str) -> bool {
        self.take(key).and_then(|value| value.boolean()).unwrap_or(false)
    }

    /// Reports every key that nobody took and every required one that is not there.
    pub(crate) fn finish(self) {
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let place = Place {
                path: member(&self.place.path, name_of(entry)),
                ..self.place.at(entry.spot)
            };
            let meant = nearest(&entry.key, self.known.iter().copied());
            place.fault(match (entry.key.split_once(':'), meant) {
                (Some(_), _) => "unknown key; a space must follow the colon".to_owned(),
                (None, Some(meant)) => format!("unknown key; did you mean `{meant}`?"),
                (None, None) => "unknown key".to_owned(),
            });
        }
        for key in &self.missing {
            let path = member(&self.place.path, key);
            Place { path, ..self.place.clone() }.fault("is missing");
        }
    }
}

/// A key as a path may show it: what follows a colon may be a value that lost its space.
fn name_of(entry: &Entry) -> &str {
    entry.key.split(':').next().unwrap_or_default()
}

/// Where a value stands; one that is empty stands nowhere, so its key is shown.
fn spot_of(entry: &Entry) -> Spot {
    match entry.value.shape {
        Shape::Null => entry.spot,
        Shape::Scalar { .. } | Shape::List(_) | Shape::Map(_) => entry.value.spot,
    }
}

fn is_variable(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn readable(bytes: u64) -> String {
    for (power, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        let whole = bytes >> power;
        if whole > 0 && whole << power == bytes {
            return format!("{whole}{unit}");
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw;

    /// Reads `text` with `read` and gives what was said about it.
    fn said(text: &str, read: impl Fn(Value<'_>)) -> Vec<String> {
        let report = Report::default();
        let root = raw::parse("f", text, &report).unwrap();
        read(Value::root("f", &root, &report));
        report.finish().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unknown_and_missing_keys_are_mistakes() {
        let read = |value: Value<'_>| {
            let mut fields = value.fields().unwrap();
            fields.require("models");
            fields.require("providers");
            fields.take("listen");
            fields.finish();
        };
        assert_eq!(
            said("modles: 1\nother: 2\n", read),
            [
                "f:1:1: modles: unknown key; did you mean `models`?",
                "f:1:1: providers: is missing",
                "f:2:1: other: unknown key",
            ]
        );
        assert_eq!(
            said("{models: 1, providers: 2, api_key:canary}", read),
            ["f:1:27: api_key: unknown key; a space must follow the colon"]
        );
    }

    #[test]
    fn numbers_are_numbers() {
        let whole = |value: Value<'_>| _ = value.integer(&(1..=9));
        assert_eq!(said("7", whole), Vec::<String>::new());
        assert_eq!(said("0", whole), ["f:1:1: must be from 1 to 9"]);
        assert_eq!(said("99999999999999999999999", whole), ["f:1:1: must be from 1 to 9"]);
        assert_eq!(said("-1", whole), ["f:1:1: must not be negative"]);
        for text in ["'7'", "7.0", "seven", "[7]", "0x7"] {
            assert_eq!(said(text, whole), ["f:1:1: must be a whole number"], "{text}");
        }
        let share = |value: Value<'_>| _ = value.number(&(0.0..=1.0));
        assert_eq!(said("0.5", share), Vec::<String>::new());
        assert_eq!(said("1.5", share), ["f:1:1: must be from 0 to 1"]);
        assert_eq!(said("-0.5", share), ["f:1:1: must not be negative"]);
        for text in [".nan", "nan", ".inf", "infinity", "1e999", "half"] {
            assert_eq!(said(text, share), ["f:1:1: must be a number"], "{text}");
        }
    }

    #[test]
    fn a_key_without_a_value_is_a_mistake() {
        let read = |value: Value<'_>| drop(value.fields().unwrap().take("a").unwrap().items());
        assert_eq!(said("a:\n", read), ["f:1:1: a: has no value: give it one, or leave it out"]);
    }

    #[test]
    fn nothing_is_replaced_in_a_text() {
        let read = |value: Value<'_>| _ = value.text();
        assert_eq!(
            said("https://${HOST}/v1", read),
            [
                "f:1:1: `${HOST}` is not replaced; write the value, or env:HOST where a secret belongs"
            ]
        );
        assert!(!said("${sk-canary", read).concat().contains("canary"));
    }

    #[test]
    fn a_word_that_is_not_a_choice_is_told_the_choices() {
        let read = |value: Value<'_>| _ = value.choice(&[("cheapest", 1), ("fastest", 2)]);
        assert_eq!(
            said("fastst", read),
            ["f:1:1: must be one of cheapest, fastest; did you mean `fastest`?"]
        );
    }
}
