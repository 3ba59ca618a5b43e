//! Simulated providers on loopback: what `pointsman demo` and `pointsman simulate` start, and what benches and tests
//! put behind the proxy.
//!
//! A simulated provider speaks the real wire formats of its API (whole answers and event streams, tools, usage, error
//! shapes), at a pace that is part of its description, and says in every answer that it is simulated. It is
//! deterministic: the same question gets the same answer at the same pace. Faults can be set at the start and, at
//! `POST /_simulator/{model}`, while it runs; `GET /_simulator` tells what was asked of it.
//!
//! Nothing in the proxy knows of this module, and it knows nothing of the engine: it would be as useful in front of
//! another proxy. Each provider has a thread and a runtime of its own, so that it can be started from anywhere.

mod answer;
mod ask;
mod chat;
mod conduct;
mod control;
mod demo;
mod error;
pub mod fault;
pub mod journal;
mod messages;
mod other;
mod pace;
mod responses;
mod schema;
mod serve;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

pub use self::demo::{demo, demo_config, for_catalog};
use crate::{
    catalog::provider::Api,
    simulator::{fault::Order, journal::Report, serve::State},
};

/// A simulated provider, before it is started.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name, told in every answer.
    pub name: String,
    /// The API that it speaks; paths of another API are 404.
    pub api: Api,
    /// The key that it expects under `Authorization: Bearer`, `x-api-key` or `api-key`; absent: any, or none.
    pub key: Option<String>,
    /// The models that it serves.
    pub models: Vec<Model>,
}

/// A model of a simulated provider.
#[derive(Debug, Clone)]
pub struct Model {
    /// What requests call it.
    pub id: String,
    /// From the request to the first token.
    pub first_token: Duration,
    /// Tokens a second after the first; 0 is as fast as they can be written.
    pub tokens_per_second: f64,
    /// About how many tokens an answer has; 0 is the announcement alone.
    pub answer_tokens: usize,
    /// A longer prompt is refused as too long.
    pub context_window: Option<u64>,
    /// What goes wrong from the start.
    pub fault: Option<Order>,
}

impl Model {
    /// A model that answers at once, in few words: for benches and tests.
    pub fn instant(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            first_token: Duration::ZERO,
            tokens_per_second: 0.0,
            answer_tokens: 0,
            context_window: None,
            fault: None,
        }
    }
}

/// A simulated provider that runs, until this is dropped.
pub struct Running {
    name: String,
    api: Api,
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Starts `provider` on `listener`; it answers when this returns.
pub fn start(listener: TcpListener, provider: Provider) -> io::Result<Running> {
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let (name, api) = (provider.name.clone(), provider.api);
    let state = Arc::new(State::new(provider));
    let (stop, stopped) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = Arc::clone(&state);
    let thread = thread::Builder::new().name(format!("simulator-{name}")).spawn(move || {
        // A listener that cannot be registered has nothing to serve; `start` has checked all that can be checked.
        let _ended = runtime.block_on(serve::accept(listener, served, stopped));
    })?;
    Ok(Running { name, api, address, state, stop: Some(stop), thread: Some(thread) })
}

impl Running {
    /// The provider's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The API that it speaks.
    pub fn api(&self) -> Api {
        self.api
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a `base_url` of the configuration says for it.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Orders a fault for `model`, or for every model with `*`; `None` ends it. False where the model is unknown.
    pub fn order(&self, model: &str, order: Option<Order>) -> bool {
        self.state.faults.order(model, order)
    }

    /// What was asked of it so far.
    pub fn report(&self) -> Report {
        self.state.journal.report()
    }

    /// Waits until it is stopped from elsewhere: for a program that does nothing else.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
