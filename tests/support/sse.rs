//! A reader of event streams, to the letter of the standard, for what a client received.

use serde_json::Value;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Event {
    /// Its name, where it has one.
    pub(crate) name: String,
    /// Its data lines, joined.
    pub(crate) data: String,
}

/// Every event of a stream; one that is not closed by a blank line is none.
pub(crate) fn events(text: &str) -> Vec<Event> {
    let text =
        text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let whole = text.rfind("\n\n").map_or("", |end| &text[..end + 2]);
    let mut events = Vec::new();
    let mut event = Event::default();
    let mut lines = Vec::new();
    for line in whole.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() && !lines.is_empty() => {
                event.data = lines.join("\n");
                events.push(std::mem::take(&mut event));
                lines.clear();
            }
            "data" => lines.push(value.to_owned()),
            "event" => value.clone_into(&mut event.name),
            _ => {}
        }
    }
    events
}

/// The text of a chat stream, and how it ended.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Chat {
    /// The content, joined.
    pub(crate) text: String,
    /// Whether `[DONE]` came.
    pub(crate) done: bool,
    /// The message of an error event.
    pub(crate) error: Option<String>,
    /// Every `model` that was named.
    pub(crate) models: Vec<String>,
}

/// Reads a chat stream.
pub(crate) fn chat(text: &str) -> Chat {
    let mut chat = Chat::default();
    for event in events(text) {
        if event.data == "[DONE]" {
            chat.done = true;
            continue;
        }
        let data: Value =
            serde_json::from_str(&event.data).unwrap_or_else(|fault| panic!("{fault}: {event:?}"));
        if let Some(error) = data.get("error") {
            chat.error = Some(error["message"].as_str().unwrap_or_default().to_owned());
        }
        if let Some(model) = data["model"].as_str() {
            chat.models.push(model.to_owned());
        }
        chat.text.push_str(data["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    }
    chat.models.dedup();
    chat
}

#[test]
fn line_ends_of_every_kind_end_lines() {
    let text = "data: a\r\n\r\ndata:b\n: c\ndata: c\n\nevent: x\rdata: d\r\rdata: cut";
    let found: Vec<String> = events(text).into_iter().map(|event| event.data).collect();
    assert_eq!(found, ["a", "b\nc", "d"]);
    assert_eq!(events(text)[2].name, "x");
}
