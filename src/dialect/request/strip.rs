//! Reasoning that another backend signed, taken out of a body that otherwise goes on as it came.
//!
//! A signature and a ciphertext mean something to the backend that made them only; any other refuses the request for
//! it. Who made them is the engine's to know; here they are found and cut out.

use std::{borrow::Cow, ops::Range};

use crate::dialect::{
    Dialect,
    ir::{Request, part::Part},
    json::{self, Node},
};

/// What stands for an answer that was reasoning alone: an answer must not be empty.
const NOTHING_ELSE: &str = r#"{"type":"text","text":"(no answer)"}"#;

/// The edits that take signed reasoning out of `body`; none where there is none.
///
/// In the middle of a tool loop Messages demands the reasoning that led to the call. Without it, reasoning has to be
/// turned off for this request.
pub(crate) fn edits<'b>(
    request: &Request<'_>,
    body: &'b [u8],
) -> Vec<(Range<usize>, Cow<'b, [u8]>)> {
    if !request.parts().any(|part| matches!(part, Part::Reasoning(thought) if thought.sealed)) {
        return Vec::new();
    }
    let Ok(root) = json::parse(body) else { return Vec::new() };
    if request.dialect == Dialect::Responses {
        return root
            .member("input")
            .and_then(|input| without_sealed(input, body, None))
            .into_iter()
            .collect();
    }
    let messages = root.member("messages").and_then(Node::as_array).unwrap_or_default();
    let contents = messages.iter().filter_map(|message| message.member("content"));
    let cuts = contents.filter_map(|content| without_sealed(content, body, Some(NOTHING_ELSE)));
    cuts.chain(thinking_off(&root, messages)).collect()
}

/// The array without its sealed items, if it has any.
fn without_sealed<'b>(
    array: &Node<'_>,
    body: &[u8],
    otherwise: Option<&'static str>,
) -> Option<(Range<usize>, Cow<'b, [u8]>)> {
    let items = array.as_array()?;
    if !items.iter().any(is_sealed) {
        return None;
    }
    let mut out = Vec::with_capacity(array.span.len());
    out.push(b'[');
    for item in items.iter().filter(|item| !is_sealed(item)) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(item.raw(body));
    }
    if out.len() == 1 {
        out.extend_from_slice(otherwise.unwrap_or_default().as_bytes());
    }
    out.push(b']');
    Some((array.span.clone(), Cow::Owned(out)))
}

fn is_sealed(item: &Node<'_>) -> bool {
    match item.member("type").and_then(Node::as_str) {
        Some("thinking" | "redacted_thinking") => true,
        Some("reasoning") => {
            item.member("encrypted_content").is_some_and(|sealed| !sealed.is_null())
        }
        _ => false,
    }
}

fn thinking_off<'b>(
    root: &Node<'_>,
    messages: &[Node<'_>],
) -> Option<(Range<usize>, Cow<'b, [u8]>)> {
    let thinking = root.member("thinking").filter(|node| node.member("budget_tokens").is_some())?;
    let last = messages.last()?.member("content")?.as_array()?;
    let is_result =
        |item: &Node<'_>| item.member("type").and_then(Node::as_str) == Some("tool_result");
    last.iter()
        .any(is_result)
        .then(|| (thinking.span.clone(), br#"{"type":"disabled"}"#.as_slice().into()))
}
