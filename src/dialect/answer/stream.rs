//! A streamed answer on its way from a provider to a caller.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::dialect::{
    Dialect,
    answer::{
        AnswerFault, Heading, Outcome, Step, Tally, Terms,
        codec::{Decoder, Encoder},
        model_span, quoted, read,
        translate::Adapter,
    },
    error::{self, Problem},
    ir::answer::Delta,
    json::{self, Node},
    sse::Frame,
};

/// One streamed answer. Frames go in; what the caller must receive for them comes out.
///
/// Nothing here holds output back: until the first content the caller of this does.
#[derive(Debug)]
pub struct Stream {
    caller: Dialect,
    upstream: Dialect,
    decoder: Decoder,
    mode: Mode,
    tally: Tally,
    phase: Phase,
}

#[derive(Debug)]
enum Mode {
    /// The frames go on as they came.
    Relay {
        /// The caller's name of the model, as JSON.
        model: Bytes,
        hides_usage: bool,
        /// The number of the next Responses event.
        sequence: u64,
    },
    /// The frames are read, and others written.
    Translate(Box<(Adapter, Encoder)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The provider's last event has come.
    Finished,
    /// An error has been found or told.
    Broken,
}

impl Stream {
    /// A stream that has not begun.
    pub fn new(terms: &Terms<'_>) -> Self {
        let mode = if terms.caller == terms.upstream {
            Mode::Relay {
                model: Bytes::from(quoted(terms.model).into_owned()),
                hides_usage: terms.hides_usage && terms.caller == Dialect::Chat,
                sequence: 0,
            }
        } else {
            let encoder = Encoder::new(terms.caller, Heading::new(terms));
            Mode::Translate(Box::new((Adapter::new(terms), encoder)))
        };
        Self {
            caller: terms.caller,
            upstream: terms.upstream,
            decoder: Decoder::new(terms.upstream),
            mode,
            tally: Tally::default(),
            phase: Phase::Open,
        }
    }

    /// Reads a frame and appends to `out` what the caller must receive for it; on a fault, nothing.
    ///
    /// What follows the provider's last event is ignored.
    pub fn frame(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<Step, AnswerFault> {
        if self.phase != Phase::Open {
            return Ok(Step { content: false, finished: self.phase == Phase::Finished });
        }
        let before = out.len();
        let content_before = std::mem::take(&mut self.tally.content);
        let result = self.read(frame, out);
        let content = std::mem::replace(&mut self.tally.content, content_before);
        self.tally.content |= content;
        match result {
            Ok(()) => Ok(Step { content, finished: self.phase == Phase::Finished }),
            Err(fault) => {
                out.truncate(before);
                self.phase = Phase::Broken;
                Err(fault)
            }
        }
    }

    /// The provider's bytes ended cleanly, or its last event has come: appends what is missing of the end of an answer
    /// that is whole.
    pub fn end(&mut self, out: &mut BytesMut) -> Result<(), AnswerFault> {
        match self.phase {
            Phase::Finished => self.tally.check(),
            Phase::Open if self.decoder.finished() => {
                self.tally.check()?;
                self.phase = Phase::Finished;
                match &mut self.mode {
                    Mode::Relay { .. } => out.extend_from_slice(b"data: [DONE]\n\n"),
                    Mode::Translate(both) => translate(both, &mut self.tally, Delta::End, out),
                }
                Ok(())
            }
            Phase::Open | Phase::Broken => Err(AnswerFault::Truncated),
        }
    }

    /// Ends the stream with an error in the caller's dialect, unless it is over.
    pub fn fail(&mut self, problem: &Problem, out: &mut BytesMut) {
        if self.phase == Phase::Finished {
            return;
        }
        let sequence = match &self.mode {
            Mode::Relay { sequence, .. } => *sequence,
            Mode::Translate(both) => both.1.sequence(),
        };
        out.extend_from_slice(&error::in_stream(self.caller, problem, sequence));
        self.phase = Phase::Finished;
    }

    /// What the answer was, so far.
    pub fn outcome(&self) -> Outcome {
        let (id, losses) = match &self.mode {
            Mode::Relay { .. } => (self.tally.id.clone(), Vec::new()),
            Mode::Translate(both) => (None, both.0.losses().to_vec()),
        };
        Outcome {
            usage: self.tally.usage,
            stop: self.tally.stop.clone(),
            response_id: id,
            content_bytes: self.tally.bytes,
            losses,
        }
    }

    fn read(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<(), AnswerFault> {
        json::text(&frame.raw)?;
        let data = json::text(frame.data.as_deref().unwrap_or_default())?;
        let word = data.trim_ascii();
        if word.is_empty() || word == "[DONE]" {
            self.read_word(word, frame, out);
            return Ok(());
        }
        let root = json::parse_text(data)?;
        let mut finished = false;
        let (decoder, tally) = (&mut self.decoder, &mut self.tally);
        let event = frame.event.as_deref();
        match &mut self.mode {
            Mode::Relay { model, hides_usage, sequence } => {
                decoder.read(event, &root, data, &mut |delta| {
                    finished |= matches!(delta, Delta::End);
                    tally.count(&delta);
                })?;
                if let Some(number) = read::count(&root, &["sequence_number"]) {
                    *sequence = number.saturating_add(1);
                }
                if !(*hides_usage && only_usage(&root)) {
                    relay(frame, model_span(self.upstream, &root, false), model, out);
                }
            }
            Mode::Translate(both) => decoder.read(event, &root, data, &mut |delta| {
                finished |= matches!(delta, Delta::End);
                translate(both, tally, delta, out);
            })?,
        }
        if finished {
            self.phase = Phase::Finished;
        }
        Ok(())
    }

    /// Reads a frame without JSON: comments, empty data, chat's last word.
    fn read_word(&mut self, word: &str, frame: &Frame, out: &mut BytesMut) {
        let done = !word.is_empty() && self.upstream == Dialect::Chat;
        match &mut self.mode {
            Mode::Relay { .. } => out.extend_from_slice(&frame.raw),
            Mode::Translate(both) if done => translate(both, &mut self.tally, Delta::End, out),
            Mode::Translate(_) => {}
        }
        if done {
            self.phase = Phase::Finished;
        }
    }
}

/// Counts a delta and writes what the caller gets for it.
fn translate(
    both: &mut (Adapter, Encoder),
    tally: &mut Tally,
    delta: Delta<'_>,
    out: &mut BytesMut,
) {
    let (adapter, encoder) = both;
    tally.count(&delta);
    adapter.adapt(delta, &mut |delta| encoder.write(&delta, out));
}

/// The frame's own bytes, with what stands at `span` of its data replaced.
fn relay(frame: &Frame, span: Option<Range<usize>>, model: &[u8], out: &mut BytesMut) {
    let raw = &frame.raw;
    let place = span.and_then(|span| frame.place(span)).unwrap_or(0..0);
    out.reserve(raw.len().saturating_add(model.len()));
    out.extend_from_slice(raw.get(..place.start).unwrap_or_default());
    if !place.is_empty() {
        out.extend_from_slice(model);
    }
    out.extend_from_slice(raw.get(place.end..).unwrap_or_default());
}

/// Whether a chunk is the one that only brings usage.
fn only_usage(root: &Node<'_>) -> bool {
    root.member("choices").and_then(Node::as_array).is_some_and(<[_]>::is_empty)
        && read::says(root, "usage")
}
