//! `pointsman prices`: what each endpoint charges now, and where that figure is from.

use std::{fmt::Write as _, path::Path};

use jiff::Timestamp;

use crate::{
    catalog::{
        Catalog,
        model::{Model, Target},
    },
    cli::{Failure, load, print},
    feeds,
    money::PerMillion,
    prices::{PriceTable, Source, feed::Feed},
    telemetry::clock,
};

/// Runs the command.
pub(super) fn run(config: &Path) -> Result<(), Failure> {
    let catalog = load::with_secrets(config)?.catalog;
    let mut out = String::new();
    let feeds = load::runtime()?.block_on(fetch(&catalog, &mut out));
    let table = PriceTable::laid_over(catalog.models.values(), &feeds);
    let now = clock::wall();
    let _ = writeln!(out, "US dollars per million tokens");
    for model in catalog.models.values() {
        for target in &model.targets {
            write_endpoint(&mut out, &table, (model, target), now);
        }
    }
    for held in &table.held {
        let _ = writeln!(
            out,
            "held back: {} by {}: input {}, output {} (a jump that later fetches must confirm)",
            held.target,
            held.feed,
            rate(held.rates.input),
            rate(held.rates.output)
        );
    }
    Ok(print(&out)?)
}

/// Fetches every feed once, and says what came of it.
async fn fetch(catalog: &Catalog, out: &mut String) -> Vec<Feed> {
    let mut fetched = Vec::new();
    for settings in &catalog.settings.prices {
        let mut feed = Feed::new(settings.url.as_str());
        match feeds::prices(settings).await {
            Ok(parsed) => {
                let intake = feed.accept(parsed, clock::wall());
                let _ = writeln!(
                    out,
                    "feed {}: {} prices, {} made no sense",
                    settings.url, intake.taken, intake.rejected
                );
            }
            Err(fault) => {
                let _ = writeln!(out, "feed {}: not fetched: {fault}", settings.url);
            }
        }
        fetched.push(feed);
    }
    fetched
}

fn write_endpoint(
    out: &mut String,
    table: &PriceTable,
    (model, target): (&Model, &Target),
    now: Timestamp,
) {
    let quote = table.quote(model, target, 0, now);
    let from = match quote.source {
        Source::Configured => "configured".to_owned(),
        Source::Feed { name, key, seen } => format!("{name} ({key}), confirmed {seen}"),
    };
    let _ = write!(
        out,
        "{} at {}: input {}, cache read {}, cache write {}, output {}; {from}",
        model.id,
        target.provider.id,
        rate(quote.rates.input),
        rate(quote.rates.cache_read.or(quote.rates.input)),
        rate(quote.rates.cache_write.or(quote.rates.input)),
        rate(quote.rates.output),
    );
    if quote.discount > 0.0 {
        let _ = write!(out, "; {:.0} % off at this time of day", quote.discount * 100.0);
    }
    for tier in table.tiers(model, target, now) {
        let above = table.quote(model, target, tier.above.saturating_add(1), now).rates;
        let (input, output) = (rate(above.input), rate(above.output));
        let _ = write!(out, "; above {} tokens input {input}, output {output}", tier.above);
    }
    out.push('\n');
}

fn rate(rate: Option<PerMillion>) -> String {
    rate.map_or_else(|| "unknown".to_owned(), |rate| format!("{:.4}", rate.dollars()))
}
