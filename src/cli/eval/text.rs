//! The report as text.

use std::{fmt::Write as _, path::Path};

use crate::evaluation::{
    self, Better, Bin, Budget, Confusion, Family, Figures, Operation, Report, Row,
};

/// A confusion matrix with more rows is cut to its first ones: no router has as many tasks, but lines with a router
/// each may.
const MOST_ROWS: usize = 64;
const FIRST_ROWS: usize = 20;

/// The most labels that a row names which its turns were taken for.
const MOST_CELLS: usize = 4;

/// Where figures begin.
const INDENT: &str = "              ";

/// The whole report on the file at `data`.
pub(super) fn of(report: &Report, data: &Path) -> String {
    let mut out = String::new();
    write_figures(&mut out, report);
    write_threshold(&mut out, report);
    if let Some(budget) = &report.budget {
        write_budget(&mut out, budget);
    }
    write_reliability(&mut out, &report.reliability);
    write_families(&mut out, &report.families);
    write_matrix(&mut out, &report.tasks);
    write_confusions(&mut out, &report.confusions, data);
    out
}

fn write_figures(out: &mut String, report: &Report) {
    let Figures { turns, right, none_said, none_expected, none_found, calibration_error, .. } =
        report.all;
    let interval = report.accuracy_interval;
    let _ = writeln!(
        out,
        "accuracy      {} %  ({right} of {turns}; 95 % interval {} to {} %)",
        percent(report.all.accuracy),
        percent(interval.low),
        percent(interval.high),
    );
    let _ = writeln!(out, "none rate     {}", of_all(none_said, turns));
    let _ = writeln!(out, "none recall   {}", of_all(none_found, none_expected));
    let _ = writeln!(out, "calibration   {} % expected error", percent(calibration_error));
    if report.unclassified > 0 {
        let _ = writeln!(out, "unclassified  {}", of_all(report.unclassified, turns));
    }
}

fn write_threshold(out: &mut String, report: &Report) {
    let _ = write!(out, "threshold     {:.2}; ", report.threshold);
    let Some(Better { threshold, accuracy, won, lost, significant }) = report.better_threshold
    else {
        let _ = writeln!(out, "no other would be right more often");
        return;
    };
    let chance = if significant { "" } else { ", which may be chance" };
    let _ = writeln!(
        out,
        "{threshold:.2} would give {} %: {won} more right, {lost} more wrong{chance}",
        percent(accuracy)
    );
}

fn write_budget(out: &mut String, budget: &Budget) {
    let _ =
        writeln!(out, "budget        at most {} % of matched turns wrong", percent(budget.asked));
    let said = match (&budget.shown, &budget.seen) {
        (Some(shown), _) => format!("kept by threshold {}", operation(shown)),
        (None, Some(seen)) => format!(
            "not shown to be kept by any threshold; the best guess is {}\n{INDENT}too few examples to tell: it \
             takes {} matched turns if every one is right, more if not; here are {}",
            operation(seen),
            budget.needed,
            budget.most_matched,
        ),
        (None, None) => {
            "no threshold keeps it on these examples; see which tasks are confused".to_owned()
        }
    };
    let _ = writeln!(out, "{INDENT}{said}");
}

fn operation(operation: &Operation) -> String {
    format!(
        "{:.2}: {} of {} matched turns wrong, {} %\n{INDENT}(at most {} % with 95 % confidence); {} % of all turns \
         are matched, the others go to the fallbacks",
        operation.threshold,
        operation.wrong,
        operation.matched,
        percent(operation.wrong_share),
        percent(operation.wrong_at_most),
        percent(operation.matched_share),
    )
}

fn write_reliability(out: &mut String, bins: &[Bin]) {
    let _ = writeln!(out, "\nconfidence      turns     mean   accuracy");
    for bin in bins {
        let _ = writeln!(
            out,
            "{:.1} to {:.1}   {:>8}   {:>4} %   {:>6} %",
            bin.from,
            bin.to,
            bin.turns,
            percent(bin.confidence),
            percent(bin.accuracy),
        );
    }
}

fn write_families(out: &mut String, families: &[Family]) {
    if families.is_empty() {
        return;
    }
    let width = width(families.iter().map(|family| family.name.as_str()));
    let _ = writeln!(out, "\n{:width$}    turns   accuracy   none recall   calibration", "family");
    for Family { name, figures } in families {
        let none = match figures.none_expected {
            0 => "–".to_owned(),
            expected => {
                format!("{} %", percent(evaluation::share(figures.none_found, expected)))
            }
        };
        let _ = writeln!(
            out,
            "{name:width$} {:>8}   {:>6} % {none:>13}   {:>9} %",
            figures.turns,
            percent(figures.accuracy),
            percent(figures.calibration_error),
        );
    }
}

fn write_matrix(out: &mut String, rows: &[Row]) {
    let width = width(rows.iter().map(|row| row.task.as_str()));
    let _ = writeln!(out, "\n{:width$}    turns    right   recall   precision   taken for", "task");
    let most = if rows.len() > MOST_ROWS { FIRST_ROWS } else { rows.len() };
    for row in rows.iter().take(most) {
        let mut taken: Vec<String> = row
            .taken_for
            .iter()
            .take(MOST_CELLS)
            .map(|cell| format!("{} {}", cell.task.as_str(), cell.turns))
            .collect();
        if row.taken_for.len() > MOST_CELLS {
            taken.push("…".to_owned());
        }
        let _ = writeln!(
            out,
            "{:width$} {:>8} {:>8} {:>8} {:>11}   {}",
            row.task.as_str(),
            row.turns,
            row.right,
            part(row.right, row.turns),
            part(row.right, row.answered),
            taken.join(", "),
        );
    }
    if rows.len() > most {
        let _ = writeln!(out, "and {} more; --json has all", rows.len().saturating_sub(most));
    }
}

fn write_confusions(out: &mut String, confusions: &[Confusion], data: &Path) {
    if confusions.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nworst confusions");
    for confusion in confusions {
        let (expected, answer) = (confusion.expected.as_str(), confusion.answer.as_str());
        let _ = writeln!(out, "{expected} taken for {answer}: {}", confusion.turns);
        for mistake in &confusion.mistakes {
            let place = format!("{}:{}", data.display(), mistake.line);
            let _ = writeln!(out, "  {:.2}  {place}: {}", mistake.probability, mistake.text);
        }
    }
}

fn width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0).max(8)
}

fn of_all(some: usize, all: usize) -> String {
    format!("{}  ({some} of {all})", part(some, all))
}

fn part(some: usize, all: usize) -> String {
    if all == 0 { "–".to_owned() } else { format!("{} %", percent(evaluation::share(some, all))) }
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}
