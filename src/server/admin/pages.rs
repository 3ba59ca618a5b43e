//! The pages: what `make web` has built of `src/web`, embedded in the program.
//!
//! One document serves every page, because the pages are views of one application. Names below `assets/` hold a hash of
//! their content, so that a browser may keep those for good; the document is asked for each time and answered by its
//! `ETag`. Files that were compressed when they were built are sent so. A program that was built without the pages says
//! how to get them.

use std::{collections::BTreeMap, fmt::Write as _, sync::LazyLock};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG,
        IF_NONE_MATCH, REFERRER_POLICY, VARY,
    },
};
use sha2::{Digest as _, Sha256};

use crate::server::admin::answer::Answer;

/// Every file that was built, by its path.
static BUILT: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/pages.rs"));

static PAGES: LazyLock<Pages> = LazyLock::new(|| Pages::of(BUILT));

/// The paths of the application's views.
const VIEWS: [&str; 3] = ["/", "/playground", "/routers"];

const DOCUMENT: &str = "index.html";

const MISSING: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>Pointsman</title>
<h1>Pointsman</h1>
<p>This program was built without its pages. <code>make web</code> builds them (it needs Node.js 20 or later, and npm);
build the program again after it.</p>
<p>All else works: <a href=\"/metrics\">metrics</a>, <a href=\"/healthz\">health</a>, the router API.</p>
";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

struct Pages(BTreeMap<&'static str, Page>);

struct Page {
    plain: &'static [u8],
    /// The same bytes in a content coding, the smallest first.
    coded: Vec<(&'static str, &'static [u8])>,
    /// A digest of `plain`.
    tag: String,
}

/// The page or asset at `path`; `None` where there is none.
pub fn find(path: &str, headers: &HeaderMap) -> Option<Answer> {
    find_in(&PAGES, path, headers)
}

fn find_in(pages: &Pages, path: &str, headers: &HeaderMap) -> Option<Answer> {
    if VIEWS.contains(&path) {
        let Some(page) = pages.0.get(DOCUMENT) else {
            let missing = Answer::new(StatusCode::OK, "text/html; charset=utf-8", MISSING);
            return Some(protected(missing));
        };
        return Some(protected(page.answer(DOCUMENT, headers)));
    }
    let name = path.strip_prefix('/')?;
    let page = pages.0.get(name).filter(|_| name != DOCUMENT)?;
    Some(protected(page.answer(name, headers)))
}

impl Pages {
    fn of(files: &'static [(&'static str, &'static [u8])]) -> Self {
        let mut pages = BTreeMap::new();
        for (name, plain) in files.iter().filter(|(name, _)| coding_of(name).is_none()) {
            let mut coded: Vec<_> = files
                .iter()
                .filter_map(|(other, bytes)| {
                    let coding = coding_of(other)?;
                    (other.rsplit_once('.')?.0 == *name).then_some((coding, *bytes))
                })
                .collect();
            coded.sort_by_key(|(_, bytes)| bytes.len());
            pages.insert(*name, Page { plain, coded, tag: tag(plain) });
        }
        Self(pages)
    }
}

impl Page {
    fn answer(&self, name: &str, headers: &HeaderMap) -> Answer {
        let coded = self.coded.iter().find(|(coding, _)| accepts(headers, coding));
        let (body, suffix) = match coded {
            Some((coding, bytes)) => (*bytes, format!("-{coding}")),
            None => (self.plain, String::new()),
        };
        let tag = format!("\"{}{suffix}\"", self.tag);
        let unchanged = headers.get_all(IF_NONE_MATCH).iter().any(|held| names(held, &tag));
        let mut answer = if unchanged {
            Answer::empty(StatusCode::NOT_MODIFIED)
        } else {
            Answer::new(StatusCode::OK, content_type(name), Bytes::from_static(body))
        };
        if let Some((coding, _)) = coded.filter(|_| !unchanged) {
            answer = answer.with(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            answer = answer.with(ETAG, tag);
        }
        let hashed = name.starts_with("assets/");
        let kept = if hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
        answer
            .with(CACHE_CONTROL, HeaderValue::from_static(kept))
            .with(VARY, HeaderValue::from_static("accept-encoding"))
    }
}

/// What every page and asset carries: nothing but our own files may run, and nobody may frame us.
fn protected(answer: Answer) -> Answer {
    answer
        .with(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .with(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with(OPENER_POLICY, SAME_ORIGIN)
        .with(RESOURCE_POLICY, SAME_ORIGIN)
}

fn coding_of(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "br" => Some("br"),
        "gz" => Some("gzip"),
        _ => None,
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether the caller reads this content coding.
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let offers = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    offers.flat_map(|offers| offers.split(',')).any(|offer| {
        let (name, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case(coding) && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// Whether `held`, a list of entity tags, names `tag`. A cache may have weakened it.
fn names(held: &HeaderValue, tag: &str) -> bool {
    let Ok(held) = held.to_str() else { return false };
    held.split(',')
        .map(|one| one.trim().trim_start_matches("W/"))
        .any(|one| one == tag || one == "*")
}

fn tag(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().take(12).fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    static FILES: &[(&str, &[u8])] = &[
        ("assets/app-1a2b.js", b"console.log('a long program');"),
        ("assets/app-1a2b.js.br", b"br"),
        ("assets/app-1a2b.js.gz", b"gzip"),
        ("index.html", b"<!doctype html>"),
    ];

    fn get(path: &str, fields: &[(HeaderName, &str)]) -> Option<Answer> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.clone(), value.parse().unwrap());
        }
        find_in(&Pages::of(FILES), path, &headers)
    }

    fn header(answer: &Answer, name: &HeaderName) -> String {
        answer.header(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_view_is_the_one_document_and_nothing_else_is() {
        for path in VIEWS {
            let answer = get(path, &[]).unwrap();
            assert_eq!(answer.body(), b"<!doctype html>", "{path}");
            assert_eq!(header(&answer, &CACHE_CONTROL), "no-cache");
            assert!(header(&answer, &CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
        }
        for path in [
            "/index.html",
            "/nowhere",
            "/assets",
            "/assets/",
            "/../index.html",
            "//",
            "/assets/app-1a2b.js.br",
        ] {
            assert!(get(path, &[]).is_none(), "{path}");
        }
    }

    #[test]
    fn an_asset_is_sent_in_the_smallest_coding_that_is_read() {
        let path = "/assets/app-1a2b.js";
        for (accepted, body, coding) in [
            ("gzip, deflate, br", &b"br"[..], "br"),
            ("gzip;q=0.8, br;q=0", b"gzip", "gzip"),
            ("identity", b"console.log('a long program');", ""),
            ("brotli", b"console.log('a long program');", ""),
        ] {
            let answer = get(path, &[(ACCEPT_ENCODING, accepted)]).unwrap();
            assert_eq!(answer.body(), body, "{accepted}");
            assert_eq!(header(&answer, &CONTENT_ENCODING), coding, "{accepted}");
            assert!(header(&answer, &CACHE_CONTROL).contains("immutable"));
            assert_eq!(header(&answer, &VARY), "accept-encoding");
        }
    }

    #[test]
    fn a_document_that_is_held_is_not_sent_again() {
        let first = get("/", &[]).unwrap();
        let tag = header(&first, &ETAG);
        let weak = format!("\"other\", W/{tag}");
        for held in [tag.as_str(), weak.as_str(), "*"] {
            let again = get("/playground", &[(IF_NONE_MATCH, held)]).unwrap();
            assert_eq!((again.status().as_u16(), again.body().len()), (304, 0), "{held}");
            assert_eq!(header(&again, &ETAG), tag);
        }
        assert_eq!(get("/", &[(IF_NONE_MATCH, "\"other\"")]).unwrap().status().as_u16(), 200);
    }

    #[test]
    fn without_the_pages_the_views_say_how_to_get_them() {
        let pages = Pages::of(&[]);
        for path in VIEWS {
            let answer = find_in(&pages, path, &HeaderMap::new()).unwrap();
            let text = std::str::from_utf8(answer.body()).unwrap();
            assert!(text.contains("make web"), "{path}");
            assert!(answer.header(&CONTENT_SECURITY_POLICY).is_some());
        }
    }
}
