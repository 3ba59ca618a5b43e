//! The last requests: what was decided and what came of it, for the pages of the admin listener.
//!
//! A request changes at most twice here: when it is decided, and when it is settled. The newest [`CHANGES`] changes are
//! kept, so at least half as many requests, each with the `Arc` of its decision: a few hundred bytes a change and a few
//! kilobytes a decision, at most about 4 MiB however long the process runs. Nothing is rendered before somebody asks.
//! Like the log it holds figures and names, no text of a request or an answer.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    catalog::model::Target,
    dialect::ir::answer::Usage,
    ids::{KeyName, ModelId},
    prices::Bill,
    route::Decision,
    telemetry::usage::Ended,
};

/// The most changes that are kept.
pub const CHANGES: usize = 1000;

/// Which door a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The data plane: a caller, who may need a key.
    DataPlane,
    /// The playground: whoever may use the admin listener.
    Playground,
}

/// What is known of one request.
#[derive(Clone)]
pub struct Record {
    /// Its number: no other request of this process has it.
    pub seq: u64,
    /// Its id, which its caller may have chosen.
    pub id: Arc<str>,
    /// When it arrived.
    pub at: Timestamp,
    /// Which door it came through.
    pub source: Source,
    /// The caller's key.
    pub key: Option<KeyName>,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// Whether only the decision was asked for.
    pub dry_run: bool,
    /// The catalog that it saw.
    pub generation: u64,
    /// What was decided, once it was.
    pub decision: Option<Arc<Decision>>,
    /// What came of it, once it is over.
    pub end: Option<End>,
}

/// What came of a request.
#[derive(Clone)]
pub struct End {
    /// The last target that was tried.
    pub target: Option<Arc<Target>>,
    /// How many attempts were made.
    pub attempts: u32,
    /// The status that the caller got.
    pub status: u16,
    /// The code of the error that the caller got.
    pub code: Option<&'static str>,
    /// How it ended.
    pub ended: Ended,
    /// What the answer used.
    pub usage: Option<Usage>,
    /// Whether that is our estimate.
    pub usage_estimated: bool,
    /// What the answer cost.
    pub cost: Option<Bill>,
    /// From the request's arrival to the first content of a stream.
    pub ttft: Option<Duration>,
    /// From the request's arrival to its end.
    pub duration: Duration,
    /// From the request's arrival to its first attempt.
    pub overhead: Option<Duration>,
}

/// The newest changes, oldest first.
#[derive(Default)]
pub(super) struct Recent {
    /// The number of the newest change; they are numbered from 1.
    newest: u64,
    changes: VecDeque<Record>,
}

impl Source {
    /// The word for it in a record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DataPlane => "data_plane",
            Self::Playground => "playground",
        }
    }
}

impl Record {
    /// The model that the caller named, where it named one of the catalog.
    pub fn asked(&self) -> Option<&ModelId> {
        let target = self.end.as_ref().and_then(|end| end.target.as_ref());
        match &self.decision {
            Some(decision) if decision.router().is_some() => None,
            Some(decision) => {
                let planned = decision.candidates().first().map(|candidate| &candidate.model.id);
                planned.or_else(|| decision.ruled_out().first().map(|shut| &shut.model.id))
            }
            // Paths that pass through decide nothing: the model that was named is the one that was tried.
            None => target.map(|target| &target.model),
        }
    }
}

impl Recent {
    /// Adds a change; the one that makes room is given back, so that nobody waits while it is taken apart.
    pub(super) fn push(&mut self, record: Record) -> Option<Record> {
        let oldest = if self.changes.len() < CHANGES { None } else { self.changes.pop_front() };
        self.changes.push_back(record);
        self.newest = self.newest.saturating_add(1);
        oldest
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// The requests that changed last, the newest change first, each as it is now.
    pub(super) fn latest(&self, most: usize) -> Vec<Record> {
        let mut seen = HashSet::new();
        let changes = self.changes.iter().rev();
        changes.filter(|record| seen.insert(record.seq)).take(most).cloned().collect()
    }

    /// The newest request of this id.
    pub(super) fn find(&self, id: &str) -> Option<Record> {
        let of_id = self.changes.iter().filter(|record| &*record.id == id);
        let newest = of_id.clone().map(|record| record.seq).max()?;
        of_id.rev().find(|record| record.seq == newest).cloned()
    }

    /// At most `most` of the changes after the one numbered `after`, oldest first, and the number of the last of them.
    /// What was forgotten meanwhile is left out.
    pub(super) fn since(&self, after: u64, most: usize) -> (Vec<Record>, u64) {
        let after = after.min(self.newest);
        let missing = usize::try_from(self.newest.saturating_sub(after)).unwrap_or(usize::MAX);
        let skipped = self.changes.len().saturating_sub(missing);
        let found: Vec<Record> = self.changes.iter().skip(skipped).take(most).cloned().collect();
        let left = self.changes.len().saturating_sub(skipped).saturating_sub(found.len());
        (found, self.newest.saturating_sub(left as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: u64, id: &str, over: bool) -> Record {
        let end = End {
            target: None,
            attempts: 0,
            status: 404,
            code: None,
            ended: Ended::Rejected,
            usage: None,
            usage_estimated: false,
            cost: None,
            ttft: None,
            duration: Duration::ZERO,
            overhead: None,
        };
        Record {
            seq,
            id: id.into(),
            at: Timestamp::UNIX_EPOCH,
            source: Source::DataPlane,
            key: None,
            streamed: false,
            dry_run: false,
            generation: 1,
            decision: None,
            end: over.then_some(end),
        }
    }

    fn filled(changes: &[(u64, &str, bool)]) -> Recent {
        let mut recent = Recent::default();
        for (seq, id, over) in changes {
            recent.push(record(*seq, id, *over));
        }
        recent
    }

    fn numbers(records: &[Record]) -> Vec<(u64, bool)> {
        records.iter().map(|record| (record.seq, record.end.is_some())).collect()
    }

    #[test]
    fn each_request_is_listed_once_as_it_is_now() {
        let recent = filled(&[(1, "a", false), (2, "b", false), (3, "c", true), (1, "a", true)]);
        assert_eq!(numbers(&recent.latest(9)), [(1, true), (3, true), (2, false)]);
        assert_eq!(numbers(&recent.latest(1)), [(1, true)]);
    }

    #[test]
    fn the_newest_of_an_id_is_found_also_while_an_older_one_ends() {
        let recent = filled(&[(1, "a", false), (2, "a", false), (1, "a", true)]);
        let found = recent.find("a").unwrap();
        assert_eq!((found.seq, found.end.is_some()), (2, false));
        assert!(recent.find("b").is_none());
    }

    #[test]
    fn what_changed_since_is_told_in_order_and_in_pieces() {
        let mut recent = filled(&[(1, "a", false), (2, "b", true), (1, "a", true)]);
        let (first, cursor) = recent.since(0, 2);
        assert_eq!((numbers(&first), cursor), (vec![(1, false), (2, true)], 2));
        let (rest, cursor) = recent.since(cursor, 2);
        assert_eq!((numbers(&rest), cursor), (vec![(1, true)], 3));
        assert!(recent.since(cursor, 2).0.is_empty());
        recent.push(record(3, "c", true));
        assert_eq!(numbers(&recent.since(cursor, 2).0), [(3, true)]);
        assert!(recent.since(99, 2).0.is_empty(), "a number of another process");
    }

    #[test]
    fn only_the_newest_changes_are_kept() {
        let mut recent = Recent::default();
        for seq in 0..3 * CHANGES as u64 {
            recent.push(record(seq, "a", true));
        }
        assert_eq!(recent.changes.len(), CHANGES);
        let (found, cursor) = recent.since(5, usize::MAX);
        assert_eq!((found.len(), found[0].seq), (CHANGES, 2 * CHANGES as u64));
        assert_eq!(cursor, recent.newest());
    }
}
