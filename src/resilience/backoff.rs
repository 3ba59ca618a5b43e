//! How long to wait before the same target is tried again: short, growing, and never in step with other requests.

use std::time::Duration;

/// The wait before the first repeat, before chance shortens it.
const FIRST: Duration = Duration::from_millis(50);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(1);

/// The wait before the repeat of this number (the first is 0). `dice` is a throw from 0 to 1: the wait is between half
/// of its length and the whole, so that requests that failed together do not come back together.
pub fn delay(repeat: u32, dice: f64) -> Duration {
    let whole = FIRST.saturating_mul(2_u32.saturating_pow(repeat)).min(LONGEST);
    let share = if dice.is_finite() { dice.clamp(0.0, 1.0) } else { 1.0 };
    whole.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the numbers are the test's own")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_doubles_up_to_a_second() {
        assert_eq!(delay(0, 1.0), Duration::from_millis(50));
        assert_eq!(delay(1, 1.0), Duration::from_millis(100));
        assert_eq!(delay(1, 0.0), Duration::from_millis(50));
        assert_eq!(delay(u32::MAX, 1.0), LONGEST);
    }

    proptest! {
        #[test]
        fn it_is_between_half_and_the_whole(repeat in any::<u32>(), dice in any::<f64>()) {
            let whole = delay(repeat, 1.0);
            let wait = delay(repeat, dice);
            prop_assert!(whole / 2 <= wait && wait <= whole && whole <= LONGEST);
        }
    }
}
