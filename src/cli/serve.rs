//! `pointsman serve`: serve requests until a signal ends it.

use std::{path::Path, sync::Arc};

use crate::{
    cli::{Failure, load},
    config::{store::Store, watch},
    engine::Engine,
    server::{
        self, Addresses, Setup,
        reload::{Origins, Reload},
        upkeep,
    },
    telemetry::{log, metrics::Metrics},
};

/// Runs the command.
pub(super) fn run(config: &Path, upgrade: bool) -> Result<(), Failure> {
    let loaded = load::with_secrets(config)?;
    let _flushed_last = log::install(loaded.catalog.settings.log)?;
    log::report_panics();
    let runtime = load::runtime()?;
    let (origins, watched) = (Origins::of(&loaded), loaded.watched);
    let world = runtime.block_on(load::world(loaded.catalog))?;
    let engine = Arc::new(Engine::new(world, Metrics::new()));
    let (requests, asked) = watch::requests();
    let store = Store::files(config, load::options(true));
    let reload = Reload::new(Arc::clone(&engine), store, origins);
    let reload = Arc::new(reload.watching(watched, requests.clone()));
    let setup = setup(Arc::clone(&reload), requests, upgrade);
    let served = server::run(setup, move |addresses, tasks| {
        say(addresses);
        tasks.start(reload.run(asked));
        tasks.start(upkeep::prices(Arc::clone(&engine)));
        tasks.start(upkeep::priors(engine));
    });
    Ok(runtime.block_on(served)?)
}

/// What is served: the addresses are those of the catalog.
pub(super) fn setup(reload: Arc<Reload>, asked: watch::Requests, upgrade: bool) -> Setup {
    let world = reload.engine.world();
    let settings = &world.catalog.settings;
    let (listen, admin) = (settings.listen, settings.admin);
    let (tls, upgrade_socket) = (settings.tls.clone(), settings.upgrade_socket.clone());
    Setup { reload, listen, admin, tls, upgrade_socket, upgrade, asked, simulated: false }
}

fn say(addresses: Addresses) {
    tracing::info!(plane = "data", address = %addresses.data, "listening");
    tracing::info!(plane = "admin", address = %addresses.admin, "listening");
}
