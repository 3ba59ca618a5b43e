//! The router API: routers listed, read, made, changed and removed while they serve, in the shape of the hosted product
//! that this is modelled on.
//!
//! A router's id is made of its name, so that it is the same in every process and after every restart; one that is
//! renamed has another id. Names are what callers write, and ids what this API is asked with.

mod document;
mod presets;
mod read;
mod refusal;

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    ids::RouterName,
    server::{
        admin::{Request, answer::Answer, routers::refusal::Refusal},
        reload::Reload,
    },
};

/// Where routers are.
const ROUTERS: &str = "/v2/gen-ai/models/routers";

/// The namespace of routers' ids: the `UUIDv5` of `urn:pointsman:model-routers` in the namespace of URLs.
const NAMESPACE: Uuid = uuid::uuid!("7a7f065a-15c6-565c-8c02-7f2a783896a0");

/// The routers, as the admin listener shows and changes them.
pub struct Routers {
    reload: Arc<Reload>,
}

/// The id of the router of this name.
pub fn id_of(name: &RouterName) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_str().as_bytes())
}

impl Routers {
    /// The routers of what `reload` serves.
    pub fn new(reload: Arc<Reload>) -> Self {
        Self { reload }
    }

    /// Answers a request for one of these paths; `None` where it is for another.
    pub fn serve(&self, request: &Request<'_>) -> Option<Answer> {
        let rest = request.path.strip_prefix(ROUTERS)?;
        let place = match rest {
            "" => Place::All,
            "/presets" => Place::Presets,
            "/tasks/presets" => Place::TaskPresets,
            _ => match rest.strip_prefix('/').filter(|id| !id.is_empty() && !id.contains('/')) {
                Some(id) => Place::One(id),
                None => return None,
            },
        };
        Some(self.answer(place, request).unwrap_or_else(Into::into))
    }

    fn answer(&self, place: Place<'_>, request: &Request<'_>) -> Result<Answer, Refusal> {
        let reload = &self.reload;
        match (place, request.method.as_str()) {
            (Place::All, "GET") => read::list(reload, request),
            (Place::Presets, "GET") => presets::routers(reload, request),
            (Place::TaskPresets, "GET") => presets::tasks(reload, request),
            (Place::One(id), "GET") => read::one(reload, request, parse_id(id)?),
            (Place::All | Place::One(_) | Place::Presets | Place::TaskPresets, _) => {
                Ok(Answer::method("GET, HEAD"))
            }
        }
    }
}

/// What a path names.
enum Place<'a> {
    All,
    One(&'a str),
    Presets,
    TaskPresets,
}

fn parse_id(text: &str) -> Result<Uuid, Refusal> {
    // Only as it is written in our answers; the crate takes other spellings too.
    let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
    Uuid::try_parse(text).ok().filter(|_| hyphenated).ok_or_else(|| {
        Refusal::bad("invalid_uuid", "a router's id is a UUID: the `uuid` of each one in the list")
    })
}
