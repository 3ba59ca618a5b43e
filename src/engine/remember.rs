//! What is remembered of an answer, so that the session, a tool loop and a response that goes on from this one find their
//! way back, and the next ranking knows how it went.
//!
//! It is remembered before the caller has the end of the answer: the next request may come at once.

use std::time::Duration;

use crate::{
    affinity::{Key, Left, Pin},
    catalog::model::Target,
    dialect::{Dialect, answer::Outcome},
    engine::{
        attempt::Job,
        trial::{Trial, Verdict},
    },
    money::Usd,
    rank::{
        Cost,
        session::{CACHE_LIFETIME, SessionCache},
    },
    route::Reason,
    telemetry::clock,
};

/// What is known of a conversation from before.
#[derive(Default)]
pub(super) struct Past {
    /// What it is known by; nothing where a model was named.
    pub keys: Option<Keys>,
    /// What it has left in caches.
    pub left: Vec<Left>,
    /// What a provider's cache may hold of its session.
    pub session: Option<SessionCache>,
}

/// What a conversation is known by.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    /// Under which it is remembered.
    pub key: Key,
    /// How it began.
    pub beginning: Key,
}

impl Job<'_> {
    /// `target` has answered whole.
    pub(super) fn answered(&self, target: &Target, trial: &mut Trial<'_>, outcome: &Outcome) {
        trial.learned(outcome);
        trial.end(Verdict::Answered);
        self.remember_issuer(target, outcome);
        self.remember_session(target);
    }

    /// The session and a tool loop stay with the model of `target`.
    fn remember_session(&self, target: &Target) {
        let Some(keys) = self.past.keys else { return };
        let decision = self.decision;
        if decision.reason == Reason::Unclassified {
            return;
        }
        let left = self.left(target, keys.beginning);
        let task = decision.task.as_ref().map(|task| task.name.clone());
        let expected = |model| decision.expected_cost(model).map(Cost::total).unwrap_or_default();
        let (spent, unswitched, last) = match &self.past.session {
            Some(session) => (session.spent, session.unswitched, &session.model),
            None => (Usd::ZERO, Usd::ZERO, &target.model),
        };
        let pin = Pin::new(task, target, left.used)
            .costing(spent.plus(expected(&target.model)), unswitched.plus(expected(last)))
            .leaving(left, &self.past.left);
        self.engine.pins.put(&keys.key, pin);
    }

    /// A response, even one that broke off, can be gone on from only where it was issued.
    pub(super) fn remember_issuer(&self, target: &Target, outcome: &Outcome) {
        if let Some(id) = &outcome.response_id
            && self.request.dialect == Dialect::Responses
        {
            self.engine.pins.issued(self.admitted.caller.key_name(), id, &target.id);
        }
    }

    /// What the answer has left in the cache of `target`.
    fn left(&self, target: &Target, beginning: Key) -> Left {
        let request = self.request;
        let long = request.cache.retention.as_deref() == Some("24h");
        let hour = request.cache_marker().is_some_and(|marker| marker.hour);
        let messages = target.provider.api.dialect_for(request.dialect) == Dialect::Messages;
        let lifetime = match (long || hour, messages) {
            (false, _) => CACHE_LIFETIME,
            (true, true) => Duration::from_hours(1),
            (true, false) => Duration::from_hours(24),
        };
        Left {
            target: target.id.clone(),
            beginning,
            prefix_tokens: self.input_tokens,
            used: clock::now(),
            lifetime,
        }
    }
}
