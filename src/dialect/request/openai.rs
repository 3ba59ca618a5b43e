//! What Chat and Responses share. Chat wraps the inner members of a tool, a choice and a schema in one more object;
//! apart from that they are spelled alike, and are read and written here for both.

use std::borrow::Cow;

use crate::dialect::{
    ir::{
        Format, Request, Schema,
        part::Source,
        tool::{Grammar, Tool, ToolChoice, ToolKind},
    },
    json::{Node, Writer},
    request::{
        names::tool_name,
        read::{Members, Reader, kind},
    },
};

/// Whether the inner members are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nesting {
    /// In one more object: Chat.
    Wrapped,
    /// They are not: Responses.
    Flat,
}

/// Reads `tools`.
pub(crate) fn tools<'a>(reader: &mut Reader<'a>, node: Node<'a>) {
    for item in reader.items("tools", node) {
        let members = reader.members("tools", item);
        let tool = tool(reader, members);
        reader.request.tools.list.push(tool);
    }
}

fn tool<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Tool<'a> {
    let kind = kind(&members);
    let built_in = !matches!(&*kind, "function" | "custom");
    let mut tool = Tool {
        kind: match &*kind {
            "function" => ToolKind::Function,
            "custom" => ToolKind::Custom(None),
            _ => ToolKind::BuiltIn(kind.clone()),
        },
        name: kind,
        description: None,
        schema: None,
        strict: None,
        cache: None,
    };
    if built_in {
        return tool;
    }
    for (key, node) in reader.flat(members, &["function", "custom"]) {
        match &*key {
            "type" => {}
            "name" => tool.name = reader.string(&key, node).unwrap_or_default(),
            "description" => tool.description = reader.string(&key, node),
            "parameters" => tool.schema = reader.raw_object(&key, &node),
            "strict" => tool.strict = reader.bool(&key, &node),
            "format" => tool.kind = ToolKind::Custom(grammar(reader, node)),
            "cache_control" => tool.cache = reader.marker(&node),
            _ => reader.unknown(key, &node),
        }
    }
    tool
}

fn grammar<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<Grammar<'a>> {
    let members = reader.members("format", node);
    let mut grammar = Grammar::default();
    for (key, node) in reader.flat(members, &["grammar"]) {
        match &*key {
            "type" => {}
            "syntax" => grammar.syntax = reader.string(&key, node).unwrap_or_default(),
            "definition" => grammar.definition = reader.string(&key, node).unwrap_or_default(),
            _ => reader.unknown(key, &node),
        }
    }
    (!grammar.definition.is_empty()).then_some(grammar)
}

/// Reads `tool_choice`.
pub(crate) fn tool_choice<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Option<ToolChoice<'a>> {
    match node.as_str() {
        Some("auto") => return Some(ToolChoice::Auto),
        Some("none") => return Some(ToolChoice::None),
        Some("required") => return Some(ToolChoice::Required),
        _ if node.is_null() => return None,
        _ => {}
    }
    let members = reader.members("tool_choice", node);
    let kind = kind(&members);
    let (mut name, mut names, mut required) = (Cow::Borrowed(""), Vec::new(), false);
    for (key, node) in reader.flat(members, &["function", "custom", "allowed_tools"]) {
        match &*key {
            "type" => {}
            "name" => name = reader.string(&key, node).unwrap_or_default(),
            "mode" => required = node.as_str() == Some("required"),
            "tools" => names = allowed(reader, node),
            _ => reader.unknown(key, &node),
        }
    }
    match &*kind {
        "function" | "custom" => Some(ToolChoice::Named(name)),
        "allowed_tools" => Some(ToolChoice::Allowed { required, names }),
        _ => {
            reader.unreadable("tool_choice");
            None
        }
    }
}

fn allowed<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Vec<Cow<'a, str>> {
    let mut names = Vec::new();
    for item in reader.items("tool_choice", node) {
        let members = reader.members("tool_choice", item);
        let name = reader
            .flat(members, &["function", "custom"])
            .into_iter()
            .find(|(key, _)| key == "name");
        match name.and_then(|(key, node)| reader.string(&key, node)) {
            Some(name) => names.push(name),
            None => reader.unreadable("tool_choice"),
        }
    }
    names
}

/// Reads `response_format`, or the `format` of Responses' `text`.
pub(crate) fn format<'a>(reader: &mut Reader<'a>, node: Node<'a>) -> Format<'a> {
    let members = reader.members("response_format", node);
    let kind = kind(&members);
    let mut schema = Schema { name: None, description: None, schema: "{}", strict: None };
    for (key, node) in reader.flat(members, &["json_schema"]) {
        match &*key {
            "type" => {}
            "name" => schema.name = reader.string(&key, node),
            "description" => schema.description = reader.string(&key, node),
            "schema" => schema.schema = reader.raw_object(&key, &node).unwrap_or("{}"),
            "strict" => schema.strict = reader.bool(&key, &node),
            _ => reader.unknown(key, &node),
        }
    }
    match &*kind {
        "json_object" => Format::Object,
        "json_schema" => Format::Schema(schema),
        "text" | "" => Format::Text,
        _ => {
            reader.unreadable("response_format");
            Format::Text
        }
    }
}

/// A file's content: a `data:` URL, else base64 of a type that is not said.
pub(crate) fn file_data(data: Cow<'_, str>) -> Source<'_> {
    match Source::from_url(data) {
        Source::Url(data) => Source::Base64 { media_type: "".into(), data },
        source @ (Source::Base64 { .. } | Source::Text(_) | Source::File(_)) => source,
    }
}

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`.
pub(crate) fn write_tools(request: &Request<'_>, nesting: Nesting, writer: &mut Writer) {
    let tools = &request.tools;
    if tools.list.is_empty() {
        return;
    }
    writer.array_member("tools");
    for tool in &tools.list {
        write_tool(tool, nesting, writer);
    }
    writer.end_array();
    if let Some(choice) = &tools.choice {
        writer.key("tool_choice");
        write_choice(choice, request, nesting, writer);
    }
    if let Some(parallel) = tools.parallel {
        writer.bool_member("parallel_tool_calls", parallel);
    }
}

fn write_tool(tool: &Tool<'_>, nesting: Nesting, writer: &mut Writer) {
    let custom = matches!(tool.kind, ToolKind::Custom(_));
    begin(if custom { "custom" } else { "function" }, nesting, writer);
    writer.string_member("name", &tool_name(&tool.name));
    if let Some(description) = &tool.description {
        writer.string_member("description", description);
    }
    match &tool.kind {
        ToolKind::Custom(grammar) => {
            if let Some(grammar) = grammar {
                write_grammar(grammar, nesting, writer);
            }
        }
        ToolKind::Function | ToolKind::BuiltIn(_) => {
            writer.raw_member(
                "parameters",
                tool.schema.unwrap_or(r#"{"type":"object","properties":{}}"#),
            );
            // Responses takes a tool for strict where nothing is said, the other two do not.
            let strict = tool.strict.or((nesting == Nesting::Flat).then_some(false));
            if let Some(strict) = strict {
                writer.bool_member("strict", strict);
            }
        }
    }
    end(nesting, writer);
}

fn write_grammar(grammar: &Grammar<'_>, nesting: Nesting, writer: &mut Writer) {
    writer.object_member("format");
    writer.string_member("type", "grammar");
    if nesting == Nesting::Wrapped {
        writer.object_member("grammar");
    }
    writer.string_member("syntax", &grammar.syntax);
    writer.string_member("definition", &grammar.definition);
    end(nesting, writer);
}

fn write_choice(
    choice: &ToolChoice<'_>,
    request: &Request<'_>,
    nesting: Nesting,
    writer: &mut Writer,
) {
    match choice {
        ToolChoice::Auto => writer.string("auto"),
        ToolChoice::None => writer.string("none"),
        ToolChoice::Required => writer.string("required"),
        ToolChoice::Named(name) => write_reference(name, request, nesting, writer),
        ToolChoice::Allowed { required, names } => {
            begin("allowed_tools", nesting, writer);
            writer.string_member("mode", if *required { "required" } else { "auto" });
            writer.array_member("tools");
            for name in names {
                write_reference(name, request, nesting, writer);
            }
            writer.end_array();
            end(nesting, writer);
        }
    }
}

fn write_reference(name: &str, request: &Request<'_>, nesting: Nesting, writer: &mut Writer) {
    let custom = |tool: &&Tool<'_>| tool.name == name && matches!(tool.kind, ToolKind::Custom(_));
    let kind =
        if request.tools.list.iter().any(|tool| custom(&tool)) { "custom" } else { "function" };
    begin(kind, nesting, writer);
    writer.string_member("name", &tool_name(name));
    end(nesting, writer);
}

/// Writes the members of a structured format: `type` and what belongs to it.
pub(crate) fn write_format(format: &Format<'_>, nesting: Nesting, writer: &mut Writer) {
    match format {
        Format::Text => {
            writer.begin_object();
            writer.string_member("type", "text");
            writer.end_object();
        }
        Format::Object => {
            writer.begin_object();
            writer.string_member("type", "json_object");
            writer.end_object();
        }
        Format::Schema(schema) => {
            begin("json_schema", nesting, writer);
            writer.string_member("name", schema.name.as_deref().unwrap_or("answer"));
            if let Some(description) = &schema.description {
                writer.string_member("description", description);
            }
            writer.raw_member("schema", schema.schema);
            if let Some(strict) = schema.strict {
                writer.bool_member("strict", strict);
            }
            end(nesting, writer);
        }
    }
}

/// Opens an object of this type, and the one that wraps its members where there is one.
fn begin(kind: &str, nesting: Nesting, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("type", kind);
    if nesting == Nesting::Wrapped {
        writer.object_member(kind);
    }
}

fn end(nesting: Nesting, writer: &mut Writer) {
    if nesting == Nesting::Wrapped {
        writer.end_object();
    }
    writer.end_object();
}
