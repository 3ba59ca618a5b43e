//! Everything goes wrong now and then: a relay before each provider harms what comes through it, and the providers fail
//! in every way they know. Callers get whole answers or honest errors, never one that only looks whole. `make chaos`;
//! `POINTSMAN_CHAOS_SECONDS` says for how long.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use pointsman::{
    catalog::provider::Api,
    simulator::{
        Running,
        fault::{Fault, Order, RetryAfter},
    },
};

use super::{
    Caller, Expected, Question, Records, Sample, Verdict, duration, headline, hold_flat, judge,
    learn, look_on, model, next, provider, question, settle,
};
use crate::support::{
    program::Program,
    relay::{Harm, Relay},
    setup::Setup,
};

const CALLERS: u64 = 12;

/// Of what is asked, two of three may go to another model.
const MODELS: [&str; 6] = ["router:any", "router:any", "router:rescued", "alpha", "beta", "gamma"];

/// About so many bytes of answers pass between one harm and the next.
const GAP: usize = 100_000;

/// One question in so many meets a provider that fails by itself.
const RARELY: u64 = 25;

/// Its answers may be begun by one model and finished by another.
const RESCUED: &str = "router:rescued";

struct Bench {
    program: Program,
    expected: Expected,
    asked: AtomicU64,
    stop: AtomicBool,
    verdicts: Mutex<BTreeMap<&'static str, u64>>,
    bad: Mutex<Vec<String>>,
    providers: [Running; 3],
    relays: [Relay; 3],
}

impl Bench {
    fn start() -> Arc<Self> {
        let providers = [
            provider("one", Api::OpenAi, vec![model("alpha", 60, 0.0)]),
            provider("two", Api::OpenAiChat, vec![model("beta", 60, 2000.0)]),
            provider("three", Api::Anthropic, vec![model("gamma", 60, 0.0)]),
        ];
        let mut seeds = 1..;
        let relays = providers
            .each_ref()
            .map(|running| Relay::before(running.address(), GAP, seeds.next().unwrap()));
        let mut expected = Expected::new();
        let mut setup = Setup::new().with(
            "timeouts: {connect: 2s, first_token: 2s, between_tokens: 1s, response: 4s, total: 12s}",
        );
        for ((running, relay), model) in
            providers.iter().zip(&relays).zip(["alpha", "beta", "gamma"])
        {
            setup = setup
                .provider(running.name(), running.api().as_str(), relay.address())
                .raw_model(model, &format!("endpoints: [{{provider: {}}}]", running.name()));
            learn(&mut expected, running, model);
        }
        let rescued = "name: rescued\npolicies:\n  - custom_task: {name: chores, description: d}\n    models: [beta, alpha]\nfallback_models: [beta, alpha, gamma]\nfailover: {rescue: continue}\n";
        let setup =
            setup.router("any", &["alpha", "beta", "gamma"]).file("policies/rescued.yaml", rescued);
        Arc::new(Self {
            program: Program::start(&setup),
            expected,
            asked: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            verdicts: Mutex::default(),
            bad: Mutex::default(),
            providers,
            relays,
        })
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn call(&self, seed: u64) {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut caller = Caller::of(self.program.data());
        while !self.is_over() {
            let question = question(&mut dice, &MODELS, next(&self.asked));
            let answer = caller.ask(&question.bytes(), Duration::ZERO);
            let rescued = question.model == RESCUED;
            let verdict = judge(&question, answer.as_ref(), &self.expected, rescued);
            let overloaded = answer.as_ref().is_some_and(|answer| answer.status() == 503);
            self.book(&question, verdict, || {
                answer.map(|answer| answer.text()).unwrap_or_default()
            });
            if overloaded {
                // As callers do that are told to come again; without it one outage would be most of the figures.
                thread::sleep(Duration::from_millis(dice.u64(100..500)));
            }
        }
    }

    fn book(&self, question: &Question, verdict: Verdict, text: impl FnOnce() -> String) {
        let what = match verdict {
            Verdict::Whole => "whole",
            Verdict::Honest => "honest errors",
            Verdict::Cut => "cut visibly",
            Verdict::False => "falsely complete",
            Verdict::Wrong => "wrong",
            Verdict::Lost => "lost",
        };
        *self.verdicts.lock().entry(what).or_default() += 1;
        if matches!(verdict, Verdict::False | Verdict::Wrong | Verdict::Lost) {
            self.bad.lock().push(format!("{verdict:?} {question:?}: {}", text()));
        }
    }

    /// Lets a provider fail now and then, as often as there are questions for it.
    fn fail(&self) -> u64 {
        let mut dice = fastrand::Rng::with_seed(99);
        let mut ordered = 0;
        while !self.is_over() {
            if self.asked.load(Ordering::SeqCst) / RARELY > ordered {
                ordered += 1;
                let (running, model) = dice
                    .choice(
                        self.providers.iter().zip(["alpha", "beta", "gamma"]).collect::<Vec<_>>(),
                    )
                    .unwrap();
                assert!(running.order(model, Some(Order::times(fault(&mut dice), 1))));
            } else {
                thread::park_timeout(Duration::from_millis(2));
            }
        }
        ordered
    }
}

/// Any of what real providers do.
fn fault(dice: &mut fastrand::Rng) -> Fault {
    let tokens = dice.usize(0..40);
    match dice.u8(0..13) {
        0 => Fault::Status { status: 500, retry_after: None, message: None },
        1 => Fault::Status { status: 529, retry_after: None, message: None },
        2 => {
            Fault::Status { status: 429, retry_after: Some(RetryAfter::Seconds(1)), message: None }
        }
        3 => Fault::Refuse,
        4 => Fault::Silence,
        5 => Fault::SlowFirstToken { seconds: 0.3 },
        6 => Fault::CutAfterTokens { tokens },
        7 => Fault::EndAfterTokens { tokens },
        8 => Fault::StallAfterTokens { tokens },
        9 => Fault::MalformedEvent { tokens },
        10 => Fault::ErrorEvent { tokens },
        11 => Fault::Html,
        _ => Fault::Empty,
    }
}

#[test]
fn chaos_leaves_whole_answers_and_honest_errors() {
    let time = duration("POINTSMAN_CHAOS_SECONDS");
    let bench = Bench::start();
    let start = Sample::of(&bench.program);
    let mut records = Records::default();
    let began = Instant::now();
    let (warm, failed) = thread::scope(|scope| {
        for seed in 0..CALLERS {
            let bench = &bench;
            scope.spawn(move || bench.call(seed));
        }
        let failed = scope.spawn(|| bench.fail());
        let warm = look_on(&bench.program, time, &mut records);
        bench.stop.store(true, Ordering::SeqCst);
        (warm, failed.join().unwrap())
    });
    let (elapsed, asked) = (began.elapsed(), bench.asked.load(Ordering::SeqCst));
    settle(&bench.program, &mut records, asked);
    let end = Sample::of(&bench.program);
    let metrics = bench.program.metrics();
    let figure = |name: &str| metrics.sum(name, &[]);
    let failovers = figure("pointsman_failovers_total");
    headline("chaos", asked, elapsed);
    println!("  {:?}", bench.verdicts.lock());
    for (index, harm) in Harm::ALL.iter().enumerate() {
        print!("  {harm:?} {}", bench.relays.iter().map(|relay| relay.done()[index]).sum::<u64>());
    }
    println!("  provider faults {failed}");
    println!(
        "  attempts {}, failovers {failovers}, records {:?}",
        figure("pointsman_attempts_total"),
        records.count(asked)
    );
    hold_flat([start, warm, end], time);
    let bad = bench.bad.lock();
    assert!(bad.is_empty(), "{} of {asked}: {:#?}", bad.len(), &bad[..bad.len().min(5)]);
    assert_eq!(records.count(asked), (asked, 0));
    let whole = bench.verdicts.lock().get("whole").copied().unwrap_or_default();
    assert!(whole * 2 > asked, "hardly anything was answered: {whole} of {asked}");
    assert!(failovers > 0.0, "nothing went wrong");
    assert!(figure("pointsman_panics_total") < 0.5);
}
