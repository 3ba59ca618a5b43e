//! The data plane as a site: every request goes to the engine.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use crate::{
    dialect::error::Problem,
    engine::{Engine, exchange::Head},
    server::{connection::Site, session::Session},
};

/// What answers callers.
pub struct DataPlane {
    engine: Arc<Engine>,
}

impl DataPlane {
    /// The data plane of `engine`.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

impl Site for DataPlane {
    async fn serve(&self, session: &mut Session) {
        self.engine.serve(session).await;
    }

    fn connection_limit(&self) -> usize {
        self.engine.limits().connections
    }

    fn memory_limit(&self) -> u64 {
        self.engine.limits().memory
    }

    fn outlives_drain(&self) -> bool {
        false
    }

    fn refused(&self, head: Option<Head<'_>>, problem: &Problem) -> (HeaderMap, Bytes) {
        self.engine.note_refused(head, problem)
    }

    fn panicked(&self) {
        self.engine.note_panic();
    }
}
