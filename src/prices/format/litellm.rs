//! `LiteLLM`'s `model_prices_and_context_window.json`: one object, keyed by model, dollars per token.
//!
//! Long-context prices hide in field names (`input_cost_per_token_above_200k_tokens`); names with a further suffix
//! (`_priority`, `_flex`, `_batches`) are other services' prices and left out.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{
    catalog::model::{Rates, Tier},
    prices::{
        Listing,
        format::{Figure, Parsed, entry, tiers},
    },
};

/// The specimen entry that documents the format.
const SPECIMEN: &str = "sample_spec";

pub(super) fn parse(text: &str) -> Result<Parsed, serde_json::Error> {
    let document: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
    let mut parsed = Parsed::default();
    for (key, raw) in &document {
        if key != SPECIMEN {
            parsed.take(key, entry(raw).map(|fields| listing(&fields)));
        }
    }
    Ok(parsed)
}

fn listing(fields: &BTreeMap<String, Figure>) -> Listing {
    let mut above: BTreeMap<u64, Rates> = BTreeMap::new();
    let mut rates = Rates::default();
    for (name, figure) in fields {
        if let Some(threshold) = threshold(name) {
            set(above.entry(threshold).or_default(), name, *figure);
        } else {
            set_exact(&mut rates, name, *figure);
        }
    }
    let above = above.into_iter().map(|(above, rates)| Tier { above, rates }).collect();
    Listing { rates, tiers: tiers(above) }
}

/// The threshold in a name such as `…_above_200k_tokens`.
fn threshold(name: &str) -> Option<u64> {
    let (_, rest) = name.split_once("_above_")?;
    rest.strip_suffix("k_tokens")?.parse::<u64>().ok()?.checked_mul(1000)
}

fn set(rates: &mut Rates, name: &str, figure: Figure) {
    if let Some((name, _)) = name.split_once("_above_") {
        set_exact(rates, name, figure);
    }
}

fn set_exact(rates: &mut Rates, name: &str, figure: Figure) {
    let rate = figure.per(1.0);
    match name {
        "input_cost_per_token" => rates.input = rate,
        "output_cost_per_token" => rates.output = rate,
        "cache_read_input_token_cost" => rates.cache_read = rate,
        "cache_creation_input_token_cost" => rates.cache_write = rate,
        _ => {}
    }
}
