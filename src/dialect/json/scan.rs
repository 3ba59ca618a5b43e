//! The pass over the text: one function for each kind of value, at most 64 of them on the stack.

use std::{borrow::Cow, collections::HashSet};

use super::{Fault, MAX_DEPTH, MAX_NODES, Node, Value};

/// Objects with more keys than this are checked for duplicates with a set; fewer are compared pair by pair.
const FEW_KEYS: usize = 16;

/// A text and how far it has been read.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    nodes: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, nodes: 0 }
    }

    /// The one value that the text must be.
    pub(super) fn document(mut self) -> Result<Node<'a>, Fault> {
        if self.text.starts_with('\u{FEFF}') {
            return Err(self.fault("a byte order mark is not allowed"));
        }
        self.skip_space();
        let node = self.value(0)?;
        self.skip_space();
        if self.at == self.text.len() {
            Ok(node)
        } else {
            Err(self.fault("something follows the end of the value"))
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, Fault> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MAX_NODES {
            return Err(self.fault("too many values"));
        }
        let start = self.at;
        let value = match self.peek() {
            Some(b'"') => Value::String(self.string()?),
            Some(b'{') => self.object(self.deeper(depth)?)?,
            Some(b'[') => self.array(self.deeper(depth)?)?,
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return Err(self.expected("a value")),
        };
        Ok(Node { span: start..self.at, value })
    }

    fn deeper(&self, depth: usize) -> Result<usize, Fault> {
        if depth < MAX_DEPTH {
            Ok(depth.saturating_add(1))
        } else {
            Err(self.fault("nested deeper than 64 levels"))
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        self.step();
        self.skip_space();
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in double quotes"));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return Err(self.expected("a colon"));
            }
            self.skip_space();
            members.push((key, self.value(depth)?));
            self.skip_space();
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.expected("a comma or a closing brace"));
            }
            self.skip_space();
        }
        self.unique(&members)?;
        Ok(Value::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        self.step();
        self.skip_space();
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return Err(self.expected("a comma or a closing bracket"));
            }
            self.skip_space();
        }
    }

    /// Refuses a key that stands twice, in time linear in the number of keys.
    fn unique(&self, members: &[(Cow<'a, str>, Node<'a>)]) -> Result<(), Fault> {
        let twice = if members.len() > FEW_KEYS {
            let mut seen = HashSet::with_capacity(members.len());
            members.iter().position(|(key, _)| !seen.insert(key.as_ref()))
        } else {
            (1..members.len()).find(|at| {
                let (before, rest) = members.split_at_checked(*at).unwrap_or_default();
                rest.first().is_some_and(|(key, _)| before.iter().any(|(other, _)| other == key))
            })
        };
        let Some(at) = twice else { return Ok(()) };
        Err(self.fault_at(self.key_start(members, at), "the same key stands twice in one object"))
    }

    /// Where the key of the member `at` stands: after the value before it, its comma and space.
    fn key_start(&self, members: &[(Cow<'a, str>, Node<'a>)], at: usize) -> usize {
        let before = at.checked_sub(1).and_then(|before| members.get(before));
        let end = before.map_or(0, |(_, node)| node.span.end);
        let rest = self.text.get(end..).unwrap_or_default();
        end.saturating_add(rest.find('"').unwrap_or_default())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.step();
        let plain = self.plain()?;
        if self.take(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = String::with_capacity(plain.len().saturating_mul(2));
        text.push_str(plain);
        loop {
            text.push(self.escape()?);
            text.push_str(self.plain()?);
            if self.take(b'"') {
                return Ok(Cow::Owned(text));
            }
        }
    }

    /// The characters up to the next quote or backslash, which must exist.
    fn plain(&mut self) -> Result<&'a str, Fault> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let Some(length) = memchr::memchr2(b'"', b'\\', rest) else {
            self.at = self.text.len();
            return Err(self.fault("the text ends inside a string"));
        };
        let end = self.at.saturating_add(length);
        let plain = self.text.get(self.at..end).unwrap_or_default();
        // A fold without an early exit is compiled to vector instructions.
        if plain.bytes().fold(0, |found, byte| found | u8::from(byte < b' ')) != 0 {
            let inside = plain.bytes().position(|byte| byte < b' ').unwrap_or_default();
            let at = self.at.saturating_add(inside);
            return Err(self.fault_at(at, "a control character inside a string must be escaped"));
        }
        self.at = end;
        Ok(plain)
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        self.step();
        let escaped = self.peek();
        self.step();
        Ok(match escaped {
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(same),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return Err(self.fault_at(start, "not an escape")),
        })
    }

    /// The character of `\uXXXX`, or of two of them that are a surrogate pair.
    fn unicode(&mut self, start: usize) -> Result<char, Fault> {
        let first = self.hex(start)?;
        let code = if (0xD800..0xDC00).contains(&first) && self.rest().starts_with("\\u") {
            self.at = self.at.saturating_add(2);
            let second = self.hex(start)?;
            if (0xDC00..0xE000).contains(&second) {
                ((first & 0x3FF) << 10 | (second & 0x3FF)).saturating_add(0x1_0000)
            } else {
                first
            }
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.fault_at(start, "half of a surrogate pair"))
    }

    fn hex(&mut self, start: usize) -> Result<u32, Fault> {
        let end = self.at.saturating_add(4);
        let digits = self.text.get(self.at..end).unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.fault_at(start, "not an escape"));
        }
        self.at = end;
        u32::from_str_radix(digits, 16).map_err(|_| self.fault_at(start, "not an escape"))
    }

    fn number(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err(self.expected("a digit"));
        }
        if self.take(b'.') && self.digits() == 0 {
            return Err(self.expected("a digit"));
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            if self.digits() == 0 {
                return Err(self.expected("a digit"));
            }
        }
        Ok(Value::Number(self.text.get(start..self.at).unwrap_or_default()))
    }

    fn digits(&mut self) -> usize {
        let count = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.at = self.at.saturating_add(count);
        count
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Fault> {
        if self.rest().starts_with(word) {
            self.at = self.at.saturating_add(word.len());
            Ok(value)
        } else {
            Err(self.expected("a value"))
        }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.step();
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.step();
        }
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    const fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn expected(&self, what: &str) -> Fault {
        let found = if self.at < self.text.len() { "" } else { ", but the text ends" };
        self.fault_at(self.at, format!("expected {what}{found}"))
    }

    fn fault(&self, message: &'static str) -> Fault {
        self.fault_at(self.at, message)
    }

    fn fault_at(&self, at: usize, message: impl Into<Cow<'static, str>>) -> Fault {
        Fault::at(self.text.as_bytes(), at, message.into())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use crate::dialect::json::{self, Node, Value, Writer};

    /// Writes a tree out again, for comparison with another reader.
    fn rebuild(node: &Node<'_>, writer: &mut Writer) {
        match &node.value {
            Value::Null => writer.raw("null"),
            Value::Bool(truth) => writer.raw(if *truth { "true" } else { "false" }),
            Value::Number(text) => writer.raw(text),
            Value::String(text) => writer.string(text),
            Value::Array(items) => {
                writer.begin_array();
                for item in items {
                    rebuild(item, writer);
                }
                writer.end_array();
            }
            Value::Object(members) => {
                writer.begin_object();
                for (key, value) in members {
                    writer.key(key);
                    rebuild(value, writer);
                }
                writer.end_object();
            }
        }
    }

    fn rebuilt(text: &str) -> serde_json::Value {
        let mut writer = Writer::default();
        rebuild(&json::parse(text.as_bytes()).unwrap(), &mut writer);
        serde_json::from_str(&writer.finish()).unwrap()
    }

    fn message(text: &[u8]) -> String {
        json::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn says_where_and_what_is_wrong() {
        assert_eq!(message(b""), "line 1 column 1: expected a value, but the text ends");
        assert_eq!(message(b"{\n \"a\": 1,}"), "line 2 column 9: expected a key in double quotes");
        assert_eq!(
            message("[\"ü\" 1]".as_bytes()),
            "line 1 column 6: expected a comma or a closing bracket"
        );
        assert_eq!(message(b"{} x"), "line 1 column 4: something follows the end of the value");
        assert_eq!(
            message("\u{FEFF}{}".as_bytes()),
            "line 1 column 1: a byte order mark is not allowed"
        );
        assert_eq!(message(b"[\"\xff\"]"), "line 1 column 3: invalid UTF-8");
        assert_eq!(message(b"\"\xc0\xaf\""), "line 1 column 2: invalid UTF-8");
        assert_eq!(message(b"[NaN]"), "line 1 column 2: expected a value");
    }

    #[test]
    fn refuses_what_is_not_json() {
        for bad in [
            "nul",
            "Infinity",
            "-",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "0x1",
            "'a'",
            "[1,]",
            "{\"a\"}",
            "{a:1}",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\t\"",
            "\"a",
            "[",
            "{\"a\":",
            "\"\\",
            "// x\n1",
            "\u{a0}1",
        ] {
            assert!(json::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn refuses_a_key_that_stands_twice_at_any_depth() {
        let twice = "line 1 column 11: the same key stands twice in one object";
        assert_eq!(message(br#"{"mod":1, "m\u006fd":2}"#), twice);
        assert!(json::parse(br#"{"a":{"b":[{"c":1,"c":1}]}}"#).is_err());
        assert!(json::parse(br#"{"a":{"c":1},"b":{"c":1}}"#).is_ok());
        let mut many = String::from("{");
        for key in 0..1000 {
            write!(many, "\"k{key}\":0,").unwrap();
        }
        assert!(json::parse(format!("{many}\"k1000\":0}}").as_bytes()).is_ok());
        assert!(message(format!("{many}\"k\\u0037\":0}}").as_bytes()).contains("twice"));
    }

    #[test]
    fn stops_at_64_levels_and_a_million_values() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(json::parse(nested(64).as_bytes()).is_ok());
        assert!(message(nested(65).as_bytes()).contains("64 levels"));
        assert!(message("[".repeat(1_000_000).as_bytes()).contains("64 levels"));
        assert!(message("{\"a\":[".repeat(33).as_bytes()).contains("64 levels"));
        let many = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert!(json::parse(many(1_000_000).as_bytes()).is_ok());
        assert!(message(many(1_100_000).as_bytes()).contains("too many"));
    }

    #[test]
    fn keeps_numbers_and_spans_as_they_were_spelled() {
        let source = br#" {"seed": 123456789012345678901234567890, "x": [-0.0e+7, "a\u0041"]}"#;
        let node = json::parse(source).unwrap();
        assert_eq!(node.member("seed").unwrap().raw(source), b"123456789012345678901234567890");
        assert_eq!(node.member("seed").unwrap().as_u64(), None);
        let items = node.member("x").unwrap().as_array().unwrap();
        assert_eq!(items[0].raw(source), b"-0.0e+7");
        assert_eq!(
            (items[1].as_str(), items[1].raw(source)),
            (Some("aA"), br#""a\u0041""#.as_slice())
        );
        assert_eq!(node.span, 1..source.len());
    }

    #[test]
    fn reads_long_strings_and_many_keys() {
        let long = format!("\"{}\\n{}\"", "a".repeat(10_000_000), "é".repeat(5_000_000));
        assert_eq!(json::parse(long.as_bytes()).unwrap().as_str().unwrap().len(), 20_000_001);
        let keys: Vec<_> = (0..500_000).map(|key| format!("\"{key}\":0")).collect();
        assert!(json::parse(format!("{{{}}}", keys.join(",")).as_bytes()).is_ok());
    }

    fn tree() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::btree_map("[a-c\"\\\\\n]{0,3}", inner, 0..24).prop_map(
                    |members| { serde_json::Value::Object(members.into_iter().collect()) }
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_another_writer_wrote(value in tree(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(rebuilt(&text), serde_json::from_str::<serde_json::Value>(&text).unwrap());
        }

        /// Texts near to JSON are accepted and refused as another reader does, but for our own bounds.
        #[test]
        fn judges_as_another_reader_does(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"b\":", "1", "-", "0", ".5", "e3", "E-1", "+", "true", "null",
                    " ", "\n", "\\n", "\\u00e9", "\\ud83d", "\\ude00", "\\", "é", "\u{1}", "x",
                ]),
                0..12,
            )
        ) {
            let text = pieces.concat();
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            match json::parse(text.as_bytes()) {
                Ok(_) => {
                    let theirs = theirs.map_err(|error| TestCaseError::fail(format!("{text:?}: {error}")))?;
                    prop_assert_eq!(rebuilt(&text), theirs);
                }
                Err(fault) => prop_assert!(theirs.is_err() || fault.message.contains("twice"), "{text:?}: {fault}"),
            }
        }

        #[test]
        fn compact_json_is_the_same_json(value in tree()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(json::compact(&pretty), serde_json::to_string(&value).unwrap());
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = json::parse(&bytes);
        }

        #[test]
        fn a_quoted_text_reads_back(text in any::<String>()) {
            let quoted = json::quote(&text);
            let node = json::parse(quoted.as_bytes()).unwrap();
            prop_assert_eq!(node.as_str(), Some(text.as_str()));
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
        }

        #[test]
        fn a_splice_changes_nothing_else(before in ".*", old in ".*", between in ".*", new in ".*", after in ".*") {
            let source = format!("{before}{old}{between}{old}{after}");
            let starts = [before.len(), [&*before, &old, &between].concat().len()];
            let [first, second] = starts.map(|start| start..start.saturating_add(old.len()));
            let edits = [(first, new.as_bytes().into()), (second, new.as_bytes().into())];
            let expected = format!("{before}{new}{between}{new}{after}");
            prop_assert_eq!(json::splice(source.as_bytes(), &edits), expected.into_bytes());
        }
    }
}
