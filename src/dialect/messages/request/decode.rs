//! Messages into the inner form.

use std::borrow::Cow;

use crate::dialect::{
    Dialect,
    ir::{
        Amount, Format, Reasoning, Request, Schema,
        part::{Message, Role},
        tool::{Tool, ToolChoice, ToolKind},
    },
    json::{Node, Value},
    messages::request::block::contents,
    request::{
        RequestFault,
        read::{Members, Reader, kind, limit},
    },
};

/// Reads a request whose body is `source`.
pub(crate) fn decode<'a>(
    source: &'a str,
    members: Members<'a>,
) -> Result<Request<'a>, RequestFault> {
    let mut reader = Reader::new(Dialect::Messages, source);
    let (mut messages, mut system) = (None, None);
    for (key, node) in members {
        match &*key {
            "messages" => messages = Some(node),
            "system" => system = Some(node),
            "max_tokens" => reader.request.max_output = limit(&key, &node)?,
            _ => {
                if let Some(node) = reader.basics(&key, node)? {
                    optional(&mut reader, key, node);
                }
            }
        }
    }
    if let Some(node) = system {
        let mut parts = Vec::new();
        contents(&mut reader, node, &mut parts);
        if !parts.is_empty() {
            reader.request.messages.push(Message { role: Role::System, parts });
        }
    }
    match messages.map(|node| node.value) {
        Some(Value::Array(items)) => {
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
        "tools" => {
            for item in reader.items(&key, node) {
                let members = reader.members("tools", item);
                let tool = tool(reader, members);
                reader.request.tools.list.push(tool);
            }
        }
        "tool_choice" => tool_choice(reader, node),
        "thinking" => thinking(reader, node),
        "output_config" => {
            for (key, node) in reader.members(&key, node) {
                match &*key {
                    "format" => output_format(reader, node),
                    "effort" => effort(reader, &node),
                    _ => reader.unknown(key, &node),
                }
            }
        }
        "output_format" => output_format(reader, node),
        "stop_sequences" => reader.request.stop = reader.strings(&key, node),
        "temperature" => reader.request.sampling.temperature = reader.number(&key, &node),
        "top_p" => reader.request.sampling.top_p = reader.number(&key, &node),
        "top_k" => reader.request.sampling.top_k = reader.number(&key, &node),
        "cache_control" => reader.request.cache.marker = reader.marker(&node),
        "service_tier" => reader.request.labels.service_tier = reader.string(&key, node),
        "metadata" => {
            for (key, node) in reader.members(&key, node) {
                match &*key {
                    "user_id" => reader.request.labels.user = reader.string(&key, node),
                    _ => reader.unknown(key, &node),
                }
            }
        }
        "mcp_servers" if !is_empty(&node) => {
            reader.bound("mcp_servers", "only messages calls these servers");
        }
        "container" if !node.is_null() => {
            reader.bound("container", "only its own provider holds it");
        }
        "inference_geo" if !node.is_null() => {
            reader.bound("inference_geo", "only messages can promise a place");
        }
        "speed" if node.as_str() == Some("standard") => {}
        _ => reader.unknown(key, &node),
    }
}

fn is_empty(node: &Node<'_>) -> bool {
    node.is_null() || node.as_array().is_some_and(<[_]>::is_empty)
}

/// `thinking` says whether and up to how many tokens. An effort that was read before fills in for "as it sees fit".
fn thinking<'a>(reader: &mut Reader<'a>, node: Node<'a>) {
    let members = reader.members("thinking", node);
    let amount = match &*kind(&members) {
        "disabled" => Amount::Off,
        "adaptive" | "between_tools" => Amount::Adaptive,
        "enabled" => {
            let budget = members.iter().find(|(key, _)| key == "budget_tokens");
            budget.and_then(|(_, node)| node.as_u64()).map_or(Amount::Adaptive, Amount::Budget)
        }
        _ if members.is_empty() => return,
        _ => {
            reader.unreadable("thinking");
            return;
        }
    };
    let known = reader.request.reasoning.take().map(|reasoning| reasoning.amount);
    let amount = if amount == Amount::Adaptive { known.unwrap_or(amount) } else { amount };
    reader.request.reasoning = Some(Reasoning { amount, summary: None });
}

/// `output_config.effort` fills in for "as it sees fit"; a budget says more, and `thinking` that is off says all.
fn effort<'a>(reader: &mut Reader<'a>, node: &Node<'a>) {
    let Some(amount) = reader.effort("effort", node) else { return };
    let known =
        reader.request.reasoning.as_ref().map_or(Amount::Adaptive, |reasoning| reasoning.amount);
    if known == Amount::Adaptive {
        reader.request.reasoning = Some(Reasoning { amount, summary: None });
    }
}

fn output_format<'a>(reader: &mut Reader<'a>, node: Node<'a>) {
    let members = reader.members("output_format", node);
    for (key, node) in members {
        match &*key {
            "type" => {}
            "schema" => {
                if let Some(schema) = reader.raw_object(&key, &node) {
                    let schema = Schema { name: None, description: None, schema, strict: None };
                    reader.request.response_format = Format::Schema(schema);
                }
            }
            _ => reader.unknown(key, &node),
        }
    }
}

fn tool<'a>(reader: &mut Reader<'a>, members: Members<'a>) -> Tool<'a> {
    let kind = kind(&members);
    let kind = match &*kind {
        "" | "custom" => ToolKind::Function,
        _ => ToolKind::BuiltIn(kind),
    };
    let mut tool =
        Tool { kind, name: "".into(), description: None, schema: None, strict: None, cache: None };
    for (key, node) in members {
        match &*key {
            "type" => {}
            "name" => tool.name = reader.string(&key, node).unwrap_or_default(),
            "description" => tool.description = reader.string(&key, node),
            "input_schema" => tool.schema = reader.raw_object(&key, &node),
            "strict" => tool.strict = reader.bool(&key, &node),
            "cache_control" => tool.cache = reader.marker(&node),
            _ => reader.unknown(key, &node),
        }
    }
    tool
}

fn tool_choice<'a>(reader: &mut Reader<'a>, node: Node<'a>) {
    let members = reader.members("tool_choice", node);
    let kind = kind(&members);
    let mut name = Cow::Borrowed("");
    for (key, node) in members {
        match &*key {
            "type" => {}
            "name" => name = reader.string(&key, node).unwrap_or_default(),
            "disable_parallel_tool_use" => {
                reader.request.tools.parallel = reader.bool(&key, &node).map(|disabled| !disabled);
            }
            _ => reader.unknown(key, &node),
        }
    }
    reader.request.tools.choice = match &*kind {
        "auto" => Some(ToolChoice::Auto),
        "any" => Some(ToolChoice::Required),
        "none" => Some(ToolChoice::None),
        "tool" => Some(ToolChoice::Named(name)),
        "" => None,
        _ => {
            reader.unreadable("tool_choice");
            None
        }
    };
}

fn message<'a>(reader: &mut Reader<'a>, node: Node<'a>) {
    let mut role = Role::Developer;
    let mut parts = Vec::new();
    for (key, node) in reader.members("messages", node) {
        match &*key {
            "role" => {
                role = match node.as_str() {
                    Some("user") => Role::User,
                    Some("assistant") => Role::Assistant,
                    Some("system") => Role::System,
                    _ => {
                        reader.unreadable("role");
                        Role::Developer
                    }
                }
            }
            "content" => contents(reader, node, &mut parts),
            "id" | "type" => {}
            _ => reader.unknown(key, &node),
        }
    }
    reader.request.messages.push(Message { role, parts });
}
