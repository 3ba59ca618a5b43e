//! The bytes that the process holds for others, all requests together, and each request's share of them.
//!
//! A share grows with what a request reads: its body first, then the answer that is collected for it. What has no room
//! is refused before it is kept. A share is given back when the last of its handles is dropped.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What is taken at a time, so that a body that comes in small pieces does not ask for each of them.
const STEP: u64 = 64 * 1024;

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process holds as many bytes as it may")]
pub struct NoRoom;

/// The bytes that the process holds.
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

/// One request's share of [`Memory`].
#[derive(Clone)]
pub struct Room(Arc<Share>);

struct Share {
    memory: Arc<Memory>,
    limit: u64,
    held: AtomicU64,
    body: AtomicU64,
}

impl Room {
    /// A share of `memory` that holds nothing yet, out of `limit` bytes.
    pub fn of(memory: &Arc<Memory>, limit: u64) -> Self {
        let (held, body) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Share { memory: Arc::clone(memory), limit, held, body }))
    }

    /// A share without a limit: for requests that come from this machine's operator.
    pub fn unlimited() -> Self {
        Self::of(&Memory::new(), u64::MAX)
    }

    /// Makes sure that a body of so many bytes has room.
    pub fn for_body(&self, bytes: u64) -> Result<(), NoRoom> {
        self.0.body.store(bytes, Ordering::Relaxed);
        self.reach(bytes)
    }

    /// Makes sure that an answer of so many bytes has room beside the body.
    pub fn for_answer(&self, bytes: usize) -> Result<(), NoRoom> {
        self.reach(self.0.body.load(Ordering::Relaxed).saturating_add(bytes as u64))
    }

    /// One task at a time asks for a request.
    fn reach(&self, bytes: u64) -> Result<(), NoRoom> {
        let held = self.0.held.load(Ordering::Relaxed);
        let missing = bytes.saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let step = missing.max(STEP.min(bytes));
        if !self.0.memory.take(step, self.0.limit) {
            return Err(NoRoom);
        }
        self.0.held.store(held.saturating_add(step), Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(*self.held.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(memory: &Memory) -> u64 {
        memory.held.load(Ordering::Relaxed)
    }

    #[test]
    fn a_share_is_given_back() {
        let memory = Memory::new();
        let one = Room::of(&memory, 100_000);
        assert_eq!(one.for_body(90_000), Ok(()));
        let two = Room::of(&memory, 100_000);
        assert_eq!(two.for_body(20_000), Err(NoRoom));
        let kept = one.clone();
        drop(one);
        assert_eq!(two.for_body(20_000), Err(NoRoom), "somebody still holds it");
        drop(kept);
        assert_eq!(two.for_body(20_000), Ok(()));
        drop(two);
        assert_eq!(held(&memory), 0);
    }

    #[test]
    fn small_pieces_are_taken_in_steps() {
        let memory = Memory::new();
        let one = Room::of(&memory, 1 << 20);
        for length in 1..=70_000 {
            one.for_body(length).unwrap();
        }
        assert!((70_000..=2 * STEP).contains(&held(&memory)), "{}", held(&memory));
    }

    #[test]
    fn an_answer_has_room_beside_the_body() {
        let memory = Memory::new();
        let one = Room::of(&memory, 1 << 20);
        one.for_body(500_000).unwrap();
        one.for_answer(500_000).unwrap();
        assert!(held(&memory) >= 1_000_000);
        assert_eq!(one.for_answer(600_000), Err(NoRoom));
        // The next attempt's answer takes the place of the first one's.
        one.for_answer(400_000).unwrap();
        assert!(held(&memory) <= 1 << 20);
    }
}
