//! What is counted, in Prometheus' text format.
//!
//! Names follow OpenTelemetry's for generative models where one exists. Every family is there from the start, because
//! a family without a series is left out of the text: whoever installs a catalog creates its series. There is no way to
//! count under a text of a caller: labels are a [`Target`]'s, a router's and a task's names, and closed enums.

mod family;

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use prometheus::{Gauge, Histogram, IntCounter, IntGauge, TextEncoder};

use crate::{
    catalog::{Catalog, model::Target},
    dialect::ir::answer::Usage,
    ids::{RouterName, TargetId, TaskName},
    money::Usd,
    resilience::{breaker::State, failure::Cause},
    route::Reason,
    telemetry::{metrics::family::Families, usage::Ended},
};

/// Everything that is counted. One for the process.
pub struct Metrics {
    families: Families,
    /// The counters of [`Ended::WORDS`], found once.
    outcomes: [IntCounter; Ended::WORDS.len()],
    /// The series of the catalog's targets, found once.
    targets: ArcSwap<HashMap<TargetId, Arc<Series>>>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It answered.
    Ok,
    /// It failed.
    Failed,
    /// It met a caller's own mistake.
    Rejected,
    /// The caller did not wait.
    Cancelled,
}

/// What has a cap and makes room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Remembered conversations and response ids.
    Pins,
    /// Breakers and cooldowns.
    Health,
    /// Statistics.
    Stats,
    /// Verdicts.
    Verdicts,
}

/// The series of one target of the catalog.
struct Series {
    /// Its model, its provider and its upstream id.
    place: [String; 3],
    counts: Counts,
    breaker: IntGauge,
    misconfigured: IntGauge,
    cooldown: Gauge,
    price_age: Gauge,
}

/// What is counted of one target, whether or not the catalog still has it.
struct Counts {
    attempts: [IntCounter; 4],
    first_token: Histogram,
    duration: Histogram,
    input: Histogram,
    output: Histogram,
}

impl AttemptOutcome {
    const ALL: [Self; 4] = [Self::Ok, Self::Failed, Self::Rejected, Self::Cancelled];

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Store {
    const ALL: [Self; 4] = [Self::Pins, Self::Health, Self::Stats, Self::Verdicts];

    fn as_str(self) -> &'static str {
        match self {
            Self::Pins => "pins",
            Self::Health => "health",
            Self::Stats => "stats",
            Self::Verdicts => "verdicts",
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that have counted nothing.
    ///
    /// # Panics
    ///
    /// Never: it would, were a name below invalid or used twice.
    #[expect(clippy::expect_used, reason = "every name is a constant, and a test makes them all")]
    pub fn new() -> Self {
        let families = Families::new().expect("the names of the metrics are valid and differ");
        families.requests.decisions.with_label_values(&["", "", Reason::Direct.as_str()]);
        for cause in Cause::ALL {
            families.requests.failovers.with_label_values(&[cause.as_str()]);
        }
        for store in Store::ALL {
            families.process.evictions.with_label_values(&[store.as_str()]);
        }
        let outcomes =
            Ended::WORDS.map(|word| families.requests.outcomes.with_label_values(&[word]));
        Self { families, outcomes, targets: ArcSwap::default() }
    }

    /// Creates the series of a catalog that is about to serve, and removes the gauges of targets that left.
    pub fn catalog(&self, catalog: &Catalog) {
        let targets = catalog.models.values().flat_map(|model| &model.targets);
        let series: HashMap<_, _> =
            targets.map(|target| (target.id.clone(), Arc::new(self.series(target)))).collect();
        for router in catalog.routers.values() {
            let name = router.name.as_str();
            for policy in &router.policies {
                let labels = [name, policy.task.name.as_str(), Reason::Matched.as_str()];
                self.families.requests.decisions.with_label_values(&labels);
            }
            for reason in [Reason::NoMatch, Reason::Unclassified] {
                self.families.requests.decisions.with_label_values(&[name, "", reason.as_str()]);
            }
        }
        let before = self.targets.swap(Arc::new(series));
        let now = self.targets.load();
        for (_, left) in before.iter().filter(|(target, _)| !now.contains_key(*target)) {
            self.families.targets.forget(&left.place);
        }
    }

    /// A request has arrived.
    pub fn request_began(&self) {
        self.families.requests.in_flight.inc();
    }

    /// A request is over; `counted` but for a dry run.
    pub fn request_ended(&self, counted: bool) {
        self.families.requests.in_flight.dec();
        self.families.requests.all.inc_by(u64::from(counted));
    }

    /// A request that counts has ended so.
    pub fn ended(&self, ended: Ended) {
        if let Some(counter) = self.outcomes.get(ended.place()) {
            counter.inc();
        }
    }

    /// An answer came from a model that its router only falls back on.
    pub fn fell_back(&self) {
        self.families.requests.fallbacks.inc();
    }

    /// What an answer of known cost would have cost at the dearest model of its plan.
    pub fn dearest(&self, cost: Usd) {
        self.families.requests.dearest.inc_by(cost.dollars());
    }

    /// How many requests are under way.
    pub fn in_flight(&self) -> i64 {
        self.families.requests.in_flight.get()
    }

    /// How often requests moved on so far, by cause.
    pub fn failovers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Cause::ALL.into_iter().map(|cause| {
            let counter = self.families.requests.failovers.with_label_values(&[cause.as_str()]);
            (cause.as_str(), counter.get())
        })
    }

    /// A request was decided; without a router where the caller named a model.
    pub fn decision(&self, router: Option<&RouterName>, task: Option<&TaskName>, reason: Reason) {
        let router = router.map_or("", RouterName::as_str);
        let task = task.map_or("", TaskName::as_str);
        self.families.requests.decisions.with_label_values(&[router, task, reason.as_str()]).inc();
    }

    /// The classifier was waited for.
    pub fn classified(&self, duration: Duration) {
        self.families.requests.classification.observe(duration.as_secs_f64());
    }

    /// An attempt at `target` is over.
    pub fn attempt(&self, target: &Target, outcome: AttemptOutcome) {
        self.count(target, |counts| {
            let counted = AttemptOutcome::ALL.iter().zip(&counts.attempts);
            for (_, counter) in counted.filter(|(counted, _)| **counted == outcome) {
                counter.inc();
            }
        });
    }

    /// A request moves on from a failure of this cause.
    pub fn failover(&self, cause: Cause) {
        self.families.requests.failovers.with_label_values(&[cause.as_str()]).inc();
    }

    /// `target` answered whole after `duration`; streamed answers also say when their first content came.
    pub fn answered(&self, target: &Target, duration: Duration, first_token: Option<Duration>) {
        self.count(target, |counts| {
            counts.duration.observe(duration.as_secs_f64());
            if let Some(first_token) = first_token {
                counts.first_token.observe(first_token.as_secs_f64());
            }
        });
    }

    /// What an answer of `target` used and cost.
    #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
    pub fn usage(&self, target: &Target, usage: &Usage, cost: Option<Usd>) {
        self.count(target, |counts| {
            counts.input.observe(usage.input as f64);
            counts.output.observe(usage.output as f64);
        });
        self.families.requests.cost.inc_by(cost.map_or(0.0, Usd::dollars));
    }

    /// What we added to a request before its first attempt.
    pub fn overhead(&self, duration: Duration) {
        self.families.requests.overhead.observe(duration.as_secs_f64());
    }

    /// The state of a target's breaker.
    pub fn breaker(&self, target: &Target, state: State) {
        self.gauge(target, |series| series.breaker.set(state.as_number()));
    }

    /// Whether a target is set aside because it refuses our credential or our account.
    pub fn misconfigured(&self, target: &Target, misconfigured: bool) {
        self.gauge(target, |series| series.misconfigured.set(i64::from(misconfigured)));
    }

    /// For how long a target is still left alone.
    pub fn cooldown(&self, target: &Target, left: Duration) {
        self.gauge(target, |series| series.cooldown.set(left.as_secs_f64()));
    }

    /// How old the live price of a target is, in seconds; not a number where it has none.
    pub fn price_age(&self, target: &Target, seconds: Option<f64>) {
        self.gauge(target, |series| series.price_age.set(seconds.unwrap_or(f64::NAN)));
    }

    /// A changed configuration was not taken over.
    pub fn reload_failed(&self) {
        self.families.process.reload_failures.inc();
    }

    /// A request met a mistake of ours.
    pub fn panicked(&self) {
        self.families.process.panics.inc();
    }

    /// How many entries of `store` have had to make room so far.
    pub fn evicted(&self, store: Store, total: u64) {
        let counter = self.families.process.evictions.with_label_values(&[store.as_str()]);
        counter.inc_by(total.saturating_sub(counter.get()));
    }

    /// How many lines of the log have been dropped so far.
    pub fn log_dropped(&self, total: u64) {
        let counter = &self.families.process.log_dropped;
        counter.inc_by(total.saturating_sub(counter.get()));
    }

    /// Everything, in Prometheus' text format.
    pub fn render(&self) -> String {
        let families = self.families.registry.gather();
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }

    fn count(&self, target: &Target, act: impl FnOnce(&Counts)) {
        match self.targets.load().get(&target.id) {
            Some(series) => act(&series.counts),
            // A request of an earlier catalog, whose target has left.
            None => act(&self.counts(target)),
        }
    }

    fn gauge(&self, target: &Target, act: impl FnOnce(&Series)) {
        if let Some(series) = self.targets.load().get(&target.id) {
            act(series);
        }
    }

    fn series(&self, target: &Target) -> Series {
        let families = &self.families.targets;
        let place = [
            target.model.to_string(),
            target.provider.id.to_string(),
            target.upstream_id.to_string(),
        ];
        let price_age = families.price_age.with_label_values(&place);
        price_age.set(f64::NAN);
        Series {
            counts: self.counts(target),
            breaker: families.breaker.with_label_values(&place),
            misconfigured: families.misconfigured.with_label_values(&place),
            cooldown: families.cooldown.with_label_values(&place),
            price_age,
            place,
        }
    }

    fn counts(&self, target: &Target) -> Counts {
        let families = &self.families.targets;
        let model = target.model.as_str();
        Counts {
            attempts: AttemptOutcome::ALL.map(|outcome| {
                let place = [model, target.provider.id.as_str(), &*target.upstream_id];
                let [model, provider, endpoint] = place;
                let labels = [model, provider, endpoint, outcome.as_str()];
                families.attempts.with_label_values(&labels)
            }),
            first_token: families.first_token.with_label_values(&[model]),
            duration: families.duration.with_label_values(&[model]),
            input: families.tokens.with_label_values(&[model, "input"]),
            output: families.tokens.with_label_values(&[model, "output"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        catalog::{
            model::{Features, Model, Pricing},
            provider::{Api, Auth, Provider},
            router::{Policy, Prefer, Router, Task},
            settings::{Failover, Settings, Timeouts},
        },
        dialect::modality::Modalities,
        ids::{ModelId, ProviderId},
    };

    const FAMILIES: [&str; 21] = [
        "gen_ai_client_operation_duration_seconds",
        "gen_ai_client_token_usage",
        "gen_ai_server_time_to_first_token_seconds",
        "pointsman_attempts_total",
        "pointsman_breaker_state",
        "pointsman_classification_seconds",
        "pointsman_config_reload_failures_total",
        "pointsman_cooldown_seconds",
        "pointsman_cost_dearest_usd_total",
        "pointsman_cost_usd_total",
        "pointsman_decisions_total",
        "pointsman_evictions_total",
        "pointsman_failovers_total",
        "pointsman_fallback_answers_total",
        "pointsman_log_dropped_total",
        "pointsman_outcomes_total",
        "pointsman_overhead_seconds",
        "pointsman_panics_total",
        "pointsman_price_age_seconds",
        "pointsman_requests_in_flight",
        "pointsman_requests_total",
    ];

    fn target(name: &str) -> Arc<Target> {
        let provider = ProviderId::parse("p").unwrap();
        let model = ModelId::parse(name).unwrap();
        Arc::new(Target {
            id: TargetId::new(&model, &provider, "up\"stream\n"),
            model,
            provider: Arc::new(Provider {
                id: provider,
                api: Api::OpenAi,
                base_url: "http://127.0.0.1/v1".parse().unwrap(),
                auth: Auth::None,
                query: Vec::new(),
                headers: Vec::new(),
                allow_private: true,
                ca: None,
            }),
            upstream_id: "up\"stream\n".into(),
        })
    }

    fn model(target: &Arc<Target>) -> Arc<Model> {
        Arc::new(Model {
            id: target.model.clone(),
            targets: vec![Arc::clone(target)],
            pricing: Pricing::default(),
            context_window: None,
            modalities: Modalities::TEXT,
            max_output: None,
            features: Features::ALL,
            prefill: false,
            timeouts: Timeouts::default(),
        })
    }

    fn router(model: &Arc<Model>) -> Arc<Router> {
        let task = Task {
            name: TaskName::parse("bug-fixing").unwrap(),
            description: String::new(),
            examples: Vec::new(),
            quality: BTreeMap::new(),
        };
        let models = vec![Arc::clone(model)];
        Arc::new(Router {
            name: RouterName::parse("r").unwrap(),
            description: String::new(),
            policies: vec![Policy { task: Arc::new(task), models, prefer: Prefer::Given }],
            fallbacks: vec![Arc::clone(model)],
            threshold: None,
            failover: Failover::default(),
            switch_budget: None,
        })
    }

    fn catalog(target: &Arc<Target>) -> Catalog {
        let model = model(target);
        let router = router(&model);
        Catalog {
            generation: 1,
            settings: settings(),
            providers: BTreeMap::new(),
            routers: BTreeMap::from([(router.name.clone(), router)]),
            models: BTreeMap::from([(model.id.clone(), model)]),
            tasks: BTreeMap::new(),
            keys: Vec::new(),
            admin_key: None,
        }
    }

    fn settings() -> Settings {
        use crate::catalog::settings::{Affinity, Limits, Log};
        Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            admin: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            classifier: None,
            latency: None,
            affinity: Affinity::default(),
            timeouts: Timeouts::default(),
            body_timeout: Duration::ZERO,
            failover: Failover::default(),
            max_body: 0,
            limits: Limits::default(),
            drain: Duration::ZERO,
            log: Log::default(),
            prices: Vec::new(),
            upgrade_socket: None,
        }
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|found| found == line), "no line {line:?} in\n{text}");
    }

    #[test]
    fn every_family_is_there_from_the_start() {
        let metrics = Metrics::new();
        metrics.catalog(&catalog(&target("m")));
        let text = metrics.render();
        for family in FAMILIES {
            assert!(text.contains(&format!("# TYPE {family} ")), "{family}");
            let of_family = |line: &str| line.starts_with(family) && !line.starts_with('#');
            assert!(text.lines().any(of_family), "{family} has no series");
        }
        let place = r#"endpoint="up\"stream\n",model="m""#;
        has(&text, &format!(r#"pointsman_breaker_state{{{place},provider="p"}} 0"#));
        has(&text, &format!(r#"pointsman_price_age_seconds{{{place},provider="p"}} NaN"#));
        has(&text, r#"pointsman_failovers_total{cause="connect"} 0"#);
        has(&text, r#"pointsman_decisions_total{reason="matched",router="r",task="bug-fixing"} 0"#);
        has(&text, r#"pointsman_decisions_total{reason="no_match",router="r",task=""} 0"#);
        has(&text, "pointsman_requests_total 0");
    }

    #[test]
    fn what_happens_is_counted() {
        let metrics = Metrics::new();
        let target = target("m");
        metrics.catalog(&catalog(&target));
        metrics.request_began();
        metrics.request_began();
        metrics.request_ended(true);
        let task = TaskName::parse("bug-fixing").unwrap();
        let name = RouterName::parse("r").unwrap();
        metrics.decision(Some(&name), Some(&task), Reason::Pinned);
        metrics.attempt(&target, AttemptOutcome::Failed);
        metrics.attempt(&target, AttemptOutcome::Ok);
        metrics.failover(Cause::Timeout);
        metrics.answered(&target, Duration::from_secs(2), Some(Duration::from_millis(300)));
        let usage = Usage { input: 100, output: 7, ..Usage::default() };
        metrics.usage(&target, &usage, Usd::new(0.5));
        metrics.usage(&target, &usage, None);
        metrics.breaker(&target, State::Open);
        metrics.misconfigured(&target, true);
        metrics.price_age(&target, Some(12.0));
        metrics.cooldown(&target, Duration::from_secs(7));
        metrics.ended(Ended::Broken);
        metrics.fell_back();
        metrics.dearest(Usd::new(0.25).unwrap());
        metrics.evicted(Store::Pins, 3);
        metrics.evicted(Store::Pins, 5);
        metrics.log_dropped(2);
        metrics.log_dropped(2);
        let text = metrics.render();
        let place = r#"endpoint="up\"stream\n",model="m""#;
        has(&text, "pointsman_requests_in_flight 1");
        has(&text, "pointsman_requests_total 1");
        has(&text, r#"pointsman_decisions_total{reason="pinned",router="r",task="bug-fixing"} 1"#);
        for outcome in
            [r#"outcome="failed",provider="p"} 1"#, r#"outcome="rejected",provider="p"} 0"#]
        {
            has(&text, &format!("pointsman_attempts_total{{{place},{outcome}"));
        }
        has(&text, r#"pointsman_failovers_total{cause="timeout"} 1"#);
        has(
            &text,
            r#"gen_ai_server_time_to_first_token_seconds_count{gen_ai_request_model="m"} 1"#,
        );
        has(
            &text,
            r#"gen_ai_client_token_usage_sum{gen_ai_request_model="m",gen_ai_token_type="input"} 200"#,
        );
        has(&text, "pointsman_cost_usd_total 0.5");
        has(&text, &format!(r#"pointsman_breaker_state{{{place},provider="p"}} 2"#));
        has(&text, &format!(r#"pointsman_target_misconfigured{{{place},provider="p"}} 1"#));
        has(&text, &format!(r#"pointsman_price_age_seconds{{{place},provider="p"}} 12"#));
        has(&text, &format!(r#"pointsman_cooldown_seconds{{{place},provider="p"}} 7"#));
        has(&text, r#"pointsman_outcomes_total{outcome="error"} 1"#);
        has(&text, "pointsman_fallback_answers_total 1");
        has(&text, "pointsman_cost_dearest_usd_total 0.25");
        has(&text, r#"pointsman_evictions_total{store="pins"} 5"#);
        has(&text, "pointsman_log_dropped_total 2");
    }

    #[test]
    fn the_gauges_of_a_target_that_left_are_removed_and_do_not_come_back() {
        let metrics = Metrics::new();
        let (left, stays) = (target("left"), target("stays"));
        metrics.catalog(&catalog(&left));
        metrics.attempt(&left, AttemptOutcome::Ok);
        metrics.catalog(&catalog(&stays));
        metrics.breaker(&left, State::Open);
        metrics.attempt(&left, AttemptOutcome::Ok);
        let text = metrics.render();
        let of = |name: &str, model: &str| {
            let label = format!("model=\"{model}\"");
            text.lines().any(|line| line.starts_with(name) && line.contains(&label))
        };
        assert!(!of("pointsman_breaker_state", "left") && of("pointsman_breaker_state", "stays"));
        assert!(of("pointsman_attempts_total", "left"), "a counter never goes back");
    }
}
