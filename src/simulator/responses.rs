//! Answers in the form of the Responses API.

use serde_json::{Map, Value, json};

use crate::simulator::{
    answer::{Answer, Stop, Usage},
    ask::{Ask, Wanted},
    chat::{CREATED, halves},
    pace::{Event, Wire, frame},
};

/// The answer whole.
pub(super) fn whole(answer: &Answer, ask: &Ask) -> String {
    envelope(answer, ask, status(answer.stop), &items(answer, ask)).to_string()
}

/// The answer as events.
pub(super) fn stream(answer: &Answer, ask: &Ask) -> Wire {
    let mut script = Script::default();
    let begun = envelope(answer, ask, "in_progress", &[]);
    script.push(Event::Prelude, "response.created", json!({"response": begun}));
    script.push(Event::Prelude, "response.in_progress", json!({"response": begun}));
    let mut output = 0_usize;
    if !answer.thinking.is_empty() {
        script.reasoning(answer, ask);
        output = 1;
    }
    if !answer.tokens.is_empty() {
        script.text(answer, output);
        output = output.saturating_add(1);
    }
    for (index, call) in answer.calls.iter().enumerate() {
        script.call(answer, index, output.saturating_add(index), call);
    }
    let ended = envelope(answer, ask, status(answer.stop), &items(answer, ask));
    let terminal = match answer.stop {
        Stop::End | Stop::Tools => "response.completed",
        Stop::Length | Stop::Filter => "response.incomplete",
    };
    script.push(Event::Done, terminal, json!({"response": ended}));
    let mut failed = envelope(answer, ask, "failed", &[]);
    if let Some(failed) = failed.as_object_mut() {
        let error =
            json!({"code": "server_error", "message": "The simulator was ordered to fail here."});
        failed.insert("error".to_owned(), error);
    }
    script.push(Event::Done, "response.failed", json!({"response": failed}));
    let error = match script.events.pop() {
        Some(Event::Done(bytes)) => bytes,
        _ => bytes::Bytes::new(),
    };
    Wire { events: script.events, error }
}

/// Events in order, numbered.
#[derive(Default)]
struct Script {
    events: Vec<Event>,
    number: u64,
}

impl Script {
    fn push(&mut self, kind: fn(bytes::Bytes) -> Event, name: &str, mut data: Value) {
        if let Some(data) = data.as_object_mut() {
            data.insert("type".to_owned(), name.into());
            data.insert("sequence_number".to_owned(), self.number.into());
        }
        self.number = self.number.saturating_add(1);
        self.events.push(kind(frame(Some(name), &data.to_string())));
    }

    fn reasoning(&mut self, answer: &Answer, ask: &Ask) {
        let (id, text) = (reasoning_id(answer), answer.thoughts());
        let at = |more: Value| placed(&id, 0, "summary_index", more);
        let part = |text: &str| json!({"part": {"type": "summary_text", "text": text}});
        let begun = json!({"id": id, "type": "reasoning", "summary": []});
        let added = "response.output_item.added";
        self.push(Event::Prelude, added, json!({"output_index": 0, "item": begun}));
        if ask.wants_summary() {
            let added = "response.reasoning_summary_part.added";
            self.push(Event::Prelude, added, at(part("")));
            for token in &answer.thinking {
                let delta = "response.reasoning_summary_text.delta";
                self.push(Event::Token, delta, at(json!({"delta": token})));
            }
            let done = "response.reasoning_summary_text.done";
            self.push(Event::Coda, done, at(json!({"text": text})));
            self.push(Event::Coda, "response.reasoning_summary_part.done", at(part(&text)));
        }
        let done = json!({"output_index": 0, "item": reasoning(answer, ask)});
        self.push(Event::Coda, "response.output_item.done", done);
    }

    fn text(&mut self, answer: &Answer, output: usize) {
        let id = message_id(answer);
        let text = answer.text();
        let item = json!({
            "id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": [],
        });
        let at = |more: Value| placed(&id, output, "content_index", more);
        let (name, key) =
            if answer.refused { ("refusal", "refusal") } else { ("output_text", "text") };
        let added = "response.output_item.added";
        self.push(Event::Prelude, added, json!({"output_index": output, "item": item}));
        let begun = at(json!({"part": part(answer, "")}));
        self.push(Event::Prelude, "response.content_part.added", begun);
        for token in &answer.tokens {
            let delta = at(json!({"delta": token, "logprobs": []}));
            self.push(Event::Token, &format!("response.{name}.delta"), delta);
        }
        let done = at(json!({key: text, "logprobs": []}));
        self.push(Event::Coda, &format!("response.{name}.done"), done);
        let ended = at(json!({"part": part(answer, &text)}));
        self.push(Event::Coda, "response.content_part.done", ended);
        let item = message(answer);
        self.push(
            Event::Coda,
            "response.output_item.done",
            json!({"output_index": output, "item": item}),
        );
    }

    fn call(&mut self, answer: &Answer, index: usize, output: usize, call: &Wanted) {
        let id = answer.call_id("fc_", index);
        let begun =
            function_call(answer, index, &Wanted { arguments: String::new(), ..call.clone() });
        let added = json!({"output_index": output, "item": begun});
        self.push(Event::Token, "response.output_item.added", added);
        for piece in halves(&call.arguments) {
            let delta = json!({"item_id": id, "output_index": output, "delta": piece});
            self.push(Event::Token, "response.function_call_arguments.delta", delta);
        }
        let done = json!({
            "item_id": id, "output_index": output, "name": call.name, "arguments": call.arguments,
        });
        self.push(Event::Coda, "response.function_call_arguments.done", done);
        let item = function_call(answer, index, call);
        let done = json!({"output_index": output, "item": item});
        self.push(Event::Coda, "response.output_item.done", done);
    }
}

fn envelope(answer: &Answer, ask: &Ask, status: &str, output: &[Value]) -> Value {
    let reason = match answer.stop {
        Stop::Length => Some("max_output_tokens"),
        Stop::Filter => Some("content_filter"),
        Stop::End | Stop::Tools => None,
    };
    let ended = status != "in_progress" && status != "failed";
    let details = reason.filter(|_| ended).map(|reason| json!({"reason": reason}));
    json!({
        "id": answer.response_id, "object": "response", "created_at": CREATED, "status": status,
        "error": null, "incomplete_details": details, "instructions": null,
        "max_output_tokens": ask.max_output(), "model": answer.model, "output": output,
        "parallel_tool_calls": true, "previous_response_id": ask.previous_response_id,
        "reasoning": {"effort": null, "summary": null}, "store": true, "temperature": 1.0,
        "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled", "usage": ended.then(|| usage(answer.usage)), "user": null,
        "metadata": {},
    })
}

/// Where an event of an item belongs.
fn placed(id: &str, output: usize, index: &str, more: Value) -> Value {
    let mut place = Map::from_iter([
        ("item_id".to_owned(), Value::from(id)),
        ("output_index".to_owned(), output.into()),
        (index.to_owned(), 0.into()),
    ]);
    if let Value::Object(more) = more {
        place.extend(more);
    }
    Value::Object(place)
}

fn items(answer: &Answer, ask: &Ask) -> Vec<Value> {
    let mut items = Vec::new();
    if !answer.thinking.is_empty() {
        items.push(reasoning(answer, ask));
    }
    if !answer.tokens.is_empty() {
        items.push(message(answer));
    }
    let calls = answer.calls.iter().enumerate();
    items.extend(calls.map(|(index, call)| function_call(answer, index, call)));
    items
}

fn message(answer: &Answer) -> Value {
    json!({
        "id": message_id(answer), "type": "message", "status": status(answer.stop),
        "role": "assistant", "content": [part(answer, &answer.text())],
    })
}

fn function_call(answer: &Answer, index: usize, call: &Wanted) -> Value {
    let status = if call.arguments.is_empty() { "in_progress" } else { "completed" };
    json!({
        "id": answer.call_id("fc_", index), "type": "function_call", "status": status,
        "call_id": answer.call_id("call_", index), "name": call.name, "arguments": call.arguments,
    })
}

fn reasoning(answer: &Answer, ask: &Ask) -> Value {
    let summary = json!({"type": "summary_text", "text": answer.thoughts()});
    let summary: Vec<Value> = ask.wants_summary().then_some(summary).into_iter().collect();
    let sealed = ask.wants_sealed().then(|| answer.seal.clone());
    json!({
        "id": reasoning_id(answer), "type": "reasoning", "summary": summary, "encrypted_content": sealed,
    })
}

fn reasoning_id(answer: &Answer) -> String {
    format!("rs_simulated{:08x}", answer.number)
}

fn part(answer: &Answer, text: &str) -> Value {
    if answer.refused {
        return json!({"type": "refusal", "refusal": text});
    }
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn message_id(answer: &Answer) -> String {
    format!("msg_simulated{:08x}", answer.number)
}

fn status(stop: Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Tools => "completed",
        Stop::Length | Stop::Filter => "incomplete",
    }
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input, "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output, "output_tokens_details": {"reasoning_tokens": usage.thought},
        "total_tokens": usage.input.saturating_add(usage.output),
    })
}
