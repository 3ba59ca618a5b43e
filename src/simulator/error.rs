//! Refusals in each API's own shape, in words like a real provider's.

use serde_json::json;

use crate::catalog::provider::Api;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The status.
    pub(super) status: u16,
    /// The body, JSON.
    pub(super) body: String,
    /// The value of `Retry-After`.
    pub(super) retry_after: Option<String>,
}

impl Refusal {
    /// A refusal with `status` and `message`; only the Messages API has no place for `code`.
    pub(super) fn new(api: Api, status: u16, message: &str, code: Option<&str>) -> Self {
        let body = match api {
            Api::Anthropic => anthropic_body(anthropic_type(status), message),
            Api::OpenAi | Api::OpenAiChat => openai_body(message, openai_type(status), code),
        };
        Self { status, body, retry_after: None }
    }

    /// The key is missing or wrong.
    pub(super) fn key(api: Api) -> Self {
        match api {
            Api::Anthropic => Self::new(api, 401, "invalid x-api-key", None),
            Api::OpenAi | Api::OpenAiChat => {
                Self::new(api, 401, "Incorrect API key provided.", Some("invalid_api_key"))
            }
        }
    }

    /// The model is unknown here.
    pub(super) fn model(api: Api, model: &str) -> Self {
        let message = match api {
            Api::Anthropic => format!("model: {model}"),
            Api::OpenAi | Api::OpenAiChat => {
                format!("The model `{model}` does not exist or you do not have access to it.")
            }
        };
        Self::new(api, 404, &message, Some("model_not_found"))
    }

    /// The path is not served here.
    pub(super) fn path(api: Api, path: &str) -> Self {
        Self::new(api, 404, &format!("Unknown request URL: {path}"), Some("unknown_url"))
    }

    /// The prompt is too long for the model.
    pub(super) fn too_long(api: Api, tokens: u64, window: u64) -> Self {
        let message = match api {
            Api::Anthropic => format!("prompt is too long: {tokens} tokens > {window} maximum"),
            Api::OpenAi | Api::OpenAiChat => format!(
                "This model's maximum context length is {window} tokens. However, your messages resulted in \
                 {tokens} tokens. Please reduce the length of the messages."
            ),
        };
        Self::new(api, 400, &message, Some("context_length_exceeded"))
    }
}

/// An error body in the shape of the Chat Completions API.
pub(super) fn openai_body(message: &str, kind: &str, code: Option<&str>) -> String {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
}

/// An error body in the shape of the Messages API.
pub(super) fn anthropic_body(kind: &str, message: &str) -> String {
    json!({"type": "error", "error": {"type": kind, "message": message}}).to_string()
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        400 | 422 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    }
}

fn openai_type(status: u16) -> &'static str {
    match status {
        401 | 403 => "authentication_error",
        429 => "rate_limit_error",
        status if status >= 500 => "server_error",
        _ => "invalid_request_error",
    }
}
