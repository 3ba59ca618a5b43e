//! Measured quality: `pointsman eval --models`, the file that it prints, and `prefer: optimal` with it.

use serde_json::Value;

use crate::support::{
    program::{Program, chat, run, said},
    reply,
    setup::Setup,
    upstream::Upstream,
};

const DRY: &str = "/routing/v1/chat/completions";

const DATA: &str = r#"{"text":"The capital of France?","task":"chores","contains":"paris"}
{"messages":[{"role":"user","content":"2+2? The number alone."}],"label":"chores","expect":"4"}

{"text":"A year, please","task":"chores","matches":"^[0-9]{4}$"}
{"text":"Of no task","task":null}
"#;

/// Answers as a good student does, or always the same.
fn student(good: bool) -> Upstream {
    Upstream::answering(move |_, request| {
        let text = request.text();
        reply::chat(if !good || text.contains("2+2") {
            "4"
        } else if text.contains("France") {
            "It is Paris."
        } else {
            "2026"
        })
    })
}

fn setup(good: &Upstream, poor: &Upstream, judge: &Upstream) -> Setup {
    let router = "name: both\npolicies:\n  - custom_task: {name: chores, description: Small everyday work.}\n    \
         models: [poor, good]\n    selection_policy: {prefer: optimal}\nfallback_models: [poor]\n";
    Setup::new()
        .provider("one", "openai-chat", good.address())
        .provider("two", "openai-chat", poor.address())
        .provider("three", "openai-chat", judge.address())
        .model("good", "one", "price: {input: 9, output: 9}")
        .model("poor", "two", "price: {input: 1, output: 1}")
        .model("umpire", "three", "")
        .file("policies/both.yaml", router)
        .file("data.jsonl", DATA)
}

/// The exit code, what was printed, and all that was said.
fn eval(setup: &Setup, data: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let folder = setup.write();
    let (main, data) = (folder.main(), folder.path().join(data));
    let mut arguments = vec!["eval", "-c", main.to_str().unwrap(), "--router", "both", "--models"];
    arguments.extend(more);
    arguments.push(data.to_str().unwrap());
    let output = run(setup, &arguments);
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    (output.status.code(), printed, said(&output))
}

#[test]
fn every_model_of_a_task_is_asked_and_graded() {
    let (good, poor, judge) = (student(true), student(false), Upstream::always(reply::chat("?")));
    let (code, scores, all) = eval(&setup(&good, &poor, &judge), "data.jsonl", &[]);
    assert_eq!(code, Some(0), "{all}");
    assert!(all.contains("asking 6 questions"), "{all}");
    assert!(scores.contains(r#"quality: {"good": 1.0000, "poor": 0.3333}"#), "{scores}");
    assert!(scores.contains("1 lines belong to no task"), "{scores}");
    assert_eq!((good.requests(), poor.requests(), judge.requests()), (3, 3, 0));
}

#[test]
fn optimal_ranks_by_what_was_measured_and_says_where_it_is_from() {
    let (good, poor, judge) = (student(true), student(false), Upstream::always(reply::chat("?")));
    let setup = setup(&good, &poor, &judge);
    let (_, scores, _) = eval(&setup, "data.jsonl", &[]);
    let classifier = Upstream::always(reply::chat(r#"{"route": "chores"}"#));
    let measured =
        setup.file("policies/scores.yaml", &scores).classified(classifier.address(), "5s");
    let folder = measured.write();
    let text = said(&run(&measured, &["check", "-c", folder.main().to_str().unwrap()]));
    let line =
        "quality of poor at chores: 0.333 (0.061 to 0.792, 3 answers); measured by pointsman eval";
    assert!(text.contains("ok:") && text.contains(line), "{text}");
    let program = Program::start(&measured);
    let document: Value = program.post(DRY, &[], &chat("router:both", "x", false)).json();
    let [first, second] = [&document["candidates"][0], &document["candidates"][1]];
    assert_eq!((&first["model"], &first["why"]), (&"good".into(), &"optimal".into()), "{document}");
    assert_eq!(first["quality_source"], "measured by pointsman eval");
    assert_eq!((&second["quality"], &second["quality_samples"]), (&0.3333.into(), &3.into()));
    assert!(second["quality_interval"][1].as_f64().unwrap() < 0.8, "{document}");
    assert_eq!(second["unless"], "first if its quality were above 1 instead of 0.3333");
}

#[test]
fn a_judge_grades_what_no_rule_decides() {
    let (good, poor) = (student(true), student(false));
    let judge = Upstream::answering(|_, request| {
        reply::chat(if request.text().contains("2026") { "9" } else { "no idea" })
    });
    let setup =
        setup(&good, &poor, &judge).file("open.jsonl", r#"{"text":"Write","task":"chores"}"#);
    let (code, _, all) = eval(&setup, "open.jsonl", &[]);
    assert_eq!(code, Some(1), "{all}");
    assert!(all.contains("open.jsonl:1") && all.contains("--judge"), "{all}");
    let (code, scores, all) = eval(&setup, "open.jsonl", &["--judge", "umpire"]);
    assert_eq!(code, Some(0), "{all}");
    assert!(scores.contains(r#"quality: {"good": 0.9000}"#), "{scores}");
    assert!(scores.contains("graded by umpire"), "{scores}");
    assert!(scores.contains("poor: not measured; 1 without an answer or a grade"), "{scores}");
    let (code, _, all) = eval(&setup, "open.jsonl", &["--judge", "nobody"]);
    assert_eq!(code, Some(1), "{all}");
}

#[test]
fn what_was_not_answered_is_no_score() {
    let (good, judge) = (student(true), Upstream::always(reply::chat("?")));
    let broken = Upstream::always(reply::error(500, "", "broken"));
    let bad = "{\"text\":\"x\",\"task\":\"chores\",\"matches\":\"(\"}\n";
    let unknown = "{\"text\":\"x\",\"task\":\"chores\",\"expect\":\"x\"}\n{\"text\":\"x\",\"task\":\"no-such\"}\n";
    let half = setup(&good, &broken, &judge).file("bad.jsonl", bad).file("unknown.jsonl", unknown);
    let (code, scores, all) = eval(&half, "data.jsonl", &[]);
    assert_eq!(code, Some(0), "{all}");
    assert!(scores.contains(r#"quality: {"good": 1.0000}"#), "{scores}");
    assert!(scores.contains("poor: not measured; 3 without an answer"), "{scores}");
    for (data, place) in [("bad.jsonl", "bad.jsonl:1"), ("unknown.jsonl", "unknown.jsonl:2")] {
        let (code, printed, all) = eval(&half, data, &[]);
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{all}");
        assert!(all.contains(place), "{all}");
    }
    let (code, printed, all) = eval(&setup(&broken, &broken, &judge), "data.jsonl", &[]);
    assert_eq!((code, printed.as_str()), (Some(1), ""), "{all}");
    assert!(all.contains("no model answered"), "{all}");
}
