//! The simulated day: three models, their prices, moods and failures, and the requests.

use std::{sync::Arc, time::Duration, time::Instant};

use jiff::{SignedDuration, Timestamp, civil::time, tz::TimeZone};
use pointsman::{
    catalog::{
        model::{Features, Model, OffPeak, Pricing, Rates, Target},
        provider::{Api, Auth, Provider},
        settings::Timeouts,
    },
    dialect::modality::Modalities,
    ids::{ModelId, ProviderId, TargetId, TaskName},
    money::PerMillion,
    prices::PriceTable,
};
use url::Url;

pub(crate) const MODELS: usize = 3;
/// How long a failure takes, in seconds: they fail fast.
pub(crate) const FAILURE: f64 = 0.005;
/// A provider's cache forgets a prefix that was not used for this long, in seconds.
const CACHE_LIFETIME: f64 = 300.0;
/// One of so many cache entries is gone sooner.
const EVICTED: f64 = 0.1;
const DAY: f64 = 86_400.0;
const NOON: f64 = DAY / 2.0;
/// Mean output tokens of the three tasks.
const LENGTHS: [f64; 3] = [80.0, 500.0, 2500.0];

pub(crate) struct World {
    pub(crate) models: [Truth; MODELS],
    pub(crate) tasks: [TaskName; 3],
    pub(crate) requests: Vec<Request>,
    pub(crate) sessions: usize,
    pub(crate) prices: PriceTable,
    pub(crate) start: Instant,
    seed: u64,
}

pub(crate) struct Request {
    pub(crate) number: u64,
    /// Seconds since midnight.
    pub(crate) at: f64,
    pub(crate) session: usize,
    pub(crate) task: usize,
    /// Our estimate of its input.
    pub(crate) tokens: f64,
}

/// How a model really is.
pub(crate) struct Truth {
    before: Arc<Model>,
    after: Arc<Model>,
    /// Its tokens for one of our estimate.
    pub(crate) factor: f64,
    /// Its output for one token of the task's mean.
    wordiness: f64,
    /// Seconds to first content for a small prompt at its best hour.
    base: f64,
    /// Uncached tokens at which the prompt begins to matter.
    scale: f64,
    /// When it is at its slowest, in seconds, and how much slower it then is.
    slowest: (f64, f64),
    /// Episodes: from, to, how many times slower, share that fails.
    episodes: Vec<(f64, f64, f64, f64)>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut requests = sessions(&mut random);
        let sessions = requests.iter().map(|request| request.session).max().unwrap_or(0) + 1;
        requests.sort_by(|one, other| one.at.total_cmp(&other.at));
        for (number, request) in (0..).zip(&mut requests) {
            request.number = number;
        }
        let episodes = || {
            (0..4)
                .map(|kind| {
                    let from = random.f64() * DAY;
                    let to = from + 600.0 + random.f64() * 1800.0;
                    if kind < 2 { (from, to, 8.0, 0.0) } else { (from, to, 1.0, 0.6) }
                })
                .collect::<Vec<_>>()
        };
        Self {
            models: truths(episodes),
            tasks: ["short", "medium", "long"].map(|name| TaskName::parse(name).unwrap()),
            requests,
            sessions,
            prices: PriceTable::configured(),
            #[expect(
                clippy::disallowed_methods,
                reason = "a bench needs some instant to count from"
            )]
            start: Instant::now(),
            seed,
        }
    }

    pub(crate) fn model(&self, request: &Request, model: usize) -> &Arc<Model> {
        let truth = &self.models[model];
        if request.at < NOON { &truth.before } else { &truth.after }
    }

    pub(crate) fn now(&self, request: &Request) -> Instant {
        self.start + Duration::from_secs_f64(request.at)
    }

    pub(crate) fn wall(request: &Request) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs_f64(request.at)
    }

    /// The rates of the moment: input, output, cache read.
    pub(crate) fn rates(&self, request: &Request, model: usize) -> [f64; 3] {
        let known = self.model(request, model);
        let quote = self.prices.quote(known, &known.targets[0], 0, Self::wall(request));
        let rates = quote.rates;
        [rates.input, rates.output, rates.cache_read].map(|rate| rate.unwrap().dollars())
    }

    /// The mean output of `model` for the request's task.
    pub(crate) fn mean_output(&self, request: &Request, model: usize) -> f64 {
        LENGTHS[request.task] * self.models[model].wordiness
    }

    pub(crate) fn output(&self, request: &Request, model: usize) -> f64 {
        // A lognormal whose mean is one.
        self.mean_output(request, model) * (0.5 * self.normal(request, model, 1) - 0.125).exp()
    }

    pub(crate) fn dollars(&self, request: &Request, model: usize, cached: f64) -> f64 {
        let tokens = crate::tokens_at(self, request, model);
        let [input, output, read] = self.rates(request, model);
        ((tokens - cached) * input + cached * read + self.output(request, model) * output) / 1e6
    }

    /// The median time to first content, in seconds.
    pub(crate) fn median_ttft(&self, request: &Request, model: usize, cached: f64) -> f64 {
        let truth = &self.models[model];
        let (at, most) = truth.slowest;
        let hour = ((request.at - at) / DAY * std::f64::consts::TAU).cos();
        let drift = 1.0 + (most - 1.0) * (1.0 + hour) / 2.0;
        let fresh = crate::tokens_at(self, request, model) - 0.9 * cached;
        let slower = self.episode(request, model).0;
        truth.base * drift * slower * (1.0 + fresh / truth.scale).powf(0.8)
    }

    pub(crate) fn ttft(&self, request: &Request, model: usize, cached: f64) -> f64 {
        self.median_ttft(request, model, cached) * (0.35 * self.normal(request, model, 2)).exp()
    }

    pub(crate) fn failure_share(&self, request: &Request, model: usize) -> f64 {
        self.episode(request, model).1
    }

    pub(crate) fn fails(&self, request: &Request, model: usize) -> bool {
        self.draw(request, model, 3) < self.failure_share(request, model)
    }

    /// The tokens that the cache of `model` holds of a prefix that was last used `age` seconds ago.
    pub(crate) fn cached(&self, request: &Request, model: usize, (age, prefix): (f64, f64)) -> f64 {
        let alive = age <= CACHE_LIFETIME && self.draw(request, model, 4) >= EVICTED;
        let prefix = prefix.min(request.tokens);
        if alive && prefix >= 1024.0 { prefix * self.models[model].factor } else { 0.0 }
    }

    /// The same, as expected by who knows the state and not the dice.
    pub(crate) fn cached_on_average(
        &self,
        request: &Request,
        model: usize,
        (age, prefix): (f64, f64),
    ) -> f64 {
        let prefix = prefix.min(request.tokens);
        let alive = age <= CACHE_LIFETIME && prefix >= 1024.0;
        if alive { (1.0 - EVICTED) * prefix * self.models[model].factor } else { 0.0 }
    }

    fn episode(&self, request: &Request, model: usize) -> (f64, f64) {
        let now = self.models[model]
            .episodes
            .iter()
            .filter(|(from, to, ..)| (*from..*to).contains(&request.at));
        now.fold((1.0, 0.0), |(slower, fails), episode| {
            (episode.2.max(slower), episode.3.max(fails))
        })
    }

    /// A number from 0 to 1 that depends on the request, the model and the purpose alone.
    fn draw(&self, request: &Request, model: usize, purpose: u64) -> f64 {
        let model = u64::try_from(model).unwrap();
        let key = request.number.wrapping_mul(64).wrapping_add(model * 16 + purpose);
        fastrand::Rng::with_seed(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.seed).f64()
    }

    fn normal(&self, request: &Request, model: usize, purpose: u64) -> f64 {
        let (one, two) =
            (self.draw(request, model, purpose), self.draw(request, model, purpose + 8));
        (-2.0 * one.max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * two).cos()
    }
}

/// The models: the first gets cheaper at noon, the second has an off-peak discount and counts more tokens.
fn truths(mut episodes: impl FnMut() -> Vec<(f64, f64, f64, f64)>) -> [Truth; MODELS] {
    [
        Truth {
            before: model("a", [3.0, 15.0, 0.3], false),
            after: model("a", [1.0, 5.0, 0.1], false),
            factor: 1.0,
            wordiness: 1.0,
            base: 0.35,
            scale: 8000.0,
            slowest: (10.0 * 3600.0, 2.5),
            episodes: episodes(),
        },
        Truth {
            before: model("b", [1.2, 6.0, 0.6], true),
            after: model("b", [1.2, 6.0, 0.6], true),
            factor: 1.25,
            wordiness: 1.6,
            base: 0.45,
            scale: 3000.0,
            slowest: (20.0 * 3600.0, 2.0),
            episodes: episodes(),
        },
        Truth {
            before: model("c", [0.9, 12.0, 0.09], false),
            after: model("c", [0.9, 12.0, 0.09], false),
            factor: 0.9,
            wordiness: 0.7,
            base: 0.6,
            scale: 20_000.0,
            slowest: (2.0 * 3600.0, 3.0),
            episodes: episodes(),
        },
    ]
}

/// A count as a number.
pub(crate) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

/// Whole tokens.
pub(crate) fn whole(tokens: f64) -> u64 {
    Duration::from_secs_f64(tokens.max(0.0)).as_secs()
}

/// Sessions of a day: half of them chats, half agents with large contexts.
fn sessions(random: &mut fastrand::Rng) -> Vec<Request> {
    let mut exponential = |mean: f64| -mean * random.f64().max(1e-12).ln();
    let (mut requests, mut begins, mut session) = (Vec::new(), 0.0, 0);
    loop {
        begins += exponential(20.0);
        if begins > DAY {
            return requests;
        }
        let agent = session % 2 == 0;
        let task = session % 3;
        let (mut at, mut tokens) =
            (begins, exponential(if agent { 15_000.0 } else { 800.0 }) + 200.0);
        let turns = exponential(if agent { 12.0 } else { 4.0 }).ceil().min(60.0);
        let mut turn = 0.0;
        while turn < turns && at < DAY {
            requests.push(Request { number: 0, at, session, task, tokens });
            at += exponential(if agent { 15.0 } else { 90.0 });
            tokens += exponential(if agent { 1500.0 } else { 200.0 }) + LENGTHS[task];
            turn += 1.0;
        }
        session += 1;
    }
}

fn model(name: &str, [input, output, cache_read]: [f64; 3], off_peak: bool) -> Arc<Model> {
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
    let schedule = OffPeak {
        from: time(18, 0, 0, 0),
        to: time(6, 0, 0, 0),
        zone: TimeZone::UTC,
        discount: 0.4,
    };
    Arc::new(Model {
        id,
        targets: vec![Arc::new(target)],
        pricing: Pricing {
            base: Rates {
                input: PerMillion::new(input),
                output: PerMillion::new(output),
                cache_read: PerMillion::new(cache_read),
                cache_write: None,
            },
            tiers: Vec::new(),
            schedule: off_peak.then_some(schedule).into_iter().collect(),
        },
        context_window: None,
        modalities: Modalities::TEXT,
        max_output: None,
        features: Features::ALL,
        prefill: false,
        timeouts: Timeouts::default(),
    })
}
