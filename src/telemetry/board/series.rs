//! The last minutes in steps: requests, errors, cost and times to first content.

use std::{collections::VecDeque, time::Duration};

use crate::{ids::ModelId, money::Usd, telemetry::board::Samples};

/// How long a step is.
pub const STEP: Duration = Duration::from_secs(5);
/// How many steps are kept.
pub const POINTS: usize = 120;
/// The most models of a step that are told apart.
pub const LINES: usize = 16;
/// The most times to first content that a step keeps of a model: its last ones.
pub const POINT_SAMPLES: usize = 32;

/// The steps in which something happened, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Series(VecDeque<Point>);

/// One step.
#[derive(Debug, Clone, Default)]
pub struct Point {
    /// Its number since 1970.
    pub slot: u64,
    /// Requests that ended.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// What they cost, as far as it is known.
    pub cost: Usd,
    /// Times to first content by model; those of models that have no line of their own are together, without a name.
    pub ttft: Vec<(Option<ModelId>, Samples<POINT_SAMPLES>)>,
}

impl Series {
    /// Adds to the step that holds the second `unix`; a clock that has gone back adds to the last one.
    pub(super) fn add(&mut self, unix: i64, act: impl FnOnce(&mut Point)) {
        let slot = slot_of(unix);
        if self.0.back().is_none_or(|last| last.slot < slot) {
            self.0.push_back(Point { slot, ..Point::default() });
            let oldest = slot.saturating_sub(POINTS as u64);
            while self.0.front().is_some_and(|first| first.slot <= oldest) {
                self.0.pop_front();
            }
        }
        if let Some(last) = self.0.back_mut() {
            act(last);
        }
    }

    /// The steps up to the one that holds the second `unix`, those without anything among them.
    pub fn until(&self, unix: i64) -> impl Iterator<Item = Point> + '_ {
        let last = slot_of(unix);
        let first = last.saturating_sub((POINTS as u64).saturating_sub(1));
        (first..=last).map(|slot| {
            let found = self.0.iter().find(|point| point.slot == slot);
            found.cloned().unwrap_or(Point { slot, ..Point::default() })
        })
    }
}

impl Point {
    /// The second at which it began.
    pub fn began(&self) -> u64 {
        self.slot.saturating_mul(STEP.as_secs())
    }

    pub(super) fn started(&mut self, model: &ModelId, ttft: Duration) {
        let known = self.ttft.iter().position(|(line, _)| line.as_ref() == Some(model));
        let place = known.or_else(|| {
            // One line is left for all that have none of their own.
            let own = self.ttft.len() < LINES;
            let other = self.ttft.iter().position(|(line, _)| line.is_none());
            if other.is_some() && !own {
                return other;
            }
            self.ttft.push((own.then(|| model.clone()), Samples::default()));
            self.ttft.len().checked_sub(1)
        });
        if let Some((_, samples)) = place.and_then(|place| self.ttft.get_mut(place)) {
            samples.add(ttft);
        }
    }
}

fn slot_of(unix: i64) -> u64 {
    u64::try_from(unix).unwrap_or(0).checked_div(STEP.as_secs()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_without_anything_are_there_and_old_ones_are_not() {
        let mut series = Series::default();
        for unix in [1000, 1004, 1005, 2000, 1999] {
            series.add(unix, |point| point.requests += 1);
        }
        let points: Vec<Point> = series.until(2003).collect();
        assert_eq!(points.len(), POINTS);
        assert_eq!(points.last().map(|last| (last.began(), last.requests)), Some((2000, 2)));
        assert_eq!(points.iter().map(|point| point.requests).sum::<u64>(), 2, "1000 is too old");
        let later: Vec<Point> = series.until(2000 + 600).collect();
        assert_eq!(later.iter().map(|point| point.requests).sum::<u64>(), 0);
    }

    #[test]
    fn a_step_tells_so_many_models_apart_and_sums_the_rest() {
        let mut point = Point::default();
        for number in 0..100 {
            let model = ModelId::parse(&format!("m{number}")).unwrap();
            point.started(&model, Duration::from_millis(number));
        }
        assert_eq!(point.ttft.len(), LINES + 1);
        assert!(point.ttft[LINES].0.is_none());
        assert!(point.ttft[..LINES].iter().all(|(model, _)| model.is_some()));
    }
}
