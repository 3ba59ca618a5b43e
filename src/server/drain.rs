//! Ending without losing anything: which requests are open, whether the process is on its way out, and the signals.
//!
//! Pingora's own graceful end waits a fixed time and then cuts (measured: `reliability`, P10 to P12). So the open
//! requests are counted here. On SIGTERM or SIGINT the listeners close at once, the process ends as soon as the count
//! is zero, and what is still open when `drain` has passed is told so in its own dialect and then cut.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::timeout,
};

/// How long requests that were told to end may take to say so to their callers.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The open requests of the process and where it stands on its way out.
pub struct Drain {
    open: AtomicUsize,
    emptied: Notify,
    draining: AtomicBool,
    cut: watch::Sender<bool>,
}

impl Drain {
    /// No request open, not draining.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            emptied: Notify::new(),
            draining: AtomicBool::new(false),
            cut: watch::Sender::new(false),
        })
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

    /// Waits until no request is open, at most `limit`; then tells the rest to end and gives them a moment for it.
    pub async fn wait(&self, limit: Duration) {
        if timeout(limit, self.empty()).await.is_err() {
            self.cut.send_replace(true);
            let _ = timeout(LAST_WORDS, self.empty()).await;
        }
    }

    async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.open() == 0 {
                return;
            }
            emptied.await;
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

/// Tells Pingora's server when and how to stop, as the signal loop decides.
pub struct StopOrder(Mutex<Option<oneshot::Receiver<ShutdownSignal>>>);

impl StopOrder {
    /// A way to give the order, and what waits for it.
    pub fn new() -> (oneshot::Sender<ShutdownSignal>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(Mutex::new(Some(receiver))))
    }
}

#[async_trait]
impl ShutdownSignalWatch for StopOrder {
    async fn recv(&self) -> ShutdownSignal {
        let receiver = self.0.lock().take();
        match receiver {
            Some(receiver) => receiver.await.unwrap_or(ShutdownSignal::FastShutdown),
            None => std::future::pending().await,
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
    async fn requests_that_outlast_the_limit_are_told_to_end() {
        let drain = Drain::new();
        let _open = drain.enter();
        drain.wait(Duration::from_secs(30)).await;
        assert!(*drain.cut().borrow());
    }
}
