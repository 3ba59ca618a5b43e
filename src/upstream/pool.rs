//! The kept connections of one provider.
//!
//! At most [`MAX_KEPT`] HTTP/1.1 connections rest here, the last used on top, none for longer than [`KEEP`]; HTTP/2
//! connections stay as long as they are used. Whatever is taken was looked at first: a connection that its peer closed,
//! or on which bytes came that nobody asked for, is dropped, never used. The look costs no system call: what reached this
//! machine before the caller's request was reported to the runtime before it, too.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::rt::Executor as _;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    catalog::provider::Provider,
    upstream::{
        Cause, Lost, SendFault,
        body::Body,
        connect::{Connector, Fresh},
        http1, http2,
    },
};

/// The most HTTP/1.1 connections kept for one provider; one more pushes out the oldest.
const MAX_KEPT: usize = 128;
/// How long a connection may rest. Many servers close after 75 s (nginx) or less; closing first avoids the race.
const KEEP: Duration = Duration::from_mins(1);
/// How often the kept connections are looked through while there are any.
const SWEEP: Duration = Duration::from_secs(15);
/// Rounds of the sweep after which an HTTP/2 connection without a request is dropped.
const ROUNDS: u32 = 4;

/// The connections of one provider.
pub(super) struct Pool {
    connector: Connector,
    shelves: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    http1: VecDeque<Kept>,
    http2: Vec<http2::Connection>,
    swept: bool,
}

struct Kept {
    connection: http1::Connection,
    since: Instant,
}

/// A connection with room for one request.
pub(super) enum Connection {
    /// Ours alone until the answer is read.
    Http1(http1::Connection),
    /// Shared with other requests.
    Http2(http2::Connection, http2::Place),
}

impl Connection {
    /// The version that is spoken on it.
    pub(super) fn version(&self) -> Version {
        match self {
            Self::Http1(_) => Version::HTTP_11,
            Self::Http2(..) => Version::HTTP_2,
        }
    }

    /// Sends a request and waits for the head of its answer; the connection goes back to `pool` with the body's end.
    pub(super) async fn send(
        self,
        request: Request<Full<Bytes>>,
        pool: &Arc<Pool>,
    ) -> Result<Response<Body>, Lost> {
        match self {
            Self::Http1(connection) => {
                let (response, connection) = connection.send(request).await?;
                Ok(response.map(|incoming| Body::http1(incoming, connection, Arc::clone(pool))))
            }
            Self::Http2(mut connection, place) => {
                let response = connection.send(request).await?;
                Ok(response.map(|incoming| Body::http2(incoming, place)))
            }
        }
    }
}

impl Pool {
    /// A pool without connections.
    pub(super) fn new(provider: &Provider) -> Result<Self, SendFault> {
        Ok(Self { connector: Connector::new(provider)?, shelves: Mutex::default() })
    }

    /// Takes a kept connection that still looks alive.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut shelves = self.shelves.lock();
        if let Some((connection, place)) = shelves.shared() {
            return Some(Connection::Http2(connection, place));
        }
        while let Some(mut kept) = shelves.http1.pop_back() {
            if kept.since.elapsed() < KEEP && kept.connection.is_reusable() {
                return Some(Connection::Http1(kept.connection));
            }
        }
        None
    }

    /// Makes a connection within `limit`.
    pub(super) async fn connect(
        self: &Arc<Self>,
        limit: Duration,
    ) -> Result<Connection, SendFault> {
        match self.connector.connect(limit).await? {
            Fresh::Http1(connection) => Ok(Connection::Http1(connection)),
            Fresh::Http2(connection) => {
                let place = connection
                    .place()
                    .ok_or_else(|| SendFault::new(Cause::Connect, "closed at once".to_owned()))?;
                let mut shelves = self.shelves.lock();
                shelves.http2.push(connection.clone());
                self.sweep_later(&mut shelves);
                Ok(Connection::Http2(connection, place))
            }
        }
    }

    /// Keeps a connection whose last answer was read to its end, if another request may follow on it.
    pub(super) fn put(self: &Arc<Self>, mut connection: http1::Connection) {
        if !connection.is_reusable() {
            return;
        }
        let mut shelves = self.shelves.lock();
        shelves.http1.push_back(Kept { connection, since: Instant::now() });
        let pushed_out =
            if shelves.http1.len() > MAX_KEPT { shelves.http1.pop_front() } else { None };
        self.sweep_later(&mut shelves);
        drop(shelves);
        drop(pushed_out);
    }

    /// Whether no connection is kept.
    pub(super) fn is_empty(&self) -> bool {
        let shelves = self.shelves.lock();
        shelves.http1.is_empty() && shelves.http2.is_empty()
    }

    fn sweep_later(self: &Arc<Self>, shelves: &mut Shelves) {
        if shelves.swept {
            return;
        }
        shelves.swept = true;
        // Ends when nothing is kept any more; shutdown need not wait for it.
        TokioExecutor::new().execute(sweep(Arc::downgrade(self)));
    }
}

async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut shelves = pool.shelves.lock();
        shelves.sweep();
        if shelves.http1.is_empty() && shelves.http2.is_empty() {
            shelves.swept = false;
            return;
        }
    }
}

impl Shelves {
    /// A place on the first HTTP/2 connection that has one.
    fn shared(&mut self) -> Option<(http2::Connection, http2::Place)> {
        if self.http2.is_empty() {
            return None;
        }
        self.http2.retain(http2::Connection::is_alive);
        self.http2.iter().find_map(|shared| Some((shared.clone(), shared.place()?)))
    }

    /// Drops what rested too long or died.
    fn sweep(&mut self) {
        self.http1.retain_mut(|kept| kept.since.elapsed() < KEEP && kept.connection.is_reusable());
        self.http2.retain(|shared| shared.is_alive() && shared.rest() < ROUNDS);
    }
}
