//! Who asks, and what they may use: a judgement on the head alone.
//!
//! A presented key is hashed and its digest compared, in constant time, with that of every key there is: how long a
//! refusal takes says nothing about how close a guess was, nor whether a key was presented at all. There is no query, no
//! parser and no early way out that an attacker could reach before being known.
//!
//! What a key may use is asked of every attempt, not only of the request: a fallback never leads to a model that the
//! key may not use.

use ::http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use crate::{
    catalog::AccessKey,
    http::header::API_KEY,
    ids::{KeyName, ModelId, RouterName},
    secret::{Secret, SecretDigest},
};

/// Who sent a request.
#[derive(Clone, Default)]
pub struct Caller {
    /// The key that was presented; absent where anyone may call.
    pub key: Option<AccessKey>,
}

/// No key, a wrong one, or more than one: 401, whichever it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a valid API key is required")]
pub struct Unauthorized;

/// The caller behind `head`. Without any `keys` anyone may call, whatever is presented.
pub fn authenticate(keys: &[AccessKey], head: &HeaderMap) -> Result<Caller, Unauthorized> {
    if keys.is_empty() {
        return Ok(Caller::default());
    }
    let presented = presented(head);
    let digest = SecretDigest::of(presented.ok().flatten().unwrap_or_default());
    let mut found = None;
    for key in keys {
        if digest.matches(&key.digest) {
            found = Some(key);
        }
    }
    match (presented, found) {
        (Ok(Some(_)), Some(key)) => Ok(Caller { key: Some(key.clone()) }),
        (Ok(_) | Err(Unauthorized), _) => Err(Unauthorized),
    }
}

/// What a log may know of the key that `head` presents: the beginning of its hash. Nothing where no key can be read.
pub fn fingerprint(head: &HeaderMap) -> Option<String> {
    presented(head).ok().flatten().map(|text| SecretDigest::of(text).fingerprint())
}

/// Whether `head` carries the admin listener's key, as `Authorization: Bearer`; without a key anyone may ask.
pub fn may_administer(key: Option<&SecretDigest>, head: &HeaderMap) -> bool {
    let Some(key) = key else { return true };
    let presented = bearer(head);
    let matches = SecretDigest::of(presented.ok().flatten().unwrap_or_default()).matches(key);
    matches && presented.is_ok_and(|presented| presented.is_some())
}

/// The caller's own credential, from whichever of the two headers it is in, for providers that are to get it.
pub fn credential(head: &HeaderMap) -> Option<Secret> {
    presented(head).ok().flatten().map(|text| Secret::new(text.to_owned()))
}

impl Caller {
    /// Whoever uses the playground: no key of the data plane, and no limits.
    pub fn playground() -> Self {
        let key = AccessKey {
            name: KeyName::playground(),
            digest: SecretDigest::of(""),
            routers: None,
            models: None,
        };
        Self { key: Some(key) }
    }

    /// The name by which logs and metrics know the caller.
    pub fn key_name(&self) -> Option<&KeyName> {
        self.key.as_ref().map(|key| &key.name)
    }

    /// Whether the caller may name this router.
    pub fn may_use_router(&self, router: &RouterName) -> bool {
        let listed = self.key.as_ref().and_then(|key| key.routers.as_ref());
        listed.is_none_or(|routers| routers.contains(router))
    }

    /// Whether the caller may name this model.
    pub fn may_name_model(&self, model: &ModelId) -> bool {
        self.models().is_none_or(|models| models.contains(model))
    }

    /// Whether an attempt may be made at this model, for a request that was allowed to name its router or its model.
    ///
    /// A key with a list of models may use no other, inside routers too; one with an empty list may name none but has
    /// its routers whole.
    pub fn may_attempt(&self, model: &ModelId) -> bool {
        self.models().is_none_or(|models| models.is_empty() || models.contains(model))
    }

    fn models(&self) -> Option<&Vec<ModelId>> {
        self.key.as_ref().and_then(|key| key.models.as_ref())
    }
}

/// The one text that `head` presents as a key: in either header, or the same in both.
fn presented(head: &HeaderMap) -> Result<Option<&str>, Unauthorized> {
    match (bearer(head)?, single(head, &API_KEY)?) {
        (Some(bearer), Some(key)) if bearer != key => Err(Unauthorized),
        (bearer, key) => Ok(bearer.or(key)),
    }
}

/// The token of `Authorization: Bearer <token>`; any other scheme, spacing or number of headers is refused.
fn bearer(head: &HeaderMap) -> Result<Option<&str>, Unauthorized> {
    let Some(value) = single(head, &AUTHORIZATION)? else { return Ok(None) };
    let (scheme, token) = value.split_once(' ').ok_or(Unauthorized)?;
    let whole = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    (whole && scheme.eq_ignore_ascii_case("bearer")).then_some(Some(token)).ok_or(Unauthorized)
}

fn single<'a>(head: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Unauthorized> {
    let mut values = head.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => text(value).map(Some).ok_or(Unauthorized),
        (Some(_), Some(_)) => Err(Unauthorized),
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> ModelId {
        ModelId::parse(name).unwrap()
    }

    fn router(name: &str) -> RouterName {
        RouterName::parse(name).unwrap()
    }

    fn key(name: &str, secret: &str) -> AccessKey {
        AccessKey {
            name: KeyName::parse(name).unwrap(),
            digest: SecretDigest::of(secret),
            routers: None,
            models: None,
        }
    }

    fn head(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .collect()
    }

    fn known_as(fields: &[(&'static str, &str)]) -> Option<String> {
        let keys = [key("first", "sk-first"), key("second", "sk-second"), key("empty", "")];
        let caller = authenticate(&keys, &head(fields)).ok()?;
        Some(caller.key_name().unwrap().to_string())
    }

    #[test]
    fn a_key_is_taken_from_either_header() {
        assert_eq!(known_as(&[("authorization", "Bearer sk-first")]).unwrap(), "first");
        assert_eq!(known_as(&[("authorization", "bearer sk-second")]).unwrap(), "second");
        assert_eq!(known_as(&[("x-api-key", "sk-second")]).unwrap(), "second");
        let both = [("authorization", "Bearer sk-first"), ("x-api-key", "sk-first")];
        assert_eq!(known_as(&both).unwrap(), "first");
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("Bearer {}", "x".repeat(1 << 20));
        for fields in [
            &[][..],
            &[("authorization", "")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", "bearer  sk-first")],
            &[("authorization", "Bearer sk-first ")],
            &[("authorization", "Bearer sk-first sk-first")],
            &[("authorization", "Basic sk-first")],
            &[("authorization", "sk-first")],
            &[("authorization", "Bearer sk-firs")],
            &[("authorization", "Bearer ' OR 1=1--")],
            &[("authorization", "Bearer sk-fürst")],
            &[("authorization", &long)],
            &[("x-api-key", "")],
            &[("x-api-key", "Bearer sk-first")],
            &[("authorization", "Bearer sk-first"), ("authorization", "Bearer sk-first")],
            &[("x-api-key", "sk-first"), ("x-api-key", "sk-first")],
            &[("authorization", "Bearer sk-first"), ("x-api-key", "sk-second")],
            &[("authorization", "Basic sk-first"), ("x-api-key", "sk-first")],
            &[("api-key", "sk-first")],
        ] {
            assert_eq!(known_as(fields), None);
        }
    }

    #[test]
    fn without_keys_anyone_may_call() {
        for fields in [&[][..], &[("authorization", "Basic x")], &[("x-api-key", "anything")]] {
            let caller = authenticate(&[], &head(fields)).unwrap();
            assert_eq!(caller.key_name(), None);
            assert!(caller.may_use_router(&router("r")) && caller.may_name_model(&model("m")));
            assert!(caller.may_attempt(&model("m")));
        }
    }

    #[test]
    fn a_key_is_known_by_the_beginning_of_its_hash() {
        assert_eq!(fingerprint(&head(&[("x-api-key", "abc")])).unwrap(), "ba7816bf");
        assert_eq!(fingerprint(&head(&[("authorization", "Basic abc")])), None);
        assert_eq!(fingerprint(&head(&[])), None);
    }

    #[test]
    fn the_playground_is_a_caller_that_no_key_can_be() {
        let caller = Caller::playground();
        assert!(KeyName::parse(caller.key_name().unwrap().as_str()).is_err());
        assert!(caller.may_use_router(&router("r")) && caller.may_name_model(&model("m")));
    }

    #[test]
    fn a_callers_own_credential_comes_from_either_header() {
        let own = |fields| credential(&head(fields)).map(|secret| secret.expose().to_owned());
        assert_eq!(own(&[("authorization", "Bearer abc")]).unwrap(), "abc");
        assert_eq!(own(&[("x-api-key", "abc")]).unwrap(), "abc");
        assert_eq!(own(&[("authorization", "Bearer a"), ("x-api-key", "b")]), None);
        assert_eq!(own(&[]), None);
    }

    #[test]
    fn the_admin_key_is_a_bearer_token() {
        let digest = SecretDigest::of("sk-admin");
        let may = |fields| may_administer(Some(&digest), &head(fields));
        assert!(may(&[("authorization", "Bearer sk-admin")]));
        assert!(!may(&[("authorization", "Bearer sk-other")]));
        assert!(!may(&[("x-api-key", "sk-admin")]) && !may(&[]));
        assert!(!may_administer(Some(&SecretDigest::of("")), &head(&[])));
        assert!(may_administer(None, &head(&[])));
    }

    #[test]
    fn lists_limit_what_a_key_may_use() {
        let with = |routers: Option<&[&str]>, models: Option<&[&str]>| Caller {
            key: Some(AccessKey {
                routers: routers.map(|names| names.iter().map(|name| router(name)).collect()),
                models: models.map(|names| names.iter().map(|name| model(name)).collect()),
                ..key("k", "s")
            }),
        };
        let all = with(None, None);
        assert!(all.may_use_router(&router("r")) && all.may_name_model(&model("m")));
        let routers_only = with(Some(&["r"]), Some(&[]));
        assert!(routers_only.may_use_router(&router("r")));
        assert!(!routers_only.may_use_router(&router("other")));
        assert!(!routers_only.may_name_model(&model("m")), "no direct model");
        assert!(routers_only.may_attempt(&model("m")), "its routers stay whole");
        let listed = with(Some(&[]), Some(&["m"]));
        assert!(!listed.may_use_router(&router("r")));
        assert!(listed.may_name_model(&model("m")) && listed.may_attempt(&model("m")));
        assert!(!listed.may_name_model(&model("n")) && !listed.may_attempt(&model("n")));
    }
}
