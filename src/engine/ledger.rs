//! The books of one request: what happened so far, the headers that say so, and one record when it is over.
//!
//! The ledger settles when it is dropped, so there is exactly one record of usage on every way out: an answer, a
//! refusal, a hang-up, a panic.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, header::CACHE_CONTROL};
use jiff::Timestamp;

use crate::{
    catalog::{
        model::{Model, Target},
        settings::Timeouts,
    },
    dialect::{answer::Outcome, ir::answer::Usage},
    engine::{Engine, World, attempt, exchange::Source},
    http::header,
    ids::KeyName,
    money::Usd,
    prices::Bill,
    rank::{Candidate, Why},
    resilience::failure::Cause,
    route::Decision,
    telemetry::{
        board::{Part, Settled},
        clock,
        recent::{End, Record},
        usage::{Ended, UsageEvent},
    },
};

/// The books of one request.
pub(super) struct Ledger<'a> {
    engine: &'a Engine,
    world: &'a World,
    started: Instant,
    arrived: Timestamp,
    deadline: Instant,
    request_id: Arc<str>,
    source: Source,
    /// Its number among the last requests, once it was put there.
    seq: Option<u64>,
    key: Option<KeyName>,
    refused_key: Option<String>,
    decision: Option<Arc<Decision>>,
    counted: bool,
    streamed: bool,
    target: Option<Arc<Target>>,
    attempts: u32,
    possibly_billed: u32,
    losses: Vec<String>,
    upstream_request_id: Option<HeaderValue>,
    first_content: Option<Duration>,
    overhead: Option<Duration>,
    usage: Option<Usage>,
    usage_estimated: bool,
    /// Who began the answer that the target has finished, and what that took.
    begun_by: Option<(Arc<Target>, Usage)>,
    input_tokens: u64,
    status: u16,
    code: Option<&'static str>,
    ended: Ended,
}

impl<'a> Ledger<'a> {
    /// Opens the books of a request.
    pub(super) fn open(
        engine: &'a Engine,
        world: &'a World,
        (source, request_id): (Source, &str),
    ) -> Self {
        let started = clock::now();
        engine.metrics.request_began();
        Self {
            engine,
            world,
            started,
            arrived: clock::wall(),
            deadline: attempt::deadline(started, &world.catalog.settings.timeouts),
            request_id: request_id.into(),
            source,
            seq: None,
            key: None,
            refused_key: None,
            decision: None,
            counted: true,
            streamed: false,
            target: None,
            attempts: 0,
            possibly_billed: 0,
            losses: Vec::new(),
            upstream_request_id: None,
            first_content: None,
            overhead: None,
            usage: None,
            usage_estimated: false,
            begun_by: None,
            input_tokens: 0,
            status: 0,
            code: None,
            ended: Ended::Cancelled,
        }
    }

    /// When everything has to be over.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Who asks.
    pub(super) fn asked_by(&mut self, key: Option<&KeyName>) {
        self.key = key.cloned();
    }

    /// The key that was presented is not one of ours.
    pub(super) fn refused(&mut self, fingerprint: Option<String>) {
        self.refused_key = fingerprint;
    }

    /// A dry run leaves no trace in the statistics.
    pub(super) fn leave_out(&mut self) {
        self.counted = false;
    }

    /// What was decided; what is known of the request has been said before.
    pub(super) fn decided(&mut self, decision: &Arc<Decision>) {
        self.decision = Some(Arc::clone(decision));
        let seq = self.engine.board.next_seq();
        self.seq = Some(seq);
        self.engine.board.decided(self.record(seq));
    }

    /// What is known of the request itself.
    pub(super) fn read(&mut self, streamed: bool, input_tokens: u64) {
        self.streamed = streamed;
        self.input_tokens = input_tokens;
    }

    /// The whole time limit of a model that is asked directly.
    pub(super) fn limit(&mut self, timeouts: &Timeouts) {
        self.deadline = attempt::deadline(self.started, timeouts);
    }

    /// An attempt at `target` begins.
    pub(super) fn attempted(&mut self, target: &Arc<Target>) {
        self.attempts = self.attempts.saturating_add(1);
        self.target = Some(Arc::clone(target));
        if self.overhead.is_none() {
            self.overhead = Some(clock::now().saturating_duration_since(self.started));
        }
    }

    /// An attempt failed.
    pub(super) fn failed(&mut self, possibly_billed: bool) {
        self.possibly_billed = self.possibly_billed.saturating_add(u32::from(possibly_billed));
    }

    /// The answer that `target` began has broken off after it took this much, and another target finishes it.
    pub(super) fn handed_on(&mut self, target: &Arc<Target>, usage: Usage) {
        self.begun_by = Some((Arc::clone(target), usage));
    }

    /// The answer is that of `target`: no other has finished it.
    pub(super) fn left_with(&mut self, target: &Arc<Target>) {
        self.target = Some(Arc::clone(target));
    }

    /// The next attempt follows a failure of this cause.
    pub(super) fn moved_on(&self, cause: Option<Cause>) {
        if let Some(cause) = cause {
            self.engine.metrics.failover(cause);
        }
    }

    /// What a translation dropped.
    pub(super) fn lost(&mut self, losses: Vec<String>) {
        self.losses = losses;
    }

    /// The first content has come.
    pub(super) fn answered(&mut self, upstream_request_id: Option<HeaderValue>) {
        self.upstream_request_id = upstream_request_id;
        self.first_content = Some(clock::now().saturating_duration_since(self.started));
        self.status = 200;
    }

    /// What the answer reported of itself; what it did not is estimated.
    pub(super) fn used(&mut self, outcome: &Outcome) {
        self.usage_estimated = outcome.usage.is_none() || self.begun_by.is_some();
        let estimated = || Usage::estimate(self.input_tokens, outcome.content_bytes);
        self.usage = Some(outcome.usage.unwrap_or_else(estimated));
    }

    /// The request is over.
    pub(super) fn end(&mut self, ended: Ended, status: u16, code: Option<&'static str>) {
        self.ended = ended;
        self.status = status;
        self.code = code;
    }

    /// The headers that say what happened so far.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(16);
        put(&mut headers, header::REQUEST_ID, &self.request_id);
        if let Some(decision) = &self.decision {
            if let Some(task) = &decision.task {
                put(&mut headers, header::SELECTED_ROUTE, task.name.as_str());
            }
            let reason = HeaderValue::from_static(decision.reason.as_str());
            headers.insert(header::REASON, reason);
            if let Some(confidence) = decision.confidence_text() {
                put(&mut headers, header::CONFIDENCE, &confidence);
            }
        }
        if let Some(target) = &self.target {
            put(&mut headers, header::MODEL, target.model.as_str());
            put(&mut headers, header::PROVIDER, target.provider.id.as_str());
        }
        if self.attempts > 0 {
            headers.insert(header::ATTEMPTS, HeaderValue::from(self.attempts));
        }
        if let Some(loss) = header::loss(&self.losses) {
            headers.insert(header::LOSS, loss);
        }
        if let Some(id) = &self.upstream_request_id {
            headers.insert(header::UPSTREAM_REQUEST_ID, id.clone());
        }
        headers
    }

    /// The headers of a stream.
    pub(super) fn stream_headers(&self) -> HeaderMap {
        let mut headers = self.headers();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream; charset=utf-8"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::ACCEL_BUFFERING, HeaderValue::from_static("no"));
        headers
    }

    /// Who answered, and what each used: one, or who began the answer and who finished it.
    fn parts(&self) -> impl Iterator<Item = (&Arc<Target>, &Usage)> {
        let last = self.target.as_ref().zip(self.usage.as_ref());
        self.begun_by.iter().map(|(target, usage)| (target, usage)).chain(last)
    }

    /// What `usage` costs at a target of `model` now.
    fn bill(&self, model: &Model, target: &Target, usage: &Usage) -> Option<Bill> {
        let prices = self.engine.prices.load();
        let quote = prices.quote(model, target, usage.input, clock::wall());
        Bill::of(&quote.rates, usage)
    }

    fn part<'p>(&self, target: &'p Target, usage: &Usage) -> Part<'p> {
        let model = self.world.catalog.model(target.model.as_str());
        let bill = model.and_then(|model| self.bill(model, target, usage));
        Part { target, usage: *usage, bill }
    }

    /// What `usage`, which did cost `paid`, would have cost at the dearest model of the plan.
    fn dearest(&self, usage: &Usage, paid: Bill) -> Option<Usd> {
        let models = self.candidates().map(|one| &one.model);
        let bills = models.filter_map(|model| self.bill(model, model.targets.first()?, usage));
        let totals = bills.chain([paid]).map(Bill::total);
        totals.max_by(|one, other| one.total_cmp(*other))
    }

    /// Among whom the router chose; nobody where a model was named.
    fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        let routed = self.decision.iter().filter(|decision| decision.router().is_some());
        routed.flat_map(|decision| decision.candidates())
    }

    /// Who began the answer, where there is one.
    fn answered_by(&self) -> Option<&Target> {
        let first = self.begun_by.as_ref().map(|(target, _)| target).or(self.target.as_ref());
        first.filter(|_| self.status == 200).map(AsRef::as_ref)
    }

    /// Whether `target` serves a model that the router only falls back on.
    fn falls_back_on(&self, target: &Target) -> bool {
        self.candidates().any(|one| one.model.id == target.model && one.why == Why::Fallback)
    }
}

fn put(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

impl Drop for Ledger<'_> {
    fn drop(&mut self) {
        let duration = clock::now().saturating_duration_since(self.started);
        let parts: Vec<Part<'_>> =
            self.parts().map(|(target, usage)| self.part(target, usage)).collect();
        let usage = parts.iter().map(|part| part.usage).reduce(|all, part| all.plus(&part));
        let bills = parts.iter().map(|part| part.bill);
        let cost = bills.reduce(|all, part| Some(all?.plus(part?))).flatten();
        self.measure(&parts, duration);
        self.log(usage.as_ref(), cost, duration);
        let answered_by = self.answered_by();
        let settled = Settled {
            answered_by,
            fallback: answered_by.is_some_and(|target| self.falls_back_on(target)),
            parts: &parts,
            dearest: cost.and_then(|cost| self.dearest(usage.as_ref()?, cost)),
        };
        self.compare(&settled);
        let end = End {
            target: self.target.clone(),
            attempts: self.attempts,
            status: self.status,
            code: self.code,
            ended: self.ended,
            usage,
            usage_estimated: self.usage_estimated,
            cost,
            ttft: self.first_content.filter(|_| self.streamed),
            duration,
            overhead: self.overhead,
        };
        let seq = self.seq.unwrap_or_else(|| self.engine.board.next_seq());
        self.engine.board.settled(Record { end: Some(end), ..self.record(seq) }, &settled);
    }
}

impl Ledger<'_> {
    /// Counts how the request ended, and what else it might have been.
    fn compare(&self, settled: &Settled<'_>) {
        let metrics = &self.engine.metrics;
        if self.counted {
            metrics.ended(self.ended);
        }
        if settled.fallback {
            metrics.fell_back();
        }
        if let Some(dearest) = settled.dearest {
            metrics.dearest(dearest);
        }
    }

    fn measure(&self, parts: &[Part<'_>], duration: Duration) {
        let metrics = &self.engine.metrics;
        metrics.request_ended(self.counted);
        if let (Some(decision), true) = (&self.decision, self.counted) {
            let task = decision.task.as_ref().map(|task| &task.name);
            metrics.decision(decision.router(), task, decision.reason);
        }
        for part in parts {
            metrics.usage(part.target, &part.usage, part.bill.map(Bill::total));
        }
        if let Some(target) = self.answered_by() {
            metrics.answered(target, duration, self.first_content.filter(|_| self.streamed));
        }
        if let Some(overhead) = self.overhead {
            metrics.overhead(overhead);
        }
    }

    fn log(&self, usage: Option<&Usage>, cost: Option<Bill>, duration: Duration) {
        let decision = self.decision.as_deref();
        // A direct request decided nothing that its figures do not say.
        let routed = decision.filter(|decision| decision.router().is_some());
        UsageEvent {
            request_id: &self.request_id,
            key: self.key.as_ref(),
            refused_key: self.refused_key.as_deref(),
            router: decision.and_then(Decision::router),
            task: decision.and_then(|decision| decision.task.as_ref()).map(|task| &task.name),
            reason: decision.map(|decision| decision.reason),
            confidence: decision.and_then(|decision| decision.confidence),
            decision: routed
                .filter(|_| UsageEvent::is_recorded())
                .and_then(|decision| serde_json::to_string(&decision.explanation()).ok()),
            target: self.target.as_deref(),
            attempts: self.attempts,
            possibly_billed: self.possibly_billed,
            status: self.status,
            code: self.code,
            ended: self.ended,
            streamed: self.streamed,
            dry_run: !self.counted,
            usage,
            usage_estimated: self.usage_estimated,
            input_tokens_estimated: self.input_tokens,
            cost: cost.map(Bill::total),
            ttft: self.first_content,
            duration,
            generation: self.world.catalog.generation,
        }
        .emit();
    }

    /// What the pages may show of it, as far as it has come.
    fn record(&self, seq: u64) -> Record {
        Record {
            seq,
            id: Arc::clone(&self.request_id),
            at: self.arrived,
            source: self.source,
            key: self.key.clone().filter(|_| self.source == Source::DataPlane),
            streamed: self.streamed,
            dry_run: !self.counted,
            generation: self.world.catalog.generation,
            decision: self.decision.clone(),
            end: None,
        }
    }
}
