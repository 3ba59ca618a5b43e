//! The record of one request: exactly one line in the log, whichever way the request ended.
//!
//! It holds figures and names of the catalog. What comes from a caller (the request's id) has passed a rule that leaves
//! nothing to escape; no text of a conversation and no credential has a place in the type.

use std::time::Duration;

use tracing::Level;

use crate::{
    catalog::model::Target,
    dialect::ir::answer::Usage,
    ids::{KeyName, ModelId, ProviderId, RouterName, TaskName},
    money::Usd,
    route::Reason,
};

/// The target of the records, by which a log can be searched.
pub const TARGET: &str = "pointsman::request";

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The caller has the whole answer.
    Answered,
    /// The caller was told what it did wrong.
    Rejected,
    /// The caller was told that we or the providers failed.
    Failed,
    /// The answer broke off after it had begun.
    Broken,
    /// The caller did not wait for the end.
    Cancelled,
}

impl Ended {
    /// The records' words for how requests end.
    pub const WORDS: [&'static str; 4] = ["ok", "rejected", "error", "cancelled"];

    /// Where its word stands among [`Ended::WORDS`].
    pub const fn place(self) -> usize {
        match self {
            Self::Answered => 0,
            Self::Rejected => 1,
            Self::Failed | Self::Broken => 2,
            Self::Cancelled => 3,
        }
    }

    /// The record's word for it.
    pub fn as_str(self) -> &'static str {
        let [ok, rejected, error, cancelled] = Self::WORDS;
        match self {
            Self::Answered => ok,
            Self::Rejected => rejected,
            Self::Failed | Self::Broken => error,
            Self::Cancelled => cancelled,
        }
    }
}

/// What is recorded of one request. What is not known is absent, never zero.
pub struct UsageEvent<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// The caller's key.
    pub key: Option<&'a KeyName>,
    /// What a key that was refused is known by: the beginning of its hash.
    pub refused_key: Option<&'a str>,
    /// The router that was named.
    pub router: Option<&'a RouterName>,
    /// The task that matched, or goes on.
    pub task: Option<&'a TaskName>,
    /// Why the plan was what it was.
    pub reason: Option<Reason>,
    /// The probability of the matched task.
    pub confidence: Option<f64>,
    /// The decision document as JSON, if it is to be in the record; see [`UsageEvent::is_recorded`].
    pub decision: Option<String>,
    /// The last target that was tried.
    pub target: Option<&'a Target>,
    /// How many attempts were made.
    pub attempts: u32,
    /// How many of them failed and may be billed all the same.
    pub possibly_billed: u32,
    /// The status that the caller got.
    pub status: u16,
    /// The code of the error that the caller got.
    pub code: Option<&'static str>,
    /// How it ended.
    pub ended: Ended,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// Whether only the decision was asked for.
    pub dry_run: bool,
    /// What the answer used.
    pub usage: Option<&'a Usage>,
    /// Whether that is our estimate.
    pub usage_estimated: bool,
    /// Our estimate of the input tokens, made before anything was sent.
    pub input_tokens_estimated: u64,
    /// What the answer cost.
    pub cost: Option<Usd>,
    /// From the request's arrival to the first content.
    pub ttft: Option<Duration>,
    /// From the request's arrival to its end.
    pub duration: Duration,
    /// The catalog that it saw.
    pub generation: u64,
}

impl UsageEvent<'_> {
    /// Whether records are written at all; if not, nothing need be made for them.
    pub fn is_recorded() -> bool {
        tracing::enabled!(target: TARGET, Level::INFO)
    }

    /// Writes the record. It is consumed: there is one for each request.
    pub fn emit(self) {
        let usage = self.usage;
        tracing::info!(
            target: TARGET,
            request_id = self.request_id,
            key = self.key.map(KeyName::as_str),
            refused_key = self.refused_key,
            router = self.router.map(RouterName::as_str),
            task = self.task.map(TaskName::as_str),
            reason = self.reason.map(Reason::as_str),
            confidence = self.confidence,
            model = self.target.map(|target| &target.model).map(ModelId::as_str),
            provider = self.target.map(|target| &target.provider.id).map(ProviderId::as_str),
            endpoint = self.target.map(|target| &*target.upstream_id),
            attempts = self.attempts,
            possibly_billed = self.possibly_billed,
            status = self.status,
            code = self.code,
            outcome = self.ended.as_str(),
            streamed = self.streamed,
            dry_run = self.dry_run,
            input_tokens = usage.map(|usage| usage.input),
            output_tokens = usage.map(|usage| usage.output),
            cache_read_tokens = usage.map(|usage| usage.cache_read),
            cache_write_tokens = usage.map(|usage| usage.cache_write),
            reasoning_tokens = usage.map(|usage| usage.reasoning),
            usage = usage.map(|_| if self.usage_estimated { "estimated" } else { "reported" }),
            input_tokens_estimated = self.input_tokens_estimated,
            cost_usd = self.cost.map(Usd::dollars),
            ttft_ms = self.ttft.map(milliseconds),
            duration_ms = milliseconds(self.duration),
            generation = self.generation,
            decision = self.decision.as_deref(),
            "request"
        );
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
