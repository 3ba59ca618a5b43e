//! One attempt as the statistics see it, and the table of what may be learned from which outcome.
//!
//! | outcome | first content | answer length | token counts, cache |
//! |---|---|---|---|
//! | answered, streamed | yes | yes | yes |
//! | answered, not streamed | never: only the whole answer was timed | yes | yes |
//! | answered up to the limit asked for | as above | can only lengthen it | yes |
//! | answered, limit below [`SHORT_ANSWER`] | never: such probes make a target look fast | never | yes |
//! | failed, timed out | a penalty, streamed or not: failing in 5 ms is not fast | never | never |
//! | cancelled by the caller | never: who leaves early would teach only the fast starts | never | never |
//! | rejected (the caller's own mistake) | never | never | never |

use std::time::{Duration, Instant};

use crate::ids::{ModelId, TargetId, TaskName};

/// An answer that was asked to be shorter than this many tokens teaches neither speed nor length.
pub const SHORT_ANSWER: u64 = 16;

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Where it went.
    pub target: TargetId,
    /// The model that it was for.
    pub model: ModelId,
    /// The task that had matched.
    pub task: Option<TaskName>,
    /// When it ended.
    pub now: Instant,
    /// Whether the answer was streamed from the provider.
    pub streamed: bool,
    /// How it ended.
    pub outcome: SampleOutcome,
    /// From sending the request to the first content.
    pub ttft: Option<Duration>,
    /// From sending the request to its end.
    pub duration: Duration,
    /// Our estimate of its input tokens, as the decision used it.
    pub estimated_tokens: u64,
    /// Its input tokens as the provider reported them, cached ones included.
    pub input_tokens: Option<u64>,
    /// Its output tokens as the provider reported them, reasoning included.
    pub output_tokens: Option<u64>,
    /// The input tokens that the provider's cache held, as reported.
    pub cache_read: Option<u64>,
    /// The input tokens written to the provider's cache, as reported.
    pub cache_write: Option<u64>,
    /// Our estimate of the earlier tokens of this session that the target's cache could have held
    /// (`rank::SessionCache::reusable`); absent where it could have held none.
    pub cacheable: Option<u64>,
    /// The most output tokens that the request allowed.
    pub max_output: Option<u64>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleOutcome {
    /// With a whole answer.
    Answered,
    /// With a failure of the target, before or after the first content.
    Failed,
    /// With silence beyond a time limit.
    TimedOut,
    /// The caller went away.
    Cancelled,
    /// The provider refused the request as the caller's own mistake.
    Rejected,
}

/// What one sample teaches.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Lessons {
    /// A measured time to first content.
    pub ttft: Option<Duration>,
    /// A failure, and how long it took.
    pub penalty: Option<Duration>,
    /// The length of a whole answer.
    pub output: Option<u64>,
    /// A bound from below of the length of an answer that its limit cut off.
    pub output_at_least: Option<u64>,
    /// Whether reported token counts may be believed.
    pub usage: bool,
}

impl Lessons {
    /// Whether there is nothing to learn.
    pub fn none(&self) -> bool {
        *self == Self::default()
    }
}

impl Sample {
    /// What this sample may teach: the table above.
    pub fn lessons(&self) -> Lessons {
        match self.outcome {
            SampleOutcome::Answered => self.answered(),
            SampleOutcome::Failed | SampleOutcome::TimedOut => {
                Lessons { penalty: Some(self.duration), ..Lessons::default() }
            }
            SampleOutcome::Cancelled | SampleOutcome::Rejected => Lessons::default(),
        }
    }

    /// Whether it was asked for so little that it says neither how fast nor how wordy the model is.
    pub fn is_probe(&self) -> bool {
        self.max_output.is_some_and(|limit| limit < SHORT_ANSWER)
    }

    fn answered(&self) -> Lessons {
        let usage = Lessons { usage: true, ..Lessons::default() };
        if self.is_probe() {
            return usage;
        }
        let cut = self.output_tokens.zip(self.max_output).is_some_and(|(got, limit)| got >= limit);
        let output = self.output_tokens.filter(|tokens| *tokens > 0);
        Lessons {
            ttft: self.ttft.filter(|_| self.streamed),
            output: output.filter(|_| !cut),
            output_at_least: output.filter(|_| cut),
            ..usage
        }
    }
}
