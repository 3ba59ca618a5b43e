//! Router files: an operator's tasks, the models for each, and what to do when none fits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    catalog::{
        model::Model,
        router::{Policy, Prefer, Router, Task},
        settings::Failover,
    },
    config::{
        fault::Place,
        key::Routers,
        known::Known,
        model::Models,
        settings,
        task::{self, Library},
        value::{Fields, Value},
    },
    ids::RouterName,
};

/// What routers refer to.
pub(crate) struct World<'a> {
    /// The models.
    pub(crate) models: &'a Models,
    /// The task library.
    pub(crate) library: &'a Library,
    /// The file's failover settings.
    pub(crate) failover: Failover,
}

/// Reads all router files. `complete` says whether every file could be read, so that their names are all known.
pub(crate) fn read(roots: &[Value<'_>], complete: bool, world: &World<'_>) -> Routers {
    let mut written = BTreeSet::new();
    let mut built = BTreeMap::new();
    let mut places: BTreeMap<RouterName, Place<'_>> = BTreeMap::new();
    let mut named = complete;
    for root in roots {
        let Some((name, place, router)) = router(root, world) else {
            named = false;
            continue;
        };
        if let Some(first) = places.get(&name) {
            place.fault(format!("another router has this name: {}", first.position()));
            continue;
        }
        written.insert(name.as_str().to_owned());
        places.insert(name.clone(), place);
        built.insert(name, Arc::new(router));
    }
    let mut routers = Known::new("router", named.then_some(written));
    routers.built = built;
    routers
}

fn router<'a>(root: &Value<'a>, world: &World<'_>) -> Option<(RouterName, Place<'a>, Router)> {
    let mut fields = root.fields()?;
    let name = fields.require("name");
    let description = fields.take("description").and_then(|value| value.prose());
    let policies = fields.require("policies").map(|value| policies(&value, world));
    let fallbacks = fields.require("fallback_models").and_then(|value| value.filled_items());
    let threshold = fields.take("threshold").and_then(|value| value.number(&(0.0..=1.0)));
    let failover = fields
        .take("failover")
        .map_or(world.failover, |value| settings::failover(&value, world.failover));
    let switch_budget =
        fields.take("switch_budget").and_then(|value| value.number(&(0.0..=1_000_000.0)));
    fields.finish();
    let fallbacks = world.models.find_all(&fallbacks.unwrap_or_default());
    let name_value = name?;
    let name = match RouterName::parse(name_value.text()?) {
        Ok(name) => name,
        Err(error) => return name_value.wrong(error.to_string()),
    };
    let router = Router {
        name: name.clone(),
        description: description.unwrap_or_default().to_owned(),
        policies: policies.unwrap_or_default(),
        fallbacks,
        threshold,
        failover,
        switch_budget,
    };
    Some((name, name_value.place, router))
}

fn policies(value: &Value<'_>, world: &World<'_>) -> Vec<Policy> {
    let mut policies = Vec::new();
    let mut places: BTreeMap<_, Place<'_>> = BTreeMap::new();
    for item in value.filled_items().unwrap_or_default() {
        let Some((policy, place)) = policy(&item, world) else { continue };
        if let Some(first) = places.get(&policy.task.name) {
            place.fault(format!(
                "this task is in the router twice; the first is at {}",
                first.position()
            ));
        }
        places.entry(policy.task.name.clone()).or_insert(place);
        policies.push(policy);
    }
    policies
}

fn policy<'a>(value: &Value<'a>, world: &World<'_>) -> Option<(Policy, Place<'a>)> {
    let mut fields = value.fields()?;
    let task = task(&mut fields, world.library);
    let models = fields.require("models").and_then(|value| models(&value, world.models));
    let prefer = fields.take("selection_policy").and_then(|value| prefer(&value));
    fields.finish();
    let (task, place) = task?;
    let policy =
        Policy { task, models: models.unwrap_or_default(), prefer: prefer.unwrap_or_default() };
    Some((policy, place))
}

fn task<'a>(fields: &mut Fields<'a>, library: &Library) -> Option<(Arc<Task>, Place<'a>)> {
    match (fields.take("task_slug"), fields.take("custom_task")) {
        (Some(slug), None) => library.find(&slug).map(|task| (task, slug.place)),
        (None, Some(custom)) => custom_task(&custom),
        (Some(_), Some(custom)) => {
            custom.wrong("a policy has one task: leave out `task_slug` or `custom_task`")
        }
        (None, None) => {
            fields.place.fault("`task_slug` or `custom_task` is missing");
            None
        }
    }
}

fn custom_task<'a>(value: &Value<'a>) -> Option<(Arc<Task>, Place<'a>)> {
    let mut fields = value.fields()?;
    let name = fields.require("name");
    let description = fields.take("description").and_then(|value| value.prose()).map(str::trim);
    let examples = fields.take("examples").and_then(|value| task::examples(&value));
    fields.finish();
    let name_value = name?;
    let name = task::name(&name_value)?;
    let description = description.unwrap_or_default().to_owned();
    if description.is_empty() {
        name_value
            .place
            .warning("this task has no description; one makes it far easier to tell from others");
    }
    let examples = examples.unwrap_or_default();
    let task = Task { name, description, examples, quality: BTreeMap::new() };
    Some((Arc::new(task), name_value.place))
}

fn models(value: &Value<'_>, known: &Models) -> Option<Vec<Arc<Model>>> {
    let items = value.items()?;
    if !(1..=3).contains(&items.len()) {
        value.fault("must name 1 to 3 models");
    }
    Some(known.find_all(&items))
}

fn prefer(value: &Value<'_>) -> Option<Prefer> {
    const CHOICES: [(&str, Prefer); 4] = [
        ("none", Prefer::Given),
        ("cheapest", Prefer::Cheapest),
        ("fastest", Prefer::Fastest),
        ("optimal", Prefer::Optimal),
    ];
    let mut fields = value.fields()?;
    let prefer = fields.require("prefer").and_then(|value| value.choice(&CHOICES));
    fields.finish();
    prefer
}
