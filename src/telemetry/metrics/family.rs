//! The families: their names, their texts, their buckets.

use prometheus::{
    Counter, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, core::Collector,
};

/// `OpenTelemetry`'s buckets for the time to the first token, and three more for models that reason first.
const FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 30.0, 60.0,
];
/// Its buckets for whole operations, doubled on to the longest that the defaults allow.
const DURATION: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
    327.68, 655.36,
];
/// Its buckets for tokens.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// From a cached verdict to the longest that the default deadline waits for, and somewhat on.
const CLASSIFICATION: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.25,
    0.5, 1.0,
];
/// From a direct request to one that waited for the classifier.
const OVERHEAD: &[f64] = &[
    0.000_05, 0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0,
];

const MODEL: &str = "gen_ai_request_model";
const PLACE: &[&str] = &["model", "provider", "endpoint"];

/// Every family, registered.
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) requests: Requests,
    pub(super) targets: Targets,
    pub(super) process: Process,
}

/// What is counted of requests.
pub(super) struct Requests {
    pub(super) all: IntCounter,
    pub(super) in_flight: IntGauge,
    pub(super) decisions: IntCounterVec,
    pub(super) failovers: IntCounterVec,
    pub(super) outcomes: IntCounterVec,
    pub(super) fallbacks: IntCounter,
    pub(super) cost: Counter,
    pub(super) dearest: Counter,
    pub(super) classification: Histogram,
    pub(super) overhead: Histogram,
}

/// What is counted of targets.
pub(super) struct Targets {
    pub(super) attempts: IntCounterVec,
    pub(super) breaker: IntGaugeVec,
    pub(super) misconfigured: IntGaugeVec,
    pub(super) cooldown: GaugeVec,
    pub(super) price_age: GaugeVec,
    pub(super) first_token: HistogramVec,
    pub(super) duration: HistogramVec,
    pub(super) tokens: HistogramVec,
}

/// What is counted of the process.
pub(super) struct Process {
    pub(super) reload_failures: IntCounter,
    pub(super) panics: IntCounter,
    pub(super) evictions: IntCounterVec,
    pub(super) log_dropped: IntCounter,
}

impl Families {
    pub(super) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let maker = Maker(&registry);
        Ok(Self {
            requests: Requests::new(&maker)?,
            targets: Targets::new(&maker)?,
            process: Process::new(&maker)?,
            registry,
        })
    }
}

impl Requests {
    fn new(made: &Maker<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            all: made.put(IntCounter::new(
                "pointsman_requests_total",
                "Requests to the data plane, but for dry runs.",
            ))?,
            in_flight: made.put(IntGauge::new(
                "pointsman_requests_in_flight",
                "Requests to the data plane that are not over.",
            ))?,
            decisions: made.counters(
                "pointsman_decisions_total",
                "Decisions; task is empty where none matched.",
                &["router", "task", "reason"],
            )?,
            failovers: made.counters(
                "pointsman_failovers_total",
                "Moves to another attempt, by what went wrong before.",
                &["cause"],
            )?,
            outcomes: made.counters(
                "pointsman_outcomes_total",
                "Requests by how they ended.",
                &["outcome"],
            )?,
            fallbacks: made.put(IntCounter::new(
                "pointsman_fallback_answers_total",
                "Answers of models that their router only falls back on.",
            ))?,
            dearest: made.put(Counter::new(
                "pointsman_cost_dearest_usd_total",
                "An estimate: what answers of known cost would have cost at the dearest model of each plan.",
            ))?,
            cost: made.put(Counter::new(
                "pointsman_cost_usd_total",
                "What answers cost at the prices known, in US dollars.",
            ))?,
            classification: made.histogram(
                "pointsman_classification_seconds",
                "How long requests waited for the classifier.",
                CLASSIFICATION,
            )?,
            overhead: made.histogram(
                "pointsman_overhead_seconds",
                "From a request's arrival to its first attempt.",
                OVERHEAD,
            )?,
        })
    }
}

impl Targets {
    fn new(made: &Maker<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            attempts: made.counters(
                "pointsman_attempts_total",
                "Attempts by how they ended.",
                &["model", "provider", "endpoint", "outcome"],
            )?,
            breaker: made.gauges("pointsman_breaker_state", "0 closed, 1 half-open, 2 open.")?,
            misconfigured: made.gauges(
                "pointsman_target_misconfigured",
                "1 while a target is set aside because it refuses our credential or account.",
            )?,
            cooldown: made.seconds(
                "pointsman_cooldown_seconds",
                "How long a target is still left alone because it asked for that, or refuses us.",
            )?,
            price_age: made.seconds(
                "pointsman_price_age_seconds",
                "The age of a target's live price; NaN where it has none.",
            )?,
            first_token: made.histograms(
                "gen_ai_server_time_to_first_token_seconds",
                "From a request's arrival to the first content of its streamed answer.",
                (&[MODEL], FIRST_TOKEN),
            )?,
            duration: made.histograms(
                "gen_ai_client_operation_duration_seconds",
                "From a request's arrival to the end of its answer.",
                (&[MODEL], DURATION),
            )?,
            tokens: made.histograms(
                "gen_ai_client_token_usage",
                "Tokens of requests and answers.",
                (&[MODEL, "gen_ai_token_type"], TOKENS),
            )?,
        })
    }

    /// Removes the gauges of a target that left: a state that nobody updates would be a lie. Counters stay.
    pub(super) fn forget(&self, place: &[String; 3]) {
        // Each was made with the others; one that is gone already is as it should be.
        let _ = self.breaker.remove_label_values(place);
        let _ = self.misconfigured.remove_label_values(place);
        let _ = self.cooldown.remove_label_values(place);
        let _ = self.price_age.remove_label_values(place);
    }
}

impl Process {
    fn new(made: &Maker<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            reload_failures: made.put(IntCounter::new(
                "pointsman_config_reload_failures_total",
                "Changed configurations that were not taken over.",
            ))?,
            panics: made.put(IntCounter::new(
                "pointsman_panics_total",
                "Requests that met a mistake of ours.",
            ))?,
            evictions: made.counters(
                "pointsman_evictions_total",
                "Entries that made room for others in a store with a cap.",
                &["store"],
            )?,
            log_dropped: made.put(IntCounter::new(
                "pointsman_log_dropped_total",
                "Lines of the log that were dropped: no room for them, or they could not be written.",
            ))?,
        })
    }
}

/// Makes metrics and registers them.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn put<C: Collector + Clone + 'static>(
        &self,
        made: prometheus::Result<C>,
    ) -> prometheus::Result<C> {
        let made = made?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<IntCounterVec> {
        self.put(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauges(&self, name: &str, help: &str) -> prometheus::Result<IntGaugeVec> {
        self.put(IntGaugeVec::new(Opts::new(name, help), PLACE))
    }

    fn seconds(&self, name: &str, help: &str) -> prometheus::Result<GaugeVec> {
        self.put(GaugeVec::new(Opts::new(name, help), PLACE))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.put(Histogram::with_opts(options))
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        (labels, buckets): (&[&str], &[f64]),
    ) -> prometheus::Result<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.put(HistogramVec::new(options, labels))
    }
}
