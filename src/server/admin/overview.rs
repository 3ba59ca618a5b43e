//! What this process has done since it started, as one document: the dashboard's figures.
//!
//! Everything is said as it is known: a figure that nobody measured is null. What other models would have cost is an
//! estimate: the same tokens at those models' prices, over the requests whose own price is known.

use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    catalog::{
        Catalog,
        model::{Model, Target},
    },
    engine::Engine,
    ids::{ModelId, RouterName, TaskName},
    money::Usd,
    prices::Bill,
    resilience::breaker::State,
    route::Reason,
    server::admin::{
        figure,
        prices::{self, PriceSource},
    },
    telemetry::{
        board::{ModelSum, OTHER, Point, STEP, Sums, TaskSum},
        clock,
    },
};

/// The input tokens of the request for which times to first content are told.
const ORDINARY: u64 = 1000;

/// The whole document.
#[derive(Serialize)]
pub struct Overview {
    now: String,
    started: String,
    uptime_s: f64,
    generation: u64,
    draining: bool,
    in_flight: i64,
    requests: u64,
    outcomes: Outcomes,
    reasons: Reasons,
    models: Vec<ModelRow>,
    tasks: Vec<TaskRow>,
    attempts: u64,
    failovers: Vec<Failovers>,
    fallback_answers: u64,
    cost_usd: f64,
    cost_unknown_requests: u64,
    cost_if: CostIf,
    cost_compared_usd: f64,
    targets: Vec<TargetRow>,
    prices: Vec<PriceSource>,
    series: SeriesRow,
}

#[derive(Serialize)]
struct Outcomes {
    ok: u64,
    rejected: u64,
    error: u64,
    cancelled: u64,
}

#[derive(Serialize)]
struct Reasons {
    matched: u64,
    no_match: u64,
    pinned: u64,
    continued: u64,
    unclassified: u64,
    direct: u64,
}

#[derive(Serialize)]
struct ModelRow {
    model: String,
    requests: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost_usd: Option<f64>,
    ttft_p50_ms: Option<f64>,
    ttft_p95_ms: Option<f64>,
}

#[derive(Serialize)]
struct TaskRow {
    router: String,
    task: Option<String>,
    requests: u64,
    models: Vec<Share>,
}

#[derive(Serialize)]
struct Share {
    model: String,
    requests: u64,
}

#[derive(Serialize)]
struct Failovers {
    cause: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct CostIf {
    dearest: Option<Estimate>,
    compare: Option<Estimate>,
}

#[derive(Serialize)]
struct Estimate {
    model: Option<String>,
    cost_usd: f64,
}

#[derive(Serialize)]
struct TargetRow {
    model: String,
    provider: String,
    endpoint: String,
    breaker: &'static str,
    cooldown_s: Option<f64>,
    ttft_ms: Option<f64>,
    samples: u64,
}

#[derive(Serialize)]
struct SeriesRow {
    step_s: u64,
    from: String,
    points: Vec<PointRow>,
}

#[derive(Serialize)]
struct PointRow {
    t: u64,
    requests: u64,
    errors: u64,
    cost_usd: f64,
    ttft: serde_json::Map<String, serde_json::Value>,
}

/// The document as it is now; `compare` names a model whose price is to be applied to all tokens.
pub fn of(engine: &Engine, draining: bool, compare: Option<&str>) -> Overview {
    let world = engine.world();
    let sums = engine.board.sums();
    let (now, wall) = (clock::now(), clock::wall());
    let (started, uptime) = engine.board.started();
    let compared = compare.and_then(|name| world.catalog.model(name));
    Overview {
        now: figure::date(wall),
        started: figure::date(started),
        uptime_s: figure::seconds(uptime),
        generation: world.catalog.generation,
        draining,
        in_flight: engine.metrics.in_flight(),
        requests: sums.outcomes.iter().copied().fold(0, u64::saturating_add),
        outcomes: Outcomes::of(sums.outcomes),
        reasons: Reasons::of(&sums),
        models: models(&sums),
        tasks: tasks(&sums),
        attempts: sums.attempts,
        failovers: engine
            .metrics
            .failovers()
            .map(|(cause, count)| Failovers { cause, count })
            .collect(),
        fallback_answers: sums.fallback_answers,
        cost_usd: figure::dollars(sums.cost),
        cost_unknown_requests: sums.cost_unknown,
        cost_if: CostIf {
            dearest: (sums.priced > 0).then(|| Estimate::of(None, sums.dearest)),
            compare: compared.and_then(|model| repriced(engine, model, &sums, wall)),
        },
        cost_compared_usd: figure::dollars(sums.cost),
        targets: targets(engine, &world.catalog, now),
        prices: prices::sources(engine, &world.catalog, wall),
        series: series(&sums, wall),
    }
}

impl Outcomes {
    fn of([ok, rejected, error, cancelled]: [u64; 4]) -> Self {
        Self { ok, rejected, error, cancelled }
    }
}

impl Reasons {
    fn of(sums: &Sums) -> Self {
        let of = |reason| sums.decided_for(reason);
        Self {
            matched: of(Reason::Matched),
            no_match: of(Reason::NoMatch),
            pinned: of(Reason::Pinned),
            continued: of(Reason::Continued),
            unclassified: of(Reason::Unclassified),
            direct: of(Reason::Direct),
        }
    }
}

impl Estimate {
    fn of(model: Option<&ModelId>, cost: Usd) -> Self {
        Self { model: model.map(ModelId::to_string), cost_usd: figure::dollars(cost) }
    }
}

fn name(model: Option<&ModelId>) -> String {
    model.map_or(OTHER, ModelId::as_str).to_owned()
}

/// Those that answered most first.
fn models(sums: &Sums) -> Vec<ModelRow> {
    let row = |(model, sum): (&Option<ModelId>, &ModelSum)| ModelRow {
        model: name(model.as_ref()),
        requests: sum.requests,
        input_tokens: sum.usage.input,
        output_tokens: sum.usage.output,
        cost_usd: (sum.priced > 0).then(|| figure::dollars(sum.cost)),
        ttft_p50_ms: sum.ttft.quantile(0.5).map(figure::milliseconds),
        ttft_p95_ms: sum.ttft.quantile(0.95).map(figure::milliseconds),
    };
    let mut rows: Vec<ModelRow> = sums.models.iter().map(row).collect();
    rows.sort_by(|one, other| {
        other.requests.cmp(&one.requests).then_with(|| one.model.cmp(&other.model))
    });
    rows
}

fn tasks(sums: &Sums) -> Vec<TaskRow> {
    let row = |((router, task), sum): (&(RouterName, Option<TaskName>), &TaskSum)| {
        let mut models: Vec<Share> = sum
            .models
            .iter()
            .map(|(model, requests)| Share { model: name(model.as_ref()), requests: *requests })
            .collect();
        models.sort_by(|one, other| {
            other.requests.cmp(&one.requests).then_with(|| one.model.cmp(&other.model))
        });
        let task = task.as_ref().map(TaskName::to_string);
        TaskRow { router: router.to_string(), task, requests: sum.requests, models }
    };
    let mut rows: Vec<TaskRow> = sums.tasks.iter().map(row).collect();
    rows.sort_by(|one, other| {
        let names = |row: &TaskRow| (row.router.clone(), row.task.clone());
        other.requests.cmp(&one.requests).then_with(|| names(one).cmp(&names(other)))
    });
    rows
}

/// What all tokens would have cost at the price of `model` in force now; nothing where that is not known.
fn repriced(engine: &Engine, model: &Model, sums: &Sums, wall: Timestamp) -> Option<Estimate> {
    let target = model.targets.first()?;
    let prices = engine.prices.load();
    let mut cost = Usd::ZERO;
    for class in sums.classes.iter().filter(|class| class.requests > 0) {
        // Tiers go by the input of one request: requests of about the same input are priced together.
        let input = class.usage.input.checked_div(class.requests).unwrap_or(0);
        let quote = prices.quote(model, target, input, wall);
        cost = cost.plus(Bill::of(&quote.rates, &class.usage)?.total());
    }
    (sums.priced > 0).then(|| Estimate::of(Some(&model.id), cost))
}

fn targets(engine: &Engine, catalog: &Catalog, now: Instant) -> Vec<TargetRow> {
    let row = |target: &Target| {
        let prediction = engine.stats.predict(&target.id, &target.model, ORDINARY, now);
        TargetRow {
            model: target.model.to_string(),
            provider: target.provider.id.to_string(),
            endpoint: target.upstream_id.to_string(),
            breaker: match engine.health.state(&target.id, now) {
                State::Closed => "closed",
                State::HalfOpen => "half_open",
                State::Open => "open",
            },
            cooldown_s: engine.health.cooldown(&target.id, now).map(figure::seconds),
            ttft_ms: prediction.ttft.map(figure::milliseconds),
            samples: prediction.samples,
        }
    };
    let targets = catalog.models.values().flat_map(|model| &model.targets);
    targets.map(|target| row(target)).collect()
}

fn series(sums: &Sums, wall: Timestamp) -> SeriesRow {
    let points: Vec<Point> = sums.series.until(wall.as_second()).collect();
    let first = points.first().map_or(0, Point::began);
    let from = i64::try_from(first).ok().and_then(|first| Timestamp::from_second(first).ok());
    SeriesRow {
        step_s: STEP.as_secs(),
        from: figure::date(from.unwrap_or(wall)),
        points: points.iter().map(PointRow::of).collect(),
    }
}

impl PointRow {
    fn of(point: &Point) -> Self {
        let medians = point.ttft.iter().map(|(model, samples)| {
            let median = samples.quantile(0.5).map(figure::milliseconds);
            (name(model.as_ref()), median.into())
        });
        Self {
            t: point.began(),
            requests: point.requests,
            errors: point.errors,
            cost_usd: figure::dollars(point.cost),
            ttft: medians.collect(),
        }
    }
}
