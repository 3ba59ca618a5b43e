//! The whole engine, from a request in memory to a provider on loopback that sends mutated answers.
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
    let script = Script { body: Vec::new(), ending: String::new(), number: 0 };
    let script = Arc::new(Mutex::new(script));
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
    let loaded = load_texts(("main.yaml", &text), &[], &LoadOptions::default());
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
    let script = script.lock();
    let mut dice = Dice::new(script.number);
    let chunked = script.ending != "short";
    let framing = if chunked {
        "transfer-encoding: chunked".to_owned()
    } else {
        format!("content-length: {}", script.body.len() + 1)
    };
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")?;
    stream.write_all(format!("connection: close\r\n{framing}\r\n\r\n").as_bytes())?;
    let mut rest = &script.body[..];
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
    if script.ending == "whole" {
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

fn hold(bytes: &[u8]) {
    let Some((words, body)) = case(bytes) else { return };
    let &[caller, upstream, ending, number] = &words[..] else { return };
    let (Some(caller), Some(upstream), Ok(number)) =
        (dialect(caller), dialect(upstream), number.parse::<u64>())
    else {
        return;
    };
    if upstream == Dialect::Responses && caller != upstream {
        return;
    }
    let bench = BENCH.lock();
    *bench.script.lock() = Script { body: body.to_vec(), ending: ending.to_owned(), number };
    let request = match caller {
        Dialect::Responses => {
            format!(r#"{{"model":"{}","stream":true,"input":"hi"}}"#, upstream.as_str())
        }
        Dialect::Chat | Dialect::Messages => format!(
            r#"{{"model":"{}","stream":true,"max_tokens":9,"messages":[{{"role":"user","content":"hi"}}]}}"#,
            upstream.as_str()
        ),
    };
    let mut exchange = InMemory::post(&format!("/v1{}", caller.path()), request);
    bench.runtime.block_on(bench.engine.serve(&mut exchange));
    // One failure must not keep the next case from its provider.
    bench.engine.health.retain(|_| false);
    drop(bench);
    hold_answer(caller, upstream, ending == "whole", body, &exchange);
}

fn hold_answer(caller: Dialect, upstream: Dialect, clean: bool, sent: &[u8], answer: &InMemory) {
    let status = answer.status.expect("a status").as_u16();
    assert!(answer.finished, "the answer never ended");
    if status != 200 {
        assert!(status >= 400, "status {status}");
        let body = json::parse(&answer.answer).expect("an error in JSON");
        assert!(body.member("error").is_some_and(|error| error.as_object().is_some()), "{body:?}");
        return;
    }
    let kind = answer.answer_headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/event-stream"), "a stream was asked for: {kind}");
    let events = well_formed::events(&answer.answer);
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
