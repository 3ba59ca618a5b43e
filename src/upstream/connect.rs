//! Making a connection: name, address rule, TCP, TLS, protocol; one time limit over all of it.
//!
//! No proxy is read from the environment and no certificate check can be turned off: a provider's own authority is
//! trusted besides the system's, never instead of a check.

use std::{
    error::Error,
    fmt,
    future::ready,
    iter,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{Connection as _, HttpConnector},
    rt::TokioIo,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::{
    catalog::provider::Provider,
    upstream::{
        Cause, SendFault,
        address::{AddressFault, Resolver},
        http1, http2,
    },
};

/// A silent peer is asked for a sign of life after this long, then every `PROBE`.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const PROBE: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;
#[cfg(target_os = "linux")]
/// What was sent and not acknowledged for this long ends the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// How long one address family is preferred before the other is tried as well (RFC 8305 advises 250 ms).
const HAPPY_EYEBALLS: Duration = Duration::from_millis(250);

/// Bytes to and from a provider, in clear text or through TLS.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A connection that no request has used yet.
pub(super) enum Fresh {
    /// One request at a time.
    Http1(http1::Connection),
    /// Many requests at once.
    Http2(http2::Connection),
}

/// Makes connections to one provider.
pub(super) struct Connector {
    uri: Uri,
    http: HttpConnector<Resolver>,
    resolver: Resolver,
    tls: Arc<ClientConfig>,
}

impl Connector {
    /// Prepares connections to where `provider` is served.
    pub(super) fn new(provider: &Provider) -> Result<Self, SendFault> {
        let uri: Uri = provider
            .base_url
            .as_str()
            .parse()
            .map_err(|error| SendFault::new(Cause::Protocol, format!("base_url: {error}")))?;
        if uri.scheme_str() != Some("https") && !provider.allow_private {
            return Err(SendFault::new(Cause::Egress, "clear text needs allow_private".to_owned()));
        }
        let resolver = Resolver { allow_private: provider.allow_private };
        let mut http = HttpConnector::new_with_resolver(resolver);
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(KEEP_ALIVE));
        http.set_keepalive_interval(Some(PROBE));
        http.set_keepalive_retries(Some(PROBES));
        http.set_happy_eyeballs_timeout(Some(HAPPY_EYEBALLS));
        #[cfg(target_os = "linux")]
        http.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        Ok(Self { uri, http, resolver, tls: client_config(provider.ca.as_deref())? })
    }

    /// Connects within `limit`, TLS and protocol included.
    pub(super) async fn connect(&self, limit: Duration) -> Result<Fresh, SendFault> {
        match tokio::time::timeout(limit, self.establish(limit)).await {
            Ok(result) => result,
            Err(_) => Err(SendFault::new(
                Cause::ConnectTimeout,
                format!("no connection within {} ms", limit.as_millis()),
            )),
        }
    }

    async fn establish(&self, limit: Duration) -> Result<Fresh, SendFault> {
        let mut http = self.http.clone();
        // Divided among the addresses, so that one that swallows packets leaves time for the next.
        http.set_connect_timeout(Some(limit));
        let mut https = HttpsConnector::new(
            Guarded { http, resolver: self.resolver },
            Arc::clone(&self.tls),
            false,
            Arc::new(DefaultServerNameResolver::default()),
        );
        let stream = https.call(self.uri.clone()).await.map_err(|error| classify(&*error))?;
        if stream.connected().is_negotiated_h2() {
            http2::Connection::new(stream).await.map(Fresh::Http2)
        } else {
            http1::Connection::new(stream).await.map(Fresh::Http1)
        }
    }
}

/// TCP alone: what fails in here is no matter of TLS.
#[derive(Clone)]
struct Guarded {
    http: HttpConnector<Resolver>,
    resolver: Resolver,
}

impl Service<Uri> for Guarded {
    type Response = TokioIo<TcpStream>;
    type Error = TcpFault;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, TcpFault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TcpFault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // A host that is an address already does not pass the resolver, so it is judged here.
        if let Err(fault) = self.resolver.check_literal(uri.host().unwrap_or_default()) {
            return Box::pin(ready(Err(TcpFault::of(&fault))));
        }
        let connecting = self.http.call(uri);
        Box::pin(async move { connecting.await.map_err(|error| TcpFault::of(&error)) })
    }
}

/// Why TCP could not connect.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct TcpFault {
    cause: Cause,
    text: String,
}

impl TcpFault {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let cause = match chain(error).find_map(<dyn Error>::downcast_ref::<AddressFault>) {
            Some(AddressFault::NotFound(_)) => Cause::Dns,
            Some(AddressFault::Forbidden(_)) => Cause::Egress,
            None => Cause::Connect,
        };
        Self { cause, text: describe(error) }
    }
}

fn classify(error: &(dyn Error + 'static)) -> SendFault {
    match error.downcast_ref::<TcpFault>() {
        Some(fault) => SendFault::new(fault.cause, fault.text.clone()),
        None => SendFault::new(Cause::Tls, describe(error)),
    }
}

/// An error and what caused it, outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |error| <dyn Error>::source(*error))
}

/// An error and its causes as one line.
pub(super) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut lines: Vec<String> = chain(error).map(ToString::to_string).collect();
    lines.dedup();
    lines.join(": ")
}

/// Trust in the system's authorities and in those of `ca`; HTTP/2 where the provider has it.
fn client_config(ca: Option<&[u8]>) -> Result<Arc<ClientConfig>, SendFault> {
    let mut roots = RootCertStore::clone(system_roots());
    for certificate in CertificateDer::pem_slice_iter(ca.unwrap_or_default()) {
        let certificate = certificate.map_err(|error| unusable_ca(&error))?;
        roots.add(certificate).map_err(|error| unusable_ca(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SendFault::new(Cause::Tls, error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn unusable_ca(error: &dyn fmt::Display) -> SendFault {
    SendFault::new(Cause::Tls, format!("ca: {error}"))
}

/// The system's authorities, read once. Those that cannot be parsed are left out: others may do.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}
