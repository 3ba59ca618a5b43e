//! The results as a file to put among a configuration's routers.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use jiff::civil::Date;

use crate::{
    catalog::router::Score,
    cli::eval::answers::exam::{Exam, Marks, Results},
    ids::{ModelId, TaskName},
};

/// What the file says of where its scores are from.
pub(super) const SOURCE: &str = "measured by pointsman eval";

/// The file.
pub(super) fn of(
    exam: &Exam,
    results: &Results,
    (data, judge): (&Path, Option<&str>),
    today: Date,
) -> String {
    let mut by_task: BTreeMap<&TaskName, Vec<(&ModelId, &Marks)>> = BTreeMap::new();
    for ((task, model), marks) in results {
        by_task.entry(task).or_default().push((model, marks));
    }
    let source = judge.map_or_else(
        || SOURCE.to_owned(),
        |judge| format!("{SOURCE}, what no rule decides graded by {judge}"),
    );
    let name = data.file_name().unwrap_or_default().display();
    let mut out = format!(
        "# Quality for `prefer: optimal`, from {name}, {today}. Put it beside the routers.\n"
    );
    if judge.is_some() {
        out.push_str("# A model that grades favors answers like its own.\n");
    }
    if exam.skipped > 0 {
        let _infallible =
            writeln!(out, "# {} lines belong to no task and were left out.", exam.skipped);
    }
    out.push_str("tasks:\n");
    for (task, models) in by_task {
        write_task(&mut out, task, &models, (&source, today));
    }
    out
}

fn write_task(
    out: &mut String,
    task: &TaskName,
    models: &[(&ModelId, &Marks)],
    (source, today): (&str, Date),
) {
    let measured = || models.iter().filter(|(_, marks)| marks.graded > 0);
    let map = |figure: &dyn Fn(&Marks) -> String| {
        let entries =
            measured().map(|(id, marks)| format!("{}: {}", quoted(id.as_str()), figure(marks)));
        entries.collect::<Vec<_>>().join(", ")
    };
    if measured().next().is_some() {
        let (scores, counts) =
            (map(&|marks| format!("{:.4}", value(marks))), map(&|marks| marks.graded.to_string()));
        let _infallible = write!(
            out,
            "  - name: {}\n    quality: {{{scores}}}\n    quality_source: {}\n    quality_date: {today}\n    \
             quality_samples: {{{counts}}}\n",
            quoted(task.as_str()),
            quoted(source),
        );
    }
    for (id, marks) in models {
        let _infallible = writeln!(out, "    # {id}: {}", said(marks));
    }
}

fn value(marks: &Marks) -> f64 {
    marks.sum / f64::from(marks.graded.max(1))
}

/// The interval of a score, and what is not in it.
fn said(marks: &Marks) -> String {
    let samples = Some(u64::from(marks.graded));
    let score = Score { samples, ..Score::bare(value(marks)) };
    let mut text = score.interval().map_or_else(
        || "not measured".to_owned(),
        |(low, high)| format!("95 % interval {low:.3} to {high:.3}, {} answers", marks.graded),
    );
    if marks.lost > 0 {
        let fault = marks.last_fault.as_deref().unwrap_or_default().replace(char::is_control, " ");
        let _infallible = write!(text, "; {} without an answer or a grade ({fault})", marks.lost);
    }
    text
}

/// A text that YAML reads as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
