//! What a caller's SDK relies on in a stream that we wrote: one start, right indexes, one end.

use std::collections::BTreeMap;

use pointsman::dialect::{Dialect, sse::Decoder};
use serde_json::Value;

/// One event of a stream.
pub(crate) struct Event {
    /// The value of `event`.
    pub(crate) name: String,
    /// The data.
    pub(crate) data: String,
}

/// The events of a stream that has data; comments are left out.
pub(crate) fn events(stream: &[u8]) -> Vec<Event> {
    let mut decoder = Decoder::new(1 << 30);
    decoder.push(stream);
    let mut events = Vec::new();
    while let Some(frame) = decoder.next().unwrap() {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        if let Some(data) = &frame.data {
            let name = frame.event.as_deref().map(text).unwrap_or_default();
            events.push(Event { name, data: text(data) });
        }
    }
    assert!(decoder.finish().unwrap().is_none(), "the stream ends inside an event");
    events
}

/// How many of the events say that the answer is whole.
pub(crate) fn ends(dialect: Dialect, events: &[Event]) -> usize {
    let is_end = |event: &&Event| match dialect {
        Dialect::Chat => event.data.trim() == "[DONE]",
        Dialect::Responses => {
            matches!(kind(event).as_deref(), Some("response.completed" | "response.incomplete"))
        }
        Dialect::Messages => kind(event).as_deref() == Some("message_stop"),
    };
    events.iter().filter(is_end).count()
}

/// How many of the events are errors.
pub(crate) fn errors(dialect: Dialect, events: &[Event]) -> usize {
    let is_error = |event: &&Event| match dialect {
        Dialect::Chat => {
            event.name == "error"
                || value(event)
                    .is_some_and(|value| value.get("error").is_some_and(Value::is_object))
        }
        Dialect::Responses => {
            matches!(kind(event).as_deref(), Some("error" | "response.failed"))
        }
        Dialect::Messages => kind(event).as_deref() == Some("error"),
    };
    events.iter().filter(is_error).count()
}

fn value(event: &Event) -> Option<Value> {
    serde_json::from_str(&event.data).ok()
}

/// What an event is: its type, else its name.
fn kind(event: &Event) -> Option<String> {
    let value = value(event)?;
    let stated = value.get("type").and_then(Value::as_str).filter(|kind| !kind.is_empty());
    Some(stated.unwrap_or(&event.name).to_owned())
}

/// Panics where a stream that was translated and ended as whole is not what its API promises.
pub(crate) fn check(dialect: Dialect, events: &[Event]) {
    assert_eq!(ends(dialect, events), 1, "one end");
    assert_eq!(errors(dialect, events), 0, "no error");
    match dialect {
        Dialect::Chat => chat(events),
        Dialect::Responses => responses(events),
        Dialect::Messages => messages(events),
    }
}

fn parsed(events: &[Event]) -> Vec<Value> {
    events
        .iter()
        .map(|event| {
            let value: Value = serde_json::from_str(&event.data).expect("an event that is JSON");
            assert_eq!(value["type"], event.name.as_str(), "name and type of an event");
            value
        })
        .collect()
}

fn chat(events: &[Event]) {
    let (done, chunks) = events.split_last().expect("an event");
    assert_eq!(done.data, "[DONE]");
    let (mut calls, mut finished) = (0, false);
    for (place, event) in chunks.iter().enumerate() {
        let chunk: Value = serde_json::from_str(&event.data).expect("a chunk that is JSON");
        assert_eq!(chunk["object"], "chat.completion.chunk");
        let choices = chunk["choices"].as_array().expect("choices");
        let Some(choice) = choices.first() else {
            assert!(finished && place + 1 == chunks.len(), "usage before the last chunk");
            continue;
        };
        assert!(!finished, "content after a reason to stop");
        assert_eq!((choices.len(), &choice["index"]), (1, &Value::from(0)));
        assert_eq!(choice["delta"]["role"] == "assistant", place == 0, "one role, at the start");
        let pieces = choice["delta"]["tool_calls"].as_array();
        pieces.into_iter().flatten().for_each(|piece| chat_call(piece, &mut calls));
        finished = choice["finish_reason"].is_string();
    }
    assert!(finished, "a reason to stop");
}

/// A piece of a tool call, of which so many have begun.
fn chat_call(piece: &Value, begun: &mut u64) {
    let index = piece["index"].as_u64().expect("an index");
    if piece.get("id").is_some() {
        assert_eq!(index, *begun, "calls are counted");
        assert!(piece["function"]["name"].is_string(), "a call has a name");
        *begun += 1;
    } else {
        assert!(index < *begun, "a piece of a call that has not begun");
    }
}

fn messages(events: &[Event]) {
    let events = parsed(events);
    let mut blocks = Blocks::default();
    let last = events.len() - 1;
    for (place, event) in events.iter().enumerate() {
        let kind = event["type"].as_str().unwrap();
        assert_eq!(kind == "message_start", place == 0, "one start");
        assert_eq!(kind == "message_stop", place == last, "nothing after the stop");
        match kind {
            "message_start" | "message_stop" | "ping" => {}
            "content_block_start" => blocks.start(event),
            "content_block_delta" => blocks.delta(event),
            "content_block_stop" => blocks.stop(event),
            "message_delta" => blocks.end(event),
            other => panic!("an event of type {other}"),
        }
    }
    assert!(blocks.ended, "a reason to stop");
}

/// The blocks of a message, as its events tell of them.
#[derive(Default)]
struct Blocks {
    begun: u64,
    open: Option<String>,
    ended: bool,
}

impl Blocks {
    fn start(&mut self, event: &Value) {
        assert!(!self.ended && self.open.is_none(), "blocks never overlap");
        assert_eq!(event["index"], self.begun, "blocks are counted");
        self.open = Some(event["content_block"]["type"].as_str().unwrap().to_owned());
        self.begun += 1;
    }

    fn delta(&self, event: &Value) {
        assert_eq!(event["index"], self.begun - 1, "a delta of the open block");
        let fits = match event["delta"]["type"].as_str().unwrap() {
            "text_delta" => "text",
            "thinking_delta" | "signature_delta" => "thinking",
            "input_json_delta" => "tool_use",
            other => panic!("a delta of type {other}"),
        };
        assert_eq!(self.open.as_deref(), Some(fits), "a delta of the block's kind");
    }

    fn stop(&mut self, event: &Value) {
        assert_eq!(event["index"], self.begun - 1, "the open block ends");
        assert!(self.open.take().is_some(), "a block ends once");
    }

    fn end(&mut self, event: &Value) {
        assert!(!self.ended && self.open.is_none(), "one reason to stop, after the blocks");
        assert!(event["delta"]["stop_reason"].is_string(), "a reason to stop");
        assert!(event["usage"]["output_tokens"].is_u64(), "usage");
        self.ended = true;
    }
}

fn responses(events: &[Event]) {
    let events = parsed(events);
    let last = events.len() - 1;
    let mut items = Items::default();
    for (place, event) in events.iter().enumerate() {
        let kind = event["type"].as_str().unwrap();
        assert_eq!(event["sequence_number"], place, "events are counted");
        assert_eq!(kind == "response.created", place == 0, "one start");
        let ends = matches!(kind, "response.completed" | "response.incomplete");
        assert_eq!(ends, place == last, "one end");
        match kind {
            "response.created" | "response.in_progress" => {}
            "response.output_item.added" => items.added(event),
            "response.output_item.done" => items.done(event),
            _ if ends => items.are(&event["response"]),
            _ => items.touched(event, kind),
        }
    }
}

/// The output items of a response, as its events tell of them.
#[derive(Default)]
struct Items {
    open: BTreeMap<u64, (String, String)>,
    done: Vec<(u64, Value)>,
    added: u64,
}

impl Items {
    fn added(&mut self, event: &Value) {
        let index = event["output_index"].as_u64().unwrap();
        assert_eq!(index, self.added, "items are counted");
        let id = event["item"]["id"].as_str().unwrap().to_owned();
        self.open.insert(index, (id, String::new()));
        self.added += 1;
    }

    fn touched(&mut self, event: &Value, kind: &str) {
        let index = event["output_index"].as_u64().unwrap();
        let (id, text) = self.open.get_mut(&index).expect("an item that is open");
        assert_eq!(event["item_id"], id.as_str(), "the id of the item");
        if let Some(piece) = event["delta"].as_str() {
            text.push_str(piece);
        } else if kind.rsplit('.').next() == Some("done") && !kind.contains("_part.") {
            let whole = event.get("text").or(event.get("arguments")).or(event.get("refusal"));
            assert_eq!(whole.unwrap(), &std::mem::take(text), "pieces and whole differ");
        }
    }

    fn done(&mut self, event: &Value) {
        let index = event["output_index"].as_u64().unwrap();
        let (id, text) = self.open.remove(&index).expect("an item that is open");
        assert_eq!(event["item"]["id"], id.as_str(), "the id of the item");
        assert_eq!(text, "", "a text without its end");
        self.done.push((index, without_status(&event["item"])));
    }

    fn are(&mut self, response: &Value) {
        assert!(self.open.is_empty(), "an item without its end");
        self.done.sort_by_key(|(index, _)| *index);
        let items: Vec<&Value> = self.done.iter().map(|(_, item)| item).collect();
        let output: Vec<Value> =
            response["output"].as_array().unwrap().iter().map(without_status).collect();
        assert!(output.iter().eq(items), "the output and the items that were sent: {response}");
    }
}

/// An item may turn out to be cut only after it was sent.
fn without_status(item: &Value) -> Value {
    let mut item = item.clone();
    item.as_object_mut().expect("an item").remove("status");
    item
}
