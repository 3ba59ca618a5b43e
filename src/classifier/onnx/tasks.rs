//! The vectors of tasks, kept by their texts.
//!
//! A task is its name and its description. Examples are blended in: each moves the vector by a bounded share, so that
//! one odd example cannot capture a task, and the blend is not brought back to unit length, so that examples which
//! disagree with the task say less.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use moka::sync::Cache;
use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};

use crate::{
    catalog::router::{Router, Task},
    classifier::onnx::pool::{Read, Work},
    classify::Unclassified,
    conversation::Conversation,
};

/// The most texts whose vectors are kept: 1.5 KB each.
const MAX_TEXTS: u64 = 8_192;
/// The most examples of a task that are read.
const MAX_EXAMPLES: usize = 32;

/// Everything that is known about tasks.
pub(super) struct Known {
    /// By address.
    routers: RwLock<HashMap<usize, Entry>>,
    texts: Cache<Text, Arc<[f32]>>,
}

/// A router whose tasks are known.
struct Entry {
    /// Keeps the address from being used again.
    router: Weak<Router>,
    prepared: Arc<Prepared>,
}

/// A text and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Text {
    Task(String),
    Example(String),
}

/// The tasks of one router.
pub(super) struct Prepared {
    /// One for each policy.
    pub(super) vectors: Vec<Vec<f32>>,
    /// The share of them with examples.
    pub(super) with_examples: f64,
    /// Of all the texts that the vectors were made from.
    pub(super) digest: [u8; 32],
}

impl Known {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self { routers: RwLock::default(), texts: Cache::new(MAX_TEXTS) }
    }

    /// The tasks of `router`, if they are known.
    pub(super) fn find(&self, router: &Arc<Router>) -> Option<Arc<Prepared>> {
        let address = Arc::as_ptr(router).addr();
        self.routers.read().get(&address).map(|entry| Arc::clone(&entry.prepared))
    }

    /// Gets to know the tasks of `router`; texts that are known already are not encoded again.
    pub(super) async fn learn<F>(
        &self,
        router: &Arc<Router>,
        share: f64,
        encode: impl Fn(Work) -> F,
    ) -> Result<Arc<Prepared>, Unclassified>
    where
        F: Future<Output = Result<Read, Unclassified>>,
    {
        let (mut vectors, mut sampled) = (Vec::new(), 0_u32);
        let mut digest = Sha256::new();
        for policy in &router.policies {
            let task = &policy.task;
            let mut vector =
                self.vector(Text::Task(text_of(task)), &encode, &mut digest).await?.to_vec();
            let mut examples = Vec::new();
            for example in task.examples.iter().take(MAX_EXAMPLES) {
                if !example.trim().is_empty() {
                    let text = Text::Example(example.clone());
                    examples.push(self.vector(text, &encode, &mut digest).await?);
                }
            }
            blend(&mut vector, &examples, share);
            sampled = sampled.saturating_add(u32::from(!examples.is_empty()));
            vectors.push(vector);
        }
        let count = u32::try_from(vectors.len()).unwrap_or(u32::MAX).max(1);
        let with_examples = f64::from(sampled) / f64::from(count);
        let digest = digest.finalize().into();
        let prepared = Arc::new(Prepared { vectors, with_examples, digest });
        let entry = Entry { router: Arc::downgrade(router), prepared: Arc::clone(&prepared) };
        self.routers.write().insert(Arc::as_ptr(router).addr(), entry);
        Ok(prepared)
    }

    /// Forgets routers that no catalog has any more.
    pub(super) fn forget_gone(&self) {
        self.routers.write().retain(|_, entry| entry.router.strong_count() > 0);
    }

    async fn vector<F>(
        &self,
        text: Text,
        encode: &impl Fn(Work) -> F,
        digest: &mut Sha256,
    ) -> Result<Arc<[f32]>, Unclassified>
    where
        F: Future<Output = Result<Read, Unclassified>>,
    {
        text.digest(digest);
        if let Some(vector) = self.texts.get(&text) {
            return Ok(vector);
        }
        let work = match &text {
            Text::Task(text) => Work::Task(text.clone()),
            Text::Example(text) => Work::Conversation(Conversation::from_text(text)),
        };
        let vector: Arc<[f32]> = encode(work).await?.vector.into();
        self.texts.insert(text, Arc::clone(&vector));
        Ok(vector)
    }
}

impl Text {
    fn digest(&self, digest: &mut Sha256) {
        let (kind, text) = match self {
            Self::Task(text) => (b't', text),
            Self::Example(text) => (b'e', text),
        };
        digest.update([kind]);
        digest.update(text.len().to_le_bytes());
        digest.update(text);
    }
}

/// A task in one line.
fn text_of(task: &Task) -> String {
    if task.description.is_empty() {
        task.name.to_string()
    } else {
        format!("{}: {}", task.name, task.description)
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "at most 32 examples; vectors are single precision"
)]
fn blend(vector: &mut [f32], examples: &[Arc<[f32]>], share: f64) {
    if examples.is_empty() {
        return;
    }
    let count = examples.len() as f64;
    let share = share * count / (count + 1.0);
    for (index, own) in vector.iter_mut().enumerate() {
        let sum: f64 =
            examples.iter().filter_map(|example| example.get(index)).map(|v| f64::from(*v)).sum();
        *own = ((1.0 - share) * f64::from(*own) + share * sum / count) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_example_moves_a_task_by_a_bounded_share() {
        let mut vector = vec![1.0, 0.0];
        blend(&mut vector, &[Arc::from([0.0, 1.0])], 0.5);
        assert_eq!(vector, [0.75, 0.25]);
        let mut vector = vec![1.0, 0.0];
        let good: Arc<[f32]> = Arc::from([1.0, 0.0]);
        let odd: Arc<[f32]> = Arc::from([0.0, 1.0]);
        blend(&mut vector, &[Arc::clone(&good), Arc::clone(&good), good, odd], 0.5);
        assert!((vector[0] - 0.9).abs() < 1e-6 && (vector[1] - 0.1).abs() < 1e-6);
    }
}
