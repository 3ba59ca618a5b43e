//! How long answers get: expected output tokens for each task and model, from reported usage.
//!
//! The expectation is an arithmetic mean, because cost is linear in tokens. A pair that was seen rarely leans on what
//! its task and its model do elsewhere: with `t` the length of the task's answers as a model of ordinary wordiness
//! would give them, and `w` the wordiness of the model, the pair leans on `t · w`. Each is learned with the other taken
//! out (`t` from `length / w`, `w` from `length / t`), so that a model that only gets short tasks is not mistaken for a
//! terse one. `t` leans on `PRIOR` and `w` on 1; "x leans on p with strength k" is the shrinkage
//! `(k · p + Σx) / (k + n)`. Requests without a task are a task of their own.
//!
//! How far the expectation may be off is said too, as a factor: before a pair was seen its mean is taken to lie within
//! `e^±SPREAD` of what it leans on two times out of three, and `n` answers narrow that by `√(1 + n)`.

use crate::{
    bounded::BoundedMap,
    ids::{ModelId, TaskName},
    stats::{average::Average, low, real},
};

/// The output tokens expected before anything was seen: about a screen of text.
const PRIOR: f64 = 400.0;
/// How many samples the expectation of a task is worth before it was seen.
const TASK_STRENGTH: f64 = 1.0;
/// How many samples ordinary wordiness is worth: a model must be seen beside others before it counts as wordy.
const WORDINESS_STRENGTH: f64 = 16.0;
/// How many samples what task and model say of a pair is worth.
const STRENGTH: f64 = 4.0;
/// The weight that past samples can have together.
const MEMORY: f64 = 256.0;
/// The most pairs, and the most tasks and models, that are remembered.
const CAPACITY: usize = 16_384;
/// Counts beyond this are absurd and count as this.
const MOST: f64 = 1e6;
/// The standard deviation of the logarithm of a pair's mean around what it leans on: models differ by about two in how
/// much they say, and one that reasons first by more.
const SPREAD: f64 = 0.7;
/// One answer makes no model more than this many times as wordy, or as terse.
const RATIO: f64 = 16.0;

type Pair = (Option<TaskName>, ModelId);

/// Learned answer lengths.
pub struct Lengths {
    tasks: BoundedMap<Option<TaskName>, Average>,
    wordiness: BoundedMap<ModelId, Average>,
    pairs: BoundedMap<Pair, Seen>,
}

/// What was seen of one model on one task.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    output: Average,
    attempts: u32,
}

/// How long an answer is expected to get.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Length {
    /// The expected output tokens.
    pub expected: f64,
    /// The mean is above this nine times out of ten.
    pub low: f64,
    /// Attempts that could have taught it, whatever came of them.
    pub attempts: u32,
}

impl Default for Lengths {
    fn default() -> Self {
        Self::new()
    }
}

impl Lengths {
    /// Nothing learned yet.
    pub fn new() -> Self {
        Self {
            tasks: BoundedMap::new(CAPACITY),
            wordiness: BoundedMap::new(CAPACITY),
            pairs: BoundedMap::new(CAPACITY),
        }
    }

    /// Learns that an answer had `output` tokens.
    pub fn learn(&mut self, task: Option<&TaskName>, model: &ModelId, output: u64) {
        let pair = (task.cloned(), model.clone());
        let output = real(output).min(MOST);
        let plain = output / self.wordiness(model);
        self.tasks.entry(&pair.0, Average::default).add(plain, MEMORY);
        // After the task, so that a first answer says more about the task than about the model.
        let ratio = (output / self.of_task(&pair)).clamp(1.0 / RATIO, RATIO);
        self.wordiness.entry(model, Average::default).add(ratio, MEMORY);
        self.pairs.entry(&pair, Seen::default).output.add(output, MEMORY);
    }

    /// Counts an attempt that could have taught the length of an answer, whether or not it did: one that fails, or a
    /// provider that does not report usage, is not tried for ever.
    pub fn attempted(&mut self, task: Option<&TaskName>, model: &ModelId) {
        let attempts =
            &mut self.pairs.entry(&(task.cloned(), model.clone()), Seen::default).attempts;
        *attempts = attempts.saturating_add(1);
    }

    /// Learns that an answer had at least `least` tokens, where its limit cut it off: that can only lengthen what is
    /// expected.
    pub fn learn_at_least(&mut self, task: Option<&TaskName>, model: &ModelId, least: u64) {
        if real(least) > self.expect(task, model).expected {
            self.learn(task, model, least);
        }
    }

    /// The expected output tokens of `model` on `task`.
    pub fn expect(&self, task: Option<&TaskName>, model: &ModelId) -> Length {
        let pair = (task.cloned(), model.clone());
        let leaning = (self.of_task(&pair) * self.wordiness(model)).clamp(0.0, MOST);
        let seen = self.pairs.get(&pair).copied().unwrap_or_default();
        let expected = seen.output.toward(leaning, STRENGTH);
        let low = expected * low(SPREAD, seen.output.weight());
        Length { expected, low, attempts: seen.attempts }
    }

    /// Forgets what belongs to models that `known` says no to.
    pub fn retain(&mut self, known: &impl Fn(&ModelId) -> bool) {
        self.wordiness.retain(|model, _| known(model));
        self.pairs.retain(|(_, model), _| known(model));
    }

    fn of_task(&self, (task, _): &Pair) -> f64 {
        self.tasks.get(task).copied().unwrap_or_default().toward(PRIOR, TASK_STRENGTH).max(1.0)
    }

    fn wordiness(&self, model: &ModelId) -> f64 {
        self.wordiness
            .get(model)
            .copied()
            .unwrap_or_default()
            .toward(1.0, WORDINESS_STRENGTH)
            .max(1.0 / RATIO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> ModelId {
        ModelId::parse(name).unwrap()
    }

    fn task(name: &str) -> TaskName {
        TaskName::parse(name).unwrap()
    }

    fn expected(lengths: &Lengths, task: Option<&TaskName>, model: &ModelId) -> f64 {
        lengths.expect(task, model).expected
    }

    #[test]
    fn what_is_seen_narrows_what_it_may_be() {
        let mut lengths = Lengths::new();
        let share = |lengths: &Lengths| {
            let length = lengths.expect(None, &model("m"));
            length.low / length.expected
        };
        let unknown = share(&lengths);
        assert!((0.35..0.45).contains(&unknown), "{unknown}");
        for _ in 0..8 {
            let before = share(&lengths);
            lengths.learn(None, &model("m"), 300);
            assert!(share(&lengths) > before);
        }
        assert!(share(&lengths) > 0.7);
    }

    #[test]
    fn an_unknown_pair_is_the_prior() {
        let found = expected(&Lengths::new(), Some(&task("a")), &model("m"));
        assert!((found - PRIOR).abs() < 1e-9);
    }

    #[test]
    fn a_seen_pair_approaches_its_own_mean() {
        let mut lengths = Lengths::new();
        for _ in 0..200 {
            lengths.learn(Some(&task("a")), &model("m"), 50);
            lengths.learn(Some(&task("b")), &model("m"), 5000);
        }
        assert!(expected(&lengths, Some(&task("a")), &model("m")) < 120.0);
        assert!(expected(&lengths, Some(&task("b")), &model("m")) > 4500.0);
    }

    #[test]
    fn an_unseen_pair_leans_on_its_task_and_its_model() {
        let mut lengths = Lengths::new();
        for _ in 0..200 {
            lengths.learn(Some(&task("short")), &model("wordy"), 200);
            lengths.learn(Some(&task("short")), &model("terse"), 100);
            lengths.learn(Some(&task("long")), &model("wordy"), 4000);
        }
        let unseen = expected(&lengths, Some(&task("long")), &model("terse"));
        assert!(unseen < expected(&lengths, Some(&task("long")), &model("wordy")));
        assert!(unseen > expected(&lengths, Some(&task("short")), &model("terse")));
    }

    #[test]
    fn a_model_that_only_gets_short_tasks_is_not_taken_for_a_terse_one() {
        let mut lengths = Lengths::new();
        for _ in 0..200 {
            lengths.learn(Some(&task("short")), &model("one"), 80);
            lengths.learn(Some(&task("long")), &model("other"), 2500);
        }
        assert!(expected(&lengths, Some(&task("long")), &model("one")) > 1250.0);
        assert!(expected(&lengths, Some(&task("short")), &model("other")) < 160.0);
    }

    #[test]
    fn a_cut_answer_never_shortens_the_expectation() {
        let mut lengths = Lengths::new();
        let before = expected(&lengths, None, &model("m"));
        lengths.learn_at_least(None, &model("m"), 20);
        assert!((expected(&lengths, None, &model("m")) - before).abs() < 1e-9);
        lengths.learn_at_least(None, &model("m"), 5000);
        assert!(expected(&lengths, None, &model("m")) > before);
    }
}
