//! L: how the process begins and ends.

use std::net::TcpListener;

use crate::support::{
    Gate,
    client::request_head,
    program::{Program, chat, run},
    reply,
    setup::Setup,
    sse, until,
    upstream::{Step, Upstream, send},
};

const CHAT: &str = "/v1/chat/completions";

/// A stream that begins and goes on when the gate opens.
fn held(gate: &Gate) -> Upstream {
    let rest = [
        vec![Step::Stall(gate.clone()), reply::token("and done"), reply::finish(), reply::done()],
        reply::end().to_vec(),
    ]
    .concat();
    Upstream::always(
        [vec![reply::stream_head(), reply::role(), reply::token("begun ")], rest].concat(),
    )
}

#[test]
fn l01_open_streams_end_whole_after_sigterm() {
    let gate = Gate::new();
    let upstream = held(&gate);
    let mut program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut clients: Vec<_> = (0..100)
        .map(|_| {
            let mut client = program.client();
            client.post(CHAT, &[], &chat("alpha", "x", true));
            client
        })
        .collect();
    for client in &mut clients {
        client.until("begun ");
    }
    program.signal("TERM");
    until("not ready", || (program.admin("/readyz").status() == 503).then_some(()));
    assert_eq!(program.admin("/healthz").status(), 200);
    assert!(program.runs(), "it ended with requests open");
    gate.open();
    for client in &mut clients {
        let answer = client.answer();
        let stream = sse::chat(&answer.text());
        assert_eq!((stream.text.as_str(), stream.done), ("begun and done", true));
        assert!(answer.whole, "the last chunk is missing");
    }
    assert!(program.ended().success());
}

#[test]
fn l02_what_is_longer_than_the_drain_ends_visibly() {
    let gate = Gate::new();
    let upstream = held(&gate);
    let setup = Setup::one("openai-chat", upstream.address()).with("drain: 500ms");
    let mut program = Program::start(&setup);
    let mut client = program.client();
    client.post(CHAT, &[], &chat("alpha", "x", true)).until("begun ");
    program.signal("TERM");
    let answer = client.answer();
    let stream = sse::chat(&answer.text());
    assert!(!stream.done && stream.error.is_some(), "{}", answer.text());
    assert!(program.ended().success());
    upstream.closed(0);
}

#[test]
fn l03_an_idle_program_ends_at_once() {
    let upstream = Upstream::always(reply::chat("fine"));
    for signal in ["TERM", "INT"] {
        let mut program = Program::start(&Setup::one("openai-chat", upstream.address()));
        assert_eq!(program.chat("alpha").status(), 200);
        // A kept connection is no open request.
        let mut idle = program.client();
        idle.post(CHAT, &[], &chat("alpha", "x", false)).answer();
        program.signal(signal);
        assert!(program.ended().success(), "{signal}");
    }
}

#[test]
fn l04_a_second_signal_ends_at_once() {
    let upstream = held(&Gate::new());
    let mut program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut client = program.client();
    client.post(CHAT, &[], &chat("alpha", "x", true)).until("begun ");
    program.signal("TERM");
    until("not ready", || (program.admin("/readyz").status() == 503).then_some(()));
    program.signal("TERM");
    program.ended();
}

#[test]
fn l_a_request_on_a_kept_connection_is_served_while_draining() {
    let gate = Gate::new();
    let upstream = held(&gate);
    let other = Upstream::always(reply::chat("fine"));
    let setup = Setup::two(upstream.address(), other.address());
    let mut program = Program::start(&setup);
    let mut open = program.client();
    open.post(CHAT, &[], &chat("alpha", "x", true)).until("begun ");
    let mut kept = program.client();
    assert_eq!(kept.post(CHAT, &[], &chat("beta", "x", false)).answer().status(), 200);
    program.signal("TERM");
    until("not ready", || (program.admin("/readyz").status() == 503).then_some(()));
    let answer = kept.post(CHAT, &[], &chat("beta", "x", false)).answer();
    assert_eq!(answer.status(), 200);
    kept.closed();
    assert!(std::net::TcpStream::connect(program.data()).is_err(), "new connections are accepted");
    gate.open();
    assert!(open.answer().whole);
    assert!(program.ended().success());
}

#[test]
fn l14_a_start_that_cannot_be_says_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let base = Setup::one("openai-chat", Upstream::refusing());
    let busy = base.clone().replace("listen: 127.0.0.1:0", &format!("listen: {address}"));
    let no_certificate = base.clone().with("tls: {cert: file:no.pem, key: file:no.key}");
    let no_model = base.with("classifier: {model: no-such-folder}");
    let port = address.port().to_string();
    for (setup, word) in
        [(busy, port.as_str()), (no_certificate, "no.pem"), (no_model, "no-such-folder")]
    {
        let folder = setup.write();
        let output = run(&setup, &["serve", "-c", folder.main().to_str().unwrap()]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{text}");
        assert!(text.contains(word), "no {word:?} in:\n{text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[test]
fn l12_more_connections_than_allowed() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::one("openai-chat", upstream.address()).with("limits: {connections: 20}");
    let program = Program::start(&setup);
    let idle: Vec<_> = (0..60).map(|_| program.client()).collect();
    // Health is on another listener and is not shut out.
    assert_eq!(program.admin("/healthz").status(), 200);
    drop(idle);
    until("room again", || {
        let mut client = program.client();
        client.post(CHAT, &[], &chat("alpha", "x", false));
        client
            .answered_within(std::time::Duration::from_secs(1))
            .filter(|answer| answer.status() == 200)
    });
}

#[test]
fn l07_without_descriptors_it_recovers() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::one("openai-chat", upstream.address()).descriptors(80);
    let program = Program::start(&setup);
    let many: Vec<_> = (0..200).map(|_| program.client()).collect();
    drop(many);
    until("service again", || {
        let mut client = program.client();
        client.post(CHAT, &[], &chat("alpha", "x", false));
        client
            .answered_within(std::time::Duration::from_secs(1))
            .filter(|answer| answer.status() == 200)
    });
}

#[test]
fn l16_what_a_provider_says_unasked_is_nobodys_answer() {
    let kept = |text: &str| {
        let body = reply::chat_body(text);
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let poisoned = kept("fine") + &kept("POISON");
    let upstream = Upstream::raw(vec![vec![Step::Read, send(&poisoned), Step::UntilClosed]]);
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    for _ in 0..5 {
        let answer = program.chat("alpha");
        assert!(!answer.text().contains("POISON"), "a stray answer was delivered");
        assert_eq!(answer.status(), 200);
    }
}

#[test]
fn l02_an_upload_that_outlasts_the_drain_is_told_so() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::one("openai-chat", upstream.address()).with("drain: 500ms");
    let mut program = Program::start(&setup);
    let mut client = program.client();
    client.send(request_head("POST", CHAT, &[], 1000)).send("{");
    until("the upload", || {
        let uploads = program.metrics().sum("pointsman_requests_in_flight", &[]);
        (uploads > 0.5).then_some(())
    });
    program.signal("TERM");
    let answer = client.answer();
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert!(answer.whole);
    assert!(program.ended().success());
}
