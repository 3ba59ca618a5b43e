//! Requests, from the bytes of a caller to the bytes for a provider.
//!
//! `read_request` decodes once; `carry` says for each target what would be lost; `write_request` makes the body for the
//! target that was chosen. To the caller's own API the bytes go on as they came, with the value of `model` replaced
//! and, for a streamed chat answer, `stream_options.include_usage` set, so that its cost is always known.

pub(crate) mod names;
pub(crate) mod openai;
pub(crate) mod read;
pub(crate) mod shared;
mod strip;
pub(crate) mod thinking;

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;

use crate::dialect::{
    Dialect, carry, chat,
    ir::{Request, StreamOptions, StreamOptionsKind},
    json, messages, responses,
};

/// Why a body is not a request that we can route; always a 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestFault {
    /// `invalid_json` or `invalid_request`.
    pub code: &'static str,
    /// What is wrong, for the caller.
    pub message: String,
}

/// What the target's model asks of the body, beyond its API.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape<'a> {
    /// What the upstream calls the model.
    pub upstream_id: &'a str,
    /// The most tokens that the model can answer with, if that is known.
    pub max_output: Option<u64>,
    /// Whether the model takes an assistant turn as the beginning of its answer.
    pub prefill: bool,
    /// Whether signed reasoning in the conversation, if any, was made by another backend, so that this one would
    /// refuse it. Between different APIs earlier reasoning is never sent.
    pub foreign_reasoning: bool,
    /// What the endpoint does differently from its API.
    pub quirks: Quirks,
}

/// What an endpoint does differently from its API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks {
    /// It refuses `stream_options` (chat).
    pub no_stream_options: bool,
    /// It knows `max_tokens` only, not `max_completion_tokens` (chat).
    pub max_tokens_only: bool,
    /// It refuses `prompt_cache_key` and `prompt_cache_retention` (chat, responses).
    pub no_prompt_cache: bool,
}

/// A body to send, and what the answer side must know about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The body.
    pub body: Bytes,
    /// Names of the caller's fields that were dropped.
    pub losses: Vec<String>,
    /// Whether usage is asked for in a chat stream whose caller did not ask: it must be kept from them.
    pub hides_usage: bool,
    /// The tool that the model is made to call in place of a structured answer: its arguments are the answer's text.
    pub structured_tool: Option<String>,
    /// Tools that go by another name at the target: the name that was sent, and the caller's own.
    pub tool_names: Vec<(String, String)>,
}

/// What an encoder made.
pub(crate) struct Encoded {
    pub(crate) body: String,
    /// Fields that were dropped for reasons which the table cannot know without the target's shape.
    pub(crate) losses: Vec<&'static str>,
    pub(crate) structured_tool: Option<String>,
}

/// Reads the body of a request that came in `dialect`.
pub fn read_request(dialect: Dialect, body: &[u8]) -> Result<Request<'_>, RequestFault> {
    let source = json::text(body)?;
    let node = json::parse_text(source)?;
    let json::Value::Object(members) = node.value else {
        return Err(RequestFault::invalid(format!(
            "the body must be a JSON object, not {}",
            node.value
        )));
    };
    match dialect {
        Dialect::Chat => chat::request::decode(source, members),
        Dialect::Responses => responses::request::decode(source, members),
        Dialect::Messages => messages::request::decode(source, members),
    }
}

/// The body for a target that speaks `to`, out of a request and the `body` that it was read from.
///
/// A request that `carry` refuses for `to` must not be written; what comes out would not mean the same.
pub fn write_request(
    request: &Request<'_>,
    body: &[u8],
    to: Dialect,
    shape: &Shape<'_>,
) -> Outgoing {
    let hides_usage = request.dialect == Dialect::Chat && request.stream && !request.include_usage;
    if to == request.dialect {
        let cuts = if shape.foreign_reasoning { strip::edits(request, body) } else { Vec::new() };
        let losses =
            if cuts.is_empty() { Vec::new() } else { vec![carry::reasoning_field(to).to_owned()] };
        let asks = hides_usage && !shape.quirks.no_stream_options;
        let body = splice(request, body, shape.upstream_id, asks, cuts);
        return Outgoing { body: body.into(), losses, hides_usage, ..Outgoing::default() };
    }
    let encoded = match to {
        Dialect::Chat => chat::request::encode(request, shape),
        Dialect::Responses => responses::request::encode(request, shape),
        Dialect::Messages => messages::request::encode(request, shape),
    };
    let mut losses = carry::losses(request, to);
    for field in encoded.losses {
        if !losses.iter().any(|loss| loss == field) {
            losses.push(field.to_owned());
        }
    }
    Outgoing {
        body: encoded.body.into(),
        losses,
        hides_usage,
        structured_tool: encoded.structured_tool,
        tool_names: names::renamed(request),
    }
}

/// A span of the caller's body, and what takes its place.
type Edit<'b> = (Range<usize>, Cow<'b, [u8]>);

/// The caller's bytes with `model` replaced, the `edits` made and, where `usage` says so, usage asked for.
fn splice(
    request: &Request<'_>,
    body: &[u8],
    model: &str,
    usage: bool,
    mut edits: Vec<Edit<'_>>,
) -> Vec<u8> {
    let mut model = json::quote(model);
    if usage {
        match &request.places.stream_options {
            None => model.push_str(r#","stream_options":{"include_usage":true}"#),
            Some(options) => edits.extend(usage_edit(options)),
        }
    }
    edits.push((request.places.model.clone(), Cow::Owned(model.into_bytes())));
    edits.sort_by_key(|(span, _)| span.start);
    json::splice(body, &edits)
}

/// What makes `stream_options` ask for usage.
fn usage_edit(options: &StreamOptions) -> Option<Edit<'static>> {
    let inside = options.span.start.saturating_add(1);
    let (span, bytes) = match &options.kind {
        StreamOptionsKind::Empty => (options.span.clone(), r#"{"include_usage":true}"#),
        StreamOptionsKind::Without => (inside..inside, r#""include_usage":true,"#),
        StreamOptionsKind::With(value) => (value.clone(), "true"),
        StreamOptionsKind::Strange => return None,
    };
    Some((span, bytes.as_bytes().into()))
}

impl RequestFault {
    /// A request that is JSON, but not one that we can read.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { code: "invalid_request", message: message.into() }
    }
}

impl From<json::Fault> for RequestFault {
    fn from(fault: json::Fault) -> Self {
        Self { code: "invalid_json", message: format!("the body is not valid JSON: {fault}") }
    }
}

#[cfg(test)]
mod tests;
