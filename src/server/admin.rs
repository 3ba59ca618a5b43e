//! The admin listener: health, readiness and metrics; never on the data plane.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST},
};

use crate::{
    access,
    dialect::{
        Dialect,
        error::{self, Problem},
    },
    engine::{
        Engine,
        exchange::{Exchange, Head},
    },
    server::{connection::Site, drain::Drain, session::Session},
};

/// The most connections to the admin listener.
const CONNECTIONS: usize = 256;

/// What the admin listener answers with.
pub struct Admin {
    engine: Arc<Engine>,
    drain: Arc<Drain>,
    /// Whether the listener can be reached from this machine only.
    loopback: bool,
}

struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    allow: bool,
}

impl Answer {
    fn text(status: StatusCode, body: &'static str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: Bytes::from_static(body.as_bytes()),
            allow: false,
        }
    }
}

impl Admin {
    /// The admin side of `engine`, reached at `address`.
    pub fn new(engine: Arc<Engine>, drain: Arc<Drain>, address: IpAddr) -> Self {
        Self { engine, drain, loopback: address.is_loopback() }
    }

    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Answer {
        if let Some(refusal) = self.refuse(path, headers) {
            return refusal;
        }
        let known = matches!(path, "/healthz" | "/readyz" | "/metrics");
        if known && !matches!(*method, Method::GET | Method::HEAD) {
            let mut answer = Answer::text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
            answer.allow = true;
            return answer;
        }
        match path {
            "/healthz" => Answer::text(StatusCode::OK, "alive\n"),
            "/readyz" if self.drain.is_draining() => {
                Answer::text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            }
            "/readyz" => Answer::text(StatusCode::OK, "ready\n"),
            "/metrics" => Answer {
                status: StatusCode::OK,
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                body: Bytes::from(self.engine.render_metrics()),
                allow: false,
            },
            _ => Answer::text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    /// Health never asks for a key. Everything else asks for one where it is set; without one the listener is on
    /// loopback, and a page that was pointed here by a foreign name must not read it (DNS rebinding).
    fn refuse(&self, path: &str, headers: &HeaderMap) -> Option<Answer> {
        if self.loopback && self.engine.admin_key().is_none() && !host_is_local(headers) {
            return Some(Answer::text(StatusCode::FORBIDDEN, "this Host is not served here\n"));
        }
        if matches!(path, "/healthz" | "/readyz") {
            return None;
        }
        if access::may_administer(self.engine.admin_key().as_ref(), headers) {
            return None;
        }
        Some(Answer::text(StatusCode::UNAUTHORIZED, "a valid admin key is required\n"))
    }
}

impl Site for Admin {
    async fn serve(&self, session: &mut Session) {
        let head = session.head();
        let answer = self.answer(head.method, head.path, head.headers);
        let body = if *head.method == Method::HEAD { Bytes::new() } else { answer.body };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if answer.allow {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if session.start(answer.status, headers, Some(body.len())).await.is_ok()
            && session.write(body).await.is_ok()
        {
            let _ = session.finish().await;
        }
    }

    fn connection_limit(&self) -> usize {
        CONNECTIONS
    }

    fn memory_limit(&self) -> u64 {
        0
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

/// Whether the caller believes to talk to this machine.
fn host_is_local(headers: &HeaderMap) -> bool {
    // HTTP/2 callers may send the name as authority alone, and no browser does so in clear text.
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        host_is_local(&headers)
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        for name in ["localhost", "localhost:8081", "127.0.0.1:8081", "[::1]:8081", "127.0.0.5"] {
            assert!(local(name), "{name}");
        }
        for name in ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "10.0.0.1"] {
            assert!(!local(name), "{name}");
        }
    }
}
