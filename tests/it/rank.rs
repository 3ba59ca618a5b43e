//! I: ranking and statistics, from outside.

use serde_json::Value;

use crate::support::{
    program::{Program, chat},
    reply,
    setup::Setup,
    upstream::Upstream,
};

const DRY: &str = "/routing/v1/chat/completions";

fn router(prefer: &str) -> String {
    format!(
        "name: both\npolicies:\n  - custom_task: {{name: chores, description: Small everyday work.}}\n    \
         models: [alpha, beta]\n    selection_policy: {{prefer: {prefer}}}\nfallback_models: [beta]\n"
    )
}

fn decided(program: &Program) -> Value {
    program.post(DRY, &[], &chat("router:both", "x", false)).json()
}

fn classifier() -> Upstream {
    Upstream::always(reply::chat(r#"{"route": "chores"}"#))
}

#[test]
fn i02_a_model_that_fails_fast_is_not_fast() {
    let judge = classifier();
    let (first, second) = (
        Upstream::always(reply::error(500, "", "broken")),
        Upstream::always(reply::chat_stream(&["fine"])),
    );
    let setup = Setup::two(first.address(), second.address())
        .file("policies/both.yaml", &router("fastest"))
        .classified(judge.address(), "5s");
    let program = Program::start(&setup);
    for _ in 0..4 {
        let answer = program.chat_stream("router:both");
        assert_eq!(answer.header("x-pointsman-model"), Some("beta"), "{}", answer.text());
    }
    let document = decided(&program);
    assert_eq!(document["candidates"][0]["model"], "beta", "{document}");
}

#[test]
fn i06_i07_the_cheapest_is_first_and_an_unknown_price_last() {
    let judge = classifier();
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::new()
        .provider("one", "openai-chat", upstream.address())
        .model("alpha", "one", "")
        .model("beta", "one", "price: {input: 9, output: 9}")
        .file("policies/both.yaml", &router("cheapest"))
        .classified(judge.address(), "5s");
    let program = Program::start(&setup);
    let document = decided(&program);
    assert_eq!(document["candidates"][0]["model"], "beta", "{document}");
    assert!(document["candidates"][0]["expected_cost_usd"].as_f64().unwrap() > 0.0);
    assert!(document["candidates"][1]["expected_cost_usd"].is_null(), "{document}");
}

#[test]
fn i14_when_every_candidate_is_ruled_out_the_gate_is_named() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::new()
        .provider("one", "openai-chat", upstream.address())
        .model("alpha", "one", "context_window: 50")
        .model("beta", "one", "context_window: 50, features: [json]")
        .model("gamma", "one", "")
        .router("both", &["alpha", "beta"]);
    let program = Program::start(&setup);
    let long = chat("router:both", &"word ".repeat(500), false);
    let answer = program.post("/v1/chat/completions", &[], &long);
    assert_eq!((answer.status(), answer.code().as_str()), (400, "context_length_exceeded"));
    let document = program.post(DRY, &[], &long);
    assert_eq!(document.status(), 200);
    let why = document.json()["candidates"][0]["ruled_out"].as_str().unwrap().to_owned();
    assert!(why.starts_with("context_window"), "{why}");
    let image = r#"{"model":"gamma","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]}"#;
    let answer = program.post("/v1/chat/completions", &[], image);
    assert_eq!((answer.status(), answer.code().as_str()), (400, "unsupported_by_model"));
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn i12_unknown_names_share_one_label() {
    let upstream = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let before = program.metrics().0.len();
    for number in 0..200 {
        program.chat(&format!("unknown-{number}"));
    }
    assert!(program.metrics().0.len() < before + 20, "a series for each name");
    assert!(!program.admin("/metrics").text().contains("unknown-"));
}
