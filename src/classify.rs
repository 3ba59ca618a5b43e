//! Matching a conversation to a router's tasks: what a classifier says, and when that is a match.
//!
//! A classifier never costs a caller the request: whatever goes wrong is an [`Unclassified`], and the request goes to
//! the router's fallbacks.

pub mod label;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{catalog::router::Router, conversation::Conversation};

/// What a classifier says of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// One for each of the router's policies, in their order.
    pub probabilities: Vec<f64>,
    /// That none of the tasks fits. With the others it sums to 1.
    pub none: f64,
    /// The classifier's own threshold.
    pub threshold: f64,
    /// Whether some of the user's text was not read.
    pub truncated: bool,
}

/// How alike two tasks of a router are to a classifier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// The index of one of them among the router's policies.
    pub one: usize,
    /// That of the other, which comes later.
    pub other: usize,
    /// The probability that a request goes to one of the two which is exactly what the other says.
    pub doubt: f64,
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclassified {
    /// It was not there in time.
    #[error("the classifier was late")]
    Late,
    /// The classifier does not work.
    #[error("the classifier is down: {0}")]
    Down(String),
    /// No classifier is configured.
    #[error("there is no classifier")]
    Absent,
    /// What it said makes no sense.
    #[error("the classifier's answer is malformed: {0}")]
    Malformed(String),
    /// Too many conversations are waiting for it.
    #[error("the classifier is overloaded")]
    Overloaded,
}

/// What matches conversations to tasks.
#[async_trait]
pub trait Classifier: Send + Sync {
    /// The verdict on `conversation`, which must not be empty. It is waited for until `deadline`; without one, as long
    /// as the classifier is configured to take.
    async fn classify(
        &self,
        conversation: &Conversation,
        router: &Arc<Router>,
        deadline: Option<Duration>,
    ) -> Result<Verdict, Unclassified>;

    /// Gets to know the tasks of `routers` before they are asked about. It takes as long as it takes.
    async fn prepare(&self, routers: &[Arc<Router>]) -> Result<(), Unclassified>;

    /// How alike each two tasks of `router` are. `None` where nobody can tell but another machine: whoever only wants
    /// to know causes no traffic.
    async fn likeness(&self, _: &Arc<Router>) -> Result<Option<Vec<Likeness>>, Unclassified> {
        Ok(None)
    }

    /// The least probability of a match, for routers without a threshold of their own.
    fn threshold(&self) -> f64;
}

/// The index of the task that is matched: more probable than every other (of equals it is the first) and than *none*,
/// and at least as probable as `threshold`.
pub fn matched(verdict: &Verdict, threshold: f64) -> Option<usize> {
    verdict
        .probabilities
        .iter()
        .copied()
        .enumerate()
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .filter(|(_, probability)| *probability > verdict.none && *probability >= threshold)
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_is_more_probable_than_all_else_and_reaches_the_threshold() {
        let check = |probabilities: &[f64], none, threshold| {
            let probabilities = probabilities.to_vec();
            matched(&Verdict { probabilities, none, threshold, truncated: false }, threshold)
        };
        assert_eq!(check(&[0.1, 0.6], 0.3, 0.5), Some(1));
        assert_eq!(check(&[0.1, 0.6], 0.3, 0.6), Some(1));
        assert_eq!(check(&[0.1, 0.6], 0.3, 0.61), None);
        assert_eq!(check(&[0.1, 0.4], 0.5, 0.2), None);
        assert_eq!(check(&[0.4, 0.4], 0.2, 0.2), Some(0));
        assert_eq!(check(&[0.5, 0.0], 0.5, 0.2), None);
        assert_eq!(check(&[f64::NAN], 0.0, 0.0), None);
        assert_eq!(check(&[], 1.0, 0.0), None);
    }
}
