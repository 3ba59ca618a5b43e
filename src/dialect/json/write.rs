//! JSON as text, appended piece by piece.

/// Appends JSON to a text. Commas come by themselves; brackets are the caller's to balance.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
}

impl Writer {
    /// An empty text with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { out: String::with_capacity(capacity) }
    }

    /// The text.
    pub fn finish(self) -> String {
        self.out
    }

    /// Opens an object.
    pub fn begin_object(&mut self) {
        self.separate();
        self.out.push('{');
    }

    /// Closes an object.
    pub fn end_object(&mut self) {
        self.out.push('}');
    }

    /// Opens an array.
    pub fn begin_array(&mut self) {
        self.separate();
        self.out.push('[');
    }

    /// Closes an array.
    pub fn end_array(&mut self) {
        self.out.push(']');
    }

    /// The key of the value that comes next.
    pub fn key(&mut self, key: &str) {
        self.string(key);
        self.out.push(':');
    }

    /// A string.
    pub fn string(&mut self, text: &str) {
        self.separate();
        self.out.push('"');
        escape(text, &mut self.out);
        self.out.push('"');
    }

    /// A string that comes in pieces.
    pub fn string_of(&mut self, pieces: &[&str]) {
        self.separate();
        self.out.push('"');
        for piece in pieces {
            escape(piece, &mut self.out);
        }
        self.out.push('"');
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, json: &str) {
        self.separate();
        self.out.push_str(json);
    }

    /// A member whose value is a string.
    pub fn string_member(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text);
    }

    /// A member whose value is JSON already.
    pub fn raw_member(&mut self, key: &str, json: &str) {
        self.key(key);
        self.raw(json);
    }

    /// A member whose value is a whole number.
    pub fn number_member(&mut self, key: &str, number: u64) {
        self.key(key);
        self.raw(&number.to_string());
    }

    /// A member whose value is a boolean.
    pub fn bool_member(&mut self, key: &str, truth: bool) {
        self.key(key);
        self.raw(if truth { "true" } else { "false" });
    }

    /// Opens an object as the value of a member.
    pub fn object_member(&mut self, key: &str) {
        self.key(key);
        self.begin_object();
    }

    /// Opens an array as the value of a member.
    pub fn array_member(&mut self, key: &str) {
        self.key(key);
        self.begin_array();
    }

    /// A comma, unless what comes next is the first of its kind. No value ends in one of these bytes.
    fn separate(&mut self) {
        if !matches!(self.out.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(',');
        }
    }
}

/// Appends `text` as it stands between the quotes of a JSON string.
fn escape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\')
    {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut characters = tail.chars();
        if let Some(special) = characters.next() {
            push_escape(special, out);
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
}

fn push_escape(special: char, out: &mut String) {
    match special {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => {
            out.push_str("\\u00");
            for shift in [4, 0] {
                out.extend(char::from_digit(u32::from(other) >> shift & 0xF, 16));
            }
        }
    }
}
