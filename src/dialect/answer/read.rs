//! What every decoder of answers needs: where to put deltas, how to read counts, what an in-band error is.

use crate::dialect::{
    answer::AnswerFault,
    error::{Said, says_too_long, status_of},
    ir::answer::Delta,
    json::Node,
};

/// Where a decoder puts what it reads.
pub(crate) type Sink<'s> = &'s mut dyn FnMut(Delta<'_>);

/// More tool calls than any answer has; their number bounds the search for one.
pub(crate) const MAX_CALLS: usize = 1_024;

/// Counts beyond it are not tokens.
const MAX_COUNT: u64 = 1 << 40;

/// The count at the end of `path`, if it is one that can be true.
pub(crate) fn count(node: &Node<'_>, path: &[&str]) -> Option<u64> {
    let end = path.iter().try_fold(node, |node, name| node.member(name))?;
    end.as_u64().filter(|count| *count <= MAX_COUNT)
}

/// The first of `paths` that is a count.
pub(crate) fn first_count(node: &Node<'_>, paths: &[&[&str]]) -> Option<u64> {
    paths.iter().find_map(|path| count(node, path))
}

/// The member `name`, if it is a text that is not empty.
pub(crate) fn text<'n>(node: &'n Node<'_>, name: &str) -> Option<&'n str> {
    node.member(name).and_then(Node::as_str).filter(|text| !text.is_empty())
}

/// The name of the tool that is called; nobody could answer a call without one.
pub(crate) fn tool_name<'n>(call: &'n Node<'_>) -> Result<&'n str, AnswerFault> {
    text(call, "name").ok_or_else(|| malformed("a tool call without a name"))
}

/// The items of the member `name`; none if it is no array.
pub(crate) fn items<'n, 'a>(node: &'n Node<'a>, name: &str) -> &'n [Node<'a>] {
    node.member(name).and_then(Node::as_array).unwrap_or_default()
}

/// Whether the member `name` says something: neither absent nor null, false, or empty.
pub(crate) fn says(node: &Node<'_>, name: &str) -> bool {
    node.member(name).is_some_and(|member| {
        !member.is_null()
            && member.as_bool() != Some(false)
            && member.as_str() != Some("")
            && member.as_object().is_none_or(|members| !members.is_empty())
            && member.as_array().is_none_or(|items| !items.is_empty())
    })
}

/// The error that `root` is or holds.
pub(crate) fn in_band(root: &Node<'_>) -> AnswerFault {
    let said = Said::read(Some(root));
    let status =
        said.status.or_else(|| [said.kind, said.code].into_iter().flatten().find_map(status_of));
    let message = said.message.or(said.code).or(said.kind);
    let message = message.unwrap_or("the provider reported an error without a message").to_owned();
    let too_long = says_too_long(said.code, said.kind, &message);
    AnswerFault::Error { status, message, too_long }
}

/// A fault for JSON that is not an answer.
pub(crate) fn malformed(what: &str) -> AnswerFault {
    AnswerFault::Malformed(what.to_owned())
}
