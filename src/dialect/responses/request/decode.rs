//! Responses into the inner form. Each item of `input` becomes a message of its own; encoders join what belongs together.

use std::borrow::Cow;

use crate::dialect::{
    Dialect,
    ir::{
        Request,
        part::{Document, Image, Message, Part, Role, Source, Text, Thought, ToolCall, ToolResult},
    },
    json::{Node, Value},
    request::{
        RequestFault, openai,
        read::{Members, Reader, kind, limit},
    },
};

/// Reads a request whose body is `source`.
pub(crate) fn decode<'a>(
    source: &'a str,
    members: Members<'a>,
) -> Result<Request<'a>, RequestFault> {
    let mut reader = Reader::new(Dialect::Responses, source);
    let (mut input, mut instructions) = (None, None);
    for (key, node) in members {
        match &*key {
            "input" => input = Some(node),
            "instructions" => instructions = reader.string(&key, node),
            "max_output_tokens" => reader.request.max_output = limit(&key, &node)?,
            "previous_response_id" => {
                if node.as_str().is_none() && !node.is_null() {
                    return Err(RequestFault::invalid("`previous_response_id` must be a string"));
                }
                reader.request.previous_response_id = reader.string(&key, node);
            }
            _ => {
                if let Some(node) = reader.shared(&key, node)? {
                    optional(&mut reader, key, node);
                }
            }
        }
    }
    if let Some(text) = instructions {
        reader.request.messages.push(Message { role: Role::System, parts: vec![Part::text(text)] });
    }
    match input.map(|node| node.value) {
        Some(Value::String(text)) => {
            reader
                .request
                .messages
                .push(Message { role: Role::User, parts: vec![Part::text(text)] });
        }
        Some(Value::Array(items)) => {
            for node in items {
                item(&mut reader, node);
            }
        }
        None | Some(Value::Null) if has_state(&reader.request) => {}
        None => return Err(RequestFault::invalid("`input` is missing")),
        Some(other) => {
            return Err(RequestFault::invalid(format!(
                "`input` must be a string or an array, not {other}"
            )));
        }
    }
    reader.finish()
}

/// Whether the provider holds what the input does not say.
fn has_state(request: &Request<'_>) -> bool {
    request.previous_response_id.is_some() || !request.bound.is_empty()
}

/// Fields that a request is routed without.
fn optional<'a>(reader: &mut Reader<'a>, key: Cow<'a, str>, node: Node<'a>) {
    match &*key {
        "tools" => openai::tools(reader, node),
        "tool_choice" => reader.request.tools.choice = openai::tool_choice(reader, node),
        "reasoning" => reader.reasoning(node),
        "text" => {
            for (key, node) in reader.members(&key, node) {
                match &*key {
                    "format" => reader.request.response_format = openai::format(reader, node),
                    "verbosity" => reader.request.verbosity = reader.string(&key, node),
                    _ => reader.unknown(key, &node),
                }
            }
        }
        "conversation" if !node.is_null() => {
            reader.bound("conversation", "only its own provider holds it");
        }
        "prompt" if !node.is_null() => {
            reader.bound("prompt", "only its own provider holds the template");
        }
        "background" if node.as_bool() == Some(true) => {
            reader.bound("background", "only responses answers in the background");
        }
        "truncation" if node.as_str() == Some("disabled") => {}
        "background" if node.as_bool() == Some(false) => {}
        // How a stream is padded says nothing about the answer.
        "stream_options" => {}
        _ => reader.unknown(key, &node),
    }
}

fn item<'a>(reader: &mut Reader<'a>, node: Node<'a>) {
    let members = reader.members("input", node);
    let kind = kind(&members);
    let message = match &*kind {
        "message" | "" if members.iter().any(|(key, _)| key == "role") => message(reader, members),
        "function_call" | "custom_tool_call" => Message {
            role: Role::Assistant,
            parts: vec![call(reader, members, kind == "custom_tool_call")],
        },
        "function_call_output" | "custom_tool_call_output" => Message {
            role: Role::Tool,
            parts: vec![output(reader, members, kind == "custom_tool_call_output")],
        },
        "reasoning" => Message { role: Role::Assistant, parts: vec![reasoning(reader, members)] },
        "" => Message { role: Role::Developer, parts: vec![Part::Other("item_reference".into())] },
        _ => Message { role: Role::Assistant, parts: vec![Part::Other(kind)] },
    };
    reader.request.messages.push(message);
}

fn message<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Message<'a> {
    let mut role = Role::Developer;
    let mut parts = Vec::new();
    for (key, node) in members {
        match &*key {
            "role" => role = role_of(reader, &node),
            "content" => contents(reader, node, &mut parts),
            // Where an earlier answer is sent back, these say what the text says already.
            "type" | "id" | "status" | "phase" => {}
            _ => reader.unknown(key, &node),
        }
    }
    Message { role, parts }
}

fn role_of(reader: &mut Reader<'_>, node: &Node<'_>) -> Role {
    match node.as_str() {
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => {
            reader.unreadable("role");
            Role::Developer
        }
    }
}

fn contents<'a>(reader: &mut Reader<'a>, node: Node<'a>, parts: &mut Vec<Part<'a>>) {
    if let Value::String(text) = node.value {
        parts.push(Part::text(text));
        return;
    }
    for item in reader.items("content", node) {
        let members = reader.members("content", item);
        parts.push(part(reader, members));
    }
}

fn part<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let kind = kind(&members);
    match &*kind {
        "input_text" | "output_text" | "text" => text(reader, members),
        "input_image" => image(reader, members),
        "input_file" => file(reader, members),
        "refusal" => {
            let text = members.into_iter().find(|(key, _)| key == "refusal");
            Part::Refusal(
                text.and_then(|(key, node)| reader.string(&key, node)).unwrap_or_default(),
            )
        }
        _ => Part::Other(kind),
    }
}

fn text<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut text = Text::default();
    for (key, node) in members {
        match &*key {
            "type" | "logprobs" => {}
            "text" => text.text = reader.string(&key, node).unwrap_or_default(),
            _ => reader.unknown(key, &node),
        }
    }
    Part::Text(text)
}

fn image<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut image = Image { source: Source::Url("".into()), detail: None, cache: None };
    for (key, node) in members {
        match &*key {
            "type" => {}
            "image_url" => {
                if let Some(url) = reader.string(&key, node) {
                    image.source = Source::from_url(url);
                }
            }
            "file_id" => {
                if let Some(id) = reader.string(&key, node) {
                    image.source = Source::File(id);
                }
            }
            "detail" => image.detail = reader.string(&key, node),
            _ => reader.unknown(key, &node),
        }
    }
    Part::Image(image)
}

fn file<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut document = Document { source: Source::Text("".into()), name: None, cache: None };
    for (key, node) in members {
        let source = match &*key {
            "type" => None,
            "file_data" => reader.string(&key, node).map(openai::file_data),
            "file_url" => reader.string(&key, node).map(Source::Url),
            "file_id" => reader.string(&key, node).map(Source::File),
            "filename" => {
                document.name = reader.string(&key, node);
                None
            }
            _ => {
                reader.unknown(key, &node);
                None
            }
        };
        document.source = source.unwrap_or(document.source);
    }
    Part::Document(document)
}

fn call<'a>(reader: &mut Reader<'a>, members: Members<'a>, custom: bool) -> Part<'a> {
    let mut call =
        ToolCall { id: "".into(), name: "".into(), arguments: "".into(), custom, cache: None };
    for (key, node) in members {
        match &*key {
            "type" | "id" | "status" | "caller" => {}
            "call_id" => call.id = reader.string(&key, node).unwrap_or_default(),
            "name" => call.name = reader.string(&key, node).unwrap_or_default(),
            "arguments" | "input" => call.arguments = reader.string(&key, node).unwrap_or_default(),
            _ => reader.unknown(key, &node),
        }
    }
    Part::ToolCall(call)
}

fn output<'a>(reader: &mut Reader<'a>, members: Members<'a>, custom: bool) -> Part<'a> {
    let mut result =
        ToolResult { id: "".into(), parts: Vec::new(), error: false, custom, cache: None };
    for (key, node) in members {
        match &*key {
            "type" | "id" | "status" | "caller" | "name" => {}
            "call_id" => result.id = reader.string(&key, node).unwrap_or_default(),
            "output" => contents(reader, node, &mut result.parts),
            _ => reader.unknown(key, &node),
        }
    }
    Part::ToolResult(result)
}

fn reasoning<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut text = String::new();
    let mut sealed = false;
    for (key, node) in members {
        match &*key {
            "type" | "id" | "status" => {}
            "summary" | "content" => {
                for item in reader.items(&key, node) {
                    text.push_str(item.member("text").and_then(Node::as_str).unwrap_or_default());
                }
            }
            "encrypted_content" => sealed |= node.as_str().is_some(),
            _ => reader.unknown(key, &node),
        }
    }
    Part::Reasoning(Thought { text: text.into(), sealed })
}
