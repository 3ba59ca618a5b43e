//! What a decision must be, case by case.

#[cfg(test)]
use std::time::Instant;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    catalog::{
        Catalog,
        model::{Features, Model, Target},
        router::{Prefer, Router},
        settings::{Affinity, Failover, Limits, Log, Settings, Timeouts},
    },
    classify::Verdict,
    dialect::{ir::Demand, modality::Modalities},
    ids::{ModelId, RouterName, TargetId, TaskName},
    prices::PriceTable,
    rank::{
        SessionCache, Why,
        specimen::{id, model, model_at, policy, start, teach},
    },
    resilience::{self, Unavailable},
    route::{Asked, Decision, Facts, Reading, Reason, Timings, decide},
    stats::Stats,
};

const PLAIN: Demand =
    Demand { modalities: Modalities::TEXT, tools: false, json: false, reasoning: false };

fn catalog() -> Catalog {
    Catalog {
        generation: 7,
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
            upgrade_socket: None::<PathBuf>,
        },
        providers: BTreeMap::new(),
        models: BTreeMap::new(),
        routers: BTreeMap::new(),
        tasks: BTreeMap::new(),
        keys: Vec::new(),
        admin_key: None,
    }
}

/// Bug fixing by `cheap` and `dear`, writing by `dear`; `spare` and `cheap` to fall back on.
struct World {
    catalog: Catalog,
    stats: Stats,
    router: Arc<Router>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self::of(
            [
                model("cheap", Some((0.3, 1.0))),
                model("dear", Some((3.0, 15.0))),
                model_at("spare", Some((1.0, 4.0)), &["p", "q"]),
            ],
            Prefer::Cheapest,
        )
    }

    fn of(models: [Model; 3], prefer: Prefer) -> Self {
        let [cheap, dear, spare] = models.map(Arc::new);
        let router = Router {
            name: RouterName::parse("r").unwrap(),
            description: String::new(),
            policies: vec![
                policy("bug-fixing", &[&dear, &cheap], prefer),
                policy("writing", &[&dear], Prefer::Given),
            ],
            fallbacks: vec![spare, cheap],
            threshold: None,
            failover: Failover::default(),
            switch_budget: None,
        };
        Self { catalog: catalog(), stats: Stats::new(), router: Arc::new(router), now: start() }
    }

    fn facts(&self, reading: Reading) -> Facts<'_> {
        Facts {
            asked: Asked::Router(&self.router),
            reading,
            demand: PLAIN,
            input_tokens: 1830,
            max_output: None,
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
            timings: Timings { read: Some(40), classify: Some(3100), rank: None },
        }
    }

    fn decide(&self, facts: &Facts<'_>) -> Decision {
        let mut dice = || panic!("a dry run throws no dice");
        decide(&self.catalog, &self.stats, &PriceTable::configured(), facts, &mut dice)
    }

    fn read(&self, reading: Reading) -> Decision {
        self.decide(&self.facts(reading))
    }
}

fn verdict(first: f64, second: f64, none: f64) -> Reading {
    let probabilities = vec![first, second];
    Reading::Verdict(Verdict { probabilities, none, threshold: 0.55, truncated: false })
}

fn matched() -> Reading {
    verdict(0.87, 0.06, 0.07)
}

fn plan(decision: &Decision) -> Vec<String> {
    decision.targets.iter().map(|target| target.id.to_string()).collect()
}

fn models(decision: &Decision) -> Vec<&str> {
    decision.candidates().iter().map(|candidate| candidate.model.id.as_str()).collect()
}

fn document(decision: &Decision) -> Value {
    serde_json::from_str(&serde_json::to_string(&decision.explanation()).unwrap()).unwrap()
}

#[test]
fn a_matched_task_is_ranked_and_then_falls_back() {
    let decision = World::new().read(matched());
    assert_eq!(decision.reason, Reason::Matched);
    assert_eq!(decision.task.as_ref().unwrap().name.as_str(), "bug-fixing");
    assert_eq!(plan(&decision), ["cheap@p/cheap", "dear@p/dear", "spare@p/spare", "spare@q/spare"]);
    assert_eq!(decision.confidence_text().as_deref(), Some("0.87"));
    assert!(decision.refusal.is_none());
}

#[test]
fn a_task_matches_only_above_all_others_none_and_the_threshold() {
    let world = World::new();
    let task = |first, second, none| {
        world.read(verdict(first, second, none)).task.map(|task| task.name.to_string())
    };
    assert_eq!(task(0.55, 0.1, 0.35).as_deref(), Some("bug-fixing"));
    assert_eq!(task(0.54, 0.1, 0.36), None);
    assert_eq!(task(0.1, 0.6, 0.3).as_deref(), Some("writing"));
    assert_eq!(task(0.6, 0.6, 0.0).as_deref(), Some("bug-fixing"));
    assert_eq!(task(0.6, 0.0, 0.6), None);
    assert_eq!(task(f64::NAN, 0.9, 0.1).as_deref(), Some("writing"));
    assert_eq!(task(f64::NAN, f64::INFINITY, f64::NAN), None);
}

#[test]
fn the_threshold_of_the_router_comes_before_the_classifiers() {
    let mut world = World::new();
    Arc::get_mut(&mut world.router).unwrap().threshold = Some(0.9);
    let decision = world.read(matched());
    assert_eq!((decision.reason, decision.threshold()), (Reason::NoMatch, Some(0.9)));
}

#[test]
fn without_a_match_the_fallbacks_are_the_plan() {
    let world = World::new();
    for (reading, reason) in [
        (verdict(0.3, 0.3, 0.4), Reason::NoMatch),
        (Reading::NoText, Reason::NoMatch),
        (Reading::Unclassified, Reason::Unclassified),
    ] {
        let decision = world.read(reading);
        assert_eq!(decision.reason, reason);
        assert_eq!(models(&decision), ["spare", "cheap"]);
        assert!(decision.task.is_none() && decision.confidence.is_none());
        assert!(decision.candidates().iter().all(|candidate| candidate.why == Why::Fallback));
    }
}

fn pinned(model: &str) -> Reading {
    Reading::Pinned { task: TaskName::parse("bug-fixing").ok(), model: id(model) }
}

#[test]
fn a_pinned_model_goes_before_the_plan_of_its_task() {
    let world = World::new();
    let decision = world.read(pinned("dear"));
    assert_eq!((decision.reason, decision.pin_broken), (Reason::Pinned, false));
    assert_eq!(models(&decision), ["dear", "cheap", "spare"]);
    assert_eq!(decision.task.as_ref().unwrap().name.as_str(), "bug-fixing");
    assert_eq!(decision.confidence, None);
    let document = document(&decision);
    assert_eq!(document["session"], json!({"id": null, "pinned": true}));
    assert_eq!(document["tasks"][0], json!({"name": "bug-fixing", "probability": null}));
    assert_eq!((&document["none"], &document["confidence"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_pinned_model_that_a_gate_rules_out_breaks_the_pin() {
    let world = World::new();
    let allowed = |model: &ModelId| model.as_str() != "dear";
    let decision = world.decide(&Facts { allowed: &allowed, ..world.facts(pinned("dear")) });
    assert!(decision.pin_broken);
    assert_eq!(models(&decision), ["cheap", "spare"]);
    assert_eq!(decision.ruled_out().len(), 1);
}

#[test]
fn a_pinned_model_that_left_the_router_breaks_the_pin() {
    let decision = World::new().read(pinned("gone"));
    assert!(decision.pin_broken);
    assert_eq!(models(&decision), ["cheap", "dear", "spare"]);
}

#[test]
fn a_tool_loop_goes_on_where_it_was_even_without_a_task() {
    let decision = World::new().read(Reading::Continued { task: None, model: id("dear") });
    assert_eq!((decision.reason, decision.task.is_none()), (Reason::Continued, true));
    assert_eq!(models(&decision), ["dear", "spare", "cheap"]);
}

#[test]
fn a_named_model_is_tried_at_all_its_endpoints() {
    let world = World::new();
    let spare = world.router.fallbacks[0].clone();
    let decision =
        world.decide(&Facts { asked: Asked::Model(&spare), ..world.facts(Reading::Direct) });
    assert_eq!(plan(&decision), ["spare@p/spare", "spare@q/spare"]);
    let document = document(&decision);
    assert_eq!((&document["router"], &document["reason"]), (&Value::Null, &json!("direct")));
    assert_eq!((&document["tasks"], &document["fallbacks"]), (&json!([]), &json!([])));
}

#[test]
fn the_window_must_hold_the_input_and_what_was_asked_for() {
    let mut tiny = model("tiny", Some((0.1, 0.1)));
    tiny.context_window = Some(2048);
    let world = World::of([tiny, model("dear", None), model("spare", None)], Prefer::Given);
    let fits = world.decide(&Facts { max_output: Some(218), ..world.facts(matched()) });
    assert!(models(&fits).contains(&"tiny"));
    let decision = world.decide(&Facts { max_output: Some(1200), ..world.facts(matched()) });
    assert_eq!(models(&decision), ["dear", "spare"]);
    assert_eq!(
        document(&decision)["candidates"][2],
        json!({"model": "tiny", "rank": null, "ruled_out": "context_window: needs 3030 tokens, has 2048"})
    );
}

#[test]
fn what_a_model_lacks_rules_it_out() {
    let plain = || {
        let mut plain = model("cheap", None);
        plain.features = Features { tools: false, json: false, reasoning: false };
        World::of([plain, model("dear", None), model("spare", None)], Prefer::Given)
    };
    for (demand, said) in [
        (Demand { tools: true, ..PLAIN }, "feature: needs tools"),
        (Demand { json: true, ..PLAIN }, "feature: needs json"),
        (Demand { reasoning: true, ..PLAIN }, "feature: needs reasoning"),
    ] {
        let world = plain();
        let decision = world.decide(&Facts { demand, ..world.facts(matched()) });
        assert_eq!(decision.ruled_out()[0].to_string(), said);
        assert_eq!(models(&decision), ["dear", "spare"]);
    }
    let image = Demand { modalities: Modalities { image: true, ..Modalities::TEXT }, ..PLAIN };
    let world = World::new();
    let decision = world.decide(&Facts { demand: image, ..world.facts(matched()) });
    let refusal = decision.refusal.unwrap();
    assert_eq!((refusal.status, refusal.code), (400, "unsupported_by_model"));
    assert_eq!(refusal.message, "no model can take this request (modality: needs image)");
}

fn cooling(seconds: u64) -> Result<(), Unavailable> {
    Err(Unavailable { gate: resilience::Gate::Cooldown, retry_after: Duration::from_secs(seconds) })
}

#[test]
fn one_endpoint_that_is_out_leaves_the_others() {
    let world = World::new();
    let available = |target: &TargetId| match target.as_str() {
        "spare@p/spare" => cooling(9),
        _ => Ok(()),
    };
    let decision =
        world.decide(&Facts { available: &available, ..world.facts(Reading::Unclassified) });
    assert_eq!(plan(&decision), ["spare@q/spare", "cheap@p/cheap"]);
    assert!(decision.ruled_out().is_empty());
}

#[test]
fn all_out_is_refused_with_the_soonest_wait() {
    let world = World::new();
    let available = |target: &TargetId| match target.as_str() {
        "spare@p/spare" => cooling(9),
        "spare@q/spare" => cooling(4),
        "dear@p/dear" => Err(Unavailable {
            gate: resilience::Gate::Breaker,
            retry_after: Duration::from_secs(6),
        }),
        _ => cooling(20),
    };
    let decision = world.decide(&Facts { available: &available, ..world.facts(matched()) });
    let refusal = decision.refusal.as_ref().unwrap();
    assert_eq!((refusal.status, refusal.code), (503, "no_healthy_target"));
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(4)));
    assert!(decision.targets.is_empty());
    let document = document(&decision);
    assert_eq!(document["candidates"][2]["ruled_out"], json!("cooldown: for another 4 s"));
    assert_eq!(document["candidates"].as_array().unwrap().len(), 3);
    assert_eq!(document["task"], json!("bug-fixing"));
}

/// The refusal where `cheap` is too small, `dear` cannot carry it or `spare` cools down; the key rules out the others.
fn refused(window: bool, api: bool, out: bool) -> (u16, &'static str) {
    let mut cheap = model("cheap", None);
    cheap.context_window = window.then_some(10);
    let world = World::of([cheap, model("dear", None), model("spare", None)], Prefer::Given);
    let carries = |target: &Target| match target.model.as_str() {
        "dear" if api => Err("needs the responses API".to_owned()),
        _ => Ok(()),
    };
    let allowed = |model: &ModelId| match model.as_str() {
        "cheap" => false,
        "dear" => api,
        _ => out,
    };
    let available = |_: &TargetId| if out { cooling(3) } else { Ok(()) };
    let facts =
        Facts { api: &carries, allowed: &allowed, available: &available, ..world.facts(matched()) };
    let refusal = world.decide(&facts).refusal.unwrap();
    (refusal.status, refusal.code)
}

#[test]
fn where_gates_differ_the_one_that_may_change_speaks() {
    assert_eq!(refused(true, true, true), (503, "no_healthy_target"));
    assert_eq!(refused(true, true, false), (400, "context_length_exceeded"));
    assert_eq!(refused(false, true, false), (400, "unsupported_by_model"));
    assert_eq!(refused(false, false, false), (403, "not_allowed"));
}

#[test]
fn a_bound_request_goes_to_its_endpoint_alone() {
    let world = World::new();
    let bound = world.router.fallbacks[0].targets[1].id.clone();
    let decision = world.decide(&Facts { bound: Some(&bound), ..world.facts(matched()) });
    assert_eq!(plan(&decision), ["spare@q/spare"]);
    let available = |_: &TargetId| cooling(3);
    let facts = Facts { bound: Some(&bound), available: &available, ..world.facts(matched()) };
    let refusal = world.decide(&facts).refusal.unwrap();
    assert_eq!((refusal.status, refusal.retry_after), (503, Some(Duration::from_secs(3))));
}

#[test]
fn exploring_needs_leave_and_a_free_choice() {
    let world = World::of(
        [model("cheap", None), model("dear", None), model("spare", None)],
        Prefer::Fastest,
    );
    teach(
        &world.stats,
        &world.router.policies[0].models[0],
        world.now,
        Duration::from_millis(300),
        20,
    );
    let mut dice = || 0.0;
    let prices = PriceTable::configured();
    let facts = Facts { explore: true, ..world.facts(matched()) };
    let decision = decide(&world.catalog, &world.stats, &prices, &facts, &mut dice);
    assert_eq!((models(&decision)[0], decision.explored), ("cheap", true));
    let facts = Facts { explore: true, ..world.facts(pinned("dear")) };
    let decision = decide(&world.catalog, &world.stats, &prices, &facts, &mut dice);
    assert_eq!((models(&decision)[0], decision.explored), ("dear", false));
    // `World::decide` has dice that panic.
    assert_eq!(models(&world.read(matched()))[0], "dear");
}

#[test]
fn a_request_that_cannot_teach_does_not_explore() {
    let explores = |prefer, facts: fn(Facts<'_>) -> Facts<'_>| {
        let models = [model("cheap", Some((1.0, 4.0))), model("dear", Some((1.1, 4.4)))];
        let [cheap, dear] = models;
        let world = World::of([cheap, dear, model("spare", None)], prefer);
        let known = &world.router.policies[0].models[1];
        teach(&world.stats, known, world.now, Duration::from_millis(300), 20);
        let facts = facts(Facts { explore: true, ..world.facts(matched()) });
        let prices = PriceTable::configured();
        decide(&world.catalog, &world.stats, &prices, &facts, &mut || 0.0).explored
    };
    let whole: fn(Facts<'_>) -> Facts<'_> = |facts| Facts { streamed: false, ..facts };
    let short: fn(Facts<'_>) -> Facts<'_> = |facts| Facts { max_output: Some(15), ..facts };
    assert!(explores(Prefer::Cheapest, |facts| facts) && explores(Prefer::Cheapest, whole));
    assert!(!explores(Prefer::Cheapest, short));
    assert!(explores(Prefer::Fastest, |facts| facts) && !explores(Prefer::Fastest, whole));
    assert!(!explores(Prefer::Given, |facts| facts) && !explores(Prefer::Optimal, |facts| facts));
}

#[test]
fn the_switch_budget_of_a_router_is_held() {
    let mut world = World::new();
    let router = Arc::get_mut(&mut world.router).unwrap();
    router.switch_budget = Some(20.0);
    router.policies[0].prefer = Prefer::Given;
    let session = SessionCache {
        model: id("cheap"),
        target: None,
        warm: Vec::new(),
        spent: crate::money::Usd::ZERO,
        unswitched: crate::money::Usd::ZERO,
    };
    assert_eq!(models(&world.read(matched()))[0], "dear");
    let decision = world.decide(&Facts { session: Some(session), ..world.facts(matched()) });
    assert_eq!(models(&decision)[0], "cheap");
    assert_eq!(decision.candidates()[0].why, Why::Kept);
    assert_eq!(decision.candidates()[1].why, Why::OverBudget);
}

/// The keys, their order and their values are the contract of design section 5.
#[test]
fn the_document_is_as_designed() {
    let world = World::new();
    teach(
        &world.stats,
        &world.router.policies[0].models[1],
        world.now,
        Duration::from_millis(310),
        42,
    );
    let facts = Facts { session_id: Some("s-1".to_owned()), ..world.facts(matched()) };
    let mut decision = world.decide(&facts);
    decision.timings.rank = Some(12);
    let text = serde_json::to_string(&decision.explanation()).unwrap();
    let begins = concat!(
        r#"{"router":"r","generation":7,"task":"bug-fixing","reason":"matched","#,
        r#""confidence":0.87,"threshold":0.55,"truncated":false,"#,
        r#""tasks":[{"name":"bug-fixing","probability":0.87},{"name":"writing","probability":0.06}],"#,
        r#""none":0.07,"candidates":[{"model":"cheap","rank":1,"expected_cost_usd":0.000949,"#,
    );
    assert!(text.starts_with(begins), "{text}");
    let ends = concat!(
        r#""fallbacks":["spare","cheap"],"session":{"id":"s-1","pinned":false},"#,
        r#""input_tokens":1830,"timings_us":{"read":40,"classify":3100,"rank":12}}"#,
    );
    assert!(text.ends_with(ends), "{text}");
    let document = document(&decision);
    let first = &document["candidates"][0];
    assert_eq!((&first["samples"], &first["why"]), (&json!(42), &json!("cheapest")));
    let second = &document["candidates"][1];
    assert_eq!((&second["rank"], &second["why"]), (&json!(2), &json!("")));
    assert_eq!(second["expected_ttft_ms"], Value::Null);
    assert!(second["unless"].as_str().unwrap().starts_with("first if it cost less than"));
    assert_eq!(document["candidates"][2]["why"], json!("fallback"));
}

#[test]
fn an_empty_text_is_none_for_certain() {
    let document = document(&World::new().read(Reading::NoText));
    assert_eq!((&document["none"], &document["confidence"]), (&json!(1.0), &Value::Null));
    assert_eq!(document["tasks"][1], json!({"name": "writing", "probability": 0.0}));
}

#[test]
fn equal_facts_give_equal_documents() {
    let world = World::new();
    let text = || serde_json::to_string(&world.read(matched()).explanation()).unwrap();
    assert_eq!(text(), text());
}
