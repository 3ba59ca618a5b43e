//! What the admin listener answers with: a whole document, or an error in one shape.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use serde::Serialize;

use crate::{
    engine::exchange::{BodyFault, Exchange as _},
    server::session::Session,
};

/// A whole answer.
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Serialize)]
struct ErrorBody<'a, F> {
    error: ErrorText<'a, F>,
}

#[derive(Serialize)]
struct ErrorText<'a, F> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<F>,
}

impl Answer {
    /// A body that nobody keeps.
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Self { status, headers, body: body.into() }
    }

    /// A line of text.
    pub fn text(status: StatusCode, text: &'static str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
    }

    /// Nothing but a status.
    pub fn empty(status: StatusCode) -> Self {
        let mut answer = Self::text(status, "");
        answer.headers.remove(CONTENT_TYPE);
        answer
    }

    /// A document.
    pub fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(StatusCode::OK, "application/json", body),
            Err(_) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, "cannot be written\n"),
        }
    }

    /// What is wrong, by a code for programs and a sentence for people.
    pub fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let error = ErrorText::<[(); 0]> { code, message, faults: None };
        Self { status, ..Self::json(&ErrorBody { error }) }
    }

    /// The same, with every mistake that was found.
    pub fn faults(status: StatusCode, code: &str, message: &str, faults: impl Serialize) -> Self {
        let error = ErrorText { code, message, faults: Some(faults) };
        Self { status, ..Self::json(&ErrorBody { error }) }
    }

    /// There is nothing at this path.
    pub fn not_found() -> Self {
        let message = "nothing is served at this path; see /openapi.json";
        Self::error(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The path takes other methods: those in `allow`.
    pub fn method(allow: &'static str) -> Self {
        let message = format!("this path takes {allow} only");
        Self::error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &message)
            .with(ALLOW, HeaderValue::from_static(allow))
    }

    /// The same answer with this header in place of any other of its name.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Sends it; the body of an answer to HEAD stays here.
    pub async fn send(self, session: &mut Session) {
        let body = if *session.head().method == Method::HEAD { Bytes::new() } else { self.body };
        if session.start(self.status, self.headers, Some(body.len())).await.is_ok()
            && session.write(body).await.is_ok()
        {
            let _ = session.finish().await;
        }
    }
}

/// What is said of a body that could not be had; nothing where nobody is there to be told.
pub fn of_body(fault: BodyFault, limit: u64) -> Option<Answer> {
    let (status, code, message) = match fault {
        BodyFault::TooLarge => {
            let message = format!("the body is larger than {limit} bytes");
            (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
        }
        BodyFault::TooSlow => {
            let message = "the body did not arrive in time".to_owned();
            (StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
        }
        BodyFault::Broken => {
            let message = "the body is malformed or shorter than declared".to_owned();
            (StatusCode::BAD_REQUEST, "invalid_request", message)
        }
        BodyFault::Overloaded => {
            let message = "the listener holds as many bytes as it may; try again".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
        }
        BodyFault::Interrupted(_) => return None,
    };
    Some(Answer::error(status, code, &message))
}

#[cfg(test)]
impl Answer {
    /// Its body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// One of its header fields.
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.headers.get(name)
    }
}
