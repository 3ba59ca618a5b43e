//! What a decision takes with the default classifier: asked for over `/routing/v1`, as an operator would.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{load::message_end, median, proxy::Proxy, quantile};

const TASKS: [(&str, &str); 6] = [
    ("bug-fixing", "Find and fix errors in code that the user supplies"),
    ("code-generation", "Write new code from a description"),
    ("translation", "Translate text from one language into another"),
    ("summarization", "Shorten a text to what matters"),
    ("creative-writing", "Write stories, poems and other fiction"),
    ("planning", "Break a goal down into steps"),
];
const WORDS: [&str; 16] = [
    "please",
    "write",
    "translate",
    "this",
    "function",
    "letter",
    "into",
    "French",
    "summarize",
    "why",
    "does",
    "loop",
    "story",
    "about",
    "plan",
    "journey",
];

/// Measures and prints; says so where no classifier lies beside the program.
pub(crate) fn print(program: &Path, provider: SocketAddr) {
    let model = program.with_file_name("router-models").join("default");
    if !model.is_dir() {
        println!("no classifier beside the program: `make build` puts it there");
        return;
    }
    let started = Instant::now();
    let (router, configuration) = configuration(&model);
    let started_program = Proxy::pointsman(program, provider, &configuration);
    let _ = std::fs::remove_file(router);
    let Some(pointsman) = started_program else {
        println!("it does not start with the classifier: see `pointsman check`");
        return;
    };
    println!(
        "start, with the classifier            {:>8.0} ms  (bar: 1,000)",
        started.elapsed().as_secs_f64() * 1e3
    );
    let mut caller = Caller::new(&pointsman);
    let mut timings = |name: &str, text: &dyn Fn(usize) -> String| {
        let timed: Vec<Timing> = (0..200).map(|number| caller.ask(&text(number))).collect();
        let of = |take: fn(&Timing) -> f64| timed.iter().map(take).collect::<Vec<_>>();
        let (p50, p99) = (median(of(|t| t.classify)), quantile(of(|t| t.classify), 0.99));
        println!("classify, {name:<27} {:>8.2} ms  p99 {:.2} ms", p50 / 1e3, p99 / 1e3);
        median(of(|t| t.rank))
    };
    timings("up to 32 tokens (bar: 8)", &|number| words(number, 20));
    timings("longest window (15, p99 40)", &|number| words(number, 2000));
    let rank = timings("cached (bar: 0.1)", &|_| "translate this letter".to_owned());
    println!("rank                                  {rank:>8.1} us  (bar: 20)");
    println!("resident with the classifier          {:>8.1} MiB (bar: 256)", pointsman.memory());
}

/// The router's file, and what refers to it and to the classifier.
fn configuration(model: &Path) -> (PathBuf, String) {
    let router =
        std::env::temp_dir().join(format!("pointsman-bench-router-{}.yaml", std::process::id()));
    let mut text = "name: r\nfallback_models: [m]\npolicies:\n".to_owned();
    for (name, description) in TASKS {
        let _ = writeln!(
            text,
            "  - {{custom_task: {{name: {name}, description: \"{description}\"}}, models: [m]}}"
        );
    }
    std::fs::write(&router, text).unwrap();
    let (path, model) = (router.display(), model.display());
    let text = format!("routers: [\"{path}\"]\nclassifier: {{model: \"{model}\", timeout: 5s}}\n");
    (router, text)
}

/// A text of so many words that no other number gives.
fn words(number: usize, count: usize) -> String {
    let mut text = format!("{number}:");
    for at in 0..count {
        text.push(' ');
        text.push_str(WORDS[(number.wrapping_mul(31) + at * 7 + at * at) % WORDS.len()]);
    }
    text
}

/// Microseconds that the decision document tells.
struct Timing {
    classify: f64,
    rank: f64,
}

struct Caller(TcpStream);

impl Caller {
    fn new(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.aim.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    fn ask(&mut self, text: &str) -> Timing {
        let body =
            format!(r#"{{"model":"router:r","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        let length = body.len();
        write!(self.0, "POST /routing/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = vec![0; 1 << 16];
        let mut filled = 0;
        while message_end(&answer[..filled]).is_none() {
            let read = self.0.read(&mut answer[filled..]).unwrap();
            assert!(read > 0, "closed");
            filled += read;
        }
        let text = std::str::from_utf8(&answer[..filled]).unwrap();
        assert!(text.contains("\"timings_us\""), "{text}");
        let timing = |name: &str| {
            let after = text.split(&format!("\"{name}\":")).last().unwrap_or_default();
            let digits: String =
                after.chars().take_while(|digit| digit.is_ascii_digit() || *digit == '.').collect();
            digits.parse().unwrap_or(f64::NAN)
        };
        Timing { classify: timing("classify"), rank: timing("rank") }
    }
}
