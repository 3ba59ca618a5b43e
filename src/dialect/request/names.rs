//! Names of tools and identifiers of calls that fit the target.
//!
//! A name that the target would refuse is shortened to a form that is the same in every request, so that a
//! conversation stays cacheable; the answer side gets the list to turn it back. An identifier lives in the history only
//! (the provider makes new ones for new calls), so its form need not be turned back, only be the same for a call and its
//! result, and not the same for two calls.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    fmt::Write as _,
};

use sha2::{Digest, Sha256};

use crate::dialect::{Dialect, ir::Request};

/// The longest name of a tool that every API takes.
const MAX_NAME: usize = 64;

/// How much of a name that is too long is kept; an underscore and eight digits follow.
const KEPT_OF_NAME: usize = 55;

/// The name under which a tool goes to a provider.
pub(crate) fn tool_name(name: &str) -> Cow<'_, str> {
    if is_token(name) && name.len() <= MAX_NAME {
        return Cow::Borrowed(name);
    }
    let mut short: String = name
        .chars()
        .take(KEPT_OF_NAME)
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    short.push('_');
    short.push_str(&digest(name, 8));
    Cow::Owned(short)
}

/// The tools of `request` that go by another name: the name sent, and the caller's own.
pub(crate) fn renamed(request: &Request<'_>) -> Vec<(String, String)> {
    let names = request.tools.list.iter().map(|tool| &*tool.name);
    names.filter_map(|name| Some((changed(tool_name(name))?, name.to_owned()))).collect()
}

fn changed(name: Cow<'_, str>) -> Option<String> {
    if let Cow::Owned(name) = name { Some(name) } else { None }
}

/// The first `digits` of the SHA-256 of `text`, in hexadecimal.
pub(crate) fn digest(text: &str, digits: usize) -> String {
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a text cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out.truncate(digits);
    out
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The identifiers of the calls of one conversation, asked for in its order.
pub(crate) struct CallIds<'r> {
    to: Dialect,
    seen: HashMap<&'r str, Seen>,
}

/// What is known of one identifier.
#[derive(Default)]
struct Seen {
    /// How many calls had it.
    calls: usize,
    /// Which of them have no result yet.
    open: VecDeque<usize>,
}

impl<'r> CallIds<'r> {
    pub(crate) fn new(to: Dialect) -> Self {
        Self { to, seen: HashMap::new() }
    }

    /// The identifier under which the next call goes.
    pub(crate) fn call(&mut self, id: &'r str) -> Cow<'r, str> {
        let seen = self.seen.entry(id).or_default();
        let nth = seen.calls;
        seen.calls = nth.saturating_add(1);
        seen.open.push_back(nth);
        self.mapped(id, nth)
    }

    /// The identifier under which the next result goes: that of the first call that has none.
    pub(crate) fn result(&mut self, id: &'r str) -> Cow<'r, str> {
        let seen = self.seen.entry(id).or_default();
        let nth = seen.open.pop_front().unwrap_or(seen.calls.saturating_sub(1));
        self.mapped(id, nth)
    }

    fn mapped(&self, id: &'r str, nth: usize) -> Cow<'r, str> {
        if nth > 0 {
            return Cow::Owned(format!("call_{}", digest(&format!("{id}#{nth}"), 24)));
        }
        let fits = match self.to {
            Dialect::Chat => id.len() <= 40 && !id.is_empty(),
            Dialect::Responses => id.len() <= 64 && !id.is_empty(),
            Dialect::Messages => id.len() <= 64 && is_token(id),
        };
        if fits { Cow::Borrowed(id) } else { Cow::Owned(format!("call_{}", digest(id, 24))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_is_kept_and_another_is_shortened_alike_every_time() {
        assert!(matches!(tool_name("read_file-2"), Cow::Borrowed("read_file-2")));
        let long = format!("mcp__server__{}", "x".repeat(80));
        assert_eq!(tool_name(&long), tool_name(&long));
        for bad in ["", "a b", "files.read", "ß", &long] {
            let name = tool_name(bad);
            assert!(is_token(&name) && name.len() <= MAX_NAME && name != bad, "{bad} {name}");
        }
        assert_ne!(tool_name("a.b"), tool_name("a b"));
    }

    #[test]
    fn two_calls_never_share_an_identifier() {
        let mut ids = CallIds::new(Dialect::Messages);
        let (first, second, strange) = (ids.call("call_0"), ids.call("call_0"), ids.call("a.b"));
        assert_eq!(first, "call_0");
        assert_ne!(first, second);
        assert_eq!(ids.result("call_0"), first);
        assert_eq!(ids.result("call_0"), second);
        assert_eq!(ids.result("a.b"), strange);
        assert!(is_token(&strange));
        assert_eq!(ids.result("never called"), ids.result("never called"));
        let third = ids.call("call_0");
        assert_eq!(ids.result("call_0"), third);
    }

    #[test]
    fn identifiers_keep_to_the_limit_of_the_target() {
        let id = "x".repeat(41);
        assert_ne!(CallIds::new(Dialect::Chat).call(&id), id);
        assert_eq!(CallIds::new(Dialect::Responses).call(&id), id);
        assert!(CallIds::new(Dialect::Chat).call(&id).len() <= 40);
    }
}
