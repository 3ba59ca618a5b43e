//! B: bodies and JSON. What is not plainly JSON is refused; what is, goes on byte for byte.

use std::fs;

use crate::support::{
    Gate,
    client::request_head,
    corpus,
    http::Message,
    program::{Program, chat},
    reply,
    setup::Setup,
    until,
    upstream::{Step, Upstream},
};

const CHAT: &str = "/v1/chat/completions";

fn plain() -> (Upstream, Program) {
    let upstream = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    (upstream, program)
}

/// B01 to B05: every file of the corpus is refused with a 400 that no provider saw.
#[test]
fn b01_b02_b03_b04_b05_the_json_corpus_is_refused() {
    let (upstream, program) = plain();
    for file in corpus("json") {
        let body = fs::read(&file).unwrap();
        let mut client = program.client();
        client.send(request_head("POST", CHAT, &[], body.len())).send(&body);
        let answer = client.answer();
        let name = file.display();
        assert_eq!(answer.status(), 400, "{name}: {}", answer.text());
        let code = answer.code();
        assert!(code == "invalid_json" || code == "invalid_request", "{name}: {}", answer.text());
        assert_eq!(upstream.connections(), 0, "{name} reached a provider");
    }
    assert_eq!(program.chat("alpha").status(), 200);
}

#[test]
fn b01_a_syntax_error_says_where_it_is() {
    let (_upstream, program) = plain();
    let answer = program.post(CHAT, &[], "{\"model\": \"alpha\",\n  \"messages\": oops}");
    let error = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(error.contains("line 2") && error.contains("column"), "{error}");
    let answer = program.post("/v1/messages", &[], "{");
    assert_eq!(answer.json()["type"], "error");
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
}

#[test]
fn b02_depth_is_bounded() {
    let (upstream, program) = plain();
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        chat("alpha", "x", false).replacen('{', &format!(r#"{{"extra":{open}{close},"#), 1)
    };
    assert_eq!(program.post(CHAT, &[], &nested(64)).status(), 200);
    for depth in [65, 128, 100_000] {
        let answer = program.post(CHAT, &[], &nested(depth));
        assert_eq!(answer.status(), 400, "depth {depth}");
    }
    assert_eq!(upstream.requests(), 1);
}

#[test]
fn b05_numbers_keep_their_spelling() {
    let (upstream, program) = plain();
    for number in ["123456789012345678901234567890", "-0", "1e999", "1.50", "1E+2"] {
        let body = chat("alpha", "x", false).replacen('{', &format!(r#"{{"seed":{number},"#), 1);
        let answer = program.post(CHAT, &[], &body);
        assert_eq!(answer.status(), 200, "{number}: {}", answer.text());
        let seen = upstream.request(upstream.requests() - 1).text();
        assert!(seen.contains(&format!(r#""seed":{number},"#)), "{seen}");
    }
}

#[test]
fn b07_sizes_around_every_buffer_go_through_whole() {
    let upstream = Upstream::always(reply::chat("fine"));
    let limit = 384 << 10;
    let setup = Setup::one("openai-chat", upstream.address()).with("max_body: 384KiB");
    let program = Program::start(&setup);
    let empty = chat("alpha", "", false).len();
    for size in [65_535, 65_536, 65_537, 300_000, limit - 1, limit] {
        let body = chat("alpha", &"x".repeat(size - empty), false);
        let forwarded = body.replacen("\"alpha\"", "\"upstream-alpha\"", 1);
        for chunked in [false, true] {
            let before = upstream.requests();
            let answer = if chunked {
                post_chunked(&program, &body)
            } else {
                program.post(CHAT, &[], &body)
            };
            assert_eq!(answer.status(), 200, "{size} bytes, chunked: {chunked}");
            assert!(upstream.request(before).text() == forwarded, "{size} bytes were changed");
        }
    }
    let before = upstream.connections();
    let body = chat("alpha", &"x".repeat(limit + 1 - empty), false);
    for chunked in [false, true] {
        let answer =
            if chunked { post_chunked(&program, &body) } else { program.post(CHAT, &[], &body) };
        assert_eq!(answer.status(), 413, "one byte over the limit, chunked: {chunked}");
    }
    assert_eq!(upstream.connections(), before);
}

fn post_chunked(program: &Program, body: &str) -> Message {
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    let mut client = program.client();
    client.send(head);
    for piece in body.as_bytes().chunks(10_000) {
        client.send(format!("{:x}\r\n", piece.len())).send(piece).send("\r\n");
    }
    client.send("0\r\n\r\n").answer()
}

#[test]
fn b08_a_declared_length_over_the_limit_is_refused_before_it_is_read() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::one("openai-chat", upstream.address()).with("max_body: 1MiB");
    let program = Program::start(&setup);
    let mut client = program.client();
    client.send(request_head("POST", CHAT, &[], 2 << 20));
    let answer = client.answer();
    assert_eq!((answer.status(), answer.code().as_str()), (413, "request_too_large"));
    client.closed();
}

#[test]
fn b09_b10_a_body_that_does_not_come_ends_at_the_deadline() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::one("openai-chat", upstream.address()).with("timeouts: {body: 1s}");
    let program = Program::start(&setup);
    let head = request_head("POST", CHAT, &[], 100);
    let mut stalled = program.client();
    stalled.send(&head).send("{\"model");
    let answer = stalled.answer();
    assert_eq!((answer.status(), answer.code().as_str()), (408, "request_timeout"));
    stalled.closed();

    let mut dribbled = program.client();
    dribbled.send(&head);
    assert!(dribbled.dribble(b' ', 30) < 30, "a byte a second kept it open");

    let mut half = program.client();
    half.send(&head).send("{\"model");
    half.half_close();
    let received = String::from_utf8(half.closed()).unwrap();
    assert!(received.is_empty() || received.starts_with("HTTP/1.1 4"), "{received}");

    let mut reset = program.client();
    reset.send(&head).send("{\"model");
    reset.reset();
    assert_eq!(program.chat("alpha").status(), 200);
    assert_eq!(upstream.connections(), 1, "an unfinished body reached a provider");
}

#[test]
fn b11_b12_only_json_is_read() {
    let (upstream, program) = plain();
    let body = chat("alpha", "x", false);
    for kind in ["application/json; charset=utf-8", "application/vnd.x+json", "Application/JSON"] {
        assert_eq!(program.post(CHAT, &[("Content-Type", kind)], &body).status(), 200, "{kind}");
    }
    let before = upstream.connections();
    for kind in
        ["text/plain", "multipart/form-data; boundary=x", "application/json; charset=utf-16"]
    {
        let answer = program.post(CHAT, &[("Content-Type", kind)], &body);
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (415, "unsupported_media_type"),
            "{kind}"
        );
    }
    let missing = request_head("POST", CHAT, &[], body.len())
        .replace("Content-Type: application/json\r\n", "");
    assert_eq!(program.client().send(missing + &body).answer().status(), 415);
    for coding in ["gzip", "br", "gzip, gzip"] {
        let answer = program.post(CHAT, &[("Content-Encoding", coding)], &body);
        assert_eq!(answer.status(), 415, "{coding}");
    }
    assert_eq!(upstream.connections(), before);
}

#[test]
fn b13_b15_unknown_fields_and_strange_text_arrive_unchanged() {
    let (upstream, program) = plain();
    let body = r#"{ "model" : "alpha",  "unknown": {"z": 1, "a": [1.0, 2e3, null]},
        "messages":[{"role":"user","content":"\u0000 \u202e \u001b[2J \r\n </script> \ud83d\ude82","x-extra":[]}] }"#;
    let answer = program.post(CHAT, &[], body);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let seen = upstream.request(0).text();
    assert_eq!(seen, body.replacen("\"alpha\"", "\"upstream-alpha\"", 1));
    for line in program.log() {
        assert!(line.bytes().all(|byte| byte >= b' '), "{line:?}");
    }
}

#[test]
fn b16_an_image_address_is_not_fetched() {
    let (upstream, program) = plain();
    let bait = Upstream::always(reply::chat("fetched"));
    let body = format!(
        r#"{{"model":"alpha","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"http://{}/x.png"}}}}]}}]}}"#,
        bait.address()
    );
    let status = program.post(CHAT, &[], &body).status();
    assert!(matches!(status, 200 | 400), "{status}");
    assert_eq!(bait.connections(), 0);
    drop(upstream);
}

#[test]
fn b17_bodies_together_stay_within_memory() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_, _| {
        [vec![Step::Stall(held.clone())], reply::chat("fine")].concat()
    });
    let setup = Setup::one("openai-chat", upstream.address())
        .with("max_body: 2MiB\nlimits: {memory: 8MiB}");
    let program = Program::start(&setup);
    let body = chat("alpha", &"x".repeat(1 << 20), false);
    let mut waiting = Vec::new();
    let refused = until("a refusal for want of memory", || {
        let mut client = program.client();
        client.post(CHAT, &[], &body);
        let answered = client.answered_within(std::time::Duration::from_millis(300));
        if answered.is_none() {
            waiting.push(client);
        }
        answered
    });
    assert_eq!((refused.status(), refused.code().as_str()), (503, "overloaded"));
    assert!(refused.header("retry-after").is_some());
    assert!((1..=8).contains(&waiting.len()), "{} bodies of 1 MiB in 8 MiB", waiting.len());
    gate.open();
    for mut client in waiting {
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(program.post(CHAT, &[], &body).status(), 200, "the memory was given back");
}

#[test]
fn b18_the_idempotency_key_goes_on() {
    let (upstream, program) = plain();
    let body = chat("alpha", "x", false);
    let answer = program.post(CHAT, &[("Idempotency-Key", "k-1")], &body);
    assert_eq!(answer.status(), 200);
    assert_eq!(upstream.request(0).header("idempotency-key"), Some("k-1"));
}

#[test]
fn b06_many_small_things_are_bounded() {
    let (_upstream, program) = plain();
    let keys: Vec<String> = (0..1_000_000).map(|number| format!("\"k{number}\":0")).collect();
    let body = chat("alpha", "x", false).replacen('{', &format!("{{{},", keys.join(",")), 1);
    let status = program.post(CHAT, &[], &body).status();
    assert!(matches!(status, 200 | 400 | 413), "{status}");
    let turns = vec![r#"{"role":"user","content":"x"}"#; 500_000].join(",");
    let body = format!(r#"{{"model":"alpha","messages":[{turns}]}}"#);
    let status = program.post(CHAT, &[], &body).status();
    assert!(matches!(status, 200 | 400 | 413), "{status}");
    assert_eq!(program.chat("alpha").status(), 200);
}

/// Only what routing itself needs is judged here; the rest is between the caller and the provider.
#[test]
fn b14_values_out_of_range_are_the_providers_to_judge() {
    let (upstream, program) = plain();
    for body in [
        r#"{"model":"alpha","messages":[],"stream":"true"}"#,
        r#"{"model":"alpha","messages":[],"max_tokens":"many"}"#,
        r#"{"model":"alpha","messages":"hello"}"#,
        r#"{"model":7,"messages":[]}"#,
    ] {
        let answer = program.post(CHAT, &[], body);
        assert_eq!((answer.status(), answer.code().as_str()), (400, "invalid_request"), "{body}");
    }
    assert_eq!(upstream.connections(), 0);
    let odd =
        [r#""n":0"#, r#""temperature":1e9"#, r#""top_p":-3"#, r#""stop":7"#, r#""tools":"x""#];
    for (number, field) in odd.into_iter().enumerate() {
        let body = chat("alpha", "x", false).replacen('{', &format!("{{{field},"), 1);
        let answer = program.post(CHAT, &[], &body);
        assert_eq!(answer.status(), 200, "{field}: {}", answer.text());
        assert!(upstream.request(number).text().contains(field), "{field} is not as it came");
    }
}
