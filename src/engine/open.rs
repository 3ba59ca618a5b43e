//! One attempt up to its first content: send, judge the head, hold everything back until the answer has begun.
//!
//! Nothing here can reach the caller, which is what makes failover safe: whatever goes wrong before [`Opened`] is
//! returned can be tried elsewhere. Content decides, not bytes: comments, pings, role-only chunks and empty deltas
//! are held with the rest.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::Instant;

use crate::{
    bounded::memory::Room,
    catalog::model::Target,
    dialect::{
        answer::{self, AnswerFault, Outcome, Terms},
        error,
        sse::{Decoder, Frame, MAX_FRAME, Oversized},
    },
    engine::refusal::Refusal,
    http::{
        header,
        media::{self, Media},
        retry_after,
    },
    resilience::failure::{self, Failure, Next},
    upstream::{Body, BodyFault, Cause as SendCause, MAX_ANSWER, SendFault},
};

/// The most bytes that are held back while an answer has not begun.
const HELD: usize = 1 << 20;

/// The most bytes of a refusal that are read.
const REFUSAL: usize = 1 << 20;

/// An answer that has begun.
pub(super) struct Opened {
    /// The provider's own request id.
    pub upstream_request_id: Option<HeaderValue>,
    /// What there is of the answer.
    pub answer: Answer,
}

/// What there is of an answer that has begun.
pub(super) enum Answer {
    /// All of it.
    Whole(Bytes, Outcome),
    /// Its first content, and where the rest comes from.
    Stream(Box<Live>),
}

/// A stream that has begun to say something.
pub(super) struct Live {
    /// Who answers.
    pub target: Arc<Target>,
    /// Where more comes from.
    pub body: Body,
    /// Bytes to frames.
    pub decoder: Decoder,
    /// Frames to what the caller gets.
    pub stream: answer::Stream,
    /// What the caller gets of what came so far.
    pub held: BytesMut,
    /// Whether nothing more comes that belongs to the answer.
    pub finished: bool,
    /// Whether it was found whole, and its end given to the caller.
    pub whole: bool,
    /// What went wrong after the content, in the same piece.
    pub broken: Option<AnswerFault>,
}

/// Why an attempt brought no answer.
#[derive(Debug)]
pub(super) enum Unopened {
    /// The target failed; another may do better.
    Failed(Failure),
    /// The caller's own mistake, as the provider tells it.
    PassOn(Refusal),
    /// The conversation is too long for this model, as the provider tells it.
    TooLong(Refusal),
}

impl From<Failure> for Unopened {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What an attempt is judged by, besides what comes back.
pub(super) struct Expectation<'a> {
    /// How the answer is read and written.
    pub terms: Terms<'a>,
    /// Who was asked.
    pub target: &'a Arc<Target>,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// What a stream is to the caller.
    pub beginning: Beginning<'a>,
    /// Whether the caller's own credential was sent, so that its refusal is the caller's business.
    pub passthrough: bool,
    /// Takes credentials out of a provider's words.
    pub mask: &'a (dyn Fn(&str) -> String + Sync),
    /// The wall clock, for `Retry-After` dates.
    pub wall: jiff::Timestamp,
    /// When the attempt has to be over.
    pub deadline: Instant,
    /// Where there has to be room for an answer that is collected.
    pub room: &'a Room,
}

/// What a stream that begins is to the caller.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beginning<'a> {
    /// The answer, for better or worse.
    Plain,
    /// The answer, of which account is kept so that another model can finish it.
    Traced,
    /// The rest of an answer that broke off.
    Resumed {
        /// That answer.
        of: &'a answer::Stream,
        /// Whether the model was shown it without the white space at its end.
        trimmed: bool,
    },
}

/// Judges what `sent` brought, up to the first content.
pub(super) async fn open(
    sent: Result<http::Response<Body>, SendFault>,
    expectation: &Expectation<'_>,
) -> Result<Opened, Unopened> {
    let response = sent.map_err(|fault| unsent(&fault))?;
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        return Err(refused(head.status, &head.headers, body, expectation).await);
    }
    let upstream_request_id = upstream_request_id(&head.headers);
    let answer = match media::of_answer(&head.headers) {
        Media::EventStream if expectation.streamed => hold(body, expectation).await?,
        media @ (Media::Json | Media::EventStream | Media::Other) => {
            whole(body, media, expectation).await?
        }
    };
    Ok(Opened { upstream_request_id, answer })
}

/// The provider's own request id, for its support desk.
pub(super) fn upstream_request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    header::upstream_request_id(headers).and_then(|id| HeaderValue::from_str(id).ok())
}

async fn whole(
    body: Body,
    media: Media,
    expectation: &Expectation<'_>,
) -> Result<Answer, Unopened> {
    let read = body.whole_in(expectation.room, MAX_ANSWER, expectation.deadline).await;
    let bytes = read.map_err(|fault| {
        tracing::debug!(%fault, "the answer broke off");
        match fault {
            BodyFault::Late => Failure::timeout().into(),
            BodyFault::Broken(_) => Failure::broken_stream().into(),
            BodyFault::TooLarge(_) | BodyFault::Encoded => Failure::malformed().into(),
            // No model is to blame, and no other has more room.
            BodyFault::NoRoom(_) => Unopened::PassOn(Refusal::no_room()),
        }
    })?;
    if media != Media::Json {
        return Err(Failure::malformed().into());
    }
    match answer::whole(&expectation.terms, &bytes) {
        // A stream was asked for; an error dressed as a success is all that its absence may say.
        Ok(_) if expectation.streamed => Err(Failure::malformed().into()),
        Ok((bytes, outcome)) => Ok(Answer::Whole(bytes, outcome)),
        Err(fault) => Err(judge(&fault, expectation)),
    }
}

async fn hold(body: Body, expectation: &Expectation<'_>) -> Result<Answer, Unopened> {
    let mut live = Live {
        target: Arc::clone(expectation.target),
        body,
        decoder: Decoder::new(MAX_FRAME),
        stream: match expectation.beginning {
            Beginning::Plain => answer::Stream::new(&expectation.terms),
            Beginning::Traced => answer::Stream::new(&expectation.terms).traced(),
            Beginning::Resumed { of, trimmed } => of.resumed(&expectation.terms, trimmed),
        },
        held: BytesMut::new(),
        finished: false,
        whole: false,
        broken: None,
    };
    loop {
        let piece = live.body.next().await.transpose().map_err(|fault| {
            tracing::debug!(%fault, "the stream broke before it began");
            Failure::broken_stream()
        })?;
        let ended = piece.is_none();
        let began = match piece {
            Some(bytes) => live.take(&bytes),
            None => live.end(),
        };
        if began {
            return Ok(Answer::Stream(Box::new(live)));
        }
        if let Some(fault) = live.broken.take() {
            return Err(judge(&fault, expectation));
        }
        if ended || live.finished {
            // Without content it is whole only where it ended for a reason, such as a filter.
            live.finished = true;
            live.conclude().map_err(|fault| judge(&fault, expectation))?;
            return Ok(Answer::Stream(Box::new(live)));
        }
        if live.held.len() > HELD {
            return Err(Failure::malformed().into());
        }
    }
}

impl Live {
    /// Turns bytes that came into what the caller gets; true where content was among them. What goes wrong is kept in
    /// `broken`, behind what came before it.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        self.decoder.push(bytes);
        let mut content = false;
        while self.broken.is_none() && !self.finished {
            match self.decoder.next() {
                Ok(Some(frame)) => content |= self.accept(&frame),
                Ok(None) => break,
                Err(oversized) => self.oversized(oversized),
            }
        }
        content
    }

    /// The provider ended its stream: what was begun without a blank line behind it counts as a frame. True where
    /// content was in that.
    pub(super) fn end(&mut self) -> bool {
        let mut content = false;
        if self.broken.is_none() && !self.finished {
            match self.decoder.finish() {
                Ok(Some(frame)) => content = self.accept(&frame),
                Ok(None) => {}
                Err(oversized) => self.oversized(oversized),
            }
        }
        self.finished = true;
        content
    }

    /// Whether what came is a whole answer; if so the caller is given its end.
    pub(super) fn conclude(&mut self) -> Result<(), AnswerFault> {
        if !self.whole {
            self.stream.end(&mut self.held)?;
            self.whole = true;
        }
        Ok(())
    }

    fn accept(&mut self, frame: &Frame) -> bool {
        match self.stream.frame(frame, &mut self.held) {
            Ok(step) => {
                self.finished = step.finished;
                step.content
            }
            Err(fault) => {
                self.broken = Some(fault);
                false
            }
        }
    }

    fn oversized(&mut self, oversized: Oversized) {
        self.broken = Some(AnswerFault::Malformed(oversized.to_string()));
    }
}

/// What no answer at all means for the plan.
pub(super) fn unsent(fault: &SendFault) -> Failure {
    tracing::debug!(%fault, "no answer");
    match fault.cause {
        SendCause::Connect
        | SendCause::Tls
        | SendCause::Dns
        | SendCause::Egress
        | SendCause::ConnectTimeout => Failure::connect(),
        SendCause::Reset => Failure::reset(fault.possibly_billed),
        SendCause::Protocol => Failure::malformed(),
    }
}

/// What a fault before the first content means for the plan.
fn judge(fault: &AnswerFault, expectation: &Expectation<'_>) -> Unopened {
    match fault {
        AnswerFault::Error { message, too_long: true, .. } => {
            let message = (expectation.mask)(message);
            let refusal = Refusal::new(400, "context_length_exceeded", message);
            Unopened::TooLong(refusal)
        }
        AnswerFault::Error { status, .. } => Failure::in_band(*status, false).into(),
        AnswerFault::Malformed(_) => Failure::malformed().into(),
        AnswerFault::Empty | AnswerFault::Truncated => Failure::empty().into(),
    }
}

async fn refused(
    status: StatusCode,
    headers: &HeaderMap,
    body: Body,
    expectation: &Expectation<'_>,
) -> Unopened {
    let bytes = body.whole(REFUSAL, expectation.deadline).await.unwrap_or_default();
    let terms = &expectation.terms;
    let status = status.as_u16();
    let retry_after = retry_after::parse(headers, expectation.wall);
    let failure = Failure::of_status(&failure::Refusal {
        status,
        retry_after,
        too_long: error::too_long(status, &bytes),
        callers_credential: expectation.passthrough,
    });
    let passed_on = || {
        let body = error::relay(terms.caller, terms.upstream, status, &bytes, expectation.mask);
        let id = upstream_request_id(headers);
        Refusal::passed_on(status, body).retry_after(retry_after).known_as(id)
    };
    match failure.next {
        Next::OtherTarget => Unopened::Failed(failure),
        Next::PassThrough => Unopened::PassOn(passed_on()),
        Next::RuleOutByWindow => Unopened::TooLong(passed_on()),
    }
}
