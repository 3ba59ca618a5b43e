//! The caller's side of one request, as the engine sees it: a head that was read, a body to read, an answer to give.
//!
//! The engine knows no listener and no session type: `server` implements this for Pingora's sessions, and a test can
//! implement it in memory. Every wait of the engine on somebody else runs beside [`Exchange::interrupted`], which is how
//! a hang-up cancels an upstream at once.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

pub use crate::telemetry::recent::Source;

use crate::bounded::memory::{NoRoom, Room};

/// The head of a request, borrowed from the connection.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as it came, without the query.
    pub path: &'a str,
    /// All header fields.
    pub headers: &'a HeaderMap,
}

/// How much of a body is read, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The most bytes.
    pub bytes: u64,
    /// The longest time from now to its last byte.
    pub within: Duration,
}

/// Why a body could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// More bytes than allowed, declared or seen.
    #[error("body too large")]
    TooLarge,
    /// Not complete in time.
    #[error("body too slow")]
    TooSlow,
    /// Not framed as HTTP demands, or shorter than declared.
    #[error("body malformed")]
    Broken,
    /// The process holds as many bytes as it may.
    #[error("no memory left for the body")]
    Overloaded,
    /// The request has to end before its body does.
    #[error("interrupted before the body was whole")]
    Interrupted(Interrupt),
}

impl From<NoRoom> for BodyFault {
    fn from(NoRoom: NoRoom) -> Self {
        Self::Overloaded
    }
}

/// The caller cannot be reached any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the caller has gone")]
pub struct Gone;

/// Why a request has to end before its answer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The caller has hung up.
    CallerGone,
    /// The process ends and has waited as long as it may.
    ShuttingDown,
}

/// One request of one caller.
pub trait Exchange: Send {
    /// Which door it came through.
    fn source(&self) -> Source {
        Source::DataPlane
    }

    /// The head.
    fn head(&self) -> Head<'_>;

    /// Reads the whole body.
    fn body(&mut self, limits: BodyLimits)
    -> impl Future<Output = Result<Bytes, BodyFault>> + Send;

    /// The request's share of the memory of the process, which its body is in already.
    fn room(&self) -> Room;

    /// Ends when the request has to end early, else never. May be dropped and called again.
    fn interrupted(&mut self) -> impl Future<Output = Interrupt> + Send;

    /// Sends the head of the answer; with a `length` the body has exactly that many bytes, without one it is streamed.
    fn start(
        &mut self,
        status: StatusCode,
        headers: HeaderMap,
        length: Option<usize>,
    ) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Sends a part of the body at once; waits while the caller does not read.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Ends the answer.
    fn finish(&mut self) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Whether the head of an answer was sent.
    fn started(&self) -> bool;
}
