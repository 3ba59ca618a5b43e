//! Mutations: of JSON as a tree, of streams as frames, of anything as bytes.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::{dice::Dice, seeds};

/// Texts that have been trouble somewhere.
const TEXTS: [&str; 22] = [
    "",
    " ",
    "\n",
    "\u{0}",
    "\u{feff}",
    "\u{2028}",
    "\u{202e}x",
    "é",
    "😀",
    "null",
    "{}",
    "{\"a\":1}",
    "{\"a\":",
    "[]",
    "\"",
    "\\",
    "data: [DONE]\n\n",
    "[DONE]",
    "a\r\nb: c",
    "data:image/png;base64,AAAA",
    "https://example.com/a.png",
    "router:x",
];

/// Pieces of what we read, for mutations of bytes.
const TOKENS: [&[u8]; 40] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"\\ude00",
    b"1e999",
    b"-0",
    b"0.1",
    b"true",
    b"null",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\r\r",
    b"data: ",
    b"data:",
    b"event: ",
    b"event: error\n",
    b"data: [DONE]\n\n",
    b": ping\n\n",
    b"id: 1\n",
    b"\xEF\xBB\xBF",
    b"\xFF",
    b"\xC0\x80",
    b"\xED\xA0\x80",
    b"\0",
    b"- ",
    b"  ",
    b"\t",
    b"&a ",
    b"*a",
    b"|\n",
    b"#",
];

/// Changes a few bytes.
pub(crate) fn bytes(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..dice.few() {
        byte_step(dice, bytes);
    }
}

fn byte_step(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let range = dice.range(bytes.len());
    match dice.below(8) {
        0 => drop(bytes.drain(range)),
        1 => bytes.truncate(range.start),
        2 => {
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.start..range.start, copy);
        }
        3 => {
            let copy = bytes[range].to_vec();
            let at = dice.below(bytes.len() + 1);
            bytes.splice(at..at, copy);
        }
        4 if range.start < bytes.len() => bytes[range.start] ^= 1 << dice.below(8),
        5 => drop(bytes.splice(range.clone(), dice.noise(range.len().min(8)))),
        6 if range.start < bytes.len() => {
            bytes[range.start] = *dice.pick(b"0123456789-+.eE\"\\{}[],: \n\r");
        }
        _ => {
            let token = dice.pick(&TOKENS).iter().copied();
            bytes.splice(range.start..range.start, token);
        }
    }
}

/// Every subtree of every golden file is a donor.
static DONORS: LazyLock<(Vec<Value>, Vec<String>)> = LazyLock::new(|| {
    let (mut values, mut keys) = (Vec::new(), Vec::new());
    let requests = seeds::REQUESTS.iter().map(|(_, value)| value);
    for value in requests.chain(seeds::ANSWERS.iter().map(|(_, value)| value)) {
        collect(value, &mut values, &mut keys);
    }
    for (_, stream) in seeds::STREAMS.iter() {
        for line in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
            if let Ok(value) = serde_json::from_str(line) {
                collect(&value, &mut values, &mut keys);
            }
        }
    }
    keys.sort();
    keys.dedup();
    (values, keys)
});

fn collect(value: &Value, values: &mut Vec<Value>, keys: &mut Vec<String>) {
    values.push(value.clone());
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, values, keys)),
        Value::Object(members) => {
            for (key, value) in members {
                keys.push(key.clone());
                collect(value, values, keys);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Changes a few places of a tree.
pub(crate) fn tree(dice: &mut Dice, root: &mut Value) {
    for _ in 0..dice.few() {
        let place = dice.below(size(root));
        tree_step(dice, nth(root, place).unwrap_or_else(|_| panic!("a place of {place}")));
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.values().map(size).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The value at a place, counted from the root; or what is left to count.
fn nth(value: &mut Value, place: usize) -> Result<&mut Value, usize> {
    if place == 0 {
        return Ok(value);
    }
    let mut left = place - 1;
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(members) => members.values_mut().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for child in children {
        match nth(child, left) {
            Ok(found) => return Ok(found),
            Err(rest) => left = rest,
        }
    }
    Err(left)
}

fn tree_step(dice: &mut Dice, value: &mut Value) {
    match value {
        Value::Array(items) if !items.is_empty() && !dice.once_in(6) => array_step(dice, items),
        Value::Object(members) if !members.is_empty() && !dice.once_in(6) => {
            object_step(dice, members);
        }
        Value::String(text) if dice.once_in(3) => {
            let mut bytes = std::mem::take(text).into_bytes();
            self::bytes(dice, &mut bytes);
            *text = String::from_utf8(bytes).unwrap_or_else(|_| "é\"\n".to_owned());
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => *value = fresh(dice),
    }
}

fn array_step(dice: &mut Dice, items: &mut Vec<Value>) {
    let at = dice.below(items.len());
    match dice.below(5) {
        0 => drop(items.remove(at)),
        1 => items.insert(at, items[at].clone()),
        2 => {
            let other = dice.below(items.len());
            items.swap(at, other);
        }
        3 => items.push(fresh(dice)),
        _ => items[at] = fresh(dice),
    }
}

fn object_step(dice: &mut Dice, members: &mut Map<String, Value>) {
    let key = members.keys().nth(dice.below(members.len())).unwrap().clone();
    match dice.below(5) {
        0 => drop(members.remove(&key)),
        1 => {
            let value = members.remove(&key).unwrap();
            members.insert(dice.pick(&DONORS.1).clone(), value);
        }
        2 => drop(members.insert(dice.pick(&DONORS.1).clone(), fresh(dice))),
        _ => drop(members.insert(key, fresh(dice))),
    }
}

/// A value from somewhere else.
fn fresh(dice: &mut Dice) -> Value {
    match dice.below(10) {
        0 => Value::Null,
        1 => json!(dice.once_in(2)),
        2 => json!(*dice.pick(&[0, 1, -1, 2, 3, 1 << 31, i64::MAX, i64::MIN])),
        3 => json!(*dice.pick(&[0.5, -0.0, 1.5, 1e300])),
        4 => json!(*dice.pick(&TEXTS)),
        5 => dice.pick(&[json!([]), json!({}), json!([[]]), json!([null]), json!("x")]).clone(),
        _ => dice.pick(&DONORS.0).clone(),
    }
}

/// Changes a few frames of a stream of events: whole ones, or their data as a tree.
pub(crate) fn stream(dice: &mut Dice, stream: &str) -> Vec<u8> {
    let mut frames: Vec<String> = stream.split_inclusive("\n\n").map(str::to_owned).collect();
    for _ in 0..dice.few() {
        if frames.is_empty() {
            break;
        }
        frame_step(dice, &mut frames);
    }
    let mut bytes = frames.concat().into_bytes();
    if dice.once_in(8) {
        self::bytes(dice, &mut bytes);
    }
    bytes
}

fn frame_step(dice: &mut Dice, frames: &mut Vec<String>) {
    let at = dice.below(frames.len());
    match dice.below(9) {
        0 => drop(frames.remove(at)),
        1 => frames.insert(at, frames[at].clone()),
        2 => {
            let other = dice.below(frames.len());
            frames.swap(at, other);
        }
        3 => frames.truncate(at),
        4 => {
            let (_, other) = dice.pick(&seeds::STREAMS);
            let donors: Vec<&str> = other.split_inclusive("\n\n").collect();
            frames.insert(at, (*dice.pick(&donors)).to_owned());
        }
        5 => {
            let oddity = dice.pick(&[": ping\n\n", "\n", "event: ping\n\n", "data:\n\n"]);
            frames.insert(at, (*oddity).to_owned());
        }
        _ => change_data(dice, &mut frames[at]),
    }
}

/// Changes the data of a frame as a tree.
fn change_data(dice: &mut Dice, frame: &mut String) {
    let Some((head, data)) = frame.split_once("data: ") else { return };
    let Ok(mut value) = serde_json::from_str(data.trim()) else { return };
    let place = dice.below(size(&value));
    tree_step(dice, nth(&mut value, place).unwrap_or_else(|_| panic!("a place of {place}")));
    *frame = format!("{head}data: {value}\n\n");
}
