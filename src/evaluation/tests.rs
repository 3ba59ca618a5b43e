//! Figures of outcomes that are counted by hand.

use super::*;

fn task(name: &str) -> Label {
    Label((name != "none").then(|| TaskName::parse(name).unwrap()))
}

/// A turn labelled `expected` whose most probable answer was `best`.
fn turn(line: usize, expected: &str, best: &str, probability: f64) -> Outcome {
    let none = if best == "none" { probability } else { 1.0 - probability };
    Outcome {
        line,
        family: None,
        text: format!("text {line}"),
        expected: task(expected),
        said: Some(Said { best: task(best), probability, none }),
    }
}

fn settings(threshold: f64) -> Settings {
    let tasks = ["billing", "returns"].iter().filter_map(|name| task(name).0).collect();
    Settings { threshold, tasks, budget: None, mistakes: 20 }
}

fn some() -> Vec<Outcome> {
    vec![
        turn(1, "billing", "billing", 0.95),
        turn(2, "returns", "billing", 0.85),
        turn(3, "returns", "billing", 0.95),
        turn(4, "none", "returns", 0.45),
        turn(5, "returns", "returns", 0.45),
        turn(6, "none", "none", 0.75),
    ]
}

#[test]
fn a_turn_is_right_when_the_answer_at_the_threshold_is_its_label() {
    let report = Report::of(&some(), &settings(0.5));
    let all = report.all;
    assert_eq!((all.turns, all.right), (6, 3));
    assert_eq!((all.none_said, all.none_expected, all.none_found), (3, 2, 2));
    assert_eq!(Report::of(&some(), &settings(0.4)).all.none_found, 1);
}

#[test]
fn an_answer_that_makes_no_sense_is_wrong_and_counted() {
    let outcomes = [Outcome { said: None, ..turn(1, "none", "none", 1.0) }];
    let report = Report::of(&outcomes, &settings(0.5));
    assert_eq!((report.unclassified, report.all.right, report.all.none_said), (1, 0, 0));
    assert!(report.reliability.is_empty() && report.all.calibration_error.abs() < 1e-12);
}

#[test]
fn calibration_is_how_far_confidence_is_from_accuracy() {
    let report = Report::of(&some(), &settings(0.5));
    let bins: Vec<(usize, f64)> =
        report.reliability.iter().map(|bin| (bin.turns, bin.accuracy)).collect();
    assert_eq!(bins, [(2, 0.5), (1, 1.0), (1, 0.0), (2, 0.5)]);
    let off = (2.0 * 0.05 + 0.25 + 0.85 + 2.0 * 0.45) / 6.0;
    assert!((report.all.calibration_error - off).abs() < 1e-9);
}

#[test]
fn a_better_threshold_says_what_it_wins_and_whether_that_is_chance() {
    let better = Report::of(&some(), &settings(0.9)).better_threshold;
    assert_eq!(better, None, "0.4 wins a turn and loses one");
    let many: Vec<Outcome> = (0..40).map(|line| turn(line, "billing", "billing", 0.6)).collect();
    let better = Report::of(&many, &settings(0.9)).better_threshold.unwrap();
    assert_eq!((better.won, better.lost, better.significant), (40, 0, true));
    assert!(better.threshold <= 0.6 && (better.accuracy - 1.0).abs() < 1e-12);
    let few = &many[..2];
    assert!(!Report::of(few, &settings(0.9)).better_threshold.unwrap().significant);
}

#[test]
fn a_budget_is_shown_by_enough_turns_and_only_seen_in_fewer() {
    let budget = |outcomes: &[Outcome], asked| {
        let settings = Settings { budget: Some(asked), ..settings(0.5) };
        Report::of(outcomes, &settings).budget.unwrap()
    };
    let mut many: Vec<Outcome> =
        (0..200).map(|line| turn(line, "billing", "billing", 0.9)).collect();
    many.extend((200..240).map(|line| turn(line, "returns", "billing", 0.6)));
    let shown = budget(&many, 0.02).shown.unwrap();
    assert!((shown.threshold - 0.61).abs() < 1e-9);
    assert_eq!((shown.matched, shown.wrong), (200, 0));
    assert!(shown.wrong_at_most < 0.02 && (shown.matched_share - 200.0 / 240.0).abs() < 1e-9);

    let few = budget(&many[150..], 0.02);
    assert_eq!((few.shown, few.needed, few.most_matched), (None, 149, 90));
    assert_eq!(few.seen.unwrap().matched, 50);

    let wrong: Vec<Outcome> = (0..9).map(|line| turn(line, "returns", "billing", 1.0)).collect();
    let none = budget(&wrong, 0.02);
    assert_eq!((none.shown, none.seen), (None, None));
}

#[test]
fn a_turn_that_matches_nothing_is_in_no_budget() {
    let outcomes: Vec<Outcome> = (0..9).map(|line| turn(line, "billing", "none", 0.9)).collect();
    let settings = Settings { budget: Some(0.5), ..settings(0.5) };
    let budget = Report::of(&outcomes, &settings).budget.unwrap();
    assert_eq!((budget.seen, budget.most_matched), (None, 0));
}

#[test]
fn the_matrix_has_every_task_of_the_router_in_its_order() {
    let outcomes = [turn(1, "returns", "billing", 0.9), turn(2, "returns", "none", 0.9)];
    let rows = Report::of(&outcomes, &settings(0.5)).tasks;
    let row = |row: &Row| (row.task.clone(), row.turns, row.right, row.answered);
    let rows_seen: Vec<_> = rows.iter().map(row).collect();
    assert_eq!(
        rows_seen,
        [(task("billing"), 0, 0, 1), (task("returns"), 2, 0, 0), (task("none"), 0, 0, 1)]
    );
    let taken: Vec<_> =
        rows[1].taken_for.iter().map(|cell| (cell.task.clone(), cell.turns)).collect();
    assert_eq!(taken, [(task("none"), 1), (task("billing"), 1)]);
}

#[test]
fn the_worst_confusions_come_first_with_their_most_confident_texts() {
    let report = Report::of(&some(), &Settings { mistakes: 5, ..settings(0.4) });
    let confusions: Vec<_> = report
        .confusions
        .iter()
        .map(|one| (one.expected.clone(), one.answer.clone(), one.turns, one.mistakes[0].line))
        .collect();
    assert_eq!(
        confusions,
        [(task("returns"), task("billing"), 2, 3), (task("none"), task("returns"), 1, 4)]
    );
    assert_eq!(report.confusions[0].mistakes.len(), 1, "no more than a fifth of one confusion");
    let all = Report::of(&some(), &Settings { mistakes: 10, ..settings(0.4) });
    let lines: Vec<usize> = all.confusions[0].mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [3, 2]);
    let none = Report::of(&some(), &Settings { mistakes: 0, ..settings(0.4) });
    assert!(none.confusions.is_empty());
}

#[test]
fn families_have_figures_of_their_own() {
    let mut outcomes = some();
    outcomes[0].family = Some("b".to_owned());
    outcomes[1].family = Some("a".to_owned());
    let families = Report::of(&outcomes, &settings(0.5)).families;
    let figures: Vec<_> = families
        .iter()
        .map(|one| (one.name.as_str(), one.figures.turns, one.figures.right))
        .collect();
    assert_eq!(figures, [("a", 1, 0), ("b", 1, 1)]);
}

#[test]
fn as_json_a_label_of_none_is_null() {
    let report = Report::of(&some(), &settings(0.4));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["turns"], 6);
    assert!(json["confusions"][1]["expected"].is_null());
    assert_eq!(json["tasks"][0]["task"], "billing");
    assert_eq!(json["confusions"][0]["mistakes"][0]["text"], "text 3");
}
