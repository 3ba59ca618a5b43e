//! From the first content to the end: events to the caller as they come, what is ready together written together.
//!
//! From here on the answer belongs to one model. A break, a silence or nonsense becomes an error in the caller's own
//! dialect inside the stream, never a clean end: a caller that sees the end of an answer has the whole of it.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use tokio::time::timeout;

use crate::{
    dialect::{answer::AnswerFault, error::Problem},
    engine::{
        exchange::{Exchange, Interrupt},
        open::Live,
    },
    telemetry::clock,
    upstream::BodyFault,
};

/// After this much silence a caller is sent a comment, so that nothing between us takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long the rest of a finished stream is read, so that its connection can be used again.
const TAIL: Duration = Duration::from_millis(500);

/// The most that is gathered before it is written.
const GATHER: usize = 64 * 1024;

/// The longest stream that is relayed, in bytes: far above any answer, far below a flood.
const MAX_STREAM: u64 = 256 << 20;

/// How a stream ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// Whole.
    Complete,
    /// The provider's side broke; the caller was told.
    Broken(Broken),
    /// The caller's side ended it.
    Interrupted(Interrupt),
}

/// How a provider's side broke.
#[derive(Debug)]
pub(super) struct Broken {
    /// What is recorded.
    pub text: String,
    /// Whether it was silence.
    pub timed_out: bool,
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

/// Relays a stream that has begun; the head of the answer is sent already.
pub(super) async fn relay(live: &mut Live, exchange: &mut impl Exchange, patience: Patience) -> Ending {
    let mut last_content = clock::now();
    let mut last_write = last_content;
    let mut received = 0_u64;
    loop {
        if !live.held.is_empty() {
            if exchange.write(live.held.split().freeze()).await.is_err() {
                return Ending::Interrupted(Interrupt::CallerGone);
            }
            last_write = clock::now();
        }
        if let Some(fault) = live.broken.take() {
            return tell(live, exchange, broken(&fault)).await;
        }
        if live.finished {
            return finish(live, exchange).await;
        }
        if let Some(broken) = out_of_patience(last_content, patience) {
            return tell(live, exchange, broken).await;
        }
        let until_quiet = quiet_at(last_content, last_write, patience);
        let piece = tokio::select! {
            interrupt = exchange.interrupted() => return interrupted(live, exchange, interrupt).await,
            piece = next(live, until_quiet) => piece,
        };
        match piece {
            Piece::Bytes(bytes) => {
                received = received.saturating_add(bytes.len() as u64);
                if take(live, &bytes, &mut received) {
                    last_content = clock::now();
                }
                if received > MAX_STREAM {
                    let text = "a stream without end".to_owned();
                    return tell(live, exchange, Broken { text, timed_out: false }).await;
                }
            }
            Piece::End => {
                live.end();
            }
            Piece::Broken(text) => {
                let broken = Broken { text, timed_out: false };
                return tell(live, exchange, broken).await;
            }
            Piece::Quiet if clock::now().duration_since(last_write) >= HEARTBEAT => {
                live.held.extend_from_slice(b": ping\n\n");
            }
            Piece::Quiet => {}
        }
    }
}

/// When nothing more having come means something: a heartbeat, silence, or the end of all time.
fn quiet_at(last_content: Instant, last_write: Instant, patience: Patience) -> Duration {
    let now = clock::now();
    let silence = patience.between_tokens.saturating_sub(now.duration_since(last_content));
    let heartbeat = HEARTBEAT.saturating_sub(now.duration_since(last_write));
    let total = patience.deadline.saturating_duration_since(now);
    silence.min(heartbeat).min(total)
}

fn out_of_patience(last_content: Instant, patience: Patience) -> Option<Broken> {
    let now = clock::now();
    let text = if now >= patience.deadline {
        "the total time ran out"
    } else if now.duration_since(last_content) >= patience.between_tokens {
        "the stream fell silent"
    } else {
        return None;
    };
    Some(Broken { text: text.to_owned(), timed_out: true })
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

/// Takes in `first` and whatever else is ready by now, without waiting for more. True where content was among it.
fn take(live: &mut Live, first: &[u8], received: &mut u64) -> bool {
    let mut content = live.take(first);
    while live.broken.is_none() && !live.finished && live.held.len() < GATHER {
        let Some(ready) = live.body.next().now_or_never() else { break };
        match piece(ready) {
            Piece::Bytes(bytes) => {
                *received = received.saturating_add(bytes.len() as u64);
                content |= live.take(&bytes);
            }
            Piece::End => {
                live.end();
                break;
            }
            Piece::Broken(text) => {
                live.broken = Some(AnswerFault::Malformed(text));
                break;
            }
            Piece::Quiet => break,
        }
    }
    content
}

/// Ends the answer where it is whole, and says so where it is not.
async fn finish(live: &mut Live, exchange: &mut impl Exchange) -> Ending {
    if let Err(fault) = live.conclude() {
        return tell(live, exchange, broken(&fault)).await;
    }
    // An SDK closes right after the last event; the answer is complete all the same.
    let _ = exchange.write(live.held.split().freeze()).await;
    let _ = exchange.finish().await;
    let rest = async { while let Some(Ok(_)) = live.body.next().await {} };
    let _ = timeout(TAIL, rest).await;
    Ending::Complete
}

async fn interrupted(
    live: &mut Live,
    exchange: &mut impl Exchange,
    interrupt: Interrupt,
) -> Ending {
    if interrupt == Interrupt::ShuttingDown {
        let text = "the proxy is shutting down".to_owned();
        tell(live, exchange, Broken { text, timed_out: false }).await;
    }
    Ending::Interrupted(interrupt)
}

fn broken(fault: &AnswerFault) -> Broken {
    let text = match fault {
        AnswerFault::Malformed(text) => format!("malformed: {text}"),
        AnswerFault::Empty | AnswerFault::Truncated => "the stream ended early".to_owned(),
        AnswerFault::Error { message, .. } => format!("an error in the stream: {message}"),
    };
    Broken { text, timed_out: false }
}

/// Says in the caller's dialect that the answer is not complete, and ends it.
async fn tell(live: &mut Live, exchange: &mut impl Exchange, broken: Broken) -> Ending {
    let (status, code, message) = if broken.timed_out {
        (504, "upstream_timeout", "the model stopped answering before its answer was complete")
    } else {
        (502, "upstream_error", "the answer broke off before it was complete")
    };
    let mut out = BytesMut::new();
    live.stream.fail(&Problem { status, code, message: message.to_owned() }, &mut out);
    if exchange.write(out.freeze()).await.is_err() {
        return Ending::Interrupted(Interrupt::CallerGone);
    }
    let _ = exchange.finish().await;
    Ending::Broken(broken)
}
