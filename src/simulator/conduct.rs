//! What real providers refuse about how a request is put together, and a simulated one therefore too: a proxy that
//! translates badly is found out here.
//!
//! Fields of another API, tool calls without their results and results without their calls, pictures where there may be
//! none, reasoning that another provider has signed, thinking that leaves no room.

use serde_json::Value;

use crate::dialect::Dialect;

/// The least budget for thinking that Anthropic takes.
const LEAST_BUDGET: u64 = 1024;
const MOST_CACHE_MARKERS: usize = 4;
const LONGEST_NAME: usize = 128;

/// What is wrong with `body`, in words like a real provider's. `seal` begins what this provider has signed.
pub(super) fn mistake(dialect: Dialect, body: &[u8], seal: &str) -> Option<String> {
    let body = read(body)?;
    foreign(dialect, &body).or_else(|| names(&body)).or_else(|| match dialect {
        Dialect::Chat => chat(&body),
        Dialect::Responses => responses(&body, seal),
        Dialect::Messages => messages(&body, seal),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a simulated provider reads JSON as leniently as a real one"
)]
fn read(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

/// A field that only another API knows.
fn foreign(dialect: Dialect, body: &Value) -> Option<String> {
    const CHAT: &[&str] = &[
        "system",
        "stop_sequences",
        "input",
        "instructions",
        "max_output_tokens",
        "output_config",
        "previous_response_id",
        "include",
        "text",
    ];
    const RESPONSES: &[&str] = &[
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "stop_sequences",
        "response_format",
        "reasoning_effort",
        "n",
        "seed",
        "system",
        "thinking",
        "output_config",
    ];
    const MESSAGES: &[&str] = &[
        "response_format",
        "reasoning_effort",
        "reasoning",
        "stop",
        "n",
        "parallel_tool_calls",
        "seed",
        "store",
        "max_completion_tokens",
        "max_output_tokens",
        "input",
        "instructions",
        "logprobs",
        "user",
        "text",
        "stream_options",
        "frequency_penalty",
        "presence_penalty",
        "prompt_cache_key",
    ];
    let (fields, messages) = match dialect {
        Dialect::Chat => (CHAT, false),
        Dialect::Responses => (RESPONSES, false),
        Dialect::Messages => (MESSAGES, true),
    };
    let field = fields.iter().find(|field| body.get(field).is_some())?;
    Some(if messages {
        format!("{field}: Extra inputs are not permitted")
    } else {
        format!("Unrecognized request argument supplied: {field}")
    })
}

/// A tool whose name is none, or is there twice.
fn names(body: &Value) -> Option<String> {
    let mut seen = Vec::new();
    for tool in list(body, "tools") {
        let Some(name) = tool.get("name").or_else(|| tool.pointer("/function/name")) else {
            continue;
        };
        let name = name.as_str().unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
            return Some(format!(
                "tools: the name '{name}' does not match '^[a-zA-Z0-9_-]{{1,128}}$'"
            ));
        }
        if seen.contains(&name) {
            return Some(format!("tools: Tool names must be unique, '{name}' is not."));
        }
        seen.push(name);
    }
    None
}

fn chat(body: &Value) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    for message in list(body, "messages") {
        let role = text(message, "role");
        if role != "user"
            && list(message, "content").iter().any(|part| text(part, "type") == "image_url")
        {
            return Some("Image URLs are only allowed for messages with role 'user'.".to_owned());
        }
        if role == "tool" {
            let id = text(message, "tool_call_id");
            let Some(at) = open.iter().position(|call| *call == id) else {
                return Some(
                    "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.".to_owned(),
                );
            };
            open.remove(at);
        } else if open.is_empty() {
            open = list(message, "tool_calls").iter().map(|call| text(call, "id")).collect();
        } else {
            break;
        }
    }
    (!open.is_empty()).then(|| {
        format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
             'tool_call_id'. These did not have response messages: {}",
            open.join(", ")
        )
    })
}

fn responses(body: &Value, seal: &str) -> Option<String> {
    let of = |kind: &str| {
        let items = list(body, "input").iter().filter(move |item| text(item, "type") == kind);
        items.map(|item| text(item, "call_id")).collect::<Vec<&str>>()
    };
    let (calls, outputs) = (of("function_call"), of("function_call_output"));
    let goes_on = body.get("previous_response_id").is_some_and(|id| !id.is_null());
    if let Some(call) = calls.iter().find(|call| !outputs.contains(call)) {
        return Some(format!("No tool output found for function call {call}."));
    }
    if let Some(output) = outputs.iter().find(|output| !goes_on && !calls.contains(output)) {
        return Some(format!("No tool call found for function call output with call_id {output}."));
    }
    let foreign = list(body, "input").iter().any(|item| {
        let sealed = item.get("encrypted_content").and_then(Value::as_str);
        text(item, "type") == "reasoning" && sealed.is_some_and(|sealed| !sealed.starts_with(seal))
    });
    foreign.then(|| "The encrypted content could not be verified.".to_owned())
}

fn messages(body: &Value, seal: &str) -> Option<String> {
    let turns = list(body, "messages");
    let markers = markers(body);
    if markers > MOST_CACHE_MARKERS {
        return Some(format!(
            "A maximum of 4 blocks with cache_control may be provided. Found {markers}."
        ));
    }
    if let Some(turn) =
        turns.iter().find(|turn| !matches!(text(turn, "role"), "user" | "assistant"))
    {
        return Some(format!("messages: Unexpected role \"{}\".", text(turn, "role")));
    }
    let mut blocks = turns.iter().flat_map(|turn| list(turn, "content"));
    blocks
        .find_map(|block| misshapen(block, seal))
        .or_else(|| unpaired(turns))
        .or_else(|| thinking(body, turns))
}

fn misshapen(block: &Value, seal: &str) -> Option<String> {
    match text(block, "type") {
        "text" if text(block, "text").trim().is_empty() => {
            Some("messages: text content blocks must contain non-whitespace text".to_owned())
        }
        "thinking" if !text(block, "signature").starts_with(seal) => {
            Some("messages: Invalid `signature` in `thinking` block".to_owned())
        }
        "tool_use" if !block.get("input").is_some_and(Value::is_object) => {
            Some("messages: tool_use.input: Input should be a valid dictionary".to_owned())
        }
        _ => None,
    }
}

/// A call without its result in the next turn, or a result without its call in the turn before.
fn unpaired(turns: &[Value]) -> Option<String> {
    let ids = |turn: &Value, kind: &str, field: &str| -> Vec<String> {
        let blocks = list(turn, "content").iter().filter(|block| text(block, "type") == kind);
        blocks.map(|block| text(block, field).to_owned()).collect()
    };
    let mut open: Vec<String> = Vec::new();
    for turn in turns {
        let results = ids(turn, "tool_result", "tool_use_id");
        if let Some(missing) = open.iter().find(|call| !results.contains(call)) {
            return Some(unanswered(missing));
        }
        if let Some(stray) = results.iter().find(|result| !open.contains(result)) {
            return Some(format!(
                "messages: unexpected `tool_use_id` found in `tool_result` blocks: {stray}"
            ));
        }
        open = ids(turn, "tool_use", "id");
    }
    open.first().map(|call| unanswered(call))
}

fn unanswered(call: &str) -> String {
    format!(
        "messages: `tool_use` ids were found without `tool_result` blocks immediately after: {call}"
    )
}

fn thinking(body: &Value, turns: &[Value]) -> Option<String> {
    let thinking = body.get("thinking").filter(|thinking| text(thinking, "type") == "enabled")?;
    let budget = thinking.get("budget_tokens").and_then(Value::as_u64).unwrap_or(0);
    if budget < LEAST_BUDGET {
        return Some(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
                .to_owned(),
        );
    }
    if body.get("max_tokens").and_then(Value::as_u64).is_some_and(|most| most <= budget) {
        return Some("`max_tokens` must be greater than `thinking.budget_tokens`.".to_owned());
    }
    if matches!(body.pointer("/tool_choice/type").and_then(Value::as_str), Some("any" | "tool")) {
        return Some("Thinking may not be enabled when tool_choice forces tool use.".to_owned());
    }
    if body
        .get("temperature")
        .and_then(Value::as_f64)
        .is_some_and(|heat| (heat - 1.0).abs() > f64::EPSILON)
    {
        return Some("`temperature` may only be set to 1 when thinking is enabled.".to_owned());
    }
    let last = turns.iter().rev().find(|turn| text(turn, "role") == "assistant")?;
    let results = turns.last().is_some_and(|turn| {
        list(turn, "content").iter().any(|block| text(block, "type") == "tool_result")
    });
    let thought = list(last, "content")
        .first()
        .is_some_and(|block| text(block, "type").ends_with("thinking"));
    (results && !thought).then(|| {
        "messages: Expected `thinking` or `redacted_thinking`, but found `tool_use`.".to_owned()
    })
}

/// How many blocks bear `cache_control`.
fn markers(value: &Value) -> usize {
    match value {
        Value::Object(members) => {
            let inner =
                members.iter().filter(|(key, _)| !matches!(key.as_str(), "input" | "input_schema"));
            let here = usize::from(members.contains_key("cache_control"));
            inner.fold(here, |sum, (_, value)| sum.saturating_add(markers(value)))
        }
        Value::Array(items) => items.iter().fold(0, |sum, item| sum.saturating_add(markers(item))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(dialect: Dialect, body: &str, words: &str) {
        let mistake = mistake(dialect, body.as_bytes(), "seal-").unwrap_or_default();
        assert!(mistake.contains(words), "{body}: {mistake:?}");
    }

    #[track_caller]
    fn taken(dialect: Dialect, body: &str) {
        assert_eq!(mistake(dialect, body.as_bytes(), "seal-"), None, "{body}");
    }

    #[test]
    fn chat_wants_each_call_answered_and_pictures_from_users() {
        let call = r#"{"role":"assistant","tool_calls":[{"id":"a"},{"id":"b"}]}"#;
        let one = r#"{"role":"tool","tool_call_id":"a","content":"x"}"#;
        let two = r#"{"role":"tool","tool_call_id":"b","content":"x"}"#;
        taken(Dialect::Chat, &format!(r#"{{"messages":[{call},{two},{one}]}}"#));
        refused(
            Dialect::Chat,
            &format!(r#"{{"messages":[{call},{two}]}}"#),
            "response messages: a",
        );
        refused(Dialect::Chat, &format!(r#"{{"messages":[{one}]}}"#), "preceeding");
        let picture = r#"{"messages":[{"role":"system","content":[{"type":"image_url"}]}]}"#;
        refused(Dialect::Chat, picture, "Image URLs");
        refused(Dialect::Chat, r#"{"system":"x","messages":[]}"#, "system");
        refused(
            Dialect::Chat,
            r#"{"tools":[{"type":"function","function":{"name":"a b"}}]}"#,
            "'a b'",
        );
    }

    #[test]
    fn responses_wants_calls_and_outputs_in_pairs_and_its_own_reasoning() {
        let call = r#"{"type":"function_call","call_id":"a"}"#;
        let output = r#"{"type":"function_call_output","call_id":"a","output":"x"}"#;
        taken(Dialect::Responses, &format!(r#"{{"input":[{call},{output}]}}"#));
        taken(Dialect::Responses, &format!(r#"{{"previous_response_id":"r","input":[{output}]}}"#));
        refused(Dialect::Responses, &format!(r#"{{"input":[{output}]}}"#), "No tool call");
        refused(Dialect::Responses, &format!(r#"{{"input":[{call}]}}"#), "No tool output");
        let reasoning = r#"{"input":[{"type":"reasoning","encrypted_content":"theirs"}]}"#;
        refused(Dialect::Responses, reasoning, "verified");
    }

    #[test]
    fn messages_wants_results_at_once_and_thinking_that_it_has_signed() {
        let call = r#"{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]}"#;
        let result = r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"}]}"#;
        let words = r#"{"role":"user","content":"x"}"#;
        taken(Dialect::Messages, &format!(r#"{{"messages":[{words},{call},{result}]}}"#));
        refused(
            Dialect::Messages,
            &format!(r#"{{"messages":[{call},{words}]}}"#),
            "immediately after: a",
        );
        refused(
            Dialect::Messages,
            &format!(r#"{{"messages":[{result}]}}"#),
            "unexpected `tool_use_id`",
        );
        let thought = |by: &str| {
            format!(
                r#"{{"messages":[{{"role":"assistant","content":[{{"type":"thinking","signature":"{by}-1"}}]}}]}}"#
            )
        };
        taken(Dialect::Messages, &thought("seal"));
        refused(Dialect::Messages, &thought("theirs"), "signature");
        let thinking = r#""thinking":{"type":"enabled","budget_tokens":2000}"#;
        let asked =
            |more: &str| format!(r#"{{{thinking},{more},"messages":[{words},{call},{result}]}}"#);
        refused(Dialect::Messages, &asked(r#""max_tokens":2000"#), "greater than");
        refused(Dialect::Messages, &asked(r#""tool_choice":{"type":"any"}"#), "forces");
        refused(Dialect::Messages, &asked(r#""temperature":0.5"#), "temperature");
        refused(Dialect::Messages, &asked(r#""max_tokens":3000"#), "Expected `thinking`");
    }

    #[test]
    fn messages_takes_four_cache_markers() {
        let marked = r#"{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}"#;
        let system = |count: usize| format!(r#"{{"system":[{}]}}"#, vec![marked; count].join(","));
        taken(Dialect::Messages, &system(4));
        refused(Dialect::Messages, &system(5), "Found 5");
    }
}
