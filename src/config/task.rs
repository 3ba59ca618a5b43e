//! The task library: what ships with the program, and files whose top-level key is `tasks`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::civil::Date;

use crate::{
    catalog::router::{Origin, Score, Task},
    config::{
        fault::{Place, Report},
        model::Models,
        raw,
        value::{Fields, Value},
    },
    ids::{ModelId, TaskName},
};

/// The library that ships.
pub(crate) const BUILT_IN: &str = include_str!("../../policies/tasks.yaml");

/// Tasks by name.
pub(crate) struct Library {
    /// The tasks.
    pub(crate) tasks: BTreeMap<TaskName, Arc<Task>>,
    /// Where the operator's own files say what belongs to them, and how well models do them.
    places: BTreeMap<(TaskName, Aspect), String>,
}

/// What an entry says of a task. Each is said once, so that scores can have a file of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aspect {
    /// What belongs to it.
    Words,
    /// How well models do it.
    Scores,
}

/// An entry of a library file.
struct Entry<'a> {
    task: Task,
    place: Place<'a>,
    aspects: Vec<Aspect>,
}

impl Library {
    /// The tasks that ship. Scores of models that the operator does not have are left out.
    pub(crate) fn built_in() -> Self {
        let mut library = Self { tasks: BTreeMap::new(), places: BTreeMap::new() };
        let report = Report::default();
        if let Some(root) = raw::parse("tasks.yaml", BUILT_IN, &report) {
            library.extend(&Value::root("tasks.yaml", &root, &report), None);
        }
        library.places.clear();
        library
    }

    /// Adds the tasks of a file. What an entry leaves out of a task that is there already stays as it was.
    pub(crate) fn extend(&mut self, root: &Value<'_>, models: Option<&Models>) {
        let Some(mut fields) = root.fields() else { return };
        let items = fields.require("tasks").and_then(|value| value.items());
        fields.finish();
        for item in items.unwrap_or_default() {
            if let Some(entry) = self.entry(&item, models) {
                self.add(entry);
            }
        }
    }

    fn add(&mut self, Entry { task, place, aspects }: Entry<'_>) {
        let known = |aspect: &Aspect| self.places.get(&(task.name.clone(), *aspect));
        if let Some(first) = aspects.iter().find_map(known) {
            place.fault(format!("this task is in the library twice; the other is at {first}"));
            return;
        }
        for aspect in aspects {
            self.places.insert((task.name.clone(), aspect), place.position());
        }
        self.tasks.insert(task.name.clone(), Arc::new(task));
    }

    fn entry<'a>(&self, value: &Value<'a>, models: Option<&Models>) -> Option<Entry<'a>> {
        let mut fields = value.fields()?;
        let name = fields.require("name");
        let description = fields.take("description").and_then(|value| value.prose());
        let examples = fields.take("examples").and_then(|value| examples(&value));
        let quality = quality(&mut fields, models);
        fields.finish();
        let name_value = name?;
        let name = self::name(&name_value)?;
        let mut aspects = Vec::new();
        if description.is_some() || examples.is_some() || quality.is_none() {
            aspects.push(Aspect::Words);
        }
        if quality.is_some() {
            aspects.push(Aspect::Scores);
        }
        let before = self.tasks.get(&name).map(AsRef::as_ref);
        let task = Task {
            description: description
                .map(|text| text.trim().to_owned())
                .or_else(|| before.map(|task| task.description.clone()))
                .unwrap_or_default(),
            examples: examples
                .or_else(|| before.map(|task| task.examples.clone()))
                .unwrap_or_default(),
            quality: quality
                .or_else(|| before.map(|task| task.quality.clone()))
                .unwrap_or_default(),
            name,
        };
        Some(Entry { task, place: name_value.place, aspects })
    }

    /// The scores of the task of this name: a custom task has those that a library file gives under its name.
    pub(crate) fn quality(&self, name: &TaskName) -> BTreeMap<ModelId, Score> {
        self.tasks.get(name).map(|task| task.quality.clone()).unwrap_or_default()
    }

    /// The task of this name; one that is not there is reported.
    pub(crate) fn find(&self, value: &Value<'_>) -> Option<Arc<Task>> {
        let name = value.text()?;
        if let Some(task) = self.tasks.get(name) {
            return Some(Arc::clone(task));
        }
        let suggestion = value.place.suggestion(name, self.tasks.keys().map(TaskName::as_str));
        let shown = crate::config::fault::shown(name);
        value.wrong(format!("there is no task `{shown}` in the library{suggestion}"))
    }
}

/// A task's name, checked.
pub(crate) fn name(value: &Value<'_>) -> Option<TaskName> {
    match TaskName::parse(value.prose()?) {
        Ok(name) => Some(name),
        Err(error) => value.wrong(error.to_string()),
    }
}

/// Utterances: no empty one, none twice.
pub(crate) fn examples(value: &Value<'_>) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut examples = Vec::new();
    for item in value.items()? {
        let Some(text) = item.prose().map(str::trim) else { continue };
        if text.is_empty() {
            item.fault("must not be empty");
        } else if !seen.insert(text) {
            item.fault("this example is here twice");
        }
        examples.push(text.to_owned());
    }
    Some(examples)
}

/// Scores by model, and where they are from. Without `models` to check against, every name is taken as it is.
fn quality(fields: &mut Fields<'_>, models: Option<&Models>) -> Option<BTreeMap<ModelId, Score>> {
    let scores = fields.take("quality");
    let source = fields.take("quality_source");
    let date = fields.take("quality_date");
    let samples = fields.take("quality_samples");
    let Some(scores) = scores else {
        for lonely in [source, date, samples].into_iter().flatten() {
            lonely.fault("says where scores are from, but there is no `quality`");
        }
        return None;
    };
    let scores = by_model(&scores, models, |value| value.number(&(0.0..=1.0)))?;
    let samples = samples
        .and_then(|value| by_model(&value, models, |value| value.integer(&(1..=u32::MAX.into()))))
        .unwrap_or_default();
    let source = source.and_then(|value| value.filled_text()).map(str::to_owned);
    let date = date.and_then(|value| day(&value));
    let origin = (source.is_some() || date.is_some()).then(|| Arc::new(Origin { source, date }));
    let score = |(model, value): (ModelId, f64)| {
        let samples = samples.get(&model).copied();
        (model, Score { value, samples, origin: origin.clone() })
    };
    Some(scores.into_iter().map(score).collect())
}

fn by_model<T>(
    value: &Value<'_>,
    models: Option<&Models>,
    read: impl Fn(&Value<'_>) -> Option<T>,
) -> Option<BTreeMap<ModelId, T>> {
    let mut found = BTreeMap::new();
    for entry in value.entries()? {
        let read = read(&entry.value);
        if models.is_some_and(|models| !models.check(entry.name, &entry.place)) {
            continue;
        }
        if let (Ok(model), Some(read)) = (ModelId::parse(entry.name), read) {
            found.insert(model, read);
        }
    }
    Some(found)
}

fn day(value: &Value<'_>) -> Option<Date> {
    let text = value.text()?;
    match text.parse() {
        Ok(date) if text.len() == "2026-01-31".len() => Some(date),
        Ok(_) | Err(_) => value.wrong("must be a day, as in 2026-01-31"),
    }
}
