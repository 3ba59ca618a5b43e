//! Which threshold would be right more often, and whether that is more than chance.

use serde::Serialize;

use crate::evaluation::{Outcome, number, share};

/// Two standard deviations of what chance alone wins.
const CHANCE: f64 = 1.96;

/// A threshold that would be right more often than the one in force.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Better {
    /// The threshold.
    pub threshold: f64,
    /// The accuracy with it.
    pub accuracy: f64,
    /// How many turns it makes right.
    pub won: usize,
    /// How many it makes wrong.
    pub lost: usize,
    /// Whether that is more than chance would win.
    pub significant: bool,
}

impl Better {
    /// The threshold with which most turns would be right, in steps of a hundredth, where it is better than `used`.
    pub(super) fn than(used: f64, outcomes: &[Outcome]) -> Option<Self> {
        let right =
            |threshold: f64| outcomes.iter().filter(|outcome| outcome.is_right(threshold)).count();
        let now = right(used);
        let (best, threshold) = steps()
            .map(|threshold| (right(threshold), threshold))
            .reduce(|best, next| if next.0 > best.0 { next } else { best })
            .filter(|(best, _)| *best > now)?;
        let changes = |to: bool| {
            let changed = |outcome: &&Outcome| {
                outcome.is_right(threshold) == to && outcome.is_right(used) != to
            };
            outcomes.iter().filter(changed).count()
        };
        let (won, lost) = (changes(true), changes(false));
        let (gain, noise) =
            (number(won.saturating_sub(lost)), number(won.saturating_add(lost)).sqrt());
        let accuracy = share(best, outcomes.len());
        Some(Self { threshold, accuracy, won, lost, significant: gain > CHANCE * noise })
    }
}

/// The thresholds that are tried, the least first.
pub(super) fn steps() -> impl DoubleEndedIterator<Item = f64> {
    (0..=100_u32).map(|step| f64::from(step) / 100.0)
}
