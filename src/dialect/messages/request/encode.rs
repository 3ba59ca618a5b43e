//! The inner form into Messages.
//!
//! Reasoning cannot go with a forced tool, in the middle of a tool loop whose reasoning is not at hand, or before a
//! prefilled answer; then it is dropped, and named. Beside reasoning, sampling is not the caller's to choose.

use crate::dialect::{
    Dialect, carry,
    ir::{
        Amount, Marker, Request,
        part::{Document, Image, Part, Source, ToolCall, ToolResult},
    },
    json::Writer,
    messages::request::{
        offer::Offer,
        turns::{Turn, Turns},
    },
    request::{
        Encoded, Shape,
        names::{CallIds, digest, tool_name},
        shared, thinking,
    },
};

/// What a model may answer with where neither caller nor catalog says.
const DEFAULT_MAX_TOKENS: u64 = 8192;

/// Writes the body for a target of this shape.
pub(crate) fn encode(request: &Request<'_>, shape: &Shape<'_>) -> Encoded {
    let mut writer = Writer::with_capacity(4096);
    let mut turns = Turns::new(request);
    let offer = Offer::new(request);
    let limit =
        shared::max_output(request, shape).or(shape.max_output).unwrap_or(DEFAULT_MAX_TOKENS);
    let prefilled = turns.ends_with_answer();
    let may_think = !offer.forces() && !turns.in_tool_loop() && !prefilled;
    if prefilled && !shape.prefill {
        turns.push_words(shared::CONTINUE);
    } else if prefilled {
        turns.trim_end();
    }
    writer.begin_object();
    writer.string_member("model", shape.upstream_id);
    writer.number_member("max_tokens", limit);
    conversation(request, &turns, &mut writer);
    offer.write(request, &mut writer);
    let budget = request.reasoning.as_ref().and_then(|asked| thinking::budget(asked.amount, limit));
    let budget = budget.filter(|_| may_think);
    let losses = settings(request, budget, &mut writer);
    writer.end_object();
    Encoded { body: writer.finish(), losses, structured_tool: offer.structured }
}

fn conversation(request: &Request<'_>, turns: &Turns<'_, '_>, writer: &mut Writer) {
    let marker = hinted(request);
    match turns.system.as_slice() {
        [] => {}
        [Part::Text(text)] if marker.or(text.cache).is_none() => {
            writer.string_member("system", &text.text);
        }
        [blocks @ .., last] => {
            let mut ids = CallIds::new(Dialect::Messages);
            writer.array_member("system");
            for part in blocks {
                block(part, None, &mut ids, writer);
            }
            block(last, marker, &mut ids, writer);
            writer.end_array();
        }
    }
    writer.array_member("messages");
    let mut ids = CallIds::new(Dialect::Messages);
    let last = turns.list.len().saturating_sub(1);
    for (at, turn) in turns.list.iter().enumerate() {
        write_turn(turn, marker.filter(|_| at == last), &mut ids, writer);
    }
    writer.end_array();
}

/// The marker that a caller's `prompt_cache_key` or `prompt_cache_retention` stands for.
pub(super) fn hinted(request: &Request<'_>) -> Option<Marker> {
    let cache = &request.cache;
    let hour = cache.retention.as_deref() == Some("24h");
    // There may be four markers at most: the caller's own are not added to.
    let marked = request.parts().any(|part| part.cache().is_some());
    ((cache.key.is_some() || hour) && !marked).then_some(Marker { hour })
}

fn write_turn<'t>(
    turn: &'t Turn<'_, '_>,
    marker: Option<Marker>,
    ids: &mut CallIds<'t>,
    writer: &mut Writer,
) {
    writer.begin_object();
    writer.string_member("role", if turn.assistant { "assistant" } else { "user" });
    match turn.blocks.as_slice() {
        [only]
            if let Part::Text(text) = &**only
                && marker.or(text.cache).is_none() =>
        {
            writer.string_member("content", &text.text);
        }
        blocks => {
            writer.array_member("content");
            let last = blocks.len().saturating_sub(1);
            for (at, part) in blocks.iter().enumerate() {
                block(part, marker.filter(|_| at == last), ids, writer);
            }
            writer.end_array();
        }
    }
    writer.end_object();
}

fn block<'t>(
    part: &'t Part<'_>,
    marker: Option<Marker>,
    ids: &mut CallIds<'t>,
    writer: &mut Writer,
) {
    match part {
        Part::Text(text) => begin_text(&text.text, writer),
        Part::Refusal(text) => begin_text(text, writer),
        Part::Image(image) => begin_image(image, writer),
        Part::Document(document) => begin_document(document, writer),
        Part::ToolCall(call) => begin_call(call, &ids.call(&call.id), writer),
        Part::ToolResult(result) => begin_result(result, ids, writer),
        Part::Audio(_) | Part::Reasoning(_) | Part::Other(_) => return,
    }
    write_marker(marker.or(part.cache()), writer);
    writer.end_object();
}

/// Writes `cache_control`, if there is a marker.
pub(super) fn write_marker(marker: Option<Marker>, writer: &mut Writer) {
    if let Some(marker) = marker {
        let hour = r#"{"type":"ephemeral","ttl":"1h"}"#;
        writer.raw_member(
            "cache_control",
            if marker.hour { hour } else { r#"{"type":"ephemeral"}"# },
        );
    }
}

fn begin_text(text: &str, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("type", "text");
    writer.string_member("text", text);
}

fn begin_image(image: &Image<'_>, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("type", "image");
    write_source(&image.source, writer);
}

fn begin_document(document: &Document<'_>, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("type", "document");
    write_source(&document.source, writer);
    if let Some(title) = &document.name {
        writer.string_member("title", title);
    }
}

fn write_source(source: &Source<'_>, writer: &mut Writer) {
    let (kind, media_type, key, value) = match source {
        Source::Url(url) => ("url", None, "url", url),
        Source::Base64 { media_type, data } => ("base64", Some(&**media_type), "data", data),
        Source::Text(text) => ("text", Some("text/plain"), "data", text),
        Source::File(id) => ("file", None, "file_id", id),
    };
    writer.object_member("source");
    writer.string_member("type", kind);
    if let Some(media_type) = media_type {
        writer.string_member("media_type", media_type);
    }
    writer.string_member(key, value);
    writer.end_object();
}

fn begin_call(call: &ToolCall<'_>, id: &str, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("type", "tool_use");
    writer.string_member("id", id);
    writer.string_member("name", &tool_name(&call.name));
    writer.raw_member(
        "input",
        if carry::is_object(&call.arguments) { call.arguments.trim() } else { "{}" },
    );
}

fn begin_result<'t>(result: &'t ToolResult<'_>, ids: &mut CallIds<'t>, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("type", "tool_result");
    writer.string_member("tool_use_id", &ids.result(&result.id));
    match result.parts.as_slice() {
        [] => {}
        [Part::Text(text)] if text.cache.is_none() => writer.string_member("content", &text.text),
        parts => {
            writer.array_member("content");
            for part in parts
                .iter()
                .filter(|part| !matches!(part, Part::Text(text) if text.text.trim().is_empty()))
            {
                block(part, None, ids, writer);
            }
            writer.end_array();
        }
    }
    if result.error {
        writer.bool_member("is_error", true);
    }
}

fn settings(request: &Request<'_>, budget: Option<u64>, writer: &mut Writer) -> Vec<&'static str> {
    let mut losses = reasoning(request, budget, writer);
    if !request.stop.is_empty() {
        writer.array_member("stop_sequences");
        for stop in &request.stop {
            writer.string(stop);
        }
        writer.end_array();
    }
    if budget.is_some() {
        losses.extend(unsampled(request));
    } else {
        losses.extend(sampled(request, writer));
    }
    if let Some(user) = &request.labels.user {
        writer.object_member("metadata");
        let short = if user.len() > 256 { Some(digest(user, 64)) } else { None };
        writer.string_member("user_id", short.as_deref().unwrap_or(user));
        writer.end_object();
    }
    if let Some(tier) = carry::service_tier(request, Dialect::Messages) {
        writer.string_member("service_tier", tier);
    }
    if request.stream {
        writer.bool_member("stream", true);
    }
    losses
}

fn reasoning(request: &Request<'_>, budget: Option<u64>, writer: &mut Writer) -> Vec<&'static str> {
    let Some(asked) = &request.reasoning else { return Vec::new() };
    if let Some(tokens) = budget {
        writer.object_member("thinking");
        writer.string_member("type", "enabled");
        writer.number_member("budget_tokens", tokens);
        writer.end_object();
        return Vec::new();
    }
    if asked.amount == Amount::Off {
        writer.raw_member("thinking", r#"{"type":"disabled"}"#);
    }
    let field = if request.dialect == Dialect::Chat { "reasoning_effort" } else { "reasoning" };
    if asked.is_asked() { vec![field] } else { Vec::new() }
}

/// Writes the sampling parameters. Newer models refuse `top_p` beside `temperature`, so that it gives way.
fn sampled(request: &Request<'_>, writer: &mut Writer) -> Vec<&'static str> {
    let sampling = &request.sampling;
    let mut losses = Vec::new();
    if let Some(text) = sampling.temperature {
        let above = text.parse().is_ok_and(|heat: f64| heat > 1.0);
        writer.raw_member("temperature", if above { "1" } else { text });
    }
    match sampling.top_p {
        Some(text) if sampling.temperature.is_none() => writer.raw_member("top_p", text),
        Some(text) if !is_one(text) => losses.push("top_p"),
        _ => {}
    }
    if let Some(text) = sampling.top_k {
        writer.raw_member("top_k", text);
    }
    losses
}

/// The sampling parameters that reasoning leaves no room for.
fn unsampled(request: &Request<'_>) -> impl Iterator<Item = &'static str> {
    let sampling = &request.sampling;
    let fields = [
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("top_k", sampling.top_k),
    ];
    fields
        .into_iter()
        .filter(|(_, value)| value.is_some_and(|text| !is_one(text)))
        .map(|(field, _)| field)
}

fn is_one(text: &str) -> bool {
    text.parse().is_ok_and(|number: f64| (number - 1.0).abs() < f64::EPSILON)
}
