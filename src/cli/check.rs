//! `pointsman check`: the configuration as `serve` would take it, without serving.

use std::path::Path;

use crate::{
    cli::{Failure, load, print},
    config::Summary,
};

/// Runs the command.
pub(super) fn run(config: &Path) -> Result<(), Failure> {
    let loaded = load::with_secrets(config)?;
    let summary = Summary::of(&loaded.catalog);
    load::runtime()?.block_on(load::world(loaded.catalog))?;
    Ok(print(&format!("ok: {summary}\n"))?)
}
