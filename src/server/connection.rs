//! One connection of a caller: its first byte, its heads under a deadline, the requests on it, one after the other.
//!
//! Pingora would run this loop itself, but it waits without limit for a first byte and for a head. So the loop is
//! here, and what it reads with is Pingora's. HTTP/2 is recognized (by ALPN, or by its first bytes in clear text) and
//! handed to Pingora's own loop.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use pingora::{
    apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp},
    http::ResponseHeader,
    protocols::{
        ALPN, Stream,
        http::{ServerSession, v2::server::H2Options},
    },
    server::ShutdownWatch,
};
use tokio::time::timeout;

use crate::{
    bounded::memory::Memory,
    dialect::{
        Dialect,
        error::{self, Problem},
    },
    engine::{
        exchange::{Exchange, Head},
        fresh_request_id,
    },
    http::header,
    server::{
        caller::Caller,
        drain::{Arrival, Drain},
        framing::{self, Refused},
        session::{self, Session},
    },
};

/// How long a connection may say nothing before a request.
const IDLE: Duration = Duration::from_mins(1);

/// How long a head may take from its first byte to its last.
const HEAD: Duration = Duration::from_secs(30);

/// What answers the requests of a listener.
pub trait Site: Send + Sync + 'static {
    /// Answers one request.
    fn serve(&self, session: &mut Session) -> impl Future<Output = ()> + Send;

    /// The most connections at once.
    fn connection_limit(&self) -> usize;

    /// The most bytes of bodies at once.
    fn memory_limit(&self) -> u64;

    /// Whether callers are served while the process is on its way out.
    fn outlives_drain(&self) -> bool;

    /// Takes note of a request that [`Site::serve`] never sees: the headers and the body of its refusal.
    fn refused(&self, head: Option<Head<'_>>, problem: &Problem) -> (HeaderMap, Bytes);

    /// Takes note of a panic while a request was answered.
    fn panicked(&self);
}

/// The connections of one listener.
pub struct Connections<S> {
    requests: Arc<Requests<S>>,
    open: AtomicUsize,
}

/// The requests of one listener.
pub struct Requests<S> {
    site: S,
    drain: Arc<Drain>,
    memory: Arc<Memory>,
    options: HttpServerOptions,
}

impl<S: Site> Connections<S> {
    /// The connections that `site` answers.
    pub fn new(site: S, drain: Arc<Drain>) -> Self {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        options.h2_idle_timeout = Some(IDLE);
        let requests = Requests { site, drain, memory: Memory::new(), options };
        Self { requests: Arc::new(requests), open: AtomicUsize::new(0) }
    }

    async fn serve_http1(&self, mut stream: Stream, mut arrival: Option<Arrival>) {
        let mut prefix: Option<BytesMut> = None;
        loop {
            let mut session = ServerSession::new_http1(stream);
            session.set_keepalive(Some(IDLE.as_secs()));
            session.set_pipelining_enabled(true);
            if let Some(bytes) = prefix.take() {
                session.set_pipelined_prefix(bytes);
            }
            let Some(finished) = self.requests.serve(session, arrival.take()).await else { return };
            let Ok(Some(reusable)) = finished.finish().await else { return };
            (stream, prefix) = reusable.into_parts();
            if prefix.is_none() && !first_bytes(&mut stream, &mut [0]).await {
                return;
            }
        }
    }
}

#[async_trait]
impl<S: Site> ServerApp for Connections<S> {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let counts = !self.requests.site.outlives_drain();
        let _open = OpenConnection::enter(&self.open, self.requests.site.connection_limit())?;
        let _connected = counts.then(|| self.requests.drain.connect());
        let arrival = counts.then(|| self.requests.drain.arrive());
        let agreed = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
        let mut stream = Caller::around(stream);
        if !agreed && !first_bytes(&mut stream, &mut [0]).await {
            return None;
        }
        match timeout(HEAD, begins_http2(&mut stream, agreed)).await {
            Ok(true) => {
                drop(arrival);
                self.requests.process_new(stream, shutdown).await
            }
            Ok(false) => {
                Box::pin(self.serve_http1(stream, arrival)).await;
                None
            }
            Err(_) => None,
        }
    }
}

#[async_trait]
impl<S: Site> HttpServerApp for Requests<S> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if let Some(finished) = self.serve(session, None).await {
            let _ = finished.finish().await;
        }
        None
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = pingora::protocols::http::v2::server::default_h2_options();
        options.max_header_list_size(32 * 1024);
        options.initial_window_size(1 << 20);
        options.initial_connection_window_size(4 << 20);
        Some(options)
    }
}

impl<S: Site> Requests<S> {
    /// Whether connections close after the request that they carry.
    fn closes(&self) -> bool {
        self.drain.is_draining() && !self.site.outlives_drain()
    }

    /// Serves one request; the session is given back where its answer is complete. The first of a connection ends its
    /// `arrival`.
    async fn serve(
        &self,
        mut session: ServerSession,
        arrival: Option<Arrival>,
    ) -> Option<ServerSession> {
        match timeout(HEAD, session.read_request()).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return None,
            Ok(Err(fault)) => return self.refuse(session, malformed(&fault.to_string())).await,
            Err(_) => {
                let message = "the request head took longer than 30 s";
                let refused = Refused { status: StatusCode::REQUEST_TIMEOUT, message };
                return self.refuse(session, refused).await;
            }
        }
        if let Err(refused) = framing::check(&session) {
            return self.refuse(session, refused).await;
        }
        identify(&mut session);
        let _open = (!self.site.outlives_drain()).then(|| self.drain.enter());
        drop(arrival);
        let limit = self.site.memory_limit();
        let mut session = Session::new(session, &self.memory, limit, self.drain.cut());
        if self.closes() {
            session.close_after();
        }
        let answered = AssertUnwindSafe(self.site.serve(&mut session)).catch_unwind();
        if Box::pin(answered).await.is_err() {
            self.site.panicked();
            apologize(&mut session).await;
        }
        session.into_finished().await
    }
    /// Answers a head that nothing may act on, and closes the connection.
    async fn refuse(&self, mut session: ServerSession, refused: Refused) -> Option<ServerSession> {
        session.set_keepalive(None);
        session.set_write_timeout(Some(Duration::from_secs(5)));
        let slow = refused.status == StatusCode::REQUEST_TIMEOUT;
        let problem = Problem {
            status: refused.status.as_u16(),
            code: if slow { "request_timeout" } else { "invalid_request" },
            message: refused.message.to_owned(),
        };
        // Pingora's summary begins so where no head was parsed.
        let parsed = !session.request_summary().starts_with("- ");
        let head = parsed.then(|| session::head_of(session.req_header()));
        let (headers, body) = self.site.refused(head, &problem);
        let fields = headers.len().saturating_add(2);
        let mut head = ResponseHeader::build(refused.status, Some(fields)).ok()?;
        for (name, value) in &headers {
            head.append_header(name, value).ok()?;
        }
        head.insert_header(CONTENT_TYPE, "application/json").ok()?;
        head.insert_header(CONTENT_LENGTH, body.len()).ok()?;
        session.write_response_header(Box::new(head)).await.ok()?;
        session.write_response_body(body, true).await.ok()?;
        session.shutdown().await;
        None
    }
}

/// Waits for the first bytes of a request; false where none come. A connection that is kept while the process drains
/// may still bring one: it is served, and then the connection closes.
async fn first_bytes(stream: &mut Stream, buffer: &mut [u8]) -> bool {
    matches!(timeout(IDLE, stream.try_peek(buffer)).await, Ok(Ok(_)))
}

/// Whether a connection opens with HTTP/2's preface, or with something as long where HTTP/2 was `agreed` on. Two bytes
/// tell it from every method that is served here; only then is the rest of the preface waited for.
async fn begins_http2(stream: &mut Stream, agreed: bool) -> bool {
    let mut opening = [0; 2];
    let mut preface = [0; 24];
    matches!(stream.try_peek(&mut opening).await, Ok(true))
        && (agreed || opening == *b"PR")
        && matches!(stream.try_peek(&mut preface).await, Ok(true))
}

/// Gives a request without a usable id one of ours, so that all that is said of it names the same: its record, its
/// answer, and the apology for a mistake of ours.
fn identify(session: &mut ServerSession) {
    if header::request_id(&session.req_header().headers).is_none() {
        // An id that is given here is made of letters and digits, so nothing can refuse it.
        let _ = session.req_header_mut().insert_header(header::REQUEST_ID, fresh_request_id());
    }
}

fn malformed(fault: &str) -> Refused {
    let too_large = ["larger than", "TooManyHeaders", "too many headers"];
    if too_large.iter().any(|words| fault.contains(words)) {
        let message = "the request head is too large";
        return Refused { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message };
    }
    Refused { status: StatusCode::BAD_REQUEST, message: "malformed HTTP request" }
}

/// Tells a caller whose request met a mistake of ours.
async fn apologize(session: &mut Session) {
    if session.started() {
        return;
    }
    session.close_after();
    let problem = Problem {
        status: 500,
        code: "internal_error",
        message: "an internal error ended this request".to_owned(),
    };
    let path = session.head().path;
    let dialect = if path.ends_with("/messages") { Dialect::Messages } else { Dialect::Chat };
    let body = error::render(dialect, &problem);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let id = header::request_id(session.head().headers);
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert(header::REQUEST_ID, id);
    }
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    if session.start(status, headers, Some(body.len())).await.is_ok()
        && session.write(body).await.is_ok()
    {
        let _ = session.finish().await;
    }
}

/// One open connection, counted against the limit of its listener.
struct OpenConnection<'a>(&'a AtomicUsize);

impl<'a> OpenConnection<'a> {
    fn enter(open: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let guard = Self(open);
        (open.fetch_add(1, Ordering::Relaxed) < limit).then_some(guard)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Meets a mistake of ours in every request, after it has `begun` to answer or before.
    struct Mistaken {
        begun: bool,
        panics: AtomicUsize,
    }

    impl Site for Mistaken {
        async fn serve(&self, session: &mut Session) {
            if self.begun {
                session.start(StatusCode::OK, HeaderMap::new(), None).await.unwrap();
                session.write(Bytes::from_static(b"half an ans")).await.unwrap();
            }
            panic!("a mistake");
        }

        fn connection_limit(&self) -> usize {
            1
        }

        fn memory_limit(&self) -> u64 {
            0
        }

        fn outlives_drain(&self) -> bool {
            false
        }

        fn refused(&self, _head: Option<Head<'_>>, _problem: &Problem) -> (HeaderMap, Bytes) {
            (HeaderMap::new(), Bytes::new())
        }

        fn panicked(&self) {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn asked(
        begun: bool,
        path: &str,
        field: &str,
    ) -> (String, Connections<Mistaken>, Arc<Drain>) {
        let drain = Drain::new();
        let site = Mistaken { begun, panics: AtomicUsize::new(0) };
        let connections = Connections::new(site, Arc::clone(&drain));
        let (mut caller, ours) = duplex(64 * 1024);
        let head = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n{field}\r\n");
        caller.write_all(head.as_bytes()).await.unwrap();
        connections.serve_http1(Caller::around(Box::new(ours)), Some(drain.arrive())).await;
        let mut answer = String::new();
        caller.read_to_string(&mut answer).await.unwrap();
        (answer, connections, drain)
    }

    #[tokio::test]
    async fn l10_a_mistake_of_ours_is_told_in_the_callers_dialect() {
        let own = "x-request-id: mine\r\n";
        for (path, field, shape) in [
            ("/v1/chat/completions", own, "{\"error\":{"),
            ("/v1/messages", own, "{\"type\":\"error\","),
        ] {
            let (answer, connections, drain) = asked(false, path, field).await;
            assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
            assert!(answer.contains("x-request-id: mine\r\n"), "{answer}");
            assert!(answer.contains(shape) && answer.contains("internal_error"), "{answer}");
            assert!(!answer.contains("a mistake"), "{answer}");
            assert_eq!(connections.requests.site.panics.load(Ordering::Relaxed), 1);
            assert_eq!(drain.open(), 0, "the request is still counted");
        }
    }

    #[tokio::test]
    async fn l10_the_apology_names_a_request_that_had_no_id() {
        for field in ["", "x-request-id: not/ours\r\n"] {
            let (answer, ..) = asked(false, "/v1/responses", field).await;
            assert!(answer.contains("x-request-id: req-"), "{answer}");
        }
    }

    #[tokio::test]
    async fn l10_an_answer_that_has_begun_is_cut() {
        let (answer, connections, _) = asked(true, "/v1/chat/completions", "").await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("half an ans"), "{answer}");
        assert!(!answer.ends_with("0\r\n\r\n") && !answer.contains("500"), "{answer}");
        assert_eq!(connections.requests.site.panics.load(Ordering::Relaxed), 1);
    }
}
