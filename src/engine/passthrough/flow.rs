//! An answer that passes through as it comes: sound byte for byte, events with `model` replaced.
//!
//! It is complete or visibly broken: events end in an error in the caller's dialect, and sound, which has no words for
//! it, leaves the caller's connection to be cut.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use tokio::time::timeout;

use crate::{
    dialect::{
        Dialect,
        answer::AnswerFault,
        error::{self, Problem},
    },
    engine::{
        exchange::{Exchange, Interrupt},
        passthrough::{events::Events, judge},
        relay::{Broken, Ending, MAX_STREAM, Patience},
    },
    resilience::failure::Failure,
    telemetry::clock,
    upstream::Body,
};

/// The most bytes that are held back while an answer has not begun.
const HELD: usize = 1 << 20;

/// An answer that has begun.
pub(super) struct Flow {
    body: Body,
    /// How it is read, where it is a stream of events.
    pub events: Option<Events>,
    /// What it is, as its head says.
    pub kind: Option<HeaderValue>,
    held: BytesMut,
    received: u64,
    /// How long the answer has been waited for since something of it came.
    silence: Duration,
}

/// What a step came to.
enum Step {
    GoOn,
    Over,
    Broken(Broken, Problem),
    Interrupted(Interrupt),
}

impl Flow {
    /// Waits until the answer has begun: with a byte of sound, or with an event that is no error.
    pub(super) async fn open(
        body: Body,
        kind: Option<HeaderValue>,
        events: Option<Events>,
    ) -> Result<Self, Failure> {
        let (held, silence) = (BytesMut::new(), Duration::ZERO);
        let mut flow = Self { body, events, kind, held, received: 0, silence };
        loop {
            let piece =
                flow.body.next().await.transpose().map_err(|fault| judge::unread(&fault))?;
            let ended = piece.is_none();
            let began = match piece {
                Some(bytes) => flow.take(&bytes),
                None => flow.end(),
            };
            if began {
                return Ok(flow);
            }
            if let Some(fault) = flow.fault() {
                return Err(judge::failure(&fault));
            }
            if ended || flow.is_done() {
                return Err(Failure::empty());
            }
            if flow.held.len() > HELD {
                return Err(Failure::malformed());
            }
        }
    }

    /// Passes the answer on to its end; the head of the answer is sent already.
    pub(super) async fn relay(
        &mut self,
        exchange: &mut impl Exchange,
        patience: Patience,
        mask: &(dyn Fn(&str) -> String + Sync),
    ) -> Ending {
        loop {
            let step = match self.write(exchange).await {
                Ok(()) => self.step(exchange, patience).await,
                Err(interrupt) => Step::Interrupted(interrupt),
            };
            match step {
                Step::GoOn => {}
                Step::Over => {
                    // An SDK closes right after the last event; the answer is complete all the same.
                    let _ = self.write(exchange).await;
                    let _ = exchange.finish().await;
                    return Ending::Complete;
                }
                Step::Broken(broken, mut problem) => {
                    problem.message = mask(&problem.message);
                    return match self.tell(exchange, &problem).await {
                        Ok(()) => Ending::Broken(broken),
                        Err(interrupt) => Ending::Interrupted(interrupt),
                    };
                }
                Step::Interrupted(Interrupt::ShuttingDown) => {
                    let problem = ours(503, "overloaded", "the proxy is shutting down");
                    let _ = self.tell(exchange, &problem).await;
                    return Ending::Interrupted(Interrupt::ShuttingDown);
                }
                Step::Interrupted(Interrupt::CallerGone) => {
                    return Ending::Interrupted(Interrupt::CallerGone);
                }
            }
        }
    }

    /// Waits for the next piece, after all that came before is written.
    async fn step(&mut self, exchange: &mut impl Exchange, patience: Patience) -> Step {
        if let Some(fault) = self.fault() {
            return broken(&fault);
        }
        if self.is_done() {
            return Step::Over;
        }
        let now = clock::now();
        let total = patience.deadline.saturating_duration_since(now);
        let wait = patience.between_tokens.saturating_sub(self.silence).min(total);
        if wait.is_zero() {
            return silent(if total.is_zero() {
                "the total time ran out"
            } else {
                "it fell silent"
            });
        }
        if self.received > MAX_STREAM {
            return broken(&AnswerFault::Malformed("an answer without end".to_owned()));
        }
        let piece = tokio::select! {
            interrupt = exchange.interrupted() => return Step::Interrupted(interrupt),
            piece = timeout(wait, self.body.next()) => piece,
        };
        let said = match piece {
            Err(_) => false,
            Ok(Some(Ok(bytes))) => self.take(&bytes),
            Ok(Some(Err(fault))) => {
                tracing::debug!(%fault, "the answer broke off");
                return broken(&AnswerFault::Truncated);
            }
            Ok(None) if self.events.is_none() => return Step::Over,
            Ok(None) => self.end(),
        };
        let waited = clock::now().saturating_duration_since(now);
        self.silence = if said { Duration::ZERO } else { self.silence.saturating_add(waited) };
        Step::GoOn
    }

    /// Turns bytes into what the caller gets; true where the answer was in them.
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.received = self.received.saturating_add(bytes.len() as u64);
        if let Some(events) = &mut self.events {
            return events.take(bytes, &mut self.held);
        }
        self.held.extend_from_slice(bytes);
        !bytes.is_empty()
    }

    /// The provider ended its answer; true where the answer was in what was left of it.
    fn end(&mut self) -> bool {
        self.events.as_mut().is_some_and(|events| events.end(&mut self.held))
    }

    fn fault(&mut self) -> Option<AnswerFault> {
        self.events.as_mut()?.fault.take()
    }

    fn is_done(&self) -> bool {
        self.events.as_ref().is_some_and(|events| events.done)
    }

    async fn write(&mut self, exchange: &mut impl Exchange) -> Result<(), Interrupt> {
        if self.held.is_empty() {
            return Ok(());
        }
        exchange.write(self.held.split().freeze()).await.map_err(|_| Interrupt::CallerGone)
    }

    /// Says that the answer is not complete, where there are words for it.
    async fn tell(
        &mut self,
        exchange: &mut impl Exchange,
        problem: &Problem,
    ) -> Result<(), Interrupt> {
        self.write(exchange).await?;
        if self.events.is_some() {
            let event: Bytes = error::in_stream(Dialect::Chat, problem, 0);
            exchange.write(event).await.map_err(|_| Interrupt::CallerGone)?;
            exchange.finish().await.map_err(|_| Interrupt::CallerGone)?;
        }
        Ok(())
    }
}

fn broken(fault: &AnswerFault) -> Step {
    let text = match fault {
        AnswerFault::Malformed(text) => text.as_str(),
        AnswerFault::Empty | AnswerFault::Truncated => "it ended early",
        AnswerFault::Error { .. } => "an error in it",
    };
    Step::Broken(Broken { said: None, text: text.to_owned(), timed_out: false }, fault.problem())
}

fn silent(text: &str) -> Step {
    let message = "the model stopped answering before its answer was complete";
    let problem = ours(504, "upstream_timeout", message);
    Step::Broken(Broken { said: None, text: text.to_owned(), timed_out: true }, problem)
}

fn ours(status: u16, code: &'static str, message: &str) -> Problem {
    Problem { status, code, message: message.to_owned() }
}
