//! What a caller is told when there is no answer: our own problems, and a provider's that is passed on.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use crate::{
    dialect::error::Problem,
    engine::{Stop, exchange::BodyFault},
};

/// A request that ends without an answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What the body says.
    pub body: RefusalBody,
    /// After which time another try may help.
    pub retry_after: Option<Duration>,
    /// What SDKs are told about trying again by themselves.
    pub should_retry: Option<bool>,
    /// The methods that would be allowed, for a 405.
    pub allow: Option<&'static str>,
    /// The provider's own id of the request that it refused.
    pub upstream_request_id: Option<Box<HeaderValue>>,
}

/// The body of a refusal.
#[derive(Debug)]
pub(crate) enum RefusalBody {
    /// Our own words, rendered in the caller's dialect.
    Ours(Problem),
    /// A provider's words, already in the caller's dialect.
    Theirs {
        /// The provider's status.
        status: u16,
        /// The body, credentials masked.
        body: Bytes,
    },
}

impl Refusal {
    /// A problem in our own words.
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self::of(Problem { status, code, message: message.into() })
    }

    /// A problem in our own words.
    pub(crate) fn of(problem: Problem) -> Self {
        Self {
            body: RefusalBody::Ours(problem),
            retry_after: None,
            should_retry: None,
            allow: None,
            upstream_request_id: None,
        }
    }

    /// A provider's own refusal, passed on once.
    pub(crate) fn passed_on(status: u16, body: Bytes) -> Self {
        Self {
            body: RefusalBody::Theirs { status, body },
            retry_after: None,
            should_retry: None,
            allow: None,
            upstream_request_id: None,
        }
    }

    /// Says after which time another try may help.
    #[must_use]
    pub(crate) fn retry_after(mut self, after: Option<Duration>) -> Self {
        self.retry_after = after;
        self
    }

    /// Says under which id the provider knows the request.
    #[must_use]
    pub(crate) fn known_as(mut self, id: Option<HeaderValue>) -> Self {
        self.upstream_request_id = id.map(Box::new);
        self
    }

    /// Says whether SDKs should try again by themselves.
    #[must_use]
    pub(crate) fn should_retry(mut self, retry: bool) -> Self {
        self.should_retry = Some(retry);
        self
    }

    /// The status that the caller gets.
    pub(crate) fn status(&self) -> u16 {
        match &self.body {
            RefusalBody::Ours(problem) => problem.status,
            RefusalBody::Theirs { status, .. } => *status,
        }
    }

    /// The code in the log: ours, or `provider` where a provider's words are passed on.
    pub(crate) fn code(&self) -> &'static str {
        match &self.body {
            RefusalBody::Ours(problem) => problem.code,
            RefusalBody::Theirs { .. } => "provider",
        }
    }

    /// A method that this path does not have.
    pub(crate) fn method(allow: &'static str) -> Self {
        let mut refusal =
            Self::new(405, "method_not_allowed", format!("this path takes {allow} only"));
        refusal.allow = Some(allow);
        refusal
    }

    /// A model or router that is not there; `name` is what the caller wrote.
    pub(crate) fn not_found(name: &str) -> Self {
        let shown: String = name.chars().take(100).collect();
        Self::new(404, "model_not_found", format!("no model or router is named {shown:?}"))
    }

    /// An answer for which there is no memory left.
    pub(crate) fn no_room() -> Self {
        Self::overloaded("the proxy holds as much as it may; the answer has no room")
    }

    /// A target that is busy, for as long as another try would be pointless.
    pub(crate) fn overloaded(message: &str) -> Self {
        Self::new(503, "overloaded", message).retry_after(Some(Duration::from_secs(1)))
    }
}

impl From<BodyFault> for Stop {
    fn from(fault: BodyFault) -> Self {
        let refusal = match fault {
            BodyFault::Interrupted(interrupt) => return Self::Interrupted(interrupt),
            BodyFault::TooLarge => {
                Refusal::new(413, "request_too_large", "the request body is larger than max_body")
            }
            BodyFault::TooSlow => {
                Refusal::new(408, "request_timeout", "the request body did not arrive in time")
            }
            BodyFault::Broken => Refusal::new(
                400,
                "invalid_request",
                "the request body is malformed or shorter than declared",
            ),
            BodyFault::Overloaded => {
                Refusal::overloaded("the proxy holds as many request bytes as it may; try again")
            }
        };
        Self::Refused(refusal)
    }
}
