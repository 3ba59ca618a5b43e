//! Ending without losing anything: which requests are open, and whether the process is on its way out.
//!
//! Pingora's own graceful end waits a fixed time and then cuts (measured: `reliability`, P10 to P12). So the open
//! requests are counted here. On SIGTERM or SIGINT the listeners close at once, the process ends as soon as the count
//! is zero, and what is still open when `drain` has passed is told so in its own dialect and then cut. A connection that
//! was accepted just before is given a moment to say what it came for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

/// How long requests that were told to end may take to say so to their callers.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The open requests of the process and where it stands on its way out.
pub struct Drain {
    open: AtomicUsize,
    connections: AtomicUsize,
    arriving: AtomicUsize,
    emptied: Notify,
    draining: AtomicBool,
    cut: watch::Sender<bool>,
}

impl Drain {
    /// No request open, not draining.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            arriving: AtomicUsize::new(0),
            emptied: Notify::new(),
            draining: AtomicBool::new(false),
            cut: watch::Sender::new(false),
        })
    }

    /// Counts a connection until the guard is dropped.
    pub fn connect(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Ordering::SeqCst);
        Connected(Arc::clone(self))
    }

    /// The number of connections that are served, idle ones among them.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Counts a connection as new until the guard is dropped, at its first request or at its end.
    pub fn arrive(self: &Arc<Self>) -> Arrival {
        self.arriving.fetch_add(1, Ordering::SeqCst);
        Arrival(Arc::clone(self))
    }

    /// Counts a request as open until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> OpenRequest {
        self.open.fetch_add(1, Ordering::SeqCst);
        OpenRequest(Arc::clone(self))
    }

    /// Whether the process is on its way out.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// From now on the process is not ready, and connections close after the request that they carry.
    pub fn begin(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// The number of requests open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// What turns true when open requests have to end.
    pub fn cut(&self) -> watch::Receiver<bool> {
        self.cut.subscribe()
    }

    /// Waits until every connection has said what it came for, at most `patience`.
    pub async fn heard(&self, patience: Duration) {
        let _ = timeout(patience, self.until(|| self.arriving.load(Ordering::SeqCst) == 0)).await;
    }

    /// Waits until no request is open, at most `limit`; then tells the rest to end and gives them a moment for it.
    pub async fn wait(&self, limit: Duration) {
        if timeout(limit, self.empty()).await.is_err() {
            self.cut.send_replace(true);
            let _ = timeout(LAST_WORDS, self.empty()).await;
        }
    }

    async fn empty(&self) {
        self.until(|| self.open() == 0).await;
    }

    async fn until(&self, reached: impl Fn() -> bool) {
        loop {
            let emptied = self.emptied.notified();
            if reached() {
                return;
            }
            emptied.await;
        }
    }
}

/// One connection that is served.
pub struct Connected(Arc<Drain>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One connection that has not sent a request.
pub struct Arrival(Arc<Drain>);

impl Drop for Arrival {
    fn drop(&mut self) {
        if self.0.arriving.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.emptied.notify_waiters();
        }
    }
}

/// One open request.
pub struct OpenRequest(Arc<Drain>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn waits_for_the_last_request_and_no_longer() {
        let drain = Drain::new();
        let first = drain.enter();
        let second = drain.enter();
        let mut waiting = Box::pin(drain.wait(Duration::from_mins(1)));
        drop(first);
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(second);
        waiting.await;
        assert!(!*drain.cut().borrow());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_accepted_may_say_what_it_came_for() {
        let drain = Drain::new();
        let arrival = drain.arrive();
        let mut waiting = Box::pin(drain.heard(Duration::from_mins(1)));
        assert!(waiting.as_mut().now_or_never().is_none());
        let _request = drain.enter();
        drop(arrival);
        assert!(waiting.as_mut().now_or_never().is_some());
        // One that never says anything is waited for no longer than that.
        let _silent = drain.arrive();
        drain.heard(Duration::from_mins(1)).await;
        assert!(!*drain.cut().borrow());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_outlast_the_limit_are_told_to_end() {
        let drain = Drain::new();
        let _open = drain.enter();
        drain.wait(Duration::from_secs(30)).await;
        assert!(*drain.cut().borrow());
    }
}
