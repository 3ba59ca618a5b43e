//! Routers that are not saved: judged and tried, and nothing comes of it.

use std::fs;

use serde_json::{Value, json};

use super::{BOTH, ROUTERS, ask, get, started};
use crate::support::{program::Program, reply, setup::Setup, upstream::Upstream};

const DRAFT: &str = "/api/routers/draft";
const TRY: &str = "/api/routers/try";

fn judged(program: &Program, body: &Value) -> Value {
    let (answer, json) = ask(program, "POST", DRAFT, Some(body));
    assert_eq!(answer.status(), 200, "{body}: {}", answer.text());
    json
}

fn names(program: &Program) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(program.folder().path().join("policies"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A draft with something to say about its second task.
const DRAFTED: &str = "# note\nname: draft\npolicies:\n  - custom_task: {name: a, description: Fix errors in code}\n    models: [beta]\n  \
                - custom_task: {name: b}\n    models: [beta]\nfallback_models: [beta]\n";

#[test]
fn a_draft_is_judged_and_not_saved() {
    let (_one, _two, program) = started();
    let good = judged(&program, &json!({"yaml": DRAFTED}));
    assert_eq!((&good["yaml"], &good["faults"]), (&json!(DRAFTED), &json!([])));
    assert_eq!(good["router"]["name"], "draft");
    assert_eq!(good["router"]["config"]["policies"][0]["models"], json!(["beta"]));
    let warning =
        good["warnings"].as_array().unwrap().iter().find(|w| w["path"] == "policies[1]").unwrap();
    assert_eq!(
        (&warning["tasks"], &warning["line"], &warning["column"]),
        (&json!(["b"]), &json!(6), &json!(5))
    );
}

#[test]
fn a_mistake_of_meaning_leaves_the_form_and_one_of_shape_does_not() {
    let (_one, _two, program) = started();
    let wrong = judged(
        &program,
        &json!({"yaml": DRAFTED.replace("fallback_models: [beta]", "fallback_models: [nobody]")}),
    );
    assert_eq!(wrong["router"]["config"]["fallback_models"], json!(["nobody"]));
    assert_eq!(wrong["faults"][0]["path"], "fallback_models[0]");
    assert_eq!(wrong["faults"][0]["line"], 8);
    let broken = judged(&program, &json!({"yaml": "name: [x"}));
    assert!(broken["router"].is_null() && broken["faults"][0]["line"].is_u64(), "{broken}");
    for yaml in ["", "- a", "tasks: []", "text"] {
        assert_ne!(judged(&program, &json!({"yaml": yaml}))["faults"], json!([]), "{yaml:?}");
    }
}

#[test]
fn a_form_becomes_the_text_that_would_be_saved() {
    let (_one, _two, program) = started();
    let form = json!({"name": "both", "description": "", "config": {"policies": [{"task_slug": "translation", "models": ["beta"]}], "fallback_models": ["beta"]}});
    let same = judged(&program, &json!({"router": form, "uuid": BOTH}));
    assert_eq!(same["faults"], json!([]));
    assert!(
        same["yaml"].as_str().unwrap().starts_with("name: both\ndescription: \"\"\npolicies:\n")
    );
    assert_eq!(judged(&program, &json!({"router": form}))["faults"], json!([]));
    let twice = judged(&program, &json!({"router": form, "uuid": null}));
    assert!(twice["faults"].to_string().contains("another router has this name"), "{twice}");
    assert_eq!(names(&program), ["both.yaml"]);
    assert_eq!(get(&program, ROUTERS)["meta"]["total"], 1);
}

#[test]
fn a_question_is_decided_by_the_draft_and_nothing_is_learned() {
    let upstream = Upstream::always(reply::chat("fine"));
    let classifier = Upstream::always(reply::chat("{\"route\": \"chores\"}"));
    let setup =
        Setup::two(upstream.address(), upstream.address()).classified(classifier.address(), "5s");
    let program = Program::start(&setup);
    let router = json!({
        "name": "both", "config": {"fallback_models": ["alpha"],
            "policies": [{"custom_task": {"name": "chores", "description": "Small everyday work."}, "models": ["beta"]}]},
    });
    let before = program.metrics();
    let (answer, tried) =
        ask(&program, "POST", TRY, Some(&json!({"router": router, "text": "Do the dishes"})));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let decision = &tried["decision"];
    assert_eq!(
        (&decision["task"], &decision["reason"]),
        (&json!("chores"), &json!("matched")),
        "{decision}"
    );
    assert_eq!(decision["candidates"][0]["model"], "beta");
    assert_eq!(decision["fallbacks"], json!(["alpha"]));
    let messages = json!([{"role": "user", "content": "Do"}, {"role": "assistant", "content": "what?"}, {"role": "user", "content": "the dishes"}]);
    let (answer, again) =
        ask(&program, "POST", TRY, Some(&json!({"router": router, "messages": messages})));
    assert_eq!(
        (answer.status(), &again["decision"]["task"]),
        (200, &json!("chores")),
        "{}",
        answer.text()
    );
    // What serves is as it was, and no provider was asked.
    assert_eq!(upstream.requests(), 0);
    assert_eq!(names(&program), ["both.yaml"]);
    for family in
        ["pointsman_requests_total", "pointsman_decisions_total", "pointsman_attempts_total"]
    {
        let moved = program.metrics().sum(family, &[]) - before.sum(family, &[]);
        assert!(moved.abs() < 1.0, "{family}");
    }
    assert_eq!(program.chat("router:both").header("x-pointsman-model"), Some("alpha"));
}

#[test]
fn what_cannot_be_tried_is_told() {
    let (_one, _two, program) = started();
    let yaml = fs::read_to_string(program.folder().path().join("policies/both.yaml")).unwrap();
    let cases = [
        (json!({"yaml": yaml}), "invalid_request"),
        (json!({"yaml": yaml, "text": "x", "messages": []}), "invalid_request"),
        (json!({"yaml": yaml, "text": 5}), "invalid_request"),
        (json!({"yaml": yaml, "messages": "x"}), "invalid_request"),
        (json!({"yaml": yaml, "text": "x", "more": 1}), "invalid_request"),
        (json!({"text": "x"}), "invalid_request"),
        (json!({"yaml": yaml, "router": {}, "text": "x"}), "invalid_request"),
        (json!({"yaml": yaml, "uuid": "x", "text": "x"}), "invalid_uuid"),
        (json!({"yaml": yaml.replace("alpha", "nobody"), "text": "x"}), "invalid_router"),
        (json!({"yaml": "tasks: []", "text": "x"}), "invalid_router"),
        (json!([]), "invalid_request"),
    ];
    for (body, code) in cases {
        let (answer, json) = ask(&program, "POST", TRY, Some(&body));
        assert_eq!(
            (answer.status(), &json["error"]["code"]),
            (400, &json!(code)),
            "{body}: {}",
            answer.text()
        );
    }
    for path in [DRAFT, TRY] {
        assert_eq!(ask(&program, "GET", path, None).0.status(), 405);
    }
}
