//! The other commands: `demo`, `simulate`, `route` and `eval`.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::support::{
    Watched,
    client::{Client, request_head},
    program::{chat, command, run, said},
    reply,
    setup::Setup,
    until,
    upstream::Upstream,
};

/// A child that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// One demo begins at a time: each looks for the same two ports first.
static DEMOS: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

fn demo() -> (Running, Vec<String>) {
    let _alone = DEMOS.lock();
    let started = start(&Setup::new(), &["demo"], |line| line.contains("/metrics"));
    let address = started.1.iter().find_map(|line| line.split("http://").nth(1)).unwrap();
    let address = address.split(|end: char| end != '.' && end != ':' && !end.is_ascii_digit());
    let mut client = Client::connect(
        address.clone().next().unwrap().parse().unwrap(),
        &Watched::new(Vec::new()),
    );
    assert_eq!(client.send(request_head("GET", "/v1/models", &[], 0)).answer().status(), 200);
    started
}

/// Starts a command and gives the lines of its output until `last` finds one.
fn start(setup: &Setup, arguments: &[&str], last: impl Fn(&str) -> bool) -> (Running, Vec<String>) {
    let mut command = command(setup, arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let running = Running(child);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended: {lines:?}");
        let ends = last(&line);
        lines.push(line.trim_end().to_owned());
        if ends {
            // Goes on reading, so that the program can go on writing.
            std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
            return (running, lines);
        }
    }
}

#[test]
fn every_request_that_the_demo_prints_succeeds_as_pasted() {
    let (_demo, lines) = demo();
    assert!(lines.join(" ").to_ascii_lowercase().contains("simulated"), "{lines:?}");
    let requests: Vec<&String> = lines.iter().filter(|line| line.starts_with("curl ")).collect();
    assert!(requests.len() >= 3, "{lines:?}");
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("SKIPPED: curl is not here, the demo's requests were not tried");
        return;
    }
    for line in requests {
        let strict = line.replacen("curl ", "curl --fail-with-body --max-time 30 ", 1);
        let output = Command::new("sh").args(["-c", &strict]).output().unwrap();
        assert!(output.status.success(), "{line}\n{}", said(&output));
        assert!(!output.stdout.is_empty(), "{line}");
    }
}

#[test]
fn two_demos_do_not_collide() {
    let (_first, first) = demo();
    let (_second, second) = demo();
    let address = |lines: &[String]| {
        let line = lines.iter().find(|line| line.contains("/v1/models")).unwrap().clone();
        line.split("http://").nth(1).unwrap().to_owned()
    };
    assert_ne!(address(&first), address(&second));
}

#[test]
fn simulate_stands_in_for_every_configured_provider() {
    let setup = Setup::new()
        .provider("one", "openai", Upstream::refusing())
        .provider("two", "anthropic", Upstream::refusing())
        .model("alpha", "one", "")
        .model("beta", "two", "");
    let folder = setup.write();
    // Secrets are not read: none is in the environment.
    let file = folder.main();
    let arguments = ["simulate", "-c", file.to_str().unwrap()];
    let (_simulated, lines) = start(&Setup::new(), &arguments, |line| line.contains("two"));
    let url = |name: &str| {
        let line = lines.iter().find(|line| line.contains(name)).unwrap();
        let url = line.split("http://").nth(1).unwrap();
        url.split(|end: char| end != '.' && end != ':' && !end.is_ascii_digit())
            .next()
            .unwrap()
            .to_owned()
    };
    let ask = |address: &str, path: &str, body: &str| {
        let mut client = Client::connect(address.parse().unwrap(), &Watched::new(Vec::new()));
        client.post(path, &[], body).answer()
    };
    let answer = ask(&url("one"), "/v1/chat/completions", &chat("upstream-alpha", "x", false));
    assert!(answer.text().contains("[simulated upstream-alpha]"), "{}", answer.text());
    let body = chat("upstream-beta", "x", false).replacen('{', r#"{"max_tokens":9,"#, 1);
    let answer = ask(&url("two"), "/v1/messages", &body);
    assert!(answer.text().contains("simulated"), "{}", answer.text());
}

fn routed() -> (Upstream, Setup) {
    let judge = Upstream::answering(|_, request| {
        let chores = request.text().contains("sweep");
        reply::chat(if chores { r#"{"route": "chores"}"# } else { r#"{"route": "other"}"# })
    });
    let setup = Setup::two(Upstream::refusing(), Upstream::refusing())
        .raw_provider(
            "gpu",
            &format!("api: openai-chat, base_url: \"http://{}/v1\"", judge.address()),
        )
        .with("classifier: {chat: {provider: gpu, model: arch-router-1.5b, timeout: 1ms}}");
    (judge, setup)
}

#[test]
fn route_explains_one_decision_and_reads_no_secret() {
    let (_judge, setup) = routed();
    let folder = setup.write();
    let file = folder.main();
    let bare = Setup::new();
    let arguments = ["route", "-c", file.to_str().unwrap(), "--router", "both", "sweep the floor"];
    let output = run(&bare, &arguments);
    assert!(output.status.success(), "{}", said(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&document["task"], &document["reason"]), (&"chores".into(), &"matched".into()));
    let mut child =
        command(&bare, &["route", "-c", file.to_str().unwrap(), "--router", "both", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
    child.stdin.take().unwrap().write_all(b"something else").unwrap();
    let output = child.wait_with_output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["reason"], "no_match");
    let output = run(&bare, &["route", "-c", file.to_str().unwrap(), "--router", "gone", "x"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

#[test]
fn eval_measures_and_names_a_bad_line() {
    let (_judge, setup) = routed();
    let data = [
        r#"{"text":"sweep the floor","task":"chores"}"#,
        r#"{"messages":[{"role":"user","content":"sweep again"}],"label":"chores"}"#,
        r#"{"text":"what is love","task":null}"#,
        r#"{"text":"sweep, wrongly labelled","task":"none"}"#,
    ];
    let setup = setup
        .file("data.jsonl", &data.join("\n"))
        .file("bad.jsonl", "{\"text\":\"x\",\"task\":\"chores\"}\n{oops\n")
        .file("unknown.jsonl", "{\"text\":\"x\",\"task\":\"no-such\"}\n");
    let folder = setup.write();
    let file = folder.main();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let eval = |name: &str| {
        let output = run(
            &Setup::new(),
            &["eval", "-c", file.to_str().unwrap(), "--router", "both", &at(name)],
        );
        (output.status.code().unwrap_or(-1), said(&output))
    };
    let (code, text) = eval("data.jsonl");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("75") || text.contains("0.75"), "accuracy is 3 of 4: {text}");
    let (code, text) = eval("bad.jsonl");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains('2'), "the bad line has no number: {text}");
    assert_eq!(eval("unknown.jsonl").0, 1);
    assert_eq!(eval("missing.jsonl").0, 1);
}

#[test]
fn a_demo_ends_at_a_signal() {
    let (mut demo, _lines) = demo();
    let id = demo.0.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    let status = until("the end of the demo", || demo.0.try_wait().unwrap());
    assert!(status.success(), "{status}");
}
