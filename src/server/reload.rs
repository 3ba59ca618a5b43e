//! Live reload: new files are read, checked and prepared aside, and swapped in whole, or not at all.
//!
//! The tasks of a new catalog are embedded before it serves, so that no request meets a router whose tasks the
//! classifier does not know yet.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::mpsc;

use crate::{
    catalog::Catalog,
    classifier::{self, ClassifierFault},
    classify::Classifier,
    config::{
        self, LoadOptions,
        watch::{Requests, Watch, Watched},
    },
    engine::{Engine, World},
};

/// Where a configuration comes from, and who serves it.
pub struct Reload {
    /// Who serves it.
    pub engine: Arc<Engine>,
    /// The main file.
    pub path: PathBuf,
    /// How it is loaded.
    pub options: LoadOptions,
}

impl Reload {
    /// Reloads whenever the files change or somebody asks, for as long as the process lives.
    pub async fn run(self, watched: Watched, requests: Requests, mut asked: mpsc::Receiver<()>) {
        let watch = Watch::new(watched, requests);
        let serve = async {
            while asked.recv().await.is_some() {
                if let Some(watched) = self.once().await {
                    watch.follow(watched);
                }
            }
        };
        tokio::select! {
            () = watch.clone().run() => {}
            () = serve => {}
        }
    }

    /// Reloads once; what was read is given back, whether it serves now or not.
    async fn once(&self) -> Option<Watched> {
        let world = self.engine.world();
        let (path, options) = (self.path.clone(), self.options.clone());
        let running = Arc::clone(&world);
        let loaded = tokio::task::spawn_blocking(move || {
            config::reload(&path, &options, &running.catalog.settings)
        });
        let loaded = match loaded.await {
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
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        match prepared(&loaded.catalog, Some(&world)).await {
            Ok(classifier) => {
                self.engine.replace(World { catalog: loaded.catalog, classifier });
                tracing::info!(generation = self.engine.world().catalog.generation, "reloaded");
            }
            Err(fault) => self.refuse(&fault.to_string()),
        }
        Some(loaded.watched)
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
