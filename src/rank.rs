//! The order in which a task's models are tried, and why.
//!
//! Each candidate is assessed once (what this request is expected to cost there, how soon it is expected to start, how
//! good it is at the task) and the assessments are then sorted by the operator's preference. Every order is total: what
//! is not known ranks after what is, ties go to the sooner start, then to the order given. Equal inputs give equal
//! orders; the only dice are those of [`mod@explore`], which the caller throws, and a dry run throws none.
//!
//! This module knows no gate and no verdict: it orders what `route` found able to serve.

pub mod cost;
pub mod explore;
pub mod order;
pub mod session;

#[cfg(test)]
pub(crate) mod specimen;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Instant};

use jiff::Timestamp;

pub use cost::Cost;
pub use explore::explore;
pub use order::{order, why_not_first};
pub use session::{SessionCache, Warm};

use crate::{
    catalog::{
        model::{Model, Target},
        router::Task,
    },
    prices::PriceTable,
    stats::{Prediction, Reader, work},
};

/// What ranking needs to know of a request.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// The task that matched.
    pub task: Option<&'a Task>,
    /// Our estimate of its input tokens.
    pub input_tokens: u64,
    /// The most output tokens that it allows.
    pub max_output: Option<u64>,
    /// Whether it asks for its input to be written to the provider's cache.
    pub caching: bool,
    /// What earlier requests of its session left in caches.
    pub session: Option<&'a SessionCache>,
    /// Now, for statistics.
    pub now: Instant,
    /// Now, for price schedules.
    pub wall: Timestamp,
}

/// One model of a plan, assessed for one request.
#[derive(Clone)]
pub struct Candidate {
    /// The model.
    pub model: Arc<Model>,
    /// What the request is expected to cost there; absent where a price is unknown.
    pub cost: Option<Cost>,
    /// When it is expected to begin to answer.
    pub ttft: Prediction,
    /// How good it is at the task, 0 to 1; absent where nobody said.
    pub quality: Option<f64>,
    /// Its place in the operator's order.
    pub position: usize,
    /// Why it is where it is.
    pub why: Why,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("model", &self.model.id)
            .field("cost", &self.cost)
            .field("ttft", &self.ttft)
            .field("quality", &self.quality)
            .field("position", &self.position)
            .field("why", &self.why)
            .finish()
    }
}

/// Why a candidate is where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Why {
    /// Others rank before it.
    #[default]
    Behind,
    /// It is the cheapest.
    Cheapest,
    /// It is expected to start first.
    Fastest,
    /// It is the best at the task.
    Optimal,
    /// The operator put it first.
    Given,
    /// It is first although what it would be compared by is unknown.
    Unknown,
    /// Little is known about it: this request finds out.
    Explored,
    /// The session's budget for changing models keeps it first.
    Kept,
    /// Moving there would break the session's budget for changing models.
    OverBudget,
    /// The session is pinned to it.
    Pinned,
    /// It answered the turn that this request goes on with.
    Continued,
    /// It is one of the router's fallback models.
    Fallback,
    /// The caller named it.
    Direct,
}

impl Why {
    /// The words of the decision document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Behind => "",
            Self::Cheapest => "cheapest",
            Self::Fastest => "fastest",
            Self::Optimal => "optimal",
            Self::Given => "order given",
            Self::Unknown => "order given: nothing to compare by",
            Self::Explored => "explored: little is known about it",
            Self::Kept => "kept: a change would break the switch budget",
            Self::OverBudget => "over the switch budget",
            Self::Pinned => "pinned",
            Self::Continued => "continued",
            Self::Fallback => "fallback",
            Self::Direct => "direct",
        }
    }
}

/// Assesses `model`, whose first able endpoint is `target`.
pub fn assess(
    (model, target): (&Arc<Model>, &Target),
    position: usize,
    query: &Query<'_>,
    stats: &Reader<'_>,
    prices: &PriceTable,
) -> Candidate {
    let length = stats.output(query.task.map(|task| &task.name), &model.id);
    let tokens = cost::Tokens::expect((model, target), query, &length, stats);
    let quote = prices.quote(model, target, query.input_tokens, query.wall);
    Candidate {
        model: model.clone(),
        cost: Cost::of(&tokens, &quote, length.attempts),
        ttft: stats.predict(&target.id, &model.id, work(tokens.input(), tokens.cached), query.now),
        quality: query
            .task
            .and_then(|task| task.quality.get(&model.id).map(|score| score.value))
            .filter(|quality| quality.is_finite()),
        position,
        why: Why::Behind,
    }
}
