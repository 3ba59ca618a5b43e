//! `pointsman serve`: serve requests until a signal ends it.

use std::{path::Path, sync::Arc};

use crate::{
    cli::{Failure, load},
    config::watch,
    engine::Engine,
    server::{self, Addresses, Setup, reload::Reload, upkeep},
    telemetry::{log, metrics::Metrics},
};

/// Runs the command.
pub(super) fn run(config: &Path, upgrade: bool) -> Result<(), Failure> {
    let loaded = load::with_secrets(config)?;
    let _flushed_last = log::install(loaded.catalog.settings.log)?;
    log::report_panics();
    let runtime = load::runtime()?;
    let watched = loaded.watched;
    let world = runtime.block_on(load::world(loaded.catalog))?;
    let (requests, asked) = watch::requests();
    let setup = setup(world, requests.clone(), upgrade);
    let engine = Arc::clone(&setup.engine);
    let path = config.to_owned();
    let served = server::run(setup, move |addresses, tasks| {
        say(addresses);
        let options = load::options(true);
        let reload = Reload { engine: Arc::clone(&engine), path, options };
        tasks.start(reload.run(watched, requests, asked));
        tasks.start(upkeep::prices(Arc::clone(&engine)));
        tasks.start(upkeep::priors(engine));
    });
    Ok(runtime.block_on(served)?)
}

/// What is served: the addresses are those of the catalog.
pub(super) fn setup(world: crate::engine::World, reload: watch::Requests, upgrade: bool) -> Setup {
    let settings = &world.catalog.settings;
    let (listen, admin) = (settings.listen, settings.admin);
    let (tls, upgrade_socket) = (settings.tls.clone(), settings.upgrade_socket.clone());
    let engine = Arc::new(Engine::new(world, Metrics::new()));
    Setup { engine, listen, admin, tls, upgrade_socket, upgrade, reload }
}

fn say(addresses: Addresses) {
    tracing::info!(plane = "data", address = %addresses.data, "listening");
    tracing::info!(plane = "admin", address = %addresses.admin, "listening");
}
