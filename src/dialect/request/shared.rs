//! What the encoders share: the words and values that an API gets in place of what it has no field for.

use std::borrow::Cow;

use crate::dialect::{
    Dialect, carry,
    ir::{
        Amount, Request,
        part::{Document, Message, Part, Role, Source, ToolResult},
    },
    json::Writer,
    request::{Shape, names::digest, thinking},
};

/// What stands for a prefilled answer where the model does not take one.
pub(crate) const CONTINUE: &str = "Continue your last message from exactly where it ends. Do not repeat any of it and do not comment on it.";

/// The longest identifier of a user, and the longest cache key, that OpenAI's APIs take.
const MAX_LABEL: usize = 64;

/// The output limit to send: no more than the model can give.
pub(crate) fn max_output(request: &Request<'_>, shape: &Shape<'_>) -> Option<u64> {
    request.max_output.map(|asked| shape.max_output.map_or(asked, |most| asked.min(most)))
}

/// Whether the conversation ends with an answer that the model is to go on with.
pub(crate) fn ends_with_answer(request: &Request<'_>) -> bool {
    let last = request
        .messages
        .iter()
        .rfind(|message| !matches!(message.role, Role::System | Role::Developer));
    let is_call = |part: &Part<'_>| matches!(part, Part::ToolCall(_));
    last.is_some_and(|last| last.role == Role::Assistant && !last.parts.iter().any(is_call))
}

/// The effort to ask of OpenAI's APIs.
pub(crate) fn effort(request: &Request<'_>, shape: &Shape<'_>) -> Option<&'static str> {
    let amount = request.reasoning.as_ref()?.amount;
    if request.dialect == Dialect::Messages {
        if amount == Amount::Off {
            return None;
        }
        if carry::asks_above_high(request) {
            return Some("high");
        }
    }
    thinking::effort(amount, max_output(request, shape))
}

/// The prompt cache in the fields of OpenAI's APIs: key and retention.
pub(crate) fn cache<'r>(request: &'r Request<'_>) -> (Option<Cow<'r, str>>, Option<&'r str>) {
    let marker = request.cache_marker();
    let derived = if marker.is_some() { user(request) } else { None };
    let long = marker.is_some_and(|marker| marker.hour).then_some("24h");
    (
        request.cache.key.as_deref().map(label).or(derived),
        request.cache.retention.as_deref().or(long),
    )
}

/// The identifier of the end user as OpenAI's APIs take it.
pub(crate) fn user<'r>(request: &'r Request<'_>) -> Option<Cow<'r, str>> {
    request.labels.user.as_deref().map(label)
}

/// A label of at most 64 bytes: one that is longer is replaced by its digest, the same every time.
fn label(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_LABEL { Cow::Borrowed(text) } else { Cow::Owned(digest(text, MAX_LABEL)) }
}

/// Writes sampling parameters, labels and cache fields that Chat and Responses spell alike. Gives what was dropped.
pub(crate) fn write_common(
    request: &Request<'_>,
    to: Dialect,
    shape: &Shape<'_>,
    writer: &mut Writer,
) -> Vec<&'static str> {
    let mut losses = Vec::new();
    for (key, number) in
        [("temperature", request.sampling.temperature), ("top_p", request.sampling.top_p)]
    {
        if let Some(number) = number {
            writer.raw_member(key, number);
        }
    }
    let (key, retention) = cache(request);
    let cache = [("prompt_cache_key", key.as_deref()), ("prompt_cache_retention", retention)];
    for (key, value) in cache {
        match value {
            Some(_) if shape.quirks.no_prompt_cache => {
                losses.push(if request.dialect == Dialect::Messages {
                    "cache_control"
                } else {
                    key
                });
            }
            Some(value) => writer.string_member(key, value),
            None => {}
        }
    }
    if let Some(user) = user(request) {
        writer.string_member("user", &user);
    }
    if let Some(tier) = carry::service_tier(request, to) {
        writer.string_member("service_tier", tier);
    }
    if request.stream {
        writer.bool_member("stream", true);
    }
    losses
}

/// The texts of a message as one.
pub(crate) fn joined<'r>(parts: &'r [Part<'_>], separator: &str) -> Cow<'r, str> {
    let mut texts = parts.iter().filter_map(|part| match part {
        Part::Text(text) if !text.text.is_empty() => Some(Cow::Borrowed(&*text.text)),
        Part::Refusal(text) if !text.is_empty() => Some(Cow::Borrowed(&**text)),
        Part::Document(document) => document_text(document).map(Cow::Owned),
        Part::Text(_)
        | Part::Refusal(_)
        | Part::Image(_)
        | Part::Audio(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Reasoning(_)
        | Part::Other(_) => None,
    });
    let Some(first) = texts.next() else { return Cow::Borrowed("") };
    texts.fold(first, |mut all, text| {
        all.to_mut().push_str(separator);
        all.to_mut().push_str(&text);
        all
    })
}

/// A document of plain text, in words, for an API that takes files only.
pub(crate) fn document_text(document: &Document<'_>) -> Option<String> {
    let Source::Text(text) = &document.source else { return None };
    let title =
        document.name.as_deref().map(|name| format!(" title=\"{name}\"")).unwrap_or_default();
    Some(format!("<document{title}>\n{text}\n</document>"))
}

/// The text of a tool's result; that the tool failed is said in words, for an API that has no field for it.
pub(crate) fn result_text<'r>(result: &'r ToolResult<'_>) -> Cow<'r, str> {
    let text = joined(&result.parts, "\n");
    let says_so = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"));
    if !result.error || says_so {
        return text;
    }
    if text.is_empty() { Cow::Borrowed("Error") } else { Cow::Owned(format!("Error: {text}")) }
}

/// The address of an image or a document: its URL, or a `data:` URL in pieces.
pub(crate) fn address<'r>(source: &'r Source<'_>) -> [&'r str; 4] {
    match source {
        Source::Base64 { media_type, data } if media_type.is_empty() => ["", "", "", data],
        Source::Base64 { media_type, data } => ["data:", media_type, ";base64,", data],
        Source::Url(text) | Source::File(text) | Source::Text(text) => ["", "", "", text],
    }
}

/// Whether two neighbours belong to the same side of the conversation.
pub(crate) fn same_side(one: &Message<'_>, other: &Message<'_>) -> bool {
    (one.role == Role::Assistant) == (other.role == Role::Assistant)
}
