//! The task library: what ships with the program, and files whose top-level key is `tasks`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    catalog::router::Task,
    config::{
        fault::{Place, Report},
        model::Models,
        raw,
        value::Value,
    },
    ids::{ModelId, TaskName},
};

/// The library that ships.
pub(crate) const BUILT_IN: &str = include_str!("../../policies/tasks.yaml");

/// Tasks by name.
pub(crate) struct Library {
    /// The tasks.
    pub(crate) tasks: BTreeMap<TaskName, Arc<Task>>,
    /// Where the operator's own files set them.
    places: BTreeMap<TaskName, String>,
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
            if let Some((task, place)) = self.task(&item, models) {
                self.add(task, &place);
            }
        }
    }

    fn add(&mut self, task: Task, place: &Place<'_>) {
        if let Some(first) = self.places.get(&task.name) {
            place.fault(format!("this task is in the library twice; the other is at {first}"));
            return;
        }
        self.places.insert(task.name.clone(), place.position());
        self.tasks.insert(task.name.clone(), Arc::new(task));
    }

    fn task<'a>(&self, value: &Value<'a>, models: Option<&Models>) -> Option<(Task, Place<'a>)> {
        let mut fields = value.fields()?;
        let name = fields.require("name");
        let description = fields.take("description").and_then(|value| value.prose());
        let examples = fields.take("examples").and_then(|value| examples(&value));
        let quality = fields.take("quality").and_then(|value| quality(&value, models));
        fields.finish();
        let name_value = name?;
        let name = self::name(&name_value)?;
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
        Some((task, name_value.place))
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

/// Scores by model. Without `models` to check against, every name is taken as it is.
fn quality(value: &Value<'_>, models: Option<&Models>) -> Option<BTreeMap<ModelId, f64>> {
    let mut scores = BTreeMap::new();
    for entry in value.entries()? {
        let score = entry.value.number(&(0.0..=1.0));
        if models.is_some_and(|models| !models.check(entry.name, &entry.place)) {
            continue;
        }
        if let (Ok(model), Some(score)) = (ModelId::parse(entry.name), score) {
            scores.insert(model, score);
        }
    }
    Some(scores)
}
