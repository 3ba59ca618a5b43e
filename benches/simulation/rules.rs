//! The rules that are compared: ours, those of other gateways as they document them, and oracles.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use pointsman::{
    catalog::router::{Prefer, Task},
    money::Usd,
    rank::{Query, SessionCache, Warm, assess, explore, order, session::CACHE_LIFETIME},
    stats::{Sample, SampleOutcome, Stats},
};

use crate::{
    beginning_with, by, tokens_at,
    world::{MODELS, Request, World, count, whole},
};

pub(crate) const CHEAPEST: &str = "pointsman cheapest";
pub(crate) const FASTEST: &str = "pointsman fastest";
pub(crate) const ORACLE_COST: &str = "oracle (cost)";
pub(crate) const ORACLE_TTFT: &str = "oracle (time)";

/// Whether this is no rule of others.
pub(crate) fn is_ours_or_oracle(name: &str) -> bool {
    [CHEAPEST, FASTEST, ORACLE_COST, ORACLE_TTFT].contains(&name)
}

/// A rule and what it has learned.
pub(crate) enum Rule {
    /// Ours.
    Ours { name: &'static str, prefer: Prefer, stats: Box<Stats>, dice: fastrand::Rng },
    /// The order given.
    Fixed,
    /// By list price for the tokens at hand, taking every answer for 400 tokens.
    ListPrice,
    /// `LiteLLM`'s cost-based routing: the sum of the input and the output rate.
    SumOfRates,
    /// `LiteLLM`'s latency-based routing: the mean of the last ten times, unknown first, failures not counted.
    LastTen([VecDeque<f64>; MODELS]),
    /// Plano's budget veto: the cheapest by list price, unless leaving the session's model costs over 20 % more.
    BudgetVeto,
    /// The least cost, by who knows the state of caches and the means.
    OracleCost,
    /// The soonest start, by who knows the state of providers.
    OracleTime,
}

/// What the world has seen of sessions under one rule.
pub(crate) struct Seen {
    /// The last use of each model by each session: when, and how many tokens.
    uses: HashMap<(usize, usize), (f64, f64)>,
    last: HashMap<usize, usize>,
}

impl Seen {
    pub(crate) fn new(world: &World) -> Self {
        Self { uses: HashMap::with_capacity(world.sessions), last: HashMap::new() }
    }

    pub(crate) fn cached(&self, world: &World, request: &Request, model: usize) -> f64 {
        self.used(request, model).map_or(0.0, |used| world.cached(request, model, used))
    }

    pub(crate) fn answered(&mut self, request: &Request, model: usize, world: &World) {
        let prefix = request.tokens + world.output(request, model) / world.models[model].factor;
        self.uses.insert((request.session, model), (request.at, prefix));
        self.last.insert(request.session, model);
    }

    /// How long ago the session used the model, and how many tokens it left there.
    fn used(&self, request: &Request, model: usize) -> Option<(f64, f64)> {
        self.uses.get(&(request.session, model)).map(|(at, prefix)| (request.at - at, *prefix))
    }

    fn session(&self, world: &World, request: &Request) -> Option<SessionCache> {
        let last = *self.last.get(&request.session)?;
        let warm = (0..MODELS).filter_map(|model| {
            let (age, prefix) = self.used(request, model)?;
            Some(Warm {
                target: world.model(request, model).targets[0].id.clone(),
                prefix_tokens: whole(prefix),
                age: Duration::from_secs_f64(age.max(0.0)),
                lifetime: CACHE_LIFETIME,
            })
        });
        Some(SessionCache {
            model: world.model(request, last).id.clone(),
            target: None,
            warm: warm.collect(),
            spent: Usd::ZERO,
            unswitched: Usd::ZERO,
        })
    }
}

impl Rule {
    pub(crate) fn all() -> Vec<Self> {
        let ours = |name, prefer| Self::Ours {
            name,
            prefer,
            stats: Box::new(Stats::new()),
            dice: fastrand::Rng::with_seed(1),
        };
        vec![
            ours(CHEAPEST, Prefer::Cheapest),
            ours(FASTEST, Prefer::Fastest),
            Self::Fixed,
            Self::ListPrice,
            Self::SumOfRates,
            Self::BudgetVeto,
            Self::LastTen(Default::default()),
            Self::OracleCost,
            Self::OracleTime,
        ]
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Ours { name, .. } => name,
            Self::Fixed => "fixed order",
            Self::ListPrice => "cheapest by list price",
            Self::SumOfRates => "LiteLLM lowest cost",
            Self::LastTen(_) => "LiteLLM lowest latency",
            Self::BudgetVeto => "Plano budget veto",
            Self::OracleCost => ORACLE_COST,
            Self::OracleTime => ORACLE_TTFT,
        }
    }

    pub(crate) fn order(
        &mut self,
        world: &World,
        request: &Request,
        seen: &Seen,
    ) -> [usize; MODELS] {
        match self {
            Self::Ours { prefer, stats, dice, .. } => {
                ours(world, request, seen, (*prefer, stats, dice))
            }
            Self::Fixed => [0, 1, 2],
            Self::ListPrice => by(|model| list_price(world, request, model)),
            Self::SumOfRates => by(|model| {
                let [input, output, _] = world.rates(request, model);
                input + output
            }),
            Self::LastTen(times) => {
                by(|model| times[model].iter().sum::<f64>() / count(times[model].len().max(1)))
            }
            Self::BudgetVeto => veto(world, request, seen),
            Self::OracleCost => by(|model| {
                let cached = seen
                    .used(request, model)
                    .map_or(0.0, |used| world.cached_on_average(request, model, used));
                let [input, output, read] = world.rates(request, model);
                let tokens = tokens_at(world, request, model);
                (tokens - cached) * input
                    + cached * read
                    + world.mean_output(request, model) * output
            }),
            Self::OracleTime => by(|model| {
                let cached = seen
                    .used(request, model)
                    .map_or(0.0, |used| world.cached_on_average(request, model, used));
                // A failure costs no more than the next model's start.
                let ttft = world.median_ttft(request, model, cached);
                ttft * (1.0 + world.failure_share(request, model))
            }),
        }
    }

    pub(crate) fn failed(&mut self, world: &World, request: &Request, model: usize) {
        if let Self::Ours { stats, .. } = self {
            let mut sample = sample(world, request, model);
            sample.outcome = SampleOutcome::Failed;
            sample.duration = Duration::from_secs_f64(crate::world::FAILURE);
            stats.record(&sample);
        }
    }

    pub(crate) fn answered(
        &mut self,
        world: &World,
        request: &Request,
        (model, cached, ttft): (usize, f64, f64),
        seen: &Seen,
    ) {
        match self {
            Self::Ours { stats, .. } => {
                let target = &world.model(request, model).targets[0];
                let session = seen.session(world, request);
                stats.record(&Sample {
                    ttft: Some(Duration::from_secs_f64(ttft)),
                    input_tokens: Some(whole(tokens_at(world, request, model))),
                    output_tokens: Some(whole(world.output(request, model)).max(1)),
                    cache_read: Some(whole(cached)),
                    cacheable: session.and_then(|session| session.reusable(&target.id)),
                    ..sample(world, request, model)
                });
            }
            Self::LastTen(times) => {
                times[model].push_back(ttft);
                if times[model].len() > 10 {
                    times[model].pop_front();
                }
            }
            Self::Fixed
            | Self::ListPrice
            | Self::SumOfRates
            | Self::BudgetVeto
            | Self::OracleCost
            | Self::OracleTime => {}
        }
    }
}

fn ours(
    world: &World,
    request: &Request,
    seen: &Seen,
    (prefer, stats, dice): (Prefer, &Stats, &mut fastrand::Rng),
) -> [usize; MODELS] {
    let session = seen.session(world, request);
    let task = Task {
        name: world.tasks[request.task].clone(),
        description: String::new(),
        examples: Vec::new(),
        quality: std::collections::BTreeMap::new(),
    };
    let query = Query {
        task: Some(&task),
        input_tokens: whole(request.tokens),
        max_output: None,
        caching: false,
        session: session.as_ref(),
        now: world.now(request),
        wall: World::wall(request),
    };
    let reader = stats.reader();
    let mut candidates: Vec<_> = (0..MODELS)
        .map(|number| {
            let model = world.model(request, number);
            assess((model, &model.targets[0]), number, &query, &reader, &world.prices)
        })
        .collect();
    order(prefer, &mut candidates);
    explore(prefer, &mut candidates, &mut || dice.f64());
    [candidates[0].position, candidates[1].position, candidates[2].position]
}

fn list_price(world: &World, request: &Request, model: usize) -> f64 {
    let [input, output, _] = world.rates(request, model);
    request.tokens * input + 400.0 * output
}

fn veto(world: &World, request: &Request, seen: &Seen) -> [usize; MODELS] {
    let cheapest = by(|model| list_price(world, request, model));
    let Some(last) = seen.last.get(&request.session).copied() else { return cheapest };
    let [input, output, read] = world.rates(request, last);
    let prefix = seen.used(request, last).map_or(0.0, |(_, prefix)| prefix.min(request.tokens));
    let stay = (request.tokens - prefix) * input + prefix * read + 400.0 * output;
    if list_price(world, request, cheapest[0]) > 1.2 * stay {
        beginning_with(last)
    } else {
        cheapest
    }
}

fn sample(world: &World, request: &Request, model: usize) -> Sample {
    let known = world.model(request, model);
    Sample {
        target: known.targets[0].id.clone(),
        model: known.id.clone(),
        task: Some(world.tasks[request.task].clone()),
        now: world.now(request),
        streamed: true,
        outcome: SampleOutcome::Answered,
        ttft: None,
        duration: Duration::from_secs(5),
        estimated_tokens: whole(request.tokens),
        input_tokens: None,
        output_tokens: None,
        cache_read: None,
        cache_write: None,
        cacheable: None,
        max_output: None,
    }
}
