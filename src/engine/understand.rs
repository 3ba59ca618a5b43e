//! What the request is about: the pin or the tool loop that it goes on with, else the classifier's verdict.
//!
//! Nothing here can fail a request. A classifier that is late, down or absent leaves the reading `Unclassified`, and
//! the request goes to the fallbacks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    affinity::{Key, Pin},
    catalog::router::Router,
    classify::Unclassified,
    conversation::{self, fingerprint},
    dialect::ir,
    engine::{
        Engine, World,
        admit::Admitted,
        exchange::{Exchange, Interrupt},
    },
    ids::ModelId,
    route::Reading,
    telemetry::clock,
};

/// What was found out about a routed request.
pub(super) struct Understood {
    /// What is known of its task.
    pub reading: Reading,
    /// Under which key this conversation is remembered.
    pub key: Key,
    /// How it began; the same as `key` where its caller names no session.
    pub beginning: Key,
    /// The past of this conversation, where it is known.
    pub past: Option<Pin>,
    /// How long the classifier took, where it was asked.
    pub classify: Option<Duration>,
}

/// Reads a routed request.
pub(super) async fn understand(
    (engine, world): (&Engine, &World),
    router: &Arc<Router>,
    request: &ir::Request<'_>,
    admitted: &Admitted,
    exchange: &mut impl Exchange,
) -> Result<Understood, Interrupt> {
    let (key, beginning) = keys(engine, router, request, admitted);
    let past = engine.pins.find(&key).filter(|pin| router.names(&pin.model));
    let known = |pin: &Pin| (pin.task.clone(), pin.model.clone());
    let (reading, classify) = match &past {
        Some(pin) if conversation::continues(request) => {
            let (task, model) = known(pin);
            (Reading::Continued { task, model }, None)
        }
        Some(pin) if admitted.session.is_some() => {
            let (task, model) = known(pin);
            (Reading::Pinned { task, model }, None)
        }
        Some(_) | None => {
            let began = clock::now();
            let reading = classify((engine, world), router, request, exchange).await?;
            (reading, Some(since(began)))
        }
    };
    Ok(Understood { reading, key, beginning, past, classify })
}

/// What is known of a request that goes on from a response which only `model` has: it is not classified.
pub(super) fn bound(
    engine: &Engine,
    router: &Router,
    request: &ir::Request<'_>,
    admitted: &Admitted,
    model: ModelId,
) -> Understood {
    let (key, beginning) = keys(engine, router, request, admitted);
    let past = engine.pins.find(&key).filter(|pin| pin.model == model);
    let task = past.as_ref().and_then(|pin| pin.task.clone());
    Understood { reading: Reading::Continued { task, model }, key, beginning, past, classify: None }
}

/// Under which key a conversation is remembered (the session that its caller names, else how it began), and how it
/// began.
fn keys(
    engine: &Engine,
    router: &Router,
    request: &ir::Request<'_>,
    admitted: &Admitted,
) -> (Key, Key) {
    let caller = admitted.caller.key_name();
    let beginning = engine.pins.fingerprint(&fingerprint::of(caller, &router.name, request));
    match &admitted.session {
        Some(session) => (engine.pins.session(caller, &router.name, session), beginning),
        None => (beginning, beginning),
    }
}

async fn classify(
    (engine, world): (&Engine, &World),
    router: &Arc<Router>,
    request: &ir::Request<'_>,
    exchange: &mut impl Exchange,
) -> Result<Reading, Interrupt> {
    let conversation = conversation::read(request);
    if conversation.is_empty() {
        return Ok(Reading::NoText);
    }
    let (Some(classifier), Some(settings)) =
        (&world.classifier, &world.catalog.settings.classifier)
    else {
        return Ok(Reading::Unclassified);
    };
    let began = clock::now();
    let verdict = tokio::select! {
        interrupt = exchange.interrupted() => return Err(interrupt),
        verdict = classifier.classify(&conversation, router, Some(settings.timeout())) => verdict,
    };
    engine.metrics.classified(since(began));
    Ok(match verdict {
        Ok(verdict) => Reading::Verdict(verdict),
        Err(fault) => {
            log_unclassified(&fault);
            Reading::Unclassified
        }
    })
}

fn log_unclassified(fault: &Unclassified) {
    tracing::debug!(%fault, "unclassified");
}

fn since(began: Instant) -> Duration {
    clock::now().saturating_duration_since(began)
}
