//! What a request costs on its way through: reading it, naming the model, and turning it into another API's. The bar is
//! one millisecond for a conversation of 100 KB (issue 4).

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::fmt::Write as _;

use divan::{Bencher, black_box, counter::BytesCount};
use pointsman::dialect::{
    Dialect,
    carry::carry,
    estimate, json,
    request::{Shape, read_request, write_request},
};

fn main() {
    divan::main();
}

/// A coding agent's session of about 100 KB in Messages: a long system prompt, tools, and rounds of two calls at once.
fn session() -> String {
    let prose = "You read the file before you change it, and you run the tests after. Say \\\"done\\\" once.\\n".repeat(60);
    let schema = r#"{"type":"object","properties":{"path":{"type":"string"},"limit":{"type":"integer"}},"required":["path"]}"#;
    let mut body = format!(
        r#"{{"model":"router:software-engineering","max_tokens":32000,"stream":true,"system":[{{"type":"text","text":"{prose}","cache_control":{{"type":"ephemeral"}}}}],"tools":["#
    );
    for tool in 0..12 {
        let comma = if tool == 0 { "" } else { "," };
        write!(body, r#"{comma}{{"name":"tool_{tool}","description":"Reads, or writes.","input_schema":{schema}}}"#).unwrap();
    }
    body.push_str(r#"],"messages":[{"role":"user","content":"Fix the bug."}"#);
    let code =
        "    let total = values.iter().map(|value| value.len()).sum::<usize>();\\n".repeat(22);
    for round in 0..24 {
        write!(
            body,
            r#",{{"role":"assistant","content":[{{"type":"thinking","thinking":"Look at both.","signature":"EqQB"}},{{"type":"text","text":"I will look."}},{{"type":"tool_use","id":"toolu_{round}a","name":"tool_0","input":{{"path":"src/main.rs","limit":200}}}},{{"type":"tool_use","id":"toolu_{round}b","name":"tool_1","input":{{"path":"src/lib.rs"}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"toolu_{round}a","content":[{{"type":"text","text":"{code}"}}]}},{{"type":"tool_result","tool_use_id":"toolu_{round}b","content":"{code}"}}]}}"#
        )
        .unwrap();
    }
    body.push_str("]}");
    body
}

const SHAPE: Shape<'static> = Shape {
    upstream_id: "gpt-5.2-2025-12-11",
    max_output: Some(64_000),
    prefill: false,
    foreign_reasoning: false,
    quirks: pointsman::dialect::request::Quirks {
        no_stream_options: false,
        max_tokens_only: false,
        no_prompt_cache: false,
    },
};

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let body = session();
    bencher
        .counter(BytesCount::of_str(&body))
        .bench(|| json::parse(black_box(body.as_bytes())).unwrap());
}

#[divan::bench]
fn read(bencher: Bencher<'_, '_>) {
    let body = session();
    bencher
        .counter(BytesCount::of_str(&body))
        .bench(|| read_request(Dialect::Messages, black_box(body.as_bytes())).unwrap());
}

#[divan::bench]
fn estimate_tokens(bencher: Bencher<'_, '_>) {
    let body = session();
    let request = read_request(Dialect::Messages, body.as_bytes()).unwrap();
    bencher
        .counter(BytesCount::of_str(&body))
        .bench(|| estimate::input_tokens(black_box(&request)));
}

#[divan::bench]
fn name_the_model(bencher: Bencher<'_, '_>) {
    let body = session();
    let request = read_request(Dialect::Messages, body.as_bytes()).unwrap();
    bencher
        .counter(BytesCount::of_str(&body))
        .bench(|| write_request(black_box(&request), body.as_bytes(), Dialect::Messages, &SHAPE));
}

#[divan::bench]
fn weigh_losses(bencher: Bencher<'_, '_>) {
    let body = session();
    let request = read_request(Dialect::Messages, body.as_bytes()).unwrap();
    bencher.bench(|| carry(black_box(&request), Dialect::Chat).unwrap());
}

/// The whole way from Messages to another API: read, weigh, write.
#[divan::bench(args = [Dialect::Chat, Dialect::Responses])]
fn messages_to(bencher: Bencher<'_, '_>, to: Dialect) {
    let body = session();
    bencher.counter(BytesCount::of_str(&body)).bench(|| {
        let request = read_request(Dialect::Messages, black_box(body.as_bytes())).unwrap();
        carry(&request, to).unwrap();
        write_request(&request, body.as_bytes(), to, &SHAPE)
    });
}

/// The whole way from chat to Messages, where the arguments of every call are read as JSON.
#[divan::bench]
fn chat_to_messages(bencher: Bencher<'_, '_>) {
    let body = session();
    let request = read_request(Dialect::Messages, body.as_bytes()).unwrap();
    let body = write_request(&request, body.as_bytes(), Dialect::Chat, &SHAPE).body;
    bencher.counter(BytesCount::of_slice(&body)).bench(|| {
        let request = read_request(Dialect::Chat, black_box(&body)).unwrap();
        carry(&request, Dialect::Messages).unwrap();
        write_request(&request, &body, Dialect::Messages, &SHAPE)
    });
}
