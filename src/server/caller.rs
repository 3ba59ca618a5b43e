//! A caller's connection that can be looked into: what has come is kept for whoever reads next, and a hang-up is
//! noticed whatever came before it.
//!
//! Pingora stops watching a connection once it has read anything beyond a body, and not every stream of its own can be
//! peeked at. Here both are one buffer of what came early, at most `AHEAD` bytes. Whatever comes beyond it while a
//! request is answered is dropped: that connection gets no further request, and a hang-up is noticed all the same.

use std::{
    future::poll_fn,
    io::{self, ErrorKind, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use bytes::BytesMut;
use parking_lot::Mutex;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, raw_connect::ProxyDigest, tls::SslDigest,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that are kept before somebody reads them.
const AHEAD: usize = 64 * 1024;

/// How much is looked at in one go.
const PIECE: usize = 4096;

/// The connection of a caller.
#[derive(Debug)]
pub struct Caller(Mutex<Wire>);

#[derive(Debug)]
struct Wire {
    stream: Stream,
    ahead: BytesMut,
    /// Whether bytes were dropped, so that nothing after `ahead` makes sense.
    overrun: bool,
}

impl Caller {
    /// Wraps a connection that was accepted.
    pub fn around(stream: Stream) -> Stream {
        let wire = Wire { stream, ahead: BytesMut::new(), overrun: false };
        Box::new(Self(Mutex::new(wire)))
    }

    /// The caller behind `stream`, where it was wrapped.
    pub fn behind(stream: &Stream) -> Option<&Self> {
        (**stream).as_any().downcast_ref()
    }

    /// Ends when the connection is closed or its sending half is. May be dropped and called again.
    pub async fn gone(&self) {
        poll_fn(|context| {
            let mut wire = self.0.lock();
            while matches!(ready!(wire.poll_more(context)), Ok(1..)) {}
            Poll::Ready(())
        })
        .await;
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(&mut self.0.get_mut().stream)
    }
}

impl Wire {
    /// Takes in what has come; 0 where nothing can come any more.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [const { MaybeUninit::uninit() }; PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut piece))?;
        let came = piece.filled();
        self.overrun |= self.ahead.len().saturating_add(came.len()) > AHEAD;
        if !self.overrun {
            self.ahead.extend_from_slice(came);
        }
        Poll::Ready(Ok(came.len()))
    }
}

#[async_trait]
impl Peek for Caller {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let wire = self.0.get_mut();
        poll_fn(|context| {
            loop {
                if let Some(ahead) = wire.ahead.get(..buffer.len()) {
                    buffer.copy_from_slice(ahead);
                    return Poll::Ready(Ok(true));
                }
                if ready!(wire.poll_more(context))? == 0 {
                    return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
                }
            }
        })
        .await
    }
}

impl AsyncRead for Caller {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.0.get_mut();
        if !wire.ahead.is_empty() {
            let count = wire.ahead.len().min(buffer.remaining());
            buffer.put_slice(&wire.ahead.split_to(count));
            return Poll::Ready(Ok(()));
        }
        if wire.overrun {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut wire.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Caller {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.lock().stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Caller {
    async fn shutdown(&mut self) {
        self.0.get_mut().stream.shutdown().await;
    }
}

impl UniqueID for Caller {
    fn id(&self) -> i32 {
        self.0.lock().stream.id()
    }
}

impl Ssl for Caller {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.0.lock().stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.0.lock().stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for Caller {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.0.lock().stream.get_timing_digest()
    }
}

impl GetProxyDigest for Caller {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.0.lock().stream.get_proxy_digest()
    }
}

impl GetSocketDigest for Caller {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.0.lock().stream.get_socket_digest()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_hang_up_is_noticed_behind_what_came_early() {
        let (mut peer, ours) = duplex(1024);
        let mut stream = Caller::around(Box::new(ours));
        peer.write_all(b"early").await.unwrap();
        let watched = Caller::behind(&stream).unwrap();
        assert!(futures_util::poll!(std::pin::pin!(watched.gone())).is_pending());
        drop(peer);
        watched.gone().await;
        let mut peeked = [0; 2];
        assert!(stream.try_peek(&mut peeked).await.unwrap());
        assert_eq!(&peeked, b"ea");
        let mut read = String::new();
        stream.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "early");
    }

    #[tokio::test]
    async fn a_flood_is_dropped_and_ends_the_connection() {
        let (mut peer, ours) = duplex(1024);
        let mut stream = Caller::around(Box::new(ours));
        let flood = async move { peer.write_all(&vec![b'x'; 2 * AHEAD]).await.unwrap() };
        tokio::join!(flood, Caller::behind(&stream).unwrap().gone());
        let mut read = Vec::new();
        assert!(stream.read_to_end(&mut read).await.is_err());
        assert!(read.len() <= AHEAD);
    }
}
