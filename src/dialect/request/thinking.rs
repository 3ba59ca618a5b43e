//! Amounts of reasoning: words in OpenAI's APIs, tokens in Anthropic's.
//!
//! A word becomes a share of the output limit: low 20 %, medium 50 %, high 80 %, max 95 %. A budget becomes the word
//! whose share is nearest, no higher than `high`, which every reasoning model knows.

use crate::dialect::ir::{Amount, Effort};

/// The least budget that Anthropic takes.
pub(crate) const LEAST_BUDGET: u64 = 1024;

/// The budget for `amount` where the answer may take `limit` tokens, reasoning included; `None` is no reasoning.
///
/// The budget is at least 1024 and below the limit; where that leaves no number there is none.
pub(crate) fn budget(amount: Amount, limit: u64) -> Option<u64> {
    let wanted = match amount {
        Amount::Off | Amount::Adaptive | Amount::Effort(Effort::Minimal) | Amount::Budget(0) => {
            return None;
        }
        Amount::Effort(effort) => limit.saturating_mul(share(effort)) / 100,
        Amount::Budget(tokens) => tokens,
    };
    let most = limit.checked_sub(1).filter(|most| *most >= LEAST_BUDGET)?;
    Some(wanted.clamp(LEAST_BUDGET, most))
}

/// The word for `amount`, for an API that has no budgets; `None` leaves it to the model.
pub(crate) fn effort(amount: Amount, limit: Option<u64>) -> Option<&'static str> {
    match amount {
        Amount::Off => Some("none"),
        Amount::Adaptive => None,
        Amount::Effort(effort) => Some(effort.as_str()),
        Amount::Budget(tokens) => Some(nearest(tokens, limit.unwrap_or(32_000)).as_str()),
    }
}

/// The word whose share of `limit` is nearest to `tokens`: the borders lie half way between the shares.
fn nearest(tokens: u64, limit: u64) -> Effort {
    let percent = tokens.saturating_mul(100).checked_div(limit).unwrap_or(100);
    match percent {
        0..35 => Effort::Low,
        35..65 => Effort::Medium,
        _ => Effort::High,
    }
}

const fn share(effort: Effort) -> u64 {
    match effort {
        Effort::Minimal => 0,
        Effort::Low => 20,
        Effort::Medium => 50,
        Effort::High => 80,
        Effort::ExtraHigh | Effort::Max => 95,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_becomes_a_share_of_the_output_limit() {
        let tokens = |effort| budget(Amount::Effort(effort), 10_000);
        assert_eq!(tokens(Effort::Minimal), None);
        assert_eq!(tokens(Effort::Low), Some(2_000));
        assert_eq!(tokens(Effort::Medium), Some(5_000));
        assert_eq!(tokens(Effort::High), Some(8_000));
        assert_eq!(tokens(Effort::Max), Some(9_500));
    }

    #[test]
    fn a_budget_is_at_least_1024_and_below_the_limit() {
        assert_eq!(budget(Amount::Effort(Effort::Low), 2_000), Some(1_024));
        assert_eq!(budget(Amount::Budget(9_000), 4_096), Some(4_095));
        assert_eq!(budget(Amount::Budget(10), 1_025), Some(1_024));
        assert_eq!(budget(Amount::Effort(Effort::Max), 1_024), None);
        assert_eq!(budget(Amount::Adaptive, 100_000), None);
        assert_eq!(budget(Amount::Budget(u64::MAX), u64::MAX), Some(u64::MAX - 1));
    }

    #[test]
    fn a_budget_becomes_the_nearest_word() {
        let word = |tokens| effort(Amount::Budget(tokens), Some(10_000));
        assert_eq!(word(1_024), Some("low"));
        assert_eq!(word(5_500), Some("medium"));
        assert_eq!(word(9_999), Some("high"));
        assert_eq!(effort(Amount::Budget(16_000), None), Some("medium"));
        assert_eq!(effort(Amount::Budget(5), Some(0)), Some("high"));
        for share in [Effort::Low, Effort::Medium, Effort::High] {
            let tokens = budget(Amount::Effort(share), 20_000).unwrap_or_default();
            assert_eq!(effort(Amount::Budget(tokens), Some(20_000)), Some(share.as_str()));
        }
    }
}
