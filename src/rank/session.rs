//! What earlier requests of a session left in providers' prompt caches, and what changing models may cost.
//!
//! Every endpoint that the session used within its cache's lifetime is known, not the last alone: a session that went
//! to another model for one turn finds its first one warm.

use std::time::Duration;

use crate::{
    ids::{ModelId, TargetId},
    money::Usd,
    rank::Candidate,
    stats::CACHE_MINIMUM,
};

/// How long providers at least keep a prompt cached: five minutes since its last use is what Anthropic states and the least that
/// `OpenAI` does.
pub const CACHE_LIFETIME: Duration = Duration::from_mins(5);

/// What a session's earlier requests left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionCache {
    /// The model that answered last.
    pub model: ModelId,
    /// The endpoint that answered last, where it is known.
    pub target: Option<TargetId>,
    /// What each endpoint may still hold, each once.
    pub warm: Vec<Warm>,
    /// What the session has cost so far, as expected when it was decided.
    pub spent: Usd,
    /// What it would have cost had each turn stayed with the model of the turn before.
    pub unswitched: Usd,
}

/// A prefix of this conversation that an endpoint has read.
#[derive(Debug, Clone, PartialEq)]
pub struct Warm {
    /// The endpoint.
    pub target: TargetId,
    /// Our estimate of the tokens that the next request begins with as that one did.
    pub prefix_tokens: u64,
    /// How long ago it was answered.
    pub age: Duration,
    /// How long the provider keeps it.
    pub lifetime: Duration,
}

impl Warm {
    /// The probability that it is still there: sure within its lifetime, then falling to nothing at twice that.
    pub fn alive(&self) -> f64 {
        let lifetime = self.lifetime.max(CACHE_LIFETIME).as_secs_f64();
        (2.0 - self.age.as_secs_f64() / lifetime).clamp(0.0, 1.0)
    }
}

impl SessionCache {
    /// What `target` may still hold: nothing of a prefix too short to be cached.
    pub fn warm(&self, target: &TargetId) -> Option<&Warm> {
        let long = |warm: &&Warm| warm.prefix_tokens >= CACHE_MINIMUM && warm.target == *target;
        self.warm.iter().find(long)
    }

    /// The tokens that the cache of `target` should hold for the next request, none past its lifetime: what is then
    /// reported as read teaches how well the cache works.
    pub fn reusable(&self, target: &TargetId) -> Option<u64> {
        let warm = self.warm(target).filter(|warm| warm.alive() >= 1.0)?;
        Some(warm.prefix_tokens)
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
