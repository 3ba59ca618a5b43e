//! Changes that are refused: each with its status, and no file is touched.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{BOTH, ROUTERS, ask, ask_with, get, started};
use crate::support::{
    client::request_head,
    program::{Program, run, said},
    reply,
    setup::Setup,
    upstream::Upstream,
};

/// Every file below `folder`: what it holds, when it changed, and which one it is.
type Snapshot = BTreeMap<PathBuf, (Vec<u8>, i64, i64, u64)>;

fn snapshot(folder: &Path) -> Snapshot {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let data = fs::metadata(&path).unwrap();
        let content = if data.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
        let stamp = (content, data.mtime(), data.mtime_nsec(), data.ino());
        found.insert(path.clone(), stamp);
        if data.is_dir() {
            found.extend(snapshot(&path));
        }
    }
    found
}

fn good(name: &str) -> Value {
    json!({"name": name, "fallback_models": ["beta"], "policies": [{"task_slug": "translation", "models": ["beta"]}]})
}

fn with(key: &str, value: Value) -> Value {
    let mut body = good("new");
    body[key] = value;
    body
}

fn policies(policy: &Value) -> Value {
    with("policies", json!([policy]))
}

/// Bodies that are no router's at all.
fn bodies_of_no_router() -> Vec<Value> {
    vec![
        json!([]),
        json!("text"),
        json!(null),
        json!({"yaml": 5}),
        json!({"yaml": "name: x", "name": "x"}),
        json!({"name": "x", "config": 5}),
        json!({"name": "x", "policies": [], "config": {"policies": []}}),
        json!({"config": {"name": "x"}}),
        with("regions", json!(["ams3"])),
    ]
}

/// Routers with a mistake.
fn faulty_routers() -> Vec<Value> {
    let long = "x".repeat(64);
    vec![
        json!({}),
        with("name", json!("../../etc/cron")),
        with("name", json!("Upper")),
        with("name", json!("")),
        with("name", json!(5.5)),
        with("name", json!(["a"])),
        with("name", json!(null)),
        with("name", json!(long)),
        with("fallback_models", json!([])),
        with("fallback_models", json!(["nobody"])),
        with("fallback_models", json!("beta")),
        with("policies", json!({})),
        with("policies", json!("x")),
        with("threshold", json!(2)),
        with("threshold", json!("0.5")),
        with("failover", json!({"attempts": 0})),
        with("unknown", json!(1)),
        with("policies", json!([good("x")["policies"][0], good("x")["policies"][0]])),
        policies(&json!({"task_slug": "translation", "models": ["a", "b", "c", "d"]})),
        policies(
            &json!({"task_slug": "translation", "models": ["alpha", "beta", "alpha", "beta"]}),
        ),
        policies(&json!({"task_slug": "no-such-task", "models": ["beta"]})),
        policies(&json!({"models": ["beta"]})),
        policies(
            &json!({"task_slug": "translation", "models": ["beta"], "selection_policy": {"prefer": "best"}}),
        ),
        policies(
            &json!({"task_slug": "translation", "models": ["beta"], "selection_policy": "fastest"}),
        ),
        policies(&json!({"custom_task": {"name": "none"}, "models": ["beta"]})),
        json!({"yaml": "name: [broken"}),
        json!({"yaml": ""}),
        json!({"yaml": "tasks: []"}),
        json!({"yaml": "name: x\nname: y\n"}),
        json!({"yaml": "name: sound\npolicies: []\nfallback_models: [beta]\n"}),
    ]
}

#[test]
fn every_mistake_is_told_and_no_file_is_touched() {
    let (_one, _two, program) = started();
    let before = snapshot(program.folder().path());
    for body in bodies_of_no_router() {
        refused(&program, "POST", ROUTERS, &body, (400, "invalid_request"));
    }
    for body in faulty_routers() {
        let error = refused(&program, "POST", ROUTERS, &body, (400, "invalid_router"));
        let first = &error["faults"][0];
        assert!(body["yaml"] == "tasks: []" || first["message"].is_string(), "{body}: {error}");
    }
    refused(&program, "POST", ROUTERS, &good("both"), (409, "name_taken"));
    assert_eq!(snapshot(program.folder().path()), before);
    assert_eq!(get(&program, ROUTERS)["meta"]["total"], 1);
}

fn refused(
    program: &Program,
    method: &str,
    path: &str,
    body: &Value,
    (status, code): (u16, &str),
) -> Value {
    let (answer, json) = ask(program, method, path, Some(body));
    let told = (answer.status(), json["error"]["code"].as_str().unwrap_or_default());
    assert_eq!(told, (status, code), "{method} {path} {body}: {}", answer.text());
    assert!(!json["error"]["message"].as_str().unwrap().is_empty());
    json["error"].clone()
}

#[test]
fn nothing_that_is_not_asked_for_rightly_touches_a_file() {
    let (_one, _two, program) = started();
    let before = snapshot(program.folder().path());
    let one = format!("{ROUTERS}/{BOTH}");
    let other = format!("{ROUTERS}/{}", BOTH.replace("ec34", "ec35"));
    let change = json!({"description": "x"});
    for id in
        ["both", "1", "..%2f..%2fetc", "../both", &BOTH.replace('-', ""), &format!("{{{BOTH}}}")]
    {
        for method in ["PUT", "DELETE"] {
            let status =
                ask(&program, method, &format!("{ROUTERS}/{id}"), Some(&change)).0.status();
            assert!(matches!(status, 400 | 404), "{method} {id}: {status}");
        }
    }
    refused(&program, "PUT", &format!("{ROUTERS}/both"), &change, (400, "invalid_uuid"));
    refused(&program, "PUT", &other, &change, (404, "not_found"));
    refused(&program, "DELETE", &other, &json!({}), (404, "not_found"));
    refused(
        &program,
        "PUT",
        &one,
        &json!({"fallback_models": ["nobody"]}),
        (400, "invalid_router"),
    );
    refused(&program, "PUT", &one, &json!({"policies": null}), (400, "invalid_router"));
    refused(&program, "PUT", &one, &json!({"name": "../up"}), (400, "invalid_router"));
    refused(&program, "PUT", &one, &json!({"config": {}}), (400, "invalid_router"));
    let stale = ask_with(&program, "PUT", &one, Some(&change), &[("If-Match", "\"old\"")]);
    assert_eq!(stale.0.status(), 412);
    assert_eq!(snapshot(program.folder().path()), before);
}

#[test]
fn what_is_no_request_of_this_api_touches_no_file() {
    let (_one, _two, program) = started();
    let before = snapshot(program.folder().path());
    let (one, change) = (format!("{ROUTERS}/{BOTH}"), json!({"description": "x"}));
    for method in ["PATCH", "POST", "OPTIONS"] {
        refused(&program, method, &one, &change, (405, "method_not_allowed"));
    }
    refused(&program, "DELETE", ROUTERS, &json!({}), (405, "method_not_allowed"));
    for body in ["{", "{\"name\":\"a\",\"name\":\"b\"}", "\u{feff}{}", "name: x", ""] {
        let head = request_head("POST", ROUTERS, &[], body.len());
        let answer = program.admin_client().send(head + body).answer();
        assert_eq!((answer.status(), answer.code().as_str()), (400, "invalid_json"), "{body}");
    }
    let large = json!({"yaml": "#".repeat(10 << 20)}).to_string();
    let head = request_head("POST", ROUTERS, &[], large.len());
    assert_eq!(program.admin_client().send(head + &large).answer().status(), 413);
    let form = [("Content-Type", "text/plain")];
    assert_eq!(ask_with(&program, "POST", ROUTERS, Some(&good("new")), &form).0.status(), 403);
    assert_eq!(snapshot(program.folder().path()), before);
    assert!(program.metrics().sum("pointsman_config_reload_failures_total", &[]) < 1.0);
}

#[test]
fn what_would_grow_too_large_or_too_deep_is_refused() {
    let (_one, _two, program) = started();
    let before = snapshot(program.folder().path());
    let nested = |inner: &str| format!("{}{inner}{}", "[".repeat(60), "]".repeat(60));
    let deep = (1..55).fold(format!("name: deep\nk0: &a0 {}\n", nested("1")), |text, level| {
        let inner = nested(&format!("*a{}", level - 1));
        format!("{text}k{level}: &a{level} {inner}\n")
    });
    let (long, aliases) = ("x".repeat(100_000), "*a,".repeat(100_000));
    for (body, why) in [
        // Each of these characters is written as ten.
        (with("description", "\u{7f}".repeat(900_000).into()), "larger than"),
        (json!({"yaml": deep}), "nested deeper"),
        (json!({"yaml": format!("name: long\na: &a {long}\nb: [{aliases}]\n")}), "of text"),
    ] {
        let error = refused(&program, "POST", ROUTERS, &body, (400, "invalid_router"));
        let told = error["faults"][0]["message"].as_str().unwrap();
        assert!(told.contains(why), "{told}");
        let draft = if body["yaml"].is_string() { body } else { json!({"router": body}) };
        let (answer, json) = ask(&program, "POST", "/api/routers/draft", Some(&draft));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(json["faults"][0]["message"].as_str().unwrap().contains(why));
    }
    assert_eq!(snapshot(program.folder().path()), before);
}

#[test]
fn mistakes_are_those_that_check_prints() {
    let (_one, _two, program) = started();
    let path = format!("{ROUTERS}/{BOTH}");
    let body = json!({"policies": [{"task_slug": "translatoin", "models": ["alhpa", "beta"], "prefer": 1}]});
    let error = refused(&program, "PUT", &path, &body, (400, "invalid_router"));
    let draft = json!({"uuid": BOTH, "router": {"name": "both", "policies": body["policies"], "fallback_models": ["alpha", "beta"]}});
    let (_, judged) = ask(&program, "POST", "/api/routers/draft", Some(&draft));
    assert_eq!(judged["faults"], error["faults"]);
    // The very words of the command, on the file that was refused.
    let setup = Setup::two("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
    let folder = setup.write();
    folder.write("policies/both.yaml", judged["yaml"].as_str().unwrap());
    let checked = said(&run(&setup, &["check", "-c", folder.main().to_str().unwrap()]));
    let own = program.folder().path().to_str().unwrap().to_owned();
    let faults = error["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 3, "{error}");
    for fault in faults {
        let file = fault["file"].as_str().unwrap().replace(&own, folder.path().to_str().unwrap());
        let (path, message) = (fault["path"].as_str().unwrap(), fault["message"].as_str().unwrap());
        let line = format!("{file}:{}:{}: {path}: {message}\n", fault["line"], fault["column"]);
        assert!(checked.contains(&line), "{line}{checked}");
    }
}

#[test]
fn what_is_in_use_stays() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::two(upstream.address(), upstream.address())
        .router("keyed", &["alpha"])
        .with("routers: [policies/both.yaml, 'policies/k*.yaml']")
        .with("keys: [{name: ci, key: env:CI, routers: [keyed]}]")
        .environment("CI", "sk-CANARY-ci");
    let program = Program::start(&setup);
    let list = get(&program, ROUTERS);
    let before = snapshot(program.folder().path());
    let path = |index: usize| {
        format!("{ROUTERS}/{}", list["model_routers"][index]["uuid"].as_str().unwrap())
    };
    let error = refused(&program, "DELETE", &path(1), &json!({}), (409, "in_use"));
    assert!(error["faults"][0]["path"].as_str().unwrap().starts_with("keys[0]"), "{error}");
    refused(&program, "PUT", &path(1), &json!({"name": "other"}), (409, "in_use"));
    let error = refused(&program, "DELETE", &path(0), &json!({}), (409, "in_use"));
    assert_eq!(error["faults"][0]["path"], "routers[0]");
    // No pattern finds a file of this name.
    refused(&program, "PUT", &path(1), &json!({"name": "both"}), (409, "name_taken"));
    assert_eq!(snapshot(program.folder().path()), before);
}

#[test]
fn where_only_files_are_named_no_router_is_made() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup =
        Setup::two(upstream.address(), upstream.address()).with("routers: [policies/both.yaml]");
    let program = Program::start(&setup);
    let before = snapshot(program.folder().path());
    let error = refused(&program, "POST", ROUTERS, &good("new"), (409, "no_folder"));
    assert!(error["message"].as_str().unwrap().contains("pattern"), "{error}");
    let changed =
        ask(&program, "PUT", &format!("{ROUTERS}/{BOTH}"), Some(&json!({"description": "x"})));
    assert_eq!(changed.0.status(), 200);
    assert_ne!(snapshot(program.folder().path()), before);
}

#[test]
fn a_folder_that_is_read_only_says_so() {
    let (_one, _two, program) = started();
    let policies = program.folder().path().join("policies");
    let mark = |mode| fs::set_permissions(&policies, fs::Permissions::from_mode(mode)).unwrap();
    mark(0o555);
    let before = snapshot(program.folder().path());
    let path = format!("{ROUTERS}/{BOTH}");
    refused(&program, "PUT", &path, &json!({"description": "x"}), (409, "read_only"));
    refused(&program, "DELETE", &path, &json!({}), (409, "read_only"));
    let error = refused(&program, "POST", ROUTERS, &good("new"), (409, "read_only"));
    assert!(error["message"].as_str().unwrap().contains("policies is read-only"), "{error}");
    assert_eq!(snapshot(program.folder().path()), before);
    mark(0o755);
    assert_eq!(ask(&program, "POST", ROUTERS, Some(&good("new"))).0.status(), 200);
}

#[test]
fn a_configuration_with_mistakes_of_its_own_is_mended_first() {
    let (_one, _two, program) = started();
    let main = fs::read_to_string(program.folder().main()).unwrap();
    program.folder().write("pointsman.yaml", main.clone() + "unknown_key: 1\n");
    let path = format!("{ROUTERS}/{BOTH}");
    let change = json!({"description": "x"});
    let error = refused(&program, "PUT", &path, &change, (409, "broken_configuration"));
    assert_eq!(error["faults"][0]["path"], "unknown_key");
    program.folder().write("pointsman.yaml", main.replacen("127.0.0.1:0", "127.0.0.1:1", 1));
    let error = refused(&program, "PUT", &path, &change, (409, "broken_configuration"));
    assert!(error["faults"][0]["message"].as_str().unwrap().contains("restart"), "{error}");
    program.folder().write("pointsman.yaml", main);
    assert_eq!(ask(&program, "PUT", &path, Some(&change)).0.status(), 200);
}
