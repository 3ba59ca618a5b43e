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

use std::{cmp::Ordering, time::Duration};

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

/// What would have to change for `candidate` to rank before `first`, by whatever decided between the two; absent where
/// `first` is first for another reason than its figures.
pub fn why_not_first(prefer: Prefer, candidate: &Candidate, first: &Candidate) -> Option<String> {
    if !matches!(first.why, Why::Cheapest | Why::Fastest | Why::Optimal | Why::Unknown) {
        return None;
    }
    let cost = || cost_to_flip(candidate, first);
    let time = || time_to_flip(&candidate.ttft, &first.ttft);
    let decided = match prefer {
        Prefer::Given => return None,
        Prefer::Cheapest => cost().or_else(time),
        Prefer::Fastest => time(),
        Prefer::Optimal => quality_to_flip(candidate, first).or_else(cost).or_else(time),
    };
    Some(decided.unwrap_or_else(|| format!("first if it were named before {}", first.model.id)))
}

/// `None` where quality does not decide.
fn quality_to_flip(candidate: &Candidate, first: &Candidate) -> Option<String> {
    match (candidate.quality, first.quality) {
        (Some(quality), Some(best)) if quality < best => {
            Some(format!("first if its quality were above {best} instead of {quality}"))
        }
        (None, Some(_)) => Some("first only with a known quality".to_owned()),
        _ => None,
    }
}

/// `None` where cost does not decide.
fn cost_to_flip(candidate: &Candidate, first: &Candidate) -> Option<String> {
    match (&candidate.cost, &first.cost) {
        (Some(cost), Some(least)) if cost.total().total_cmp(least.total()).is_gt() => {
            let (cost, least) = (cost.total(), least.total());
            // To a billionth, as the document shows it, unless only the rest tells the two apart.
            let digits = if cost.dollars() - least.dollars() < 1e-9 { 15 } else { 9 };
            let (cost, least) = (exact(cost, digits), exact(least, digits));
            Some(format!("first if it cost less than ${least} instead of ${cost}"))
        }
        (None, Some(_)) => Some("first only with a known price".to_owned()),
        _ => None,
    }
}

/// `None` where latency does not decide.
fn time_to_flip(candidate: &Prediction, first: &Prediction) -> Option<String> {
    if candidate.failing && !first.failing {
        return Some("first only once fewer of its attempts fail".to_owned());
    }
    match (candidate.ttft, first.ttft) {
        (Some(ttft), Some(least)) if ttft > least => {
            let ms = |time: Duration| time.as_secs_f64() * 1000.0;
            let (ttft, least) = (ms(ttft), ms(least));
            // Whole ones, as the document shows them, unless only the rest tells the two apart.
            let digits = if ttft - least < 1.0 { 3 } else { 0 };
            Some(format!(
                "first if it started within {least:.digits$} ms instead of {ttft:.digits$} ms"
            ))
        }
        (None, Some(_)) => Some("first only once its speed is known".to_owned()),
        _ => None,
    }
}

fn exact(amount: Usd, digits: usize) -> String {
    let text = format!("{:.digits$}", amount.dollars());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
