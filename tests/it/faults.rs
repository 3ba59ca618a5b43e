//! E: faults of providers before the first content. The next target answers, and nothing of the first is left in it.

use crate::support::{
    http::{Message, find},
    program::{Program, chat},
    reply,
    setup::Setup,
    until,
    upstream::{Step, Upstream, send, silence},
};

const CHAT: &str = "/v1/chat/completions";

/// The router `both` over a first provider that does `steps` and a second that answers.
struct Pair {
    first: Upstream,
    second: Upstream,
    program: Program,
}

impl Pair {
    fn new(steps: Vec<Step>) -> Self {
        Self::with(Upstream::always(steps), "")
    }

    fn with(first: Upstream, settings: &str) -> Self {
        let second = Upstream::answering(|_, request| {
            let stream = request.json()["stream"] == true;
            if stream { reply::chat_stream(&["from ", "beta"]) } else { reply::chat("from beta") }
        });
        let setup = Setup::two(first.address(), second.address()).with(settings);
        let program = Program::start(&setup);
        Self { first, second, program }
    }

    /// Asks the router and expects the second provider's answer after two attempts.
    #[track_caller]
    fn second_answers(&self, stream: bool) -> Message {
        let answer = self.program.post(CHAT, &[], &chat("router:both", "x", stream));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(answer.whole, "the answer was cut");
        assert!(answer.text().contains("beta"), "{}", answer.text());
        assert_eq!(answer.header("x-pointsman-model"), Some("beta"));
        assert_eq!(answer.header("x-pointsman-provider"), Some("two"));
        assert_eq!(answer.header("x-pointsman-attempts"), Some("2"));
        answer
    }
}

#[test]
fn e01_a_refused_connection() {
    let second = Upstream::always(reply::chat("from beta"));
    let program = Program::start(&Setup::two(Upstream::refusing(), second.address()));
    let answer = program.chat("router:both");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.header("x-pointsman-model"), Some("beta"));
    program.metric_reaches("pointsman_failovers_total", &[("cause", "connect")], 1.0);
}

#[test]
fn e01_a_certificate_that_nobody_signed() {
    let pair = tls::self_signed();
    let second = Upstream::always(reply::chat("from beta"));
    let setup = Setup::new()
        .raw_provider(
            "one",
            &format!(
                "api: openai-chat, base_url: \"https://localhost:{}/v1\"",
                pair.address.port()
            ),
        )
        .provider("two", "openai-chat", second.address())
        .model("alpha", "one", "")
        .model("beta", "two", "")
        .router("both", &["alpha", "beta"]);
    let program = Program::start(&setup);
    let answer = program.chat("router:both");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.header("x-pointsman-model"), Some("beta"));
    assert!(!pair.served.is_open(), "a request was sent to a certificate that nobody signed");
}

#[test]
fn e02_a_provider_that_never_answers() {
    let settings = "timeouts: {first_token: 400ms, response: 400ms}";
    let pair = Pair::with(Upstream::always(silence()), settings);
    pair.second_answers(false);
    pair.second_answers(true);
    pair.first.closed(0);
    pair.first.closed(1);
    pair.program.metric_reaches("pointsman_failovers_total", &[("cause", "timeout")], 2.0);
}

#[test]
fn e02_the_total_time_ends_it_all() {
    let first = Upstream::always(silence());
    let setup =
        Setup::one("openai-chat", first.address()).with("timeouts: {total: 700ms, response: 30s}");
    let program = Program::start(&setup);
    let answer = program.chat("alpha");
    assert_eq!((answer.status(), answer.code().as_str()), (504, "upstream_timeout"));
    first.closed(0);
}

#[test]
fn e03_a_429_cools_its_target_only() {
    for retry_after in ["3", "0.5", "-7", "1e9", "Wed, 21 Oct 2035 07:28:00 GMT", "garbage", ""] {
        let header = format!("Retry-After: {retry_after}\r\n");
        let pair = Pair::new(reply::error(429, &header, "slow down"));
        pair.second_answers(false);
        // The first one is cooling: it is passed over without an attempt.
        let answer = pair.program.chat("router:both");
        assert_eq!(answer.status(), 200, "Retry-After: {retry_after}");
        assert_eq!(answer.header("x-pointsman-model"), Some("beta"), "Retry-After: {retry_after}");
    }
}

#[test]
fn e03_everything_cooling_says_when_to_come_back() {
    let first = Upstream::always(reply::error(429, "Retry-After: 7\r\n", "slow down"));
    let program = Program::start(&Setup::one("openai-chat", first.address()));
    for _ in 0..2 {
        let answer = program.chat("alpha");
        assert_eq!((answer.status(), answer.code().as_str()), (503, "no_healthy_target"));
        let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=7).contains(&after), "{after}");
    }
    assert_eq!(first.requests(), 1, "a target that cools was asked");
}

#[test]
fn e04_statuses_that_go_on() {
    for status in [500, 502, 503, 504, 520, 524, 529, 408, 409, 425, 404] {
        let pair = Pair::new(reply::error(status, "", "broken"));
        pair.second_answers(false);
        pair.second_answers(true);
        pair.program.metric_reaches("pointsman_failovers_total", &[("cause", "status")], 1.0);
    }
}

#[test]
fn e05_a_callers_mistake_is_passed_through_once() {
    for status in [400, 413, 422] {
        let pair =
            Pair::new(reply::error(status, "x-request-id: req-theirs\r\n", "you sent nonsense"));
        for stream in [false, true] {
            let answer = pair.program.post(CHAT, &[], &chat("router:both", "x", stream));
            assert_eq!(answer.status(), status);
            assert_eq!(answer.json()["error"]["message"], "you sent nonsense");
            assert_eq!(answer.header("x-pointsman-upstream-request-id"), Some("req-theirs"));
        }
        assert_eq!(pair.second.connections(), 0, "{status} was retried");
        pair.program.metric_reaches("pointsman_attempts_total", &[("outcome", "rejected")], 2.0);
    }
}

#[test]
fn e05_a_prompt_that_is_too_long_goes_to_a_larger_model() {
    let too_long = r#"{"error":{"message":"This model's maximum context length is 5 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
    let (first, second) =
        (Upstream::always(reply::json(400, too_long)), Upstream::always(reply::chat("from beta")));
    let setup = Setup::new()
        .provider("one", "openai-chat", first.address())
        .provider("two", "openai-chat", second.address())
        .model("alpha", "one", "context_window: 100000")
        .model("small", "two", "context_window: 90000")
        .model("beta", "two", "context_window: 400000")
        .router("both", &["alpha", "small", "beta"]);
    let program = Program::start(&setup);
    let answer = program.chat("router:both");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.header("x-pointsman-model"), Some("beta"), "the smaller one was tried");
    let answer = program.chat("alpha");
    assert_eq!((answer.status(), answer.code().as_str()), (400, "context_length_exceeded"));
}

#[test]
fn e06_a_providers_refusal_of_its_key_is_not_the_callers() {
    for status in [401, 403] {
        let pair = Pair::new(reply::error(status, "", "bad key"));
        pair.second_answers(false);
        let alone = Upstream::always(reply::error(status, "", "bad key"));
        let program = Program::start(&Setup::one("openai-chat", alone.address()));
        let answer = program.chat("alpha");
        assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_auth"));
    }
}

#[test]
fn e07_a_redirect_is_not_followed() {
    let bait = Upstream::always(reply::chat("followed"));
    let location = format!("Location: http://{}/v1/chat/completions\r\n", bait.address());
    for status in [301, 302, 303, 307, 308] {
        let pair = Pair::new(reply::error(status, &location, "moved"));
        pair.second_answers(false);
    }
    assert_eq!(bait.connections(), 0, "the credential was carried along a redirect");
}

#[test]
fn e08_answers_that_are_none() {
    let html =
        vec![send(reply::raw(200, "Content-Type: text/html\r\n", "<p>hello</p>")), Step::Fin];
    let empty = vec![send(reply::raw(200, "Content-Type: application/json\r\n", "")), Step::Fin];
    let short = vec![
        send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"id\":",
        ),
        Step::Fin,
    ];
    let no_choices =
        reply::json(200, r#"{"id":"x","object":"chat.completion","model":"m","choices":[]}"#);
    let not_json = reply::json(200, "{\"id\": oops");
    for steps in [html, empty, short, no_choices, not_json] {
        let pair = Pair::new(steps.clone());
        pair.second_answers(false);
        let pair = Pair::new(steps);
        pair.second_answers(true);
    }
}

#[test]
fn e09_an_error_answer_to_a_streaming_request_is_whole() {
    let long = "why ".repeat(5000);
    let upstream = Upstream::always(reply::error(400, "", &long));
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let answer = program.chat_stream("alpha");
    assert_eq!(answer.status(), 400);
    assert!(answer.whole);
    assert_eq!(answer.json()["error"]["message"], long.as_str());
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
}

#[test]
fn e10_streams_without_content() {
    let error = reply::chunk("data: {\"error\":{\"message\":\"overloaded\",\"code\":529}}\n\n");
    let comments = reply::chunk(": ping\n\n: ping\n\n");
    let ends: [Vec<Step>; 4] = [
        vec![reply::stream_head(), error],
        vec![reply::stream_head(), comments],
        vec![reply::stream_head()],
        vec![reply::stream_head(), reply::role(), reply::done()],
    ];
    for steps in ends {
        let pair = Pair::new([steps, reply::end().to_vec()].concat());
        let answer = pair.second_answers(true);
        assert_eq!(answer.text().matches("[DONE]").count(), 1);
        assert!(!answer.text().contains("overloaded"));
    }
    let cut = vec![reply::stream_head(), reply::role(), Step::Reset];
    Pair::new(cut).second_answers(true);
    let pings = vec![reply::stream_head(), reply::role(), Step::UntilClosed];
    let pair = Pair::with(Upstream::always(pings), "timeouts: {first_token: 400ms}");
    pair.second_answers(true);
}

#[test]
fn e11_heads_of_providers_are_bounded() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: 1\r\n".repeat(10_000));
    let large = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(4 << 20));
    let both =
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            .to_owned();
    let invalid = "HTTP/1.1 200 OK\r\nX A: \0\r\n\r\n".to_owned();
    for head in [many, large, both, invalid, "garbage\r\n\r\n".to_owned()] {
        let pair = Pair::new(vec![send(&head), Step::Fin]);
        pair.second_answers(false);
    }
    let interim = vec![
        send("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"),
        send(reply::raw(
            200,
            "Content-Type: application/json\r\n",
            &reply::chat_body("after hints"),
        )),
        Step::Fin,
    ];
    let upstream = Upstream::always(interim);
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let answer = program.chat("alpha");
    assert!(answer.status() == 200 && answer.text().contains("after hints"), "{}", answer.text());
}

#[test]
fn e12_a_kept_connection_found_dead_is_not_an_attempt() {
    let body = reply::chat_body("fine");
    let kept = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // Each connection serves one request, says nothing of closing, and dies as the next one is written.
    let upstream = Upstream::raw(vec![
        vec![Step::Read, send(&kept), Step::ReadUntil(b"SECOND".to_vec()), Step::Reset],
        vec![Step::Read, send(&kept), Step::UntilClosed],
    ]);
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    assert_eq!(program.chat("alpha").status(), 200);
    let answer = program.post(CHAT, &[], &chat("alpha", "SECOND", false));
    assert!(answer.status() == 200 || answer.status() == 502, "{}", answer.text());
    // A connection that the provider closed while it was idle costs nothing at all.
    let idle = Upstream::raw(vec![vec![Step::Read, send(&kept), Step::Fin]]);
    let program = Program::start(&Setup::one("openai-chat", idle.address()));
    for _ in 0..5 {
        let answer = program.chat("alpha");
        assert_eq!((answer.status(), answer.header("x-pointsman-attempts")), (200, Some("1")));
    }
}

#[test]
fn e13_failover_to_another_api_carries_nothing_over() {
    let first = Upstream::always(reply::error(503, "", "broken"));
    let second = Upstream::always(reply::messages("from claude"));
    let setup = Setup::new()
        .provider("first", "openai-chat", first.address())
        .provider("second", "anthropic", second.address())
        .model("alpha", "first", "")
        .model("beta", "second", "")
        .router("both", &["alpha", "beta"]);
    let program = Program::start(&setup);
    let body = chat("router:both", "x", false).replacen(
        '{',
        r#"{"logit_bias":{"5":1},"openai_only":"secret sauce","user":"u-1","#,
        1,
    );
    let answer = program.post(CHAT, &[("openai-beta", "assistants=v2")], &body);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "from claude");
    assert_eq!(answer.json()["model"], "beta");
    assert!(
        answer.header("x-pointsman-loss").is_some_and(|loss| loss.contains("logit_bias")),
        "{answer:?}"
    );
    let seen = second.request(0);
    assert_eq!(seen.target(), "/v1/messages");
    assert_eq!(seen.header("x-api-key"), Some("sk-CANARY-provider-second"));
    assert_eq!(seen.json()["model"], "upstream-beta");
    let bytes = second.received();
    for foreign in [
        "provider-first",
        "openai",
        "upstream-alpha",
        "logit_bias",
        "secret sauce",
        "router:",
        "authorization",
    ] {
        assert!(
            find(&bytes.to_ascii_lowercase(), foreign.as_bytes()).is_none(),
            "{foreign} was carried over"
        );
    }
}

#[test]
fn e14_when_all_fail_the_answer_says_so() {
    let (first, second) = (
        Upstream::always(reply::error(500, "", "one")),
        Upstream::always(reply::error(500, "", "two")),
    );
    let program = Program::start(&Setup::two(first.address(), second.address()));
    let answer = program.chat("router:both");
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_error"));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!((first.requests(), second.requests()), (1, 1));
    // Five failures in a row open both breakers: then nobody is asked any more.
    for _ in 0..6 {
        program.chat("router:both");
    }
    let answer = program.chat("router:both");
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (503, "no_healthy_target"),
        "{}",
        answer.text()
    );
    assert!(answer.header("retry-after").is_some());
    assert!(first.requests() <= 6, "the breaker stayed shut after {} failures", first.requests());
    program.metric_reaches("pointsman_breaker_state", &[("model", "alpha")], 2.0);
}

#[test]
fn e14_no_more_attempts_than_allowed() {
    let first = Upstream::always(reply::error(500, "", "broken"));
    let setup =
        Setup::one("openai-chat", first.address()).with("failover: {attempts: 3, same_target: 9}");
    let program = Program::start(&setup);
    let answer = program.chat("alpha");
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.header("x-pointsman-attempts"), Some("3"));
    assert_eq!(first.requests(), 3);
}

#[test]
fn e15_repeats_do_not_multiply_an_outage() {
    let first = Upstream::always(reply::error(500, "", "broken"));
    let setup =
        Setup::one("openai-chat", first.address()).with("failover: {attempts: 4, same_target: 3}");
    let program = Program::start(&setup);
    let requests = 300;
    for _ in 0..requests {
        program.chat("alpha");
    }
    // A fifth of the requests and a floor of ten a second may be repeats; the breaker stops most of the rest.
    assert!(first.requests() <= requests * 12 / 10 + 100, "{} attempts", first.requests());
}

#[test]
fn e18_a_reset_after_the_body_was_read_goes_on() {
    let pair = Pair::new(vec![Step::Reset]);
    pair.second_answers(false);
    pair.second_answers(true);
    assert_eq!(pair.first.requests(), 2);
}

#[test]
fn e19_a_coded_answer_is_never_read_as_text() {
    let gzip = vec![
        send(reply::raw(
            200,
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            "not really gzip",
        )),
        Step::Fin,
    ];
    let pair = Pair::new(gzip);
    pair.second_answers(false);
    let asked = pair.first.request(0);
    let accepted = asked.header("accept-encoding").unwrap_or("identity");
    assert_eq!(accepted, "identity");
}

#[test]
fn e16_a_breaker_lets_one_probe_through_and_recovers() {
    let healthy = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let healed = std::sync::Arc::clone(&healthy);
    let first = Upstream::answering(move |_, _| {
        if healed.load(std::sync::atomic::Ordering::SeqCst) {
            reply::chat("well again")
        } else {
            reply::error(500, "", "broken")
        }
    });
    let program = Program::start(&Setup::one("openai-chat", first.address()));
    for _ in 0..8 {
        program.chat("alpha");
    }
    assert_eq!(first.requests(), 5, "five failures in a row open a breaker");
    healthy.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = until("the breaker's probe", || {
        Some(program.chat("alpha")).filter(|answer| answer.status() == 200)
    });
    assert!(answer.text().contains("well again"));
    assert_eq!(program.chat("alpha").status(), 200);
}

mod tls {
    //! A TLS listener whose certificate nobody signed.

    use std::{
        net::{SocketAddr, TcpListener},
        sync::Arc,
        thread,
    };

    use crate::support::Gate;

    pub(super) struct Listener {
        pub(super) address: SocketAddr,
        /// Opens when a caller has gone on with the handshake and sent something.
        pub(super) served: Gate,
    }

    pub(super) fn self_signed() -> Listener {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key =
            rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = Gate::new();
        let gate = served.clone();
        thread::spawn(move || {
            let config = Arc::new(config);
            for stream in listener.incoming().map_while(Result::ok) {
                let mut stream = stream;
                let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut tls = rustls::Stream::new(&mut session, &mut stream);
                let mut byte = [0];
                if matches!(std::io::Read::read(&mut tls, &mut byte), Ok(1)) {
                    gate.open();
                }
            }
        });
        Listener { address, served }
    }
}
