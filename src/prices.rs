//! What each endpoint charges now: the operator's rates with live feeds laid over them.
//!
//! A [`PriceTable`] is an immutable snapshot: `feeds` builds a new one after every fetch and every reload and swaps it
//! in, so that a fetch that fails leaves the last good one in place. A live value is used while it was seen within
//! [`MAX_AGE`]; after that the configured price is in force again. A rate that a feed does not name stays what is
//! configured: missing is missing, never zero. A live price that is more than [`JUMP`] times dearer or cheaper than
//! what is in force is held back until it has lasted ([`feed::Feed`]).
//!
//! Off-peak discounts and tiers apply to live prices as to configured ones; a feed's own tiers replace the configured.

pub mod feed;
pub mod format;

mod bill;

use std::{collections::HashMap, sync::Arc};

pub use bill::Bill;
use jiff::{SignedDuration, Timestamp};

use crate::{
    catalog::model::{Model, OffPeak, Rates, Target, Tier},
    ids::TargetId,
    money::PerMillion,
    prices::feed::Feed,
};

/// A live price that no fetch has confirmed for this long is not used any more.
pub const MAX_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A change by more than this factor, either way, is held until it is confirmed.
pub const JUMP: f64 = 10.0;

/// The prices that are in force, by endpoint.
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    live: HashMap<TargetId, Live>,
    /// Live values that are not used because they are too far from the configured price.
    pub held: Vec<Held>,
    /// Feeds whose last fetch brought nothing.
    pub faults: Vec<FeedFault>,
}

/// A feed's price for one endpoint.
#[derive(Debug, Clone, PartialEq)]
struct Live {
    listing: Listing,
    feed: Arc<str>,
    key: Arc<str>,
    seen: Timestamp,
}

/// What a feed says about one model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    /// Its rates; those that the feed does not name are absent.
    pub rates: Rates,
    /// Its rates above numbers of input tokens, by rising threshold.
    pub tiers: Vec<Tier>,
}

/// A live price that waits for confirmation.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The endpoint that it is for.
    pub target: TargetId,
    /// The feed that says so.
    pub feed: Arc<str>,
    /// What it says.
    pub rates: Rates,
}

/// Why the last fetch of a feed brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedFault {
    /// The feed.
    pub feed: Arc<str>,
    /// What is wrong, for people.
    pub text: String,
}

/// The rates of one request at one endpoint, and where they are from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quote<'a> {
    /// The rates, discounts applied; those that are not known are absent.
    pub rates: Rates,
    /// Where they are from.
    pub source: Source<'a>,
    /// The tier that holds for this many input tokens: its threshold.
    pub tier: Option<u64>,
    /// The share taken off at this time of day.
    pub discount: f64,
}

/// Where a price is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// The operator's configuration.
    Configured,
    /// A live feed.
    Feed {
        /// The feed's name.
        name: &'a str,
        /// The entry that belongs to the endpoint.
        key: &'a str,
        /// When a fetch last confirmed it.
        seen: Timestamp,
    },
}

impl Quote<'_> {
    /// What input and output cost, where both are known: only then is there an expected cost.
    pub fn known(&self) -> Option<(PerMillion, PerMillion)> {
        self.rates.input.zip(self.rates.output)
    }
}

impl PriceTable {
    /// The configured prices alone.
    pub fn configured() -> Self {
        Self::default()
    }

    /// The configured prices of `models` with `feeds` laid over them. An endpoint's entry is the one named by its
    /// upstream id, else `<provider>/<id>`, else its catalog name; of several feeds the one that was confirmed last
    /// wins, of equals the first.
    pub fn laid_over<'m>(models: impl IntoIterator<Item = &'m Arc<Model>>, feeds: &[Feed]) -> Self {
        let mut table = Self::default();
        for model in models {
            for target in &model.targets {
                table.lay(model, target, feeds);
            }
        }
        table
    }

    /// The rates of a request of `input_tokens` for `model` at `target`, at the time `wall`.
    pub fn quote(
        &self,
        model: &Model,
        target: &Target,
        input_tokens: u64,
        wall: Timestamp,
    ) -> Quote<'_> {
        let pricing = &model.pricing;
        let live = self.live.get(&target.id).filter(|live| live.is_young(wall));
        let base = live.map_or(pricing.base, |live| overlaid(pricing.base, live.listing.rates));
        let tiers = self.tiers(model, target, wall);
        let tier = tiers.iter().rev().find(|tier| input_tokens > tier.above);
        let rates = tier.map_or(base, |tier| overlaid(base, tier.rates));
        let discount = discount(&pricing.schedule, wall);
        Quote {
            rates: discounted(rates, discount),
            source: live.map_or(Source::Configured, Live::source),
            tier: tier.map(|tier| tier.above),
            discount,
        }
    }

    /// The tiers in force by length of the input, by rising threshold: the feed's own, else the configured ones.
    pub fn tiers<'t>(&'t self, model: &'t Model, target: &Target, wall: Timestamp) -> &'t [Tier] {
        let live = self.live.get(&target.id).filter(|live| live.is_young(wall));
        let tiers = live.map(|live| &live.listing.tiers).filter(|tiers| !tiers.is_empty());
        tiers.unwrap_or(&model.pricing.tiers)
    }

    /// How long ago the live price of `target` was confirmed; `None` where it has none.
    pub fn age(&self, target: &TargetId, wall: Timestamp) -> Option<SignedDuration> {
        self.live.get(target).map(|live| wall.duration_since(live.seen).max(SignedDuration::ZERO))
    }

    fn lay(&mut self, model: &Model, target: &Target, feeds: &[Feed]) {
        let id = format!("{}/{}", target.provider.id, target.upstream_id);
        let keys = [&*target.upstream_id, &id, model.id.as_str()];
        for feed in feeds {
            let Some((key, entry)) =
                keys.iter().find_map(|key| feed.entry(key).map(|entry| (*key, entry)))
            else {
                continue;
            };
            if is_jump(&model.pricing.base, &entry.listing.rates) && !entry.lasted() {
                self.held.push(Held {
                    target: target.id.clone(),
                    feed: feed.name().clone(),
                    rates: entry.listing.rates,
                });
                continue;
            }
            let newer = self.live.get(&target.id).is_none_or(|live| live.seen < entry.seen);
            if newer {
                let (listing, seen) = (entry.listing.clone(), entry.seen);
                let live = Live { listing, feed: feed.name().clone(), key: key.into(), seen };
                self.live.insert(target.id.clone(), live);
            }
        }
    }
}

impl Live {
    fn is_young(&self, wall: Timestamp) -> bool {
        wall.duration_since(self.seen) <= MAX_AGE
    }

    fn source(&self) -> Source<'_> {
        Source::Feed { name: &self.feed, key: &self.key, seen: self.seen }
    }
}

/// Whether any rate that both name differs by more than [`JUMP`] times; between nothing and something it always does.
pub fn is_jump(known: &Rates, new: &Rates) -> bool {
    [
        (known.input, new.input),
        (known.output, new.output),
        (known.cache_read, new.cache_read),
        (known.cache_write, new.cache_write),
    ]
    .into_iter()
    .filter_map(|(known, new)| known.zip(new))
    .any(|(known, new)| {
        let (known, new) = (known.dollars(), new.dollars());
        new > known * JUMP || known > new * JUMP
    })
}

/// The rates of `over`, and those of `base` that it does not name.
fn overlaid(base: Rates, over: Rates) -> Rates {
    Rates {
        input: over.input.or(base.input),
        output: over.output.or(base.output),
        cache_read: over.cache_read.or(base.cache_read),
        cache_write: over.cache_write.or(base.cache_write),
    }
}

fn discounted(rates: Rates, discount: f64) -> Rates {
    let less = |rate: Option<PerMillion>| rate.map(|rate| rate.discounted(discount));
    Rates {
        input: less(rates.input),
        output: less(rates.output),
        cache_read: less(rates.cache_read),
        cache_write: less(rates.cache_write),
    }
}

/// The share taken off at the time `wall`: that of the first stretch that holds it.
fn discount(schedule: &[OffPeak], wall: Timestamp) -> f64 {
    schedule
        .iter()
        .find(|stretch| {
            let time = wall.to_zoned(stretch.zone.clone()).time();
            if stretch.from < stretch.to {
                stretch.from <= time && time < stretch.to
            } else {
                // It crosses midnight, or is the whole day.
                stretch.from <= time || time < stretch.to
            }
        })
        .map_or(0.0, |stretch| stretch.discount)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::{civil::time, tz::TimeZone};
    use url::Url;

    use super::*;
    use crate::{
        catalog::{
            model::{Features, Pricing},
            provider::{Api, Auth, Provider},
            settings::{PriceFormat, Timeouts},
        },
        dialect::modality::Modalities,
        ids::{ModelId, ProviderId},
        prices::format,
    };

    fn rate(dollars: f64) -> Option<PerMillion> {
        PerMillion::new(dollars)
    }

    fn model(pricing: Pricing) -> Arc<Model> {
        let provider = Arc::new(Provider {
            id: ProviderId::parse("acme").unwrap(),
            api: Api::OpenAi,
            base_url: Url::parse("https://acme.example/v1").unwrap(),
            auth: Auth::None,
            query: Vec::new(),
            headers: Vec::new(),
            allow_private: false,
            ca: None,
        });
        let id = ModelId::parse("mine").unwrap();
        let target = Target {
            id: TargetId::new(&id, &provider.id, "m-1"),
            model: id.clone(),
            provider,
            upstream_id: "m-1".into(),
        };
        Arc::new(Model {
            id,
            targets: vec![Arc::new(target)],
            pricing,
            context_window: None,
            modalities: Modalities::TEXT,
            max_output: None,
            features: Features::ALL,
            prefill: false,
            timeouts: Timeouts::default(),
        })
    }

    fn priced(input: f64, output: f64) -> Pricing {
        Pricing {
            base: Rates { input: rate(input), output: rate(output), ..Rates::default() },
            ..Pricing::default()
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn feed(name: &str, key: &str, input: f64, seen: &str) -> Feed {
        let mut feed = Feed::new(name);
        let text =
            format!(r#"{{"data":[{{"id":"{key}","pricing":{{"prompt":"{:e}"}}}}]}}"#, input / 1e6);
        feed.accept(format::parse(PriceFormat::OpenRouter, text.as_bytes()).unwrap(), at(seen));
        feed
    }

    const NOON: &str = "2026-08-01T12:00:00Z";

    fn input_of(table: &PriceTable, model: &Model, tokens: u64, wall: &str) -> f64 {
        let quote = table.quote(model, &model.targets[0], tokens, at(wall));
        (quote.rates.input.unwrap().dollars() * 1e9).round() / 1e9
    }

    #[test]
    fn tiers_and_off_peak_hours_apply() {
        let model = model(Pricing {
            tiers: vec![Tier {
                above: 1000,
                rates: Rates { input: rate(4.0), ..Rates::default() },
            }],
            schedule: vec![OffPeak {
                from: time(22, 0, 0, 0),
                to: time(4, 0, 0, 0),
                zone: TimeZone::get("America/Los_Angeles").unwrap(),
                discount: 0.25,
            }],
            ..priced(2.0, 8.0)
        });
        let table = PriceTable::configured();
        assert!((input_of(&table, &model, 1000, NOON) - 2.0).abs() < 1e-9);
        assert!((input_of(&table, &model, 1001, NOON) - 4.0).abs() < 1e-9);
        // 23:30 and 03:59 in Los Angeles are off-peak, 04:00 is not.
        assert!((input_of(&table, &model, 0, "2026-08-01T06:30:00Z") - 1.5).abs() < 1e-9);
        assert!((input_of(&table, &model, 0, "2026-08-01T10:59:00Z") - 1.5).abs() < 1e-9);
        assert!((input_of(&table, &model, 0, "2026-08-01T11:00:00Z") - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_feed_is_matched_by_upstream_id_then_provider_and_id_then_catalog_name() {
        let model = model(priced(2.0, 8.0));
        for key in ["m-1", "acme/m-1", "mine"] {
            let table = PriceTable::laid_over([&model], &[feed("f", key, 3.0, NOON)]);
            assert!((input_of(&table, &model, 0, NOON) - 3.0).abs() < 1e-9, "{key}");
        }
        let table = PriceTable::laid_over([&model], &[feed("f", "acme/m-2", 3.0, NOON)]);
        assert!((input_of(&table, &model, 0, NOON) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_newest_feed_wins_and_what_it_lacks_stays_configured() {
        let model = model(priced(2.0, 8.0));
        let feeds = [
            feed("old", "m-1", 3.0, "2026-08-01T10:00:00Z"),
            feed("new", "m-1", 4.0, "2026-08-01T11:00:00Z"),
        ];
        let table = PriceTable::laid_over([&model], &feeds);
        let quote = table.quote(&model, &model.targets[0], 0, at(NOON));
        assert!((quote.rates.input.unwrap().dollars() - 4.0).abs() < 1e-9);
        assert_eq!(quote.rates.output, rate(8.0));
        assert!(matches!(quote.source, Source::Feed { name: "new", key: "m-1", .. }));
        let hour = Some(SignedDuration::from_hours(1));
        assert_eq!(table.age(&model.targets[0].id, at(NOON)), hour);
    }

    #[test]
    fn a_stale_feed_gives_way_to_the_configuration() {
        let model = model(priced(2.0, 8.0));
        let table = PriceTable::laid_over([&model], &[feed("f", "m-1", 3.0, NOON)]);
        let late = at(NOON) + MAX_AGE + Duration::from_secs(1);
        let quote = table.quote(&model, &model.targets[0], 0, late);
        assert_eq!((quote.rates.input, quote.source), (rate(2.0), Source::Configured));
    }

    #[test]
    fn a_first_price_far_from_the_configured_one_is_held() {
        let model = model(priced(2.0, 8.0));
        let table = PriceTable::laid_over([&model], &[feed("f", "m-1", 2000.0, NOON)]);
        assert!((input_of(&table, &model, 0, NOON) - 2.0).abs() < 1e-9);
        assert_eq!(table.held.len(), 1);
    }

    #[test]
    fn an_unknown_price_is_absent_not_zero() {
        let model = model(Pricing::default());
        let table = PriceTable::configured();
        assert_eq!(table.quote(&model, &model.targets[0], 0, at(NOON)).known(), None);
    }
}
