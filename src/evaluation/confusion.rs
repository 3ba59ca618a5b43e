//! Which task is taken for which, and by which texts.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::Serialize;

use crate::evaluation::{Label, Outcome, Settings};

/// A row of the confusion matrix: what became of the turns with one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The label.
    pub task: Label,
    /// How many turns have it.
    pub turns: usize,
    /// How many of them got it.
    pub right: usize,
    /// How many turns got it, whatever their label.
    pub answered: usize,
    /// What the others were taken for, the most frequent first.
    pub taken_for: Vec<Cell>,
}

/// What some turns of a row were taken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The answer.
    pub task: Label,
    /// How many turns got it.
    pub turns: usize,
}

/// A label, an answer that is another, and the texts that caused it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confusion {
    /// The label.
    pub expected: Label,
    /// The answer.
    pub answer: Label,
    /// How often.
    pub turns: usize,
    /// The most confident of them.
    pub mistakes: Vec<Mistake>,
}

/// One turn that got a wrong answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mistake {
    /// The line of the data file.
    pub line: usize,
    /// The probability of the answer.
    pub probability: f64,
    /// What was said.
    pub text: String,
}

/// The matrix, as rows without their zeros: the router's tasks in its order and *none*, or, where every turn has a
/// router of its own, the labels with most mistakes first.
pub(super) fn matrix(outcomes: &[Outcome], settings: &Settings) -> Vec<Row> {
    let mut rows: BTreeMap<&Label, Row> = BTreeMap::new();
    let mut cells: BTreeMap<(&Label, &Label), usize> = BTreeMap::new();
    for outcome in outcomes {
        let expected = &outcome.expected;
        let row = rows.entry(expected).or_insert_with(|| Row::new(expected));
        add(&mut row.turns);
        let Some(answer) = outcome.answer(settings.threshold) else { continue };
        if answer == expected {
            add(&mut row.right);
        } else {
            add(cells.entry((expected, answer)).or_default());
        }
        add(&mut rows.entry(answer).or_insert_with(|| Row::new(answer)).answered);
    }
    for ((expected, answer), turns) in cells {
        let Some(row) = rows.get_mut(&expected) else { continue };
        row.taken_for.push(Cell { task: answer.clone(), turns });
    }
    let order: Vec<Label> = settings.tasks.iter().map(|task| Label(Some(task.clone()))).collect();
    for task in &order {
        rows.entry(task).or_insert_with(|| Row::new(task));
    }
    let mut rows: Vec<Row> = rows.into_values().collect();
    for row in &mut rows {
        row.taken_for.sort_by_key(|cell| Reverse(cell.turns));
    }
    if order.is_empty() {
        rows.sort_by_key(|row| Reverse(row.turns.saturating_sub(row.right)));
    } else {
        let place = |row: &Row| order.iter().position(|task| row.task == *task);
        rows.sort_by_key(|row| place(row).unwrap_or(usize::MAX));
    }
    rows
}

/// The confusions with most turns first, of equals the more confident; as many texts as may be shown.
pub(super) fn worst(outcomes: &[Outcome], settings: &Settings) -> Vec<Confusion> {
    let mut found: BTreeMap<(&Label, &Label), Vec<Mistake>> = BTreeMap::new();
    for outcome in outcomes {
        let expected = &outcome.expected;
        let (Some(said), Some(answer)) = (&outcome.said, outcome.answer(settings.threshold)) else {
            continue;
        };
        if answer != expected {
            let probability = if answer.is_none() { said.none } else { said.probability };
            let mistake = Mistake { line: outcome.line, probability, text: outcome.text.clone() };
            found.entry((expected, answer)).or_default().push(mistake);
        }
    }
    let mut confusions: Vec<Confusion> = found.into_iter().map(Confusion::of).collect();
    let rank = |one: &Confusion| one.mistakes.first().map_or(0.0, |mistake| mistake.probability);
    confusions.sort_by(|one, other| {
        other.turns.cmp(&one.turns).then_with(|| rank(other).total_cmp(&rank(one)))
    });
    show(&mut confusions, settings.mistakes);
    confusions
}

/// Keeps `most` mistakes in all, no more than a fifth of them of one confusion.
fn show(confusions: &mut Vec<Confusion>, most: usize) {
    let mut left = most;
    for confusion in &mut *confusions {
        confusion.mistakes.truncate(most.div_ceil(5).min(left));
        left = left.saturating_sub(confusion.mistakes.len());
    }
    confusions.retain(|confusion| !confusion.mistakes.is_empty());
}

impl Row {
    fn new(task: &Label) -> Self {
        Self { task: task.clone(), turns: 0, right: 0, answered: 0, taken_for: Vec::new() }
    }
}

impl Confusion {
    fn of(((expected, answer), mut mistakes): ((&Label, &Label), Vec<Mistake>)) -> Self {
        mistakes.sort_by(|one, other| other.probability.total_cmp(&one.probability));
        let (expected, answer) = (expected.clone(), answer.clone());
        Self { expected, answer, turns: mistakes.len(), mistakes }
    }
}

fn add(count: &mut usize) {
    *count = count.saturating_add(1);
}
