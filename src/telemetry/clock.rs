//! The only clock. What measures and what expires uses the monotonic one; the other is for dates and for people.

use std::time::Instant;

use jiff::Timestamp;

/// Now, on a clock that never goes back.
#[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
pub fn now() -> Instant {
    Instant::now()
}

/// Now, as a date; it may jump.
pub fn wall() -> Timestamp {
    Timestamp::now()
}
