//! The encoder in this process: conversations and tasks become vectors, and how well they point the same way becomes a
//! probability.
//!
//! Tasks are embedded once, by their text, so that a reload embeds only what is new. A verdict is cached by the exact
//! turns that were read and the texts of the router's tasks, never where some text was left unread. The work is done by
//! threads of its own (`pool`): what waits for the encoder never keeps I/O waiting.

mod encoder;
mod golden;
mod likeness;
mod manifest;
mod pieces;
mod pool;
mod session;
mod tasks;
mod tokenize;
mod window;

use std::{path::Path, sync::Arc, thread, time::Duration};

use async_trait::async_trait;
use moka::sync::Cache;

use crate::{
    catalog::{router::Router, settings::OnnxClassifier},
    classifier::{
        ClassifierFault,
        onnx::{
            encoder::Encoder,
            manifest::Manifest,
            pool::{Pool, Read, Work},
            session::Runtime,
            tasks::{Known, Prepared},
            tokenize::Tokenizer,
        },
    },
    classify::{Classifier, Likeness, Unclassified, Verdict},
    conversation::Conversation,
};

/// The most bytes that cached verdicts may take, roughly.
const CACHE_BYTES: u64 = 16 << 20;

/// The encoder with its threads and its caches.
pub struct Onnx {
    manifest: Manifest,
    pool: Pool,
    tasks: Known,
    verdicts: Cache<Key, Verdict>,
    timeout: Duration,
}

/// What a verdict depends on.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    tasks: [u8; 32],
    conversation: Conversation,
}

impl Onnx {
    /// Loads and checks the model. It takes a fraction of a second, and blocks.
    pub fn load(settings: &OnnxClassifier) -> Result<Self, ClassifierFault> {
        let runtime = Runtime::find()?;
        let folder = &settings.folder;
        let manifest = Manifest::read(folder)?;
        manifest.verify(folder)?;
        let tokenizer = Arc::new(Tokenizer::load(folder)?);
        let mut encoders = open(&runtime, settings)?;
        check(folder, &tokenizer, &mut encoders)?;
        Ok(Self {
            manifest,
            pool: Pool::start(encoders, &tokenizer)?,
            tasks: Known::new(),
            verdicts: Cache::builder()
                .max_capacity(CACHE_BYTES)
                .weigher(|key: &Key, verdict: &Verdict| key.weight(verdict))
                .build(),
            timeout: settings.timeout,
        })
    }

    async fn verdict(
        &self,
        conversation: &Conversation,
        router: &Arc<Router>,
    ) -> Result<Verdict, Unclassified> {
        let tasks = self.known(router).await?;
        let key = Key { tasks: tasks.digest, conversation: conversation.clone() };
        if let Some(verdict) = self.verdicts.get(&key) {
            return Ok(verdict);
        }
        let read = self.pool.run(Work::Conversation(conversation.clone())).await?;
        let verdict = self.judge(&tasks, &read)?;
        if !verdict.truncated {
            self.verdicts.insert(key, verdict.clone());
        }
        Ok(verdict)
    }

    async fn known(&self, router: &Arc<Router>) -> Result<Arc<Prepared>, Unclassified> {
        match self.tasks.find(router) {
            Some(tasks) => Ok(tasks),
            None => self.learn(router).await,
        }
    }

    async fn learn(&self, router: &Arc<Router>) -> Result<Arc<Prepared>, Unclassified> {
        let share = self.manifest.examples_weight;
        self.tasks.learn(router, share, |work| self.pool.run(work)).await
    }

    /// The softmax over the tasks and *none*, calibrated.
    fn judge(&self, tasks: &Prepared, read: &Read) -> Result<Verdict, Unclassified> {
        let manifest = &self.manifest;
        let at = manifest.calibration(tasks.with_examples);
        let mut logits: Vec<f64> =
            tasks.vectors.iter().map(|task| manifest.scale * dot(task, &read.vector)).collect();
        logits.push(f64::from(read.none) + at.none_offset);
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut shares: Vec<f64> =
            logits.iter().map(|logit| ((logit - most) / at.temperature).exp()).collect();
        let sum: f64 = shares.iter().sum();
        for share in &mut shares {
            *share /= sum;
        }
        if shares.iter().any(|share| !share.is_finite()) {
            return Err(Unclassified::Malformed("a probability is not a number".to_owned()));
        }
        let none = shares.pop().unwrap_or(1.0);
        let truncated = read.truncated;
        Ok(Verdict { probabilities: shares, none, threshold: manifest.threshold, truncated })
    }
}

#[async_trait]
impl Classifier for Onnx {
    async fn classify(
        &self,
        conversation: &Conversation,
        router: &Arc<Router>,
        deadline: Option<Duration>,
    ) -> Result<Verdict, Unclassified> {
        let deadline = deadline.unwrap_or(self.timeout);
        tokio::time::timeout(deadline, self.verdict(conversation, router))
            .await
            .unwrap_or(Err(Unclassified::Late))
    }

    async fn prepare(&self, routers: &[Arc<Router>]) -> Result<(), Unclassified> {
        for router in routers {
            self.learn(router).await?;
        }
        self.tasks.forget_gone();
        Ok(())
    }

    async fn likeness(&self, router: &Arc<Router>) -> Result<Option<Vec<Likeness>>, Unclassified> {
        let tasks = self.known(router).await?;
        let at = self.manifest.calibration(tasks.with_examples);
        let sharpness = self.manifest.scale / at.temperature;
        Ok(Some(likeness::of(&tasks.vectors, sharpness).await))
    }

    fn threshold(&self) -> f64 {
        self.manifest.threshold
    }
}

impl Key {
    fn weight(&self, verdict: &Verdict) -> u32 {
        let texts: usize = self.conversation.turns.iter().map(|turn| turn.text.len()).sum();
        let numbers = verdict.probabilities.len().saturating_mul(8);
        u32::try_from(texts.saturating_add(numbers).saturating_add(200)).unwrap_or(u32::MAX)
    }
}

/// A session for each thread, opened side by side.
fn open(runtime: &Runtime, settings: &OnnxClassifier) -> Result<Vec<Encoder>, ClassifierFault> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..settings.threads.max(1))
            .map(|_| scope.spawn(|| Encoder::open(runtime, &settings.folder)))
            .collect();
        let panicked = |_| ClassifierFault::Thread("opening the model panicked".to_owned());
        threads.into_iter().map(|thread| thread.join().map_err(panicked)?).collect()
    })
}

/// Lets the model reproduce its golden vectors. All encoders have the same file, so one is asked.
fn check(
    folder: &Path,
    tokenizer: &Tokenizer,
    encoders: &mut [Encoder],
) -> Result<(), ClassifierFault> {
    let golden = golden::Golden::read(folder)?;
    golden.check_tokens(tokenizer)?;
    if let Some(encoder) = encoders.first_mut() {
        golden.check_vectors(encoder, golden.load_checked)?;
    }
    Ok(())
}

fn dot(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
}

#[cfg(test)]
mod examples;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
