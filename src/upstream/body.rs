//! The body of an answer, as it comes in: bounded, and cancelled by being dropped.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::Instant;

use crate::{
    bounded::memory::{NoRoom, Room},
    upstream::{Cause, SendFault, connect::describe, http1, http2, pool::Pool},
};

/// The longest answer that is read whole.
pub const MAX_ANSWER: usize = 64 << 20;
/// What is set aside at once for an answer that announces its length.
const FIRST_RESERVE: usize = 1 << 20;
/// How many pieces that have already arrived a dropped body may skip to reach an end that has arrived too.
const LAST_PIECES: usize = 4;

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyFault {
    /// The connection broke, or the answer is not as long as it said.
    #[error("{0}")]
    Broken(String),
    /// The answer is longer than it may be.
    #[error("answer longer than {0} bytes")]
    TooLarge(usize),
    /// The answer was not complete in time.
    #[error("answer not complete in time")]
    Late,
    /// The process holds as many bytes as it may.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The answer is compressed, though we asked for it as it is.
    #[error("answer is compressed")]
    Encoded,
}

/// An answer's body. Dropping it before its end cancels the request: the connection is closed (with HTTP/2, the
/// stream is reset), never drained.
pub struct Body {
    source: Source,
}

enum Source {
    Http1(Box<Http1Source>),
    Http2 { incoming: Incoming, _place: http2::Place },
    Encoded,
    Ended,
}

struct Http1Source {
    incoming: Incoming,
    connection: http1::Connection,
    pool: Arc<Pool>,
}

impl Body {
    pub(super) fn http1(
        incoming: Incoming,
        connection: http1::Connection,
        pool: Arc<Pool>,
    ) -> Self {
        Self { source: Source::Http1(Box::new(Http1Source { incoming, connection, pool })) }
    }

    pub(super) fn http2(incoming: Incoming, place: http2::Place) -> Self {
        Self { source: Source::Http2 { incoming, _place: place } }
    }

    /// A body that cannot be read, because it is compressed.
    pub(super) fn encoded() -> Self {
        Self { source: Source::Encoded }
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyFault>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next piece; `Ready(None)` at the end. Trailers are left out.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        loop {
            let polled = match &mut self.source {
                Source::Http1(source) => {
                    let Http1Source { incoming, connection, .. } = &mut **source;
                    connection.poll_body(incoming, cx)
                }
                Source::Http2 { incoming, .. } => Pin::new(incoming)
                    .poll_frame(cx)
                    .map_err(|error| SendFault::new(Cause::Reset, describe(&error))),
                Source::Encoded => {
                    self.source = Source::Ended;
                    return Poll::Ready(Some(Err(BodyFault::Encoded)));
                }
                Source::Ended => return Poll::Ready(None),
            };
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(fault))) => {
                    self.source = Source::Ended;
                    return Poll::Ready(Some(Err(BodyFault::Broken(fault.text))));
                }
                Poll::Ready(None) => {
                    self.finish();
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// Reads the whole body, as long as it is no longer than `limit` bytes and complete by `deadline`.
    pub async fn whole(self, limit: usize, deadline: Instant) -> Result<Bytes, BodyFault> {
        self.whole_in(&Room::unlimited(), limit, deadline).await
    }

    /// Reads the whole body as [`Body::whole`] does, as long as `room` has room for it.
    pub async fn whole_in(
        self,
        room: &Room,
        limit: usize,
        deadline: Instant,
    ) -> Result<Bytes, BodyFault> {
        tokio::time::timeout_at(deadline, self.collect_whole(room, limit))
            .await
            .unwrap_or(Err(BodyFault::Late))
    }

    async fn collect_whole(mut self, room: &Room, limit: usize) -> Result<Bytes, BodyFault> {
        let announced = usize::try_from(self.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(BodyFault::TooLarge(limit));
        }
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await.transpose()? else { return bounded(first, limit) };
        let mut whole = BytesMut::with_capacity(announced.min(FIRST_RESERVE));
        whole.extend_from_slice(&first);
        let mut piece = second;
        loop {
            let length = whole.len().saturating_add(piece.len());
            if length > limit {
                return Err(BodyFault::TooLarge(limit));
            }
            room.for_answer(length)?;
            whole.extend_from_slice(&piece);
            match self.next().await.transpose()? {
                Some(next) => piece = next,
                None => return Ok(whole.freeze()),
            }
        }
    }

    /// The connection is free for the next request.
    fn finish(&mut self) {
        if let Source::Http1(source) = std::mem::replace(&mut self.source, Source::Ended) {
            source.pool.put(source.connection);
        }
    }
}

fn bounded(bytes: Bytes, limit: usize) -> Result<Bytes, BodyFault> {
    if bytes.len() > limit { Err(BodyFault::TooLarge(limit)) } else { Ok(bytes) }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        self.poll_next(cx).map_ok(Frame::data)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Http1(source) => source.incoming.size_hint(),
            Source::Http2 { incoming, .. } => incoming.size_hint(),
            Source::Encoded | Source::Ended => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Body {
    /// A reader that stops at the last event of a stream leaves the end of the body unread. Where that end has arrived
    /// already, the connection is kept; nothing is waited for.
    fn drop(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..LAST_PIECES {
            match self.poll_next(&mut cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => return,
            }
        }
    }
}
