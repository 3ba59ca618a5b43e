//! A small, bounded share of traffic for candidates of which too little is known to say that they are not first.
//!
//! Without it `fastest` would never notice that a target it stopped using has recovered, and `cheapest` would go on
//! taking a terse model that it never tried for as wordy as the others. How little is known of a candidate, its *lack*,
//! is from 0 to 1:
//!
//! | preference | lack | worth a look while |
//! |---|---|---|
//! | fastest | 1 − weight of its recent samples / [`ENOUGH`] | the lower end of its interval is before the leader's predicted time, or nothing is known of it |
//! | cheapest | 1 − attempts with this task / [`ENOUGH`] | the least that it may cost is below what the leader is expected to cost, and it does not fail |
//! | given, optimal | never | |
//!
//! A decision explores with a probability of [`SHARE`] times the largest lack among the candidates worth a look, and
//! then picks one of them in proportion to its lack. So the share is at most [`SHARE`], and goes down as samples come
//! in. Times age, so `fastest` goes on looking; lengths do not, so `cheapest` stops for good after [`ENOUGH`] attempts
//! for each task and model, and because the cold prefix of a session is part of what a move costs, it hardly looks
//! where that is dear. Only what can teach explores: a stream for `fastest`, an answer of more than a few tokens for
//! `cheapest`. The dice are the caller's.

use std::cmp::Ordering;

use crate::{
    catalog::router::Prefer,
    rank::{Candidate, Cost, Why},
};

/// The largest share of decisions that explore.
pub const SHARE: f64 = 0.1;
/// The weight of recent samples, or the number of attempts, from which on a candidate is known well enough.
pub const ENOUGH: f64 = 8.0;

/// Moves an uncertain candidate to the front of an order by `prefer`, now and then. `dice` gives numbers from 0 to 1;
/// it is thrown only where a candidate is worth a look. Returns whether the order was changed.
pub fn explore(
    prefer: Prefer,
    candidates: &mut [Candidate],
    dice: &mut dyn FnMut() -> f64,
) -> bool {
    let Some((leader, others)) = candidates.split_first() else { return false };
    let lacks = |candidate: &Candidate| lack(prefer, candidate, leader);
    let most = others.iter().map(lacks).max_by(f64::total_cmp).unwrap_or(0.0);
    if most <= 0.0 || throw(dice) >= SHARE * most {
        return false;
    }
    let mut left = throw(dice) * others.iter().map(lacks).sum::<f64>();
    let mut chosen = None;
    for (index, candidate) in (1_usize..).zip(others) {
        let lack = lacks(candidate);
        if lack > 0.0 {
            chosen = Some(index);
            left -= lack;
        }
        if left < 0.0 && chosen.is_some() {
            break;
        }
    }
    let Some(moved) = chosen.and_then(|index| candidates.get_mut(..=index)) else { return false };
    moved.rotate_right(1);
    for candidate in moved.iter_mut() {
        candidate.why = Why::Behind;
    }
    if let Some(first) = moved.first_mut() {
        first.why = Why::Explored;
    }
    true
}

/// How little is known of `candidate`, 0 to 1; 0 where it cannot be expected to come before the leader.
fn lack(prefer: Prefer, candidate: &Candidate, leader: &Candidate) -> f64 {
    let known = match prefer {
        Prefer::Given | Prefer::Optimal => return 0.0,
        Prefer::Fastest if too_slow(candidate, leader) => return 0.0,
        Prefer::Fastest => candidate.ttft.weight,
        Prefer::Cheapest => match &candidate.cost {
            Some(cost) if may_be_cheaper(cost, leader) && !candidate.ttft.failing => {
                f64::from(cost.attempts)
            }
            Some(_) | None => return 0.0,
        },
    };
    (1.0 - known / ENOUGH).clamp(0.0, 1.0)
}

fn too_slow(candidate: &Candidate, leader: &Candidate) -> bool {
    match (candidate.ttft.low, leader.ttft.ttft) {
        (Some(low), Some(best)) => low.cmp(&best) != Ordering::Less,
        _ => false,
    }
}

fn may_be_cheaper(cost: &Cost, leader: &Candidate) -> bool {
    let best = leader.cost.as_ref().map(Cost::total);
    best.is_some_and(|best| cost.least.total_cmp(best).is_lt())
}

/// One throw, held to its range: dice that give nonsense do not explore.
fn throw(dice: &mut dyn FnMut() -> f64) -> f64 {
    let number = dice();
    if (0.0..1.0).contains(&number) { number } else { 1.0 }
}
