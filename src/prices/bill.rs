//! What an answer cost: the tokens that its provider counted, each kind at its own rate.

use crate::{catalog::model::Rates, dialect::ir::answer::Usage, money::Usd};

/// The cost of an answer, and its parts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bill {
    /// For input neither read from nor written to a cache.
    pub input: Usd,
    /// For input read from the provider's cache.
    pub cache_read: Usd,
    /// For input written to the provider's cache.
    pub cache_write: Usd,
    /// For output.
    pub output: Usd,
}

impl Bill {
    /// What `usage` costs at `rates`: tokens read from a cache and written to it at their own rates, where those are
    /// known, else as input. Nothing where input or output have no price.
    pub fn of(rates: &Rates, usage: &Usage) -> Option<Self> {
        let (input, output) = rates.input.zip(rates.output)?;
        let read = usage.cache_read.min(usage.input);
        let written = usage.cache_write.min(usage.input.saturating_sub(read));
        let plain = usage.input.saturating_sub(read).saturating_sub(written);
        Some(Self {
            input: input.cost(real(plain)),
            cache_read: rates.cache_read.unwrap_or(input).cost(real(read)),
            cache_write: rates.cache_write.unwrap_or(input).cost(real(written)),
            output: output.cost(real(usage.output)),
        })
    }

    /// All of it.
    pub fn total(self) -> Usd {
        self.input.plus(self.cache_read).plus(self.cache_write).plus(self.output)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.plus(other.input),
            cache_read: self.cache_read.plus(other.cache_read),
            cache_write: self.cache_write.plus(other.cache_write),
            output: self.output.plus(other.output),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::PerMillion;

    #[test]
    fn each_kind_of_token_has_its_rate_and_is_charged_once() {
        let rates = Rates {
            input: PerMillion::new(4.0),
            output: PerMillion::new(8.0),
            cache_read: PerMillion::new(1.0),
            cache_write: None,
        };
        let usage = Usage {
            input: 1_000_000,
            cache_read: 500_000,
            cache_write: 250_000,
            output: 1_000_000,
            reasoning: 10,
        };
        let bill = Bill::of(&rates, &usage).unwrap();
        let parts = [bill.input, bill.cache_read, bill.cache_write, bill.output].map(Usd::dollars);
        for (part, wanted) in parts.into_iter().zip([1.0, 0.5, 1.0, 8.0]) {
            assert!((part - wanted).abs() < 1e-9, "{parts:?}");
        }
        assert!((bill.total().dollars() - 10.5).abs() < 1e-9);
        let odd = Usage { input: 10, cache_read: 90, cache_write: 90, ..Usage::default() };
        let bill = Bill::of(&rates, &odd).unwrap();
        assert_eq!((bill.input, bill.cache_write), (Usd::ZERO, Usd::ZERO));
        assert!(Bill::of(&Rates { output: None, ..rates }, &usage).is_none());
    }
}
