//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! There is no task behind a connection: the future that waits for an answer, and later the body that is read, poll
//! the connection themselves. That saves two task switches for each piece of an answer, and makes cancellation exact:
//! whoever drops the future or the body drops the socket with it. Between two requests nobody polls; that the peer
//! closed, or sent bytes that nobody asked for, is found when the connection is taken again or swept.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::{Body as _, Frame, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::upstream::{
    Cause, Lost, MAX_HEAD, MAX_HEAD_FIELDS, SendFault, Sent,
    connect::{Stream, describe},
};

/// How much of an answer is buffered on its way from the socket to the reader.
const BUFFER: usize = 64 << 10;

type Driver = http1::Connection<TokioIo<Counted<Stream>>, Full<Bytes>>;

/// A connection on which one request at a time can be made.
pub(super) struct Connection {
    driver: Box<Driver>,
    sender: SendRequest<Full<Bytes>>,
    tally: Arc<Tally>,
    relay: Arc<Relay>,
    waker: Waker,
    done: bool,
    used: bool,
}

impl Connection {
    /// Speaks HTTP/1.1 over `stream`.
    pub(super) async fn new(stream: Stream) -> Result<Self, SendFault> {
        let tally = Arc::new(Tally::default());
        let counted = Counted { inner: TokioIo::new(stream), tally: Arc::clone(&tally) };
        let (sender, driver) = http1::Builder::new()
            .max_headers(MAX_HEAD_FIELDS)
            .max_buf_size(BUFFER)
            .max_header_size(MAX_HEAD)
            .handshake(TokioIo::new(counted))
            .await
            .map_err(|error| SendFault::new(Cause::Connect, describe(&error)))?;
        let relay = Arc::new(Relay::default());
        let waker = Waker::from(Arc::clone(&relay));
        Ok(Self { driver: Box::new(driver), sender, tally, relay, waker, done: false, used: false })
    }

    /// Sends a request and waits for the head of its answer. Dropping the future closes the connection.
    pub(super) async fn send(
        mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Self), Lost> {
        let (begun, before) = (Instant::now(), self.tally.read());
        let length = request.body().size_hint().lower();
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let outcome =
            std::future::poll_fn(|cx| self.drive(cx, |inner| answer.as_mut().poll(inner))).await;
        let error = match outcome {
            Some(Ok(response)) => {
                self.used = true;
                return Ok((response, self));
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        let after = self.tally.read();
        let written = after.written.saturating_sub(before.written);
        let unsent = written == 0 || error.as_ref().is_some_and(|error| error.message().is_some());
        let sent = match (unsent, written > length) {
            (true, _) => Sent::Nothing,
            (false, false) => Sent::Part,
            // There is a head before the body, so more than the body's length is needed for the whole.
            (false, true) => Sent::Whole,
        };
        Err(Lost {
            fault: error.map_or_else(closed, |error| fault(&error.into_error())),
            reused: self.used,
            sent,
            silent: after.read == before.read,
            after: begun.elapsed(),
        })
    }

    /// The next piece of an answer's body.
    pub(super) fn poll_body(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendFault>>> {
        self.drive(cx, |inner| Pin::new(&mut *body).poll_frame(inner)).map(
            |outcome| match outcome {
                Some(Some(Ok(frame))) => Some(Ok(frame)),
                Some(Some(Err(error))) => Some(Err(fault(&error))),
                Some(None) => None,
                None => Some(Err(closed())),
            },
        )
    }

    /// Whether another request may follow; asked when an answer is complete, and of a connection that rests.
    pub(super) fn is_reusable(&mut self) -> bool {
        // Nobody waits for this connection, so nobody needs to be woken for it.
        let mut cx = Context::from_waker(Waker::noop());
        self.done = self.done || Pin::new(&mut *self.driver).poll(&mut cx).is_ready();
        !self.done && self.sender.is_ready()
    }

    /// Lets the connection work until `wanted` is ready, or only the network can help. `None`: it ended without.
    fn drive<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut wanted: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Option<T>> {
        self.relay.enter(cx.waker());
        let mut inner = Context::from_waker(&self.waker);
        loop {
            if let Poll::Ready(value) = wanted(&mut inner) {
                self.relay.leave();
                return Poll::Ready(Some(value));
            }
            if self.done {
                self.relay.leave();
                return Poll::Ready(None);
            }
            self.done = Pin::new(&mut *self.driver).poll(&mut inner).is_ready();
            if !self.done && self.relay.settle() {
                return Poll::Pending;
            }
        }
    }
}

fn closed() -> SendFault {
    SendFault::new(Cause::Reset, "connection closed".to_owned())
}

fn fault(error: &hyper::Error) -> SendFault {
    let cause = if error.is_parse() { Cause::Protocol } else { Cause::Reset };
    SendFault::new(cause, describe(error))
}

/// Wakes whoever drives a connection, but not for what the connection tells itself while it is being driven.
///
/// hyper's two halves of a connection talk through channels, as if they ran in different tasks. Here they run in one,
/// so each such wake-up would schedule the whole request once more for nothing.
#[derive(Default)]
struct Relay {
    outer: AtomicWaker,
    inside: AtomicBool,
    again: AtomicBool,
}

impl Relay {
    fn enter(&self, waker: &Waker) {
        self.outer.register(waker);
        self.again.store(false, Ordering::SeqCst);
        self.inside.store(true, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.inside.store(false, Ordering::SeqCst);
        drop(self.outer.take());
    }

    /// Whether nothing happened since the last look; from then on a wake-up goes to the task again.
    ///
    /// `inside` is cleared before `again` is read, and a wake-up sets `again` before it reads `inside`: one of the two
    /// sees the other, so none is lost.
    fn settle(&self) -> bool {
        self.inside.store(false, Ordering::SeqCst);
        if self.again.swap(false, Ordering::SeqCst) {
            self.inside.store(true, Ordering::SeqCst);
            return false;
        }
        true
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.again.store(true, Ordering::SeqCst);
        if !self.inside.load(Ordering::SeqCst) {
            self.outer.wake();
        }
    }
}

/// Bytes that passed in each direction, below HTTP and above TLS.
#[derive(Default)]
struct Tally {
    read: AtomicU64,
    written: AtomicU64,
}

struct Reading {
    read: u64,
    written: u64,
}

impl Tally {
    fn read(&self) -> Reading {
        Reading {
            read: self.read.load(Ordering::Relaxed),
            written: self.written.load(Ordering::Relaxed),
        }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &result {
            self.written.fetch_add(u64::try_from(*count).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        result
    }
}

/// A stream that keeps a tally: whether a byte of an answer came decides if a request may be repeated.
struct Counted<S> {
    inner: TokioIo<S>,
    tally: Arc<Tally>,
}

impl<S: hyper::rt::Read + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let count = buffer.filled().len().saturating_sub(before);
        self.tally.read.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        result
    }
}

impl<S: hyper::rt::Write + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.tally.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.tally.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
