//! Routers listed and read.

use std::sync::Arc;

use http::header::ETAG;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    config::{RouterSource, form::Form},
    server::{
        admin::{
            Request,
            answer::Answer,
            routers::{
                ROUTERS,
                document::{Links, Meta, ModelRouter, Page, tag_value},
                id_of,
                refusal::Refusal,
            },
        },
        reload::{Origins, Reload},
    },
};

/// How many routers there are on a page, unless the caller says.
const PER_PAGE: usize = 20;

#[derive(Serialize)]
struct List<'a> {
    model_routers: Vec<ModelRouter<'a>>,
    links: Links,
    meta: Meta,
}

#[derive(Serialize)]
struct One<'a> {
    model_router: ModelRouter<'a>,
}

#[derive(Serialize)]
struct Text<'a> {
    yaml: &'a str,
}

/// The routers that serve, by name.
pub(super) fn list(reload: &Reload, request: &Request<'_>) -> Result<Answer, Refusal> {
    let page = Page::of(request, PER_PAGE)?;
    let origins = reload.origins();
    let sources = page.cut(origins.routers.iter());
    let forms: Vec<Form> =
        sources.iter().map(|source| Form::of_yaml(&source.text).unwrap_or_default()).collect();
    let model_routers = sources.into_iter().zip(&forms).map(|(source, form)| {
        let times = reload.store.times(&source.path);
        ModelRouter::new(source, form, times)
    });
    let (links, meta) = page.around(origins.routers.len(), ROUTERS);
    Ok(Answer::json(&List { model_routers: model_routers.collect(), links, meta }))
}

/// One router, or the text of its file.
///
/// It is what the file holds at this moment, so that whoever changes it then changes what is there. Where that is no
/// router of this name, because somebody is at work on it, it is what serves.
pub(super) fn one(reload: &Reload, request: &Request<'_>, id: Uuid) -> Result<Answer, Refusal> {
    let origins = reload.origins();
    let source = find(&origins, id)?;
    let now = reload.store.content(&source.path).and_then(|bytes| String::from_utf8(bytes).ok());
    match request.parameter("format").as_deref() {
        None | Some("json") => Ok(shown(reload, &at_work(source, now))),
        Some("yaml") => {
            let yaml = now.as_deref().unwrap_or(&source.text);
            Ok(Answer::json(&Text { yaml }).with(ETAG, tag_value(yaml.as_bytes())))
        }
        Some(_) => Err(Refusal::bad("invalid_parameter", "`format` must be json or yaml")),
    }
}

/// The router of `source` as a document.
pub(super) fn shown(reload: &Reload, source: &RouterSource) -> Answer {
    let form = Form::of_yaml(&source.text).unwrap_or_default();
    let times = reload.store.times(&source.path);
    let model_router = ModelRouter::new(source, &form, times);
    Answer::json(&One { model_router }).with(ETAG, tag_value(source.text.as_bytes()))
}

/// The router with this id.
pub(super) fn find(origins: &Origins, id: Uuid) -> Result<&RouterSource, Refusal> {
    origins.routers.iter().find(|source| id_of(&source.name) == id).ok_or_else(Refusal::unknown)
}

/// `source` with the text that its file holds `now`, where that is the same router.
fn at_work(source: &RouterSource, now: Option<String>) -> RouterSource {
    let is_same = |text: &String| {
        Form::of_yaml(text).is_some_and(|form| form.text("name") == Some(source.name.as_str()))
    };
    let text = now.filter(is_same).map_or_else(|| Arc::clone(&source.text), Into::into);
    RouterSource { text, ..source.clone() }
}
