//! One request, from its head to its settlement.
//!
//! ```text
//! admit ─► body ─► decode ─► understand ─► decide ─► attempt ─► relay ─► settle
//! ```
//!
//! The engine serves the whole request itself, whatever listener it came through. It takes one [`World`] when the
//! request arrives and keeps it to the end, so that a reload never changes the rules under a running request. What
//! learns from requests (statistics, breakers, pins) is shared by all of them and outlives every reload.

mod admit;
mod answer;
mod attempt;
pub mod exchange;
mod ledger;
pub mod memory;
mod models;
mod open;
mod passthrough;
mod refusal;
mod relay;
mod remember;
mod rescue;
mod trial;
mod understand;

pub use admit::fresh_request_id;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use parking_lot::Mutex;

use crate::{
    access,
    affinity::Pins,
    catalog::{Catalog, model::Target, settings::Limits},
    classify::Classifier,
    dialect::{
        Dialect,
        error::{self, Problem},
    },
    engine::{
        exchange::{BodyLimits, Exchange, Head, Interrupt, Source},
        ledger::Ledger,
        memory::InMemory,
        refusal::{Refusal, RefusalBody},
    },
    http::{header, retry_after, route::Route},
    ids::{KeyName, TargetId},
    prices::PriceTable,
    resilience::{Health, budget::Budget, exhausted, failure::Failure},
    secret::SecretDigest,
    stats::Stats,
    telemetry::{
        board::Board,
        clock, log,
        metrics::{Metrics, Store},
        usage::Ended,
    },
    upstream::Upstream,
};

/// What one request sees: a catalog and the classifier that knows its tasks.
pub struct World {
    /// Providers, models, routers, settings.
    pub catalog: Catalog,
    /// What matches requests to the catalog's tasks, where one is configured.
    pub classifier: Option<Arc<dyn Classifier>>,
}

/// Serves requests. One for the process.
pub struct Engine {
    world: ArcSwap<World>,
    /// Held while a world is put in, so that no generation is given twice.
    replacing: Mutex<()>,
    /// What was learned of targets.
    pub stats: Stats,
    /// The prices in force.
    pub prices: ArcSwap<PriceTable>,
    /// Breakers and cooldowns.
    pub health: Health,
    /// The conversations that are remembered.
    pub pins: Pins,
    /// The share of traffic that may be repeats.
    pub budget: Budget,
    /// What is counted.
    pub metrics: Metrics,
    /// What the pages of the admin listener show.
    pub board: Board,
    upstream: Upstream,
}

/// Why a request ends here.
pub(crate) enum Stop {
    /// The caller is told so.
    Refused(Refusal),
    /// It ended from outside.
    Interrupted(Interrupt),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Interrupt> for Stop {
    fn from(interrupt: Interrupt) -> Self {
        Self::Interrupted(interrupt)
    }
}

impl Engine {
    /// An engine that has learned nothing yet.
    pub fn new(mut world: World, metrics: Metrics) -> Self {
        world.catalog.generation = 1;
        let affinity = world.catalog.settings.affinity;
        let engine = Self {
            stats: Stats::new(),
            prices: ArcSwap::from_pointee(PriceTable::configured()),
            health: Health::default(),
            pins: Pins::new(&affinity),
            budget: Budget::new(clock::now()),
            metrics,
            board: Board::new(),
            upstream: Upstream::new(),
            replacing: Mutex::new(()),
            world: ArcSwap::from_pointee(world),
        };
        engine.metrics.catalog(&engine.world().catalog);
        engine
    }

    /// The world as it is now.
    pub fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Replaces the world, one generation above the one before it; requests that run keep theirs.
    pub fn replace(&self, mut world: World) {
        let _replacing = self.replacing.lock();
        world.catalog.generation = self.world.load().catalog.generation.saturating_add(1);
        self.metrics.catalog(&world.catalog);
        let known = |target: &TargetId| {
            world.catalog.models.values().flat_map(|model| &model.targets).any(|t| t.id == *target)
        };
        self.health.retain(known);
        self.stats.retain(known, |model| world.catalog.models.contains_key(model));
        self.pins.resize(&world.catalog.settings.affinity);
        self.pins.retain(|model| world.catalog.models.contains_key(model));
        self.world.store(Arc::new(world));
    }

    /// Caps of the process.
    pub fn limits(&self) -> Limits {
        self.world.load().catalog.settings.limits
    }

    /// The largest body that a caller may send.
    pub fn max_body(&self) -> u64 {
        self.world.load().catalog.settings.max_body
    }

    /// How long open requests may go on at the end.
    pub fn drain_limit(&self) -> Duration {
        self.world.load().catalog.settings.drain
    }

    /// The key of the admin listener, if one is set.
    pub fn admin_key(&self) -> Option<SecretDigest> {
        self.world.load().catalog.admin_key.clone()
    }

    /// The metrics in Prometheus' text format.
    pub fn render_metrics(&self) -> String {
        let world = self.world.load();
        let now = clock::now();
        for target in world.catalog.models.values().flat_map(|model| &model.targets) {
            self.metrics.breaker(target, self.health.state(&target.id, now));
            self.metrics.misconfigured(target, self.health.is_misconfigured(&target.id, now));
            let cooldown = self.health.cooldown(&target.id, now);
            self.metrics.cooldown(target, cooldown.unwrap_or_default());
            let age = self.prices.load().age(&target.id, clock::wall());
            self.metrics.price_age(target, age.map(|age| age.as_secs_f64()));
        }
        self.metrics.evicted(Store::Pins, self.pins.evicted());
        self.metrics.evicted(Store::Health, self.health.evicted());
        self.metrics.log_dropped(log::dropped());
        self.metrics.render()
    }

    /// Forgets which model a session of the playground stays with; false where there was none.
    pub fn forget_played(&self, router: &str, session: &str) -> bool {
        let world = self.world.load();
        let Some(router) = world.catalog.router(router) else { return false };
        let key = self.pins.session(Some(&KeyName::playground()), &router.name, session);
        let known = self.pins.find(&key).is_some();
        self.pins.forget(&key);
        known
    }

    /// Takes note of a request that met a mistake of ours.
    pub fn note_panic(&self) {
        self.metrics.panicked();
        tracing::error!("a request panicked");
    }

    /// Takes note of a request whose head nothing may act on: the headers and the body of its refusal.
    pub fn note_refused(&self, head: Option<Head<'_>>, problem: &Problem) -> (HeaderMap, Bytes) {
        let world = self.world.load_full();
        let request_id = match head {
            Some(head) => admit::request_id(head.headers),
            None => admit::request_id(&HeaderMap::new()),
        };
        let dialect = head.map_or(Dialect::Chat, admit::dialect_of);
        let mut ledger = Ledger::open(self, &world, (Source::DataPlane, &request_id));
        ledger.end(Ended::Rejected, problem.status, Some(problem.code));
        (ledger.headers(), error::render(dialect, problem))
    }

    /// Serves one request.
    pub async fn serve(&self, exchange: &mut impl Exchange) {
        self.serve_in(self.world.load_full(), exchange).await;
    }

    /// The decision on a chat request in a `world` that does not serve: its status and document. Nothing is learned.
    pub async fn rehearse(&self, world: Arc<World>, body: String) -> (StatusCode, Bytes) {
        let mut request = InMemory::post("/routing/v1/chat/completions", body).of_playground();
        self.serve_in(world, &mut request).await;
        (request.status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), request.answer.freeze())
    }

    async fn serve_in(&self, world: Arc<World>, exchange: &mut impl Exchange) {
        let request_id = admit::request_id(exchange.head().headers);
        let dialect = admit::dialect_of(exchange.head());
        let mut ledger = Ledger::open(self, &world, (exchange.source(), &request_id));
        let stop = match Box::pin(self.answer(&world, exchange, &mut ledger, &request_id)).await {
            Ok(()) => return,
            Err(stop) => stop,
        };
        let refusal = match stop {
            Stop::Refused(refusal) => refusal,
            Stop::Interrupted(Interrupt::CallerGone) => {
                return ledger.end(Ended::Cancelled, 499, Some("client_closed_request"));
            }
            Stop::Interrupted(Interrupt::ShuttingDown) => {
                Refusal::overloaded("the proxy is shutting down")
            }
        };
        refuse(exchange, dialect, &refusal, &mut ledger).await;
    }

    async fn answer<'a>(
        &'a self,
        world: &'a World,
        exchange: &mut impl Exchange,
        ledger: &mut Ledger<'a>,
        request_id: &str,
    ) -> Result<(), Stop> {
        let asked = (exchange.head(), exchange.source());
        let admitted = admit::admit(&world.catalog, asked, request_id).inspect_err(|refusal| {
            if refusal.code() == admit::INVALID_KEY {
                ledger.refused(access::fingerprint(exchange.head().headers));
            }
        })?;
        ledger.asked_by(admitted.caller.key_name());
        match &admitted.route {
            Route::Models => models::list(world, &admitted, exchange, ledger).await,
            Route::Model(name) => models::one(world, &admitted, name, exchange, ledger).await,
            Route::Answer(_) | Route::DryRun(_) => {
                let body = read_body(world, exchange).await?;
                answer::serve((self, world), &admitted, &body, exchange, ledger).await
            }
            Route::PassThrough(endpoint) => {
                let body = read_body(world, exchange).await?;
                let context = passthrough::Context { engine: self, world, admitted: &admitted };
                context.serve(*endpoint, &body, exchange, ledger).await
            }
        }
    }
}

impl Engine {
    /// What a caller is told when no attempt is left.
    fn exhausted(
        &self,
        failures: &[Failure],
        ended: exhausted::Ended,
        targets: &[Arc<Target>],
    ) -> Refusal {
        let soonest = self.health.soonest(targets.iter().map(|target| &target.id), clock::now());
        let exhausted = exhausted::exhausted(failures, ended, soonest);
        let message = match (exhausted.code, failures.len()) {
            ("upstream_timeout", _) => "no model answered within the total time".to_owned(),
            ("no_healthy_target", _) => "no target can take requests at the moment".to_owned(),
            ("upstream_auth", _) => "the providers refuse the proxy's credentials".to_owned(),
            (_, 1) => "no model answered; the only attempt failed".to_owned(),
            (_, count) => format!("no model answered; {count} attempts failed"),
        };
        Refusal::new(exhausted.status, exhausted.code, message)
            .should_retry(exhausted.should_retry)
            .retry_after(exhausted.retry_after)
    }
}

async fn read_body(world: &World, exchange: &mut impl Exchange) -> Result<Bytes, Stop> {
    let settings = &world.catalog.settings;
    let limits = BodyLimits { bytes: settings.max_body, within: settings.body_timeout };
    Ok(exchange.body(limits).await?)
}

/// Sends a whole JSON document.
async fn send_json(
    exchange: &mut impl Exchange,
    status: u16,
    mut headers: HeaderMap,
    body: Bytes,
) -> Result<(), Interrupt> {
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let sent = async {
        exchange.start(status, headers, Some(body.len())).await?;
        exchange.write(body).await?;
        exchange.finish().await
    };
    sent.await.map_err(|_| Interrupt::CallerGone)
}

async fn refuse(
    exchange: &mut impl Exchange,
    dialect: Dialect,
    refusal: &Refusal,
    ledger: &mut Ledger<'_>,
) {
    let status = refusal.status();
    let ended = if status >= 500 { Ended::Failed } else { Ended::Rejected };
    ledger.end(ended, status, Some(refusal.code()));
    if exchange.started() {
        // An answer that has begun is cut, never continued with another one.
        return;
    }
    let body = match &refusal.body {
        RefusalBody::Ours(problem) => error::render(dialect, problem),
        RefusalBody::Theirs { body, .. } => body.clone(),
    };
    let mut headers = ledger.headers();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(wait) = refusal.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(retry_after::whole_seconds(wait)));
    }
    if let Some(retry) = refusal.should_retry {
        let value = HeaderValue::from_static(if retry { "true" } else { "false" });
        headers.insert(header::SHOULD_RETRY, value);
    }
    if let Some(id) = &refusal.upstream_request_id {
        headers.insert(header::UPSTREAM_REQUEST_ID, HeaderValue::clone(id));
    }
    if let Some(allow) = refusal.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if send_json(exchange, status, headers, body).await.is_err() {
        ledger.end(Ended::Cancelled, status, Some(refusal.code()));
    }
}
