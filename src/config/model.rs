//! `models`: what callers and policies name, where it is served and what it costs.

use std::{collections::BTreeSet, sync::Arc};

use jiff::tz::{self, TimeZone};

use crate::{
    catalog::{
        model::{Features, Model, OffPeak, Pricing, Rates, Target, Tier},
        settings::Timeouts,
    },
    config::{
        known::Known,
        provider::Providers,
        quantity, settings,
        value::{Fields, Named, Value},
    },
    dialect::modality::Modalities,
    ids::{ModelId, TargetId},
    money::PerMillion,
};

/// Models by name.
pub(crate) type Models = Known<ModelId, Model>;

/// Reads `models`, whose time limits are the file's unless they set their own.
pub(crate) fn read(value: Option<Value<'_>>, providers: &Providers, timeouts: Timeouts) -> Models {
    let entries = value.and_then(|value| match value.entries()? {
        entries if entries.is_empty() => value.wrong("must not be empty"),
        entries => Some(entries),
    });
    let written = |entries: &Vec<Named<'_>>| -> BTreeSet<String> {
        entries.iter().map(|entry| entry.name.to_owned()).collect()
    };
    let mut models = Known::new("model", entries.as_ref().map(written));
    for entry in entries.into_iter().flatten() {
        if let Some(model) = model(&entry, providers, timeouts) {
            models.built.insert(model.id.clone(), Arc::new(model));
        }
    }
    models
}

/// Models that could not be read: no reference to one is judged.
pub(crate) fn unknown() -> Models {
    Known::new("model", None)
}

fn model(entry: &Named<'_>, providers: &Providers, timeouts: Timeouts) -> Option<Model> {
    let id = ModelId::parse(entry.name).map_err(|error| entry.place.fault(error.to_string()));
    let mut fields = entry.value.fields()?;
    let endpoints = fields.require("endpoints");
    let pricing = pricing(&mut fields);
    let context_window = fields.take("context_window").and_then(|v| v.integer(&TOKENS));
    let modalities = fields.take("modalities").and_then(|value| modalities(&value));
    let max_output = fields.take("max_output");
    let features = fields.take("features").and_then(|value| features(&value));
    let prefill = fields.flag("prefill");
    let timeouts = fields.take("timeouts").map_or(timeouts, |v| settings::timeouts(&v, timeouts));
    fields.finish();
    let longest = max_output.as_ref().and_then(|value| value.integer(&TOKENS));
    if let (Some(value), Some(longest), Some(window)) = (&max_output, longest, context_window)
        && longest > window
    {
        value.place.warning("is more than `context_window` holds");
    }
    let id = id.ok()?;
    Some(Model {
        targets: endpoints.map(|value| targets(&value, &id, providers)).unwrap_or_default(),
        id,
        pricing,
        context_window,
        modalities: modalities.unwrap_or(Modalities::TEXT),
        max_output: longest,
        features: features.unwrap_or(Features::ALL),
        prefill,
        timeouts,
    })
}

const TOKENS: std::ops::RangeInclusive<u64> = 1..=1_000_000_000;

fn targets(value: &Value<'_>, model: &ModelId, providers: &Providers) -> Vec<Arc<Target>> {
    let mut targets: Vec<Arc<Target>> = Vec::new();
    for endpoint in value.filled_items().unwrap_or_default() {
        let Some(target) = target(&endpoint, model, providers) else { continue };
        if targets.iter().any(|other| other.id == target.id) {
            endpoint.fault("this endpoint is here twice");
        }
        targets.push(Arc::new(target));
    }
    targets
}

fn target(endpoint: &Value<'_>, model: &ModelId, providers: &Providers) -> Option<Target> {
    let mut fields = endpoint.fields()?;
    let provider = fields.require("provider");
    let upstream_id = match fields.take("id") {
        Some(value) => value.filled_text(),
        None => Some(model.as_str()),
    };
    fields.finish();
    let provider = provider?;
    let provider = providers.find(provider.text()?, &provider.place)?;
    let upstream_id = upstream_id?;
    Some(Target {
        id: TargetId::new(model, &provider.id, upstream_id),
        model: model.clone(),
        provider: Arc::clone(provider),
        upstream_id: upstream_id.into(),
    })
}

fn pricing(fields: &mut Fields<'_>) -> Pricing {
    let price = fields.take("price");
    let tiers = fields.take("price_tiers");
    let schedule = fields.take("price_schedule");
    if price.is_none() {
        for value in tiers.iter().chain(&schedule) {
            value.fault("needs `price`, which it changes");
        }
    }
    Pricing {
        base: price.and_then(|value| base_rates(&value)).unwrap_or_default(),
        tiers: tiers.map(|value| price_tiers(&value)).unwrap_or_default(),
        schedule: schedule.map(|value| price_schedule(&value)).unwrap_or_default(),
    }
}

fn base_rates(value: &Value<'_>) -> Option<Rates> {
    let mut fields = value.fields()?;
    let rates = rates(&mut fields);
    fields.finish();
    Some(rates)
}

fn rates(fields: &mut Fields<'_>) -> Rates {
    let mut rate = |key| {
        let value = fields.take(key)?;
        value.number(&(0.0..=f64::MAX)).and_then(PerMillion::new)
    };
    Rates {
        input: rate("input"),
        output: rate("output"),
        cache_read: rate("cache_read"),
        cache_write: rate("cache_write"),
    }
}

fn price_tiers(value: &Value<'_>) -> Vec<Tier> {
    let mut tiers: Vec<Tier> = Vec::new();
    for item in value.items().unwrap_or_default() {
        let Some(tier) = tier(&item) else { continue };
        if tiers.iter().any(|other| other.above == tier.above) {
            item.fault("another tier begins at the same number of tokens");
        }
        tiers.push(tier);
    }
    tiers.sort_by_key(|tier| tier.above);
    tiers
}

fn tier(value: &Value<'_>) -> Option<Tier> {
    let mut fields = value.fields()?;
    let above = fields.require("above").and_then(|value| value.integer(&TOKENS));
    let rates = rates(&mut fields);
    fields.finish();
    Some(Tier { above: above?, rates })
}

fn price_schedule(value: &Value<'_>) -> Vec<OffPeak> {
    value.items().unwrap_or_default().iter().filter_map(off_peak).collect()
}

fn off_peak(value: &Value<'_>) -> Option<OffPeak> {
    let mut fields = value.fields()?;
    let time = |value: Value<'_>| match quantity::time_of_day(value.text()?) {
        Ok(time) => Some(time),
        Err(message) => value.wrong(message),
    };
    let from = fields.require("from").and_then(time);
    let to = fields.require("to").and_then(time);
    let zone = fields.require("zone").and_then(|value| zone(&value));
    let discount = fields.require("discount").and_then(|value| value.number(&(0.0..=1.0)));
    fields.finish();
    if from.is_some() && from == to {
        value.fault("`from` and `to` are the same: this is no time at all");
    }
    Some(OffPeak { from: from?, to: to?, zone: zone?, discount: discount? })
}

fn zone(value: &Value<'_>) -> Option<TimeZone> {
    let name = value.text()?;
    TimeZone::get(name).ok().or_else(|| {
        let names: Vec<String> = tz::db().available().map(|zone| zone.to_string()).collect();
        let suggestion = value.place.suggestion(name, names.iter().map(String::as_str));
        value.wrong(format!("must be an IANA time zone, as in Europe/Berlin{suggestion}"))
    })
}

#[derive(Clone, Copy)]
enum Modality {
    Text,
    Image,
    Audio,
    Document,
}

fn modalities(value: &Value<'_>) -> Option<Modalities> {
    const CHOICES: [(&str, Modality); 4] = [
        ("text", Modality::Text),
        ("image", Modality::Image),
        ("audio", Modality::Audio),
        ("document", Modality::Document),
    ];
    let mut found = Modalities { text: false, image: false, audio: false, document: false };
    for item in value.filled_items()? {
        match item.choice(&CHOICES) {
            Some(Modality::Text) => found.text = true,
            Some(Modality::Image) => found.image = true,
            Some(Modality::Audio) => found.audio = true,
            Some(Modality::Document) => found.document = true,
            None => {}
        }
    }
    Some(found)
}

#[derive(Clone, Copy)]
enum Feature {
    Tools,
    Json,
    Reasoning,
}

fn features(value: &Value<'_>) -> Option<Features> {
    const CHOICES: [(&str, Feature); 3] =
        [("tools", Feature::Tools), ("json", Feature::Json), ("reasoning", Feature::Reasoning)];
    let mut found = Features { tools: false, json: false, reasoning: false };
    for item in value.items()? {
        match item.choice(&CHOICES) {
            Some(Feature::Tools) => found.tools = true,
            Some(Feature::Json) => found.json = true,
            Some(Feature::Reasoning) => found.reasoning = true,
            None => {}
        }
    }
    Some(found)
}
