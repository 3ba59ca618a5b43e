//! How well a classifier does on labelled turns, as figures: what `pointsman eval` prints.
//!
//! Every figure that a decision may hang on comes with what it is worth: an accuracy with its interval, a threshold
//! with the turns it wins and loses, an error budget with the bound that the examples can show. A turn is right when the
//! answer at the threshold in force, a task or none, is its label.

mod budget;
mod calibration;
mod confusion;
mod interval;
mod threshold;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

pub use crate::evaluation::{
    budget::{Budget, Operation},
    calibration::Bin,
    confusion::{Confusion, Mistake, Row},
    interval::Interval,
    threshold::Better,
};
use crate::ids::TaskName;

/// A task, or none of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label(pub Option<TaskName>);

/// None of them.
static NONE: Label = Label(None);

/// What the classifier said of one labelled turn.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The line of the data file, from 1.
    pub line: usize,
    /// What the line is counted with, besides all others.
    pub family: Option<String>,
    /// The turn's text, as a report may show it.
    pub text: String,
    /// What is right.
    pub expected: Label,
    /// What was said; `None` where the classifier gave no answer that makes sense.
    pub said: Option<Said>,
}

/// A verdict, as far as it is measured.
#[derive(Debug, Clone)]
pub struct Said {
    /// The most probable answer, whatever the threshold.
    pub best: Label,
    /// Its probability.
    pub probability: f64,
    /// That of *none*.
    pub none: f64,
}

/// How outcomes are judged and how much of them is reported.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The least probability of a match.
    pub threshold: f64,
    /// The router's tasks in its order; empty where every turn has a router of its own.
    pub tasks: Vec<TaskName>,
    /// The share of matched turns that may be wrong, where the operator asked for one.
    pub budget: Option<f64>,
    /// How many mistakes are shown.
    pub mistakes: usize,
}

/// All figures.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The whole.
    #[serde(flatten)]
    pub all: Figures,
    /// The 95 % interval of the accuracy.
    pub accuracy_interval: Interval,
    /// How many turns got no answer that makes sense; they count as wrong.
    pub unclassified: usize,
    /// The threshold in force.
    pub threshold: f64,
    /// One that would be right more often.
    pub better_threshold: Option<Better>,
    /// What keeps the error budget.
    pub budget: Option<Budget>,
    /// Accuracy by confidence, only bins that hold turns.
    pub reliability: Vec<Bin>,
    /// The figures of each family, by name; none where no line names one.
    pub families: Vec<Family>,
    /// The confusion matrix, a row for each label.
    pub tasks: Vec<Row>,
    /// The worst confusions.
    pub confusions: Vec<Confusion>,
}

/// The figures of some turns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// How many turns there are.
    pub turns: usize,
    /// How many are right.
    pub right: usize,
    /// Their share.
    pub accuracy: f64,
    /// How many matched no task.
    pub none_said: usize,
    /// How many should match none.
    pub none_expected: usize,
    /// How many of those did.
    pub none_found: usize,
    /// The expected calibration error.
    pub calibration_error: f64,
}

/// The figures of a family.
#[derive(Debug, Clone, Serialize)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

impl Label {
    /// The task's name, or `none`.
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("none", TaskName::as_str)
    }

    /// Whether it is none of the tasks.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

/// A name, or null.
impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().map(TaskName::as_str).serialize(serializer)
    }
}

impl Outcome {
    /// The answer at `threshold`, where there is one that makes sense.
    fn answer(&self, threshold: f64) -> Option<&Label> {
        let said = self.said.as_ref()?;
        Some(if said.probability >= threshold { &said.best } else { &NONE })
    }

    fn is_right(&self, threshold: f64) -> bool {
        self.answer(threshold) == Some(&self.expected)
    }
}

impl Report {
    /// Judges `outcomes`.
    pub fn of(outcomes: &[Outcome], settings: &Settings) -> Self {
        let threshold = settings.threshold;
        let every: Vec<&Outcome> = outcomes.iter().collect();
        let all = Figures::of(&every, threshold);
        Self {
            all,
            accuracy_interval: Interval::of(all.right, all.turns),
            unclassified: outcomes.iter().filter(|one| one.said.is_none()).count(),
            threshold,
            better_threshold: Better::than(threshold, outcomes),
            budget: settings.budget.map(|asked| Budget::of(asked, outcomes)),
            reliability: calibration::bins(&every),
            families: families(outcomes, threshold),
            tasks: confusion::matrix(outcomes, settings),
            confusions: confusion::worst(outcomes, settings),
        }
    }
}

impl Figures {
    fn of(outcomes: &[&Outcome], threshold: f64) -> Self {
        let count = |test: &dyn Fn(&Outcome) -> bool| {
            outcomes.iter().filter(|outcome| test(outcome)).count()
        };
        let says_none = |one: &Outcome| one.answer(threshold) == Some(&NONE);
        let right = count(&|one| one.is_right(threshold));
        Self {
            turns: outcomes.len(),
            right,
            accuracy: share(right, outcomes.len()),
            none_said: count(&says_none),
            none_expected: count(&|one| one.expected.is_none()),
            none_found: count(&|one| one.expected.is_none() && says_none(one)),
            calibration_error: calibration::error(outcomes),
        }
    }
}

fn families(outcomes: &[Outcome], threshold: f64) -> Vec<Family> {
    let mut families: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        if let Some(family) = &outcome.family {
            families.entry(family).or_default().push(outcome);
        }
    }
    let figures = |(name, outcomes): (&str, Vec<&Outcome>)| Family {
        name: name.to_owned(),
        figures: Figures::of(&outcomes, threshold),
    };
    families.into_iter().map(figures).collect()
}

/// The part that `some` are of `all`; of nothing it is nothing.
pub(crate) fn share(some: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { number(some) / number(all) }
}

#[expect(clippy::cast_precision_loss, reason = "nobody labels 2^52 turns")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
