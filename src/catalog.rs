//! The catalog: the world that one request sees. Validated, immutable, replaced whole on reload.
//!
//! A request takes one `Arc<Catalog>` when it arrives and keeps it to its end, so that a reload never changes the
//! rules under a request that is already running. Nothing here reads a file, a clock or the environment: `config`
//! does that and hands the finished values over.

pub mod model;
pub mod provider;
pub mod router;
pub mod settings;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    catalog::{
        model::Model,
        provider::Provider,
        router::{Router, Task},
        settings::Settings,
    },
    ids::{KeyName, ModelId, ProviderId, RouterName, TaskName},
    secret::SecretDigest,
};

/// Providers, models, routers and settings: one consistent generation of them.
pub struct Catalog {
    /// Rises by one with each catalog that this process serves; the first is 1.
    pub generation: u64,
    /// Everything that is neither provider, model nor router.
    pub settings: Settings,
    /// The places that serve models.
    pub providers: BTreeMap<ProviderId, Arc<Provider>>,
    /// The models that can be named, by catalog name.
    pub models: BTreeMap<ModelId, Arc<Model>>,
    /// The routers that can be named.
    pub routers: BTreeMap<RouterName, Arc<Router>>,
    /// The task library: built-in tasks with the operator's additions and overrides.
    pub tasks: BTreeMap<TaskName, Arc<Task>>,
    /// The keys that callers may present; empty when anyone may call.
    pub keys: Vec<AccessKey>,
    /// The key of the admin listener, if one is set.
    pub admin_key: Option<SecretDigest>,
}

/// A caller's key and what it may use.
#[derive(Clone)]
pub struct AccessKey {
    /// The name by which logs and metrics know the key.
    pub name: KeyName,
    /// What a presented key is compared with.
    pub digest: SecretDigest,
    /// The routers it may use; `None` is all of them.
    pub routers: Option<Vec<RouterName>>,
    /// The models it may use. `None` is every model. `Some` of an empty list is no direct model, with its routers
    /// whole; otherwise every attempt, inside routers too, must be on the list.
    pub models: Option<Vec<ModelId>>,
}

impl Catalog {
    /// The router of this name.
    pub fn router(&self, name: &str) -> Option<&Arc<Router>> {
        self.routers.get(name)
    }

    /// The model of this name.
    pub fn model(&self, name: &str) -> Option<&Arc<Model>> {
        self.models.get(name)
    }
}
