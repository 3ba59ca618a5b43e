//! `DigitalOcean`'s model catalog (`/v2/gen-ai/models/catalog`): `data`, an array of models with `pricing`.
//!
//! The fields are named per million, but the live catalog has been seen to hold dollars per token in them. No model
//! costs less than 0.001 dollars per million tokens, and none 0.001 dollars per token, so each value says by its size
//! which of the two it is.
//!
//! The list comes in pages: `links.pages.next` is the address of the next one.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    catalog::model::{Rates, Tier},
    money::PerMillion,
    prices::{
        Listing,
        format::{Figure, Page, Parsed, entry, tiers},
    },
};

/// A value below this is dollars per token.
const PER_TOKEN_BELOW: f64 = 0.001;

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(borrow)]
    links: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Links {
    pages: Option<Pages>,
}

#[derive(Deserialize)]
struct Pages {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    model_id: String,
    pricing: Option<Prices>,
    pricing_detail: Option<Detail>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Prices {
    #[serde(rename = "input_price_per_million")]
    input: Figure,
    #[serde(rename = "output_price_per_million")]
    output: Figure,
    #[serde(rename = "cache_read_input_price_per_million")]
    cache_read: Figure,
    #[serde(rename = "cache_write_5m_input_price_per_million")]
    cache_write: Figure,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    variants: Vec<Variant>,
}

#[derive(Deserialize)]
struct Variant {
    tier: Option<String>,
    mode: Option<String>,
    prices: Option<Prices>,
}

pub(super) fn page(text: &str) -> Result<Page, serde_json::Error> {
    let document: Document<'_> = serde_json::from_str(text)?;
    let mut parsed = Parsed::default();
    for raw in document.data {
        match entry::<Listed>(raw) {
            Some(listed) => parsed.take(
                &listed.model_id,
                listed
                    .pricing
                    .as_ref()
                    .map(|prices| listing(prices, listed.pricing_detail.as_ref())),
            ),
            None => parsed.take("", None),
        }
    }
    let next = document.links.and_then(entry::<Links>).and_then(|links| links.pages?.next);
    Ok(Page { parsed, next: next.filter(|next| !next.is_empty()) })
}

fn listing(prices: &Prices, detail: Option<&Detail>) -> Listing {
    let mut rates = rates(prices);
    let mut above = Vec::new();
    let interactive = detail
        .into_iter()
        .flat_map(|detail| &detail.variants)
        .filter(|variant| variant.mode.as_deref() == Some("MODEL_BILLING_MODE_INTERACTIVE"));
    for variant in interactive {
        let Some(prices) = &variant.prices else { continue };
        match variant.tier.as_deref() {
            Some("MODEL_PRICING_TIER_STANDARD") => {
                rates.cache_write = rates.cache_write.or(self::rates(prices).cache_write);
            }
            Some(name) => above
                .extend(threshold(name).map(|above| Tier { above, rates: self::rates(prices) })),
            None => {}
        }
    }
    Listing { rates, tiers: tiers(above) }
}

/// The input tokens above which an extended tier is charged: its name is the window, its price begins lower.
fn threshold(tier: &str) -> Option<u64> {
    match tier {
        "MODEL_PRICING_TIER_EXTENDED_1M" => Some(200_000),
        "MODEL_PRICING_TIER_EXTENDED_272K" => Some(272_000),
        _ => None,
    }
}

fn rates(prices: &Prices) -> Rates {
    Rates {
        input: rate(prices.input),
        output: rate(prices.output),
        cache_read: rate(prices.cache_read),
        cache_write: rate(prices.cache_write),
    }
}

fn rate(figure: Figure) -> Option<PerMillion> {
    let per_token = figure.0.is_some_and(|dollars| dollars < PER_TOKEN_BELOW);
    figure.per(if per_token { 1.0 } else { 1e6 })
}
