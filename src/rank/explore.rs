//! A small, bounded share of traffic for candidates of which too little is known to say that they are not the fastest.
//!
//! Without it `fastest` would never notice that a target it stopped using has recovered, nor try a new one. A candidate
//! is uncertain while its recent samples weigh less than [`ENOUGH`]. It is worth a look while its optimistic time (the
//! lower end of its interval) is before the predicted time of the leader, or nothing is known of it. A decision explores
//! with a probability of [`SHARE`] times the largest lack of knowledge among those candidates (1 for one never seen, 0
//! for one with enough samples), and then picks one of them in proportion to its lack. So the share is at most
//! [`SHARE`], goes down as samples come in, and costs nothing once everything is known. The dice are the caller's.

use std::cmp::Ordering;

use crate::rank::{Candidate, Why};

/// The largest share of decisions that explore.
pub const SHARE: f64 = 0.1;
/// The weight of recent samples from which on a candidate is known well enough.
pub const ENOUGH: f64 = 8.0;

/// Moves an uncertain candidate to the front, now and then. `dice` gives numbers from 0 to 1; it is thrown only where
/// a candidate is worth a look. Returns whether the order was changed.
pub fn explore(candidates: &mut [Candidate], dice: &mut dyn FnMut() -> f64) -> bool {
    let Some((leader, others)) = candidates.split_first() else { return false };
    let lacks = |candidate: &Candidate| lack(candidate, leader);
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

/// How little is known of `candidate`, 0 to 1; 0 where it cannot be expected to beat the leader.
fn lack(candidate: &Candidate, leader: &Candidate) -> f64 {
    let hopeless = match (candidate.ttft.low, leader.ttft.ttft) {
        (Some(low), Some(best)) => low.cmp(&best) != Ordering::Less,
        _ => false,
    };
    if hopeless { 0.0 } else { (1.0 - candidate.ttft.weight / ENOUGH).clamp(0.0, 1.0) }
}

/// One throw, held to its range: dice that give nonsense do not explore.
fn throw(dice: &mut dyn FnMut() -> f64) -> f64 {
    let number = dice();
    if (0.0..1.0).contains(&number) { number } else { 1.0 }
}
