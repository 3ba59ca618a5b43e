//! Answers in the form of the Messages API.

use serde_json::{Value, json};

use crate::simulator::{
    answer::{Answer, Stop, Usage},
    ask::quote,
    chat::halves,
    error::anthropic_body,
    pace::{Event, Wire, frame},
};

/// The answer whole.
pub(super) fn whole(answer: &Answer) -> String {
    let mut content = Vec::new();
    if !answer.thinking.is_empty() {
        let thinking = answer.thoughts();
        content.push(json!({"type": "thinking", "thinking": thinking, "signature": answer.seal}));
    }
    if !answer.tokens.is_empty() {
        content.push(json!({"type": "text", "text": answer.text()}));
    }
    for (index, call) in answer.calls.iter().enumerate() {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        let id = answer.call_id("toolu_", index);
        content.push(json!({"type": "tool_use", "id": id, "name": call.name, "input": input}));
    }
    json!({
        "id": id(answer), "type": "message", "role": "assistant", "model": answer.model,
        "content": content, "stop_reason": stop_reason(answer), "stop_sequence": answer.sequence,
        "usage": usage(answer.usage, answer.usage.output),
    })
    .to_string()
}

/// The answer as events.
pub(super) fn stream(answer: &Answer) -> Wire {
    let start = json!({
        "type": "message_start",
        "message": {
            "id": id(answer), "type": "message", "role": "assistant", "model": answer.model,
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": usage(answer.usage, 1),
        },
    });
    let mut events = Vec::with_capacity(answer.tokens.len().saturating_add(8));
    events.push(Event::Prelude(frame(Some("message_start"), &start.to_string())));
    events.push(Event::Prelude(frame(Some("ping"), r#"{"type":"ping"}"#)));
    let mut blocks = 0_usize;
    if !answer.thinking.is_empty() {
        let start = json!({"type": "thinking", "thinking": "", "signature": ""});
        events.push(Event::Prelude(block_start(0, &start)));
        events.extend(tokens(0, "thinking", &answer.thinking));
        let seal = format!(r#"{{"type":"signature_delta","signature":{}}}"#, quote(&answer.seal));
        events.push(Event::Coda(block_delta(0, &seal)));
        events.push(Event::Coda(block_stop(0)));
        blocks = 1;
    }
    if !answer.tokens.is_empty() {
        events.push(Event::Prelude(block_start(blocks, &json!({"type": "text", "text": ""}))));
        events.extend(tokens(blocks, "text", &answer.tokens));
        events.push(Event::Coda(block_stop(blocks)));
        blocks = blocks.saturating_add(1);
    }
    for (index, call) in answer.calls.iter().enumerate() {
        let block = blocks.saturating_add(index);
        let id = answer.call_id("toolu_", index);
        let start = json!({"type": "tool_use", "id": id, "name": call.name, "input": {}});
        events.push(Event::Token(block_start(block, &start)));
        events.extend(halves(&call.arguments).map(|piece| {
            let piece = quote(piece);
            let delta = format!(r#"{{"type":"input_json_delta","partial_json":{piece}}}"#);
            Event::Token(block_delta(block, &delta))
        }));
        events.push(Event::Coda(block_stop(block)));
    }
    let delta = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(answer), "stop_sequence": answer.sequence},
        "usage": {"output_tokens": answer.usage.output},
    });
    events.push(Event::Coda(frame(Some("message_delta"), &delta.to_string())));
    events.push(Event::Done(frame(Some("message_stop"), r#"{"type":"message_stop"}"#)));
    let error = anthropic_body("overloaded_error", "The simulator was ordered to fail here.");
    Wire { events, error: frame(Some("error"), &error) }
}

fn tokens(block: usize, field: &str, tokens: &[String]) -> impl Iterator<Item = Event> {
    tokens.iter().map(move |token| {
        let delta = format!(r#"{{"type":"{field}_delta","{field}":{}}}"#, quote(token));
        Event::Token(block_delta(block, &delta))
    })
}

fn block_start(index: usize, block: &Value) -> bytes::Bytes {
    let data = json!({"type": "content_block_start", "index": index, "content_block": block});
    frame(Some("content_block_start"), &data.to_string())
}

fn block_delta(index: usize, delta: &str) -> bytes::Bytes {
    let data = format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#);
    frame(Some("content_block_delta"), &data)
}

fn block_stop(index: usize) -> bytes::Bytes {
    let data = format!(r#"{{"type":"content_block_stop","index":{index}}}"#);
    frame(Some("content_block_stop"), &data)
}

fn id(answer: &Answer) -> String {
    format!("msg_simulated{:08x}", answer.number)
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer.stop {
        _ if answer.refused => "refusal",
        Stop::End if answer.sequence.is_some() => "stop_sequence",
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Tools => "tool_use",
        Stop::Filter => "refusal",
    }
}

fn usage(usage: Usage, output: u64) -> Value {
    json!({
        "input_tokens": usage.input.saturating_sub(usage.cached).saturating_sub(usage.written),
        "cache_creation_input_tokens": usage.written, "cache_read_input_tokens": usage.cached,
        "output_tokens": output, "service_tier": "standard",
    })
}
