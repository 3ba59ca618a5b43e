//! The client towards providers: one request to one target, and its answer as it comes in.
//!
//! Invariants: a request carries the credential of its target's provider and no other; only addresses that the egress
//! rule allows are connected to; redirects are never followed, proxies never asked, answers never decompressed;
//! whoever drops the future of [`Upstream::send`] or the [`Body`] cancels the request at once. Nothing is tried twice, with one
//! exception: a kept connection that turns out to be dead before a byte of the answer came is replaced by a fresh one.

mod address;
mod body;
mod build;
mod connect;
pub mod fetch;
mod http1;
mod http2;
mod pool;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING},
};
use parking_lot::Mutex;

use crate::{
    catalog::{model::Target, provider::Provider},
    ids::ProviderId,
    secret::Secret,
    upstream::{build::Template, pool::Pool},
};

pub use crate::upstream::{
    address::allowed,
    body::{Body, BodyFault, MAX_ANSWER},
    build::{credential_of, mask},
};

/// The longest head of an answer, in bytes.
const MAX_HEAD: usize = 64 << 10;
/// The most fields in the head of an answer.
const MAX_HEAD_FIELDS: usize = 100;
/// A closed socket answers within a round trip. A kept connection that breaks later than this was alive when the request
/// came, so the provider may be at work on it, and the request is not silently repeated.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// What to send, and to whom.
pub struct Call<'a> {
    /// Where to.
    pub target: &'a Target,
    /// The path below the provider's base, e.g. `/chat/completions`.
    pub path: &'a str,
    /// The JSON body.
    pub body: Bytes,
    /// Whether a stream of events is wanted.
    pub streamed: bool,
    /// Those of the caller's headers that may go to this provider.
    pub caller_headers: &'a HeaderMap,
    /// The caller's credential, used only where the provider says `auth: passthrough`.
    pub passthrough: Option<&'a Secret>,
    /// How long making a connection may take, TLS included.
    pub connect_timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{cause}: {text}")]
pub struct SendFault {
    /// What failed.
    pub cause: Cause,
    /// Whether the whole request may have reached the provider.
    pub possibly_billed: bool,
    /// For the log: addresses and system errors, never a credential.
    pub text: String,
}

/// What failed on the way to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No TCP connection.
    Connect,
    /// No TLS: wrong name, expired, not trusted, or no TLS at all.
    Tls,
    /// The name has no address.
    Dns,
    /// The name has no address that may be connected to.
    Egress,
    /// No connection in time.
    ConnectTimeout,
    /// The connection broke before the answer's head was whole.
    Reset,
    /// The answer's head is not one that we accept, or the request cannot be built.
    Protocol,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Dns => "dns",
            Self::Egress => "egress",
            Self::ConnectTimeout => "connect timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
        })
    }
}

impl SendFault {
    fn new(cause: Cause, text: String) -> Self {
        Self { cause, possibly_billed: false, text }
    }
}

/// A request that got no answer on its connection.
struct Lost {
    fault: SendFault,
    /// The connection had answered a request before.
    reused: bool,
    /// How much of the request had gone out.
    sent: Sent,
    /// Not a byte of an answer came.
    silent: bool,
    /// From the request to the break.
    after: Duration,
}

/// How much of a request went out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    Part,
    Whole,
}

impl Lost {
    /// Whether the connection was dead before the request came.
    fn was_stale(&self) -> bool {
        self.reused && self.silent && (self.sent == Sent::Nothing || self.after < STALE_WITHIN)
    }
}

/// The connections to all providers. They outlive a reload of the catalog that leaves a provider's address, rule and
/// authorities as they were.
#[derive(Default)]
pub struct Upstream {
    /// By the address of the provider's allocation, which the entry keeps in place: found without comparing a field.
    origins: ArcSwap<HashMap<usize, Arc<Origin>>>,
    pools: Mutex<HashMap<Fingerprint, Arc<Pool>>>,
}

/// One provider of one catalog.
struct Origin {
    provider: Arc<Provider>,
    template: Template,
    pool: Arc<Pool>,
}

/// What makes two connections interchangeable.
#[derive(PartialEq, Eq, Hash)]
struct Fingerprint {
    id: ProviderId,
    origin: String,
    allow_private: bool,
    ca: Option<Vec<u8>>,
}

impl Upstream {
    /// A client without connections.
    pub fn new() -> Self {
        Self::default()
    }

    /// Prepares requests to `provider`, so that the first one need not: its certificate authorities are read here.
    pub fn prepare(&self, provider: &Arc<Provider>) -> Result<(), SendFault> {
        self.origin(provider).map(drop)
    }

    /// Sends a request and waits for the head of its answer, whatever its status.
    pub async fn send(&self, call: Call<'_>) -> Result<Response<Body>, SendFault> {
        let origin = self.origin(&call.target.provider)?;
        let (mut repeated, mut billed) = (false, false);
        loop {
            let kept = if repeated { None } else { origin.pool.take() };
            let connection = if let Some(connection) = kept {
                connection
            } else {
                let connecting = Box::pin(origin.pool.connect(call.connect_timeout));
                connecting.await.map_err(|fault| billed_if(fault, billed))?
            };
            let request = origin.template.request(&call, connection.version())?;
            match connection.send(request, &origin.pool).await {
                Ok(response) => return accept(response),
                Err(lost) => {
                    billed |= lost.sent == Sent::Whole;
                    if repeated || !lost.was_stale() {
                        return Err(billed_if(lost.fault, billed));
                    }
                    // A connection that was closed before anything went out says nothing about the next kept one.
                    repeated = lost.sent != Sent::Nothing;
                }
            }
        }
    }

    fn origin(&self, provider: &Arc<Provider>) -> Result<Arc<Origin>, SendFault> {
        let address = Arc::as_ptr(provider).addr();
        if let Some(origin) = self.origins.load().get(&address) {
            return Ok(Arc::clone(origin));
        }
        let mut pools = self.pools.lock();
        let origin = Arc::new(Origin {
            template: Template::new(provider)?,
            pool: pool_of(&mut pools, provider)?,
            provider: Arc::clone(provider),
        });
        let mut origins = HashMap::clone(&self.origins.load());
        // A provider that only we still know belongs to a catalog that is gone.
        origins.retain(|_, known| Arc::strong_count(&known.provider) > 1);
        origins.insert(address, Arc::clone(&origin));
        self.origins.store(Arc::new(origins));
        pools.retain(|_, pool| Arc::strong_count(pool) > 1 || !pool.is_empty());
        Ok(origin)
    }
}

fn pool_of(
    pools: &mut HashMap<Fingerprint, Arc<Pool>>,
    provider: &Provider,
) -> Result<Arc<Pool>, SendFault> {
    let fingerprint = Fingerprint {
        id: provider.id.clone(),
        origin: provider.base_url.origin().ascii_serialization(),
        allow_private: provider.allow_private,
        ca: provider.ca.clone(),
    };
    if let Some(pool) = pools.get(&fingerprint) {
        return Ok(Arc::clone(pool));
    }
    let pool = Arc::new(Pool::new(provider)?);
    pools.insert(fingerprint, Arc::clone(&pool));
    Ok(pool)
}

fn billed_if(mut fault: SendFault, billed: bool) -> SendFault {
    fault.possibly_billed |= billed;
    fault
}

/// Refuses heads that are ambiguous or promise what we did not ask for.
fn accept(response: Response<Body>) -> Result<Response<Body>, SendFault> {
    let headers = response.headers();
    let refusal = if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        Some("protocol switched")
    } else if headers.len() > MAX_HEAD_FIELDS {
        Some("too many header fields")
    } else if is_ambiguous(headers) {
        Some("ambiguous framing")
    } else if is_encoded(headers) && response.status().is_success() {
        Some("answer is compressed")
    } else {
        None
    };
    match refusal {
        Some(text) => Err(billed_if(SendFault::new(Cause::Protocol, text.to_owned()), true)),
        None if is_encoded(headers) => Ok(response.map(|_| Body::encoded())),
        None => Ok(response),
    }
}

/// Two lengths, or two ways to say where the body ends: the stuff of response splitting.
fn is_ambiguous(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => headers.get_all(CONTENT_LENGTH).iter().count() > 1,
        (Some(only), None) => {
            headers.contains_key(CONTENT_LENGTH)
                || !only.as_bytes().eq_ignore_ascii_case(b"chunked")
        }
        (Some(_), Some(_)) => true,
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .map(HeaderValue::as_bytes)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}
