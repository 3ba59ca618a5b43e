//! One target's breaker: closed, open, half-open, and the ramp back.
//!
//! Two signals open it. Five failures in a row catch a target that is plainly down, even with little traffic; half of
//! at least twenty attempts in thirty seconds catches one that answers some. The second is counted exactly, in a ring
//! of one-second buckets: an average that weights by the time between samples can hide a total outage in a burst
//! (linkerd2-proxy's `success_rate` says why).
//!
//! An open breaker lets nothing through for 5 s, then one probe. A probe that fails opens it for twice as long, at most
//! 20 s; one that is answered closes it. Because everybody waited for that moment, the first two seconds after it admit
//! only so many attempts at a time, doubling: a target that is just back is not knocked over again. What is limited is
//! how many are under way, so requests one after the other never notice.
//!
//! Only the probe's own outcome ends the half-open state: an attempt from before the breaker opened carries an older
//! epoch, and its outcome is not counted. Never more than one probe is under way.

mod window;

use std::time::{Duration, Instant};

use crate::resilience::breaker::window::{Counts, Window};

/// Failures in a row that open the breaker.
const STREAK: u32 = 5;
/// The fewest attempts in the window that say anything about a share.
const ENOUGH: u64 = 20;
/// How long the breaker stays open at first, and at most.
const FIRST_OPEN: Duration = Duration::from_secs(5);
const LONGEST_OPEN: Duration = Duration::from_secs(20);
/// What is said of a wait whose end nobody knows: another attempt's outcome decides it.
const MOMENT: Duration = Duration::from_secs(1);
/// The ramp: how many attempts may be under way at first, how often that doubles, and how long the ramp lasts.
const RAMP_FIRST: u32 = 4;
const RAMP_STEP: Duration = Duration::from_millis(250);
const RAMP: Duration = Duration::from_secs(2);

/// The breaker of one target.
#[derive(Debug)]
pub struct Breaker {
    phase: Phase,
    /// Rises whenever the phase changes in a way that makes earlier outcomes meaningless.
    epoch: u64,
    /// Failures in a row since the breaker closed.
    streak: u32,
    window: Window,
}

/// What the breaker does at a moment, as the metric shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Attempts pass.
    Closed,
    /// One probe passes, or is under way.
    HalfOpen,
    /// Nothing passes.
    Open,
}

impl State {
    /// The value of the metric: 0 closed, 1 half-open, 2 open.
    pub fn as_number(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// The right to make one attempt. Hand it back with the attempt's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    epoch: u64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Counted among those under way while the breaker ramps.
    Ramp,
    Probe,
}

impl Pass {
    /// Whether the attempt is the half-open state's probe.
    pub fn is_probe(self) -> bool {
        self.kind == Kind::Probe
    }
}

/// How an attempt ended, as far as the breaker cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The target answered.
    Success,
    /// The target failed.
    Failure,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    /// Closed since `since`, with `under_way` attempts not yet answered.
    Ramp {
        since: Instant,
        under_way: u32,
    },
    Open {
        until: Instant,
        lasting: Duration,
    },
    HalfOpen {
        probing: bool,
        lasting: Duration,
    },
}

impl Breaker {
    /// A closed breaker that has seen nothing.
    pub fn new(now: Instant) -> Self {
        Self { phase: Phase::Closed, epoch: 0, streak: 0, window: Window::new(now) }
    }

    /// Whether an attempt would be admitted at `now`, else how long to wait. Takes nothing.
    pub fn check(&self, now: Instant) -> Result<(), Duration> {
        match self.phase {
            Phase::HalfOpen { probing: true, .. } => Err(MOMENT),
            Phase::Ramp { since, under_way } if under_way >= ramp(since, now) => Err(MOMENT),
            Phase::Closed | Phase::Ramp { .. } | Phase::HalfOpen { probing: false, .. } => Ok(()),
            Phase::Open { until, .. } => {
                let left = until.saturating_duration_since(now);
                if left.is_zero() { Ok(()) } else { Err(left) }
            }
        }
    }

    /// The right to make an attempt at `now`. The first one after the open time is the probe.
    pub fn admit(&mut self, now: Instant) -> Option<Pass> {
        self.check(now).ok()?;
        let kind = match &mut self.phase {
            Phase::Closed => Kind::Plain,
            Phase::Ramp { since, .. } if now.saturating_duration_since(*since) >= RAMP => {
                self.phase = Phase::Closed;
                Kind::Plain
            }
            Phase::Ramp { under_way, .. } => {
                *under_way = under_way.saturating_add(1);
                Kind::Ramp
            }
            Phase::Open { lasting, .. } | Phase::HalfOpen { lasting, .. } => {
                self.phase = Phase::HalfOpen { probing: true, lasting: *lasting };
                Kind::Probe
            }
        };
        Some(Pass { epoch: self.epoch, kind })
    }

    /// The attempt of `pass` has got its first content: a probe has thereby closed the breaker, and a ramp has room for
    /// the next. How the rest of the answer ends is for [`Self::settle`], with the pass that this returns.
    #[must_use]
    pub fn answered(&mut self, pass: Pass, now: Instant) -> Pass {
        if pass.epoch != self.epoch {
            return pass;
        }
        match pass.kind {
            Kind::Plain | Kind::Ramp => self.release(pass),
            Kind::Probe => self.close(now),
        }
        Pass { epoch: self.epoch, kind: Kind::Plain }
    }

    /// The attempt of `pass` has ended. Each pass is either settled or released, once.
    pub fn settle(&mut self, pass: Pass, outcome: Outcome, now: Instant) {
        if pass.epoch != self.epoch {
            return;
        }
        match (pass.kind, outcome) {
            (Kind::Probe, Outcome::Success) => self.close(now),
            (Kind::Probe, Outcome::Failure) => self.reopen(now),
            (Kind::Plain | Kind::Ramp, outcome) => {
                self.release(pass);
                self.count(outcome, now);
            }
        }
    }

    /// Gives `pass` back where nothing was learned: the caller left, or the target was busy or refused this caller.
    pub fn release(&mut self, pass: Pass) {
        match (&mut self.phase, pass.kind) {
            _ if pass.epoch != self.epoch => {}
            (Phase::HalfOpen { probing, .. }, Kind::Probe) => *probing = false,
            (Phase::Ramp { under_way, .. }, Kind::Ramp) => {
                *under_way = under_way.saturating_sub(1);
            }
            (
                Phase::Closed | Phase::Ramp { .. } | Phase::Open { .. } | Phase::HalfOpen { .. },
                Kind::Plain | Kind::Ramp | Kind::Probe,
            ) => {}
        }
    }

    /// The state at `now`: an open breaker whose time is over is half-open, whether or not a probe came.
    pub fn state(&self, now: Instant) -> State {
        match self.phase {
            Phase::Closed | Phase::Ramp { .. } => State::Closed,
            Phase::Open { until, .. } if now < until => State::Open,
            Phase::HalfOpen { .. } | Phase::Open { .. } => State::HalfOpen,
        }
    }

    fn count(&mut self, outcome: Outcome, now: Instant) {
        self.window.add(now, outcome);
        match outcome {
            Outcome::Success => self.streak = 0,
            Outcome::Failure => {
                self.streak = self.streak.saturating_add(1);
                let Counts { all, failed } = self.window.counts(now);
                if self.streak >= STREAK || (all >= ENOUGH && failed.saturating_mul(2) >= all) {
                    self.open(now, FIRST_OPEN);
                }
            }
        }
    }

    fn reopen(&mut self, now: Instant) {
        if let Phase::HalfOpen { lasting, .. } = self.phase {
            self.open(now, lasting.saturating_mul(2).min(LONGEST_OPEN));
        }
    }

    fn open(&mut self, now: Instant, lasting: Duration) {
        let until = now.checked_add(lasting).unwrap_or(now);
        self.phase = Phase::Open { until, lasting };
        self.epoch = self.epoch.saturating_add(1);
    }

    fn close(&mut self, now: Instant) {
        self.phase = Phase::Ramp { since: now, under_way: 0 };
        self.epoch = self.epoch.saturating_add(1);
        self.streak = 0;
        self.window = Window::new(now);
    }
}

/// How many attempts may be under way at `now` in a ramp that began at `since`.
fn ramp(since: Instant, now: Instant) -> u32 {
    let age = now.saturating_duration_since(since);
    if age >= RAMP {
        return u32::MAX;
    }
    let steps = age.as_millis().checked_div(RAMP_STEP.as_millis()).unwrap_or_default();
    let doublings = u32::try_from(steps).unwrap_or(u32::MAX);
    RAMP_FIRST.saturating_mul(2_u32.saturating_pow(doublings))
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

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// An attempt at `now` that ends at once.
    fn attempt(breaker: &mut Breaker, outcome: Outcome, now: Instant) -> bool {
        let Some(pass) = breaker.admit(now) else { return false };
        breaker.settle(pass, outcome, now);
        true
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(now);
        for _ in 0..5 {
            assert!(attempt(&mut breaker, Outcome::Failure, now));
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_for_five_seconds() {
        let now = start();
        let mut breaker = Breaker::new(now);
        for _ in 0..4 {
            attempt(&mut breaker, Outcome::Failure, now);
        }
        assert_eq!(breaker.state(now), State::Closed);
        attempt(&mut breaker, Outcome::Failure, now);
        assert_eq!(breaker.state(now), State::Open);
        assert_eq!(breaker.check(now), Err(seconds(5)));
        assert_eq!(breaker.admit(now + seconds(4)), None);
        assert_eq!(breaker.check(now + seconds(5)), Ok(()));
    }

    #[test]
    fn a_success_between_them_starts_the_count_again() {
        let now = start();
        let mut breaker = Breaker::new(now);
        for _ in 0..3 {
            for _ in 0..4 {
                attempt(&mut breaker, Outcome::Failure, now);
            }
            attempt(&mut breaker, Outcome::Success, now);
            attempt(&mut breaker, Outcome::Success, now);
        }
        assert_eq!(breaker.state(now), State::Closed, "12 of 18 are too few to be a share");
    }

    #[test]
    fn what_taught_nothing_neither_counts_nor_ends_a_streak() {
        let now = start();
        let mut breaker = Breaker::new(now);
        for _ in 0..4 {
            attempt(&mut breaker, Outcome::Failure, now);
            let pass = breaker.admit(now).unwrap();
            breaker.release(pass);
        }
        assert_eq!(breaker.state(now), State::Closed);
        attempt(&mut breaker, Outcome::Failure, now);
        assert_eq!(breaker.state(now), State::Open);
    }

    #[test]
    fn half_of_twenty_open_it() {
        let now = start();
        let mut breaker = Breaker::new(now);
        for second in 0..10 {
            assert_eq!(breaker.state(now + seconds(second)), State::Closed);
            attempt(&mut breaker, Outcome::Success, now + seconds(second));
            attempt(&mut breaker, Outcome::Failure, now + seconds(second));
        }
        assert_eq!(breaker.state(now + seconds(10)), State::Open);
    }

    #[test]
    fn failures_older_than_thirty_seconds_are_forgotten() {
        let now = start();
        let mut dense = Breaker::new(now);
        let mut opened = false;
        for second in (0..30).step_by(2) {
            attempt(&mut dense, Outcome::Success, now + seconds(second));
            attempt(&mut dense, Outcome::Failure, now + seconds(second + 1));
            opened |= dense.state(now + seconds(second + 1)) == State::Open;
        }
        assert!(opened, "30 in 30 s, half of them failed");
        let mut sparse = Breaker::new(now);
        for second in (0..300).step_by(4) {
            attempt(&mut sparse, Outcome::Success, now + seconds(second));
            attempt(&mut sparse, Outcome::Failure, now + seconds(second + 2));
            let state = sparse.state(now + seconds(second + 2));
            assert_eq!(state, State::Closed, "at most 16 in 30 s");
        }
    }

    #[test]
    fn each_failed_probe_doubles_the_wait_up_to_twenty_seconds() {
        let mut now = start();
        let mut breaker = opened(now);
        for open in [5, 10, 20, 20] {
            assert_eq!(breaker.check(now), Err(seconds(open)));
            now += seconds(open);
            assert_eq!(breaker.state(now), State::HalfOpen);
            attempt(&mut breaker, Outcome::Failure, now);
        }
        now += seconds(20);
        assert!(attempt(&mut breaker, Outcome::Success, now));
        assert_eq!(breaker.state(now), State::Closed);
        for _ in 0..5 {
            attempt(&mut breaker, Outcome::Failure, now);
        }
        assert_eq!(
            breaker.check(now),
            Err(seconds(5)),
            "an answered probe makes the wait short again"
        );
    }

    #[test]
    fn a_probe_that_taught_nothing_leaves_room_for_the_next() {
        let now = start();
        let mut breaker = opened(now);
        let later = now + seconds(5);
        let probe = breaker.admit(later).unwrap();
        assert!(probe.is_probe());
        assert_eq!((breaker.admit(later), breaker.check(later)), (None, Err(MOMENT)));
        breaker.release(probe);
        assert_eq!(breaker.state(later), State::HalfOpen);
        assert!(breaker.admit(later).unwrap().is_probe());
    }

    #[test]
    fn a_probe_closes_it_with_its_first_content() {
        let now = start();
        let mut breaker = opened(now);
        let later = now + seconds(5);
        let probe = breaker.admit(later).unwrap();
        let rest = breaker.answered(probe, later);
        assert_eq!(breaker.state(later), State::Closed);
        assert!(!rest.is_probe());
        for _ in 0..4 {
            attempt(&mut breaker, Outcome::Failure, later);
        }
        breaker.settle(rest, Outcome::Failure, later);
        assert_eq!(breaker.state(later), State::Open, "the break after it counts like any other");
    }

    #[test]
    fn outcomes_from_before_do_not_end_the_probing() {
        let now = start();
        let mut breaker = Breaker::new(now);
        let slow: Vec<Pass> = (0..10).map(|_| breaker.admit(now).unwrap()).collect();
        for _ in 0..5 {
            attempt(&mut breaker, Outcome::Failure, now);
        }
        let later = now + seconds(5);
        let probe = breaker.admit(later).unwrap();
        for pass in &slow {
            breaker.settle(*pass, Outcome::Failure, later);
            assert_eq!(breaker.answered(*pass, later), *pass);
        }
        assert_eq!(breaker.state(later), State::HalfOpen);
        breaker.settle(probe, Outcome::Success, later);
        for pass in slow {
            breaker.settle(pass, Outcome::Failure, later);
        }
        assert_eq!(breaker.state(later), State::Closed);
    }

    #[test]
    fn a_target_that_is_back_is_not_stormed() {
        let now = start();
        let mut breaker = opened(now);
        let back = now + seconds(5);
        attempt(&mut breaker, Outcome::Success, back);
        for _ in 0..1_000 {
            assert!(
                attempt(&mut breaker, Outcome::Success, back),
                "one after the other never waits"
            );
        }
        let admitted = |breaker: &mut Breaker, at: Instant| {
            std::iter::from_fn(|| breaker.admit(at)).take(10_000).count()
        };
        assert_eq!(admitted(&mut breaker, back), 4);
        assert_eq!(breaker.check(back), Err(MOMENT));
        assert_eq!(admitted(&mut breaker, back + RAMP_STEP), 4, "8 in all");
        assert_eq!(admitted(&mut breaker, back + RAMP), 10_000);
        assert_eq!(breaker.check(back + RAMP), Ok(()));
    }

    /// What a caller of the breaker may do; the numbers choose among the passes that are out.
    #[derive(Debug, Clone)]
    enum Step {
        Admit,
        Answered(usize),
        Settle(usize, Outcome),
        Release(usize),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let outcome = prop_oneof![
            3 => Just(Outcome::Failure),
            1 => Just(Outcome::Success),
        ];
        prop_oneof![
            4 => Just(Step::Admit),
            1 => any::<usize>().prop_map(Step::Answered),
            4 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::Settle(which, outcome)),
            1 => any::<usize>().prop_map(Step::Release),
            1 => (0..9_000_u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn never_more_than_one_probe(steps in prop::collection::vec(step(), 0..300)) {
            let mut now = start();
            let mut breaker = Breaker::new(now);
            let mut out: Vec<Pass> = Vec::new();
            for step in steps {
                match step {
                    Step::Admit => {
                        let promised = breaker.check(now).is_ok();
                        let pass = breaker.admit(now);
                        prop_assert_eq!(promised, pass.is_some(), "check foretells admit");
                        out.extend(pass);
                    }
                    Step::Answered(which) if !out.is_empty() => {
                        let which = which % out.len();
                        out[which] = breaker.answered(out[which], now);
                    }
                    Step::Settle(which, outcome) if !out.is_empty() => {
                        let which = which % out.len();
                        breaker.settle(out.swap_remove(which), outcome, now);
                    }
                    Step::Release(which) if !out.is_empty() => {
                        let which = which % out.len();
                        breaker.release(out.swap_remove(which));
                    }
                    Step::Answered(_) | Step::Settle(..) | Step::Release(_) => {}
                    Step::Wait(milliseconds) => now += Duration::from_millis(milliseconds),
                }
                let probes = out.iter().filter(|pass| pass.is_probe()).count();
                prop_assert!(probes <= 1, "{probes} probes");
                prop_assert_eq!(probes == 1, matches!(breaker.phase, Phase::HalfOpen { probing: true, .. }));
                prop_assert!(breaker.check(now).err().unwrap_or_default() <= LONGEST_OPEN);
            }
        }
    }
}
