//! The client for what is not on a request's path: price feeds, Prometheus, a generative router.
//!
//! It follows the egress rule of requests: only addresses that passed are connected to, redirects are not followed,
//! proxies of the environment are not asked.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::{ClientConfig, RootCertStore};

use crate::upstream::address::allowed;

/// Why nothing could be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchFault {
    /// The client cannot be made.
    #[error("no client: {0}")]
    Client(String),
    /// The address may not be asked, or nothing is there.
    #[error("{0}")]
    Transport(String),
    /// The answer's status says no.
    #[error("status {0}")]
    Status(u16),
    /// The answer is longer than it may be.
    #[error("longer than {0} bytes")]
    TooLarge(usize),
}

/// A client that may reach private addresses, and speak clear text, only where `allow_private` says so.
pub fn client(allow_private: bool, limit: Duration) -> Result<reqwest::Client, FetchFault> {
    let fault = |error: &dyn std::fmt::Display| FetchFault::Client(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(Egress { allow_private }))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .https_only(!allow_private)
        .timeout(limit)
        .user_agent(concat!("pointsman/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| fault(&error))
}

/// Sends `request` and reads its whole answer, of at most `limit` bytes.
pub async fn fetch(
    request: reqwest::RequestBuilder,
    allow_private: bool,
    limit: usize,
) -> Result<Vec<u8>, FetchFault> {
    let (client, request) = request.build_split();
    let request = request.map_err(|error| FetchFault::Transport(describe(&error)))?;
    check_literal(&request, allow_private)?;
    let mut response =
        client.execute(request).await.map_err(|error| FetchFault::Transport(describe(&error)))?;
    if !response.status().is_success() {
        return Err(FetchFault::Status(response.status().as_u16()));
    }
    let mut whole = Vec::new();
    while let Some(piece) =
        response.chunk().await.map_err(|error| FetchFault::Transport(describe(&error)))?
    {
        if whole.len().saturating_add(piece.len()) > limit {
            return Err(FetchFault::TooLarge(limit));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// An address that is written out is connected to without being resolved.
fn check_literal(request: &reqwest::Request, allow_private: bool) -> Result<(), FetchFault> {
    let ip = match request.url().host() {
        Some(url::Host::Ipv4(ip)) => ip.into(),
        Some(url::Host::Ipv6(ip)) => ip.into(),
        Some(url::Host::Domain(_)) | None => return Ok(()),
    };
    if allowed(ip, allow_private) {
        return Ok(());
    }
    Err(FetchFault::Transport(format!("{ip} may not be connected to")))
}

/// The error and its causes, without the address that was asked: it may hold a token.
fn describe(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "timed out" } else { "failed" }.to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

struct Egress {
    allow_private: bool,
}

impl Resolve for Egress {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let safe: Vec<SocketAddr> =
                found.filter(|address| allowed(address.ip(), allow_private)).collect();
            if safe.is_empty() {
                return Err("the name has no address that may be connected to".into());
            }
            let safe: Addrs = Box::new(safe.into_iter());
            Ok(safe)
        })
    }
}
