//! One HTTP/2 connection, shared by many requests; a task of its own carries their frames.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
    rt::Executor as _,
};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use crate::upstream::{Cause, Lost, MAX_HEAD, SendFault, Sent, connect::describe};

/// The most requests at once on one connection; RFC 9113 advises peers to allow no fewer.
const MAX_STREAMS: usize = 100;
/// What a peer may send ahead of a slow reader, for each answer.
const STREAM_WINDOW: u32 = 64 << 10;
/// Room for `MAX_STREAMS` slow readers, so that they never hold up the others.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// A connection with open requests is asked for a sign of life this often, and has so long to give it.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);

/// A connection on which many requests can be made at once.
#[derive(Clone)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    open: AtomicUsize,
    answered: AtomicBool,
    rounds_at_rest: AtomicU32,
}

/// The place of one request on a connection, given back when it is dropped.
pub(super) struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Speaks HTTP/2 over `stream`.
    pub(super) async fn new<S>(stream: S) -> Result<Self, SendFault>
    where
        S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    {
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .handshake(stream)
            .await
            .map_err(|error| SendFault::new(Cause::Connect, describe(&error)))?;
        // Ends by itself when the last sender is dropped; shutdown need not wait for it.
        TokioExecutor::new().execute(async move {
            let _ = driver.await;
        });
        Ok(Self { sender, shared: Arc::default() })
    }

    /// Takes a place on the connection, if it is alive and has one left.
    pub(super) fn place(&self) -> Option<Place> {
        let open = &self.shared.open;
        if self.sender.is_closed() || open.load(Ordering::Relaxed) >= MAX_STREAMS {
            return None;
        }
        open.fetch_add(1, Ordering::Relaxed);
        self.shared.rounds_at_rest.store(0, Ordering::Relaxed);
        Some(Place(Arc::clone(&self.shared)))
    }

    /// Whether the connection has not ended.
    pub(super) fn is_alive(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Counts a round of the sweep; gives the number of rounds for which nothing was open.
    pub(super) fn rest(&self) -> u32 {
        if self.shared.open.load(Ordering::Relaxed) > 0 {
            self.shared.rounds_at_rest.store(0, Ordering::Relaxed);
            return 0;
        }
        self.shared.rounds_at_rest.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Sends a request and waits for the head of its answer. Dropping the future resets the stream alone.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Lost> {
        let begun = Instant::now();
        let reused = self.shared.answered.load(Ordering::Relaxed);
        match self.sender.try_send_request(request).await {
            Ok(response) => {
                self.shared.answered.store(true, Ordering::Relaxed);
                Ok(response)
            }
            Err(error) => {
                let sent = if error.message().is_some() { Sent::Nothing } else { Sent::Whole };
                Err(Lost {
                    fault: SendFault::new(Cause::Reset, describe(error.error())),
                    reused,
                    sent,
                    silent: true,
                    after: begun.elapsed(),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt as _, StreamBody, combinators::BoxBody};
    use hyper::{body::Frame, server::conn::http2::Builder, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::{
        net::{TcpListener, TcpStream},
        sync::mpsc,
    };

    use super::*;

    /// A connection to a server whose answers to `/whole` are whole, to any other path endless; it reports each end.
    async fn connected() -> (Connection, mpsc::UnboundedReceiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (ended, ends) = mpsc::unbounded_channel();
        let (server, _) = listener.accept().await.unwrap();
        let answer = service_fn(move |request: Request<Incoming>| {
            let ended = ended.clone();
            async move {
                let body: BoxBody<Bytes, Infallible> = if request.uri().path() == "/whole" {
                    Full::new(Bytes::from_static(b"{}")).boxed()
                } else {
                    StreamBody::new(endless(Reports(ended))).boxed()
                };
                Ok::<_, Infallible>(Response::new(body))
            }
        });
        TokioExecutor::new().execute(async move {
            let server =
                Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(server), answer);
            let _ = server.await;
        });
        (Connection::new(TokioIo::new(stream)).await.unwrap(), ends)
    }

    struct Reports(mpsc::UnboundedSender<()>);

    impl Drop for Reports {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    fn endless(
        reports: Reports,
    ) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + Sync {
        futures_util::stream::unfold(reports, |reports| async move {
            tokio::task::yield_now().await;
            Some((Ok(Frame::data(Bytes::from_static(b"data: x\n\n"))), reports))
        })
    }

    fn request(path: &str) -> Request<Full<Bytes>> {
        let uri = format!("http://localhost{path}");
        Request::post(uri).body(Full::new(Bytes::from_static(b"{}"))).unwrap()
    }

    fn sent<T>(result: Result<T, Lost>) -> T {
        result.map_err(|lost| lost.fault).unwrap()
    }

    #[tokio::test]
    async fn a_dropped_answer_resets_its_stream_alone() {
        let (connection, mut ends) = connected().await;
        let (mut first, mut second) = (connection.clone(), connection.clone());
        let dropped = sent(first.send(request("/endless")).await);
        let mut kept = sent(second.send(request("/endless")).await);
        drop(dropped);
        ends.recv().await.unwrap();
        assert!(kept.body_mut().frame().await.unwrap().unwrap().is_data());
        let whole = sent(first.send(request("/whole")).await);
        assert_eq!(whole.into_body().collect().await.unwrap().to_bytes(), "{}");
        assert!(connection.is_alive());
    }

    #[tokio::test]
    async fn a_connection_has_a_bounded_number_of_places() {
        let (connection, _ends) = connected().await;
        let places: Vec<_> = std::iter::from_fn(|| connection.place()).collect();
        assert_eq!(places.len(), MAX_STREAMS);
        assert_eq!(connection.rest(), 0);
        drop(places);
        assert_eq!((connection.rest(), connection.rest()), (1, 2));
        assert!(connection.place().is_some());
    }
}
