//! What earlier requests of a session left in a provider's prompt cache, and what changing models may cost.

use std::time::Duration;

use crate::{
    catalog::model::Target,
    ids::{ModelId, TargetId},
    money::Usd,
    rank::Candidate,
    stats::CACHE_MINIMUM,
};

/// How long providers keep a prompt cached: five minutes since its last use is what Anthropic states and the least that
/// `OpenAI` does.
pub const CACHE_LIFETIME: Duration = Duration::from_mins(5);

/// What a session's last request left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionCache {
    /// The model that answered last.
    pub model: ModelId,
    /// The endpoint that answered, where it is known.
    pub target: Option<TargetId>,
    /// Our estimate of the tokens that the next request begins with as that one did: its prompt and its answer.
    pub prefix_tokens: u64,
    /// How long ago it was answered.
    pub age: Duration,
    /// What the session has cost so far, as expected when it was decided.
    pub spent: Usd,
    /// What it would have cost had it stayed with its first model.
    pub unswitched: Usd,
}

impl SessionCache {
    /// The tokens that the cache of `target` could still hold for the next request: none at another endpoint, none of
    /// a prefix too short to be cached.
    pub fn reusable(&self, target: &Target) -> u64 {
        let same = self.model == target.model
            && self.target.as_ref().is_none_or(|last| *last == target.id);
        if same && self.prefix_tokens >= CACHE_MINIMUM { self.prefix_tokens } else { 0 }
    }

    /// The probability that a cache entry of this age is still there: sure within its lifetime, then falling to
    /// nothing at twice that.
    pub fn alive(&self) -> f64 {
        (2.0 - self.age.as_secs_f64() / CACHE_LIFETIME.as_secs_f64()).clamp(0.0, 1.0)
    }

    /// Whether moving from the model that answered last, at an expected cost of `stay`, to one at `go` keeps the
    /// session within `percent` above never having changed models.
    fn affords(&self, stay: Usd, go: Usd, percent: f64) -> bool {
        let limit = self.unswitched.plus(stay).times(1.0 + percent.max(0.0) / 100.0);
        self.spent.plus(go).total_cmp(limit).is_le()
    }
}

/// Holds the order to a session's budget: candidates that would break it go behind the model that answered last, in
/// the order that they had. Nothing changes where the last model is not a candidate or a price is unknown: the budget
/// is a limit on what is known to cost more. Returns whether a candidate was moved.
pub fn hold(candidates: &mut [Candidate], session: &SessionCache, percent: f64) -> bool {
    let Some(last) = candidates.iter().position(|candidate| candidate.model.id == session.model)
    else {
        return false;
    };
    let Some(stay) = candidates.get(last).and_then(|candidate| candidate.cost.as_ref()) else {
        return false;
    };
    let stay = stay.total();
    let over = |candidate: &Candidate| {
        candidate.model.id != session.model
            && candidate
                .cost
                .as_ref()
                .is_some_and(|cost| !session.affords(stay, cost.total(), percent))
    };
    let before = candidates.get(..last).unwrap_or_default().iter().any(&over);
    if before && let Some(moved) = candidates.get_mut(..=last) {
        // Stable: those within the budget and the last model keep their order, the others follow.
        moved.sort_by_key(|candidate| over(candidate));
    }
    before
}
