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
    setup::{Folder, Setup},
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

/// A configuration whose classifier says `chores` of what is swept, and data files to measure it on.
struct Measured {
    _judge: Upstream,
    folder: Folder,
}

impl Measured {
    fn new(files: &[(&str, &str)]) -> Self {
        let (judge, setup) = routed();
        let setup = files.iter().fold(setup, |setup, (name, text)| setup.file(name, text));
        Self { _judge: judge, folder: setup.write() }
    }

    /// The exit code, standard output and standard error of `eval` with `options` on the file `name`.
    fn eval(&self, options: &[&str], name: &str) -> (i32, String, String) {
        let file = self.folder.main();
        let data = self.folder.path().join(name);
        let mut arguments = vec!["eval", "-c", file.to_str().unwrap()];
        arguments.extend(options);
        arguments.push(data.to_str().unwrap());
        let output = run(&Setup::new(), &arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }
}

const LABELLED: &str = r#"{"text":"sweep the floor","task":"chores"}
{"messages":[{"role":"user","content":"sweep again"}],"label":"chores"}
{"text":"what is love","task":null}

{"text":"sweep, wrongly labelled","task":"none"}
"#;

#[test]
fn eval_measures_and_shows_what_was_confused() {
    let bench = Measured::new(&[("data.jsonl", LABELLED)]);
    let (code, out, _) = bench.eval(&["--router", "both"], "data.jsonl");
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("75.0 %  (3 of 4;"), "{out}");
    assert!(out.contains("none taken for chores: 1"), "{out}");
    assert!(out.contains("data.jsonl:5: sweep, wrongly labelled"), "{out}");
    let (code, out, _) = bench.eval(&["--router", "both", "--json"], "data.jsonl");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["right"], &report["turns"]), (0, &3.into(), &4.into()));
    assert_eq!(report["confusions"][0]["mistakes"][0]["line"], 5);
}

#[test]
fn eval_fails_below_the_floor_and_says_by_how_much() {
    let bench = Measured::new(&[("data.jsonl", LABELLED)]);
    let (code, out, error) =
        bench.eval(&["--router", "both", "--min-accuracy", "0.9"], "data.jsonl");
    assert_eq!(code, 1, "{error}");
    assert!(out.contains("accuracy") && error.contains("15.00 points below"), "{out}{error}");
    assert_eq!(bench.eval(&["--router", "both", "--min-accuracy", "0.75"], "data.jsonl").0, 0);
    let (code, _, error) = bench.eval(&["--router", "both", "--min-accuracy", "90"], "data.jsonl");
    assert!(code == 2 && error.contains("90 % is 0.9"), "{code} {error}");
}

#[test]
fn eval_says_which_threshold_keeps_a_budget_and_when_it_cannot_know() {
    let line = |number: usize| format!("{{\"text\":\"sweep {number}\",\"task\":\"chores\"}}\n");
    let many: String = (0..150).map(line).collect();
    let bench = Measured::new(&[("few.jsonl", LABELLED), ("many.jsonl", &many)]);
    let budget = |name| bench.eval(&["--router", "both", "--budget", "0.02"], name).1;
    let out = budget("many.jsonl");
    assert!(out.contains("kept by threshold 0.00: 0 of 150 matched turns wrong"), "{out}");
    let out = budget("few.jsonl");
    assert!(out.contains("no threshold keeps it on these examples"), "{out}");
    let bench = Measured::new(&[("few.jsonl", &(0..20).map(line).collect::<String>())]);
    let out = bench.eval(&["--router", "both", "--budget", "0.02"], "few.jsonl").1;
    assert!(out.contains("it takes 149 matched turns") && out.contains("here are 20"), "{out}");
    let (code, _, error) = bench.eval(&["--router", "both", "--budget", "0"], "few.jsonl");
    assert!(code == 2 && error.contains("0.02"), "{code} {error}");
}

#[test]
fn eval_reads_lines_with_a_router_each() {
    let line = |family: &str, text: &str, label: &str| {
        format!(
            r#"{{"family":"{family}","conversation":[{{"role":"user","content":"{text}"}}],"label":"{label}","router":{{"name":"x","tasks":[{{"name":"chores"}},{{"name":"other-work","description":"d","examples":["e"]}}]}}}}"#
        )
    };
    let good = [line("a", "sweep", "chores"), line("b", "sweep", "other-work")].join("\n");
    let twice = good.replace("other-work", "chores");
    let bench =
        Measured::new(&[("good.jsonl", &good), ("twice.jsonl", &twice), ("bare.jsonl", LABELLED)]);
    let (code, out, _) = bench.eval(&[], "good.jsonl");
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("50.0 %  (1 of 2;") && out.contains("family"), "{out}");
    assert!(out.contains("other-work taken for chores: 1"), "{out}");
    for name in ["twice.jsonl", "bare.jsonl"] {
        let (code, _, error) = bench.eval(&[], name);
        assert!(code == 1 && error.contains(&format!("{name}:1")), "{code} {error}");
    }
}

#[test]
fn eval_names_a_bad_line() {
    let bench = Measured::new(&[
        ("bad.jsonl", "{\"text\":\"x\",\"task\":\"chores\"}\n{oops\n"),
        ("unknown.jsonl", "{\"text\":\"x\",\"task\":\"no-such\"}\n"),
        ("unlabelled.jsonl", "{\"text\":\"x\"}"),
        ("empty.jsonl", "\n"),
    ]);
    for (name, said) in [
        ("bad.jsonl", "bad.jsonl:2"),
        ("unknown.jsonl", "chores"),
        ("unlabelled.jsonl", "`task`"),
        ("empty.jsonl", "holds no line"),
        ("missing.jsonl", "missing.jsonl"),
    ] {
        let (code, _, error) = bench.eval(&["--router", "both"], name);
        assert!(code == 1 && error.contains(said), "{code} {error}");
    }
}

#[test]
fn a_demo_ends_at_a_signal() {
    let (mut demo, _lines) = demo();
    let id = demo.0.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    let status = until("the end of the demo", || demo.0.try_wait().unwrap());
    assert!(status.success(), "{status}");
}
