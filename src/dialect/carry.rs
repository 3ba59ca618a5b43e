//! What another API cannot carry: the one table.
//!
//! Between equal APIs nothing is lost. Otherwise a field either changes what the answer means, and then the target is
//! ruled out (gate `api`), or it does not, and then it is dropped and named in `x-pointsman-loss`. Nothing is dropped in
//! silence.
//!
//! | what the caller sent | to chat | to responses | to messages |
//! |---|---|---|---|
//! | `n` above 1 | carried | ruled out | ruled out |
//! | sound, to or from the model | carried | ruled out | ruled out |
//! | built-in tools, `web_search_options`, `mcp_servers`, `container` | ruled out | ruled out | ruled out |
//! | custom (free-text) tools and their calls | carried | carried | ruled out |
//! | `functions`, `function_call` (the old form of tools) | – | ruled out | ruled out |
//! | `previous_response_id`, `conversation`, `prompt`, `background`, `item_reference` | ruled out | – | ruled out |
//! | `inference_geo` | ruled out | ruled out | – |
//! | files by identifier | ruled out | ruled out | ruled out |
//! | documents by URL | ruled out | carried | carried |
//! | base64 documents other than PDF | carried | carried | ruled out |
//! | images and documents in system or assistant messages | ruled out | ruled out | ruled out |
//! | images and documents in tool results | in the user message after them | carried | carried |
//! | stop sequences | at most 4, else ruled out | ruled out | ruled out where only white space |
//! | arguments of an earlier call that are not a JSON object | carried | carried | ruled out |
//! | items and content that only one API knows, calls and results out of place | ruled out | ruled out | ruled out |
//! | fields of a wrong type | ruled out | ruled out | ruled out |
//! | earlier reasoning (`reasoning_content`, `reasoning`, `thinking`), signed or not | dropped | dropped | dropped |
//! | `top_k` | dropped | dropped | carried |
//! | `temperature` above 1 | carried | carried | 1, named |
//! | `frequency_penalty`, `presence_penalty`, `seed` | carried | dropped | dropped |
//! | `logprobs`, `top_logprobs`, `logit_bias`, `prediction`, `include`, `truncation: auto` | dropped | dropped | dropped |
//! | `verbosity` | carried | carried | dropped |
//! | `reasoning.summary` | dropped | carried | implied |
//! | effort above `high`, from messages | `high`, named | `high`, named | carried |
//! | reasoning beside a forced tool, in a tool loop, before a prefill, or within 1,024 tokens | – | – | dropped |
//! | `temperature`, `top_p`, `top_k` beside reasoning; `top_p` beside `temperature` | – | – | dropped |
//! | an output limit below 16 | carried | 16, named | carried |
//! | `cache_control` | its key and ttl stay, its place is dropped | the same | carried |
//! | `prompt_cache_key`, `prompt_cache_retention` | carried | carried | become `cache_control` |
//! | `metadata` | dropped | carried | dropped |
//! | `user`, `safety_identifier`, `metadata.user_id` | carried | carried | carried |
//! | `service_tier` | where it has the same meaning, else dropped | the same | the same |
//! | `store: true` | dropped | carried | dropped |
//! | `strict` tools | carried | carried | dropped |
//! | image `detail` | carried | carried | dropped |
//! | every field that we do not know, at any depth | dropped | dropped | dropped |
//!
//! Carried in other words, and therefore no loss: a structured answer (Messages has a forced tool for it), a failed
//! tool's result (`Error:` before its text in chat and responses), plain-text documents and search results (text in chat
//! and responses), refusals (text but in responses), system messages among the turns (at the head in messages), an
//! answer to be gone on with (a request in words, where the model takes no prefill).

use crate::dialect::{
    Dialect,
    ir::{
        Amount, Effort, Request,
        part::{Document, Part, Role, Source, ToolCall, ToolResult},
        tool::ToolKind,
    },
    json,
};

/// How many names of lost fields are reported.
const MAX_LOSSES: usize = 32;

/// The longest name of a lost field that is reported as it is.
const MAX_LOSS_LENGTH: usize = 64;

/// What a translation would drop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// Names of the caller's fields; safe in a header.
    pub losses: Vec<String>,
}

/// Whether `to` can carry the request, and what would be dropped. The error says which field stands in the way: it is
/// the reason of gate `api`.
pub fn carry(request: &Request<'_>, to: Dialect) -> Result<Carried, String> {
    if request.dialect == to {
        return Ok(Carried::default());
    }
    obstacle(request, to).map_or_else(|| Ok(Carried { losses: losses(request, to) }), Err)
}

/// What stands in the way, if anything does.
fn obstacle(request: &Request<'_>, to: Dialect) -> Option<String> {
    let name = to.as_str();
    if let Some(field) = request.unreadable.first() {
        return Some(format!(
            "`{}` cannot be read, so it cannot be translated to {name}",
            header_safe(field)
        ));
    }
    if let Some(bound) = request.bound.first() {
        return Some(format!("`{}`: {}", bound.field, bound.why));
    }
    if request.previous_response_id.is_some() {
        return Some(
            "`previous_response_id`: only the endpoint that gave it can continue it".to_owned(),
        );
    }
    if request.n.is_some_and(|n| n > 1) && to != Dialect::Chat {
        return Some(format!("`n`: {name} gives one answer"));
    }
    tool_obstacle(request, to).or_else(|| stop_obstacle(request, to)).or_else(|| {
        let mut messages = request.messages.iter();
        messages.find_map(|message| {
            message.parts.iter().find_map(|part| part_obstacle(part, message.role, to))
        })
    })
}

fn tool_obstacle(request: &Request<'_>, to: Dialect) -> Option<String> {
    request.tools.list.iter().find_map(|tool| match &tool.kind {
        ToolKind::Function => None,
        ToolKind::Custom(_) if to != Dialect::Messages => None,
        ToolKind::Custom(_) => Some("`tools`: messages has no custom tools".to_owned()),
        ToolKind::BuiltIn(kind) => Some(format!(
            "`tools`: `{}` exists in {} only",
            header_safe(kind),
            request.dialect.as_str()
        )),
    })
}

fn stop_obstacle(request: &Request<'_>, to: Dialect) -> Option<String> {
    let field = if request.dialect == Dialect::Messages { "stop_sequences" } else { "stop" };
    let why = match to {
        Dialect::Responses if !request.stop.is_empty() => "responses has no stop sequences",
        Dialect::Chat if request.stop.len() > 4 => "chat takes at most 4",
        Dialect::Messages if request.stop.iter().any(|stop| stop.trim().is_empty()) => {
            "messages takes none that is white space only"
        }
        Dialect::Chat | Dialect::Responses | Dialect::Messages => return None,
    };
    Some(format!("`{field}`: {why}"))
}

fn part_obstacle(part: &Part<'_>, role: Role, to: Dialect) -> Option<String> {
    let name = to.as_str();
    match part {
        Part::Text(_) | Part::Reasoning(_) | Part::Refusal(_) => None,
        Part::Image(image) => {
            file_obstacle(&image.source).or_else(|| role_obstacle("an image", role))
        }
        Part::Document(document) => file_obstacle(&document.source)
            .or_else(|| document_obstacle(document, to))
            .or_else(|| role_obstacle("a document", role)),
        Part::Audio(_) if to == Dialect::Chat => None,
        Part::Audio(_) => Some(format!("`input_audio`: {name} takes no sound")),
        Part::ToolCall(call) => call_obstacle(call, role, to),
        Part::ToolResult(result) => result_obstacle(result, role, to),
        Part::Other(kind) => Some(format!("`{}` has no counterpart in {name}", header_safe(kind))),
    }
}

fn file_obstacle(source: &Source<'_>) -> Option<String> {
    let uploaded = matches!(source, Source::File(_));
    uploaded.then(|| "`file_id`: an uploaded file is known to its own provider only".to_owned())
}

fn role_obstacle(what: &str, role: Role) -> Option<String> {
    let who = match role {
        Role::User | Role::Tool => return None,
        Role::System | Role::Developer => "system",
        Role::Assistant => "assistant",
    };
    Some(format!("{what} in an {who} message").replace("an system", "a system"))
}

fn document_obstacle(document: &Document<'_>, to: Dialect) -> Option<String> {
    match (&document.source, to) {
        (Source::Url(_), Dialect::Chat) => Some("a document by URL: chat takes none".to_owned()),
        (Source::Base64 { media_type, .. }, Dialect::Messages)
            if media_type != "application/pdf" =>
        {
            Some(format!(
                "a document of type `{}`: messages takes PDF and plain text",
                header_safe(media_type)
            ))
        }
        _ => None,
    }
}

fn call_obstacle(call: &ToolCall<'_>, role: Role, to: Dialect) -> Option<String> {
    if role != Role::Assistant {
        return Some("a tool call outside an assistant message".to_owned());
    }
    if to != Dialect::Messages {
        return None;
    }
    if call.custom {
        return Some("a custom tool's call: messages has no custom tools".to_owned());
    }
    let object = is_object(&call.arguments) || call.arguments.trim().is_empty();
    (!object).then(|| "`arguments`: those of an earlier tool call are not a JSON object".to_owned())
}

fn result_obstacle(result: &ToolResult<'_>, role: Role, to: Dialect) -> Option<String> {
    if !matches!(role, Role::User | Role::Tool) {
        return Some("a tool result outside the user's turn".to_owned());
    }
    if result.custom && to == Dialect::Messages {
        return Some("a custom tool's output: messages has no custom tools".to_owned());
    }
    if result.parts.iter().any(|inner| matches!(inner, Part::ToolResult(_))) {
        return Some("a tool result inside another".to_owned());
    }
    result.parts.iter().find_map(|inner| part_obstacle(inner, Role::Tool, to))
}

/// Whether `text` is a JSON object, as Messages demands of a tool's input.
pub(crate) fn is_object(text: &str) -> bool {
    json::parse_text(text).is_ok_and(|node| matches!(node.value, json::Value::Object(_)))
}

/// Names of the fields that `to` does not get, each once.
pub(crate) fn losses(request: &Request<'_>, to: Dialect) -> Vec<String> {
    let mut losses = Vec::new();
    let mut lose = |name: &str| {
        let name = header_safe(name);
        if losses.len() < MAX_LOSSES && !losses.contains(&name) {
            losses.push(name);
        }
    };
    for (field, lost) in dropped(request, to) {
        if lost {
            lose(field);
        }
    }
    for part in request.parts() {
        if let Some(field) = lost_of_part(part, request.dialect, to) {
            lose(field);
        }
    }
    for name in &request.extra {
        lose(name);
    }
    losses
}

/// The table of what is dropped of the request itself: the field, and whether it is there and `to` lacks it.
fn dropped(request: &Request<'_>, to: Dialect) -> impl Iterator<Item = (&'static str, bool)> {
    let (chat, messages) = (to == Dialect::Chat, to == Dialect::Messages);
    let sampling = &request.sampling;
    let reasoning = request.reasoning.as_ref();
    let too_hot =
        sampling.temperature.and_then(|text| text.parse().ok()).is_some_and(|heat: f64| heat > 1.0);
    let tools = &request.tools.list;
    let marked = request.cache.marker.is_some() || tools.iter().any(|tool| tool.cache.is_some());
    [
        ("top_k", !messages && sampling.top_k.is_some()),
        ("temperature", messages && too_hot),
        ("frequency_penalty", !chat && sampling.frequency_penalty.is_some()),
        ("presence_penalty", !chat && sampling.presence_penalty.is_some()),
        ("seed", !chat && sampling.seed.is_some()),
        ("verbosity", messages && request.verbosity.is_some()),
        (
            "reasoning.summary",
            chat && reasoning.is_some_and(|reasoning| reasoning.summary.is_some()),
        ),
        ("effort", request.dialect == Dialect::Messages && asks_above_high(request)),
        ("cache_control", !messages && marked),
        ("metadata", to != Dialect::Responses && request.labels.metadata.is_some()),
        (
            "service_tier",
            request.labels.service_tier.is_some() && service_tier(request, to).is_none(),
        ),
        ("store", to != Dialect::Responses && request.labels.store == Some(true)),
        ("strict", messages && tools.iter().any(|tool| tool.strict == Some(true))),
    ]
    .into_iter()
}

/// Whether an effort above `high` is asked, which not every model of another API knows.
pub(crate) fn asks_above_high(request: &Request<'_>) -> bool {
    let amount = request.reasoning.as_ref().map(|reasoning| reasoning.amount);
    matches!(amount, Some(Amount::Effort(Effort::ExtraHigh | Effort::Max)))
}

/// The class of service in the words of `to`, where it has the same meaning there.
pub(crate) fn service_tier<'r>(request: &'r Request<'_>, to: Dialect) -> Option<&'r str> {
    let tier = request.labels.service_tier.as_deref()?;
    match (request.dialect, to, tier) {
        (Dialect::Messages, Dialect::Chat | Dialect::Responses, "standard_only") => Some("default"),
        (Dialect::Chat | Dialect::Responses, Dialect::Messages, "default") => Some("standard_only"),
        (_, _, "auto") => Some("auto"),
        (Dialect::Messages, _, _) | (_, Dialect::Messages, _) => None,
        (Dialect::Chat | Dialect::Responses, Dialect::Chat | Dialect::Responses, other) => {
            Some(other)
        }
    }
}

fn lost_of_part(part: &Part<'_>, from: Dialect, to: Dialect) -> Option<&'static str> {
    if to != Dialect::Messages && part.cache().is_some() {
        return Some("cache_control");
    }
    match part {
        Part::Reasoning(thought) if thought.sealed || !thought.text.is_empty() => {
            Some(reasoning_field(from))
        }
        Part::Image(image) if to == Dialect::Messages => {
            image.detail.as_ref().is_some_and(|detail| detail != "auto").then_some("detail")
        }
        Part::ToolResult(result) => {
            result.parts.iter().find_map(|inner| lost_of_part(inner, from, to))
        }
        Part::Text(_)
        | Part::Image(_)
        | Part::Document(_)
        | Part::Audio(_)
        | Part::ToolCall(_)
        | Part::Reasoning(_)
        | Part::Refusal(_)
        | Part::Other(_) => None,
    }
}

/// The field in which earlier reasoning stands.
pub(crate) const fn reasoning_field(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Chat => "reasoning_content",
        Dialect::Responses => "reasoning",
        Dialect::Messages => "thinking",
    }
}

/// `name` if it can stand in a header's list, else a word that can.
fn header_safe(name: &str) -> String {
    let safe =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/' | b'+');
    let fits = (1..=MAX_LOSS_LENGTH).contains(&name.len()) && name.bytes().all(safe);
    if fits { name.to_owned() } else { "(unnamed)".to_owned() }
}

#[cfg(test)]
mod tests;
