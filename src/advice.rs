//! Advice on a router's tasks: what is allowed, but will not be classified as its author means.
//!
//! Some of it shows in the words alone: a description that says nothing, an example that two tasks claim. The rest is
//! asked of the classifier, because only it knows what it cannot tell apart; but never of a generative one, which would
//! be asked on another machine for something that nobody requested. None of it is ever a mistake: a router with warnings
//! serves, and a classifier that does not answer costs nothing but its part of the advice.
//!
//! The limits below were chosen by measuring, with the model that ships. They are few and cautious: advice that is
//! usually wrong is not read.

mod words;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    advice::words::Thin,
    catalog::router::{Router, Task},
    classify::{self, Classifier, Likeness, Unclassified, Verdict},
    conversation::Conversation,
    ids::TaskName,
};

/// Two tasks with more doubt between them cannot be told apart. Of 30 pairs written to mean the same in other words 20
/// are above it; of 30 pairs that are near but differ, one; of the 300 pairs of the task library none, the highest at
/// 0.00001.
const MOST_DOUBT: f64 = 0.007;

/// An example lands elsewhere when another task gets so much more of it than its own: closer ones are near both, which
/// good examples may be.
const CLEAR: f64 = 0.2;

/// Fewer examples than this say nothing of a task that is not recognized.
const FEWEST_EXAMPLES: usize = 2;

/// How long one example is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most examples of a task that are judged: as many as the classifier reads.
const MAX_EXAMPLES: usize = 32;

/// The most characters of an example that a message repeats.
const SHOWN: usize = 60;

/// The most pairs of one router that are named: of many tasks that are all alike there are millions.
const MOST_ALIKE: usize = 200;

/// Something about a router's tasks that is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// The policy that it is about: an index into the router's policies.
    pub policy: usize,
    /// The way to that policy in a router file, such as `policies[2]`.
    pub path: String,
    /// The tasks concerned, that policy's own first.
    pub tasks: Vec<TaskName>,
    /// What is wrong, with the tasks' names, and what to change.
    pub message: String,
}

/// All advice on `router`, by policy. Without a classifier it is what the words alone show.
pub async fn on(router: &Arc<Router>, classifier: Option<&dyn Classifier>) -> Vec<Warning> {
    let mut advice = Advice { router, warnings: Vec::new() };
    advice.on_descriptions();
    advice.on_shared_examples();
    if let Some(classifier) = classifier {
        // What was found until it failed is worth saying.
        let _ = advice.by(classifier).await;
    }
    advice.warnings.sort();
    advice.warnings
}

struct Advice<'a> {
    router: &'a Arc<Router>,
    warnings: Vec<Warning>,
}

impl Advice<'_> {
    fn warn(&mut self, policy: usize, others: &[usize], message: String) {
        let policies = &self.router.policies;
        let names = std::iter::once(&policy).chain(others).filter_map(|index| policies.get(*index));
        let tasks = names.map(|policy| policy.task.name.clone()).collect();
        self.warnings.push(Warning { policy, path: format!("policies[{policy}]"), tasks, message });
    }

    fn on_descriptions(&mut self) {
        for (index, policy) in self.router.policies.iter().enumerate() {
            let Task { name, description, examples, .. } = &*policy.task;
            let Some(thin) = words::thin(name.as_str(), description) else { continue };
            // Examples say what a thin description leaves out; without any description they still have no frame.
            if thin != Thin::Missing && !examples.is_empty() {
                continue;
            }
            let wrong = match thin {
                Thin::Missing => format!("task `{name}` has no description"),
                Thin::Repeats => format!("the description of `{name}` only repeats its name"),
                Thin::Short => format!(
                    "the description of `{name}` has fewer than {} words",
                    words::FEWEST_WORDS
                ),
            };
            self.warn(index, &[], format!("{wrong}; say in a sentence what users ask for"));
        }
    }

    fn on_shared_examples(&mut self) {
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        for (index, policy) in self.router.policies.iter().enumerate() {
            for example in &policy.task.examples {
                let owner = *first.entry(words::folded(example)).or_insert(index);
                if let Some(other) = self.router.policies.get(owner).filter(|_| owner != index) {
                    let (own, other) = (&policy.task.name, &other.task.name);
                    let text = shown(example);
                    let message = format!(
                        "the example \"{text}\" of `{own}` is also one of `{other}`; keep it in one of them"
                    );
                    self.warn(index, &[owner], message);
                }
            }
        }
    }

    async fn by(&mut self, classifier: &dyn Classifier) -> Result<(), Unclassified> {
        let Some(pairs) = classifier.likeness(self.router).await? else { return Ok(()) };
        let mut alike: Vec<Likeness> =
            pairs.into_iter().filter(|pair| pair.doubt >= MOST_DOUBT).collect();
        alike.sort_by(|a, b| b.doubt.total_cmp(&a.doubt));
        for Likeness { one, other, doubt } in alike.into_iter().take(MOST_ALIKE) {
            self.on_alike(one, other, doubt);
        }
        for index in 0..self.router.policies.len() {
            self.on_examples(index, classifier).await?;
        }
        Ok(())
    }

    fn on_alike(&mut self, one: usize, other: usize, doubt: f64) {
        let policies = &self.router.policies;
        let (Some(first), Some(second)) = (policies.get(one), policies.get(other)) else { return };
        let (first, second) = (&first.task.name, &second.task.name);
        let message = format!(
            "`{second}` and `{first}` cannot be told apart: of a request that is just what one of them says the other \
             still gets {doubt:.2}; make one task of them, or say in each description what only that task is for"
        );
        self.warn(other, &[one], message);
    }

    /// What becomes of a task's own examples when they are sent as requests.
    async fn on_examples(
        &mut self,
        index: usize,
        classifier: &dyn Classifier,
    ) -> Result<(), Unclassified> {
        let Some(policy) = self.router.policies.get(index) else { return Ok(()) };
        let task = Arc::clone(&policy.task);
        let (mut judged, mut unmatched) = (0_usize, 0_usize);
        for example in task.examples.iter().take(MAX_EXAMPLES) {
            let Some(verdict) = self.verdict(example, classifier).await? else { continue };
            let threshold = self.router.threshold.unwrap_or(verdict.threshold);
            judged = judged.saturating_add(1);
            match classify::matched(&verdict, threshold) {
                None => unmatched = unmatched.saturating_add(1),
                Some(winner) => self.on_stray(index, winner, example, &verdict.probabilities),
            }
        }
        if judged >= FEWEST_EXAMPLES && unmatched.saturating_mul(2) > judged {
            let message = format!(
                "of the {judged} examples of `{}` {unmatched} match no task; describe the task in the words of its examples",
                task.name
            );
            self.warn(index, &[], message);
        }
        Ok(())
    }

    fn on_stray(&mut self, index: usize, winner: usize, example: &str, given: &[f64]) {
        let (Some(policy), Some(other)) =
            (self.router.policies.get(index), self.router.policies.get(winner))
        else {
            return;
        };
        let got = |index: usize| given.get(index).copied().unwrap_or_default();
        if got(winner) - got(index) < CLEAR {
            return;
        }
        let (own, other) = (&policy.task.name, &other.task.name);
        let message = format!(
            "the example \"{}\" of `{own}` is classified as `{other}` ({:.2}, its own task {:.2}); move it there, or \
             say in both descriptions where the line is",
            shown(example),
            got(winner),
            got(index),
        );
        self.warn(index, &[winner], message);
    }

    async fn verdict(
        &self,
        text: &str,
        classifier: &dyn Classifier,
    ) -> Result<Option<Verdict>, Unclassified> {
        let conversation = Conversation::from_text(text);
        if conversation.is_empty() {
            return Ok(None);
        }
        classifier.classify(&conversation, self.router, Some(PATIENCE)).await.map(Some)
    }
}

/// A text on one line, not too long.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(printable).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn printable(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests;
