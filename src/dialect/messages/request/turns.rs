//! The order of turns that Messages demands.
//!
//! User and assistant take turns, the user begins, tool results stand first in their turn, and nothing is empty: not a
//! text (white space counts as empty), not a turn. System messages have no turn; wherever they stood, they go to
//! `system`, in their order. If nothing but system messages is left, they are what the user says.

use std::borrow::Cow;

use crate::dialect::ir::{
    Request,
    part::{Message, Part, Role},
};

/// What opens a conversation that begins with an answer.
const OPENING: &str = "(start of the conversation)";

/// A conversation as Messages takes it.
pub(super) struct Turns<'r, 'a> {
    /// The blocks of `system`.
    pub(super) system: Vec<&'r Part<'a>>,
    /// The turns.
    pub(super) list: Vec<Turn<'r, 'a>>,
}

/// One turn.
pub(super) struct Turn<'r, 'a> {
    /// Whether the model speaks.
    pub(super) assistant: bool,
    /// What is said.
    pub(super) blocks: Vec<Cow<'r, Part<'a>>>,
}

impl<'r, 'a> Turns<'r, 'a> {
    pub(super) fn new(request: &'r Request<'a>) -> Self {
        let mut turns = Turns { system: Vec::new(), list: Vec::new() };
        for message in &request.messages {
            turns.add(message);
        }
        if turns.list.is_empty() && !turns.system.is_empty() {
            let blocks = std::mem::take(&mut turns.system).into_iter().map(Cow::Borrowed).collect();
            turns.list.push(Turn { assistant: false, blocks });
        }
        if turns.list.first().is_some_and(|turn| turn.assistant) {
            turns.list.insert(0, Turn::words(OPENING));
        }
        for turn in &mut turns.list {
            turn.blocks.sort_by_key(|block| !matches!(**block, Part::ToolResult(_)));
        }
        turns
    }

    fn add(&mut self, message: &'r Message<'a>) {
        let says = message.parts.iter().filter(|part| says_something(part));
        if matches!(message.role, Role::System | Role::Developer) {
            self.system.extend(says);
            return;
        }
        let assistant = message.role == Role::Assistant;
        let mut blocks: Vec<_> = says.map(Cow::Borrowed).collect();
        if blocks.is_empty() {
            return;
        }
        match self.list.last_mut() {
            Some(last) if last.assistant == assistant => last.blocks.append(&mut blocks),
            _ => self.list.push(Turn { assistant, blocks }),
        }
    }

    /// Whether the model is in the middle of a tool loop.
    pub(super) fn in_tool_loop(&self) -> bool {
        let first = self.list.last().and_then(|turn| turn.blocks.first());
        first.is_some_and(|block| matches!(**block, Part::ToolResult(_)))
    }

    /// Whether the last turn is the beginning of an answer.
    pub(super) fn ends_with_answer(&self) -> bool {
        self.list.last().is_some_and(|turn| turn.assistant)
    }

    /// Asks in words for what a prefilled turn asks.
    pub(super) fn push_words(&mut self, words: &'static str) {
        self.list.push(Turn::words(words));
    }

    /// A prefilled turn must not end in white space.
    pub(super) fn trim_end(&mut self) {
        let last = self.list.last_mut().and_then(|turn| turn.blocks.last_mut());
        if let Some(block) = last
            && let Part::Text(text) = &**block
            && text.text.ends_with(char::is_whitespace)
        {
            *block = Cow::Owned(Part::text(text.text.trim_end().to_owned()));
        }
    }
}

impl Turn<'_, '_> {
    fn words(words: &'static str) -> Self {
        Self { assistant: false, blocks: vec![Cow::Owned(Part::text(words))] }
    }
}

fn says_something(part: &Part<'_>) -> bool {
    match part {
        Part::Text(text) => !text.text.trim().is_empty(),
        Part::Refusal(text) => !text.trim().is_empty(),
        Part::Image(_) | Part::Document(_) | Part::ToolCall(_) | Part::ToolResult(_) => true,
        Part::Audio(_) | Part::Reasoning(_) | Part::Other(_) => false,
    }
}
