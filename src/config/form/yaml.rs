//! A form as YAML: what a person would write, and nothing that a reader could take for anything else.
//!
//! A text goes without quotes only where every YAML reader takes it as that very text; else it is quoted, with escapes.

use std::fmt::Write as _;

use crate::config::{
    form::is_typed,
    raw::{Entry, Node, Shape},
};

/// The order of keys; those that are not here come after, as they were given.
const ORDER: [&str; 14] = [
    "name",
    "description",
    "task_slug",
    "custom_task",
    "examples",
    "models",
    "selection_policy",
    "policies",
    "fallback_models",
    "threshold",
    "failover",
    "switch_budget",
    "prefer",
    "rescue",
];

/// Keys whose values take lines of their own.
const LONG: [&str; 3] = ["policies", "custom_task", "examples"];

/// The longest value that stands in one line with its key.
const WIDTH: usize = 88;

/// The entries of a mapping as a document.
pub(super) fn write(entries: &[Entry]) -> String {
    let mut out = String::new();
    if entries.is_empty() {
        out.push_str("{}\n");
    }
    block_map(entries, 0, &mut out);
    out
}

fn block_map(entries: &[Entry], depth: usize, out: &mut String) {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    let place = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    sorted.sort_by_key(|entry| place(&entry.key));
    for (index, entry) in sorted.into_iter().enumerate() {
        // The first one stands behind the dash of its item, where it has one.
        if index > 0 || !out.ends_with("- ") {
            indent(depth, out);
        }
        text(&entry.key, true, out);
        out.push(':');
        let long = LONG.contains(&entry.key.as_str());
        value(&entry.value, long, depth, out);
    }
}

/// A value behind its key.
fn value(node: &Node, long: bool, depth: usize, out: &mut String) {
    let inside = depth.saturating_add(2);
    match &node.shape {
        Shape::Map(entries) if !entries.is_empty() && !fits(node, long) => {
            out.push('\n');
            block_map(entries, inside, out);
        }
        Shape::List(items) if !items.is_empty() && !fits(node, long) => {
            out.push('\n');
            block_list(items, inside, out);
        }
        Shape::Map(_) | Shape::List(_) | Shape::Scalar { .. } | Shape::Null => {
            out.push(' ');
            flow(node, false, out);
            out.push('\n');
        }
    }
}

fn block_list(items: &[Node], depth: usize, out: &mut String) {
    let inside = depth.saturating_add(2);
    for item in items {
        indent(depth, out);
        out.push_str("- ");
        match &item.shape {
            Shape::Map(entries) if !entries.is_empty() => block_map(entries, inside, out),
            Shape::Map(_) | Shape::List(_) | Shape::Scalar { .. } | Shape::Null => {
                flow(item, false, out);
                out.push('\n');
            }
        }
    }
}

/// Whether a list or mapping stands in one line.
fn fits(node: &Node, long: bool) -> bool {
    let is_leaf = |node: &Node| matches!(node.shape, Shape::Scalar { .. } | Shape::Null);
    let leaves = match &node.shape {
        Shape::List(items) => items.iter().all(is_leaf),
        Shape::Map(entries) => entries.iter().all(|entry| is_leaf(&entry.value)),
        Shape::Scalar { .. } | Shape::Null => true,
    };
    if long || !leaves {
        return false;
    }
    let mut line = String::new();
    flow(node, false, &mut line);
    line.chars().count() <= WIDTH
}

/// A value in one line; `inside` of brackets some characters mean more.
fn flow(node: &Node, inside: bool, out: &mut String) {
    match &node.shape {
        Shape::Null => out.push_str("null"),
        Shape::Scalar { text, plain: true } if is_typed(text) => out.push_str(text),
        Shape::Scalar { text: words, .. } => text(words, inside, out),
        Shape::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                flow(item, true, out);
            }
            out.push(']');
        }
        Shape::Map(entries) => {
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                text(&entry.key, true, out);
                out.push_str(": ");
                flow(&entry.value, true, out);
            }
            out.push('}');
        }
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', depth));
}

fn text(text: &str, inside: bool, out: &mut String) {
    if goes_plain(text, inside) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_shown(c) => out.push(c),
            c => {
                let _infallible = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
}

/// Whether every reader takes `text` as itself without quotes.
fn goes_plain(text: &str, inside: bool) -> bool {
    let starts = |c: char| c.is_alphabetic() || c.is_ascii_digit() || matches!(c, '_' | '/' | '(');
    let goes_on = |c: char| {
        c.is_alphanumeric()
            || matches!(c, ' ' | '-' | '_' | '.' | '/' | '(' | ')' | '+' | '\'' | '?' | '!' | ';')
            || matches!(c, '=' | '$' | '<' | '>' | '~' | '*' | '&' | '@' | ':')
            || (c == ',' && !inside)
    };
    // Also words of older versions of YAML, and whatever might be a number or a time in one of them.
    let is_word = |word: &&str| word.eq_ignore_ascii_case(text);
    let looks_typed =
        ["true", "false", "yes", "no", "on", "off", "y", "n", "null"].iter().any(is_word);
    let looks_numeric = text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_hexdigit() || matches!(c, '_' | '.' | ':' | '-' | '+' | 'x' | 'o'));
    text.starts_with(starts)
        && text.chars().all(goes_on)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !looks_typed
        && !looks_numeric
        && text.parse::<f64>().is_err()
}

/// Whether a character may stand in quotes as it is.
fn is_shown(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}
