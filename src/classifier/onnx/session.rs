//! ONNX Runtime: where its shared library is, and the one environment that a process has of it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use ort::{
    environment::Environment,
    logging::LogLevel,
    session::{Session, builder::GraphOptimizationLevel},
};
use parking_lot::Mutex;

use crate::{
    classifier::{ClassifierFault, onnx::manifest::fault},
    config,
};

/// The name of the library beside the program.
const LIBRARY: &str = "libonnxruntime.so";

/// There can be one environment in a process, and its library is never unloaded.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// ONNX Runtime, loaded.
pub(super) struct Runtime(Environment);

impl Runtime {
    /// Loads the library that `ORT_DYLIB_PATH` names, else the one beside the program or in the folder above it (the
    /// tests of a build lie one folder deeper).
    pub(super) fn find() -> Result<Self, ClassifierFault> {
        let mut environment = ENVIRONMENT.lock();
        if let Some(environment) = &*environment {
            return Ok(Self(environment.clone()));
        }
        let looked_in = candidates();
        let Some(path) = looked_in.iter().find(|path| path.is_file()) else {
            return Err(ClassifierFault::NoRuntime { looked_in });
        };
        let bad = |text: String| ClassifierFault::BadRuntime { path: path.clone(), text };
        let loaded = ort::init_from(path)
            .map_err(|error| bad(error.to_string()))?
            .with_name("pointsman")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| bad(error.to_string()))?;
        *environment = Some(loaded.clone());
        Ok(Self(loaded))
    }

    /// Opens a graph, to be run on the thread that asks.
    pub(super) fn open(&self, path: &Path) -> Result<Session, ClassifierFault> {
        let opened = self.build(path);
        opened.map_err(|error| fault(path, error.to_string()))
    }

    /// `Level1`, because the fusions above it replace `Add` and `LayerNormalization` by an operator that takes five
    /// times as long; what is worth fusing is fused in the file. Without the arena memory is given back after each run.
    fn build(&self, path: &Path) -> ort::Result<Session> {
        Session::builder(&self.0)?
            .with_optimization_level(GraphOptimizationLevel::Level1)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_memory_pattern(false)?
            .with_log_level(LogLevel::Error)?
            .commit_from_file(path)
    }
}

fn candidates() -> Vec<PathBuf> {
    if let Some(named) = config::runtime_library() {
        return vec![named];
    }
    let program = std::env::current_exe().and_then(std::fs::canonicalize).unwrap_or_default();
    program.ancestors().skip(1).take(2).map(|folder| folder.join(LIBRARY)).collect()
}

fn log(level: LogLevel, category: &str, _: &str, location: &str, message: &str) {
    match level {
        LogLevel::Verbose | LogLevel::Info => tracing::debug!(category, location, "{message}"),
        LogLevel::Warning => tracing::warn!(category, location, "{message}"),
        LogLevel::Error | LogLevel::Fatal => tracing::error!(category, location, "{message}"),
    }
}
