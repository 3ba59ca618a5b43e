//! What a scripted upstream answers: whole answers and streams of each API, as raw bytes.

use serde_json::json;

use super::upstream::{Step, send};

/// An HTTP answer with a length, after which the connection closes.
pub(crate) fn raw(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// An answer in JSON.
pub(crate) fn json(status: u16, body: &str) -> Vec<Step> {
    vec![send(raw(status, "Content-Type: application/json\r\n", body)), Step::Fin]
}

/// An error in the shape of the Chat Completions API.
pub(crate) fn error(status: u16, headers: &str, message: &str) -> Vec<Step> {
    let body =
        json!({"error": {"message": message, "type": "simulated", "param": null, "code": null}});
    let headers = format!("Content-Type: application/json\r\n{headers}");
    vec![send(raw(status, &headers, &body.to_string())), Step::Fin]
}

/// A whole chat completion that says `text`.
pub(crate) fn chat_body(text: &str) -> String {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "upstream-id",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text},
                     "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    })
    .to_string()
}

/// A whole chat completion that says `text`.
pub(crate) fn chat(text: &str) -> Vec<Step> {
    json(200, &chat_body(text))
}

/// A whole answer of the Messages API that says `text`.
pub(crate) fn messages(text: &str) -> Vec<Step> {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-id",
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn",
        "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 2},
    });
    json(200, &body.to_string())
}

/// The head of a stream.
pub(crate) fn stream_head() -> Step {
    send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
}

/// One chunk.
pub(crate) fn chunk(bytes: &str) -> Step {
    send(format!("{:x}\r\n{bytes}\r\n", bytes.len()))
}

/// The end of a chunked body, and of the connection.
pub(crate) fn end() -> [Step; 2] {
    [send("0\r\n\r\n"), Step::Fin]
}

/// An event of a chat stream with this `delta`.
pub(crate) fn chat_event(delta: &str, finish: Option<&str>) -> String {
    let finish = finish.map_or_else(|| "null".to_owned(), |finish| format!("\"{finish}\""));
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"upstream-id\",\
         \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

/// The event that opens a chat stream: a role, no content.
pub(crate) fn role() -> Step {
    chunk(&chat_event(r#"{"role":"assistant","content":""}"#, None))
}

/// An event with text.
pub(crate) fn token(text: &str) -> Step {
    chunk(&chat_event(&json!({"content": text}).to_string(), None))
}

/// The event that says why a chat stream ends.
pub(crate) fn finish() -> Step {
    chunk(&chat_event("{}", Some("stop")))
}

/// The terminal event of a chat stream.
pub(crate) fn done() -> Step {
    chunk("data: [DONE]\n\n")
}

/// A whole chat stream that says `texts`.
pub(crate) fn chat_stream(texts: &[&str]) -> Vec<Step> {
    let mut steps = vec![stream_head(), role()];
    steps.extend(texts.iter().map(|text| token(text)));
    steps.extend([finish(), done()]);
    steps.extend(end());
    steps
}

/// The events of a whole Messages stream that says `texts`.
pub(crate) fn messages_events(texts: &[&str]) -> Vec<String> {
    let event = |name: &str, data: serde_json::Value| format!("event: {name}\ndata: {data}\n\n");
    let mut events = vec![
        event(
            "message_start",
            json!({"type": "message_start", "message": {
                "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-id",
                "content": [], "stop_reason": null, "stop_sequence": null,
                "usage": {"input_tokens": 5, "output_tokens": 1}}}),
        ),
        event(
            "content_block_start",
            json!({"type": "content_block_start", "index": 0,
                   "content_block": {"type": "text", "text": ""}}),
        ),
    ];
    events.extend(texts.iter().map(|text| {
        event(
            "content_block_delta",
            json!({"type": "content_block_delta", "index": 0,
                   "delta": {"type": "text_delta", "text": text}}),
        )
    }));
    events.push(event("content_block_stop", json!({"type": "content_block_stop", "index": 0})));
    events.push(event(
        "message_delta",
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
               "usage": {"output_tokens": 2}}),
    ));
    events.push(event("message_stop", json!({"type": "message_stop"})));
    events
}
