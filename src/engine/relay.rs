//! From the first content to the end: events to the caller as they come, what is ready together written together.
//!
//! From here on the answer belongs to one model. A break, a silence or nonsense becomes an error in the caller's own
//! dialect inside the stream, never a clean end: a caller that sees the end of an answer has the whole of it. Where
//! another model may finish the answer, the caller is told nothing yet: see `rescue`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::time::timeout;

use crate::{
    dialect::{
        answer::{AnswerFault, Stream},
        error::Problem,
    },
    engine::{
        exchange::{Exchange, Interrupt},
        ledger::Ledger,
        open::Live,
        trial::{Trial, Verdict},
    },
    resilience::failure::Failure,
    telemetry::{clock, usage::Ended},
    upstream::{self, BodyFault},
};

/// After this much silence a caller is sent a comment, so that nothing between us takes the connection for dead.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long the rest of a finished stream is read, so that its connection can be used again.
const TAIL: Duration = Duration::from_millis(20);

/// That comment.
pub(super) const PING: &[u8] = b": ping\n\n";

/// The most that is gathered before it is written.
const GATHER: usize = 64 * 1024;

/// The longest stream that is relayed, in bytes: far above any answer, far below a flood.
pub(super) const MAX_STREAM: u64 = 256 << 20;

/// How a stream ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// Whole.
    Complete,
    /// The provider's side broke; the caller was told.
    Broken(Broken),
    /// The provider's side broke, and the caller was not told, because another model may finish the answer.
    Unfinished(Broken),
    /// The caller's side ended it.
    Interrupted(Interrupt),
}

impl Ending {
    /// Ends the attempt and the books of the request with it.
    pub(super) fn settle(self, trial: &mut Trial<'_>, ledger: &mut Ledger<'_>) {
        match self {
            Self::Complete => {
                trial.end(Verdict::Answered);
                ledger.end(Ended::Answered, 200, None);
            }
            Self::Broken(broken) | Self::Unfinished(broken) => {
                ledger.failed(true);
                tracing::debug!(fault = broken.text, "the answer broke");
                trial.end(Verdict::Failed(broken.failure()));
                ledger.end(Ended::Broken, 200, Some("upstream_error"));
            }
            Self::Interrupted(interrupt) => {
                trial.end(Verdict::Cancelled);
                let code = match interrupt {
                    Interrupt::CallerGone => "client_closed_request",
                    Interrupt::ShuttingDown => "shutting_down",
                };
                ledger.end(Ended::Cancelled, 200, Some(code));
            }
        }
    }
}

/// How a provider's side broke.
#[derive(Debug)]
pub(super) struct Broken {
    /// What the provider said of it inside the stream, credentials masked.
    pub said: Option<Problem>,
    /// What is recorded.
    pub text: String,
    /// Whether it was silence.
    pub timed_out: bool,
}

impl Broken {
    /// What follows for the target.
    pub(super) const fn failure(&self) -> Failure {
        if self.timed_out { Failure::timeout() } else { Failure::broken_stream() }
    }
}

/// Time limits of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// The longest time without content.
    pub between_tokens: Duration,
    /// When everything has to be over.
    pub deadline: Instant,
}

enum Piece {
    Bytes(Bytes),
    End,
    Broken(String),
    Quiet,
}

/// What a step of a relay came to.
enum Step {
    GoOn,
    Over,
    Broken(Broken),
    Interrupted(Interrupt),
}

/// Where a relay stands in time and size.
struct Pace {
    patience: Patience,
    last_content: Instant,
    last_write: Instant,
    received: u64,
}

/// Relays a stream that has begun; the head of the answer is sent already. Before the caller gets the end of a whole
/// answer, `whole` is called.
pub(super) async fn relay(
    live: &mut Live,
    exchange: &mut impl Exchange,
    patience: Patience,
    mut whole: impl FnMut(&Stream),
) -> Ending {
    let now = clock::now();
    let mut pace = Pace { patience, last_content: now, last_write: now, received: 0 };
    if live.whole {
        whole(&live.stream);
    }
    loop {
        match step(live, exchange, &mut pace).await {
            Step::GoOn => {}
            Step::Over => return finish(live, exchange, whole).await,
            Step::Broken(broken) => return break_off(live, exchange, broken, whole).await,
            Step::Interrupted(interrupt) => {
                return interrupted(&live.stream, exchange, interrupt).await;
            }
        }
    }
}

/// Writes what there is, then waits for the next piece.
async fn step(live: &mut Live, exchange: &mut impl Exchange, pace: &mut Pace) -> Step {
    if !live.held.is_empty() {
        if exchange.write(live.held.split().freeze()).await.is_err() {
            return Step::Interrupted(Interrupt::CallerGone);
        }
        pace.last_write = clock::now();
    }
    if let Some(fault) = live.broken.take() {
        return Step::Broken(broken(live, &fault));
    }
    if live.finished {
        return Step::Over;
    }
    if let Some(broken) = pace.out_of_patience() {
        return Step::Broken(broken);
    }
    let until_quiet = pace.until_quiet();
    let piece = tokio::select! {
        interrupt = exchange.interrupted() => return Step::Interrupted(interrupt),
        piece = next(live, until_quiet) => piece,
    };
    match piece {
        Piece::Bytes(bytes) => pace.count(take(live, &bytes)),
        Piece::End => drop(live.end()),
        Piece::Broken(text) => return Step::Broken(Broken { said: None, text, timed_out: false }),
        Piece::Quiet => pace.beat(live),
    }
    Step::GoOn
}

impl Pace {
    /// How long nothing may come before that means something: a heartbeat, silence, or the end of all time.
    fn until_quiet(&self) -> Duration {
        let now = clock::now();
        let silence = self
            .patience
            .between_tokens
            .saturating_sub(now.saturating_duration_since(self.last_content));
        let heartbeat = HEARTBEAT.saturating_sub(now.saturating_duration_since(self.last_write));
        let total = self.patience.deadline.saturating_duration_since(now);
        silence.min(heartbeat).min(total)
    }

    fn out_of_patience(&self) -> Option<Broken> {
        let now = clock::now();
        let (text, timed_out) = if now >= self.patience.deadline {
            ("the total time ran out", true)
        } else if now.saturating_duration_since(self.last_content) >= self.patience.between_tokens {
            ("the stream fell silent", true)
        } else if self.received > MAX_STREAM {
            ("a stream without end", false)
        } else {
            return None;
        };
        Some(Broken { said: None, text: text.to_owned(), timed_out })
    }

    fn count(&mut self, taken: Taken) {
        self.received = self.received.saturating_add(taken.bytes);
        if taken.content {
            self.last_content = clock::now();
        }
    }

    /// Shows a caller that waits for long that the connection lives.
    fn beat(&self, live: &mut Live) {
        if clock::now().saturating_duration_since(self.last_write) >= HEARTBEAT {
            live.held.extend_from_slice(PING);
        }
    }
}

async fn next(live: &mut Live, limit: Duration) -> Piece {
    match timeout(limit, live.body.next()).await {
        Err(_) => Piece::Quiet,
        Ok(next) => piece(next),
    }
}

fn piece(next: Option<Result<Bytes, BodyFault>>) -> Piece {
    match next {
        None => Piece::End,
        Some(Err(fault)) => Piece::Broken(format!("the stream broke: {fault}")),
        Some(Ok(bytes)) => Piece::Bytes(bytes),
    }
}

/// What was taken in at once.
#[derive(Clone, Copy)]
struct Taken {
    bytes: u64,
    content: bool,
}

/// Takes in `first` and whatever else is ready by now, without waiting for more.
fn take(live: &mut Live, first: &[u8]) -> Taken {
    let mut taken = Taken { bytes: first.len() as u64, content: live.take(first) };
    while live.broken.is_none() && !live.finished && live.held.len() < GATHER {
        let Some(ready) = live.body.next().now_or_never() else { break };
        match piece(ready) {
            Piece::Bytes(bytes) => {
                taken.bytes = taken.bytes.saturating_add(bytes.len() as u64);
                taken.content |= live.take(&bytes);
            }
            Piece::End => taken.content |= live.end(),
            Piece::Broken(text) => live.broken = Some(AnswerFault::Malformed(text)),
            Piece::Quiet => break,
        }
    }
    taken
}

/// Ends the answer where it is whole, and says so where it is not.
async fn finish(
    live: &mut Live,
    exchange: &mut impl Exchange,
    whole: impl FnOnce(&Stream),
) -> Ending {
    if !live.whole {
        if let Err(fault) = live.conclude() {
            let broken = broken(live, &fault);
            return break_off(live, exchange, broken, whole).await;
        }
        whole(&live.stream);
    }
    // An SDK closes right after the last event; the answer is complete all the same.
    let _ = exchange.write(live.held.split().freeze()).await;
    let _ = exchange.finish().await;
    let rest = async { while let Some(Ok(_)) = live.body.next().await {} };
    let _ = timeout(TAIL, rest).await;
    Ending::Complete
}

/// Ends an answer that is not complete because the request ends from outside.
pub(super) async fn interrupted(
    stream: &Stream,
    exchange: &mut impl Exchange,
    interrupt: Interrupt,
) -> Ending {
    if interrupt == Interrupt::ShuttingDown {
        let message = "the proxy is shutting down; the answer is not complete".to_owned();
        let last = stream.last_words(&Problem { status: 503, code: "overloaded", message });
        if exchange.write(last).await.is_ok() {
            let _ = exchange.finish().await;
        }
    }
    Ending::Interrupted(interrupt)
}

/// The provider's side broke: tells the caller so, unless all had been said, or another model may finish the answer.
async fn break_off(
    live: &mut Live,
    exchange: &mut impl Exchange,
    broken: Broken,
    whole: impl FnOnce(&Stream),
) -> Ending {
    if live.stream.settle(&mut live.held) {
        whole(&live.stream);
        let _ = exchange.write(live.held.split().freeze()).await;
        let _ = exchange.finish().await;
        return Ending::Complete;
    }
    if live.stream.unfinished().is_some() {
        return Ending::Unfinished(broken);
    }
    tell(&live.stream, exchange, broken).await
}

fn broken(live: &Live, fault: &AnswerFault) -> Broken {
    let text = match fault {
        AnswerFault::Malformed(text) => format!("malformed: {text}"),
        AnswerFault::Empty | AnswerFault::Truncated => "the stream ended early".to_owned(),
        // Its words may hold what it was sent, a credential even.
        AnswerFault::Error { .. } => "an error in the stream".to_owned(),
    };
    let said = matches!(fault, AnswerFault::Error { .. }).then(|| {
        let credential = upstream::credential_of(&live.target.provider);
        let secrets: Vec<_> = credential.into_iter().collect();
        let problem = fault.problem();
        let message = upstream::mask(&problem.message, &secrets);
        Problem { message, code: "upstream_error", ..problem }
    });
    Broken { said, text, timed_out: false }
}

/// Says in the caller's dialect that the answer is not complete, and ends it.
pub(super) async fn tell(stream: &Stream, exchange: &mut impl Exchange, broken: Broken) -> Ending {
    let (status, code, message) = if broken.timed_out {
        (504, "upstream_timeout", "the model stopped answering before its answer was complete")
    } else {
        (502, "upstream_error", "the answer broke off before it was complete")
    };
    let ours = Problem { status, code, message: message.to_owned() };
    let last = stream.last_words(broken.said.as_ref().unwrap_or(&ours));
    if exchange.write(last).await.is_err() {
        return Ending::Interrupted(Interrupt::CallerGone);
    }
    let _ = exchange.finish().await;
    Ending::Broken(broken)
}
