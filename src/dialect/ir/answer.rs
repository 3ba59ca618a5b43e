//! The inner form of an answer: a run of deltas, whether it came as a stream or whole.
//!
//! A decoder reads its API's events, or its whole body, into deltas; an encoder writes deltas as its API's events, and a
//! `Whole` collected from them as a body. Text, reasoning and refusals are runs without boundaries; a tool call has a
//! number, counted from 0 in the order of the calls' beginnings, because parallel calls may come interleaved.

/// How many tokens an answer took. Input counts every input token, read from a cache or written to one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// All input tokens.
    pub input: u64,
    /// Of those, read from the provider's prompt cache.
    pub cache_read: u64,
    /// Of those, written to it.
    pub cache_write: u64,
    /// All output tokens, reasoning included.
    pub output: u64,
    /// Of those, spent on reasoning, where known.
    pub reasoning: u64,
}

impl Usage {
    /// Input tokens that were neither read from a cache nor written to one: what Anthropic calls its input.
    pub const fn uncached(&self) -> u64 {
        self.input.saturating_sub(self.cache_read).saturating_sub(self.cache_write)
    }

    /// What can only be guessed: the input as it was estimated, and a token for each four bytes of `content`, the common
    /// rule of thumb for English.
    pub const fn estimate(input: u64, content: u64) -> Self {
        Self { input, cache_read: 0, cache_write: 0, output: content.div_ceil(4), reasoning: 0 }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }

    /// Input and output together.
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Itself, unless it counts nothing at all, which is how some servers leave it out.
    pub fn counted(self) -> Option<Self> {
        (self.input > 0 || self.output > 0).then_some(self)
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The model had said what it had to say.
    End,
    /// A stop sequence, named where the API names it.
    Sequence(Option<String>),
    /// The limit of output tokens, or of the model's window.
    Length,
    /// It wants its tool calls answered.
    ToolUse,
    /// A content filter, or a refusal that the API reports as a reason to stop.
    Filter,
    /// A long turn that the API lets the caller go on with.
    Pause,
    /// A reason that its table does not know.
    Unknown(String),
}

impl Stop {
    /// Whether an answer without any content is whole when it ended for this.
    pub const fn allows_empty(&self) -> bool {
        matches!(self, Self::Length | Self::Filter)
    }
}

/// One step of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta<'a> {
    /// The provider's id for the answer.
    Id(&'a str),
    /// More text.
    Text(&'a str),
    /// More reasoning.
    Reasoning(&'a str),
    /// More of a refusal.
    Refusal(&'a str),
    /// A tool call begins; its name is whole.
    ToolStart {
        /// Its number.
        call: usize,
        /// The provider's id for it.
        id: Option<&'a str>,
        /// The tool.
        name: &'a str,
    },
    /// More of a tool call's input, as a piece of JSON text cut anywhere.
    ToolInput {
        /// The call's number.
        call: usize,
        /// The piece.
        json: &'a str,
    },
    /// The tool call is whole.
    ToolEnd {
        /// The call's number.
        call: usize,
    },
    /// Something that has no place in the inner form.
    Lost {
        /// What it is, as `x-pointsman-loss` names it.
        what: &'static str,
        /// Whether it is content, so that an answer of nothing else is not empty.
        content: bool,
    },
    /// How many tokens the answer took so far; a later one takes the place of an earlier.
    Usage(Usage),
    /// Why the answer ends.
    Stop(Stop),
    /// The provider said that nothing follows.
    End,
}

impl Delta<'_> {
    /// Whether it is something that a caller was waiting for.
    pub const fn is_content(&self) -> bool {
        match self {
            Self::Text(text) | Self::Reasoning(text) | Self::Refusal(text) => !text.is_empty(),
            Self::ToolStart { .. } => true,
            Self::ToolInput { json, .. } => !json.is_empty(),
            Self::Lost { content, .. } => *content,
            Self::Id(_) | Self::ToolEnd { .. } | Self::Usage(_) | Self::Stop(_) | Self::End => {
                false
            }
        }
    }

    /// The bytes of its text, for an estimate of tokens.
    pub fn bytes(&self) -> u64 {
        let length = match self {
            Self::Text(text) | Self::Reasoning(text) | Self::Refusal(text) => text.len(),
            Self::ToolStart { name, .. } => name.len(),
            Self::ToolInput { json, .. } => json.len(),
            Self::Id(_)
            | Self::ToolEnd { .. }
            | Self::Lost { .. }
            | Self::Usage(_)
            | Self::Stop(_)
            | Self::End => 0,
        };
        u64::try_from(length).unwrap_or(u64::MAX)
    }
}

/// A piece of a whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text.
    Text(String),
    /// Reasoning.
    Reasoning(String),
    /// A refusal.
    Refusal(String),
    /// A tool call.
    Tool(ToolCall),
}

/// A tool call of a whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Its number.
    pub call: usize,
    /// Its id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The input: JSON, as far as the model wrote any.
    pub input: String,
}

/// An answer with its pieces in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Whole {
    /// The pieces; two of a kind, other than tool calls, never stand side by side.
    pub pieces: Vec<Piece>,
    /// Why it ended.
    pub stop: Option<Stop>,
    /// How many tokens it took.
    pub usage: Option<Usage>,
}

impl Whole {
    /// Adds one delta to the end.
    pub fn add(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Text(text) => match self.pieces.last_mut() {
                Some(Piece::Text(so_far)) => so_far.push_str(text),
                _ => self.pieces.push(Piece::Text((*text).to_owned())),
            },
            Delta::Reasoning(text) => match self.pieces.last_mut() {
                Some(Piece::Reasoning(so_far)) => so_far.push_str(text),
                _ => self.pieces.push(Piece::Reasoning((*text).to_owned())),
            },
            Delta::Refusal(text) => match self.pieces.last_mut() {
                Some(Piece::Refusal(so_far)) => so_far.push_str(text),
                _ => self.pieces.push(Piece::Refusal((*text).to_owned())),
            },
            Delta::ToolStart { call, id, name } => self.pieces.push(Piece::Tool(ToolCall {
                call: *call,
                id: id.unwrap_or_default().to_owned(),
                name: (*name).to_owned(),
                input: String::new(),
            })),
            Delta::ToolInput { call, json } => {
                if let Some(tool) = self.tools_mut().find(|tool| tool.call == *call) {
                    tool.input.push_str(json);
                }
            }
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Stop(stop) => self.stop = Some(stop.clone()),
            Delta::Id(_) | Delta::ToolEnd { .. } | Delta::Lost { .. } | Delta::End => {}
        }
    }

    /// The text of every piece of a kind that `choose` takes, in order.
    pub fn joined(&self, choose: fn(&Piece) -> Option<&str>) -> Option<String> {
        let texts: Vec<&str> = self.pieces.iter().filter_map(choose).collect();
        (!texts.is_empty()).then(|| texts.concat())
    }

    /// The tool calls, in order.
    pub fn tools(&self) -> impl Iterator<Item = &ToolCall> {
        self.pieces.iter().filter_map(Piece::as_tool)
    }

    fn tools_mut(&mut self) -> impl Iterator<Item = &mut ToolCall> {
        self.pieces.iter_mut().rev().filter_map(|piece| match piece {
            Piece::Tool(tool) => Some(tool),
            Piece::Text(_) | Piece::Reasoning(_) | Piece::Refusal(_) => None,
        })
    }
}

impl Piece {
    /// The text, if this is text.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The reasoning, if this is reasoning.
    pub fn as_reasoning(&self) -> Option<&str> {
        if let Self::Reasoning(text) = self { Some(text) } else { None }
    }

    /// The refusal, if this is one.
    pub fn as_refusal(&self) -> Option<&str> {
        if let Self::Refusal(text) = self { Some(text) } else { None }
    }

    /// The tool call, if this is one.
    pub const fn as_tool(&self) -> Option<&ToolCall> {
        if let Self::Tool(tool) = self { Some(tool) } else { None }
    }
}
