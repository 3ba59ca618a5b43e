//! Reading a caller's body: whole, within a number of bytes, a time, and the memory that the process may hold.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use pingora::{ErrorType, protocols::http::ServerSession};
use tokio::time::timeout;

use crate::engine::exchange::{BodyFault, BodyLimits, Interrupt};

/// What is reserved at a time for a body whose length is not declared.
const STEP: u64 = 64 * 1024;

/// A caller that hung up before its body was whole.
const GONE: BodyFault = BodyFault::Interrupted(Interrupt::CallerGone);

/// The bytes of bodies that the process holds, all requests together.
pub struct Memory {
    held: AtomicU64,
}

impl Memory {
    /// Nothing held.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { held: AtomicU64::new(0) })
    }

    fn take(&self, bytes: u64, limit: u64) -> bool {
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                held.checked_add(bytes).filter(|sum| *sum <= limit)
            })
            .is_ok()
    }
}

/// A share of [`Memory`], given back when dropped.
pub struct Reservation {
    memory: Arc<Memory>,
    limit: u64,
    bytes: u64,
}

impl Reservation {
    /// Nothing reserved yet, out of `limit` bytes.
    pub fn new(memory: Arc<Memory>, limit: u64) -> Self {
        Self { memory, limit, bytes: 0 }
    }

    /// Makes sure that at least `bytes` are reserved.
    fn reach(&mut self, bytes: u64) -> Result<(), BodyFault> {
        let missing = bytes.saturating_sub(self.bytes);
        if missing > 0 {
            let step = missing.max(STEP.min(bytes));
            if !self.memory.take(step, self.limit) {
                return Err(BodyFault::Overloaded);
            }
            self.bytes = self.bytes.saturating_add(step);
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads the whole body of the request whose head `session` has read.
pub async fn read(
    session: &mut ServerSession,
    reservation: &mut Reservation,
    limits: BodyLimits,
) -> Result<Bytes, BodyFault> {
    let declared = declared_length(session);
    if declared.is_some_and(|length| length > limits.bytes) {
        return Err(BodyFault::TooLarge);
    }
    reservation.reach(declared.unwrap_or(0))?;
    match timeout(limits.within, collect(session, reservation, declared, limits.bytes)).await {
        Ok(body) => body,
        Err(_) => Err(BodyFault::TooSlow),
    }
}

async fn collect(
    session: &mut ServerSession,
    reservation: &mut Reservation,
    declared: Option<u64>,
    limit: u64,
) -> Result<Bytes, BodyFault> {
    if session.get_header(EXPECT).is_some() && !session.is_http2() {
        session.write_continue_response().await.map_err(|_| GONE)?;
    }
    // A request that is small arrives in one piece, which is then passed on without a copy.
    let Some(first) = piece(session).await? else {
        return ended(Bytes::new(), declared);
    };
    let mut length = first.len() as u64;
    if length > limit {
        return Err(BodyFault::TooLarge);
    }
    if declared == Some(length) {
        return Ok(first);
    }
    reservation.reach(length)?;
    let capacity = usize::try_from(declared.unwrap_or(0)).unwrap_or(0).max(first.len());
    let mut whole = BytesMut::with_capacity(capacity);
    whole.extend_from_slice(&first);
    while let Some(more) = piece(session).await? {
        length = length.saturating_add(more.len() as u64);
        if length > limit {
            return Err(BodyFault::TooLarge);
        }
        reservation.reach(length)?;
        whole.extend_from_slice(&more);
    }
    ended(whole.freeze(), declared)
}

/// A connection that ended is told apart from a body that is malformed.
fn fault_of(fault: &ErrorType) -> BodyFault {
    if matches!(fault, ErrorType::ConnectionClosed | ErrorType::ReadError) {
        GONE
    } else if *fault == ErrorType::ReadTimedout {
        BodyFault::TooSlow
    } else {
        BodyFault::Broken
    }
}

/// HTTP/2 announces a length without enforcing it here, so the end is compared with what was declared.
fn ended(body: Bytes, declared: Option<u64>) -> Result<Bytes, BodyFault> {
    if declared.is_some_and(|length| length != body.len() as u64) {
        return Err(BodyFault::Broken);
    }
    Ok(body)
}

async fn piece(session: &mut ServerSession) -> Result<Option<Bytes>, BodyFault> {
    session.read_request_body().await.map_err(|fault| fault_of(fault.etype()))
}

fn declared_length(session: &ServerSession) -> Option<u64> {
    session.get_header(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads and drops what is left of a body for at most `within`, so that the caller is not reset before it has read
/// the answer that came early.
pub async fn discard(session: &mut ServerSession, within: Duration) {
    let _ = timeout(within, async { while let Ok(Some(_)) = session.read_request_body().await {} })
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_given_back() {
        let memory = Memory::new();
        let mut one = Reservation::new(memory.clone(), 100_000);
        assert_eq!(one.reach(90_000), Ok(()));
        let mut two = Reservation::new(memory.clone(), 100_000);
        assert_eq!(two.reach(20_000), Err(BodyFault::Overloaded));
        drop(one);
        assert_eq!(two.reach(20_000), Ok(()));
        drop(two);
        assert_eq!(memory.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_undeclared_body_is_reserved_in_steps() {
        let memory = Memory::new();
        let mut one = Reservation::new(memory.clone(), 1 << 20);
        for length in 1..=70_000 {
            one.reach(length).unwrap();
        }
        let held = memory.held.load(Ordering::Relaxed);
        assert!((70_000..=2 * STEP).contains(&held), "{held}");
    }
}
