//! models.dev's `api.json`: providers, each with models, each with `cost` in dollars per million tokens.
//!
//! An entry's key is `<provider>/<model>`. A model's own id is a key too where every provider that lists it asks the
//! same: otherwise the id alone does not say a price.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    catalog::model::{Rates, Tier},
    prices::{
        Listing,
        format::{Figure, Parsed, entry, tiers},
    },
};

/// The threshold of the older field for long contexts.
const LONG: u64 = 200_000;

#[derive(Deserialize)]
struct Provider<'a> {
    #[serde(borrow, default)]
    models: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct Listed {
    cost: Option<Cost>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cost {
    input: Figure,
    output: Figure,
    cache_read: Figure,
    cache_write: Figure,
    context_over_200k: Option<Long>,
    tiers: Vec<LongTier>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Long {
    input: Figure,
    output: Figure,
    cache_read: Figure,
    cache_write: Figure,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LongTier {
    tier: Option<Threshold>,
    input: Figure,
    output: Figure,
    cache_read: Figure,
    cache_write: Figure,
}

#[derive(Deserialize)]
struct Threshold {
    r#type: Option<String>,
    size: Option<u64>,
}

pub(super) fn parse(text: &str) -> Result<Parsed, serde_json::Error> {
    let document: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
    let mut parsed = Parsed::default();
    // What each model id costs by itself: nothing where providers differ.
    let mut alone: BTreeMap<String, Option<Listing>> = BTreeMap::new();
    for (provider, raw) in &document {
        let Some(listed) = entry::<Provider<'_>>(raw) else {
            parsed.take("", None);
            continue;
        };
        for (id, raw) in listed.models {
            let listing =
                entry::<Listed>(raw).and_then(|listed| listed.cost).map(|cost| listing(&cost));
            if let Some(listing) = &listing {
                alone
                    .entry(id.clone())
                    .and_modify(|kept| *kept = kept.take().filter(|kept| kept == listing))
                    .or_insert_with(|| Some(listing.clone()));
            }
            parsed.take(&format!("{provider}/{id}"), listing);
        }
    }
    for (id, listing) in alone {
        if listing.is_some() && !parsed.entries.contains_key(&id) {
            let rejected = parsed.rejected;
            parsed.take(&id, listing);
            // It was counted under its full key.
            parsed.rejected = rejected;
        }
    }
    Ok(parsed)
}

fn listing(cost: &Cost) -> Listing {
    let above = if cost.tiers.is_empty() {
        cost.context_over_200k
            .iter()
            .map(|long| Tier {
                above: LONG,
                rates: rates(long.input, long.output, long.cache_read, long.cache_write),
            })
            .collect()
    } else {
        cost.tiers.iter().filter_map(tier).collect()
    };
    Listing {
        rates: rates(cost.input, cost.output, cost.cache_read, cost.cache_write),
        tiers: tiers(above),
    }
}

fn tier(long: &LongTier) -> Option<Tier> {
    let threshold = long.tier.as_ref()?;
    if threshold.r#type.as_deref().is_some_and(|kind| kind != "context") {
        return None;
    }
    Some(Tier {
        above: threshold.size?,
        rates: rates(long.input, long.output, long.cache_read, long.cache_write),
    })
}

fn rates(input: Figure, output: Figure, cache_read: Figure, cache_write: Figure) -> Rates {
    Rates {
        input: input.per(1e6),
        output: output.per(1e6),
        cache_read: cache_read.per(1e6),
        cache_write: cache_write.per(1e6),
    }
}
