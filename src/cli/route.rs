//! `pointsman route`: one decision, explained, by the very code that serves traffic.

use std::{
    io::{self, IsTerminal as _, Read as _},
    path::Path,
};

use anyhow::anyhow;

use crate::{
    cli::{Failure, load, print},
    engine::{Engine, memory::InMemory},
    telemetry::metrics::Metrics,
};

/// The most bytes read from standard input.
const MAX_TEXT: u64 = 16 << 20;

/// Runs the command.
pub(super) fn run(config: &Path, router: &str, text: Option<&str>) -> Result<(), Failure> {
    let text = match text {
        Some(text) if text != "-" => text.to_owned(),
        None if io::stdin().is_terminal() => {
            return Err(Failure::Usage("no TEXT; give it, or - for standard input".to_owned()));
        }
        Some(_) | None => read()?,
    };
    // Whoever copies the name out of a request copies this along.
    let router = router.strip_prefix("router:").unwrap_or(router);
    let loaded = load::without_secrets(config)?;
    load::router(&loaded.catalog, router)?;
    let runtime = load::runtime()?;
    let world = runtime.block_on(load::world(loaded.catalog))?;
    let engine = Engine::new(world, Metrics::new());
    let body = serde_json::json!({
        "model": format!("router:{router}"),
        "messages": [{"role": "user", "content": text}],
    });
    let mut request = InMemory::post("/routing/v1/chat/completions", body.to_string());
    runtime.block_on(engine.serve(&mut request));
    let answer = String::from_utf8(request.answer.to_vec())?;
    if request.status.is_none_or(|status| !status.is_success()) {
        return Err(anyhow!("no decision: {answer}").into());
    }
    Ok(print(&format!("{answer}\n"))?)
}

fn read() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().take(MAX_TEXT).read_to_string(&mut text)?;
    Ok(text)
}
