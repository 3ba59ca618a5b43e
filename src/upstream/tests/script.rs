//! A provider that follows a script, and what a test needs to call it.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::PrivateKeyDer};
use tokio::time::Instant;

use crate::{
    catalog::{
        model::Target,
        provider::{Api, Auth, Provider},
    },
    ids::{ModelId, ProviderId, TargetId},
    secret::Secret,
    upstream::{Body, BodyFault, Call, Cause, MAX_ANSWER, SendFault, Upstream},
};

/// Longer than any test takes.
pub(super) const LONG: Duration = Duration::from_secs(20);
/// The shortest answer that can be kept apart from the next.
pub(super) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

// === the scripted provider ===

pub(super) fn script<T: Send + 'static>(
    play: impl FnOnce(TcpListener) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, thread::spawn(move || play(listener)))
}

/// One whole request with a declared length.
pub(super) fn read_request(stream: &mut impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "no request");
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// Answers one request with these bytes and gives back what was asked and the open connection.
pub(super) fn answer(listener: &TcpListener, bytes: &[u8]) -> (String, TcpStream) {
    let (mut stream, _) = listener.accept().unwrap();
    let request = read_request(&mut stream);
    stream.write_all(bytes).unwrap();
    (request, stream)
}

/// Waits until the peer closed or reset the connection.
pub(super) fn wait_closed(mut stream: TcpStream) {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

// === the caller's side ===

pub(super) fn provider(base_url: &str) -> Provider {
    Provider {
        id: ProviderId::parse("p").unwrap(),
        api: Api::OpenAi,
        base_url: base_url.parse().unwrap(),
        auth: Auth::Bearer(Secret::new("canary-key".to_owned())),
        query: Vec::new(),
        headers: Vec::new(),
        allow_private: true,
        ca: None,
    }
}

pub(super) fn at(address: SocketAddr) -> Provider {
    provider(&format!("http://{address}/v1"))
}

pub(super) fn target(provider: Provider) -> Target {
    let model = ModelId::parse("m").unwrap();
    Target {
        id: TargetId::new(&model, &provider.id, "up"),
        model,
        provider: Arc::new(provider),
        upstream_id: "up".into(),
    }
}

pub(super) async fn send(
    upstream: &Upstream,
    target: &Target,
) -> Result<Response<Body>, SendFault> {
    send_with(upstream, target, &HeaderMap::new(), None).await
}

pub(super) async fn send_with(
    upstream: &Upstream,
    target: &Target,
    caller_headers: &HeaderMap,
    passthrough: Option<&Secret>,
) -> Result<Response<Body>, SendFault> {
    let body = Bytes::from_static(b"{\"a\":1}");
    let path = "/chat/completions";
    let connect_timeout = Duration::from_millis(500);
    let call =
        Call { target, path, body, streamed: false, caller_headers, passthrough, connect_timeout };
    upstream.send(call).await
}

pub(super) async fn whole(response: Response<Body>) -> Result<Bytes, BodyFault> {
    response.into_body().whole(MAX_ANSWER, within(LONG)).await
}

/// The moment this long from now.
pub(super) fn within(limit: Duration) -> Instant {
    Instant::now().checked_add(limit).unwrap()
}

/// The outcome of one request to a provider that answers with these bytes and closes.
pub(super) async fn outcome(bytes: &'static [u8]) -> Result<Response<Body>, SendFault> {
    let (address, provider) = script(move |listener| drop(answer(&listener, bytes)));
    let result = send(&Upstream::new(), &target(at(address))).await;
    provider.join().unwrap();
    result
}

pub(super) fn cause(result: Result<Response<Body>, SendFault>) -> Cause {
    result.map(|response| response.status()).unwrap_err().cause
}

pub(super) fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect()
}

pub(super) fn provider_tls(address: SocketAddr, ca: Option<&str>) -> Provider {
    let base = format!("https://localhost:{}/v1", address.port());
    Provider { ca: ca.map(|pem| pem.as_bytes().to_vec()), ..provider(&base) }
}

/// A provider whose certificate, signed by its own authority, is for `name`; gives the authority's certificate.
pub(super) fn script_tls(name: &str) -> (SocketAddr, JoinHandle<std::io::Result<()>>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
    let (address, handle) = script(move |listener| {
        let (socket, _) = listener.accept()?;
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        read_request(&mut stream);
        stream.write_all(ANSWER)
    });
    (address, handle, authority)
}
