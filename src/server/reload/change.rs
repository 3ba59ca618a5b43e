//! One router's file changed by the router API: checked with all the others, prepared, written, and serving.
//!
//! Nothing is written before everything is known to be right, and whoever asked is answered when it serves.

use std::sync::Arc;

use crate::{
    classifier::ClassifierFault,
    config::{
        self, Loaded, Refused,
        fault::Fault,
        store::{Change, Store, WriteFault},
    },
    engine::World,
    server::reload::{Origins, Reload, Turn, prepared},
    telemetry::clock,
};

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// The configuration would have these mistakes.
    #[error("the configuration would have mistakes")]
    Faulty(Vec<Fault>),
    /// The configuration has these mistakes already, and does not serve as it lies there.
    #[error("the configuration has mistakes that were there before; mend them first")]
    Broken(Vec<Fault>),
    /// The text is no router's, or it would not be found as one.
    #[error("this is not a router's file")]
    NoRouter,
    /// The classifier could not get to know the tasks.
    #[error("the classifier could not read the tasks: {0}")]
    Unprepared(#[source] ClassifierFault),
    /// Somebody else changed the file while the change was checked.
    #[error("the file has changed while this was checked; read it again")]
    Meanwhile,
    /// The file could not be written.
    #[error(transparent)]
    Unwritten(WriteFault),
    /// Something of ours broke.
    #[error("the change was not finished")]
    Lost,
}

impl Turn {
    /// What the serving configuration was read from.
    pub fn origins(&self) -> Arc<Origins> {
        self.reload.origins()
    }

    /// Where the configuration lies.
    pub fn store(&self) -> &Store {
        &self.reload.store
    }

    /// Makes `change` of a file that held `seen`, and serves it. On the way out without success everything is as it was.
    ///
    /// Getting to know new tasks takes a while, in which others may edit the file: what they wrote stays.
    pub async fn apply(self, change: Change, seen: Option<Vec<u8>>) -> Result<(), Rejected> {
        let world = self.reload.engine.world();
        let loaded = self.reload.tried(&change, false).await?;
        let origins = Origins::of(&loaded);
        let classifier =
            prepared(&loaded.catalog, Some(&world)).await.map_err(Rejected::Unprepared)?;
        let (next, watched) = (World { catalog: loaded.catalog, classifier }, loaded.watched);
        // From here on nothing can be given up half done, even where the caller does not wait for it.
        let finished = tokio::task::spawn_blocking(move || {
            let reload = &self.reload;
            if reload.store.content(&change.path) != seen {
                return Err(Rejected::Meanwhile);
            }
            reload.store.apply(&change, clock::wall().into()).map_err(Rejected::Unwritten)?;
            if let Some(watch) = &reload.watch {
                watch.follow(watched);
            }
            reload.serve(next, origins);
            let generation = reload.engine.world().catalog.generation;
            tracing::info!(generation, file = %change.path.display(), "router changed");
            Ok(())
        });
        finished.await.unwrap_or(Err(Rejected::Lost))
    }
}

impl Reload {
    /// Loads the configuration as it would be after `change`; nothing is made of it.
    pub async fn tried(
        self: &Arc<Self>,
        change: &Change,
        is_draft: bool,
    ) -> Result<Loaded, Rejected> {
        let (this, change) = (Arc::clone(self), change.clone());
        let tried = tokio::task::spawn_blocking(move || {
            let loaded = this.store.load_with(&change, is_draft);
            let refused = match loaded {
                Ok(loaded) => return this.accepted(loaded, &change),
                Err(refused) => refused,
            };
            Err(this.blame(refused, &change))
        });
        tried.await.unwrap_or(Err(Rejected::Lost))
    }

    /// What was loaded, where it can serve without a restart and the change is found in it as a router.
    fn accepted(&self, loaded: Loaded, change: &Change) -> Result<Loaded, Rejected> {
        if let Some(faults) = config::needs_restart(&self.engine.world().catalog.settings, &loaded)
        {
            return Err(Rejected::Broken(faults));
        }
        let found = loaded.routers.iter().any(|router| router.path == change.path);
        if found || change.text.is_none() { Ok(loaded) } else { Err(Rejected::NoRouter) }
    }

    /// Whether the change brought the mistakes, or they were there before it.
    fn blame(&self, refused: Refused, change: &Change) -> Rejected {
        let own = change.file();
        if refused.faults.iter().any(|fault| fault.file == own) {
            return Rejected::Faulty(refused.faults);
        }
        match self.store.load() {
            Ok(_) => Rejected::Faulty(refused.faults),
            Err(before) => Rejected::Broken(before.faults),
        }
    }
}
