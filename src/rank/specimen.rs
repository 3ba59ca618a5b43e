//! Models, tasks and samples for the tests of ranking and of the decision.

#[cfg(test)]
use std::time::Instant;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use url::Url;

use crate::{
    catalog::{
        model::{Features, Model, Pricing, Rates, Target},
        provider::{Api, Auth, Provider},
        router::{Policy, Prefer, Task},
        settings::Timeouts,
    },
    dialect::modality::Modalities,
    ids::{ModelId, ProviderId, TargetId, TaskName},
    money::PerMillion,
    stats::{Sample, SampleOutcome, Stats},
};

/// Some instant to count from.
#[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) fn id(name: &str) -> ModelId {
    ModelId::parse(name).unwrap()
}

/// A model at the providers `places`, with input and output rates where `price` has them.
pub(crate) fn model_at(name: &str, price: Option<(f64, f64)>, places: &[&str]) -> Model {
    let target = |place: &&str| {
        let provider = Provider {
            id: ProviderId::parse(place).unwrap(),
            api: Api::OpenAi,
            base_url: Url::parse("http://127.0.0.1:1/v1").unwrap(),
            auth: Auth::None,
            query: Vec::new(),
            headers: Vec::new(),
            allow_private: true,
            ca: None,
        };
        Arc::new(Target {
            id: TargetId::new(&id(name), &provider.id, name),
            model: id(name),
            provider: Arc::new(provider),
            upstream_id: name.into(),
        })
    };
    let base = price.map_or_else(Rates::default, |(input, output)| Rates {
        input: PerMillion::new(input),
        output: PerMillion::new(output),
        ..Rates::default()
    });
    Model {
        id: id(name),
        targets: places.iter().map(target).collect(),
        pricing: Pricing { base, ..Pricing::default() },
        context_window: None,
        modalities: Modalities::TEXT,
        max_output: None,
        features: Features::ALL,
        prefill: false,
        timeouts: Timeouts::default(),
    }
}

pub(crate) fn model(name: &str, price: Option<(f64, f64)>) -> Model {
    model_at(name, price, &["p"])
}

pub(crate) fn task(name: &str) -> Arc<Task> {
    Arc::new(Task {
        name: TaskName::parse(name).unwrap(),
        description: String::new(),
        examples: Vec::new(),
        quality: BTreeMap::new(),
    })
}

pub(crate) fn policy(name: &str, models: &[&Arc<Model>], prefer: Prefer) -> Policy {
    Policy {
        task: task(name),
        models: models.iter().map(|model| (*model).clone()).collect(),
        prefer,
    }
}

/// A streamed answer of `model` that began after `ttft`.
pub(crate) fn sample(model: &Model, now: Instant, ttft: Duration) -> Sample {
    Sample {
        target: model.targets[0].id.clone(),
        model: model.id.clone(),
        task: None,
        now,
        streamed: true,
        outcome: SampleOutcome::Answered,
        ttft: Some(ttft),
        duration: ttft.saturating_mul(3),
        estimated_tokens: 1000,
        input_tokens: Some(1000),
        output_tokens: Some(400),
        cache_read: None,
        cache_write: None,
        cacheable: None,
        max_output: None,
    }
}

/// Records `count` such answers.
pub(crate) fn teach(stats: &Stats, model: &Model, now: Instant, ttft: Duration, count: usize) {
    for _ in 0..count {
        stats.record(&sample(model, now, ttft));
    }
}
