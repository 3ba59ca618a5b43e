//! The sixteen scenarios of failoverbench, the public fault bench for gateways, as tests of our own: two models, and
//! `same_target`, `wait` and `rescue` on. Each ends with the caller holding the whole answer in one well-formed stream.

use serde_json::{Value, json};

use crate::support::{
    http::Message,
    program::{Program, chat},
    reply,
    setup::Setup,
    sse, until,
    upstream::{Step, Upstream},
};

const ON: &str = "failover: {same_target: 1, wait: 2s, rescue: continue}\n\
                  timeouts: {first_token: 500ms, between_tokens: 500ms}";
const ANSWER: [&str; 3] = ["The quick brown fox ", "jumps over ", "the lazy dog."];

/// A model that fails like this on its first request and answers afterwards, before one that always answers.
struct Bench {
    first: Upstream,
    second: Upstream,
    program: Program,
}

impl Bench {
    fn new(fault: Vec<Step>) -> Self {
        Self::with(
            Upstream::answering(move |ordinal, _| match ordinal {
                0 => fault.clone(),
                _ => reply::chat_stream(&ANSWER),
            }),
            continuing(),
        )
    }

    /// The first model fails like this for good.
    fn always(fault: Vec<Step>) -> Self {
        Self::with(Upstream::always(fault), continuing())
    }

    fn with(first: Upstream, second: Upstream) -> Self {
        let setup = Setup::two(first.address(), second.address()).with(ON);
        let program = Program::start(&setup);
        Self { first, second, program }
    }

    fn ask(&self) -> Message {
        self.program.post("/v1/chat/completions", &[], &chat("router:both", "hello", true))
    }

    /// The caller holds the whole answer; how often each model was asked.
    #[track_caller]
    fn whole_answer(&self) -> (usize, usize) {
        let answer = self.ask();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(answer.whole, "{}", answer.text());
        let stream = sse::chat(&answer.text());
        assert_eq!(stream.text, ANSWER.concat(), "{}", answer.text());
        assert_eq!((stream.error, stream.done), (None, true), "{}", answer.text());
        (self.first.requests(), self.second.requests())
    }

    fn attempts(&self, outcome: &str) -> f64 {
        self.program.metrics().sum("pointsman_attempts_total", &[("outcome", outcome)])
    }
}

/// Answers a question, and finishes an answer that it is given the beginning of.
fn continuing() -> Upstream {
    Upstream::answering(|_, request| finish(request))
}

fn finish(request: &Message) -> Vec<Step> {
    let body = request.json();
    let turns = body["messages"].as_array().unwrap();
    let said = turns.iter().rfind(|turn| turn["role"] == "assistant");
    match said.and_then(|turn| turn["content"].as_str()) {
        None => reply::chat_stream(&ANSWER),
        Some(said) => {
            let rest = ANSWER.concat().strip_prefix(said).unwrap().to_owned();
            reply::chat_stream(&[&rest])
        }
    }
}

fn begun(then: Vec<Step>) -> Vec<Step> {
    let mut steps =
        vec![reply::stream_head(), reply::role(), reply::token(ANSWER[0]), reply::token("jumps")];
    steps.extend(then);
    steps
}

#[test]
fn s01_a_429_with_retry_after() {
    let bench = Bench::new(reply::error(429, "Retry-After: 1\r\n", "slow down"));
    assert_eq!(bench.whole_answer(), (2, 0), "waited for at the same model");
    let long = Bench::new(reply::error(429, "Retry-After: 30\r\n", "slow down"));
    assert_eq!(long.whole_answer(), (1, 1), "not waited for");
}

#[test]
fn s02_a_429_without_retry_after() {
    let bench = Bench::new(reply::error(429, "", "slow down"));
    assert_eq!(bench.whole_answer(), (1, 1));
}

#[test]
fn s03_a_500_once() {
    let bench = Bench::new(reply::error(500, "", "oops"));
    assert_eq!(bench.whole_answer(), (2, 0), "the same model answers the repeat");
}

#[test]
fn s04_a_503_for_good() {
    let bench = Bench::always(reply::error(503, "", "down"));
    assert_eq!(bench.whole_answer(), (2, 1));
}

#[test]
fn s05_a_reset() {
    let bench = Bench::new(vec![Step::Reset]);
    assert_eq!(bench.whole_answer(), (2, 0));
    let bench = Bench::always(vec![Step::Reset]);
    assert_eq!(bench.whole_answer(), (2, 1));
}

#[test]
fn s06_silence() {
    let bench = Bench::always(vec![Step::UntilClosed]);
    assert_eq!(bench.whole_answer(), (1, 1), "a timeout is not repeated");
    bench.first.closed(0);
}

#[test]
fn s07_a_slow_first_token() {
    let pings = Step::Flood(b"8\r\n: ping\n\n\r\n".to_vec());
    let bench = Bench::always(vec![reply::stream_head(), reply::role(), pings]);
    assert_eq!(bench.whole_answer(), (1, 1), "pings are no tokens");
    bench.first.closed(0);
}

#[test]
fn s08_a_cut() {
    for cut in [vec![Step::Reset], vec![Step::Fin], reply::end().to_vec()] {
        let bench = Bench::always(begun(cut));
        assert_eq!(bench.whole_answer(), (1, 1));
    }
}

#[test]
fn s09_a_stall() {
    let bench = Bench::always(begun(vec![Step::UntilClosed]));
    assert_eq!(bench.whole_answer(), (1, 1));
    bench.first.closed(0);
}

#[test]
fn s10_a_malformed_event() {
    for bad in
        ["data: {\"oops\n\n", "data: <html>\n\n", "data: {\"error\":{\"message\":\"x\"}}\n\n"]
    {
        let bench = Bench::always(begun(vec![reply::chunk(bad), Step::UntilClosed]));
        assert_eq!(bench.whole_answer(), (1, 1), "{bad}");
    }
}

#[test]
fn s11_a_missing_done() {
    let mut steps = vec![reply::stream_head(), reply::role()];
    steps.extend(ANSWER.map(reply::token));
    steps.push(reply::finish());
    for end in [reply::end().to_vec(), vec![Step::Reset]] {
        let bench = Bench::always([steps.clone(), end].concat());
        assert_eq!(bench.whole_answer(), (1, 0), "whole without it");
    }
}

#[test]
fn s12_a_context_that_is_too_long() {
    let message = "This model's maximum context length is 10 tokens. However, you requested 20.";
    let bench = Bench::always(reply::error(400, "", message));
    assert_eq!(bench.whole_answer(), (1, 1));
}

#[test]
fn s13_a_content_filter_is_a_clean_end() {
    let refused = json!({"error": {"message": "The prompt was filtered.", "type": "invalid_request_error",
                                    "param": "prompt", "code": "content_filter"}});
    let bench = Bench::always(reply::json(400, &refused.to_string()));
    let answer = bench.ask();
    assert_eq!((answer.status(), answer.code().as_str()), (400, "content_filter"));
    assert_eq!((bench.first.requests(), bench.second.requests()), (1, 0), "not shopped around");
    // In the middle of an answer it is how the answer ends.
    let filtered = reply::chunk(&reply::chat_event("{}", Some("content_filter")));
    let bench =
        Bench::always(begun([vec![filtered, reply::done()], reply::end().to_vec()].concat()));
    let answer = bench.ask();
    assert!(answer.text().contains(r#""finish_reason":"content_filter""#), "{}", answer.text());
    assert!(sse::chat(&answer.text()).done);
    assert_eq!(bench.second.requests(), 0);
}

#[test]
fn s14_a_fallback_that_refuses_a_prefill() {
    let first = Upstream::always(begun(vec![Step::Reset]));
    let second = Upstream::answering(|_, request| {
        let body = request.json();
        let last = body["messages"].as_array().unwrap().last().unwrap();
        if last["role"] == "assistant" {
            return reply::error(400, "", "the conversation must end with a user message");
        }
        finish(request)
    });
    for (prefill, asked) in [("", 1), ("prefill: true", 2)] {
        let before = second.requests();
        let setup = Setup::new()
            .provider("one", "openai-chat", first.address())
            .provider("two", "openai-chat", second.address())
            .model("alpha", "one", "")
            .model("beta", "two", prefill)
            .router("both", &["alpha", "beta"])
            .with(ON);
        let program = Program::start(&setup);
        let answer = program.chat_stream("router:both");
        let stream = sse::chat(&answer.text());
        assert_eq!((stream.text, stream.done), (ANSWER.concat(), true), "{}", answer.text());
        assert_eq!(second.requests() - before, asked, "{prefill}");
    }
}

#[test]
fn s15_flapping() {
    // Every other request breaks, each time in another way.
    let first = Upstream::answering(|ordinal, _| match ordinal % 8 {
        0 => reply::error(500, "", "oops"),
        2 => vec![Step::Reset],
        4 => begun(vec![Step::Reset]),
        6 => begun(vec![reply::chunk("data: {\"oops\n\n"), Step::UntilClosed]),
        _ => reply::chat_stream(&ANSWER),
    });
    let bench = Bench::with(first, continuing());
    for _ in 0..24 {
        bench.whole_answer();
    }
    assert!(bench.first.requests() > 8, "given up on after {}", bench.first.requests());
}

#[test]
fn s16_accounting() {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}});
    let mut second = reply::chat_stream(&[" over the lazy dog."]);
    second.insert(second.len() - 3, reply::chunk(&format!("data: {usage}\n\n")));
    let bench = Bench::with(Upstream::always(begun(vec![Step::Reset])), Upstream::always(second));
    bench.whole_answer();
    until("the request is counted", || {
        let all = bench.program.metrics().sum("pointsman_requests_total", &[]);
        (all > 0.5).then_some(())
    });
    let line: Value = serde_json::from_str(&bench.program.logged("\"duration_ms\"")).unwrap();
    let estimate = line["input_tokens_estimated"].as_u64().unwrap();
    assert_eq!(line["input_tokens"], estimate + 5, "{line}");
    // 25 bytes were said, four to a token.
    assert_eq!(line["output_tokens"], 7 + 2, "{line}");
    assert_eq!((&line["attempts"], &line["possibly_billed"]), (&json!(2), &json!(1)), "{line}");
    assert_eq!((&line["outcome"], &line["model"]), (&json!("ok"), &json!("beta")), "{line}");
    assert!((bench.attempts("failed") - 1.0).abs() < 0.1);
    assert!((bench.attempts("ok") - 1.0).abs() < 0.1);
    let moved = bench.program.metrics().sum("pointsman_failovers_total", &[("cause", "stream")]);
    assert!((moved - 1.0).abs() < 0.1);
    let lines = bench.program.log();
    assert_eq!(lines.iter().filter(|line| line.contains("\"duration_ms\"")).count(), 1);
}
