//! A provider's own error on its way to the caller.

use std::borrow::Cow;

use bytes::Bytes;

use crate::dialect::{
    Dialect,
    error::{Said, says_too_long, write_anthropic, write_openai},
    json::{self, Node, Value, Writer},
};

/// The longest text without structure that is passed on as a message.
const MAX_TEXT: usize = 2_000;

/// The body of a provider's refusal for the caller: its own bytes where the caller speaks the same shape of errors, else
/// its message in the caller's. `mask` takes secrets out of a text; what it changes is all that changes.
pub fn relay(
    caller: Dialect,
    upstream: Dialect,
    status: u16,
    body: &[u8],
    mask: &dyn Fn(&str) -> String,
) -> Bytes {
    let root = json::parse(body).ok();
    let same_shape = (caller == Dialect::Messages) == (upstream == Dialect::Messages);
    if let Some(root) = &root
        && same_shape
        && root.as_object().is_some()
    {
        return masked(root, body, mask);
    }
    let said = Said::read(root.as_ref());
    let message = said.message.map_or_else(|| plain(status, body), Cow::Borrowed);
    let code = match said.code {
        Some(code) => Some(code),
        None => says_too_long(None, said.kind, &message).then_some("context_length_exceeded"),
    };
    render(caller, status, &mask(&message), code.map(mask).as_deref())
}

fn render(caller: Dialect, status: u16, message: &str, code: Option<&str>) -> Bytes {
    let mut writer = Writer::with_capacity(message.len().saturating_add(160));
    match caller {
        Dialect::Chat | Dialect::Responses => {
            writer.begin_object();
            write_openai(&mut writer, status, message, code);
            writer.end_object();
        }
        Dialect::Messages => write_anthropic(&mut writer, status, message),
    }
    writer.finish().into()
}

/// The bytes of `body`, but for the texts in it that `mask` changes, however their characters were escaped.
fn masked(root: &Node<'_>, body: &[u8], mask: &dyn Fn(&str) -> String) -> Bytes {
    let mut edits = Vec::new();
    mask_texts(root, mask, &mut edits);
    let bytes = json::splice(body, &edits);
    match std::str::from_utf8(&bytes) {
        // Once more over the whole, for what stands in a key or a number.
        Ok(text) => Bytes::from(mask(text)),
        Err(_) => Bytes::new(),
    }
}

type Edits = Vec<(std::ops::Range<usize>, Cow<'static, [u8]>)>;

fn mask_texts(node: &Node<'_>, mask: &dyn Fn(&str) -> String, edits: &mut Edits) {
    match &node.value {
        Value::String(text) => {
            let clean = mask(text);
            if clean != *text {
                edits.push((node.span.clone(), json::quote(&clean).into_bytes().into()));
            }
        }
        Value::Array(items) => {
            for item in items {
                mask_texts(item, mask, edits);
            }
        }
        Value::Object(members) => {
            for (_, value) in members {
                mask_texts(value, mask, edits);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a body without an error object says: its text, unless that is a page.
fn plain(status: u16, body: &[u8]) -> Cow<'_, str> {
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    if text.is_empty() || text.starts_with('<') {
        return format!("the provider answered with status {status} and no message").into();
    }
    text.char_indices().nth(MAX_TEXT).and_then(|(end, _)| text.get(..end)).unwrap_or(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        text.replace("sk/secret", "***")
    }

    fn relayed(caller: Dialect, upstream: Dialect, status: u16, body: &str) -> String {
        String::from_utf8(relay(caller, upstream, status, body.as_bytes(), &mask).to_vec()).unwrap()
    }

    const OPENAI: &str = r#"{ "error": {"message": "bad é", "type": "x", "param": "p", "code": "c", "more": 1.50} }"#;
    const ANTHROPIC: &str = r#"{"type":"error","error":{"type":"invalid_request_error","message":"bad é"},"request_id":"r"}"#;

    #[test]
    fn the_same_shape_keeps_its_bytes() {
        use Dialect::{Chat, Messages, Responses};
        for (caller, upstream) in
            [(Chat, Chat), (Responses, Responses), (Chat, Responses), (Responses, Chat)]
        {
            assert_eq!(relayed(caller, upstream, 400, OPENAI), OPENAI);
        }
        assert_eq!(relayed(Messages, Messages, 400, ANTHROPIC), ANTHROPIC);
        assert_eq!(relayed(Chat, Chat, 422, r#"{"detail":"no"}"#), r#"{"detail":"no"}"#);
    }

    #[test]
    fn another_shape_keeps_the_message() {
        assert_eq!(
            relayed(Dialect::Messages, Dialect::Chat, 422, OPENAI),
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"bad é"}}"#
        );
        assert_eq!(
            relayed(Dialect::Chat, Dialect::Messages, 413, ANTHROPIC),
            r#"{"error":{"message":"bad é","type":"invalid_request_error","param":null,"code":null}}"#
        );
        let long = ANTHROPIC.replace("bad é", "prompt is too long: 2 > 1");
        assert!(
            relayed(Dialect::Responses, Dialect::Messages, 400, &long)
                .ends_with(r#""code":"context_length_exceeded"}}"#)
        );
    }

    #[test]
    fn what_is_not_json_becomes_an_error_all_the_same() {
        assert!(
            relayed(Dialect::Chat, Dialect::Chat, 400, "no such thing")
                .contains(r#""message":"no such thing""#)
        );
        for page in ["<html>big</html>", "", "  "] {
            assert!(
                relayed(Dialect::Messages, Dialect::Messages, 400, page).contains(
                    r#""message":"the provider answered with status 400 and no message""#
                )
            );
        }
        assert!(
            relay(Dialect::Chat, Dialect::Chat, 400, b"\xff\xfe", &mask).starts_with(b"{\"error\"")
        );
        let long = "ü".repeat(10_000);
        assert!(relayed(Dialect::Chat, Dialect::Chat, 400, &long).len() < 5_000);
        assert!(
            relayed(
                Dialect::Chat,
                Dialect::Chat,
                400,
                r#"[{"error":{"message":"no","code":400}}]"#
            )
            .starts_with(r#"{"error":{"message":"no""#)
        );
    }

    #[test]
    fn secrets_are_masked_however_they_are_spelled() {
        for body in [
            r#"{"error":{"message":"key sk/secret is bad"}}"#,
            r#"{"error":{"message":"key sk\/secret is bad"}}"#,
            r#"{"error":{"message":"key \u0073k/secret is bad"}}"#,
            r#"{"error":{"sk/secret":["sk/secret"]}}"#,
            "sk/secret",
        ] {
            for (caller, upstream) in
                [(Dialect::Chat, Dialect::Chat), (Dialect::Messages, Dialect::Chat)]
            {
                let out = relayed(caller, upstream, 400, body);
                assert!(!out.contains("secret"), "{out}");
                json::parse(out.as_bytes()).unwrap();
            }
        }
    }
}
