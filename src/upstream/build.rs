//! The only place where a credential is put on the wire.
//!
//! A request is never forwarded: each one is built from scratch for one target, from what the operator wrote for its
//! provider, the body, and the few of the caller's headers that the engine lets through. What does not change from
//! one request to the next is prepared once for a provider.

use std::fmt::Display;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE,
        HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
    },
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::Full;
use url::form_urlencoded;

use crate::{
    catalog::provider::{Api, Auth, Provider},
    dialect::Dialect,
    secret::Secret,
    upstream::{Call, Cause, SendFault},
};

const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("pointsman/", env!("CARGO_PKG_VERSION")));

/// The version of Anthropic's API that our codec is written for.
const DEFAULT_ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
/// What frames a message or belongs to a connection: ours alone to set, whatever the file says.
const FRAMING: [HeaderName; 8] =
    [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, TE, TRAILER, UPGRADE, ACCEPT_ENCODING];
/// What identifies a caller to us and is nobody else's business.
const CALLERS_OWN: [HeaderName; 4] = [AUTHORIZATION, API_KEY, COOKIE, PROXY_AUTHORIZATION];

/// Shorter texts are no credentials; masking them would garble what people need to read.
const LEAST_SECRET: usize = 4;
const MASK: &str = "***";

/// Everything about a provider's requests that is the same for each of them.
pub(super) struct Template {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
    query: String,
    known: Vec<(&'static str, PathAndQuery)>,
    headers: HeaderMap,
    api: Api,
    passthrough: bool,
}

impl Template {
    /// Prepares the requests of `provider`; its credential goes into them here and nowhere else.
    pub(super) fn new(provider: &Provider) -> Result<Self, SendFault> {
        let base = provider.base_url.as_str().parse::<Uri>().map_err(unusable)?.into_parts();
        let prefix = provider.base_url.path().trim_end_matches('/').to_owned();
        let query = encode(&provider.query);
        let known = [Dialect::Chat, Dialect::Responses, Dialect::Messages]
            .into_iter()
            .map(|dialect| Ok((dialect.path(), join(&prefix, dialect.path(), &query)?)))
            .collect::<Result<_, SendFault>>()?;
        let authority = base.authority.ok_or_else(|| unusable("no host"))?;
        Ok(Self {
            scheme: base.scheme.ok_or_else(|| unusable("no scheme"))?,
            headers: fixed_headers(provider, &authority)?,
            authority,
            prefix,
            query,
            known,
            api: provider.api,
            passthrough: matches!(provider.auth, Auth::Passthrough),
        })
    }

    /// The request of one call, for a connection of this version.
    pub(super) fn request(
        &self,
        call: &Call<'_>,
        version: Version,
    ) -> Result<Request<Full<Bytes>>, SendFault> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri(call.path, version)?;
        *request.headers_mut() = self.headers(call, version)?;
        *request.version_mut() = version;
        Ok(request)
    }

    fn uri(&self, path: &str, version: Version) -> Result<Uri, SendFault> {
        let target = match self.known.iter().find(|(known, _)| *known == path) {
            Some((_, prepared)) => prepared.clone(),
            None => join(&self.prefix, path, &self.query)?,
        };
        if version != Version::HTTP_2 {
            return Ok(target.into());
        }
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
            .map_err(unusable)
    }

    fn headers(&self, call: &Call<'_>, version: Version) -> Result<HeaderMap, SendFault> {
        let mut headers = self.headers.clone();
        if version == Version::HTTP_2 {
            headers.remove(HOST);
        }
        headers.insert(ACCEPT, if call.streamed { EVENTS } else { JSON });
        if let (true, Some(secret)) = (self.passthrough, call.passthrough) {
            let (name, value) = credential(self.api, secret)?;
            headers.insert(name, value);
        }
        for (name, value) in call.caller_headers {
            if self.takes(name) {
                headers.append(name, value.clone());
            }
        }
        if self.api == Api::Anthropic && !headers.contains_key(&ANTHROPIC_VERSION) {
            headers.insert(ANTHROPIC_VERSION, DEFAULT_ANTHROPIC_VERSION);
        }
        Ok(headers)
    }

    /// Whether a caller's header of this name may be added: never over what we or the operator set.
    fn takes(&self, name: &HeaderName) -> bool {
        *name != ACCEPT
            && !self.headers.contains_key(name)
            && !FRAMING.contains(name)
            && !CALLERS_OWN.contains(name)
    }
}

/// The headers that every request to this provider carries, the operator's among them.
fn fixed_headers(provider: &Provider, authority: &Authority) -> Result<HeaderMap, SendFault> {
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(HOST, HeaderValue::from_str(authority.as_str()).map_err(unusable)?);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, AGENT);
    for (name, value) in provider.headers.iter().filter(|(name, _)| !FRAMING.contains(name)) {
        headers.insert(name, value.clone());
    }
    match &provider.auth {
        Auth::None | Auth::Passthrough => {}
        Auth::Bearer(secret) => {
            headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", secret.expose()))?);
        }
        Auth::Header(name, secret) => {
            headers.insert(name, sensitive(secret.expose())?);
        }
    }
    Ok(headers)
}

/// The caller's own credential in the form that this API reads.
fn credential(api: Api, secret: &Secret) -> Result<(HeaderName, HeaderValue), SendFault> {
    match api {
        Api::OpenAi | Api::OpenAiChat => {
            Ok((AUTHORIZATION, sensitive(&format!("Bearer {}", secret.expose()))?))
        }
        Api::Anthropic => Ok((API_KEY, sensitive(secret.expose())?)),
    }
}

/// A header value that hyper's and h2's own traces leave out. The fault says nothing about the text.
fn sensitive(text: &str) -> Result<HeaderValue, SendFault> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| unusable("the credential is no header value"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn encode(query: &[(String, String)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query {
        text.append_pair(name, value);
    }
    text.finish()
}

fn join(prefix: &str, path: &str, query: &str) -> Result<PathAndQuery, SendFault> {
    let text = if query.is_empty() {
        format!("{prefix}{path}")
    } else {
        format!("{prefix}{path}?{query}")
    };
    PathAndQuery::from_maybe_shared(Bytes::from(text)).map_err(unusable)
}

fn unusable(reason: impl Display) -> SendFault {
    SendFault::new(Cause::Protocol, format!("request cannot be built: {reason}"))
}

/// Replaces every occurrence of these credentials in a provider's words: some echo the key that they got.
///
/// A credential with a slash is also found in the spelling that JSON allows for it.
pub fn mask(text: &str, secrets: &[&Secret]) -> String {
    let mut masked = text.to_owned();
    for secret in secrets.iter().map(|secret| secret.expose()) {
        if secret.len() < LEAST_SECRET {
            continue;
        }
        for spelling in [secret.to_owned(), secret.replace('/', "\\/")] {
            if masked.contains(&spelling) {
                masked = masked.replace(&spelling, MASK);
            }
        }
    }
    masked
}

/// The credential that requests to this provider carry, to mask it where the provider echoes it.
pub fn credential_of(provider: &Provider) -> Option<&Secret> {
    match &provider.auth {
        Auth::None | Auth::Passthrough => None,
        Auth::Bearer(secret) | Auth::Header(_, secret) => Some(secret),
    }
}
