//! What went wrong with an attempt, and what follows from it: one table, from what was seen to what is done.
//!
//! Whose fault it is, whether another target is tried, whether the breaker counts it, and how long the target is left
//! alone are decided here and nowhere else. A [`Failure`] is facts only: what an upstream said is for the log, never for
//! the decision, but for the one question whether a conversation was too long, which the dialects answer.

use std::time::Duration;

use crate::http::retry_after;

/// How long a target is left alone after a 429 that does not say.
const UNSAID: Duration = Duration::from_secs(1);
/// How long a target is set aside that refuses our credential or our account.
const ASIDE: Duration = Duration::from_mins(1);

/// One failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Whose fault it is.
    pub blame: Blame,
    /// Under which cause the metrics count it.
    pub cause: Cause,
    /// The upstream's status, where it sent one.
    pub status: Option<u16>,
    /// What the upstream asked to wait, capped.
    pub retry_after: Option<Duration>,
    /// Whether the upstream may have done the work, and may bill it.
    pub possibly_billed: bool,
    /// What the request does now.
    pub next: Next,
    /// Whether the breaker counts it.
    pub trips: bool,
    /// Whether the same target may be tried again at once, where the settings allow repeats.
    pub repeatable: bool,
    /// How long the target is left alone.
    pub cooldown: Option<Cooldown>,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The caller's request could not have worked anywhere.
    Client,
    /// The upstream's, or the way to it.
    Upstream,
    /// Ours.
    Us,
}

/// What a failover is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The connection did not stand, or broke before an answer began.
    Connect,
    /// The answer's status.
    Status,
    /// Nothing came in time.
    Timeout,
    /// What came could not be read.
    Malformed,
    /// The answer held nothing.
    Empty,
    /// The stream broke off, or said that it failed.
    Stream,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Connect, Self::Status, Self::Timeout, Self::Malformed, Self::Empty, Self::Stream];

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Status => "status",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Empty => "empty",
            Self::Stream => "stream",
        }
    }
}

/// What a request does after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It goes on to the next target.
    OtherTarget,
    /// The upstream's answer is the caller's: nothing else is tried.
    PassThrough,
    /// It goes on to a model with a larger or an unknown window; without one the upstream's answer is the caller's.
    RuleOutByWindow,
}

/// How long and why a target is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooldown {
    /// For how long.
    pub wait: Duration,
    /// Why.
    pub why: Why,
}

/// Why a target is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It asked for it.
    Limited,
    /// It refuses our credential or our account: an operator has to look.
    Misconfigured,
}

/// What a status other than 2xx came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// What the head asks to wait, as `http::retry_after` reads it.
    pub retry_after: Option<Duration>,
    /// Whether the body says that the conversation is too long for this model, as `dialect::error` reads it.
    pub too_long: bool,
    /// Whether the credential was the caller's own (`auth: passthrough`).
    pub callers_credential: bool,
}

impl Failure {
    /// No connection: refused, no such name, no route, TLS, or not in time. Nothing was sent.
    pub const fn connect() -> Self {
        Self::upstream(Cause::Connect)
    }

    /// The connection broke before an answer began; `sent` where the upstream may have had the whole request.
    pub const fn reset(sent: bool) -> Self {
        Self { possibly_billed: sent, repeatable: true, ..Self::upstream(Cause::Connect) }
    }

    /// No content, or no whole answer, in time.
    pub const fn timeout() -> Self {
        Self { possibly_billed: true, ..Self::upstream(Cause::Timeout) }
    }

    /// The answer could not be read: not JSON, no event stream, compressed, too large, cut short.
    pub const fn malformed() -> Self {
        Self { possibly_billed: true, ..Self::upstream(Cause::Malformed) }
    }

    /// The answer had no content.
    pub const fn empty() -> Self {
        Self { possibly_billed: true, ..Self::upstream(Cause::Empty) }
    }

    /// The stream broke off, before or after its first content.
    pub const fn broken_stream() -> Self {
        Self { possibly_billed: true, repeatable: true, ..Self::upstream(Cause::Stream) }
    }

    /// The answer is a 200 that says it failed; `status` where it names one.
    ///
    /// Always another target, whatever it names: a status inside an answer is the upstream's own bookkeeping.
    pub fn in_band(status: Option<u16>, too_long: bool) -> Self {
        let failure = Self { status, possibly_billed: true, ..Self::upstream(Cause::Stream) };
        match status {
            _ if too_long => {
                Self { next: Next::RuleOutByWindow, trips: false, blame: Blame::Client, ..failure }
            }
            Some(429) => failure.limited(None),
            Some(401..=403) => failure.aside(),
            Some(_) | None => failure,
        }
    }

    /// The request could not be made: our fault, and the target has nothing to do with it.
    pub const fn ours() -> Self {
        Self { blame: Blame::Us, trips: false, ..Self::upstream(Cause::Malformed) }
    }

    /// What follows from a status other than 2xx.
    pub fn of_status(refusal: &Refusal) -> Self {
        let seen = Self {
            status: Some(refusal.status),
            retry_after: refusal.retry_after.map(|wait| wait.min(retry_after::LONGEST)),
            ..Self::upstream(Cause::Status)
        };
        match refusal.status {
            401 | 403 | 429 if refusal.callers_credential => seen.callers(Next::PassThrough),
            // An unpaid account of the caller's own says nothing about the target for others.
            402 if refusal.callers_credential => Self { trips: false, ..seen },
            401..=403 => seen.aside(),
            404 => Self { trips: false, ..seen },
            429 => seen.limited(seen.retry_after),
            500..=599 => Self { repeatable: true, ..seen }.asked_to_wait(),
            300..=399 | 408 | 409 | 425 => seen.asked_to_wait(),
            400..=499 if refusal.too_long => seen.callers(Next::RuleOutByWindow),
            400..=499 => seen.callers(Next::PassThrough),
            // No status that ends a request: what sent it does not speak HTTP.
            _ => Self { cause: Cause::Malformed, ..seen },
        }
    }

    /// Whether the upstream refused our credential.
    pub fn is_auth(&self) -> bool {
        self.blame == Blame::Upstream && matches!(self.status, Some(401 | 403))
    }

    /// Whether the upstream said that it has had enough for now.
    pub fn is_limit(&self) -> bool {
        self.blame == Blame::Upstream && self.status == Some(429)
    }

    const fn upstream(cause: Cause) -> Self {
        Self {
            blame: Blame::Upstream,
            cause,
            status: None,
            retry_after: None,
            possibly_billed: false,
            next: Next::OtherTarget,
            trips: true,
            repeatable: false,
            cooldown: None,
        }
    }

    fn callers(self, next: Next) -> Self {
        Self { blame: Blame::Client, next, trips: false, ..self }
    }

    fn aside(self) -> Self {
        let cooldown = Some(Cooldown { wait: ASIDE, why: Why::Misconfigured });
        Self { trips: false, cooldown, ..self }
    }

    fn limited(self, wait: Option<Duration>) -> Self {
        let cooldown = Some(Cooldown { wait: wait.unwrap_or(UNSAID), why: Why::Limited });
        Self { trips: false, cooldown, ..self }
    }

    /// Leaves the target alone for as long as it asked, if it did.
    fn asked_to_wait(self) -> Self {
        let cooldown = self.retry_after.map(|wait| Cooldown { wait, why: Why::Limited });
        Self { cooldown, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Refusal {
        Refusal { status, retry_after: None, too_long: false, callers_credential: false }
    }

    fn of(status: u16) -> Failure {
        Failure::of_status(&refused(status))
    }

    #[test]
    fn every_status_of_the_table_moves_on() {
        for status in [
            301, 302, 307, 401, 402, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504, 520, 524,
            529,
        ] {
            assert_eq!(of(status).next, Next::OtherTarget, "{status}");
            assert_eq!(of(status).blame, Blame::Upstream, "{status}");
        }
    }

    #[test]
    fn a_callers_own_mistake_is_passed_through_and_harms_no_target() {
        for status in [400, 405, 406, 410, 413, 415, 418, 422, 451, 499] {
            let failure = of(status);
            assert_eq!(failure.next, Next::PassThrough, "{status}");
            assert_eq!(failure.blame, Blame::Client);
            assert!(!failure.trips && failure.cooldown.is_none() && !failure.repeatable);
        }
    }

    #[test]
    fn a_conversation_that_is_too_long_looks_for_a_larger_window() {
        let failure = Failure::of_status(&Refusal { too_long: true, ..refused(400) });
        assert_eq!((failure.next, failure.trips), (Next::RuleOutByWindow, false));
        assert_eq!(Failure::in_band(None, true).next, Next::RuleOutByWindow);
    }

    #[test]
    fn what_says_nothing_about_the_targets_health_does_not_trip() {
        for status in [401, 402, 403, 404, 429] {
            assert!(!of(status).trips, "{status}");
        }
        for status in [302, 408, 500, 503, 529] {
            assert!(of(status).trips, "{status}");
        }
        assert!(Failure::connect().trips && Failure::timeout().trips && Failure::empty().trips);
        assert!(!Failure::ours().trips);
    }

    #[test]
    fn a_limit_cools_for_as_long_as_it_says() {
        let wait = |refusal: &Refusal| Failure::of_status(refusal).cooldown.map(|c| c.wait);
        assert_eq!(wait(&refused(429)), Some(Duration::from_secs(1)));
        for (said, wanted) in [(3, 3), (0, 0), (60, 60), (1_000_000_000, 60)] {
            let refusal = Refusal { retry_after: Some(Duration::from_secs(said)), ..refused(429) };
            assert_eq!(wait(&refusal), Some(Duration::from_secs(wanted)), "{said}");
        }
        assert_eq!(wait(&refused(503)), None);
        let busy = Refusal { retry_after: Some(Duration::from_secs(7)), ..refused(503) };
        assert_eq!(wait(&busy), Some(Duration::from_secs(7)));
        assert!(Failure::of_status(&busy).trips);
    }

    #[test]
    fn a_refused_credential_is_set_aside_but_the_callers_own_is_not() {
        for status in [401, 402, 403] {
            let cooldown = of(status).cooldown.unwrap();
            assert_eq!((cooldown.wait, cooldown.why), (Duration::from_mins(1), Why::Misconfigured));
        }
        for status in [401, 403, 429] {
            let failure =
                Failure::of_status(&Refusal { callers_credential: true, ..refused(status) });
            assert_eq!(
                (failure.next, failure.blame),
                (Next::PassThrough, Blame::Client),
                "{status}"
            );
            assert!(failure.cooldown.is_none() && !failure.trips);
            assert!(!failure.is_auth() && !failure.is_limit());
        }
        let unpaid = Failure::of_status(&Refusal { callers_credential: true, ..refused(402) });
        assert_eq!((unpaid.next, unpaid.cooldown, unpaid.trips), (Next::OtherTarget, None, false));
    }

    #[test]
    fn only_a_reset_or_a_server_error_is_tried_again_at_once() {
        assert!(of(500).repeatable && of(529).repeatable && Failure::reset(true).repeatable);
        for failure in [of(429), of(404), of(408), Failure::timeout(), Failure::connect()] {
            assert!(!failure.repeatable, "{failure:?}");
        }
    }

    #[test]
    fn what_may_have_reached_the_model_may_be_billed() {
        assert!(Failure::reset(true).possibly_billed && Failure::timeout().possibly_billed);
        assert!(Failure::broken_stream().possibly_billed && Failure::malformed().possibly_billed);
        assert!(!Failure::reset(false).possibly_billed && !Failure::connect().possibly_billed);
        assert!(!of(503).possibly_billed);
    }

    #[test]
    fn an_error_inside_an_answer_moves_on_whatever_it_names() {
        for status in [None, Some(400), Some(422), Some(500), Some(529)] {
            assert_eq!(Failure::in_band(status, false).next, Next::OtherTarget, "{status:?}");
        }
        assert!(!Failure::in_band(Some(429), false).trips);
        assert!(Failure::in_band(Some(429), false).is_limit());
    }

    #[test]
    fn no_status_is_without_an_answer() {
        for status in 0..=u16::MAX {
            let failure = of(status);
            assert_eq!(failure.status, Some(status));
            assert!(failure.next == Next::OtherTarget || (400..500).contains(&status), "{status}");
        }
    }
}
