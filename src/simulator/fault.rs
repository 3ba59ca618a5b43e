//! What a simulated model does wrong, when it is told to.
//!
//! An order names a fault and how often it strikes; the orders of a model are one slot, so that the newest one holds
//! and `none` ends it. An order for `*` fills every slot.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// A fault, as the control endpoint reads it: `{"fault": "status", "status": 503, "retry_after": 2, "times": 3}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
    /// For how many requests; absent: until another order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Order {
    /// `fault` until another order.
    pub fn always(fault: Fault) -> Self {
        Self { fault, times: None }
    }

    /// `fault` for the next `times` requests.
    pub fn times(fault: Fault, times: u64) -> Self {
        Self { fault, times: Some(times) }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Nothing: ends an earlier order.
    None,
    /// An error answer with this status, in the API's shape.
    Status {
        /// The status.
        status: u16,
        /// The value of `Retry-After`, as it is written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<RetryAfter>,
        /// The error's message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The connection is closed without an answer.
    Refuse,
    /// The request is read and never answered.
    Silence,
    /// The first token takes this many seconds.
    SlowFirstToken {
        /// Seconds.
        seconds: f64,
    },
    /// The connection breaks after so many tokens.
    CutAfterTokens {
        /// Tokens delivered before.
        tokens: usize,
    },
    /// The stream ends cleanly, but too early, after so many tokens.
    EndAfterTokens {
        /// Tokens delivered before.
        tokens: usize,
    },
    /// Nothing more comes after so many tokens.
    StallAfterTokens {
        /// Tokens delivered before.
        tokens: usize,
    },
    /// An event that is no JSON comes after so many tokens, and the stream goes on.
    MalformedEvent {
        /// Tokens delivered before.
        #[serde(default)]
        tokens: usize,
    },
    /// The API's own error event comes after so many tokens, and the stream ends.
    ErrorEvent {
        /// Tokens delivered before.
        #[serde(default)]
        tokens: usize,
    },
    /// The stream ends without its terminal event, otherwise whole.
    NoDone,
    /// A web page with status 200.
    Html,
    /// An answer that holds nothing.
    Empty,
    /// The prompt is refused as too long for the model.
    TooLong,
    /// The answer is stopped by a filter.
    ContentFilter,
    /// The model refuses, in its API's own form.
    Refusal,
}

/// The value of `Retry-After`: a number of seconds, or any text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RetryAfter {
    /// Seconds.
    Seconds(u64),
    /// Written as it stands.
    Text(String),
}

impl std::fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Fault {
    /// The delay before the first token that this fault sets, if it does.
    pub(super) fn first_token(&self) -> Option<Duration> {
        if let Self::SlowFirstToken { seconds } = self {
            return Some(Duration::try_from_secs_f64(*seconds).unwrap_or(Duration::MAX));
        }
        None
    }
}

/// The standing orders of one provider, by model.
pub(super) struct Faults {
    slots: Mutex<BTreeMap<String, Option<Order>>>,
}

impl Faults {
    /// One slot for each of `models`.
    pub(super) fn new(models: impl Iterator<Item = (String, Option<Order>)>) -> Self {
        Self { slots: Mutex::new(models.collect()) }
    }

    /// Puts `order` into the slot of `model`, or into all with `*`. False where the model is unknown.
    pub(super) fn order(&self, model: &str, order: Option<Order>) -> bool {
        let order = order.filter(|order| order.fault != Fault::None);
        let mut slots = self.slots.lock();
        if model == "*" {
            for slot in slots.values_mut() {
                slot.clone_from(&order);
            }
            return true;
        }
        slots.get_mut(model).map(|slot| *slot = order).is_some()
    }

    /// The fault that strikes the next request for `model`, counted down.
    pub(super) fn strike(&self, model: &str) -> Option<Fault> {
        let mut slots = self.slots.lock();
        let slot = slots.get_mut(model)?;
        let order = slot.as_mut()?;
        let fault = order.fault.clone();
        if let Some(times) = &mut order.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                *slot = None;
            }
        }
        Some(fault)
    }

    /// Every model with its standing order.
    pub(super) fn standing(&self) -> BTreeMap<String, Option<Order>> {
        self.slots.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults() -> Faults {
        Faults::new([("a".to_owned(), None), ("b".to_owned(), None)].into_iter())
    }

    #[test]
    fn an_order_strikes_as_often_as_it_says() {
        let faults = faults();
        assert!(faults.order("a", Some(Order::times(Fault::Silence, 2))));
        assert_eq!(faults.strike("a"), Some(Fault::Silence));
        assert_eq!(faults.strike("a"), Some(Fault::Silence));
        assert_eq!(faults.strike("a"), None);
        assert_eq!(faults.strike("b"), None);
    }

    #[test]
    fn a_star_reaches_every_model_and_none_ends_it() {
        let faults = faults();
        faults.order("*", Some(Order::always(Fault::Empty)));
        assert_eq!(faults.strike("b"), Some(Fault::Empty));
        faults.order("b", Some(Order::always(Fault::None)));
        assert_eq!(faults.strike("b"), None);
        assert_eq!(faults.strike("a"), Some(Fault::Empty));
        assert!(!faults.order("c", None));
    }

    #[test]
    fn orders_are_read_as_documented() {
        let text = r#"{"fault":"status","status":503,"retry_after":2,"times":3}"#;
        let order: Order = serde_json::from_str(text).unwrap();
        assert_eq!(order.times, Some(3));
        let Fault::Status { status: 503, retry_after: Some(RetryAfter::Seconds(2)), .. } =
            order.fault
        else {
            panic!("{order:?}")
        };
        let order: Order =
            serde_json::from_str(r#"{"fault":"cut_after_tokens","tokens":4}"#).unwrap();
        assert_eq!(order.fault, Fault::CutAfterTokens { tokens: 4 });
    }
}
