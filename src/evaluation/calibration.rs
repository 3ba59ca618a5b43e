//! Whether a probability means what it says: turns in bins of equal width by the probability of their best answer.

use serde::Serialize;

use crate::evaluation::{Outcome, number};

/// The bins of the reliability table.
const BINS: usize = 10;

/// The turns whose best answer has about this probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// The least probability.
    pub from: f64,
    /// The greatest.
    pub to: f64,
    /// How many turns there are.
    pub turns: usize,
    /// Their mean probability.
    pub confidence: f64,
    /// The share whose best answer is right.
    pub accuracy: f64,
}

/// The bins that hold turns.
pub(super) fn bins(outcomes: &[&Outcome]) -> Vec<Bin> {
    let mut sums = [(0_usize, 0.0, 0.0); BINS];
    for outcome in outcomes {
        let Some(said) = &outcome.said else { continue };
        let place = (said.probability * number(BINS)).clamp(0.0, number(BINS) - 0.5);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let Some((turns, confidence, right)) = sums.get_mut(place as usize) else { continue };
        *turns = turns.saturating_add(1);
        *confidence += said.probability;
        *right += f64::from(u8::from(said.best == outcome.expected));
    }
    let bin = |(index, (turns, confidence, right)): (usize, (usize, f64, f64))| Bin {
        from: number(index) / number(BINS),
        to: number(index.saturating_add(1)) / number(BINS),
        turns,
        confidence: confidence / number(turns),
        accuracy: right / number(turns),
    };
    sums.into_iter().enumerate().filter(|(_, (turns, ..))| *turns > 0).map(bin).collect()
}

/// The expected calibration error: how far, on average, confidence is from accuracy.
pub(super) fn error(outcomes: &[&Outcome]) -> f64 {
    let bins = bins(outcomes);
    let turns: usize = bins.iter().map(|bin| bin.turns).fold(0, usize::saturating_add);
    let off = |bin: &Bin| number(bin.turns) * (bin.confidence - bin.accuracy).abs();
    if turns == 0 { 0.0 } else { bins.iter().map(off).sum::<f64>() / number(turns) }
}
