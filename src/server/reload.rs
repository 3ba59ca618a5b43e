//! Live reload: a new configuration is read, checked and prepared aside, and swapped in whole, or not at all.
//!
//! It comes from the files, when they change or somebody asks, or from the router API, one router at a time. Both take
//! turns, so that what was read before a change never replaces what came after it. The tasks of a new catalog are
//! embedded before it serves, so that no request meets a router whose tasks the classifier does not know yet.

mod change;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, mpsc};

pub use crate::server::reload::change::Rejected;
use crate::{
    catalog::Catalog,
    classifier::{self, ClassifierFault},
    classify::Classifier,
    config::{
        self, Loaded, RouterSource,
        advised::TaskPlaces,
        store::Store,
        watch::{Requests, Watch, Watched},
    },
    engine::{Engine, World},
    ids::RouterName,
};

/// The most advice that is logged at once.
const MOST_ADVICE: usize = 50;

/// Where the configuration comes from, and who serves it.
pub struct Reload {
    /// Who serves it.
    pub engine: Arc<Engine>,
    /// Where it lies.
    pub store: Store,
    /// What was read to what serves now.
    origins: ArcSwap<Origins>,
    /// Held while something new is read and put in.
    turn: Arc<Mutex<()>>,
    /// Told when something new serves.
    renewed: Notify,
    watch: Option<Watch>,
}

/// What a serving configuration was read from.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// The files of its routers, by name.
    pub routers: Vec<RouterSource>,
    /// The patterns by which router files are found.
    pub patterns: Vec<PathBuf>,
    /// Where its tasks are written.
    pub tasks: TaskPlaces,
}

/// The right to change the configuration: nobody else does while it is held.
pub struct Turn {
    reload: Arc<Reload>,
    _held: OwnedMutexGuard<()>,
}

impl Origins {
    /// What `loaded` was read from.
    pub fn of(loaded: &Loaded) -> Self {
        let mut routers = loaded.routers.clone();
        routers.sort_by(|a, b| a.name.cmp(&b.name));
        let patterns = loaded.watched.patterns().to_vec();
        Self { routers, patterns, tasks: loaded.tasks.clone() }
    }

    /// The router of this name.
    pub fn named(&self, name: &RouterName) -> Option<&RouterSource> {
        self.routers.iter().find(|router| router.name == *name)
    }

    /// The router whose file is at `path`.
    pub fn at(&self, path: &Path) -> Option<&RouterSource> {
        self.routers.iter().find(|router| router.path == path)
    }
}

impl Reload {
    /// What serves a configuration that lies in `store`, and was read from `origins`.
    pub fn new(engine: Arc<Engine>, store: Store, origins: Origins) -> Self {
        let (origins, turn) = (ArcSwap::from_pointee(origins), Arc::default());
        Self { engine, store, origins, turn, renewed: Notify::new(), watch: None }
    }

    /// The same, with its files watched while [`Reload::run`] runs.
    #[must_use]
    pub fn watching(mut self, watched: Watched, requests: Requests) -> Self {
        self.watch = Some(Watch::new(watched, requests));
        self
    }

    /// What the serving configuration was read from.
    pub fn origins(&self) -> Arc<Origins> {
        self.origins.load_full()
    }

    /// Waits for the right to change the configuration.
    pub async fn turn(self: &Arc<Self>) -> Turn {
        let held = Arc::clone(&self.turn).lock_owned().await;
        Turn { reload: Arc::clone(self), _held: held }
    }

    /// Reloads whenever the files change or somebody asks, for as long as the process lives.
    pub async fn run(self: Arc<Self>, mut asked: mpsc::Receiver<()>) {
        let Some(watch) = self.watch.clone() else { return };
        let serve = async {
            while asked.recv().await.is_some() {
                let _turn = self.turn().await;
                if let Some(watched) = self.once().await {
                    watch.follow(watched);
                }
            }
        };
        tokio::select! {
            () = watch.clone().run() => {}
            () = serve => {}
            () = self.advise() => {}
        }
    }

    /// Logs the advice on what serves, now and whenever something new does. Nothing waits for it, and the classifier is
    /// asked one thing at a time, so that requests come between.
    async fn advise(&self) {
        loop {
            let (world, origins) = (self.engine.world(), self.origins());
            let routers = world.catalog.routers.values();
            let found = origins.tasks.advice(routers, world.classifier.as_deref()).await;
            for warning in found.iter().take(MOST_ADVICE) {
                tracing::warn!("{warning}");
            }
            if let Some(more) = found.len().checked_sub(MOST_ADVICE).filter(|more| *more > 0) {
                tracing::warn!("and {more} more; `pointsman check` prints all of them");
            }
            drop((world, origins));
            self.renewed.notified().await;
        }
    }

    /// Reloads once; what was read is given back, whether it serves now or not.
    async fn once(self: &Arc<Self>) -> Option<Watched> {
        let world = self.engine.world();
        let this = Arc::clone(self);
        let loaded = match tokio::task::spawn_blocking(move || this.store.load()).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(refused)) => {
                self.refuse(&refused.to_string());
                return Some(refused.watched);
            }
            Err(_) => {
                self.refuse("the configuration could not be read");
                return None;
            }
        };
        if let Some(faults) = config::needs_restart(&world.catalog.settings, &loaded) {
            let report: Vec<String> = faults.iter().map(ToString::to_string).collect();
            self.refuse(&report.join("\n"));
            return Some(loaded.watched);
        }
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let origins = Origins::of(&loaded);
        match prepared(&loaded.catalog, Some(&world)).await {
            Ok(classifier) => {
                self.serve(World { catalog: loaded.catalog, classifier }, origins);
                tracing::info!(generation = self.engine.world().catalog.generation, "reloaded");
            }
            Err(fault) => self.refuse(&fault.to_string()),
        }
        Some(loaded.watched)
    }

    fn serve(&self, world: World, origins: Origins) {
        self.engine.replace(world);
        self.origins.store(Arc::new(origins));
        self.renewed.notify_one();
    }

    fn refuse(&self, report: &str) {
        self.engine.metrics.reload_failed();
        for line in report.lines() {
            tracing::error!("reload refused: {line}");
        }
    }
}

/// The classifier of `catalog`, knowing all its tasks. The one of `running` is kept where it is configured the same.
pub async fn prepared(
    catalog: &Catalog,
    running: Option<&World>,
) -> Result<Option<Arc<dyn Classifier>>, ClassifierFault> {
    let Some(settings) = &catalog.settings.classifier else { return Ok(None) };
    let kept = running.and_then(|world| {
        let before = world.catalog.settings.classifier.as_ref()?;
        classifier::same(before, settings).then(|| world.classifier.clone())?
    });
    let classifier = match kept {
        Some(classifier) => classifier,
        None => classifier::build(settings, catalog).await?,
    };
    classifier::prepare(&*classifier, catalog.routers.values()).await?;
    Ok(Some(classifier))
}
