//! Messages and the parts that they are made of.

use std::borrow::Cow;

use super::Marker;

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part<'a>>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The operator of the application.
    System,
    /// The same, by OpenAI's newer word. A role that is not known is read as this one.
    Developer,
    /// The user. In Messages also the turn that brings tool results.
    User,
    /// The model.
    Assistant,
    /// A tool that answers.
    Tool,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    /// Text.
    Text(Text<'a>),
    /// An image.
    Image(Image<'a>),
    /// A document, such as a PDF file.
    Document(Document<'a>),
    /// Sound.
    Audio(Audio<'a>),
    /// The model called a tool.
    ToolCall(ToolCall<'a>),
    /// A tool answered.
    ToolResult(ToolResult<'a>),
    /// The model reasoned.
    Reasoning(Thought<'a>),
    /// The model refused, in these words.
    Refusal(Cow<'a, str>),
    /// Something that only the caller's API knows: its type.
    Other(Cow<'a, str>),
}

/// Text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// A cache marker on it.
    pub cache: Option<Marker>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image<'a> {
    /// Where it is.
    pub source: Source<'a>,
    /// How closely to look at it; OpenAI's APIs only.
    pub detail: Option<Cow<'a, str>>,
    /// A cache marker on it.
    pub cache: Option<Marker>,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<'a> {
    /// Where it is.
    pub source: Source<'a>,
    /// Its file name or title.
    pub name: Option<Cow<'a, str>>,
    /// A cache marker on it.
    pub cache: Option<Marker>,
}

/// Sound, as base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio<'a> {
    /// The base64 text.
    pub data: Cow<'a, str>,
    /// `wav`, `mp3`.
    pub format: Cow<'a, str>,
}

/// Where an image or a document is. Nothing is ever fetched by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source<'a> {
    /// At an address that the provider fetches.
    Url(Cow<'a, str>),
    /// In the request.
    Base64 {
        /// Its media type, such as `image/png`; empty where the API does not say.
        media_type: Cow<'a, str>,
        /// The base64 text.
        data: Cow<'a, str>,
    },
    /// In the request, as plain text.
    Text(Cow<'a, str>),
    /// Uploaded to the provider before, under this identifier.
    File(Cow<'a, str>),
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall<'a> {
    /// Its identifier, which the result repeats.
    pub id: Cow<'a, str>,
    /// The tool.
    pub name: Cow<'a, str>,
    /// A JSON object as text; what a model wrote, so possibly not JSON. For a custom tool, its free text.
    pub arguments: Cow<'a, str>,
    /// Whether this is a call of a custom tool.
    pub custom: bool,
    /// A cache marker on it.
    pub cache: Option<Marker>,
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult<'a> {
    /// The call that this answers.
    pub id: Cow<'a, str>,
    /// Text, images and documents.
    pub parts: Vec<Part<'a>>,
    /// Whether the tool failed.
    pub error: bool,
    /// Whether this answers a call of a custom tool.
    pub custom: bool,
    /// A cache marker on it.
    pub cache: Option<Marker>,
}

/// Reasoning that the model did earlier in the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thought<'a> {
    /// What can be read of it; may be empty.
    pub text: Cow<'a, str>,
    /// Whether it carries a signature or ciphertext, which only the backend that made it can use.
    pub sealed: bool,
}

impl<'a> Part<'a> {
    /// Plain text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(Text { text: text.into(), cache: None })
    }

    /// The cache marker on it.
    pub const fn cache(&self) -> Option<Marker> {
        match self {
            Self::Text(part) => part.cache,
            Self::Image(part) => part.cache,
            Self::Document(part) => part.cache,
            Self::ToolCall(part) => part.cache,
            Self::ToolResult(part) => part.cache,
            Self::Audio(_) | Self::Reasoning(_) | Self::Refusal(_) | Self::Other(_) => None,
        }
    }
}

impl<'a> Source<'a> {
    /// The source that an address names: a `data:` URL is in the request itself.
    pub fn from_url(url: Cow<'a, str>) -> Self {
        match url {
            Cow::Borrowed(text) => match data_url(text) {
                Some((media_type, data)) => {
                    Self::Base64 { media_type: media_type.into(), data: data.into() }
                }
                None => Self::Url(Cow::Borrowed(text)),
            },
            Cow::Owned(text) => match data_url(&text) {
                Some((media_type, data)) => Self::Base64 {
                    media_type: media_type.to_owned().into(),
                    data: data.to_owned().into(),
                },
                None => Self::Url(Cow::Owned(text)),
            },
        }
    }
}

/// Media type and base64 text of `data:TYPE;base64,DATA`.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let (kind, _) = head.rsplit_once(";base64").filter(|(_, after)| after.is_empty())?;
    Some((kind.split(';').next().unwrap_or_default(), data))
}
