//! The simulator over its socket, as a client sees it.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use serde_json::Value;

use super::{
    fault::{Fault, Order},
    *,
};

fn running(api: Api, key: Option<&str>) -> Running {
    let provider = Provider {
        name: "sim".to_owned(),
        api,
        key: key.map(str::to_owned),
        models: vec![
            Model::instant("fast"),
            Model { context_window: Some(5), ..Model::instant("small") },
        ],
    };
    start(TcpListener::bind("127.0.0.1:0").unwrap(), provider).unwrap()
}

/// Head and body, with chunks joined.
fn exchange(
    running: &Running,
    method: &str,
    path: &str,
    head: &str,
    body: &str,
) -> (String, String) {
    let mut stream = TcpStream::connect(running.address()).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{head}\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let body =
        if head.contains("transfer-encoding: chunked") { dechunk(body) } else { body.to_owned() };
    (head.to_owned(), body)
}

/// The payload of a chunked body; a body that breaks off keeps what came, with a mark.
fn dechunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let (chunk, rest) = rest.split_at(usize::from_str_radix(size, 16).unwrap());
        if chunk.is_empty() {
            return whole;
        }
        whole.push_str(chunk);
        body = rest.trim_start_matches("\r\n");
    }
    whole + "<BROKEN>"
}

fn post(running: &Running, path: &str, body: &str) -> (String, String) {
    exchange(running, "POST", path, "content-type: application/json\r\n", body)
}

const CHAT: &str = r#"{"model":"fast","messages":[{"role":"user","content":"hello"}]}"#;
const CHAT_STREAM: &str =
    r#"{"model":"fast","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

#[test]
fn chat_answers_whole_and_streamed_with_the_same_text() {
    let running = running(Api::OpenAi, None);
    let (head, body) = post(&running, "/v1/chat/completions", CHAT);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("x-request-id: req_simulated_"));
    let whole: Value = serde_json::from_str(&body).unwrap();
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert!(text.starts_with("[simulated fast]"));
    assert!(whole["usage"]["completion_tokens"].as_u64().unwrap() > 5);

    let (_, body) = post(&running, "/chat/completions", CHAT_STREAM);
    assert!(body.ends_with("data: [DONE]\n\n"));
    let streamed: String = body
        .lines()
        .filter_map(|line| line.strip_prefix("data: {"))
        .map(|data| serde_json::from_str::<Value>(&format!("{{{data}")).unwrap())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(streamed, text);
    assert!(!body.contains("\"usage\""), "usage only where it is asked for");
    let asked = CHAT_STREAM.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
    assert!(post(&running, "/v1/chat/completions", &asked).1.contains(r#""usage":{"#));
}

#[test]
fn messages_and_responses_have_their_events_in_order() {
    let anthropic = running(Api::Anthropic, None);
    let asked = CHAT_STREAM.replacen('{', r#"{"max_tokens":100,"#, 1);
    let (head, body) = post(&anthropic, "/v1/messages", &asked);
    assert!(head.contains("\nrequest-id: "), "{head}");
    let mut names: Vec<&str> =
        body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );

    let openai = running(Api::OpenAi, None);
    let (_, body) =
        post(&openai, "/v1/responses", r#"{"model":"fast","stream":true,"input":"hello"}"#);
    let numbers: Vec<u64> = body
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| {
            serde_json::from_str::<Value>(data).unwrap()["sequence_number"].as_u64().unwrap()
        })
        .collect();
    assert!(numbers.iter().enumerate().all(|(index, number)| index as u64 == *number));
    assert!(body.contains("event: response.completed\n"));
    assert!(!body.contains("response.failed"));
}

#[test]
fn a_named_tool_is_called_in_each_api() {
    let openai = running(Api::OpenAi, None);
    let chat = r#"{"model":"fast","messages":[{"role":"user","content":"call weather"}],"tools":[
        {"type":"function","function":{"name":"weather","parameters":{"properties":{"city":{"type":"string"}}}}}]}"#;
    let (_, body) = post(&openai, "/v1/chat/completions", chat);
    let whole: Value = serde_json::from_str(&body).unwrap();
    let choice = &whole["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(
        choice["message"]["tool_calls"][0]["function"]["arguments"],
        r#"{"city":"simulated"}"#
    );
    let responses = r#"{"model":"fast","input":"call weather","tools":[
        {"type":"function","name":"weather","parameters":{"properties":{"city":{"type":"string"}}}}]}"#;
    let (_, body) = post(&openai, "/v1/responses", responses);
    let whole: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(whole["output"][0]["type"], "function_call");

    let anthropic = running(Api::Anthropic, None);
    let messages = r#"{"model":"fast","max_tokens":9,"messages":[{"role":"user","content":"call weather"}],
        "tools":[{"name":"weather","input_schema":{"properties":{"city":{"type":"string"}}}}]}"#;
    let (_, body) = post(&anthropic, "/v1/messages", messages);
    let whole: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(whole["stop_reason"], "tool_use");
    assert_eq!(whole["content"][0]["input"]["city"], "simulated");
}

#[test]
fn mistakes_are_refused_in_the_apis_shape() {
    let openai = running(Api::OpenAi, Some("sk-right"));
    let (head, body) = post(&openai, "/v1/chat/completions", CHAT);
    assert!(head.starts_with("HTTP/1.1 401"));
    assert!(body.contains("invalid_api_key"));
    let authorized = |body: &str| {
        let head = "authorization: Bearer sk-right\r\n";
        exchange(&openai, "POST", "/v1/chat/completions", head, body)
    };
    assert!(authorized(&CHAT.replace("fast", "gone")).0.starts_with("HTTP/1.1 404"));
    assert!(authorized("{").0.starts_with("HTTP/1.1 400"));
    let (head, body) =
        authorized(&CHAT.replace("fast", "small").replace("hello", &"long ".repeat(9)));
    assert!(head.starts_with("HTTP/1.1 400") && body.contains("context_length_exceeded"), "{body}");

    let anthropic = running(Api::Anthropic, None);
    let (head, body) = post(&anthropic, "/v1/messages", CHAT);
    assert!(head.starts_with("HTTP/1.1 400"), "max_tokens is missing");
    assert!(body.contains("invalid_request_error"));
    assert!(post(&anthropic, "/v1/chat/completions", CHAT).0.starts_with("HTTP/1.1 404"));
}

#[test]
fn the_other_endpoints_answer() {
    let openai = running(Api::OpenAi, None);
    let ok = |path: &str, body: &str| {
        let mut stream = TcpStream::connect(openai.address()).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}");
    };
    ok("/v1/embeddings", r#"{"model":"fast","input":["a","b"]}"#);
    ok("/v1/completions", r#"{"model":"fast","prompt":"a"}"#);
    ok("/v1/images/generations", r#"{"model":"fast","prompt":"a"}"#);
    ok("/v1/audio/speech", r#"{"model":"fast","input":"a","voice":"b"}"#);
    let (_, models) = exchange(&openai, "GET", "/v1/models", "", "");
    assert_eq!(serde_json::from_str::<Value>(&models).unwrap()["data"][0]["id"], "fast");
    let anthropic = running(Api::Anthropic, None);
    let (_, counted) = post(&anthropic, "/v1/messages/count_tokens", CHAT);
    assert!(serde_json::from_str::<Value>(&counted).unwrap()["input_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn faults_are_ordered_over_the_socket_and_counted() {
    let running = running(Api::OpenAi, None);
    let order = r#"{"fault":"status","status":503,"retry_after":2,"times":1}"#;
    let (_, ordered) = post(&running, "/_simulator/fast", order);
    assert!(ordered.contains("ordered"), "{ordered}");
    let (head, _) = post(&running, "/v1/chat/completions", CHAT);
    assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 2"), "{head}");
    assert!(post(&running, "/v1/chat/completions", CHAT).0.starts_with("HTTP/1.1 200"));

    running.order("*", Some(Order::always(Fault::CutAfterTokens { tokens: 2 })));
    let (head, body) = post(&running, "/v1/chat/completions", CHAT_STREAM);
    assert!(head.starts_with("HTTP/1.1 200"));
    assert!(body.ends_with("<BROKEN>") && body.contains("[simulated"), "{body}");
    running.order("*", Some(Order::times(Fault::Refuse, 1)));
    assert_eq!(post(&running, "/v1/chat/completions", CHAT).0, "");

    let (_, report) = exchange(&running, "GET", "/_simulator", "", "");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["journal"]["requests"], 4);
    assert_eq!(report["journal"]["last"][0]["body"], CHAT);
    assert_eq!(running.report().cancelled, 0);
}

#[test]
fn a_caller_that_leaves_is_counted_as_cancelled() {
    let running = running(Api::OpenAi, None);
    running.order("fast", Some(Order::always(Fault::Silence)));
    let mut stream = TcpStream::connect(running.address()).unwrap();
    let length = CHAT.len();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{CHAT}"
    )
    .unwrap();
    while running.report().open == 0 {
        thread::yield_now();
    }
    drop(stream);
    while running.report().cancelled == 0 {
        thread::yield_now();
    }
    assert_eq!(running.report().open, 0);
}
