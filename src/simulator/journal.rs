//! What was asked of a simulated provider: counters, and the last requests as they came.
//!
//! Bounded: the last 32 requests, without bodies over 1 MiB. Keeping one costs no copy.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::request::Parts;
use parking_lot::Mutex;
use serde::Serialize;

const KEPT: usize = 32;
const KEPT_BODY: usize = 1 << 20;

/// What was asked of a provider so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Requests read whole, scrapes of this report not counted.
    pub requests: u64,
    /// Those whose caller left before the answer was handed over.
    pub cancelled: u64,
    /// Those that are being answered.
    pub open: u64,
    /// The last requests, oldest first.
    pub last: Vec<Seen>,
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case with their values, in order; a value that is not text is shown escaped.
    pub headers: Vec<(String, String)>,
    /// Its body; bytes that are not text are replaced.
    pub body: String,
}

/// The journal of one provider.
#[derive(Default)]
pub(super) struct Journal {
    requests: AtomicU64,
    cancelled: AtomicU64,
    open: AtomicU64,
    last: Mutex<VecDeque<(Parts, Bytes)>>,
}

impl Journal {
    /// Enters a request; the number is its ordinal, from 1.
    pub(super) fn enter(&self, parts: Parts, body: &Bytes) -> u64 {
        let body = if body.len() > KEPT_BODY { Bytes::new() } else { body.clone() };
        let mut last = self.last.lock();
        if last.len() >= KEPT {
            last.pop_front();
        }
        last.push_back((parts, body));
        self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Counts a request whose answer began to be made.
    pub(super) fn open(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a request that was open.
    pub(super) fn close(&self, delivered: bool) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        if !delivered {
            self.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was asked so far.
    pub(super) fn report(&self) -> Report {
        Report {
            requests: self.requests.load(Ordering::Relaxed),
            cancelled: self.cancelled.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
            last: self.last.lock().iter().map(|(parts, body)| seen(parts, body)).collect(),
        }
    }
}

fn seen(parts: &Parts, body: &Bytes) -> Seen {
    Seen {
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().escape_ascii().to_string()))
            .collect(),
        body: text(body),
    }
}

/// The body as text, for people and tests to read.
fn text(body: &[u8]) -> String {
    body.utf8_chunks().fold(String::new(), |mut text, chunk| {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_keeps_the_last_requests_only() {
        let journal = Journal::default();
        for number in 0..100 {
            let (parts, ()) =
                http::Request::get(format!("/v1/models?{number}")).body(()).unwrap().into_parts();
            journal.enter(parts, &Bytes::from_static(b"a\xffb"));
        }
        let report = journal.report();
        assert_eq!(report.requests, 100);
        assert_eq!(report.last.len(), KEPT);
        assert_eq!(report.last.last().unwrap().target, "/v1/models?99");
        assert_eq!(report.last.last().unwrap().body, "a\u{fffd}b");
    }
}
