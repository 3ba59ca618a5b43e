//! A generative router behind any OpenAI-compatible engine.
//!
//! It is asked as it was trained to be asked (`prompt`), and its answer is read strictly: a known name or nothing. The
//! request goes out by the upstream client, under its egress rule and with the credential of that provider alone. The
//! conversation goes there and nowhere else. A breaker keeps a dead engine from costing every request its timeout.

mod prompt;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use moka::sync::Cache;
use parking_lot::Mutex;

use crate::{
    catalog::{
        model::Target,
        provider::Provider,
        router::Router,
        settings::{ChatClassifier, ChatFormat},
    },
    classifier::ClassifierFault,
    classify::{Classifier, Unclassified, Verdict, label},
    conversation::Conversation,
    dialect::{Dialect, json},
    ids::{ModelId, TargetId},
    resilience::breaker::{Breaker, Outcome, Pass},
    telemetry::clock,
    upstream::{Call, Upstream},
};

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// The most verdicts that are kept.
const MAX_VERDICTS: u64 = 4_096;
/// A name is either given or not, so every threshold up to 1 does the same.
const THRESHOLD: f64 = 0.5;

/// A generative router.
pub struct Chat {
    target: Target,
    format: ChatFormat,
    timeout: Duration,
    upstream: Upstream,
    breaker: Mutex<Breaker>,
    /// The names that were chosen, by the exact request.
    verdicts: Cache<Bytes, Option<usize>>,
}

impl Chat {
    /// The generative router of `settings` behind `provider`, for a process that listens on `listen`.
    pub fn new(
        settings: &ChatClassifier,
        provider: &Arc<Provider>,
        listen: SocketAddr,
    ) -> Result<Self, ClassifierFault> {
        let fault =
            |text: String| ClassifierFault::Provider { id: settings.provider.clone(), text };
        if is_ours(provider, listen) {
            return Err(fault("is this proxy: the classifier would ask itself".to_owned()));
        }
        let upstream = Upstream::new();
        upstream.prepare(provider).map_err(|error| fault(error.to_string()))?;
        let model = ModelId::parse(&settings.model).map_err(|error| fault(error.to_string()))?;
        Ok(Self {
            target: Target {
                id: TargetId::new(&model, &provider.id, &settings.model),
                model,
                provider: Arc::clone(provider),
                upstream_id: settings.model.as_str().into(),
            },
            format: settings.format,
            timeout: settings.timeout,
            upstream,
            breaker: Mutex::new(Breaker::new(clock::now())),
            verdicts: Cache::new(MAX_VERDICTS),
        })
    }

    async fn chosen(
        &self,
        conversation: &Conversation,
        router: &Router,
        until: Option<Instant>,
    ) -> Result<Option<usize>, Unclassified> {
        let body = Bytes::from(self.request(conversation, router));
        if let Some(chosen) = self.verdicts.get(&body) {
            return Ok(chosen);
        }
        let admitted = Admitted::by(&self.breaker)?;
        let answer = ask(&self.upstream, &self.target, body.clone(), until);
        let content = admitted.settle(answer.await)?;
        let names: Vec<&str> =
            router.policies.iter().map(|policy| policy.task.name.as_str()).collect();
        let chosen = label::read(&content, self.format, &names)
            .map_err(|error| Unclassified::Malformed(error.to_string()))?;
        if is_whole(conversation) {
            self.verdicts.insert(body, chosen);
        }
        Ok(chosen)
    }

    /// A chat completion of one user turn, as the published examples have it.
    fn request(&self, conversation: &Conversation, router: &Router) -> String {
        let prompt = match self.format {
            ChatFormat::ArchRouter => prompt::arch_router(conversation, router),
            ChatFormat::PlanoOrchestrator => prompt::plano_orchestrator(conversation, router),
        };
        format!(
            r#"{{"model":{},"messages":[{{"role":"user","content":{}}}],"temperature":0,"max_tokens":128,"stream":false}}"#,
            json::quote(&self.target.upstream_id),
            json::quote(&prompt),
        )
    }
}

#[async_trait]
impl Classifier for Chat {
    async fn classify(
        &self,
        conversation: &Conversation,
        router: &Arc<Router>,
        deadline: Option<Duration>,
    ) -> Result<Verdict, Unclassified> {
        let until = clock::now().checked_add(deadline.unwrap_or(self.timeout));
        let chosen = self.chosen(conversation, router, until).await?;
        let probabilities: Vec<f64> = (0..router.policies.len())
            .map(|index| if chosen == Some(index) { 1.0 } else { 0.0 })
            .collect();
        Ok(Verdict {
            probabilities,
            none: if chosen.is_none() { 1.0 } else { 0.0 },
            threshold: THRESHOLD,
            truncated: !is_whole(conversation),
        })
    }

    async fn prepare(&self, _: &[Arc<Router>]) -> Result<(), Unclassified> {
        Ok(())
    }

    fn threshold(&self) -> f64 {
        THRESHOLD
    }
}

/// Asks and gives the text of the answer.
async fn ask(
    upstream: &Upstream,
    target: &Target,
    body: Bytes,
    until: Option<Instant>,
) -> Result<String, Unclassified> {
    let asking = Box::pin(exchange(upstream, target, body));
    match until {
        Some(until) => {
            tokio::time::timeout_at(until.into(), asking).await.unwrap_or(Err(Unclassified::Late))
        }
        None => asking.await,
    }
}

async fn exchange(
    upstream: &Upstream,
    target: &Target,
    body: Bytes,
) -> Result<String, Unclassified> {
    let down = |text: String| Unclassified::Down(text);
    let call = Call {
        target,
        path: Dialect::Chat.path(),
        body,
        streamed: false,
        caller_headers: &HeaderMap::new(),
        passthrough: None,
        // The deadline around all of this is shorter.
        connect_timeout: Duration::from_hours(24),
    };
    let response = upstream.send(call).await.map_err(|error| down(error.to_string()))?;
    let status = response.status();
    if !status.is_success() {
        return Err(down(format!("status {}", status.as_u16())));
    }
    let mut body = response.into_body();
    let mut whole = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| down(error.to_string()))?;
        if whole.len().saturating_add(piece.len()) > MAX_ANSWER {
            return Err(Unclassified::Malformed(format!("longer than {MAX_ANSWER} bytes")));
        }
        whole.extend_from_slice(&piece);
    }
    content(&whole).ok_or_else(|| Unclassified::Malformed("not a chat completion".to_owned()))
}

/// The text of the first choice of a chat completion.
fn content(body: &[u8]) -> Option<String> {
    let node = json::parse(body).ok()?;
    let choice = node.member("choices")?.as_array()?.first()?;
    Some(choice.member("message")?.member("content")?.as_str()?.to_owned())
}

fn is_whole(conversation: &Conversation) -> bool {
    conversation.complete && conversation.turns.iter().all(|turn| turn.whole)
}

/// Whether the provider's address is the one that this process listens on.
fn is_ours(provider: &Provider, listen: SocketAddr) -> bool {
    if provider.base_url.port_or_known_default() != Some(listen.port()) {
        return false;
    }
    let host: Option<IpAddr> = match provider.base_url.host() {
        Some(url::Host::Ipv4(ip)) => Some(ip.into()),
        Some(url::Host::Ipv6(ip)) => Some(ip.into()),
        Some(url::Host::Domain("localhost")) => Some(IpAddr::from([127, 0, 0, 1])),
        Some(url::Host::Domain(_)) | None => None,
    };
    host.is_some_and(|host| {
        host == listen.ip()
            || (host.is_loopback() && (listen.ip().is_unspecified() || listen.ip().is_loopback()))
    })
}

/// A question that the breaker let through. Given back unsettled when whoever asked has left.
struct Admitted<'a> {
    breaker: &'a Mutex<Breaker>,
    pass: Option<Pass>,
}

impl<'a> Admitted<'a> {
    fn by(breaker: &'a Mutex<Breaker>) -> Result<Self, Unclassified> {
        let pass = breaker.lock().admit(clock::now());
        match pass {
            Some(pass) => Ok(Self { breaker, pass: Some(pass) }),
            None => Err(Unclassified::Down("its breaker is open".to_owned())),
        }
    }

    fn settle<T>(mut self, answer: Result<T, Unclassified>) -> Result<T, Unclassified> {
        let outcome = if answer.is_ok() { Outcome::Success } else { Outcome::Failure };
        if let Some(pass) = self.pass.take() {
            self.breaker.lock().settle(pass, outcome, clock::now());
        }
        answer
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.breaker.lock().release(pass);
        }
    }
}

#[cfg(test)]
mod tests;
