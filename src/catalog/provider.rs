//! Providers: where models are served, which API is spoken there, and with which credential.

use http::{HeaderName, HeaderValue};
use url::Url;

use crate::{dialect::Dialect, ids::ProviderId, secret::Secret};

/// A place that serves models. A provider is data: there is no code for any one of them.
pub struct Provider {
    /// Its name in the catalog.
    pub id: ProviderId,
    /// The API that it speaks.
    pub api: Api,
    /// Where its API begins, e.g. `https://api.openai.com/v1`; no user info, no fragment, no query.
    pub base_url: Url,
    /// How requests to it are authorized.
    pub auth: Auth,
    /// Added to every request's query, in this order.
    pub query: Vec<(String, String)>,
    /// Added to every request's head.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether loopback and private addresses, and clear text, are allowed.
    pub allow_private: bool,
    /// PEM of certificate authorities trusted besides the system's.
    pub ca: Option<Vec<u8>>,
}

/// The API that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// The whole API of `OpenAI`: chat completions, responses, embeddings and the rest.
    OpenAi,
    /// Chat completions only, as most compatible engines serve them.
    OpenAiChat,
    /// Anthropic's messages.
    Anthropic,
}

impl Api {
    /// Whether an endpoint of this API has `dialect` natively.
    pub fn speaks(self, dialect: Dialect) -> bool {
        match self {
            Self::OpenAi => matches!(dialect, Dialect::Chat | Dialect::Responses),
            Self::OpenAiChat => dialect == Dialect::Chat,
            Self::Anthropic => dialect == Dialect::Messages,
        }
    }

    /// The dialect in which a request of a caller who speaks `caller` is best sent to an endpoint of this API:
    /// the caller's own where the endpoint has it, else the API's richest.
    pub fn dialect_for(self, caller: Dialect) -> Dialect {
        match self {
            _ if self.speaks(caller) => caller,
            Self::OpenAi | Self::OpenAiChat => Dialect::Chat,
            Self::Anthropic => Dialect::Messages,
        }
    }

    /// The name that the configuration uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiChat => "openai-chat",
            Self::Anthropic => "anthropic",
        }
    }
}

/// How a request to a provider is authorized.
pub enum Auth {
    /// No credential is sent.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// The credential alone under a header of this name.
    Header(HeaderName, Secret),
    /// The caller's own credential goes to the provider.
    Passthrough,
}
