//! Runs one target: the corpus, then new cases until the time is over; shrinks and keeps the first case that fails.

use std::{
    cell::{Cell, RefCell},
    env, fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process,
    sync::{Arc, Once},
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::dice::Dice;

/// How long a target runs when nobody says.
const SECONDS: u64 = 2;

/// A case that takes longer than this hangs.
const HANGS: Duration = Duration::from_mins(1);

/// How long a failing case is shrunk.
const SHRINKING: Duration = Duration::from_secs(10);

/// One fuzz target.
pub(crate) struct Target {
    /// Its folder in the corpus.
    pub(crate) name: &'static str,
    /// Makes a case.
    pub(crate) make: fn(&mut Dice) -> Vec<u8>,
    /// Panics where a promise is broken.
    pub(crate) hold: fn(&[u8]),
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Target {
    /// Replays the corpus and makes new cases for as long as the environment says.
    pub(crate) fn run(&self) {
        listen_to_panics();
        let begun = now();
        let running = Arc::new(Mutex::new((begun, Vec::new())));
        watch(self.name, &running);
        let replayed = self.replay(&running);
        let seed = setting("POINTSMAN_FUZZ_SEED", 0);
        let limit = Duration::from_secs(setting("POINTSMAN_FUZZ_SECONDS", SECONDS));
        let mut count = 0_u64;
        while now().duration_since(begun) < limit {
            let case = (self.make)(&mut Dice::new(mixed(seed, count)));
            if let Some(said) = self.fails(&case, &running) {
                let small = self.shrunk(case, &said, &running);
                self.report(&small, &format!("case {count} of seed {seed}"), &running);
            }
            count += 1;
        }
        running.lock().1.clear();
        println!("{}: {replayed} cases of the corpus, {count} new ones", self.name);
        assert!(count > 10, "{} made {count} cases only: too slow to find anything", self.name);
    }

    /// Runs every case of the corpus.
    fn replay(&self, running: &Running) -> usize {
        let Ok(folder) = fs::read_dir(corpus(self.name)) else { return 0 };
        let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in &paths {
            let case = fs::read(path).unwrap();
            if self.fails(&case, running).is_some() {
                self.report(&case, &path.display().to_string(), running);
            }
        }
        paths.len()
    }

    /// What is said where the case fails.
    fn fails(&self, case: &[u8], running: &Running) -> Option<String> {
        {
            let mut running = running.lock();
            running.0 = now();
            running.1.clear();
            running.1.extend_from_slice(case);
        }
        QUIET.set(true);
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| (self.hold)(case)));
        QUIET.set(false);
        outcome.is_err().then(|| SAID.take())
    }

    /// The smallest case found that fails in the same place: pieces are taken out, halves first.
    fn shrunk(&self, mut case: Vec<u8>, said: &str, running: &Running) -> Vec<u8> {
        let begun = now();
        let mut piece = case.len() / 2;
        while piece > 0 && now().duration_since(begun) < SHRINKING {
            let mut at = 0;
            while at < case.len() && now().duration_since(begun) < SHRINKING {
                let end = case.len().min(at + piece);
                let smaller = [&case[..at], &case[end..]].concat();
                if self.fails(&smaller, running).is_some_and(|now| place(&now) == place(said)) {
                    case = smaller;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
        case
    }

    /// Ends the target with everything that is needed to run the case again.
    fn report(&self, case: &[u8], origin: &str, running: &Running) -> ! {
        let said = self.fails(case, running).unwrap_or_default();
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", self.name));
        fs::write(&kept, case).unwrap();
        panic!(
            "fuzz target `{}`, {origin}:\n{said}\n--- the case, {} bytes, escaped\n{}\n---\n\
             it is kept in {}; once fixed, copy it to {}/NAME",
            self.name,
            case.len(),
            case.escape_ascii(),
            kept.display(),
            corpus(self.name).display(),
        );
    }
}

/// The case that runs, and since when; no case when it is empty.
type Running = Arc<Mutex<(Instant, Vec<u8>)>>;

/// Ends the process where a case hangs; a thread cannot be ended from outside.
fn watch(name: &'static str, running: &Running) {
    let running = Arc::downgrade(running);
    thread::spawn(move || {
        while let Some(running) = running.upgrade() {
            let (since, case) = running.lock().clone();
            if !case.is_empty() && now().duration_since(since) > HANGS {
                eprintln!("fuzz target `{name}` hangs with\n{}", case.escape_ascii());
                process::abort();
            }
            drop(running);
            thread::sleep(Duration::from_millis(500));
        }
    });
}

/// Keeps what a failing case says, rather than printing it for every step of shrinking.
fn listen_to_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if QUIET.get() {
                SAID.set(panic.to_string());
            } else {
                print(panic);
            }
        }));
    });
}

/// Where a panic happened: the first line of what is said of it.
fn place(said: &str) -> &str {
    said.lines().next().unwrap_or_default()
}

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/fuzz").join(name)
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no configuration")]
fn setting(name: &str, default: u64) -> u64 {
    let stated = env::var(name).ok().filter(|text| !text.is_empty());
    stated.map_or(default, |text| text.parse().expect("a whole number"))
}

/// The seed of one case: near numbers far apart.
fn mixed(seed: u64, count: u64) -> u64 {
    let mixed = (seed ^ count.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

#[expect(clippy::disallowed_methods, reason = "a run is bounded by real time")]
fn now() -> Instant {
    Instant::now()
}
