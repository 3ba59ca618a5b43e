//! Gates: what rules a candidate out before ranking, and what a caller is told when all are ruled out.
//!
//! Gates on the model come first (no endpoint could help), then gates on each endpoint; a model is ruled out when none
//! of its endpoints is left, and its plan holds only those that passed. Reasons that last come before those that pass,
//! so that nobody is told to wait for what will not change.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use crate::{
    catalog::model::{Model, Target},
    resilience,
    route::facts::Facts,
};

/// The shortest wait that a refusal asks for.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// What ruled a candidate out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gate {
    /// Estimated input and requested output do not fit its context window.
    ContextWindow,
    /// It does not read what the request holds.
    Modality,
    /// Its endpoints failed too often.
    Breaker,
    /// Its endpoints asked for a pause.
    Cooldown,
    /// The caller's key may not use it.
    Key,
    /// Its API cannot carry what was asked.
    Api,
    /// It lacks tools, structured output or reasoning.
    Feature,
}

impl Gate {
    /// The name that begins a reason.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContextWindow => "context_window",
            Self::Modality => "modality",
            Self::Breaker => "breaker",
            Self::Cooldown => "cooldown",
            Self::Key => "key",
            Self::Api => "api",
            Self::Feature => "feature",
        }
    }
}

/// A candidate that cannot serve the request.
#[derive(Clone)]
pub struct RuledOut {
    /// The model.
    pub model: Arc<Model>,
    /// What ruled it out.
    pub gate: Gate,
    /// More about it.
    pub detail: String,
    /// When it may be tried again, where waiting helps.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for RuledOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.gate.as_str(), self.detail)
    }
}

/// What a caller is told when every candidate is ruled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The error code.
    pub code: &'static str,
    /// The gates, in words. It names no model: a key may not be allowed to know them.
    pub message: String,
    /// When to come back, where that helps.
    pub retry_after: Option<Duration>,
}

/// The endpoints of `model` that can serve the request, in order, or what rules the model out.
pub(super) fn pass(model: &Arc<Model>, facts: &Facts<'_>) -> Result<Vec<Arc<Target>>, RuledOut> {
    if let Some((gate, detail)) = model_gate(model, facts) {
        return Err(RuledOut { model: model.clone(), gate, detail, retry_after: None });
    }
    let mut targets = Vec::with_capacity(model.targets.len());
    let mut worst: Option<RuledOut> = None;
    for target in
        model.targets.iter().filter(|target| facts.bound.is_none_or(|id| *id == target.id))
    {
        match target_gate(model, target, facts) {
            None => targets.push(target.clone()),
            Some(shut) => {
                worst = Some(worst.map_or_else(|| shut.clone(), |known| sooner(known, &shut)));
            }
        }
    }
    if targets.is_empty() { Err(worst.unwrap_or_else(|| elsewhere(model))) } else { Ok(targets) }
}

/// The refusal of a request whose every candidate is in `ruled_out`: where gates differ, the one that is most likely
/// to change.
pub(super) fn refuse(ruled_out: &[RuledOut]) -> Refusal {
    let has = |gates: &[Gate]| ruled_out.iter().any(|shut| gates.contains(&shut.gate));
    let (status, code, said) = if ruled_out.is_empty() || has(&[Gate::Breaker, Gate::Cooldown]) {
        (503, "no_healthy_target", "no target can be tried now")
    } else if has(&[Gate::ContextWindow]) {
        (400, "context_length_exceeded", "the request is too long for every model")
    } else if has(&[Gate::Modality, Gate::Api, Gate::Feature]) {
        (400, "unsupported_by_model", "no model can take this request")
    } else {
        (403, "not_allowed", "the key may use none of the models")
    };
    // Sets, so that the same fault gives the same words whatever the order of candidates.
    let gates: BTreeSet<String> = ruled_out.iter().map(public).collect();
    let gates: Vec<String> = gates.into_iter().collect();
    let soonest = ruled_out.iter().filter_map(|shut| shut.retry_after).min();
    let waits = status == 503;
    Refusal {
        status,
        code,
        message: if gates.is_empty() {
            said.to_owned()
        } else {
            format!("{said} ({})", gates.join("; "))
        },
        retry_after: waits.then(|| soonest.unwrap_or(SHORTEST_WAIT).max(SHORTEST_WAIT)),
    }
}

/// A reason as a caller may read it: without the passing details of our targets.
fn public(shut: &RuledOut) -> String {
    match shut.gate {
        Gate::Breaker | Gate::Cooldown | Gate::Key => shut.gate.as_str().to_owned(),
        Gate::ContextWindow | Gate::Modality | Gate::Api | Gate::Feature => shut.to_string(),
    }
}

fn model_gate(model: &Model, facts: &Facts<'_>) -> Option<(Gate, String)> {
    let needed = facts.input_tokens.saturating_add(facts.max_output.unwrap_or(0));
    if let Some(window) = model.context_window.filter(|window| needed > *window) {
        return Some((Gate::ContextWindow, format!("needs {needed} tokens, has {window}")));
    }
    if let Some(kind) = missing_modality(model, facts) {
        return Some((Gate::Modality, format!("needs {kind}")));
    }
    if !(facts.allowed)(&model.id) {
        return Some((Gate::Key, "the key may not use this model".to_owned()));
    }
    missing_feature(model, facts).map(|feature| (Gate::Feature, format!("needs {feature}")))
}

fn missing_modality(model: &Model, facts: &Facts<'_>) -> Option<&'static str> {
    let (needs, has) = (facts.demand.modalities, model.modalities);
    [
        (needs.text && !has.text, "text"),
        (needs.image && !has.image, "image"),
        (needs.audio && !has.audio, "audio"),
        (needs.document && !has.document, "document"),
    ]
    .into_iter()
    .find_map(|(missing, name)| missing.then_some(name))
}

fn missing_feature(model: &Model, facts: &Facts<'_>) -> Option<&'static str> {
    let (needs, has) = (facts.demand, model.features);
    [
        (needs.tools && !has.tools, "tools"),
        (needs.json && !has.json, "json"),
        (needs.reasoning && !has.reasoning, "reasoning"),
    ]
    .into_iter()
    .find_map(|(missing, name)| missing.then_some(name))
}

fn target_gate(model: &Arc<Model>, target: &Target, facts: &Facts<'_>) -> Option<RuledOut> {
    let shut =
        |gate, detail, retry_after| RuledOut { model: model.clone(), gate, detail, retry_after };
    if let Err(reason) = (facts.api)(target) {
        return Some(shut(Gate::Api, reason, None));
    }
    let unavailable = (facts.available)(&target.id).err()?;
    let gate = match unavailable.gate {
        resilience::Gate::Breaker => Gate::Breaker,
        resilience::Gate::Cooldown => Gate::Cooldown,
    };
    let seconds = unavailable.retry_after.as_secs_f64().ceil();
    Some(shut(gate, format!("for another {seconds} s"), Some(unavailable.retry_after)))
}

/// Of two endpoints of one model that are ruled out, the reason that speaks for the model: one that passes, and the
/// sooner of two that do.
fn sooner(known: RuledOut, other: &RuledOut) -> RuledOut {
    match (known.retry_after, other.retry_after) {
        (None, Some(_)) => other.clone(),
        (Some(one), Some(two)) if two < one => other.clone(),
        _ => known,
    }
}

/// A model without the endpoint that the request is bound to.
fn elsewhere(model: &Arc<Model>) -> RuledOut {
    RuledOut {
        model: model.clone(),
        gate: Gate::Api,
        detail: "the earlier answer that the request refers to is at another endpoint".to_owned(),
        retry_after: None,
    }
}
