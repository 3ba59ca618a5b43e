//! What this process has done since it started, in sums of fixed size, and its last requests: what the dashboard shows.
//!
//! It is fed by the engine's ledger alone, once when a request is decided and once when it is settled, so that every
//! way a request ends is counted once. Dry runs are listed but not summed. Beyond [`MODELS`] models and [`TASKS`] tasks
//! (catalogs change, their names add up) the rest is summed as [`OTHER`]; a model keeps its last [`SAMPLES`] times to
//! first content, and the series [`POINTS`] steps with at most [`LINES`] models of [`POINT_SAMPLES`] times each. All
//! of it together stays below 1 MiB.

mod series;
mod sums;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use parking_lot::Mutex;

pub use series::{LINES, POINT_SAMPLES, POINTS, Point, STEP, Series};
pub use sums::{Class, MODELS, ModelSum, OTHER, SAMPLES, Samples, Sums, TASKS, TaskSum};

use crate::{
    catalog::model::Target,
    dialect::ir::answer::Usage,
    money::Usd,
    prices::Bill,
    telemetry::{
        clock,
        recent::{Recent, Record},
    },
};

/// The sums and the last requests of one process.
pub struct Board {
    started: (Instant, Timestamp),
    last_seq: AtomicU64,
    recent: Mutex<Recent>,
    sums: Mutex<Sums>,
}

/// One request that is over, beside its record.
pub struct Settled<'a> {
    /// Who began to answer; absent where nobody did.
    pub answered_by: Option<&'a Target>,
    /// Whether that is a model that the router only falls back on.
    pub fallback: bool,
    /// Who answered, what each used, and what that cost where it is known.
    pub parts: &'a [Part<'a>],
    /// What the same tokens would have cost at the dearest model of the plan, where prices are known.
    pub dearest: Option<Usd>,
}

/// What one target had to do with an answer.
pub struct Part<'a> {
    /// Who.
    pub target: &'a Target,
    /// What it used.
    pub usage: Usage,
    /// What that cost; absent where its price is not known.
    pub bill: Option<Bill>,
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    /// Nothing done yet.
    pub fn new() -> Self {
        Self {
            started: (clock::now(), clock::wall()),
            last_seq: AtomicU64::new(0),
            recent: Mutex::default(),
            sums: Mutex::default(),
        }
    }

    /// When the process started, and how long ago that was.
    pub fn started(&self) -> (Timestamp, Duration) {
        let (instant, wall) = self.started;
        (wall, clock::now().saturating_duration_since(instant))
    }

    /// A number for a request.
    pub fn next_seq(&self) -> u64 {
        self.last_seq.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// A request was decided.
    pub fn decided(&self, record: Record) {
        let _taken_apart_unlocked = self.recent.lock().push(record);
    }

    /// A request is over.
    pub fn settled(&self, record: Record, settled: &Settled<'_>) {
        if !record.dry_run {
            self.sums.lock().add(&record, settled, clock::wall());
        }
        let _taken_apart_unlocked = self.recent.lock().push(record);
    }

    /// The sums as they are now.
    pub fn sums(&self) -> Sums {
        self.sums.lock().clone()
    }

    /// The requests that changed last, the newest change first, each as it is now.
    pub fn latest(&self, most: usize) -> Vec<Record> {
        self.recent.lock().latest(most)
    }

    /// The newest request of this id, as far as it is kept.
    pub fn find(&self, id: &str) -> Option<Record> {
        self.recent.lock().find(id)
    }

    /// The number of the newest change.
    pub fn newest(&self) -> u64 {
        self.recent.lock().newest()
    }

    /// At most `most` of the changes after the one numbered `after`, oldest first, and the number of the last of them.
    pub fn since(&self, after: u64, most: usize) -> (Vec<Record>, u64) {
        self.recent.lock().since(after, most)
    }
}
