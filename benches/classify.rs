//! What the shipped classifier costs: load, memory, and the time of a verdict on one thread.
//!
//! `make runtime` first; then `cargo bench --bench classify`. Times include tokenizing, the queue and the softmax.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use pointsman::{
    catalog::{
        router::{Policy, Prefer, Router, Task},
        settings::{Failover, OnnxClassifier},
    },
    classifier::onnx::Onnx,
    classify::Classifier,
    conversation::Conversation,
    ids::{RouterName, TaskName},
};

const RUNS: u32 = 400;

const TASKS: [(&str, &str); 6] = [
    ("bug-fixing", "Identify and fix errors or bugs in code that the user supplies"),
    ("code-generation", "Write new code from a description"),
    ("translation", "Translate text from one language to another"),
    ("summarization", "Summarize documents, articles and conversations"),
    ("email", "Draft emails and other professional messages"),
    ("brainstorming", "Come up with ideas"),
];

fn router() -> Arc<Router> {
    let policies = TASKS.iter().map(|(name, description)| Policy {
        task: Arc::new(Task {
            name: TaskName::parse(name).unwrap(),
            description: (*description).to_owned(),
            examples: Vec::new(),
            quality: BTreeMap::new(),
        }),
        models: Vec::new(),
        prefer: Prefer::Given,
    });
    Arc::new(Router {
        name: RouterName::parse("bench").unwrap(),
        description: String::new(),
        policies: policies.collect(),
        fallbacks: Vec::new(),
        threshold: None,
        failover: Failover::default(),
        switch_budget: None,
    })
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn now() -> Instant {
    Instant::now()
}

fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("Rss"));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(", ")
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
fn report(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| {
        times
            .get(times.len().saturating_sub(1).saturating_mul(share) / 100)
            .copied()
            .unwrap_or_default()
    };
    println!("{name:<44} p50 {:>10.3?}  p99 {:>10.3?}", at(50), at(99));
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "what a bench is for")]
async fn main() {
    println!("before                                       {}", memory());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("router-models/default");
    let began = now();
    let settings = OnnxClassifier { folder, threads: 1, timeout: Duration::from_mins(1) };
    let model = Onnx::load(&settings).unwrap();
    println!("load and check                               {:.0?}", began.elapsed());
    let router = router();
    let began = now();
    model.prepare(&[Arc::clone(&router)]).await.unwrap();
    println!("embed 6 tasks                                {:.1?}", began.elapsed());
    println!("loaded                                       {}", memory());
    let words = "please look at this function once more and tell me why the second call throws an error \
                 when the list is empty or only has one";
    let short = |run: u32| Conversation::from_text(&format!("{words} item {run}"));
    let long = |run: u32| {
        let earlier = "a longer text that fills the window ".repeat(12);
        let turns = [
            ("user", vec![earlier.clone()]),
            ("assistant", vec![earlier.clone()]),
            ("user", vec![format!("{run} {earlier}")]),
        ];
        Conversation::from_turns(turns.into_iter())
    };
    let heavy = |run: u32| {
        Conversation::from_text(&format!("{run} {}", "日本語の長い文章です。".repeat(500_000)))
    };
    measure("a turn of 32 tokens", &model, &router, short).await;
    measure("the longest window, 64 tokens", &model, &router, long).await;
    measure("a cached verdict", &model, &router, |_| short(0)).await;
    let mut times = Vec::new();
    for run in 0..3 {
        let began = now();
        model.classify(&heavy(run), &router, None).await.unwrap();
        times.push(began.elapsed());
    }
    report("16 MB of Japanese, made and read", times);
    println!("after                                        {}", memory());
}

async fn measure(
    name: &str,
    model: &Onnx,
    router: &Arc<Router>,
    conversation: impl Fn(u32) -> Conversation,
) {
    let mut times = Vec::new();
    let before = processor_time();
    for run in 0..RUNS {
        let conversation = conversation(run);
        let began = now();
        model.classify(&conversation, router, None).await.unwrap();
        times.push(began.elapsed());
    }
    let used = processor_time().saturating_sub(before).checked_div(RUNS).unwrap();
    report(&format!("{name} (CPU {used:.2?})"), times);
}

/// What all threads have used, in steps of 10 ms: other load on the machine hardly moves it.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks.saturating_mul(10))
}
