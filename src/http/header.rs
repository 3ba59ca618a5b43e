//! The headers that we emit, those of a caller that a provider may see, and the rules of request ids.
//!
//! A request to a provider is built from scratch: [`forward`] is the only way from a caller's head into it, and it
//! carries no credential, no cookie and no forwarding header.

use ::http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect::Dialect;

/// The matched task; absent when none matched.
pub const SELECTED_ROUTE: HeaderName = HeaderName::from_static("x-model-router-selected-route");
/// The catalog name of the model that answered.
pub const MODEL: HeaderName = HeaderName::from_static("x-pointsman-model");
/// The provider that answered.
pub const PROVIDER: HeaderName = HeaderName::from_static("x-pointsman-provider");
/// Why this model was chosen.
pub const REASON: HeaderName = HeaderName::from_static("x-pointsman-reason");
/// The probability of the matched task, two decimals.
pub const CONFIDENCE: HeaderName = HeaderName::from_static("x-pointsman-confidence");
/// How many attempts were made.
pub const ATTEMPTS: HeaderName = HeaderName::from_static("x-pointsman-attempts");
/// What a translation dropped.
pub const LOSS: HeaderName = HeaderName::from_static("x-pointsman-loss");
/// The provider's own request id.
pub const UPSTREAM_REQUEST_ID: HeaderName =
    HeaderName::from_static("x-pointsman-upstream-request-id");
/// Says that a token count is our estimate.
pub const ESTIMATED: HeaderName = HeaderName::from_static("x-pointsman-estimated");
/// The request's id: the caller's where it keeps to the rule, else ours.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Tells intermediaries not to hold a stream back.
pub const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Tells the callers' libraries whether to send the same request again.
pub const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// A caller's name for its session: requests that carry the same go to the same model.
pub const AFFINITY: HeaderName = HeaderName::from_static("x-model-affinity");
/// A caller that speaks Anthropic's API says so with this header.
pub const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// Where Anthropic's callers and Anthropic itself put a credential.
pub const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
const OPENAI_BETA: HeaderName = HeaderName::from_static("openai-beta");
/// By which a provider knows a request that it has had before.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

static TO_OPENAI: [HeaderName; 4] = [OPENAI_BETA, IDEMPOTENCY_KEY, TRACEPARENT, TRACESTATE];
static TO_ANTHROPIC: [HeaderName; 5] =
    [ANTHROPIC_VERSION, ANTHROPIC_BETA, IDEMPOTENCY_KEY, TRACEPARENT, TRACESTATE];

/// Where providers put their request ids, the usual names first.
static UPSTREAM_IDS: [HeaderName; 4] = [
    REQUEST_ID,
    HeaderName::from_static("request-id"),
    HeaderName::from_static("apim-request-id"),
    HeaderName::from_static("x-amzn-requestid"),
];

/// The longest request id.
const REQUEST_ID_BYTES: usize = 128;
/// The longest name of a dropped field that is shown whole, and the most of them.
const LOSS_NAME_BYTES: usize = 64;
const LOSS_NAMES: usize = 32;

/// The caller's headers that go on to a provider to which `to` is spoken; every other header stays here.
pub fn forwarded(to: Dialect) -> &'static [HeaderName] {
    match to {
        Dialect::Chat | Dialect::Responses => &TO_OPENAI,
        Dialect::Messages => &TO_ANTHROPIC,
    }
}

/// Copies those of the caller's headers that are [`forwarded`] from `caller` to `upstream`.
pub fn forward(caller: &HeaderMap, to: Dialect, upstream: &mut HeaderMap) {
    for name in forwarded(to) {
        for value in caller.get_all(name) {
            upstream.append(name, value.clone());
        }
    }
}

/// Whether `text` may serve as a request id: `[A-Za-z0-9._-]{1,128}`.
pub fn is_request_id(text: &str) -> bool {
    (1..=REQUEST_ID_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// The caller's request id, where it sent exactly one and that keeps to the rule.
pub fn request_id(caller: &HeaderMap) -> Option<&str> {
    only(caller, &REQUEST_ID)?.to_str().ok().filter(|id| is_request_id(id))
}

/// The provider's own request id, where it keeps to the rule of ours.
pub fn upstream_request_id(answer: &HeaderMap) -> Option<&str> {
    UPSTREAM_IDS
        .iter()
        .filter_map(|name| answer.get(name)?.to_str().ok())
        .find(|id| is_request_id(id))
}

/// The names of the dropped fields as a header's value; `None` where nothing was dropped.
///
/// The names are the caller's own words: each is cut and stripped of what could end a value or a list.
pub fn loss(names: &[String]) -> Option<HeaderValue> {
    let safe: Vec<String> = names.iter().take(LOSS_NAMES).map(|name| field_name(name)).collect();
    if safe.is_empty() {
        return None;
    }
    HeaderValue::from_str(&safe.join(", ")).ok()
}

/// The only value of `name`: `None` where there is none, or more than one.
pub fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

fn field_name(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_graphic() && c != ',' { c } else { '?' })
        .take(LOSS_NAME_BYTES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn no_credential_and_no_stranger_is_forwarded() {
        let mut caller = HeaderMap::new();
        for name in [
            "authorization",
            "cookie",
            "x-api-key",
            "api-key",
            "x-goog-api-key",
            "openai-organization",
            "x-forwarded-for",
            "forwarded",
            "x-real-ip",
            "user-agent",
            "accept-encoding",
            "connection",
            "host",
            "content-length",
            "x-model-affinity",
            "x-request-id",
            "traceparent",
            "tracestate",
            "idempotency-key",
            "anthropic-version",
            "anthropic-beta",
            "openai-beta",
        ] {
            caller.append(name, HeaderValue::from_static("canary"));
        }
        let sent = |to| {
            let mut upstream = HeaderMap::new();
            forward(&caller, to, &mut upstream);
            let mut names: Vec<String> = upstream.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        let openai = ["idempotency-key", "openai-beta", "traceparent", "tracestate"];
        assert_eq!(sent(Dialect::Chat), openai);
        assert_eq!(sent(Dialect::Responses), openai);
        assert_eq!(
            sent(Dialect::Messages),
            ["anthropic-beta", "anthropic-version", "idempotency-key", "traceparent", "tracestate"]
        );
    }

    #[test]
    fn a_repeated_header_is_forwarded_whole() {
        let caller = head(&[("anthropic-beta", "a"), ("anthropic-beta", "b")]);
        let mut upstream = HeaderMap::new();
        forward(&caller, Dialect::Messages, &mut upstream);
        assert_eq!(upstream.get_all("anthropic-beta").iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_request_id_keeps_to_its_rule() {
        assert!(is_request_id("a.B_9-"));
        assert!(is_request_id(&"x".repeat(128)));
        for bad in ["", "a b", "a\"", "a/b", "ü", "a\u{1b}[2J", &"x".repeat(129)] {
            assert!(!is_request_id(bad), "{bad:?}");
        }
        assert_eq!(request_id(&head(&[("x-request-id", "abc")])), Some("abc"));
        assert_eq!(request_id(&head(&[("x-request-id", "a"), ("x-request-id", "b")])), None);
        assert_eq!(request_id(&head(&[("x-request-id", "a;b")])), None);
    }

    #[test]
    fn a_providers_id_is_found_under_its_usual_names() {
        assert_eq!(upstream_request_id(&head(&[("request-id", "req_01")])), Some("req_01"));
        let both = head(&[("request-id", "req_01"), ("x-request-id", "not one")]);
        assert_eq!(upstream_request_id(&both), Some("req_01"));
        assert_eq!(upstream_request_id(&HeaderMap::new()), None);
    }

    #[test]
    fn dropped_fields_cannot_split_a_header() {
        assert_eq!(loss(&[]), None);
        let names = ["reasoning".to_owned(), "a\r\nset-cookie: x, y".to_owned()];
        assert_eq!(loss(&names).unwrap(), "reasoning, a??set-cookie:?x??y");
        let many: Vec<String> = (0..10_000).map(|_| "n".repeat(1_000)).collect();
        assert!(loss(&many).unwrap().len() < 3_000);
    }
}
