//! Who asks, what for, and may they: everything that is decided on the head alone.

use http::HeaderMap;

use crate::{
    access::{self, Caller},
    catalog::Catalog,
    dialect::Dialect,
    engine::{
        exchange::{Head, Source},
        refusal::Refusal,
    },
    http::{
        header,
        media::{self, UnsupportedMedia},
        route::Route,
    },
    secret::Secret,
};

/// The longest session name that is kept; what is longer is not a name.
const MAX_SESSION: usize = 1024;

/// The code of a refusal for want of a key.
pub(super) const INVALID_KEY: &str = "invalid_api_key";

/// A request whose head is in order.
pub(super) struct Admitted {
    /// What is asked for.
    pub route: Route,
    /// Who asks.
    pub caller: Caller,
    /// The request's id: the caller's where it keeps to the rule, else ours.
    pub request_id: String,
    /// The caller's name for its session.
    pub session: Option<String>,
    /// The caller's headers that may go on to a provider, whichever API it speaks.
    pub forwarded: HeaderMap,
    /// The caller's own credential, for providers with `auth: passthrough`.
    pub credential: Option<Secret>,
    /// Whether the caller speaks Anthropic's API, where the path does not say so.
    pub anthropic: bool,
}

/// The dialect in which a caller at `path` is told of problems, known even where nothing else is.
pub(super) fn dialect_of(head: Head<'_>) -> Dialect {
    match Route::of(head.path) {
        Some(Route::Models | Route::Model(_)) if speaks_anthropic(head.headers) => {
            Dialect::Messages
        }
        Some(route) => route.dialect(),
        None => Dialect::Chat,
    }
}

/// The request's id: the caller's where it keeps to the rule, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    match header::request_id(headers) {
        Some(id) => id.to_owned(),
        None => fresh_request_id(),
    }
}

/// An id for a request that brought none.
pub fn fresh_request_id() -> String {
    format!("req-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

/// Judges the head of a request.
pub(super) fn admit(
    catalog: &Catalog,
    (head, source): (Head<'_>, Source),
    request_id: &str,
) -> Result<Admitted, Refusal> {
    // The key comes before the path, so that nobody without one learns what is here.
    let caller = match source {
        Source::DataPlane => authenticate(catalog, head.headers)?,
        Source::Playground => Caller::playground(),
    };
    let route = Route::of(head.path).ok_or_else(|| {
        Refusal::new(404, "not_found", "nothing is served at this path; see /v1/models")
    })?;
    if *head.method != route.method() {
        let post = route.method() == http::Method::POST;
        return Err(Refusal::method(if post { "POST" } else { "GET" }));
    }
    if *head.method == http::Method::POST {
        media::check_request(head.headers).map_err(unsupported)?;
    }
    let mut forwarded = HeaderMap::new();
    for dialect in [Dialect::Chat, Dialect::Messages] {
        for name in header::forwarded(dialect) {
            if !forwarded.contains_key(name) {
                for value in head.headers.get_all(name) {
                    forwarded.append(name, value.clone());
                }
            }
        }
    }
    Ok(Admitted {
        route,
        caller,
        request_id: request_id.to_owned(),
        session: session(head.headers)?,
        forwarded,
        credential: access::credential(head.headers),
        anthropic: speaks_anthropic(head.headers),
    })
}

fn authenticate(catalog: &Catalog, headers: &HeaderMap) -> Result<Caller, Refusal> {
    access::authenticate(&catalog.keys, headers).map_err(|_| {
        Refusal::new(401, INVALID_KEY, "a valid API key is required").should_retry(false)
    })
}

fn speaks_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ANTHROPIC_VERSION)
}

fn session(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(header::AFFINITY) else { return Ok(None) };
    let fault = || {
        let message = format!("{} must be 1 to 1024 visible ASCII characters", header::AFFINITY);
        Refusal::new(400, "invalid_request", message)
    };
    let only = header::only(headers, &header::AFFINITY).is_some();
    let text = value.to_str().map_err(|_| fault())?;
    let named = (1..=MAX_SESSION).contains(&text.len());
    if only && named { Ok(Some(text.to_owned())) } else { Err(fault()) }
}

fn unsupported(fault: UnsupportedMedia) -> Refusal {
    Refusal::new(415, "unsupported_media_type", fault.to_string())
}
