//! How soon a target begins to answer: an estimate that ages, depends on the size of the prompt, and never mistakes a
//! fast failure for a fast target.
//!
//! The model is a line in logarithms: `ln ttft = α + β · ln(1 + n / N0)` for a prompt of `n` uncached tokens. It is flat
//! for small prompts, where queueing and the network dominate, and a power of `n` for large ones, where reading the
//! prompt does; in logarithms errors are ratios, predictions stay positive, and one outlier of a minute moves a mean of
//! 300 ms by a factor, not by seconds. α and β are fitted by Bayesian linear regression (the textbook conjugate update,
//! e.g. Bishop 2006, §3.3) on sums that fade with a half-life of `HALF_LIFE` and hold at most `MEMORY` samples, so
//! that busy targets follow a change within that many requests. β leans on `SLOPE`. α leans, by one sample's worth,
//! on the target's own level of the last hours (half-life `LEVEL_HALF_LIFE`; answers only), so that a target that
//! had a bad quarter of an hour is expected to be its old self again once those samples have faded, and before that on
//! a prior from outside where there is one. Without any of these there is no prediction: what is unknown is absent.
//!
//! A failure enters as a time of `PENALTY` times what it took or what was expected, whichever is longer, and at
//! least `PENALTY_FLOOR`. The interval is the one that holds four of five answers, from the residual variance and
//! the uncertainty of the fit, and so it widens as samples fade.

use std::time::{Duration, Instant};

/// The prompt size, in tokens, from which on size matters more than the rest.
const SCALE: f64 = 2048.0;
/// The slope expected before it was seen: nearly proportional to the prompt for large ones.
const SLOPE: f64 = 0.7;
/// How many samples (at unit distance) the expected slope is worth.
const SLOPE_STRENGTH: f64 = 2.0;
/// After this time a sample weighs half.
const HALF_LIFE: Duration = Duration::from_mins(5);
/// The weight that past samples can have together.
const MEMORY: f64 = 64.0;
/// The half-life of the level that fading estimates return to.
const LEVEL_HALF_LIFE: Duration = Duration::from_hours(6);
/// A failure counts as this many times what it took.
const PENALTY: f64 = 4.0;
/// A failure counts as at least this many seconds.
const PENALTY_FLOOR: f64 = 5.0;
/// The variance of `ln ttft` around the line expected before it was seen, a factor of about 1.6 either way.
const VARIANCE: f64 = 0.25;
/// How many samples the expected variance is worth.
const VARIANCE_STRENGTH: f64 = 4.0;
/// The deviation, in standard ones, that 80 % of a normal distribution lie within.
const INTERVAL: f64 = 1.2816;
/// The range of times that is told apart, in seconds.
const RANGE: (f64, f64) = (1e-4, 3600.0);
/// A target is failing while this much weight of failures is left and outweighs its answers.
const FAILING: f64 = 0.5;
/// Weight below which samples have faded for good.
const GONE: f64 = 1e-6;

/// What is known about the time until a target begins to answer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Prediction {
    /// The median of the time to first content; absent where nothing is known.
    pub ttft: Option<Duration>,
    /// One of ten answers is expected to start sooner.
    pub low: Option<Duration>,
    /// One of ten answers is expected to start later.
    pub high: Option<Duration>,
    /// Measured times to first content that entered, ever.
    pub samples: u64,
    /// How many recent samples, failures among them, the estimate is worth: it fades with their age.
    pub weight: f64,
    /// Whether more of the recent attempts failed than answered.
    pub failing: bool,
}

/// The estimate of one target.
#[derive(Debug, Clone, Copy, Default)]
pub struct FirstToken {
    at: Option<Instant>,
    sums: Sums,
    /// The mean of `ln ttft − SLOPE · z` over answers of the last hours.
    level: f64,
    level_weight: f64,
    answers: f64,
    failures: f64,
    measured: u64,
}

/// Weighted sums of the regression; `z` is the transformed size, `y` the logarithm of the time.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    weight: f64,
    z: f64,
    zz: f64,
    y: f64,
    zy: f64,
    yy: f64,
}

/// A fitted line and its uncertainty.
struct Fit {
    level: f64,
    slope: f64,
    variance: f64,
    /// The inverse of the precision matrix, up to `variance`: of the level, of both, of the slope.
    spread: (f64, f64, f64),
}

/// What the level leans on.
#[derive(Clone, Copy)]
struct Lean {
    level: f64,
    strength: f64,
}

impl FirstToken {
    /// Learns that a prompt worth `tokens` uncached ones was answered from `ttft` on.
    pub fn learn(&mut self, now: Instant, tokens: f64, ttft: Duration) {
        self.age(now);
        let (z, y) = (size(tokens), logarithm(ttft.as_secs_f64()));
        self.add(z, y);
        self.answers += 1.0;
        self.level_weight += 1.0;
        self.level += (y - SLOPE * z - self.level) / self.level_weight;
        self.measured = self.measured.saturating_add(1);
    }

    /// Learns that an attempt with a prompt worth `tokens` uncached ones failed after `elapsed`.
    pub fn fail(&mut self, now: Instant, tokens: f64, elapsed: Duration) {
        self.age(now);
        let expected = self.predict(tokens, None, now).ttft.map_or(0.0, |ttft| ttft.as_secs_f64());
        let took = elapsed.as_secs_f64().max(expected) * PENALTY;
        self.add(size(tokens), logarithm(took.max(PENALTY_FLOOR)));
        self.failures += 1.0;
    }

    /// The time until a prompt worth `tokens` uncached ones is answered; `prior` is an outside source's word for it,
    /// for a prompt of ordinary size.
    pub fn predict(&self, tokens: f64, prior: Option<Duration>, now: Instant) -> Prediction {
        let elapsed = self.elapsed(now);
        let keep = fade(elapsed, HALF_LIFE);
        let sums = self.sums.scaled(keep);
        let (answers, failures) = (self.answers * keep, self.failures * keep);
        let known = Prediction {
            samples: self.measured,
            weight: sums.weight,
            failing: failures > answers && failures >= FAILING,
            ..Prediction::default()
        };
        let lean = self.lean(prior, fade(elapsed, LEVEL_HALF_LIFE));
        if lean.strength < GONE {
            // Only failures: how fast it would be is not known.
            return known;
        }
        let Some(fit) = sums.fit(lean) else { return known };
        let z = size(tokens);
        let (middle, deviation) = (fit.at(z), fit.deviation(z));
        Prediction {
            ttft: Some(time(middle)),
            low: Some(time(middle - INTERVAL * deviation)),
            high: Some(time(middle + INTERVAL * deviation)),
            ..known
        }
    }

    /// The level to lean on: the target's own of the last hours and, the less there is of it, a prior from outside.
    fn lean(&self, prior: Option<Duration>, keep: f64) -> Lean {
        let own = (self.level_weight * keep).min(1.0);
        let Some(prior) = prior else { return Lean { level: self.level, strength: own } };
        let outside = 1.0 - own + GONE;
        let level = logarithm(prior.as_secs_f64());
        Lean {
            level: (self.level * own + level * outside) / (own + outside),
            strength: own + outside,
        }
    }

    fn elapsed(&self, now: Instant) -> Duration {
        self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    fn age(&mut self, now: Instant) {
        let elapsed = self.elapsed(now);
        let keep = fade(elapsed, HALF_LIFE);
        self.sums = self.sums.scaled(keep);
        self.answers *= keep;
        self.failures *= keep;
        self.level_weight *= fade(elapsed, LEVEL_HALF_LIFE);
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
    }

    fn add(&mut self, z: f64, y: f64) {
        let keep = 1.0 - 1.0 / MEMORY;
        self.sums = self.sums.scaled(keep);
        self.answers *= keep;
        self.failures *= keep;
        self.sums.add(z, y);
    }
}

impl Sums {
    fn scaled(self, keep: f64) -> Self {
        Self {
            weight: self.weight * keep,
            z: self.z * keep,
            zz: self.zz * keep,
            y: self.y * keep,
            zy: self.zy * keep,
            yy: self.yy * keep,
        }
    }

    fn add(&mut self, z: f64, y: f64) {
        self.weight += 1.0;
        self.z += z;
        self.zz += z * z;
        self.y += y;
        self.zy += z * y;
        self.yy += y * y;
    }

    /// The regression of `y − SLOPE · z`, whose slope leans on zero and whose level leans on `lean`.
    fn fit(&self, lean: Lean) -> Option<Fit> {
        let y = self.y - SLOPE * self.z;
        let zy = self.zy - SLOPE * self.zz;
        let yy = self.yy - 2.0 * SLOPE * self.zy + SLOPE * SLOPE * self.zz;
        let (level_weight, slope_weight) = (self.weight + lean.strength, self.zz + SLOPE_STRENGTH);
        let determinant = level_weight * slope_weight - self.z * self.z;
        if !(determinant.is_finite() && determinant > GONE * GONE) {
            return None;
        }
        let right = y + lean.strength * lean.level;
        let level = (slope_weight * right - self.z * zy) / determinant;
        let slope = (level_weight * zy - self.z * right) / determinant;
        let residual = yy + lean.strength * lean.level * lean.level - level * right - slope * zy;
        Some(Fit {
            level,
            slope: (slope + SLOPE).max(0.0),
            variance: (VARIANCE * VARIANCE_STRENGTH + residual.max(0.0))
                / (VARIANCE_STRENGTH + self.weight),
            spread: (slope_weight / determinant, -self.z / determinant, level_weight / determinant),
        })
    }
}

impl Fit {
    fn at(&self, z: f64) -> f64 {
        self.level + self.slope * z
    }

    fn deviation(&self, z: f64) -> f64 {
        let (level, both, slope) = self.spread;
        let leverage = (level + 2.0 * z * both + z * z * slope).max(0.0);
        (self.variance * (1.0 + leverage)).sqrt().min(3.0)
    }
}

/// The share of a weight that is left after `elapsed`.
fn fade(elapsed: Duration, half_life: Duration) -> f64 {
    (-elapsed.as_secs_f64() / half_life.as_secs_f64()).exp2()
}

fn size(tokens: f64) -> f64 {
    // `max` takes the number where the other is none; a clamp would keep it.
    let tokens = tokens.max(0.0);
    (tokens.min(1e9) / SCALE).ln_1p()
}

fn logarithm(seconds: f64) -> f64 {
    seconds.clamp(RANGE.0, RANGE.1).ln()
}

fn time(logarithm: f64) -> Duration {
    let seconds = logarithm.exp();
    let seconds = if seconds.is_finite() { seconds.clamp(RANGE.0, RANGE.1) } else { RANGE.1 };
    Duration::from_secs_f64(seconds)
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    reason = "tests need some instant to count from"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn median(estimate: &FirstToken, tokens: f64, now: Instant) -> f64 {
        estimate.predict(tokens, None, now).ttft.unwrap().as_secs_f64()
    }

    #[test]
    fn nothing_seen_is_nothing_known() {
        let prediction = FirstToken::default().predict(1000.0, None, Instant::now());
        assert_eq!(prediction, Prediction::default());
    }

    #[test]
    fn one_sample_is_believed_with_a_wide_interval() {
        let now = Instant::now();
        let mut estimate = FirstToken::default();
        estimate.learn(now, 500.0, ms(300));
        let prediction = estimate.predict(500.0, None, now);
        let (ttft, low, high) =
            (prediction.ttft.unwrap(), prediction.low.unwrap(), prediction.high.unwrap());
        assert!(ms(290) < ttft && ttft < ms(310), "{ttft:?}");
        assert!(low < ttft / 2 && high > ttft * 2, "{low:?} {high:?}");
    }

    #[test]
    fn samples_narrow_the_interval_and_age_widens_it() {
        let now = Instant::now();
        let mut estimate = FirstToken::default();
        estimate.learn(now, 500.0, ms(300));
        let wide = estimate.predict(500.0, None, now).high.unwrap();
        for _ in 0..50 {
            estimate.learn(now, 500.0, ms(300));
        }
        let narrow = estimate.predict(500.0, None, now);
        assert!(narrow.high.unwrap() < wide);
        let stale = estimate.predict(500.0, None, now + Duration::from_hours(1));
        assert!(stale.high.unwrap() > narrow.high.unwrap());
        assert!(stale.weight < 0.1);
    }

    #[test]
    fn a_larger_prompt_is_expected_to_take_longer() {
        let now = Instant::now();
        let mut estimate = FirstToken::default();
        for _ in 0..30 {
            estimate.learn(now, 100.0, ms(200));
        }
        assert!(median(&estimate, 100_000.0, now) > 1.0);
        // What is then seen of large prompts overrules the expectation.
        for _ in 0..60 {
            estimate.learn(now, 100_000.0, ms(400));
            estimate.learn(now, 100.0, ms(200));
        }
        assert!(median(&estimate, 100_000.0, now) < 0.6);
        assert!(median(&estimate, 100.0, now) < 0.3);
    }

    #[test]
    fn failing_fast_is_not_fast() {
        let now = Instant::now();
        let (mut failing, mut steady) = (FirstToken::default(), FirstToken::default());
        for _ in 0..20 {
            steady.learn(now, 500.0, ms(900));
            failing.learn(now, 500.0, ms(300));
            failing.fail(now, 500.0, ms(5));
            failing.fail(now, 500.0, ms(5));
        }
        assert!(failing.predict(500.0, None, now).failing);
        assert!(median(&failing, 500.0, now) > median(&steady, 500.0, now));
    }

    #[test]
    fn failures_alone_do_not_make_a_time() {
        let now = Instant::now();
        let mut estimate = FirstToken::default();
        estimate.fail(now, 500.0, ms(5));
        let prediction = estimate.predict(500.0, None, now);
        assert_eq!((prediction.ttft, prediction.failing, prediction.samples), (None, true, 0));
    }

    #[test]
    fn a_bad_stretch_is_forgotten_once_it_has_faded() {
        let start = Instant::now();
        let mut estimate = FirstToken::default();
        for second in 0..600 {
            estimate.learn(start + Duration::from_secs(second), 500.0, ms(300));
        }
        let bad = start + Duration::from_mins(10);
        for second in 0..30 {
            estimate.learn(bad + Duration::from_secs(second), 500.0, ms(6000));
        }
        let after = bad + Duration::from_secs(30);
        assert!(median(&estimate, 500.0, after) > 0.9);
        assert!(median(&estimate, 500.0, after + Duration::from_hours(2)) < 0.5);
    }

    #[test]
    fn a_prior_counts_until_samples_outweigh_it() {
        let now = Instant::now();
        let mut estimate = FirstToken::default();
        let prior = Some(ms(2000));
        assert_eq!(estimate.predict(0.0, prior, now).ttft.unwrap().as_millis(), 2000);
        for _ in 0..20 {
            estimate.learn(now, 0.0, ms(200));
        }
        assert!(estimate.predict(0.0, prior, now).ttft.unwrap() < ms(220));
    }

    #[test]
    fn a_clock_that_goes_back_changes_nothing() {
        let early = Instant::now();
        let now = early + Duration::from_mins(15);
        let mut estimate = FirstToken::default();
        estimate.learn(now, 500.0, ms(300));
        estimate.learn(early, 500.0, ms(300));
        let prediction = estimate.predict(500.0, None, early);
        assert!((prediction.weight - 2.0).abs() < 0.1);
    }

    proptest! {
        /// No history makes a number that is not one, and intervals hold their medians.
        #[test]
        fn predictions_are_always_finite_and_ordered(
            history in prop::collection::vec(
                (any::<bool>(), 0.0..1e12_f64, any::<u64>(), 0..100_000_u64), 0..200),
            tokens in prop::num::f64::ANY,
            later in any::<u32>(),
        ) {
            let mut now = Instant::now();
            let mut estimate = FirstToken::default();
            for (failed, size, micros, gap) in history {
                now += Duration::from_millis(gap);
                if failed {
                    estimate.fail(now, size, Duration::from_micros(micros));
                } else {
                    estimate.learn(now, size, Duration::from_micros(micros));
                }
            }
            let prediction =
                estimate.predict(tokens, None, now + Duration::from_millis(u64::from(later)));
            prop_assert!(prediction.weight.is_finite() && prediction.weight <= MEMORY + 1.0);
            if let Some(ttft) = prediction.ttft {
                prop_assert!(prediction.low.unwrap() <= ttft && ttft <= prediction.high.unwrap());
            }
        }
    }
}
