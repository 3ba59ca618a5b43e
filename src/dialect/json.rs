//! JSON, read once and within bounds.
//!
//! `parse` makes one pass over the text and accepts exactly what RFC 8259 allows, less what has been used to smuggle
//! meaning past a proxy: a key that stands twice in one object (at any depth, after escapes are resolved), more than 64
//! levels, more than a million values, lone surrogates, a byte order mark, trailing bytes. Every node keeps the
//! span of bytes it came from, so that a value can be replaced in place or passed on as it was spelled, and a number
//! is kept as its text, so that no digit of a large one is lost.
//!
//! There is no tree to build JSON from: `Writer` appends text, and what came as JSON goes out as the same text.

mod scan;
mod write;

pub use write::Writer;

use std::{borrow::Cow, fmt, ops::Range};

use scan::Scanner;

/// How many arrays and objects may be open at once.
pub const MAX_DEPTH: usize = 64;

/// How many values a text may hold, so that a small body cannot make a large tree.
pub const MAX_NODES: usize = 1 << 20;

/// One value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'a> {
    /// The bytes that it came from.
    pub span: Range<usize>,
    /// What it is.
    pub value: Value<'a>,
}

/// A JSON value; strings are borrowed where they hold no escape.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was spelled.
    Number(&'a str),
    /// A string, escapes resolved.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Node<'a>>),
    /// An object, its members in the order they came, no key twice.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// Why a text is not acceptable JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} column {column}: {message}")]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: Cow<'static, str>,
}

/// Reads `bytes` as one JSON value.
pub fn parse(bytes: &[u8]) -> Result<Node<'_>, Fault> {
    parse_text(text(bytes)?)
}

/// Reads `text` as one JSON value.
pub fn parse_text(text: &str) -> Result<Node<'_>, Fault> {
    Scanner::new(text).document()
}

/// `bytes` as text, or a fault at the first byte that is not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes)
        .map_err(|error| Fault::at(bytes, error.valid_up_to(), "invalid UTF-8".into()))
}

/// `source` with the bytes of each span replaced. Spans come in rising order and do not overlap.
pub fn splice(source: &[u8], edits: &[(Range<usize>, Cow<'_, [u8]>)]) -> Vec<u8> {
    let added: usize = edits.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut out = Vec::with_capacity(source.len().saturating_add(added));
    let mut at = 0;
    for (span, bytes) in edits {
        out.extend_from_slice(source.get(at..span.start).unwrap_or_default());
        out.extend_from_slice(bytes);
        at = span.end;
    }
    out.extend_from_slice(source.get(at..).unwrap_or_default());
    out
}

/// A JSON value without the white space between its tokens.
pub fn compact(json: &str) -> Cow<'_, str> {
    if !json.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = memchr::memchr(b'"', rest.as_bytes()) {
        let (outside, string) = rest.split_at_checked(start).unwrap_or((rest, ""));
        let (string, after) =
            string.split_at_checked(string_length(string)).unwrap_or((string, ""));
        out.extend(outside.split_ascii_whitespace());
        out.push_str(string);
        rest = after;
    }
    out.extend(rest.split_ascii_whitespace());
    Cow::Owned(out)
}

/// The length of the string literal, quotes included, that `text` begins with.
fn string_length(text: &str) -> usize {
    let mut escaped = true;
    let end = text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    end.map_or(text.len(), |end| end.saturating_add(1))
}

/// `text` as a JSON string literal.
pub fn quote(text: &str) -> String {
    let mut writer = Writer::with_capacity(text.len().saturating_add(2));
    writer.string(text);
    writer.finish()
}

impl Fault {
    /// A fault at the byte `offset` of `source`.
    fn at(source: &[u8], offset: usize, message: Cow<'static, str>) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at.saturating_add(1));
        let line = memchr::memchr_iter(b'\n', before).count().saturating_add(1);
        let in_line = before.get(line_start..).unwrap_or_default();
        let column =
            in_line.iter().filter(|byte| !is_continuation(**byte)).count().saturating_add(1);
        Self { line, column, message }
    }
}

/// Whether `byte` goes on with a character that began before it.
const fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

impl<'a> Node<'a> {
    /// The member of this name, if this is an object that has it.
    pub fn member(&self, name: &str) -> Option<&Self> {
        self.as_object()?.iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = &self.value { Some(text) } else { None }
    }

    /// The truth, if this is a boolean.
    pub const fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(truth) = &self.value { Some(*truth) } else { None }
    }

    /// The number, if this is a whole one of 64 bits without sign, fraction or exponent.
    pub fn as_u64(&self) -> Option<u64> {
        if let Value::Number(text) = &self.value { text.parse().ok() } else { None }
    }

    /// The number as the nearest finite double.
    pub fn as_f64(&self) -> Option<f64> {
        let Value::Number(text) = &self.value else { return None };
        text.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The items, if this is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Value::Array(items) = &self.value { Some(items) } else { None }
    }

    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&[(Cow<'a, str>, Self)]> {
        if let Value::Object(members) = &self.value { Some(members) } else { None }
    }

    /// Whether this is `null`.
    pub const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The bytes that it came from, out of the `source` that was parsed.
    pub fn raw<'s>(&self, source: &'s [u8]) -> &'s [u8] {
        source.get(self.span.clone()).unwrap_or_default()
    }

    /// The text that it came from, out of the `source` that was parsed.
    pub fn raw_text<'s>(&self, source: &'s str) -> &'s str {
        source.get(self.span.clone()).unwrap_or_default()
    }
}

impl fmt::Display for Value<'_> {
    /// The kind of value, as an error message names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        })
    }
}
