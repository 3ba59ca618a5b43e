//! What becomes of one attempt: told once, on every way out, to the breaker, the statistics and the metrics.
//!
//! A trial that is dropped without a word (a hang-up, a panic) counts as cancelled, which teaches nobody anything but
//! gives a half-open breaker its probe back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    catalog::model::Target,
    dialect::{answer::Outcome, ir::answer::Usage},
    engine::{Engine, open::Unopened},
    ids::TaskName,
    resilience::{
        Permit,
        failure::{Cause, Failure},
    },
    stats::{Sample, SampleOutcome},
    telemetry::{clock, metrics::AttemptOutcome},
};

/// One attempt under way.
pub(super) struct Trial<'a> {
    engine: &'a Engine,
    target: &'a Arc<Target>,
    permit: Option<Permit>,
    subject: Subject,
    began: Instant,
    first_content: Option<Duration>,
    usage: Option<Usage>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    /// It answered.
    Answered,
    /// It failed.
    Failed(Failure),
    /// The caller's own mistake.
    Rejected,
    /// The caller did not wait for the end.
    Cancelled,
}

/// What a trial is about, for the statistics.
#[derive(Debug, Clone, Default)]
pub(super) struct Subject {
    /// The task that had matched.
    pub task: Option<TaskName>,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// Our estimate of the input tokens.
    pub input_tokens: u64,
    /// The most output tokens that the request allows.
    pub max_output: Option<u64>,
    /// The earlier tokens of the session that the target's cache could hold.
    pub cacheable: Option<u64>,
}

impl<'a> Trial<'a> {
    /// Begins an attempt, unless the target has become unavailable since the plan was made.
    pub(super) fn begin(
        engine: &'a Engine,
        target: &'a Arc<Target>,
        subject: Subject,
    ) -> Option<Self> {
        let began = clock::now();
        let permit = engine.health.admit(&target.id, began)?;
        let permit = Some(permit);
        Some(Self { engine, target, permit, subject, began, first_content: None, usage: None })
    }

    /// The first content has come.
    pub(super) fn content_began(&mut self) {
        let now = clock::now();
        if let Some(permit) = &mut self.permit {
            permit.answered(now);
        }
        self.first_content = Some(now.saturating_duration_since(self.began));
    }

    /// What the answer reported of itself.
    pub(super) fn learned(&mut self, outcome: &Outcome) {
        self.usage = outcome.usage;
    }

    /// The attempt brought no answer.
    pub(super) fn unopened(&mut self, unopened: &Unopened) {
        self.end(match unopened {
            Unopened::Failed(failure) => Verdict::Failed(*failure),
            Unopened::PassOn(_) | Unopened::TooLong(_) => Verdict::Rejected,
        });
    }

    /// Ends the attempt; only the first word counts.
    pub(super) fn end(&mut self, verdict: Verdict) {
        let Some(permit) = self.permit.take() else { return };
        let now = clock::now();
        let (metric, sample) = match verdict {
            Verdict::Answered => {
                permit.succeeded(now);
                (AttemptOutcome::Ok, SampleOutcome::Answered)
            }
            Verdict::Failed(failure) => {
                permit.failed(&failure, now);
                let timed_out = failure.cause == Cause::Timeout;
                let sample =
                    if timed_out { SampleOutcome::TimedOut } else { SampleOutcome::Failed };
                (AttemptOutcome::Failed, sample)
            }
            // Neither says anything about the target: a dropped permit leaves it as it was.
            Verdict::Rejected => (AttemptOutcome::Rejected, SampleOutcome::Rejected),
            Verdict::Cancelled => (AttemptOutcome::Cancelled, SampleOutcome::Cancelled),
        };
        self.engine.metrics.attempt(self.target, metric);
        self.engine.stats.record(&self.sample(sample, now));
    }

    fn sample(&self, outcome: SampleOutcome, now: Instant) -> Sample {
        let usage = self.usage.as_ref();
        Sample {
            target: self.target.id.clone(),
            model: self.target.model.clone(),
            task: self.subject.task.clone(),
            now,
            streamed: self.subject.streamed,
            outcome,
            ttft: self.first_content.filter(|_| self.subject.streamed),
            duration: now.saturating_duration_since(self.began),
            estimated_tokens: self.subject.input_tokens,
            input_tokens: usage.map(|usage| usage.input),
            output_tokens: usage.map(|usage| usage.output),
            cache_read: usage.map(|usage| usage.cache_read),
            cache_write: usage.map(|usage| usage.cache_write),
            cacheable: self.subject.cacheable,
            max_output: self.subject.max_output,
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        self.end(Verdict::Cancelled);
    }
}
