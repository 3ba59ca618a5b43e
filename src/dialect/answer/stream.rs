//! A streamed answer on its way from a provider to a caller.
//!
//! An answer that breaks off can be finished by another model. Until the break its events are relayed or translated like
//! any other's, so that nothing is lost for the sake of a break that will hardly come; only an account of them is kept.
//! A stream that is `resumed` from it writes translated events that go on where those ended, with the same ids.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::dialect::{
    Dialect,
    answer::{
        AnswerFault, Heading, Outcome, Step, Tally, Terms,
        codec::{self, Decoder, Encoder},
        joint::Joint,
        model_span, quoted, read,
        trace::Trace,
        translate::Adapter,
    },
    error::{self, Problem},
    ir::answer::{Delta, Usage},
    json::{self, Node},
    overlap::Overlap,
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
    /// The account of what was said, where another model may finish it.
    trace: Option<Box<Trace>>,
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
    Translate(Box<Writing>),
}

/// What makes the caller's events of a provider's deltas.
#[derive(Debug)]
struct Writing {
    adapter: Adapter,
    /// Where this goes on with another model's answer.
    joint: Option<Joint>,
    encoder: Encoder,
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
            let adapter = Adapter::new(terms);
            Mode::Translate(Box::new(Writing { adapter, joint: None, encoder }))
        };
        Self {
            caller: terms.caller,
            upstream: terms.upstream,
            decoder: Decoder::new(terms.upstream),
            mode,
            tally: Tally::default(),
            trace: None,
            phase: Phase::Open,
        }
    }

    /// Keeps account of what is said, so that another model can finish it.
    #[must_use]
    pub fn traced(mut self) -> Self {
        let relayed = matches!(self.mode, Mode::Relay { .. });
        self.trace = Some(Box::new(Trace::new(self.caller, relayed)));
        self
    }

    /// What was said of an answer that broke off, if another model may finish it.
    pub fn unfinished(&self) -> Option<&str> {
        let trace = self.trace.as_deref().filter(|trace| trace.is_open())?;
        (self.phase != Phase::Finished).then(|| trace.said())
    }

    /// The same answer, finished by the model of these `terms`; `trimmed` says that it was shown what was said without
    /// the white space at its end. What it says again is dropped, and the caller's usage is that of both.
    #[must_use]
    pub fn resumed(&self, terms: &Terms<'_>, trimmed: bool) -> Self {
        let mut encoder = match (&self.mode, &self.trace) {
            (Mode::Translate(writing), _) => writing.encoder.clone(),
            (Mode::Relay { sequence, .. }, Some(trace)) => {
                trace.encoder(self.caller, Heading::new(terms), *sequence)
            }
            (Mode::Relay { .. }, None) => Encoder::new(self.caller, Heading::new(terms)),
        };
        encoder.rename(terms.model.as_str());
        let said = self.trace.as_deref().map(Trace::said).unwrap_or_default();
        let overlap = Overlap::new(said, trimmed);
        let joint = Joint::new(overlap, self.spent(terms.input_tokens), terms.input_tokens);
        let writing = Writing { adapter: Adapter::new(terms), joint: Some(joint), encoder };
        Self {
            caller: self.caller,
            upstream: terms.upstream,
            decoder: Decoder::new(terms.upstream),
            mode: Mode::Translate(Box::new(writing)),
            tally: Tally::default(),
            trace: None,
            phase: Phase::Open,
        }
    }

    /// What an answer took that broke off: as much as its provider counted, and at least what can be guessed, where
    /// `input_tokens` is the estimate of its input.
    pub fn spent(&self, input_tokens: u64) -> Usage {
        let guess = Usage::estimate(input_tokens, self.tally.bytes);
        match self.tally.usage {
            Some(usage) => Usage { output: usage.output.max(guess.output), ..usage },
            None => guess,
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
        let said_before = self.trace.as_ref().map_or(0, |trace| trace.said().len());
        let content_before = std::mem::take(&mut self.tally.content);
        let result = self.read(frame, out);
        let content = std::mem::replace(&mut self.tally.content, content_before);
        self.tally.content |= content;
        match result {
            Ok(()) => Ok(Step { content, finished: self.phase == Phase::Finished }),
            Err(fault) => {
                out.truncate(before);
                if let Some(trace) = &mut self.trace {
                    trace.take_back(said_before);
                }
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
                    Mode::Translate(writing) => {
                        writing.write(Delta::End, &mut self.tally, None, out);
                    }
                }
                Ok(())
            }
            Phase::Open | Phase::Broken => Err(AnswerFault::Truncated),
        }
    }

    /// Ends an answer that broke off after its provider had said why it ends: all of its text had come. False where
    /// that is not so.
    pub fn settle(&mut self, out: &mut BytesMut) -> bool {
        let all_said = self.trace.as_ref().is_some_and(|trace| trace.is_all_said());
        if !all_said || self.phase == Phase::Finished {
            return false;
        }
        match &mut self.mode {
            Mode::Relay { .. } => out.extend_from_slice(codec::last_event(self.caller)),
            Mode::Translate(writing) => writing.write(Delta::End, &mut self.tally, None, out),
        }
        self.phase = Phase::Finished;
        true
    }

    /// Ends the stream with an error in the caller's dialect, unless it is over.
    pub fn fail(&mut self, problem: &Problem, out: &mut BytesMut) {
        out.extend_from_slice(&self.last_words(problem));
        self.phase = Phase::Finished;
    }

    /// The error in the caller's dialect that would end the stream now; nothing where it is over.
    pub fn last_words(&self, problem: &Problem) -> Bytes {
        if self.phase == Phase::Finished {
            return Bytes::new();
        }
        let sequence = match &self.mode {
            Mode::Relay { sequence, .. } => *sequence,
            Mode::Translate(writing) => writing.encoder.sequence(),
        };
        error::in_stream(self.caller, problem, sequence)
    }

    /// What the answer was, so far.
    pub fn outcome(&self) -> Outcome {
        let (id, losses) = match &self.mode {
            Mode::Relay { .. } => (self.tally.id.clone(), Vec::new()),
            Mode::Translate(writing) => (None, writing.adapter.losses().to_vec()),
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
        let (decoder, tally, trace) = (&mut self.decoder, &mut self.tally, &mut self.trace);
        let event = frame.event.as_deref();
        match &mut self.mode {
            Mode::Relay { model, hides_usage, sequence } => {
                decoder.read(event, &root, data, &mut |delta| {
                    finished |= matches!(delta, Delta::End);
                    tally.count(&delta);
                    if let Some(trace) = trace {
                        trace.note(&delta);
                    }
                })?;
                if let Some(trace) = trace {
                    trace.event(codec::kind(event, &root), &root, data);
                }
                if let Some(number) = read::count(&root, &["sequence_number"]) {
                    *sequence = number.saturating_add(1);
                }
                if !(*hides_usage && only_usage(&root)) {
                    relay(frame, model_span(self.upstream, &root, false), model, out);
                }
            }
            Mode::Translate(writing) => decoder.read(event, &root, data, &mut |delta| {
                finished |= matches!(delta, Delta::End);
                writing.write(delta, tally, trace.as_deref_mut(), out);
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
            Mode::Translate(writing) if done => {
                writing.write(Delta::End, &mut self.tally, None, out);
            }
            Mode::Translate(_) => {}
        }
        if done {
            self.phase = Phase::Finished;
        }
    }
}

impl Writing {
    /// Counts a delta and writes what the caller gets for it.
    fn write(
        &mut self,
        delta: Delta<'_>,
        tally: &mut Tally,
        trace: Option<&mut Trace>,
        out: &mut BytesMut,
    ) {
        tally.count(&delta);
        if let Some(trace) = trace {
            trace.note(&delta);
        }
        let Self { adapter, joint, encoder } = self;
        adapter.adapt(delta, &mut |delta| match joint {
            Some(joint) => joint.pass(delta, &mut |delta| encoder.write(&delta, out)),
            None => encoder.write(&delta, out),
        });
    }
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
