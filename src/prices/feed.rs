//! The memory of one live feed: its last good values, and those that wait to be believed.
//!
//! What a fetch brings replaces what was known, entry by entry. An entry that is missing from a fetch keeps its last
//! good value, which then ages. A value that jumps is kept aside as a rival: it replaces the known one when fetches go
//! on saying the same for [`CONFIRMATION`], at least [`CONFIRMATIONS`] of them, so that a feed that confuses its units
//! for an afternoon changes nothing, and a price that really moved is followed a day later. An operator who wants it
//! sooner writes it into the configuration.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use crate::prices::{Listing, MAX_AGE, format::Parsed, is_jump};

/// A jump is believed when fetches have said the same for this long …
pub const CONFIRMATION: SignedDuration = SignedDuration::from_hours(24);
/// … and at least this often.
pub const CONFIRMATIONS: u32 = 3;

/// One live feed.
#[derive(Debug, Clone)]
pub struct Feed {
    name: Arc<str>,
    entries: BTreeMap<String, Entry>,
    fetched: Option<Timestamp>,
}

/// The last good value of one key.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What the feed says.
    pub listing: Listing,
    /// When a fetch last said so.
    pub seen: Timestamp,
    since: Timestamp,
    times: u32,
    rival: Option<Rival>,
}

/// A value too far from the last good one.
#[derive(Debug, Clone)]
struct Rival {
    listing: Listing,
    since: Timestamp,
    times: u32,
}

/// What a fetch brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Intake {
    /// Entries that are in force now.
    pub taken: usize,
    /// Entries held back because they jump.
    pub held: usize,
    /// Entries that made no sense.
    pub rejected: usize,
}

impl Feed {
    /// A feed that has not been fetched yet; `name` is what people call it.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), entries: BTreeMap::new(), fetched: None }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// When it was last fetched with success.
    pub fn fetched(&self) -> Option<Timestamp> {
        self.fetched
    }

    /// The last good value under `key`.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Takes in what a fetch at the time `at` brought.
    pub fn accept(&mut self, parsed: Parsed, at: Timestamp) -> Intake {
        let mut intake = Intake { rejected: parsed.rejected, ..Intake::default() };
        for (key, listing) in parsed.entries {
            let held = self.entries.get_mut(&key).is_some_and(|entry| !entry.accept(&listing, at));
            if held {
                intake.held = intake.held.saturating_add(1);
            } else {
                self.entries.entry(key).or_insert_with(|| Entry::new(listing, at));
                intake.taken = intake.taken.saturating_add(1);
            }
        }
        self.entries.retain(|_, entry| at.duration_since(entry.seen) <= MAX_AGE);
        self.fetched = Some(self.fetched.map_or(at, |fetched| fetched.max(at)));
        intake
    }
}

impl Entry {
    fn new(listing: Listing, at: Timestamp) -> Self {
        Self { listing, seen: at, since: at, times: 1, rival: None }
    }

    /// Whether fetches have said about the same for long enough to believe even a jump.
    pub fn lasted(&self) -> bool {
        self.times >= CONFIRMATIONS && self.seen.duration_since(self.since) >= CONFIRMATION
    }

    fn accept(&mut self, listing: &Listing, at: Timestamp) -> bool {
        if !is_jump(&self.listing.rates, &listing.rates) {
            self.listing = listing.clone();
            self.seen = self.seen.max(at);
            self.times = self.times.saturating_add(1);
            self.rival = None;
            return true;
        }
        let rival = match self.rival.take() {
            Some(rival) if !is_jump(&rival.listing.rates, &listing.rates) => {
                Rival { listing: listing.clone(), times: rival.times.saturating_add(1), ..rival }
            }
            _ => Rival { listing: listing.clone(), since: at, times: 1 },
        };
        let confirmed =
            rival.times >= CONFIRMATIONS && at.duration_since(rival.since) >= CONFIRMATION;
        if confirmed {
            let (since, times) = (rival.since, rival.times);
            *self = Self { listing: rival.listing, seen: at, since, times, rival: None };
        } else {
            self.rival = Some(rival);
        }
        confirmed
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "times of a few hours and days")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{catalog::model::Rates, money::PerMillion};

    fn parsed(input: f64) -> Parsed {
        let rates = Rates { input: PerMillion::new(input), ..Rates::default() };
        let listing = Listing { rates, tiers: Vec::new() };
        Parsed { entries: BTreeMap::from([("m".to_owned(), listing)]), rejected: 0 }
    }

    fn hour(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    fn price(feed: &Feed) -> f64 {
        feed.entry("m").unwrap().listing.rates.input.unwrap().dollars()
    }

    #[test]
    fn small_changes_are_taken_at_once() {
        let mut feed = Feed::new("f");
        feed.accept(parsed(1.0), hour(0));
        assert_eq!(feed.accept(parsed(9.0), hour(1)).taken, 1);
        assert!((price(&feed) - 9.0).abs() < 1e-9);
    }

    #[test]
    fn a_jump_is_held_until_it_has_lasted() {
        let mut feed = Feed::new("f");
        feed.accept(parsed(1.0), hour(0));
        for at in [6, 12, 18, 24] {
            assert_eq!(feed.accept(parsed(1000.0), hour(at)).held, 1);
            assert!((price(&feed) - 1.0).abs() < 1e-9);
        }
        assert_eq!(feed.accept(parsed(1000.0), hour(30)).taken, 1);
        assert!((price(&feed) - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn a_jump_that_goes_away_is_forgotten() {
        let mut feed = Feed::new("f");
        feed.accept(parsed(1.0), hour(0));
        feed.accept(parsed(1000.0), hour(6));
        feed.accept(parsed(1.1), hour(12));
        for at in [18, 24, 30, 36] {
            assert_eq!(feed.accept(parsed(1000.0), hour(at)).held, 1);
        }
    }

    #[test]
    fn a_price_that_turns_to_zero_is_a_jump() {
        let mut feed = Feed::new("f");
        feed.accept(parsed(1.0), hour(0));
        assert_eq!(feed.accept(parsed(0.0), hour(6)).held, 1);
        assert!((price(&feed) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn an_entry_that_vanishes_keeps_its_last_good_value_until_it_is_old() {
        let mut feed = Feed::new("f");
        feed.accept(parsed(1.0), hour(0));
        feed.accept(Parsed::default(), hour(6));
        assert!((price(&feed) - 1.0).abs() < 1e-9);
        feed.accept(Parsed::default(), hour(24 * 8));
        assert!(feed.entry("m").is_none());
    }

    proptest! {
        /// Whatever a feed says within a day, the price in force stays within the factor of what it was.
        #[test]
        fn no_fault_of_a_day_moves_a_price_beyond_the_factor(
            says in prop::collection::vec(0.0..1e4_f64, 1..20),
        ) {
            let mut feed = Feed::new("f");
            feed.accept(parsed(1.0), hour(0));
            let mut last = 1.0_f64;
            for (minute, value) in (1..).zip(says) {
                feed.accept(parsed(value), Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute));
                let now = price(&feed);
                prop_assert!(now <= last * 10.0 + 1e-9 && now * 10.0 + 1e-9 >= last);
                last = now;
            }
        }
    }
}
