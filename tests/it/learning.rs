//! I: what the process learns of its models, and what must not teach it anything.

use serde_json::Value;

use crate::support::{
    Gate,
    program::{Program, chat},
    reply,
    setup::Setup,
    until,
    upstream::{Step, Upstream},
};

const CHAT: &str = "/v1/chat/completions";
const DRY: &str = "/routing/v1/chat/completions";

fn bench(prefer: &str, upstream: &Upstream, judge: &Upstream) -> Setup {
    let router = format!(
        "name: both\npolicies:\n  - custom_task: {{name: chores, description: Small everyday work.}}\n    \
         models: [alpha, beta]\n    selection_policy: {{prefer: {prefer}}}\nfallback_models: [beta]\n"
    );
    Setup::two(upstream.address(), upstream.address())
        .file("policies/both.yaml", &router)
        .classified(judge.address(), "5s")
}

fn judge() -> Upstream {
    Upstream::always(reply::chat(r#"{"route": "chores"}"#))
}

fn decided(program: &Program) -> Value {
    program.post(DRY, &[], &chat("router:both", "x", false)).json()
}

fn samples(document: &Value, model: &str) -> u64 {
    let candidates = document["candidates"].as_array().unwrap();
    let found = candidates.iter().find(|candidate| candidate["model"] == model);
    found.unwrap_or_else(|| panic!("{model} in {document}"))["samples"].as_u64().unwrap()
}

#[test]
fn i01_nothing_known_is_null_and_orders_as_written() {
    let (upstream, judge) = (Upstream::always(reply::chat("fine")), judge());
    let program = Program::start(&bench("fastest", &upstream, &judge));
    let document = decided(&program);
    for (place, model) in ["alpha", "beta"].into_iter().enumerate() {
        let candidate = &document["candidates"][place];
        assert_eq!(candidate["model"], model, "{document}");
        assert_eq!(candidate["samples"], 0, "{document}");
        assert!(candidate["expected_ttft_ms"].is_null(), "{document}");
        assert!(candidate["expected_cost_usd"].is_null(), "{document}");
    }
    assert_eq!(program.chat("router:both").status(), 200);
}

/// A whole answer has no first token, and a caller that left before it never saw one.
#[test]
fn i05_an_answer_that_shows_no_first_token_teaches_none() {
    let gate = Gate::new();
    let (opens, judge) = (gate.clone(), judge());
    let upstream = Upstream::answering(move |_, request| {
        if !request.text().contains("\"stream\":true") {
            return reply::chat("fine");
        }
        let mut steps = vec![reply::stream_head(), reply::role(), Step::Stall(opens.clone())];
        steps.extend([reply::token("fine"), reply::finish(), reply::done()]);
        steps.extend(reply::end());
        steps
    });
    let program = Program::start(&bench("none", &upstream, &judge));
    assert_eq!(program.chat("alpha").status(), 200);
    assert_eq!(samples(&decided(&program), "alpha"), 0, "a whole answer taught a first token");
    let mut client = program.client();
    client.post(CHAT, &[], &chat("alpha", "x", true));
    upstream.request(1);
    client.hang_up();
    program.metric_reaches("pointsman_attempts_total", &[("outcome", "cancelled")], 1.0);
    assert_eq!(samples(&decided(&program), "alpha"), 0, "a caller that left taught a first token");
    gate.open();
    assert_eq!(program.chat_stream("alpha").status(), 200);
    assert_eq!(samples(&decided(&program), "alpha"), 1);
}

#[test]
fn i11_what_was_learned_survives_a_reload() {
    let (upstream, judge) = (Upstream::always(reply::chat_stream(&["fine"])), judge());
    let setup = bench("none", &upstream, &judge);
    let program = Program::start(&setup);
    for _ in 0..3 {
        assert_eq!(program.chat_stream("alpha").status(), 200);
    }
    let before = decided(&program);
    assert_eq!(samples(&before, "alpha"), 3);
    program.folder().write("pointsman.yaml", format!("{}\n# the same\n", setup.text()));
    let after = until("the next generation", || {
        let document = decided(&program);
        (document["generation"] != before["generation"]).then_some(document)
    });
    assert_eq!(samples(&after, "alpha"), 3);
    assert_eq!(samples(&after, "beta"), 0);
}

/// A verdict belongs to the tasks that it was given for: other words for a task are another question.
#[test]
fn i13_h12_a_verdict_is_kept_for_its_text_and_its_tasks_only() {
    let (upstream, judge) = (Upstream::always(reply::chat("fine")), judge());
    let setup = bench("none", &upstream, &judge);
    let program = Program::start(&setup);
    let ask = |question: &str| {
        let answer = program.post(CHAT, &[], &chat("router:both", question, false));
        assert_eq!(answer.header("x-pointsman-reason"), Some("matched"), "{}", answer.text());
        judge.requests()
    };
    let shared = "word ".repeat(40);
    assert_eq!(ask(&format!("{shared}one")), 1);
    assert_eq!(ask(&format!("{shared}one")), 1, "the same question is answered from memory");
    assert_eq!(ask(&format!("{shared}two")), 2, "questions that begin alike are two");
    let long = "long ".repeat(40_000);
    assert_eq!(ask(&long), 3);
    assert_eq!(ask(&long), 4, "what was cut is not remembered: what was left out could differ");
    let before = decided(&program)["generation"].clone();
    let other = "name: both\npolicies:\n  - custom_task: {name: chores, description: Something else.}\n    \
                 models: [alpha, beta]\nfallback_models: [beta]\n";
    program.folder().write("policies/both.yaml", other);
    until("the next generation", || (decided(&program)["generation"] != before).then_some(()));
    let known = judge.requests();
    assert_eq!(ask(&format!("{shared}one")), known + 1, "the task has other words now");
}

#[test]
fn h13_what_a_caller_says_goes_to_the_classifier_and_the_model_only() {
    const SECRET: &str = "my number is 4711-0815";
    let judge = judge();
    let (upstream, other) =
        (Upstream::always(reply::chat("fine")), Upstream::always(reply::chat("never")));
    let setup = bench("none", &upstream, &judge)
        .provider("idle", "openai-chat", other.address())
        .model("gamma", "idle", "");
    let program = Program::start(&setup.with("log: {level: debug}"));
    let answer = program.post(CHAT, &[], &chat("router:both", SECRET, false));
    assert_eq!(answer.header("x-pointsman-reason"), Some("matched"));
    assert!(judge.request(0).text().contains(SECRET));
    assert!(upstream.request(0).text().contains(SECRET));
    assert_eq!(other.connections(), 0);
    program.logged("\"request_id\"");
    for text in [program.log().join("\n"), program.admin("/metrics").text()] {
        assert!(!text.contains("4711"), "{text}");
    }
}

#[test]
fn h07_a_classifier_that_is_this_proxy_is_refused() {
    let upstream = Upstream::always(reply::chat("fine"));
    let port = Upstream::refusing();
    let setup = Setup::two(upstream.address(), upstream.address())
        .classified(port, "5s")
        .replace("listen: 127.0.0.1:0", &format!("listen: {port}"));
    let folder = setup.write();
    let main = folder.main();
    let output = crate::support::program::run(&setup, &["check", "-c", main.to_str().unwrap()]);
    let text = crate::support::program::said(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("own address"), "{text}");
}
