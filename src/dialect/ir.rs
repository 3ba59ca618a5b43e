//! The one inner form between the three APIs.
//!
//! A decoder turns a body into a `Request`, an encoder turns a `Request` into a body; neither knows the other side. The
//! form borrows from the body it was read from. It is a union, not an intersection: what only one API can say has its
//! place here too, so that `carry` can tell what would be lost. Numbers keep the text that the caller wrote, and what is
//! opaque to us (a tool's schema, a tool call's arguments) stays the JSON that it was.
//!
//! System and developer messages stand where the caller put them; the top-level `system` of Messages and the
//! `instructions` of Responses come first.

pub mod answer;
pub mod part;
pub mod tool;

use std::{borrow::Cow, ops::Range};

use crate::dialect::{
    Dialect,
    ir::{
        part::{Message, Part, Source},
        tool::Tools,
    },
    modality::Modalities,
};

/// A request, whichever API it came in.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The API that it came in.
    pub dialect: Dialect,
    /// What the caller wrote as `model`.
    pub model: Cow<'a, str>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether a streamed chat answer is to end with its usage.
    pub include_usage: bool,
    /// The conversation, in the caller's order.
    pub messages: Vec<Message<'a>>,
    /// The most tokens that the answer may take.
    pub max_output: Option<u64>,
    /// What the model may call.
    pub tools: Tools<'a>,
    /// The structure that the answer must have.
    pub response_format: Format<'a>,
    /// The texts that end the answer.
    pub stop: Vec<Cow<'a, str>>,
    /// How the next token is chosen.
    pub sampling: Sampling<'a>,
    /// How much the model is to reason; `None` when the caller did not say.
    pub reasoning: Option<Reasoning<'a>>,
    /// The prompt cache, where the API names it for the whole request.
    pub cache: Cache<'a>,
    /// Who asks and what for.
    pub labels: Labels<'a>,
    /// How many answers are wanted; `None` is one.
    pub n: Option<u64>,
    /// How wordy the answer is to be.
    pub verbosity: Option<Cow<'a, str>>,
    /// State that a provider holds and the request only names.
    pub previous_response_id: Option<Cow<'a, str>>,
    /// Fields that only the caller's own API can honour, without which the answer would be another one.
    pub bound: Vec<Bound>,
    /// Names of the caller's fields, at any depth, that the inner form has no place for.
    pub extra: Vec<Cow<'a, str>>,
    /// Fields that could not be read because their type is wrong; the caller's own API may still take them.
    pub unreadable: Vec<Cow<'a, str>>,
    /// Where the bytes stand that are replaced on the way to the same API.
    pub places: Places,
}

/// A field of the caller's that ties the request to its own API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The field, as the caller spells it.
    pub field: &'static str,
    /// Why no other API can honour it.
    pub why: &'static str,
}

/// The structure that an answer must have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Format<'a> {
    /// Free text.
    #[default]
    Text,
    /// Some JSON object.
    Object,
    /// JSON that follows a schema.
    Schema(Schema<'a>),
}

/// A schema for the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema<'a> {
    /// Its name, where the API gives it one.
    pub name: Option<Cow<'a, str>>,
    /// What it is for.
    pub description: Option<Cow<'a, str>>,
    /// The JSON schema, as the caller wrote it.
    pub schema: &'a str,
    /// Whether the answer must follow it to the letter.
    pub strict: Option<bool>,
}

/// How the next token is chosen. Numbers are the caller's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sampling<'a> {
    /// Chat and Responses: 0 to 2. Messages: 0 to 1.
    pub temperature: Option<&'a str>,
    /// The share of probability to choose from.
    pub top_p: Option<&'a str>,
    /// The number of tokens to choose from; Messages only.
    pub top_k: Option<&'a str>,
    /// Chat only.
    pub frequency_penalty: Option<&'a str>,
    /// Chat only.
    pub presence_penalty: Option<&'a str>,
    /// Chat only.
    pub seed: Option<&'a str>,
}

/// How much the model is to reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasoning<'a> {
    /// What was asked.
    pub amount: Amount,
    /// The summary of it that is wanted, where the API has a word for it.
    pub summary: Option<Cow<'a, str>>,
}

/// An amount of reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// None at all.
    Off,
    /// As much as the model sees fit.
    Adaptive,
    /// By a word.
    Effort(Effort),
    /// At most this many tokens.
    Budget(u64),
}

/// The words for effort, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// `minimal`
    Minimal,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `xhigh`
    ExtraHigh,
    /// `max`
    Max,
}

/// A mark that the prompt up to here is to be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marker {
    /// For an hour, rather than the five minutes that are the default.
    pub hour: bool,
}

/// The prompt cache, named for the whole request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache<'a> {
    /// Requests of the same key share a cache (`prompt_cache_key`).
    pub key: Option<Cow<'a, str>>,
    /// How long it is kept (`prompt_cache_retention`).
    pub retention: Option<Cow<'a, str>>,
    /// A marker for the whole request (Messages).
    pub marker: Option<Marker>,
}

/// Who asks and what for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels<'a> {
    /// A stable identifier of the end user: `safety_identifier`, else `user`; `metadata.user_id` in Messages.
    pub user: Option<Cow<'a, str>>,
    /// The caller's own labels, a JSON object as it was written.
    pub metadata: Option<&'a str>,
    /// The class of service.
    pub service_tier: Option<Cow<'a, str>>,
    /// Whether the provider is to keep the answer.
    pub store: Option<bool>,
}

/// Where the bytes stand that are replaced on the way to the same API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The value of `model`.
    pub model: Range<usize>,
    /// The value of `stream_options`, if there is one.
    pub stream_options: Option<StreamOptions>,
}

/// The value of `stream_options`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOptions {
    /// Where it stands.
    pub span: Range<usize>,
    /// What is in it.
    pub kind: StreamOptionsKind,
}

/// What is in `stream_options`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamOptionsKind {
    /// `null` or an empty object: it can be replaced whole.
    Empty,
    /// An object without `include_usage`.
    Without,
    /// An object in which the value of `include_usage` stands here.
    With(Range<usize>),
    /// Something else, which the provider may judge.
    Strange,
}

/// What a request needs of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// The kinds of content that it holds.
    pub modalities: Modalities,
    /// It offers tools.
    pub tools: bool,
    /// It wants an answer in a given structure.
    pub json: bool,
    /// It asks for reasoning.
    pub reasoning: bool,
}

impl<'a> Request<'a> {
    /// An empty request of this API.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            model: Cow::Borrowed(""),
            stream: false,
            include_usage: false,
            messages: Vec::new(),
            max_output: None,
            tools: Tools::default(),
            response_format: Format::Text,
            stop: Vec::new(),
            sampling: Sampling::default(),
            reasoning: None,
            cache: Cache::default(),
            labels: Labels::default(),
            n: None,
            verbosity: None,
            previous_response_id: None,
            bound: Vec::new(),
            extra: Vec::new(),
            unreadable: Vec::new(),
            places: Places::default(),
        }
    }

    /// What the request needs of a model.
    pub fn demand(&self) -> Demand {
        let mut modalities = Modalities::TEXT;
        for part in self.parts() {
            require(part, &mut modalities);
        }
        modalities.audio |=
            self.bound.iter().any(|bound| matches!(bound.field, "audio" | "modalities"));
        Demand {
            modalities,
            tools: !self.tools.list.is_empty()
                || self.bound.iter().any(|bound| bound.field == "functions"),
            json: self.response_format != Format::Text,
            reasoning: self.reasoning.as_ref().is_some_and(Reasoning::is_asked),
        }
    }

    /// Every part of every message; those inside tool results are inside their part.
    pub fn parts(&self) -> impl Iterator<Item = &Part<'a>> {
        self.messages.iter().flat_map(|message| &message.parts)
    }

    /// The mark to cache the prompt, wherever in the request it is; the longest of several.
    pub fn cache_marker(&self) -> Option<Marker> {
        let tools = self.tools.list.iter().filter_map(|tool| tool.cache);
        let markers = self.parts().filter_map(Part::cache).chain(self.cache.marker).chain(tools);
        markers.reduce(|one, other| Marker { hour: one.hour || other.hour })
    }
}

fn require(part: &Part<'_>, modalities: &mut Modalities) {
    match part {
        Part::Image(_) => modalities.image = true,
        Part::Audio(_) => modalities.audio = true,
        Part::Document(document) => {
            modalities.document |= !matches!(document.source, Source::Text(_));
        }
        Part::ToolResult(result) => {
            for inner in &result.parts {
                require(inner, modalities);
            }
        }
        Part::Text(_)
        | Part::ToolCall(_)
        | Part::Reasoning(_)
        | Part::Refusal(_)
        | Part::Other(_) => {}
    }
}

impl Reasoning<'_> {
    /// Whether reasoning is demanded, rather than left to the model or turned down.
    pub fn is_asked(&self) -> bool {
        match self.amount {
            Amount::Off | Amount::Adaptive => false,
            Amount::Effort(effort) => effort > Effort::Minimal,
            Amount::Budget(tokens) => tokens > 0,
        }
    }
}

impl Effort {
    /// The effort of this word; an unknown word is `None`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::ExtraHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::ExtraHigh => "xhigh",
            Self::Max => "max",
        }
    }
}
