//! Notices that files changed, and asks for a reload.
//!
//! What counts is content: a change is a difference between what the files hold and what was last loaded or tried, so
//! that touching a file does nothing, and every way to change one (in place, by rename, through the swapped links of
//! Kubernetes, by deletion) is one and the same. The system's notices only make the look come sooner; where they are
//! missing, as on network file systems, a look every half second finds the change. A change is believed once two looks
//! in a row agree, so that a file that is just being written is not read by half.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use crate::config::source::{self, Contents};

/// How often files are looked at where the system gives no notice.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a notice that meant nothing keeps the next one waiting: somebody may write a log into the same folder.
const REST: Duration = Duration::from_millis(50);

/// How long files must stay as they are before a change is believed.
const SETTLE: Duration = Duration::from_millis(100);

/// A change that has not settled after so many looks is believed all the same.
const MOST_LOOKS: usize = 5;

/// More folders than this are not registered for notices.
const MOST_FOLDERS: usize = 64;

/// The files of a configuration and what they held when it was loaded.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    contents: Contents,
    patterns: Vec<PathBuf>,
}

impl Watched {
    /// What was read, and the patterns that found some of it.
    pub(crate) fn new(contents: Contents, patterns: Vec<PathBuf>) -> Self {
        Self { contents, patterns }
    }

    /// Of a configuration that is no file.
    pub(crate) fn nothing() -> Self {
        Self::default()
    }

    /// The files that were read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.contents.keys().map(PathBuf::as_path)
    }

    /// The patterns that found some of them, or would.
    pub(crate) fn patterns(&self) -> &[PathBuf] {
        &self.patterns
    }

    /// The folders in which a change would show.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let fixed = |path: &Path| {
            path.ancestors()
                .skip(1)
                .find(|folder| !folder.to_str().is_some_and(source::is_pattern))
                .map(
                    |folder| if folder.as_os_str().is_empty() { ".".into() } else { folder.into() },
                )
        };
        self.files().chain(self.patterns.iter().map(PathBuf::as_path)).filter_map(fixed).collect()
    }

    /// The files there are to look at now: those that were read, and those that fit a pattern by now.
    fn now(&self) -> BTreeSet<PathBuf> {
        let matching = self.patterns.iter().flat_map(|pattern| source::matching(pattern));
        self.contents.keys().cloned().chain(matching).collect()
    }
}

/// Asks for a reload; clones ask the same receiver. Requests that nobody took yet are one.
#[derive(Debug, Clone)]
pub struct Requests(mpsc::Sender<()>);

/// Requests and where they arrive. One task takes them in turn, so that no two reloads run at once.
pub fn requests() -> (Requests, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel(1);
    (Requests(sender), receiver)
}

impl Requests {
    /// Asks for a reload.
    pub fn request(&self) {
        // Full means that one is asked for already; closed, that nobody reloads any more.
        let _ = self.0.try_send(());
    }
}

/// Watches the files of a configuration. Clones watch the same.
#[derive(Clone)]
pub struct Watch {
    shared: Arc<Shared>,
}

struct Shared {
    requests: Requests,
    state: Mutex<State>,
    notice: Arc<Notify>,
}

struct State {
    watched: Watched,
    /// Rises with each [`Watch::follow`], so that a look at what was followed before is thrown away.
    turn: u64,
    /// Holds the registration for notices.
    notices: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches `watched`, asking through `requests`, while [`Watch::run`] runs.
    pub fn new(watched: Watched, requests: Requests) -> Self {
        let state = State { watched: Watched::nothing(), turn: 0, notices: None };
        let (state, notice) = (Mutex::new(state), Arc::new(Notify::new()));
        let watch = Self { shared: Arc::new(Shared { requests, state, notice }) };
        watch.follow(watched);
        watch
    }

    /// Watches `watched` instead: to be called after each attempt to load, whether it succeeded or not.
    pub fn follow(&self, watched: Watched) {
        let notices = registered(&watched, &self.shared.notice);
        let mut state = self.shared.state.lock();
        state.turn = state.turn.wrapping_add(1);
        state.watched = watched;
        state.notices = notices;
        drop(state);
        self.shared.notice.notify_one();
    }

    /// Looks at the files, for as long as it is polled, and asks for a reload after each change.
    pub async fn run(self) {
        let (mut stamps, mut last_turn) = (BTreeMap::new(), None);
        loop {
            // Either way it is time to look.
            let _ = tokio::time::timeout(LOOK_EVERY, self.shared.notice.notified()).await;
            let (watched, turn) = self.current();
            let (seen, unchanged) = look(watched.clone(), stamps).await;
            stamps = seen;
            if unchanged && last_turn.replace(turn) == Some(turn) {
                tokio::time::sleep(REST).await;
                continue;
            }
            let contents = settled(&watched).await;
            if contents != watched.contents && self.adopt(contents, turn) {
                self.shared.requests.request();
            }
        }
    }

    fn current(&self) -> (Watched, u64) {
        let state = self.shared.state.lock();
        (state.watched.clone(), state.turn)
    }

    /// Takes `contents` as what is being tried, unless something else is followed by now.
    fn adopt(&self, contents: Contents, turn: u64) -> bool {
        let mut state = self.shared.state.lock();
        let is_current = state.turn == turn;
        if is_current {
            state.watched.contents = contents;
        }
        is_current
    }
}

/// What the system says of a file without reading it.
#[derive(PartialEq, Eq, Clone)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    identity: (u64, u64, i64, i64),
}

type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// The stamps of all files, and whether they are those of the look before.
async fn look(watched: Watched, before: Stamps) -> (Stamps, bool) {
    let looked = tokio::task::spawn_blocking(move || {
        let now: Stamps =
            watched.now().into_iter().map(|path| (path.clone(), stamp(&path).ok())).collect();
        let unchanged = now == before;
        (now, unchanged)
    });
    looked.await.unwrap_or_default()
}

/// What the files hold, once two looks in a row agree.
async fn settled(watched: &Watched) -> Contents {
    let mut last = contents(watched.clone()).await;
    for _ in 0..MOST_LOOKS {
        if last == watched.contents {
            break;
        }
        tokio::time::sleep(SETTLE).await;
        let next = contents(watched.clone()).await;
        if next == last {
            break;
        }
        last = next;
    }
    last
}

async fn contents(watched: Watched) -> Contents {
    let fallback = watched.contents.clone();
    let read = tokio::task::spawn_blocking(move || {
        watched.now().into_iter().map(|path| (path.clone(), source::digest(&path))).collect()
    });
    read.await.unwrap_or(fallback)
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let data = fs::metadata(path)?;
    Ok(Stamp { length: data.len(), modified: data.modified().ok(), identity: identity(&data) })
}

#[cfg(unix)]
fn identity(data: &fs::Metadata) -> (u64, u64, i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (data.dev(), data.ino(), data.ctime(), data.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_data: &fs::Metadata) -> (u64, u64, i64, i64) {
    (0, 0, 0, 0)
}

/// Registers for the system's notices, as far as it takes registrations.
fn registered(watched: &Watched, notice: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let notice = Arc::clone(notice);
    let mut system = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own looks are accesses: to follow them would be to look without end.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            notice.notify_one();
        }
    })
    .ok()?;
    for folder in watched.folders().into_iter().take(MOST_FOLDERS) {
        // A folder that cannot be watched is looked at all the same.
        let _ = system.watch(&folder, RecursiveMode::NonRecursive);
    }
    Some(system)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, load};

    #[tokio::test]
    async fn a_change_is_found_where_the_system_gives_no_notice() {
        let folder = std::env::temp_dir().join(format!("pointsman-watch-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let main = folder.join("pointsman.yaml");
        let refused = load(&main, &LoadOptions::default()).err().unwrap();
        let (requests, mut asked) = requests();
        let watch = Watch::new(refused.watched, requests);
        watch.shared.state.lock().notices = None;
        let change = async {
            fs::write(&main, "providers: {}").unwrap();
            asked.recv().await.unwrap();
        };
        tokio::select! {
            () = watch.run() => {}
            () = change => {}
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn requests_that_nobody_took_are_one() {
        let (requests, mut asked) = requests();
        requests.request();
        requests.clone().request();
        assert_eq!((asked.try_recv(), asked.try_recv().is_err()), (Ok(()), true));
        drop(asked);
        requests.request();
    }
}
