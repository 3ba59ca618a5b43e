//! What a decision is made from.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    catalog::{
        model::{Model, Target},
        router::Router,
    },
    classify::Verdict,
    dialect::ir::Demand,
    ids::{ModelId, TargetId, TaskName},
    rank::SessionCache,
    resilience::Unavailable,
};

/// Everything that is known of a request when it is decided.
pub struct Facts<'a> {
    /// What the caller named.
    pub asked: Asked<'a>,
    /// What its conversation, its pin or its tool loop says.
    pub reading: Reading,
    /// What it needs of a model.
    pub demand: Demand,
    /// Our estimate of its input tokens.
    pub input_tokens: u64,
    /// The most output tokens that it asks for.
    pub max_output: Option<u64>,
    /// Whether it asks for its input to be written to the provider's cache.
    pub caching: bool,
    /// The only endpoint that may serve it, because an id in it was issued there.
    pub bound: Option<&'a TargetId>,
    /// Whether an endpoint's API can carry it, and if not, why.
    pub api: &'a dyn Fn(&Target) -> Result<(), String>,
    /// Whether the caller's key may use a model.
    pub allowed: &'a dyn Fn(&ModelId) -> bool,
    /// Whether an endpoint may be tried now.
    pub available: &'a dyn Fn(&TargetId) -> Result<(), Unavailable>,
    /// What its session's last request left in a provider's cache.
    pub session: Option<SessionCache>,
    /// The session's name, from the affinity header.
    pub session_id: Option<String>,
    /// The classifier's own threshold, for a router without one.
    pub threshold_default: Option<f64>,
    /// Now, for statistics.
    pub now: Instant,
    /// Now, for price schedules and the age of prices.
    pub wall: Timestamp,
    /// Whether the answer is to be a stream: only that teaches how soon a model starts.
    pub streamed: bool,
    /// Whether the decision may explore; a dry run may not.
    pub explore: bool,
    /// How long the steps before took.
    pub timings: Timings,
}

/// What the caller named in `model`.
#[derive(Clone, Copy)]
pub enum Asked<'a> {
    /// `router:<name>`.
    Router(&'a Arc<Router>),
    /// A model of the catalog.
    Model(&'a Arc<Model>),
}

/// What is known about what the caller wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// The classifier's verdict.
    Verdict(Verdict),
    /// There is no text to read.
    NoText,
    /// The classifier was late, down or absent.
    Unclassified,
    /// The session is pinned to this model; it was matched to this task.
    Pinned {
        /// The task of the session's first request.
        task: Option<TaskName>,
        /// The model of the pin.
        model: ModelId,
    },
    /// A tool loop or an unfinished answer goes on with this model; it was matched to this task.
    Continued {
        /// The task of the turn that goes on.
        task: Option<TaskName>,
        /// The model that answered last.
        model: ModelId,
    },
    /// The caller named a model.
    Direct,
}

/// Why a plan is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A task matched.
    Matched,
    /// No task matched.
    NoMatch,
    /// The session is pinned.
    Pinned,
    /// A tool loop goes on.
    Continued,
    /// The classifier was late, down or absent.
    Unclassified,
    /// The caller named a model.
    Direct,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Matched,
        Self::NoMatch,
        Self::Pinned,
        Self::Continued,
        Self::Unclassified,
        Self::Direct,
    ];

    /// The word that headers, logs, metrics and the decision document use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::NoMatch => "no_match",
            Self::Pinned => "pinned",
            Self::Continued => "continued",
            Self::Unclassified => "unclassified",
            Self::Direct => "direct",
        }
    }
}

/// How long the steps of a decision took, in microseconds; a step that was not taken is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Timings {
    /// Decoding the request and reading its conversation.
    pub read: Option<u64>,
    /// Waiting for the verdict.
    pub classify: Option<u64>,
    /// Gates and ranking.
    pub rank: Option<u64>,
}
