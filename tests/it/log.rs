//! L08, L09: the log is written beside the requests. Whoever does not take it costs lines, which are counted.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, ChildStderr, Command, Stdio},
};

use serde_json::Value;

use crate::support::{
    Watched,
    client::{Client, request_head},
    metrics::Metrics,
    program::{chat, command},
    reply,
    setup::{Folder, Setup},
    until,
    upstream::Upstream,
};

const CHAT: &str = "/v1/chat/completions";

/// The program with a log that the test reads, or does not.
struct Program {
    child: Child,
    log: Option<BufReader<ChildStderr>>,
    data: SocketAddr,
    admin: SocketAddr,
    _folder: Folder,
}

impl Program {
    fn start(setup: &Setup) -> Self {
        let folder = setup.write();
        let main = folder.main();
        let mut command = command(setup, &["serve", "-c", main.to_str().unwrap()]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let [data, admin] = ["data", "admin"].map(|plane| listening(&mut log, plane));
        Self { child, log: Some(log), data, admin, _folder: folder }
    }

    fn ask(&self, times: usize) {
        let mut client = Client::connect(self.data, &Watched::new(Vec::new()));
        // An id as long as may be makes a line as long as may be.
        let id = "x".repeat(128);
        let (headers, body) = ([("x-request-id", id.as_str())], chat("alpha", "x", false));
        for _ in 0..times {
            assert_eq!(client.post(CHAT, &headers, &body).answer().status(), 200);
        }
    }

    fn dropped(&self) -> f64 {
        let mut client = Client::connect(self.admin, &Watched::new(Vec::new()));
        let head = request_head("GET", "/metrics", &[], 0);
        let text = client.send(head.replace("localhost", &self.admin.to_string())).answer().text();
        Metrics::parse(&text).sum("pointsman_log_dropped_total", &[])
    }

    fn stop(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn listening(log: &mut BufReader<ChildStderr>, plane: &str) -> SocketAddr {
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["message"], &line["plane"]), (&"listening".into(), &plane.into()));
    line["address"].as_str().unwrap().parse().unwrap()
}

fn answers() -> Upstream {
    Upstream::answering(|_, _| {
        let body = reply::chat_body("fine");
        let length = body.len();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        vec![crate::support::upstream::send(format!(
            "{head}Content-Length: {length}\r\n\r\n{body}"
        ))]
    })
}

#[test]
fn l09_a_log_that_nobody_reads_holds_up_no_request() {
    const ASKED: usize = 400;
    let upstream = answers();
    let mut program = Program::start(&Setup::one("openai-chat", upstream.address()));
    // More than a pipe takes, by far: from the first hundred lines on the program cannot write.
    program.ask(ASKED);
    assert!(program.dropped() < 0.5, "there was room for all of them");
    program.stop();
    // What waited is written before the end.
    let mut text = String::new();
    program.log.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.len() > 128 * 1024, "no more than a pipe takes: {}", text.len());
    assert_eq!(text.matches("\"message\":\"request\"").count(), ASKED);
    assert!(text.trim_end().ends_with("\"message\":\"stopped\"}"), "{text}");
    assert!(program.child.wait().unwrap().success());
}

#[test]
fn l08_lines_that_cannot_be_written_are_counted() {
    let upstream = answers();
    let mut program = Program::start(&Setup::one("openai-chat", upstream.address()));
    // Every write fails from here on, as on a disk that is full.
    drop(program.log.take());
    program.ask(20);
    until("lines to be counted", || (program.dropped() >= 20.0).then_some(()));
    program.stop();
    assert!(program.child.wait().unwrap().success());
}
