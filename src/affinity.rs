//! What is remembered of conversations: which model goes on with which, and who issued which response id.
//!
//! A conversation is known by the session that its caller names, else by a fingerprint of how it began; either way the
//! caller and the router are part of the key, so that no tenant meets another's pin. Keys are kept as 128 bits of a
//! hash with random seeds: their size is bounded whatever a caller sends, and nobody can make two of them collide.
//!
//! Both stores are bounded, and forget what was not seen for `affinity.idle`; beyond the capacity the conversation seen
//! least recently is forgotten and is then routed like a new one. A pin holds a model's name, no more: whether that
//! model is still in the router is asked of the catalog, each time. The stores read the clock themselves (moka), which
//! is the one impurity in this layer.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{notification::RemovalCause, policy::EvictionPolicy, sync::Cache};
use parking_lot::RwLock;

use crate::{
    catalog::{model::Target, settings::Affinity},
    ids::{KeyName, ModelId, RouterName, TargetId, TaskName},
    money::Usd,
};

/// Every conversation that is remembered. One for the process.
pub struct Pins {
    seeds: [RandomState; 2],
    stores: RwLock<Stores>,
    evicted: Arc<AtomicU64>,
}

/// What a conversation is remembered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u64; 2]);

/// The most endpoints whose caches are remembered for one conversation: those used last.
const MOST_LEFT: usize = 4;

/// The past of one conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Pin {
    /// The task that its first request was matched to.
    pub task: Option<TaskName>,
    /// The model that answered last.
    pub model: ModelId,
    /// The endpoint that answered last, where it is known.
    pub target: Option<TargetId>,
    /// When it answered.
    pub used: Instant,
    /// What it has left in the caches of endpoints, those used last first, each once.
    pub left: Vec<Left>,
    /// What the conversation has cost so far, as expected when it was decided.
    pub spent: Usd,
    /// What it would have cost had each turn stayed with the model of the turn before.
    pub unswitched: Usd,
}

/// What an endpoint has read of a conversation, and its provider's cache may still hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// The endpoint.
    pub target: TargetId,
    /// How the conversation began: a session that its caller names may hold several.
    pub beginning: Key,
    /// The tokens with which the next request begins as that one did.
    pub prefix_tokens: u64,
    /// When it was answered.
    pub used: Instant,
    /// How long the provider keeps it.
    pub lifetime: Duration,
}

struct Stores {
    settings: Affinity,
    pins: Cache<Key, Pin>,
    issuers: Cache<Key, TargetId>,
}

/// What a key is made of, first of all: no session looks like a fingerprint, whatever a caller writes.
#[derive(Hash)]
enum Kind {
    Session,
    Fingerprint,
    Response,
}

impl Pins {
    /// Remembers nothing yet.
    pub fn new(settings: &Affinity) -> Self {
        let evicted = Arc::new(AtomicU64::new(0));
        Self {
            seeds: [RandomState::new(), RandomState::new()],
            stores: RwLock::new(Stores::new(*settings, &evicted)),
            evicted,
        }
    }

    /// Takes over changed settings. What is remembered is kept, as far as it still fits.
    pub fn resize(&self, settings: &Affinity) {
        let mut stores = self.stores.write();
        if stores.settings == *settings {
            return;
        }
        let new = Stores::new(*settings, &self.evicted);
        for (key, pin) in &stores.pins {
            new.pins.insert(*key, pin);
        }
        for (key, target) in &stores.issuers {
            new.issuers.insert(*key, target);
        }
        *stores = new;
    }

    /// The key of a session that `caller` named, at `router`.
    pub fn session(&self, caller: Option<&KeyName>, router: &RouterName, session: &str) -> Key {
        self.key(&(Kind::Session, caller, router, session))
    }

    /// The key of a conversation that its beginning tells from others. `beginning` must hold the caller and the router.
    pub fn fingerprint(&self, beginning: &impl Hash) -> Key {
        self.key(&(Kind::Fingerprint, beginning))
    }

    /// The past of a conversation, which is thereby seen.
    pub fn find(&self, key: &Key) -> Option<Pin> {
        self.stores.read().pins.get(key)
    }

    /// Remembers who answered; what was known of the conversation is replaced.
    pub fn put(&self, key: &Key, pin: Pin) {
        self.stores.read().pins.insert(*key, pin);
    }

    /// Forgets a conversation.
    pub fn forget(&self, key: &Key) {
        self.stores.read().pins.invalidate(key);
    }

    /// Forgets every conversation whose model `keep` says no to: to be called with each new catalog.
    pub fn retain(&self, keep: impl Fn(&ModelId) -> bool) {
        let stores = self.stores.read();
        for (key, pin) in &stores.pins {
            if !keep(&pin.model) {
                stores.pins.invalidate(&*key);
            }
        }
    }

    /// Remembers that `target` issued the response id `id` to `caller`.
    pub fn issued(&self, caller: Option<&KeyName>, id: &str, target: &TargetId) {
        self.stores.read().issuers.insert(self.response(caller, id), target.clone());
    }

    /// Who issued the response id `id` to `caller`; `None` where this process does not know.
    pub fn issuer(&self, caller: Option<&KeyName>, id: &str) -> Option<TargetId> {
        self.stores.read().issuers.get(&self.response(caller, id))
    }

    /// How many conversations and response ids have had to make room for others.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    fn response(&self, caller: Option<&KeyName>, id: &str) -> Key {
        self.key(&(Kind::Response, caller, id))
    }

    fn key(&self, parts: &impl Hash) -> Key {
        let [first, second] = &self.seeds;
        Key([first.hash_one(parts), second.hash_one(parts)])
    }
}

impl Pin {
    /// A conversation that `target` has just answered for the first time.
    pub fn new(task: Option<TaskName>, target: &Target, now: Instant) -> Self {
        Self {
            task,
            model: target.model.clone(),
            target: Some(target.id.clone()),
            used: now,
            left: Vec::new(),
            spent: Usd::ZERO,
            unswitched: Usd::ZERO,
        }
    }

    /// The same, with what the conversation has cost so far and what it would have cost without a change of models.
    #[must_use]
    pub fn costing(self, spent: Usd, unswitched: Usd) -> Self {
        Self { spent, unswitched, ..self }
    }

    /// The same, with what its last answer left in a cache and what answers before it did, as far as that can be there
    /// still.
    #[must_use]
    pub fn leaving(self, new: Left, before: &[Left]) -> Self {
        let now = self.used;
        let others = before.iter().filter(|left| left.target != new.target && left.may_last(now));
        let mut left: Vec<Left> = others.take(MOST_LEFT.saturating_sub(1)).cloned().collect();
        left.insert(0, new);
        Self { left, ..self }
    }

    /// How long ago the last answer was.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.used)
    }
}

impl Left {
    /// How long ago it was answered.
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.used)
    }

    /// Providers may keep a prefix longer than they promise, but hardly twice as long.
    fn may_last(&self, now: Instant) -> bool {
        self.age(now) < self.lifetime.saturating_mul(2)
    }
}

impl Stores {
    fn new(settings: Affinity, evicted: &Arc<AtomicU64>) -> Self {
        Self { settings, pins: store(settings, evicted), issuers: store(settings, evicted) }
    }
}

/// The oldest makes room for the newest. Moka's own policy would rather refuse the newest, which would leave new
/// conversations unremembered for as long as old ones linger.
fn store<V: Clone + Send + Sync + 'static>(
    settings: Affinity,
    evicted: &Arc<AtomicU64>,
) -> Cache<Key, V> {
    let evicted = Arc::clone(evicted);
    Cache::builder()
        .max_capacity(settings.capacity)
        .time_to_idle(settings.idle)
        .eviction_policy(EvictionPolicy::lru())
        .eviction_listener(move |_, _, cause| {
            if cause == RemovalCause::Size {
                evicted.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::ProviderId;

    const SETTINGS: Affinity = Affinity { idle: Duration::from_hours(1), capacity: 100 };

    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do: all others are made from it"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    fn pin(model: &str) -> Pin {
        let model = ModelId::parse(model).unwrap();
        Pin {
            task: None,
            target: Some(TargetId::new(&model, &ProviderId::parse("p").unwrap(), "x")),
            model,
            used: start(),
            left: Vec::new(),
            spent: Usd::ZERO,
            unswitched: Usd::ZERO,
        }
    }

    fn router(name: &str) -> RouterName {
        RouterName::parse(name).unwrap()
    }

    fn held(pins: &Pins) -> u64 {
        let stores = pins.stores.read();
        stores.pins.run_pending_tasks();
        stores.pins.entry_count()
    }

    #[test]
    fn a_session_is_one_callers_at_one_router() {
        let pins = Pins::new(&SETTINGS);
        let (ann, bob) = (KeyName::parse("ann").unwrap(), KeyName::parse("bob").unwrap());
        let key = pins.session(Some(&ann), &router("r"), "s");
        pins.put(&key, pin("m"));
        assert_eq!(pins.find(&key).unwrap().model.as_str(), "m");
        assert_eq!(pins.session(Some(&ann), &router("r"), "s"), key);
        for other in [
            pins.session(Some(&bob), &router("r"), "s"),
            pins.session(None, &router("r"), "s"),
            pins.session(Some(&ann), &router("q"), "s"),
            pins.session(Some(&ann), &router("r"), "t"),
            pins.session(Some(&ann), &router("rs"), ""),
            pins.fingerprint(&(Some(&ann), router("r"), "s")),
        ] {
            assert!(pins.find(&other).is_none());
        }
    }

    #[test]
    fn a_pin_moves_and_is_forgotten() {
        let pins = Pins::new(&SETTINGS);
        let key = pins.fingerprint(&"beginning");
        pins.put(&key, pin("a"));
        pins.put(&key, pin("b"));
        assert_eq!(pins.find(&key).unwrap().model.as_str(), "b");
        pins.forget(&key);
        assert_eq!(pins.find(&key), None);
    }

    #[test]
    fn a_model_that_left_the_catalog_leaves_no_pin() {
        let pins = Pins::new(&SETTINGS);
        let (stays, goes) = (pins.fingerprint(&1), pins.fingerprint(&2));
        pins.put(&stays, pin("stays"));
        pins.put(&goes, pin("goes"));
        pins.retain(|model| model.as_str() == "stays");
        assert!(pins.find(&stays).is_some() && pins.find(&goes).is_none());
    }

    #[test]
    fn what_is_not_seen_for_long_is_forgotten() {
        let pins = Pins::new(&Affinity { idle: Duration::from_nanos(1), ..SETTINGS });
        let key = pins.fingerprint(&1);
        pins.put(&key, pin("m"));
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(pins.find(&key), None);
    }

    #[test]
    fn other_settings_keep_what_still_fits() {
        let pins = Pins::new(&SETTINGS);
        let keys: Vec<Key> = (0..50).map(|number| pins.fingerprint(&number)).collect();
        for key in &keys {
            pins.put(key, pin("m"));
        }
        pins.issued(None, "resp_1", pin("m").target.as_ref().unwrap());
        pins.resize(&Affinity { capacity: 200, ..SETTINGS });
        assert!(keys.iter().all(|key| pins.find(key).is_some()));
        assert!(pins.issuer(None, "resp_1").is_some());
        pins.resize(&Affinity { capacity: 10, ..SETTINGS });
        assert_eq!(held(&pins), 10);
    }

    #[test]
    fn a_response_id_belongs_to_who_issued_it() {
        let pins = Pins::new(&SETTINGS);
        let target = pin("m").target.unwrap();
        pins.issued(None, "resp_1", &target);
        assert_eq!(pins.issuer(None, "resp_1"), Some(target));
        assert_eq!(pins.issuer(None, "resp_2"), None);
        assert_eq!(pins.issuer(None, &"x".repeat(1 << 20)), None);
    }

    #[test]
    fn two_processes_hash_differently() {
        let (one, other) = (Pins::new(&SETTINGS), Pins::new(&SETTINGS));
        assert_ne!(one.fingerprint(&"s"), other.fingerprint(&"s"));
    }

    #[test]
    fn the_age_is_never_negative() {
        let pin = pin("m");
        let later = pin.used.checked_add(Duration::from_secs(3)).unwrap();
        assert_eq!(pin.age(later), Duration::from_secs(3));
        assert_eq!(Pin { used: later, ..pin.clone() }.age(pin.used), Duration::ZERO);
    }

    fn left(endpoint: u64, used: Instant) -> Left {
        let model = ModelId::parse(&format!("m{endpoint}")).unwrap();
        Left {
            target: TargetId::new(&model, &ProviderId::parse("p").unwrap(), "x"),
            beginning: Key([1, 1]),
            prefix_tokens: 5000,
            used,
            lifetime: Duration::from_mins(5),
        }
    }

    #[test]
    fn what_several_endpoints_hold_is_remembered_within_bounds() {
        let begin = start();
        let mut known = pin("m");
        for minute in 0..20_u64 {
            let now = begin.checked_add(Duration::from_secs(minute * 30)).unwrap();
            let next = Pin { used: now, ..pin("m") };
            known = next.leaving(left(minute % 3, now), &known.left);
            assert!(known.left.len() <= 3, "each endpoint once");
            assert_eq!(known.left[0].used, now, "the last one first");
        }
        assert_eq!(known.left.len(), 3);
        for other in 0..20 {
            let next = Pin { used: known.used, ..pin("m") };
            known = next.leaving(left(100 + other, known.used), &known.left);
            assert!(known.left.len() <= MOST_LEFT);
        }
        // After twice its lifetime nothing of it is left.
        let late = known.used.checked_add(Duration::from_mins(10)).unwrap();
        let next = Pin { used: late, ..pin("m") };
        assert_eq!(next.leaving(left(7, late), &known.left).left.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// J01: the map never holds more than its capacity, the newest is always there, and evictions are counted.
        #[test]
        fn it_stays_within_its_capacity(capacity in 1..64_u64, conversations in 0..2_000_u64) {
            let pins = Pins::new(&Affinity { capacity, ..SETTINGS });
            for conversation in 0..conversations {
                let key = pins.fingerprint(&conversation);
                pins.put(&key, pin("m"));
                prop_assert!(held(&pins) <= capacity);
                prop_assert!(pins.find(&key).is_some());
            }
            prop_assert_eq!(held(&pins), conversations.min(capacity));
            prop_assert_eq!(pins.evicted(), conversations.saturating_sub(capacity));
        }
    }
}
