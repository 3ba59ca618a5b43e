//! `pointsman eval`: how well the classifier does on an operator's own labelled conversations.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;

use crate::{
    catalog::{
        router::{Policy, Prefer, Router, Task},
        settings::Failover,
    },
    classify::{self, Classifier, Verdict},
    cli::{Failure, load, print},
    conversation::Conversation,
    ids::{RouterName, TaskName},
};

/// The longest line of a data file, in bytes.
const MAX_LINE: usize = 32 << 20;

/// The bins of the reliability table.
const BINS: usize = 10;

/// Arguments of `eval`.
#[derive(clap::Args)]
pub(super) struct Options {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// The router whose tasks are the labels. Without it each line carries its own `router: {tasks: […]}`.
    #[arg(long, value_name = "NAME")]
    router: Option<String>,
    /// One JSON object a line: `text` or `messages` (or `conversation`), and `task` (or `label`): a name, null or none.
    #[arg(value_name = "DATA")]
    data: PathBuf,
}

/// One line of a data file.
#[derive(Deserialize)]
struct Line {
    text: Option<String>,
    messages: Option<Vec<Said>>,
    conversation: Option<Vec<Said>>,
    #[serde(default, deserialize_with = "label")]
    task: Option<Label>,
    #[serde(default, deserialize_with = "label")]
    label: Option<Label>,
    router: Option<Inline>,
}

/// What a line says is right: a task, or none of them.
#[derive(Clone, Deserialize)]
#[serde(from = "Option<String>")]
struct Label(Option<String>);

impl From<Option<String>> for Label {
    fn from(name: Option<String>) -> Self {
        Self(name.filter(|name| name != "none"))
    }
}

/// A field that is there, be it null.
fn label<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Label>, D::Error> {
    Label::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct Said {
    role: String,
    content: serde_json::Value,
}

#[derive(Deserialize)]
struct Inline {
    tasks: Vec<InlineTask>,
}

#[derive(Deserialize)]
struct InlineTask {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    examples: Vec<String>,
}

/// One judged line.
struct Judged {
    expected: Option<String>,
    got: Option<String>,
    /// The most probable answer, whatever the threshold, and its probability.
    best: Option<String>,
    probability: f64,
}

/// Runs the command.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let loaded = load::without_secrets(&options.config)?;
    let named = match &options.router {
        Some(name) => Some(load::router(&loaded.catalog, name)?),
        None => None,
    };
    let runtime = load::runtime()?;
    let world = runtime.block_on(load::world(loaded.catalog))?;
    let classifier = world.classifier.context("the configuration names no classifier")?;
    let file = File::open(&options.data)
        .with_context(|| format!("cannot read {}", options.data.display()))?;
    let mut judged = Vec::new();
    let mut inline = BTreeMap::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let number = index.saturating_add(1);
        let place = || format!("{}:{number}", options.data.display());
        let line = line.with_context(place)?;
        if line.trim().is_empty() {
            continue;
        }
        let line = parse(&line).with_context(place)?;
        let router = match &named {
            Some(router) => Arc::clone(router),
            None => inline_router(&line, &mut inline).with_context(place)?,
        };
        judged.push(runtime.block_on(judge(&*classifier, &router, &line)).with_context(place)?);
    }
    if judged.is_empty() {
        return Err(anyhow!("{} holds no line", options.data.display()).into());
    }
    Ok(print(&report(&judged))?)
}

fn parse(text: &str) -> anyhow::Result<Line> {
    if text.len() > MAX_LINE {
        bail!("the line is longer than {MAX_LINE} bytes");
    }
    if !text.trim_start().starts_with('{') {
        bail!("not a JSON object");
    }
    let line: Line = serde_json::from_str(text)?;
    if line.task.is_none() && line.label.is_none() {
        bail!("`task` (or `label`) is missing");
    }
    if line.text.is_none() && line.messages.is_none() && line.conversation.is_none() {
        bail!("`text` or `messages` is missing");
    }
    Ok(line)
}

/// The router that a line carries; equal ones are built once, so that their tasks are embedded once.
fn inline_router(
    line: &Line,
    known: &mut BTreeMap<String, Arc<Router>>,
) -> anyhow::Result<Arc<Router>> {
    let inline = line.router.as_ref().context("`router: {tasks: […]}` is missing")?;
    let mut key = String::new();
    for task in &inline.tasks {
        write!(key, "{:?}{:?}{:?}", task.name, task.description, task.examples)?;
    }
    if let Some(router) = known.get(&key) {
        return Ok(Arc::clone(router));
    }
    let policies = inline.tasks.iter().map(policy).collect::<anyhow::Result<_>>()?;
    let router = Arc::new(Router {
        name: RouterName::parse("eval")?,
        description: String::new(),
        policies,
        fallbacks: Vec::new(),
        threshold: None,
        failover: Failover::default(),
        switch_budget: None,
    });
    known.insert(key, Arc::clone(&router));
    Ok(router)
}

fn policy(task: &InlineTask) -> anyhow::Result<Policy> {
    Ok(Policy {
        task: Arc::new(Task {
            name: TaskName::parse(&task.name)?,
            description: task.description.clone(),
            examples: task.examples.clone(),
            quality: BTreeMap::new(),
        }),
        models: Vec::new(),
        prefer: Prefer::Given,
    })
}

async fn judge(
    classifier: &dyn Classifier,
    router: &Arc<Router>,
    line: &Line,
) -> anyhow::Result<Judged> {
    let expected = line.task.clone().or_else(|| line.label.clone()).and_then(|label| label.0);
    let names: Vec<&str> = router.policies.iter().map(|p| p.task.name.as_str()).collect();
    if let Some(label) = &expected
        && !names.contains(&label.as_str())
    {
        bail!("unknown label {label:?}; the router has {}", names.join(", "));
    }
    let conversation = read(line);
    if conversation.is_empty() {
        return Ok(Judged { expected, got: None, best: None, probability: 1.0 });
    }
    let verdict = classifier
        .classify(&conversation, router, None)
        .await
        .map_err(|fault| anyhow!("not classified: {fault}"))?;
    Ok(judged(expected, &names, &verdict, router.threshold.unwrap_or(verdict.threshold)))
}

fn judged(expected: Option<String>, names: &[&str], verdict: &Verdict, threshold: f64) -> Judged {
    let name = |index: usize| names.get(index).map(|name| (*name).to_owned());
    let got = classify::matched(verdict, threshold).and_then(name);
    let most = verdict
        .probabilities
        .iter()
        .enumerate()
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .filter(|(_, probability)| **probability > verdict.none);
    let (best, probability) = match most {
        Some((index, probability)) => (name(index), *probability),
        None => (None, verdict.none),
    };
    Judged { expected, got, best, probability }
}

fn read(line: &Line) -> Conversation {
    if let Some(text) = &line.text {
        return Conversation::from_text(text);
    }
    let said = line.messages.as_ref().or(line.conversation.as_ref());
    let turns = said.into_iter().flatten().map(|said| (said.role.as_str(), words(&said.content)));
    Conversation::from_turns(turns)
}

/// The text of a message's content: a string, or the texts of its parts.
fn words(content: &serde_json::Value) -> String {
    match content {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(parts) => {
            let texts: Vec<&str> =
                parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Object(_) => String::new(),
    }
}

fn report(judged: &[Judged]) -> String {
    let mut out = String::new();
    let total = judged.len();
    let right = judged.iter().filter(|one| one.got == one.expected).count();
    let none = judged.iter().filter(|one| one.got.is_none()).count();
    let none_expected = judged.iter().filter(|one| one.expected.is_none()).count();
    let none_found =
        judged.iter().filter(|one| one.expected.is_none() && one.got.is_none()).count();
    let _ = writeln!(out, "accuracy      {:.1} %  ({right} of {total})", percent(right, total));
    let _ = writeln!(out, "none rate     {:.1} %  ({none} of {total})", percent(none, total));
    let _ = writeln!(
        out,
        "none recall   {:.1} %  ({none_found} of {none_expected})",
        percent(none_found, none_expected)
    );
    let _ = writeln!(out, "calibration   {:.1} % expected error", calibration(judged) * 100.0);
    write_threshold(&mut out, judged);
    write_reliability(&mut out, judged);
    write_confusion(&mut out, judged);
    out
}

/// The expected calibration error: how far, on average, confidence is from accuracy in bins of equal width.
fn calibration(judged: &[Judged]) -> f64 {
    let bins = bins(judged);
    let total = count(judged.len());
    bins.iter()
        .filter(|bin| bin.count > 0.0)
        .map(|bin| (bin.right - bin.confidence).abs() / total)
        .sum()
}

#[derive(Default, Clone)]
struct Bin {
    count: f64,
    right: f64,
    confidence: f64,
}

fn bins(judged: &[Judged]) -> Vec<Bin> {
    let mut bins = vec![Bin::default(); BINS];
    for one in judged {
        let share = (one.probability * count(BINS)).floor().clamp(0.0, count(BINS) - 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the bins"
        )]
        let Some(bin) = bins.get_mut(share as usize) else { continue };
        bin.count += 1.0;
        bin.confidence += one.probability;
        bin.right += f64::from(u8::from(one.best == one.expected));
    }
    bins
}

fn write_reliability(out: &mut String, judged: &[Judged]) {
    let _ = writeln!(out, "\nconfidence      turns   accuracy");
    for (index, bin) in bins(judged).iter().enumerate() {
        if bin.count > 0.0 {
            let from = count(index) / count(BINS);
            let accuracy = 100.0 * bin.right / bin.count;
            let _ = writeln!(
                out,
                "{from:.1} to {:.1}   {:>8}   {accuracy:>6.1} %",
                from + 1.0 / count(BINS),
                bin.count
            );
        }
    }
}

/// The threshold with which most lines would have been right, in steps of a hundredth.
fn write_threshold(out: &mut String, judged: &[Judged]) {
    let right_at = |threshold: f64| {
        let right = |one: &&Judged| {
            let passes = one.probability >= threshold;
            if passes { one.best == one.expected } else { one.expected.is_none() }
        };
        judged.iter().filter(right).count()
    };
    let steps = (0..100_u32).map(|step| f64::from(step) / 100.0);
    let best = steps
        .map(|threshold| (right_at(threshold), threshold))
        .fold((0, 0.0), |best, next| if next.0 > best.0 { next } else { best });
    let right = judged.iter().filter(|one| one.got == one.expected).count();
    if best.0 > right {
        let accuracy = percent(best.0, judged.len());
        let _ = writeln!(out, "threshold     {:.2} would give {accuracy:.1} %", best.1);
    } else {
        let _ = writeln!(out, "threshold     no other would be right more often");
    }
}

fn write_confusion(out: &mut String, judged: &[Judged]) {
    let mut cells: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for one in judged {
        let expected = one.expected.as_deref().unwrap_or("none");
        let got = one.got.as_deref().unwrap_or("none");
        let cell = cells.entry((expected, got)).or_default();
        *cell = cell.saturating_add(1);
    }
    let width = cells.keys().map(|(expected, _)| expected.len()).max().unwrap_or(0);
    let _ = writeln!(out, "\nconfusion (expected -> got)");
    for ((expected, got), times) in cells {
        let mark = if expected == got { ' ' } else { '!' };
        let _ = writeln!(out, "{mark} {expected:<width$} -> {got}: {times}");
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * count(part) / count(whole) }
}

#[expect(clippy::cast_precision_loss, reason = "a file has far fewer than 2^52 lines")]
fn count(number: usize) -> f64 {
    number as f64
}
