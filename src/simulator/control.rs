//! The control endpoint of a simulated provider: `GET /_simulator` and `POST /_simulator/{model or *}`.

use http::{Method, Response};
use serde_json::json;

use crate::simulator::{
    fault::Order,
    serve::{self, Payload, State},
};

/// Answers a request whose path goes on with `rest` after `/_simulator`.
pub(super) fn respond(
    state: &State,
    method: &Method,
    rest: &str,
    body: &[u8],
) -> Response<Payload> {
    let api = state.provider.api;
    let text = match (method, rest.strip_prefix('/').unwrap_or(rest)) {
        (&Method::GET, "") => described(state),
        (&Method::POST, model) if !model.is_empty() => ordered(state, model, body),
        _ => json!({"error": "GET /_simulator or POST /_simulator/{model or *}"}).to_string(),
    };
    serve::json(api, 0, text)
}

fn described(state: &State) -> String {
    json!({
        "provider": state.provider.name, "api": state.provider.api.as_str(),
        "models": state.faults.standing(), "journal": state.journal.report(),
    })
    .to_string()
}

#[expect(clippy::disallowed_methods, reason = "the simulator is no part of the proxy")]
fn ordered(state: &State, model: &str, body: &[u8]) -> String {
    match serde_json::from_slice::<Order>(body) {
        Ok(order) if state.faults.order(model, Some(order.clone())) => {
            json!({"ordered": order}).to_string()
        }
        Ok(_) => json!({"error": format!("unknown model {model}")}).to_string(),
        Err(fault) => json!({"error": fault.to_string()}).to_string(),
    }
}
