//! What a continuation repeats of the text that it continues.
//!
//! A model that is asked to go on where another broke off may go on, may first repeat the last words, or may begin
//! again from the start. An [`Overlap`] takes the continuation piece by piece and passes on what is new. While what came
//! could still turn out to be a repetition it is held back; as soon as it cannot, everything flows.
//!
//! A repetition is an agreement that reaches the end of the delivered text: of its last words, which must begin where a
//! word begins and weigh enough to be no accident, or of all of it. Runs of white space count as equal, because models
//! are careless with them. The longest agreement wins. Nothing but the beginning of the continuation is ever dropped,
//! and where it says again in other words what was said, all of it goes on: two texts that differ cannot be joined
//! without making one up.

use std::str::CharIndices;

/// How far back a repetition of the last words may begin, in characters; beyond it only one of the whole text is known.
const WINDOW: usize = 4096;

/// The least weight of a repetition that ends in the middle of a word.
const WEIGHT: usize = 3;

/// Finds out what a continuation repeats, and passes on the rest.
#[derive(Debug, Clone)]
pub struct Overlap {
    /// Whether the continuation may bring white space again although it repeats nothing else.
    trimmed: bool,
    /// The white space that the delivered text ends in, and that the continuation need not bring again.
    space: String,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// It may still be a repetition.
    Undecided(Box<Search>),
    /// The repetition is dropped; the white space that follows it is looked at.
    Joining(String),
    /// Everything goes on.
    Flowing,
}

#[derive(Debug, Clone)]
struct Search {
    /// The end of the delivered text, squeezed.
    tail: Vec<char>,
    /// All of the delivered text, where it is longer than the window: what is left to be repeated of it.
    whole: Option<Squeezed>,
    /// Where in the tail the repetitions begin that agree so far.
    starts: Vec<usize>,
    /// What came of the continuation.
    held: String,
    /// How much of it has been compared.
    read: usize,
    /// How many squeezed characters that were.
    matched: usize,
    /// Whether the last of them was white space.
    in_space: bool,
    /// How much of the continuation is a repetition, by the longest one that is known.
    found: Option<usize>,
    /// The same for one that is too short, unless a word ends here.
    open: Option<usize>,
}

/// A text whose runs of white space are read as one space each, from its first to its last word.
#[derive(Debug, Clone)]
struct Squeezed {
    text: String,
    at: usize,
}

impl Overlap {
    /// For a continuation of `delivered`. `trimmed` says that whoever continues it was given it without the white space
    /// at its end.
    pub fn new(delivered: &str, trimmed: bool) -> Self {
        let body = delivered.trim_end();
        let space = delivered.strip_prefix(body).unwrap_or_default().to_owned();
        let state = match Search::new(body.trim_start()) {
            Some(search) => State::Undecided(Box::new(search)),
            None if trimmed => State::Joining(String::new()),
            None => State::Flowing,
        };
        Self { trimmed, space, state }
    }

    /// Takes in more of the continuation, and passes on what is known to be new.
    pub fn push(&mut self, text: &str, sink: &mut dyn FnMut(&str)) {
        match &mut self.state {
            State::Flowing => pass(text, sink),
            State::Joining(held) => {
                held.push_str(text);
                self.join(false, sink);
            }
            State::Undecided(search) => {
                search.held.push_str(text);
                if search.read_on() {
                    self.decide(false, sink);
                }
            }
        }
    }

    /// The continuation is over, or goes on with something other than text: passes on what was held back.
    pub fn finish(&mut self, sink: &mut dyn FnMut(&str)) {
        if matches!(self.state, State::Undecided(_)) {
            self.decide(true, sink);
        } else {
            self.join(true, sink);
        }
    }

    fn decide(&mut self, ended: bool, sink: &mut dyn FnMut(&str)) {
        let State::Undecided(search) = std::mem::replace(&mut self.state, State::Flowing) else {
            return;
        };
        let found = if ended { search.open.or(search.found) } else { search.found };
        let Some(length) = found.or(self.trimmed.then_some(0)) else {
            return pass(&search.held, sink);
        };
        self.state = State::Joining(search.held.get(length..).unwrap_or_default().to_owned());
        self.join(ended, sink);
    }

    /// Drops the white space at the seam that was delivered already.
    fn join(&mut self, ended: bool, sink: &mut dyn FnMut(&str)) {
        let State::Joining(held) = &self.state else { return };
        let word = held.trim_start();
        if word.is_empty() && !ended && !self.space.is_empty() {
            return;
        }
        let begins = held.len().saturating_sub(word.len());
        let rest = match held.strip_prefix(self.space.as_str()) {
            Some(rest) => rest,
            None => held.get(begins..).unwrap_or_default(),
        };
        pass(rest, sink);
        self.state = State::Flowing;
    }
}

impl Search {
    /// A search in `body`, which neither begins nor ends in white space; nothing where it is empty.
    fn new(body: &str) -> Option<Self> {
        let mut tail: Vec<char> =
            Squeezed::backwards(body).take(WINDOW.saturating_add(1)).collect();
        tail.reverse();
        let longer = tail.len() > WINDOW;
        // The character before the window only says whether a word begins there.
        let starts = (0..tail.len())
            .filter(|at| {
                let before = at.checked_sub(1).and_then(|before| tail.get(before));
                match (before, tail.get(*at)) {
                    (Some(before), Some(first)) => !(is_spelled(*before) && is_spelled(*first)),
                    (None, first) => first.is_some() && !longer,
                    (Some(_), None) => false,
                }
            })
            .filter(|at| tail.get(*at).is_some_and(|first| *first != ' '))
            .collect();
        (!tail.is_empty()).then(|| Self {
            tail,
            whole: longer.then(|| Squeezed { text: body.to_owned(), at: 0 }),
            starts,
            held: String::new(),
            read: 0,
            matched: 0,
            in_space: true,
            found: None,
            open: None,
        })
    }

    /// Compares what came; true when no repetition can become longer.
    fn read_on(&mut self) -> bool {
        let fresh = self.held.get(self.read..).unwrap_or_default().to_owned();
        for character in fresh.chars() {
            let symbol = if character.is_whitespace() { ' ' } else { character };
            if symbol == ' ' && self.in_space {
                self.read = self.read.saturating_add(character.len_utf8());
                continue;
            }
            self.settle(symbol);
            self.in_space = symbol == ' ';
            self.read = self.read.saturating_add(character.len_utf8());
            self.compare(symbol);
            if self.starts.is_empty() && self.whole.is_none() && self.open.is_none() {
                return true;
            }
        }
        false
    }

    /// What follows a short repetition says whether it is one: it is none where the word goes on.
    fn settle(&mut self, symbol: char) {
        if let Some(open) = self.open.take()
            && !is_spelled(symbol)
        {
            self.found = Some(open);
        }
    }

    fn compare(&mut self, symbol: char) {
        let (matched, tail) = (self.matched, &self.tail);
        let mut ended = None;
        self.starts.retain(|start| {
            let at = start.saturating_add(matched);
            let agrees = tail.get(at) == Some(&symbol);
            if agrees && at.saturating_add(1) == tail.len() {
                ended = Some(*start);
                return false;
            }
            agrees
        });
        self.matched = matched.saturating_add(1);
        if let Some(start) = ended {
            self.end(start);
        }
        if let Some(whole) = &mut self.whole
            && whole.next() != Some(symbol)
        {
            self.whole = None;
        } else if self.whole.as_ref().is_some_and(Squeezed::is_over) {
            self.whole = None;
            self.found = Some(self.read);
        }
    }

    /// What began at `start` of the tail has been repeated to the end.
    fn end(&mut self, start: usize) {
        let repeated = self.tail.get(start..).unwrap_or_default();
        let weight: usize = repeated.iter().copied().map(weight).sum();
        let all = start == 0 && self.tail.len() <= WINDOW;
        let last = repeated.last().copied().unwrap_or_default();
        if all || weight >= WEIGHT || (weight > 0 && !last.is_alphanumeric()) {
            self.found = Some(self.read);
        } else if is_spelled(last) {
            self.open = Some(self.read);
        }
    }
}

impl Squeezed {
    /// The squeezed characters from the last to the first.
    fn backwards(text: &str) -> impl Iterator<Item = char> {
        let mut in_space = false;
        text.chars().rev().filter_map(move |character| {
            let was = std::mem::replace(&mut in_space, character.is_whitespace());
            match (in_space, was) {
                (true, true) => None,
                (true, false) => Some(' '),
                (false, _) => Some(character),
            }
        })
    }

    fn rest(&self) -> CharIndices<'_> {
        self.text.get(self.at..).unwrap_or_default().char_indices()
    }

    fn is_over(&self) -> bool {
        self.at >= self.text.len()
    }

    fn next(&mut self) -> Option<char> {
        let (_, first) = self.rest().next()?;
        let length = if first.is_whitespace() {
            let word = self.rest().find(|(_, character)| !character.is_whitespace());
            word.map_or(usize::MAX, |(at, _)| at)
        } else {
            first.len_utf8()
        };
        self.at = self.at.saturating_add(length);
        Some(if first.is_whitespace() { ' ' } else { first })
    }
}

fn pass(text: &str, sink: &mut dyn FnMut(&str)) {
    if !text.is_empty() {
        sink(text);
    }
}

/// How much a character says against an accident.
fn weight(character: char) -> usize {
    if !character.is_alphanumeric() {
        0
    } else if is_unspaced(character) {
        2
    } else {
        1
    }
}

/// Whether the character is part of a word that spaces or signs set apart.
fn is_spelled(character: char) -> bool {
    character.is_alphanumeric() && !is_unspaced(character)
}

/// Whether the character is of a script that sets no spaces between words.
fn is_unspaced(character: char) -> bool {
    matches!(
        character,
        '\u{0e00}'..='\u{0eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

#[cfg(test)]
mod tests;
