//! The whole program under load: what it adds to a call, and what it costs, as ratios within one run.
//!
//! `cargo bench --bench end_to_end [-- ROUNDS]` (5 by default), or `make bench`. A provider that answers at once, the
//! callers, and one proxy at a time share the machine. Every round measures everything that is there, one after the
//! other: a direct call, Pointsman, nginx as a plain reverse proxy where it is installed, and the gateways that
//! `make peers` brings. What is printed is the median of the rounds; ratios are taken within a round.
//!
//! Pointsman runs as it ships, a log line for each request included; nginx logs nothing.

#![expect(clippy::print_stdout, reason = "a table is what it is for")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]
#![expect(clippy::indexing_slicing, reason = "buffers and where they are filled")]
#![expect(clippy::arithmetic_side_effects, reason = "counts and times of one run")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

mod decision;
mod load;
mod proxy;
mod upstream;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{load::Aim, proxy::Proxy};

/// The program that cargo has built for this bench; `POINTSMAN_BIN` names another.
const PROGRAM: &str = env!("CARGO_BIN_EXE_pointsman");
const CALLERS: usize = 16;
const TIME: Duration = Duration::from_millis(1500);
const MOST: usize = 5000;

fn main() {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(5);
    let program = std::env::var_os("POINTSMAN_BIN").map_or_else(|| PROGRAM.into(), PathBuf::from);
    let provider = upstream::start();
    let started = Instant::now();
    let pointsman = Proxy::pointsman(&program, provider, "");
    println!(
        "start, without a classifier          {:>9.0} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    let proxies: Vec<Proxy> =
        [pointsman, Proxy::nginx(provider), Proxy::litellm(provider), Proxy::portkey(provider)]
            .into_iter()
            .flatten()
            .collect();
    let names: Vec<_> = proxies.iter().map(|proxy| proxy.name).collect();
    println!("measured beside a direct call: {}\n", names.join(", "));
    let direct = Aim { address: provider, headers: String::new() };
    for proxy in &proxies {
        load::many_callers(&proxy.aim, CALLERS, Duration::from_millis(500));
    }
    let rounds: Vec<Round> = (0..rounds).map(|_| Round::measure(&direct, &proxies)).collect();
    print_rounds(&names, &rounds);
    print_memory(&proxies[0]);
    drop(proxies);
    decision::print(&program, provider);
}

/// Everything measured once.
struct Round {
    direct: Figures,
    proxies: Vec<Figures>,
}

/// What one round says of one way to the provider. Times in seconds.
struct Figures {
    latency: f64,
    first_content: f64,
    per_second: f64,
    cpu: f64,
}

impl Round {
    fn measure(direct: &Aim, proxies: &[Proxy]) -> Self {
        Self {
            direct: figures(direct, || 0.0),
            proxies: proxies.iter().map(|proxy| figures(&proxy.aim, || proxy.cpu())).collect(),
        }
    }
}

fn figures(aim: &Aim, cpu: impl Fn() -> f64) -> Figures {
    let latency = median(load::one_caller(aim, TIME, MOST));
    let (before, started) = (cpu(), Instant::now());
    let count = float(load::many_callers(aim, CALLERS, TIME));
    let (spent, elapsed) = (cpu() - before, started.elapsed().as_secs_f64());
    let first_content = median(load::first_contents(aim, CALLERS, TIME));
    Figures { latency, first_content, per_second: count / elapsed, cpu: spent / count }
}

fn print_rounds(names: &[&str], rounds: &[Round]) {
    println!(
        "medians of {} rounds                  added p50    added to first    requests/s    CPU/request",
        rounds.len()
    );
    println!("                                       1 caller    content, 16 c.      16 callers");
    let of = |take: &dyn Fn(&Round) -> f64| median(rounds.iter().map(take).collect());
    println!(
        "  {:<30} {:>9.0} us* {:>12.0} us* {:>13.0}",
        "direct (* whole, not added)",
        of(&|r| r.direct.latency) * 1e6,
        of(&|r| r.direct.first_content) * 1e6,
        of(&|r| r.direct.per_second)
    );
    for (index, name) in names.iter().enumerate() {
        let latency = of(&|r| r.proxies[index].latency - r.direct.latency) * 1e6;
        let first = of(&|r| r.proxies[index].first_content - r.direct.first_content) * 1e6;
        // None at all: it breaks streams off.
        let first = if first.is_nan() { "-".to_owned() } else { format!("{first:.0}") };
        let rate = of(&|r| r.proxies[index].per_second);
        let cpu = of(&|r| r.proxies[index].cpu) * 1e6;
        println!("  {name:<30} {latency:>9.0} us  {first:>12} us  {rate:>13.0} {cpu:>11.1} us");
    }
    println!();
    for (index, name) in names.iter().enumerate().skip(1) {
        let added = of(&|r| {
            (r.proxies[0].latency - r.direct.latency)
                / (r.proxies[index].latency - r.direct.latency)
        });
        let per_cpu = of(&|r| r.proxies[index].cpu / r.proxies[0].cpu);
        let (latency_bar, cpu_bar) = bars(name);
        println!(
            "  pointsman to {name}: added latency {added:.2}x{latency_bar}, requests per CPU second {per_cpu:.2}x{cpu_bar}"
        );
    }
    println!();
}

fn bars(name: &str) -> (&'static str, &'static str) {
    match name {
        "nginx" => (" (bar: at most 2)", " (bar: at least 0.5)"),
        "litellm" => (" (bar: under 0.1)", " (bar: at least 10)"),
        "portkey" => ("", " (bar: at least 5)"),
        _ => ("", ""),
    }
}

fn print_memory(pointsman: &Proxy) {
    let before = pointsman.memory();
    println!("resident without a classifier         {before:>8.1} MiB (bar: at most 40)");
    let open = load::with_silent_streams(&pointsman.aim, 1000, || pointsman.memory());
    println!("1,000 idle streams add                {:>8.1} MiB (bar: at most 32)", open - before);
}

/// The middle of these.
fn median(figures: Vec<f64>) -> f64 {
    quantile(figures, 0.5)
}

/// What this share of the figures does not exceed.
fn quantile(mut figures: Vec<f64>, share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let wanted = share * float(figures.len().saturating_sub(1));
    let rank = (0..figures.len()).find(|rank| float(*rank) >= wanted).unwrap_or(0);
    figures.get(rank).copied().unwrap_or(f64::NAN)
}

fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
