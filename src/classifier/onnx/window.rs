//! Which tokens of a conversation, and of a task, the encoder reads. `router-models/export/window.py` is the same rule,
//! and golden tokens hold the two together.
//!
//! The current user turn comes first, then the other turns from the newest to the oldest, each with its share of a
//! fixed budget. What is too long keeps its head and its tail, because the ask is usually at one end of it. Texts are
//! cut by characters before they are tokenized; no piece is longer than 16 characters, so that changes nothing but what
//! the token limits drop anyway.

use std::borrow::Cow;

use crate::{
    classifier::onnx::tokenize::Tokenizer,
    classify::Unclassified,
    conversation::{Conversation, Speaker, Turn},
};

/// The version of this rule; a model is made for one.
pub(super) const VERSION: u32 = 1;
/// The most tokens of a conversation.
pub(super) const WINDOW: usize = 64;
/// The most tokens of a task.
pub(super) const TASK: usize = 48;
/// The most tokens of the current turn where there are others.
const CURRENT: usize = 46;
/// The most tokens of an earlier turn of the user, and of the assistant's last one.
const EARLIER: usize = 32;
const ASSISTANT: usize = 20;
/// A turn of which no more tokens than this would fit is left out.
const LEAST: usize = 4;
/// The characters kept of the two ends of a long text.
const END_CHARACTERS: usize = 500;
/// The special tokens around each part.
const START: u32 = 0;
const END: u32 = 2;

/// What the encoder reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Token ids.
    pub(super) ids: Vec<i64>,
    /// 1 for tokens that are not of the current turn.
    pub(super) types: Vec<i64>,
    /// Whether some of the user's text is not among them.
    pub(super) truncated: bool,
}

/// The tokens of a conversation.
pub(super) fn conversation(
    conversation: &Conversation,
    tokenizer: &Tokenizer,
) -> Result<Tokens, Unclassified> {
    let turns = &conversation.turns;
    let Some(current) = turns.iter().rposition(|turn| turn.speaker == Speaker::User) else {
        return Err(Unclassified::Malformed("there is no turn of the user".to_owned()));
    };
    let budget = WINDOW.saturating_sub(3);
    let limit = if turns.len() > 1 { CURRENT } else { budget };
    let mut window = Window { truncated: !conversation.complete, ..Window::default() };
    if let Some(turn) = turns.get(current) {
        window.current = window.read(turn, "", limit, tokenizer)?;
    }
    let mut room = budget.saturating_sub(window.current.len());
    for (index, turn) in turns.iter().enumerate().rev() {
        if index == current {
            continue;
        }
        let (prefix, limit) = match turn.speaker {
            Speaker::User => ("user: ", EARLIER),
            Speaker::Assistant => ("assistant: ", ASSISTANT),
        };
        let mut tokens = window.read(turn, prefix, limit, tokenizer)?;
        if tokens.len() > room {
            window.truncated |= turns.iter().take(index.saturating_add(1)).any(is_users);
            tokens.truncate(if room > LEAST { room } else { 0 });
            window.earlier.append(&mut tokens);
            break;
        }
        room = room.saturating_sub(tokens.len());
        window.earlier.append(&mut tokens);
    }
    Ok(window.into_tokens())
}

/// The tokens of a task's text.
pub(super) fn task(text: &str, tokenizer: &Tokenizer) -> Result<Tokens, Unclassified> {
    let end = text.char_indices().nth(2 * END_CHARACTERS).map_or(text.len(), |(at, _)| at);
    let mut current = tokenizer.encode(text.get(..end).unwrap_or_default())?;
    current.truncate(TASK.saturating_sub(2));
    Ok(Window { current, ..Window::default() }.into_tokens())
}

#[derive(Default)]
struct Window {
    current: Vec<u32>,
    earlier: Vec<u32>,
    truncated: bool,
}

impl Window {
    fn read(
        &mut self,
        turn: &Turn,
        prefix: &str,
        limit: usize,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<u32>, Unclassified> {
        let text = ends(&turn.text);
        let whole = turn.whole && matches!(text, Cow::Borrowed(_));
        let tokens = tokenizer.encode(&format!("{prefix}{text}"))?;
        if is_users(turn) && !(whole && tokens.len() <= limit) {
            self.truncated = true;
        }
        Ok(squeeze(tokens, limit))
    }

    fn into_tokens(self) -> Tokens {
        let mut ids = vec![START];
        ids.extend(self.current);
        ids.push(END);
        let mut types = vec![0; ids.len()];
        if !self.earlier.is_empty() {
            ids.extend(self.earlier);
            ids.push(END);
            types.resize(ids.len(), 1);
        }
        let ids = ids.into_iter().map(i64::from).collect();
        Tokens { ids, types, truncated: self.truncated }
    }
}

fn is_users(turn: &Turn) -> bool {
    turn.speaker == Speaker::User
}

/// Head and tail of a text of more than 1,000 characters, on lines of their own.
fn ends(text: &str) -> Cow<'_, str> {
    if text.char_indices().nth(2 * END_CHARACTERS).is_none() {
        return text.into();
    }
    let head = text.char_indices().nth(END_CHARACTERS).and_then(|(at, _)| text.get(..at));
    let last = END_CHARACTERS.saturating_sub(1);
    let tail = text.char_indices().rev().nth(last).and_then(|(at, _)| text.get(at..));
    format!("{}\n{}", head.unwrap_or_default(), tail.unwrap_or_default()).into()
}

/// The first half of `limit` tokens, and the rest of it from the end.
fn squeeze(tokens: Vec<u32>, limit: usize) -> Vec<u32> {
    if tokens.len() <= limit {
        return tokens;
    }
    let head = limit / 2;
    let tail = tokens.len().saturating_sub(limit.saturating_sub(head));
    let mut kept = tokens.get(..head).unwrap_or_default().to_vec();
    kept.extend_from_slice(tokens.get(tail..).unwrap_or_default());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_squeezed_text_keeps_both_ends() {
        assert_eq!(squeeze((0..10).collect(), 10), (0..10).collect::<Vec<_>>());
        assert_eq!(squeeze((0..100).collect(), 5), [0, 1, 97, 98, 99]);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let short = "é".repeat(1_000);
        assert_eq!(ends(&short), short.as_str());
        let long = format!("{}{}", "é".repeat(501), "ü".repeat(500));
        assert_eq!(ends(&long), format!("{}\n{}", "é".repeat(500), "ü".repeat(500)));
    }
}
