//! What a head must be before anything acts on it: stricter than the listener, because an honest client never sends
//! what is refused here, and a second reading of the same bytes is how requests are smuggled.
//!
//! Pingora already refuses most malformed heads. Its gaps (a missing `Host`, `Content-Length` beside
//! `Transfer-Encoding`, a repeated or listed length, a dropped coding, heads up to 1 MiB) are closed here, on the raw
//! bytes where it has already tidied the parsed ones.

use http::{
    HeaderMap, StatusCode, Version,
    header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE},
    uri::Authority,
};
use pingora::protocols::http::ServerSession;

/// The largest head in bytes.
const MAX_HEAD: usize = 32 * 1024;

/// The most header fields.
const MAX_FIELDS: usize = 100;

/// Why a head is refused; the connection is closed after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The status to answer with.
    pub status: StatusCode,
    /// What the caller is told.
    pub message: &'static str,
}

/// Checks the head that `session` has read.
pub fn check(session: &ServerSession) -> Result<(), Refused> {
    let head = session.req_header();
    if head.headers.len() > MAX_FIELDS {
        return refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too many header fields");
    }
    check_values(&head.headers)?;
    match session.as_http1() {
        Some(http1) => {
            let raw = http1.get_headers_raw_bytes();
            if raw.len() > MAX_HEAD {
                return refuse(
                    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                    "the request head is larger than 32 KiB",
                );
            }
            if head.version == Version::HTTP_09 {
                return refuse(StatusCode::BAD_REQUEST, "HTTP/0.9 is not spoken here");
            }
            check_host(&head.headers, head.version)?;
            check_coding(&head.headers)?;
            check_length(&raw, head.headers.contains_key(TRANSFER_ENCODING))
        }
        None => Ok(()),
    }
}

fn check_values(headers: &HeaderMap) -> Result<(), Refused> {
    if headers.values().any(|value| !value.as_bytes().is_ascii()) {
        return refuse(StatusCode::BAD_REQUEST, "a header value is not ASCII");
    }
    if headers.contains_key(UPGRADE) {
        return refuse(StatusCode::BAD_REQUEST, "protocol upgrades are not served here");
    }
    Ok(())
}

fn check_host(headers: &HeaderMap, version: Version) -> Result<(), Refused> {
    let host = headers.get(HOST).filter(|host| !host.is_empty());
    match host.map(|host| is_authority(host.as_bytes())) {
        Some(false) => refuse(StatusCode::BAD_REQUEST, "the Host header is malformed"),
        None if version == Version::HTTP_11 => {
            refuse(StatusCode::BAD_REQUEST, "the Host header is missing")
        }
        Some(true) | None => Ok(()),
    }
}

/// A host and perhaps a port: no user, no path, no space.
fn is_authority(host: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"/@?#\\<>\"{}|^`".contains(byte);
    let Ok(authority) = Authority::try_from(host) else { return false };
    let port = authority.as_str().rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    host.iter().all(plain) && port.is_none_or(|(_, port)| port.parse::<u16>().is_ok())
}

fn check_coding(headers: &HeaderMap) -> Result<(), Refused> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if codings.next().is_some() {
        return refuse(StatusCode::BAD_REQUEST, "more than one Transfer-Encoding header");
    }
    let coding = coding.as_bytes();
    if coding.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let chunked_times = coding
        .split(|byte| *byte == b',')
        .filter(|name| name.trim_ascii().eq_ignore_ascii_case(b"chunked"))
        .count();
    if chunked_times > 1 {
        return refuse(StatusCode::BAD_REQUEST, "chunked more than once");
    }
    refuse(StatusCode::NOT_IMPLEMENTED, "no transfer coding but chunked is understood")
}

fn check_length(raw: &[u8], chunked: bool) -> Result<(), Refused> {
    let name = CONTENT_LENGTH.as_str().as_bytes();
    let mut lengths = raw.split(|byte| *byte == b'\n').filter_map(|line| {
        let (field, rest) = line.split_at_checked(name.len())?;
        let value = rest.strip_prefix(b":")?;
        field.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    });
    let Some(length) = lengths.next() else { return Ok(()) };
    if chunked {
        return refuse(StatusCode::BAD_REQUEST, "Content-Length and Transfer-Encoding together");
    }
    if lengths.next().is_some() {
        return refuse(StatusCode::BAD_REQUEST, "more than one Content-Length header");
    }
    if length.is_empty() || length.len() > 19 || !length.iter().all(u8::is_ascii_digit) {
        return refuse(StatusCode::BAD_REQUEST, "Content-Length is not a plain number");
    }
    Ok(())
}

fn refuse<T>(status: StatusCode, message: &'static str) -> Result<T, Refused> {
    Err(Refused { status, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(result: Result<(), Refused>) -> Option<u16> {
        result.err().map(|refused| refused.status.as_u16())
    }

    fn coding(values: &[&str]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRANSFER_ENCODING, value.parse().unwrap());
        }
        status_of(check_coding(&headers))
    }

    #[test]
    fn only_chunked_alone_is_a_coding() {
        assert_eq!(coding(&["chunked"]), None);
        assert_eq!(coding(&["Chunked"]), None);
        assert_eq!(coding(&["gzip, chunked"]), Some(501));
        assert_eq!(coding(&["chunked", "chunked"]), Some(400));
        assert_eq!(coding(&["chunked, chunked"]), Some(400));
    }

    #[test]
    fn a_length_is_one_plain_number() {
        let length = |raw: &str| status_of(check_length(raw.as_bytes(), false));
        assert_eq!(length("POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n"), None);
        for bad in ["+7", "-1", "0x7", "7, 7", "99999999999999999999", ""] {
            let raw = format!("POST / HTTP/1.1\r\ncontent-length: {bad}\r\n\r\n");
            assert_eq!(length(&raw), Some(400), "{bad}");
        }
        let twice = "POST / HTTP/1.1\r\nContent-Length: 7\r\ncontent-length: 7\r\n\r\n";
        assert_eq!(length(twice), Some(400));
        let raw = b"POST / HTTP/1.1\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(status_of(check_length(raw, true)), Some(400));
    }

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
        for good in ["a", "a:80", "a.b:65535", "[::1]", "[::1]:80", "127.0.0.1:8080"] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in ["a/b", "u@a", "a b", "a:99999", "a:x", "a?b", "a:"] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_host_is_required_by_http_1_1_only() {
        let empty = HeaderMap::new();
        assert_eq!(status_of(check_host(&empty, Version::HTTP_11)), Some(400));
        assert_eq!(status_of(check_host(&empty, Version::HTTP_10)), None);
    }
}
