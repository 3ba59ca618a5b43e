//! Mistakes in the configuration: where each stands, what is wrong, and what was probably meant.
//!
//! Nothing stops at the first mistake: whatever reads the configuration puts what it finds into one `Report` and goes
//! on with a default. No line of a file is ever quoted, because the line beside a mistake may hold a secret, and a
//! value is named only where it is a name or a word of ours, never where a credential belongs.

use std::{
    cell::{Cell, RefCell},
    fmt,
};

/// More mistakes than this are counted, not kept: a hostile file must not fill the log.
const MOST_KEPT: usize = 1_000;

/// A longer list of names is not searched for what was probably meant.
const MOST_CANDIDATES: usize = 2_000;

/// One mistake, or one thing worth a warning, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, as the operator named it.
    pub file: String,
    /// The line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// The column in characters, from 1; 0 where the whole file is meant.
    pub column: usize,
    /// The way through the file, such as `models.glm-5.endpoints[0].provider`; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_place(f)?;
        write!(f, ": {}", self.message)
    }
}

/// A fault that is only worth a warning, as commands print it.
pub struct Warning<'a>(pub &'a Fault);

impl fmt::Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_place(f)?;
        write!(f, ": warning: {}", self.0.message)
    }
}

impl Fault {
    fn write_place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if self.path.is_empty() { Ok(()) } else { write!(f, ": {}", self.path) }
    }
}

/// A line and a column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The line.
    pub(crate) line: usize,
    /// The column, in characters.
    pub(crate) column: usize,
}

impl Spot {
    /// The beginning of a file.
    pub(crate) const START: Self = Self { line: 1, column: 1 };
    /// No line in particular: the whole file.
    pub(crate) const WHOLE: Self = Self { line: 0, column: 0 };
}

/// What was found while the configuration was read.
#[derive(Default)]
pub(crate) struct Report {
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
    omitted: Cell<usize>,
}

impl Report {
    /// Whether further mistakes are only counted, so that looking for suggestions is wasted.
    fn is_full(&self) -> bool {
        self.faults.borrow().len() >= MOST_KEPT
    }

    /// All mistakes and all warnings, each sorted by file, line and column.
    pub(crate) fn finish(self) -> (Vec<Fault>, Vec<Fault>) {
        let (mut faults, mut warnings) = (self.faults.into_inner(), self.warnings.into_inner());
        for found in [&mut faults, &mut warnings] {
            found.sort();
            found.dedup();
        }
        let omitted = self.omitted.get();
        if let Some(last) = faults.last().filter(|_| omitted > 0) {
            let message = format!("and {omitted} more mistakes");
            let end = Fault { line: 0, column: 0, path: String::new(), message, ..last.clone() };
            faults.push(end);
        }
        (faults, warnings)
    }
}

/// A place in a file that something can be said about.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    /// The file, as the operator named it.
    pub(crate) file: &'a str,
    /// Where in it.
    pub(crate) spot: Spot,
    /// The way there.
    pub(crate) path: String,
    /// Where mistakes go.
    pub(crate) report: &'a Report,
}

impl<'a> Place<'a> {
    /// The whole of `file`.
    pub(crate) fn whole(file: &'a str, report: &'a Report) -> Self {
        Self { file, spot: Spot::WHOLE, path: String::new(), report }
    }

    /// The same file at another spot, with the same path.
    pub(crate) fn at(&self, spot: Spot) -> Self {
        Self { spot, ..self.clone() }
    }

    /// Reports a mistake here.
    pub(crate) fn fault(&self, message: impl Into<String>) {
        if self.report.is_full() {
            self.report.omitted.set(self.report.omitted.get().saturating_add(1));
        } else {
            self.report.faults.borrow_mut().push(self.said(message.into()));
        }
    }

    /// Reports something here that is allowed but probably not meant.
    pub(crate) fn warning(&self, message: impl Into<String>) {
        let mut warnings = self.report.warnings.borrow_mut();
        if warnings.len() < MOST_KEPT {
            warnings.push(self.said(message.into()));
        }
    }

    /// `FILE:LINE:COLUMN` of this place, to name it in what is said about another.
    pub(crate) fn position(&self) -> String {
        format!("{}:{}:{}", self.file, self.spot.line, self.spot.column)
    }

    /// `; did you mean …?`, or nothing where no candidate is near.
    pub(crate) fn suggestion<'n>(
        &self,
        word: &str,
        candidates: impl Iterator<Item = &'n str>,
    ) -> String {
        if self.report.is_full() {
            return String::new();
        }
        nearest(word, candidates)
            .map(|meant| format!("; did you mean `{}`?", shown(meant)))
            .unwrap_or_default()
    }

    /// What is said about this place.
    pub(crate) fn said(&self, message: String) -> Fault {
        Fault {
            file: self.file.to_owned(),
            line: self.spot.line,
            column: self.spot.column,
            path: self.path.clone(),
            message,
        }
    }
}

/// The path of the member `key` of what is at `path`.
pub(crate) fn member(path: &str, key: &str) -> String {
    let key = shown(key);
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The path of the item at `index` of what is at `path`.
pub(crate) fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// A name as a report may show it: one line, bounded, and nothing that looks like a credential.
pub(crate) fn shown(name: &str) -> String {
    if name.starts_with("sk-") || name.starts_with("Bearer ") {
        return "…".to_owned();
    }
    let mut text: String = name.chars().take(80).flat_map(printable).collect();
    if name.chars().nth(80).is_some() {
        text.push('…');
    }
    text
}

/// A file's name on one line.
pub(crate) fn shown_file(path: &std::path::Path) -> String {
    path.display().to_string().chars().flat_map(printable).collect()
}

fn printable(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

/// The candidate nearest to `word`, where one is near enough to have been meant.
pub(crate) fn nearest<'n>(
    word: &str,
    candidates: impl Iterator<Item = &'n str>,
) -> Option<&'n str> {
    let letters: Vec<char> = word.to_lowercase().chars().take(65).collect();
    // Every two-letter word is near to every other.
    let most = letters.len().checked_div(3).filter(|most| *most > 0)?.min(3);
    candidates
        .take(MOST_CANDIDATES)
        .filter(|candidate| candidate.chars().count().abs_diff(letters.len()) <= most)
        .map(|candidate| (distance(&letters, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two words, a swap of neighbors counting as one (optimal string alignment).
fn distance(word: &[char], candidate: &str) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=word.len()).collect();
    let mut last = None;
    for (row, c) in candidate.to_lowercase().chars().enumerate() {
        let mut current = Vec::with_capacity(previous.len());
        current.push(row.saturating_add(1));
        for (column, letter) in word.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let next = column.saturating_add(1);
            let mut best = at(&previous, column)
                .saturating_add(usize::from(*letter != c))
                .min(at(&previous, next).saturating_add(1))
                .min(at(&current, column).saturating_add(1));
            let swapped = column.checked_sub(1).filter(|earlier| {
                word.get(*earlier) == Some(&c) && last == Some(*letter) && !before.is_empty()
            });
            if let Some(earlier) = swapped {
                best = best.min(at(&before, earlier).saturating_add(1));
            }
            current.push(best);
        }
        before = std::mem::replace(&mut previous, current);
        last = Some(c);
    }
    previous.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
        nearest(word, names.iter().copied())
    }

    #[test]
    fn a_near_miss_finds_what_was_meant() {
        let keys = ["models", "routers", "providers", "keys", "tls"];
        assert_eq!(meant("modles", &keys), Some("models"));
        assert_eq!(meant("router", &keys), Some("routers"));
        assert_eq!(meant("Providers", &keys), Some("providers"));
        assert_eq!(meant("tsl", &keys), Some("tls"));
        assert_eq!(meant("timeouts", &keys), None);
        assert_eq!(meant("", &keys), None);
        assert_eq!(meant("m", &["n"]), None);
    }

    #[test]
    fn distances_are_those_of_optimal_string_alignment() {
        for (a, b, edits) in
            [("", "abc", 3), ("abc", "abc", 0), ("ab", "ba", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(&a.chars().collect::<Vec<_>>(), b), edits, "{a} {b}");
        }
    }

    #[test]
    fn what_is_shown_is_one_bounded_line_without_credentials() {
        assert_eq!(shown("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
        assert_eq!(shown("sk-canary"), "…");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), 81);
    }

    #[test]
    fn a_report_is_sorted_and_bounded() {
        let report = Report::default();
        for line in (1..=MOST_KEPT + 5).rev() {
            let spot = Spot { line, column: 1 };
            Place::whole("f", &report).at(spot).fault("wrong");
        }
        let (faults, warnings) = report.finish();
        assert!(warnings.is_empty());
        assert_eq!(faults.len(), MOST_KEPT + 1);
        assert!(faults[0].line < faults[1].line);
        assert_eq!(faults.last().unwrap().to_string(), "f: and 5 more mistakes");
    }
}
