//! Routers and tasks to start from.
//!
//! A preset's models are those of the catalog that serves: where it has none of those that the file names, others take
//! their place by price, so that what is shown here can be sent back as it is.

use serde::Serialize;

use crate::{
    catalog::{Catalog, router::Task},
    config::{
        form::{Config, Form, Member},
        preset::{self, ROUTER_CARDS, RouterCard, TASK_CARDS},
    },
    ids::ModelId,
    server::{
        admin::{
            Request,
            answer::Answer,
            routers::{
                document::{Links, Meta, Page},
                refusal::Refusal,
            },
        },
        reload::Reload,
    },
};

/// The category of tasks that only the operator's library has.
const OWN: &str = "Your library";

/// How many presets there are on a page, unless the caller says: the whole library that ships.
const PER_PAGE: usize = 100;

/// The most models that are put in the place of others.
const MOST: usize = 2;

#[derive(Serialize)]
struct Routers<'a> {
    presets: Vec<RouterPreset<'a>>,
    links: Links,
    meta: Meta,
}

#[derive(Serialize)]
struct RouterPreset<'a> {
    slug: &'static str,
    display_name: &'static str,
    short_description: &'a str,
    long_description: &'static str,
    config: Config<'a>,
}

#[derive(Serialize)]
struct List<'a> {
    tasks: Vec<TaskPreset<'a>>,
    links: Links,
    meta: Meta,
}

#[derive(Serialize)]
struct TaskPreset<'a> {
    task_slug: &'a str,
    name: String,
    category: &'static str,
    description: &'a str,
    tags: &'static [&'static str],
    examples: &'a [String],
    models: Models<'a>,
    selection_policy: Policy<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Models<'a> {
    Preset(Member<'a>),
    Chosen(Vec<String>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Policy<'a> {
    Preset(Member<'a>),
    Plain { prefer: &'static str },
}

/// The routers that ship.
pub(super) fn routers(reload: &Reload, request: &Request<'_>) -> Result<Answer, Refusal> {
    let page = Page::of(request, PER_PAGE)?;
    let shipped = shipped(&reload.engine.world().catalog);
    let (links, meta) = page.around(shipped.len(), request.path);
    let presets = page.cut(shipped.iter()).into_iter().map(|(card, form)| RouterPreset {
        slug: card.slug,
        display_name: card.title,
        short_description: form.text("description").unwrap_or_default(),
        long_description: card.long,
        config: form.config(),
    });
    Ok(Answer::json(&Routers { presets: presets.collect(), links, meta }))
}

/// The tasks of the library.
pub(super) fn tasks(reload: &Reload, request: &Request<'_>) -> Result<Answer, Refusal> {
    let page = Page::of(request, PER_PAGE)?;
    let world = reload.engine.world();
    let shipped = shipped(&world.catalog);
    // As the cards are ordered, the operator's own after them.
    let place = |task: &Task| {
        let known = TASK_CARDS.iter().position(|card| card.slug == task.name.as_str());
        known.unwrap_or(TASK_CARDS.len())
    };
    let mut library: Vec<&Task> = world.catalog.tasks.values().map(AsRef::as_ref).collect();
    library.sort_by_key(|task| place(task));
    let (links, meta) = page.around(library.len(), request.path);
    let tasks = page.cut(library.into_iter()).into_iter();
    let tasks = tasks.map(|task| task_preset(task, &shipped, &world.catalog));
    Ok(Answer::json(&List { tasks: tasks.collect(), links, meta }))
}

type Shipped = (&'static RouterCard, Form);

/// The routers that ship, with models of `catalog`, in the order of their cards.
fn shipped(catalog: &Catalog) -> Vec<Shipped> {
    let forms = preset::ROUTERS.iter().filter_map(|(_, text)| Form::of_yaml(text));
    let mut shipped: Vec<Shipped> = forms
        .filter_map(|mut form| {
            let name = form.text("name").unwrap_or_default();
            let card = ROUTER_CARDS.iter().find(|card| card.slug == name)?;
            form.choose_models(|named| chosen(named, catalog));
            Some((card, form))
        })
        .collect();
    let place = |slug: &str| ROUTER_CARDS.iter().position(|card| card.slug == slug);
    shipped.sort_by_key(|(card, _)| place(card.slug));
    shipped
}

/// Those of `named` that `catalog` has, else its cheapest.
fn chosen(named: &[&str], catalog: &Catalog) -> Vec<String> {
    let known: Vec<String> = named
        .iter()
        .filter(|name| catalog.model(name).is_some())
        .map(|name| (*name).to_owned())
        .collect();
    if !known.is_empty() {
        return known;
    }
    let mut priced: Vec<(Option<f64>, &ModelId)> = catalog
        .models
        .values()
        .map(|model| (model.pricing.base.output.map(crate::money::PerMillion::dollars), &model.id))
        .collect();
    // A price that is not known comes last.
    priced.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    priced.into_iter().take(MOST).map(|(_, id)| id.to_string()).collect()
}

fn task_preset<'a>(task: &'a Task, shipped: &'a [Shipped], catalog: &Catalog) -> TaskPreset<'a> {
    let slug = task.name.as_str();
    let card = TASK_CARDS.iter().find(|card| card.slug == slug);
    let found = shipped.iter().find_map(|(card, form)| Some((card, form, form.policy_for(slug)?)));
    let member = |key| found.and_then(|(_, form, index)| form.policy(index, key));
    TaskPreset {
        task_slug: slug,
        name: card.map_or_else(|| slug.to_owned(), |card| card.title.to_owned()),
        category: found.map_or(OWN, |(card, ..)| card.title),
        description: &task.description,
        tags: card.map_or(&[], |card| card.tags),
        examples: &task.examples,
        models: member("models")
            .map_or_else(|| Models::Chosen(chosen(&[], catalog)), Models::Preset),
        selection_policy: member("selection_policy")
            .map_or(Policy::Plain { prefer: "none" }, Policy::Preset),
    }
}
