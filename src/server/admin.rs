//! The admin listener: health, readiness, metrics, the pages and the API behind them; never on the data plane.
//!
//! Every request passes the guard first. Health and pages ask for nothing more; the API reads a bounded body and
//! answers with one document, and what streams (a playground's answer, live events) takes the session itself.

pub mod answer;
pub mod catalog;
pub mod chat;
pub mod events;
pub mod figure;
pub mod guard;
pub mod overview;
pub mod pages;
pub mod prices;
pub mod requests;
pub mod routers;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::{
    dialect::{
        Dialect,
        error::{self, Problem},
    },
    engine::{
        Engine,
        exchange::{BodyLimits, Exchange as _, Head},
    },
    server::{
        admin::{answer::Answer, chat::Played, events::Streams, guard::Visit, routers::Routers},
        connection::Site,
        drain::Drain,
        reload::Reload,
        session::Session,
    },
};

/// The most connections to the admin listener.
const CONNECTIONS: usize = 256;

/// The largest body of a request to the API.
const API_BODY: BodyLimits = BodyLimits { bytes: 1 << 20, within: Duration::from_secs(30) };

const GET: &str = "GET, HEAD";

/// What the listener answers, told for programs; a test holds it to what is served.
const OPENAPI: &str = include_str!("admin/openapi.json");

/// What the admin listener answers with.
pub struct Admin {
    engine: Arc<Engine>,
    reload: Arc<Reload>,
    drain: Arc<Drain>,
    routers: Routers,
    about: About,
    streams: Streams,
}

/// What the admin listener knows of the process.
pub struct About {
    /// Whether the listener can be reached from this machine only.
    pub loopback: bool,
    /// Base URL of the data plane.
    pub data_plane: String,
    /// Whether the providers are simulated ones of `pointsman demo`.
    pub simulated: bool,
}

/// One request to the API, which the guard has let through.
pub struct Request<'a> {
    /// The method; HEAD is GET here, and its body is left out later.
    pub method: &'a Method,
    /// The path, without the query.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: &'a str,
    /// All header fields.
    pub headers: &'a HeaderMap,
    /// The whole body; JSON where there is any.
    pub body: Bytes,
}

impl Request<'_> {
    /// The first value of this name in the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.query, name)
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

impl Admin {
    /// The admin side of what `reload` serves.
    pub fn new(reload: Arc<Reload>, drain: Arc<Drain>, about: About) -> Self {
        let engine = Arc::clone(&reload.engine);
        let routers = Routers::new(Arc::clone(&reload));
        Self { engine, reload, drain, routers, about, streams: Streams::default() }
    }

    fn refuse(&self, session: &Session) -> Option<Answer> {
        let Head { method, path, headers } = session.head();
        let visit = Visit { method, path, headers, authority: session.authority() };
        guard::refuse(&visit, self.engine.admin_key().as_ref(), self.about.loopback)
    }

    /// Everything that is one document: a page of the API, whose body is read here.
    async fn whole(&self, session: &mut Session) -> Option<Answer> {
        let body = match session.body(API_BODY).await {
            Ok(body) => body,
            Err(fault) => return answer::of_body(fault, API_BODY.bytes),
        };
        let Head { method, path, headers } = session.head();
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        if Routers::may_be_given_up(path) {
            let (method, path, headers) = (method.clone(), path.to_owned(), headers.clone());
            let (method, path, headers) = (&method, path.as_str(), &headers);
            let request = Request { method, path, query: "", headers, body };
            // Whoever types sends one draft after the other and waits for the last one only.
            return tokio::select! {
                answer = self.api(&request) => Some(answer),
                _ = session.interrupted() => None,
            };
        }
        let query = session.query().unwrap_or_default();
        let request = Request { method, path, query, headers, body };
        Some(self.api(&request).await)
    }

    /// The API's documents. Each part answers for its own paths, and says which methods they take.
    async fn api(&self, request: &Request<'_>) -> Answer {
        let reads = *request.method == Method::GET;
        match request.path {
            "/api/catalog" if reads => catalog::show(&self.reload, &self.about),
            "/api/overview" if reads => {
                let compare = request.parameter("compare");
                let draining = self.drain.is_draining();
                Answer::json(&overview::of(&self.engine, draining, compare.as_deref()))
            }
            "/api/requests" if reads => requests::list(&self.engine, request),
            "/api/catalog" | "/api/overview" | "/api/requests" => Answer::method(GET),
            "/api/pins" if *request.method == Method::DELETE => self.forget(request),
            "/api/pins" => Answer::method("DELETE"),
            path => match path.strip_prefix("/api/requests/") {
                Some(id) if reads => requests::one(&self.engine, id),
                Some(_) => Answer::method(GET),
                None => self.routers.serve(request).await.unwrap_or_else(Answer::not_found),
            },
        }
    }

    /// Drops the playground's pin of a session.
    fn forget(&self, request: &Request<'_>) -> Answer {
        let named = request.parameter("router").zip(request.parameter("session"));
        let Some((router, session)) = named else {
            let message = "the query must name a router and a session";
            return Answer::error(StatusCode::BAD_REQUEST, "invalid_request", message);
        };
        if self.engine.forget_played(&router, &session) {
            return Answer::empty(StatusCode::NO_CONTENT);
        }
        let message = "the playground has no such session at this router";
        Answer::error(StatusCode::NOT_FOUND, "no_session", message)
    }

    /// Serves the playground's request as the data plane would at `place`; the drain waits for it.
    async fn play(&self, session: &mut Session, place: &'static str) -> Option<Answer> {
        if *session.head().method != Method::POST {
            return Some(Answer::method("POST"));
        }
        let _open = self.drain.enter();
        if self.drain.is_draining() {
            let message = "the proxy is shutting down";
            return Some(Answer::error(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message));
        }
        self.engine.serve(&mut Played::new(session, place)).await;
        None
    }

    /// Tells what changes for as long as somebody listens.
    async fn tell(&self, session: &mut Session) -> Option<Answer> {
        if *session.head().method != Method::GET {
            return Some(Answer::method("GET"));
        }
        let Some(open) = self.streams.enter() else {
            let message = "as many streams are open as may be";
            return Some(Answer::error(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message));
        };
        let compare = parameter(session.query().unwrap_or_default(), "compare");
        let (engine, drain) = (&self.engine, &self.drain);
        events::follow(session, engine, drain, compare.as_deref(), open).await;
        None
    }

    /// Everything that is neither API nor stream.
    fn page(&self, head: Head<'_>) -> Answer {
        let reads = matches!(*head.method, Method::GET | Method::HEAD);
        let answer = match head.path {
            "/healthz" => Answer::text(StatusCode::OK, "alive\n"),
            "/readyz" if self.drain.is_draining() => {
                Answer::text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            "/readyz" => Answer::text(StatusCode::OK, "ready\n"),
            "/metrics" => {
                let text = self.engine.render_metrics();
                Answer::new(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
            }
            "/openapi.json" => Answer::new(StatusCode::OK, "application/json", OPENAPI),
            path => match pages::find(path, head.headers) {
                Some(page) => page,
                None => return Answer::text(StatusCode::NOT_FOUND, "not found\n"),
            },
        };
        if reads { answer } else { Answer::method(GET) }
    }
}

impl Site for Admin {
    async fn serve(&self, session: &mut Session) {
        if let Some(refusal) = self.refuse(session) {
            return refusal.send(session).await;
        }
        let path = session.head().path;
        let answer = if let Some(place) = chat::place(path) {
            Box::pin(self.play(session, place)).await
        } else if path == "/api/events" {
            Box::pin(self.tell(session)).await
        } else if guard::is_api(path) {
            self.whole(session).await
        } else {
            Some(self.page(session.head()))
        };
        if let Some(answer) = answer {
            answer.send(session).await;
        }
    }

    fn connection_limit(&self) -> usize {
        CONNECTIONS
    }

    /// Two of the largest bodies that the data plane takes: the playground sends the same to both of its columns.
    fn memory_limit(&self) -> u64 {
        self.engine.max_body().max(API_BODY.bytes).saturating_mul(2)
    }

    fn outlives_drain(&self) -> bool {
        true
    }

    fn refused(&self, _head: Option<Head<'_>>, problem: &Problem) -> (HeaderMap, Bytes) {
        (HeaderMap::new(), error::render(Dialect::Chat, problem))
    }

    fn panicked(&self) {
        self.engine.note_panic();
    }
}
