//! The retry budget: how many attempts beyond the first there may be, all requests together.
//!
//! When every provider fails, each request would be tried as often as its settings allow, and an outage would be
//! answered with several times the traffic. So repeats are limited to a share of recent requests, with a floor that
//! lets a quiet process repeat at all. The first move to another target is free and not counted: it is what failover
//! is for, and it can at most double the traffic.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Repeats for each hundred recent requests.
const PERCENT: u64 = 20;
/// Repeats for each second, whatever the traffic.
const FLOOR: u64 = 10;
/// How many seconds are recent.
const SECONDS: usize = 10;

/// The budget of a process.
#[derive(Debug)]
pub struct Budget {
    origin: Instant,
    recent: Mutex<Recent>,
}

/// An attempt beyond a request's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The request's first move to another target: never refused.
    FirstMove,
    /// Another try of the same target, or a later move.
    Further,
}

#[derive(Debug, Default)]
struct Recent {
    buckets: [Bucket; SECONDS],
    latest: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    requests: u64,
    repeats: u64,
}

impl Budget {
    /// The budget of a process that has served nothing.
    pub fn new(now: Instant) -> Self {
        Self { origin: now, recent: Mutex::new(Recent::default()) }
    }

    /// Counts a request: to be called once for each that is attempted at all.
    pub fn request(&self, now: Instant) {
        if let Some(bucket) = self.recent.lock().at(self.second(now)) {
            bucket.requests = bucket.requests.saturating_add(1);
        }
    }

    /// Whether the repeat may be made; if so it is counted.
    pub fn allow(&self, repeat: Repeat, now: Instant) -> bool {
        if repeat == Repeat::FirstMove {
            return true;
        }
        let second = self.second(now);
        let mut recent = self.recent.lock();
        let Some(_) = recent.at(second) else { return false };
        let (requests, repeats) = recent.sums();
        let share = requests.saturating_mul(PERCENT).checked_div(100).unwrap_or_default();
        let floor = FLOOR.saturating_mul(SECONDS as u64);
        if repeats >= share.saturating_add(floor) {
            return false;
        }
        if let Some(bucket) = recent.at(second) {
            bucket.repeats = bucket.repeats.saturating_add(1);
        }
        true
    }

    fn second(&self, now: Instant) -> u64 {
        Duration::as_secs(&now.saturating_duration_since(self.origin))
    }
}

impl Recent {
    /// The bucket of this second, after those of the seconds since the last one were emptied.
    fn at(&mut self, second: u64) -> Option<&mut Bucket> {
        let second = second.max(self.latest);
        let passed = second.saturating_sub(self.latest).min(SECONDS as u64);
        for back in 0..passed {
            if let Some(bucket) = self.bucket(second.saturating_sub(back)) {
                *bucket = Bucket::default();
            }
        }
        self.latest = second;
        self.bucket(second)
    }

    fn bucket(&mut self, second: u64) -> Option<&mut Bucket> {
        let at = usize::try_from(second.checked_rem(SECONDS as u64)?).ok()?;
        self.buckets.get_mut(at)
    }

    fn sums(&self) -> (u64, u64) {
        self.buckets.iter().fold((0_u64, 0_u64), |(requests, repeats), bucket| {
            (requests.saturating_add(bucket.requests), repeats.saturating_add(bucket.repeats))
        })
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the numbers are the test's own")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do: all others are made from it"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_first_move_is_never_refused_and_costs_nothing() {
        let now = start();
        let budget = Budget::new(now);
        assert!((0..100_000).all(|_| budget.allow(Repeat::FirstMove, now)));
        assert!(budget.allow(Repeat::Further, now));
    }

    #[test]
    fn a_quiet_process_has_the_floor_and_gets_it_back() {
        let now = start();
        let budget = Budget::new(now);
        let spent = |at: Instant| (0..1_000).filter(|_| budget.allow(Repeat::Further, at)).count();
        assert_eq!(spent(now), 100);
        assert_eq!(spent(now + Duration::from_secs(9)), 0);
        assert_eq!(spent(now + Duration::from_secs(10)), 100);
    }

    proptest! {
        /// E15: with every upstream failing, repeats stay within a fifth of the requests and the floor.
        #[test]
        fn an_outage_is_not_multiplied(each_second in 0..300_u64, wanted in 1..4_u64) {
            let begun = start();
            let budget = Budget::new(begun);
            let (mut requests, mut repeats) = (0, 0);
            for second in 0..60 {
                let now = begun + Duration::from_secs(second);
                for _ in 0..each_second {
                    budget.request(now);
                    requests += 1;
                    for _ in 0..wanted {
                        repeats += u64::from(budget.allow(Repeat::Further, now));
                    }
                }
            }
            let seconds = 60 + SECONDS as u64;
            prop_assert!(repeats <= requests * PERCENT / 100 + FLOOR * seconds);
        }
    }
}
