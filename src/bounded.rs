//! A map with a cap: whatever a caller or an upstream can make grow, grows no further than this.
//!
//! When the map is full, the entry that was used least recently makes room, and the eviction is counted. The hasher is
//! the standard library's keyed one, so keys that a caller chooses cannot be made to collide. Deliberately absent: time
//! (an entry does not expire) and locks (whoever shares a map brings its own).

pub mod memory;

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// A map of at most a fixed number of entries; the one used least recently goes first.
#[derive(Debug)]
pub struct BoundedMap<K, V> {
    capacity: usize,
    entries: HashMap<K, Entry<V>>,
    order: BTreeMap<u64, K>,
    uses: u64,
    evicted: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    /// Where the key stands in `order`.
    used: u64,
}

impl<K: Clone + Eq + Hash, V> BoundedMap<K, V> {
    /// An empty map of at most `capacity` entries, and at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            entries: HashMap::new(),
            order: BTreeMap::new(),
            uses: 0,
            evicted: 0,
        }
    }

    /// The most entries that it holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries have had to make room since the map was made.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The value of `key`; looking does not count as a use.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The value of `key`, which is thereby used.
    pub fn touch<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let now = next(&mut self.uses);
        let entry = self.entries.get_mut(key)?;
        if let Some(owned) = self.order.remove(&entry.used) {
            self.order.insert(now, owned);
        }
        entry.used = now;
        Some(&mut entry.value)
    }

    /// The value of `key`, which is thereby used, made by `make` where there is none.
    pub fn entry(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        if self.touch(key).is_none() {
            self.make_room();
        }
        let now = self.uses;
        let order = &mut self.order;
        let entry = self.entries.entry(key.clone()).or_insert_with(|| {
            order.insert(now, key.clone());
            Entry { value: make(), used: now }
        });
        &mut entry.value
    }

    /// Puts `value` under `key`, which is thereby used, and returns what was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(kept) = self.touch(&key) {
            return Some(std::mem::replace(kept, value));
        }
        self.make_room();
        self.order.insert(self.uses, key.clone());
        self.entries.insert(key, Entry { value, used: self.uses });
        None
    }

    /// Takes the entry of `key` out; this is no eviction.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.used);
        Some(entry.value)
    }

    /// Keeps the entries that `keep` says yes to; the others are no evictions.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let order = &mut self.order;
        self.entries.retain(|key, entry| {
            let kept = keep(key, &mut entry.value);
            if !kept {
                order.remove(&entry.used);
            }
            kept
        });
    }

    /// Every entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    fn make_room(&mut self) {
        while self.entries.len() >= self.capacity {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.entries.remove(&oldest);
            self.evicted = self.evicted.saturating_add(1);
        }
    }
}

/// The next number in the order of uses: one that no entry has.
fn next(uses: &mut u64) -> u64 {
    *uses = uses.saturating_add(1);
    *uses
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_least_recently_used_makes_room() {
        let mut map = BoundedMap::new(2);
        map.insert("a", 1);
        map.insert("b", 2);
        assert_eq!(map.touch("a"), Some(&mut 1));
        map.insert("c", 3);
        assert_eq!((map.get("a"), map.get("b"), map.get("c")), (Some(&1), None, Some(&3)));
        assert_eq!(map.evicted(), 1);
    }

    #[test]
    fn replacing_removing_and_retaining_evict_nothing() {
        let mut map = BoundedMap::new(2);
        assert_eq!(map.insert("a", 1), None);
        assert_eq!(map.insert("a", 2), Some(1));
        assert_eq!(map.remove("a"), Some(2));
        *map.entry(&"b", || 5) += 1;
        *map.entry(&"b", || 50) += 1;
        map.insert("c", 8);
        map.retain(|key, _| *key == "b");
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&"b", &7)]);
        assert_eq!((map.len(), map.evicted()), (1, 0));
    }

    #[test]
    fn a_capacity_of_nothing_still_holds_one() {
        let mut map = BoundedMap::new(0);
        map.insert(1, ());
        map.insert(2, ());
        assert_eq!((map.len(), map.capacity()), (1, 1));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u8),
        Entry(u8),
        Touch(u8),
        Remove(u8),
        RetainEven,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..12_u8).prop_map(Step::Insert),
            (0..12_u8).prop_map(Step::Entry),
            (0..12_u8).prop_map(Step::Touch),
            (0..12_u8).prop_map(Step::Remove),
            Just(Step::RetainEven),
        ]
    }

    proptest! {
        /// Against a plain list, the most recently used last.
        #[test]
        fn it_equals_a_list(capacity in 1..6_usize, steps in prop::collection::vec(step(), 0..80)) {
            let mut map = BoundedMap::new(capacity);
            let mut list: Vec<u8> = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(key) => {
                        map.insert(key, key);
                        list.retain(|kept| *kept != key);
                        list.push(key);
                    }
                    Step::Entry(key) => {
                        prop_assert_eq!(*map.entry(&key, || key), key);
                        list.retain(|kept| *kept != key);
                        list.push(key);
                    }
                    Step::Touch(key) => {
                        if map.touch(&key).is_some() {
                            list.retain(|kept| *kept != key);
                            list.push(key);
                        }
                    }
                    Step::Remove(key) => {
                        map.remove(&key);
                        list.retain(|kept| *kept != key);
                    }
                    Step::RetainEven => {
                        map.retain(|key, _| key % 2 == 0);
                        list.retain(|kept| kept % 2 == 0);
                    }
                }
                if list.len() > capacity {
                    list.remove(0);
                }
                let mut held: Vec<u8> = map.iter().map(|(key, _)| *key).collect();
                let mut wanted = list.clone();
                held.sort_unstable();
                wanted.sort_unstable();
                prop_assert_eq!(held, wanted);
                prop_assert!(map.len() <= capacity && map.order.len() == map.len());
            }
        }
    }
}
