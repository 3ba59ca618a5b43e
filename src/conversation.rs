//! What of a request shows its intent: the user's turns, and the assistant's last one.
//!
//! System and developer text, tool calls and results, reasoning and images are left out, and so are the wrappers that
//! coding agents put around the user's words. At most the last 16 turns are kept, and of a long one its head and its
//! tail. Whatever comes in, the result is a few kilobytes: the cost of what follows does not grow with the request, and
//! a request of many megabytes costs one pass. Traffic, dry runs and the command line read with this one code.

pub mod fingerprint;
mod window;
mod wrapper;

use crate::{
    conversation::window::Cut,
    dialect::ir::{
        Request,
        part::{Message, Part, Role},
    },
};

/// The most turns that are read.
pub const MAX_TURNS: usize = 16;

/// The part of a conversation that shows its intent, oldest turn first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Conversation {
    /// The user's turns, and the assistant's last one, each with text.
    pub turns: Vec<Turn>,
    /// Whether no turn of the user was left out.
    pub complete: bool,
}

/// What one side said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Turn {
    /// Who said it.
    pub speaker: Speaker,
    /// The text, or its head and its tail on lines of their own.
    pub text: String,
    /// Whether it is the whole text.
    pub whole: bool,
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speaker {
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// Reads a request's conversation.
pub fn read(request: &Request<'_>) -> Conversation {
    Conversation::latest(request.messages.iter().rev().filter_map(|message| {
        let speaker = match message.role {
            Role::User => Speaker::User,
            Role::Assistant => Speaker::Assistant,
            Role::System | Role::Developer | Role::Tool => return None,
        };
        Some((speaker, texts(message)))
    }))
}

/// Whether the request goes on with a turn that the user began earlier: its last message is a tool's result or an
/// assistant's prefill, or a user turn that holds nothing of the user's own.
pub fn continues(request: &Request<'_>) -> bool {
    let last = request
        .messages
        .iter()
        .rev()
        .find(|message| !matches!(message.role, Role::System | Role::Developer));
    last.is_some_and(|message| match message.role {
        Role::Assistant | Role::Tool => true,
        Role::User => holds_nothing_new(message),
        Role::System | Role::Developer => false,
    })
}

fn holds_nothing_new(message: &Message<'_>) -> bool {
    let mut results = false;
    for part in &message.parts {
        match part {
            Part::ToolResult(_) => results = true,
            Part::Text(text) if wrapper::strip(&text.text).is_empty() => {}
            Part::Text(_)
            | Part::Image(_)
            | Part::Document(_)
            | Part::Audio(_)
            | Part::ToolCall(_)
            | Part::Reasoning(_)
            | Part::Refusal(_)
            | Part::Other(_) => return false,
        }
    }
    results
}

fn texts<'m>(message: &'m Message<'_>) -> Vec<&'m str> {
    message
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(&*text.text),
            Part::Image(_)
            | Part::Document(_)
            | Part::Audio(_)
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Reasoning(_)
            | Part::Refusal(_)
            | Part::Other(_) => None,
        })
        .collect()
}

impl Conversation {
    /// A single turn of the user.
    pub fn from_text(text: &str) -> Self {
        Self::latest(std::iter::once((Speaker::User, vec![text])))
    }

    /// Turns by role, oldest first, each of one or more texts; roles other than `user` and `assistant` are left out.
    pub fn from_turns<'a>(turns: impl Iterator<Item = (&'a str, Vec<String>)>) -> Self {
        let turns: Vec<(Speaker, Vec<String>)> = turns
            .filter_map(|(role, texts)| match role {
                "user" => Some((Speaker::User, texts)),
                "assistant" => Some((Speaker::Assistant, texts)),
                _ => None,
            })
            .collect();
        Self::latest(
            turns
                .iter()
                .rev()
                .map(|(speaker, texts)| (*speaker, texts.iter().map(String::as_str).collect())),
        )
    }

    /// Whether there is no text of the user to read.
    pub fn is_empty(&self) -> bool {
        self.turns.iter().all(|turn| turn.speaker == Speaker::Assistant)
    }

    /// Whether the user spoke last.
    pub fn last_is_user(&self) -> bool {
        self.turns.last().is_some_and(|turn| turn.speaker == Speaker::User)
    }

    /// Takes what is read of turns that come newest first.
    fn latest<'a>(turns: impl Iterator<Item = (Speaker, Vec<&'a str>)>) -> Self {
        let (mut kept, mut complete, mut answered) = (Vec::new(), true, false);
        for (speaker, texts) in turns {
            if speaker == Speaker::Assistant && answered {
                continue;
            }
            if kept.len() == MAX_TURNS {
                complete = false;
                break;
            }
            let pieces: Vec<&str> = texts.into_iter().flat_map(wrapper::strip).collect();
            if let Some(Cut { text, whole }) = window::cut(&pieces) {
                answered |= speaker == Speaker::Assistant;
                kept.push(Turn { speaker, text, whole });
            }
        }
        kept.reverse();
        Self { turns: kept, complete }
    }
}

#[cfg(test)]
mod tests {
    use crate::dialect::{Dialect, ir::part::ToolResult};

    use super::*;

    fn request(messages: Vec<(Role, Vec<Part<'static>>)>) -> Request<'static> {
        let mut request = Request::new(Dialect::Messages);
        request.messages =
            messages.into_iter().map(|(role, parts)| Message { role, parts }).collect();
        request
    }

    fn said(conversation: &Conversation) -> Vec<(Speaker, &str)> {
        conversation.turns.iter().map(|turn| (turn.speaker, turn.text.as_str())).collect()
    }

    fn result() -> Part<'static> {
        Part::ToolResult(ToolResult {
            id: "1".into(),
            parts: vec![Part::text("42 files")],
            error: false,
            custom: false,
            cache: None,
        })
    }

    #[test]
    fn only_the_user_and_the_last_answer_are_read() {
        let read = read(&request(vec![
            (Role::System, vec![Part::text("be brief")]),
            (Role::User, vec![Part::text("one"), Part::text("two")]),
            (Role::Assistant, vec![Part::text("first answer")]),
            (Role::Tool, vec![Part::text("a result")]),
            (Role::Assistant, vec![Part::text("second answer")]),
            (Role::User, vec![Part::text(" three ")]),
        ]));
        assert_eq!(
            said(&read),
            [
                (Speaker::User, "one\ntwo"),
                (Speaker::Assistant, "second answer"),
                (Speaker::User, "three")
            ]
        );
        assert!(read.last_is_user() && read.complete);
    }

    #[test]
    fn what_agents_wrap_around_a_turn_is_left_out() {
        let text = "<system-reminder>\nbe nice\n</system-reminder>\nfix the test";
        assert_eq!(said(&Conversation::from_text(text)), [(Speaker::User, "fix the test")]);
        assert!(Conversation::from_text("<system-reminder>only</system-reminder> ").is_empty());
    }

    #[test]
    fn without_text_of_the_user_nothing_is_read() {
        assert!(Conversation::from_text(" \n\t\u{3000}").is_empty());
        assert!(read(&request(vec![(Role::Assistant, vec![Part::text("hello")])])).is_empty());
    }

    #[test]
    fn the_last_sixteen_turns_are_kept() {
        let turns = (0..10_000).map(|n| ("user", vec![format!("turn {n}")]));
        let read = Conversation::from_turns(turns);
        assert_eq!(read.turns.len(), MAX_TURNS);
        assert_eq!(read.turns.last().map(|turn| turn.text.as_str()), Some("turn 9999"));
        assert!(!read.complete);
    }

    #[test]
    fn a_tool_loop_goes_on_and_a_question_does_not() {
        let user = || (Role::User, vec![Part::text("list the files")]);
        let reminder = Part::text("<system-reminder>go on</system-reminder>");
        let check = |last: (Role, Vec<Part<'static>>)| continues(&request(vec![user(), last]));
        assert!(check((Role::Tool, vec![Part::text("x")])));
        assert!(check((Role::Assistant, vec![Part::text("Sure:")])));
        assert!(check((Role::User, vec![result()])));
        assert!(check((Role::User, vec![result(), reminder])));
        assert!(!check((Role::User, vec![result(), Part::text("and now delete them")])));
        assert!(!check(user()));
        assert!(!continues(&request(vec![])));
    }
}
