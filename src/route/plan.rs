//! A plan in the making: candidates that passed the gates, in the order in which they are added, each model once.

use std::sync::Arc;

use crate::{
    catalog::{
        model::{Model, Target},
        router::{Policy, Prefer, Router, Task},
    },
    ids::ModelId,
    prices::PriceTable,
    rank::{self, Candidate, Query, Why, session},
    route::{
        facts::{Facts, Reason},
        gate::{self, Refusal, RuledOut},
    },
    stats::{Reader, Stats, sample::SHORT_ANSWER},
};

pub(super) struct Plan<'a> {
    facts: &'a Facts<'a>,
    prices: &'a PriceTable,
    stats: Reader<'a>,
    query: Query<'a>,
    candidates: Vec<Candidate>,
    /// The endpoints of `candidates`, in whatever order those were assessed.
    targets: Vec<Vec<Arc<Target>>>,
    ruled_out: Vec<RuledOut>,
    prefer: Prefer,
    explored: bool,
}

/// A finished plan.
pub(super) struct Outcome {
    pub(super) targets: Vec<Arc<Target>>,
    pub(super) refusal: Option<Refusal>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) ruled_out: Vec<RuledOut>,
    pub(super) prefer: Prefer,
    pub(super) explored: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        stats: &'a Stats,
        prices: &'a PriceTable,
        facts: &'a Facts<'a>,
        task: Option<&'a Task>,
    ) -> Self {
        let query = Query {
            task,
            input_tokens: facts.input_tokens,
            max_output: facts.max_output,
            caching: facts.caching,
            session: facts.session.as_ref(),
            now: facts.now,
            wall: facts.wall,
        };
        Self {
            facts,
            prices,
            stats: stats.reader(),
            query,
            candidates: Vec::new(),
            targets: Vec::new(),
            ruled_out: Vec::new(),
            prefer: Prefer::Given,
            explored: false,
        }
    }

    /// The one model that the caller named.
    pub(super) fn direct(&mut self, model: &Arc<Model>) {
        self.add(model, Why::Direct);
    }

    /// The model that a pin or a tool loop goes on with, where the router still has it.
    pub(super) fn keep(&mut self, router: &Router, model: &ModelId, reason: Reason) {
        let why = if reason == Reason::Continued { Why::Continued } else { Why::Pinned };
        let named =
            router.policies.iter().flat_map(|policy| &policy.models).chain(&router.fallbacks);
        if let Some(model) = named.into_iter().find(|named| named.id == *model) {
            self.add(model, why);
        }
    }

    /// The models of a task, ranked; `dice` where the order may explore.
    pub(super) fn rank(
        &mut self,
        policy: &Policy,
        budget: Option<f64>,
        dice: Option<&mut dyn FnMut() -> f64>,
    ) {
        self.prefer = policy.prefer;
        let teaches = self.teaches(policy.prefer);
        let from = self.candidates.len();
        for model in &policy.models {
            self.add(model, Why::Behind);
        }
        let Some(added) = self.candidates.get_mut(from..) else { return };
        rank::order(policy.prefer, added);
        if let Some(dice) = dice.filter(|_| teaches) {
            self.explored = rank::explore(policy.prefer, added, dice);
        }
        if let Some((budget, cache)) = budget.zip(self.query.session)
            && session::hold(added, cache, budget)
        {
            self.explored = false;
            mark_held(added, cache.model.as_str());
        }
    }

    /// Whether the answer can teach what `prefer` orders by.
    fn teaches(&self, prefer: Prefer) -> bool {
        match prefer {
            Prefer::Fastest => self.facts.streamed,
            Prefer::Cheapest => self.facts.max_output.is_none_or(|most| most >= SHORT_ANSWER),
            Prefer::Given | Prefer::Optimal => false,
        }
    }

    /// The fallback models that are not in the plan yet, in the order given.
    pub(super) fn fall_back(&mut self, models: &[Arc<Model>]) {
        for model in models {
            self.add(model, Why::Fallback);
        }
    }

    /// Whether `model` is in the plan.
    pub(super) fn holds(&self, model: &ModelId) -> bool {
        self.candidates.iter().any(|candidate| candidate.model.id == *model)
    }

    pub(super) fn finish(mut self) -> Outcome {
        let mut targets = Vec::with_capacity(self.targets.iter().map(Vec::len).sum());
        for candidate in &self.candidates {
            if let Some(own) = self.targets.get_mut(candidate.position) {
                targets.append(own);
            }
        }
        Outcome {
            refusal: targets.is_empty().then(|| gate::refuse(&self.ruled_out)),
            targets,
            candidates: self.candidates,
            ruled_out: self.ruled_out,
            prefer: self.prefer,
            explored: self.explored,
        }
    }

    /// Adds `model` where it is new and passes the gates.
    fn add(&mut self, model: &Arc<Model>, why: Why) {
        if self.holds(&model.id) || self.ruled_out.iter().any(|shut| shut.model.id == model.id) {
            return;
        }
        match gate::pass(model, self.facts) {
            Err(shut) => self.ruled_out.push(shut),
            Ok(targets) => {
                let Some(first) = targets.first() else { return };
                let place = self.targets.len();
                let mut candidate =
                    rank::assess((model, first), place, &self.query, &self.stats, self.prices);
                candidate.why = why;
                self.candidates.push(candidate);
                self.targets.push(targets);
            }
        }
    }
}

/// Says who was held back by the session's budget, and who stays first for it.
fn mark_held(candidates: &mut [Candidate], last: &str) {
    let mut before = true;
    for (place, candidate) in candidates.iter_mut().enumerate() {
        if candidate.model.id.as_str() == last {
            before = false;
            if place == 0 {
                candidate.why = Why::Kept;
            }
        } else if !before && candidate.why != Why::Behind {
            candidate.why = Why::OverBudget;
        }
    }
}
