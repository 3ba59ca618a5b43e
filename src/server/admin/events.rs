//! Live events: figures, requests and catalogs as they change, for as long as somebody listens.
//!
//! A stream looks at the board in short ticks; the requests themselves wake nobody, so that whoever serves callers
//! pays nothing for whoever watches. What a slow reader misses is left out, never kept for it. An event's id is the
//! number of the change that it tells of, and a reader that comes back with the last one it saw (`Last-Event-ID`) is
//! told what it missed, as far as that is kept.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use serde::Serialize;
use tokio::time::{Instant, interval};

use crate::{
    engine::{Engine, exchange::Exchange as _},
    http::header,
    server::{
        admin::{overview, requests::Shown},
        drain::Drain,
        session::Session,
    },
};

/// The most streams at once.
const STREAMS: usize = 32;

/// How often the board is looked at.
const TICK: Duration = Duration::from_millis(100);

/// How often the figures are told while they change, and while they do not.
const FIGURES: Duration = Duration::from_secs(2);
const FIGURES_AT_REST: Duration = Duration::from_secs(15);

/// How often a comment says that the stream is alive.
const PING: Duration = Duration::from_secs(15);

/// The most requests of one tick.
const BATCH: usize = 200;

/// The streams that are open.
#[derive(Default)]
pub struct Streams(Arc<AtomicUsize>);

/// One open stream.
pub struct OpenStream(Arc<AtomicUsize>);

#[derive(Serialize)]
struct CatalogChanged {
    generation: u64,
}

/// What one stream has told so far.
struct Teller<'a> {
    engine: &'a Engine,
    compare: Option<&'a str>,
    /// The last change that was told.
    cursor: u64,
    generation: u64,
    /// The change up to which the figures were told, and when.
    figures: Option<(u64, Instant)>,
    pinged: Instant,
}

impl Streams {
    /// Room for one more, if there is any.
    pub fn enter(&self) -> Option<OpenStream> {
        let open = OpenStream(Arc::clone(&self.0));
        (self.0.fetch_add(1, Ordering::Relaxed) < STREAMS).then_some(open)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells `session` what changes until it leaves or the process drains.
pub async fn follow(
    session: &mut Session,
    engine: &Engine,
    drain: &Drain,
    compare: Option<&str>,
    _open: OpenStream,
) {
    let mut teller = Teller::new(engine, compare, last_seen(session.head().headers));
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::ACCEL_BUFFERING, HeaderValue::from_static("no"));
    if session.start(StatusCode::OK, headers, None).await.is_err() {
        return;
    }
    let mut ticks = interval(TICK);
    loop {
        let draining = drain.is_draining();
        let news = teller.news(draining);
        if !news.is_empty() && session.write(news).await.is_err() {
            return;
        }
        if draining {
            let _ = session.finish().await;
            return;
        }
        tokio::select! {
            _ = session.interrupted() => return,
            _ = ticks.tick() => {}
        }
    }
}

/// The id of the last event that the reader saw before it came back.
fn last_seen(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

impl<'a> Teller<'a> {
    fn new(engine: &'a Engine, compare: Option<&'a str>, seen: Option<u64>) -> Self {
        let newest = engine.board.newest();
        // A number that was never given is another process's.
        let cursor = seen.filter(|seen| *seen <= newest).unwrap_or(newest);
        let generation = engine.world().catalog.generation;
        Self { engine, compare, cursor, generation, figures: None, pinged: Instant::now() }
    }

    /// What there is to tell now.
    fn news(&mut self, draining: bool) -> Bytes {
        let mut text = BytesMut::new();
        let (records, cursor) = self.engine.board.since(self.cursor, BATCH);
        let first = cursor.saturating_sub(records.len() as u64);
        for (record, id) in records.iter().zip(first.saturating_add(1)..) {
            event(&mut text, "request", id, &Shown::of(record));
        }
        self.cursor = cursor;
        let generation = self.engine.world().catalog.generation;
        if generation != self.generation {
            self.generation = generation;
            event(&mut text, "catalog", cursor, &CatalogChanged { generation });
        }
        let now = Instant::now();
        if self.wants_figures(now) || draining {
            self.figures = Some((cursor, now));
            let figures = overview::of(self.engine, draining, self.compare);
            event(&mut text, "overview", cursor, &figures);
        }
        if now.duration_since(self.pinged) >= PING {
            self.pinged = now;
            text.extend_from_slice(b": alive\n\n");
        }
        text.freeze()
    }

    fn wants_figures(&self, now: Instant) -> bool {
        self.figures.is_none_or(|(told, at)| {
            let changed = told != self.cursor;
            now.duration_since(at) >= if changed { FIGURES } else { FIGURES_AT_REST }
        })
    }
}

fn event(text: &mut BytesMut, name: &str, id: u64, value: &impl Serialize) {
    // JSON as serde writes it has no line break, so it is one data line.
    if let Ok(data) = serde_json::to_string(value) {
        text.extend_from_slice(format!("event: {name}\nid: {id}\ndata: {data}\n\n").as_bytes());
    }
}
