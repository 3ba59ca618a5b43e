//! The four orders, each total.
//!
//! | preference | by | then |
//! |---|---|---|
//! | given | the order given | |
//! | cheapest | expected cost, unknown last | latency, the order given |
//! | fastest | latency | the order given |
//! | optimal | quality from best to worst, unknown last | expected cost, latency, the order given |
//!
//! *Latency* is the predicted median of the time to first content, which is also what the decision document shows;
//! a candidate of which nothing is known comes after every one that answers, and one most of whose recent attempts
//! failed comes last, however fast it failed.

use std::cmp::Ordering;

use crate::{
    catalog::router::Prefer,
    money::Usd,
    rank::{Candidate, Cost, Why},
    stats::Prediction,
};

/// Sorts `candidates` by `prefer`, best first, and says why the first is first.
pub fn order(prefer: Prefer, candidates: &mut [Candidate]) {
    candidates.sort_by(|one, other| compare(prefer, one, other));
    for candidate in candidates.iter_mut() {
        candidate.why = Why::Behind;
    }
    if let Some(first) = candidates.first_mut() {
        first.why = match prefer {
            Prefer::Given => Why::Given,
            Prefer::Cheapest if first.cost.is_some() => Why::Cheapest,
            Prefer::Fastest if first.ttft.ttft.is_some() => Why::Fastest,
            Prefer::Optimal if first.quality.is_some() => Why::Optimal,
            Prefer::Cheapest | Prefer::Fastest | Prefer::Optimal => Why::Unknown,
        };
    }
}

/// The total order of `prefer`.
pub fn compare(prefer: Prefer, one: &Candidate, other: &Candidate) -> Ordering {
    let given = one.position.cmp(&other.position);
    match prefer {
        Prefer::Given => given,
        Prefer::Cheapest => by_cost(one, other).then_with(|| by_latency(one, other)).then(given),
        Prefer::Fastest => by_latency(one, other).then(given),
        Prefer::Optimal => {
            known_first(one.quality, other.quality, |one, other| other.total_cmp(&one))
                .then_with(|| by_cost(one, other))
                .then_with(|| by_latency(one, other))
                .then(given)
        }
    }
}

/// What would have to change for `candidate` to rank before `first`; absent where no figure decides.
pub fn why_not_first(prefer: Prefer, candidate: &Candidate, first: &Candidate) -> Option<String> {
    match prefer {
        Prefer::Given => None,
        Prefer::Cheapest => match (&candidate.cost, &first.cost) {
            (Some(cost), Some(least)) if cost.total() != least.total() => Some(format!(
                "first if it cost less than {} instead of {}",
                least.total(),
                cost.total()
            )),
            (None, Some(_)) => Some("first only with a known price".to_owned()),
            _ => None,
        },
        Prefer::Fastest => match (candidate.ttft.ttft, first.ttft.ttft) {
            _ if candidate.ttft.failing && !first.ttft.failing => {
                Some("first only once fewer of its attempts fail".to_owned())
            }
            (Some(ttft), Some(least)) if ttft > least => Some(format!(
                "first if it started within {} ms instead of {} ms",
                least.as_millis(),
                ttft.as_millis()
            )),
            (None, Some(_)) => Some("first only once its speed is known".to_owned()),
            _ => None,
        },
        Prefer::Optimal => match (candidate.quality, first.quality) {
            (Some(quality), Some(best)) if quality < best => {
                Some(format!("first if its quality were above {best} instead of {quality}"))
            }
            (None, Some(_)) => Some("first only with a known quality".to_owned()),
            _ => None,
        },
    }
}

fn by_cost(one: &Candidate, other: &Candidate) -> Ordering {
    let total = |candidate: &Candidate| candidate.cost.as_ref().map(Cost::total);
    known_first(total(one), total(other), Usd::total_cmp)
}

fn by_latency(one: &Candidate, other: &Candidate) -> Ordering {
    standing(&one.ttft)
        .cmp(&standing(&other.ttft))
        .then_with(|| known_first(one.ttft.ttft, other.ttft.ttft, |one, other| one.cmp(&other)))
}

/// Targets that answer, then those that nothing is known of, then those that fail.
fn standing(prediction: &Prediction) -> u8 {
    match (prediction.failing, prediction.ttft) {
        (true, _) => 2,
        (false, None) => 1,
        (false, Some(_)) => 0,
    }
}

fn known_first<T>(
    one: Option<T>,
    other: Option<T>,
    compare: impl Fn(T, T) -> Ordering,
) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => compare(one, other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}
