//! Amounts of money and rates per token, in US dollars.
//!
//! A rate is always finite and not negative: a price that is unknown is an absent [`PerMillion`], never a zero.

use std::{cmp::Ordering, fmt};

/// An amount in US dollars, finite and not negative.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usd(f64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0.0);

    /// An amount in dollars; `None` where it is negative, infinite or not a number.
    pub fn new(dollars: f64) -> Option<Self> {
        (dollars.is_finite() && dollars >= 0.0).then_some(Self(dollars))
    }

    /// The amount in dollars.
    pub fn dollars(self) -> f64 {
        self.0
    }

    /// The sum, saturating at the largest finite amount.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self((self.0 + other.0).min(f64::MAX))
    }

    /// This share of the amount; a share that is negative or not a number counts as none of it.
    #[must_use]
    pub fn times(self, share: f64) -> Self {
        Self((self.0 * share.max(0.0)).min(f64::MAX))
    }

    /// A total order: no amount is NaN by construction.
    pub fn total_cmp(self, other: Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${:.6}", self.0)
    }
}

/// A price in US dollars for a million tokens, finite and not negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerMillion(f64);

impl PerMillion {
    /// A rate in dollars per million tokens; `None` where it is negative, infinite or not a number.
    pub fn new(dollars: f64) -> Option<Self> {
        (dollars.is_finite() && dollars >= 0.0).then_some(Self(dollars))
    }

    /// Dollars per million tokens.
    pub fn dollars(self) -> f64 {
        self.0
    }

    /// What `tokens` cost at this rate; a fraction of a token is an expectation.
    pub fn cost(self, tokens: f64) -> Usd {
        Usd((self.0 * tokens.max(0.0) / 1e6).min(f64::MAX))
    }

    /// The rate with a `discount` (share taken off, 0 to 1) applied.
    #[must_use]
    pub fn discounted(self, discount: f64) -> Self {
        Self(self.0 * (1.0 - discount.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_absurd_rate_can_be_made() {
        for bad in [-0.01, f64::NAN, f64::INFINITY] {
            assert!(PerMillion::new(bad).is_none());
            assert!(Usd::new(bad).is_none());
        }
    }

    #[test]
    fn a_million_tokens_cost_the_rate() {
        let rate = PerMillion::new(2.5).unwrap();
        assert!((rate.cost(1e6).dollars() - 2.5).abs() < 1e-12);
        assert!((rate.discounted(0.1).cost(2e6).dollars() - 4.5).abs() < 1e-12);
        assert_eq!(rate.cost(-5.0), Usd::ZERO);
    }
}
