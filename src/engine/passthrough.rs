//! The paths that are not routed: embeddings, bare completions, images, speech, and counting tokens. A request goes
//! on as it is to an endpoint whose API has the path; only `model` is replaced, both ways.

mod events;
mod flow;
mod job;
mod judge;

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use crate::{
    catalog::provider::Api,
    dialect::{Dialect, estimate, json, request},
    engine::{
        Engine, Stop, World,
        admit::Admitted,
        exchange::Exchange,
        ledger::Ledger,
        passthrough::{job::Job, judge::Wanted},
        refusal::Refusal,
        send_json,
    },
    http::{header, route::PassThrough},
    telemetry::{clock, usage::Ended},
};

/// What a request is served with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The world that the request sees.
    pub world: &'a World,
    /// Who asks.
    pub admitted: &'a Admitted,
}

impl Context<'_> {
    /// Serves one request.
    pub(super) async fn serve(
        self,
        endpoint: PassThrough,
        body: &Bytes,
        exchange: &mut impl Exchange,
        ledger: &mut Ledger<'_>,
    ) -> Result<(), Stop> {
        let document = json::parse(body)
            .map_err(|fault| Refusal::new(400, "invalid_json", fault.to_string()))?;
        let model = document.member("model").ok_or_else(|| missing("model is missing"))?;
        let name = model.as_str().ok_or_else(|| missing("model must be a string"))?;
        let counts = endpoint == PassThrough::CountTokens;
        if let Some(router) = name.strip_prefix("router:") {
            self.check_router(router, name)?;
            if counts {
                return estimated(body, exchange, ledger).await;
            }
            return Err(unsupported("a router cannot serve this path; name a model").into());
        }
        let found = self.world.catalog.model(name).ok_or_else(|| Refusal::not_found(name))?;
        if !self.admitted.caller.may_name_model(&found.id) {
            return Err(Refusal::new(403, "not_allowed", "this key may not use that model").into());
        }
        let api = if counts { Api::Anthropic } else { Api::OpenAi };
        let targets = found.targets.iter().filter(|target| target.provider.api == api);
        let targets: Vec<_> = targets.map(Arc::clone).collect();
        if targets.is_empty() && counts {
            return estimated(body, exchange, ledger).await;
        }
        if targets.is_empty() {
            let message = format!("no endpoint of {} has this path", found.id);
            return Err(unsupported(message).into());
        }
        self.engine.budget.request(clock::now());
        ledger.limit(&found.timeouts);
        let wanted = Wanted::by(endpoint, &document);
        ledger.read(wanted == Wanted::Events, 0);
        let span = model.span.clone();
        let job = Job { context: self, endpoint, wanted, body, span, model: found };
        job.run(&targets, exchange, ledger).await
    }

    fn check_router(self, router: &str, name: &str) -> Result<(), Refusal> {
        let router = self.world.catalog.router(router).ok_or_else(|| Refusal::not_found(name))?;
        if self.admitted.caller.may_use_router(&router.name) {
            Ok(())
        } else {
            Err(Refusal::new(403, "not_allowed", "this key may not use that router"))
        }
    }
}

/// Answers a count of tokens with our own estimate, and says so.
async fn estimated(
    body: &Bytes,
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
) -> Result<(), Stop> {
    let request = request::read_request(Dialect::Messages, body)
        .map_err(|fault| Refusal::new(400, fault.code, fault.message))?;
    let tokens = estimate::input_tokens(&request);
    let mut headers = ledger.headers();
    headers.insert(header::ESTIMATED, HeaderValue::from_static("true"));
    let answer = Bytes::from(format!("{{\"input_tokens\":{tokens}}}"));
    send_json(exchange, 200, headers, answer).await?;
    ledger.end(Ended::Answered, 200, None);
    Ok(())
}

fn missing(message: &str) -> Refusal {
    Refusal::new(400, "invalid_request", message)
}

fn unsupported(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "unsupported_by_model", message)
}
