//! Chat Completions into the inner form.

use std::borrow::Cow;

use crate::dialect::{
    Dialect,
    ir::{
        Reasoning, Request, StreamOptions, StreamOptionsKind,
        part::{
            Audio, Document, Image, Message, Part, Role, Source, Text, Thought, ToolCall,
            ToolResult,
        },
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
    let mut reader = Reader::new(Dialect::Chat, source);
    let mut messages = None;
    for (key, node) in members {
        match &*key {
            "messages" => messages = Some(node),
            "max_completion_tokens" => {
                reader.request.max_output = limit(&key, &node)?.or(reader.request.max_output);
            }
            "max_tokens" => {
                reader.request.max_output = reader.request.max_output.or(limit(&key, &node)?);
            }
            "stream_options" => stream_options(&mut reader, &node),
            _ => {
                if let Some(node) = reader.shared(&key, node)? {
                    optional(&mut reader, key, node);
                }
            }
        }
    }
    match messages.map(|node| node.value) {
        Some(Value::Array(items)) => {
            reader.request.messages.reserve(items.len());
            for item in items {
                message(&mut reader, item);
            }
        }
        Some(other) => {
            return Err(RequestFault::invalid(format!("`messages` must be an array, not {other}")));
        }
        None => return Err(RequestFault::invalid("`messages` is missing")),
    }
    reader.finish()
}

/// Fields that a request is routed without.
fn optional<'a>(reader: &mut Reader<'a>, key: Cow<'a, str>, node: Node<'a>) {
    match &*key {
        "tools" => openai::tools(reader, node),
        "tool_choice" => reader.request.tools.choice = openai::tool_choice(reader, node),
        "response_format" => reader.request.response_format = openai::format(reader, node),
        "stop" => reader.request.stop = reader.strings(&key, node),
        "top_k" => reader.request.sampling.top_k = reader.number(&key, &node),
        "frequency_penalty" => {
            reader.request.sampling.frequency_penalty = reader.number(&key, &node);
        }
        "presence_penalty" => reader.request.sampling.presence_penalty = reader.number(&key, &node),
        "seed" => reader.request.sampling.seed = reader.number(&key, &node),
        "reasoning_effort" => {
            let amount = reader.effort(&key, &node);
            reader.request.reasoning = amount.map(|amount| Reasoning { amount, summary: None });
        }
        "reasoning" => reader.reasoning(node),
        "verbosity" => reader.request.verbosity = reader.string(&key, node),
        "n" => reader.request.n = count(reader, &node),
        "logprobs" if node.as_bool() == Some(false) => {}
        "modalities" => {
            if reader.strings(&key, node).iter().any(|kind| kind != "text") {
                reader.bound("modalities", "only chat can answer with sound");
            }
        }
        "audio" if !node.is_null() => reader.bound("audio", "only chat can answer with sound"),
        "functions" | "function_call" if !node.is_null() => {
            reader.bound("functions", "the old form of tools exists in chat only");
        }
        "web_search_options" if !node.is_null() => {
            reader.bound("web_search_options", "this built-in tool exists in chat only");
        }
        _ => reader.unknown(key, &node),
    }
}

fn count(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<u64> {
    if node.as_u64().is_none() && !node.is_null() {
        reader.unreadable("n");
    }
    node.as_u64()
}

fn stream_options(reader: &mut Reader<'_>, node: &Node<'_>) {
    let kind = match &node.value {
        Value::Null => StreamOptionsKind::Empty,
        Value::Object(members) if members.is_empty() => StreamOptionsKind::Empty,
        Value::Object(_) => {
            node.member("include_usage").map_or(StreamOptionsKind::Without, |usage| {
                reader.request.include_usage = usage.as_bool() == Some(true);
                StreamOptionsKind::With(usage.span.clone())
            })
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            StreamOptionsKind::Strange
        }
    };
    reader.request.places.stream_options = Some(StreamOptions { span: node.span.clone(), kind });
}

fn message<'a>(reader: &mut Reader<'a>, node: Node<'a>) {
    let mut role = Role::Developer;
    let mut content = None;
    let mut parts = Vec::new();
    let mut after = Vec::new();
    let mut call_id = Cow::Borrowed("");
    for (key, node) in reader.members("messages", node) {
        match &*key {
            "role" => role = role_of(reader, &node),
            "content" => content = Some(node),
            "tool_call_id" => call_id = reader.string(&key, node).unwrap_or_default(),
            "tool_calls" => {
                for item in reader.items(&key, node) {
                    after.push(tool_call(reader, item));
                }
            }
            "refusal" => after.extend(reader.string(&key, node).map(Part::Refusal)),
            "reasoning_content" | "reasoning" => {
                let text = reader.string(&key, node).filter(|text| !text.is_empty());
                parts.extend(text.map(|text| Part::Reasoning(Thought { text, sealed: false })));
            }
            "audio" | "function_call" if !node.is_null() => after.push(Part::Other(key)),
            "annotations" | "id" => {}
            _ => reader.unknown(key, &node),
        }
    }
    if let Some(content) = content {
        contents(reader, content, &mut parts);
    }
    parts.append(&mut after);
    if role == Role::Tool {
        parts = vec![Part::ToolResult(ToolResult {
            id: call_id,
            parts,
            error: false,
            custom: false,
            cache: None,
        })];
    }
    reader.request.messages.push(Message { role, parts });
}

fn role_of(reader: &mut Reader<'_>, node: &Node<'_>) -> Role {
    match node.as_str() {
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool") => Role::Tool,
        _ => {
            reader.unreadable("role");
            Role::Developer
        }
    }
}

fn contents<'a>(reader: &mut Reader<'a>, node: Node<'a>, parts: &mut Vec<Part<'a>>) {
    if let Value::String(text) = node.value {
        if !text.is_empty() {
            parts.push(Part::text(text));
        }
        return;
    }
    for item in reader.items("content", node) {
        if let Value::String(text) = item.value {
            parts.push(Part::text(text));
            continue;
        }
        let members = reader.members("content", item);
        parts.push(part(reader, members));
    }
}

fn part<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let kind = kind(&members);
    match &*kind {
        "text" | "input_text" | "output_text" => text(reader, members),
        "image_url" => image(reader, members),
        "input_audio" => audio(reader, members),
        "file" => file(reader, members),
        "refusal" => refusal(reader, members),
        _ => Part::Other(kind),
    }
}

fn text<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut text = Text::default();
    for (key, node) in members {
        match &*key {
            "type" => {}
            "text" => text.text = reader.string(&key, node).unwrap_or_default(),
            "cache_control" => text.cache = reader.marker(&node),
            _ => reader.unknown(key, &node),
        }
    }
    Part::Text(text)
}

fn image<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut image = Image { source: Source::Url("".into()), detail: None, cache: None };
    for (key, node) in reader.flat(members, &["image_url"]) {
        match &*key {
            "type" => {}
            "url" => image.source = Source::from_url(reader.string(&key, node).unwrap_or_default()),
            "detail" => image.detail = reader.string(&key, node),
            "cache_control" => image.cache = reader.marker(&node),
            _ => reader.unknown(key, &node),
        }
    }
    Part::Image(image)
}

fn audio<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut audio = Audio { data: "".into(), format: "".into() };
    for (key, node) in reader.flat(members, &["input_audio"]) {
        match &*key {
            "type" => {}
            "data" => audio.data = reader.string(&key, node).unwrap_or_default(),
            "format" => audio.format = reader.string(&key, node).unwrap_or_default(),
            _ => reader.unknown(key, &node),
        }
    }
    Part::Audio(audio)
}

fn file<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut document = Document { source: Source::Text("".into()), name: None, cache: None };
    for (key, node) in reader.flat(members, &["file"]) {
        match &*key {
            "type" => {}
            "file_data" => {
                document.source = openai::file_data(reader.string(&key, node).unwrap_or_default());
            }
            "file_id" => {
                document.source = Source::File(reader.string(&key, node).unwrap_or_default());
            }
            "filename" => document.name = reader.string(&key, node),
            "cache_control" => document.cache = reader.marker(&node),
            _ => reader.unknown(key, &node),
        }
    }
    Part::Document(document)
}

fn refusal<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let text = members.into_iter().find(|(key, _)| key == "refusal");
    Part::Refusal(text.and_then(|(key, node)| reader.string(&key, node)).unwrap_or_default())
}

fn tool_call<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Part<'a> {
    let mut call = ToolCall {
        id: "".into(),
        name: "".into(),
        arguments: "".into(),
        custom: false,
        cache: None,
    };
    let members = reader.members("tool_calls", node);
    for (key, node) in reader.flat(members, &["function", "custom"]) {
        match &*key {
            "id" => call.id = reader.string(&key, node).unwrap_or_default(),
            "type" => call.custom = node.as_str() == Some("custom"),
            "name" => call.name = reader.string(&key, node).unwrap_or_default(),
            "arguments" | "input" => call.arguments = reader.string(&key, node).unwrap_or_default(),
            "index" => {}
            _ => reader.unknown(key, &node),
        }
    }
    Part::ToolCall(call)
}
