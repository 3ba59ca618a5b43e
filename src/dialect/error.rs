//! Errors as the caller's own SDK expects them: the one place that renders them.
//!
//! A body is the same for the same fault: no request id, no time, no name of ours stands inside. In OpenAI's shape
//! (chat and Responses) our code is the `code`; Anthropic's has none, so it opens the message. A provider's own words
//! are passed on unchanged, in its own bytes where the caller speaks the same shape (`relay`).

mod relay;
mod wording;

pub use relay::relay;

use bytes::Bytes;

use crate::dialect::{
    Dialect,
    json::{self, Node, Writer},
};

/// What the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status; inside a stream, the one that it would have been.
    pub status: u16,
    /// Our code for it; empty where the message is a provider's own.
    pub code: &'static str,
    /// What happened, in a sentence.
    pub message: String,
}

/// A whole JSON body in the caller's dialect.
pub fn render(caller: Dialect, problem: &Problem) -> Bytes {
    let code = (!problem.code.is_empty()).then_some(problem.code);
    let mut writer = Writer::with_capacity(problem.message.len().saturating_add(160));
    match caller {
        Dialect::Chat | Dialect::Responses => {
            writer.begin_object();
            write_openai(&mut writer, problem.status, &problem.message, code);
            writer.end_object();
        }
        Dialect::Messages => {
            let message = match code {
                Some(code) => format!("{code}: {}", problem.message),
                None => problem.message.clone(),
            };
            write_anthropic(&mut writer, problem.status, &message);
        }
    }
    writer.finish().into()
}

/// A last event of a stream that has begun, in the caller's dialect; `sequence` is the number of a Responses event.
///
/// The SDKs raise on it: OpenAI's on any event with an `error` member, which is why the Responses event has one beside
/// the members that its type lists; Anthropic's on `event: error`.
pub fn in_stream(caller: Dialect, problem: &Problem, sequence: u64) -> Bytes {
    let body = match caller {
        Dialect::Chat | Dialect::Messages => render(caller, problem),
        Dialect::Responses => responses_event(problem, sequence),
    };
    let head: &[u8] = match caller {
        Dialect::Chat => b"data: ",
        Dialect::Responses | Dialect::Messages => b"event: error\ndata: ",
    };
    [head, &body, b"\n\n"].concat().into()
}

/// Whether an answer of this status says that the conversation is too long for this model.
pub fn too_long(status: u16, body: &[u8]) -> bool {
    if status != 400 {
        return false;
    }
    let root = json::parse(body).ok();
    let said = Said::read(root.as_ref());
    let whole = std::str::from_utf8(body).unwrap_or_default();
    says_too_long(said.code, said.kind, said.message.unwrap_or(whole))
}

/// Whether a provider's code, type or message says that the conversation is too long.
pub(crate) fn says_too_long(code: Option<&str>, kind: Option<&str>, message: &str) -> bool {
    [code, kind].into_iter().flatten().any(wording::names_overflow)
        || wording::tells_overflow(message)
}

/// What can be read of a provider's error object, whatever its shape.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    /// Its words.
    pub(crate) message: Option<&'a str>,
    /// Its code, where that is a text.
    pub(crate) code: Option<&'a str>,
    /// Its type.
    pub(crate) kind: Option<&'a str>,
    /// The status that it names.
    pub(crate) status: Option<u16>,
}

impl<'a> Said<'a> {
    /// Reads `{"error": {…}}`, `{"error": "…"}`, `{"message": …}`, `{"detail": …}`, and lists of them.
    pub(crate) fn read(root: Option<&'a Node<'_>>) -> Self {
        let Some(root) = root.map(first) else { return Self::default() };
        let Some(error) = root.member("error").filter(|error| !error.is_null()) else {
            return Self::members(root);
        };
        let error = first(error);
        let inner = if error.as_str().is_some() {
            Self { message: error.as_str(), ..Self::default() }
        } else {
            Self::members(error)
        };
        let outer = Self::members(root);
        Self {
            message: inner.message.or(outer.message),
            code: inner.code.or(outer.code),
            kind: inner.kind,
            status: inner.status.or(outer.status),
        }
    }

    fn members(error: &'a Node<'_>) -> Self {
        let text = |name: &str| error.member(name).map(first).and_then(words);
        Self {
            message: text("message")
                .or_else(|| text("detail"))
                .or_else(|| text("errors"))
                .or_else(|| text("msg")),
            code: error.member("code").and_then(Node::as_str),
            kind: error.member("type").and_then(Node::as_str),
            status: ["code", "status", "status_code"].into_iter().find_map(|name| {
                let status = u16::try_from(error.member(name)?.as_u64()?).ok()?;
                (400..600).contains(&status).then_some(status)
            }),
        }
    }
}

/// The HTTP status that an error's type or code stands for.
pub(crate) fn status_of(name: &str) -> Option<u16> {
    Some(match name {
        "invalid_request_error"
        | "invalid_prompt"
        | "context_length_exceeded"
        | "exceed_context_size_error" => 400,
        "authentication_error" | "invalid_api_key" => 401,
        "billing_error" | "insufficient_quota" => 402,
        "permission_error" => 403,
        "not_found_error" | "model_not_found" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" => 429,
        "api_error" | "server_error" | "internal_error" | "internal_server_error" => 500,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => return None,
    })
}

/// The first item of a list, else the thing itself.
fn first<'n, 'a>(node: &'n Node<'a>) -> &'n Node<'a> {
    node.as_array().and_then(<[_]>::first).unwrap_or(node)
}

/// A text, or the words of an object that has some.
fn words<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    let named = |name| node.member(name).and_then(Node::as_str);
    node.as_str()
        .or_else(|| named("message"))
        .or_else(|| named("msg"))
        .filter(|text| !text.is_empty())
}

fn write_openai(writer: &mut Writer, status: u16, message: &str, code: Option<&str>) {
    writer.object_member("error");
    writer.string_member("message", message);
    writer.string_member("type", openai_type(status));
    writer.raw_member("param", "null");
    match code {
        Some(code) => writer.string_member("code", code),
        None => writer.raw_member("code", "null"),
    }
    writer.end_object();
}

fn write_anthropic(writer: &mut Writer, status: u16, message: &str) {
    writer.begin_object();
    writer.string_member("type", "error");
    writer.object_member("error");
    writer.string_member("type", anthropic_type(status));
    writer.string_member("message", message);
    writer.end_object();
    writer.end_object();
}

fn responses_event(problem: &Problem, sequence: u64) -> Bytes {
    let code = if problem.code.is_empty() { openai_type(problem.status) } else { problem.code };
    let mut writer =
        Writer::with_capacity(problem.message.len().saturating_mul(2).saturating_add(240));
    writer.begin_object();
    writer.string_member("type", "error");
    writer.string_member("code", code);
    writer.string_member("message", &problem.message);
    writer.raw_member("param", "null");
    writer.number_member("sequence_number", sequence);
    write_openai(&mut writer, problem.status, &problem.message, Some(code));
    writer.end_object();
    writer.finish().into()
}

const fn openai_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// The table of `reliability.md`.
const fn anthropic_type(status: u16) -> &'static str {
    match status {
        400 | 422 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    fn problem(status: u16, code: &'static str) -> Problem {
        Problem { status, code, message: "it \"broke\"".into() }
    }

    #[test]
    fn openai_gets_its_shape() {
        for caller in [Dialect::Chat, Dialect::Responses] {
            assert_eq!(
                text(&render(caller, &problem(404, "model_not_found"))),
                r#"{"error":{"message":"it \"broke\"","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#
            );
        }
        assert!(text(&render(Dialect::Chat, &problem(400, ""))).ends_with(r#""code":null}}"#));
    }

    #[test]
    fn anthropic_gets_its_type_by_status_and_our_code_first() {
        for (status, kind) in [
            (400, "invalid_request_error"),
            (422, "invalid_request_error"),
            (401, "authentication_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (413, "request_too_large"),
            (429, "rate_limit_error"),
            (503, "overloaded_error"),
            (529, "overloaded_error"),
            (405, "api_error"),
            (500, "api_error"),
            (502, "api_error"),
            (504, "api_error"),
        ] {
            assert_eq!(
                text(&render(Dialect::Messages, &problem(status, "our_code"))),
                format!(
                    r#"{{"type":"error","error":{{"type":"{kind}","message":"our_code: it \"broke\""}}}}"#
                )
            );
        }
        assert!(
            text(&render(Dialect::Messages, &problem(400, "")))
                .contains(r#""message":"it \"broke\"""#)
        );
    }

    #[test]
    fn a_stream_ends_in_the_event_that_the_sdk_raises_on() {
        let problem = problem(502, "upstream_error");
        assert_eq!(
            text(&in_stream(Dialect::Chat, &problem, 3)),
            "data: {\"error\":{\"message\":\"it \\\"broke\\\"\",\"type\":\"server_error\",\"param\":null,\"code\":\"upstream_error\"}}\n\n"
        );
        assert_eq!(
            text(&in_stream(Dialect::Messages, &problem, 3)),
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"upstream_error: it \\\"broke\\\"\"}}\n\n"
        );
        let event = in_stream(Dialect::Responses, &problem, 3);
        assert!(
            text(&event)
                .starts_with("event: error\ndata: {\"type\":\"error\",\"code\":\"upstream_error\"")
        );
        assert!(text(&event).contains("\"sequence_number\":3,\"error\":{"));
    }

    #[test]
    fn an_error_is_read_in_any_shape() {
        for (body, message, code, status) in [
            (r#"{"error":{"message":"m","code":"c","type":"t"}}"#, Some("m"), Some("c"), None),
            (r#"{"error":{"message":"m","code":429}}"#, Some("m"), None, Some(429)),
            (r#"{"error":"m"}"#, Some("m"), None, None),
            (r#"{"error":{},"message":"m"}"#, Some("m"), None, None),
            (
                r#"[{"error":{"message":"m","code":400,"status":"INVALID"}}]"#,
                Some("m"),
                None,
                Some(400),
            ),
            (r#"{"object":"error","message":"m","code":400}"#, Some("m"), None, Some(400)),
            (r#"{"detail":[{"loc":["body"],"msg":"m"}]}"#, Some("m"), None, None),
            (r#"{"detail":"m"}"#, Some("m"), None, None),
            (r#"{"message":"m"}"#, Some("m"), None, None),
            (r#"{"type":"error","error":{"type":"t","message":"m"}}"#, Some("m"), None, None),
            ("[]", None, None, None),
            ("7", None, None, None),
        ] {
            let root = json::parse(body.as_bytes()).unwrap();
            let said = Said::read(Some(&root));
            assert_eq!((said.message, said.code, said.status), (message, code, status), "{body}");
        }
    }

    #[test]
    fn only_a_400_is_too_long() {
        let body = br#"{"error":{"message":"x","code":"context_length_exceeded"}}"#;
        assert!(too_long(400, body));
        assert!(!too_long(413, body));
        assert!(!too_long(500, body));
        assert!(too_long(
            400,
            br#"{"error":{"code":400,"message":"x","type":"exceed_context_size_error"}}"#
        ));
        assert!(too_long(400, b"prompt is too long"));
        assert!(!too_long(400, b"\xff"));
    }
}
