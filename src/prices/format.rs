//! The public formats of price lists, read into one shape.
//!
//! The documents are large and not ours: sizes are bounded, an entry that makes no sense is counted and left out, and
//! the rest is used. A document without a single usable entry is a fault, so that an error page never empties the
//! table. A rate is left out where it is missing, negative, not a number or beyond `DEAREST`; an entry whose input
//! and output both cost nothing says nothing, because the public lists write zero for unknown far more often than for
//! free (an operator says free in the configuration).

mod digitalocean;
mod litellm;
mod models_dev;
mod openrouter;

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    catalog::{
        model::{Rates, Tier},
        settings::PriceFormat,
    },
    money::PerMillion,
    prices::Listing,
};

/// The largest document that is read, in bytes.
pub const MAX_BYTES: usize = 32 << 20;
/// The most entries that are read from one document.
pub const MAX_ENTRIES: usize = 50_000;
/// The longest key, in bytes.
const MAX_KEY: usize = 300;
/// The dearest rate that is believed, in dollars per million tokens.
const DEAREST: f64 = 10_000.0;

/// What a document says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    /// Its usable entries, by the key that the feed uses.
    pub entries: BTreeMap<String, Listing>,
    /// How many entries made no sense.
    pub rejected: usize,
}

/// Why a document is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is larger than [`MAX_BYTES`].
    #[error("the document is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// It is not in the format that it should be in.
    #[error("the document is not in the expected format: {0}")]
    Malformed(String),
    /// It holds no price that can be used.
    #[error("the document holds no usable price ({rejected} entries made no sense)")]
    Empty {
        /// How many entries made no sense.
        rejected: usize,
    },
}

/// Reads a document of `format`.
pub fn parse(format: PriceFormat, bytes: &[u8]) -> Result<Parsed, Fault> {
    page(format, bytes)?.parsed.usable()
}

/// One page of a list that may have several.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// What it says; it may be nothing.
    pub parsed: Parsed,
    /// Where the next page is, as the page writes it.
    pub next: Option<String>,
}

/// Reads one page of a list in `format`.
pub fn page(format: PriceFormat, bytes: &[u8]) -> Result<Page, Fault> {
    if bytes.len() > MAX_BYTES {
        return Err(Fault::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|fault| Fault::Malformed(fault.to_string()))?;
    let whole = |parsed| Page { parsed, next: None };
    match format {
        PriceFormat::LiteLlm => litellm::parse(text).map(whole),
        PriceFormat::DigitalOcean => digitalocean::page(text),
        PriceFormat::ModelsDev => models_dev::parse(text).map(whole),
        PriceFormat::OpenRouter => openrouter::parse(text).map(whole),
    }
    .map_err(|fault| Fault::Malformed(fault.to_string()))
}

impl Parsed {
    /// Takes another page in; of an entry that is on both the first stays.
    pub fn extend(&mut self, page: Self) {
        self.rejected = self.rejected.saturating_add(page.rejected);
        for (key, listing) in page.entries {
            if self.entries.len() < MAX_ENTRIES {
                self.entries.entry(key).or_insert(listing);
            }
        }
    }

    /// The list, where it says anything at all.
    pub fn usable(self) -> Result<Self, Fault> {
        if self.entries.is_empty() {
            return Err(Fault::Empty { rejected: self.rejected });
        }
        Ok(self)
    }

    /// Takes an entry in where it says something; counts it where it makes no sense.
    fn take(&mut self, key: &str, listing: Option<Listing>) {
        let usable = !key.is_empty() && key.len() <= MAX_KEY && self.entries.len() < MAX_ENTRIES;
        match listing.filter(|listing| usable && says_something(&listing.rates)) {
            Some(listing) => {
                self.entries.insert(key.to_owned(), listing);
            }
            None => self.rejected = self.rejected.saturating_add(1),
        }
    }
}

fn says_something(rates: &Rates) -> bool {
    let costs = |rate: Option<PerMillion>| rate.is_some_and(|rate| rate.dollars() > 0.0);
    costs(rates.input) || costs(rates.output)
}

/// A number, or a text that holds one; `None` for anything else, so that one odd field spoils no entry.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Figure(Option<f64>);

impl Figure {
    /// The rate, where the figure is dollars for `tokens` tokens.
    fn per(self, tokens: f64) -> Option<PerMillion> {
        self.0
            .map(|dollars| dollars * (1e6 / tokens))
            .filter(|dollars| *dollars <= DEAREST)
            .and_then(PerMillion::new)
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FigureVisitor)
    }
}

struct FigureVisitor;

impl<'de> Visitor<'de> for FigureVisitor {
    type Value = Figure;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Figure, E> {
        Ok(Figure(Some(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Figure, E> {
        Ok(Figure(u32::try_from(number).ok().map(f64::from)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Figure, E> {
        Ok(Figure(i32::try_from(number).ok().map(f64::from)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Figure, E> {
        Ok(Figure(text.trim().parse().ok()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Figure, E> {
        Ok(Figure(None))
    }

    fn visit_unit<E>(self) -> Result<Figure, E> {
        Ok(Figure(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Figure, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Figure(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Figure, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Figure(None))
    }
}

/// Reads one entry by itself, so that a malformed one is left out alone.
fn entry<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Sorts tiers by threshold and leaves out those that say nothing.
fn tiers(mut tiers: Vec<Tier>) -> Vec<Tier> {
    tiers.retain(|tier| says_something(&tier.rates));
    tiers.sort_by_key(|tier| tier.above);
    tiers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(format: PriceFormat, text: &str) -> Parsed {
        parse(format, text.as_bytes()).unwrap()
    }

    /// Input, output, cache read and cache write, rounded, of the entry `key`.
    fn rates_of(parsed: &Parsed, key: &str) -> [Option<f64>; 4] {
        let rates = parsed.entries[key].rates;
        [rates.input, rates.output, rates.cache_read, rates.cache_write]
            .map(|rate| rate.map(|rate| (rate.dollars() * 1e6).round() / 1e6))
    }

    #[test]
    fn litellm() {
        let parsed = check(
            PriceFormat::LiteLlm,
            r#"{"sample_spec": {"input_cost_per_token": 0.1, "mode": "one of: chat"},
                "gpt-x": {"input_cost_per_token": 1.75e-06, "output_cost_per_token": "1.4e-05",
                    "cache_read_input_token_cost": 1.75e-07, "litellm_provider": "openai",
                    "supports_vision": true, "modes": ["chat"], "other": {"a": 1},
                    "input_cost_per_token_above_200k_tokens": 3.5e-06,
                    "input_cost_per_token_above_200k_tokens_priority": 9e-06},
                "free": {"input_cost_per_token": 0, "output_cost_per_token": 0.0},
                "refund": {"input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06},
                "odd": [1, 2]}"#,
        );
        assert_eq!(parsed.entries.keys().collect::<Vec<_>>(), ["gpt-x", "refund"]);
        assert_eq!(rates_of(&parsed, "gpt-x"), [Some(1.75), Some(14.0), Some(0.175), None]);
        assert_eq!(rates_of(&parsed, "refund"), [None, Some(1.0), None, None]);
        let tiers = &parsed.entries["gpt-x"].tiers;
        assert_eq!((tiers.len(), tiers[0].above), (1, 200_000));
        assert_eq!(tiers[0].rates.input, PerMillion::new(3.5));
        assert_eq!(parsed.rejected, 2);
    }

    #[test]
    fn digitalocean_by_token_or_by_million() {
        let parsed = check(
            PriceFormat::DigitalOcean,
            r#"{"data": [
                {"model_id": "a", "pricing": {"input_price_per_million": 2.5e-06, "output_price_per_million": 1e-05}},
                {"model_id": "b", "pricing": {"input_price_per_million": 0.65, "output_price_per_million": 0.65,
                    "cache_read_input_price_per_million": 0.065},
                 "pricing_detail": {"variants": [{"mode": "MODEL_BILLING_MODE_INTERACTIVE",
                    "tier": "MODEL_PRICING_TIER_EXTENDED_272K", "prices": {"input_price_per_million": 1.3}}]}},
                {"model_id": "c", "pricing": null}, {"name": "d"}], "meta": {"total": 4}}"#,
        );
        assert_eq!(rates_of(&parsed, "a"), [Some(2.5), Some(10.0), None, None]);
        assert_eq!(rates_of(&parsed, "b"), [Some(0.65), Some(0.65), Some(0.065), None]);
        assert_eq!(parsed.entries["b"].tiers[0].above, 272_000);
        assert_eq!((parsed.entries.len(), parsed.rejected), (2, 2));
    }

    #[test]
    fn models_dev_by_provider_and_where_it_is_clear_by_model() {
        let parsed = check(
            PriceFormat::ModelsDev,
            r#"{"acme": {"id": "acme", "models": {
                    "same": {"cost": {"input": 1, "output": 2}},
                    "differs": {"cost": {"input": 1, "output": 2, "cache_read": 0.1, "cache_write": 1.25,
                        "context_over_200k": {"input": 2, "output": 4}}},
                    "unpriced": {"limit": {"context": 1000}}}},
                "other": {"models": {"same": {"cost": {"input": 1, "output": 2}},
                    "differs": {"cost": {"input": 3, "output": 4,
                        "tiers": [{"tier": {"type": "context", "size": 272000}, "input": 6, "output": 8}]}}}}}"#,
        );
        assert_eq!(
            rates_of(&parsed, "acme/differs"),
            [Some(1.0), Some(2.0), Some(0.1), Some(1.25)]
        );
        assert_eq!(rates_of(&parsed, "same"), [Some(1.0), Some(2.0), None, None]);
        assert!(!parsed.entries.contains_key("differs"));
        assert_eq!(parsed.entries["acme/differs"].tiers[0].above, 200_000);
        assert_eq!(parsed.entries["other/differs"].tiers[0].above, 272_000);
        assert_eq!(parsed.rejected, 1);
    }

    #[test]
    fn openrouter() {
        let parsed = check(
            PriceFormat::OpenRouter,
            r#"{"data": [{"id": "openai/gpt-x", "pricing": {"prompt": "0.0000025", "completion": "0.00001",
                    "request": "0", "input_cache_read": "0.00000125",
                    "overrides": [{"min_prompt_tokens": 1000, "prompt": "0.000005"}]}},
                {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
                {"id": "huge", "pricing": {"prompt": "25", "completion": "NaN"}}]}"#,
        );
        assert_eq!(rates_of(&parsed, "openai/gpt-x"), [Some(2.5), Some(10.0), Some(1.25), None]);
        assert_eq!(parsed.entries["openai/gpt-x"].tiers[0].above, 999);
        assert_eq!((parsed.entries.len(), parsed.rejected), (1, 2));
    }

    #[test]
    fn what_holds_no_price_is_a_fault() {
        for format in [
            PriceFormat::LiteLlm,
            PriceFormat::DigitalOcean,
            PriceFormat::ModelsDev,
            PriceFormat::OpenRouter,
        ] {
            for text in
                ["", "{}", "[]", "null", "<html>", "{\"data\":[]}", "{\"data\":{}}", "\u{feff}{}"]
            {
                assert!(parse(format, text.as_bytes()).is_err(), "{format:?} {text:?}");
            }
            assert!(parse(format, b"\xff\xfe").is_err());
            let deep = "[".repeat(100_000);
            assert!(parse(format, deep.as_bytes()).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            for format in [PriceFormat::LiteLlm, PriceFormat::ModelsDev] {
                let _ = parse(format, text.as_bytes());
            }
        }

        /// Whatever a feed writes, a rate is finite, not negative and not absurd.
        #[test]
        fn no_absurd_rate_gets_through(number in prop::num::f64::ANY) {
            let figure = Figure(Some(number));
            for tokens in [1.0, 1e6] {
                if let Some(rate) = figure.per(tokens) {
                    prop_assert!((0.0..=DEAREST).contains(&rate.dollars()));
                }
            }
        }
    }
}
