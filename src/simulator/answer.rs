//! What a simulated model says: the same to the same question, and always that it is simulated.
//!
//! A token is a word with the space after it; tokens of a prompt are its bytes divided by four. Prompts from 1024
//! tokens on are remembered, so that one whose beginning was seen before reports those tokens as read from a cache.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::simulator::{
    Model,
    ask::{Ask, Enclosed, Last, Wanted, quote},
};

const BYTES_PER_TOKEN: u64 = 4;
const CACHE_FROM_TOKENS: u64 = 1024;
const CACHE_BLOCK: usize = 4096;
const CACHE_BLOCKS: usize = 16_384;
const QUOTED_CHARS: usize = 160;
const FILTERED_AFTER: usize = 6;
const FILLER: &str = "The words after this are here for their number and their pace, so that streaming, failover \
     and prices have something to be shown with; they carry no meaning and no model has written them. ";

/// An answer, before it is written in an API's form.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// Ordinal of the request at its provider: what every made-up id is made of.
    pub(super) number: u64,
    /// Its id in Responses: the one that names its provider, for a later request may go on from it.
    pub(super) response_id: String,
    /// The model that was asked.
    pub(super) model: String,
    /// What was thought before, token by token.
    pub(super) thinking: Vec<String>,
    /// What seals the thinking: only this provider takes it back.
    pub(super) seal: String,
    /// The text, token by token; empty where only one tool is called.
    pub(super) tokens: Vec<String>,
    /// The tools that are called.
    pub(super) calls: Vec<Wanted>,
    /// Why it ends.
    pub(super) stop: Stop,
    /// The stop sequence that ended it.
    pub(super) sequence: Option<String>,
    /// Whether the text is a refusal.
    pub(super) refused: bool,
    /// What it is said to cost.
    pub(super) usage: Usage,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is finished.
    End,
    /// The number of tokens was reached.
    Length,
    /// Tools are called.
    Tools,
    /// A filter stopped it.
    Filter,
}

/// Tokens read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Usage {
    /// All input tokens.
    pub(super) input: u64,
    /// Those of them that a cache held.
    pub(super) cached: u64,
    /// Those of them that were written to a cache, where the API tells them apart.
    pub(super) written: u64,
    /// Output tokens.
    pub(super) output: u64,
    /// Those of them that were thought.
    pub(super) thought: u64,
}

impl Answer {
    /// The whole text.
    pub(super) fn text(&self) -> String {
        self.tokens.concat()
    }

    /// Everything that was thought.
    pub(super) fn thoughts(&self) -> String {
        self.thinking.concat()
    }

    /// The made-up id of this answer's `index`-th tool call, which begins with `prefix`.
    pub(super) fn call_id(&self, prefix: &str, index: usize) -> String {
        format!("{prefix}simulated{:08x}{index}", self.number)
    }
}

/// Answers `ask` as `model` of `provider`.
pub(super) fn compose(
    provider: &str,
    model: &Model,
    ask: &Ask,
    number: u64,
    cached: u64,
) -> Answer {
    let calls = ask.wanted();
    let mut thinking = if ask.thinks() { thoughts(model, ask) } else { Vec::new() };
    let mut tokens = match calls.len() {
        0 => words(provider, model, ask),
        1 => Vec::new(),
        several => split(&format!("[simulated {}] These are {several} calls. ", model.id)),
    };
    let mut stop = if calls.is_empty() { Stop::End } else { Stop::Tools };
    let sequence = stopped(&mut tokens, ask).filter(|_| calls.is_empty());
    let most = ask.max_output().and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    if tokens.len().saturating_add(thinking.len()) > most {
        thinking.truncate(most);
        tokens.truncate(most.saturating_sub(thinking.len()));
        stop = Stop::Length;
    }
    let called = calls.iter().fold(0_usize, |sum, call| sum.saturating_add(call.arguments.len()));
    let thought = as_u64(thinking.len());
    let said = as_u64(tokens.len()).saturating_add(as_u64(called).div_ceil(BYTES_PER_TOKEN));
    let input = input_tokens(ask);
    // The end of a prompt is always read anew.
    let cached = cached.min(input.saturating_sub(1));
    let usage = Usage { input, cached, written: 0, output: said.saturating_add(thought), thought };
    let response_id = format!("{}{number:08x}", response_prefix(provider));
    let seal = format!("{}{number:08x}", seal(provider));
    let model = model.id.clone();
    Answer {
        number,
        response_id,
        model,
        thinking,
        seal,
        tokens,
        calls,
        stop,
        sequence,
        refused: false,
        usage,
    }
}

/// Ends `tokens` before the first stop sequence in them, and tells which it was.
fn stopped(tokens: &mut Vec<String>, ask: &Ask) -> Option<String> {
    let text = tokens.concat();
    let found = ask.stops().filter_map(|stop| text.find(stop).map(|at| (at, stop)));
    let (at, stop) = found.min_by_key(|(at, _)| *at)?;
    *tokens = split(text.get(..at).unwrap_or_default());
    Some(stop.to_owned())
}

/// How what `provider` seals begins.
pub(super) fn seal(provider: &str) -> String {
    let name: String = provider.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("simulated{name}")
}

/// `answer` with what a request with cache markers writes to the cache: all that was not read from it.
pub(super) fn marked(mut answer: Answer) -> Answer {
    if answer.usage.input >= CACHE_FROM_TOKENS {
        answer.usage.written = answer.usage.input.saturating_sub(answer.usage.cached);
    }
    answer
}

/// A refusal in the place of `answer`.
pub(super) fn refused(mut answer: Answer) -> Answer {
    answer.calls.clear();
    answer.tokens = split(&format!("[simulated {}] I must refuse this. ", answer.model));
    answer.stop = Stop::End;
    answer.refused = true;
    answer.usage.output = as_u64(answer.tokens.len());
    answer
}

/// How the ids of the answers of `provider` begin in Responses; one that begins otherwise is another's.
pub(super) fn response_prefix(provider: &str) -> String {
    let name: String = provider.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("resp_simulated_{name}_")
}

/// `answer`, stopped by a filter after a few words.
pub(super) fn filtered(mut answer: Answer) -> Answer {
    answer.calls.clear();
    answer.thinking.clear();
    if answer.tokens.is_empty() {
        answer.tokens = split("[simulated] ");
    }
    answer.tokens.truncate(FILTERED_AFTER);
    answer.stop = Stop::Filter;
    answer.usage.output = as_u64(answer.tokens.len());
    answer
}

/// `answer` without anything in it.
pub(super) fn emptied(mut answer: Answer) -> Answer {
    answer.calls.clear();
    answer.thinking.clear();
    answer.tokens.clear();
    answer.stop = Stop::End;
    answer.usage.output = 0;
    answer
}

/// The tokens that the prompt is said to have.
pub(super) fn input_tokens(ask: &Ask) -> u64 {
    as_u64(ask.bytes()).div_ceil(BYTES_PER_TOKEN).max(1)
}

fn words(provider: &str, model: &Model, ask: &Ask) -> Vec<String> {
    let question = match ask.last() {
        Last::User(words) => format!("You asked: {}", excerpt(&words)),
        Last::Tool(given) => format!("The tool gave: {}", excerpt(&given)),
        Last::Other => "There was no question.".to_owned(),
    };
    let id = &model.id;
    if let Some(structured) = ask.structured() {
        return split(&structured);
    }
    if ask.wants_json() {
        let (by, said) = (quote(id), quote(&question));
        return split(&format!("{{\"simulated\": true, \"model\": {by}, \"said\": {said}}}"));
    }
    let enclosed = enclosed(ask);
    let mut tokens = split(&format!(
        "[simulated {id}] {question} {enclosed}No language model has answered: this is Pointsman's simulator, in the \
         place of {provider}. "
    ));
    let wanted = length(model.answer_tokens, &question);
    let missing = wanted.saturating_sub(tokens.len());
    tokens.extend(FILLER.split_inclusive(' ').cycle().take(missing).map(str::to_owned));
    tokens
}

fn enclosed(ask: &Ask) -> String {
    let Enclosed { images, files } = ask.enclosed();
    match (images, files) {
        (0, 0) => String::new(),
        (images, 0) => format!("Images: {images}. "),
        (0, files) => format!("Files: {files}. "),
        (images, files) => format!("Images: {images}, files: {files}. "),
    }
}

fn thoughts(model: &Model, ask: &Ask) -> Vec<String> {
    let bytes = ask.bytes();
    split(&format!("[simulated {}] I pretend to think about {bytes} bytes. ", model.id))
}

/// A length around `typical`, always the same for the same question.
fn length(typical: usize, question: &str) -> usize {
    let mut dice = fastrand::Rng::with_seed(hash(question.as_bytes()));
    let spread = typical.div_euclid(4);
    typical.saturating_sub(spread).saturating_add(dice.usize(0..=spread.saturating_mul(2)))
}

fn excerpt(text: &str) -> String {
    let mut short: String = text.trim().chars().take(QUOTED_CHARS).collect();
    if short.len() < text.trim().len() {
        short.push('…');
    }
    format!("\u{201c}{short}\u{201d}.")
}

fn split(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// FNV-1a, eight bytes a step: spread enough for seeds, and the same on every machine.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash =
        words.iter().fold(0xcbf2_9ce4_8422_2325, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

/// The prompt cache of a provider: which beginnings of bodies were seen.
#[derive(Default)]
pub(super) struct PromptCache {
    blocks: Mutex<HashSet<u64>>,
}

impl PromptCache {
    /// How many tokens of this body's beginning were seen before for `model`; remembers all of it.
    pub(super) fn read(&self, model: &str, body: &[u8]) -> u64 {
        if body.len() < CACHE_BLOCK {
            return 0;
        }
        let mut seen_bytes = 0_usize;
        let mut running = hash(model.as_bytes());
        let mut whole = true;
        let mut blocks = self.blocks.lock();
        if blocks.len() > CACHE_BLOCKS {
            blocks.clear();
        }
        for block in body.chunks_exact(CACHE_BLOCK) {
            running = running.rotate_left(5) ^ hash(block);
            if blocks.insert(running) {
                whole = false;
            }
            if whole {
                seen_bytes = seen_bytes.saturating_add(block.len());
            }
        }
        let tokens = as_u64(seen_bytes).div_euclid(BYTES_PER_TOKEN);
        if tokens < CACHE_FROM_TOKENS { 0 } else { tokens }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(more: &str) -> Ask {
        let body = format!(
            r#"{{"model":"m"{more},"messages":[{{"role":"user","content":"hello there"}}]}}"#
        );
        Ask::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn the_same_question_gets_the_same_answer_and_it_says_what_it_is() {
        let model = Model { answer_tokens: 80, ..Model::instant("m") };
        let one = compose("p", &model, &ask(""), 1, 0);
        assert_eq!(one, compose("p", &model, &ask(""), 1, 0));
        assert!(one.text().starts_with("[simulated m] You asked: \u{201c}hello there\u{201d}."));
        assert!((60..=100).contains(&one.tokens.len()));
        assert_eq!(one.usage.output, one.tokens.len() as u64);
    }

    #[test]
    fn max_tokens_ends_an_answer_for_its_length() {
        let answer = compose("p", &Model::instant("m"), &ask(r#","max_tokens":3"#), 1, 0);
        assert_eq!(answer.tokens.len(), 3);
        assert_eq!(answer.stop, Stop::Length);
    }

    #[test]
    fn structured_output_is_json() {
        let ask = ask(r#","response_format":{"type":"json_object"}"#);
        let text = compose("p", &Model::instant("m"), &ask, 1, 0).text();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["simulated"], true);
    }

    #[test]
    fn a_repeated_beginning_is_read_from_the_cache() {
        let cache = PromptCache::default();
        let body = vec![b'x'; 10_000];
        assert_eq!(cache.read("m", &body), 0);
        assert_eq!(cache.read("m", &body), 2048);
        assert_eq!(cache.read("other", &body), 0);
        assert_eq!(cache.read("m", &body[..100]), 0);
    }
}
