//! Live prices: the public formats over HTTP, what a broken feed leaves, and the command that says what is in force.

use crate::support::{
    program::{Program, chat, run, said},
    reply,
    setup::Setup,
    until,
    upstream::Upstream,
};

const DRY: &str = "/routing/v1/chat/completions";

/// One model in each public format: two dollars for a million input tokens, six for output.
const FORMATS: [(&str, &str); 4] = [
    (
        "litellm",
        r#"{"alpha":{"input_cost_per_token":2e-6,"output_cost_per_token":6e-6,"litellm_provider":"x"}}"#,
    ),
    (
        "openrouter",
        r#"{"data":[{"id":"alpha","pricing":{"prompt":"0.000002","completion":"0.000006"}}]}"#,
    ),
    (
        "models-dev",
        r#"{"x":{"id":"x","models":{"alpha":{"id":"alpha","cost":{"input":2,"output":6}}}}}"#,
    ),
    (
        "digitalocean",
        r#"{"data":[{"model_id":"alpha","pricing":{"input_price_per_million":2,"output_price_per_million":6}}]}"#,
    ),
];

fn setup(feed: &Upstream, model: &Upstream, format: &str) -> Setup {
    let url = feed.address();
    Setup::new()
        .provider("one", "openai-chat", model.address())
        .model("alpha", "one", "price: {input: 1, output: 3}")
        .with(&format!(
            "prices: [{{format: {format}, url: \"http://{url}/prices.json\", refresh: 1s, allow_private: true}}]"
        ))
}

fn expected_cost(program: &Program) -> f64 {
    let body = r#"{"model":"alpha","max_tokens":1000,"messages":[{"role":"user","content":"hi"}]}"#;
    let answer = program.post(DRY, &[], body);
    let document: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    document["candidates"][0]["cost"]["output_usd"].as_f64().unwrap()
        / document["candidates"][0]["cost"]["output_tokens"].as_f64().unwrap()
        * 1e6
}

#[test]
fn i_every_public_format_is_read_over_http() {
    let model = Upstream::always(reply::chat("hello"));
    for (format, document) in FORMATS {
        let feed = Upstream::always(reply::json(200, document));
        let setup = setup(&feed, &model, format);
        let folder = setup.write();
        let output = run(&setup, &["prices", "-c", folder.main().to_str().unwrap()]);
        let text = said(&output);
        assert!(output.status.success(), "{format}: {text}");
        assert!(
            text.contains("input 2.0000") && text.contains("output 6.0000"),
            "{format}: {text}"
        );
        assert!(text.contains("/prices.json (alpha), confirmed"), "{format}: {text}");
    }
}

#[test]
fn i08_what_a_feed_said_last_stays_when_it_breaks() {
    let model = Upstream::always(reply::chat("hello"));
    let [(format, document), ..] = FORMATS;
    let feed = Upstream::answering(move |index, _| match index {
        0 => reply::json(200, document),
        1 => reply::json(200, "<html>not a price</html>"),
        2 => reply::json(404, "{}"),
        3 => reply::json(200, r#"{"alpha":{"input_cost_per_token":-1,"output_cost_per_token":0}}"#),
        // A price a thousand times as high has to be confirmed before it is believed.
        _ => reply::json(
            200,
            r#"{"alpha":{"input_cost_per_token":2e-3,"output_cost_per_token":6e-3}}"#,
        ),
    });
    let program = Program::start(&setup(&feed, &model, format));
    until("the feed is in force", || ((expected_cost(&program) - 6.0).abs() < 1e-3).then_some(()));
    until("the feed has failed in every way", || (feed.requests() > 5).then_some(()));
    assert!((expected_cost(&program) - 6.0).abs() < 1e-3);
    assert_eq!(
        program.post("/v1/chat/completions", &[], &chat("alpha", "hi", false)).status(),
        200
    );
}
