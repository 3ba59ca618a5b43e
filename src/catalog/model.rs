//! Models: what a caller or a policy names, served by one or more endpoints.

use std::sync::Arc;

use jiff::{civil::Time, tz::TimeZone};

use crate::{
    catalog::{provider::Provider, settings::Timeouts},
    dialect::modality::Modalities,
    ids::{ModelId, TargetId},
    money::PerMillion,
};

/// A model of the catalog.
pub struct Model {
    /// The catalog name: what callers see.
    pub id: ModelId,
    /// Where it is served, in the order of preference; at least one.
    pub targets: Vec<Arc<Target>>,
    /// What it costs, as configured.
    pub pricing: Pricing,
    /// Input and output tokens together; `None` is unknown.
    pub context_window: Option<u64>,
    /// What a message to it may hold.
    pub modalities: Modalities,
    /// The most tokens that it can answer with; `None` is unknown.
    pub max_output: Option<u64>,
    /// What it can do beyond plain answers.
    pub features: Features,
    /// Whether it takes an assistant turn as the beginning of its answer.
    pub prefill: bool,
    /// Its own time limits over the file's.
    pub timeouts: Timeouts,
}

/// One endpoint of one model: the place and the name to call it by there.
pub struct Target {
    /// Its identity, stable across reloads.
    pub id: TargetId,
    /// The model that it serves.
    pub model: ModelId,
    /// The provider that serves it.
    pub provider: Arc<Provider>,
    /// What the upstream calls the model.
    pub upstream_id: Arc<str>,
}

/// What a model can do beyond plain answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// It calls tools.
    pub tools: bool,
    /// It answers in a given structure.
    pub json: bool,
    /// It reasons before it answers.
    pub reasoning: bool,
}

impl Features {
    /// Everything: what an absent `features` means.
    pub const ALL: Self = Self { tools: true, json: true, reasoning: true };
}

/// What a model costs, as configured. Each rate that is not known is absent, never zero.
#[derive(Debug, Clone, Default)]
pub struct Pricing {
    /// The rates of a plain request.
    pub base: Rates,
    /// Rates that replace `base` above a number of input tokens, by rising threshold.
    pub tiers: Vec<Tier>,
    /// Times of day at which a share is taken off.
    pub schedule: Vec<OffPeak>,
}

/// Rates per million tokens. `cache_read` and `cache_write` that are absent are charged as `input`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Input tokens that no cache held.
    pub input: Option<PerMillion>,
    /// Output tokens.
    pub output: Option<PerMillion>,
    /// Input tokens read from the provider's prompt cache.
    pub cache_read: Option<PerMillion>,
    /// Input tokens written to the provider's prompt cache.
    pub cache_write: Option<PerMillion>,
}

/// Rates that hold above a number of input tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tier {
    /// The tier holds for requests with more input tokens than this.
    pub above: u64,
    /// The rates there; those that are absent stay those of the base.
    pub rates: Rates,
}

/// A daily stretch of time with a discount; one that ends before it begins crosses midnight.
#[derive(Debug, Clone)]
pub struct OffPeak {
    /// Its first moment.
    pub from: Time,
    /// The moment that it ends, itself outside.
    pub to: Time,
    /// Where the clock stands.
    pub zone: TimeZone,
    /// The share taken off every rate, 0 to 1.
    pub discount: f64,
}
