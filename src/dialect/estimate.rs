//! How many tokens a request has, about, without any model's tokenizer.
//!
//! Used where a decision needs the number before a provider has counted: gates, expected cost, `count_tokens` where no
//! endpoint has it. Each byte of a text costs by its class and by the class of the byte before it, and by nothing
//! else: every request pays for this, and so the bytes need not wait for one another. The weights were fitted to a
//! public byte-pair tokenizer: English, source code, JSON and lock files come out within 10 %; other scripts lie between
//! the counts of older and newer vocabularies, which differ by up to two.

use std::{array, sync::LazyLock};

use crate::dialect::ir::{
    Format, Request,
    part::{Document, Part, Source},
};

/// An image: between the 765 of one API for a square of 1024 pixels and the 1,600 at most of the other.
const IMAGE: u64 = 1_200;

/// A document whose size is not known, because it is named by a URL.
const DOCUMENT: u64 = 3_000;

/// How many bytes of base64 of a document make a token: a page of a PDF is about 60 KB and 2,000 tokens.
const DOCUMENT_BYTES: u64 = 30;

/// How many bytes of base64 of sound make a token: a tenth of a second of compressed speech.
const AUDIO_BYTES: u64 = 2_000;

/// What the frame of a message costs.
const MESSAGE: u64 = 4;

/// What the frame of a tool or a tool call costs.
const TOOL: u64 = 8;

/// The tokens that the input of `request` takes, about.
pub fn input_tokens(request: &Request<'_>) -> u64 {
    let mut meter = Meter::default();
    for message in &request.messages {
        meter.add(MESSAGE);
        for part in &message.parts {
            meter.part(part);
        }
    }
    for tool in &request.tools.list {
        meter.add(TOOL);
        meter.text(&tool.name);
        meter.text(tool.description.as_deref().unwrap_or_default());
        meter.text(tool.schema.unwrap_or_default());
    }
    if let Format::Schema(schema) = &request.response_format {
        meter.text(schema.schema);
    }
    meter.tokens()
}

/// The tokens of `text`, about.
pub fn text_tokens(text: &str) -> u64 {
    let mut meter = Meter::default();
    meter.text(text);
    meter.tokens()
}

/// A count under way, in hundredths of a token.
#[derive(Default)]
struct Meter {
    hundredths: u64,
}

impl Meter {
    const fn tokens(&self) -> u64 {
        self.hundredths.div_ceil(100)
    }

    const fn add(&mut self, tokens: u64) {
        self.hundredths = self.hundredths.saturating_add(tokens.saturating_mul(100));
    }

    fn part(&mut self, part: &Part<'_>) {
        match part {
            Part::Text(text) => self.text(&text.text),
            Part::Refusal(text) => self.text(text),
            Part::Reasoning(thought) => self.text(&thought.text),
            Part::Image(_) => self.add(IMAGE),
            Part::Document(document) => self.document(document),
            Part::Audio(audio) => self.add(length(&audio.data) / AUDIO_BYTES),
            Part::ToolCall(call) => {
                self.add(TOOL);
                self.text(&call.name);
                self.text(&call.arguments);
            }
            Part::ToolResult(result) => {
                self.add(TOOL);
                for inner in &result.parts {
                    self.part(inner);
                }
            }
            Part::Other(_) => self.add(TOOL),
        }
    }

    fn document(&mut self, document: &Document<'_>) {
        match &document.source {
            Source::Text(text) => self.text(text),
            Source::Base64 { data, .. } => self.add(length(data) / DOCUMENT_BYTES),
            Source::Url(_) | Source::File(_) => self.add(DOCUMENT),
        }
    }

    fn text(&mut self, text: &str) {
        let tables = &*TABLES;
        let mut before = 0;
        let mut sum: u64 = 0;
        for byte in text.bytes() {
            let class = tables.classes.get(usize::from(byte)).copied().unwrap_or_default();
            let pair = usize::from(before << 4 | class);
            sum = sum.wrapping_add(u64::from(tables.costs.get(pair).copied().unwrap_or_default()));
            before = class;
        }
        self.hundredths = self.hundredths.saturating_add(sum);
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// What a byte is: the first byte of a character says which script it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Nothing: the beginning.
    Start,
    /// A further byte of a character.
    Inside,
    Lower,
    Upper,
    Digit,
    Space,
    Break,
    Punctuation,
    /// Latin letters outside ASCII.
    Accented,
    /// Greek, Cyrillic, Armenian.
    Eastern,
    /// Hebrew, Arabic, Syriac.
    Semitic,
    /// The scripts of South and South-East Asia, Georgian, Ethiopic.
    Southern,
    /// Dashes, quotes, arrows, box drawing.
    Symbol,
    /// Chinese characters and kana.
    Han,
    Hangul,
    /// Emoji and rare scripts.
    Astral,
}

impl Class {
    /// All of them, in order: no more than fit in four bits.
    const ALL: [Self; 16] = [
        Self::Start,
        Self::Inside,
        Self::Lower,
        Self::Upper,
        Self::Digit,
        Self::Space,
        Self::Break,
        Self::Punctuation,
        Self::Accented,
        Self::Eastern,
        Self::Semitic,
        Self::Southern,
        Self::Symbol,
        Self::Han,
        Self::Hangul,
        Self::Astral,
    ];

    const fn of(byte: u8) -> Self {
        match byte {
            b'a'..=b'z' => Self::Lower,
            b'A'..=b'Z' => Self::Upper,
            b'0'..=b'9' => Self::Digit,
            b' ' => Self::Space,
            b'\n' | b'\r' | b'\t' => Self::Break,
            0x00..=0x7F => Self::Punctuation,
            0x80..=0xBF => Self::Inside,
            0xC3..=0xC9 => Self::Accented,
            0xCA..=0xD5 => Self::Eastern,
            0xD6..=0xDF => Self::Semitic,
            0xE0..=0xE1 => Self::Southern,
            0xC0..=0xC2 | 0xE2 | 0xEE..=0xEF => Self::Symbol,
            0xE3..=0xE9 => Self::Han,
            0xEA..=0xED => Self::Hangul,
            0xF0..=0xFF => Self::Astral,
        }
    }
}

/// The two look-ups that a byte takes.
struct Tables {
    /// The class of a byte, as its place in `Class::ALL`.
    classes: [u8; 256],
    /// The cost of a byte in hundredths of a token, by the class before it (the upper four bits) and its own.
    costs: [u8; 256],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let place = |class| Class::ALL.iter().position(|other| *other == class).unwrap_or_default();
    let class = |place: usize| Class::ALL.get(place).copied().unwrap_or(Class::Start);
    let byte = |at: usize| u8::try_from(at).unwrap_or_default();
    Tables {
        classes: array::from_fn(|at| byte(place(Class::of(byte(at))))),
        costs: array::from_fn(|pair| cost(class(pair >> 4), class(pair & 0xF))),
    }
});

/// The cost of a byte of this class behind one of that class.
fn cost(before: Class, class: Class) -> u8 {
    use Class::{Break, Inside, Lower, Space, Upper};
    let (first, further) = match class {
        Class::Start | Inside => (0, 0),
        // A word: its beginning and, because long words are rare ones, each letter. One space before it is free.
        Lower => (62, 10),
        // A capital letter begins a new word inside one.
        Upper => (62, 30),
        Space => (0, 8),
        // Indentation goes with its line break.
        Break => (90, 0),
        Class::Digit => (90, 35),
        Class::Punctuation => (95, 35),
        Class::Accented => (80, 80),
        Class::Eastern => (45, 45),
        Class::Semitic => (65, 65),
        Class::Southern => (85, 85),
        Class::Symbol => (130, 130),
        Class::Han => (95, 95),
        Class::Hangul => (90, 90),
        Class::Astral => (250, 250),
    };
    let in_word = class == Lower && matches!(before, Upper | Inside);
    let in_space = class == Break && before == Space;
    if before == class || in_word || in_space { further } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Dialect, request::read_request};

    /// Texts with the count of a public tokenizer.
    const COUNTED: [(&str, u64); 6] = [
        (
            "A pointsman is the railway worker who sets the points, so that each train takes the right track. The \
             crate, the binary and the metric prefix are all named after him.",
            37,
        ),
        (
            "fn main() {\n    let total: u64 = values.iter().map(|value| value.len()).sum();\n    println!(\"{total}\");\n}\n",
            37,
        ),
        (
            r#"{"name":"read_file","arguments":{"path":"/src/main.rs","offset":120,"limit":2000}}"#,
            26,
        ),
        ("铁路道岔工人负责设置道岔,使每列火车都能驶上正确的轨道。", 32),
        ("Der Weichensteller ist ein Eisenbahnarbeiter, der die Weichen stellt.", 21),
        ("Стрелочник переводит стрелки, чтобы каждый поезд шёл по нужному пути.", 37),
    ];

    #[test]
    fn the_estimate_is_near_a_tokenizer_in_every_script() {
        for (text, counted) in COUNTED {
            let estimate = text_tokens(text);
            assert!(
                (counted * 55..counted * 125).contains(&(estimate * 100)),
                "{estimate} {counted}: {text}"
            );
        }
        let english_and_code: u64 = COUNTED[..3].iter().map(|(text, _)| text_tokens(text)).sum();
        assert!((90..110).contains(&english_and_code), "{english_and_code} for 100");
    }

    #[test]
    fn content_counts_but_not_the_bytes_of_an_image() {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":
            {{"url":"data:image/png;base64,{}"}}}},{{"type":"text","text":"What is this?"}}]}}]}}"#,
            "A".repeat(1_000_000)
        );
        let tokens = input_tokens(&read_request(Dialect::Chat, body.as_bytes()).unwrap());
        assert!((1_200..1_220).contains(&tokens), "{tokens}");
    }

    #[test]
    fn tools_and_their_results_count() {
        let plain = br#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
        let tools = br#"{"model":"m","max_tokens":9,"tools":[{"name":"f","input_schema":{"type":"object"}}],
            "messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"1",
            "name":"f","input":{"a":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"1",
            "content":[{"type":"text","text":"a long result of many words"}]}]}]}"#;
        let count = |body| input_tokens(&read_request(Dialect::Messages, body).unwrap());
        assert!(count(plain) < 10);
        assert!(count(tools) > count(plain) + 35);
    }

    #[test]
    fn an_empty_text_has_no_tokens() {
        assert_eq!(text_tokens(""), 0);
        assert_eq!(text_tokens("a"), 1);
    }
}
