//! What is kept up to date beside the requests: live prices and priors.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    engine::Engine,
    feeds,
    ids::ModelId,
    prices::{FeedFault, PriceTable, feed::Feed},
    telemetry::clock,
};

/// The shortest time between two fetches of a feed.
const LEAST: Duration = Duration::from_secs(1);

/// How long after a failed fetch the next is tried, at most.
const AGAIN: Duration = Duration::from_mins(1);

/// Keeps the prices in force up to date with the feeds of the catalog, for as long as the process lives.
pub async fn prices(engine: Arc<Engine>) {
    let mut known: Vec<Feed> = Vec::new();
    let mut due: Vec<std::time::Instant> = Vec::new();
    let mut faults: Vec<FeedFault> = Vec::new();
    loop {
        let world = engine.world();
        let feeds = &world.catalog.settings.prices;
        let names: Vec<&str> = feeds.iter().map(|feed| feed.url.as_str()).collect();
        if known.iter().map(|feed| &**feed.name()).ne(names.iter().copied()) {
            known = names.iter().map(|name| Feed::new(name)).collect();
            due = vec![clock::now(); names.len()];
            faults.clear();
        }
        for ((settings, feed), due) in feeds.iter().zip(&mut known).zip(&mut due) {
            if clock::now() < *due {
                continue;
            }
            let fetched = feeds::prices(settings).await;
            faults.retain(|fault| fault.feed != *feed.name());
            let wait = match fetched {
                Ok(parsed) => {
                    let intake = feed.accept(parsed, clock::wall());
                    tracing::info!(
                        taken = intake.taken,
                        held = intake.held,
                        rejected = intake.rejected,
                        "prices fetched"
                    );
                    settings.refresh
                }
                Err(fault) => {
                    tracing::warn!(%fault, "prices not fetched; the last good ones stay");
                    let (feed, text) = (Arc::clone(feed.name()), fault.to_string());
                    faults.push(FeedFault { feed, text });
                    settings.refresh.min(AGAIN)
                }
            };
            let now = clock::now();
            *due = now.checked_add(wait.max(LEAST)).unwrap_or(now);
        }
        let mut table = PriceTable::laid_over(world.catalog.models.values(), &known);
        table.faults.clone_from(&faults);
        engine.prices.store(Arc::new(table));
        sleep(LEAST).await;
    }
}

/// Keeps the priors of models that this process has not used, where a source is configured. An answer that cannot be
/// used leaves the last good priors.
pub async fn priors(engine: Arc<Engine>) {
    loop {
        let world = engine.world();
        let Some(source) = &world.catalog.settings.latency else {
            drop(world);
            sleep(LEAST).await;
            continue;
        };
        match feeds::latencies(source).await {
            Ok(found) => {
                let known = |model: &ModelId| world.catalog.model(model.as_str()).is_some();
                let found: Vec<_> = found.into_iter().filter(|(model, _)| known(model)).collect();
                tracing::debug!(models = found.len(), "priors fetched");
                for (model, prior) in found {
                    engine.stats.seed_prior(&model, Some(prior));
                }
            }
            Err(fault) => tracing::warn!(%fault, "no priors; the last good ones stay"),
        }
        let wait = source.refresh.max(LEAST);
        drop(world);
        sleep(wait).await;
    }
}
