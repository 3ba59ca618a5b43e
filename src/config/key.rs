//! `keys` and `admin_key`: who may call.

use crate::{
    catalog::{AccessKey, model::Model, router::Router},
    config::{
        fault::Place,
        known::Known,
        model::Models,
        secret::{Found, Reader},
        value::{Fields, Value},
    },
    ids::{KeyName, RouterName},
    secret::SecretDigest,
};

/// Routers by name.
pub(crate) type Routers = Known<RouterName, Router>;

/// What keys may refer to.
pub(crate) struct World<'a> {
    /// Reads the keys themselves.
    pub(crate) secrets: &'a Reader<'a>,
    /// The routers.
    pub(crate) routers: &'a Routers,
    /// The models.
    pub(crate) models: &'a Models,
}

/// A key as it is written; its `access` is absent where something else of it is wrong.
struct Written<'a> {
    name: KeyName,
    place: Place<'a>,
    access: Option<AccessKey>,
}

/// Reads `keys`.
pub(crate) fn read(value: Option<&Value<'_>>, world: &World<'_>) -> Vec<AccessKey> {
    let mut keys: Vec<Written<'_>> = Vec::new();
    for item in value.and_then(Value::items).unwrap_or_default() {
        let Some(key) = key(&item, world) else { continue };
        if let Some(first) = keys.iter().find(|other| other.name == key.name) {
            key.place.fault(format!("another key has this name: {}", first.place.position()));
        } else if let Some(first) = keys.iter().find(|other| other.opens_as(&key)) {
            key.place.fault(format!("another key has this value: {}", first.place.position()));
        }
        keys.push(key);
    }
    keys.into_iter().filter_map(|key| key.access).collect()
}

impl Written<'_> {
    fn opens_as(&self, other: &Self) -> bool {
        let pair = self.access.as_ref().zip(other.access.as_ref());
        pair.is_some_and(|(one, other)| one.digest.matches(&other.digest))
    }
}

/// The digest of the secret that `value` refers to.
pub(crate) fn digest(value: &Value<'_>, secrets: &Reader<'_>) -> Option<SecretDigest> {
    match secrets.secret(value)? {
        Found::Read(secret) => Some(secret.digest()),
        // Such a catalog serves nobody; should it ever, no key that can be sent fits this one, nor another one's.
        Found::Unread => Some(SecretDigest::of(&format!("unread\n{}", value.place.path))),
    }
}

fn key<'a>(value: &Value<'a>, world: &World<'_>) -> Option<Written<'a>> {
    let mut fields = value.fields()?;
    let name = fields.require("name");
    let secret = fields.require("key").and_then(|value| digest(&value, world.secrets));
    let routers = allowed(&mut fields, "routers", world.routers, |router| router.name.clone());
    let models = allowed(&mut fields, "models", world.models, |model: &Model| model.id.clone());
    fields.finish();
    let name_value = name?;
    let name = match KeyName::parse(name_value.text()?) {
        Ok(name) => name,
        Err(error) => return name_value.wrong(error.to_string()),
    };
    let access = secret.map(|digest| AccessKey { name: name.clone(), digest, routers, models });
    Some(Written { name, place: name_value.place, access })
}

fn allowed<K, V>(
    fields: &mut Fields<'_>,
    key: &'static str,
    known: &Known<K, V>,
    name: impl Fn(&V) -> K,
) -> Option<Vec<K>>
where
    K: std::borrow::Borrow<str> + Ord,
{
    let items = fields.take(key)?.items()?;
    Some(known.find_all(&items).iter().map(|found| name(found)).collect())
}
