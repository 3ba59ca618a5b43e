//! What may be tried, where and when: the health of every target, as this process knows it.
//!
//! [`Health`] joins a breaker and a cooldown for each target, by its stable identity, so that both survive a reload that
//! leaves the target in place. Planning asks [`Health::check`], which takes nothing; an attempt asks [`Health::admit`]
//! and gets a [`Permit`], which is handed back with the outcome, or dropped where nothing was learned: a caller who
//! leaves neither harms a target nor keeps its probe. The number of targets is bounded by the catalog and by a cap.
//!
//! Everything here is pure: the time and the dice come in as arguments.

pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod exhausted;
pub mod failure;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{
    bounded::BoundedMap,
    ids::TargetId,
    resilience::{
        breaker::{Breaker, Outcome, Pass, State},
        failure::{Cooldown, Failure, Why},
    },
};

/// The most targets whose health is known. The one tried least recently is forgotten, which makes it healthy.
const TARGETS: usize = 16_384;

/// The health of every target. Cheap to clone: all clones are the same health.
#[derive(Clone)]
pub struct Health(Arc<Mutex<BoundedMap<TargetId, Condition>>>);

struct Condition {
    breaker: Breaker,
    cooling: Option<Cooling>,
}

#[derive(Clone, Copy)]
struct Cooling {
    until: Instant,
    why: Why,
}

/// Why a target is not tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable {
    /// What keeps it from being tried.
    pub gate: Gate,
    /// When to ask again.
    pub retry_after: Duration,
}

/// What keeps a target from being tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It failed too often.
    Breaker,
    /// It asked to be left alone, or refuses us.
    Cooldown,
}

impl Gate {
    /// The gate's name in an explanation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::Cooldown => "cooldown",
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: next try in {} ms", self.gate.as_str(), self.retry_after.as_millis())
    }
}

/// The right to make one attempt at a target. Dropped without an outcome, it leaves the target as it was.
#[must_use]
pub struct Permit {
    health: Health,
    target: TargetId,
    /// Absent once it was settled.
    pass: Option<Pass>,
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(BoundedMap::new(TARGETS))))
    }
}

impl Health {
    /// Whether `target` may be tried at `now`. Takes nothing: for planning.
    pub fn check(&self, target: &TargetId, now: Instant) -> Result<(), Unavailable> {
        self.0.lock().get(target).map_or(Ok(()), |condition| condition.check(now))
    }

    /// The right to try `target` at `now`, and with it the half-open state's probe, where that is what it is.
    pub fn admit(&self, target: &TargetId, now: Instant) -> Option<Permit> {
        let mut conditions = self.0.lock();
        let condition = conditions.entry(target, || Condition::new(now));
        condition.check(now).ok()?;
        let pass = condition.breaker.admit(now)?;
        Some(Permit { health: self.clone(), target: target.clone(), pass: Some(pass) })
    }

    /// When the first of `targets` that are unavailable at `now` may be tried again.
    pub fn soonest<'a>(
        &self,
        targets: impl IntoIterator<Item = &'a TargetId>,
        now: Instant,
    ) -> Option<Duration> {
        targets
            .into_iter()
            .filter_map(|target| self.check(target, now).err())
            .map(|unavailable| unavailable.retry_after)
            .min()
    }

    /// The breaker's state at `now`, for the metric.
    pub fn state(&self, target: &TargetId, now: Instant) -> State {
        let conditions = self.0.lock();
        conditions.get(target).map_or(State::Closed, |condition| condition.breaker.state(now))
    }

    /// For how long from `now` on `target` is left alone because it asked for that, or refuses us.
    pub fn cooldown(&self, target: &TargetId, now: Instant) -> Option<Duration> {
        let conditions = self.0.lock();
        let cooling = conditions.get(target).and_then(|condition| condition.cooling)?;
        Some(cooling.until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Whether `target` is set aside at `now` because it refuses our credential or our account.
    pub fn is_misconfigured(&self, target: &TargetId, now: Instant) -> bool {
        let conditions = self.0.lock();
        conditions
            .get(target)
            .and_then(|condition| condition.cooling)
            .is_some_and(|cooling| cooling.why == Why::Misconfigured && now < cooling.until)
    }

    /// Forgets every target that `keep` says no to: to be called with each new catalog.
    pub fn retain(&self, mut keep: impl FnMut(&TargetId) -> bool) {
        self.0.lock().retain(|target, _| keep(target));
    }

    /// How many targets have had to make room for others.
    pub fn evicted(&self) -> u64 {
        self.0.lock().evicted()
    }
}

impl Permit {
    /// The target that may be tried.
    pub fn target(&self) -> &TargetId {
        &self.target
    }

    /// Whether the attempt decides if the breaker closes.
    pub fn is_probe(&self) -> bool {
        self.pass.is_some_and(Pass::is_probe)
    }

    /// The attempt has got its first content. To be called as soon as that is known, so that a probe whose answer takes
    /// minutes does not keep others waiting; how the answer ends is reported with the methods that follow.
    pub fn answered(&mut self, now: Instant) {
        let Some(pass) = self.pass else { return };
        self.pass = self.with(|condition| condition.breaker.answered(pass, now));
    }

    /// The attempt ended well.
    pub fn succeeded(mut self, now: Instant) {
        self.settle(Outcome::Success, now);
    }

    /// The attempt failed, before or after its first content: the breaker and the cooldown learn what it says.
    pub fn failed(mut self, failure: &Failure, now: Instant) {
        if let Some(cooldown) = failure.cooldown {
            self.with(|condition| condition.cool(cooldown, now));
        }
        if failure.trips {
            self.settle(Outcome::Failure, now);
        }
    }

    fn settle(&mut self, outcome: Outcome, now: Instant) {
        if let Some(pass) = self.pass.take() {
            self.with(|condition| condition.breaker.settle(pass, outcome, now));
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Condition) -> T) -> Option<T> {
        self.health.0.lock().touch(&self.target).map(act)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.with(|condition| condition.breaker.release(pass));
        }
    }
}

impl Condition {
    fn new(now: Instant) -> Self {
        Self { breaker: Breaker::new(now), cooling: None }
    }

    /// Of a breaker and a cooldown that both stand in the way, the one that lasts longer.
    fn check(&self, now: Instant) -> Result<(), Unavailable> {
        let cooling = self
            .cooling
            .map_or(Duration::ZERO, |cooling| cooling.until.saturating_duration_since(now));
        match self.breaker.check(now) {
            Err(retry_after) if retry_after >= cooling => {
                Err(Unavailable { gate: Gate::Breaker, retry_after })
            }
            Ok(()) if cooling.is_zero() => Ok(()),
            Ok(()) | Err(_) => Err(Unavailable { gate: Gate::Cooldown, retry_after: cooling }),
        }
    }

    /// A cooldown never shortens one that is going on.
    fn cool(&mut self, cooldown: Cooldown, now: Instant) {
        let until = now.checked_add(cooldown.wait).unwrap_or(now);
        if self.cooling.is_none_or(|cooling| cooling.until <= until) {
            self.cooling = Some(Cooling { until, why: cooldown.why });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{ModelId, ProviderId},
        resilience::failure::Refusal,
    };

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

    fn target(name: &str) -> TargetId {
        let model = ModelId::parse(name).unwrap();
        TargetId::new(&model, &ProviderId::parse("p").unwrap(), name)
    }

    fn status(status: u16, wait: Option<u64>) -> Failure {
        Failure::of_status(&Refusal {
            status,
            retry_after: wait.map(seconds),
            too_long: false,
            callers_credential: false,
        })
    }

    fn fail(health: &Health, target: &TargetId, failure: Failure, now: Instant) {
        health.admit(target, now).unwrap().failed(&failure, now);
    }

    fn opened(health: &Health, target: &TargetId, now: Instant) {
        for _ in 0..5 {
            fail(health, target, status(500, None), now);
        }
    }

    #[test]
    fn a_target_nobody_tried_is_healthy() {
        let health = Health::default();
        assert_eq!(health.check(&target("a"), start()), Ok(()));
        assert_eq!(health.state(&target("a"), start()), State::Closed);
        assert_eq!(health.soonest([&target("a")], start()), None);
    }

    #[test]
    fn a_limited_target_cools_and_others_are_not_punished() {
        let (health, now) = (Health::default(), start());
        let (limited, other) = (target("a"), target("b"));
        fail(&health, &limited, status(429, Some(3)), now);
        let unavailable = health.check(&limited, now).unwrap_err();
        assert_eq!(unavailable, Unavailable { gate: Gate::Cooldown, retry_after: seconds(3) });
        assert_eq!(health.cooldown(&limited, now + seconds(1)), Some(seconds(2)));
        assert_eq!(health.cooldown(&limited, now + seconds(3)), None);
        assert_eq!(health.cooldown(&other, now), None);
        assert!(health.admit(&limited, now + seconds(2)).is_none());
        assert!(health.admit(&other, now).is_some());
        assert!(health.admit(&limited, now + seconds(3)).is_some());
    }

    #[test]
    fn limits_never_open_the_breaker() {
        let (health, now) = (Health::default(), start());
        for round in 0..50 {
            let now = now + seconds(round * 100);
            fail(&health, &target("a"), status(if round % 2 == 0 { 429 } else { 401 }, None), now);
            assert_eq!(health.state(&target("a"), now), State::Closed);
        }
    }

    #[test]
    fn a_shorter_wait_does_not_end_a_longer_one() {
        let (health, now) = (Health::default(), start());
        let permits: Vec<Permit> = (0..2).filter_map(|_| health.admit(&target("a"), now)).collect();
        for (permit, wait) in permits.into_iter().zip([30, 1]) {
            permit.failed(&status(429, Some(wait)), now);
        }
        assert_eq!(health.check(&target("a"), now).unwrap_err().retry_after, seconds(30));
    }

    #[test]
    fn a_refused_credential_is_seen_until_the_target_may_be_tried() {
        let (health, now) = (Health::default(), start());
        fail(&health, &target("a"), status(401, None), now);
        assert!(health.is_misconfigured(&target("a"), now + seconds(59)));
        assert!(!health.is_misconfigured(&target("a"), now + seconds(60)));
        assert!(health.check(&target("a"), now + seconds(60)).is_ok());
        assert!(!health.is_misconfigured(&target("b"), now));
    }

    #[test]
    fn an_open_breaker_lets_one_probe_through() {
        let (health, now) = (Health::default(), start());
        let down = target("a");
        opened(&health, &down, now);
        let unavailable = health.check(&down, now).unwrap_err();
        assert_eq!(unavailable, Unavailable { gate: Gate::Breaker, retry_after: seconds(5) });
        let later = now + seconds(5);
        let probe = health.admit(&down, later).unwrap();
        assert!(probe.is_probe() && health.admit(&down, later).is_none());
        drop(probe);
        let mut probe = health.admit(&down, later).unwrap();
        assert!(probe.is_probe(), "a caller who left keeps no probe");
        probe.answered(later);
        assert_eq!(health.state(&down, later), State::Closed);
        probe.succeeded(later);
        assert!(health.admit(&down, later).is_some_and(|permit| !permit.is_probe()));
    }

    #[test]
    fn the_soonest_of_all_is_told() {
        let (health, now) = (Health::default(), start());
        opened(&health, &target("a"), now);
        fail(&health, &target("b"), status(429, Some(2)), now);
        let both = [target("a"), target("b"), target("c")];
        assert_eq!(health.soonest(&both, now), Some(seconds(2)));
        assert_eq!(health.soonest(&both, now + seconds(3)), Some(seconds(2)));
        assert_eq!(health.soonest(&both, now + seconds(9)), None);
    }

    #[test]
    fn of_two_reasons_the_longer_one_is_told() {
        let (health, now) = (Health::default(), start());
        let permits: Vec<Permit> = (0..6).filter_map(|_| health.admit(&target("a"), now)).collect();
        for (number, permit) in permits.into_iter().enumerate() {
            let failure = status(if number == 0 { 429 } else { 500 }, (number == 0).then_some(9));
            permit.failed(&failure, now);
        }
        assert_eq!(health.check(&target("a"), now).unwrap_err().gate, Gate::Cooldown);
    }

    #[test]
    fn a_target_that_left_the_catalog_is_forgotten() {
        let (health, now) = (Health::default(), start());
        opened(&health, &target("a"), now);
        opened(&health, &target("b"), now);
        let pending = health.admit(&target("c"), now).unwrap();
        health.retain(|kept| *kept == target("a"));
        pending.failed(&status(500, None), now);
        assert!(health.check(&target("a"), now).is_err());
        assert!(health.check(&target("b"), now).is_ok());
    }
}
