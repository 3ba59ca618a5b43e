//! What is known of how well models do the tasks that `prefer: optimal` ranks by, for people.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::catalog::{
    Catalog,
    router::{Policy, Prefer, Score},
};

/// One line for each model of each policy that is ordered by quality; a policy of several routers once.
pub(super) fn of(catalog: &Catalog) -> String {
    let policies = catalog.routers.values().flat_map(|router| &router.policies);
    let lines: BTreeSet<String> = policies
        .filter(|policy| policy.prefer == Prefer::Optimal)
        .flat_map(|policy| policy.models.iter().map(|model| line(policy, model.id.as_str())))
        .collect();
    lines.iter().fold(String::new(), |mut out, line| {
        let _infallible = writeln!(out, "{line}");
        out
    })
}

fn line(policy: &Policy, model: &str) -> String {
    let task = &policy.task;
    let score = task.quality.iter().find(|(id, _)| id.as_str() == model).map(|(_, score)| score);
    let known = score.map_or_else(|| "no score".to_owned(), described);
    format!("quality of {model} at {}: {known}", task.name)
}

/// A score with how sure it is and where it is from, as far as that is said.
fn described(score: &Score) -> String {
    let mut text = format!("{:.3}", score.value);
    if let Some((samples, (low, high))) = score.samples.zip(score.interval()) {
        let _infallible = write!(text, " ({low:.3} to {high:.3}, {samples} answers)");
    }
    let origin = score.origin.as_deref();
    let source = origin.and_then(|origin| origin.source.as_deref()).unwrap_or("source not said");
    let _infallible = write!(text, "; {source}");
    if let Some(date) = origin.and_then(|origin| origin.date) {
        let _infallible = write!(text, ", {date}");
    }
    text
}
