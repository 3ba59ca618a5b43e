//! The whole engine, from a request in memory to a provider on loopback that sends mutated answers: as an answer of its
//! own, as the beginning of one that another model finishes, and as one that passes through.
//!
//! A case begins with a line `CALLER UPSTREAM ENDING NUMBER`: what the two speak, how the provider's body ends (`whole`,
//! `cut`, `short`), and how it is cut into writes. The provider's body follows. Whatever it is, the caller gets
//! an answer that is whole, or sees that there is none.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, LazyLock},
    thread,
};

use parking_lot::Mutex;
use pointsman::{
    config::{LoadOptions, load_texts},
    dialect::{Dialect, json},
    engine::{Engine, World, memory::InMemory},
    telemetry::metrics::Metrics,
};

use crate::{
    answer::{case, dialect},
    dice::Dice,
    driver::Target,
    mutate, seeds, well_formed,
};

const ENDINGS: [&str; 3] = ["whole", "cut", "short"];

#[test]
fn engine() {
    Target { name: "engine", make, hold }.run();
}

#[test]
fn rescue() {
    Target { name: "rescue", make: make_rescue, hold: hold_rescue }.run();
}

#[test]
fn passthrough() {
    Target { name: "passthrough", make: make_passthrough, hold: hold_passthrough }.run();
}

/// An answer that breaks as often as not, of one of the two providers that can finish each other's.
fn make_rescue(dice: &mut Dice) -> Vec<u8> {
    let caller = dice.pick(&Dialect::ALL).as_str();
    let (upstream, seed) = loop {
        let (upstream, seed) = dice.pick(&seeds::STREAMS);
        if *upstream != Dialect::Responses {
            break (upstream.as_str(), seed);
        }
    };
    let ending = if dice.once_in(2) { "cut" } else { "whole" };
    let head = format!("{caller} {upstream} {ending} {}\n", dice.number() % 1000);
    let mut body =
        if dice.once_in(2) { seed.clone().into_bytes() } else { mutate::stream(dice, seed) };
    if dice.once_in(2) {
        body.truncate(dice.below(body.len() + 1));
    }
    [head.into_bytes(), body].concat()
}

fn make_passthrough(dice: &mut Dice) -> Vec<u8> {
    let seed = loop {
        let (upstream, seed) = dice.pick(&seeds::STREAMS);
        if *upstream == Dialect::Chat {
            break seed;
        }
    };
    let ending = if dice.once_in(4) { *dice.pick(&ENDINGS) } else { "whole" };
    let head = format!("chat responses {ending} {}\n", dice.number() % 1000);
    let body =
        if dice.once_in(10) { seed.clone().into_bytes() } else { mutate::stream(dice, seed) };
    [head.into_bytes(), body].concat()
}

fn make(dice: &mut Dice) -> Vec<u8> {
    let caller = *dice.pick(&Dialect::ALL);
    let (upstream, seed) = loop {
        let (upstream, seed) = dice.pick(&seeds::STREAMS);
        // A provider that has Responses has chat too, and is asked in chat for callers of any other API.
        if caller == Dialect::Responses || *upstream != Dialect::Responses {
            break (upstream, seed);
        }
    };
    let caller = caller.as_str();
    let ending = if dice.once_in(4) { *dice.pick(&ENDINGS) } else { "whole" };
    let head = format!("{caller} {} {ending} {}\n", upstream.as_str(), dice.number() % 1000);
    let body = match dice.below(10) {
        0 => dice.noise(32),
        1 => seed.clone().into_bytes(),
        _ => mutate::stream(dice, seed),
    };
    [head.into_bytes(), body].concat()
}

/// What the provider does next.
struct Script {
    body: Vec<u8>,
    ending: String,
    number: u64,
    /// What it does to the request after the first, if something else.
    then: Option<&'static str>,
    asked: usize,
}

/// What finishes an answer that broke off, by the one who is asked to.
fn rest_of(upstream: Dialect) -> &'static str {
    match upstream {
        Dialect::Chat => concat!(
            r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":" and the rest"},"finish_reason":null}]}"#,
            "\n\n",
            r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            "\n\ndata: [DONE]\n\n"
        ),
        Dialect::Messages | Dialect::Responses => concat!(
            r#"data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":1}}}"#,
            "\n\n",
            r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            "\n\n",
            r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" and the rest"}}"#,
            "\n\n",
            r#"data: {"type":"content_block_stop","index":0}"#,
            "\n\n",
            r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":3}}"#,
            "\n\n",
            r#"data: {"type":"message_stop"}"#,
            "\n\n"
        ),
    }
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    engine: Engine,
    script: Arc<Mutex<Script>>,
}

/// One engine for all cases: that it was mistreated before must not matter.
static BENCH: LazyLock<Mutex<Bench>> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = Arc::new(Mutex::new(Script::of(&[], "", 0)));
    let of_provider = Arc::clone(&script);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = serve(stream.unwrap(), &of_provider);
        }
    });
    let mut text = "failover: {attempts: 1}\ntimeouts: {first_token: 20s}\nproviders:\n".to_owned();
    for (name, api) in [("chat", "openai-chat"), ("responses", "openai"), ("messages", "anthropic")]
    {
        let url = format!("http://127.0.0.1:{port}/v1");
        let provider =
            format!("  {name}: {{api: {api}, base_url: \"{url}\", allow_private: true}}\n");
        text.push_str(&provider);
    }
    text.push_str("models:\n");
    for name in ["chat", "responses", "messages"] {
        let model = format!("  {name}: {{endpoints: [{{provider: {name}}}]}}\n");
        text.push_str(&model);
    }
    let routers = [("chat", "messages"), ("messages", "chat")].map(|(first, second)| {
        format!(
            "name: {first}\npolicies: [{{task_slug: translation, models: [{first}]}}]\n\
             fallback_models: [{first}, {second}]\nfailover: {{attempts: 2, rescue: continue}}\n"
        )
    });
    let routers = [("r0.yaml", routers[0].as_str()), ("r1.yaml", routers[1].as_str())];
    let loaded = load_texts(("main.yaml", &text), &routers, &LoadOptions::default());
    let catalog = loaded.unwrap_or_else(|refused| panic!("{refused}")).catalog;
    let engine = Engine::new(World { catalog, classifier: None }, Metrics::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Mutex::new(Bench { runtime, engine, script })
});

/// The provider's side of one connection: one request, one answer.
fn serve(mut stream: TcpStream, script: &Mutex<Script>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while !is_whole(&request) {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..read]);
    }
    let mut script = script.lock();
    script.asked += 1;
    let (body, ending) = match script.then.filter(|_| script.asked > 1) {
        Some(then) => (then.as_bytes(), "whole"),
        None => (&script.body[..], script.ending.as_str()),
    };
    let mut dice = Dice::new(script.number);
    let chunked = ending != "short";
    let framing = if chunked {
        "transfer-encoding: chunked".to_owned()
    } else {
        format!("content-length: {}", body.len() + 1)
    };
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")?;
    stream.write_all(format!("connection: close\r\n{framing}\r\n\r\n").as_bytes())?;
    let mut rest = body;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(1 + dice.below(rest.len()));
        rest = after;
        if chunked {
            stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
        }
        stream.write_all(piece)?;
        if chunked {
            stream.write_all(b"\r\n")?;
        }
    }
    if ending == "whole" {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

/// Whether a request has come with all of its body.
fn is_whole(request: &[u8]) -> bool {
    let text = request.escape_ascii().to_string().to_ascii_lowercase();
    let Some((head, _)) = text.split_once(r"\r\n\r\n") else { return false };
    let end = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let length = head.split_once("content-length: ").and_then(|(_, rest)| {
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok()
    });
    request.len() >= end + length.unwrap_or(0)
}

impl Script {
    fn of(body: &[u8], ending: &str, number: u64) -> Self {
        Self { body: body.to_vec(), ending: ending.to_owned(), number, then: None, asked: 0 }
    }
}

/// A case, read.
struct Case<'a> {
    caller: Dialect,
    upstream: Dialect,
    ending: &'a str,
    number: u64,
    body: &'a [u8],
}

impl<'a> Case<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (words, body) = case(bytes)?;
        let &[caller, upstream, ending, number] = &words[..] else { return None };
        let (caller, upstream) = (dialect(caller)?, dialect(upstream)?);
        let number = number.parse().ok()?;
        let answers = upstream != Dialect::Responses || caller == upstream;
        answers.then_some(Self { caller, upstream, ending, number, body })
    }

    /// A request for a stream of `model`.
    fn request(&self, model: &str) -> String {
        match self.caller {
            Dialect::Responses => format!(r#"{{"model":"{model}","stream":true,"input":"hi"}}"#),
            Dialect::Chat | Dialect::Messages => format!(
                r#"{{"model":"{model}","stream":true,"max_tokens":9,"messages":[{{"role":"user","content":"hi"}}]}}"#
            ),
        }
    }
}

/// What the engine answers while the provider does what `script` says.
fn asked(script: Script, path: &str, request: String) -> InMemory {
    let bench = BENCH.lock();
    *bench.script.lock() = script;
    let mut exchange = InMemory::post(path, request);
    bench.runtime.block_on(bench.engine.serve(&mut exchange));
    // One failure must not keep the next case from its provider.
    bench.engine.health.retain(|_| false);
    exchange
}

fn hold(bytes: &[u8]) {
    let Some(case) = Case::read(bytes) else { return };
    let Case { caller, upstream, ending, number, body } = case;
    let script = Script::of(body, ending, number);
    let path = format!("/v1{}", caller.path());
    let answer = asked(script, &path, case.request(upstream.as_str()));
    hold_answer(caller, upstream, ending == "whole", body, &answer);
}

fn hold_rescue(bytes: &[u8]) {
    let Some(case) = Case::read(bytes) else { return };
    let Case { caller, upstream, ending, number, body } = case;
    let other = match upstream {
        Dialect::Chat => Dialect::Messages,
        Dialect::Messages => Dialect::Chat,
        Dialect::Responses => return,
    };
    let script = Script { then: Some(rest_of(other)), ..Script::of(body, ending, number) };
    let path = format!("/v1{}", caller.path());
    let router = format!("router:{}", upstream.as_str());
    let answer = asked(script, &path, case.request(&router));
    let Some(events) = streamed(&answer) else { return };
    let ends = well_formed::ends(caller, &events);
    let errors = well_formed::errors(caller, &events);
    assert_eq!(ends + errors, 1, "{ends} ends and {errors} errors");
    if ends == 1 && caller != upstream && caller != other {
        well_formed::check(caller, &events);
    }
}

fn hold_passthrough(bytes: &[u8]) {
    let Some((words, body)) = case(bytes) else { return };
    let &[_, _, ending, number] = &words[..] else { return };
    let Ok(number) = number.parse() else { return };
    let script = Script::of(body, ending, number);
    let request = r#"{"model":"responses","stream":true,"prompt":"hi"}"#;
    let answer = asked(script, "/v1/completions", request.to_owned());
    let Some(events) = streamed(&answer) else { return };
    let ends = well_formed::ends(Dialect::Chat, &events);
    // An error in which nothing is, SDKs take for none.
    let told: Vec<_> =
        events.into_iter().filter(|event| !event.data.contains("\"error\":{}")).collect();
    let (events, errors) = (&told, well_formed::errors(Dialect::Chat, &told));
    // Of pictures and speech the last event is known by its type.
    let last = [".done\"", ".completed\""];
    let named = events.iter().any(|event| last.iter().any(|last| event.data.contains(last)));
    assert!(ends + errors == 1 || (named && ends + errors == 0), "{ends} ends, {errors} errors");
}

/// The events of an answer that is a stream; `None` where it is an error.
fn streamed(answer: &InMemory) -> Option<Vec<well_formed::Event>> {
    let status = answer.status.expect("a status").as_u16();
    assert!(answer.finished, "the answer never ended");
    if status == 200 {
        let kind = answer.answer_headers["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "a stream was asked for: {kind}");
        return Some(well_formed::events(&answer.answer));
    }
    assert!(status >= 400, "status {status}");
    let body = json::parse(&answer.answer).expect("an error in JSON");
    assert!(body.member("error").is_some_and(|error| error.as_object().is_some()), "{body:?}");
    None
}

fn hold_answer(caller: Dialect, upstream: Dialect, clean: bool, sent: &[u8], answer: &InMemory) {
    let Some(events) = streamed(answer) else { return };
    let ends = well_formed::ends(caller, &events);
    let errors = well_formed::errors(caller, &events);
    assert_eq!(ends + errors, 1, "{ends} ends and {errors} errors");
    if ends == 1 && caller != upstream {
        well_formed::check(caller, &events);
    }
    if ends == 1 && !clean {
        let said = well_formed::ends(upstream, &well_formed::events(&[sent, b"\n\n"].concat()));
        assert!(said > 0, "an end that the provider never sent");
    }
}
