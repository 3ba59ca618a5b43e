//! The server of one simulated provider: HTTP/1.1 and prior-knowledge HTTP/2 on one listener.

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use memchr::memmem;
use tokio::{net::TcpStream, sync::oneshot, task::JoinSet, time::Instant};

use crate::{
    catalog::provider::Api,
    dialect::Dialect,
    simulator::{
        Model, Provider,
        answer::{
            self, Answer, PromptCache, compose, emptied, filtered, input_tokens, marked, refused,
        },
        ask::Ask,
        chat, conduct, control,
        error::Refusal,
        fault::{Fault, Faults},
        journal::Journal,
        messages,
        other::{self, Plain},
        pace::{self, Broken, Paced, Ready, Watch, Wire},
        responses,
    },
};

const MOST_BODY: usize = 256 << 20;
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A body of an answer.
pub(super) type Payload = Either<Ready, Paced>;

/// What one provider's connections share.
pub(super) struct State {
    pub(super) provider: Provider,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    cache: PromptCache,
}

impl State {
    /// The state at the start.
    pub(super) fn new(provider: Provider) -> Self {
        let slots = provider.models.iter().map(|model| (model.id.clone(), model.fault.clone()));
        let faults = Faults::new(slots);
        Self { provider, faults, journal: Journal::default(), cache: PromptCache::default() }
    }
}

/// Accepts until told to stop; what is open then is dropped.
pub(super) async fn accept(
    listener: TcpListener,
    state: Arc<State>,
    mut stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return Ok(()),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&state)));
                }
                // Out of descriptors, or the peer is gone already: neither is fatal.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

/// Serves one connection; every error of it ends it and nothing else.
async fn connection(stream: TcpStream, state: Arc<State>) {
    let _unset = stream.set_nodelay(true);
    let Ok(http2) = speaks_http2(&stream).await else { return };
    let io = TokioIo::new(stream);
    let service = service_fn(move |request| respond(Arc::clone(&state), request));
    if http2 {
        let _ended = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(io, service)
            .await;
    } else {
        let _ended = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
    }
}

/// Whether the peer begins with the preface of HTTP/2; no method of HTTP/1 begins like it.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    const PREFACE: &[u8; 3] = b"PRI";
    let mut begun = [0_u8; 3];
    loop {
        let read = stream.peek(&mut begun).await?;
        if read == 0 || !PREFACE.starts_with(begun.get(..read).unwrap_or_default()) {
            return Ok(false);
        }
        if read == PREFACE.len() {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What a path and method ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Chat,
    Responses,
    Messages,
    CountTokens,
    Embeddings,
    Completions,
    Images,
    Speech,
}

impl Endpoint {
    /// By the end of the path, since a base URL may put anything before it.
    fn of(path: &str) -> Option<Self> {
        const PATHS: [(&str, Endpoint); 8] = [
            ("/chat/completions", Endpoint::Chat),
            ("/responses", Endpoint::Responses),
            ("/messages", Endpoint::Messages),
            ("/messages/count_tokens", Endpoint::CountTokens),
            ("/embeddings", Endpoint::Embeddings),
            ("/completions", Endpoint::Completions),
            ("/images/generations", Endpoint::Images),
            ("/audio/speech", Endpoint::Speech),
        ];
        PATHS.iter().find(|(end, _)| path.ends_with(end)).map(|(_, endpoint)| *endpoint)
    }

    /// The API whose conversations it takes.
    fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Chat => Some(Dialect::Chat),
            Self::Responses => Some(Dialect::Responses),
            Self::Messages | Self::CountTokens => Some(Dialect::Messages),
            Self::Embeddings | Self::Completions | Self::Images | Self::Speech => None,
        }
    }

    fn belongs_to(self, api: Api) -> bool {
        match api {
            Api::OpenAi => !matches!(self, Self::Messages | Self::CountTokens),
            Api::OpenAiChat => self == Self::Chat,
            Api::Anthropic => matches!(self, Self::Messages | Self::CountTokens),
        }
    }
}

/// One request, on its way to an answer.
struct Exchange {
    state: Arc<State>,
    endpoint: Endpoint,
    body: Bytes,
    number: u64,
    began: Instant,
    watch: Watch,
}

async fn respond(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Payload>, Broken> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MOST_BODY).collect().await else { return Err(Broken) };
    let body = body.to_bytes();
    let path = parts.uri.path().to_owned();
    if let Some(rest) = path.strip_prefix("/_simulator") {
        return Ok(control::respond(&state, &parts.method, rest, &body));
    }
    let api = state.provider.api;
    let (method, authorized) = (parts.method.clone(), authorized(&state.provider, &parts.headers));
    let number = state.journal.enter(parts, &body);
    if !authorized {
        return Ok(refuse(&Refusal::key(api), api, number));
    }
    if method == Method::GET {
        return Ok(list(&state, &path, number));
    }
    let Some(endpoint) = Endpoint::of(&path).filter(|endpoint| endpoint.belongs_to(api)) else {
        return Ok(refuse(&Refusal::path(api, &path), api, number));
    };
    if method != Method::POST {
        return Ok(refuse(&Refusal::new(api, 405, "Method not allowed.", None), api, number));
    }
    let (watch, began) = (Watch::new(Arc::clone(&state)), Instant::now());
    Exchange { state, endpoint, body, number, began, watch }.answer().await
}

fn authorized(provider: &Provider, headers: &HeaderMap) -> bool {
    let Some(key) = &provider.key else { return true };
    let presented = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = presented("authorization").and_then(|value| value.strip_prefix("Bearer "));
    [bearer, presented("x-api-key"), presented("api-key")].contains(&Some(key))
}

fn list(state: &State, path: &str, number: u64) -> Response<Payload> {
    let Provider { api, name, models, .. } = &state.provider;
    if path.ends_with("/models") {
        return json(*api, number, other::models(*api, name, models));
    }
    let asked = path.split_once("/models/").map(|(_, id)| id);
    match asked.and_then(|id| models.iter().find(|model| model.id == id)) {
        Some(model) => json(*api, number, other::described(*api, name, &model.id).to_string()),
        None => refuse(&Refusal::path(*api, path), *api, number),
    }
}

impl Exchange {
    async fn answer(self) -> Result<Response<Payload>, Broken> {
        match self.endpoint {
            Endpoint::Chat | Endpoint::Responses | Endpoint::Messages | Endpoint::CountTokens => {
                match Ask::read(&self.body) {
                    Ok(ask) => self.converse(ask).await,
                    Err(fault) => Ok(self.malformed(&fault)),
                }
            }
            Endpoint::Embeddings | Endpoint::Completions | Endpoint::Images | Endpoint::Speech => {
                match Plain::read(&self.body) {
                    Ok(plain) => self.plain(&plain).await,
                    Err(fault) => Ok(self.malformed(&fault)),
                }
            }
        }
    }

    async fn converse(mut self, ask: Ask) -> Result<Response<Payload>, Broken> {
        let state = Arc::clone(&self.state);
        let Some(model) = state.provider.models.iter().find(|model| model.id == ask.model) else {
            return Ok(self.refuse(&Refusal::model(self.api(), &ask.model)));
        };
        if let Some(refusal) = self.mistake(&ask, model) {
            return Ok(self.refuse(&refusal));
        }
        if self.endpoint == Endpoint::CountTokens {
            return Ok(self.json(other::counted(input_tokens(&ask))));
        }
        let fault = state.faults.strike(&model.id);
        if let Some(fault) = &fault
            && let Some(response) = self.struck(fault, model, &ask).await
        {
            return response;
        }
        let cached = state.cache.read(&model.id, &self.body);
        let answer = compose(&state.provider.name, model, &ask, self.number, cached);
        let answer = match fault {
            Some(Fault::ContentFilter) => filtered(answer),
            Some(Fault::Empty) => emptied(answer),
            Some(Fault::Refusal) => refused(answer),
            _ if memmem::find(&self.body, b"\"cache_control\"").is_some() => marked(answer),
            _ => answer,
        };
        if ask.stream {
            let wire = self.wire(&answer, &ask);
            return Ok(self.streamed(wire, model, fault.as_ref()));
        }
        if whole_breaks(fault.as_ref()) {
            self.watch.delivered();
            return Err(Broken);
        }
        tokio::time::sleep_until(later(
            self.began,
            pace::whole(model, fault.as_ref(), answer.tokens.len()),
        ))
        .await;
        if matches!(fault, Some(Fault::MalformedEvent { .. })) {
            return Ok(self.json("{\"simulated\": \"malformed".to_owned()));
        }
        let body = self.whole(&answer, &ask);
        Ok(self.json(body))
    }

    /// What this API refuses about the request.
    fn mistake(&self, ask: &Ask, model: &Model) -> Option<Refusal> {
        let api = self.api();
        let invalid = |message: &str| Some(Refusal::new(api, 400, message, None));
        if !ask.has_turns() {
            return invalid("messages: Field required");
        }
        if self.endpoint == Endpoint::Messages && !ask.has_max_tokens() {
            return invalid("max_tokens: Field required");
        }
        let provider = &self.state.provider.name;
        if let Some(mistake) = self
            .endpoint
            .dialect()
            .and_then(|dialect| conduct::mistake(dialect, &self.body, &answer::seal(provider)))
        {
            return invalid(&mistake);
        }
        let prefix = answer::response_prefix(&self.state.provider.name);
        if let Some(id) = ask.previous_response_id.as_deref().filter(|id| !id.starts_with(&prefix))
        {
            let message = format!("Previous response with id '{id}' not found.");
            return Some(Refusal::new(api, 400, &message, Some("previous_response_not_found")));
        }
        let tokens = input_tokens(ask);
        let window = model.context_window.filter(|window| tokens > *window)?;
        Some(Refusal::too_long(api, tokens, window))
    }

    /// The whole effect of a fault that leaves no answer to be made.
    async fn struck(
        &mut self,
        fault: &Fault,
        model: &Model,
        ask: &Ask,
    ) -> Option<Result<Response<Payload>, Broken>> {
        match fault {
            Fault::Status { status, retry_after, message } => {
                let message = message.as_deref().unwrap_or("The simulator was ordered to fail.");
                let mut refusal = Refusal::new(self.api(), *status, message, None);
                refusal.retry_after = retry_after.as_ref().map(ToString::to_string);
                Some(Ok(self.refuse(&refusal)))
            }
            Fault::Refuse => {
                self.watch.delivered();
                Some(Err(Broken))
            }
            Fault::Silence => std::future::pending().await,
            Fault::Html => Some(Ok(self.page())),
            Fault::TooLong => {
                let tokens = input_tokens(ask);
                let window = model.context_window.unwrap_or(tokens.saturating_sub(1));
                Some(Ok(self.refuse(&Refusal::too_long(self.api(), tokens, window))))
            }
            Fault::StallAfterTokens { .. } if !ask.stream => std::future::pending().await,
            Fault::None
            | Fault::SlowFirstToken { .. }
            | Fault::CutAfterTokens { .. }
            | Fault::EndAfterTokens { .. }
            | Fault::StallAfterTokens { .. }
            | Fault::MalformedEvent { .. }
            | Fault::ErrorEvent { .. }
            | Fault::NoDone
            | Fault::Empty
            | Fault::ContentFilter
            | Fault::Refusal => None,
        }
    }

    async fn plain(mut self, plain: &Plain) -> Result<Response<Payload>, Broken> {
        let state = Arc::clone(&self.state);
        let Some(model) = state.provider.models.iter().find(|model| model.id == plain.model) else {
            return Ok(self.refuse(&Refusal::model(self.api(), &plain.model)));
        };
        let fault = state.faults.strike(&model.id);
        if let Some(fault) = &fault
            && let Some(response) = self.struck(fault, model, &Ask::default()).await
        {
            return response;
        }
        if self.endpoint == Endpoint::Completions && plain.stream {
            let wire = other::completing(plain, self.number);
            return Ok(self.streamed(wire, model, fault.as_ref()));
        }
        tokio::time::sleep_until(later(self.began, pace::whole(model, fault.as_ref(), 0))).await;
        match self.endpoint {
            Endpoint::Speech => {
                let mut response =
                    response(StatusCode::OK, self.api(), self.number, other::speech());
                set(&mut response, header::CONTENT_TYPE, "audio/wav");
                self.watch.delivered();
                Ok(response)
            }
            Endpoint::Images => Ok(self.json(other::image())),
            Endpoint::Embeddings => Ok(self.json(other::embeddings(plain))),
            Endpoint::Completions
            | Endpoint::Chat
            | Endpoint::Responses
            | Endpoint::Messages
            | Endpoint::CountTokens => Ok(self.json(other::completed(plain, self.number))),
        }
    }

    fn api(&self) -> Api {
        self.state.provider.api
    }

    fn whole(&self, answer: &Answer, ask: &Ask) -> String {
        match self.endpoint {
            Endpoint::Messages => messages::whole(answer),
            Endpoint::Responses => responses::whole(answer, ask),
            Endpoint::Chat
            | Endpoint::CountTokens
            | Endpoint::Embeddings
            | Endpoint::Completions
            | Endpoint::Images
            | Endpoint::Speech => chat::whole(answer, ask),
        }
    }

    fn wire(&self, answer: &Answer, ask: &Ask) -> Wire {
        match self.endpoint {
            Endpoint::Messages => messages::stream(answer),
            Endpoint::Responses => responses::stream(answer, ask),
            Endpoint::Chat
            | Endpoint::CountTokens
            | Endpoint::Embeddings
            | Endpoint::Completions
            | Endpoint::Images
            | Endpoint::Speech => chat::stream(answer, ask),
        }
    }

    fn streamed(self, wire: Wire, model: &Model, fault: Option<&Fault>) -> Response<Payload> {
        let api = self.api();
        let steps = pace::script(wire, model, fault, answer::hash(&self.body));
        let body = Paced::new(steps, self.began, self.watch);
        let mut response = headed(StatusCode::OK, api, self.number, Either::Right(body));
        set(&mut response, header::CONTENT_TYPE, "text/event-stream; charset=utf-8");
        set(&mut response, header::CACHE_CONTROL, "no-cache");
        response
    }

    fn json(&mut self, body: String) -> Response<Payload> {
        self.watch.delivered();
        json(self.api(), self.number, body)
    }

    fn refuse(&mut self, refusal: &Refusal) -> Response<Payload> {
        self.watch.delivered();
        refuse(refusal, self.api(), self.number)
    }

    fn malformed(mut self, fault: &str) -> Response<Payload> {
        let message = format!("We could not parse the JSON body of your request: {fault}");
        let refusal = Refusal::new(self.api(), 400, &message, None);
        self.refuse(&refusal)
    }

    fn page(&mut self) -> Response<Payload> {
        self.watch.delivered();
        let page = Bytes::from_static(b"<!doctype html><title>simulated</title><p>A web page.</p>");
        let mut response = response(StatusCode::OK, self.api(), self.number, page);
        set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
        response
    }
}

/// Whether a fault of streams breaks an answer that is not streamed.
fn whole_breaks(fault: Option<&Fault>) -> bool {
    matches!(fault, Some(Fault::CutAfterTokens { .. } | Fault::EndAfterTokens { .. }))
}

fn later(began: Instant, after: Duration) -> Instant {
    began.checked_add(after).unwrap_or(began)
}

fn refuse(refusal: &Refusal, api: Api, number: u64) -> Response<Payload> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response(status, api, number, refusal.body.clone().into());
    set(&mut response, header::CONTENT_TYPE, "application/json");
    if let Some(after) = &refusal.retry_after {
        set(&mut response, header::RETRY_AFTER, after);
    }
    response
}

/// An answer in JSON.
pub(super) fn json(api: Api, number: u64, body: String) -> Response<Payload> {
    let mut response = response(StatusCode::OK, api, number, body.into());
    set(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

fn response(status: StatusCode, api: Api, number: u64, body: Bytes) -> Response<Payload> {
    headed(status, api, number, Either::Left(Full::new(body)))
}

fn headed(status: StatusCode, api: Api, number: u64, body: Payload) -> Response<Payload> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let name = match api {
        Api::Anthropic => http::HeaderName::from_static("request-id"),
        Api::OpenAi | Api::OpenAiChat => http::HeaderName::from_static("x-request-id"),
    };
    set(&mut response, name, &format!("req_simulated_{number:08x}"));
    response
}

fn set(response: &mut Response<Payload>, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
