//! Routers made, changed and removed.
//!
//! One change at a time: what it starts from is read when its turn has come, so that two changes never mix. A router is
//! served as it was answered: nothing is said before it serves.

use std::sync::Arc;

use http::header::{HeaderMap, IF_MATCH};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    config::{RouterSource, form::Form, store::Change},
    ids::RouterName,
    server::{
        admin::{
            Request,
            answer::Answer,
            routers::{
                body,
                document::tag,
                read::{self, find},
                refusal::Refusal,
            },
        },
        reload::{Origins, Rejected, Reload, Turn},
    },
};

#[derive(Serialize)]
struct Removed {
    uuid: String,
}

/// Makes a router.
pub(super) async fn create(reload: &Arc<Reload>, request: &Request<'_>) -> Result<Answer, Refusal> {
    let text = body::text(&body::parse(&request.body)?, Form::default())?;
    let turn = reload.turn().await;
    let Some(name) = body::name_in(&text) else {
        return Err(nameless(reload, text).await);
    };
    check_free(&turn.origins(), &name)?;
    let path = turn.store().place_for(&name, &turn.origins().patterns).ok_or_else(|| {
        let message = "`routers` of the main file names single files only; add a pattern, such as \
                       policies/*.yaml, so that a new file is found";
        Refusal::conflict("no_folder", message)
    })?;
    let change = Change { path, text: Some(text) };
    put(reload, turn, change, None, false).await.map_err(Refusal::of_new)
}

/// Changes a router.
pub(super) async fn update(
    reload: &Arc<Reload>,
    request: &Request<'_>,
    id: Uuid,
) -> Result<Answer, Refusal> {
    let sent = body::parse(&request.body)?;
    let turn = reload.turn().await;
    let origins = turn.origins();
    let source = find(&origins, id)?;
    let seen = seen(&turn, source, request.headers)?;
    let now = held(seen.as_deref(), source);
    let base = Form::of_yaml(&now).or_else(|| Form::of_yaml(&source.text));
    let text = body::text(&sent, base.unwrap_or_default())?;
    if text == now && now == *source.text {
        return Ok(read::shown(reload, source));
    }
    let name = body::name_in(&text);
    let renamed = name.as_ref().is_some_and(|name| *name != source.name);
    if let Some(name) = name.filter(|_| renamed) {
        check_free(&origins, &name)?;
    }
    let change = Change { path: source.path.clone(), text: Some(text) };
    put(reload, turn, change, seen, renamed).await
}

/// Removes a router.
pub(super) async fn remove(
    reload: &Arc<Reload>,
    request: &Request<'_>,
    id: Uuid,
) -> Result<Answer, Refusal> {
    let turn = reload.turn().await;
    let origins = turn.origins();
    let source = find(&origins, id)?;
    let seen = seen(&turn, source, request.headers)?;
    let change = Change { path: source.path.clone(), text: None };
    let file = change.file();
    turn.apply(change, seen).await.map_err(|rejected| Refusal::of(rejected, &file, true))?;
    Ok(Answer::json(&Removed { uuid: id.to_string() }))
}

async fn put(
    reload: &Arc<Reload>,
    turn: Turn,
    change: Change,
    seen: Option<Vec<u8>>,
    renamed: bool,
) -> Result<Answer, Refusal> {
    let (file, path) = (change.file(), change.path.clone());
    turn.apply(change, seen).await.map_err(|rejected| Refusal::of(rejected, &file, renamed))?;
    let origins = reload.origins();
    origins.at(&path).map(|source| read::shown(reload, source)).ok_or_else(Refusal::unknown)
}

/// The mistakes of a text that has no name to call it by.
async fn nameless(reload: &Arc<Reload>, text: String) -> Refusal {
    let change = Change { path: reload.store.draft_path(), text: Some(text) };
    let file = change.file();
    let rejected = reload.tried(&change, true).await.err().unwrap_or(Rejected::NoRouter);
    Refusal::of(rejected, &file, false)
}

fn check_free(origins: &Origins, name: &RouterName) -> Result<(), Refusal> {
    if origins.named(name).is_some() {
        let message = format!("there is a router named `{name}` already");
        return Err(Refusal::conflict("name_taken", message));
    }
    Ok(())
}

/// What the router's file holds now, if that is what the caller means; `None` where it cannot be read.
fn seen(
    turn: &Turn,
    source: &RouterSource,
    headers: &HeaderMap,
) -> Result<Option<Vec<u8>>, Refusal> {
    let bytes = turn.store().content(&source.path);
    let mut wanted = headers.get_all(IF_MATCH).iter().peekable();
    if wanted.peek().is_some() {
        let is_meant = |bytes: &Vec<u8>| {
            let own = tag(bytes);
            let tags = wanted.filter_map(|value| value.to_str().ok());
            tags.flat_map(|tags| tags.split(','))
                .any(|tag| matches!(tag.trim(), "*") || tag.trim() == own)
        };
        if !bytes.as_ref().is_some_and(is_meant) {
            return Err(Refusal::stale());
        }
    }
    Ok(bytes)
}

/// The text to start from. A file that is gone or is no text is replaced whole, from what serves.
fn held(seen: Option<&[u8]>, source: &RouterSource) -> String {
    let text = seen.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.unwrap_or(&source.text).to_owned()
}
