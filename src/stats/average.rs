//! An average that forgets: each new value takes a little weight from all that came before.
//!
//! The weight of the past is bounded by a number of samples rather than by time: what is averaged here (answer
//! lengths, token counts, cache hits) changes with use, not with the hour. What changes with the hour is in `ttft`.

/// A running average of finite values; empty until the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Average {
    weight: f64,
    total: f64,
}

impl Average {
    /// Adds `value`; the past weighs at most `memory` samples. A value that is not finite teaches nothing.
    pub fn add(&mut self, value: f64, memory: f64) {
        if !value.is_finite() {
            return;
        }
        let keep = 1.0 - 1.0 / memory.max(1.0);
        self.weight = self.weight * keep + 1.0;
        self.total = self.total * keep + value;
    }

    /// The average as if `prior` had been seen `strength` times as well; `prior` itself where nothing was seen.
    pub fn toward(&self, prior: f64, strength: f64) -> f64 {
        let weight = self.weight + strength;
        if weight > 0.0 { (self.total + prior * strength) / weight } else { prior }
    }

    /// How many recent samples the average is worth.
    pub fn weight(&self) -> f64 {
        self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_from_the_prior_to_what_is_seen() {
        let mut average = Average::default();
        assert!((average.toward(10.0, 0.0) - 10.0).abs() < 1e-12);
        average.add(20.0, 64.0);
        assert!((average.toward(10.0, 1.0) - 15.0).abs() < 1e-12);
        for _ in 0..1000 {
            average.add(20.0, 64.0);
        }
        assert!(average.toward(10.0, 1.0) > 19.8);
        assert!(average.weight() <= 64.0 + 1e-9);
    }

    #[test]
    fn what_is_not_a_number_teaches_nothing() {
        let mut average = Average::default();
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            average.add(bad, 64.0);
        }
        assert_eq!(average, Average::default());
    }
}
