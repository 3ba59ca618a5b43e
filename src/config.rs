//! Configuration: from YAML files to a [`Catalog`], with every mistake of every file reported at once.
//!
//! The way is always the same, for a start, a reload and `check`: files are read and parsed into trees that know their
//! lines (`raw`), each section reads its part and reports what is wrong there, and only a configuration without a
//! mistake becomes a catalog. Nothing is applied while it is read, so a reload that fails leaves everything as it was.
//!
//! Absent on purpose: interpolation of variables, inline secrets, includes.

mod address;
pub mod advised;
mod assemble;
mod classifier;
pub mod fault;
pub mod form;
mod key;
mod known;
mod model;
pub mod preset;
mod provider;
mod quantity;
mod raw;
mod router;
mod secret;
mod settings;
mod source;
pub mod store;
mod task;
mod tls;
mod value;
pub mod watch;
mod write;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use crate::config::tls::check_identity;
use crate::{
    catalog::{Catalog, settings::Settings},
    config::{
        advised::TaskPlaces,
        assemble::{Built, Document, Surroundings},
        fault::{Fault, Report},
        secret::Environment,
        source::{Ledger, Overlay},
        watch::Watched,
    },
    ids::RouterName,
};

/// How a configuration is loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Whether secrets are read: `serve` and `check` do, `route`, `eval` and `simulate` do not.
    pub read_secrets: bool,
    /// Whether the folder of the classifier's model must be there.
    pub find_classifier: bool,
    /// Where a model's folder is looked for that is not beside the main file: the program's own folders.
    pub program_folders: Vec<PathBuf>,
}

/// A configuration without a mistake.
pub struct Loaded {
    /// What it says. Its generation is 0: whoever serves it counts.
    pub catalog: Catalog,
    /// What is allowed but probably not meant, sorted.
    pub warnings: Vec<Fault>,
    /// What it was read from.
    pub watched: Watched,
    /// The files of its routers.
    pub routers: Vec<RouterSource>,
    /// Where its tasks are written.
    pub tasks: TaskPlaces,
    places: ListenerPlaces,
}

/// A router and the file that it was read from.
#[derive(Debug, Clone)]
pub struct RouterSource {
    /// The router's name.
    pub name: RouterName,
    /// The file; only a name where the configuration is no file.
    pub path: PathBuf,
    /// What the file held when it was read.
    pub text: Arc<str>,
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub struct Refused {
    /// Every mistake, sorted by file, line and column; at least one.
    pub faults: Vec<Fault>,
    /// What is allowed but probably not meant, sorted.
    pub warnings: Vec<Fault>,
    /// What it was read from: a change there may mend it.
    pub watched: Watched,
}

/// One mistake on each line.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// Where the settings stand that need a restart.
#[derive(Clone)]
struct ListenerPlaces {
    listen: Fault,
    admin: Fault,
    tls: Fault,
}

/// Loads the main file at `path` and everything that it names.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Loaded, Refused> {
    load_in(path, options, &secret::process_environment)
}

/// Loads a configuration that is no file: a main text and the texts of router files, each with the name by which
/// mistakes in it are reported. The main text names no router files; relative paths start at the working folder.
pub fn load_texts(
    main: (&str, &str),
    routers: &[(&str, &str)],
    options: &LoadOptions,
) -> Result<Loaded, Refused> {
    let report = Report::default();
    let document = |(name, text): &(&str, &str)| Document::of_text(name, text, &report);
    let (main, routers) = (document(&main), routers.iter().map(document).collect::<Vec<_>>());
    let ledger = Ledger::default();
    let surroundings = Surroundings {
        base: Path::new(""),
        options,
        environment: &secret::process_environment,
        ledger: &ledger,
    };
    let built = assemble::catalog(&main, &routers, &surroundings, &report);
    finish(built, &routers, Watched::nothing(), report)
}

/// The library of ONNX Runtime that the environment names (`ORT_DYLIB_PATH`).
pub fn runtime_library() -> Option<PathBuf> {
    let named = secret::process_environment("ORT_DYLIB_PATH")?;
    (!named.is_empty()).then(|| PathBuf::from(named))
}

/// What of `loaded` differs from `running` in a way that only a restart can follow.
pub fn needs_restart(running: &Settings, loaded: &Loaded) -> Option<Vec<Fault>> {
    let (new, places) = (&loaded.catalog.settings, &loaded.places);
    let faults: Vec<Fault> = [
        (running.listen != new.listen, &places.listen),
        (running.admin != new.admin, &places.admin),
        (running.tls != new.tls, &places.tls),
    ]
    .into_iter()
    .filter(|(differs, _)| *differs)
    .map(|(_, place)| place.clone())
    .collect();
    (!faults.is_empty()).then_some(faults)
}

/// How much a catalog holds: what `check` prints after `ok:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Providers.
    pub providers: usize,
    /// Models.
    pub models: usize,
    /// Routers.
    pub routers: usize,
    /// Tasks of all routers, each name once.
    pub tasks: usize,
    /// Keys of callers.
    pub keys: usize,
}

impl Summary {
    /// Counts what `catalog` holds.
    pub fn of(catalog: &Catalog) -> Self {
        let tasks: std::collections::BTreeSet<_> = catalog
            .routers
            .values()
            .flat_map(|router| &router.policies)
            .map(|policy| &policy.task.name)
            .collect();
        Self {
            providers: catalog.providers.len(),
            models: catalog.models.len(),
            routers: catalog.routers.len(),
            tasks: tasks.len(),
            keys: catalog.keys.len(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.providers, "provider"),
            (self.models, "model"),
            (self.routers, "router"),
            (self.tasks, "task"),
            (self.keys, "key"),
        ];
        for (index, (count, noun)) in counts.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{comma}{count} {noun}{plural}")?;
        }
        Ok(())
    }
}

fn load_in(
    path: &Path,
    options: &LoadOptions,
    environment: Environment<'_>,
) -> Result<Loaded, Refused> {
    load_over(path, options, environment, None)
}

/// Loads what the files would be with `overlay` among them.
fn load_over(
    path: &Path,
    options: &LoadOptions,
    environment: Environment<'_>,
    overlay: Option<Overlay>,
) -> Result<Loaded, Refused> {
    let report = Report::default();
    let ledger = Ledger::over(overlay);
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let main = Document::read_main(path, &ledger, &report);
    let (routers, patterns) = assemble::router_files(&main, &base, &ledger, &report);
    let surroundings = Surroundings { base: &base, options, environment, ledger: &ledger };
    let built = assemble::catalog(&main, &routers, &surroundings, &report);
    finish(built, &routers, Watched::new(ledger.into_contents(), patterns), report)
}

fn finish(
    built: Option<Built>,
    routers: &[Document],
    watched: Watched,
    report: Report,
) -> Result<Loaded, Refused> {
    let (faults, warnings) = report.finish();
    match built {
        Some(Built { catalog, listeners, tasks }) if faults.is_empty() => {
            let routers = routers.iter().filter_map(Document::router).collect();
            Ok(Loaded { catalog, warnings, watched, routers, tasks, places: listeners })
        }
        _ => Err(Refused { faults, warnings, watched }),
    }
}

#[cfg(test)]
mod tests;
