//! K: reloading while requests run. A bad file changes nothing; a good one is taken whole.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::support::{
    Gate,
    client::request_head,
    program::{Program, chat},
    reply,
    setup::Setup,
    until,
    upstream::{Step, Upstream},
};

const CHAT: &str = "/v1/chat/completions";
const DRY: &str = "/routing/v1/chat/completions";

fn generation(program: &Program) -> u64 {
    let document = program.post(DRY, &[], &chat("router:both", "x", false));
    document.json()["generation"].as_u64().unwrap()
}

fn failures(program: &Program) -> f64 {
    program.metrics().sum("pointsman_config_reload_failures_total", &[])
}

/// Asks all the time; how many answers were not 200.
struct Load {
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<usize>>,
}

impl Load {
    fn on(program: &Program) -> Self {
        let (stop, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..2)
            .map(|_| {
                let (stop, failed) = (Arc::clone(&stop), Arc::clone(&failed));
                let mut client = program.client();
                thread::spawn(move || {
                    let mut asked = 0;
                    while !stop.load(Ordering::SeqCst) {
                        let body = chat("router:both", "x", false);
                        if client.post(CHAT, &[], &body).answer().status() != 200 {
                            failed.fetch_add(1, Ordering::SeqCst);
                        }
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        Self { stop, failed, threads }
    }

    #[track_caller]
    fn ends_without_failure(self) {
        self.stop.store(true, Ordering::SeqCst);
        let asked: usize = self.threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(asked > 0);
        assert_eq!(self.failed.load(Ordering::SeqCst), 0, "of {asked} requests");
    }
}

fn pair() -> (Upstream, Setup) {
    let upstream = Upstream::answering(|_, _| {
        let body = reply::chat_body("fine");
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        vec![crate::support::upstream::send(head + &body)]
    });
    let setup = Setup::two(upstream.address(), upstream.address());
    (upstream, setup)
}

#[test]
fn k_what_is_probably_not_meant_is_logged_at_start_and_after_a_reload() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::two(upstream.address(), upstream.address());
    let router = |task: &str| {
        format!(
            "name: vague\npolicies:\n  - custom_task: {{name: {task}}}\n    models: [alpha]\nfallback_models: [alpha]\n"
        )
    };
    let program = Program::start(&setup.file("policies/vague.yaml", &router("before")));
    program.logged("task `before` has no description");
    program.folder().write("policies/vague.yaml", router("after"));
    program.logged("task `after` has no description");
    let log = program.log();
    let said = log.iter().filter(|line| line.contains("task `before` has no")).count();
    assert_eq!(said, 1, "said again: {log:?}");
}

#[test]
fn k06_an_invalid_file_changes_nothing() {
    let (_upstream, setup) = pair();
    let program = Program::start(&setup);
    let load = Load::on(&program);
    let before = generation(&program);
    program.folder().write("pointsman.yaml", setup.text() + "\nmodles: {}\n");
    until("a failed reload", || (failures(&program) >= 1.0).then_some(()));
    program.logged("modles");
    assert_eq!(generation(&program), before);
    program.folder().write("pointsman.yaml", setup.text());
    load.ends_without_failure();
}

#[test]
fn k07_valid_files_are_taken_under_load() {
    let (_upstream, setup) = pair();
    let program = Program::start(&setup);
    let load = Load::on(&program);
    let mut last = generation(&program);
    for number in 0..20 {
        let changed = setup.clone().model(&format!("extra-{number}"), "one", "");
        program.folder().write("pointsman.yaml", changed.text());
        last = until("a new generation", || {
            Some(generation(&program)).filter(|generation| *generation > last)
        });
        until("the new model", || {
            let status = program.chat(&format!("extra-{number}")).status();
            (status == 200).then_some(())
        });
    }
    load.ends_without_failure();
    assert!(failures(&program).abs() < 0.5);
}

#[test]
fn k06_k07_a_hundred_reloads_lose_nothing() {
    let (_upstream, setup) = pair();
    let program = Program::start(&setup);
    let load = Load::on(&program);
    let (mut last, mut rejected) = (generation(&program), 0.0);
    let mut settled = 0;
    for number in 0..100 {
        if number % 2 == 0 {
            // Every model but the first two is another one each time, so that what is not let go of would add up.
            let name = format!("extra-{number}-{}", "x".repeat(40));
            program.folder().write("pointsman.yaml", setup.clone().model(&name, "one", "").text());
            last = until("a new generation", || {
                Some(generation(&program)).filter(|generation| *generation > last)
            });
        } else {
            program.folder().write("pointsman.yaml", setup.text() + "\nmodles: {}\n");
            until("a failed reload", || (failures(&program) > rejected).then_some(()));
            rejected = failures(&program);
            assert_eq!(generation(&program), last, "an invalid file was taken");
        }
        if number == 20 {
            settled = program.resident();
        }
    }
    load.ends_without_failure();
    let grown = program.resident().saturating_sub(settled);
    assert!(grown < 16 << 20, "{} KiB more after 80 more reloads", grown / 1024);
}

#[test]
fn k07_a_request_keeps_the_catalog_that_it_began_with() {
    let gate = Gate::new();
    let closed = gate.clone();
    let upstream = Upstream::answering(move |_, _| {
        [vec![Step::Stall(closed.clone())], reply::chat("fine")].concat()
    });
    let setup = Setup::two(upstream.address(), upstream.address());
    let program = Program::start(&setup);
    let mut client = program.client();
    client.post(CHAT, &[], &chat("alpha", "x", false));
    upstream.request(0);
    let before = generation(&program);
    let without =
        Setup::new().provider("two", "openai-chat", upstream.address()).model("beta", "two", "");
    program.folder().write("policies/both.yaml", "name: both\npolicies:\n  - custom_task: {name: chores, description: d}\n    models: [beta]\nfallback_models: [beta]\n");
    program.folder().write("pointsman.yaml", without.text());
    until("alpha to be gone", || {
        let head = request_head("GET", "/v1/models/alpha", &[], 0);
        (program.client().send(head).answer().status() == 404).then_some(())
    });
    assert!(generation(&program) > before);
    gate.open();
    assert_eq!(client.answer().json()["model"], "alpha");
}

#[test]
fn k08_every_way_of_writing_a_file_is_noticed() {
    let (_upstream, setup) = pair();
    let program = Program::start(&setup);
    let main = program.folder().main();
    let has = |model: &str| {
        until(&format!("model {model}"), || (program.chat(model).status() == 200).then_some(()));
    };
    let text = |model: &str| setup.clone().model(model, "one", "").text();
    fs::write(&main, text("in-place")).unwrap();
    has("in-place");
    program.folder().write("pointsman.yaml", text("renamed"));
    has("renamed");
    fs::write(&main, "").unwrap();
    fs::write(&main, text("truncated")).unwrap();
    has("truncated");
    let real = program.folder().path().join("data-1.yaml");
    fs::write(&real, text("linked")).unwrap();
    let link = program.folder().path().join("link");
    symlink(&real, &link).unwrap();
    fs::rename(&link, &main).unwrap();
    has("linked");
    let before = generation(&program);
    fs::remove_file(&main).unwrap();
    until("a failed reload", || (failures(&program) >= 1.0).then_some(()));
    assert_eq!(generation(&program), before, "a vanished file keeps the old catalog");
    assert_eq!(program.chat("linked").status(), 200);
}

#[test]
fn k08_a_router_file_comes_and_goes() {
    let (_upstream, setup) = pair();
    let program = Program::start(&setup);
    assert_eq!(program.chat("router:new").status(), 404);
    program.folder().write("policies/new.yaml", "name: new\npolicies:\n  - custom_task: {name: t, description: d}\n    models: [alpha]\nfallback_models: [alpha]\n");
    until("the new router", || (program.chat("router:new").status() == 200).then_some(()));
    fs::remove_file(program.folder().path().join("policies/new.yaml")).unwrap();
    until("the router to go", || (program.chat("router:new").status() == 404).then_some(()));
}

#[test]
fn k09_another_address_needs_a_restart() {
    let (_upstream, setup) = pair();
    let program = Program::start(&setup);
    let before = generation(&program);
    let moved = setup.clone().replace("listen: 127.0.0.1:0", "listen: 127.0.0.1:1");
    program.folder().write("pointsman.yaml", moved.text());
    until("a failed reload", || (failures(&program) >= 1.0).then_some(()));
    program.logged("restart");
    assert_eq!(generation(&program), before);
}

#[test]
fn k14_sighup_reloads() {
    let (_upstream, setup) = pair();
    let program = Program::start(&setup);
    let before = generation(&program);
    program.signal("HUP");
    program.signal("HUP");
    until("a new generation", || (generation(&program) > before).then_some(()));
    assert_eq!(program.chat("alpha").status(), 200);
}

#[test]
fn k11_no_private_address_without_leave() {
    let bait = Upstream::always(reply::chat("reached"));
    let port = bait.address().port();
    let hosts = [
        "localhost",
        "2130706433",
        "0x7f000001",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
        "127.1",
    ];
    for host in hosts {
        let setup = Setup::new()
            .raw_provider(
                "one",
                &format!("api: openai-chat, base_url: \"https://{host}:{port}/v1\""),
            )
            .model("alpha", "one", "");
        let text = setup.text().replace(", allow_private: true", "");
        let folder = crate::support::setup::Folder::new();
        folder.write("pointsman.yaml", &text);
        let checked =
            crate::support::program::run(&setup, &["check", "-c", folder.main().to_str().unwrap()]);
        if checked.status.code() == Some(64) {
            continue;
        }
        let program = Program::start_in(folder, &setup);
        assert_eq!(program.chat("alpha").status(), 502, "{host}");
    }
    // Metadata addresses stay refused even where private ones are allowed.
    for host in ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "2852039166"] {
        let setup = Setup::new()
            .raw_provider("one", &format!("api: openai-chat, base_url: \"http://{host}/v1\""))
            .model("alpha", "one", "timeouts: {connect: 1s}");
        let folder = setup.write();
        let checked =
            crate::support::program::run(&setup, &["check", "-c", folder.main().to_str().unwrap()]);
        if checked.status.code() == Some(64) {
            continue;
        }
        let program = Program::start_in(folder, &setup);
        let answer = program.chat("alpha");
        assert_eq!(answer.status(), 502, "{host}: {}", answer.text());
        assert!(
            program.metrics().sum("pointsman_failovers_total", &[("cause", "timeout")]).abs() < 0.5,
            "{host} was tried"
        );
    }
    assert_eq!(bait.connections(), 0);
}
