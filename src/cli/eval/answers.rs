//! `pointsman eval --models`: how well a router's models do an operator's own tasks, as a file for `prefer: optimal`.
//!
//! Every line of the data is asked of each model of its task, through the proxy itself on a loopback port: the same
//! translation, credentials, time limits and endpoints as in traffic, and nothing else is served. A line says how its
//! answers are graded; what it leaves open a model that the operator names may grade. What was not answered is not a
//! score: it is left out and counted.

mod ask;
mod exam;
mod file;
mod grade;

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail};
use tokio::sync::oneshot;

use crate::{
    catalog::Catalog,
    cli::{
        Failure,
        eval::answers::{ask::Proxy, exam::Exam},
        load, print, serve,
    },
    config::{store::Store, watch},
    engine::Engine,
    server::{
        self,
        reload::{Origins, Reload},
    },
    telemetry::{clock, metrics::Metrics},
};

/// Arguments of `eval` that measure models.
#[derive(clap::Args)]
#[group(id = "answers", multiple = true)]
pub(super) struct Options {
    /// Measure the models of the router's tasks instead of the classifier, and print a file of quality scores. A line
    /// says what its answer must be (`expect`), contain (`contains`) or match (`matches`, a regular expression). This
    /// asks the providers, which costs what they charge.
    #[arg(long, requires = "router", conflicts_with_all = ["min_accuracy", "budget", "json"])]
    pub(super) models: bool,
    /// The model that grades the answers to lines which say nothing of the answer, from 0 to 10.
    #[arg(long, value_name = "MODEL", requires = "models")]
    judge: Option<String>,
}

/// Runs the command.
pub(super) fn run(
    options: &Options,
    config: &Path,
    router: Option<&str>,
    data: &Path,
) -> Result<(), Failure> {
    let mut loaded = load::without_classifier(config)?;
    let router = load::router(&loaded.catalog, router.unwrap_or_default())?;
    let judge = options.judge.as_deref();
    if let Some(judge) = judge.filter(|judge| loaded.catalog.model(judge).is_none()) {
        return Err(anyhow!("--judge: there is no model {judge:?}").into());
    }
    let exam = Exam::read(data, &router, judge.is_some())?;
    alone(&mut loaded.catalog);
    let limit = loaded.catalog.settings.timeouts.total;
    let origins = Origins::of(&loaded);
    let runtime = load::runtime()?;
    let world = runtime.block_on(load::world(loaded.catalog))?;
    let engine = Arc::new(Engine::new(world, Metrics::new()));
    let reload = Arc::new(Reload::new(engine, Store::files(config, load::options(true)), origins));
    let (requests, _asked) = watch::requests();
    let setup = serve::setup(reload, requests, false);
    let (tell, told) = oneshot::channel();
    let served = server::run(setup, move |addresses, _| {
        // Whoever waits for it is there as long as this runs.
        let _ = tell.send(addresses.data);
    });
    tell_user(&exam, judge);
    let results = runtime.block_on(async {
        tokio::select! {
            served = Box::pin(served) => {
                served?;
                bail!("interrupted")
            }
            results = async {
                let proxy = Proxy::new(told.await.context("the proxy did not start")?, limit)?;
                anyhow::Ok(exam.sit(&proxy, judge).await)
            } => results,
        }
    })?;
    if results.values().all(|result| result.graded == 0) {
        let last = results.values().find_map(|result| result.last_fault.as_deref());
        return Err(anyhow!("no model answered: {}", last.unwrap_or("nothing was asked")).into());
    }
    let today = clock::wall().to_zoned(jiff::tz::TimeZone::UTC).date();
    Ok(print(&file::of(&exam, &results, (data, judge), today))?)
}

/// Leaves nobody but us to be served, and nothing to classify.
fn alone(catalog: &mut Catalog) {
    let settings = &mut catalog.settings;
    settings.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    settings.admin = settings.listen;
    settings.tls = None;
    settings.classifier = None;
    settings.upgrade_socket = None;
    catalog.keys = Vec::new();
    catalog.admin_key = None;
}

fn tell_user(exam: &Exam, judge: Option<&str>) {
    let count = exam.requests();
    let graded = judge.map_or_else(String::new, |judge| format!(", and up to as many of {judge}"));
    let _ = writeln!(io::stderr(), "asking {count} questions of the router's models{graded}");
}
