//! Figures as the admin listener's documents show them.

use std::time::Duration;

use jiff::{Timestamp, Unit};

use crate::money::Usd;

/// Milliseconds, to the microsecond.
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Seconds, to the millisecond.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// Dollars to a billionth: a token of the cheapest model costs more.
pub fn dollars(amount: Usd) -> f64 {
    (amount.dollars() * 1e9).round() / 1e9
}

/// A probability without the noise beyond the sixth decimal.
pub fn share(probability: f64) -> f64 {
    (probability * 1e6).round() / 1e6
}

/// A moment, to the millisecond, as RFC 3339 writes it.
pub fn date(at: Timestamp) -> String {
    at.round(Unit::Millisecond).unwrap_or(at).to_string()
}
