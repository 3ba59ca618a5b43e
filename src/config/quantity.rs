//! Quantities as an operator writes them: times and sizes with their unit, times of day.
//!
//! A number without a unit is refused, because `5` has been read as seconds here and milliseconds there once too often.

use std::time::Duration;

use jiff::civil::Time;

/// The longest time that any setting takes: longer is a slip of the pen.
pub(crate) const LONGEST: Duration = Duration::from_hours(720);

/// What a time must look like.
const TIME: &str = "must be a time with a unit, as in 250ms, 5s, 2m or 1h";

/// What a size must look like.
const SIZE: &str = "must be a size with a unit, as in 64KiB, 32MiB or 1GiB";

/// A time with its unit.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    let (number, unit) = split(text).ok_or_else(|| negative_or(text, TIME))?;
    let seconds_per_unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "" => return Err("needs a unit: ms, s, m or h, as in 5s"),
        _ => return Err(TIME),
    };
    let number: f64 = number.parse().map_err(|_| TIME)?;
    Duration::try_from_secs_f64(number * seconds_per_unit)
        .ok()
        .filter(|time| *time <= LONGEST)
        .ok_or("must be at most 720h")
}

/// A size with its unit, in bytes.
pub(crate) fn size(text: &str) -> Result<u64, &'static str> {
    let (number, unit) = split(text).ok_or_else(|| negative_or(text, SIZE))?;
    let bytes_per_unit: u64 = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" => return Err("needs a unit: KiB, MiB or GiB, as in 32MiB"),
        _ => return Err(SIZE),
    };
    let number: u64 = number.parse().map_err(|_| SIZE)?;
    number.checked_mul(bytes_per_unit).ok_or("is too large")
}

/// A time of day as `HH:MM`.
pub(crate) fn time_of_day(text: &str) -> Result<Time, &'static str> {
    const FORM: &str = "must be a time of day from 00:00 to 23:59, as in \"22:00\"";
    let (hour, minute) = text.split_once(':').ok_or(FORM)?;
    let part = |digits: &str| -> Option<i8> {
        (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()))
            .then(|| digits.parse().ok())?
    };
    let (hour, minute) = part(hour).zip(part(minute)).ok_or(FORM)?;
    Time::new(hour, minute, 0, 0).map_err(|_| FORM)
}

/// The number that a text begins with, and the rest of it.
fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    number.starts_with(|c: char| c.is_ascii_digit()).then_some((number, unit))
}

fn negative_or(text: &str, form: &'static str) -> &'static str {
    if text.starts_with('-') { "must not be negative" } else { form }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["5", "-5s", "1e30", "1e30s", "", "s", "5 s", "5sec", "9999999h", "1.2.3s", "٣s"]
        {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_size_has_a_binary_unit() {
        assert_eq!(size("32MiB"), Ok(32 << 20));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        for bad in ["32", "32MB", "-1MiB", "1.5MiB", "99999999999999999GiB", "MiB", ""] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_time_of_day_is_hours_and_minutes() {
        assert_eq!(time_of_day("22:05"), Ok(Time::constant(22, 5, 0, 0)));
        for bad in ["24:00", "7:00", "07:60", "+7:00", "0700", "07:00:00", ""] {
            assert!(time_of_day(bad).is_err(), "{bad:?}");
        }
    }
}
