//! How long a provider asks to be left alone, in every spelling that providers use.
//!
//! A waiting time is only ever advice: it is capped at [`LONGEST`], and what is negative or cannot be read counts as
//! not said. The wall time is passed in; the result is a duration, so that a clock that jumps later changes nothing.

use std::time::Duration;

use ::http::{HeaderMap, HeaderName, header::RETRY_AFTER};
use jiff::{Timestamp, fmt::strtime, tz::TimeZone};

/// The longest wait that is honored, whatever is asked for.
pub const LONGEST: Duration = Duration::from_mins(1);

/// A number from here on is a moment in seconds since 1970, not a span of seconds (this one is in 2001).
const EPOCH_SECONDS: f64 = 1e9;
/// And from here on in milliseconds.
const EPOCH_MILLISECONDS: f64 = 1e12;

/// The three forms of a date in HTTP (RFC 9110, 5.6.7), without the day of the week.
const DATE_FORMS: [&str; 3] =
    ["%d %b %Y %H:%M:%S GMT", "%d-%b-%y %H:%M:%S GMT", "%b %e %H:%M:%S %Y"];

/// The wait that an answer's head asks for at the wall time `wall`, at most [`LONGEST`].
///
/// `retry-after-ms` goes before `retry-after`, and both before the moments at which limits are reset
/// (`x-ratelimit-reset…`, `anthropic-ratelimit-…-reset`): of those the latest whose remainder is 0, for nothing works
/// before it, or the soonest where no remainder says which limit was hit.
pub fn parse(head: &HeaderMap, wall: Timestamp) -> Option<Duration> {
    let text = |name: &str| head.get(name)?.to_str().ok().map(str::trim);
    let wait = text("retry-after-ms")
        .and_then(|text| seconds(number(text)? / 1000.0))
        .or_else(|| text(RETRY_AFTER.as_str()).and_then(|text| span_or_date(text, wall)))
        .or_else(|| reset(head, wall))?;
    Some(wait.min(LONGEST))
}

/// A wait as whole seconds for our own `Retry-After`: rounded up, and at least one.
pub fn whole_seconds(wait: Duration) -> u64 {
    let partial = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(partial).max(1)
}

fn span_or_date(text: &str, wall: Timestamp) -> Option<Duration> {
    match number(text) {
        Some(span) => seconds(span),
        None => date(text).map(|at| until(at, wall)),
    }
}

fn reset(head: &HeaderMap, wall: Timestamp) -> Option<Duration> {
    let mut hit: Option<Duration> = None;
    let mut soonest: Option<Duration> = None;
    for (name, value) in head {
        let Some(wait) =
            value.to_str().ok().filter(|_| is_reset(name)).and_then(|text| moment(text, wall))
        else {
            continue;
        };
        if is_used_up(head, name) {
            hit = hit.max(Some(wait));
        }
        soonest = Some(soonest.map_or(wait, |soonest| soonest.min(wait)));
    }
    hit.or(soonest)
}

fn is_reset(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-ratelimit-reset")
        || (name.starts_with("anthropic-ratelimit-") && name.ends_with("-reset"))
}

/// Whether the header beside `reset` says that nothing of its limit remains.
fn is_used_up(head: &HeaderMap, reset: &HeaderName) -> bool {
    let remaining = reset.as_str().replace("reset", "remaining");
    head.get(remaining).is_some_and(|value| value.as_bytes().trim_ascii() == b"0")
}

/// A reset is written as a moment (RFC 3339, or a number since 1970) or as a span (`6m0s`, `120ms`, seconds).
fn moment(text: &str, wall: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Some(number) = number(text) {
        return if number >= EPOCH_MILLISECONDS {
            since_epoch(number / 1000.0, wall)
        } else if number >= EPOCH_SECONDS {
            since_epoch(number, wall)
        } else {
            seconds(number)
        };
    }
    match text.parse::<Timestamp>() {
        Ok(at) => Some(until(at, wall)),
        Err(_) => units(text),
    }
}

/// A span in the notation of Go: `1h2m3.5s`, `120ms`.
fn units(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (amount, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        total += number(amount)? * unit_seconds(unit)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| seconds(total)).flatten()
}

fn unit_seconds(unit: &str) -> Option<f64> {
    match unit {
        "h" => Some(3600.0),
        "m" => Some(60.0),
        "s" => Some(1.0),
        "ms" => Some(1e-3),
        "us" | "µs" | "μs" => Some(1e-6),
        "ns" => Some(1e-9),
        _ => None,
    }
}

/// A date in any of the three forms of HTTP. The day of the week is not looked at: a wrong one changes nothing.
fn date(text: &str) -> Option<Timestamp> {
    let (_, text) = text.split_once(' ')?;
    DATE_FORMS.iter().find_map(|form| {
        let civil = strtime::parse(form, text.trim()).ok()?.to_datetime().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

fn since_epoch(epoch_seconds: f64, wall: Timestamp) -> Option<Duration> {
    let since = Duration::try_from_secs_f64(epoch_seconds).ok()?;
    let at = Timestamp::UNIX_EPOCH.checked_add(since).ok()?;
    Some(until(at, wall))
}

/// How long it is from `wall` to `at`; nothing where that has passed.
fn until(at: Timestamp, wall: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(wall)).unwrap_or(Duration::ZERO)
}

fn number(text: &str) -> Option<f64> {
    let plain =
        text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    text.parse().ok().filter(|_| plain)
}

/// This many seconds; `None` where they are negative, and the longest span where they are too many to hold.
fn seconds(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const WALL: &str = "1994-11-06T08:49:30Z";

    fn wait(fields: &[(&'static str, &str)]) -> Option<Duration> {
        let head: HeaderMap = fields
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            })
            .collect();
        parse(&head, WALL.parse().unwrap())
    }

    fn after(value: &str) -> Option<Duration> {
        wait(&[("retry-after", value)])
    }

    #[test]
    fn seconds_are_read_and_capped() {
        assert_eq!(after("3"), Some(Duration::from_secs(3)));
        assert_eq!(after(" 1.5 "), Some(Duration::from_millis(1500)));
        assert_eq!(after("0"), Some(Duration::ZERO));
        for long in ["61", "1000000000", "1e9", "1e308", "99999999999999999999999999"] {
            assert_eq!(after(long), Some(LONGEST), "{long}");
        }
    }

    #[test]
    fn what_makes_no_sense_was_not_said() {
        for bad in ["-1", "-1e9", "", "soon", "NaN", "inf", "infinity", "1s2", "0x7", "3, 4", "+-3"]
        {
            assert_eq!(after(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_three_forms_of_a_date_are_read() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Mon, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(after(date), Some(Duration::from_secs(7)), "{date}");
        }
        assert_eq!(after("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("Thu, 31 Dec 9998 23:59:59 GMT"), Some(LONGEST));
        assert_eq!(after("Sun, 99 Nov 1994 08:49:37 GMT"), None);
    }

    #[test]
    fn milliseconds_go_first() {
        let both = [("retry-after-ms", "250"), ("retry-after", "9")];
        assert_eq!(wait(&both), Some(Duration::from_millis(250)));
        assert_eq!(
            wait(&[("retry-after-ms", "x"), ("retry-after", "9")]),
            Some(Duration::from_secs(9))
        );
        assert_eq!(wait(&[("retry-after-ms", "-5")]), None);
    }

    #[test]
    fn resets_are_read_as_spans_and_as_moments() {
        for (value, wanted) in [
            ("6m0s", LONGEST),
            ("120ms", Duration::from_millis(120)),
            ("1m3.5s", LONGEST),
            ("17", Duration::from_secs(17)),
            ("1994-11-06T08:49:42Z", Duration::from_secs(12)),
            ("1994-11-06T08:49:00Z", Duration::ZERO),
            ("1234567890", LONGEST),
            ("1234567890123", LONGEST),
        ] {
            assert_eq!(wait(&[("x-ratelimit-reset-requests", value)]), Some(wanted), "{value}");
        }
        for bad in ["", "s", "1", "5x", "m", "1m-", "never"] {
            let wanted = (bad == "1").then_some(Duration::from_secs(1));
            assert_eq!(wait(&[("x-ratelimit-reset", bad)]), wanted, "{bad}");
        }
    }

    #[test]
    fn the_limit_that_was_hit_decides() {
        let said = [
            ("x-ratelimit-reset-requests", "20s"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-tokens", "2s"),
            ("x-ratelimit-remaining-tokens", "900"),
        ];
        assert_eq!(wait(&said), Some(Duration::from_secs(20)));
        let unsaid = [
            ("anthropic-ratelimit-requests-reset", "1994-11-06T08:49:50Z"),
            ("anthropic-ratelimit-tokens-reset", "1994-11-06T08:49:33Z"),
        ];
        assert_eq!(wait(&unsaid), Some(Duration::from_secs(3)));
        assert_eq!(wait(&[("anthropic-ratelimit-requests-limit", "50")]), None);
    }

    #[test]
    fn our_own_is_in_whole_seconds() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(5)), 5);
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn nothing_waits_longer_than_the_longest(value in "\\PC{0,40}", name in 0..5_usize) {
            let name = [
                "retry-after",
                "retry-after-ms",
                "x-ratelimit-reset",
                "x-ratelimit-reset-tokens",
                "anthropic-ratelimit-tokens-reset",
            ][name];
            if HeaderValue::from_str(&value).is_ok() {
                prop_assert!(wait(&[(name, &value)]).unwrap_or_default() <= LONGEST);
            }
        }

        #[test]
        fn any_number_is_capped_or_dropped(number in any::<f64>()) {
            prop_assert!(after(&number.to_string()).unwrap_or_default() <= LONGEST);
        }
    }
}
