//! What an answer of a path that is not routed has to be, and whether what came is that.

use http::{HeaderMap, header::CONTENT_TYPE};

use crate::{
    dialect::{
        answer::{AnswerFault, read},
        chat::stream::Decoder,
        ir::answer::{Delta, Usage},
        json::{self, Node},
    },
    http::{
        media::{self, Media},
        route::PassThrough,
    },
    resilience::failure::Failure,
    upstream::BodyFault,
};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A JSON document.
    Json,
    /// A stream of events.
    Events,
    /// Sound, byte for byte.
    Sound,
}

impl Wanted {
    /// What a request for `endpoint` asks for.
    pub(super) fn by(endpoint: PassThrough, request: &Node<'_>) -> Self {
        let streamed = request.member("stream").and_then(Node::as_bool) == Some(true);
        let events = request.member("stream_format").and_then(Node::as_str) == Some("sse");
        match endpoint {
            PassThrough::Completions | PassThrough::Images if streamed => Self::Events,
            PassThrough::Speech if events => Self::Events,
            PassThrough::Speech => Self::Sound,
            PassThrough::Completions
            | PassThrough::Images
            | PassThrough::Embeddings
            | PassThrough::CountTokens => Self::Json,
        }
    }

    /// Whether the head of an answer says that it is this.
    pub(super) fn is_in(self, head: &HeaderMap) -> bool {
        match self {
            Self::Json => media::of_answer(head) == Media::Json,
            Self::Events => media::of_answer(head) == Media::EventStream,
            Self::Sound => is_sound(head),
        }
    }
}

/// Audio of any kind, or bytes of which nothing is said.
fn is_sound(head: &HeaderMap) -> bool {
    let Some(stated) = head.get(CONTENT_TYPE) else { return true };
    let stated = stated.as_bytes().to_ascii_lowercase();
    let essence = stated.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    essence.starts_with(b"audio/") || essence.ends_with(b"/octet-stream")
}

/// Judges a document: what it took, unless it is an error or no document at all.
pub(super) fn document(body: &[u8]) -> Result<Option<Usage>, AnswerFault> {
    let text = json::text(body)?;
    let root = json::parse_text(text)?;
    let mut usage = None;
    event(&mut Decoder::whole(), &root, text, &mut usage)?;
    Ok(usage)
}

/// Judges a document or the data of an event. The decoder of chat reads what these paths have in common with it:
/// errors, choices and why they ended, usage.
pub(super) fn event(
    decoder: &mut Decoder,
    root: &Node<'_>,
    source: &str,
    usage: &mut Option<Usage>,
) -> Result<(), AnswerFault> {
    decoder.read(root, source, &mut |delta| {
        if let Delta::Usage(counted) = delta {
            *usage = Some(counted);
        }
    })?;
    if let Some(counts) = root.member("usage").filter(|_| usage.is_none()) {
        let count = |name| read::count(counts, &[name]).unwrap_or_default();
        let (input, output) = (count("input_tokens"), count("output_tokens"));
        *usage = Usage { input, output, ..Usage::default() }.counted();
    }
    Ok(())
}

/// What a fault before anything was passed on means for the next target.
pub(super) fn failure(fault: &AnswerFault) -> Failure {
    match fault {
        AnswerFault::Error { status, .. } => Failure::in_band(*status, false),
        AnswerFault::Malformed(_) => Failure::malformed(),
        AnswerFault::Empty | AnswerFault::Truncated => Failure::empty(),
    }
}

/// What a body that could not be read means for the next target.
pub(super) fn unread(fault: &BodyFault) -> Failure {
    match fault {
        BodyFault::Late => Failure::timeout(),
        BodyFault::Broken(_) => Failure::broken_stream(),
        BodyFault::TooLarge(_) | BodyFault::NoRoom(_) | BodyFault::Encoded => Failure::malformed(),
    }
}
