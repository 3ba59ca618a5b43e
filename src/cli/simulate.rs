//! `pointsman simulate`: one simulated provider for each configured one.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use anyhow::Context as _;

use crate::{
    cli::{Failure, load, print},
    server::signals::{Order, Signals},
    simulator,
};

/// Runs the command.
pub(super) fn run(config: &Path, listen: Option<SocketAddr>) -> Result<(), Failure> {
    let loaded = load::names_only(config)?;
    let mut running = Vec::new();
    for (index, provider) in simulator::for_catalog(&loaded.catalog).into_iter().enumerate() {
        let address = address(listen, index)?;
        let listener = TcpListener::bind(address)
            .with_context(|| format!("cannot listen on {address} for {}", provider.name))?;
        running.push(simulator::start(listener, provider)?);
    }
    let width = running.iter().map(|provider| provider.name().len()).max().unwrap_or(0);
    let mut lines = String::from("simulated providers (no real model answers here):\n");
    for provider in &running {
        let _ = writeln!(lines, "  {:<width$}  {}", provider.name(), provider.base_url());
    }
    print(&lines)?;
    load::runtime()?.block_on(until_stopped())?;
    Ok(())
}

fn address(listen: Option<SocketAddr>, index: usize) -> Result<SocketAddr, Failure> {
    let Some(first) = listen else { return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))) };
    let port = u16::try_from(index).ok().and_then(|index| first.port().checked_add(index));
    let port = port.context("there are more providers than ports above the given one")?;
    Ok(SocketAddr::new(first.ip(), if first.port() == 0 { 0 } else { port }))
}

async fn until_stopped() -> std::io::Result<()> {
    let mut signals = Signals::listen()?;
    while signals.next().await != Order::Stop {}
    Ok(())
}
