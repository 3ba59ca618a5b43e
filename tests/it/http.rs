//! A: HTTP framing and heads. What two readers could read in two ways is refused, and nothing of it reaches a provider.

use std::fs;

use crate::support::{
    Gate, corpus,
    http::Message,
    program::{Program, chat},
    reply,
    setup::Setup,
    upstream::{Step, Upstream},
};

struct Bench {
    program: Program,
    upstream: Upstream,
}

impl Bench {
    fn new() -> Self {
        Self::with("")
    }

    fn with(settings: &str) -> Self {
        let upstream = Upstream::always(reply::chat("fine"));
        let setup = Setup::one("openai-chat", upstream.address()).with(settings);
        let program = Program::start(&setup);
        Self { program, upstream }
    }

    /// Sends raw bytes and expects one of `statuses` and a close, with no provider contacted.
    #[track_caller]
    fn refuses(&self, bytes: impl AsRef<[u8]>, statuses: &[u16]) -> Message {
        let before = self.upstream.connections();
        let mut client = self.program.client();
        client.send(bytes.as_ref());
        let answer = client.answer();
        let shown = bytes.as_ref().escape_ascii().to_string();
        let shown = shown.get(..400).unwrap_or(&shown);
        assert!(statuses.contains(&answer.status()), "{}: {shown}", answer.line);
        let rest = client.closed();
        assert!(rest.is_empty(), "answered twice: {}", rest.escape_ascii());
        assert_eq!(self.upstream.connections(), before, "a provider was contacted: {shown}");
        answer
    }

    /// A POST whose framing fields are `fields`.
    #[track_caller]
    fn refuses_framing(&self, fields: &str, statuses: &[u16]) {
        let body = chat("alpha", "hello", false);
        let length = body.len();
        let fields = fields.replace("LENGTH", &length.to_string());
        let path = "/v1/chat/completions";
        self.refuses(
            format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{fields}\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
            ),
            statuses,
        );
    }

    #[track_caller]
    fn lives(&self) {
        assert_eq!(self.program.chat("alpha").status(), 200);
    }
}

#[test]
fn a01_content_length_and_chunked() {
    let bench = Bench::new();
    bench.refuses_framing("Content-Length: LENGTH\r\nTransfer-Encoding: chunked\r\n", &[400]);
    bench.refuses_framing("Transfer-Encoding: chunked\r\nContent-Length: LENGTH\r\n", &[400]);
    bench.refuses_framing("Transfer-Encoding: chunked\r\ncontent-length: 0\r\n", &[400]);
    bench.lives();
}

#[test]
fn a02_two_different_lengths() {
    let bench = Bench::new();
    bench.refuses_framing("Content-Length: 7\r\nContent-Length: 8\r\n", &[400]);
    bench.lives();
}

#[test]
fn a03_the_same_length_twice() {
    let bench = Bench::new();
    bench.refuses_framing("Content-Length: 7, 7\r\n", &[400]);
    bench.refuses_framing("Content-Length: 7\r\nContent-Length: 7\r\n", &[400]);
    bench.lives();
}

#[test]
fn a04_lengths_that_are_no_plain_number() {
    let bench = Bench::new();
    for length in ["+7", "-1", "0x7", "7 7", "7;", "", "99999999999999999999", "1e3"] {
        bench.refuses_framing(&format!("Content-Length: {length}\r\n"), &[400]);
    }
    bench.lives();
}

#[test]
fn a05_codings_that_hide_chunked() {
    let bench = Bench::new();
    for coding in ["chunked, identity", "xchunked", "chunked, chunked", "\x0bchunked", "chunke"] {
        bench.refuses_framing(&format!("Transfer-Encoding: {coding}\r\n"), &[400, 501]);
    }
    bench.refuses_framing("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", &[400]);
    bench.lives();
}

#[test]
fn a06_a_coding_that_is_not_served() {
    let bench = Bench::new();
    bench.refuses_framing("Transfer-Encoding: gzip, chunked\r\n", &[501]);
    bench.lives();
}

#[test]
fn a07_other_versions() {
    let bench = Bench::new();
    let body = chat("alpha", "hello", false);
    let length = body.len();
    bench.refuses(
        format!(
            "POST /v1/chat/completions HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        ),
        &[400],
    );
    for version in ["HTTP/1.2", "HTTP/9.9"] {
        bench.refuses(format!("GET /v1/models {version}\r\nHost: x\r\n\r\n"), &[400, 505]);
    }
    let mut client = bench.program.client();
    client.send(format!(
        "POST /v1/chat/completions HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    assert_eq!(client.answer().status(), 200);
    client.closed();
}

#[test]
fn a08_hosts() {
    let bench = Bench::new();
    let get = |hosts: &str| format!("GET /v1/models HTTP/1.1\r\n{hosts}\r\n");
    bench.refuses(get(""), &[400]);
    bench.refuses(get("Host: a\r\nHost: b\r\n"), &[400]);
    for host in ["user@host", "a/b", "a b", "host:99999"] {
        bench.refuses(get(&format!("Host: {host}\r\n")), &[400]);
    }
    bench.lives();
}

#[test]
fn a09_targets_that_are_not_paths() {
    let bench = Bench::new();
    for target in [
        "//evil/v1/chat/completions",
        "/v1/../admin",
        "/v1/%2e%2e/metrics",
        "/v1/chat/completions/",
        "/v1//chat/completions",
        "/V1/chat/completions",
        "/metrics",
        "/healthz",
    ] {
        let body = chat("alpha", "hello", false);
        let before = bench.upstream.connections();
        let answer = bench.program.post(target, &[], &body);
        assert!(matches!(answer.status(), 400 | 404), "{target}: {}", answer.line);
        assert_eq!(bench.upstream.connections(), before, "{target}");
    }
    let mut client = bench.program.client();
    client.send("OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(matches!(client.answer().status(), 400 | 404 | 405));
    let foreign =
        "GET http://other.example/v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(matches!(bench.program.client().send(foreign).answer().status(), 400 | 404));
    bench.lives();
}

#[test]
fn a10_methods_of_tunnels() {
    let bench = Bench::new();
    for line in ["CONNECT provider.example:443 HTTP/1.1", "TRACE /v1/models HTTP/1.1"] {
        let mut client = bench.program.client();
        client.send(format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n"));
        let status = client.answer().status();
        assert!(matches!(status, 400 | 404 | 405), "{line}: {status}");
    }
    let answer = bench
        .program
        .client()
        .send("PUT /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        .answer();
    assert_eq!(answer.status(), 405);
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("POST")), "{answer:?}");
    assert_eq!(bench.upstream.connections(), 0);
    bench.lives();
}

#[test]
fn a11_upgrade_with_a_second_request_behind() {
    let bench = Bench::new();
    bench.refuses(
        "GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
         POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        &[400, 426],
    );
    bench.lives();
}

#[test]
fn a12_lines_that_are_no_header_fields() {
    let bench = Bench::new();
    for field in [
        "X-A: 1\r\n folded",
        "X-A : 1",
        "X-A: a\0b",
        "X-A: a\rb",
        "X A: 1",
        "no colon",
        "X-\u{fc}: 1",
        "X-A: \u{fc}",
    ] {
        let answer =
            bench.refuses(format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n"), &[400]);
        assert!(!answer.text().contains("folded"), "reflected");
    }
    bench.lives();
}

#[test]
fn a13_chunks_that_lie() {
    let bench = Bench::with("timeouts: {body: 3s}");
    let post = |chunks: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n{chunks}"
        )
    };
    for chunks in ["FFFFFFFFFFFFFFFFF\r\nabc", "-1\r\nabc", "zz\r\nabc", "3\r\nabcXX0\r\n\r\n"] {
        bench.refuses(post(chunks), &[400, 413]);
    }
    let body = chat("alpha", &"x".repeat(100_000), false);
    let mut bytes = post("").into_bytes();
    for byte in body.bytes() {
        bytes.extend_from_slice(b"1\r\n");
        bytes.push(byte);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    let answer = bench.program.client().send(&bytes).answer();
    assert!(matches!(answer.status(), 200 | 400 | 413), "{}", answer.line);
    let extension = post(&format!("3;{}\r\n", "x".repeat(10 << 20)));
    let before = (bench.program.resident(), bench.upstream.connections());
    let mut client = bench.program.client();
    client.send(extension);
    let received = String::from_utf8(client.closed()).unwrap();
    assert!(received.is_empty() || received.starts_with("HTTP/1.1 4"), "{received}");
    assert_eq!(bench.upstream.connections(), before.1);
    assert!(bench.program.resident() < before.0 + (16 << 20), "memory grew with the extension");
    bench.lives();
}

#[test]
fn a14_what_follows_an_early_refusal_is_no_request() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::one("openai-chat", upstream.address())
        .with("keys: [{name: k, key: env:CALLER}]")
        .environment("CALLER", "sk-CANARY-caller");
    let program = Program::start(&setup);
    let smuggled = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Smuggled: 1\r\n\
                    Authorization: Bearer sk-CANARY-caller\r\nContent-Length: 2\r\n\r\n{}";
    let filling = smuggled.repeat((10 << 20) / smuggled.len());
    let mut client = program.client();
    client.post("/v1/chat/completions", &[], &filling);
    assert_eq!(client.answer().status(), 401);
    let rest = String::from_utf8(client.closed()).unwrap();
    assert!(rest.is_empty(), "the body was read as requests: {rest}");
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a15_trailers_are_dropped() {
    let bench = Bench::new();
    let body = chat("alpha", "hello", false);
    let bytes = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
         \r\n{:x}\r\n{body}\r\n0\r\nx-admin: 1\r\ncontent-length: 3\r\n\r\n",
        body.len()
    );
    let answer = bench.program.client().send(bytes).answer();
    assert!(matches!(answer.status(), 200 | 400), "{}", answer.line);
    let seen = String::from_utf8(bench.upstream.received()).unwrap();
    assert!(!seen.to_ascii_lowercase().contains("x-admin"), "{seen}");
}

#[test]
fn a16_expect_100_continue() {
    let bench = Bench::new();
    let body = chat("alpha", "hello", false);
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = bench.program.client();
    let interim = client.send(head).answer();
    assert_eq!(interim.status(), 100);
    assert_eq!(client.send(body).answer().status(), 200);
    let mut client = bench.program.client();
    client.send(
        "POST /nowhere HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    assert_eq!(client.answer().status(), 404, "a final status without 100 before it");
}

#[test]
fn a17_heads_that_are_too_large() {
    let bench = Bench::new();
    let before = bench.program.resident();
    let get = |fields: &str| format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    bench.refuses(get(&"X-A: 1\r\n".repeat(120)), &[431]);
    bench.refuses(get(&"X-A: 1\r\n".repeat(257)), &[400, 431]);
    bench.refuses(get(&format!("X-A: {}\r\n", "a".repeat(33 * 1024))), &[431]);
    bench.refuses(get(&format!("X-A: {}\r\n", "a".repeat(900 * 1024))), &[400, 431]);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "p".repeat(40 * 1024));
    bench.refuses(long, &[414, 431]);
    assert!(bench.program.resident() < before + (32 << 20), "memory grew with the heads");
    bench.lives();
}

#[test]
fn a18_a_dribbled_head_ends_at_its_deadline() {
    let bench = Bench::new();
    let mut client = bench.program.client();
    client.send("GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    // Far more bytes than the deadline has room for.
    let sent = client.dribble(b'a', 90);
    let received = String::from_utf8(client.closed()).unwrap();
    assert!(received.is_empty() || received.starts_with("HTTP/1.1 408"), "{received}");
    assert!((20..60).contains(&sent), "closed after {sent} s, not at the deadline of 30 s");
    bench.lives();
}

#[test]
fn a20_pipelined_requests_are_answered_in_order_or_not_at_all() {
    let upstream = Upstream::answering(|_, request| {
        let question = request.json()["messages"][0]["content"].as_str().unwrap().to_owned();
        reply::chat(&question)
    });
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    for count in [2, 100] {
        let mut client = program.client();
        for number in 0..count {
            client.post("/v1/chat/completions", &[], &chat("alpha", &format!("<{number}>"), false));
        }
        let bytes = {
            client.half_close();
            client.closed()
        };
        let mut rest = &bytes[..];
        let mut answered = 0;
        while let Some(message) = Message::parse(rest, true) {
            if message.status() == 200 {
                assert!(
                    message.text().contains(&format!("<{answered}>")),
                    "mixed: {}",
                    message.text()
                );
            }
            rest = &rest[message.length..];
            answered += 1;
        }
        assert!(answered <= count);
    }
    assert_eq!(program.chat("alpha").status(), 200);
}

#[test]
fn a21_a22_no_field_of_the_caller_steers_or_passes() {
    let bench = Bench::new();
    let headers = [
        ("Connection", "authorization, x-foo"),
        ("X-Foo", "passed"),
        ("X-Forwarded-For", "9.9.9.9"),
        ("Forwarded", "for=9.9.9.9"),
        ("X-Real-IP", "9.9.9.9"),
        ("TE", "trailers"),
        ("Proxy-Authorization", "Basic eDp5"),
    ];
    let answer = bench.program.post("/v1/chat/completions", &headers, &chat("alpha", "x", false));
    assert_eq!(answer.status(), 200);
    let seen = bench.upstream.request(0);
    assert_eq!(seen.header("authorization"), Some("Bearer sk-CANARY-provider-one"));
    for (name, value) in &seen.headers {
        assert!(!value.contains("9.9.9.9") && !value.contains("passed"), "{name}: {value}");
        assert!(
            !["te", "x-foo", "proxy-authorization", "forwarded"].contains(&name.as_str()),
            "{name}"
        );
    }
}

/// Every file of the corpus is a request that must be refused and must not reach a provider; its first line says so.
#[test]
fn the_smuggling_corpus_is_refused() {
    let bench = Bench::new();
    for file in corpus("smuggling") {
        let bytes = fs::read(&file).unwrap();
        let mut client = bench.program.client();
        client.send(&bytes).half_close();
        let received = client.closed();
        let received = String::from_utf8_lossy(&received).into_owned();
        let answers = received.matches("HTTP/1.1 ").count();
        let refused = received.is_empty()
            || (answers == 1
                && ["HTTP/1.1 4", "HTTP/1.1 5"].iter().any(|start| received.starts_with(start)));
        assert!(refused, "{}: {received}", file.display());
        assert_eq!(bench.upstream.connections(), 0, "{} reached a provider", file.display());
    }
    bench.lives();
}

#[test]
fn a07_http_1_0_is_served_and_closed() {
    let bench = Bench::new();
    let body = chat("alpha", "hello", false);
    let length = body.len();
    let mut client = bench.program.client();
    client.send(format!(
        "POST /v1/chat/completions HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    let answer = client.answer();
    assert_eq!(answer.status(), 200);
    assert!(!answer.header("connection").is_some_and(|value| value.contains("keep-alive")));
    client.closed();
}

#[test]
fn a20_a_request_that_comes_while_another_is_answered_is_next() {
    let gate = Gate::new();
    let held = [vec![Step::Stall(gate.clone())], reply::chat("first")].concat();
    let upstream =
        Upstream::answering(
            move |number, _| {
                if number == 0 { held.clone() } else { reply::chat("second") }
            },
        );
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut client = program.client();
    let path = "/v1/chat/completions";
    client.post(path, &[], &chat("alpha", "one", false));
    upstream.request(0);
    client.send("\r\n").post(path, &[], &chat("alpha", "two", false));
    gate.open();
    assert!(client.answer().text().contains("first"));
    assert!(client.answer().text().contains("second"));
}

#[test]
fn a_a_refused_head_is_answered_like_any_other_request() {
    let bench = Bench::new();
    let fields = "X-Request-Id: refused-1\r\nContent-Length: 7, 7\r\n";
    let head = format!("POST /v1/messages HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let answer = bench.refuses(head, &[400]);
    assert_eq!(answer.header("x-request-id"), Some("refused-1"));
    assert_eq!(answer.json()["type"], "error", "not in the dialect of the path");
    let unparsed = bench.refuses("GET /v1/models HTTP/9.9\r\nHost: x\r\n\r\n", &[400, 505]);
    assert!(unparsed.header("x-request-id").is_some());
    bench.program.metric_reaches("pointsman_requests_total", &[], 2.0);
    assert!(bench.program.logged("refused-1").contains("400"));
}
