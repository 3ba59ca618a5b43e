//! What is refused, and how it is said.

use http::StatusCode;
use serde::Serialize;

use crate::{
    config::{fault::Fault, store::WriteFault},
    server::{admin::answer::Answer, reload::Rejected},
};

/// A request that is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    faults: Vec<Fault>,
}

/// A mistake as `check` prints it.
#[derive(Serialize)]
pub(super) struct ShownFault<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    path: &'a str,
    message: &'a str,
}

impl<'a> From<&'a Fault> for ShownFault<'a> {
    fn from(fault: &'a Fault) -> Self {
        let Fault { file, line, column, path, message } = fault;
        Self { file, line: *line, column: *column, path, message }
    }
}

impl Refusal {
    /// The caller's mistake in a query or a body.
    pub(super) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// What the state of things does not allow.
    pub(super) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// There is no such router.
    pub(super) fn unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "no router has this id")
    }

    /// Somebody else changed it meanwhile.
    pub(super) fn stale() -> Self {
        let message = "the router has changed since it was read; read it again";
        Self::new(StatusCode::PRECONDITION_FAILED, "stale", message)
    }

    /// The same for a router that was to be new: the file that has changed is one that was not there.
    pub(super) fn of_new(self) -> Self {
        if self.status == StatusCode::PRECONDITION_FAILED {
            let message = "a file of this router's name came to be meanwhile";
            return Self::conflict("name_taken", message);
        }
        self
    }

    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), faults: Vec::new() }
    }

    /// Why a change of `file` was not made. `takes_away` says whether a name was to go that others may use.
    pub(super) fn of(rejected: Rejected, file: &str, takes_away: bool) -> Self {
        let message = rejected.to_string();
        match rejected {
            Rejected::Faulty(faults) => Self::faulty(faults, file, takes_away),
            Rejected::Broken(faults) => {
                Self { faults, ..Self::conflict("broken_configuration", message) }
            }
            Rejected::NoRouter => Self::bad("invalid_router", message),
            Rejected::Meanwhile => Self::stale(),
            Rejected::Unwritten(WriteFault::ReadOnly(_)) => Self::conflict("read_only", message),
            Rejected::Unprepared(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "classifier_unavailable", message)
            }
            Rejected::Unwritten(WriteFault::Failed(_)) | Rejected::Lost => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "not_written", message)
            }
        }
    }

    /// The change would bring these mistakes.
    fn faulty(faults: Vec<Fault>, file: &str, takes_away: bool) -> Self {
        let is_own = faults.iter().any(|fault| fault.file == file);
        if takes_away && !is_own {
            let message = "something else in the configuration still uses this router";
            return Self { faults, ..Self::conflict("in_use", message) };
        }
        let mistakes = if faults.len() == 1 { "a mistake" } else { "mistakes" };
        let first = faults.first().map(|fault| match fault.path.as_str() {
            "" => fault.message.clone(),
            path => format!("{path}: {}", fault.message),
        });
        let first = first.unwrap_or_default();
        Self {
            faults,
            ..Self::bad("invalid_router", format!("the router has {mistakes}: {first}"))
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, code, message, faults } = refusal;
        if faults.is_empty() {
            return Self::error(status, code, &message);
        }
        let faults: Vec<ShownFault<'_>> = faults.iter().map(Into::into).collect();
        Self::faults(status, code, &message, faults)
    }
}
