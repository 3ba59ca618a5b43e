//! A form's values as JSON.
//!
//! YAML does not say whether `5` is a name or a number: what stands under a key that holds texts is one, and everything
//! else is what it looks like.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeSeq as _},
};

use crate::{
    config::{
        fault::Spot,
        form::{HEAD, TEXTS, is_number},
        raw::{Entry, Node, Shape},
    },
    dialect::json as wire,
};

/// What of a form is neither name nor description, as it is written to JSON.
pub struct Config<'a>(pub(super) &'a [Entry]);

impl Serialize for Config<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.0.iter().filter(|entry| !HEAD.contains(&entry.key.as_str()));
        let mut map = serializer.serialize_map(None)?;
        for entry in entries {
            map.serialize_entry(&entry.key, &Member::of(entry))?;
        }
        map.end()
    }
}

/// A value as it is written to JSON, and whether it holds texts only.
pub struct Member<'a> {
    node: &'a Node,
    texts: bool,
}

impl<'a> Member<'a> {
    pub(super) fn of(entry: &'a Entry) -> Self {
        Self::within(entry, false)
    }

    fn within(entry: &'a Entry, texts: bool) -> Self {
        Self { node: &entry.value, texts: texts || TEXTS.contains(&entry.key.as_str()) }
    }
}

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.node.shape {
            Shape::Null => serializer.serialize_unit(),
            Shape::Scalar { text, plain } => {
                if *plain && !self.texts {
                    scalar(text, serializer)
                } else {
                    text.serialize(serializer)
                }
            }
            Shape::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for node in items {
                    list.serialize_element(&Self { node, texts: self.texts })?;
                }
                list.end()
            }
            Shape::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for entry in entries {
                    map.serialize_entry(&entry.key, &Member::within(entry, self.texts))?;
                }
                map.end()
            }
        }
    }
}

fn scalar<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match text {
        "true" => return serializer.serialize_bool(true),
        "false" => return serializer.serialize_bool(false),
        _ => {}
    }
    if !is_number(text) {
        return serializer.serialize_str(text);
    }
    if let Ok(whole) = text.parse::<i64>() {
        return serializer.serialize_i64(whole);
    }
    match text.parse::<f64>() {
        Ok(number) => serializer.serialize_f64(number),
        Err(_) => serializer.serialize_str(text),
    }
}

/// A JSON value as part of a form.
pub(super) fn node(value: &wire::Node<'_>) -> Node {
    let plain = |text: &str| Shape::Scalar { text: text.to_owned(), plain: true };
    let shape = match &value.value {
        wire::Value::Null => Shape::Null,
        wire::Value::Bool(true) => plain("true"),
        wire::Value::Bool(false) => plain("false"),
        wire::Value::Number(text) => plain(text),
        wire::Value::String(text) => {
            Shape::Scalar { text: text.clone().into_owned(), plain: false }
        }
        wire::Value::Array(items) => Shape::List(items.iter().map(node).collect()),
        wire::Value::Object(members) => {
            let entry = |(key, value): &(std::borrow::Cow<'_, str>, wire::Node<'_>)| Entry {
                key: key.clone().into_owned(),
                spot: Spot::START,
                value: node(value),
            };
            Shape::Map(members.iter().map(entry).collect())
        }
    };
    Node { spot: Spot::START, shape }
}
