//! `dialect::json` against `serde_json`: what is accepted, what it means, and what stays of the bytes.

use std::borrow::Cow;

use pointsman::dialect::json::{self, MAX_DEPTH, Node, Value};
use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, SeqAccess, Visitor},
};

use crate::{dice::Dice, driver::Target, mutate, seeds};

#[test]
fn json() {
    Target { name: "json", make, hold }.run();
}

fn make(dice: &mut Dice) -> Vec<u8> {
    match dice.below(8) {
        0 => dice.noise(64),
        1 => {
            let mut bytes = dice.pick(&seeds::ODDITIES).clone().into_bytes();
            mutate::bytes(dice, &mut bytes);
            bytes
        }
        2 => {
            let mut bytes = b"[".repeat(dice.below(140));
            bytes.extend_from_slice(b"{\"a\":[0, 1.5e3, \"\\u00e9\"]}");
            bytes.extend(b"]".repeat(dice.below(140)));
            bytes
        }
        _ => {
            let (_, mut value) = dice.pick(&seeds::REQUESTS).clone();
            mutate::tree(dice, &mut value);
            let mut bytes =
                if dice.once_in(2) { format!("{value:#}") } else { value.to_string() }.into_bytes();
            mutate::bytes(dice, &mut bytes);
            bytes
        }
    }
}

fn hold(bytes: &[u8]) {
    let theirs = std::str::from_utf8(bytes)
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str::<Tree>(text).map_err(|error| error.to_string()));
    match (json::parse(bytes), theirs) {
        (Ok(node), Ok(tree)) => {
            assert!(!tree.is_stricter_here(1), "accepted against our own rules");
            assert!(tree.equals(&node), "{tree:?} is not {node:?}");
            hold_spans(&node, bytes);
            hold_splice(&node, bytes);
        }
        // A number that no double can hold is still JSON; its text goes on as it is.
        (Ok(_), Err(error)) => assert!(error.contains("number out of range"), "accepted: {error}"),
        (Err(fault), Ok(tree)) => assert!(tree.is_stricter_here(1), "refused: {fault}"),
        (Err(fault), Err(_)) => {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            assert!((1..=lines).contains(&fault.line) && fault.column > 0, "{fault}");
            assert!(fault.column <= bytes.len() + 1, "{fault}");
        }
    }
}

/// Every value reads the same from its own bytes alone.
fn hold_spans(node: &Node<'_>, bytes: &[u8]) {
    let alone = json::parse(node.raw(bytes)).expect("a part of what was accepted");
    assert_eq!(alone.span, 0..node.span.len());
    match (&node.value, &alone.value) {
        (Value::Array(ours), Value::Array(alone)) => assert_eq!(ours.len(), alone.len()),
        (Value::Object(ours), Value::Object(alone)) => {
            assert!(ours.iter().map(|(key, _)| key).eq(alone.iter().map(|(key, _)| key)));
        }
        (ours, alone) => assert_eq!(ours, alone),
    }
    for child in children(node).into_iter().take(64) {
        assert!(node.span.start < child.span.start && child.span.end < node.span.end);
        hold_spans(child, bytes);
    }
    if let Value::String(text) = &node.value {
        let quoted = json::quote(text);
        let again = json::parse(quoted.as_bytes()).expect("a literal of ours");
        assert_eq!(again.as_str(), Some(&**text));
    }
}

/// Replacing a value by itself changes nothing; by another, nothing else.
fn hold_splice(root: &Node<'_>, bytes: &[u8]) {
    assert_eq!(json::splice(bytes, &[]), bytes);
    let spans: Vec<_> = children(root).into_iter().map(|child| child.span.clone()).collect();
    let same: Vec<_> =
        spans.iter().map(|span| (span.clone(), Cow::Borrowed(&bytes[span.clone()]))).collect();
    assert_eq!(json::splice(bytes, &same), bytes);
    let Some(span) = spans.get(bytes.len() % spans.len().max(1)) else { return };
    let changed = json::splice(bytes, &[(span.clone(), Cow::Borrowed(b"[null]"))]);
    let changed = json::parse(&changed).expect("one value for another");
    assert_eq!(children(&changed).len(), spans.len());
    let text = std::str::from_utf8(bytes).unwrap();
    let compact = json::compact(text);
    let compact = json::parse(compact.as_bytes()).expect("the same without white space");
    assert!(same_value(root, &compact), "white space meant something");
}

fn same_value(one: &Node<'_>, other: &Node<'_>) -> bool {
    match (&one.value, &other.value) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same_value(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            let mut both = one.iter().zip(other);
            one.len() == other.len()
                && both.all(|((a, one), (b, two))| a == b && same_value(one, two))
        }
        (one, other) => one == other,
    }
}

fn children<'n, 'a>(node: &'n Node<'a>) -> Vec<&'n Node<'a>> {
    match &node.value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.iter().map(|(_, node)| node).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// JSON as `serde_json` reads it, with keys that stand twice.
#[derive(Debug)]
enum Tree {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Tree {
    /// Whether it breaks a rule that is ours alone: depth, and keys that stand twice.
    fn is_stricter_here(&self, depth: usize) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => false,
            Self::Array(items) => {
                depth > MAX_DEPTH || items.iter().any(|item| item.is_stricter_here(depth + 1))
            }
            Self::Object(members) => {
                let mut keys: Vec<&String> = members.iter().map(|(key, _)| key).collect();
                keys.sort();
                depth > MAX_DEPTH
                    || keys.windows(2).any(|pair| pair[0] == pair[1])
                    || members.iter().any(|(_, member)| member.is_stricter_here(depth + 1))
            }
        }
    }

    fn equals(&self, node: &Node<'_>) -> bool {
        match (self, &node.value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(theirs), Value::Bool(ours)) => theirs == ours,
            (Self::Number(theirs), Value::Number(ours)) => {
                // `serde_json` may be off by the last bit.
                let ours: f64 = ours.parse().unwrap();
                (theirs - ours).abs() <= ours.abs() * 1e-15
            }
            (Self::String(theirs), Value::String(ours)) => theirs == ours,
            (Self::Array(theirs), Value::Array(ours)) => {
                theirs.len() == ours.len()
                    && theirs.iter().zip(ours).all(|(theirs, ours)| theirs.equals(ours))
            }
            (Self::Object(theirs), Value::Object(ours)) => {
                let mut both = theirs.iter().zip(ours);
                theirs.len() == ours.len()
                    && both.all(|((a, theirs), (b, ours))| a == b && theirs.equals(ours))
            }
            _ => false,
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(truth))
    }

    #[expect(clippy::cast_precision_loss, reason = "compared as doubles")]
    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "compared as doubles")]
    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element()? {
            read.push(item);
        }
        Ok(Tree::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut read = Vec::new();
        while let Some(member) = members.next_entry()? {
            read.push(member);
        }
        Ok(Tree::Object(read))
    }
}
