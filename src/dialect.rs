//! The three APIs that callers and providers speak, and the one inner form between them.
//!
//! A request or an answer is decoded from the API it came in and encoded to the API it goes to; both sides know the
//! inner form of `ir` and nothing of each other, so there are three decoders and three encoders, never nine pairs.
//! Where both sides speak the same API nothing is rebuilt: the bytes go on as they came, with the value of `model`
//! replaced in place. What a target cannot carry is decided in `carry`, in one table.
//!
//! Nothing here knows a provider, a socket or a clock.

pub mod answer;
pub mod carry;
pub mod chat;
pub mod continuation;
pub mod error;
pub mod estimate;
pub mod ir;
pub mod json;
pub mod messages;
pub mod modality;
pub mod overlap;
pub mod request;
pub mod responses;
pub mod sse;

/// One of the three APIs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Dialect {
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    /// The short name, as logs, metrics and reasons show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    /// Where the API lives below a provider's base URL.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Messages => "/messages",
        }
    }
}
