//! What an operator sees: metrics, the log, and the clock that both are told by.
//!
//! Labels come from the catalog and from closed enums, so the number of series is bounded whatever callers send. One
//! request is one line in the log, with figures and catalog names: never a text of a request or an answer, never a
//! credential. This module alone reads the clock; everything below it is told the time.

pub mod board;
pub mod clock;
pub mod log;
pub mod metrics;
pub mod recent;
pub mod usage;
