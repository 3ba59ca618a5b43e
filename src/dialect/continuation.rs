//! The request that has another model finish an answer that broke off.
//!
//! It is the caller's own body, in the caller's own API, with what was said added to the conversation: as the beginning
//! of the answer, which the model goes on with, or as an answer that the user asks to go on with, in words. Everything
//! else stays byte for byte, and the encoders take it to a target of another API like any request.

use std::{borrow::Cow, ops::Range};

use crate::dialect::{
    Dialect,
    ir::{Format, Request},
    json::{self, Node, Value, Writer},
};

/// The order to go on.
const ORDER: &str = "Your last message was cut off. Continue it from exactly where it ends, as if it had not been: the \
                     first character that you write follows its last one. Do not repeat any of it, do not begin \
                     again and do not comment on it.";

/// How a model is asked to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// What was said is the beginning of its answer. White space at its end is not shown: some APIs refuse it.
    Prefill,
    /// What was said is an answer that the user asks to go on with.
    Words,
}

/// Whether an answer to the request may be finished by another model at all: a stream of one answer in free text, from
/// a conversation that stands in the request itself.
pub fn is_open_to(request: &Request<'_>) -> bool {
    request.stream
        && request.response_format == Format::Text
        && request.n.is_none_or(|n| n == 1)
        && request.previous_response_id.is_none()
        && request.bound.is_empty()
}

/// The caller's `body`, in `dialect`, with `said` added; as it is where nothing was said. Nothing where its conversation
/// cannot be found.
pub fn body<'b>(
    dialect: Dialect,
    body: &'b [u8],
    said: &str,
    manner: Manner,
) -> Option<Cow<'b, [u8]>> {
    let said = match manner {
        Manner::Prefill => said.trim_end(),
        Manner::Words => said,
    };
    if said.trim().is_empty() {
        return Some(Cow::Borrowed(body));
    }
    let root = json::parse(body).ok()?;
    let name = if dialect == Dialect::Responses { "input" } else { "messages" };
    let turns = turns(said, manner);
    let (span, text) = addition(root.member(name)?, body, &turns)?;
    Some(json::splice(body, &[(span, text.into_bytes().into())]).into())
}

/// The turns that are added, as the items of an array; the three APIs spell them alike.
fn turns(said: &str, manner: Manner) -> String {
    let mut writer = Writer::with_capacity(said.len().saturating_add(400));
    write_turn("assistant", said, &mut writer);
    if manner == Manner::Words {
        write_turn("user", ORDER, &mut writer);
    }
    writer.finish()
}

fn write_turn(role: &str, text: &str, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("role", role);
    writer.string_member("content", text);
    writer.end_object();
}

/// Where in the body `turns` go, and what stands there then.
fn addition(conversation: &Node<'_>, body: &[u8], turns: &str) -> Option<(Range<usize>, String)> {
    match &conversation.value {
        Value::Array(items) => {
            let comma = if items.is_empty() { "" } else { "," };
            let end = conversation.span.end.saturating_sub(1);
            Some((end..end, format!("{comma}{turns}")))
        }
        Value::String(_) => {
            let question = std::str::from_utf8(conversation.raw(body)).ok()?;
            let text = format!(r#"[{{"role":"user","content":{question}}},{turns}]"#);
            Some((conversation.span.clone(), text))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::{
        ir::part::{Part, Role},
        request::{self, Shape},
    };

    const BODIES: [(Dialect, &str); 4] = [
        (
            Dialect::Chat,
            r#"{"model":"m", "stream":true,"messages":[ {"role":"user","content":"Why?"} ],"seed":1e2}"#,
        ),
        (Dialect::Responses, r#"{"model":"m","stream":true,"input": "Why?" ,"store":true}"#),
        (
            Dialect::Responses,
            r#"{"model":"m","stream":true,"input":[{"role":"user","content":"Why?"}]}"#,
        ),
        (
            Dialect::Messages,
            r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Why?"}],"x":1}"#,
        ),
    ];

    fn continued(dialect: Dialect, text: &str, said: &str, manner: Manner) -> String {
        let body = body(dialect, text.as_bytes(), said, manner).unwrap();
        String::from_utf8(body.into_owned()).unwrap()
    }

    /// Who says what in a request.
    fn conversation(dialect: Dialect, text: &str) -> Vec<(Role, String)> {
        let request = request::read_request(dialect, text.as_bytes()).unwrap();
        let said = |parts: &[Part<'_>]| match parts {
            [Part::Text(text)] => text.text.clone().into_owned(),
            other => panic!("{other:?}"),
        };
        request.messages.iter().map(|message| (message.role, said(&message.parts))).collect()
    }

    #[test]
    fn what_was_said_and_the_order_follow_the_conversation() {
        for (dialect, text) in BODIES {
            let words = continued(dialect, text, "Because \"it", Manner::Words);
            let expected = [
                (Role::User, "Why?".to_owned()),
                (Role::Assistant, "Because \"it".to_owned()),
                (Role::User, ORDER.to_owned()),
            ];
            assert_eq!(conversation(dialect, &words), expected, "{words}");
            let prefilled = continued(dialect, text, "Because ", Manner::Prefill);
            let expected =
                [(Role::User, "Why?".to_owned()), (Role::Assistant, "Because".to_owned())];
            assert_eq!(conversation(dialect, &prefilled), expected, "{prefilled}");
        }
    }

    #[test]
    fn everything_else_stays_as_the_caller_wrote_it() {
        let (dialect, text) = BODIES[0];
        let words = continued(dialect, text, "Because", Manner::Words);
        let (before, after) = text.split_at(text.find(" ]").unwrap() + 1);
        assert!(words.starts_with(before) && words.ends_with(after), "{words}");
        for (dialect, text) in BODIES {
            assert_eq!(continued(dialect, text, " \n", Manner::Words), text);
        }
    }

    #[test]
    fn a_target_of_another_api_gets_it_in_its_own_words() {
        for (dialect, text) in BODIES {
            for manner in [Manner::Prefill, Manner::Words] {
                let text = continued(dialect, text, "Because it", manner);
                let request = request::read_request(dialect, text.as_bytes()).unwrap();
                let prefill = manner == Manner::Prefill;
                let shape = Shape { upstream_id: "up", prefill, ..Shape::default() };
                for to in Dialect::ALL {
                    let out = request::write_request(&request, text.as_bytes(), to, &shape);
                    let out = String::from_utf8(out.body.to_vec()).unwrap();
                    let mut turns = conversation(to, &out);
                    if manner == Manner::Words {
                        assert_eq!(turns.pop().unwrap(), (Role::User, ORDER.to_owned()), "{out}");
                    }
                    let last = turns.pop().unwrap();
                    assert_eq!(last, (Role::Assistant, "Because it".to_owned()), "{out}");
                }
            }
        }
    }

    #[test]
    fn only_one_streamed_answer_in_free_text_can_be_finished() {
        let open = |dialect, text: &str| {
            is_open_to(&request::read_request(dialect, text.as_bytes()).unwrap())
        };
        for (dialect, text) in BODIES {
            assert!(open(dialect, text), "{text}");
        }
        let chat = |more: &str| {
            let text = format!(
                r#"{{"model":"m","stream":true,"messages":[{{"role":"user","content":"x"}}],{more}}}"#
            );
            open(Dialect::Chat, &text)
        };
        assert!(chat(r#""n":1,"response_format":{"type":"text"}"#));
        for more in [
            r#""n":2"#,
            r#""response_format":{"type":"json_object"}"#,
            r#""response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{}}}"#,
            r#""modalities":["text","audio"]"#,
        ] {
            assert!(!chat(more), "{more}");
        }
        for text in [
            r#"{"model":"m","stream":true,"input":"x","previous_response_id":"resp_1"}"#,
            r#"{"model":"m","stream":true,"input":"x","conversation":"conv_1"}"#,
            r#"{"model":"m","input":"x"}"#,
        ] {
            assert!(!open(Dialect::Responses, text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_said(said in "\\PC{0,40}", words in any::<bool>()) {
            let manner = if words { Manner::Words } else { Manner::Prefill };
            for (dialect, text) in BODIES {
                let turns = conversation(dialect, &continued(dialect, text, &said, manner));
                let shown = if words { said.as_str() } else { said.trim_end() };
                let expected = (!said.trim().is_empty()).then_some(shown);
                prop_assert_eq!(turns.get(1).map(|(_, text)| text.as_str()), expected);
            }
        }
    }
}
