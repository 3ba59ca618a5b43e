//! Answers in the form of the Chat Completions API.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::{
    answer::{Answer, Stop, Usage},
    ask::{Ask, quote},
    error::openai_body,
    pace::{Event, Wire, frame},
};

/// 2026-01-01: simulated answers have no clock.
pub(super) const CREATED: u64 = 1_767_225_600;

/// The answer whole.
pub(super) fn whole(answer: &Answer, ask: &Ask) -> String {
    let choices: Vec<Value> = (0..ask.choices())
        .map(|index| {
            json!({
                "index": index, "message": message(answer), "logprobs": null,
                "finish_reason": finish_reason(answer.stop),
            })
        })
        .collect();
    json!({
        "id": id(answer), "object": "chat.completion", "created": CREATED, "model": answer.model,
        "choices": choices, "usage": usage(answer.usage), "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    })
    .to_string()
}

/// The answer as events.
pub(super) fn stream(answer: &Answer, ask: &Ask) -> Wire {
    let chunk = Chunk { answer, with_usage: ask.include_usage() };
    let mut events = Vec::with_capacity(answer.tokens.len().saturating_add(8));
    for index in 0..ask.choices() {
        let role = r#"{"role":"assistant","content":"","refusal":null}"#;
        events.push(Event::Prelude(chunk.frame(index, role, None)));
    }
    let field = if answer.refused { "refusal" } else { "content" };
    let thoughts = answer.thinking.iter().map(|token| ("reasoning_content", token));
    for (field, token) in thoughts.chain(answer.tokens.iter().map(|token| (field, token))) {
        let delta = format!("{{\"{field}\":{}}}", quote(token));
        events
            .extend((0..ask.choices()).map(|index| Event::Token(chunk.frame(index, &delta, None))));
    }
    for delta in call_deltas(answer) {
        events.push(Event::Token(chunk.frame(0, &delta, None)));
    }
    for index in 0..ask.choices() {
        events.push(Event::Coda(chunk.frame(index, "{}", Some(finish_reason(answer.stop)))));
    }
    if ask.include_usage() {
        events.push(Event::Coda(chunk.usage()));
    }
    events.push(Event::Done(frame(None, "[DONE]")));
    let error = openai_body("The simulator was ordered to fail here.", "server_error", None);
    Wire { events, error: frame(None, &error) }
}

struct Chunk<'a> {
    answer: &'a Answer,
    with_usage: bool,
}

impl Chunk<'_> {
    fn frame(&self, index: u8, delta: &str, finish: Option<&str>) -> Bytes {
        let finish = finish.map_or_else(|| "null".to_owned(), quote);
        let choice = format!(
            r#"{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":{finish}}}"#
        );
        let usage = if self.with_usage { r#","usage":null"# } else { "" };
        frame(None, &self.data(&choice, usage))
    }

    fn usage(&self) -> Bytes {
        frame(None, &self.data("", &format!(r#","usage":{}"#, usage(self.answer.usage))))
    }

    fn data(&self, choice: &str, usage: &str) -> String {
        let (id, model) = (id(self.answer), quote(&self.answer.model));
        format!(
            r#"{{"id":"{id}","object":"chat.completion.chunk","created":{CREATED},"model":{model},"service_tier":"default","system_fingerprint":"fp_simulated","choices":[{choice}]{usage}}}"#
        )
    }
}

/// Each call's name first, then its arguments in two pieces, as they come from a real model.
fn call_deltas(answer: &Answer) -> Vec<String> {
    let mut deltas = Vec::new();
    for (index, call) in answer.calls.iter().enumerate() {
        let id = answer.call_id("call_", index);
        let name = quote(&call.name);
        deltas.push(format!(
            r#"{{"tool_calls":[{{"index":{index},"id":"{id}","type":"function","function":{{"name":{name},"arguments":""}}}}]}}"#
        ));
        for piece in halves(&call.arguments) {
            let piece = quote(piece);
            deltas.push(format!(
                r#"{{"tool_calls":[{{"index":{index},"function":{{"arguments":{piece}}}}}]}}"#
            ));
        }
    }
    deltas
}

/// `text` in two pieces.
pub(super) fn halves(text: &str) -> [&str; 2] {
    let middle = text.floor_char_boundary(text.len().div_euclid(2));
    let (head, tail) = text.split_at(middle);
    [head, tail]
}

fn message(answer: &Answer) -> Value {
    let text = (!answer.tokens.is_empty()).then(|| answer.text());
    let (content, refusal) = if answer.refused { (None, text) } else { (text, None) };
    let mut message =
        json!({"role": "assistant", "content": content, "refusal": refusal, "annotations": []});
    if let (false, Some(message)) = (answer.thinking.is_empty(), message.as_object_mut()) {
        message.insert("reasoning_content".to_owned(), answer.thoughts().into());
    }
    let calls: Vec<Value> = answer
        .calls
        .iter()
        .enumerate()
        .map(|(index, call)| {
            json!({
                "id": answer.call_id("call_", index), "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            })
        })
        .collect();
    if let (false, Some(message)) = (calls.is_empty(), message.as_object_mut()) {
        message.insert("tool_calls".to_owned(), Value::from(calls));
    }
    message
}

fn id(answer: &Answer) -> String {
    format!("chatcmpl-simulated{:08x}", answer.number)
}

fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::End => "stop",
        Stop::Length => "length",
        Stop::Tools => "tool_calls",
        Stop::Filter => "content_filter",
    }
}

fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input, "completion_tokens": usage.output,
        "total_tokens": usage.input.saturating_add(usage.output),
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.thought, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}
