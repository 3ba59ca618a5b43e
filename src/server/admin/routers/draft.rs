//! Routers that are not saved yet: what is wrong with one, what is probably not meant, and how it would decide.
//!
//! A draft is loaded with the whole configuration as if its file were there. Nothing is written and nothing learned:
//! no pin, no statistic. Drafts take turns, so that one person's typing does not fill the classifier's queue.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    advice,
    catalog::settings::Classifier as Settings,
    config::{
        Loaded,
        fault::Fault,
        form::{Config, Form},
        store::Change,
    },
    dialect::json::{Node, Writer},
    engine::World,
    ids::RouterName,
    server::{
        admin::{
            Request,
            answer::Answer,
            routers::{
                body::{self, Members, invalid},
                parse_id,
                read::find,
                refusal::{Refusal, ShownFault},
            },
        },
        reload::{Rejected, Reload, prepared},
    },
};

#[derive(Serialize)]
struct Judged<'a> {
    file: String,
    yaml: &'a str,
    router: Option<Shown<'a>>,
    faults: Vec<ShownFault<'a>>,
    warnings: Vec<ShownWarning>,
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    description: &'a str,
    config: Config<'a>,
}

#[derive(Serialize)]
struct ShownWarning {
    path: String,
    tasks: Vec<String>,
    message: String,
    line: Option<usize>,
    column: Option<usize>,
}

#[derive(Serialize)]
struct Tried {
    decision: Box<RawValue>,
}

/// A router as it is typed.
struct Draft {
    change: Change,
    text: String,
    name: Option<RouterName>,
}

/// What is to be said of a draft.
pub(super) async fn judge(reload: &Arc<Reload>, request: &Request<'_>) -> Result<Answer, Refusal> {
    let sent = body::parse(&request.body)?;
    let draft = read(reload, body::members(&sent, "the body")?, &[])?;
    let form = Form::of_yaml(&draft.text);
    let (faults, warnings) = match reload.tried(&draft.change, true).await {
        Ok(loaded) => (Vec::new(), draft.warnings(reload, &loaded, form.as_ref()).await),
        Err(Rejected::Faulty(faults) | Rejected::Broken(faults)) => (faults, Vec::new()),
        Err(Rejected::NoRouter) => (vec![draft.no_router()], Vec::new()),
        Err(rejected) => return Err(Refusal::of(rejected, "", false)),
    };
    let router = form.as_ref().map(|form| Shown {
        name: form.text("name").unwrap_or_default(),
        description: form.text("description").unwrap_or_default(),
        config: form.config(),
    });
    let faults = faults.iter().map(Into::into).collect();
    let file = draft.change.file();
    Ok(Answer::json(&Judged { file, yaml: &draft.text, router, faults, warnings }))
}

/// How a draft would decide.
pub(super) async fn rehearse(
    reload: &Arc<Reload>,
    request: &Request<'_>,
) -> Result<Answer, Refusal> {
    let sent = body::parse(&request.body)?;
    let members = body::members(&sent, "the body")?;
    let draft = read(reload, members, &["messages", "text"])?;
    let question = question(members, &request.body)?;
    let refused = |rejected| Refusal::of(rejected, &draft.change.file(), false);
    let loaded = reload.tried(&draft.change, true).await.map_err(refused)?;
    let name = draft.name.as_ref().map(RouterName::as_str).unwrap_or_default();
    let running = reload.engine.world();
    let mut catalog = loaded.catalog;
    let classifier = prepared(&catalog, Some(&running))
        .await
        .map_err(|fault| refused(Rejected::Unprepared(fault)))?;
    catalog.generation = running.catalog.generation;
    let mut asked = Writer::default();
    asked.begin_object();
    asked.string_member("model", &format!("router:{name}"));
    asked.raw_member("messages", &question);
    asked.end_object();
    let world = Arc::new(World { catalog, classifier });
    let (status, answer) = reload.engine.rehearse(world, asked.finish()).await;
    let decision =
        String::from_utf8(answer.to_vec()).ok().and_then(|t| RawValue::from_string(t).ok());
    match decision {
        Some(decision) if status == StatusCode::OK => Ok(Answer::json(&Tried { decision })),
        Some(error) => Err(invalid(message_in(error.get()))),
        None => Err(Refusal::of(Rejected::Lost, "", false)),
    }
}

/// The draft that a body holds, which may have `more` members besides.
fn read(reload: &Reload, members: Members<'_, '_>, more: &[&str]) -> Result<Draft, Refusal> {
    let known = |key: &str| matches!(key, "yaml" | "router" | "uuid") || more.contains(&key);
    if let Some((key, _)) = members.iter().find(|(key, _)| !known(key)) {
        return Err(invalid(format!("`{key}` is not known here")));
    }
    let text = match (member(members, "yaml"), member(members, "router")) {
        (Some(yaml), None) => {
            yaml.as_str().ok_or_else(|| invalid("`yaml` must be a text"))?.to_owned()
        }
        (None, Some(router)) => body::text(router, Form::default())?,
        (Some(_), Some(_)) => return Err(invalid("the draft is `yaml` or `router`, not both")),
        (None, None) => return Err(invalid("`yaml` or `router` is missing: the draft")),
    };
    let name = body::name_in(&text);
    let origins = reload.origins();
    let place = match member(members, "uuid") {
        Some(id) if id.is_null() => None,
        Some(id) => {
            let id = parse_id(id.as_str().unwrap_or_default())?;
            Some(find(&origins, id)?.path.clone())
        }
        None => {
            let known = name.as_ref().and_then(|name| origins.named(name));
            known.map(|source| source.path.clone())
        }
    };
    let fresh = || {
        let patterns = &origins.patterns;
        name.as_ref().and_then(|name| reload.store.place_for(name, patterns))
    };
    let path = place.or_else(fresh).unwrap_or_else(|| reload.store.draft_path());
    Ok(Draft { change: Change { path, text: Some(text.clone()) }, text, name })
}

fn member<'a, 'b>(members: Members<'a, 'b>, key: &str) -> Option<&'b Node<'a>> {
    members.iter().find(|(known, _)| known == key).map(|(_, value)| value)
}

/// The messages of a body, as JSON.
fn question(members: Members<'_, '_>, source: &[u8]) -> Result<String, Refusal> {
    match (member(members, "messages"), member(members, "text")) {
        (Some(messages), None) => {
            let raw = messages.raw(source).to_vec();
            String::from_utf8(raw).map_err(|_| invalid("`messages` must be a list of messages"))
        }
        (None, Some(text)) => {
            let text = text.as_str().ok_or_else(|| invalid("`text` must be a text"))?;
            let mut messages = Writer::default();
            messages.begin_array();
            messages.begin_object();
            messages.string_member("role", "user");
            messages.string_member("content", text);
            messages.end_object();
            messages.end_array();
            Ok(messages.finish())
        }
        (Some(_), Some(_)) => Err(invalid("the question is `messages` or `text`, not both")),
        (None, None) => Err(invalid("`messages` or `text` is missing: what to decide on")),
    }
}

/// What an error document says.
fn message_in(error: &str) -> String {
    let parsed = crate::dialect::json::parse_text(error).ok();
    let message =
        parsed.as_ref().and_then(|node| node.member("error")?.member("message")?.as_str());
    message.unwrap_or("the question cannot be read").to_owned()
}

impl Draft {
    fn no_router(&self) -> Fault {
        let message = Rejected::NoRouter.to_string();
        Fault { file: self.change.file(), line: 1, column: 1, path: String::new(), message }
    }

    /// What is allowed in the draft but probably not meant.
    async fn warnings(
        &self,
        reload: &Arc<Reload>,
        loaded: &Loaded,
        form: Option<&Form>,
    ) -> Vec<ShownWarning> {
        let router = self.name.as_ref().and_then(|name| loaded.catalog.router(name.as_str()));
        let Some(router) = router else { return Vec::new() };
        let running = reload.engine.world();
        // A generative router costs its operator something for each question: it is not asked unbidden.
        let asked = matches!(loaded.catalog.settings.classifier, Some(Settings::Onnx(_)));
        let classifier = if asked {
            prepared(&loaded.catalog, Some(&running)).await.ok().flatten()
        } else {
            None
        };
        let warnings = advice::on(router, classifier.as_deref()).await;
        let shown = |warning: advice::Warning| {
            let spot = form.and_then(|form| form.policy_spot(warning.policy));
            ShownWarning {
                path: warning.path,
                tasks: warning.tasks.iter().map(ToString::to_string).collect(),
                message: warning.message,
                line: spot.map(|(line, _)| line),
                column: spot.map(|(_, column)| column),
            }
        };
        warnings.into_iter().map(shown).collect()
    }
}
