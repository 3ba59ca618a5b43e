//! Names that cross layers: short, cheap to clone, and safe in a header, a label and a log line by construction.
//!
//! Every identifier is its own type, so that a model can never be passed where a provider is meant. The rules of each
//! are checked once, in `parse`; whoever holds the type need not check again.

use std::{borrow::Borrow, fmt, sync::Arc};

/// Why a text is not a valid identifier of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct InvalidId {
    /// The kind of identifier, as the operator knows it.
    pub what: &'static str,
    /// The rule that was broken.
    pub rule: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and wraps it.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                if $valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId { what: $what, rule: $rule })
                }
            }

            /// The name itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// A router's name: what a caller writes after `router:`.
    RouterName,
    "a router's name",
    "1 to 63 of a-z, 0-9 and -",
    is_slug
);
id!(
    /// A task's name, as the operator wrote it.
    TaskName,
    "a task's name",
    "1 to 64 printable ASCII characters without a colon, no space at either end, and not `none` or `other`",
    is_task_name
);
id!(
    /// A model's name in the catalog: what callers see, whatever the upstream calls it.
    ModelId,
    "a model's name",
    "1 to 200 printable ASCII characters without spaces, not beginning with `router:`",
    is_model_name
);
id!(
    /// A provider's name in the catalog.
    ProviderId,
    "a provider's name",
    "1 to 64 of letters, digits, `-`, `_` and `.`",
    is_plain
);
id!(
    /// The name of an access key.
    KeyName,
    "a key's name",
    "1 to 64 of letters, digits, `-`, `_` and `.`",
    is_plain
);

impl KeyName {
    /// The name of whoever uses the playground, which no key of a configuration can have.
    pub fn playground() -> Self {
        Self("(playground)".into())
    }
}

/// One endpoint of one model, stable across reloads: `model@provider/upstream-id`.
///
/// Statistics, breakers and cooldowns are kept by this identity, so they survive a reload that leaves it in place.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TargetId(Arc<str>);

impl TargetId {
    /// The identity of the endpoint of `model` at `provider` under `upstream_id`.
    pub fn new(model: &ModelId, provider: &ProviderId, upstream_id: &str) -> Self {
        Self(format!("{model}@{provider}/{upstream_id}").into())
    }

    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_slug(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_task_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b':')
        && text.trim() == text
        && !matches!(text, "none" | "other")
}

fn is_model_name(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic())
        && !text.starts_with("router:")
}

fn is_plain(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_name_is_a_slug() {
        assert!(RouterName::parse("software-engineering").is_ok());
        for bad in ["", "Upper", "with space", "a:b", "a\r\nb", "ü", &"a".repeat(64)] {
            assert!(RouterName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_task_name_is_safe_in_a_header() {
        assert!(TaskName::parse("Bug fixing (Python)").is_ok());
        for bad in ["", " a", "a ", "a:b", "a\r\nX: y", "größe", "none", "other", &"a".repeat(65)]
        {
            assert!(TaskName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_model_name_may_hold_a_path_but_not_look_like_a_router() {
        assert!(ModelId::parse("meta-llama/Llama-3.3-70B:free").is_ok());
        assert!(ModelId::parse("router:x").is_err());
        assert!(ModelId::parse("a b").is_err());
    }
}
