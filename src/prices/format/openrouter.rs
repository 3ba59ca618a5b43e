//! `OpenRouter`'s `/api/v1/models`: `data`, an array of models with `pricing` in texts of dollars per token.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    catalog::model::{Rates, Tier},
    prices::{
        Listing,
        format::{Figure, Parsed, entry, tiers},
    },
};

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    pricing: Option<Pricing>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pricing {
    prompt: Figure,
    completion: Figure,
    input_cache_read: Figure,
    input_cache_write: Figure,
    overrides: Vec<Override>,
}

/// Prices from a prompt size on.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Override {
    min_prompt_tokens: Option<u64>,
    prompt: Figure,
    completion: Figure,
    input_cache_read: Figure,
    input_cache_write: Figure,
}

pub(super) fn parse(text: &str) -> Result<Parsed, serde_json::Error> {
    let document: Document<'_> = serde_json::from_str(text)?;
    let mut parsed = Parsed::default();
    for raw in document.data {
        match entry::<Listed>(raw) {
            Some(listed) => parsed.take(&listed.id, listed.pricing.as_ref().map(listing)),
            None => parsed.take("", None),
        }
    }
    Ok(parsed)
}

fn listing(pricing: &Pricing) -> Listing {
    let above = pricing.overrides.iter().filter_map(|over| {
        Some(Tier {
            above: over.min_prompt_tokens?.saturating_sub(1),
            rates: rates(
                over.prompt,
                over.completion,
                over.input_cache_read,
                over.input_cache_write,
            ),
        })
    });
    Listing {
        rates: rates(
            pricing.prompt,
            pricing.completion,
            pricing.input_cache_read,
            pricing.input_cache_write,
        ),
        tiers: tiers(above.collect()),
    }
}

fn rates(prompt: Figure, completion: Figure, read: Figure, write: Figure) -> Rates {
    Rates {
        input: prompt.per(1.0),
        output: completion.per(1.0),
        cache_read: read.per(1.0),
        cache_write: write.per(1.0),
    }
}
