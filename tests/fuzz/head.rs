//! What is read from heads: waiting times, media types, paths, names. Each line of a case is a header field; the first
//! is a path.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use pointsman::{
    dialect::Dialect,
    http::{
        header,
        media::{self, Media},
        retry_after,
        route::Route,
    },
};

use crate::{dice::Dice, driver::Target, mutate};

const NAMES: [&str; 14] = [
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset",
    "x-ratelimit-remaining",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-requests-remaining",
    "content-type",
    "content-encoding",
    "x-request-id",
    "request-id",
];

const VALUES: [&str; 26] = [
    "3",
    "0.5",
    "-1",
    "1e9",
    "1e308",
    "NaN",
    "inf",
    "0",
    "1760000200",
    "1760000200000",
    "99999999999999999999",
    "Wed, 21 Oct 2026 07:28:00 GMT",
    "Wednesday, 21-Oct-26 07:28:00 GMT",
    "Wed Oct 21 07:28:00 2026",
    "2026-10-21T07:28:00Z",
    "-9999-01-01T00:00:00Z",
    "1m2.5s",
    "6h3m0s",
    "120ms",
    "9223372036854775807h",
    "application/json",
    "application/json; charset=utf-8",
    "application/problem+json;charset=\"UTF-8\"",
    "text/event-stream",
    "identity",
    "gzip, identity",
];

const PATHS: [&str; 10] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/routing/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/v1/models/router:x",
    "/v1/models/a%2Fb",
    "/v1/models/%e2%82%ac",
    "/v1/../admin",
];

#[test]
fn head() {
    Target { name: "head", make, hold }.run();
}

fn make(dice: &mut Dice) -> Vec<u8> {
    let mut path = dice.pick(&PATHS).as_bytes().to_vec();
    if dice.once_in(2) {
        mutate::bytes(dice, &mut path);
    }
    for _ in 0..dice.few() {
        let mut value = dice.pick(&VALUES).as_bytes().to_vec();
        if !dice.once_in(3) {
            mutate::bytes(dice, &mut value);
        }
        path.extend_from_slice(format!("\n{}: ", dice.pick(&NAMES)).as_bytes());
        path.extend(value);
    }
    path
}

fn hold(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    if let Ok(path) = std::str::from_utf8(lines.next().unwrap_or_default()) {
        hold_path(path);
    }
    let mut head = HeaderMap::new();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b": ").unwrap_or(value);
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            head.append(name, value);
        }
    }
    for wall in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        hold_wait(&head, wall);
    }
    hold_wait(&head, Timestamp::from_second(1_760_000_000).unwrap());
    hold_media(&head);
    hold_names(&head);
}

/// A path is a place in the table, or a model's name, or nothing.
fn hold_path(path: &str) {
    match Route::of(path) {
        None => {}
        Some(Route::Model(name)) => {
            let spelled = path.strip_prefix("/v1/models/").expect("a model's path");
            assert!(!name.is_empty() && name.len() <= spelled.len());
            assert!(spelled.contains('%') || spelled == name);
        }
        Some(route) => {
            assert!(path.bytes().all(|byte| byte.is_ascii_lowercase() || b"/_1".contains(&byte)));
            let dotted = format!("{path}/.");
            assert!(matches!(Route::of(&dotted), None | Some(Route::Model(_))), "{route:?}");
        }
    }
}

fn hold_wait(head: &HeaderMap, wall: Timestamp) {
    if let Some(wait) = retry_after::parse(head, wall) {
        assert!(wait <= retry_after::LONGEST);
        let seconds = retry_after::whole_seconds(wait);
        assert!((1..=60).contains(&seconds) && wait <= Duration::from_secs(seconds));
    }
}

/// What a caller may send is a JSON document in an answer too.
fn hold_media(head: &HeaderMap) {
    let of_answer = media::of_answer(head);
    if media::check_request(head).is_ok() {
        assert_eq!(of_answer, Media::Json);
    } else {
        assert_ne!(of_answer, Media::Json);
    }
}

fn hold_names(head: &HeaderMap) {
    for id in [header::request_id(head), header::upstream_request_id(head)].into_iter().flatten() {
        assert!((1..=128).contains(&id.len()) && HeaderValue::from_str(id).is_ok());
    }
    let mut forwarded = HeaderMap::new();
    for dialect in Dialect::ALL {
        header::forward(head, dialect, &mut forwarded);
    }
    assert!(!forwarded.contains_key("content-type") && !forwarded.contains_key("retry-after"));
    let names: Vec<String> =
        head.values().map(|value| value.as_bytes().escape_ascii().to_string()).collect();
    assert_eq!(header::loss(&names).is_some(), !names.is_empty());
}
