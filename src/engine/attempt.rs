//! The failover loop: targets in the order of the plan, each attempt built from scratch, until one has begun to
//! answer.
//!
//! Bounded by the number of attempts, the total time, the retry budget and the caller's patience. The first move to
//! another target is never refused by the budget: one failure must not cost a caller its answer.

use std::{
    pin::pin,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::{sleep, timeout};

use crate::{
    bounded::memory::Room,
    catalog::{
        model::Target,
        provider::Auth,
        settings::{Failover, Timeouts},
    },
    dialect::{
        Dialect,
        answer::{Echo, Terms},
        continuation::Manner,
        ir,
        request::{Outgoing, Shape},
    },
    engine::{
        Engine, World,
        admit::Admitted,
        exchange::{Exchange, Interrupt},
        ledger::Ledger,
        open::{self, Expectation, Opened, Unopened},
        refusal::Refusal,
        relay::{HEARTBEAT, PING},
        remember::Past,
        rescue::{self, Errand, Unfinished},
        trial::{Subject, Trial, Verdict},
    },
    http::header,
    ids::ModelId,
    resilience::{backoff, budget::Repeat, exhausted::Ended, failure::Failure},
    route::Decision,
    telemetry::clock,
    upstream::{self, Call},
};

/// One request on its way through the targets of its plan.
pub(super) struct Job<'a> {
    /// The engine that serves it.
    pub engine: &'a Engine,
    /// The world that it sees.
    pub world: &'a World,
    /// Who asks, and what of the head goes along.
    pub admitted: &'a Admitted,
    /// The request, decoded.
    pub request: &'a ir::Request<'a>,
    /// The request as it came.
    pub body: &'a Bytes,
    /// The plan.
    pub decision: &'a Decision,
    /// What is tried after a failure.
    pub failover: Failover,
    /// The estimated tokens of the input.
    pub input_tokens: u64,
    /// What is known of the conversation from before.
    pub past: Past,
    /// What an answer in another API repeats of the request, once it is needed.
    pub echo: OnceLock<Echo>,
}

/// An answer that has begun, and who gives it.
pub(super) struct Begun<'a> {
    /// Who answers.
    pub target: &'a Arc<Target>,
    /// The time limits of its model.
    pub timeouts: Timeouts,
    /// The answer.
    pub opened: Opened,
    /// What becomes of the attempt is told here.
    pub trial: Trial<'a>,
}

/// Why no answer began.
pub(super) enum NotBegun {
    /// The caller is told so.
    Refused(Refusal),
    /// The request ended from outside.
    Interrupted(Interrupt),
}

/// What came of one visit to a target.
enum Visit<'a> {
    Begun(Box<Begun<'a>>),
    Next,
    Stop,
}

/// How far down the plan the request has come, and what the attempts so far have shown.
#[derive(Default)]
pub(super) struct Tried {
    attempts: u32,
    targets: u32,
    /// The place in the plan of the target that is next.
    next: usize,
    /// The answer that broke off, once one has.
    unfinished: Option<Arc<Unfinished>>,
    failures: Vec<Failure>,
    /// The largest window that was too small, and what the provider said of it.
    too_long: Option<(u64, Refusal)>,
    /// The models that the conversation is too long for.
    too_small: Vec<ModelId>,
    timed_out: bool,
}

/// Tries the targets that are left until one begins to answer, or to finish what another began.
pub(super) async fn run<'a>(
    job: &'a Job<'_>,
    tried: &mut Tried,
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
) -> Result<Box<Begun<'a>>, NotBegun> {
    while let Some(target) = job.decision.targets.get(tried.next) {
        tried.next = tried.next.saturating_add(1);
        if tried.rules_out(job, target) {
            continue;
        }
        match Box::pin(visit(job, target, exchange, ledger, tried)).await? {
            Visit::Begun(begun) => return Ok(begun),
            Visit::Next => {}
            Visit::Stop => break,
        }
    }
    tried.timed_out |= clock::now() >= ledger.deadline();
    Err(NotBegun::Refused(tried.refusal(job)))
}

async fn visit<'a>(
    job: &'a Job<'_>,
    target: &'a Arc<Target>,
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
    tried: &mut Tried,
) -> Result<Visit<'a>, NotBegun> {
    let mut repeats = 0;
    let mut made = 0_u32;
    let mut manner = rescue::manner(job, target);
    loop {
        if !tried.may_go_on(job, ledger, made == 0 && tried.targets <= 1) {
            // A repeat that is refused here leaves the other targets to be tried.
            return Ok(if made > 0 { Visit::Next } else { Visit::Stop });
        }
        let subject = job.subject(target);
        let Some(trial) = Trial::begin(job.engine, target, subject) else {
            return Ok(Visit::Next);
        };
        if tried.attempts > 0 {
            ledger.moved_on(tried.failures.last().map(|failure| failure.cause));
        }
        tried.attempts = tried.attempts.saturating_add(1);
        tried.targets = tried.targets.saturating_add(u32::from(made == 0));
        made = made.saturating_add(1);
        ledger.attempted(target);
        let errand = Errand::new(job, target, tried.unfinished.as_deref(), manner);
        match once(job, errand, exchange, ledger, trial).await? {
            Ok(begun) => return Ok(Visit::Begun(begun)),
            Err(Unopened::PassOn(refusal)) if tried.unfinished.is_none() => {
                return Err(NotBegun::Refused(refusal));
            }
            // The caller has an answer: that this model refuses to go on with it is no mistake of the caller's.
            Err(Unopened::PassOn(_)) if manner == Manner::Prefill => manner = Manner::Words,
            Err(Unopened::PassOn(_)) => return Ok(Visit::Next),
            Err(Unopened::TooLong(refusal)) => {
                tried.too_long(job, target, refusal);
                return Ok(Visit::Next);
            }
            Err(Unopened::Failed(failure)) => {
                let left = ledger.deadline().saturating_duration_since(clock::now());
                let pause = pause_before_repeat(job, &failure, repeats).filter(|p| *p < left);
                ledger.failed(failure.possibly_billed);
                tried.failures.push(failure);
                let Some(pause) = pause else { return Ok(Visit::Next) };
                repeats = repeats.saturating_add(1);
                tokio::select! {
                    interrupt = exchange.interrupted() => {
                        return Err(NotBegun::Interrupted(interrupt));
                    }
                    () = sleep(pause) => {}
                }
            }
        }
    }
}

/// How long to wait before the same target is tried again; `None` where it is not.
fn pause_before_repeat(job: &Job<'_>, failure: &Failure, repeats: u32) -> Option<Duration> {
    if let Some(wait) = failure.retry_after.filter(|_| failure.is_limit()) {
        return (wait <= job.failover.wait && !job.failover.wait.is_zero()).then_some(wait);
    }
    let may = failure.repeatable && repeats < job.failover.same_target;
    may.then(|| backoff::delay(repeats, fastrand::f64()))
}

/// One attempt.
async fn once<'a>(
    job: &'a Job<'_>,
    errand: Errand<'a, '_>,
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
    mut trial: Trial<'a>,
) -> Result<Result<Box<Begun<'a>>, Unopened>, NotBegun> {
    let timeouts = job.timeouts(errand.target);
    let patience = if job.request.stream { timeouts.first_token } else { timeouts.response };
    let now = clock::now();
    let patience = patience.min(ledger.deadline().saturating_duration_since(now));
    let deadline = now.checked_add(patience).unwrap_or(now);
    let room = exchange.room();
    let work = timeout(patience, job.open(&errand, timeouts.connect, (deadline, &room)));
    let opened = match beside(work, exchange).await {
        Ok(opened) => opened,
        Err(interrupt) => {
            trial.end(Verdict::Cancelled);
            return Err(NotBegun::Interrupted(interrupt));
        }
    };
    let opened = opened.unwrap_or_else(|_| Err(Failure::timeout().into()));
    Ok(match opened {
        Ok(opened) => {
            ledger.lost(errand.outgoing.losses);
            Ok(Box::new(Begun { target: errand.target, timeouts, opened, trial }))
        }
        Err(unopened) => {
            trial.unopened(&unopened);
            Err(unopened)
        }
    })
}

impl Job<'_> {
    fn timeouts(&self, target: &Target) -> Timeouts {
        let model = self.world.catalog.model(target.model.as_str());
        model.map_or(self.world.catalog.settings.timeouts, |model| model.timeouts)
    }

    fn subject(&self, target: &Target) -> Subject {
        let session = self.past.session.as_ref();
        Subject {
            task: self.decision.task.as_ref().map(|task| task.name.clone()),
            streamed: self.request.stream,
            input_tokens: self.input_tokens,
            max_output: self.request.max_output,
            cacheable: session.and_then(|session| session.reusable(&target.id)),
        }
    }

    /// The API in which the target is asked.
    pub(super) fn dialect(&self, target: &Target) -> Dialect {
        target.provider.api.dialect_for(self.request.dialect)
    }

    /// What the target's model asks of a request.
    pub(super) fn shape<'t>(&self, target: &'t Target) -> Shape<'t> {
        let model = self.world.catalog.model(target.model.as_str());
        // Reasoning that one backend signed is nothing to another.
        let last = self.past.session.as_ref().and_then(|session| session.target.as_ref());
        Shape {
            upstream_id: &target.upstream_id,
            max_output: model.and_then(|model| model.max_output),
            prefill: model.is_some_and(|model| model.prefill),
            foreign_reasoning: last.is_some_and(|last| *last != target.id),
            ..Shape::default()
        }
    }

    async fn open(
        &self,
        errand: &Errand<'_, '_>,
        connect: Duration,
        (deadline, room): (Instant, &Room),
    ) -> Result<Opened, Unopened> {
        let (target, outgoing) = (errand.target, &errand.outgoing);
        let dialect = self.dialect(target);
        let passthrough = matches!(target.provider.auth, Auth::Passthrough);
        let credential = self.admitted.credential.as_ref();
        let mut caller_headers = HeaderMap::new();
        header::forward(&self.admitted.forwarded, dialect, &mut caller_headers);
        if errand.is_another_request() {
            caller_headers.remove(header::IDEMPOTENCY_KEY);
        }
        let sent = self.engine.upstream.send(Call {
            target,
            path: dialect.path(),
            body: outgoing.body.clone(),
            streamed: self.request.stream,
            caller_headers: &caller_headers,
            passthrough: credential.filter(|_| passthrough),
            connect_timeout: connect,
        });
        let secrets: Vec<_> =
            upstream::credential_of(&target.provider).into_iter().chain(credential).collect();
        let mask = |text: &str| upstream::mask(text, &secrets);
        let expectation = Expectation {
            target,
            terms: self.terms(target, outgoing),
            streamed: self.request.stream,
            beginning: errand.beginning,
            passthrough,
            mask: &mask,
            wall: clock::wall(),
            deadline: deadline.into(),
            room,
        };
        open::open(sent.await, &expectation).await
    }

    fn terms<'t>(&'t self, target: &'t Target, outgoing: &'t Outgoing) -> Terms<'t> {
        let caller = self.request.dialect;
        Terms {
            caller,
            upstream: self.dialect(target),
            model: &target.model,
            hides_usage: outgoing.hides_usage,
            id: &self.admitted.request_id,
            created: u64::try_from(clock::wall().as_second()).unwrap_or(0),
            input_tokens: self.input_tokens,
            echo: self.echo.get_or_init(|| Echo::read(caller, self.body)),
            structured_tool: outgoing.structured_tool.as_deref(),
            tool_names: &outgoing.tool_names,
        }
    }
}

/// Waits for `work`, unless the request ends from outside before. A caller who has got a part of the answer is sent
/// comments meanwhile.
async fn beside<T>(
    work: impl Future<Output = T>,
    exchange: &mut impl Exchange,
) -> Result<T, Interrupt> {
    let mut work = pin!(work);
    loop {
        let started = exchange.started();
        tokio::select! {
            interrupt = exchange.interrupted() => return Err(interrupt),
            done = &mut work => return Ok(done),
            () = sleep(HEARTBEAT), if started => {}
        }
        exchange.write(Bytes::from_static(PING)).await.map_err(|_| Interrupt::CallerGone)?;
    }
}

impl Tried {
    /// The answer that began has broken off: what is left of the plan is to finish it.
    pub(super) fn finish(&mut self, unfinished: &Arc<Unfinished>) {
        self.failures.push(Failure::broken_stream());
        self.unfinished = Some(Arc::clone(unfinished));
    }

    /// Whether there may be one more attempt; `first` where it is the first at its target, and that one of the first
    /// two.
    fn may_go_on(&self, job: &Job<'_>, ledger: &Ledger<'_>, first: bool) -> bool {
        let now = clock::now();
        let repeat = if first { Repeat::FirstMove } else { Repeat::Further };
        self.attempts < job.failover.attempts
            && now < ledger.deadline()
            && (self.attempts == 0 || job.engine.budget.allow(repeat, now))
    }

    /// Whether what was learned on the way speaks against a target that the plan names.
    fn rules_out(&self, job: &Job<'_>, target: &Target) -> bool {
        let Some((too_small, _)) = &self.too_long else { return false };
        if self.too_small.contains(&target.model) {
            return true;
        }
        let model = job.world.catalog.model(target.model.as_str());
        model.and_then(|model| model.context_window).is_some_and(|window| window <= *too_small)
    }

    fn too_long(&mut self, job: &Job<'_>, target: &Target, refusal: Refusal) {
        let model = job.world.catalog.model(target.model.as_str());
        let window = model.and_then(|model| model.context_window).unwrap_or(0);
        let known = self.too_long.as_ref().map_or(0, |(window, _)| *window);
        self.too_long = Some((window.max(known), refusal));
        self.too_small.push(target.model.clone());
    }

    /// What the caller is told when no target answered.
    fn refusal(&mut self, job: &Job<'_>) -> Refusal {
        if let (Some((_, refusal)), false) = (self.too_long.take(), self.timed_out) {
            return refusal;
        }
        let ended = if self.timed_out { Ended::Total } else { Ended::NoTarget };
        job.engine.exhausted(&self.failures, ended, &job.decision.targets)
    }
}

/// The moment at which everything has to be over.
pub(super) fn deadline(started: Instant, timeouts: &Timeouts) -> Instant {
    started.checked_add(timeouts.total).unwrap_or(started)
}
