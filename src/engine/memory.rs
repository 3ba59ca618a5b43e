//! A request that comes through no listener: for the command line, and for tests of the engine.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};

use crate::{
    bounded::memory::Room,
    engine::exchange::{BodyFault, BodyLimits, Exchange, Gone, Head, Interrupt, Source},
};

/// A request in memory, and its answer once it was served.
pub struct InMemory {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    source: Source,
    /// The status of the answer; `None` until one was given.
    pub status: Option<StatusCode>,
    /// The head of the answer.
    pub answer_headers: HeaderMap,
    /// The body of the answer.
    pub answer: BytesMut,
    /// Whether the answer came to its end.
    pub finished: bool,
}

impl InMemory {
    /// A JSON request to `path`.
    pub fn post(path: &str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            method: Method::POST,
            path: path.to_owned(),
            headers,
            body: body.into(),
            source: Source::DataPlane,
            status: None,
            answer_headers: HeaderMap::new(),
            answer: BytesMut::new(),
            finished: false,
        }
    }

    /// The same request, asked by the playground.
    #[must_use]
    pub fn of_playground(mut self) -> Self {
        self.source = Source::Playground;
        self
    }
}

impl Exchange for InMemory {
    fn head(&self) -> Head<'_> {
        Head { method: &self.method, path: &self.path, headers: &self.headers }
    }

    fn source(&self) -> Source {
        self.source
    }

    async fn body(&mut self, limits: BodyLimits) -> Result<Bytes, BodyFault> {
        let fits = self.body.len() as u64 <= limits.bytes;
        std::future::ready(if fits { Ok(self.body.clone()) } else { Err(BodyFault::TooLarge) })
            .await
    }

    fn room(&self) -> Room {
        Room::unlimited()
    }

    async fn interrupted(&mut self) -> Interrupt {
        std::future::pending().await
    }

    async fn start(
        &mut self,
        status: StatusCode,
        headers: HeaderMap,
        _length: Option<usize>,
    ) -> Result<(), Gone> {
        self.status = Some(status);
        self.answer_headers = headers;
        std::future::ready(Ok(())).await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Gone> {
        self.answer.extend_from_slice(&bytes);
        std::future::ready(Ok(())).await
    }

    async fn finish(&mut self) -> Result<(), Gone> {
        self.finished = true;
        std::future::ready(Ok(())).await
    }

    fn started(&self) -> bool {
        self.status.is_some()
    }
}
