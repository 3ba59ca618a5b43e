//! Answers, from a provider's bytes to the caller's: whole or streamed, the same API on both sides or two.
//!
//! Either way the provider's side is decoded into the deltas of `ir::answer`, because content, usage, the reason to stop
//! and errors in band must be known. Where the APIs are the same the deltas are only counted: what the caller gets is the
//! provider's own bytes with the value of `model` replaced in place. Where they differ the deltas are encoded.
//!
//! A stream that breaks never gets an end: `end` writes one only for an answer that is whole, and `fail` writes an error.

mod codec;
mod joint;
pub(crate) mod read;
mod stream;
mod trace;
mod translate;

pub use stream::Stream;

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;

use crate::{
    dialect::{
        Dialect,
        error::Problem,
        ir::answer::{Delta, Stop, Usage, Whole},
        json::{self, Node},
    },
    ids::ModelId,
};

/// What is known of an answer before it comes.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The API that the caller speaks.
    pub caller: Dialect,
    /// The API that the provider speaks.
    pub upstream: Dialect,
    /// The catalog name of the model that answers: what the caller is to see.
    pub model: &'a ModelId,
    /// Whether a chat caller did not ask for usage in the stream, so that it is kept from them.
    pub hides_usage: bool,
    /// Our id of the request; ids that must be made up are made from it.
    pub id: &'a str,
    /// The time of the answer, in seconds since 1970.
    pub created: u64,
    /// The estimate of the input tokens, shown where an API demands a figure and the provider gives none.
    pub input_tokens: u64,
    /// What an answer repeats of its request.
    pub echo: &'a Echo,
    /// The tool that the model was made to call in place of a structured answer.
    pub structured_tool: Option<&'a str>,
    /// Tools that go by another name at the provider: the name that was sent, and the caller's own.
    pub tool_names: &'a [(String, String)],
}

/// What an answer repeats of its request: a Responses object holds many of its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Echo {
    /// Names and values, as JSON.
    pub(crate) members: Vec<(&'static str, String)>,
}

/// Fields that a Responses object repeats, and what stands there if the request has none.
const ECHOED: [(&str, &str); 21] = [
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", r#""default""#),
    ("store", "false"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
    ("prompt", "null"),
];

impl Echo {
    /// What an answer to the request `body` in `caller`'s API repeats; needed only where APIs differ.
    pub fn read(caller: Dialect, body: &[u8]) -> Self {
        if caller != Dialect::Responses {
            return Self::default();
        }
        let (Ok(source), Ok(root)) = (json::text(body), json::parse(body)) else {
            return Self::default();
        };
        let members = ECHOED.iter().map(|(name, default)| {
            let value = root.member(name).filter(|value| !value.is_null());
            // Nothing is kept here, whatever was asked: there is no such answer to go on from.
            let value = value.filter(|_| *name != "store");
            (*name, value.map_or(*default, |value| value.raw_text(source)).to_owned())
        });
        Self { members: members.collect() }
    }
}

/// What an answer was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The tokens that it took, where the provider said.
    pub usage: Option<Usage>,
    /// Why it ended.
    pub stop: Option<Stop>,
    /// The provider's id of it, where the caller sees that one.
    pub response_id: Option<String>,
    /// The bytes of text, reasoning and tool calls, for an estimate of tokens.
    pub content_bytes: u64,
    /// What a translation left out, as `x-pointsman-loss` names it.
    pub losses: Vec<String>,
}

/// Why an answer is no good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// It is not what its API says an answer is.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// It ended without any content, and not for a limit or a filter.
    #[error("empty answer")]
    Empty,
    /// The provider reported an error where an answer should be.
    #[error("error in the answer: {message}")]
    Error {
        /// The HTTP status that it stands for, where that can be told.
        status: Option<u16>,
        /// The provider's words.
        message: String,
        /// Whether it says that the conversation is too long for the model.
        too_long: bool,
    },
    /// It ended before it was whole.
    #[error("the answer broke off")]
    Truncated,
}

/// What a frame of a stream was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// It held something that a caller was waiting for: text, reasoning, a refusal, a tool call.
    pub content: bool,
    /// Nothing follows; `end` says whether the answer is whole.
    pub finished: bool,
}

/// An answer that came whole, for the caller.
pub fn whole(terms: &Terms<'_>, body: &[u8]) -> Result<(Bytes, Outcome), AnswerFault> {
    let source = json::text(body)?;
    let root = json::parse_text(source)?;
    let mut tally = Tally::default();
    if terms.caller == terms.upstream {
        codec::decode(terms.upstream, &root, source, &mut |delta| tally.count(&delta))?;
        tally.check_whole(terms)?;
        let bytes = match model_span(terms.upstream, &root, true) {
            Some(span) => json::splice(body, &[(span, quoted(terms.model))]).into(),
            None => Bytes::copy_from_slice(body),
        };
        return Ok((bytes, tally.outcome(Vec::new())));
    }
    let mut adapter = translate::Adapter::new(terms);
    let mut answer = Whole::default();
    codec::decode(terms.upstream, &root, source, &mut |delta| {
        tally.count(&delta);
        adapter.adapt(delta, &mut |delta| answer.add(&delta));
    })?;
    tally.check_whole(terms)?;
    let text = codec::encode(terms.caller, &answer, &Heading::new(terms))?;
    tally.id = None;
    Ok((text.into(), tally.outcome(adapter.into_losses())))
}

/// A JSON body of an endpoint that is passed through, with the value of its top-level `model` replaced.
pub fn replace_model(body: &[u8], model: &ModelId) -> Result<Bytes, AnswerFault> {
    let root = json::parse(body)?;
    Ok(match string_span(root.member("model")) {
        Some(span) => json::splice(body, &[(span, quoted(model))]).into(),
        None => Bytes::copy_from_slice(body),
    })
}

impl AnswerFault {
    /// What a caller is told when this ends a stream that has begun. A provider's own words go without a code of ours.
    pub fn problem(&self) -> Problem {
        if let Self::Error { status, message, .. } = self {
            let status = status.filter(|status| matches!(status, 400 | 413 | 422 | 429 | 500..));
            return Problem { status: status.unwrap_or(502), code: "", message: message.clone() };
        }
        let message = match self {
            Self::Truncated => "the provider's answer broke off",
            Self::Empty => "the provider's answer was empty",
            Self::Malformed(_) | Self::Error { .. } => "the provider's answer was malformed",
        };
        Problem { status: 502, code: "upstream_error", message: message.to_owned() }
    }
}

impl From<json::Fault> for AnswerFault {
    fn from(fault: json::Fault) -> Self {
        Self::Malformed(fault.to_string())
    }
}

fn quoted(model: &ModelId) -> Cow<'static, [u8]> {
    Cow::Owned(json::quote(model.as_str()).into_bytes())
}

fn string_span(node: Option<&Node<'_>>) -> Option<Range<usize>> {
    node.filter(|node| node.as_str().is_some()).map(|node| node.span.clone())
}

/// Where the name of the model stands in a body or in an event's data.
fn model_span(dialect: Dialect, root: &Node<'_>, whole: bool) -> Option<Range<usize>> {
    let holder = match (dialect, whole) {
        (Dialect::Chat, _) | (_, true) => Some(root),
        (Dialect::Responses, false) => root.member("response"),
        (Dialect::Messages, false) => root.member("message"),
    };
    string_span(holder?.member("model"))
}

/// What has been seen of an answer.
#[derive(Debug, Default)]
struct Tally {
    content: bool,
    bytes: u64,
    usage: Option<Usage>,
    stop: Option<Stop>,
    id: Option<String>,
}

impl Tally {
    fn count(&mut self, delta: &Delta<'_>) {
        self.content |= delta.is_content();
        self.bytes = self.bytes.saturating_add(delta.bytes());
        match delta {
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Stop(stop) => self.stop = Some(stop.clone()),
            Delta::Id(id) => self.id = Some((*id).to_owned()),
            Delta::Text(_)
            | Delta::Reasoning(_)
            | Delta::Refusal(_)
            | Delta::ToolStart { .. }
            | Delta::ToolInput { .. }
            | Delta::ToolEnd { .. }
            | Delta::Lost { .. }
            | Delta::End => {}
        }
    }

    /// Whether an answer that has ended holds what an answer must.
    fn check(&self) -> Result<(), AnswerFault> {
        let may_be_empty = self.stop.as_ref().is_some_and(Stop::allows_empty);
        if self.content || may_be_empty { Ok(()) } else { Err(AnswerFault::Empty) }
    }

    /// The same for a whole body; a response may also be one that has only been queued.
    fn check_whole(&self, terms: &Terms<'_>) -> Result<(), AnswerFault> {
        let queued = terms.upstream == Dialect::Responses
            && terms.caller == Dialect::Responses
            && self.stop.is_none();
        if queued { Ok(()) } else { self.check() }
    }

    fn outcome(self, losses: Vec<String>) -> Outcome {
        Outcome {
            usage: self.usage,
            stop: self.stop,
            response_id: self.id,
            content_bytes: self.bytes,
            losses,
        }
    }
}

/// What an encoder writes beside the answer itself.
#[derive(Debug, Clone)]
pub(crate) struct Heading {
    /// What ids are made from: short, and of letters and digits only.
    seed: String,
    /// The id of an answer that has begun under another one.
    own_id: Option<String>,
    pub(crate) model: String,
    pub(crate) created: u64,
    input_tokens: u64,
    pub(crate) echo: Echo,
    pub(crate) shows_usage: bool,
}

/// The longest seed that is kept as it is; APIs refuse ids of more than 64 characters.
const MAX_SEED: usize = 40;

impl Heading {
    fn new(terms: &Terms<'_>) -> Self {
        Self {
            seed: seed(terms.id),
            own_id: None,
            model: terms.model.as_str().to_owned(),
            created: terms.created,
            input_tokens: terms.input_tokens,
            echo: terms.echo.clone(),
            shows_usage: !terms.hides_usage,
        }
    }

    /// The id of the answer.
    pub(crate) fn answer_id(&self, prefix: &str) -> String {
        self.own_id.clone().unwrap_or_else(|| format!("{prefix}{}", self.seed))
    }

    /// The id of the item or the tool call at `place` of the answer.
    pub(crate) fn item_id(&self, prefix: &str, place: usize) -> String {
        format!("{prefix}{}{place:02x}", self.seed)
    }

    /// The usage to show where the provider counted nothing, for `bytes` of content.
    pub(crate) const fn estimate(&self, bytes: u64) -> Usage {
        Usage::estimate(self.input_tokens, bytes)
    }
}

/// The letters and digits of `id`; of a long one, a digest.
fn seed(id: &str) -> String {
    let plain: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    if (1..=MAX_SEED).contains(&plain.len()) {
        return plain;
    }
    // FNV-1a, 128 bits.
    let hash = id.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    format!("{hash:032x}")
}

#[cfg(test)]
mod rescued;
#[cfg(test)]
mod tests;
