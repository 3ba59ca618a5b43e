//! The inner form into Responses.
//!
//! The first system message becomes `instructions`, everything else an item of `input` in its place. Nothing is stored
//! at the provider unless the caller asked for it: the other two APIs do not store by default, this one does.

use std::collections::HashSet;

use crate::dialect::{
    Dialect,
    ir::{
        Format, Request,
        part::{Document, Image, Message, Part, Role, Source, ToolCall, ToolResult},
    },
    json::Writer,
    request::{
        Encoded, Shape,
        names::{CallIds, tool_name},
        openai::{self, Nesting},
        shared,
    },
};

/// The least output limit that Responses takes.
const LEAST_OUTPUT: u64 = 16;

/// Writes the body for a target of this shape.
pub(crate) fn encode(request: &Request<'_>, shape: &Shape<'_>) -> Encoded {
    let mut writer = Writer::with_capacity(4096);
    writer.begin_object();
    writer.string_member("model", shape.upstream_id);
    let mut messages = request.messages.as_slice();
    if let [first, rest @ ..] = messages
        && first.role == Role::System
        && !rest.is_empty()
    {
        writer.string_member("instructions", &shared::joined(&first.parts, "\n\n"));
        messages = rest;
    }
    writer.array_member("input");
    let mut calls = Calls::new(request);
    for message in messages {
        items(message, &mut calls, &mut writer);
    }
    if request.dialect == Dialect::Messages && !shape.prefill && shared::ends_with_answer(request) {
        plain_message("user", shared::CONTINUE, &mut writer);
    }
    writer.end_array();
    let losses = settings(request, shape, &mut writer);
    writer.end_object();
    Encoded { body: writer.finish(), losses, structured_tool: None }
}

/// What the results must know of the calls before them.
struct Calls<'r> {
    ids: CallIds<'r>,
    /// The calls of custom tools, whose results are items of another type.
    custom: HashSet<&'r str>,
}

impl<'r> Calls<'r> {
    fn new(request: &'r Request<'_>) -> Self {
        let custom = request.parts().filter_map(|part| {
            if let Part::ToolCall(call) = part { call.custom.then_some(&*call.id) } else { None }
        });
        Self { ids: CallIds::new(Dialect::Responses), custom: custom.collect() }
    }
}

fn settings(request: &Request<'_>, shape: &Shape<'_>, writer: &mut Writer) -> Vec<&'static str> {
    let mut losses = Vec::new();
    if let Some(limit) = shared::max_output(request, shape) {
        if limit < LEAST_OUTPUT {
            losses.push("max_tokens");
        }
        writer.number_member("max_output_tokens", limit.max(LEAST_OUTPUT));
    }
    openai::write_tools(request, Nesting::Flat, writer);
    if request.response_format != Format::Text || request.verbosity.is_some() {
        writer.object_member("text");
        if request.response_format != Format::Text {
            writer.key("format");
            openai::write_format(&request.response_format, Nesting::Flat, writer);
        }
        if let Some(verbosity) = &request.verbosity {
            writer.string_member("verbosity", verbosity);
        }
        writer.end_object();
    }
    reasoning(request, shape, writer);
    if let Some(metadata) = request.labels.metadata {
        writer.raw_member("metadata", metadata);
    }
    writer.bool_member("store", request.labels.store.unwrap_or(false));
    losses.append(&mut shared::write_common(request, Dialect::Responses, shape, writer));
    losses
}

fn reasoning(request: &Request<'_>, shape: &Shape<'_>, writer: &mut Writer) {
    let Some(asked) = &request.reasoning else { return };
    let effort = shared::effort(request, shape);
    // A caller of Messages who asks for thinking is shown it; here that takes a word.
    let shown = request.dialect == Dialect::Messages && asked.is_asked();
    let summary = asked.summary.as_deref().or(shown.then_some("auto"));
    if effort.is_none() && summary.is_none() {
        return;
    }
    writer.object_member("reasoning");
    if let Some(effort) = effort {
        writer.string_member("effort", effort);
    }
    if let Some(summary) = summary {
        writer.string_member("summary", summary);
    }
    writer.end_object();
}

fn items<'r>(message: &'r Message<'_>, calls: &mut Calls<'r>, writer: &mut Writer) {
    let mut parts = message.parts.as_slice();
    if parts.is_empty() && message.role == Role::User {
        plain_message("user", "", writer);
    }
    while let Some(part) = parts.first() {
        match part {
            Part::ToolCall(call) => tool_call(call, &calls.ids.call(&call.id), writer),
            Part::ToolResult(result) => tool_result(result, calls, writer),
            Part::Reasoning(_) | Part::Other(_) => {}
            Part::Text(_)
            | Part::Image(_)
            | Part::Document(_)
            | Part::Audio(_)
            | Part::Refusal(_) => {
                let length = parts.iter().take_while(|part| !is_item(part)).count();
                let (content, rest) = parts.split_at_checked(length).unwrap_or_default();
                write_message(message.role, content, writer);
                parts = rest;
                continue;
            }
        }
        parts = parts.get(1..).unwrap_or_default();
    }
}

/// Whether the part is an item of its own, or none at all.
const fn is_item(part: &Part<'_>) -> bool {
    matches!(part, Part::ToolCall(_) | Part::ToolResult(_) | Part::Reasoning(_) | Part::Other(_))
}

fn write_message(role: Role, parts: &[Part<'_>], writer: &mut Writer) {
    match (role, parts) {
        (Role::System, _) => plain_message("system", &shared::joined(parts, "\n\n"), writer),
        (Role::Developer, _) => plain_message("developer", &shared::joined(parts, "\n\n"), writer),
        (Role::Assistant, [Part::Refusal(text)]) => refusal(text, writer),
        (Role::Assistant, _) => {
            let text = shared::joined(parts, "");
            if !text.is_empty() {
                plain_message("assistant", &text, writer);
            }
        }
        (Role::User | Role::Tool, [Part::Text(text)]) => plain_message("user", &text.text, writer),
        (Role::User | Role::Tool, _) => {
            begin_message("user", writer);
            writer.array_member("content");
            for part in parts {
                content_part(part, writer);
            }
            writer.end_array();
            writer.end_object();
        }
    }
}

fn refusal(text: &str, writer: &mut Writer) {
    begin_message("assistant", writer);
    writer.array_member("content");
    writer.begin_object();
    writer.string_member("type", "refusal");
    writer.string_member("refusal", text);
    writer.end_object();
    writer.end_array();
    writer.end_object();
}

fn tool_call(call: &ToolCall<'_>, id: &str, writer: &mut Writer) {
    let (kind, input) =
        if call.custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
    writer.begin_object();
    writer.string_member("type", kind);
    writer.string_member("call_id", id);
    writer.string_member("name", &tool_name(&call.name));
    let empty = !call.custom && call.arguments.trim().is_empty();
    writer.string_member(input, if empty { "{}" } else { &call.arguments });
    writer.end_object();
}

fn tool_result<'r>(result: &'r ToolResult<'_>, calls: &mut Calls<'r>, writer: &mut Writer) {
    let custom = result.custom || calls.custom.contains(&*result.id);
    writer.begin_object();
    writer.string_member(
        "type",
        if custom { "custom_tool_call_output" } else { "function_call_output" },
    );
    writer.string_member("call_id", &calls.ids.result(&result.id));
    let plain = result.parts.iter().all(|part| matches!(part, Part::Text(_)));
    if plain {
        writer.string_member("output", &shared::result_text(result));
    } else {
        writer.array_member("output");
        if result.error {
            text_part("Error", writer);
        }
        for part in &result.parts {
            content_part(part, writer);
        }
        writer.end_array();
    }
    writer.end_object();
}

fn content_part(part: &Part<'_>, writer: &mut Writer) {
    match part {
        Part::Text(text) => text_part(&text.text, writer),
        Part::Refusal(text) => text_part(text, writer),
        Part::Image(image) => image_part(image, writer),
        Part::Document(document) => document_part(document, writer),
        Part::Audio(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Reasoning(_)
        | Part::Other(_) => {}
    }
}

fn image_part(image: &Image<'_>, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("type", "input_image");
    writer.string_member("detail", image.detail.as_deref().unwrap_or("auto"));
    writer.key("image_url");
    writer.string_of(&shared::address(&image.source));
    writer.end_object();
}

fn document_part(document: &Document<'_>, writer: &mut Writer) {
    if let Some(text) = shared::document_text(document) {
        text_part(&text, writer);
        return;
    }
    writer.begin_object();
    writer.string_member("type", "input_file");
    if let Source::Url(url) = &document.source {
        writer.string_member("file_url", url);
    } else {
        writer.string_member("filename", document.name.as_deref().unwrap_or("document.pdf"));
        writer.key("file_data");
        writer.string_of(&shared::address(&document.source));
    }
    writer.end_object();
}

fn text_part(text: &str, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("type", "input_text");
    writer.string_member("text", text);
    writer.end_object();
}

fn begin_message(role: &str, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("type", "message");
    writer.string_member("role", role);
}

fn plain_message(role: &str, text: &str, writer: &mut Writer) {
    begin_message(role, writer);
    writer.string_member("content", text);
    writer.end_object();
}
