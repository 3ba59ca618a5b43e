//! Secrets by reference: the only reader of the environment and of secret files.
//!
//! A secret stands in the configuration as `env:NAME` or `file:PATH`, never itself, and what stands there instead is
//! never repeated: it may be the secret. What is read must fit a header, so that a stray line break is found when the
//! program starts and not at the first request.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    config::{
        source::{self, Ledger},
        value::Value,
    },
    secret::Secret,
};

/// Where the environment is asked; `None` is a variable that is not set.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads what the configuration refers to.
pub(crate) struct Reader<'a> {
    /// Where relative paths start.
    pub(crate) base: &'a Path,
    /// Whether references are followed; otherwise only their form is checked.
    pub(crate) reads: bool,
    /// The environment.
    pub(crate) environment: Environment<'a>,
    /// What was read from files.
    pub(crate) ledger: &'a Ledger,
}

/// The process's environment.
pub(crate) fn process_environment(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this module is the one reader of the environment"
    )]
    std::env::var(name).ok()
}

/// What a configured secret is.
pub(crate) enum Found {
    /// It was read.
    Read(Secret),
    /// Its reference is well formed, and it was not to be read.
    Unread,
}

enum Reference<'v> {
    Variable(&'v str),
    File(&'v str),
}

impl Reader<'_> {
    /// The secret that `value` refers to.
    pub(crate) fn secret(&self, value: &Value<'_>) -> Option<Found> {
        let reference = reference(value)?;
        if !self.reads {
            return Some(Found::Unread);
        }
        let text = match reference {
            Reference::Variable(name) => self.variable(value, name)?,
            Reference::File(path) => self.secret_file(value, path)?,
        };
        if text.bytes().all(|b| b.is_ascii_graphic()) {
            Some(Found::Read(Secret::new(text)))
        } else {
            value.wrong("what it refers to holds a space, a line break or a character that no header carries")
        }
    }

    /// The path that `value`, a `file:` reference, names.
    pub(crate) fn path(&self, value: &Value<'_>) -> Option<PathBuf> {
        match value.filled_text()?.strip_prefix("file:") {
            Some(path) if !path.is_empty() => Some(source::join(self.base, Path::new(path))),
            _ => value.wrong("must be file:PATH"),
        }
    }

    /// The content of the file that `value` names; a later change of it is noticed.
    pub(crate) fn file(&self, value: &Value<'_>, path: &Path, private: bool) -> Option<Vec<u8>> {
        check_privacy(value, path, private);
        self.ledger
            .read(path)
            .map_err(|why| value.fault(format!("the file {} {why}", named(value))))
            .ok()
    }

    fn variable(&self, value: &Value<'_>, name: &str) -> Option<String> {
        match (self.environment)(name) {
            None => value.wrong(format!("the environment variable {name} is not set")),
            Some(text) if text.is_empty() => {
                value.wrong(format!("the environment variable {name} is empty"))
            }
            Some(text) => Some(text),
        }
    }

    fn secret_file(&self, value: &Value<'_>, path: &str) -> Option<String> {
        let path = source::join(self.base, Path::new(path));
        let bytes = self.file(value, &path, true)?;
        let Ok(text) = String::from_utf8(bytes) else {
            return value.wrong(format!("the file {} is not text", named(value)));
        };
        match text.trim_end_matches(['\r', '\n']) {
            "" => value.wrong(format!("the file {} is empty", named(value))),
            trimmed => Some(trimmed.to_owned()),
        }
    }
}

/// The content of a file of the listener's: it is read again only at the next start, so no change is noticed.
pub(crate) fn listener_file(value: &Value<'_>, path: &Path, private: bool) -> Option<Vec<u8>> {
    check_privacy(value, path, private);
    source::read(path).map_err(|why| value.fault(format!("the file {} {why}", named(value)))).ok()
}

/// The file that `value` refers to, as the operator wrote it.
fn named<'v>(value: &'v Value<'_>) -> &'v str {
    value.filled_text().map_or("", |text| text.strip_prefix("file:").unwrap_or(text))
}

/// Warns of a private file that others can read.
fn check_privacy(value: &Value<'_>, path: &Path, private: bool) {
    if private && is_world_readable(path) {
        value.place.warning("everyone on this machine can read this file; chmod o-r");
    }
}

fn reference<'v>(value: &Value<'v>) -> Option<Reference<'v>> {
    const FORM: &str = "must be env:NAME or file:PATH; a secret is never written into this file";
    let text = value.prose()?;
    let variable = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    match text.split_once(':') {
        Some(("env", name)) if variable(name) => Some(Reference::Variable(name)),
        Some(("env", _)) => {
            value.wrong("env: must be followed by the name of an environment variable")
        }
        Some(("file", path)) if !path.is_empty() => Some(Reference::File(path)),
        _ => value.wrong(FORM),
    }
}

#[cfg(unix)]
fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_world_readable(_path: &Path) -> bool {
    false
}
