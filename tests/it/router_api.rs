//! The router API: what it shows, what it takes, what it refuses, and that traffic never notices.

mod changes;
mod drafts;
mod openapi;
mod refusals;

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    client::request_head, http::Message, program::Program, reply, setup::Setup, upstream::Upstream,
};

const ROUTERS: &str = "/v2/gen-ai/models/routers";

/// The id of the router `both`: `uuid5(uuid5(NAMESPACE_URL, "urn:pointsman:model-routers"), "both")`.
const BOTH: &str = "ec34da82-118f-54d4-a616-51b88a7c8ad7";

/// What was answered, and the body as JSON.
fn ask(program: &Program, method: &str, path: &str, body: Option<&Value>) -> (Message, Value) {
    ask_with(program, method, path, body, &[])
}

fn ask_with(
    program: &Program,
    method: &str,
    path: &str,
    body: Option<&Value>,
    headers: &[(&str, &str)],
) -> (Message, Value) {
    let body = body.map(Value::to_string).unwrap_or_default();
    let head = request_head(method, path, headers, body.len());
    let answer = program.admin_client().send(head + &body).answer();
    let json = serde_json::from_str(&answer.text()).unwrap_or(Value::Null);
    (answer, json)
}

fn get(program: &Program, path: &str) -> Value {
    let (answer, json) = ask(program, "GET", path, None);
    assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
    json
}

fn put_ok(program: &Program, path: &str, body: &Value) -> Value {
    let (answer, json) = ask(program, "PUT", path, Some(body));
    assert_eq!(answer.status(), 200, "{body}: {}", answer.text());
    json["model_router"].clone()
}

fn started() -> (Upstream, Upstream, Program) {
    let (one, two) = (Upstream::always(reply::chat("one")), Upstream::always(reply::chat("two")));
    let program = Program::start(&Setup::two(one.address(), two.address()));
    (one, two, program)
}

#[test]
fn routers_are_listed_and_read_as_their_files_say() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::two(upstream.address(), upstream.address()).file(
        "policies/all.yaml",
        "# A comment.\nname: all-keys\ndescription: 'Everything: that is'\npolicies:\n  - task_slug: translation\n    \
         models: [beta]\n    selection_policy: {prefer: cheapest}\nfallback_models: [alpha]\nthreshold: 0.25\n\
         failover: {attempts: 2, wait: 1s}\nswitch_budget: 20\n",
    );
    let program = Program::start(&setup);
    let list = get(&program, ROUTERS);
    assert_eq!(list["meta"], json!({"total": 2, "page": 1, "pages": 1}));
    assert_eq!(list["links"], json!({"pages": {}}));
    let names: Vec<&str> = list["model_routers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["all-keys", "both"]);
    assert_eq!(list["model_routers"][1]["uuid"], BOTH);

    let all = &list["model_routers"][0];
    let path = format!("{ROUTERS}/{}", all["uuid"].as_str().unwrap());
    let (answer, one) = ask(&program, "GET", &path, None);
    assert_eq!(&one["model_router"], all);
    assert_eq!(
        all["config"],
        json!({
            "policies": [{"task_slug": "translation", "models": ["beta"], "selection_policy": {"prefer": "cheapest"}}],
            "fallback_models": ["alpha"], "threshold": 0.25, "failover": {"attempts": 2, "wait": "1s"}, "switch_budget": 20,
        })
    );
    assert_eq!(all["description"], "Everything: that is");
    let changed: jiff::Timestamp = all["updated_at"].as_str().unwrap().parse().unwrap();
    let file = program.folder().path().join("policies/all.yaml");
    let on_disk = fs::metadata(file).unwrap().modified().unwrap();
    let apart = jiff::Timestamp::try_from(on_disk).unwrap().duration_since(changed);
    assert!(apart.abs() <= jiff::SignedDuration::from_secs(1), "{changed} {on_disk:?}");

    let (text, yaml) = ask(&program, "GET", &format!("{path}?format=yaml"), None);
    assert!(yaml["yaml"].as_str().unwrap().starts_with("# A comment.\n"));
    let tag = answer.header("etag").unwrap();
    assert_eq!(text.header("etag"), Some(tag));
    assert!(tag.starts_with('"') && tag.len() > 20, "{tag}");
}

#[test]
fn lists_come_in_pages() {
    let upstream = Upstream::always(reply::chat("fine"));
    let mut setup = Setup::two(upstream.address(), upstream.address());
    for number in 1..=4 {
        setup = setup.router(&format!("r{number}"), &["alpha"]);
    }
    let program = Program::start(&setup);
    let page = get(&program, &format!("{ROUTERS}?page=2&per_page=2"));
    assert_eq!(page["meta"], json!({"total": 5, "page": 2, "pages": 3}));
    let names: Vec<&Value> =
        page["model_routers"].as_array().unwrap().iter().map(|r| &r["name"]).collect();
    assert_eq!(names, ["r2", "r3"]);
    let links = &page["links"]["pages"];
    for (link, number) in [("first", 1), ("previous", 1), ("next", 3), ("last", 3)] {
        let path = links[link].as_str().unwrap();
        assert_eq!(path, format!("{ROUTERS}?page={number}&per_page=2"), "{link}");
        assert_eq!(get(&program, path)["meta"]["page"], number);
    }
    let beyond = get(&program, &format!("{ROUTERS}?page=9&per_page=2"));
    assert_eq!(beyond["model_routers"], json!([]));
    for query in
        ["page=0", "page=-1", "page=x", "page=", "per_page=0", "per_page=1001", "per_page=1.5"]
    {
        let (answer, json) = ask(&program, "GET", &format!("{ROUTERS}?{query}"), None);
        assert_eq!(
            (answer.status(), &json["error"]["code"]),
            (400, &json!("invalid_parameter")),
            "{query}"
        );
    }
}

#[test]
fn presets_name_models_of_this_catalog() {
    let (_one, _two, program) = started();
    let presets = get(&program, &format!("{ROUTERS}/presets"));
    assert_eq!(presets["meta"]["total"], 4);
    for preset in presets["presets"].as_array().unwrap() {
        for key in ["slug", "display_name", "short_description", "long_description"] {
            assert!(!preset[key].as_str().unwrap().is_empty(), "{preset}");
        }
        let config = preset["config"].to_string();
        assert!(!config.contains("gpt") && config.contains("alpha"), "{config}");
    }
}

#[test]
fn every_task_of_the_library_is_a_preset() {
    let (_one, _two, program) = started();
    let tasks = get(&program, &format!("{ROUTERS}/tasks/presets?per_page=100"));
    let tasks = tasks["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 25);
    for task in tasks {
        assert!(task["description"].as_str().unwrap().len() > 20, "{task}");
        assert!(task["tags"][0].is_string() && task["models"][0].is_string(), "{task}");
        assert!(task["selection_policy"]["prefer"].is_string(), "{task}");
        assert_ne!(task["category"], "Your library", "{task}");
    }
    assert_eq!(tasks[0]["task_slug"], "brainstorming-ideation");
}
