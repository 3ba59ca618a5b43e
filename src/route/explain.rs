//! The decision document: what the dry-run endpoints, the command line, the playground and the log all show.
//!
//! The keys, their order and what is null are design section 5. What is not known is null, never zero. The document is
//! built while it is serialised, so that a request that nobody asks about pays for none of it.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    catalog::router::{Router, Score},
    ids::RouterName,
    money::Usd,
    rank::{Candidate, Cost, why_not_first},
    route::{Decision, Details, RuledOut},
};

/// A decision as a document.
pub struct Explanation<'a>(pub(super) &'a Decision);

impl Serialize for Explanation<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(decision) = self;
        let details = &decision.details;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("router", &decision.router().map(RouterName::as_str))?;
        map.serialize_entry("generation", &details.generation)?;
        map.serialize_entry("task", &decision.task.as_ref().map(|task| task.name.as_str()))?;
        map.serialize_entry("reason", decision.reason.as_str())?;
        map.serialize_entry("confidence", &decision.confidence.map(rounded))?;
        map.serialize_entry("threshold", &details.threshold.map(rounded))?;
        map.serialize_entry("truncated", &details.truncated)?;
        map.serialize_entry("tasks", &tasks(details))?;
        map.serialize_entry(
            "none",
            &details.probabilities.as_ref().map(|(_, none)| rounded(*none)),
        )?;
        map.serialize_entry("candidates", &Candidates(decision))?;
        map.serialize_entry("fallbacks", &fallbacks(details.router.as_deref()))?;
        map.serialize_entry(
            "session",
            &Session { id: details.session_id.as_deref(), pinned: details.pinned },
        )?;
        map.serialize_entry("input_tokens", &details.input_tokens)?;
        map.serialize_entry("timings_us", &decision.timings)?;
        map.end()
    }
}

#[derive(Serialize)]
struct TaskProbability<'a> {
    name: &'a str,
    probability: Option<f64>,
}

#[derive(Serialize)]
struct Session<'a> {
    id: Option<&'a str>,
    pinned: bool,
}

/// Every task of the router, the most probable first; of equals, and without a verdict, in the router's order.
fn tasks(details: &Details) -> Vec<TaskProbability<'_>> {
    let Some(router) = &details.router else { return Vec::new() };
    let of = |place: usize| {
        let (probabilities, _) = details.probabilities.as_ref()?;
        probabilities.get(place).copied()
    };
    let mut tasks: Vec<TaskProbability<'_>> = router
        .policies
        .iter()
        .enumerate()
        .map(|(place, policy)| TaskProbability {
            name: policy.task.name.as_str(),
            probability: of(place),
        })
        .collect();
    tasks.sort_by(|one, other| {
        other.probability.unwrap_or(0.0).total_cmp(&one.probability.unwrap_or(0.0))
    });
    for task in &mut tasks {
        task.probability = task.probability.map(rounded);
    }
    tasks
}

fn fallbacks(router: Option<&Router>) -> Vec<&str> {
    router.into_iter().flat_map(|router| &router.fallbacks).map(|model| model.id.as_str()).collect()
}

/// The plan's models in order, then those ruled out.
struct Candidates<'a>(&'a Decision);

impl Serialize for Candidates<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(decision) = self;
        let details = &decision.details;
        let first = details.candidates.first();
        let ranked = (1_usize..).zip(&details.candidates).map(|(rank, candidate)| {
            let unless = first
                .filter(|first| first.model.id != candidate.model.id)
                .filter(|_| candidate.why.as_str().is_empty())
                .and_then(|first| why_not_first(details.prefer, candidate, first));
            let entry = decision.losses.iter().find(|(model, _)| *model == candidate.model.id);
            let loss = entry.map_or(&[][..], |(_, names)| names);
            let score =
                decision.task.as_ref().and_then(|task| task.quality.get(&candidate.model.id));
            let row = Ranked { loss, ..Ranked::of(rank, candidate, unless) };
            Row::Ranked(Box::new(match score {
                Some(score) => row.measured(score),
                None => row,
            }))
        });
        let ruled_out = details.ruled_out.iter().map(|shut| Row::RuledOut(Shut::of(shut)));
        serializer.collect_seq(ranked.chain(ruled_out))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Row<'a> {
    Ranked(Box<Ranked<'a>>),
    RuledOut(Shut<'a>),
}

#[derive(Serialize)]
struct Ranked<'a> {
    model: &'a str,
    rank: usize,
    expected_cost_usd: Option<f64>,
    expected_ttft_ms: Option<u64>,
    samples: u64,
    why: &'static str,
    /// What would have put it first.
    unless: Option<String>,
    cost: Option<Parts>,
    ttft_interval_ms: Option<[u64; 2]>,
    failing: bool,
    quality: Option<f64>,
    /// Where that is from, and how sure it is.
    quality_source: Option<&'a str>,
    quality_date: Option<String>,
    quality_samples: Option<u64>,
    quality_interval: Option<[f64; 2]>,
    /// The caller's fields that its API cannot carry.
    loss: &'a [String],
}

#[derive(Serialize)]
struct Shut<'a> {
    model: &'a str,
    rank: Option<usize>,
    ruled_out: String,
}

/// What an expected cost is made of.
#[derive(Serialize)]
struct Parts {
    input_usd: f64,
    cache_read_usd: f64,
    cache_write_usd: f64,
    output_usd: f64,
    input_tokens: f64,
    cached_tokens: f64,
    output_tokens: f64,
}

impl<'a> Ranked<'a> {
    fn of(rank: usize, candidate: &'a Candidate, unless: Option<String>) -> Self {
        let ttft = &candidate.ttft;
        Self {
            model: candidate.model.id.as_str(),
            rank,
            expected_cost_usd: candidate.cost.map(|cost| dollars(cost.total())),
            expected_ttft_ms: ttft.ttft.map(milliseconds),
            samples: ttft.samples,
            why: candidate.why.as_str(),
            unless,
            cost: candidate.cost.as_ref().map(Parts::of),
            ttft_interval_ms: ttft
                .low
                .zip(ttft.high)
                .map(|(low, high)| [milliseconds(low), milliseconds(high)]),
            failing: ttft.failing,
            loss: &[],
            quality: candidate.quality,
            quality_source: None,
            quality_date: None,
            quality_samples: None,
            quality_interval: None,
        }
    }

    /// The same, with how its quality is known.
    fn measured(self, score: &'a Score) -> Self {
        let origin = score.origin.as_deref();
        Self {
            quality_source: origin.and_then(|origin| origin.source.as_deref()),
            quality_date: origin.and_then(|origin| origin.date).map(|date| date.to_string()),
            quality_samples: score.samples,
            quality_interval: score.interval().map(|(low, high)| [rounded(low), rounded(high)]),
            ..self
        }
    }
}

impl<'a> Shut<'a> {
    fn of(shut: &'a RuledOut) -> Self {
        Self { model: shut.model.id.as_str(), rank: None, ruled_out: shut.to_string() }
    }
}

impl Parts {
    fn of(cost: &Cost) -> Self {
        Self {
            input_usd: dollars(cost.input),
            cache_read_usd: dollars(cost.cache_read),
            cache_write_usd: dollars(cost.cache_write),
            output_usd: dollars(cost.output),
            input_tokens: cost.tokens.input().round(),
            cached_tokens: cost.tokens.cached.round(),
            output_tokens: cost.tokens.output.round(),
        }
    }
}

/// A probability without the noise beyond the sixth decimal.
fn rounded(probability: f64) -> f64 {
    (probability * 1e6).round() / 1e6
}

/// Dollars to a billionth: a token of the cheapest model costs more.
fn dollars(amount: Usd) -> f64 {
    (amount.dollars() * 1e9).round() / 1e9
}

/// Whole milliseconds, and at least one: zero would read as unknown.
fn milliseconds(duration: Duration) -> u64 {
    let rounded = duration.saturating_add(Duration::from_micros(500));
    u64::try_from(rounded.as_millis()).unwrap_or(u64::MAX).max(1)
}
