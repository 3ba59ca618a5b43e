//! What is kept of a streamed answer so that another model can finish it: what was said, whether another model may go
//! on at all, and where in the caller's stream that would be.
//!
//! A tool call, a refusal, reasoning that its maker signed, and whatever the inner form has no place for are nothing
//! that another model can finish. Where the provider's own events go on to the caller, their ids and numbers are noted,
//! because the events of another model have to go on with them.

use crate::dialect::{
    Dialect,
    answer::{Heading, codec::Encoder, read},
    ir::answer::Delta,
    json::Node,
};

/// The longest text that is kept, and the most of what is kept beside it.
const MAX_KEPT: usize = 1 << 20;

/// The account of one streamed answer.
#[derive(Debug)]
pub(super) struct Trace {
    /// The text that the caller has.
    said: String,
    /// Whether something came that no other model can go on from.
    barred: bool,
    /// Whether the provider has said why the answer ends: nothing is missing of its text.
    stopped: bool,
    /// Where the caller's stream is, if the provider's own events are relayed.
    place: Option<Place>,
}

/// Where a relayed stream is.
#[derive(Debug)]
pub(super) enum Place {
    Chat(Identity),
    Messages(Blocks),
    Responses(Output),
}

/// By what an answer is known.
#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) id: Option<String>,
    pub(super) created: Option<u64>,
}

/// The content blocks of a message.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// The number of the next block.
    pub(super) next: u64,
    pub(super) open: Option<Block>,
}

/// A content block that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    Text,
    Other,
}

/// The output items of a response.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) identity: Identity,
    /// The items that are whole, as JSON.
    pub(super) done: Vec<String>,
    pub(super) open: Option<OpenItem>,
    /// The bytes of the whole items.
    kept: usize,
}

/// An output item that is open.
#[derive(Debug)]
pub(super) struct OpenItem {
    pub(super) id: String,
    /// Where in all that was said its text begins.
    pub(super) from: usize,
    /// Whether it is a message whose text can go on.
    writable: bool,
}

impl Trace {
    /// Of an answer to `caller`, whose events are the provider's own if `relayed`.
    pub(super) fn new(caller: Dialect, relayed: bool) -> Self {
        let place = match caller {
            Dialect::Chat => Place::Chat(Identity::default()),
            Dialect::Messages => Place::Messages(Blocks::default()),
            Dialect::Responses => Place::Responses(Output::default()),
        };
        Self { said: String::new(), barred: false, stopped: false, place: relayed.then_some(place) }
    }

    /// What was said.
    pub(super) fn said(&self) -> &str {
        &self.said
    }

    /// Takes back what was said after the first `length` bytes: the caller did not get it.
    pub(super) fn take_back(&mut self, length: usize) {
        if self.place.is_none() {
            // The encoder has written it already, and cannot unwrite it.
            self.barred |= self.said.len() > length;
        }
        self.said.truncate(length);
    }

    /// Whether another model may go on.
    pub(super) fn is_open(&self) -> bool {
        let writable = match &self.place {
            None | Some(Place::Chat(_)) => true,
            Some(Place::Messages(blocks)) => blocks.open != Some(Block::Other),
            Some(Place::Responses(output)) => output.open.as_ref().is_none_or(|item| item.writable),
        };
        writable && !self.barred && !self.stopped
    }

    /// Whether all of the text had come.
    pub(super) fn is_all_said(&self) -> bool {
        self.stopped && !self.barred
    }

    /// Notes a delta.
    pub(super) fn note(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Text(text) => {
                self.barred |= self.said.len().saturating_add(text.len()) > MAX_KEPT;
                if !self.barred {
                    self.said.push_str(text);
                }
            }
            Delta::Stop(_) => self.stopped = true,
            Delta::Refusal(_) | Delta::ToolStart { .. } | Delta::ToolInput { .. } => {
                self.barred = true;
            }
            Delta::Lost { what, .. } => {
                // What a translation leaves out did not reach the caller.
                let unseen = matches!(*what, "reasoning" | "annotations" | "citations");
                self.barred |= self.place.is_some() || !unseen;
            }
            Delta::Id(_)
            | Delta::Reasoning(_)
            | Delta::ToolEnd { .. }
            | Delta::Usage(_)
            | Delta::End => {}
        }
    }

    /// Notes an event that was relayed.
    pub(super) fn event(&mut self, kind: &str, root: &Node<'_>, source: &str) {
        match &mut self.place {
            None => {}
            Some(Place::Chat(identity)) => identity.note(root, "created"),
            Some(Place::Messages(blocks)) => blocks.note(kind, root),
            Some(Place::Responses(output)) => {
                self.barred |= !output.note(kind, root, source, self.said.len());
            }
        }
    }

    /// What writes the events that go on after the relayed ones.
    pub(super) fn encoder(&self, caller: Dialect, heading: Heading, sequence: u64) -> Encoder {
        match &self.place {
            None => Encoder::new(caller, heading),
            Some(place) => Encoder::resumed(heading, place, &self.said, sequence),
        }
    }
}

impl Identity {
    fn note(&mut self, root: &Node<'_>, created: &str) {
        if self.id.is_none() {
            self.id = read::text(root, "id").map(str::to_owned);
            self.created = read::count(root, &[created]);
        }
    }
}

impl Blocks {
    fn note(&mut self, kind: &str, root: &Node<'_>) {
        match kind {
            "content_block_start" => {
                let index = root.member("index").and_then(Node::as_u64).unwrap_or_default();
                self.next = self.next.max(index.saturating_add(1));
                let block = root.member("content_block");
                let text = block.and_then(|block| read::text(block, "type")) == Some("text");
                self.open = Some(if text { Block::Text } else { Block::Other });
            }
            "content_block_stop" => self.open = None,
            _ => {}
        }
    }
}

impl Output {
    /// False where the stream is not one that another model's events could go on with.
    fn note(&mut self, kind: &str, root: &Node<'_>, source: &str, said: usize) -> bool {
        match kind {
            "response.output_item.added" => return self.added(root, said),
            "response.output_item.done" => return self.item_done(root, source),
            "response.content_part.added" => {
                let part = root.member("part").and_then(|part| read::text(part, "type"));
                let first = root.member("content_index").and_then(Node::as_u64) == Some(0);
                let Some(item) = &mut self.open else { return false };
                item.writable = part == Some("output_text") && first;
                return item.writable;
            }
            "response.output_text.delta" => {
                return self.open.as_ref().is_some_and(|item| item.writable);
            }
            "response.output_text.done" | "response.content_part.done" => {
                if let Some(item) = &mut self.open {
                    item.writable = false;
                }
            }
            _ => {}
        }
        if let Some(response) = root.member("response") {
            self.identity.note(response, "created_at");
        }
        true
    }

    fn added(&mut self, root: &Node<'_>, said: usize) -> bool {
        let id = root.member("item").and_then(|item| read::text(item, "id"));
        let place = root.member("output_index").and_then(Node::as_u64);
        let next = u64::try_from(self.done.len()).ok();
        if self.open.is_some() || place != next {
            return false;
        }
        let id = id.unwrap_or_default().to_owned();
        self.open = Some(OpenItem { id, from: said, writable: false });
        true
    }

    fn item_done(&mut self, root: &Node<'_>, source: &str) -> bool {
        let Some(item) = root.member("item") else { return false };
        let json = item.raw_text(source);
        self.kept = self.kept.saturating_add(json.len());
        self.done.push(json.to_owned());
        self.open.take().is_some() && self.kept <= MAX_KEPT
    }
}
