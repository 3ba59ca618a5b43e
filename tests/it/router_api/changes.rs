//! Changes that are made: they serve when they are answered, and the files hold what was meant.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use serde_json::{Value, json};

use super::{BOTH, ROUTERS, ask, ask_with, get, put_ok, started};
use crate::support::{
    program::{Program, chat},
    reply,
    setup::Setup,
    until,
    upstream::Upstream,
};

fn answered_by(program: &Program, router: &str) -> String {
    let answer = program.chat(&format!("router:{router}"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.header("x-pointsman-model").unwrap().to_owned()
}

fn text_of(program: &Program, file: &str) -> String {
    fs::read_to_string(program.folder().path().join(file)).unwrap()
}

fn fresh() -> Value {
    json!({
        "name": "fresh", "description": "A new one.", "fallback_models": ["beta"], "regions": ["all"],
        "policies": [{"custom_task": {"name": "chores", "description": "Small everyday work."}, "models": ["alpha"],
                      "selection_policy": {"prefer": "cheapest"}}],
    })
}

/// Makes the router `fresh`: its path and its document.
fn made(program: &Program) -> (String, Value) {
    let (answer, json) = ask(program, "POST", ROUTERS, Some(&fresh()));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let path = format!("{ROUTERS}/{}", json["model_router"]["uuid"].as_str().unwrap());
    (path, json["model_router"].clone())
}

#[test]
fn a_router_is_made_and_removed_and_serves_when_that_is_answered() {
    let (_one, _two, program) = started();
    let (path, router) = made(&program);
    assert_eq!(answered_by(&program, "fresh"), "beta");
    let expected = "name: fresh\ndescription: A new one.\npolicies:\n  - custom_task:\n      name: chores\n      \
                    description: Small everyday work.\n    models: [alpha]\n    selection_policy: {prefer: cheapest}\n\
                    fallback_models: [beta]\n";
    assert_eq!(text_of(&program, "policies/fresh.yaml"), expected);
    assert_eq!(get(&program, &path)["model_router"], router);

    let (answer, json) = ask(&program, "DELETE", &path, None);
    assert_eq!((answer.status(), &json), (200, &json!({"uuid": router["uuid"]})));
    assert_eq!(program.chat("router:fresh").status(), 404);
    assert!(!program.folder().path().join("policies/fresh.yaml").exists());
    assert_eq!(ask(&program, "GET", &path, None).0.status(), 404);
    assert!(program.metrics().sum("pointsman_config_reload_failures_total", &[]) < 1.0);
}

#[test]
fn what_is_not_sent_stays_and_a_config_replaces_the_one_before() {
    let (_one, _two, program) = started();
    let (path, before) = made(&program);
    let changed = put_ok(&program, &path, &json!({"fallback_models": ["alpha"]}));
    assert_eq!(answered_by(&program, "fresh"), "alpha");
    assert_eq!(changed["config"]["policies"], before["config"]["policies"]);
    assert_eq!(changed["description"], "A new one.");
    // What was read can be sent back.
    let mut whole = changed;
    whole["config"]["threshold"] = json!(0.25);
    whole["config"]["policies"][0]["models"] = json!(["beta", "alpha"]);
    assert_eq!(put_ok(&program, &path, &whole)["config"], whole["config"]);
    whole["config"].as_object_mut().unwrap().remove("threshold");
    assert_eq!(put_ok(&program, &path, &whole)["config"], whole["config"]);
    assert!(!text_of(&program, "policies/fresh.yaml").contains("threshold"));
}

#[test]
fn a_text_stays_as_it_was_typed() {
    let (_one, _two, program) = started();
    let text = "# Mine.\nname: typed   # so\npolicies:\n- {task_slug: translation, models: [beta]}\n\
                fallback_models: [ beta ]\n";
    let (answer, json) = ask(&program, "POST", ROUTERS, Some(&json!({"yaml": text})));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(text_of(&program, "policies/typed.yaml"), text);
    let path = format!("{ROUTERS}/{}", json["model_router"]["uuid"].as_str().unwrap());
    let next = text.replace("[ beta ]", "[ alpha ]   # faster");
    put_ok(&program, &path, &json!({"yaml": next}));
    assert_eq!(text_of(&program, "policies/typed.yaml"), next);
    assert_eq!(answered_by(&program, "typed"), "alpha");
}

#[test]
fn a_router_that_is_renamed_has_another_id_and_the_same_file() {
    let (_one, _two, program) = started();
    let path = format!("{ROUTERS}/{BOTH}");
    let renamed = put_ok(&program, &path, &json!({"name": "pair"}));
    assert_ne!(renamed["uuid"], BOTH);
    assert_eq!(answered_by(&program, "pair"), "alpha");
    assert_eq!(program.chat("router:both").status(), 404);
    assert_eq!(ask(&program, "GET", &path, None).0.status(), 404);
    assert!(text_of(&program, "policies/both.yaml").starts_with("name: pair\n"));
    // The old name is free again, but its file is not.
    let both = json!({"name": "both", "policies": renamed["config"]["policies"], "fallback_models": ["beta"]});
    let (answer, json) = ask(&program, "POST", ROUTERS, Some(&both));
    assert_eq!(
        (answer.status(), &json["model_router"]["uuid"]),
        (200, &json!(BOTH)),
        "{}",
        answer.text()
    );
    assert!(text_of(&program, "policies/both-2.yaml").starts_with("name: both\n"));
    assert_eq!(answered_by(&program, "pair"), "alpha");
    assert_eq!(answered_by(&program, "both"), "beta");
}

#[test]
fn only_who_has_seen_the_last_version_changes_it() {
    let (_one, _two, program) = started();
    let path = format!("{ROUTERS}/{BOTH}");
    let tag = |path: &str| ask(&program, "GET", path, None).0.header("etag").unwrap().to_owned();
    let old = tag(&path);
    let put = |tag: &str, model: &str| {
        let body = json!({"fallback_models": [model]});
        ask_with(&program, "PUT", &path, Some(&body), &[("If-Match", tag)])
    };
    let (answer, _) = put(&format!("\"x\", {old}"), "beta");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let new = answer.header("etag").unwrap();
    assert_eq!(tag(&path), new);
    for stale in [old.as_str(), &format!("W/{new}"), "nonsense", ""] {
        let (answer, json) = put(stale, "alpha");
        assert_eq!((answer.status(), &json["error"]["code"]), (412, &json!("stale")), "{stale}");
    }
    let delete =
        |tag: &str| ask_with(&program, "DELETE", &path, None, &[("If-Match", tag)]).0.status();
    assert_eq!(delete(&old), 412);
    assert_eq!(answered_by(&program, "both"), "beta");
    assert_eq!(put("*", "alpha").0.status(), 200);
    // What an operator writes meanwhile is seen at once, before it serves or where it never will.
    let seen = tag(&path);
    program.folder().write("policies/both.yaml", "name: both # half done\n");
    assert_eq!(put(&seen, "beta").0.status(), 412);
    let (text, yaml) = ask(&program, "GET", &format!("{path}?format=yaml"), None);
    assert_eq!(yaml["yaml"], "name: both # half done\n");
    assert_eq!(put(text.header("etag").unwrap(), "beta").0.status(), 400, "no policies");
    assert_eq!(answered_by(&program, "both"), "alpha");
}

#[test]
fn files_stay_what_they_are() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::two(upstream.address(), upstream.address());
    let folder = setup.write();
    let policies = folder.path().join("policies");
    fs::create_dir(policies.join("real")).unwrap();
    let text = fs::read_to_string(policies.join("both.yaml")).unwrap();
    fs::write(policies.join("real/a"), text.replace("both", "linked")).unwrap();
    fs::set_permissions(policies.join("real/a"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real/a", policies.join("linked.yaml")).unwrap();
    fs::write(folder.path().join("theirs"), text.replace("both", "outside")).unwrap();
    symlink("../theirs", policies.join("outside.yaml")).unwrap();
    let program = Program::start_in(folder, &setup);

    let ids: Vec<(String, String)> = get(&program, ROUTERS)["model_routers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["name"].as_str().unwrap().to_owned(), r["uuid"].as_str().unwrap().to_owned()))
        .collect();
    let path = |name: &str| format!("{ROUTERS}/{}", ids.iter().find(|(n, _)| n == name).unwrap().1);
    put_ok(&program, &path("linked"), &json!({"fallback_models": ["beta"]}));
    assert!(fs::symlink_metadata(policies.join("linked.yaml")).unwrap().is_symlink());
    let real = fs::metadata(policies.join("real/a")).unwrap();
    assert_eq!(real.permissions().mode() & 0o777, 0o640);
    assert_eq!(answered_by(&program, "linked"), "beta");
    assert_eq!(ask(&program, "DELETE", &path("linked"), None).0.status(), 200);
    assert!(policies.join("real/a").exists() && !policies.join("linked.yaml").exists());

    let body = json!({"fallback_models": ["beta"]});
    let (answer, json) = ask(&program, "PUT", &path("outside"), Some(&body));
    assert_eq!((answer.status(), &json["error"]["code"]), (409, &json!("read_only")));
    assert_eq!(answered_by(&program, "outside"), "alpha");
    let left: Vec<String> = fs::read_dir(&policies)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_file_that_is_edited_by_hand_is_still_followed() {
    let (_one, _two, program) = started();
    put_ok(&program, &format!("{ROUTERS}/{BOTH}"), &json!({"fallback_models": ["beta"]}));
    let text = text_of(&program, "policies/both.yaml");
    program.folder().write(
        "policies/both.yaml",
        text.replace("fallback_models: [beta]", "fallback_models: [alpha]"),
    );
    until("the edit by hand", || (answered_by(&program, "both") == "alpha").then_some(()));
    put_ok(&program, &format!("{ROUTERS}/{BOTH}"), &json!({"fallback_models": ["beta"]}));
    assert_eq!(answered_by(&program, "both"), "beta");
}

/// Asks on two kept connections for as long as it lives.
struct Traffic {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<(usize, Vec<String>)>>,
}

impl Traffic {
    fn on(program: &Program) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asking = |_| {
            let (stop, mut client) = (Arc::clone(&stop), program.client());
            thread::spawn(move || {
                let (mut asked, mut lost) = (0, Vec::new());
                while !stop.load(Ordering::SeqCst) {
                    let body = chat("router:both", "x", false);
                    let answer = client.post("/v1/chat/completions", &[], &body).answer();
                    if answer.status() != 200 || !answer.whole {
                        lost.push(answer.text());
                    }
                    asked += 1;
                }
                (asked, lost)
            })
        };
        let threads = (0..2).map(asking).collect();
        Self { stop, threads }
    }

    fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::SeqCst);
        let ended = self.threads.into_iter().map(|thread| thread.join().unwrap());
        ended.fold((0, Vec::new()), |(asked, lost), (more, others)| {
            (asked + more, [lost, others].concat())
        })
    }
}

#[test]
fn fifty_edits_under_load_lose_no_request() {
    let (_one, _two, program) = started();
    let traffic = Traffic::on(&program);
    let path = format!("{ROUTERS}/{BOTH}");
    let mut longest = 0.0_f64;
    for edit in 0..50 {
        let model = if edit % 2 == 0 { "beta" } else { "alpha" };
        let began = Instant::now();
        put_ok(&program, &path, &json!({"fallback_models": [model]}));
        longest = longest.max(began.elapsed().as_secs_f64());
        // The very next request follows.
        assert_eq!(answered_by(&program, "both"), model, "edit {edit}");
    }
    let (asked, lost) = traffic.end();
    assert!(lost.is_empty(), "{} of {asked}: {:?}", lost.len(), lost.first());
    println!("{asked} requests during 50 edits, none lost; the longest edit took {longest:.3} s");
}

#[test]
fn changes_at_once_take_turns() {
    let (_one, _two, program) = started();
    let (made, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let body: Value = json!({
        "name": "one", "fallback_models": ["beta"], "policies": [{"task_slug": "translation", "models": ["beta"]}],
    });
    thread::scope(|scope| {
        for number in 0..6 {
            let (program, made, refused, body) = (&program, &made, &refused, &body);
            scope.spawn(move || {
                let (answer, json) = ask(program, "POST", ROUTERS, Some(body));
                match answer.status() {
                    200 => made.fetch_add(1, Ordering::SeqCst),
                    409 if json["error"]["code"] == "name_taken" => {
                        refused.fetch_add(1, Ordering::SeqCst)
                    }
                    other => panic!("{other}: {}", answer.text()),
                };
                // Each adds a router of its own too.
                let mut other = body.clone();
                other["name"] = json!(format!("own-{number}"));
                assert_eq!(ask(program, "POST", ROUTERS, Some(&other)).0.status(), 200);
            });
        }
    });
    assert_eq!((made.into_inner(), refused.into_inner()), (1, 5));
    assert_eq!(get(&program, ROUTERS)["meta"]["total"], 8);
}
