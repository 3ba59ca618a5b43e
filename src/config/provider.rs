//! `providers`: where models are served, and with which credential.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use http::{HeaderName, HeaderValue};
use url::Url;

use crate::{
    catalog::provider::{Api, Auth, Provider},
    config::{
        address::{self, Terms},
        known::Known,
        secret::{Found, Reader},
        tls,
        value::{Fields, Named, Value},
    },
    ids::ProviderId,
    secret::Secret,
};

/// Providers by name.
pub(crate) type Providers = Known<ProviderId, Provider>;

/// Headers that this program sets itself, or that belong to one connection.
const OURS: [&str; 17] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept",
    "accept-encoding",
    "user-agent",
];

/// Headers in which credentials travel.
const CREDENTIALS: [&str; 3] = ["authorization", "x-api-key", "cookie"];

/// What providers are checked against.
pub(crate) struct World<'a> {
    /// Reads credentials.
    pub(crate) secrets: &'a Reader<'a>,
    /// Our own listeners, which no provider may be.
    pub(crate) own: [SocketAddr; 2],
    /// Whether callers must present a key of ours.
    pub(crate) has_keys: bool,
}

/// Reads `providers`.
pub(crate) fn read(value: Option<Value<'_>>, world: &World<'_>) -> Providers {
    let entries = value.and_then(|value| match value.entries()? {
        entries if entries.is_empty() => value.wrong("must not be empty"),
        entries => Some(entries),
    });
    let written = |entries: &Vec<Named<'_>>| -> BTreeSet<String> {
        entries.iter().map(|entry| entry.name.to_owned()).collect()
    };
    let mut providers = Known::new("provider", entries.as_ref().map(written));
    for entry in entries.into_iter().flatten() {
        if let Some((id, provider)) = provider(&entry, world) {
            providers.built.insert(id, Arc::new(provider));
        }
    }
    providers
}

fn provider(entry: &Named<'_>, world: &World<'_>) -> Option<(ProviderId, Provider)> {
    let id = ProviderId::parse(entry.name).map_err(|error| entry.place.fault(error.to_string()));
    let mut fields = entry.value.fields()?;
    let api = fields.require("api").and_then(|value| value.choice(&APIS)).unwrap_or(Api::OpenAi);
    let allow_private = fields.flag("allow_private");
    let base_url = base_url(&mut fields, allow_private, world);
    let (auth, auth_header) = auth(&mut fields, api, world);
    let query = fields.take("query").map(|value| query(&value)).unwrap_or_default();
    let headers = fields
        .take("headers")
        .map(|value| headers(&value, auth_header.as_ref()))
        .unwrap_or_default();
    let ca = fields.take("ca").and_then(|value| authorities(&value, world.secrets));
    fields.finish();
    let (id, base_url) = (id.ok()?, base_url?);
    Some((id.clone(), Provider { id, api, base_url, auth, query, headers, allow_private, ca }))
}

const APIS: [(&str, Api); 3] =
    [("openai", Api::OpenAi), ("openai-chat", Api::OpenAiChat), ("anthropic", Api::Anthropic)];

fn base_url(fields: &mut Fields<'_>, allow_private: bool, world: &World<'_>) -> Option<Url> {
    let value = fields.require("base_url")?;
    let url = address::url(&value, Terms { allow_private, query: false })?;
    if world.own.iter().any(|own| address::is_own(&url, *own)) {
        return value.wrong("is this program's own address: its requests would come back to it");
    }
    Some(url)
}

/// How requests are authorized, and the header that was named for it.
fn auth(fields: &mut Fields<'_>, api: Api, world: &World<'_>) -> (Auth, Option<HeaderName>) {
    let key = fields.take("api_key");
    let header = fields.take("auth_header");
    let passthrough = fields.take("auth");
    let name = header.as_ref().and_then(auth_header);
    if let Some(passthrough) = passthrough {
        passthrough.choice(&[("passthrough", ())]);
        for value in key.iter().chain(&header) {
            value.fault("leave this out: `auth: passthrough` sends the caller's own credential");
        }
        if world.has_keys {
            passthrough.fault(
                "`keys` must be absent: a caller's credential cannot be both theirs and ours",
            );
        }
        return (Auth::Passthrough, name);
    }
    let Some(key) = key else {
        if let Some(header) = header {
            header.fault("needs `api_key`, whose header it names");
        }
        return (Auth::None, name);
    };
    let auth = match world.secrets.secret(&key) {
        Some(Found::Read(secret)) => authorized(api, name.clone(), secret),
        Some(Found::Unread) | None => Auth::None,
    };
    (auth, name)
}

fn authorized(api: Api, header: Option<HeaderName>, secret: Secret) -> Auth {
    match (header, api) {
        (Some(name), Api::OpenAi | Api::OpenAiChat | Api::Anthropic) => Auth::Header(name, secret),
        (None, Api::Anthropic) => Auth::Header(HeaderName::from_static("x-api-key"), secret),
        (None, Api::OpenAi | Api::OpenAiChat) => Auth::Bearer(secret),
    }
}

fn auth_header(value: &Value<'_>) -> Option<HeaderName> {
    let name = header_name(value.text()?);
    match name {
        Some(name) if !OURS.contains(&name.as_str()) => Some(name),
        Some(_) => value.wrong("is a header that this program sets itself"),
        None => value.wrong("must be the name of a header"),
    }
}

fn header_name(text: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(text.as_bytes()).ok()
}

fn query(value: &Value<'_>) -> Vec<(String, String)> {
    let entries = value.entries().unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| Some((entry.name.to_owned(), entry.value.text()?.to_owned())))
        .collect()
}

fn headers(value: &Value<'_>, auth: Option<&HeaderName>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for entry in value.entries().unwrap_or_default() {
        let Some(name) = header_name(entry.name) else {
            entry.place.fault("is not the name of a header");
            continue;
        };
        if CREDENTIALS.contains(&name.as_str()) || auth == Some(&name) {
            entry.place.fault("credentials belong in `api_key`, not in `headers`");
        } else if OURS.contains(&name.as_str()) {
            entry.place.fault("is a header that this program sets itself");
        } else if headers.iter().any(|(other, _)| *other == name) {
            entry.place.fault("this header is here twice");
        }
        headers.extend(header_value(&entry.value).map(|value| (name, value)));
    }
    headers
}

fn header_value(value: &Value<'_>) -> Option<HeaderValue> {
    let Ok(mut header) = HeaderValue::from_str(value.text()?) else {
        return value.wrong("holds characters that no header carries");
    };
    header.set_sensitive(true);
    Some(header)
}

fn authorities(value: &Value<'_>, secrets: &Reader<'_>) -> Option<Vec<u8>> {
    let path = secrets.path(value)?;
    if !secrets.reads {
        return None;
    }
    let pem = secrets.file(value, &path, false)?;
    match tls::check_authorities(&pem) {
        Ok(()) => Some(pem),
        Err(message) => value.wrong(format!("the file {message}")),
    }
}
