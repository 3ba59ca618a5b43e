//! Which threshold keeps an error budget: at most such a share of the matched turns wrong.
//!
//! A turn that matches nothing goes to the fallbacks and counts neither way, so a higher threshold buys fewer wrong
//! matches with fewer matches. The threshold is the lowest one with which the examples *show* that the budget is kept:
//! the one-sided 95 % bound is within it, not only the share that was seen. The bound does not know that the
//! threshold was chosen on the same examples. That costs little, because the turns of a higher threshold are among
//! those of a lower one: of 400 simulated files for each of 200, 500, 1,000 and 2,000 turns and budgets of 2, 5 and
//! 10 %, the threshold that was named broke the budget in 1 to 4 %, where 5 % are allowed.

use serde::Serialize;

use crate::evaluation::{
    Outcome, Said,
    interval::{ALPHA, at_most, needed},
    share, threshold,
};

/// What the examples say of an error budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Budget {
    /// The share of matched turns that may be wrong.
    pub asked: f64,
    /// The lowest threshold that is shown to keep it.
    pub shown: Option<Operation>,
    /// The lowest threshold that kept it on these examples, which may have been chance.
    pub seen: Option<Operation>,
    /// The fewest matched turns that could show it, if all of them were right.
    pub needed: usize,
    /// How many turns match at a threshold of 0.
    pub most_matched: usize,
}

/// What happens with a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Operation {
    /// The threshold.
    pub threshold: f64,
    /// How many turns match a task.
    pub matched: usize,
    /// Which share of all turns that is.
    pub matched_share: f64,
    /// How many of them match a wrong one.
    pub wrong: usize,
    /// Which share of the matched ones that is.
    pub wrong_share: f64,
    /// Below what that share is, with 95 % confidence.
    pub wrong_at_most: f64,
}

impl Budget {
    pub(super) fn of(asked: f64, outcomes: &[Outcome]) -> Self {
        let mut budget = Self {
            asked,
            shown: None,
            seen: None,
            needed: needed(asked),
            most_matched: matched(0.0, outcomes).count(),
        };
        for threshold in threshold::steps() {
            let Some(operation) = Operation::at(threshold, asked, outcomes) else { continue };
            budget.seen = budget.seen.or(Some(operation));
            if operation.wrong_at_most <= asked {
                budget.shown = Some(operation);
                break;
            }
        }
        budget
    }
}

impl Operation {
    /// What happens with `threshold`, where the budget is kept on these outcomes.
    fn at(threshold: f64, asked: f64, outcomes: &[Outcome]) -> Option<Self> {
        let (all, wrong) = matched(threshold, outcomes).fold((0_usize, 0_usize), |sum, right| {
            (sum.0.saturating_add(1), sum.1.saturating_add(usize::from(!right)))
        });
        let wrong_share = share(wrong, all);
        (all > 0 && wrong_share <= asked).then(|| Self {
            threshold,
            matched: all,
            matched_share: share(all, outcomes.len()),
            wrong,
            wrong_share,
            wrong_at_most: at_most(wrong, all, ALPHA),
        })
    }
}

/// For each turn that matches a task, whether it is the right one.
fn matched(threshold: f64, outcomes: &[Outcome]) -> impl Iterator<Item = bool> {
    outcomes.iter().filter_map(move |outcome| {
        let Said { best, probability, .. } = outcome.said.as_ref()?;
        (!best.is_none() && *probability >= threshold).then(|| *best == outcome.expected)
    })
}
