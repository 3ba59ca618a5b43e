//! `rescue: continue`: a streamed text answer that breaks off, falls silent or turns to garbage after its first content
//! is finished by the next target of the plan.
//!
//! The next target is asked like any other: within the attempts, the budget and the total time, past breakers and
//! cooldowns, in its own API. It gets the conversation, what was said, and the order to go on. What it says again is
//! dropped, and the caller's stream goes on with its ids and numbers as if nothing had happened, but for the name of the
//! model. Where no target can go on, and where the second one breaks too, the caller is told that the answer is not
//! complete.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    catalog::{
        model::Target,
        settings::{Rescue, Timeouts},
    },
    dialect::{
        answer::{Outcome, Stream},
        continuation::{self, Manner},
        request::{self, Outgoing},
    },
    engine::{
        attempt::{self, Begun, Job, NotBegun, Tried},
        exchange::Exchange,
        ledger::Ledger,
        open::{Answer, Beginning, Live},
        relay::{self, Broken, Ending, Patience},
        trial::{Trial, Verdict},
    },
};

/// An answer that broke off, and the requests that have it finished.
pub(super) struct Unfinished {
    stream: Stream,
    prefilled: Bytes,
    in_words: Bytes,
}

/// What one attempt is to bring.
pub(super) struct Errand<'a, 's> {
    /// Who is asked.
    pub target: &'a Arc<Target>,
    /// What is sent.
    pub outgoing: Outgoing,
    /// What a stream that comes is to the caller.
    pub beginning: Beginning<'s>,
}

/// An answer in a stream, and who gives it.
pub(super) struct Telling<'a> {
    /// Who answers.
    pub target: &'a Arc<Target>,
    /// The time limits of its model.
    pub timeouts: Timeouts,
    /// The stream.
    pub live: Box<Live>,
    /// What becomes of the attempt is told here.
    pub trial: Trial<'a>,
}

/// An answer that has ended, and who gave the end of it.
pub(super) struct Told<'a> {
    /// Who answered last.
    pub target: &'a Arc<Target>,
    /// What becomes of its attempt is told here.
    pub trial: Trial<'a>,
    /// What its part of the answer was.
    pub outcome: Outcome,
    /// How it ended.
    pub ending: Ending,
}

/// How the target is first asked to go on.
pub(super) fn manner(job: &Job<'_>, target: &Target) -> Manner {
    if job.shape(target).prefill { Manner::Prefill } else { Manner::Words }
}

impl<'a, 's> Errand<'a, 's> {
    /// To answer the request, or to finish what is `unfinished` of its answer.
    pub(super) fn new(
        job: &Job<'_>,
        target: &'a Arc<Target>,
        unfinished: Option<&'s Unfinished>,
        manner: Manner,
    ) -> Self {
        let (to, shape) = (job.dialect(target), job.shape(target));
        let Some(unfinished) = unfinished else {
            let outgoing = request::write_request(job.request, job.body, to, &shape);
            let beginning = if is_asked(job) { Beginning::Traced } else { Beginning::Plain };
            return Self { target, outgoing, beginning };
        };
        let body = unfinished.body(manner);
        let outgoing = match request::read_request(job.request.dialect, body) {
            Ok(request) => request::write_request(&request, body, to, &shape),
            // It was read once, so this does not happen; a model that begins again would be right as well.
            Err(_) => request::write_request(job.request, job.body, to, &shape),
        };
        let trimmed = manner == Manner::Prefill;
        let beginning = Beginning::Resumed { of: &unfinished.stream, trimmed };
        Self { target, outgoing, beginning }
    }

    /// Whether what is sent is not the caller's request, so that it must not pass for it.
    pub(super) const fn is_another_request(&self) -> bool {
        matches!(self.beginning, Beginning::Resumed { .. })
    }
}

/// Whether an answer that breaks off is to be finished by another target.
fn is_asked(job: &Job<'_>) -> bool {
    job.failover.rescue == Rescue::Continue && continuation::is_open_to(job.request)
}

impl Unfinished {
    /// Of a stream that broke off; the stream itself where no other model may finish it.
    fn new(job: &Job<'_>, stream: Stream) -> Result<Self, Box<Stream>> {
        let body = |manner| {
            let said = stream.unfinished()?;
            let body = continuation::body(job.request.dialect, job.body, said, manner)?;
            request::read_request(job.request.dialect, &body).ok()?;
            Some(Bytes::from(body.into_owned()))
        };
        match (body(Manner::Prefill), body(Manner::Words)) {
            (Some(prefilled), Some(in_words)) => Ok(Self { stream, prefilled, in_words }),
            _ => Err(Box::new(stream)),
        }
    }

    fn body(&self, manner: Manner) -> &[u8] {
        match manner {
            Manner::Prefill => &self.prefilled,
            Manner::Words => &self.in_words,
        }
    }
}

/// Gives the caller the stream, and where it breaks off and that is asked for, the end of it by another target.
pub(super) async fn tell<'a>(
    job: &'a Job<'_>,
    tried: &mut Tried,
    mut first: Telling<'a>,
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
) -> Told<'a> {
    match first.relay(job, exchange, ledger).await {
        Ending::Unfinished(broken) => {
            Box::pin(go_on(job, tried, (first, broken), exchange, ledger)).await
        }
        ending @ (Ending::Complete | Ending::Broken(_) | Ending::Interrupted(_)) => {
            first.told(ending)
        }
    }
}

async fn go_on<'a>(
    job: &'a Job<'_>,
    tried: &mut Tried,
    (first, broken): (Telling<'a>, Broken),
    exchange: &mut impl Exchange,
    ledger: &mut Ledger<'_>,
) -> Told<'a> {
    tracing::debug!(fault = broken.text, "the stream broke; another model is to finish it");
    let Telling { target, live, mut trial, .. } = first;
    // What is left of the provider's side is let go of here.
    let stream = live.stream;
    let outcome = stream.outcome();
    let spent = stream.spent(job.input_tokens);
    trial.learned(&outcome);
    trial.end(Verdict::Failed(broken.failure()));
    let unfinished = match Unfinished::new(job, stream) {
        Ok(unfinished) => Arc::new(unfinished),
        Err(stream) => {
            let ending = relay::tell(&stream, exchange, broken).await;
            return Told { target, trial, outcome, ending };
        }
    };
    tried.finish(&unfinished);
    let interrupt = match attempt::run(job, tried, exchange, ledger).await {
        Ok(begun) => {
            ledger.failed(true);
            ledger.handed_on(target, spent);
            return end(job, *begun, exchange, ledger).await;
        }
        Err(NotBegun::Refused(_)) => None,
        Err(NotBegun::Interrupted(interrupt)) => Some(interrupt),
    };
    ledger.left_with(target);
    let stream = &unfinished.stream;
    let ending = match interrupt {
        None => relay::tell(stream, exchange, broken).await,
        Some(interrupt) => {
            ledger.failed(true);
            relay::interrupted(stream, exchange, interrupt).await
        }
    };
    Told { target, trial, outcome, ending }
}

/// Gives the caller the rest of an answer.
async fn end<'a>(
    job: &Job<'_>,
    begun: Begun<'a>,
    exchange: &mut impl Exchange,
    ledger: &Ledger<'_>,
) -> Told<'a> {
    let Begun { target, timeouts, opened, mut trial } = begun;
    trial.content_began();
    match opened.answer {
        Answer::Stream(live) => {
            let mut last = Telling { target, timeouts, live, trial };
            let ending = last.relay(job, exchange, ledger).await;
            last.told(ending)
        }
        // A stream was asked for, and nothing else is taken for one.
        Answer::Whole(_, outcome) => {
            let broken = Broken { said: None, text: "no stream".to_owned(), timed_out: false };
            Told { target, trial, outcome, ending: Ending::Broken(broken) }
        }
    }
}

impl<'a> Telling<'a> {
    async fn relay(
        &mut self,
        job: &Job<'_>,
        exchange: &mut impl Exchange,
        ledger: &Ledger<'_>,
    ) -> Ending {
        let between_tokens = self.timeouts.between_tokens;
        let patience = Patience { between_tokens, deadline: ledger.deadline() };
        let whole = |stream: &Stream| job.answered(self.target, &mut self.trial, &stream.outcome());
        Box::pin(relay::relay(&mut self.live, exchange, patience, whole)).await
    }

    /// The stream has ended like this.
    pub(super) fn told(self, ending: Ending) -> Told<'a> {
        let outcome = self.live.stream.outcome();
        Told { target: self.target, trial: self.trial, outcome, ending }
    }
}
