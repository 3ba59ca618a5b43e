//! A stream of events that passes through: only the value of `model` in them is replaced, in place.

use bytes::BytesMut;

use crate::{
    dialect::{
        answer::{AnswerFault, read},
        chat::stream,
        ir::answer::Usage,
        json::{self, Node},
        sse::{Decoder, Frame, Oversized},
    },
    engine::passthrough::judge,
    ids::ModelId,
};

/// What says in an event's `type` that nothing follows: of speech, and of images.
const LAST: [&str; 2] = [".done", ".completed"];

/// A stream of events under way.
pub(super) struct Events {
    frames: Decoder,
    choices: stream::Decoder,
    /// The model's name, as JSON.
    model: String,
    /// What it took, where it said so.
    pub usage: Option<Usage>,
    /// Whether nothing more comes that belongs to the answer.
    pub done: bool,
    /// What went wrong behind all that came before it.
    pub fault: Option<AnswerFault>,
    /// Whether an event has come that is the last of its kind.
    last: bool,
}

impl Events {
    /// A stream that has not begun, whose events may have `cap` bytes.
    pub(super) fn new(model: &ModelId, cap: usize) -> Self {
        Self {
            frames: Decoder::new(cap),
            choices: stream::Decoder::default(),
            model: json::quote(model.as_str()),
            usage: None,
            done: false,
            fault: None,
            last: false,
        }
    }

    /// Appends what the caller gets for the bytes that came, up to the first fault, which is kept. True where the answer
    /// was in them.
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut BytesMut) -> bool {
        self.frames.push(bytes);
        let mut said = false;
        while self.fault.is_none() && !self.done {
            match self.frames.next() {
                Ok(Some(frame)) => said |= self.note(&frame, out),
                Ok(None) => break,
                Err(oversized) => self.oversized(oversized),
            }
        }
        said
    }

    /// The provider ended its stream: what was begun without a blank line behind it counts as an event. Where the answer
    /// is not whole, that is a fault. True where the answer was in that event.
    pub(super) fn end(&mut self, out: &mut BytesMut) -> bool {
        let said = match self.frames.finish() {
            _ if self.fault.is_some() || self.done => false,
            Ok(frame) => frame.is_some_and(|frame| self.note(&frame, out)),
            Err(oversized) => {
                self.oversized(oversized);
                false
            }
        };
        if self.fault.is_none() && !self.done && !self.last {
            if self.choices.finished() {
                out.extend_from_slice(b"data: [DONE]\n\n");
            } else {
                self.fault = Some(AnswerFault::Truncated);
            }
        }
        self.done = true;
        said
    }

    fn note(&mut self, frame: &Frame, out: &mut BytesMut) -> bool {
        self.accept(frame, out).unwrap_or_else(|fault| {
            self.fault = Some(fault);
            false
        })
    }

    fn oversized(&mut self, oversized: Oversized) {
        self.fault = Some(AnswerFault::Malformed(oversized.to_string()));
    }

    fn accept(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<bool, AnswerFault> {
        json::text(&frame.raw)?;
        let data = json::text(frame.data.as_deref().unwrap_or_default())?;
        let word = data.trim_ascii();
        self.done = word == "[DONE]";
        if word.is_empty() || self.done {
            out.extend_from_slice(&frame.raw);
            return Ok(false);
        }
        let root = json::parse_text(data)?;
        if frame.event.as_deref() == Some(b"error") {
            return Err(read::in_band(&root));
        }
        judge::event(&mut self.choices, &root, data, &mut self.usage)?;
        let kind = root.member("type").and_then(Node::as_str).unwrap_or_default();
        self.last |= LAST.iter().any(|last| kind.ends_with(last));
        let model = root.member("model").filter(|model| model.as_str().is_some());
        match model.and_then(|model| frame.place(model.span.clone())) {
            Some(place) => {
                let edit = (place, self.model.as_bytes().into());
                out.extend_from_slice(&json::splice(&frame.raw, &[edit]));
            }
            None => out.extend_from_slice(&frame.raw),
        }
        Ok(true)
    }
}
