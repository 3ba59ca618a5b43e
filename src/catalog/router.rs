//! Routers: an operator's tasks, the models for each, and what to do when none fits.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    catalog::{model::Model, settings::Failover},
    ids::{ModelId, RouterName, TaskName},
};

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
    /// How well models do it, 0 to 1.
    pub quality: BTreeMap<ModelId, f64>,
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
