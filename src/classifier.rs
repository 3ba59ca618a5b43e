//! Builds the classifier that a catalog asks for.

pub mod chat;
pub mod onnx;

use std::{path::PathBuf, sync::Arc};

use crate::{
    catalog::{Catalog, router::Router, settings::Classifier as Settings},
    classifier::{chat::Chat, onnx::Onnx},
    classify::{Classifier, Unclassified},
    ids::ProviderId,
};

/// Why there is no classifier. Shown to the operator.
#[derive(Debug, thiserror::Error)]
pub enum ClassifierFault {
    /// ONNX Runtime's shared library is not there.
    #[error(
        "libonnxruntime.so is neither beside the program nor named by ORT_DYLIB_PATH; `make runtime` brings it (looked in {})",
        looked_in.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NoRuntime {
        /// Where it was looked for.
        looked_in: Vec<PathBuf>,
    },
    /// ONNX Runtime's shared library cannot be used.
    #[error("{}: {text}; `make runtime` brings the right one", path.display())]
    BadRuntime {
        /// The library.
        path: PathBuf,
        /// What is wrong.
        text: String,
    },
    /// A file of the model cannot be used.
    #[error("{}: {text}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        text: String,
    },
    /// The provider of a generative router cannot be used.
    #[error("provider {id}: {text}")]
    Provider {
        /// The provider.
        id: ProviderId,
        /// What is wrong.
        text: String,
    },
    /// A task could not be embedded.
    #[error("tasks cannot be embedded: {0}")]
    Tasks(#[source] Unclassified),
    /// A thread could not be started or did not come back.
    #[error("no thread: {0}")]
    Thread(String),
}

/// Builds the classifier of `settings`: loads it, checks it, and lets it work once.
pub async fn build(
    settings: &Settings,
    catalog: &Catalog,
) -> Result<Arc<dyn Classifier>, ClassifierFault> {
    match settings {
        Settings::Onnx(settings) => {
            let settings = settings.clone();
            let loaded = tokio::task::spawn_blocking(move || Onnx::load(&settings));
            let loaded =
                loaded.await.map_err(|error| ClassifierFault::Thread(error.to_string()))?;
            Ok(Arc::new(loaded?))
        }
        Settings::Chat(settings) => {
            let id = &settings.provider;
            let provider = catalog.providers.get(id).ok_or_else(|| ClassifierFault::Provider {
                id: id.clone(),
                text: "is not in the catalog".to_owned(),
            })?;
            Ok(Arc::new(Chat::new(settings, provider, catalog.settings.listen)?))
        }
    }
}

/// Whether a classifier built for `one` can serve `other`. A generative router cannot: its provider may have changed.
pub fn same(one: &Settings, other: &Settings) -> bool {
    match (one, other) {
        (Settings::Onnx(one), Settings::Onnx(other)) => one == other,
        (Settings::Onnx(_) | Settings::Chat(_), Settings::Onnx(_) | Settings::Chat(_)) => false,
    }
}

/// Lets `classifier` get to know the tasks of `routers`.
pub async fn prepare(
    classifier: &dyn Classifier,
    routers: impl Iterator<Item = &Arc<Router>>,
) -> Result<(), ClassifierFault> {
    let routers: Vec<Arc<Router>> = routers.map(Arc::clone).collect();
    classifier.prepare(&routers).await.map_err(ClassifierFault::Tasks)
}
