//! Routers: an operator's tasks, the models for each, and what to do when none fits.

use std::{collections::BTreeMap, sync::Arc};

use jiff::civil::Date;

use crate::{
    catalog::{model::Model, settings::Failover},
    ids::{ModelId, RouterName, TaskName},
};

/// The deviation, in standard ones, that 95 % of a normal distribution lie within.
const Z_95: f64 = 1.96;

/// A named list of policies and the models to fall back on.
pub struct Router {
    /// What a caller writes after `router:`.
    pub name: RouterName,
    /// For people.
    pub description: String,
    /// One for each task; no task twice.
    pub policies: Vec<Policy>,
    /// Tried in order when no task matches and after a task's models failed; at least one.
    pub fallbacks: Vec<Arc<Model>>,
    /// The least probability of a match; `None` is the classifier's own.
    pub threshold: Option<f64>,
    /// The file's failover settings with this router's over them.
    pub failover: Failover,
    /// The percentage that a session may cost above never switching models.
    pub switch_budget: Option<f64>,
}

/// A task, the models for it, and how to choose among them.
pub struct Policy {
    /// What is matched.
    pub task: Arc<Task>,
    /// One to three, in the operator's order.
    pub models: Vec<Arc<Model>>,
    /// How they are ordered.
    pub prefer: Prefer,
}

/// A kind of request in an operator's words.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its name: what the response header says.
    pub name: TaskName,
    /// What belongs to it, in plain language; empty where the operator gave none.
    pub description: String,
    /// Utterances that belong to it.
    pub examples: Vec<String>,
    /// How well models do it.
    pub quality: BTreeMap<ModelId, Score>,
}

/// How well one model does one task, and how anybody knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// From 0 to 1.
    pub value: f64,
    /// How many answers it was measured on, where that is said.
    pub samples: Option<u64>,
    /// Where it is from, where that is said.
    pub origin: Option<Arc<Origin>>,
}

/// Where scores are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who measured, and what.
    pub source: Option<String>,
    /// When.
    pub date: Option<Date>,
}

/// How a policy's models are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Prefer {
    /// As given.
    #[default]
    Given,
    /// By the expected cost of this request.
    Cheapest,
    /// By the predicted time to first content.
    Fastest,
    /// By measured quality, ties by expected cost.
    Optimal,
}

impl Prefer {
    /// The word that the configuration uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "none",
            Self::Cheapest => "cheapest",
            Self::Fastest => "fastest",
            Self::Optimal => "optimal",
        }
    }
}

impl Score {
    /// A score of which nothing else is known.
    pub const fn bare(value: f64) -> Self {
        Self { value, samples: None, origin: None }
    }

    /// The bounds that hold the true score 19 times out of 20, where it is the share of right answers among `samples`
    /// (Wilson's interval): a few right answers say little.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let n = f64::from(u32::try_from(self.samples?).ok().filter(|samples| *samples > 0)?);
        let share = self.value.clamp(0.0, 1.0);
        let (z, scale) = (Z_95, 1.0 + Z_95 * Z_95 / n);
        let middle = (share + z * z / (2.0 * n)) / scale;
        let spread = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt() / scale;
        Some(((middle - spread).max(0.0), (middle + spread).min(1.0)))
    }
}

impl Router {
    /// The policy of this task.
    pub fn policy(&self, task: &TaskName) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.task.name == *task)
    }

    /// Whether any policy or fallback names this model.
    pub fn names(&self, model: &ModelId) -> bool {
        self.policies
            .iter()
            .flat_map(|policy| &policy.models)
            .chain(&self.fallbacks)
            .any(|named| named.id == *model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_as_sure_as_its_samples() {
        let interval = |value, samples| Score { samples, ..Score::bare(value) }.interval();
        assert_eq!((interval(0.8, None), interval(0.8, Some(0))), (None, None));
        // Wilson's interval for 8 of 10, as tables have it.
        let (low, high) = interval(0.8, Some(10)).unwrap();
        assert!((low - 0.490).abs() < 1e-3 && (high - 0.943).abs() < 1e-3, "{low} {high}");
        let (sure, surer) = interval(0.8, Some(1000)).unwrap();
        assert!(low < sure && surer < high);
        for value in [0.0, 1.0] {
            let (low, high) = interval(value, Some(3)).unwrap();
            assert!((0.0..=value).contains(&low) && (value..=1.0).contains(&high));
        }
    }
}
