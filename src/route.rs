//! The decision: from what is known of a request to the ordered targets to attempt, and why.
//!
//! [`decide`] is pure: the catalog, the statistics, the prices and the [`Facts`] come in, a [`Decision`] comes out.
//! Traffic, dry runs, the command line and the playground all call it, so what is explained is what is done. Equal
//! inputs and equal dice give equal decisions.
//!
//! The steps, in order: the verdict (or a pin, or a tool loop going on) says which task's models are candidates; gates
//! pass over those that cannot serve this request and keep the reason; ranking orders a task's models; the fallback
//! models follow in their own order, each model once. Where every gate is shut the decision carries the refusal that
//! the caller gets instead of a plan, and still explains itself.
//!
//! Deliberately absent: attempts, retries and everything else that happens after the decision.

pub mod explain;
pub mod facts;
pub mod gate;
mod plan;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

pub use explain::Explanation;
pub use facts::{Asked, Facts, Reading, Reason, Timings};
pub use gate::{Gate, Refusal, RuledOut};

use crate::{
    catalog::{
        Catalog,
        model::Target,
        router::{Prefer, Router, Task},
    },
    classify::{self, Verdict},
    ids::{ModelId, RouterName},
    prices::PriceTable,
    rank::{Candidate, Cost},
    route::plan::Plan,
    stats::Stats,
};

/// What was decided for one request, and why.
pub struct Decision {
    /// Why these targets.
    pub reason: Reason,
    /// The task that matched, or that the session or loop goes on with.
    pub task: Option<Arc<Task>>,
    /// The probability of the matched task, where there was a verdict.
    pub confidence: Option<f64>,
    /// The targets to attempt, in order: each candidate's endpoints that passed the gates. Empty with a refusal.
    pub targets: Vec<Arc<Target>>,
    /// What the caller gets where nothing can be attempted.
    pub refusal: Option<Refusal>,
    /// Whether the model that the session is pinned to, or that answered last, was ruled out.
    pub pin_broken: bool,
    /// Whether the first candidate is there to be found out about.
    pub explored: bool,
    /// What the request would lose on its way to a model whose API is not the caller's, by the caller's field names;
    /// the caller of [`decide`] fills it in.
    pub losses: Vec<(ModelId, Vec<String>)>,
    /// How long the steps took; the caller of [`decide`] fills in what it measures.
    pub timings: Timings,
    details: Details,
}

/// What only the explanation needs.
struct Details {
    generation: u64,
    router: Option<Arc<Router>>,
    prefer: Prefer,
    threshold: Option<f64>,
    truncated: bool,
    /// Of the router's policies, in their order, and of none of them.
    probabilities: Option<(Vec<f64>, f64)>,
    candidates: Vec<Candidate>,
    ruled_out: Vec<RuledOut>,
    session_id: Option<String>,
    pinned: bool,
    input_tokens: u64,
}

/// Decides where a request goes. `dice` gives numbers from 0 to 1, and is thrown only where `facts.explore` allows.
pub fn decide(
    catalog: &Catalog,
    stats: &Stats,
    prices: &PriceTable,
    facts: &Facts<'_>,
    dice: &mut dyn FnMut() -> f64,
) -> Decision {
    let matched = Match::of(facts);
    let mut plan = Plan::new(stats, prices, facts, matched.task.as_deref());
    match facts.asked {
        Asked::Model(model) => plan.direct(model),
        Asked::Router(router) => {
            if let Some(model) = matched.first {
                plan.keep(router, model, matched.reason);
            }
            if let Some(policy) = matched.task.as_ref().and_then(|task| router.policy(&task.name)) {
                let free = matched.first.is_none();
                plan.rank(policy, router.switch_budget, (free && facts.explore).then_some(dice));
            }
            plan.fall_back(&router.fallbacks);
        }
    }
    let pin_broken = matched.first.is_some_and(|model| !plan.holds(model));
    let outcome = plan.finish();
    let pinned = match facts.reading {
        Reading::Pinned { .. } => !pin_broken,
        Reading::Continued { .. } => !pin_broken && facts.session_id.is_some(),
        Reading::Verdict(_) | Reading::NoText | Reading::Unclassified | Reading::Direct => false,
    };
    Decision {
        reason: matched.reason,
        confidence: matched.confidence,
        targets: outcome.targets,
        refusal: outcome.refusal,
        pin_broken,
        explored: outcome.explored,
        losses: Vec::new(),
        timings: facts.timings,
        details: Details {
            generation: catalog.generation,
            router: matched.router,
            prefer: matched.task.as_ref().map_or(Prefer::Given, |_| outcome.prefer),
            threshold: matched.threshold,
            truncated: matched.truncated,
            probabilities: matched.probabilities,
            candidates: outcome.candidates,
            ruled_out: outcome.ruled_out,
            session_id: facts.session_id.clone(),
            pinned,
            input_tokens: facts.input_tokens,
        },
        task: matched.task,
    }
}

impl Decision {
    /// The decision document of design section 5, built when it is serialised.
    pub fn explanation(&self) -> Explanation<'_> {
        Explanation(self)
    }

    /// The router that decided; absent for a model that the caller named.
    pub fn router(&self) -> Option<&RouterName> {
        self.details.router.as_ref().map(|router| &router.name)
    }

    /// The models to attempt, assessed, best first.
    pub fn candidates(&self) -> &[Candidate] {
        &self.details.candidates
    }

    /// The candidates that were passed over, and the gates that did it.
    pub fn ruled_out(&self) -> &[RuledOut] {
        &self.details.ruled_out
    }

    /// What the request is expected to cost at `model`.
    pub fn expected_cost(&self, model: &ModelId) -> Option<&Cost> {
        self.candidate(model)?.cost.as_ref()
    }

    /// When `model` is expected to begin to answer.
    pub fn expected_ttft(&self, model: &ModelId) -> Option<Duration> {
        self.candidate(model)?.ttft.ttft
    }

    /// The threshold that a match had to reach, where one is known.
    pub fn threshold(&self) -> Option<f64> {
        self.details.threshold
    }

    /// The confidence as the response header shows it: two decimals.
    pub fn confidence_text(&self) -> Option<String> {
        self.confidence.map(|confidence| format!("{confidence:.2}"))
    }

    fn candidate(&self, model: &ModelId) -> Option<&Candidate> {
        self.details.candidates.iter().find(|candidate| candidate.model.id == *model)
    }
}

/// What the reading of a request comes to.
struct Match<'a> {
    reason: Reason,
    router: Option<Arc<Router>>,
    task: Option<Arc<Task>>,
    confidence: Option<f64>,
    threshold: Option<f64>,
    truncated: bool,
    probabilities: Option<(Vec<f64>, f64)>,
    /// The model to try before all others.
    first: Option<&'a ModelId>,
}

impl<'a> Match<'a> {
    fn of(facts: &'a Facts<'_>) -> Self {
        let Asked::Router(router) = facts.asked else {
            return Self::none(Reason::Direct, None, None);
        };
        let threshold = router.threshold.or(facts.threshold_default);
        let without = |reason| Self::none(reason, Some(router), threshold);
        let going_on = |reason, task: &Option<_>, model| Self {
            task: task
                .as_ref()
                .and_then(|task| router.policy(task))
                .map(|policy| policy.task.clone()),
            first: Some(model),
            ..without(reason)
        };
        match &facts.reading {
            Reading::Verdict(verdict) => Self::read(router, verdict),
            Reading::NoText => Self {
                probabilities: Some((vec![0.0; router.policies.len()], 1.0)),
                ..without(Reason::NoMatch)
            },
            Reading::Unclassified | Reading::Direct => without(Reason::Unclassified),
            Reading::Pinned { task, model } => going_on(Reason::Pinned, task, model),
            Reading::Continued { task, model } => going_on(Reason::Continued, task, model),
        }
    }

    fn none(reason: Reason, router: Option<&Arc<Router>>, threshold: Option<f64>) -> Self {
        Self {
            reason,
            router: router.cloned(),
            task: None,
            confidence: None,
            threshold,
            truncated: false,
            probabilities: None,
            first: None,
        }
    }

    /// The match that the verdict makes. What is not a probability counts as zero.
    fn read(router: &Arc<Router>, verdict: &Verdict) -> Self {
        let sound = |probability: f64| if probability.is_finite() { probability } else { 0.0 };
        let mut probabilities: Vec<f64> =
            verdict.probabilities.iter().copied().map(sound).collect();
        probabilities.resize(router.policies.len(), 0.0);
        let verdict = Verdict { probabilities, none: sound(verdict.none), ..*verdict };
        let threshold = router.threshold.unwrap_or(verdict.threshold);
        let best = classify::matched(&verdict, threshold);
        let policy = best.and_then(|best| router.policies.get(best));
        Self {
            task: policy.map(|policy| policy.task.clone()),
            confidence: best.and_then(|best| verdict.probabilities.get(best).copied()),
            truncated: verdict.truncated,
            probabilities: Some((verdict.probabilities, verdict.none)),
            ..Self::none(
                if best.is_some() { Reason::Matched } else { Reason::NoMatch },
                Some(router),
                Some(threshold),
            )
        }
    }
}
