//! The playground's requests: served by the engine exactly as a caller's on the data plane, answers, headers and
//! errors alike, but under a path of the admin listener.
//!
//! The playground is a caller of its own. It needs no key of the data plane, its sessions meet no other caller's, and
//! nothing of the request's head goes on but what names it: above all not the admin key, which a provider with
//! `auth: passthrough` would otherwise be sent.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};

use crate::{
    bounded::memory::Room,
    engine::exchange::{BodyFault, BodyLimits, Exchange, Gone, Head, Interrupt, Source},
    http::header,
    server::session::Session,
};

/// A request of the playground, as the engine sees it.
pub struct Played<'a> {
    session: &'a mut Session,
    path: &'static str,
    headers: HeaderMap,
}

/// Where on the data plane the request at `path` belongs; `None` where it is none of the playground's.
pub fn place(path: &str) -> Option<&'static str> {
    match path {
        "/api/chat" => Some("/v1/chat/completions"),
        "/api/route" => Some("/routing/v1/chat/completions"),
        _ => None,
    }
}

impl<'a> Played<'a> {
    /// The request of `session` as one at `path` of the data plane.
    pub fn new(session: &'a mut Session, path: &'static str) -> Self {
        let sent = session.head().headers;
        let mut headers = HeaderMap::new();
        for name in [CONTENT_TYPE, CONTENT_ENCODING, header::REQUEST_ID, header::AFFINITY] {
            for value in sent.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        Self { session, path, headers }
    }
}

impl Exchange for Played<'_> {
    fn head(&self) -> Head<'_> {
        Head { method: self.session.head().method, path: self.path, headers: &self.headers }
    }

    fn source(&self) -> Source {
        Source::Playground
    }

    async fn body(&mut self, limits: BodyLimits) -> Result<Bytes, BodyFault> {
        self.session.body(limits).await
    }

    fn room(&self) -> Room {
        self.session.room()
    }

    async fn interrupted(&mut self) -> Interrupt {
        self.session.interrupted().await
    }

    async fn start(
        &mut self,
        status: StatusCode,
        mut headers: HeaderMap,
        length: Option<usize>,
    ) -> Result<(), Gone> {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        self.session.start(status, headers, length).await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Gone> {
        self.session.write(bytes).await
    }

    async fn finish(&mut self) -> Result<(), Gone> {
        self.session.finish().await
    }

    fn started(&self) -> bool {
        self.session.started()
    }
}
