//! Streams of all three APIs for the tests of rescue: what a provider tells, and what a caller reads of it, to the letter.

use serde_json::{Value, json};

use crate::support::{
    http::Message,
    reply, sse,
    upstream::{Step, send},
};

pub(super) const CHAT: &str = "/v1/chat/completions";
pub(super) const MESSAGES: &str = "/v1/messages";
pub(super) const RESPONSES: &str = "/v1/responses";
pub(super) const PATHS: [&str; 3] = [CHAT, MESSAGES, RESPONSES];

/// The same question in the API of `path`, streamed.
pub(super) fn question(path: &str, more: &Value) -> String {
    let turns = json!([{"role": "user", "content": "hello"}]);
    let mut body = match path {
        RESPONSES => json!({"model": "router:both", "input": "hello", "stream": true}),
        MESSAGES => json!({
            "model": "router:both", "max_tokens": 50, "stream": true, "messages": turns,
        }),
        _ => json!({
            "model": "router:both", "stream": true, "messages": turns,
            "stream_options": {"include_usage": true},
        }),
    };
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string()
}

/// The events of a whole stream in the API of `path` that says `texts`: five tokens in, two out.
pub(super) fn events(path: &str, texts: &[&str]) -> Vec<String> {
    match path {
        RESPONSES => responses_events(texts),
        MESSAGES => reply::messages_events(texts),
        _ => chat_events(texts),
    }
}

fn chat_events(texts: &[&str]) -> Vec<String> {
    let usage = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "upstream-id",
        "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    });
    let mut events = vec![reply::chat_event(r#"{"role":"assistant","content":""}"#, None)];
    events.extend(
        texts.iter().map(|text| reply::chat_event(&json!({"content": text}).to_string(), None)),
    );
    events.push(reply::chat_event("{}", Some("stop")));
    events.push(format!("data: {usage}\n\n"));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn responses_events(texts: &[&str]) -> Vec<String> {
    let response = |status: &str, output: Value, usage: Value| {
        json!({"id": "resp_up", "object": "response", "created_at": 1, "status": status,
               "model": "upstream-id", "output": output, "usage": usage})
    };
    let item = |status: &str, content: Value| {
        json!({"id": "msg_up", "type": "message", "role": "assistant", "status": status,
               "content": content})
    };
    let at = |kind: &str, more: Value| {
        let mut event =
            json!({"type": kind, "item_id": "msg_up", "output_index": 0, "content_index": 0});
        for (key, value) in more.as_object().unwrap() {
            event[key] = value.clone();
        }
        event
    };
    let text = texts.concat();
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let begun = response("in_progress", json!([]), Value::Null);
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
        json!({"type": "response.output_item.added", "output_index": 0,
               "item": item("in_progress", json!([]))}),
        at("response.content_part.added", json!({"part": part("")})),
    ];
    events
        .extend(texts.iter().map(|text| at("response.output_text.delta", json!({"delta": text}))));
    let whole = item("completed", json!([part(&text)]));
    let usage = json!({"input_tokens": 5, "output_tokens": 2, "total_tokens": 7});
    events.extend([
        at("response.output_text.done", json!({"text": text})),
        at("response.content_part.done", json!({"part": part(&text)})),
        json!({"type": "response.output_item.done", "output_index": 0, "item": whole}),
        json!({"type": "response.completed",
               "response": response("completed", json!([whole]), usage)}),
    ]);
    let numbered = events.into_iter().enumerate().map(|(number, mut event)| {
        event["sequence_number"] = json!(number);
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
    });
    numbered.collect()
}

/// A whole stream in the API of `path`.
pub(super) fn whole(path: &str, texts: &[&str]) -> Vec<Step> {
    let mut steps = vec![reply::stream_head()];
    steps.extend(events(path, texts).iter().map(|event| reply::chunk(event)));
    steps.extend(reply::end());
    steps
}

/// A stream in the API of `path` that says `texts`, and then does this.
pub(super) fn begun(path: &str, texts: &[&str], then: Vec<Step>) -> Vec<Step> {
    let last = texts.last().unwrap();
    let events = events(path, texts);
    let quoted = json!(last).to_string();
    let said = events
        .iter()
        .position(|event| event.contains(&format!(":{quoted}")) && !event.contains(".done"))
        .unwrap();
    let mut steps = vec![reply::stream_head()];
    steps.extend(events[..=said].iter().map(|event| reply::chunk(event)));
    steps.extend(then);
    steps
}

/// Faults in the middle of a stream, by name.
pub(super) fn faults() -> [(&'static str, Vec<Step>); 4] {
    [
        ("cut", vec![Step::Reset]),
        ("stall", vec![Step::UntilClosed]),
        ("garbage", vec![reply::chunk("data: {\"oops\n\n"), Step::UntilClosed]),
        ("early end", vec![send("0\r\n\r\n"), Step::Fin]),
    ]
}

/// What a caller reads of a stream.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Read {
    pub(super) text: String,
    /// Whether it came to its proper end.
    pub(super) done: bool,
    pub(super) error: bool,
    /// Every `model` that was named, each once.
    pub(super) models: Vec<String>,
    /// Tokens in and out.
    pub(super) usage: Option<(u64, u64)>,
}

/// Reads a stream in the API of `path`, and asserts that it is well formed.
#[track_caller]
pub(super) fn read(path: &str, answer: &Message) -> Read {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.whole, "cut: {}", answer.text());
    let mut reader = Reader::default();
    for event in sse::events(&answer.text()) {
        assert!(!reader.read.done && !reader.read.error, "after the end: {event:?}");
        if event.data == "[DONE]" {
            assert!(reader.finished, "no finish_reason: {}", answer.text());
            reader.read.done = true;
            continue;
        }
        let data: Value = serde_json::from_str(&event.data).unwrap();
        match path {
            RESPONSES => reader.responses(&data),
            MESSAGES => reader.messages(&data),
            _ => reader.chat(&data),
        }
    }
    assert!(reader.read.done != reader.read.error, "{}", answer.text());
    reader.read.models.dedup();
    reader.read
}

#[derive(Default)]
struct Reader {
    read: Read,
    finished: bool,
    id: Option<String>,
    /// The number of the next event, or of the next block.
    next: u64,
    open: bool,
    /// The text of the item or block that is open.
    part: String,
}

impl Reader {
    fn count(&mut self, usage: &Value, input: &str, output: &str) {
        if let (Some(input), Some(output)) = (usage[input].as_u64(), usage[output].as_u64()) {
            self.read.usage = Some((input, output));
        }
    }

    fn model(&mut self, data: &Value) {
        self.read.models.extend(data["model"].as_str().map(str::to_owned));
    }

    fn same_id(&mut self, data: &Value) {
        let id = data["id"].as_str().unwrap().to_owned();
        assert_eq!(*self.id.get_or_insert_with(|| id.clone()), id, "another id: {data}");
    }

    fn chat(&mut self, data: &Value) {
        if data.get("error").is_some() {
            self.read.error = true;
            return;
        }
        self.same_id(data);
        self.model(data);
        assert_eq!(data["object"], "chat.completion.chunk");
        self.count(&data["usage"], "prompt_tokens", "completion_tokens");
        for choice in data["choices"].as_array().unwrap() {
            assert!(!self.finished, "after the finish_reason: {data}");
            assert_eq!(choice["index"], 0);
            self.read.text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            self.finished = choice["finish_reason"].is_string();
        }
    }

    fn messages(&mut self, data: &Value) {
        match data["type"].as_str().unwrap() {
            "message_start" => {
                self.model(&data["message"]);
                assert!(self.id.is_none());
                self.same_id(&data["message"]);
                self.count(&data["message"]["usage"], "input_tokens", "output_tokens");
            }
            "content_block_start" => {
                assert!(!self.open && data["index"] == self.next, "{data}");
                self.open = true;
            }
            "content_block_delta" => {
                assert!(self.open && data["index"] == self.next, "{data}");
                self.read.text.push_str(data["delta"]["text"].as_str().unwrap_or_default());
            }
            "content_block_stop" => {
                assert!(std::mem::take(&mut self.open) && data["index"] == self.next, "{data}");
                self.next += 1;
            }
            "message_delta" => {
                assert!(!self.open && data["delta"]["stop_reason"].is_string(), "{data}");
                self.count(&data["usage"], "input_tokens", "output_tokens");
            }
            "message_stop" => self.read.done = true,
            "error" => self.read.error = true,
            other => panic!("{other}"),
        }
    }

    fn responses(&mut self, data: &Value) {
        assert_eq!(data["sequence_number"], self.next, "{data}");
        self.next += 1;
        let kind = data["type"].as_str().unwrap();
        if data["response"].is_object() {
            self.same_id(&data["response"]);
            self.model(&data["response"]);
        }
        match kind {
            "response.output_item.added" => {
                assert!(!std::mem::replace(&mut self.open, true), "{data}");
            }
            "response.output_text.delta" => {
                assert!(self.open && data["item_id"].is_string(), "{data}");
                self.part.push_str(data["delta"].as_str().unwrap());
            }
            "response.output_text.done" => assert_eq!(data["text"], self.part, "{data}"),
            "response.content_part.done" => assert_eq!(data["part"]["text"], self.part, "{data}"),
            "response.output_item.done" => {
                assert!(std::mem::take(&mut self.open), "{data}");
                assert_eq!(data["item"]["content"][0]["text"], self.part, "{data}");
                self.read.text.push_str(&std::mem::take(&mut self.part));
            }
            "response.completed" => {
                self.read.done = true;
                let items = data["response"]["output"].as_array().unwrap();
                let all: String =
                    items.iter().filter_map(|item| item["content"][0]["text"].as_str()).collect();
                assert_eq!(all, self.read.text, "{data}");
                self.count(&data["response"]["usage"], "input_tokens", "output_tokens");
            }
            "error" => {
                self.read.error = true;
                self.read.text.push_str(&std::mem::take(&mut self.part));
            }
            "response.created" | "response.in_progress" | "response.content_part.added" => {}
            other => panic!("{other}"),
        }
    }
}
