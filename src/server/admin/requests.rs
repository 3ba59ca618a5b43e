//! The last requests as documents: figures and names of the catalog, never a text of a request or an answer.

use http::StatusCode;
use serde::Serialize;

use crate::{
    dialect::ir::answer::Usage,
    engine::Engine,
    ids::{KeyName, ModelId, RouterName},
    prices::Bill,
    route::{Decision, Explanation, Reason},
    server::admin::{Request, answer::Answer, figure},
    telemetry::recent::{End, Record},
};

/// How many are listed where nobody says, and at most.
const LISTED: usize = 50;
const MOST: usize = 500;

/// One request; what is not known is null.
#[derive(Serialize)]
pub struct Shown<'a> {
    id: &'a str,
    seq: u64,
    at: String,
    state: &'static str,
    key: Option<&'a str>,
    source: &'static str,
    router: Option<&'a str>,
    task: Option<&'a str>,
    reason: Option<&'static str>,
    confidence: Option<f64>,
    asked: Option<String>,
    #[serde(flatten)]
    end: Ending<'a>,
    streamed: bool,
    dry_run: bool,
    generation: u64,
}

/// One request with its decision, once there is one.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    decision: Option<Explanation<'a>>,
}

/// What came of it.
#[derive(Serialize, Default)]
struct Ending<'a> {
    model: Option<&'a str>,
    provider: Option<&'a str>,
    endpoint: Option<&'a str>,
    attempts: u32,
    status: Option<u16>,
    code: Option<&'static str>,
    outcome: Option<&'static str>,
    usage: Option<ShownUsage>,
    cost: Option<ShownCost>,
    ttft_ms: Option<f64>,
    duration_ms: Option<f64>,
    overhead_ms: Option<f64>,
}

#[derive(Serialize)]
struct ShownUsage {
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
    estimated: bool,
}

#[derive(Serialize)]
struct ShownCost {
    input: f64,
    cache_read: f64,
    cache_write: f64,
    output: f64,
    total: f64,
}

#[derive(Serialize)]
struct List<'a> {
    requests: Vec<Shown<'a>>,
}

/// The requests that changed last, without their decisions.
pub fn list(engine: &Engine, request: &Request<'_>) -> Answer {
    let most = match request.parameter("limit").as_deref().map(str::parse::<usize>) {
        None => LISTED,
        Some(Ok(most)) if (1..=MOST).contains(&most) => most,
        Some(Ok(_) | Err(_)) => {
            let message = format!("limit must be a number from 1 to {MOST}");
            return Answer::error(StatusCode::BAD_REQUEST, "invalid_request", &message);
        }
    };
    let latest = engine.board.latest(most);
    Answer::json(&List { requests: latest.iter().map(Shown::of).collect() })
}

/// The newest request of this id, with its decision.
pub fn one(engine: &Engine, id: &str) -> Answer {
    let Some(record) = engine.board.find(id) else {
        let message = "no request of this id is among the last ones";
        return Answer::error(StatusCode::NOT_FOUND, "not_found", message);
    };
    let decision = record.decision.as_deref().map(Decision::explanation);
    Answer::json(&Whole { shown: Shown::of(&record), decision })
}

impl<'a> Shown<'a> {
    /// What is known of `record`, but for its decision.
    pub fn of(record: &'a Record) -> Self {
        let decision = record.decision.as_deref();
        Self {
            id: &record.id,
            seq: record.seq,
            at: figure::date(record.at),
            state: if record.end.is_some() { "done" } else { "open" },
            key: record.key.as_ref().map(KeyName::as_str),
            source: record.source.as_str(),
            router: decision.and_then(Decision::router).map(RouterName::as_str),
            task: decision.and_then(|it| it.task.as_ref()).map(|task| task.name.as_str()),
            reason: decision.map(|decision| decision.reason).map(Reason::as_str),
            confidence: decision.and_then(|decision| decision.confidence).map(figure::share),
            asked: asked(record),
            end: record.end.as_ref().map(Ending::of).unwrap_or_default(),
            streamed: record.streamed,
            dry_run: record.dry_run,
            generation: record.generation,
        }
    }
}

/// What the caller named, where that is of the catalog.
fn asked(record: &Record) -> Option<String> {
    let router = record.decision.as_deref().and_then(Decision::router);
    router
        .map(|router| format!("router:{router}"))
        .or_else(|| record.asked().map(ModelId::to_string))
}

impl<'a> Ending<'a> {
    fn of(end: &'a End) -> Self {
        let target = end.target.as_deref();
        Self {
            model: target.map(|target| target.model.as_str()),
            provider: target.map(|target| target.provider.id.as_str()),
            endpoint: target.map(|target| &*target.upstream_id),
            attempts: end.attempts,
            status: Some(end.status).filter(|status| *status > 0),
            code: end.code,
            outcome: Some(end.ended.as_str()),
            usage: end.usage.map(|usage| ShownUsage::of(usage, end.usage_estimated)),
            cost: end.cost.map(ShownCost::of),
            ttft_ms: end.ttft.map(figure::milliseconds),
            duration_ms: Some(figure::milliseconds(end.duration)),
            overhead_ms: end.overhead.map(figure::milliseconds),
        }
    }
}

impl ShownUsage {
    fn of(usage: Usage, estimated: bool) -> Self {
        let Usage { input, cache_read, cache_write, output, reasoning } = usage;
        Self { input, cache_read, cache_write, output, reasoning, estimated }
    }
}

impl ShownCost {
    fn of(bill: Bill) -> Self {
        Self {
            input: figure::dollars(bill.input),
            cache_read: figure::dollars(bill.cache_read),
            cache_write: figure::dollars(bill.cache_write),
            output: figure::dollars(bill.output),
            total: figure::dollars(bill.total()),
        }
    }
}
