//! What every order must be: total, deterministic, monotone in price, and never fooled by what is not known.

#[cfg(test)]
use std::time::Instant;
use std::{cmp::Ordering, collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use proptest::prelude::*;

use crate::{
    catalog::{
        model::{Model, Rates},
        router::{Prefer, Score, Task},
    },
    money::{PerMillion, Usd},
    prices::PriceTable,
    rank::{
        Candidate, Query, SessionCache, Warm, Why, assess, explore,
        explore::{ENOUGH, SHARE},
        order,
        order::{compare, why_not_first},
        session::{CACHE_LIFETIME, hold},
        specimen::{id, model, sample, start, task, teach},
    },
    stats::{Prediction, Sample, SampleOutcome, Stats},
};

const ALL: [Prefer; 4] = [Prefer::Given, Prefer::Cheapest, Prefer::Fastest, Prefer::Optimal];

fn query(now: Instant) -> Query<'static> {
    Query {
        task: None,
        input_tokens: 1000,
        max_output: None,
        caching: false,
        session: None,
        now,
        wall: Timestamp::UNIX_EPOCH,
    }
}

fn ranked(prefer: Prefer, models: &[Model], query: &Query<'_>, stats: &Stats) -> Vec<Candidate> {
    let reader = stats.reader();
    let prices = PriceTable::configured();
    let mut candidates: Vec<Candidate> = models
        .iter()
        .enumerate()
        .map(|(place, model)| {
            let model = Arc::new(copy(model));
            assess((&model, &model.targets[0]), place, query, &reader, &prices)
        })
        .collect();
    order(prefer, &mut candidates);
    candidates
}

/// A session whose last answer was given by `model`, `age` ago.
fn session(model: &Model, prefix_tokens: u64, age: Duration) -> SessionCache {
    let target = model.targets[0].id.clone();
    SessionCache {
        model: model.id.clone(),
        target: Some(target.clone()),
        warm: vec![Warm { target, prefix_tokens, age, lifetime: CACHE_LIFETIME }],
        spent: Usd::ZERO,
        unswitched: Usd::ZERO,
    }
}

fn copy(original: &Model) -> Model {
    Model {
        id: original.id.clone(),
        targets: original.targets.clone(),
        pricing: original.pricing.clone(),
        ..model("other", None)
    }
}

fn names(candidates: &[Candidate]) -> Vec<&str> {
    candidates.iter().map(|candidate| candidate.model.id.as_str()).collect()
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn cheapest_is_by_the_cost_of_this_request_and_unknown_is_last() {
    let models = [
        model("unknown", None),
        model("dear", Some((3.0, 15.0))),
        model("cheap", Some((0.3, 1.0))),
    ];
    let order = ranked(Prefer::Cheapest, &models, &query(start()), &Stats::new());
    assert_eq!(names(&order), ["cheap", "dear", "unknown"]);
    assert_eq!((order[0].why, order[1].why), (Why::Cheapest, Why::Behind));
    // 1,000 tokens in and the 400 expected out.
    let cost = order[0].cost.unwrap();
    assert!((cost.total().dollars() - (0.3 * 1000.0 + 1.0 * 400.0) / 1e6).abs() < 1e-12);
}

#[test]
fn the_limit_of_the_request_caps_the_expected_output() {
    let models = [model("a", Some((0.1, 10.0))), model("b", Some((2.0, 1.0)))];
    let now = start();
    let free = ranked(Prefer::Cheapest, &models, &query(now), &Stats::new());
    assert_eq!(names(&free), ["b", "a"]);
    let short = Query { max_output: Some(20), ..query(now) };
    let order = ranked(Prefer::Cheapest, &models, &short, &Stats::new());
    assert_eq!(names(&order), ["a", "b"]);
    assert!((order[0].cost.unwrap().tokens.output - 20.0).abs() < 1e-9);
}

#[test]
fn equal_costs_go_to_the_sooner_then_to_the_order_given() {
    let models = [
        model("first", Some((1.0, 1.0))),
        model("second", Some((1.0, 1.0))),
        model("third", Some((1.0, 1.0))),
    ];
    let (now, stats) = (start(), Stats::new());
    let order = ranked(Prefer::Cheapest, &models, &query(now), &stats);
    assert_eq!(names(&order), ["first", "second", "third"]);
    let asked = Query { max_output: Some(10), ..query(now) };
    teach(&stats, &models[2], now, ms(100), 5);
    let order = ranked(Prefer::Cheapest, &models, &asked, &stats);
    assert_eq!(names(&order), ["third", "first", "second"]);
}

#[test]
fn a_warm_session_pays_for_a_move() {
    let (now, stats) = (start(), Stats::new());
    let mut warm = model("warm", Some((1.75, 14.0)));
    warm.pricing.base.cache_read = PerMillion::new(0.175);
    let models = [warm, model("cold", Some((1.0, 8.0)))];
    let mut session = session(&models[0], 80_000, Duration::from_secs(30));
    let asked = Query { input_tokens: 81_000, ..query(now) };
    assert_eq!(names(&ranked(Prefer::Cheapest, &models, &asked, &stats)), ["cold", "warm"]);
    let going_on = Query { session: Some(&session), ..asked };
    let order = ranked(Prefer::Cheapest, &models, &going_on, &stats);
    assert_eq!(names(&order), ["warm", "cold"]);
    assert!(order[0].cost.unwrap().tokens.cached > 60_000.0);
    // An hour later the cache is gone.
    session.warm[0].age = Duration::from_hours(1);
    let late = Query { session: Some(&session), ..asked };
    assert_eq!(names(&ranked(Prefer::Cheapest, &models, &late, &stats)), ["cold", "warm"]);
}

#[test]
fn a_session_that_comes_back_finds_its_first_model_warm() {
    let (now, stats) = (start(), Stats::new());
    let mut first = model("first", Some((1.75, 14.0)));
    first.pricing.base.cache_read = PerMillion::new(0.175);
    let mut other = model("other", Some((1.5, 12.0)));
    other.pricing.base.cache_read = PerMillion::new(0.15);
    let models = [first, other];
    let minute = Duration::from_mins(1);
    let mut session = session(&models[1], 2_000, minute);
    let asked = Query { input_tokens: 41_000, ..query(now) };
    let cheapest = |session: &SessionCache| {
        let asked = Query { session: Some(session), ..asked };
        let order = ranked(Prefer::Cheapest, &models, &asked, &stats);
        order[0].model.id.to_string()
    };
    assert_eq!(cheapest(&session), "other");
    // The first model read most of the conversation before the session left it for a turn.
    let first = &models[0].targets[0].id;
    session.warm.push(Warm {
        target: first.clone(),
        prefix_tokens: 40_000,
        age: minute * 3,
        lifetime: CACHE_LIFETIME,
    });
    assert_eq!(cheapest(&session), "first");
    assert_eq!(session.reusable(first), Some(40_000));
    session.warm[1].age = minute * 11;
    assert_eq!((cheapest(&session).as_str(), session.reusable(first)), ("other", None));
    session.warm[1].lifetime = Duration::from_hours(1);
    assert_eq!(cheapest(&session), "first");
}

#[test]
fn a_cache_that_never_hits_is_not_counted_on() {
    let (now, stats) = (start(), Stats::new());
    let mut warm = model("warm", Some((1.75, 14.0)));
    warm.pricing.base.cache_read = PerMillion::new(0.175);
    for _ in 0..100 {
        let mut missed = sample(&warm, now, ms(100));
        missed.estimated_tokens = 10_000;
        missed.input_tokens = Some(10_000);
        missed.cacheable = Some(9_000);
        missed.cache_read = Some(0);
        stats.record(&missed);
    }
    let hit = stats.reader().cache(&warm.targets[0].id).hit;
    assert!(hit < 0.1, "{hit}");
}

#[test]
fn caching_that_was_asked_for_is_charged_as_written() {
    let mut one = model("m", Some((1.0, 1.0)));
    one.pricing.base.cache_write = PerMillion::new(1.25);
    let asked = Query { caching: true, ..query(start()) };
    let order = ranked(Prefer::Cheapest, &[one], &asked, &Stats::new());
    let cost = order[0].cost.unwrap();
    assert!((cost.cache_write.dollars() - 1.25 * 1000.0 / 1e6).abs() < 1e-12);
    assert_eq!(cost.input, Usd::ZERO);
}

#[test]
fn fastest_is_by_what_was_measured_and_unknown_is_after_it() {
    let models = [model("unknown", None), model("slow", None), model("fast", None)];
    let (now, stats) = (start(), Stats::new());
    teach(&stats, &models[1], now, ms(900), 10);
    teach(&stats, &models[2], now, ms(200), 10);
    let order = ranked(Prefer::Fastest, &models, &query(now), &stats);
    assert_eq!(names(&order), ["fast", "slow", "unknown"]);
    assert_eq!(order[0].why, Why::Fastest);
    assert_eq!((order[0].ttft.samples, order[2].ttft.ttft), (10, None));
}

#[test]
fn a_target_that_fails_in_5_ms_is_last() {
    let models = [model("failing", None), model("unknown", None), model("slow", None)];
    let (now, stats) = (start(), Stats::new());
    teach(&stats, &models[2], now, ms(9000), 3);
    for _ in 0..5 {
        let mut failed = sample(&models[0], now, ms(5));
        failed.outcome = SampleOutcome::Failed;
        failed.duration = ms(5);
        failed.ttft = None;
        stats.record(&failed);
    }
    let order = ranked(Prefer::Fastest, &models, &query(now), &stats);
    assert_eq!(names(&order), ["slow", "unknown", "failing"]);
}

#[test]
fn tiny_prompts_do_not_make_a_target_look_fast_for_large_ones() {
    let models = [model("tiny-prompts", None), model("large-prompts", None)];
    let (now, stats) = (start(), Stats::new());
    for _ in 0..30 {
        let mut tiny = sample(&models[0], now, ms(400));
        tiny.estimated_tokens = 20;
        tiny.input_tokens = Some(20);
        stats.record(&tiny);
        let mut large = sample(&models[1], now, ms(1500));
        large.estimated_tokens = 60_000;
        large.input_tokens = Some(60_000);
        stats.record(&large);
    }
    let large = Query { input_tokens: 60_000, ..query(now) };
    let order = ranked(Prefer::Fastest, &models, &large, &stats);
    assert_eq!(names(&order), ["large-prompts", "tiny-prompts"]);
}

#[test]
fn who_leaves_early_or_asks_for_one_token_teaches_no_speed() {
    let one = model("m", None);
    let (now, stats) = (start(), Stats::new());
    let changes: [fn(&mut Sample); 4] = [
        |sample| sample.outcome = SampleOutcome::Cancelled,
        |sample| sample.outcome = SampleOutcome::Rejected,
        |sample| sample.max_output = Some(1),
        |sample| sample.streamed = false,
    ];
    for change in changes {
        let mut taught = sample(&one, now, ms(1));
        change(&mut taught);
        stats.record(&taught);
    }
    let prediction = stats.predict(&one.targets[0].id, &one.id, 1000, now);
    assert_eq!(prediction, Prediction::default());
}

#[test]
fn a_seeded_prior_ranks_an_unused_model() {
    let models = [model("seen", None), model("seeded", None)];
    let (now, stats) = (start(), Stats::new());
    teach(&stats, &models[0], now, ms(800), 5);
    stats.seed_prior(&models[1].id, Some(ms(100)));
    let order = ranked(Prefer::Fastest, &models, &query(now), &stats);
    assert_eq!(names(&order), ["seeded", "seen"]);
}

#[test]
fn optimal_is_by_quality_then_cost() {
    let models = [
        model("unrated", Some((0.1, 0.1))),
        model("good-dear", Some((2.0, 2.0))),
        model("good-cheap", Some((1.0, 1.0))),
        model("best", Some((9.0, 9.0))),
    ];
    let task = Task {
        quality: BTreeMap::from([
            (id("good-dear"), Score::bare(0.8)),
            (id("good-cheap"), Score::bare(0.8)),
            (id("best"), Score::bare(0.9)),
        ]),
        ..(*task("t")).clone()
    };
    let asked = Query { task: Some(&task), ..query(start()) };
    let order = ranked(Prefer::Optimal, &models, &asked, &Stats::new());
    assert_eq!(names(&order), ["best", "good-cheap", "good-dear", "unrated"]);
    assert_eq!(order[0].why, Why::Optimal);
}

#[test]
fn a_model_that_counts_more_tokens_costs_more() {
    let models = [model("plain", Some((1.0, 1.0))), model("wordy", Some((1.0, 1.0)))];
    let (now, stats) = (start(), Stats::new());
    for _ in 0..30 {
        let mut counted = sample(&models[1], now, ms(100));
        counted.input_tokens = Some(1500);
        stats.record(&counted);
        stats.record(&sample(&models[0], now, ms(100)));
    }
    let reader = stats.reader();
    assert!(reader.tokens(&models[1].id, 1000) > 1350.0);
    assert!((reader.tokens(&models[0].id, 1000) - 1000.0).abs() < 1.0);
}

#[test]
fn the_switch_budget_keeps_a_session_where_moving_is_dearer() {
    let models = [model("dear", Some((3.0, 3.0))), model("last", Some((1.0, 1.0)))];
    let session = session(&models[1], 0, Duration::ZERO);
    let asked = Query { session: Some(&session), ..query(start()) };
    let mut order = ranked(Prefer::Given, &models, &asked, &Stats::new());
    assert!(!hold(&mut order, &session, 300.0));
    assert_eq!(names(&order), ["dear", "last"]);
    assert!(hold(&mut order, &session, 20.0));
    assert_eq!(names(&order), ["last", "dear"]);
}

#[test]
fn what_is_known_well_enough_is_not_explored() {
    let models = [model("a", None), model("b", None)];
    let (now, stats) = (start(), Stats::new());
    teach(&stats, &models[0], now, ms(100), 20);
    teach(&stats, &models[1], now, ms(150), 20);
    let mut order = ranked(Prefer::Fastest, &models, &query(now), &stats);
    assert!(!explore(Prefer::Fastest, &mut order, &mut || panic!("no dice for what is known")));
}

#[test]
fn what_cannot_be_the_fastest_is_not_explored() {
    let models = [model("a", None), model("b", None)];
    let (now, stats) = (start(), Stats::new());
    teach(&stats, &models[0], now, ms(100), 20);
    teach(&stats, &models[1], now, ms(60_000), 3);
    let mut order = ranked(Prefer::Fastest, &models, &query(now), &stats);
    assert!(!explore(Prefer::Fastest, &mut order, &mut || panic!("no dice for the hopeless")));
}

#[test]
fn exploration_stays_within_its_share_and_follows_its_weights() {
    let models = [model("known", None), model("cold", None), model("half", None)];
    let (now, stats) = (start(), Stats::new());
    teach(&stats, &models[0], now, ms(300), 30);
    teach(&stats, &models[2], now, ms(300), 4);
    let ranking = ranked(Prefer::Fastest, &models, &query(now), &stats);
    assert_eq!(ranking[0].model.id.as_str(), "known");
    let lack_of_half = 1.0 - ranking[1].ttft.weight / ENOUGH;
    let mut random = fastrand::Rng::with_seed(7);
    let mut firsts: BTreeMap<String, u32> = BTreeMap::new();
    let draws = 10_000;
    for _ in 0..draws {
        let mut order = ranking.clone();
        explore(Prefer::Fastest, &mut order, &mut || random.f64());
        *firsts.entry(order[0].model.id.to_string()).or_default() += 1;
    }
    // Chi-square with two degrees of freedom: above 13.8 once in a thousand, and the seed is fixed.
    let explored = f64::from(draws) * SHARE;
    let expected = [
        ("known", f64::from(draws) - explored),
        ("cold", explored / (1.0 + lack_of_half)),
        ("half", explored * lack_of_half / (1.0 + lack_of_half)),
    ];
    let distance: f64 = expected
        .iter()
        .map(|(name, expected)| (f64::from(firsts[*name]) - expected).powi(2) / expected)
        .sum();
    assert!(distance < 13.8, "{distance} {firsts:?}");
    assert!(f64::from(draws - firsts["known"]) < 1.2 * explored);
}

/// Models of one task, of which the first is known and cheapest and the others were tried `attempts` times.
fn one_known(attempts: usize) -> (Vec<Model>, Stats, Instant) {
    let models = vec![
        model("known", Some((1.0, 4.0))),
        model("rival", Some((1.2, 4.4))),
        model("hopeless", Some((30.0, 150.0))),
    ];
    let (now, stats) = (start(), Stats::new());
    teach(&stats, &models[0], now, ms(300), 30);
    for model in &models[1..] {
        teach(&stats, model, now, ms(300), attempts);
    }
    (models, stats, now)
}

#[test]
fn cheapest_tries_what_may_be_cheaper_within_its_share() {
    for (attempts, share) in [(0, SHARE), (4, SHARE / 2.0)] {
        let (models, stats, now) = one_known(attempts);
        let ranking = ranked(Prefer::Cheapest, &models, &query(now), &stats);
        assert_eq!(ranking[0].model.id.as_str(), "known");
        let mut random = fastrand::Rng::with_seed(11);
        let draws = 10_000_u32;
        let mut explored = 0_u32;
        for _ in 0..draws {
            let mut order = ranking.clone();
            if explore(Prefer::Cheapest, &mut order, &mut || random.f64()) {
                explored += 1;
                assert_eq!((names(&order)[0], order[0].why), ("rival", Why::Explored));
            }
        }
        // Six standard deviations of a binomial distribution, and the seed is fixed.
        let expected = f64::from(draws) * share;
        let bound = 6.0 * (expected * (1.0 - share)).sqrt();
        assert!((f64::from(explored) - expected).abs() < bound, "{explored} of {draws}");
    }
}

#[test]
fn cheapest_stops_looking_at_what_it_has_tried_whatever_came_of_it() {
    let (models, stats, now) = one_known(0);
    assert!((ENOUGH - 8.0).abs() < 1e-9);
    for attempt in 0..8 {
        let ranking = ranked(Prefer::Cheapest, &models, &query(now), &stats);
        let mut order = ranking.clone();
        assert!(explore(Prefer::Cheapest, &mut order, &mut || 0.0), "attempt {attempt}");
        // A provider that reports no usage, or a caller that leaves, teaches no length.
        let mut silent = sample(&models[1], now, ms(300));
        silent.output_tokens = None;
        silent.input_tokens = None;
        silent.outcome =
            if attempt % 2 == 0 { SampleOutcome::Answered } else { SampleOutcome::Cancelled };
        stats.record(&silent);
    }
    let mut order = ranked(Prefer::Cheapest, &models, &query(now), &stats);
    assert!(!explore(Prefer::Cheapest, &mut order, &mut || panic!("it was tried often enough")));
}

#[test]
fn cheapest_looks_neither_where_it_would_be_dear_nor_at_what_fails_or_has_no_price() {
    let (mut models, stats, now) = one_known(0);
    let no_dice = || panic!("nothing is worth a look");
    // A session that is warm where it is pays for the cold prefix of a move.
    models[0].pricing.base.cache_read = PerMillion::new(0.1);
    let warm = session(&models[0], 80_000, Duration::from_secs(10));
    let asked = Query { input_tokens: 81_000, session: Some(&warm), ..query(now) };
    let mut order = ranked(Prefer::Cheapest, &models, &asked, &stats);
    assert!(!explore(Prefer::Cheapest, &mut order, &mut || no_dice()));
    for _ in 0..5 {
        let mut failed = sample(&models[1], now, ms(5));
        failed.outcome = SampleOutcome::Failed;
        stats.record(&failed);
    }
    let mut order = ranked(Prefer::Cheapest, &models, &query(now), &stats);
    assert!(!explore(Prefer::Cheapest, &mut order, &mut || no_dice()));
    models[1] = model("rival", None);
    let mut order = ranked(Prefer::Cheapest, &models, &query(now), &stats);
    assert!(!explore(Prefer::Cheapest, &mut order, &mut || no_dice()));
    for prefer in [Prefer::Given, Prefer::Optimal] {
        let mut order = ranked(prefer, &models, &query(now), &Stats::new());
        assert!(!explore(prefer, &mut order, &mut || no_dice()));
    }
}

#[test]
fn dice_that_give_nonsense_do_not_explore() {
    let models = [model("a", None), model("b", None)];
    let ranking = ranked(Prefer::Fastest, &models, &query(start()), &Stats::new());
    for nonsense in [f64::NAN, -1.0, 1.0, f64::INFINITY] {
        let mut order = ranking.clone();
        assert!(!explore(Prefer::Fastest, &mut order, &mut || nonsense));
    }
    let mut order = ranking.clone();
    assert!(explore(Prefer::Fastest, &mut order, &mut || 0.0));
    assert_eq!((names(&order), order[0].why), (vec!["b", "a"], Why::Explored));
}

fn candidate() -> impl Strategy<Value = Candidate> {
    (
        prop::option::of(prop_oneof![Just(1.0), 0.0..1e4_f64]),
        prop::option::of(prop_oneof![Just(100_u64), 0..10_000_u64]),
        prop::option::of(prop_oneof![Just(0.5), 0.0..=1.0_f64]),
        any::<bool>(),
        0.0..20.0_f64,
    )
        .prop_map(|(price, ttft, quality, failing, weight)| {
            let model = Arc::new(model("m", price.map(|price| (price, price))));
            let stats = Stats::new();
            let mut candidate = assess(
                (&model, &model.targets[0]),
                0,
                &query(start()),
                &stats.reader(),
                &PriceTable::configured(),
            );
            let ttft = ttft.map(ms);
            candidate.ttft =
                Prediction { ttft, low: ttft, high: ttft, samples: 1, weight, failing };
            candidate.quality = quality;
            candidate
        })
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(candidate(), 1..7).prop_map(|mut candidates| {
        for (place, candidate) in candidates.iter_mut().enumerate() {
            candidate.position = place;
        }
        candidates
    })
}

/// What would put the second before the first, of models in the order of `prefer`.
fn flip(prefer: Prefer, order: &[Candidate]) -> Option<String> {
    why_not_first(prefer, &order[1], &order[0])
}

#[test]
fn what_would_flip_an_order_is_what_decided_it() {
    let (now, stats) = (start(), Stats::new());
    let price = Some((1.0, 1.0));
    let models = [model("a", price), model("b", price)];
    let asked = query(now);
    let by = |prefer, stats: &Stats| flip(prefer, &ranked(prefer, &models, &asked, stats)).unwrap();
    for prefer in [Prefer::Cheapest, Prefer::Fastest, Prefer::Optimal] {
        assert_eq!(by(prefer, &stats), "first if it were named before a");
    }
    teach(&stats, &models[0], now, ms(613), 9);
    assert_eq!(by(Prefer::Cheapest, &stats), "first only once its speed is known");
    teach(&stats, &models[1], now, ms(920), 9);
    for prefer in [Prefer::Cheapest, Prefer::Fastest, Prefer::Optimal] {
        assert_eq!(by(prefer, &stats), "first if it started within 613 ms instead of 920 ms");
    }
    assert_eq!(flip(Prefer::Given, &ranked(Prefer::Given, &models, &asked, &stats)), None);
    let dear = [model("a", Some((1.0, 1.0))), model("b", Some((1.0, 1.000_001)))];
    let mut order = ranked(Prefer::Cheapest, &dear, &asked, &Stats::new());
    let text = flip(Prefer::Cheapest, &order).unwrap();
    assert_eq!(text, "first if it cost less than $0.0014 instead of $0.0014000004");
    // Whoever is first for another reason is not passed by a better figure.
    for why in [Why::Explored, Why::Pinned, Why::Continued, Why::Kept] {
        order[0].why = why;
        assert_eq!(flip(Prefer::Cheapest, &order), None);
    }
}

proptest! {
    /// A candidate that is given what it is said to lack comes before the first.
    #[test]
    fn what_is_said_to_flip_an_order_flips_it(mut list in candidates()) {
        for prefer in ALL {
            order(prefer, &mut list);
            let (first, others) = list.split_first().unwrap();
            for other in others {
                let Some(text) = why_not_first(prefer, other, first) else {
                    prop_assert_eq!(prefer, Prefer::Given);
                    continue;
                };
                let mut better = other.clone();
                if text.contains("quality") {
                    better.quality = first.quality.map(|quality| quality + 1e-9);
                } else if text.contains("cost") || text.contains("price") {
                    better.cost = first.cost;
                    better.quality = first.quality;
                    (better.ttft, better.position) = (first.ttft, 0);
                } else if text.contains("attempts") || text.contains("start") || text.contains("speed") {
                    better.ttft = Prediction { failing: first.ttft.failing, ..first.ttft };
                    better.position = 0;
                } else {
                    better.position = 0;
                }
                let mut behind = first.clone();
                behind.position = 1;
                prop_assert_eq!(compare(prefer, &better, &behind), Ordering::Less, "{}", text);
            }
        }
    }

    #[test]
    fn every_order_is_total(list in candidates()) {
        for prefer in ALL {
            for one in &list {
                for other in &list {
                    let here = compare(prefer, one, other);
                    prop_assert_eq!(here, compare(prefer, other, one).reverse());
                    prop_assert_eq!(here == Ordering::Equal, one.position == other.position);
                    for third in &list {
                        if here != Ordering::Greater && compare(prefer, other, third) != Ordering::Greater {
                            prop_assert_ne!(compare(prefer, one, third), Ordering::Greater);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn equal_inputs_and_dice_give_equal_orders(list in candidates(), seed in any::<u64>()) {
        for prefer in ALL {
            let run = || {
                let mut order = list.clone();
                super::order(prefer, &mut order);
                let mut random = fastrand::Rng::with_seed(seed);
                explore(prefer, &mut order, &mut || random.f64());
                order.iter().map(|candidate| candidate.position).collect::<Vec<_>>()
            };
            prop_assert_eq!(run(), run());
        }
    }

    /// A rate that rises never makes a request cheaper, nor moves its model forward.
    #[test]
    fn cheapest_is_monotone_in_every_rate(
        rates in prop::array::uniform4(0.0..100.0_f64),
        rise in 0.0..100.0_f64,
        which in 0..4_usize,
        rival in (0.0..100.0_f64, 0.0..100.0_f64),
        input_tokens in 0..200_000_u64,
        prefix_tokens in 0..200_000_u64,
        caching in any::<bool>(),
    ) {
        let session = session(&model("m", None), prefix_tokens, Duration::from_secs(400));
        let asked = Query { input_tokens, caching, session: Some(&session), ..query(start()) };
        let place = |rates: [f64; 4]| {
            let [input, output, cache_read, cache_write] = rates.map(PerMillion::new);
            let mut one = model("m", None);
            one.pricing.base = Rates { input, output, cache_read, cache_write };
            let order = ranked(Prefer::Cheapest, &[one, model("rival", Some(rival))], &asked, &Stats::new());
            let place = order.iter().position(|candidate| candidate.model.id.as_str() == "m").unwrap();
            (order[place].cost.unwrap().total().dollars(), place)
        };
        let mut dearer = rates;
        dearer[which] += rise;
        let (before, after) = (place(rates), place(dearer));
        prop_assert!(after.0 >= before.0 * (1.0 - 1e-12));
        prop_assert!(after.1 >= before.1);
    }

    /// No history, however odd, gives a cost or a time that is not a number.
    #[test]
    fn no_statistic_is_ever_not_a_number(
        history in prop::collection::vec(
            (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>(), any::<bool>()), 0..60),
        input_tokens in any::<u64>(),
    ) {
        let (now, stats) = (start(), Stats::new());
        let one = model("m", Some((1.0, 1.0)));
        for (input, output, read, written, micros, failed) in history {
            let mut odd = sample(&one, now, Duration::from_micros(u64::from(micros)));
            odd.estimated_tokens = input / 3;
            odd.input_tokens = Some(input);
            odd.output_tokens = Some(output);
            odd.cache_read = Some(read);
            odd.cache_write = Some(written);
            odd.cacheable = Some(input);
            if failed {
                odd.outcome = SampleOutcome::TimedOut;
            }
            stats.record(&odd);
        }
        let asked = Query { input_tokens, ..query(now) };
        let order = ranked(Prefer::Cheapest, &[one], &asked, &stats);
        prop_assert!(order[0].cost.unwrap().total().dollars().is_finite());
        prop_assert!(order[0].ttft.weight.is_finite());
    }
}
