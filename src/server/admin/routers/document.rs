//! What is shown of a router, and of a page of anything.

use std::time::SystemTime;

use http::HeaderValue;
use jiff::{Timestamp, Unit};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    config::{
        RouterSource,
        form::{Config, Form},
        store::Times,
    },
    server::admin::{
        Request,
        routers::{id_of, refusal::Refusal},
    },
};

/// The highest number of a page.
const MOST_PAGES: usize = 1_000_000;

/// The most there are on a page.
const MOST_PER_PAGE: usize = 1_000;

/// A router, as it is shown.
#[derive(Serialize)]
pub(super) struct ModelRouter<'a> {
    uuid: String,
    name: &'a str,
    description: &'a str,
    created_at: String,
    updated_at: String,
    config: Config<'a>,
}

impl<'a> ModelRouter<'a> {
    /// The router of `source`, whose file says `form`.
    pub(super) fn new(source: &'a RouterSource, form: &'a Form, times: Option<Times>) -> Self {
        let epoch = SystemTime::UNIX_EPOCH;
        let times = times.unwrap_or(Times { created: epoch, updated: epoch });
        Self {
            uuid: id_of(&source.name).to_string(),
            name: source.name.as_str(),
            description: form.text("description").unwrap_or_default(),
            created_at: written(times.created),
            updated_at: written(times.updated),
            config: form.config(),
        }
    }
}

/// A time as RFC 3339 has it, to the second.
fn written(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.round(Unit::Second).unwrap_or(time).to_string()
}

/// The strong validator of a file that holds `bytes`.
pub(super) fn tag(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let hex = digest.iter().take(16).fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("\"{hex}\"")
}

/// The same as a header's value.
pub(super) fn tag_value(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_str(&tag(bytes)).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Which part of a list is asked for.
pub(super) struct Page {
    number: usize,
    per_page: usize,
}

/// How many there are.
#[derive(Serialize)]
pub(super) struct Meta {
    total: usize,
    page: usize,
    pages: usize,
}

/// Where the other pages are.
#[derive(Serialize)]
pub(super) struct Links {
    pages: Pages,
}

#[derive(Serialize)]
struct Pages {
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

impl Page {
    /// The page that `request` asks for, of `usual` entries where it does not say.
    pub(super) fn of(request: &Request<'_>, usual: usize) -> Result<Self, Refusal> {
        let number = whole(request, "page", MOST_PAGES)?.unwrap_or(1);
        let per_page = whole(request, "per_page", MOST_PER_PAGE)?.unwrap_or(usual);
        Ok(Self { number, per_page })
    }

    /// What of `all` is on the page.
    pub(super) fn cut<T>(&self, all: impl Iterator<Item = T>) -> Vec<T> {
        let before = self.number.saturating_sub(1).saturating_mul(self.per_page);
        all.skip(before).take(self.per_page).collect()
    }

    /// What is said of the whole list at `path`, which has `total` entries.
    pub(super) fn around(&self, total: usize, path: &str) -> (Links, Meta) {
        let pages = total.div_ceil(self.per_page).max(1);
        let at = |page: usize| format!("{path}?page={page}&per_page={}", self.per_page);
        let (begins, ends) = (self.number <= 1, self.number >= pages);
        let pages_around = Pages {
            first: (!begins).then(|| at(1)),
            previous: (!begins).then(|| at(self.number.saturating_sub(1).min(pages))),
            next: (!ends).then(|| at(self.number.saturating_add(1))),
            last: (!ends).then(|| at(pages)),
        };
        (Links { pages: pages_around }, Meta { total, page: self.number, pages })
    }
}

fn whole(request: &Request<'_>, name: &str, most: usize) -> Result<Option<usize>, Refusal> {
    let Some(text) = request.parameter(name) else { return Ok(None) };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (1..=most).contains(number));
    let refusal = || {
        Refusal::bad(
            "invalid_parameter",
            format!("`{name}` must be a whole number from 1 to {most}"),
        )
    };
    number.map(Some).ok_or_else(refusal)
}
