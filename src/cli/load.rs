//! What several commands load: a configuration, its classifier, a runtime.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::anyhow;
use tokio::runtime::{Builder, Runtime};

use crate::{
    catalog::{Catalog, router::Router, settings::Classifier as ClassifierSettings},
    cli::Failure,
    config::{
        self, LoadOptions, Loaded, Refused,
        fault::{Fault, Warning},
    },
    engine::World,
    ids::RouterName,
    server::reload,
};

/// As good as forever: commands wait for the classifier however long it takes.
const PATIENT: Duration = Duration::from_hours(24);

/// Loads as `serve` and `check` do: a secret that is missing is a mistake.
pub(super) fn with_secrets(path: &Path) -> Result<Loaded, Failure> {
    report(config::load(path, &options(true)))
}

/// Loads for a command that needs neither secrets nor the classifier.
pub(super) fn names_only(path: &Path) -> Result<Loaded, Failure> {
    report(config::load(path, &LoadOptions { find_classifier: false, ..options(false) }))
}

/// Loads for a command that calls providers and classifies nothing.
pub(super) fn without_classifier(path: &Path) -> Result<Loaded, Failure> {
    report(config::load(path, &LoadOptions { find_classifier: false, ..options(true) }))
}

/// Loads for a command that calls no provider: secrets are not read, and nobody needs a key.
pub(super) fn without_secrets(path: &Path) -> Result<Loaded, Failure> {
    let mut loaded = report(config::load(path, &options(false)))?;
    loaded.catalog.keys = Vec::new();
    match &mut loaded.catalog.settings.classifier {
        Some(ClassifierSettings::Onnx(onnx)) => onnx.timeout = PATIENT,
        Some(ClassifierSettings::Chat(chat)) => chat.timeout = PATIENT,
        None => {}
    }
    Ok(loaded)
}

/// How a configuration is loaded.
pub(super) fn options(read_secrets: bool) -> LoadOptions {
    LoadOptions { read_secrets, find_classifier: true, program_folders: program_folders() }
}

/// The folder of the program and the one above it, where its model and its runtime library may lie.
fn program_folders() -> Vec<PathBuf> {
    let program = std::env::current_exe().and_then(std::fs::canonicalize).unwrap_or_default();
    program.ancestors().skip(1).take(2).map(Path::to_owned).collect()
}

fn report(loaded: Result<Loaded, Refused>) -> Result<Loaded, Failure> {
    match loaded {
        Ok(loaded) => {
            warn(&loaded.warnings);
            Ok(loaded)
        }
        Err(refused) => {
            warn(&refused.warnings);
            Err(Failure::Configuration(refused.to_string()))
        }
    }
}

/// Prints warnings where they are not taken for results.
pub(super) fn warn(warnings: &[Fault]) {
    use std::io::Write as _;
    for warning in warnings {
        let _ = writeln!(std::io::stderr(), "{}", Warning(warning));
    }
}

/// The router of this name.
pub(super) fn router(catalog: &Catalog, name: &str) -> Result<Arc<Router>, Failure> {
    let router = catalog.router(name).map(Arc::clone);
    Ok(router.ok_or_else(|| {
        let known: Vec<&str> = catalog.routers.keys().map(RouterName::as_str).collect();
        anyhow!("no router is named {name:?}; there are: {}", known.join(", "))
    })?)
}

/// The world of a catalog, its classifier ready.
pub(super) async fn world(catalog: Catalog) -> Result<World, Failure> {
    let classifier = reload::prepared(&catalog, None)
        .await
        .map_err(|fault| Failure::Configuration(format!("classifier: {fault}")))?;
    Ok(World { catalog, classifier })
}

/// The runtime of a command, and of what `serve` does beside the requests.
pub(super) fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
