//! Sums of what was done, each of a fixed size.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;

use crate::{
    dialect::ir::answer::Usage,
    ids::{ModelId, RouterName, TaskName},
    money::Usd,
    prices::Bill,
    route::{Decision, Reason},
    telemetry::{
        board::{Series, Settled},
        recent::{End, Record},
        usage::Ended,
    },
};

/// The most models that are summed apart.
pub const MODELS: usize = 128;
/// The most tasks of routers that are summed apart.
pub const TASKS: usize = 512;
/// The most times to first content that are kept of a model: its last ones.
pub const SAMPLES: usize = 256;
/// The name of all models that are not summed apart.
pub const OTHER: &str = "(other)";
/// Classes of requests by input tokens: each holds twice as many as the one before.
const CLASSES: usize = 32;

/// Everything that is summed.
#[derive(Clone, Default)]
pub struct Sums {
    /// Requests by how they ended: [`Ended::WORDS`].
    pub outcomes: [u64; Ended::WORDS.len()],
    /// Decided requests by [`Reason::ALL`].
    pub reasons: [u64; Reason::ALL.len()],
    /// Attempts at targets.
    pub attempts: u64,
    /// Answers of models that their router only falls back on.
    pub fallback_answers: u64,
    /// By the model that answered; `None` is all that are not summed apart.
    pub models: HashMap<Option<ModelId>, ModelSum>,
    /// By router and task; those beyond [`TASKS`] are left out.
    pub tasks: HashMap<(RouterName, Option<TaskName>), TaskSum>,
    /// What requests with known prices cost.
    pub cost: Usd,
    /// Answers that used tokens whose price is not known.
    pub cost_unknown: u64,
    /// Answers whose price is known.
    pub priced: u64,
    /// What the same tokens would have cost at the dearest model of each plan.
    pub dearest: Usd,
    /// The tokens of requests with known prices, by how much input they had.
    pub classes: [Class; CLASSES],
    /// The last minutes.
    pub series: Series,
}

/// What one model did.
#[derive(Debug, Clone, Default)]
pub struct ModelSum {
    /// Requests that it began to answer.
    pub requests: u64,
    /// What its answers used.
    pub usage: Usage,
    /// What those with a known price cost.
    pub cost: Usd,
    /// How many those are.
    pub priced: u64,
    /// Its last times to first content, of streams.
    pub ttft: Samples<SAMPLES>,
}

/// What was done for one task of a router.
#[derive(Debug, Clone, Default)]
pub struct TaskSum {
    /// Requests that were decided so.
    pub requests: u64,
    /// Of those, by the model that answered; `None` is all that are not summed apart.
    pub models: HashMap<Option<ModelId>, u64>,
}

/// Requests of about the same input.
#[derive(Debug, Clone, Copy, Default)]
pub struct Class {
    /// How many.
    pub requests: u64,
    /// What they used.
    pub usage: Usage,
}

/// The last `N` durations.
#[derive(Debug, Clone, Default)]
pub struct Samples<const N: usize> {
    micros: Vec<u32>,
    next: usize,
}

impl Sums {
    /// Requests that were decided for this reason.
    pub fn decided_for(&self, reason: Reason) -> u64 {
        let counts = Reason::ALL.iter().zip(&self.reasons);
        counts.filter(|(known, _)| **known == reason).map(|(_, count)| *count).sum()
    }

    pub(super) fn add(&mut self, record: &Record, settled: &Settled<'_>, now: Timestamp) {
        let Some(end) = &record.end else { return };
        if let Some(count) = self.outcomes.get_mut(end.ended.place()) {
            *count = count.saturating_add(1);
        }
        self.attempts = self.attempts.saturating_add(u64::from(end.attempts));
        self.fallback_answers = self.fallback_answers.saturating_add(u64::from(settled.fallback));
        let model = settled.answered_by.map(|target| &target.model);
        if let Some(decision) = &record.decision {
            self.decided(decision, model);
        }
        self.answered(model, end.ttft, settled);
        self.charged(end, settled.dearest);
        self.series.add(now.as_second(), |point| {
            point.requests = point.requests.saturating_add(1);
            let failed = matches!(end.ended, Ended::Failed | Ended::Broken);
            point.errors = point.errors.saturating_add(u64::from(failed));
            point.cost = point.cost.plus(end.cost.map_or(Usd::ZERO, Bill::total));
            if let Some((model, ttft)) = model.zip(end.ttft) {
                point.started(model, ttft);
            }
        });
    }

    fn decided(&mut self, decision: &Decision, model: Option<&ModelId>) {
        let reason = Reason::ALL.iter().position(|reason| *reason == decision.reason);
        if let Some(count) = reason.and_then(|place| self.reasons.get_mut(place)) {
            *count = count.saturating_add(1);
        }
        let Some(router) = decision.router() else { return };
        let key = (router.clone(), decision.task.as_ref().map(|task| task.name.clone()));
        if self.tasks.len() >= TASKS && !self.tasks.contains_key(&key) {
            return;
        }
        let sum = self.tasks.entry(key).or_default();
        sum.requests = sum.requests.saturating_add(1);
        if let Some(model) = model {
            let count = slot(&mut sum.models, model, MODELS);
            *count = count.saturating_add(1);
        }
    }

    fn answered(&mut self, model: Option<&ModelId>, ttft: Option<Duration>, settled: &Settled<'_>) {
        if let Some(model) = model {
            let sum = slot(&mut self.models, model, MODELS);
            sum.requests = sum.requests.saturating_add(1);
            if let Some(ttft) = ttft {
                sum.ttft.add(ttft);
            }
        }
        for part in settled.parts {
            let sum = slot(&mut self.models, &part.target.model, MODELS);
            sum.usage = sum.usage.plus(&part.usage);
            if let Some(bill) = part.bill {
                sum.cost = sum.cost.plus(bill.total());
                sum.priced = sum.priced.saturating_add(1);
            }
        }
    }

    /// Sums the costs of a request that used something.
    fn charged(&mut self, end: &End, dearest: Option<Usd>) {
        let Some(usage) = &end.usage else { return };
        let Some(cost) = end.cost else {
            self.cost_unknown = self.cost_unknown.saturating_add(1);
            return;
        };
        self.priced = self.priced.saturating_add(1);
        self.cost = self.cost.plus(cost.total());
        self.dearest = self.dearest.plus(dearest.unwrap_or(cost.total()));
        let class = usize::try_from(usage.input.checked_ilog2().unwrap_or(0)).unwrap_or(0);
        if let Some(class) = self.classes.get_mut(class.min(CLASSES.saturating_sub(1))) {
            class.requests = class.requests.saturating_add(1);
            class.usage = class.usage.plus(usage);
        }
    }
}

/// The sum of `model`, or that of all that have none of their own.
fn slot<'a, V: Default>(
    sums: &'a mut HashMap<Option<ModelId>, V>,
    model: &ModelId,
    most: usize,
) -> &'a mut V {
    let model = Some(model.clone());
    let own = sums.len() < most || sums.contains_key(&model);
    sums.entry(if own { model } else { None }).or_default()
}

impl<const N: usize> Samples<N> {
    pub(super) fn add(&mut self, duration: Duration) {
        let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        match self.micros.get_mut(self.next) {
            Some(oldest) => *oldest = micros,
            None => self.micros.push(micros),
        }
        self.next = self.next.saturating_add(1).checked_rem(N).unwrap_or(0);
    }

    /// The duration that this share of them does not exceed; `None` without any.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let rank = (share * count(sorted.len())).ceil().max(1.0);
        let found = sorted.iter().zip(1_u32..).find(|(_, place)| f64::from(*place) >= rank);
        found.map(|(micros, _)| Duration::from_micros(u64::from(*micros)))
    }
}

fn count(length: usize) -> f64 {
    u32::try_from(length).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_last_samples() {
        let mut samples = Samples::<100>::default();
        assert_eq!(samples.quantile(0.5), None);
        for milliseconds in 1..=1000 {
            samples.add(Duration::from_millis(milliseconds));
        }
        assert_eq!(samples.quantile(0.5), Some(Duration::from_millis(950)));
        assert_eq!(samples.quantile(0.95), Some(Duration::from_millis(995)));
        assert_eq!(samples.quantile(0.0), Some(Duration::from_millis(901)));
        assert_eq!(samples.quantile(1.0), Some(Duration::from_secs(1)));
    }

    #[test]
    fn models_beyond_the_cap_are_summed_together() {
        let mut sums: HashMap<Option<ModelId>, u64> = HashMap::new();
        for number in 0..10 {
            let model = ModelId::parse(&format!("m{number}")).unwrap();
            *slot(&mut sums, &model, 4) += 1;
        }
        assert_eq!(sums.len(), 5);
        assert_eq!(sums[&None], 6);
        *slot(&mut sums, &ModelId::parse("m0").unwrap(), 4) += 1;
        assert_eq!(sums[&Some(ModelId::parse("m0").unwrap())], 2);
    }
}
