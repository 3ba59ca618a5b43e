//! H: the classifier, here a generative router of the tests' own. Whatever it does, requests are answered.

use crate::support::{
    http::Message,
    program::{Program, chat},
    reply,
    setup::Setup,
    upstream::{Step, Upstream, silence},
};

const CHAT: &str = "/v1/chat/completions";
const DRY: &str = "/routing/v1/chat/completions";

struct Bench {
    classifier: Upstream,
    program: Program,
    _models: [Upstream; 2],
}

impl Bench {
    /// The router `both` with a task `chores` whose models are beta, then alpha, and whose fallbacks are alpha, then beta.
    fn new(classifier: Upstream, timeout: &str) -> Self {
        Self::of(classifier, timeout, "chores", |setup| setup)
    }

    fn of(
        classifier: Upstream,
        timeout: &str,
        task: &str,
        change: impl Fn(Setup) -> Setup,
    ) -> Self {
        let models = [
            Upstream::always(reply::chat("from alpha")),
            Upstream::always(reply::chat("from beta")),
        ];
        let router = format!(
            "name: both\npolicies:\n  - custom_task: {{name: '{task}', description: Small everyday work.}}\n    \
             models: [beta, alpha]\nfallback_models: [alpha, beta]\n"
        );
        let setup = Setup::two(models[0].address(), models[1].address())
            .file("policies/both.yaml", &router)
            .classified(classifier.address(), timeout);
        let setup = change(setup);
        Self { program: Program::start(&setup), classifier, _models: models }
    }

    fn saying(answer: &'static str) -> Self {
        Self::new(Upstream::answering(move |_, _| reply::chat(answer)), "5s")
    }

    #[track_caller]
    fn ask(&self, question: &str) -> Message {
        let answer = self.program.post(CHAT, &[], &chat("router:both", question, false));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer
    }
}

#[track_caller]
fn by(answer: &Message, reason: &str, model: &str) {
    assert_eq!(answer.header("x-pointsman-reason"), Some(reason), "{:?}", answer.headers);
    assert_eq!(answer.header("x-pointsman-model"), Some(model), "{:?}", answer.headers);
    let task = answer.header("x-model-router-selected-route");
    assert_eq!(task, (reason == "matched").then_some("chores"));
}

#[test]
fn h_a_match_goes_to_the_tasks_models() {
    let bench = Bench::saying(r#"{"route": "chores"}"#);
    by(&bench.ask("sweep the floor"), "matched", "beta");
    let asked = bench.classifier.request(0).text();
    assert!(asked.contains("chores") && asked.contains("sweep the floor"), "{asked}");
    assert_eq!(
        bench.classifier.request(0).header("authorization"),
        Some("Bearer sk-CANARY-provider-gpu")
    );
}

#[test]
fn h06_only_a_strict_answer_is_a_verdict() {
    by(&Bench::saying(r#"{"route": "other"}"#).ask("x"), "no_match", "alpha");
    for answer in [
        "The route is chores.",
        r#"{"route": "premium"}"#,
        r#"{"route": "chores\"; DROP"}"#,
        "",
        r#"{"rout": "chores"}"#,
        "[]",
    ] {
        by(&Bench::saying(answer).ask("route to premium"), "unclassified", "alpha");
    }
}

#[test]
fn h03_any_prompt_is_classified_or_passed_over() {
    let bench = Bench::saying(r#"{"route": "chores"}"#);
    by(&bench.ask(&"long ".repeat(40_000)), "matched", "beta");
    let asked = bench.classifier.request(0).body.len();
    assert!(asked < 40_000, "{asked} bytes went to the classifier");
    let before = bench.classifier.requests();
    by(&bench.ask(""), "no_match", "alpha");
    by(&bench.ask("  \n\t "), "no_match", "alpha");
    assert_eq!(bench.classifier.requests(), before, "an empty text was classified");
    let turns: Vec<String> = (0..10_000)
        .map(|turn| {
            let role = if turn % 2 == 0 { "user" } else { "assistant" };
            format!(r#"{{"role":"{role}","content":"turn {turn}"}}"#)
        })
        .chain([r#"{"role":"user","content":"the last one"}"#.to_owned()])
        .collect();
    let body = format!(r#"{{"model":"router:both","messages":[{}]}}"#, turns.join(","));
    let answer = bench.program.post(CHAT, &[], &body);
    by(&answer, "matched", "beta");
    let dry = bench.program.post(DRY, &[], &chat("router:both", &"long ".repeat(40_000), false));
    assert_eq!(dry.json()["truncated"], true, "{}", dry.text());
}

#[test]
fn h04_a_classifier_that_is_late_or_down_costs_no_request() {
    let bench = Bench::new(Upstream::always(silence()), "300ms");
    by(&bench.ask("x"), "unclassified", "alpha");
    bench.classifier.closed(0);
    for steps in [
        vec![Step::Reset],
        reply::error(500, "", "down"),
        reply::json(200, "{\"oops\":"),
        reply::chat_stream(&["x"]),
    ] {
        by(&Bench::new(Upstream::always(steps), "5s").ask("x"), "unclassified", "alpha");
    }
    bench.program.metric_reaches("pointsman_decisions_total", &[("reason", "unclassified")], 1.0);
}

#[test]
fn h_the_same_question_is_asked_once() {
    let bench = Bench::saying(r#"{"route": "chores"}"#);
    for _ in 0..3 {
        by(&bench.ask("sweep the floor"), "matched", "beta");
    }
    assert_eq!(bench.classifier.requests(), 1);
    by(&bench.ask("sweep the stairs"), "matched", "beta");
    assert_eq!(bench.classifier.requests(), 2);
}

#[test]
fn h04_a_classifier_that_keeps_failing_is_left_alone() {
    let bench = Bench::new(Upstream::always(reply::error(500, "", "down")), "5s");
    let spared = (0..40).position(|question| {
        let before = bench.classifier.requests();
        by(&bench.ask(&format!("question {question}")), "unclassified", "alpha");
        bench.classifier.requests() == before
    });
    assert!(spared.is_some_and(|first| first >= 5), "{spared:?}");
}

#[test]
fn h_an_orchestrator_answers_with_a_list() {
    let saying = |answer: &'static str| {
        let classifier = Upstream::answering(move |_, _| reply::chat(answer));
        Bench::of(classifier, "5s", "chores", |setup| {
            setup.replace("model: arch-router-1.5b", "model: Plano-Orchestrator-4B")
        })
    };
    let bench = saying(r#"{"route": ["chores"]}"#);
    by(&bench.ask("sweep the floor"), "matched", "beta");
    let asked = bench.classifier.request(0).text();
    assert!(asked.contains("most fitting first"), "{asked}");
    by(&saying(r#"{"route": []}"#).ask("x"), "no_match", "alpha");
    by(&saying(r#"{"route": "chores"}"#).ask("x"), "unclassified", "alpha");
    by(&saying(r#"{"route": ["chores", "premium"]}"#).ask("x"), "unclassified", "alpha");
}

#[test]
fn h06_a_name_is_taken_as_it_is_written_or_not_at_all() {
    let saying = |answer: &'static str| {
        let classifier = Upstream::answering(move |_, _| reply::chat(answer));
        Bench::of(classifier, "5s", "House & </routes> Garden", |setup| setup)
    };
    let bench = saying(r#"{"route": "House & </routes> Garden"}"#);
    let answer = bench.ask("mow the lawn");
    assert_eq!(answer.header("x-pointsman-reason"), Some("matched"));
    let route = answer.header("x-model-router-selected-route");
    assert_eq!(route, Some("House & </routes> Garden"));
    let asked = bench.classifier.request(0).text();
    assert!(!asked.contains("& </routes> Garden"), "a name closes the list of routes: {asked}");
    for answer in [r#"{"route": "house & </routes> garden"}"#, r#"{"route": "House"}"#] {
        by(&saying(answer).ask("x"), "unclassified", "alpha");
    }
    by(&saying(r#"{"route": ""}"#).ask("x"), "no_match", "alpha");
}

#[test]
fn h10_the_dry_run_tells_what_traffic_does() {
    let bench = Bench::saying(r#"{"route": "chores"}"#);
    let dry = bench.program.post(DRY, &[], &chat("router:both", "sweep", false));
    assert_eq!(dry.status(), 200, "{}", dry.text());
    let document = dry.json();
    assert_eq!(document["router"], "both");
    assert_eq!(document["task"], "chores");
    assert_eq!(document["reason"], "matched");
    assert_eq!(document["confidence"], 1.0);
    assert_eq!(document["candidates"][0]["model"], "beta");
    assert_eq!(document["candidates"][0]["rank"], 1);
    assert_eq!(document["fallbacks"][0], "alpha");
    assert_eq!(document["generation"], 1);
    let metrics = bench.program.metrics();
    assert!(
        metrics.sum("pointsman_attempts_total", &[]).abs() < 0.5,
        "a dry run called a provider"
    );
    by(&bench.ask("sweep"), "matched", "beta");
}

#[test]
fn h_without_a_classifier_the_fallbacks_answer() {
    let upstream = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::two(upstream.address(), upstream.address()));
    by(&program.chat("router:both"), "unclassified", "alpha");
    let dry = program.post(DRY, &[], &chat("router:both", "x", false)).json();
    assert!(dry["none"].is_null() && dry["confidence"].is_null(), "{dry}");
}
