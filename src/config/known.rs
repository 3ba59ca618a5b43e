//! Names that others may refer to.
//!
//! A name counts as known as soon as it is written, whatever is wrong with what it names, so that one mistake is not
//! reported again at every reference; and where the names themselves could not be read, no reference is judged.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::config::{
    fault::{Place, shown},
    value::Value,
};

/// The names of one kind and what they name.
pub(crate) struct Known<K, V> {
    /// What the names are names of.
    kind: &'static str,
    /// Every name written; `None` where they could not be read.
    written: Option<BTreeSet<String>>,
    /// What could be built.
    pub(crate) built: BTreeMap<K, Arc<V>>,
}

impl<K: Borrow<str> + Ord, V> Known<K, V> {
    /// No names yet: `written` is what will be built, `None` where that cannot be told.
    pub(crate) fn new(kind: &'static str, written: Option<BTreeSet<String>>) -> Self {
        Self { kind, written, built: BTreeMap::new() }
    }

    /// What `name` names. A name that nobody wrote is reported at `place`.
    pub(crate) fn find(&self, name: &str, place: &Place<'_>) -> Option<&Arc<V>> {
        self.check(name, place);
        self.built.get(name)
    }

    /// Whether `name` may be referred to; otherwise it is reported at `place`.
    pub(crate) fn check(&self, name: &str, place: &Place<'_>) -> bool {
        let Some(written) = &self.written else { return true };
        let is_known = written.contains(name);
        if !is_known {
            let suggestion = place.suggestion(name, written.iter().map(String::as_str));
            place.fault(format!("there is no {} `{}`{suggestion}", self.kind, shown(name)));
        }
        is_known
    }

    /// What the texts of a list name, each once.
    pub(crate) fn find_all(&self, items: &[Value<'_>]) -> Vec<Arc<V>> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for item in items {
            let Some(name) = item.text() else { continue };
            if seen.insert(name) {
                found.extend(self.find(name, &item.place).cloned());
            } else {
                item.fault(format!("`{}` is here twice", shown(name)));
            }
        }
        found
    }
}
