//! Advice on a router's tasks: what is allowed, but will not be classified as its author means.
//!
//! Some of it shows in the words alone: a description that says nothing, an example that two tasks claim. The rest is
//! asked of the classifier, because only it knows what it cannot tell apart. None of it is ever a mistake: a router with
//! warnings serves, and a classifier that does not answer costs nothing but its part of the advice.

mod words;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    advice::words::Thin,
    catalog::router::{Router, Task},
    classify::{self, Classifier, Unclassified},
    conversation::Conversation,
    ids::TaskName,
};

/// How long one example is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most examples of a task that are judged: as many as the classifier reads.
const MAX_EXAMPLES: usize = 32;

/// The most characters of an example that a message repeats.
const SHOWN: usize = 60;

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
        let _ = advice.on_stray_examples(classifier).await;
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

    /// Examples that, sent as a request, would go to another task.
    async fn on_stray_examples(&mut self, classifier: &dyn Classifier) -> Result<(), Unclassified> {
        for (index, policy) in self.router.policies.iter().enumerate() {
            for example in policy.task.examples.iter().take(MAX_EXAMPLES) {
                let Some(winner) = self.winner(example, classifier).await? else { continue };
                let Some(other) = self.router.policies.get(winner).filter(|_| winner != index)
                else {
                    continue;
                };
                let (own, other) = (&policy.task.name, &other.task.name);
                let text = shown(example);
                let message = format!(
                    "the example \"{text}\" of `{own}` is classified as `{other}`; move it there, or say in both \
                     descriptions where the line is"
                );
                self.warn(index, &[winner], message);
            }
        }
        Ok(())
    }

    async fn winner(
        &self,
        text: &str,
        classifier: &dyn Classifier,
    ) -> Result<Option<usize>, Unclassified> {
        let conversation = Conversation::from_text(text);
        if conversation.is_empty() {
            return Ok(None);
        }
        let verdict = classifier.classify(&conversation, self.router, Some(PATIENCE)).await?;
        Ok(classify::matched(&verdict, self.router.threshold.unwrap_or(verdict.threshold)))
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
