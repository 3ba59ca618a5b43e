//! How long answers get: expected output tokens for each task and model, from reported usage.
//!
//! The expectation is an arithmetic mean, because cost is linear in tokens. A pair that was seen rarely leans on what
//! its task and its model do elsewhere: with `g` the mean of everything (itself leaning on [`PRIOR`]), `t` that of the
//! task and `m` that of the model, each leaning on `g`, the pair leans on `t · m / g`: a terse model on a wordy task is
//! expected in between. "Leaning on p with strength k" is the shrinkage (k·p + Σx) / (k + n).

use crate::{
    bounded::BoundedMap,
    ids::{ModelId, TaskName},
    stats::{average::Average, real},
};

/// The output tokens expected before anything was seen: about a screen of text.
const PRIOR: f64 = 400.0;
/// How many samples the level above is worth to one below it.
const STRENGTH: f64 = 4.0;
/// The weight that past samples can have together.
const MEMORY: f64 = 256.0;
/// The most pairs, tasks and models that are remembered.
const CAPACITY: usize = 16_384;
/// Counts beyond this are absurd and count as this.
const MOST: f64 = 1e6;

type Key = (Option<TaskName>, Option<ModelId>);

/// Learned answer lengths.
pub struct Lengths {
    averages: BoundedMap<Key, Average>,
}

impl Default for Lengths {
    fn default() -> Self {
        Self::new()
    }
}

impl Lengths {
    /// Nothing learned yet.
    pub fn new() -> Self {
        Self { averages: BoundedMap::new(CAPACITY) }
    }

    /// Learns that an answer had `output` tokens.
    pub fn learn(&mut self, task: Option<&TaskName>, model: &ModelId, output: u64) {
        let output = real(output).min(MOST);
        self.add(&(None, None), output);
        self.add(&(None, Some(model.clone())), output);
        if let Some(task) = task {
            self.add(&(Some(task.clone()), None), output);
            self.add(&(Some(task.clone()), Some(model.clone())), output);
        }
    }

    /// Learns that an answer had at least `least` tokens, where its limit cut it off: that can only lengthen what is
    /// expected.
    pub fn learn_at_least(&mut self, task: Option<&TaskName>, model: &ModelId, least: u64) {
        if real(least) > self.expect(task, model) {
            self.learn(task, model, least);
        }
    }

    /// The expected output tokens of `model` on `task`; of everything it answers where no task matched.
    pub fn expect(&self, task: Option<&TaskName>, model: &ModelId) -> f64 {
        let all = self.average(&(None, None)).toward(PRIOR, STRENGTH).max(1.0);
        let of_model = self.average(&(None, Some(model.clone()))).toward(all, STRENGTH);
        let Some(task) = task else { return of_model };
        let of_task = self.average(&(Some(task.clone()), None)).toward(all, STRENGTH);
        let of_pair = self.average(&(Some(task.clone()), Some(model.clone())));
        of_pair.toward((of_task * of_model / all).clamp(0.0, MOST), STRENGTH)
    }

    /// Forgets what belongs to models that `known` says no to.
    pub fn retain(&mut self, known: &impl Fn(&ModelId) -> bool) {
        self.averages.retain(|(_, model), _| model.as_ref().is_none_or(known));
    }

    fn average(&self, key: &Key) -> Average {
        self.averages.get(key).copied().unwrap_or_default()
    }

    fn add(&mut self, key: &Key, output: f64) {
        self.averages.entry(key, Average::default).add(output, MEMORY);
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

    #[test]
    fn an_unknown_pair_is_the_prior() {
        let expected = Lengths::new().expect(Some(&task("a")), &model("m"));
        assert!((expected - PRIOR).abs() < 1e-9);
    }

    #[test]
    fn a_seen_pair_approaches_its_own_mean() {
        let mut lengths = Lengths::new();
        for _ in 0..200 {
            lengths.learn(Some(&task("a")), &model("m"), 50);
            lengths.learn(Some(&task("b")), &model("m"), 5000);
        }
        assert!(lengths.expect(Some(&task("a")), &model("m")) < 120.0);
        assert!(lengths.expect(Some(&task("b")), &model("m")) > 4500.0);
    }

    #[test]
    fn an_unseen_pair_leans_on_its_task_and_its_model() {
        let mut lengths = Lengths::new();
        for _ in 0..100 {
            lengths.learn(Some(&task("short")), &model("wordy"), 200);
            lengths.learn(Some(&task("short")), &model("terse"), 100);
            lengths.learn(Some(&task("long")), &model("wordy"), 4000);
        }
        let unseen = lengths.expect(Some(&task("long")), &model("terse"));
        assert!(unseen < lengths.expect(Some(&task("long")), &model("wordy")));
        assert!(unseen > lengths.expect(Some(&task("short")), &model("terse")));
    }

    #[test]
    fn a_cut_answer_never_shortens_the_expectation() {
        let mut lengths = Lengths::new();
        let before = lengths.expect(None, &model("m"));
        lengths.learn_at_least(None, &model("m"), 20);
        assert!((lengths.expect(None, &model("m")) - before).abs() < 1e-9);
        lengths.learn_at_least(None, &model("m"), 5000);
        assert!(lengths.expect(None, &model("m")) > before);
    }
}
