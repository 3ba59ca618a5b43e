//! What a caller is told when no attempt is left.
//!
//! The callers' own libraries repeat what looks temporary, so our attempts multiply by theirs: they are told not to,
//! unless waiting will help, and then how long.

use std::time::Duration;

use crate::resilience::failure::Failure;

/// The refusal after the last attempt, for `dialect::error` to render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// The status.
    pub status: u16,
    /// The code.
    pub code: &'static str,
    /// The value of `x-should-retry`.
    pub should_retry: bool,
    /// The value of `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// Why no attempt is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The plan, the attempts or the retry budget came to their end.
    NoTarget,
    /// `timeouts.total` ran out.
    Total,
}

/// The refusal after the attempts that ended in `failures`; none of them where no target admitted an attempt.
///
/// `soonest` is when the first of the plan's targets may be tried again ([`crate::resilience::Health::soonest`]).
/// An answer that is to be passed through never comes here.
pub fn exhausted(failures: &[Failure], ended: Ended, soonest: Option<Duration>) -> Exhausted {
    if ended == Ended::Total {
        return failed(504, "upstream_timeout");
    }
    if failures.iter().all(Failure::is_limit) {
        return Exhausted {
            status: 503,
            code: "no_healthy_target",
            should_retry: true,
            retry_after: Some(soonest.unwrap_or(Duration::from_secs(1))),
        };
    }
    if failures.iter().all(Failure::is_auth) {
        return failed(502, "upstream_auth");
    }
    failed(502, "upstream_error")
}

const fn failed(status: u16, code: &'static str) -> Exhausted {
    Exhausted { status, code, should_retry: false, retry_after: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::failure::Refusal;

    fn status(status: u16) -> Failure {
        let refusal =
            Refusal { status, retry_after: None, too_long: false, callers_credential: false };
        Failure::of_status(&refusal)
    }

    fn told(failures: &[Failure]) -> (u16, &'static str, bool) {
        let exhausted = exhausted(failures, Ended::NoTarget, Some(Duration::from_secs(3)));
        assert_eq!(exhausted.retry_after.is_some(), exhausted.should_retry);
        (exhausted.status, exhausted.code, exhausted.should_retry)
    }

    #[test]
    fn the_caller_is_told_what_happened() {
        assert_eq!(told(&[status(500), status(429)]), (502, "upstream_error", false));
        assert_eq!(told(&[Failure::timeout()]), (502, "upstream_error", false));
        assert_eq!(told(&[status(401), status(403)]), (502, "upstream_auth", false));
        assert_eq!(told(&[status(401), status(402)]), (502, "upstream_error", false));
        assert_eq!(told(&[status(429), status(429)]), (503, "no_healthy_target", true));
        assert_eq!(told(&[]), (503, "no_healthy_target", true));
    }

    #[test]
    fn only_the_total_deadline_is_a_timeout() {
        let told = exhausted(&[status(429)], Ended::Total, None);
        assert_eq!((told.status, told.code, told.should_retry), (504, "upstream_timeout", false));
    }

    #[test]
    fn the_soonest_wait_is_passed_on() {
        let wait = Some(Duration::from_secs(17));
        assert_eq!(exhausted(&[], Ended::NoTarget, wait).retry_after, wait);
    }
}
