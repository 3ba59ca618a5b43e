//! How long a whole decision takes once the verdict is there: routed over six tasks, direct, and with its document.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot be set up has nothing to measure"
)]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use divan::{Bencher, black_box};
use jiff::Timestamp;
use pointsman::{
    catalog::{
        Catalog,
        model::{Features, Model, Pricing, Rates, Target},
        provider::{Api, Auth, Provider},
        router::{Policy, Prefer, Router, Task},
        settings::{Affinity, Failover, Limits, Log, Settings, Timeouts},
    },
    classify::Verdict,
    dialect::{ir::Demand, modality::Modalities},
    ids::{ModelId, ProviderId, RouterName, TargetId, TaskName},
    money::PerMillion,
    prices::PriceTable,
    route::{Asked, Decision, Facts, Reading, Timings, decide},
    stats::Stats,
};
use url::Url;

fn main() {
    divan::main();
}

/// Six tasks over three models, one to fall back on.
struct World {
    catalog: Catalog,
    stats: Stats,
    prices: PriceTable,
    router: Arc<Router>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let models = [model("a", 1.0), model("b", 2.0), model("c", 3.0)];
        let tasks = ["one", "two", "three", "four", "five", "six"];
        let router = Router {
            name: RouterName::parse("r").unwrap(),
            description: String::new(),
            policies: tasks
                .map(|name| Policy {
                    task: task(name),
                    models: models.to_vec(),
                    prefer: Prefer::Cheapest,
                })
                .into(),
            fallbacks: models[..1].to_vec(),
            threshold: None,
            failover: Failover::default(),
            switch_budget: None,
        };
        Self {
            catalog: catalog(),
            stats: Stats::new(),
            prices: PriceTable::configured(),
            router: Arc::new(router),
            #[expect(
                clippy::disallowed_methods,
                reason = "a bench needs some instant to count from"
            )]
            now: Instant::now(),
        }
    }

    fn decide(&self, asked: Asked<'_>, reading: Reading) -> Decision {
        let facts = Facts {
            asked,
            reading,
            demand: Demand {
                modalities: Modalities::TEXT,
                tools: true,
                json: false,
                reasoning: false,
            },
            input_tokens: 1830,
            max_output: Some(1024),
            caching: false,
            bound: None,
            api: &|_| Ok(()),
            allowed: &|_| true,
            available: &|_| Ok(()),
            session: None,
            session_id: None,
            threshold_default: Some(0.5),
            now: self.now,
            wall: Timestamp::UNIX_EPOCH,
            streamed: true,
            explore: false,
            timings: Timings::default(),
        };
        decide(&self.catalog, &self.stats, &self.prices, black_box(&facts), &mut || 1.0)
    }

    fn routed(&self) -> Decision {
        let probabilities = vec![0.02, 0.03, 0.05, 0.8, 0.02, 0.03];
        let verdict = Verdict { probabilities, none: 0.05, threshold: 0.5, truncated: false };
        self.decide(Asked::Router(&self.router), Reading::Verdict(verdict))
    }
}

#[divan::bench]
fn routed(bencher: Bencher<'_, '_>) {
    let world = World::new();
    bencher.bench_local(|| world.routed());
}

#[divan::bench]
fn direct(bencher: Bencher<'_, '_>) {
    let world = World::new();
    let model = world.router.fallbacks[0].clone();
    bencher.bench_local(|| world.decide(Asked::Model(&model), Reading::Direct));
}

#[divan::bench]
fn document(bencher: Bencher<'_, '_>) {
    let decision = World::new().routed();
    bencher.bench_local(|| serde_json::to_string(&black_box(&decision).explanation()).unwrap());
}

fn task(name: &str) -> Arc<Task> {
    Arc::new(Task {
        name: TaskName::parse(name).unwrap(),
        description: String::new(),
        examples: Vec::new(),
        quality: BTreeMap::new(),
    })
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
    let base = Rates {
        input: PerMillion::new(input),
        output: PerMillion::new(input * 4.0),
        ..Rates::default()
    };
    Arc::new(Model {
        id,
        targets: vec![Arc::new(target)],
        pricing: Pricing { base, ..Pricing::default() },
        context_window: Some(128_000),
        modalities: Modalities::TEXT,
        max_output: None,
        features: Features::ALL,
        prefill: false,
        timeouts: Timeouts::default(),
    })
}

fn catalog() -> Catalog {
    Catalog {
        generation: 1,
        settings: Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            admin: ([127, 0, 0, 1], 0).into(),
            tls: None,
            classifier: None,
            latency: None,
            affinity: Affinity::default(),
            timeouts: Timeouts::default(),
            body_timeout: Duration::from_mins(1),
            failover: Failover::default(),
            max_body: 1,
            limits: Limits::default(),
            drain: Duration::ZERO,
            log: Log::default(),
            prices: Vec::new(),
            upgrade_socket: None,
        },
        providers: BTreeMap::new(),
        models: BTreeMap::new(),
        routers: BTreeMap::new(),
        tasks: BTreeMap::new(),
        keys: Vec::new(),
        admin_key: None,
    }
}
