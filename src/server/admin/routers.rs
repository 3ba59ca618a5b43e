//! The router API: routers listed, read, made, changed and removed while they serve, in the shape of the hosted product
//! that this is modelled on.
//!
//! A router's id is made of its name, so that it is the same in every process and after every restart; one that is
//! renamed has another id. Names are what callers write, and ids what this API is asked with.

mod body;
mod document;
mod draft;
mod presets;
mod read;
mod refusal;
mod write;

use std::sync::Arc;

use tokio::sync::Mutex;
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

/// Where drafts are judged.
const DRAFT: &str = "/api/routers/draft";

/// Where drafts are tried.
const TRY: &str = "/api/routers/try";

/// The namespace of routers' ids: the `UUIDv5` of `urn:pointsman:model-routers` in the namespace of URLs.
const NAMESPACE: Uuid = uuid::uuid!("7a7f065a-15c6-565c-8c02-7f2a783896a0");

/// The routers, as the admin listener shows and changes them.
pub struct Routers {
    reload: Arc<Reload>,
    /// Held while a draft is judged or tried.
    drafting: Mutex<()>,
}

/// The id of the router of this name.
pub fn id_of(name: &RouterName) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_str().as_bytes())
}

impl Routers {
    /// The routers of what `reload` serves.
    pub fn new(reload: Arc<Reload>) -> Self {
        Self { reload, drafting: Mutex::default() }
    }

    /// Whether what is asked at `path` changes nothing, so that nobody need finish it for a caller who has hung up.
    pub fn may_be_given_up(path: &str) -> bool {
        matches!(path, DRAFT | TRY)
    }

    /// Answers a request for one of these paths; `None` where it is for another.
    pub async fn serve(&self, request: &Request<'_>) -> Option<Answer> {
        let place = Place::at(request.path)?;
        Some(self.answer(place, request).await.unwrap_or_else(Into::into))
    }

    async fn answer(&self, place: Place<'_>, request: &Request<'_>) -> Result<Answer, Refusal> {
        let reload = &self.reload;
        match (place, request.method.as_str()) {
            (Place::All, "GET") => read::list(reload, request),
            (Place::Presets, "GET") => presets::routers(reload, request),
            (Place::TaskPresets, "GET") => presets::tasks(reload, request),
            (Place::One(id), "GET") => read::one(reload, request, parse_id(id)?),
            (Place::All, "POST") => write::create(reload, request).await,
            (Place::One(id), "PUT") => write::update(reload, request, parse_id(id)?).await,
            (Place::One(id), "DELETE") => write::remove(reload, request, parse_id(id)?).await,
            (Place::Draft, "POST") => {
                let _drafting = self.drafting.lock().await;
                draft::judge(reload, request).await
            }
            (Place::Try, "POST") => {
                let _drafting = self.drafting.lock().await;
                draft::rehearse(reload, request).await
            }
            (place, _) => Ok(Answer::method(place.methods())),
        }
    }
}

/// What a path names.
enum Place<'a> {
    All,
    One(&'a str),
    Presets,
    TaskPresets,
    Draft,
    Try,
}

impl<'a> Place<'a> {
    fn at(path: &'a str) -> Option<Self> {
        match path {
            DRAFT => return Some(Self::Draft),
            TRY => return Some(Self::Try),
            _ => {}
        }
        Some(match path.strip_prefix(ROUTERS)? {
            "" => Self::All,
            "/presets" => Self::Presets,
            "/tasks/presets" => Self::TaskPresets,
            one => {
                Self::One(one.strip_prefix('/').filter(|id| !id.is_empty() && !id.contains('/'))?)
            }
        })
    }

    fn methods(&self) -> &'static str {
        match self {
            Self::All => "GET, HEAD, POST",
            Self::One(_) => "GET, HEAD, PUT, DELETE",
            Self::Presets | Self::TaskPresets => "GET, HEAD",
            Self::Draft | Self::Try => "POST",
        }
    }
}

fn parse_id(text: &str) -> Result<Uuid, Refusal> {
    // Only as it is written in our answers; the crate takes other spellings too.
    let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
    Uuid::try_parse(text).ok().filter(|_| hyphenated).ok_or_else(|| {
        Refusal::bad("invalid_uuid", "a router's id is a UUID: the `uuid` of each one in the list")
    })
}
