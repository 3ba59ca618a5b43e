//! What a count of some among many says of the share behind it: the exact binomial interval of Clopper and Pearson.
//!
//! It is the cautious one: it covers at least what it promises, also for few turns and for shares near 0 or 1, where
//! the usual approximations promise too much.

use serde::Serialize;

use crate::evaluation::number;

/// How often a one-sided bound may be wrong.
pub(super) const ALPHA: f64 = 0.05;

/// Halvings until the bound no longer moves.
const HALVINGS: usize = 60;

/// Where a share lies with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// The two-sided interval of `some` among `all`.
    pub fn of(some: usize, all: usize) -> Self {
        let others = all.saturating_sub(some);
        Self { low: 1.0 - at_most(others, all, ALPHA / 2.0), high: at_most(some, all, ALPHA / 2.0) }
    }
}

/// The greatest share of which `some` or fewer among `all` would still be seen with probability `alpha`.
pub(super) fn at_most(some: usize, all: usize, alpha: f64) -> f64 {
    if some >= all {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if some_or_fewer(some, all, middle) > alpha {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// How many turns without a mistake it takes to show that at most `share` are wrong.
pub(super) fn needed(share: f64) -> usize {
    let turns = (ALPHA.ln() / (-share).ln_1p()).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a cast saturates"
    )]
    let turns = turns as usize;
    turns
}

/// The probability of `some` or fewer among `all` where each has the probability `share`.
fn some_or_fewer(some: usize, all: usize, share: f64) -> f64 {
    // The terms are summed as logarithms: the first of them may be far below the smallest double.
    let odds = share.ln() - (-share).ln_1p();
    let mut term = number(all) * (-share).ln_1p();
    let mut sum = term;
    for index in 0..some {
        let left = number(all.saturating_sub(index));
        term += left.ln() - number(index.saturating_add(1)).ln() + odds;
        sum = sum.max(term) + (-(sum - term).abs()).exp().ln_1p();
    }
    sum.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) {
        assert!((one - other).abs() < 5e-5, "{one} is not {other}");
    }

    #[test]
    fn bounds_are_those_of_the_tables() {
        // scipy.stats.beta.ppf(0.975, some + 1, all - some) and its mirror image.
        let interval = Interval::of(8, 10);
        near(interval.low, 0.44390);
        near(interval.high, 0.97479);
        let interval = Interval::of(1_275, 1_581);
        near(interval.low, 0.78612);
        near(interval.high, 0.82564);
        // The rule of three, exactly.
        near(at_most(0, 149, ALPHA), 0.01990);
        near(at_most(10, 1_000, ALPHA), 0.01689);
    }

    #[test]
    fn the_ends_are_the_ends() {
        let none = Interval::of(0, 20);
        assert!(none.low.abs() < 1e-12 && none.high < 0.17, "{none:?}");
        let all = Interval::of(20, 20);
        assert!(all.low > 0.83 && (all.high - 1.0).abs() < 1e-12, "{all:?}");
        near(Interval::of(0, 0).high, 1.0);
    }

    #[test]
    fn a_budget_needs_turns() {
        assert_eq!(needed(0.02), 149);
        assert_eq!(needed(0.5), 5);
        assert_eq!(needed(0.0), usize::MAX);
        near(at_most(0, needed(0.02), ALPHA).min(0.02), at_most(0, 149, ALPHA));
    }

    #[test]
    fn many_turns_do_not_underflow() {
        near(at_most(20_000, 100_000, ALPHA), 0.20209);
    }
}
