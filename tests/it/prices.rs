//! Live prices: the public formats over HTTP, what a broken feed leaves, and the command that says what is in force.

use crate::support::{
    program::{Program, chat, run, said},
    reply,
    setup::Setup,
    until,
    upstream::{Step, Upstream, send},
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

/// A page of `DigitalOcean`'s catalog with one model, and the address of the next.
fn page(model: &str, next: Option<&str>) -> Vec<Step> {
    let entry = format!(
        r#"{{"model_id":"{model}","pricing":{{"input_price_per_million":2,"output_price_per_million":6}}}}"#
    );
    let pages = next.map_or_else(String::new, |next| format!(r#""next":"{next}","#));
    let links = format!(r#"{{"pages":{{{pages}"first":"x","last":"y"}}}}"#);
    reply::json(200, &format!(r#"{{"data":[{entry}],"links":{links},"meta":{{"total":9}}}}"#))
}

/// What `pointsman prices` says of a catalog in pages.
fn listed(feed: &Upstream) -> String {
    let model = Upstream::always(reply::chat("hello"));
    let setup = setup(feed, &model, "digitalocean").with("# pages");
    let folder = setup.write();
    let output = run(&setup, &["prices", "-c", folder.main().to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

#[test]
fn every_page_of_a_catalog_is_read() {
    let feed = Upstream::answering(|_, request| match request.target() {
        "/prices.json" => page("first", Some("/prices.json?page=2")),
        "/prices.json?page=2" => page("second", Some("?page=3&per_page=1")),
        _ => page("alpha", None),
    });
    let text = listed(&feed);
    assert!(text.contains("input 2.0000") && text.contains("3 prices"), "{text}");
    assert_eq!(feed.requests(), 3);
}

/// What is answered to each request.
type Script = Box<dyn Fn(usize) -> Vec<Step> + Send + Sync>;

#[test]
fn a_catalog_whose_pages_lead_astray_is_not_taken() {
    let elsewhere = Upstream::always(page("alpha", None));
    let away = format!("http://{}/prices.json?page=2", elsewhere.address());
    let endless = |index: usize| page("alpha", Some(&format!("/prices.json?page={index}")));
    let astray: [(&str, Script); 5] = [
        ("same server", Box::new(move |_| page("alpha", Some(&away)))),
        ("same server", Box::new(|_| page("alpha", Some("/prices.json")))),
        ("50 pages", Box::new(endless)),
        (
            "status 500",
            Box::new(|index| match index {
                0 => page("alpha", Some("?page=2")),
                _ => reply::json(500, "{}"),
            }),
        ),
        (
            "expected format",
            Box::new(|index| match index {
                0 => page("alpha", Some("?page=2")),
                _ => reply::json(200, "<html>"),
            }),
        ),
    ];
    for (fault, answer) in astray {
        let feed = Upstream::answering(move |index, _| answer(index));
        let text = listed(&feed);
        assert!(text.contains("not fetched") && text.contains(fault), "{fault}: {text}");
        assert!(text.contains("input 1.0000") && text.contains("configured"), "{fault}: {text}");
        assert!(feed.requests() <= 50);
    }
    assert_eq!(elsewhere.connections(), 0, "a page of another server was asked for");
}

/// More than a feed may be, in one entry.
fn flood() -> Vec<Step> {
    vec![
        send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        reply::chunk(r#"{"alpha":{"input_cost_per_token":9e-6,"x":""#),
        Step::Flood(format!("10000\r\n{}\r\n", "x".repeat(0x10000)).into_bytes()),
    ]
}

#[test]
fn i08_what_a_feed_said_last_stays_when_it_breaks() {
    let model = Upstream::always(reply::chat("hello"));
    let elsewhere =
        Upstream::always(reply::json(200, r#"{"alpha":{"output_cost_per_token":9e-6}}"#));
    let [(format, document), ..] = FORMATS;
    let redirect = format!("Location: http://{}/prices.json\r\n", elsewhere.address());
    let says = |output: &str| {
        reply::json(
            200,
            &format!(
                r#"{{"alpha":{{"input_cost_per_token":{output},"output_cost_per_token":{output}}}}}"#
            ),
        )
    };
    let unknown =
        r#"{"somebody-elses":{"input_cost_per_token":9e-6,"output_cost_per_token":9e-6}}"#;
    let faults: Vec<Vec<Step>> = vec![
        reply::json(200, "<html>not a price</html>"),
        reply::json(200, ""),
        reply::json(404, "{}"),
        reply::json(500, document),
        vec![send(reply::raw(302, &redirect, "")), Step::Fin],
        vec![Step::Reset],
        vec![send("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"alpha\":"), Step::Fin],
        flood(),
        says("-1"),
        says("0"),
        says("NaN"),
        says("\"NaN\""),
        says("1e999"),
        says("null"),
        says("\"EUR 3\""),
        reply::json(200, unknown),
        // A price a thousand times as high, or as low, has to be confirmed before it is believed.
        says("6e-3"),
        says("6e-9"),
    ];
    let count = faults.len();
    let feed = Upstream::answering(move |index, _| match index {
        0 => reply::json(200, document),
        index => faults[(index - 1) % count].clone(),
    });
    let program = Program::start(&setup(&feed, &model, format));
    until("the feed is in force", || ((expected_cost(&program) - 6.0).abs() < 1e-3).then_some(()));
    for fault in 0..count {
        // The next fetch begins only when the one before it has been dealt with.
        feed.request(fault + 2);
        assert!((expected_cost(&program) - 6.0).abs() < 1e-3, "after fault {fault}");
    }
    assert_eq!(elsewhere.connections(), 0, "a redirect was followed");
    assert_eq!(
        program.post("/v1/chat/completions", &[], &chat("alpha", "hi", false)).status(),
        200
    );
}
