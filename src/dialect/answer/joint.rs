//! Between the adapter and the encoder of an answer that another model finishes: what it repeats is dropped, what it
//! reasons about going on is not shown, and the usage is that of both.

use crate::dialect::{
    answer::read,
    ir::answer::{Delta, Usage},
    overlap::Overlap,
};

/// Joins a continuation to what was said.
#[derive(Debug)]
pub(super) struct Joint {
    overlap: Overlap,
    /// What the answer took before it broke off.
    earlier: Usage,
    /// Our estimate of the input tokens, for a provider that counts nothing.
    input_tokens: u64,
    bytes: u64,
    counted: bool,
}

impl Joint {
    pub(super) const fn new(overlap: Overlap, earlier: Usage, input_tokens: u64) -> Self {
        Self { overlap, earlier, input_tokens, bytes: 0, counted: false }
    }

    /// Passes on what a delta of the continuation becomes.
    pub(super) fn pass(&mut self, delta: Delta<'_>, sink: read::Sink<'_>) {
        self.bytes = self.bytes.saturating_add(delta.bytes());
        match delta {
            Delta::Text(text) => self.overlap.push(text, &mut |text| sink(Delta::Text(text))),
            Delta::Reasoning(_) => {}
            Delta::Usage(usage) => {
                self.counted = true;
                sink(Delta::Usage(self.earlier.plus(&usage)));
            }
            Delta::Refusal(_) | Delta::ToolStart { .. } => {
                self.finish(sink);
                sink(delta);
            }
            Delta::End => {
                self.finish(sink);
                if !self.counted {
                    let own = Usage::estimate(self.input_tokens, self.bytes);
                    sink(Delta::Usage(self.earlier.plus(&own)));
                }
                sink(delta);
            }
            Delta::Id(_)
            | Delta::ToolInput { .. }
            | Delta::ToolEnd { .. }
            | Delta::Lost { .. }
            | Delta::Stop(_) => sink(delta),
        }
    }

    fn finish(&mut self, sink: read::Sink<'_>) {
        self.overlap.finish(&mut |text| sink(Delta::Text(text)));
    }
}
