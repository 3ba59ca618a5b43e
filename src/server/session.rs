//! Pingora's session as the engine's [`Exchange`].

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    uri::Authority,
};
use pingora::{
    http::{RequestHeader, ResponseHeader},
    protocols::http::ServerSession,
};
use tokio::sync::watch;

use crate::{
    bounded::memory::{Memory, Room},
    engine::exchange::{BodyFault, BodyLimits, Exchange, Gone, Head, Interrupt},
    server::{body, caller::Caller},
};

/// How long a part of an answer may wait for a caller that does not read.
const WRITE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long what is left of a body is read after an answer that came early.
const DISCARD: Duration = Duration::from_secs(1);

/// One request on a listener of ours.
pub struct Session {
    inner: ServerSession,
    room: Room,
    cut: watch::Receiver<bool>,
    state: State,
    /// Whether the body was not framed as HTTP demands: what follows it on the connection is nobody's request.
    unframed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Started,
    Finished,
}

impl Session {
    /// Wraps a session whose head was read and found well framed.
    pub fn new(
        mut inner: ServerSession,
        memory: &Arc<Memory>,
        memory_limit: u64,
        cut: watch::Receiver<bool>,
    ) -> Self {
        inner.set_write_timeout(Some(WRITE_TIMEOUT));
        if inner.req_header().version == Version::HTTP_10 {
            inner.set_keepalive(None);
        }
        let room = Room::of(memory, memory_limit);
        Self { inner, room, cut, state: State::Waiting, unframed: false }
    }

    /// The query of the request's target, without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.inner.req_header().uri.query()
    }

    /// The name and port in the request's target, where it holds any.
    pub fn authority(&self) -> Option<&str> {
        self.inner.req_header().uri.authority().map(Authority::as_str)
    }

    /// The connection closes after this answer.
    pub fn close_after(&mut self) {
        self.inner.set_keepalive(None);
    }

    /// The session itself where its answer is complete; `None` where the connection has to be cut.
    pub async fn into_finished(mut self) -> Option<ServerSession> {
        if self.state != State::Finished {
            return None;
        }
        if self.unframed {
            self.inner.shutdown().await;
            return None;
        }
        if !self.inner.is_http2() && !self.inner.is_body_done() {
            body::discard(&mut self.inner, DISCARD).await;
        }
        Some(self.inner)
    }
}

impl Exchange for Session {
    fn head(&self) -> Head<'_> {
        head_of(self.inner.req_header())
    }

    async fn body(&mut self, limits: BodyLimits) -> Result<Bytes, BodyFault> {
        let body = tokio::select! {
            body = body::read(&mut self.inner, &self.room, limits) => body,
            () = told_to_end(&mut self.cut) => {
                Err(BodyFault::Interrupted(Interrupt::ShuttingDown))
            }
        };
        self.unframed = body == Err(BodyFault::Broken);
        body
    }

    fn room(&self) -> Room {
        self.room.clone()
    }

    async fn interrupted(&mut self) -> Interrupt {
        tokio::select! {
            () = hung_up(&mut self.inner) => Interrupt::CallerGone,
            () = told_to_end(&mut self.cut) => Interrupt::ShuttingDown,
        }
    }

    async fn start(
        &mut self,
        status: StatusCode,
        headers: HeaderMap,
        length: Option<usize>,
    ) -> Result<(), Gone> {
        if self.unframed || (!self.inner.is_http2() && !self.inner.is_body_done()) {
            // The rest of the body would be read as the next request.
            self.inner.set_keepalive(None);
        }
        let mut head = ResponseHeader::build(status, Some(headers.len().saturating_add(4)))
            .map_err(|_| Gone)?;
        for (name, value) in &headers {
            head.append_header(name, value).map_err(|_| Gone)?;
        }
        match length {
            // These have no body, so that there is nothing to say of it.
            _ if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => {}
            Some(length) => head.insert_header(CONTENT_LENGTH, length).map_err(|_| Gone)?,
            None if self.inner.req_header().version == Version::HTTP_11 => {
                head.insert_header(TRANSFER_ENCODING, "chunked").map_err(|_| Gone)?;
            }
            None => {}
        }
        self.state = State::Started;
        self.inner.write_response_header(Box::new(head)).await.map_err(|_| Gone)
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Gone> {
        self.inner.write_response_body(bytes, false).await.map_err(|_| Gone)
    }

    async fn finish(&mut self) -> Result<(), Gone> {
        self.inner.write_response_body(Bytes::new(), true).await.map_err(|_| Gone)?;
        self.state = State::Finished;
        Ok(())
    }

    fn started(&self) -> bool {
        self.state != State::Waiting
    }
}

/// The head of a request, as the engine takes it.
pub fn head_of(head: &RequestHeader) -> Head<'_> {
    Head { method: &head.method, path: head.uri.path(), headers: &head.headers }
}

/// A caller that closes its sending half counts as one that has hung up: with HTTP/1 the two look the same.
async fn hung_up(session: &mut ServerSession) {
    if let Some(caller) = session.stream().and_then(Caller::behind) {
        return caller.gone().await;
    }
    if session.read_body_or_idle(true).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

async fn told_to_end(cut: &mut watch::Receiver<bool>) {
    if cut.wait_for(|cut| *cut).await.is_err() {
        std::future::pending::<()>().await;
    }
}
