//! L11: minutes of everything at once (three APIs, whole and streamed, hang-ups, slow readers, errors, reloads), and
//! nothing is lost, nothing grows. `make soak`; `POINTSMAN_SOAK_SECONDS` says for how long.

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
        fault::{Fault, Order},
    },
};

use super::{
    Caller, Expected, Records, Sample, Verdict, duration, headline, hold_flat, judge, learn,
    look_on, model, next, provider, question, request, settle,
};
use crate::support::{program::Program, setup::Setup};

const CALLERS: u64 = 12;
const MODELS: [&str; 6] =
    ["quick-chat", "quick-openai", "quick-claude", "paced", "router:sound", "router:ailing"];

struct Bench {
    program: Program,
    setup: Setup,
    expected: Expected,
    asked: AtomicU64,
    stop: AtomicBool,
    verdicts: Mutex<BTreeMap<&'static str, u64>>,
    lost: Mutex<Vec<String>>,
    _providers: [Running; 3],
}

impl Bench {
    fn start() -> Arc<Self> {
        let bad = {
            let fault = Fault::Status { status: 500, retry_after: None, message: None };
            pointsman::simulator::Model {
                fault: Some(Order::always(fault)),
                ..model("bad", 0, 0.0)
            }
        };
        let providers = [
            provider(
                "one",
                Api::OpenAiChat,
                vec![model("quick-chat", 60, 0.0), model("paced", 60, 200.0), bad],
            ),
            provider("two", Api::OpenAi, vec![model("quick-openai", 60, 0.0)]),
            provider("three", Api::Anthropic, vec![model("quick-claude", 60, 0.0)]),
        ];
        let mut expected = Expected::new();
        let mut setup = Setup::new().with("max_body: 1MiB");
        for (running, models) in providers.iter().zip([
            &["quick-chat", "paced", "bad"][..],
            &["quick-openai"],
            &["quick-claude"],
        ]) {
            let name = running.name();
            setup = setup.provider(name, running.api().as_str(), running.address());
            for model in models {
                setup = setup.raw_model(model, &format!("endpoints: [{{provider: {name}}}]"));
                if *model != "bad" {
                    learn(&mut expected, running, model);
                }
            }
        }
        let setup = setup
            .router("sound", &["quick-claude", "quick-chat"])
            .router("ailing", &["bad", "quick-chat", "quick-openai"]);
        let program = Program::start(&setup);
        Arc::new(Self {
            program,
            setup,
            expected,
            asked: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            verdicts: Mutex::default(),
            lost: Mutex::default(),
            _providers: providers,
        })
    }

    fn count(&self, what: &'static str) {
        *self.verdicts.lock().entry(what).or_default() += 1;
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// One caller, until it is told to stop.
    fn call(&self, seed: u64) {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut caller = Caller::of(self.program.data());
        while !self.is_over() {
            match dice.u8(0..100) {
                0..70 => self.ask(&mut caller, &mut dice, Duration::ZERO),
                70..74 => self.ask(&mut caller, &mut dice, Duration::from_millis(20)),
                74..84 => self.leave(&mut caller, &mut dice),
                84..96 => self.err(&mut caller, &mut dice),
                _ => caller.hang_up(),
            }
        }
    }

    fn ask(&self, caller: &mut Caller, dice: &mut fastrand::Rng, pause: Duration) {
        let question = question(dice, &MODELS, next(&self.asked));
        let answer = caller.ask(&question.bytes(), pause);
        match judge(&question, answer.as_ref(), &self.expected, false) {
            Verdict::Whole if pause.is_zero() => self.count("answered"),
            Verdict::Whole => self.count("answered to a slow reader"),
            verdict @ (Verdict::Honest
            | Verdict::Cut
            | Verdict::False
            | Verdict::Wrong
            | Verdict::Lost) => {
                let text = answer.map(|answer| answer.text());
                self.lost.lock().push(format!("{verdict:?} {question:?}: {text:?}"));
            }
        }
    }

    /// Hangs up at once, or in the middle of the answer.
    fn leave(&self, caller: &mut Caller, dice: &mut fastrand::Rng) {
        let question = question(dice, &MODELS, next(&self.asked));
        caller.ask_and_leave(&question.bytes(), dice.usize(0..600));
        self.count("left");
    }

    /// Asks for what cannot be had.
    fn err(&self, caller: &mut Caller, dice: &mut fastrand::Rng) {
        const CHAT: &str = "/v1/chat/completions";
        let number = next(&self.asked);
        let ask = |model: &str| {
            format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"x"}}]}}"#)
        };
        let (path, body, wanted): (&str, String, &[u16]) = match dice.u8(0..5) {
            0 => (CHAT, "{\"model\": \"quick-chat\", oops".to_owned(), &[400]),
            1 => (CHAT, ask("nobody"), &[404]),
            2 => ("/v1/nothing", ask("paced"), &[404]),
            // Its breaker opens, and probes now and then.
            3 => (CHAT, ask("bad"), &[502, 503]),
            _ => (CHAT, "x".repeat((1 << 20) + 1), &[413]),
        };
        let answer = caller.ask(&request(number, path, &body), Duration::ZERO);
        let status = answer.as_ref().map(|answer| (answer.status(), answer.whole));
        match status {
            Some((status, true)) if wanted.contains(&status) => self.count("refused"),
            _ => self.lost.lock().push(format!("{status:?} instead of {wanted:?}")),
        }
    }

    /// Good and bad configurations in turn; how many of each.
    fn reload(&self) -> [u64; 2] {
        let mut written = [0, 0];
        while !self.is_over() {
            let [good, bad] = &mut written;
            let folder = self.program.folder();
            if good <= bad {
                *good += 1;
                let more = self.setup.clone().model(&format!("extra-{good}"), "one", "");
                folder.write("pointsman.yaml", more.text());
            } else {
                *bad += 1;
                folder.write("pointsman.yaml", self.setup.text() + "\nmodles: {}\n");
            }
            thread::park_timeout(Duration::from_millis(700));
        }
        written
    }
}

#[test]
fn l11_a_soak_loses_nothing_and_grows_nowhere() {
    let time = duration("POINTSMAN_SOAK_SECONDS");
    let bench = Bench::start();
    let start = Sample::of(&bench.program);
    let mut records = Records::default();
    let began = Instant::now();
    let (warm, [valid, invalid]) = thread::scope(|scope| {
        for seed in 0..CALLERS {
            let bench = &bench;
            scope.spawn(move || bench.call(seed));
        }
        let reloads = scope.spawn(|| bench.reload());
        let warm = look_on(&bench.program, time, &mut records);
        bench.stop.store(true, Ordering::SeqCst);
        (warm, reloads.join().unwrap())
    });
    let (elapsed, asked) = (began.elapsed(), bench.asked.load(Ordering::SeqCst));
    settle(&bench.program, &mut records, asked);
    let end = Sample::of(&bench.program);
    let (recorded, twice) = records.count(asked);
    let lost = bench.lost.lock();
    let metrics = bench.program.metrics();
    let figure = |name: &str| metrics.sum(name, &[]);
    let [panics, dropped] =
        [figure("pointsman_panics_total"), figure("pointsman_log_dropped_total")];
    headline("soak", asked, elapsed);
    println!("  {:?}, lost or wrong {}", bench.verdicts.lock(), lost.len());
    println!("  records {recorded}, of them more than one for a request {twice}");
    println!("  reloads: {valid} valid, {invalid} invalid");
    println!(
        "  failovers {}, panics {panics}, log lines dropped {dropped}",
        figure("pointsman_failovers_total")
    );
    hold_flat([start, warm, end], time);
    assert!(lost.is_empty(), "{:#?}", &lost[..lost.len().min(5)]);
    assert_eq!((recorded, twice), (asked, 0));
    assert!(asked > 100, "hardly anything was asked");
    assert!(figure("pointsman_config_reload_failures_total") > 0.5, "no reload was refused");
    assert!(panics + dropped < 0.5, "{panics} panics, {dropped} lines dropped");
}
