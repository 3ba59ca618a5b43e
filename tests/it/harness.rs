//! The harness itself: what it takes for whole, cut, reset and left, without the program between.

use std::net::TcpListener;

use pointsman::{
    catalog::provider::Api,
    simulator::{Model, Provider, start},
};

use crate::support::{
    Gate, Watched,
    client::Client,
    program::chat,
    reply, sse,
    upstream::{Step, Upstream},
};

const CHAT: &str = "/v1/chat/completions";

fn client(upstream: &Upstream) -> Client {
    Client::connect(upstream.address(), &Watched::new(Vec::new()))
}

#[test]
fn a_scripted_answer_arrives_as_it_was_written() {
    let upstream = Upstream::always(reply::chat("fine"));
    let body = chat("m", "x", false);
    let answer = client(&upstream).post(CHAT, &[("X-A", "1")], &body).answer();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "fine");
    let seen = upstream.request(0);
    assert_eq!((seen.target(), seen.header("x-a"), seen.text()), (CHAT, Some("1"), body));
    assert_eq!((upstream.connections(), upstream.requests()), (1, 1));
}

#[test]
fn a_cut_and_a_reset_are_not_whole() {
    for end in [Step::Fin, Step::Reset] {
        let steps = vec![reply::stream_head(), reply::token("begun"), end];
        let upstream = Upstream::always(steps);
        let mut client = client(&upstream);
        client.post(CHAT, &[], &chat("m", "x", true));
        let answer = client.answer();
        assert!(!answer.whole);
    }
    let upstream = Upstream::always(reply::chat_stream(&["a", "b"]));
    let answer = client(&upstream).post(CHAT, &[], &chat("m", "x", true)).answer();
    let stream = sse::chat(&answer.text());
    assert!(answer.whole && stream.done);
    assert_eq!(stream.text, "ab");
}

#[test]
fn a_stall_ends_when_its_gate_opens_or_the_caller_leaves() {
    let gate = Gate::new();
    let upstream =
        Upstream::always([vec![Step::Stall(gate.clone())], reply::chat("late")].concat());
    let mut first = client(&upstream);
    first.post(CHAT, &[], &chat("m", "x", false));
    let mut second = client(&upstream);
    second.post(CHAT, &[], &chat("m", "x", false));
    upstream.request(1);
    second.hang_up();
    upstream.closed(1);
    gate.open();
    assert_eq!(first.answer().status(), 200);
}

#[test]
fn the_simulator_breaks_streams_as_it_is_told() {
    let provider = Provider {
        name: "sim".to_owned(),
        api: Api::OpenAi,
        key: None,
        models: vec![Model { answer_tokens: 50, ..Model::instant("m") }],
    };
    let running = start(TcpListener::bind("127.0.0.1:0").unwrap(), provider).unwrap();
    let ask = || {
        let mut client = Client::connect(running.address(), &Watched::new(Vec::new()));
        client.post(CHAT, &[], &chat("m", "x", true)).answer()
    };
    let whole = ask();
    assert!(whole.whole && sse::chat(&whole.text()).done);
    let order = |order: &str| {
        let mut client = Client::connect(running.address(), &Watched::new(Vec::new()));
        assert_eq!(client.post("/_simulator/m", &[], order).answer().status(), 200);
    };
    order(r#"{"fault":"cut_after_tokens","tokens":3}"#);
    let cut = ask();
    assert!(!cut.whole && sse::chat(&cut.text()).text.starts_with("[simulated m]"));
    order(r#"{"fault":"no_done"}"#);
    let ended = ask();
    assert!(ended.whole && !sse::chat(&ended.text()).done);
}
