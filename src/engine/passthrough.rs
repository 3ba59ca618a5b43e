//! The paths that are not routed: embeddings, bare completions, images, speech, and counting tokens. A request goes
//! on as it is to an endpoint whose API has the path; only `model` is replaced, both ways.

use std::{borrow::Cow, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use tokio::time::{Instant, timeout};

use crate::{
    catalog::{
        model::{Model, Target},
        provider::{Api, Auth},
    },
    dialect::{
        Dialect, answer, error, estimate, json, request,
        sse::{Decoder, MAX_FRAME},
    },
    engine::{
        Engine, Stop, World,
        admit::Admitted,
        exchange::{Exchange, Interrupt},
        ledger::Ledger,
        open,
        refusal::Refusal,
        send_json,
        trial::{Subject, Trial, Verdict},
    },
    http::{
        header,
        media::{self, Media},
        retry_after,
        route::PassThrough,
    },
    ids::ModelId,
    resilience::{
        exhausted,
        failure::{self, Failure, Next},
    },
    telemetry::{clock, usage::Ended},
    upstream::{self, Body, Call, MAX_ANSWER},
};

const REFUSAL: usize = 1 << 20;

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

/// What came back from one target.
enum Came {
    Json(Bytes),
    Stream(HeaderValue, Body),
}

enum Missed {
    Failed(Failure),
    PassOn(Refusal),
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
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
        let job = Job { context: self, endpoint, body, span: model.span.clone(), model: found };
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

struct Job<'a, 'b> {
    context: Context<'a>,
    endpoint: PassThrough,
    body: &'b Bytes,
    span: std::ops::Range<usize>,
    model: &'a Arc<Model>,
}

impl Job<'_, '_> {
    async fn run(
        &self,
        targets: &[Arc<Target>],
        exchange: &mut impl Exchange,
        ledger: &mut Ledger<'_>,
    ) -> Result<(), Stop> {
        let engine = self.context.engine;
        let limit = self.context.world.catalog.settings.failover.attempts as usize;
        let mut failures = Vec::new();
        for target in targets.iter().take(limit) {
            let Some(mut trial) = Trial::begin(engine, target, Subject::default()) else {
                continue;
            };
            ledger.moved_on(failures.last().map(|failure: &Failure| failure.cause));
            ledger.attempted(target);
            let patience = self.model.timeouts.response;
            let came = tokio::select! {
                interrupt = exchange.interrupted() => return Err(interrupt.into()),
                came = timeout(patience, self.send(target)) => came,
            };
            match came.unwrap_or_else(|_| Err(Failure::timeout().into())) {
                Ok(came) => {
                    trial.content_began();
                    return self.pass(came, trial, exchange, ledger).await;
                }
                Err(Missed::PassOn(refusal)) => {
                    trial.end(Verdict::Rejected);
                    return Err(refusal.into());
                }
                Err(Missed::Failed(failure)) => {
                    trial.end(Verdict::Failed(failure));
                    ledger.failed(failure.possibly_billed);
                    failures.push(failure);
                }
            }
        }
        Err(engine.exhausted(&failures, exhausted::Ended::NoTarget, targets).into())
    }

    async fn send(&self, target: &Target) -> Result<Came, Missed> {
        let admitted = self.context.admitted;
        let mut caller_headers = HeaderMap::new();
        header::forward(&admitted.forwarded, self.endpoint.dialect(), &mut caller_headers);
        let callers_own = matches!(target.provider.auth, Auth::Passthrough);
        let id = json::quote(&target.upstream_id);
        let edit = (self.span.clone(), Cow::Borrowed(id.as_bytes()));
        let sent = self.context.engine.upstream.send(Call {
            target,
            path: self.endpoint.path(),
            body: Bytes::from(json::splice(self.body, &[edit])),
            streamed: false,
            caller_headers: &caller_headers,
            passthrough: admitted.credential.as_ref().filter(|_| callers_own),
            connect_timeout: self.model.timeouts.connect,
        });
        let (head, body) = sent.await.map_err(|fault| open::unsent(&fault))?.into_parts();
        let deadline = self.deadline();
        if !head.status.is_success() {
            let bytes = body.whole(REFUSAL, deadline).await.unwrap_or_default();
            return Err(self.refused(head.status, &head.headers, &bytes, target));
        }
        if media::of_answer(&head.headers) == Media::Json {
            let bytes = body.whole(MAX_ANSWER, deadline).await.map_err(|_| Failure::malformed())?;
            let named = answer::replace_model(&bytes, &self.model.id);
            return Ok(Came::Json(named.map_err(|_| Failure::malformed())?));
        }
        let octets = HeaderValue::from_static("application/octet-stream");
        let kind = head.headers.get(CONTENT_TYPE).cloned().unwrap_or(octets);
        Ok(Came::Stream(kind, body))
    }

    fn deadline(&self) -> Instant {
        let now = clock::now();
        now.checked_add(self.model.timeouts.response).unwrap_or(now).into()
    }

    fn refused(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        bytes: &[u8],
        target: &Target,
    ) -> Missed {
        let status = status.as_u16();
        let retry_after = retry_after::parse(headers, clock::wall());
        let failure = Failure::of_status(&failure::Refusal {
            status,
            retry_after,
            too_long: false,
            callers_credential: matches!(target.provider.auth, Auth::Passthrough),
        });
        if failure.next == Next::OtherTarget {
            return Missed::Failed(failure);
        }
        let credential = self.context.admitted.credential.as_ref();
        let secrets: Vec<_> =
            upstream::credential_of(&target.provider).into_iter().chain(credential).collect();
        let mask = |text: &str| upstream::mask(text, &secrets);
        let dialect = self.endpoint.dialect();
        let body = error::relay(dialect, dialect, status, bytes, &mask);
        let id = open::upstream_request_id(headers);
        let refusal = Refusal::passed_on(status, body).retry_after(retry_after);
        Missed::PassOn(refusal.known_as(id))
    }

    async fn pass(
        &self,
        came: Came,
        mut trial: Trial<'_>,
        exchange: &mut impl Exchange,
        ledger: &mut Ledger<'_>,
    ) -> Result<(), Stop> {
        ledger.answered(None);
        match came {
            Came::Json(bytes) => send_json(exchange, 200, ledger.headers(), bytes).await?,
            Came::Stream(kind, body) => {
                let events = kind.to_str().is_ok_and(|kind| kind.starts_with("text/event-stream"));
                let mut headers = if events { ledger.stream_headers() } else { ledger.headers() };
                headers.insert(CONTENT_TYPE, kind);
                let started = exchange.start(StatusCode::OK, headers, None).await;
                started.map_err(|_| Interrupt::CallerGone)?;
                let pump = Pump { model: &self.model.id, events, timeouts: self.model.timeouts };
                if !pump.run(body, exchange).await? {
                    trial.end(Verdict::Failed(Failure::broken_stream()));
                    ledger.end(Ended::Broken, 200, Some("upstream_error"));
                    return Ok(());
                }
            }
        }
        trial.end(Verdict::Answered);
        ledger.end(Ended::Answered, 200, None);
        Ok(())
    }
}

/// Passes a body on as it comes: events with `model` replaced, anything else byte for byte.
struct Pump<'a> {
    model: &'a ModelId,
    events: bool,
    timeouts: crate::catalog::settings::Timeouts,
}

impl Pump<'_> {
    /// True where the body came to its end. A body that broke leaves the caller's connection to be cut, after an
    /// error event where it was a stream of events.
    async fn run(&self, mut body: Body, exchange: &mut impl Exchange) -> Result<bool, Interrupt> {
        let mut decoder = Decoder::new(MAX_FRAME);
        let silence = self.timeouts.between_tokens;
        loop {
            let piece = tokio::select! {
                interrupt = exchange.interrupted() => return Err(interrupt),
                piece = timeout(silence, body.next()) => piece,
            };
            let bytes = match piece {
                Ok(None) => {
                    let ended = exchange.finish().await;
                    return ended.map(|()| true).map_err(|_| Interrupt::CallerGone);
                }
                Ok(Some(Ok(bytes))) => bytes,
                Ok(Some(Err(_))) | Err(_) => return self.broke(exchange).await,
            };
            let out = if self.events { self.rename(&mut decoder, &bytes) } else { Some(bytes) };
            let Some(out) = out else { return self.broke(exchange).await };
            exchange.write(out).await.map_err(|_| Interrupt::CallerGone)?;
        }
    }

    fn rename(&self, decoder: &mut Decoder, bytes: &[u8]) -> Option<Bytes> {
        decoder.push(bytes);
        let mut out = BytesMut::new();
        while let Some(frame) = decoder.next().ok()? {
            let data = frame.data.as_ref();
            match data.and_then(|data| answer::replace_model(data, self.model).ok()) {
                Some(data) => {
                    out.extend_from_slice(b"data: ");
                    out.extend_from_slice(&data);
                    out.extend_from_slice(b"\n\n");
                }
                None => out.extend_from_slice(&frame.raw),
            }
        }
        Some(out.freeze())
    }

    async fn broke(&self, exchange: &mut impl Exchange) -> Result<bool, Interrupt> {
        if self.events {
            let message = "the answer broke off before it was complete".to_owned();
            let problem = error::Problem { status: 502, code: "upstream_error", message };
            let event = error::in_stream(Dialect::Chat, &problem, 0);
            exchange.write(event).await.map_err(|_| Interrupt::CallerGone)?;
            exchange.finish().await.map_err(|_| Interrupt::CallerGone)?;
        }
        Ok(false)
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
