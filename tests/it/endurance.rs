//! What the soak and the chaos have in common: questions of every kind, callers who ask them all the time, and a judge
//! who knows what the answers ought to be.

pub(crate) mod chaos;
pub(crate) mod soak;

use std::{
    collections::HashMap,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use pointsman::{
    catalog::provider::Api,
    simulator::{self, Model, Provider, Running},
};
use serde_json::{Value, json};

use crate::support::{
    client::request_head, http::Message, program::Program, setup::CANARY, sse, until,
};

/// The API in which a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chat,
    Responses,
    Messages,
}

impl Dialect {
    pub(crate) const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }
}

/// One question. Its number is in its request id, and stands in the log when it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    pub(crate) number: u64,
    pub(crate) dialect: Dialect,
    pub(crate) model: &'static str,
    pub(crate) streamed: bool,
    pub(crate) topic: usize,
}

/// What is asked about, so that answers differ.
const TOPICS: [&str; 3] = [
    "Why is the 07:40 to Lyon late?",
    "Wo hält der Zug nach Zürich? 你好",
    "Name a bridge 🚂 in two words.",
];

impl Question {
    fn body(&self) -> String {
        let text = TOPICS[self.topic];
        let messages = json!([{"role": "user", "content": text}]);
        let (model, stream) = (self.model, self.streamed);
        match self.dialect {
            Dialect::Chat => json!({"model": model, "stream": stream, "messages": messages}),
            Dialect::Responses => json!({"model": model, "stream": stream, "input": text}),
            Dialect::Messages => {
                json!({"model": model, "stream": stream, "messages": messages, "max_tokens": 900})
            }
        }
        .to_string()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        request(self.number, self.dialect.path(), &self.body())
    }
}

/// A request with a number in its id.
pub(crate) fn request(number: u64, path: &str, body: &str) -> Vec<u8> {
    let id = format!("e-{number}");
    let head = request_head("POST", path, &[("x-request-id", id.as_str())], body.len());
    (head + body).into_bytes()
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of the right answer.
    Whole,
    /// An error that says so, in the caller's dialect.
    Honest,
    /// The connection broke off in the middle, visibly.
    Cut,
    /// It looks whole, and is not.
    False,
    /// It is another answer than the model's.
    Wrong,
    /// Nothing at all came.
    Lost,
}

/// What each model says on each topic.
pub(crate) type Expected = HashMap<(String, usize), String>;

/// Judges what came. A `rescued` answer is that of one model up to somewhere, then another's.
pub(crate) fn judge(
    question: &Question,
    answer: Option<&Message>,
    expected: &Expected,
    rescued: bool,
) -> Verdict {
    let Some(answer) = answer else { return Verdict::Lost };
    assert!(!answer.text().contains(CANARY), "a secret in an answer");
    if answer.status() != 200 {
        return told(answer);
    }
    let said = if question.streamed {
        streamed(question.dialect, answer)
    } else {
        whole(question.dialect, answer)
    };
    let model = answer.header("x-pointsman-model").unwrap_or_default();
    let right = expected.get(&(model.to_owned(), question.topic)).map_or("?", String::as_str);
    let begins = if rescued {
        shared(&said.text, right) >= ANNOUNCED.min(said.text.len())
    } else {
        right.starts_with(&said.text)
    };
    match said.end {
        _ if !begins => Verdict::Wrong,
        End::Error => Verdict::Honest,
        End::Complete if answer.whole && (rescued || said.text == right) => Verdict::Whole,
        End::Complete if answer.whole => Verdict::False,
        End::Complete | End::None => Verdict::Cut,
    }
}

/// Every answer begins with `[simulated `, whoever gives it; from there on a rescued one may be another model's.
const ANNOUNCED: usize = 11;

/// How many bytes two texts begin with alike.
fn shared(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
}

fn told(answer: &Message) -> Verdict {
    if !answer.whole {
        return Verdict::Cut;
    }
    let error = &answer.json()["error"];
    let shaped = error["message"].as_str().is_some_and(|message| !message.is_empty());
    let known = answer.header("x-request-id").is_some_and(|id| id.starts_with("e-"));
    assert!(shaped && known, "{}: {}", answer.line, answer.text());
    Verdict::Honest
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    Error,
    None,
}

struct Said {
    text: String,
    end: End,
}

fn whole(dialect: Dialect, answer: &Message) -> Said {
    if !answer.whole {
        return Said { text: String::new(), end: End::None };
    }
    let body = answer.json();
    let joined = |parts: &Value| -> String {
        let parts = parts.as_array().into_iter().flatten();
        parts.filter_map(|part| part["text"].as_str()).collect()
    };
    let text = match dialect {
        Dialect::Chat => {
            body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
        }
        Dialect::Responses => {
            let items = body["output"].as_array().into_iter().flatten();
            items.map(|item| joined(&item["content"])).collect()
        }
        Dialect::Messages => joined(&body["content"]),
    };
    Said { text, end: End::Complete }
}

fn streamed(dialect: Dialect, answer: &Message) -> Said {
    let mut said = Said { text: String::new(), end: End::None };
    // A character that a cut has halved belongs to an event that has not come.
    for event in sse::events(&answer.text()) {
        assert_eq!(said.end, End::None, "something after the end: {}", answer.text());
        if event.data == "[DONE]" {
            said.end = End::Complete;
            continue;
        }
        let data: Value = serde_json::from_str(&event.data)
            .unwrap_or_else(|fault| panic!("{fault} in an event: {event:?}"));
        said.take(dialect, &data);
    }
    said
}

impl Said {
    fn take(&mut self, dialect: Dialect, data: &Value) {
        let kind = data["type"].as_str().unwrap_or_default();
        let (piece, complete, error) = match dialect {
            Dialect::Chat => {
                (&data["choices"][0]["delta"]["content"], false, !data["error"].is_null())
            }
            Dialect::Responses => {
                let piece = if kind == "response.output_text.delta" {
                    &data["delta"]
                } else {
                    &Value::Null
                };
                let error = matches!(kind, "error" | "response.failed");
                (piece, kind == "response.completed", error)
            }
            Dialect::Messages => (&data["delta"]["text"], kind == "message_stop", kind == "error"),
        };
        self.text.push_str(piece.as_str().unwrap_or_default());
        if complete || error {
            self.end = if error { End::Error } else { End::Complete };
        }
    }
}

/// One caller: asks on a connection that it keeps while it can.
pub(crate) struct Caller {
    address: SocketAddr,
    kept: Option<TcpStream>,
}

impl Caller {
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self { address, kept: None }
    }

    /// Asks, and takes what comes: whole, cut, or nothing. `pause` is between one look and the next.
    pub(crate) fn ask(&mut self, bytes: &[u8], pause: Duration) -> Option<Message> {
        let mut stream = self.connected()?;
        stream.write_all(bytes).ok()?;
        let end = Instant::now() + Duration::from_secs(90);
        let (mut received, mut buffer) = (Vec::new(), [0; 8 * 1024]);
        let room = if pause.is_zero() { buffer.len() } else { 512 };
        loop {
            let ended = match stream.read(&mut buffer[..room]) {
                Err(fault) if fault.kind() == ErrorKind::Interrupted => false,
                Ok(0) | Err(_) => true,
                Ok(count) => {
                    received.extend_from_slice(&buffer[..count]);
                    false
                }
            };
            let message = Message::parse(&received, ended);
            if message.as_ref().is_some_and(|message| message.whole) {
                let closes = message.as_ref().and_then(|m| m.header("connection")) == Some("close");
                self.kept = (!closes && !ended).then_some(stream);
                return message;
            }
            if ended || Instant::now() > end {
                return message;
            }
            std::thread::sleep(pause);
        }
    }

    /// Asks, and leaves after so many bytes of the answer.
    pub(crate) fn ask_and_leave(&mut self, bytes: &[u8], after: usize) {
        let Some(mut stream) = self.connected() else { return };
        let mut left = after;
        if stream.write_all(bytes).is_err() {
            return;
        }
        let mut buffer = [0; 512];
        while left > 0 {
            match stream.read(&mut buffer) {
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return,
                Ok(count) => left = left.saturating_sub(count),
            }
        }
    }

    /// Its next question is asked on a new connection.
    pub(crate) fn hang_up(&mut self) {
        self.kept = None;
    }

    fn connected(&mut self) -> Option<TcpStream> {
        if let Some(kept) = self.kept.take() {
            return Some(kept);
        }
        let stream = TcpStream::connect(self.address).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(Duration::from_mins(1))).ok()?;
        Some(stream)
    }
}

/// A simulated provider `name` of `api` with these models.
pub(crate) fn provider(name: &str, api: Api, models: Vec<Model>) -> Running {
    let provider = Provider { name: name.to_owned(), api, key: None, models };
    simulator::start(TcpListener::bind("127.0.0.1:0").unwrap(), provider).unwrap()
}

/// A model with an answer of so many tokens.
pub(crate) fn model(id: &str, answer_tokens: usize, tokens_per_second: f64) -> Model {
    Model { answer_tokens, tokens_per_second, ..Model::instant(id) }
}

/// What `model` of `provider` says on each topic when nothing is in between.
pub(crate) fn learn(expected: &mut Expected, provider: &Running, model: &'static str) {
    let dialect = if provider.api() == Api::Anthropic { Dialect::Messages } else { Dialect::Chat };
    for topic in 0..TOPICS.len() {
        let question = Question { number: 0, dialect, model, streamed: false, topic };
        let mut caller = Caller::of(provider.address());
        let answer = caller.ask(&question.bytes(), Duration::ZERO).unwrap();
        let said = whole(dialect, &answer);
        assert!(!said.text.is_empty(), "{}", answer.text());
        expected.insert((model.to_owned(), topic), said.text);
    }
}

/// Any question about `models`.
pub(crate) fn question(dice: &mut fastrand::Rng, models: &[&'static str], number: u64) -> Question {
    Question {
        number,
        dialect: *dice.choice(&Dialect::ALL).unwrap(),
        model: dice.choice(models).unwrap(),
        streamed: dice.u8(0..5) > 1,
        topic: dice.usize(0..TOPICS.len()),
    }
}

/// How long to go on: `variable` in seconds, a few seconds where it is not set.
pub(crate) fn duration(variable: &str) -> Duration {
    let seconds = std::env::var(variable).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(4))
}

/// The records of requests, by the number in their id: how many of each there are.
#[derive(Default)]
pub(crate) struct Records(Vec<u8>);

impl Records {
    /// Takes in what has been logged since.
    pub(crate) fn read(&mut self, program: &Program) {
        for line in program.take_log() {
            assert!(!line.contains(CANARY) && !line.contains("panicked"), "{line}");
            let number = line
                .split_once("\"request_id\":\"e-")
                .and_then(|(_, rest)| rest.split_once('"')?.0.parse::<usize>().ok());
            let Some(number) = number else { continue };
            if self.0.len() <= number {
                self.0.resize(number + 1, 0);
            }
            self.0[number] += 1;
        }
    }

    /// How many of the questions below `asked` have a record, and how many have more than one.
    pub(crate) fn count(&self, asked: u64) -> (u64, u64) {
        let asked = usize::try_from(asked).unwrap().min(self.0.len());
        let of = |wanted: fn(u8) -> bool| {
            self.0[..asked].iter().filter(|count| wanted(**count)).count() as u64
        };
        (of(|count| count > 0), of(|count| count > 1))
    }
}

/// Memory and descriptors at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) resident: u64,
    pub(crate) descriptors: usize,
}

impl Sample {
    pub(crate) fn of(program: &Program) -> Self {
        Self { resident: program.resident(), descriptors: program.descriptors() }
    }

    fn mebibytes(self) -> u64 {
        self.resident >> 20
    }
}

/// Prints what three moments say, and fails where the last is not like the second.
#[track_caller]
pub(crate) fn hold_flat([start, warm, end]: [Sample; 3], time: Duration) {
    println!(
        "  resident       start {:>4} MiB   warm {:>4} MiB   end {:>4} MiB",
        start.mebibytes(),
        warm.mebibytes(),
        end.mebibytes()
    );
    println!(
        "  descriptors    start {:>4}       warm {:>4}       end {:>4}",
        start.descriptors, warm.descriptors, end.descriptors
    );
    // In a few seconds nothing has warmed up.
    let room = if time < Duration::from_mins(1) { 64 << 20 } else { 16 << 20 };
    assert!(end.resident < warm.resident + room, "memory grows: {warm:?} then {end:?}");
    assert!(end.descriptors <= start.descriptors + 64, "descriptors: {start:?} then {end:?}");
}

/// Looks on for `time`: takes the log in as it comes, and says how things stood when they had warmed up.
pub(crate) fn look_on(program: &Program, time: Duration, records: &mut Records) -> Sample {
    let began = Instant::now();
    let mut warm = Sample::of(program);
    while began.elapsed() < time {
        std::thread::sleep(Duration::from_millis(200));
        records.read(program);
        if began.elapsed() < (time / 3).max(Duration::from_secs(2)) {
            warm = Sample::of(program);
        }
    }
    warm
}

/// Waits until nothing is in flight and every question has its record.
#[track_caller]
pub(crate) fn settle(program: &Program, records: &mut Records, asked: u64) {
    until("no request in flight", || {
        let in_flight = program.metrics().sum("pointsman_requests_in_flight", &[]);
        (in_flight == 0.0).then_some(())
    });
    until("a record of every request", || {
        records.read(program);
        (records.count(asked).0 == asked).then_some(())
    });
}

/// Prints how much of `what` there was.
pub(crate) fn headline(what: &str, asked: u64, elapsed: Duration) {
    let seconds = elapsed.as_secs().max(1);
    println!("{what} of {seconds} s: {asked} requests, {} a second", asked / seconds);
}

/// The next number of a question.
pub(crate) fn next(asked: &AtomicU64) -> u64 {
    asked.fetch_add(1, Ordering::SeqCst)
}
