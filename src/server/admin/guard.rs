//! Who may ask what: judged on the head alone, before anything is read or done.
//!
//! Two kinds of stranger are kept out. A program that can reach the listener needs the key, where one is set. A page of
//! another site, open in an operator's browser, can reach a listener on loopback too, so:
//!
//! - a `Host` that is not a name of this machine is refused always (DNS rebinding makes another site's page look like
//!   ours to the browser, but not to us);
//! - where no key is set, what changes something must come from our own page: an `Origin` that is not ours, a body that
//!   is not JSON (a form of any site can send the rest), or a `Sec-Fetch-Site` that says so is refused. With a key, the
//!   header that carries it does the same, because no other site can send it.
//!
//! Pages hold nothing secret, so they never ask for the key.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, TRANSFER_ENCODING, WWW_AUTHENTICATE},
};

use crate::{
    access,
    http::{header::only, media},
    secret::SecretDigest,
    server::admin::answer::Answer,
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the guard looks at.
pub struct Visit<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path, without the query.
    pub path: &'a str,
    /// All header fields.
    pub headers: &'a HeaderMap,
    /// The name in the request's target, where there is one: HTTP/2 callers need send no `Host`.
    pub authority: Option<&'a str>,
}

/// Whether `path` belongs to the API, whose errors are JSON.
pub fn is_api(path: &str) -> bool {
    ["/api", "/v2"].iter().any(|root| {
        path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Why a visit is refused, if it is. `loopback` says whether the listener can be reached from this machine only.
pub fn refuse(visit: &Visit<'_>, key: Option<&SecretDigest>, loopback: bool) -> Option<Answer> {
    if loopback && !host_is_local(visit) {
        let message = "this Host is not served here";
        return Some(refusal(visit, StatusCode::FORBIDDEN, "foreign_host", message));
    }
    let api = is_api(visit.path);
    if !api && !matches!(visit.path, "/metrics" | "/openapi.json") {
        return None;
    }
    if !access::may_administer(key, visit.headers) {
        let message = "a valid admin key is required";
        let refusal = refusal(visit, StatusCode::UNAUTHORIZED, "invalid_api_key", message);
        return Some(refusal.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    }
    if !api {
        return None;
    }
    foreign(visit, key.is_some()).or_else(|| not_json(visit, key.is_some()))
}

/// Refuses what a page of another site asks.
fn foreign(visit: &Visit<'_>, keyed: bool) -> Option<Answer> {
    if keyed {
        return None;
    }
    let site = visit.headers.get_all(SEC_FETCH_SITE).iter();
    let from_elsewhere =
        site.into_iter().any(|site| matches!(site.as_bytes(), b"cross-site" | b"same-site"));
    let reads = matches!(*visit.method, Method::GET | Method::HEAD);
    if from_elsewhere || (!reads && !origin_is_ours(visit)) {
        let message = "a page of another site may not ask this";
        return Some(refusal(visit, StatusCode::FORBIDDEN, "foreign_origin", message));
    }
    None
}

/// Refuses a body that is not JSON, by what the head says of it.
fn not_json(visit: &Visit<'_>, keyed: bool) -> Option<Answer> {
    let headers = visit.headers;
    if matches!(*visit.method, Method::GET | Method::HEAD) {
        return None;
    }
    let length = headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
    let empty = length.is_none_or(|length| length == b"0");
    let bodiless = empty && !headers.contains_key(TRANSFER_ENCODING);
    if bodiless && !headers.contains_key(CONTENT_TYPE) {
        return None;
    }
    let fault = media::check_request(headers).err()?;
    let status = if keyed { StatusCode::UNSUPPORTED_MEDIA_TYPE } else { StatusCode::FORBIDDEN };
    Some(refusal(visit, status, "unsupported_media_type", &fault.to_string()))
}

fn refusal(visit: &Visit<'_>, status: StatusCode, code: &str, message: &str) -> Answer {
    if is_api(visit.path) {
        return Answer::error(status, code, message);
    }
    Answer::new(status, "text/plain; charset=utf-8", format!("{message}\n"))
}

/// Whether the caller believes to talk to this machine.
fn host_is_local(visit: &Visit<'_>) -> bool {
    let host = match visit.headers.get(HOST) {
        Some(_) => only(visit.headers, &HOST).and_then(|host| host.to_str().ok()),
        None => visit.authority,
    };
    let Some(host) = host else { return !visit.headers.contains_key(HOST) };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether no browser says that another page asks: without an `Origin` it is not a page that does.
fn origin_is_ours(visit: &Visit<'_>) -> bool {
    if !visit.headers.contains_key(ORIGIN) {
        return true;
    }
    let text = |name| only(visit.headers, name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(origin) = text(&ORIGIN) else { return false };
    let Some(host) = text(&HOST).or(visit.authority) else { return false };
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.is_some_and(|named| named.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: (&str, &str) = ("host", "127.0.0.1:8081");

    fn status(method: &Method, path: &str, fields: &[(&'static str, &str)]) -> Option<u16> {
        judged(method, path, fields, None)
    }

    fn judged(
        method: &Method,
        path: &str,
        fields: &[(&'static str, &str)],
        key: Option<&str>,
    ) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let visit = Visit { method, path, headers: &headers, authority: None };
        let key = key.map(SecretDigest::of);
        refuse(&visit, key.as_ref(), true).map(|answer| answer.status().as_u16())
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        for name in ["localhost", "localhost:8081", "127.0.0.1:8081", "[::1]:8081", "127.0.0.5"] {
            assert_eq!(status(&Method::GET, "/healthz", &[("host", name)]), None, "{name}");
        }
        for name in ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "10.0.0.1"] {
            for path in ["/healthz", "/", "/metrics", "/api/overview"] {
                let refused = status(&Method::GET, path, &[("host", name)]);
                assert_eq!(refused, Some(403), "{name} {path}");
            }
        }
        assert_eq!(status(&Method::GET, "/", &[OURS, ("host", "evil.example")]), Some(403));
    }

    #[test]
    fn the_name_in_the_target_counts_where_there_is_no_host() {
        let (method, headers) = (&Method::GET, &HeaderMap::new());
        for (authority, refused) in [("localhost:1", false), ("evil.example", true)] {
            let visit = Visit { method, path: "/", headers, authority: Some(authority) };
            assert_eq!(refuse(&visit, None, true).is_some(), refused, "{authority}");
        }
    }

    #[test]
    fn what_changes_something_comes_from_our_own_page() {
        let json = ("content-type", "application/json");
        let length = ("content-length", "2");
        let post = |more: &[(&'static str, &str)]| {
            status(&Method::POST, "/api/chat", &[&[OURS, json, length], more].concat())
        };
        assert_eq!(post(&[]), None);
        assert_eq!(
            post(&[("origin", "http://127.0.0.1:8081"), ("sec-fetch-site", "same-origin")]),
            None
        );
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:8080",
            "http://127.0.0.1",
            "127.0.0.1:8081",
            "",
        ] {
            assert_eq!(post(&[("origin", origin)]), Some(403), "{origin:?}");
        }
        for site in ["cross-site", "same-site"] {
            assert_eq!(post(&[("sec-fetch-site", site)]), Some(403), "{site}");
        }
        let read = |path| status(&Method::GET, path, &[OURS, ("sec-fetch-site", "cross-site")]);
        assert_eq!(read("/api/overview"), Some(403), "another site's page may not hold streams");
        assert_eq!(read("/playground"), None, "a link from elsewhere is followed");
    }

    #[test]
    fn a_body_is_json_or_refused() {
        let with = |fields: &[(&'static str, &str)], key| {
            let bearer = ("authorization", "Bearer sk");
            let fields = [&[OURS, bearer], fields].concat();
            judged(&Method::POST, "/v2/x", &fields, key)
        };
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let fields = [("content-type", kind), ("content-length", "2")];
            assert_eq!(with(&fields, None), Some(403), "{kind}");
            assert_eq!(with(&fields, Some("sk")), Some(415), "{kind}");
        }
        assert_eq!(with(&[("content-length", "2")], None), Some(403));
        assert_eq!(with(&[("transfer-encoding", "chunked")], None), Some(403));
        assert_eq!(with(&[("content-type", "text/plain")], None), Some(403));
        let packed = [("content-type", "application/json"), ("content-encoding", "gzip")];
        assert_eq!(with(&packed, None), Some(403));
        assert_eq!(with(&[("content-length", "0")], None), None);
        let delete = status(&Method::DELETE, "/api/pins", &[OURS]);
        assert_eq!(delete, None);
    }

    #[test]
    fn the_key_opens_what_is_not_a_page() {
        let get = |path, bearer| {
            judged(&Method::GET, path, &[OURS, ("authorization", bearer)], Some("sk"))
        };
        for path in
            ["/api", "/api/overview", "/v2/gen-ai/models/routers", "/metrics", "/openapi.json"]
        {
            assert_eq!(get(path, "Bearer wrong"), Some(401), "{path}");
            assert_eq!(get(path, "Bearer sk"), None, "{path}");
        }
        for path in ["/", "/playground", "/assets/x.js", "/healthz", "/apiary"] {
            assert_eq!(get(path, "Bearer wrong"), None, "{path}");
        }
        let foreign = [OURS, ("authorization", "Bearer sk"), ("origin", "http://evil.example")];
        assert_eq!(judged(&Method::DELETE, "/api/pins", &foreign, Some("sk")), None);
    }
}
