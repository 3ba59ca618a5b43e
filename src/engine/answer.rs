//! A request for an answer: routed or direct, in any of the three APIs; and its dry run.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::{
    affinity::{Key, Pin},
    catalog::{
        model::{Model, Target},
        router::Router,
        settings::Failover,
    },
    dialect::{
        carry, estimate, ir,
        request::{self, RequestFault},
    },
    engine::{
        Engine, Stop, World,
        admit::Admitted,
        attempt::{self, Begun, Job, NotBegun, Tried},
        exchange::{Exchange, Interrupt},
        ledger::Ledger,
        open::Answer,
        refusal::Refusal,
        relay::Ending,
        remember::{Keys, Past},
        rescue::{self, Telling, Told},
        send_json, understand,
    },
    http::route::Route,
    ids::{ModelId, TargetId},
    rank::{Warm, session::SessionCache},
    route::{self, Asked, Decision, Facts, Reading, Timings},
    telemetry::{clock, usage::Ended},
};

const ROUTER: &str = "router:";

/// A body of more bytes than this takes about a millisecond to decode.
const LARGE: usize = 256 * 1024;

/// What a request asks for by `model`.
enum Wanted {
    Router(Arc<Router>),
    Model(Arc<Model>),
}

/// What was found out about a request before the plan was made.
struct Found {
    reading: Reading,
    past: Past,
    classify: Option<Duration>,
    /// The endpoint that issued the response that the request goes on from.
    issuer: Option<TargetId>,
}

/// Serves one request for an answer, or for the decision alone.
pub(super) async fn serve(
    (engine, world): (&Engine, &World),
    admitted: &Admitted,
    body: &Bytes,
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
) -> Result<(), Stop> {
    let began = clock::now();
    let dialect = admitted.route.dialect();
    let dry_run = matches!(admitted.route, Route::DryRun(_));
    if dry_run {
        ledger.leave_out();
    }
    let (request, input_tokens) = unhurried(body.len(), || {
        let request = request::read_request(dialect, body)?;
        let input_tokens = estimate::input_tokens(&request);
        Ok((request, input_tokens))
    })
    .map_err(|fault: RequestFault| Refusal::new(400, fault.code, fault.message))?;
    ledger.read(request.stream, input_tokens);
    let wanted = want(world, admitted, &request.model)?;
    let read = clock::now().saturating_duration_since(began);

    let found = find((engine, world), &wanted, &request, admitted, exchange).await?;
    let began = clock::now();
    let known = Known { request: &request, admitted, input_tokens, dry_run };
    let mut decision = decide(engine, world, &wanted, &found, &known);
    let rank = clock::now().saturating_duration_since(began);
    decision.timings = Timings {
        read: Some(micros(read)),
        classify: found.classify.map(micros),
        rank: Some(micros(rank)),
    };
    decision.losses = losses(&request, &decision);
    let decision = Arc::new(decision);
    ledger.decided(&decision);
    if dry_run {
        return explain(&decision, exchange, ledger).await;
    }
    if let Some(refusal) = &decision.refusal {
        let refused = Refusal::new(refusal.status, refusal.code, refusal.message.clone());
        let mut refused = refused.retry_after(refusal.retry_after);
        refused.should_retry = (refusal.status == 503).then_some(true);
        return Err(refused.into());
    }
    engine.budget.request(clock::now());
    if let Wanted::Model(model) = &wanted {
        ledger.limit(&model.timeouts);
    }
    let job = Job {
        engine,
        world,
        admitted,
        request: &request,
        body,
        decision: &decision,
        failover: failover(world, &wanted, &request),
        input_tokens,
        past: found.past,
        echo: OnceLock::new(),
    };
    let served = deliver(&job, exchange, ledger).await;
    served.map_err(|stop| bound_refusal(stop, found.issuer.as_ref()))
}

fn want(world: &World, admitted: &Admitted, name: &str) -> Result<Wanted, Refusal> {
    let denied =
        |what: &str| Refusal::new(403, "not_allowed", format!("this key may not use that {what}"));
    if let Some(router_name) = name.strip_prefix(ROUTER) {
        let router = world.catalog.router(router_name).ok_or_else(|| Refusal::not_found(name))?;
        let allowed = admitted.caller.may_use_router(&router.name);
        return if allowed {
            Ok(Wanted::Router(Arc::clone(router)))
        } else {
            Err(denied("router"))
        };
    }
    let model = world.catalog.model(name).ok_or_else(|| Refusal::not_found(name))?;
    let allowed = admitted.caller.may_name_model(&model.id);
    if allowed { Ok(Wanted::Model(Arc::clone(model))) } else { Err(denied("model")) }
}

impl Wanted {
    fn router(&self) -> Option<&Arc<Router>> {
        match self {
            Self::Router(router) => Some(router),
            Self::Model(_) => None,
        }
    }
}

async fn find(
    (engine, world): (&Engine, &World),
    wanted: &Wanted,
    request: &ir::Request<'_>,
    admitted: &Admitted,
    exchange: &mut impl Exchange,
) -> Result<Found, Interrupt> {
    let caller = admitted.caller.key_name();
    let issuer =
        request.previous_response_id.as_ref().and_then(|id| engine.pins.issuer(caller, id));
    let Some(router) = wanted.router() else {
        let reading = Reading::Direct;
        return Ok(Found { reading, past: Past::default(), classify: None, issuer });
    };
    let bound = issuer.as_ref().and_then(|issuer| model_of(world, issuer));
    let understood = match bound.filter(|model| router.names(model)) {
        Some(model) => understand::bound(engine, router, request, admitted, model),
        None => {
            understand::understand((engine, world), router, request, admitted, exchange).await?
        }
    };
    let keys = Keys { key: understood.key, beginning: understood.beginning };
    let past = Past {
        keys: Some(keys),
        session: understood.past.as_ref().map(|pin| session_cache(pin, keys.beginning)),
        left: understood.past.map(|pin| pin.left).unwrap_or_default(),
    };
    Ok(Found { reading: understood.reading, past, classify: understood.classify, issuer })
}

/// The model that an endpoint serves, while the catalog has it.
fn model_of(world: &World, target: &TargetId) -> Option<ModelId> {
    let mut targets = world.catalog.models.values().flat_map(|model| &model.targets);
    targets.find(|known| known.id == *target).map(|known| known.model.clone())
}

/// Reads a body without holding up others: a large one takes longer than other callers should wait, so that its
/// thread is given up for the time.
fn unhurried<T>(bytes: usize, read: impl FnOnce() -> T) -> T {
    let shared = Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if bytes > LARGE && shared { tokio::task::block_in_place(read) } else { read() }
}

/// What a conversation that began as this one has left in caches.
fn session_cache(pin: &Pin, beginning: Key) -> SessionCache {
    let now = clock::now();
    let warm = pin.left.iter().filter(|left| left.beginning == beginning).map(|left| Warm {
        target: left.target.clone(),
        prefix_tokens: left.prefix_tokens,
        age: left.age(now),
        lifetime: left.lifetime,
    });
    SessionCache {
        model: pin.model.clone(),
        target: pin.target.clone(),
        warm: warm.collect(),
        spent: pin.spent,
        unswitched: pin.unswitched,
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What the decision needs of the request itself.
struct Known<'a> {
    request: &'a ir::Request<'a>,
    admitted: &'a Admitted,
    input_tokens: u64,
    dry_run: bool,
}

fn decide(
    engine: &Engine,
    world: &World,
    wanted: &Wanted,
    found: &Found,
    known: &Known<'_>,
) -> Decision {
    let now = clock::now();
    let request = known.request;
    let caller = &known.admitted.caller;
    let facts = Facts {
        asked: match wanted {
            Wanted::Router(router) => Asked::Router(router),
            Wanted::Model(model) => Asked::Model(model),
        },
        reading: found.reading.clone(),
        demand: request.demand(),
        input_tokens: known.input_tokens,
        max_output: request.max_output,
        caching: request.cache_marker().is_some(),
        bound: found.issuer.as_ref(),
        api: &|target: &Target| {
            carry::carry(request, target.provider.api.dialect_for(request.dialect)).map(drop)
        },
        allowed: &|model| caller.may_attempt(model),
        available: &|target| engine.health.check(target, now),
        session: found.past.session.clone(),
        threshold_default: world.classifier.as_ref().map(|classifier| classifier.threshold()),
        session_id: known.admitted.session.clone(),
        now,
        wall: clock::wall(),
        streamed: request.stream,
        explore: !known.dry_run,
        timings: Timings::default(),
    };
    let prices = engine.prices.load();
    route::decide(&world.catalog, &engine.stats, &prices, &facts, &mut fastrand::f64)
}

/// What the request would lose at each model of the plan whose API is another one.
fn losses(request: &ir::Request<'_>, decision: &Decision) -> Vec<(ModelId, Vec<String>)> {
    let foreign = |target: &&Arc<Target>| !target.provider.api.speaks(request.dialect);
    let lost = |target: &Arc<Target>| {
        let to = target.provider.api.dialect_for(request.dialect);
        let losses = carry::carry(request, to).ok()?.losses;
        (!losses.is_empty()).then(|| (target.model.clone(), losses))
    };
    decision.targets.iter().filter(foreign).filter_map(lost).collect()
}

async fn explain(
    decision: &Decision,
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
) -> Result<(), Stop> {
    let document = serde_json::to_vec(&decision.explanation())
        .map_err(|_| Refusal::new(500, "internal_error", "the decision cannot be written"))?;
    send_json(exchange, 200, ledger.headers(), Bytes::from(document)).await?;
    ledger.end(Ended::Answered, 200, None);
    Ok(())
}

/// What is tried after a failure. A response id belongs to the endpoint that issued it: a request that goes on from
/// one tries only that endpoint, or, where this process does not know the id, the first of the plan that speaks
/// Responses.
fn failover(world: &World, wanted: &Wanted, request: &ir::Request<'_>) -> Failover {
    let failover = match wanted {
        Wanted::Router(router) => router.failover,
        Wanted::Model(_) => world.catalog.settings.failover,
    };
    if request.previous_response_id.is_some() {
        return Failover { attempts: 1, ..failover };
    }
    failover
}

fn cannot_continue() -> Refusal {
    let message = "the endpoint that issued previous_response_id cannot answer at the moment";
    Refusal::new(503, "no_healthy_target", message).retry_after(Some(Duration::from_secs(1)))
}

/// Where only one endpoint could answer, its failure is not the end of the conversation: another try may help.
fn bound_refusal(stop: Stop, issuer: Option<&TargetId>) -> Stop {
    match stop {
        Stop::Refused(refusal) if issuer.is_some() && refusal.status() >= 500 => {
            Stop::Refused(cannot_continue())
        }
        Stop::Refused(_) | Stop::Interrupted(_) => stop,
    }
}

/// Tries the targets and gives the caller what the first of them says.
async fn deliver(
    job: &Job<'_>,
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
) -> Result<(), Stop> {
    let mut tried = Tried::default();
    let begun = match attempt::run(job, &mut tried, exchange, ledger).await {
        Ok(begun) => *begun,
        Err(NotBegun::Refused(refusal)) => return Err(refusal.into()),
        Err(NotBegun::Interrupted(interrupt)) => return Err(interrupt.into()),
    };
    let Begun { target, timeouts, opened, mut trial } = begun;
    trial.content_began();
    ledger.answered(opened.upstream_request_id);
    let told = match opened.answer {
        Answer::Whole(bytes, outcome) => {
            ledger.used(&outcome);
            job.answered(target, &mut trial, &outcome);
            let sent = send_json(exchange, 200, ledger.headers(), bytes).await;
            let ending = sent.map_or_else(Ending::Interrupted, |()| Ending::Complete);
            Told { target, trial, outcome, ending }
        }
        Answer::Stream(live) => {
            let headers = ledger.stream_headers();
            let first = Telling { target, timeouts, live, trial };
            match exchange.start(http::StatusCode::OK, headers, None).await {
                Ok(()) => rescue::tell(job, &mut tried, first, exchange, ledger).await,
                Err(_) => first.told(Ending::Interrupted(Interrupt::CallerGone)),
            }
        }
    };
    let Told { target, mut trial, outcome, ending } = told;
    trial.learned(&outcome);
    ledger.used(&outcome);
    job.remember_issuer(target, &outcome);
    ending.settle(&mut trial, ledger);
    Ok(())
}
