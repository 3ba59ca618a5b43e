//! D: callers that leave. The provider is told at once, nothing more is tried, and it is counted once.

use crate::support::{
    client::request_head,
    program::{Program, chat},
    reply,
    setup::Setup,
    upstream::{Step, Upstream, silence},
};

const CHAT: &str = "/v1/chat/completions";

fn cancelled(program: &Program, count: f64) {
    program.metric_reaches("pointsman_attempts_total", &[("outcome", "cancelled")], count);
    let metrics = program.metrics();
    let failed = metrics.sum("pointsman_attempts_total", &[("outcome", "failed")]);
    assert!(failed.abs() < 0.5, "a caller that leaves is no failure of the provider");
}

#[test]
fn d01_a_hang_up_while_the_body_is_sent() {
    let upstream = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut client = program.client();
    client.send(request_head("POST", CHAT, &[], 1000)).send("{\"model\":");
    client.hang_up();
    program.metric_reaches("pointsman_requests_total", &[], 1.0);
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn d02_d05_a_hang_up_while_a_whole_answer_is_awaited() {
    let (first, second) = (Upstream::always(silence()), Upstream::always(reply::chat("fine")));
    let program = Program::start(&Setup::two(first.address(), second.address()));
    let mut client = program.client();
    client.post(CHAT, &[], &chat("router:both", "x", false));
    first.request(0);
    client.hang_up();
    first.closed(0);
    cancelled(&program, 1.0);
    assert_eq!(second.connections(), 0, "a further attempt for nobody");
    assert!((program.metrics().sum("pointsman_attempts_total", &[]) - 1.0).abs() < 0.5);
}

#[test]
fn d02_d05_a_hang_up_before_the_first_content_of_a_stream() {
    let steps = vec![reply::stream_head(), reply::role(), Step::UntilClosed];
    let (first, second) =
        (Upstream::always(steps), Upstream::always(reply::chat_stream(&["fine"])));
    let program = Program::start(&Setup::two(first.address(), second.address()));
    let mut client = program.client();
    client.post(CHAT, &[], &chat("router:both", "x", true));
    first.request(0);
    client.hang_up();
    first.closed(0);
    cancelled(&program, 1.0);
    assert_eq!(second.connections(), 0);
}

#[test]
fn d02_d05_a_hang_up_in_the_middle_of_a_stream() {
    let steps = vec![reply::stream_head(), reply::role(), reply::token("begun"), Step::UntilClosed];
    let upstream = Upstream::always(steps);
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    for number in 0..2 {
        let mut client = program.client();
        client.post(CHAT, &[], &chat("alpha", "x", true)).until("begun");
        if number == 0 {
            client.hang_up();
        } else {
            client.reset();
        }
        upstream.closed(number);
    }
    cancelled(&program, 2.0);
}

#[test]
fn d02_a_hang_up_during_classification() {
    let (classifier, upstream) =
        (Upstream::always(silence()), Upstream::always(reply::chat("fine")));
    let setup =
        Setup::two(upstream.address(), upstream.address()).classified(classifier.address(), "30s");
    let program = Program::start(&setup);
    let mut client = program.client();
    client.post(CHAT, &[], &chat("router:both", "x", false));
    classifier.request(0);
    client.hang_up();
    classifier.closed(0);
    program.metric_reaches("pointsman_requests_total", &[], 1.0);
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn d03_a_hang_up_while_a_retry_after_is_waited_for() {
    let first = Upstream::always(reply::error(429, "Retry-After: 20\r\n", "slow down"));
    let setup =
        Setup::one("openai-chat", first.address()).with("failover: {wait: 25s, same_target: 3}");
    let program = Program::start(&setup);
    let mut client = program.client();
    client.post(CHAT, &[], &chat("alpha", "x", false));
    first.request(0);
    client.hang_up();
    program.metric_reaches("pointsman_requests_total", &[], 1.0);
    assert_eq!(first.requests(), 1);
}

#[test]
fn d06_a_close_right_after_the_end_is_a_success() {
    let steps = vec![
        reply::stream_head(),
        reply::role(),
        reply::token("all"),
        reply::finish(),
        reply::done(),
        Step::UntilClosed,
    ];
    let upstream = Upstream::always(steps);
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut client = program.client();
    client.post(CHAT, &[], &chat("alpha", "x", true)).until("[DONE]");
    client.hang_up();
    program.metric_reaches("pointsman_attempts_total", &[("outcome", "ok")], 1.0);
    let metrics = program.metrics();
    assert!(metrics.sum("pointsman_attempts_total", &[("outcome", "cancelled")]).abs() < 0.5);
}

#[test]
fn d07_a_half_close_counts_as_a_hang_up() {
    let upstream = Upstream::always(silence());
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut client = program.client();
    client.post(CHAT, &[], &chat("alpha", "x", false));
    upstream.request(0);
    client.half_close();
    upstream.closed(0);
    cancelled(&program, 1.0);
}

#[test]
fn d09_a_slow_reader_slows_the_provider_down() {
    let event = reply::chat_event(&format!(r#"{{"content":"{}"}}"#, "x".repeat(8000)), None);
    let flood = format!("{:x}\r\n{event}\r\n", event.len()).into_bytes();
    let steps = vec![reply::stream_head(), reply::role(), Step::Flood(flood)];
    let upstream = Upstream::always(steps);
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let before = program.resident();
    let mut client = program.client();
    client.post(CHAT, &[], &chat("alpha", "x", true)).until("xxx");
    // Nothing is read any more; what the provider floods must pile up at the provider.
    let mut last = 0;
    let settled = crate::support::until("memory at rest", || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let now = program.resident();
        let rests = now.abs_diff(last) < 64 * 1024;
        last = now;
        rests.then_some(now)
    });
    assert!(settled < before + (12 << 20), "{} KiB more", settled.saturating_sub(before) / 1024);
    client.hang_up();
    upstream.closed(0);
}

#[test]
fn d01_a_hang_up_while_the_body_is_sent_is_no_bad_request() {
    let upstream = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    for reset in [false, true] {
        let mut client = program.client();
        client.send(request_head("POST", CHAT, &[("X-Request-Id", "gone-1")], 1000));
        client.send("{\"model\":");
        if reset { client.reset() } else { client.hang_up() }
    }
    program.metric_reaches("pointsman_requests_total", &[], 2.0);
    let line = program.logged("gone-1");
    assert!(line.contains("499") && line.contains("cancelled"), "{line}");
    assert!(program.log().iter().all(|line| !line.contains("rejected")));
}

#[test]
fn d02_a_hang_up_after_more_than_the_request_was_sent() {
    let upstream = Upstream::always(silence());
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let next = request_head("GET", "/v1/models", &[], 0);
    for (number, more) in ["\r\n", &next, &"x".repeat(200_000)].into_iter().enumerate() {
        let mut client = program.client();
        client.post(CHAT, &[], &chat("alpha", "x", false));
        upstream.request(number);
        client.send(more);
        client.hang_up();
        upstream.closed(number);
    }
    cancelled(&program, 3.0);
}

/// What a provider says after its caller has left reaches nobody, and is no success.
#[test]
fn e17_an_answer_that_comes_too_late_is_nobodys() {
    let gate = crate::support::Gate::new();
    let mut steps = vec![Step::Stall(gate.clone())];
    steps.extend(reply::chat("late"));
    let upstream = Upstream::always(steps);
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut client = program.client();
    client.send(request_head(
        "POST",
        CHAT,
        &[("X-Request-Id", "late-1")],
        chat("alpha", "x", false).len(),
    ));
    client.send(chat("alpha", "x", false));
    upstream.request(0);
    client.hang_up();
    cancelled(&program, 1.0);
    gate.open();
    upstream.closed(0);
    let line = program.logged("late-1");
    assert!(line.contains("\"outcome\":\"cancelled\""), "{line}");
    let metrics = program.metrics();
    assert!(metrics.sum("pointsman_attempts_total", &[("outcome", "ok")]).abs() < 0.5);
    let records = program.log().iter().filter(|line| line.contains("late-1")).count();
    assert_eq!(records, 1);
}

/// A reader that stalls is cut off after the minute that a write may take, and the provider is let go.
#[test]
fn d08_a_reader_that_stalls_for_good_is_cut_off() {
    let event = reply::chat_event(&format!(r#"{{"content":"{}"}}"#, "x".repeat(8000)), None);
    let flood = format!("{:x}\r\n{event}\r\n", event.len()).into_bytes();
    let steps = vec![reply::stream_head(), reply::role(), Step::Flood(flood)];
    let upstream = Upstream::always(steps);
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut client = program.client();
    client.post(CHAT, &[], &chat("alpha", "x", true)).until("xxx");
    let let_go = (0..2).any(|_| {
        crate::support::waited(|| {
            let metrics = program.metrics();
            let open = metrics.sum("pointsman_requests_in_flight", &[]);
            (open == 0.0).then_some(())
        })
        .is_some()
    });
    assert!(let_go, "a caller that reads nothing holds its provider for minutes");
    upstream.closed(0);
}
