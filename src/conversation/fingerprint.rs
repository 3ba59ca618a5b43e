//! What tells one conversation from another when its caller does not name it: who asks, which router, and how the
//! conversation begins. All of that stays the same while a tool loop goes on, whatever is added at the end.
//!
//! Nothing is hashed here: the store of pins has seeds of its own, so that nobody can make two beginnings collide.

use std::hash::{Hash, Hasher};

use crate::{
    conversation::wrapper,
    dialect::ir::{
        Request,
        part::{Message, Part, Role, Source},
    },
    ids::{KeyName, RouterName},
};

/// The beginning of a conversation, to be hashed.
pub struct Beginning<'a> {
    caller: Option<&'a KeyName>,
    router: &'a RouterName,
    request: &'a Request<'a>,
}

/// The beginning of `request`: system text, tools and the first turn of the user.
pub fn of<'a>(
    caller: Option<&'a KeyName>,
    router: &'a RouterName,
    request: &'a Request<'a>,
) -> Beginning<'a> {
    Beginning { caller, router, request }
}

impl Hash for Beginning<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.caller.hash(state);
        self.router.hash(state);
        for tool in &self.request.tools.list {
            (&tool.name, &tool.description, tool.schema).hash(state);
        }
        for message in &self.request.messages {
            match message.role {
                Role::System | Role::Developer => hash_parts(message, state),
                Role::User => {
                    "user".hash(state);
                    hash_parts(message, state);
                    return;
                }
                Role::Assistant | Role::Tool => {}
            }
        }
    }
}

/// Hashes what is said and shown. Wrappers are left out: agents change them from turn to turn.
fn hash_parts(message: &Message<'_>, state: &mut impl Hasher) {
    for part in &message.parts {
        match part {
            Part::Text(text) => wrapper::strip(&text.text).hash(state),
            Part::Image(image) => hash_source(&image.source, state),
            Part::Document(document) => hash_source(&document.source, state),
            Part::Audio(audio) => audio.data.hash(state),
            Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Reasoning(_)
            | Part::Refusal(_)
            | Part::Other(_) => {}
        }
    }
}

fn hash_source(source: &Source<'_>, state: &mut impl Hasher) {
    match source {
        Source::Url(text) | Source::Text(text) | Source::File(text) => text.hash(state),
        Source::Base64 { data, .. } => data.hash(state),
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher as _, RandomState};

    use crate::dialect::Dialect;

    use super::*;

    fn request(system: &'static str, turns: &[(Role, &'static str)]) -> Request<'static> {
        let mut request = Request::new(Dialect::Chat);
        let system = std::iter::once((Role::System, system));
        request.messages = system
            .chain(turns.iter().copied())
            .map(|(role, text)| Message { role, parts: vec![Part::text(text)] })
            .collect();
        request
    }

    #[test]
    fn a_conversation_keeps_its_fingerprint_as_it_grows_and_shares_it_with_no_other() {
        let seeds = RandomState::new();
        let (first, other) = (RouterName::parse("a").unwrap(), RouterName::parse("b").unwrap());
        let key = KeyName::parse("ci").unwrap();
        let hash =
            |caller, router, request: &Request<'_>| seeds.hash_one(of(caller, router, request));
        let began = request("be brief", &[(Role::User, "list files")]);
        let grown = request(
            "be brief",
            &[
                (Role::User, "list files<system-reminder>it is noon</system-reminder>"),
                (Role::Assistant, "ok"),
                (Role::Tool, "a.txt"),
                (Role::User, "now delete them"),
            ],
        );
        let known = hash(Some(&key), &first, &began);
        assert_eq!(known, hash(Some(&key), &first, &grown));
        assert_ne!(known, hash(None, &first, &began));
        assert_ne!(known, hash(Some(&key), &other, &began));
        assert_ne!(
            known,
            hash(Some(&key), &first, &request("be long", &[(Role::User, "list files")]))
        );
        assert_ne!(known, hash(Some(&key), &first, &request("be brief", &[(Role::User, "list")])));
    }
}
