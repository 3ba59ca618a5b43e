//! Which bodies are read at all: media types and content codings, from the head alone.

use ::http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use crate::http::header::only;

/// Why a caller's body is not read: 415.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedMedia {
    /// It is not JSON in UTF-8, or says so twice.
    #[error("the body must be application/json in UTF-8")]
    Type,
    /// It is compressed.
    #[error("a content-encoding is not supported")]
    Encoding,
}

/// What an answer's head says that its body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// A JSON document.
    Json,
    /// A stream of server-sent events.
    EventStream,
    /// Anything else, and everything that is compressed.
    Other,
}

/// Whether a caller's body may be read: exactly one `content-type`, `application/json` or `…+json`, in UTF-8, and no
/// compression.
pub fn check_request(head: &HeaderMap) -> Result<(), UnsupportedMedia> {
    if !is_identity(head) {
        return Err(UnsupportedMedia::Encoding);
    }
    let stated = only(head, &CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if stated.is_some_and(|stated| is_json(stated) && is_utf8(stated)) {
        Ok(())
    } else {
        Err(UnsupportedMedia::Type)
    }
}

/// What the body of an answer is, by its head. Compressed bodies are [`Media::Other`]: we asked for none, and reading
/// them as text is how streams break.
pub fn of_answer(head: &HeaderMap) -> Media {
    let stated = only(head, &CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match stated {
        Some(stated) if !is_identity(head) || !is_utf8(stated) => Media::Other,
        Some(stated) if is_json(stated) => Media::Json,
        Some(stated) if essence(stated).eq_ignore_ascii_case("text/event-stream") => {
            Media::EventStream
        }
        Some(_) | None => Media::Other,
    }
}

fn is_identity(head: &HeaderMap) -> bool {
    head.get_all(CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

fn essence(stated: &str) -> &str {
    stated.split(';').next().unwrap_or_default().trim()
}

fn is_json(stated: &str) -> bool {
    let Some((kind, subtype)) = essence(stated).split_once('/') else { return false };
    let suffix = subtype.rsplit_once('+').map(|(_, suffix)| suffix);
    kind.eq_ignore_ascii_case("application")
        && (subtype.eq_ignore_ascii_case("json")
            || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("json")))
}

/// Whether no parameter names another character set than UTF-8, which is the default.
fn is_utf8(stated: &str) -> bool {
    stated.split(';').skip(1).filter_map(|parameter| parameter.split_once('=')).all(
        |(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        },
    )
}

#[cfg(test)]
mod tests {
    use ::http::{HeaderName, HeaderValue};

    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn json_in_utf8_is_read() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"; profile=x",
            "application/vnd.api+json",
        ] {
            assert_eq!(check_request(&head(&[("content-type", good)])), Ok(()), "{good}");
        }
    }

    #[test]
    fn everything_else_is_unsupported() {
        for bad in [
            "text/plain",
            "text/json",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "application/json, application/json",
            "application/jsonx",
            "json",
            "",
        ] {
            let checked = check_request(&head(&[("content-type", bad)]));
            assert_eq!(checked, Err(UnsupportedMedia::Type), "{bad}");
        }
        assert_eq!(check_request(&HeaderMap::new()), Err(UnsupportedMedia::Type));
        let twice = head(&[("content-type", "application/json"); 2]);
        assert_eq!(check_request(&twice), Err(UnsupportedMedia::Type));
    }

    #[test]
    fn a_compressed_body_is_not_read() {
        for (coding, wanted) in [
            ("gzip", Err(UnsupportedMedia::Encoding)),
            ("identity, gzip", Err(UnsupportedMedia::Encoding)),
            ("identity", Ok(())),
        ] {
            let head = head(&[("content-type", "application/json"), ("content-encoding", coding)]);
            assert_eq!(check_request(&head), wanted, "{coding}");
        }
    }

    #[test]
    fn an_answer_is_what_its_head_says() {
        let of = |fields| of_answer(&head(fields));
        assert_eq!(of(&[("content-type", "text/event-stream; charset=utf-8")]), Media::EventStream);
        assert_eq!(of(&[("content-type", "application/json")]), Media::Json);
        assert_eq!(of(&[("content-type", "application/problem+json")]), Media::Json);
        assert_eq!(of(&[("content-type", "text/html")]), Media::Other);
        assert_eq!(of(&[]), Media::Other);
        let compressed = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
        assert_eq!(of(&compressed), Media::Other);
    }
}
