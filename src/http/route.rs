//! The data plane's paths: one table, matched exactly.
//!
//! A path is a place in this table or it is nothing: no prefix matches, no trailing slash, no dot segments, no escapes
//! (but in the model's name, which is the rest of its path). So no spelling of one path reaches another's rules.

use ::http::Method;

use crate::dialect::Dialect;

/// What a path of the data plane asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// An answer, routed or direct.
    Answer(Dialect),
    /// The decision alone.
    DryRun(Dialect),
    /// A request that goes on as it is, by a model's name.
    PassThrough(PassThrough),
    /// The list of models and routers.
    Models,
    /// One model or router, by its decoded name.
    Model(String),
}

/// The paths that are not routed: only `model` is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PassThrough {
    /// Vectors for texts.
    Embeddings,
    /// Completions of a bare prompt.
    Completions,
    /// Images from a prompt.
    Images,
    /// Speech from a text.
    Speech,
    /// The number of a message's input tokens.
    CountTokens,
}

impl Route {
    /// The route of `path`: the request target without its query.
    pub fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/chat/completions" => Self::Answer(Dialect::Chat),
            "/v1/responses" => Self::Answer(Dialect::Responses),
            "/v1/messages" => Self::Answer(Dialect::Messages),
            "/routing/v1/chat/completions" => Self::DryRun(Dialect::Chat),
            "/routing/v1/responses" => Self::DryRun(Dialect::Responses),
            "/routing/v1/messages" => Self::DryRun(Dialect::Messages),
            "/v1/embeddings" => Self::PassThrough(PassThrough::Embeddings),
            "/v1/completions" => Self::PassThrough(PassThrough::Completions),
            "/v1/images/generations" => Self::PassThrough(PassThrough::Images),
            "/v1/audio/speech" => Self::PassThrough(PassThrough::Speech),
            "/v1/messages/count_tokens" => Self::PassThrough(PassThrough::CountTokens),
            "/v1/models" => Self::Models,
            _ => Self::Model(decoded(path.strip_prefix("/v1/models/")?)?),
        })
    }

    /// The only method that the route allows: the value of `Allow` where another is used.
    pub fn method(&self) -> Method {
        match self {
            Self::Answer(_) | Self::DryRun(_) | Self::PassThrough(_) => Method::POST,
            Self::Models | Self::Model(_) => Method::GET,
        }
    }

    /// The dialect of the caller, in which errors are rendered.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Answer(dialect) | Self::DryRun(dialect) => *dialect,
            Self::PassThrough(pass_through) => pass_through.dialect(),
            Self::Models | Self::Model(_) => Dialect::Chat,
        }
    }
}

impl PassThrough {
    /// Where the endpoint lies below a provider's base URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::Embeddings => "/embeddings",
            Self::Completions => "/completions",
            Self::Images => "/images/generations",
            Self::Speech => "/audio/speech",
            Self::CountTokens => "/messages/count_tokens",
        }
    }

    /// The dialect to whose API the endpoint belongs.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Embeddings | Self::Completions | Self::Images | Self::Speech => Dialect::Chat,
            Self::CountTokens => Dialect::Messages,
        }
    }
}

/// The text that `escaped` stands for; `None` where it is empty, an escape is not whole, or it is not UTF-8.
fn decoded(escaped: &str) -> Option<String> {
    let mut bytes = escaped.bytes();
    let mut text = Vec::with_capacity(escaped.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = hex(bytes.next()?)?;
            let low = hex(bytes.next()?)?;
            text.push(high << 4 | low);
        } else {
            text.push(byte);
        }
    }
    String::from_utf8(text).ok().filter(|text| !text.is_empty())
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_path_of_the_contract_is_known() {
        for (path, wanted) in [
            ("/v1/chat/completions", Route::Answer(Dialect::Chat)),
            ("/v1/responses", Route::Answer(Dialect::Responses)),
            ("/v1/messages", Route::Answer(Dialect::Messages)),
            ("/routing/v1/messages", Route::DryRun(Dialect::Messages)),
            ("/v1/messages/count_tokens", Route::PassThrough(PassThrough::CountTokens)),
            ("/v1/models", Route::Models),
            ("/v1/models/gpt-5.2", Route::Model("gpt-5.2".to_owned())),
            ("/v1/models/router:a", Route::Model("router:a".to_owned())),
            (
                "/v1/models/meta-llama/Llama%3Afree",
                Route::Model("meta-llama/Llama:free".to_owned()),
            ),
        ] {
            assert_eq!(Route::of(path), Some(wanted), "{path}");
        }
    }

    #[test]
    fn a_pass_through_path_is_the_upstreams_below_v1() {
        for path in [
            "/v1/embeddings",
            "/v1/completions",
            "/v1/images/generations",
            "/v1/audio/speech",
            "/v1/messages/count_tokens",
        ] {
            let Some(Route::PassThrough(route)) = Route::of(path) else { panic!("{path}") };
            assert_eq!(format!("/v1{}", route.path()), path);
        }
    }

    #[test]
    fn no_other_spelling_matches() {
        for path in [
            "",
            "/",
            "*",
            "/v1/chat/completions/",
            "/v1/chat/completions?x",
            "//v1/chat/completions",
            "//evil/v1/chat/completions",
            "http://evil/v1/chat/completions",
            "/v1/../v1/responses",
            "/v1/./responses",
            "/%761/responses",
            "/v1/chat%2fcompletions",
            "/V1/responses",
            "/v1/responses ",
            "/v1/models/",
            "/v1/models/%",
            "/v1/models/%2",
            "/v1/models/%zz",
            "/v1/models/%+1",
            "/v1/models/%ff",
            "/metrics",
            "/admin",
            "/routing/v1/embeddings",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }

    #[test]
    fn models_are_read_and_all_else_is_posted() {
        assert_eq!(Route::Models.method(), Method::GET);
        assert_eq!(Route::Model("x".to_owned()).method(), Method::GET);
        assert_eq!(Route::Answer(Dialect::Chat).method(), Method::POST);
        assert_eq!(Route::of("/v1/embeddings").unwrap().method(), Method::POST);
    }

    proptest! {
        #[test]
        fn an_escaped_name_comes_back(name in "\\PC{1,40}") {
            let escaped = name.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
            prop_assert_eq!(Route::of(&format!("/v1/models/{escaped}")), Some(Route::Model(name)));
        }

        #[test]
        fn no_path_panics(path in "(/|/v1|/v1/models|%|[a-z0-9%./:]){0,12}") {
            let _ = Route::of(&path);
        }
    }
}
