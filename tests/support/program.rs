//! The real program as a child: its addresses, its log, its end, and what is asserted of each one at its end.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::Arc,
    thread,
};

use serde_json::Value;

use super::{
    Watched,
    client::{Client, Tape, request_head},
    http::{Message, find},
    metrics::Metrics,
    must,
    setup::{CANARY, Folder, Setup},
    until, waited,
};

/// The program, running. Dropping it at the end of a test that passed also asserts what holds after every test: no
/// request is in flight, nothing panicked, no secret was seen in anything that the program put out.
pub(crate) struct Program {
    child: Child,
    folder: Folder,
    data: SocketAddr,
    admin: SocketAddr,
    log: Arc<Watched<Log>>,
    tape: Tape,
    admin_key: Option<String>,
}

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    ended: bool,
}

/// Where the program is: `POINTSMAN_BIN` if set, else the one that cargo has built for these tests.
pub(crate) fn binary() -> String {
    let built = option_env!("CARGO_BIN_EXE_pointsman").map(str::to_owned);
    std::env::var("POINTSMAN_BIN").ok().or(built).unwrap_or_else(|| "pointsman".to_owned())
}

/// A command of the program with the environment of `setup` and nothing else of ours.
pub(crate) fn command(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = match setup.most_descriptors() {
        Some(most) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\"")]).arg(binary());
            shell
        }
        None => Command::new(binary()),
    };
    command.args(arguments).env("RUST_BACKTRACE", "1");
    for (name, value) in setup.variables() {
        command.env(name, value);
    }
    command
}

/// Runs a command of the program to its end; no secret may be in what it says.
#[track_caller]
pub(crate) fn run(setup: &Setup, arguments: &[&str]) -> Output {
    let output = command(setup, arguments).stdin(Stdio::null()).output().unwrap();
    let text = said(&output);
    assert!(!text.contains(CANARY), "a secret in the output of {arguments:?}:\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    output
}

/// Everything that a command said.
pub(crate) fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

impl Program {
    /// Starts `serve` with `setup` and waits until it listens.
    #[track_caller]
    pub(crate) fn start(setup: &Setup) -> Self {
        Self::start_in(setup.write(), setup)
    }

    /// Starts `serve` with what lies in `folder` and the environment of `setup`.
    #[track_caller]
    pub(crate) fn start_in(folder: Folder, setup: &Setup) -> Self {
        Self::start_with(folder, setup, &[])
    }

    /// Starts `serve` with more `arguments`.
    #[track_caller]
    pub(crate) fn start_with(folder: Folder, setup: &Setup, arguments: &[&str]) -> Self {
        let main = folder.main();
        let serve = ["serve", "-c", main.to_str().unwrap()];
        let mut command = command(setup, &[&serve[..], arguments].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|fault| panic!("{}: {fault}", binary()));
        let log = Watched::new(Log::default());
        follow(child.stderr.take().unwrap(), &log, true);
        follow(child.stdout.take().unwrap(), &log, false);
        let data = listening(&log, "data");
        let admin = listening(&log, "admin");
        let (Some(data), Some(admin)) = (data, admin) else {
            let _gone = child.kill();
            panic!("it does not listen; its log:\n{}", log.look(|log| log.lines.join("\n")));
        };
        let tape = Watched::new(Vec::new());
        Self { child, folder, data, admin, log, tape, admin_key: None }
    }

    /// Uses `key` on the admin listener.
    pub(crate) fn with_admin_key(mut self, key: &str) -> Self {
        self.admin_key = Some(key.to_owned());
        self
    }

    /// The data plane's address.
    pub(crate) fn data(&self) -> SocketAddr {
        self.data
    }

    /// The admin listener's address.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The folder of its configuration.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A connection to the data plane.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.data, &self.tape)
    }

    /// A connection to the admin listener.
    pub(crate) fn admin_client(&self) -> Client {
        Client::connect(self.admin, &self.tape)
    }

    /// Sends one POST with JSON and waits for the whole answer.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Message {
        self.client().post(path, headers, body).answer()
    }

    /// Asks `model` one question in chat.
    #[track_caller]
    pub(crate) fn chat(&self, model: &str) -> Message {
        self.post("/v1/chat/completions", &[], &chat(model, "hello", false))
    }

    /// Asks `model` one question in chat, streamed.
    #[track_caller]
    pub(crate) fn chat_stream(&self, model: &str) -> Message {
        self.post("/v1/chat/completions", &[], &chat(model, "hello", true))
    }

    /// Gets a path of the admin listener.
    #[track_caller]
    pub(crate) fn admin(&self, path: &str) -> Message {
        self.ask("GET", path, &[], "").answer()
    }

    /// Asks the admin listener under its own name and with its key, where it has one; the connection to read from.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Client {
        let bearer = self.admin_key.as_ref().map(|key| format!("Bearer {key}"));
        let key = bearer.iter().map(|bearer| ("Authorization", bearer.as_str()));
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain(key).collect();
        let head = request_head(method, path, &headers, body.len());
        let own = format!("Host: {}", self.admin);
        let mut client = self.admin_client();
        client.send(head.replacen("Host: localhost", &own, 1) + body);
        client
    }

    /// Scrapes the metrics.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        let scraped = self.admin("/metrics");
        assert_eq!(scraped.status(), 200, "{}", scraped.text());
        Metrics::parse(&scraped.text())
    }

    /// Waits until a metric is at least `least`.
    #[track_caller]
    pub(crate) fn metric_reaches(&self, name: &str, labels: &[(&str, &str)], least: f64) {
        let mut seen = Vec::new();
        let reached = waited(|| {
            let metrics = self.metrics();
            let reached = metrics.sum(name, labels) >= least;
            seen = metrics.0.into_iter().filter(|sample| sample.name == name).collect();
            reached.then_some(())
        });
        assert!(reached.is_some(), "{name}{labels:?} is not {least}: {seen:?}");
    }

    /// The log so far, one line each.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.look(|log| log.lines.clone())
    }

    /// Takes the log so far away: for tests that would otherwise keep too much of it.
    pub(crate) fn take_log(&self) -> Vec<String> {
        self.log.change(|log| std::mem::take(&mut log.lines))
    }

    /// Waits for a log line that holds `text`.
    #[track_caller]
    pub(crate) fn logged(&self, text: &str) -> String {
        let found = self.log.wait(|log| log.lines.iter().find(|line| line.contains(text)).cloned());
        must(found, || format!("not logged: {text:?} in\n{}", self.log().join("\n")))
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        until("the end of the program", || self.child.try_wait().unwrap())
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// How many descriptors it holds.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// What its descriptors are, by what the system calls them; one that closes meanwhile is left out.
    fn descriptor_names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.map(|link| link.to_string_lossy().into_owned()).collect()
    }

    /// The files that it holds open: a request, a reload or a model needs one for a moment only.
    fn open_files(&self) -> Vec<String> {
        let names = self.descriptor_names().into_iter();
        names.filter(|name| name.starts_with('/') && !name.starts_with("/dev/")).collect()
    }

    /// Its connections whose peer has left: one that stays is never closed.
    fn half_closed(&self) -> Vec<String> {
        const CLOSE_WAIT: &str = "08";
        let ours = self.descriptor_names();
        let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", self.id())).unwrap();
        let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        fields
            .filter(|fields| fields.get(3) == Some(&CLOSE_WAIT))
            .filter_map(|fields| Some(format!("socket:[{}]", fields.get(9)?)))
            .filter(|name| ours.contains(name))
            .collect()
    }

    fn settle(&mut self) {
        if self.runs() {
            until("no request in flight", || {
                let in_flight = self.metrics().sum("pointsman_requests_in_flight", &[]);
                (in_flight == 0.0).then_some(())
            });
            until("every connection that its peer has closed to be closed", || {
                self.half_closed().is_empty().then_some(())
            });
            // It may be looking whether its configuration has changed.
            let mut files = Vec::new();
            let closed = waited(|| {
                files = self.open_files();
                files.is_empty().then_some(())
            });
            assert!(closed.is_some(), "files that stay open: {files:?}");
            for path in
                ["/healthz", "/readyz", "/v2/gen-ai/models/routers", "/openapi.json", "/nowhere"]
            {
                let _scanned = self.admin(path);
            }
            self.signal("TERM");
            let status = self.ended();
            assert!(status.success(), "{status}; its log:\n{}", self.log().join("\n"));
        }
        let _whole = self.log.wait(|log| log.ended.then_some(()));
        let log = self.log().join("\n");
        assert!(!log.contains("panicked"), "a panic:\n{log}");
        assert!(!log.contains(CANARY), "a secret in the log:\n{log}");
        let leaked = self.tape.look(|tape| find(tape, CANARY.as_bytes()).is_some());
        assert!(!leaked, "a secret in what clients received");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.settle();
        } else if self.runs() {
            eprintln!("log of the program:\n{}", self.log().join("\n"));
        }
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn follow(output: impl Read + Send + 'static, log: &Arc<Watched<Log>>, ends: bool) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            log.change(|log| log.lines.push(line));
        }
        log.change(|log| log.ended |= ends);
    });
}

fn listening(log: &Watched<Log>, plane: &str) -> Option<SocketAddr> {
    log.wait(|log| {
        let lines = log.lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut lines =
            lines.filter(|line| line["message"] == "listening" && line["plane"] == plane);
        let address = lines.next().and_then(|line| line["address"].as_str()?.parse().ok());
        match address {
            Some(address) => Some(Some(address)),
            None if log.ended => Some(None),
            None => None,
        }
    })?
}

/// A chat request with one question.
pub(crate) fn chat(model: &str, question: &str, stream: bool) -> String {
    serde_json::json!({
        "model": model, "stream": stream, "messages": [{"role": "user", "content": question}],
    })
    .to_string()
}
