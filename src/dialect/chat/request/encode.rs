//! The inner form into Chat Completions.
//!
//! Chat wants the results of tools right after the message that called them, and images in user messages only. So each
//! stretch of the conversation between two answers is written with its tool results first, and images and files out of
//! tool results follow in a user message that says where they are from. Neighbouring pieces of one answer become one
//! assistant message.

use crate::dialect::{
    Dialect,
    ir::{
        Format, Request,
        part::{Document, Image, Message, Part, Role, ToolCall, ToolResult},
    },
    json::Writer,
    request::{
        Encoded, Shape,
        names::{CallIds, tool_name},
        openai::{self, Nesting},
        shared,
    },
};

/// Writes the body for a target of this shape.
pub(crate) fn encode(request: &Request<'_>, shape: &Shape<'_>) -> Encoded {
    let mut writer = Writer::with_capacity(4096);
    writer.begin_object();
    writer.string_member("model", shape.upstream_id);
    writer.array_member("messages");
    let mut ids = CallIds::new(Dialect::Chat);
    for run in request.messages.chunk_by(shared::same_side) {
        if run.first().is_some_and(|message| message.role == Role::Assistant) {
            answer(run, &mut ids, &mut writer);
        } else {
            question(run, &mut ids, &mut writer);
        }
    }
    if request.dialect == Dialect::Messages && !shape.prefill && shared::ends_with_answer(request) {
        plain_message("user", shared::CONTINUE, &mut writer);
    }
    writer.end_array();
    let losses = settings(request, shape, &mut writer);
    writer.end_object();
    Encoded { body: writer.finish(), losses, structured_tool: None }
}

fn settings(request: &Request<'_>, shape: &Shape<'_>, writer: &mut Writer) -> Vec<&'static str> {
    if let Some(limit) = shared::max_output(request, shape) {
        let old = shape.quirks.max_tokens_only;
        writer.number_member(if old { "max_tokens" } else { "max_completion_tokens" }, limit);
    }
    openai::write_tools(request, Nesting::Wrapped, writer);
    if request.response_format != Format::Text {
        writer.key("response_format");
        openai::write_format(&request.response_format, Nesting::Wrapped, writer);
    }
    if !request.stop.is_empty() {
        writer.array_member("stop");
        for stop in &request.stop {
            writer.string(stop);
        }
        writer.end_array();
    }
    if let Some(effort) = shared::effort(request, shape) {
        writer.string_member("reasoning_effort", effort);
    }
    if let Some(verbosity) = &request.verbosity {
        writer.string_member("verbosity", verbosity);
    }
    let losses = shared::write_common(request, Dialect::Chat, shape, writer);
    if request.stream && !shape.quirks.no_stream_options {
        writer.raw_member("stream_options", r#"{"include_usage":true}"#);
    }
    losses
}

/// Everything between two answers: tool results, then the rest in order.
fn question<'r>(run: &'r [Message<'_>], ids: &mut CallIds<'r>, writer: &mut Writer) {
    let mut moved = Vec::new();
    for part in run.iter().flat_map(|message| &message.parts) {
        if let Part::ToolResult(result) = part {
            let id = ids.result(&result.id);
            tool_message(result, &id, writer);
            if result.parts.iter().any(is_file) {
                moved.push((id, result));
            }
        }
    }
    if !moved.is_empty() {
        begin_message("user", writer);
        writer.array_member("content");
        for (id, result) in moved {
            text_part(&format!("From the result of tool call {id}:"), writer);
            for part in result.parts.iter().filter(|part| is_file(part)) {
                content_part(part, writer);
            }
        }
        writer.end_array();
        writer.end_object();
    }
    for message in run {
        match message.role {
            Role::System | Role::Developer => {
                let text = shared::joined(&message.parts, "\n\n");
                if !text.is_empty() {
                    plain_message("system", &text, writer);
                }
            }
            Role::User | Role::Tool | Role::Assistant => user_message(message, writer),
        }
    }
}

/// Whether the part is content that only a user message can hold.
fn is_file(part: &Part<'_>) -> bool {
    match part {
        Part::Image(_) => true,
        Part::Document(document) => shared::document_text(document).is_none(),
        Part::Text(_)
        | Part::Audio(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Reasoning(_)
        | Part::Refusal(_)
        | Part::Other(_) => false,
    }
}

fn tool_message(result: &ToolResult<'_>, id: &str, writer: &mut Writer) {
    begin_message("tool", writer);
    writer.string_member("tool_call_id", id);
    let text = shared::result_text(result);
    if text.is_empty() && result.parts.iter().any(is_file) {
        writer.string_member("content", "The result follows in the next user message.");
    } else {
        writer.string_member("content", &text);
    }
    writer.end_object();
}

fn user_message(message: &Message<'_>, writer: &mut Writer) {
    let content = || message.parts.iter().filter(|part| !matches!(part, Part::ToolResult(_)));
    let mut parts = content();
    match (parts.next(), parts.next()) {
        (None, _) if !message.parts.is_empty() => {}
        (None, _) => plain_message("user", "", writer),
        (Some(Part::Text(text)), None) => plain_message("user", &text.text, writer),
        (Some(_), _) => {
            begin_message("user", writer);
            writer.array_member("content");
            for part in content() {
                content_part(part, writer);
            }
            writer.end_array();
            writer.end_object();
        }
    }
}

/// One answer: the text of its pieces and all of its calls.
fn answer<'r>(run: &'r [Message<'_>], ids: &mut CallIds<'r>, writer: &mut Writer) {
    let texts = run
        .iter()
        .map(|message| shared::joined(&message.parts, ""))
        .filter(|text| !text.is_empty());
    let text = texts.reduce(|mut all, text| {
        all.to_mut().push_str("\n\n");
        all.to_mut().push_str(&text);
        all
    });
    let parts = || run.iter().flat_map(|message| &message.parts);
    let calls = parts().any(|part| matches!(part, Part::ToolCall(_)));
    if text.is_none() && !calls {
        return;
    }
    begin_message("assistant", writer);
    match text {
        Some(text) => writer.string_member("content", &text),
        None => writer.raw_member("content", "null"),
    }
    if calls {
        writer.array_member("tool_calls");
        for part in parts() {
            if let Part::ToolCall(call) = part {
                tool_call(call, &ids.call(&call.id), writer);
            }
        }
        writer.end_array();
    }
    writer.end_object();
}

fn tool_call(call: &ToolCall<'_>, id: &str, writer: &mut Writer) {
    let (kind, input) = if call.custom { ("custom", "input") } else { ("function", "arguments") };
    writer.begin_object();
    writer.string_member("id", id);
    writer.string_member("type", kind);
    writer.object_member(kind);
    writer.string_member("name", &tool_name(&call.name));
    let empty = !call.custom && call.arguments.trim().is_empty();
    writer.string_member(input, if empty { "{}" } else { &call.arguments });
    writer.end_object();
    writer.end_object();
}

fn content_part(part: &Part<'_>, writer: &mut Writer) {
    match part {
        Part::Text(text) => text_part(&text.text, writer),
        Part::Refusal(text) => text_part(text, writer),
        Part::Image(image) => image_part(image, writer),
        Part::Document(document) => document_part(document, writer),
        // Sound comes from chat alone and is never translated to it; the others are not a message's own content.
        Part::Audio(_)
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Reasoning(_)
        | Part::Other(_) => {}
    }
}

fn image_part(image: &Image<'_>, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("type", "image_url");
    writer.object_member("image_url");
    writer.key("url");
    writer.string_of(&shared::address(&image.source));
    if let Some(detail) = &image.detail {
        writer.string_member("detail", detail);
    }
    writer.end_object();
    writer.end_object();
}

fn document_part(document: &Document<'_>, writer: &mut Writer) {
    if let Some(text) = shared::document_text(document) {
        text_part(&text, writer);
        return;
    }
    writer.begin_object();
    writer.string_member("type", "file");
    writer.object_member("file");
    writer.string_member("filename", document.name.as_deref().unwrap_or("document.pdf"));
    writer.key("file_data");
    writer.string_of(&shared::address(&document.source));
    writer.end_object();
    writer.end_object();
}

fn text_part(text: &str, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("type", "text");
    writer.string_member("text", text);
    writer.end_object();
}

fn begin_message(role: &str, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("role", role);
}

fn plain_message(role: &str, text: &str, writer: &mut Writer) {
    begin_message(role, writer);
    writer.string_member("content", text);
    writer.end_object();
}
