//! `pointsman eval`: how well the classifier does on an operator's own labelled conversations.

mod answers;
mod data;
mod judge;
mod text;

use std::{num::NonZeroUsize, path::PathBuf, thread};

use anyhow::{Context as _, anyhow};

use crate::{
    catalog::{Catalog, settings::Classifier as ClassifierSettings},
    cli::{Failure, eval::data::Data, load, print},
    evaluation::{Report, Settings},
};

/// The most threads that classify: each has a session of its own, of some 30 MB.
const MOST_THREADS: usize = 8;

/// A thread that has fewer turns to classify is not worth its start.
const TURNS_A_THREAD: usize = 32;

/// Arguments of `eval`.
#[derive(clap::Args)]
pub(super) struct Options {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// The router whose tasks are the labels. Without it each line carries its own `router: {tasks: […]}`.
    #[arg(long, value_name = "NAME")]
    router: Option<String>,
    /// The accuracy to reach, such as 0.9: below it the exit code is 1.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_accuracy: Option<f64>,
    /// The share of matched turns that may be wrong, such as 0.02: says which threshold keeps it.
    #[arg(long, value_name = "SHARE", value_parser = part)]
    budget: Option<f64>,
    /// How many mistakes to show.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    mistakes: usize,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    answers: answers::Options,
    /// One JSON object a line: `text` or `messages` (or `conversation`), and `task` (or `label`): a name, null or none.
    #[arg(value_name = "DATA")]
    data: PathBuf,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "must be a share between 0 and 1: 90 % is 0.9".to_owned())
}

fn part(text: &str) -> Result<f64, String> {
    share(text).ok().filter(|share| *share > 0.0 && *share < 1.0).ok_or_else(|| {
        "must be a share above 0 and below 1: 2 % is 0.02; no sample can show that nothing is ever wrong"
            .to_owned()
    })
}

/// Runs the command.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    if options.answers.models {
        let router = options.router.as_deref();
        return answers::run(&options.answers, &options.config, router, &options.data);
    }
    let mut loaded = load::without_secrets(&options.config)?;
    let router = match &options.router {
        Some(name) => Some(load::router(&loaded.catalog, name)?),
        None => None,
    };
    let data = Data::read(&options.data, router.as_ref())?;
    let threads = threads(data.turns.len());
    share_out(&mut loaded.catalog, threads);
    let runtime = load::runtime()?;
    let world = runtime.block_on(load::world(loaded.catalog))?;
    let classifier = world.classifier.context(
        "the configuration names no classifier, so there is nothing to measure; add `classifier: {model: \
         router-models/default}`",
    )?;
    let own = router.as_ref().and_then(|router| router.threshold);
    let settings = Settings {
        threshold: own.unwrap_or_else(|| classifier.threshold()),
        tasks: router.iter().flat_map(|router| data::names(router)).collect(),
        budget: options.budget,
        mistakes: options.mistakes,
    };
    let outcomes = runtime.block_on(judge::all(&*classifier, data, threads))?;
    let report = Report::of(&outcomes, &settings);
    print(&if options.json { json(&report)? } else { text::of(&report, &options.data) })?;
    floor(&report, options.min_accuracy)
}

/// How many threads the turns are worth, on this machine.
fn threads(turns: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    turns.div_ceil(TURNS_A_THREAD).clamp(1, cores.min(MOST_THREADS))
}

/// Lets the encoder use the whole machine: nobody else is served here.
fn share_out(catalog: &mut Catalog, threads: usize) {
    match &mut catalog.settings.classifier {
        Some(ClassifierSettings::Onnx(onnx)) => onnx.threads = threads,
        Some(ClassifierSettings::Chat(_)) | None => {}
    }
}

fn json(report: &Report) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}

fn floor(report: &Report, floor: Option<f64>) -> Result<(), Failure> {
    let Some(floor) = floor.filter(|floor| report.all.accuracy < *floor) else { return Ok(()) };
    let (accuracy, floor) = (100.0 * report.all.accuracy, 100.0 * floor);
    Err(anyhow!(
        "accuracy {accuracy:.2} % is {:.2} points below the floor of {floor:.2} % ({} of {} turns right)",
        floor - accuracy,
        report.all.right,
        report.all.turns,
    )
    .into())
}
