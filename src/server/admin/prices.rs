//! Prices in force and where they are from, as the admin listener's documents show them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use url::Url;

use crate::{
    catalog::{Catalog, model::Model},
    engine::Engine,
    money::PerMillion,
    prices::{PriceTable, Source},
    server::admin::figure,
};

const CONFIGURED: &str = "configured";

/// Where prices are from, and for how many models.
#[derive(Serialize)]
pub struct PriceSource {
    source: String,
    age_s: Option<f64>,
    models: u64,
    fault: Option<String>,
}

/// The price of one model in force now, in dollars per million tokens; a part that is not known is null.
#[derive(Serialize)]
pub struct Price {
    input: Option<f64>,
    cache_read: Option<f64>,
    cache_write: Option<f64>,
    output: Option<f64>,
    source: String,
    age_s: Option<f64>,
}

/// The price of a plain request to the model's first endpoint; nothing where no part of it is known.
pub fn of(model: &Model, prices: &PriceTable, wall: Timestamp) -> Option<Price> {
    let target = model.targets.first()?;
    let quote = prices.quote(model, target, 0, wall);
    let rates = quote.rates;
    let parts = [rates.input, rates.cache_read, rates.cache_write, rates.output];
    parts.iter().any(Option::is_some).then_some(())?;
    // Cache rates that are absent are charged as input.
    let [input, cache_read, cache_write, output] = [
        rates.input,
        rates.cache_read.or(rates.input),
        rates.cache_write.or(rates.input),
        rates.output,
    ]
    .map(|rate| rate.map(PerMillion::dollars));
    let (source, age) = told(quote.source, wall);
    Some(Price { input, cache_read, cache_write, output, source, age_s: age.map(seconds) })
}

/// Every source, the configuration first, then the feeds by name; one without a price of ours is there too.
pub fn sources(engine: &Engine, catalog: &Catalog, wall: Timestamp) -> Vec<PriceSource> {
    let prices = engine.prices.load();
    let mut found: BTreeMap<String, (u64, Option<SignedDuration>)> = BTreeMap::new();
    for feed in &catalog.settings.prices {
        found.insert(shown(feed.url.as_str()), (0, None));
    }
    let mut configured: u64 = 0;
    for model in catalog.models.values() {
        let Some(target) = model.targets.first() else { continue };
        let quote = prices.quote(model, target, 0, wall);
        if quote.known().is_none() {
            continue;
        }
        let (source, age) = told(quote.source, wall);
        if source == CONFIGURED {
            configured = configured.saturating_add(1);
            continue;
        }
        let entry = found.entry(source).or_default();
        entry.0 = entry.0.saturating_add(1);
        entry.1 = age.min(entry.1.or(age));
    }
    let own =
        PriceSource { source: CONFIGURED.to_owned(), age_s: None, models: configured, fault: None };
    let feeds = found.into_iter().map(|(source, (models, age))| {
        let fault = prices.faults.iter().find(|fault| shown(&fault.feed) == source);
        let fault = fault.map(|fault| fault.text.clone());
        PriceSource { source, age_s: age.map(seconds), models, fault }
    });
    std::iter::once(own).chain(feeds).collect()
}

fn told(source: Source<'_>, wall: Timestamp) -> (String, Option<SignedDuration>) {
    match source {
        Source::Configured => (CONFIGURED.to_owned(), None),
        Source::Feed { name, seen, .. } => {
            let age = wall.duration_since(seen).max(SignedDuration::ZERO);
            (shown(name), Some(age))
        }
    }
}

/// A feed's address without what may be a credential.
fn shown(address: &str) -> String {
    let Ok(url) = Url::parse(address) else { return "feed".to_owned() };
    format!("{}{}", url.host_str().unwrap_or_default(), url.path())
}

fn seconds(age: SignedDuration) -> f64 {
    figure::seconds(age.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feeds_credential_is_not_shown() {
        let address = "https://user:pass@feeds.example/v1/prices.json?key=abc#d";
        assert_eq!(shown(address), "feeds.example/v1/prices.json");
    }
}
