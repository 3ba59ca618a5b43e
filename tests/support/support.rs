//! The black-box harness: the real program, a scripted upstream and a raw client, on threads of the standard library.
//!
//! Nothing here sleeps to be in step with the program: every wait is for an event (bytes, a close, a log line, a
//! metric), with a deadline that is generous because it only ends tests that fail.

pub(crate) mod client;
pub(crate) mod http;
pub(crate) mod metrics;
pub(crate) mod program;
pub(crate) mod relay;
pub(crate) mod reply;
pub(crate) mod setup;
pub(crate) mod sse;
pub(crate) mod upstream;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

/// How long any one event is waited for: only a failure takes so long, and a machine may have a hundred times the work.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// A value that threads change and wait for.
#[derive(Default)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    /// Watches `value`.
    pub(crate) fn new(value: T) -> Arc<Self> {
        Arc::new(Self { value: Mutex::new(value), changed: Condvar::new() })
    }

    /// Changes the value and wakes whoever waits for it.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.value.lock());
        self.changed.notify_all();
        result
    }

    /// Looks at the value.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.lock())
    }

    /// Waits until `found` gives something, or until the deadline.
    pub(crate) fn wait<R>(&self, mut found: impl FnMut(&mut T) -> Option<R>) -> Option<R> {
        let until = Instant::now() + DEADLINE;
        let mut value = self.value.lock();
        loop {
            if let Some(result) = found(&mut value) {
                return Some(result);
            }
            if self.changed.wait_until(&mut value, until).timed_out() {
                return found(&mut value);
            }
        }
    }
}

/// Something that happens once: a script waits for it, a test opens it.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Watched<bool>>);

impl Gate {
    /// A gate that is shut.
    pub(crate) fn new() -> Self {
        Self(Watched::new(false))
    }

    /// Lets everyone through, now and later.
    pub(crate) fn open(&self) {
        self.0.change(|open| *open = true);
    }

    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        self.0.look(|open| *open)
    }
}

/// What was found; its absence fails the test where the caller stands.
#[track_caller]
pub(crate) fn must<T>(found: Option<T>, otherwise: impl FnOnce() -> String) -> T {
    let Some(found) = found else { panic!("{}", otherwise()) };
    found
}

/// The files of one corpus, by name.
pub(crate) fn corpus(kind: &str) -> Vec<PathBuf> {
    let folder = tests().join("corpus").join(kind);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 5, "the corpus {kind} is missing");
    files
}

/// The folder `tests` of the source; `POINTSMAN_TESTS` says another.
pub(crate) fn tests() -> PathBuf {
    let other = std::env::var_os("POINTSMAN_TESTS").map(PathBuf::from);
    other.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"))
}

/// Asks until `found` gives something: for what can only be asked for (a metric, a file), not waited on.
#[track_caller]
pub(crate) fn until<R>(what: &str, found: impl FnMut() -> Option<R>) -> R {
    let found = waited(found);
    assert!(found.is_some(), "never happened: {what}");
    found.unwrap()
}

/// Asks until `found` gives something, or until the deadline.
pub(crate) fn waited<R>(mut found: impl FnMut() -> Option<R>) -> Option<R> {
    let end = Instant::now() + DEADLINE;
    loop {
        let result = found();
        if result.is_some() || Instant::now() >= end {
            return result;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
}
