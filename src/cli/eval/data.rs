//! The data file: one labelled conversation a line, checked before anything is classified.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;

use crate::{
    catalog::{
        router::{Policy, Prefer, Router, Task},
        settings::Failover,
    },
    conversation::Conversation,
    evaluation::Label,
    ids::{RouterName, TaskName},
};

/// The longest line of a data file, in bytes.
const MAX_LINE: usize = 32 << 20;

/// All lines, read and checked.
pub(super) struct Data {
    /// The turns, in the order of their lines; at least one.
    pub(super) turns: Vec<Turn>,
}

/// One labelled turn.
pub(super) struct Turn {
    /// Its line, from 1.
    pub(super) line: usize,
    /// What it is counted with, besides all others.
    pub(super) family: Option<String>,
    /// What is read of it.
    pub(super) conversation: Conversation,
    /// Its label.
    pub(super) expected: Label,
    /// Whose tasks the label is one of.
    pub(super) router: Arc<Router>,
}

/// One line of a data file.
#[derive(Deserialize)]
struct Line {
    family: Option<String>,
    text: Option<String>,
    messages: Option<Vec<Said>>,
    conversation: Option<Vec<Said>>,
    #[serde(default, deserialize_with = "label")]
    task: Option<Written>,
    #[serde(default, deserialize_with = "label")]
    label: Option<Written>,
    router: Option<Inline>,
}

/// What a line says is right: a task, or none of them.
#[derive(Clone, Deserialize)]
#[serde(from = "Option<String>")]
struct Written(Option<String>);

impl From<Option<String>> for Written {
    fn from(name: Option<String>) -> Self {
        Self(name.filter(|name| name != "none"))
    }
}

/// A field that is there, be it null.
fn label<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Written>, D::Error> {
    Written::deserialize(deserializer).map(Some)
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

#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct InlineTask {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    examples: Vec<String>,
}

/// The names of a router's tasks, in its order.
pub(super) fn names(router: &Router) -> impl Iterator<Item = TaskName> {
    router.policies.iter().map(|policy| policy.task.name.clone())
}

impl Data {
    /// Reads the file at `path`. Labels are tasks of `router`; without it each line has its own.
    pub(super) fn read(path: &Path, router: Option<&Arc<Router>>) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut inline = BTreeMap::new();
        let mut turns = Vec::new();
        for (index, line) in BufReader::new(file).lines().enumerate() {
            let number = index.saturating_add(1);
            let place = || format!("{}:{number}", path.display());
            let line = line.with_context(place)?;
            if line.trim().is_empty() {
                continue;
            }
            let mut line = parse(&line).with_context(place)?;
            let router = match router {
                Some(router) => Arc::clone(router),
                None => inline_router(&mut line, &mut inline).with_context(place)?,
            };
            turns.push(turn(number, line, router).with_context(place)?);
        }
        if turns.is_empty() {
            return Err(anyhow!("{} holds no line", path.display()));
        }
        Ok(Self { turns })
    }
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

fn turn(number: usize, line: Line, router: Arc<Router>) -> anyhow::Result<Turn> {
    let label = line.task.or(line.label).and_then(|label| label.0);
    let expected = match label {
        None => None,
        Some(label) => {
            Some(names(&router).find(|name| name.as_str() == label).ok_or_else(|| {
                let known: Vec<TaskName> = names(&router).collect();
                let known: Vec<&str> = known.iter().map(TaskName::as_str).collect();
                anyhow!("unknown label {label:?}; the router has {}, and `none`", known.join(", "))
            })?)
        }
    };
    let conversation = if let Some(text) = line.text {
        Conversation::from_text(&text)
    } else {
        let said = line.messages.or(line.conversation).unwrap_or_default();
        let turns = said.iter().map(|said| (said.role.as_str(), texts(&said.content)));
        Conversation::from_turns(turns)
    };
    let expected = Label(expected);
    Ok(Turn { line: number, family: line.family, conversation, expected, router })
}

/// The router that a line carries; equal ones are built once, so that their tasks are embedded once.
fn inline_router(
    line: &mut Line,
    known: &mut BTreeMap<Vec<InlineTask>, Arc<Router>>,
) -> anyhow::Result<Arc<Router>> {
    let Some(Inline { tasks }) = line.router.take() else {
        bail!("`router: {{tasks: […]}}` is missing; with --router NAME lines need none");
    };
    if let Some(router) = known.get(&tasks) {
        return Ok(Arc::clone(router));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = tasks.iter().find(|task| !names.insert(&task.name)) {
        bail!("the task {:?} is in the router twice", twice.name);
    }
    let policies = tasks.iter().map(policy).collect::<anyhow::Result<_>>()?;
    let router = Arc::new(Router {
        name: RouterName::parse("eval")?,
        description: String::new(),
        policies,
        fallbacks: Vec::new(),
        threshold: None,
        failover: Failover::default(),
        switch_budget: None,
    });
    known.insert(tasks, Arc::clone(&router));
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

/// The texts of a message's content: a string, or its parts.
fn texts(content: &serde_json::Value) -> Vec<String> {
    match content {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(parts) => {
            parts.iter().filter_map(|part| Some(part.get("text")?.as_str()?.to_owned())).collect()
        }
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Object(_) => Vec::new(),
    }
}
