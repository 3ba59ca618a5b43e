//! The attempts of the last thirty seconds, counted exactly in a ring of one-second buckets.

use std::time::Instant;

use crate::resilience::breaker::Outcome;

/// The buckets, of one second each.
const BUCKETS: usize = 30;

/// Successes and failures of the last thirty seconds, exactly, by the second.
#[derive(Debug)]
pub(super) struct Window {
    origin: Instant,
    buckets: [Counts; BUCKETS],
    /// The number of the second that was written last, counted from `origin`.
    latest: u64,
}

/// How many attempts ended, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// All of them.
    pub(super) all: u64,
    /// Those that failed.
    pub(super) failed: u64,
}

impl Window {
    pub(super) fn new(origin: Instant) -> Self {
        Self { origin, buckets: [Counts::default(); BUCKETS], latest: 0 }
    }

    pub(super) fn add(&mut self, now: Instant, outcome: Outcome) {
        self.advance(now);
        if let Some(bucket) = self.bucket(self.latest) {
            bucket.all = bucket.all.saturating_add(1);
            bucket.failed = bucket.failed.saturating_add(u64::from(outcome == Outcome::Failure));
        }
    }

    pub(super) fn counts(&mut self, now: Instant) -> Counts {
        self.advance(now);
        self.buckets.iter().fold(Counts::default(), |sum, bucket| Counts {
            all: sum.all.saturating_add(bucket.all),
            failed: sum.failed.saturating_add(bucket.failed),
        })
    }

    /// Empties the buckets of the seconds since the last one. A `now` before that belongs to the last one.
    fn advance(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.origin).as_secs().max(self.latest);
        let passed = second.saturating_sub(self.latest).min(BUCKETS as u64);
        for back in 0..passed {
            if let Some(bucket) = self.bucket(second.saturating_sub(back)) {
                *bucket = Counts::default();
            }
        }
        self.latest = second;
    }

    fn bucket(&mut self, second: u64) -> Option<&mut Counts> {
        let at = usize::try_from(second.checked_rem(BUCKETS as u64)?).ok()?;
        self.buckets.get_mut(at)
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the numbers are the test's own")]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do: all others are made from it"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    proptest! {
        #[test]
        fn the_window_equals_brute_force(
            samples in prop::collection::vec((0..4_000_u64, any::<bool>()), 0..200),
        ) {
            let origin = start();
            let mut window = Window::new(origin);
            let mut all: Vec<(u64, bool)> = Vec::new();
            let mut milliseconds = 0;
            for (wait, success) in samples {
                milliseconds += wait;
                let now = origin + Duration::from_millis(milliseconds);
                window.add(now, if success { Outcome::Success } else { Outcome::Failure });
                all.push((milliseconds / 1000, success));
                let oldest = (milliseconds / 1000).saturating_sub(BUCKETS as u64 - 1);
                let recent = all.iter().filter(|(second, _)| *second >= oldest);
                let wanted = Counts {
                    all: recent.clone().count() as u64,
                    failed: recent.filter(|(_, success)| !success).count() as u64,
                };
                prop_assert_eq!(window.counts(now), wanted);
            }
        }
    }
}
