//! Reading a caller's body: whole, within a number of bytes, a time, and the memory that the process may hold.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use pingora::{ErrorType, protocols::http::ServerSession};
use tokio::time::timeout;

use crate::{
    bounded::memory::Room,
    engine::exchange::{BodyFault, BodyLimits, Interrupt},
};

/// A caller that hung up before its body was whole.
const GONE: BodyFault = BodyFault::Interrupted(Interrupt::CallerGone);

/// Reads the whole body of the request whose head `session` has read.
pub async fn read(
    session: &mut ServerSession,
    room: &Room,
    limits: BodyLimits,
) -> Result<Bytes, BodyFault> {
    let declared = declared_length(session);
    if declared.is_some_and(|length| length > limits.bytes) {
        return Err(BodyFault::TooLarge);
    }
    room.for_body(declared.unwrap_or(0))?;
    match timeout(limits.within, collect(session, room, declared, limits.bytes)).await {
        Ok(body) => body,
        Err(_) => Err(BodyFault::TooSlow),
    }
}

async fn collect(
    session: &mut ServerSession,
    room: &Room,
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
    room.for_body(length)?;
    let capacity = usize::try_from(declared.unwrap_or(0)).unwrap_or(0).max(first.len());
    let mut whole = BytesMut::with_capacity(capacity);
    whole.extend_from_slice(&first);
    while let Some(more) = piece(session).await? {
        length = length.saturating_add(more.len() as u64);
        if length > limit {
            return Err(BodyFault::TooLarge);
        }
        room.for_body(length)?;
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
