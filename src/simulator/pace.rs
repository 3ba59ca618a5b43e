//! When each event of a stream is sent: the events of an answer, the model's pace and a fault become a script, and the
//! script a body.
//!
//! Times count from the beginning of the answer, not from the event before, so that a slow timer does not slow the
//! whole stream down.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::simulator::{Model, fault::Fault, serve::State};

/// One event of an answer, written in its API's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// Comes before any content: at once.
    Prelude(Bytes),
    /// A piece of content: at the model's pace.
    Token(Bytes),
    /// Comes after the content it belongs to: at once.
    Coda(Bytes),
    /// The terminal event.
    Done(Bytes),
}

/// One step of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait until this long after the beginning.
    At(Duration),
    /// Send these bytes.
    Send(Bytes),
    /// Break the connection.
    Cut,
    /// Send nothing more, and do not end.
    Hang,
}

/// The events of an answer, and the API's error event.
pub(super) struct Wire {
    /// In order.
    pub(super) events: Vec<Event>,
    /// Sent for [`Fault::ErrorEvent`].
    pub(super) error: Bytes,
}

/// How long after the beginning the `token`-th token comes, from 0.
fn due(model: &Model, first: Duration, token: usize, dice: &mut fastrand::Rng) -> Duration {
    if model.tokens_per_second <= 0.0 || token == 0 {
        return first;
    }
    let jitter = dice.f64() - 0.5;
    let gaps = f64::from(u32::try_from(token).unwrap_or(u32::MAX)) + jitter;
    let after =
        Duration::try_from_secs_f64(gaps / model.tokens_per_second).unwrap_or(Duration::MAX);
    first.saturating_add(after)
}

/// How long a whole answer of `tokens` tokens takes.
pub(super) fn whole(model: &Model, fault: Option<&Fault>, tokens: usize) -> Duration {
    let first = fault.and_then(Fault::first_token).unwrap_or(model.first_token);
    due(model, first, tokens, &mut fastrand::Rng::with_seed(0))
}

/// The script of a stream: pure, and the same for the same arguments.
pub(super) fn script(wire: Wire, model: &Model, fault: Option<&Fault>, seed: u64) -> Vec<Step> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let first = fault.and_then(Fault::first_token).unwrap_or(model.first_token);
    let mut steps = Vec::with_capacity(wire.events.len().saturating_add(2));
    let mut tokens = 0_usize;
    let mut struck = false;
    for event in wire.events {
        let content = matches!(event, Event::Token(_));
        let ends = matches!(event, Event::Done(_));
        if (content || ends) && !struck && fault.is_some_and(|fault| strikes(fault, tokens, ends)) {
            struck = true;
            match strike(fault, &wire.error) {
                Blow::Insert(bytes) => steps.push(Step::Send(bytes)),
                Blow::End(last) => {
                    steps.extend(last);
                    return steps;
                }
            }
        }
        if content {
            let due = due(model, first, tokens, &mut dice);
            if !due.is_zero() {
                steps.push(Step::At(due));
            }
            tokens = tokens.saturating_add(1);
        }
        let (Event::Prelude(bytes) | Event::Token(bytes) | Event::Coda(bytes) | Event::Done(bytes)) =
            event;
        steps.push(Step::Send(bytes));
    }
    steps
}

/// Whether `fault` strikes before the token after `tokens` tokens, or before the end.
fn strikes(fault: &Fault, tokens: usize, ends: bool) -> bool {
    match fault {
        Fault::CutAfterTokens { tokens: after }
        | Fault::EndAfterTokens { tokens: after }
        | Fault::StallAfterTokens { tokens: after }
        | Fault::MalformedEvent { tokens: after }
        | Fault::ErrorEvent { tokens: after } => tokens >= *after || ends,
        Fault::NoDone => ends,
        Fault::None
        | Fault::Status { .. }
        | Fault::Refuse
        | Fault::Silence
        | Fault::SlowFirstToken { .. }
        | Fault::Html
        | Fault::Empty
        | Fault::TooLong
        | Fault::ContentFilter
        | Fault::Refusal => false,
    }
}

enum Blow {
    Insert(Bytes),
    End(Option<Step>),
}

fn strike(fault: Option<&Fault>, error: &Bytes) -> Blow {
    match fault {
        Some(Fault::CutAfterTokens { .. }) => Blow::End(Some(Step::Cut)),
        Some(Fault::StallAfterTokens { .. }) => Blow::End(Some(Step::Hang)),
        Some(Fault::ErrorEvent { .. }) => Blow::End(Some(Step::Send(error.clone()))),
        Some(Fault::MalformedEvent { .. }) => {
            Blow::Insert(Bytes::from_static(b"data: {\"simulated\": \"malformed\n\n"))
        }
        _ => Blow::End(None),
    }
}

/// One event in the form of server-sent events.
pub(super) fn frame(event: Option<&str>, data: &str) -> Bytes {
    match event {
        Some(event) => Bytes::from(format!("event: {event}\ndata: {data}\n\n")),
        None => Bytes::from(format!("data: {data}\n\n")),
    }
}

/// Counts a request as open, and as cancelled where it is dropped before it was delivered.
pub(super) struct Watch {
    state: Arc<State>,
    delivered: bool,
}

impl Watch {
    /// Counts one more open request.
    pub(super) fn new(state: Arc<State>) -> Self {
        state.journal.open();
        Self { state, delivered: false }
    }

    /// Says that the answer was handed over, or ended as it was ordered to.
    pub(super) fn delivered(&mut self) {
        self.delivered = true;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.state.journal.close(self.delivered);
    }
}

/// The connection breaks here.
#[derive(Debug, thiserror::Error)]
#[error("the simulator breaks this connection as it was ordered to")]
pub(super) struct Broken;

/// A body that follows a script.
pub(super) struct Paced {
    steps: std::vec::IntoIter<Step>,
    began: Instant,
    waiting: Option<Pin<Box<Sleep>>>,
    hung: bool,
    cut: bool,
    watch: Watch,
}

impl Paced {
    /// A body that began at `began`.
    pub(super) fn new(steps: Vec<Step>, began: Instant, watch: Watch) -> Self {
        Self { steps: steps.into_iter(), began, waiting: None, hung: false, cut: false, watch }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if self.cut {
                return Poll::Ready(Some(Err(Broken)));
            }
            if self.hung {
                return Poll::Pending;
            }
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(context));
                self.waiting = None;
            }
            match self.steps.next() {
                Some(Step::At(due)) => self.waiting = self.sleep(due),
                Some(Step::Send(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Hang) => self.hung = true,
                Some(Step::Cut) => {
                    self.cut = true;
                    self.watch.delivered();
                    // What was sent before is written first: a body that fails takes unwritten bytes with it.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {
                    self.watch.delivered();
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Paced {
    fn sleep(&self, due: Duration) -> Option<Pin<Box<Sleep>>> {
        // A time beyond what the clock can hold never comes.
        let until = self.began.checked_add(due);
        until.map(|until| Box::pin(sleep_until(until)))
    }
}

/// A body that is there at once, with the error type of [`Paced`].
pub(super) type Ready = Full<Bytes>;

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> Wire {
        let token = |text: &'static str| Event::Token(Bytes::from_static(text.as_bytes()));
        Wire {
            events: vec![
                Event::Prelude(Bytes::from_static(b"start")),
                token("a"),
                token("b"),
                token("c"),
                Event::Coda(Bytes::from_static(b"stop")),
                Event::Done(Bytes::from_static(b"done")),
            ],
            error: Bytes::from_static(b"error"),
        }
    }

    fn sent(fault: Option<&Fault>) -> String {
        script(wire(), &Model::instant("m"), fault, 1)
            .iter()
            .map(|step| match step {
                Step::At(_) => "@".to_owned(),
                Step::Send(bytes) => format!("{}.", bytes.escape_ascii()),
                Step::Cut => "CUT".to_owned(),
                Step::Hang => "HANG".to_owned(),
            })
            .collect()
    }

    #[test]
    fn a_fault_strikes_after_its_tokens() {
        assert_eq!(sent(None), "start.a.b.c.stop.done.");
        assert_eq!(sent(Some(&Fault::CutAfterTokens { tokens: 2 })), "start.a.b.CUT");
        assert_eq!(sent(Some(&Fault::CutAfterTokens { tokens: 99 })), "start.a.b.c.stop.CUT");
        assert_eq!(sent(Some(&Fault::StallAfterTokens { tokens: 0 })), "start.HANG");
        assert_eq!(sent(Some(&Fault::EndAfterTokens { tokens: 1 })), "start.a.");
        assert_eq!(sent(Some(&Fault::ErrorEvent { tokens: 0 })), "start.error.");
        assert_eq!(sent(Some(&Fault::NoDone)), "start.a.b.c.stop.");
        let malformed = sent(Some(&Fault::MalformedEvent { tokens: 1 }));
        assert!(malformed.starts_with("start.a.data: {") && malformed.ends_with("b.c.stop.done."));
    }

    #[test]
    fn tokens_come_at_the_models_pace() {
        let model = Model {
            first_token: Duration::from_millis(500),
            tokens_per_second: 100.0,
            ..Model::instant("m")
        };
        let times: Vec<Duration> = script(wire(), &model, None, 7)
            .into_iter()
            .filter_map(|step| if let Step::At(due) = step { Some(due) } else { None })
            .collect();
        assert_eq!(times.len(), 3);
        assert_eq!(times[0], Duration::from_millis(500));
        assert!(times.is_sorted());
        assert!(times[2] >= Duration::from_millis(515) && times[2] <= Duration::from_millis(525));
        let slow = Fault::SlowFirstToken { seconds: 3.0 };
        assert_eq!(whole(&model, Some(&slow), 0), Duration::from_secs(3));
    }
}
