//! M: what the playground asks of the admin listener is served as on the data plane, and stays apart from it.

use std::collections::BTreeMap;

use crate::support::{
    Gate,
    client::request_head,
    http::Message,
    program::{Program, chat},
    reply,
    setup::Setup,
    sse, until,
    upstream::{Step, Upstream},
};

const CHAT: &str = "/api/chat";

/// Headers of an answer, but for those that differ from one answer to the next.
fn lasting(answer: &Message) -> BTreeMap<String, String> {
    let passing = ["date", "x-request-id", "x-content-type-options"];
    let headers =
        answer.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    headers.filter(|(name, _)| !passing.contains(&name.as_str())).collect()
}

fn play(program: &Program, headers: &[(&str, &str)], body: &str) -> Message {
    program.ask("POST", CHAT, headers, body).answer()
}

#[test]
fn m11_an_answer_is_that_of_the_data_plane() {
    let whole = Upstream::always(reply::chat("fine"));
    let streamed = Upstream::always(reply::chat_stream(&["one ", "two"]));
    let program = Program::start(&Setup::two(whole.address(), streamed.address()));
    for body in [
        chat("alpha", "hello", false),
        chat("beta", "hello", true),
        chat("router:both", "hello", false),
        chat("gone", "hello", false),
        "{".to_owned(),
    ] {
        let played = play(&program, &[("X-Request-Id", "pg-1")], &body);
        let called = program.post("/v1/chat/completions", &[], &body);
        assert_eq!(played.status(), called.status(), "{body}");
        assert_eq!(played.text(), called.text(), "{body}");
        assert_eq!(lasting(&played), lasting(&called), "{body}");
        assert_eq!(played.header("x-request-id"), Some("pg-1"), "{body}");
    }
    let stream = sse::chat(&play(&program, &[], &chat("beta", "hello", true)).text());
    assert_eq!((stream.text.as_str(), stream.done), ("one two", true));
}

#[test]
fn m12_a_decision_alone_asks_nobody() {
    let upstream = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::two(upstream.address(), upstream.address()));
    let body = chat("router:both", "hello", false);
    let played = program.ask("POST", "/api/route", &[], &body).answer();
    assert_eq!(played.status(), 200, "{}", played.text());
    let document = played.json();
    assert_eq!(
        (&document["router"], &document["reason"]),
        (&"both".into(), &"unclassified".into())
    );
    assert_eq!(document["candidates"][0]["model"], "alpha");
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn m13_it_needs_no_key_of_the_data_plane_and_passes_on_none_of_its_own() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::one("openai-chat", upstream.address())
        .with("keys: [{name: ci, key: env:CI}]\nadmin_key: env:ADMIN")
        .environment("CI", "sk-CANARY-ci")
        .environment("ADMIN", "sk-CANARY-admin");
    let program = Program::start(&setup).with_admin_key("sk-CANARY-admin");
    let body = chat("alpha", "hello", false);
    assert_eq!(program.post("/v1/chat/completions", &[], &body).status(), 401);
    assert_eq!(play(&program, &[], &body).status(), 200);
    let head = request_head("POST", CHAT, &[("Authorization", "Bearer sk-CANARY-ci")], body.len());
    assert_eq!(program.admin_client().send(head + &body).answer().status(), 401);

    let bring = format!(
        "api: openai-chat, auth: passthrough, base_url: \"http://{}/v1\"",
        upstream.address()
    );
    let setup = Setup::new()
        .raw_provider("own", &bring)
        .model("alpha", "own", "")
        .with("admin_key: env:ADMIN")
        .environment("ADMIN", "sk-CANARY-admin");
    let program = Program::start(&setup).with_admin_key("sk-CANARY-admin");
    assert_eq!(
        play(&program, &[("x-api-key", "sk-CANARY-admin"), ("Cookie", "a=b")], &body).status(),
        200
    );
    let sent = String::from_utf8(upstream.received()).unwrap().to_ascii_lowercase();
    assert!(!sent.contains("admin") && !sent.contains("cookie"), "{sent}");
}

/// A program whose classifier matches everything, and a request that a session pins.
struct Pinning {
    program: Program,
    body: String,
    _judge: Upstream,
    _upstream: Upstream,
}

const SESSION: [(&str, &str); 1] = [("X-Model-Affinity", "a/b c")];

impl Pinning {
    fn new() -> Self {
        let judge = Upstream::always(reply::chat(r#"{"route": "chores"}"#));
        let upstream = Upstream::always(reply::chat("fine"));
        let setup = Setup::two(upstream.address(), upstream.address());
        let program = Program::start(&setup.classified(judge.address(), "5s"));
        let body = chat("router:both", "hello", false);
        Self { program, body, _judge: judge, _upstream: upstream }
    }

    fn played(&self) -> String {
        reason(&play(&self.program, &SESSION, &self.body))
    }

    fn called(&self) -> String {
        reason(&self.program.post("/v1/chat/completions", &SESSION, &self.body))
    }

    fn dropped(&self, query: &str) -> u16 {
        self.program.ask("DELETE", &format!("/api/pins{query}"), &[], "").answer().status()
    }
}

fn reason(answer: &Message) -> String {
    answer.header("x-pointsman-reason").unwrap().to_owned()
}

#[test]
fn m14_its_sessions_are_its_own_and_can_be_dropped() {
    let bench = Pinning::new();
    let named = "?router=both&session=a%2Fb+c";
    assert_eq!(bench.dropped(named), 404, "there is none yet");
    assert_eq!([bench.played(), bench.played()], ["matched", "pinned"]);
    assert_eq!(bench.called(), "matched", "a caller met the playground's pin");
    assert_eq!(bench.dropped("?router=gone&session=a%2Fb+c"), 404);
    assert_eq!([bench.dropped(named), bench.dropped(named)], [204, 404]);
    assert_eq!(bench.played(), "matched");
    assert_eq!(bench.called(), "pinned", "a caller's pin was dropped");
}

#[test]
fn m18_which_pin_is_meant_has_to_be_said() {
    let bench = Pinning::new();
    for mistaken in ["", "?router=both", "?session=a%2Fb+c"] {
        assert_eq!(bench.dropped(mistaken), 400, "{mistaken}");
    }
    let asked = bench.program.ask("POST", "/api/pins", &[], "{}").answer();
    assert_eq!((asked.status(), asked.header("allow")), (405, Some("DELETE")));
}

#[test]
fn m15_its_limits_are_those_of_the_data_plane() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::one("openai-chat", upstream.address()).with("max_body: 2MiB");
    let program = Program::start(&setup);
    let large = |size: usize| chat("alpha", &"x".repeat(size), false);
    assert_eq!(play(&program, &[], &large(3 << 20)).status(), 413);
    assert_eq!(play(&program, &[], &large((3 << 20) / 2)).status(), 200, "more than the API takes");
    for path in [CHAT, "/api/route"] {
        let asked = program.ask("GET", path, &[], "").answer();
        assert_eq!((asked.status(), asked.header("allow")), (405, Some("POST")), "{path}");
    }
}

#[test]
fn m16_a_hang_up_ends_the_providers_work_too() {
    let upstream =
        Upstream::always(vec![reply::stream_head(), reply::token("begun"), Step::UntilClosed]);
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut client = program.ask("POST", CHAT, &[], &chat("alpha", "x", true));
    client.until("begun");
    client.hang_up();
    upstream.closed(0);
    let logged = program.logged("client_closed_request");
    assert!(logged.contains(r#""key":"(playground)""#), "{logged}");
}

#[test]
fn m17_the_drain_waits_for_it() {
    let gate = Gate::new();
    let rest = [
        vec![Step::Stall(gate.clone()), reply::token(" done"), reply::finish(), reply::done()],
        reply::end().to_vec(),
    ];
    let steps = [vec![reply::stream_head(), reply::token("begun")], rest.concat()].concat();
    let upstream = Upstream::always(steps);
    let mut program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut client = program.ask("POST", CHAT, &[], &chat("alpha", "x", true));
    client.until("begun");
    program.signal("TERM");
    until("not ready", || (program.admin("/readyz").status() == 503).then_some(()));
    assert_eq!(play(&program, &[], &chat("alpha", "x", false)).status(), 503, "it drains");
    assert!(program.runs(), "it ended with a request of the playground open");
    gate.open();
    let stream = sse::chat(&client.answer().text());
    assert_eq!((stream.text.as_str(), stream.done), ("begun done", true));
    assert!(program.ended().success());
}
