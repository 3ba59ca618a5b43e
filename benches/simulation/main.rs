//! A simulated day of traffic, to see what ranking saves: seeded, by events, no sockets.
//!
//! Sessions grow their contexts turn by turn; providers cache prefixes for a while, drift through the day, degrade, fail
//! and recover; prices change at noon and by the hour. Every rule meets the same requests and the same luck: what a
//! request draws depends on the request and the model alone. After a failure every rule goes on to the next model of its
//! own order. Breakers and cooldowns are left out, for all rules alike, so that the orders themselves are compared.
//!
//! The other rules are written down from what their projects document; the oracles know the world's state (not its dice)
//! and choose greedily. Run with `cargo bench --bench simulation [-- SEED]`.
//!
//! What it shows, seeds 1 to 5: `cheapest` costs 1.1 to 8.0 % (mean 4.2 %) more than the oracle, where the next best rule
//! costs 19 to 23 % more; `fastest` starts at p50 within 1.6 to 2.2 % of the oracle, where `LiteLLM`'s lowest latency is
//! 8 to 34 % behind and a fixed order 14 to 17 %. Where we lose: `cheapest` does not explore, so a model that was not
//! tried yet is judged by how models count and answer on average; with seed 2 that costs a quarter of the day, until a
//! price changes and it is tried. And `cheapest` meets more failures than a rule that seldom moves.

#![expect(clippy::print_stdout, reason = "a table is what it is for")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]
#![expect(clippy::indexing_slicing, reason = "three models, addressed by their number")]
#![expect(clippy::arithmetic_side_effects, reason = "counts and times of one simulated day")]

mod rules;
mod world;

use rules::{Rule, Seen};
use world::{MODELS, Request, World};

/// What one rule made of the day.
struct Score {
    name: &'static str,
    dollars: f64,
    ttft: Vec<f64>,
    failed: usize,
    unanswered: usize,
}

fn main() {
    let seed = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(1);
    let world = World::new(seed);
    let scores: Vec<Score> = Rule::all().into_iter().map(|rule| run(&world, rule)).collect();
    let cheapest = scores.iter().find(|score| score.name == rules::ORACLE_COST).unwrap().dollars;
    let fastest = percentile(
        &scores.iter().find(|score| score.name == rules::ORACLE_TTFT).unwrap().ttft,
        0.5,
    );
    println!("seed {seed}: {} requests in {} sessions", world.requests.len(), world.sessions);
    println!(
        "{:<28} {:>9} {:>8} {:>9} {:>8} {:>9} {:>8} {:>6}",
        "rule", "cost $", "over", "p50 ms", "over", "p95 ms", "failed", "lost"
    );
    for score in &scores {
        let (p50, p95) = (percentile(&score.ttft, 0.5), percentile(&score.ttft, 0.95));
        println!(
            "{:<28} {:>9.2} {:>7.1}% {:>9.0} {:>7.1}% {:>9.0} {:>8} {:>6}",
            score.name,
            score.dollars,
            (score.dollars / cheapest - 1.0) * 100.0,
            p50 * 1e3,
            (p50 / fastest - 1.0) * 100.0,
            p95 * 1e3,
            score.failed,
            score.unanswered
        );
    }
}

fn run(world: &World, mut rule: Rule) -> Score {
    let mut seen = Seen::new(world);
    let mut score =
        Score { name: rule.name(), dollars: 0.0, ttft: Vec::new(), failed: 0, unanswered: 0 };
    for request in &world.requests {
        let order = rule.order(world, request, &seen);
        let mut waited = 0.0;
        let answered = order.into_iter().find(|model| {
            let fails = world.fails(request, *model);
            if fails {
                score.failed += 1;
                waited += world::FAILURE;
                rule.failed(world, request, *model);
            }
            !fails
        });
        let Some(model) = answered else {
            score.unanswered += 1;
            continue;
        };
        let cached = seen.cached(world, request, model);
        let ttft = world.ttft(request, model, cached);
        score.ttft.push(waited + ttft);
        score.dollars += world.dollars(request, model, cached);
        rule.answered(world, request, (model, cached, ttft), &seen);
        seen.answered(request, model, world);
    }
    score.ttft.sort_by(f64::total_cmp);
    score
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place =
        (0..sorted.len()).find(|place| world::count(*place) >= share * world::count(sorted.len()));
    place.map_or(f64::NAN, |place| sorted[place])
}

/// The order that begins with `first` and goes on through the other models as given.
fn beginning_with(first: usize) -> [usize; MODELS] {
    let mut order = [0, 1, 2];
    order.sort_by_key(|model| *model != first);
    order
}

/// The models by rising `figure`.
fn by(figure: impl Fn(usize) -> f64) -> [usize; MODELS] {
    let mut order = [0, 1, 2];
    order.sort_by(|one, other| figure(*one).total_cmp(&figure(*other)));
    order
}

/// Our estimate of a request's tokens as the world counts them at a model.
fn tokens_at(world: &World, request: &Request, model: usize) -> f64 {
    request.tokens * world.models[model].factor
}
