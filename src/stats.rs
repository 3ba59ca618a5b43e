//! What this process has learned from its own traffic: how soon each target starts to answer, how long answers get,
//! how each model counts tokens, and how much its provider's prompt cache really held.
//!
//! Samples come in when a request settles; ranking reads through a [`Reader`], which holds one read lock for the whole
//! of a decision, so that all candidates are compared on the same state. Time is an argument: a clock that stands
//! still or goes back counts as no time passed. Every map has a cap, every input is clamped to a range in which no
//! sum, ratio or logarithm leaves the finite numbers, and [`sample::Sample::lessons`] alone says what may be learned
//! from which outcome.
//!
//! Statistics are kept by target identity and survive a reload that leaves the target in place; a target that a
//! reload removes is forgotten ([`Stats::retain`]) and starts anew when it comes back. Deliberately absent: failure
//! ratios for breakers, which need exact counts and live in `resilience`.

pub mod average;
pub mod lengths;
pub mod sample;
pub mod ttft;

use std::time::{Duration, Instant};

use parking_lot::{RwLock, RwLockReadGuard};
use serde::Serialize;

pub use lengths::Length;
pub use sample::{Sample, SampleOutcome};
pub use ttft::Prediction;

use crate::{
    bounded::BoundedMap,
    ids::{ModelId, TargetId, TaskName},
    stats::{average::Average, lengths::Lengths, ttft::FirstToken},
};

/// The most targets, and the most models, that are remembered; the one used least recently makes room.
const CAPACITY: usize = 4096;
/// The weight that past samples of caches and token counts can have together.
const MEMORY: f64 = 64.0;
/// The share of a session's earlier tokens that a cache is taken to hold before its provider has reported any.
const CACHE_HIT: f64 = 0.8;
/// How many samples the assumed cache hit is worth.
const CACHE_HIT_STRENGTH: f64 = 2.0;
/// How many samples the assumption that nothing is written to a cache is worth.
const CACHE_WRITE_STRENGTH: f64 = 4.0;
/// How many samples the assumption that a model counts tokens as we do is worth.
const FACTOR_STRENGTH: f64 = 3.0;
/// The standard deviation of the logarithm of a model's token factor around what is assumed: tokenizers differ by a
/// quarter.
const FACTOR_SPREAD: f64 = 0.2;
/// The bounds of the token factor of a model.
const FACTOR_RANGE: (f64, f64) = (0.25, 4.0);
/// A prompt shorter than this says nothing about how a model counts: fixed overheads drown it.
const FACTOR_FLOOR: u64 = 32;
/// A cached token is taken to delay the first content by this share of what an uncached one does.
const CACHED_WORK: f64 = 0.1;
/// The deviation, in standard ones, that nine of ten values of a normal distribution lie above.
const LOW: f64 = 1.2816;
/// The shortest prefix that providers cache (`OpenAI` and Anthropic both publish 1,024 for most models).
pub const CACHE_MINIMUM: u64 = 1024;

/// The statistics of one process; shared, bounded.
pub struct Stats {
    inner: RwLock<Inner>,
}

struct Inner {
    targets: BoundedMap<TargetId, TargetStats>,
    models: BoundedMap<ModelId, ModelStats>,
    lengths: Lengths,
}

#[derive(Default)]
struct TargetStats {
    first_token: FirstToken,
    cache_hit: Average,
    cache_write: Average,
}

#[derive(Default)]
struct ModelStats {
    /// Logarithms of reported over estimated input tokens.
    factor: Average,
    /// What an outside source says about the model's time to first content.
    prior: Option<Duration>,
}

/// How a provider's prompt cache has behaved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CacheRates {
    /// The share of a session's earlier tokens that was read from the cache, while it was young enough.
    pub hit: f64,
    /// The share of uncached input tokens that was charged as written to the cache.
    pub write: f64,
}

/// One target's state, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetSnapshot {
    /// The target.
    pub target: String,
    /// Times to first content that entered, ever.
    pub samples: u64,
    /// Their weight now: it fades as they age.
    pub weight: f64,
    /// Whether more of its recent attempts failed than answered.
    pub failing: bool,
    /// The predicted time to first content for a prompt of 1,000 tokens, in milliseconds.
    pub ttft_ms: Option<f64>,
    /// The bounds between which four of five answers are expected to start, in milliseconds.
    pub interval_ms: Option<(f64, f64)>,
}

impl Default for Stats {
    fn default() -> Self {
        Self::new()
    }
}

impl Stats {
    /// Statistics of a process that has seen nothing yet.
    pub fn new() -> Self {
        Self {
            inner: RwLock::new(Inner {
                targets: BoundedMap::new(CAPACITY),
                models: BoundedMap::new(CAPACITY),
                lengths: Lengths::new(),
            }),
        }
    }

    /// Learns from one attempt what its outcome may teach.
    pub fn record(&self, sample: &Sample) {
        let lessons = sample.lessons();
        let mut inner = self.inner.write();
        if !sample.is_probe() {
            inner.lengths.attempted(sample.task.as_ref(), &sample.model);
        }
        if lessons.none() {
            return;
        }
        let tokens = work(
            sample
                .input_tokens
                .map_or_else(|| inner.tokens(&sample.model, sample.estimated_tokens), real),
            sample.cache_read.map_or(0.0, real),
        );
        let earlier = sample
            .cacheable
            .filter(|tokens| *tokens >= CACHE_MINIMUM)
            .map(|tokens| inner.tokens(&sample.model, tokens));
        let target = inner.targets.entry(&sample.target, TargetStats::default);
        if let Some(ttft) = lessons.ttft {
            target.first_token.learn(sample.now, tokens, ttft);
        }
        if let Some(elapsed) = lessons.penalty {
            target.first_token.fail(sample.now, tokens, elapsed);
        }
        if lessons.usage {
            target.learn_cache(sample, earlier);
            inner.learn_factor(sample);
        }
        if let Some(output) = lessons.output {
            inner.lengths.learn(sample.task.as_ref(), &sample.model, output);
        }
        if let Some(least) = lessons.output_at_least {
            inner.lengths.learn_at_least(sample.task.as_ref(), &sample.model, least);
        }
    }

    /// Takes an outside source's word for a model's time to first content: it counts until own samples outweigh it.
    pub fn seed_prior(&self, model: &ModelId, ttft: Option<Duration>) {
        self.inner.write().models.entry(model, ModelStats::default).prior = ttft;
    }

    /// Forgets the targets and models that `known` says no to, after a reload.
    pub fn retain(
        &self,
        target_known: impl Fn(&TargetId) -> bool,
        model_known: impl Fn(&ModelId) -> bool,
    ) {
        let mut inner = self.inner.write();
        inner.targets.retain(|target, _| target_known(target));
        inner.models.retain(|model, _| model_known(model));
        inner.lengths.retain(&model_known);
    }

    /// A consistent view for one decision. Recording waits while it is held, so hold it briefly.
    pub fn reader(&self) -> Reader<'_> {
        Reader(self.inner.read())
    }

    /// What is known about the time until `target` begins to answer a prompt of `input_tokens`.
    pub fn predict(
        &self,
        target: &TargetId,
        model: &ModelId,
        input_tokens: u64,
        now: Instant,
    ) -> Prediction {
        self.reader().predict(target, model, real(input_tokens), now)
    }

    /// Every target's state, in order of name.
    pub fn snapshot(&self, now: Instant) -> Vec<TargetSnapshot> {
        let inner = self.inner.read();
        let mut targets: Vec<TargetSnapshot> = inner
            .targets
            .iter()
            .map(|(id, target)| {
                TargetSnapshot::of(id, &target.first_token.predict(1000.0, None, now))
            })
            .collect();
        targets.sort_by(|one, other| one.target.cmp(&other.target));
        targets
    }
}

/// A consistent view of the statistics.
pub struct Reader<'a>(RwLockReadGuard<'a, Inner>);

impl Reader<'_> {
    /// What is known about the time until `target`, an endpoint of `model`, begins to answer a prompt that is as much
    /// work as `tokens` uncached tokens ([`work`]).
    pub fn predict(
        &self,
        target: &TargetId,
        model: &ModelId,
        tokens: f64,
        now: Instant,
    ) -> Prediction {
        let prior = self.0.models.get(model).and_then(|stats| stats.prior);
        match self.0.targets.get(target) {
            Some(stats) => stats.first_token.predict(tokens, prior, now),
            None => FirstToken::default().predict(tokens, prior, now),
        }
    }

    /// How long the answers of `model` on `task` are expected to get.
    pub fn output(&self, task: Option<&TaskName>, model: &ModelId) -> Length {
        self.0.lengths.expect(task, model)
    }

    /// What `estimated` tokens of ours are in tokens of `model`, as its provider has counted so far.
    pub fn tokens(&self, model: &ModelId, estimated: u64) -> f64 {
        self.0.tokens(model, estimated)
    }

    /// The share of [`Self::tokens`] that the true count is above nine times out of ten.
    pub fn tokens_low(&self, model: &ModelId) -> f64 {
        let weight = self.0.models.get(model).map_or(0.0, |stats| stats.factor.weight());
        low(FACTOR_SPREAD, weight)
    }

    /// How the prompt cache of `target` has behaved.
    pub fn cache(&self, target: &TargetId) -> CacheRates {
        let (hit, write) = self
            .0
            .targets
            .get(target)
            .map_or_else(Default::default, |stats| (stats.cache_hit, stats.cache_write));
        CacheRates {
            hit: hit.toward(CACHE_HIT, CACHE_HIT_STRENGTH).clamp(0.0, 1.0),
            write: write.toward(0.0, CACHE_WRITE_STRENGTH).clamp(0.0, 1.0),
        }
    }
}

/// The share of an expected value that the truth is above nine times out of ten, where its logarithm was taken to have
/// the standard deviation `spread` and `weight` samples have been seen since.
pub(crate) fn low(spread: f64, weight: f64) -> f64 {
    (-LOW * spread / (1.0 + weight.max(0.0)).sqrt()).exp()
}

/// How many uncached tokens `input` tokens, of which `cached` were cached, are worth to whoever waits for the first
/// content.
pub fn work(input: f64, cached: f64) -> f64 {
    (input - (1.0 - CACHED_WORK) * cached.clamp(0.0, input.max(0.0))).max(0.0)
}

/// A count as a number to calculate with; counts beyond four thousand million are not told apart.
pub fn real(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

impl Inner {
    fn tokens(&self, model: &ModelId, estimated: u64) -> f64 {
        let logarithm: f64 =
            self.models.get(model).map_or(0.0, |stats| stats.factor.toward(0.0, FACTOR_STRENGTH));
        real(estimated) * logarithm.exp().clamp(FACTOR_RANGE.0, FACTOR_RANGE.1)
    }

    fn learn_factor(&mut self, sample: &Sample) {
        let Some(reported) = sample.input_tokens.filter(|tokens| *tokens > 0) else { return };
        if sample.estimated_tokens < FACTOR_FLOOR {
            return;
        }
        let ratio =
            (real(reported) / real(sample.estimated_tokens)).clamp(FACTOR_RANGE.0, FACTOR_RANGE.1);
        self.models.entry(&sample.model, ModelStats::default).factor.add(ratio.ln(), MEMORY);
    }
}

impl TargetStats {
    /// Learns what the cache held of `earlier` tokens, and what was written to it.
    fn learn_cache(&mut self, sample: &Sample, earlier: Option<f64>) {
        let Some(input) = sample.input_tokens else { return };
        let read = sample.cache_read.unwrap_or(0).min(input);
        if let Some(earlier) = earlier {
            self.cache_hit.add((real(read) / earlier.max(1.0)).min(1.0), MEMORY);
        }
        let fresh = input.saturating_sub(read);
        if fresh >= CACHE_MINIMUM {
            let written = sample.cache_write.unwrap_or(0).min(fresh);
            self.cache_write.add(real(written) / real(fresh), MEMORY);
        }
    }
}

impl TargetSnapshot {
    fn of(target: &TargetId, prediction: &Prediction) -> Self {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        Self {
            target: target.to_string(),
            samples: prediction.samples,
            weight: prediction.weight,
            failing: prediction.failing,
            ttft_ms: prediction.ttft.map(ms),
            interval_ms: prediction.low.map(ms).zip(prediction.high.map(ms)),
        }
    }
}
