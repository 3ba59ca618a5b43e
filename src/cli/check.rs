//! `pointsman check`: the configuration as `serve` would take it, without serving, and what will not be classified as its
//! author means.

use std::path::Path;

use crate::{
    cli::{Failure, load, print, scores},
    config::Summary,
};

/// Runs the command. Warnings go to standard error and change nothing.
pub(super) fn run(config: &Path) -> Result<(), Failure> {
    let loaded = load::with_secrets(config)?;
    let summary = Summary::of(&loaded.catalog);
    let scores = scores::of(&loaded.catalog);
    let tasks = loaded.tasks;
    let runtime = load::runtime()?;
    let world = runtime.block_on(load::world(loaded.catalog))?;
    let routers = world.catalog.routers.values();
    load::warn(&runtime.block_on(tasks.advice(routers, world.classifier.as_deref())));
    Ok(print(&format!("ok: {summary}\n{scores}"))?)
}
