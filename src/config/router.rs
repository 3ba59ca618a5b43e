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
        advised::TaskPlaces,
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

/// Reads all router files, and where their tasks are written. `complete` says whether every file could be read, so that their names are all known.
pub(crate) fn read(
    roots: &[Value<'_>],
    complete: bool,
    world: &World<'_>,
) -> (Routers, TaskPlaces) {
    let mut written = BTreeSet::new();
    let mut built = BTreeMap::new();
    let mut places: BTreeMap<RouterName, Place<'_>> = BTreeMap::new();
    let mut tasks = TaskPlaces::default();
    let mut named = complete;
    for root in roots {
        let Some(Written { place, router, task_places }) = router(root, world) else {
            named = false;
            continue;
        };
        let name = router.name.clone();
        if let Some(first) = places.get(&name) {
            place.fault(format!("another router has this name: {}", first.position()));
            continue;
        }
        written.insert(name.as_str().to_owned());
        places.insert(name.clone(), place);
        tasks.insert(&name, &task_places);
        built.insert(name, Arc::new(router));
    }
    let mut routers = Known::new("router", named.then_some(written));
    routers.built = built;
    (routers, tasks)
}

/// A router, where its name is written, and where its tasks are.
struct Written<'a> {
    place: Place<'a>,
    router: Router,
    task_places: Vec<Place<'a>>,
}

fn router<'a>(root: &Value<'a>, world: &World<'_>) -> Option<Written<'a>> {
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
    let (policies, task_places) = policies.unwrap_or_default();
    let router = Router {
        name,
        description: description.unwrap_or_default().to_owned(),
        policies,
        fallbacks,
        threshold,
        failover,
        switch_budget,
    };
    Some(Written { place: name_value.place, router, task_places })
}

fn policies<'a>(value: &Value<'a>, world: &World<'_>) -> (Vec<Policy>, Vec<Place<'a>>) {
    let (mut policies, mut written) = (Vec::new(), Vec::new());
    let mut places: BTreeMap<_, Place<'_>> = BTreeMap::new();
    for item in value.filled_items().unwrap_or_default() {
        let Some((policy, place)) = policy(&item, world) else { continue };
        if let Some(first) = places.get(&policy.task.name) {
            place.fault(format!(
                "this task is in the router twice; the first is at {}",
                first.position()
            ));
        }
        places.entry(policy.task.name.clone()).or_insert_with(|| place.clone());
        written.push(place);
        policies.push(policy);
    }
    (policies, written)
}

fn policy<'a>(value: &Value<'a>, world: &World<'_>) -> Option<(Policy, Place<'a>)> {
    let mut fields = value.fields()?;
    let task = task(&mut fields, world.library);
    let models = fields.require("models").and_then(|value| models(&value, world.models));
    let prefer = fields.take("selection_policy").and_then(|value| prefer(&value));
    fields.finish();
    let (task, place) = task?;
    let models = models.unwrap_or_default();
    let prefer = prefer.unwrap_or_default();
    let scored = |model: &Arc<Model>| task.quality.contains_key(&model.id);
    if prefer == Prefer::Optimal && models.len() > 1 && !models.iter().any(scored) {
        place.warning(format!(
            "`optimal` has no quality score for {}: its models are ordered by expected cost",
            task.name
        ));
    }
    Some((Policy { task, models, prefer }, place))
}

fn task<'a>(fields: &mut Fields<'a>, library: &Library) -> Option<(Arc<Task>, Place<'a>)> {
    match (fields.take("task_slug"), fields.take("custom_task")) {
        (Some(slug), None) => library.find(&slug).map(|task| (task, slug.place)),
        (None, Some(custom)) => custom_task(&custom, library),
        (Some(_), Some(custom)) => {
            custom.wrong("a policy has one task: leave out `task_slug` or `custom_task`")
        }
        (None, None) => {
            fields.place.fault("`task_slug` or `custom_task` is missing");
            None
        }
    }
}

fn custom_task<'a>(value: &Value<'a>, library: &Library) -> Option<(Arc<Task>, Place<'a>)> {
    let mut fields = value.fields()?;
    let name = fields.require("name");
    let description = fields.take("description").and_then(|value| value.prose()).map(str::trim);
    let examples = fields.take("examples").and_then(|value| task::examples(&value));
    fields.finish();
    let name_value = name?;
    let name = task::name(&name_value)?;
    let description = description.unwrap_or_default().to_owned();
    let examples = examples.unwrap_or_default();
    let quality = library.quality(&name);
    let task = Task { name, description, examples, quality };
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
