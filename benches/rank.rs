//! How long it takes to rank three candidates with everything on: learned lengths and speeds, three warm caches, tiers, an
//! off-peak schedule and exploration. The bar is 20 µs (design section 9).

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use divan::{Bencher, black_box};
use jiff::{Timestamp, civil::time, tz::TimeZone};
use pointsman::{
    catalog::{
        model::{Features, Model, OffPeak, Pricing, Rates, Target, Tier},
        provider::{Api, Auth, Provider},
        router::{Prefer, Score, Task},
        settings::Timeouts,
    },
    dialect::modality::Modalities,
    ids::{ModelId, ProviderId, TargetId, TaskName},
    money::{PerMillion, Usd},
    prices::PriceTable,
    rank::{Query, SessionCache, Warm, assess, explore, order, session},
    stats::{Sample, SampleOutcome, Stats},
};
use url::Url;

fn main() {
    divan::main();
}

fn model(name: &str, input: f64) -> Arc<Model> {
    let id = ModelId::parse(name).unwrap();
    let provider = Arc::new(Provider {
        id: ProviderId::parse("p").unwrap(),
        api: Api::OpenAi,
        base_url: Url::parse("https://p.example/v1").unwrap(),
        auth: Auth::None,
        query: Vec::new(),
        headers: Vec::new(),
        allow_private: false,
        ca: None,
    });
    let target = Target {
        id: TargetId::new(&id, &provider.id, name),
        model: id.clone(),
        provider,
        upstream_id: name.into(),
    };
    let rates = |share: f64| Rates {
        input: PerMillion::new(input * share),
        output: PerMillion::new(input * share * 4.0),
        cache_read: PerMillion::new(input * share * 0.1),
        cache_write: PerMillion::new(input * share * 1.25),
    };
    Arc::new(Model {
        id,
        targets: vec![Arc::new(target)],
        pricing: Pricing {
            base: rates(1.0),
            tiers: vec![Tier { above: 200_000, rates: rates(2.0) }],
            schedule: vec![OffPeak {
                from: time(22, 0, 0, 0),
                to: time(4, 0, 0, 0),
                zone: TimeZone::get("America/Los_Angeles").unwrap(),
                discount: 0.1,
            }],
        },
        context_window: None,
        modalities: Modalities::TEXT,
        max_output: None,
        features: Features::ALL,
        prefill: false,
        timeouts: Timeouts::default(),
    })
}

fn teach(stats: &Stats, model: &Model, now: Instant, task: &TaskName) {
    for target in &model.targets {
        stats.record(&Sample {
            target: target.id.clone(),
            model: model.id.clone(),
            task: Some(task.clone()),
            now,
            streamed: true,
            outcome: SampleOutcome::Answered,
            ttft: Some(Duration::from_millis(300)),
            duration: Duration::from_secs(2),
            estimated_tokens: 1000,
            input_tokens: Some(1100),
            output_tokens: Some(300),
            cache_read: Some(500),
            cache_write: Some(0),
            cacheable: None,
            max_output: None,
        });
    }
}

#[divan::bench(args = [Prefer::Cheapest, Prefer::Fastest, Prefer::Optimal])]
fn three_candidates(bencher: Bencher<'_, '_>, prefer: Prefer) {
    #[expect(clippy::disallowed_methods, reason = "a bench needs some instant to count from")]
    let now = Instant::now();
    let models = [model("a", 1.0), model("b", 2.0), model("c", 3.0)];
    let task = Task {
        name: TaskName::parse("task").unwrap(),
        description: String::new(),
        examples: Vec::new(),
        quality: models.iter().map(|model| (model.id.clone(), Score::bare(0.5))).collect(),
    };
    let stats = Stats::new();
    for model in &models {
        teach(&stats, model, now, &task.name);
    }
    let session = SessionCache {
        model: ModelId::parse("b").unwrap(),
        target: None,
        warm: models
            .iter()
            .map(|model| Warm {
                target: model.targets.first().unwrap().id.clone(),
                prefix_tokens: 60_000,
                age: Duration::from_secs(20),
                lifetime: session::CACHE_LIFETIME,
            })
            .collect(),
        spent: Usd::ZERO,
        unswitched: Usd::ZERO,
    };
    let query = Query {
        task: Some(&task),
        input_tokens: 61_000,
        max_output: Some(4096),
        caching: false,
        session: Some(&session),
        now,
        wall: Timestamp::UNIX_EPOCH,
    };
    let prices = PriceTable::configured();
    let mut random = fastrand::Rng::with_seed(1);
    bencher.bench_local(|| {
        let reader = stats.reader();
        let mut candidates: Vec<_> = models
            .iter()
            .enumerate()
            .filter_map(|(place, model)| {
                let target = model.targets.first()?;
                Some(assess((model, target), place, black_box(&query), &reader, &prices))
            })
            .collect();
        order(prefer, &mut candidates);
        explore(prefer, &mut candidates, &mut || random.f64());
        session::hold(&mut candidates, &session, 20.0);
        candidates
    });
}
