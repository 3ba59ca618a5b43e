//! The content blocks of Messages into parts.

use std::borrow::Cow;

use crate::dialect::{
    ir::part::{Document, Image, Part, Source, Text, Thought, ToolCall, ToolResult},
    json::{self, Node, Value},
    request::read::{Members, Reader, kind},
};

/// Reads `content`: a text, or blocks.
pub(super) fn contents<'a>(reader: &mut Reader<'a>, node: Node<'a>, parts: &mut Vec<Part<'a>>) {
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
        "text" => text(reader, members),
        "image" => image(reader, members),
        "document" => document(reader, members),
        "search_result" => search_result(reader, members),
        "tool_use" => tool_use(reader, members),
        "tool_result" => tool_result(reader, members),
        "thinking" => {
            let text = members.into_iter().find(|(key, _)| key == "thinking");
            let text = text.and_then(|(key, node)| reader.string(&key, node)).unwrap_or_default();
            Part::Reasoning(Thought { text, sealed: true })
        }
        "redacted_thinking" => Part::Reasoning(Thought { text: "".into(), sealed: true }),
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
    for (key, node) in members {
        match &*key {
            "type" => {}
            "source" => {
                let members = reader.members(&key, node);
                match source(reader, members) {
                    Ok(source) => image.source = source,
                    Err(kind) => return Part::Other(kind),
                }
            }
            "cache_control" => image.cache = reader.marker(&node),
            _ => reader.unknown(key, &node),
        }
    }
    Part::Image(image)
}

fn document<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut document = Document { source: Source::Text("".into()), name: None, cache: None };
    for (key, node) in members {
        match &*key {
            "type" => {}
            "source" => {
                let members = reader.members(&key, node);
                match source(reader, members) {
                    Ok(source) => document.source = source,
                    Err(kind) => return Part::Other(kind),
                }
            }
            "title" => document.name = reader.string(&key, node),
            "cache_control" => document.cache = reader.marker(&node),
            _ => reader.unknown(key, &node),
        }
    }
    Part::Document(document)
}

/// A source, or the type of one that only Messages knows.
fn source<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Result<Source<'a>, Cow<'a, str>> {
    let kind = kind(&members);
    let (mut media_type, mut value) = (Cow::Borrowed(""), Cow::Borrowed(""));
    for (key, node) in members {
        match &*key {
            "type" => {}
            "media_type" => media_type = reader.string(&key, node).unwrap_or_default(),
            "data" | "url" | "file_id" => value = reader.string(&key, node).unwrap_or_default(),
            "content" => value = joined(reader, node).ok_or("content")?,
            _ => reader.unknown(key, &node),
        }
    }
    match &*kind {
        "base64" => Ok(Source::Base64 { media_type, data: value }),
        "url" => Ok(Source::Url(value)),
        "text" | "content" => Ok(Source::Text(value)),
        "file" => Ok(Source::File(value)),
        _ => Err(kind),
    }
}

/// The text of content that is text alone.
fn joined<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Cow<'a, str>> {
    if let Value::String(text) = node.value {
        return Some(text);
    }
    let mut parts = Vec::new();
    contents(reader, node, &mut parts);
    let texts =
        parts.iter().map(|part| if let Part::Text(text) = part { Some(&*text.text) } else { None });
    Some(texts.collect::<Option<Vec<_>>>()?.join("\n\n").into())
}

/// A search result is a document of plain text, named by its title.
fn search_result<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut document = Document { source: Source::Text("".into()), name: None, cache: None };
    for (key, node) in members {
        match &*key {
            "type" => {}
            "title" => document.name = reader.string(&key, node),
            "content" => match joined(reader, node) {
                Some(text) => document.source = Source::Text(text),
                None => return Part::Other("search_result".into()),
            },
            "cache_control" => document.cache = reader.marker(&node),
            _ => reader.unknown(key, &node),
        }
    }
    Part::Document(document)
}

fn tool_use<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut call = ToolCall {
        id: "".into(),
        name: "".into(),
        arguments: "{}".into(),
        custom: false,
        cache: None,
    };
    for (key, node) in members {
        match &*key {
            "type" | "caller" => {}
            "id" => call.id = reader.string(&key, node).unwrap_or_default(),
            "name" => call.name = reader.string(&key, node).unwrap_or_default(),
            "input" => call.arguments = json::compact(reader.raw(&node)),
            "cache_control" => call.cache = reader.marker(&node),
            _ => reader.unknown(key, &node),
        }
    }
    Part::ToolCall(call)
}

fn tool_result<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Part<'a> {
    let mut result =
        ToolResult { id: "".into(), parts: Vec::new(), error: false, custom: false, cache: None };
    for (key, node) in members {
        match &*key {
            "type" => {}
            "tool_use_id" => result.id = reader.string(&key, node).unwrap_or_default(),
            "content" => contents(reader, node, &mut result.parts),
            "is_error" => result.error = reader.bool(&key, &node).unwrap_or_default(),
            "cache_control" => result.cache = reader.marker(&node),
            _ => reader.unknown(key, &node),
        }
    }
    Part::ToolResult(result)
}
