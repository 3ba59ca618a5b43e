//! One request on its way through the endpoints of its model, until one of them has begun to answer.

use std::{borrow::Cow, ops::Range, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use tokio::time::timeout_at;

use crate::{
    bounded::memory::Room,
    catalog::{
        model::{Model, Target},
        provider::Auth,
    },
    dialect::{
        answer::{self, Outcome},
        error,
        ir::answer::Usage,
        json,
        sse::MAX_FRAME,
    },
    engine::{
        Stop,
        exchange::{Exchange, Interrupt},
        ledger::Ledger,
        open,
        passthrough::{
            Context,
            events::Events,
            flow::Flow,
            judge::{self, Wanted},
        },
        refusal::Refusal,
        relay::{Ending, Patience},
        send_json,
        trial::{Subject, Trial, Verdict},
    },
    http::{header, retry_after, route::PassThrough},
    resilience::{
        budget::Repeat,
        exhausted,
        failure::{self, Failure, Next},
    },
    telemetry::clock,
    upstream::{self, BodyFault, Call, MAX_ANSWER},
};

/// The most bytes of a refusal that are read.
const REFUSAL: usize = 1 << 20;

/// The longest event with a picture in it.
const MAX_PICTURE: usize = 16 << 20;

/// One request.
pub(super) struct Job<'a, 'b> {
    /// What it is served with.
    pub context: Context<'a>,
    /// What it is for.
    pub endpoint: PassThrough,
    /// What its answer has to be.
    pub wanted: Wanted,
    /// The request as it came.
    pub body: &'b Bytes,
    /// Where the model's name stands in it.
    pub span: Range<usize>,
    /// The model.
    pub model: &'a Arc<Model>,
}

/// An answer that has begun.
struct Came {
    upstream_request_id: Option<HeaderValue>,
    answer: Answer,
}

enum Answer {
    Whole(Bytes, Option<Usage>),
    Flow(Box<Flow>),
}

/// Why none has.
enum Missed {
    Failed(Failure),
    PassOn(Refusal),
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Job<'_, '_> {
    /// Tries the targets until one answers.
    pub(super) async fn run(
        &self,
        targets: &[Arc<Target>],
        exchange: &mut impl Exchange,
        ledger: &mut Ledger<'_>,
    ) -> Result<(), Stop> {
        let engine = self.context.engine;
        let mut failures = Vec::new();
        for target in targets {
            if !self.may_go_on(failures.len(), ledger) {
                break;
            }
            let Some(mut trial) = Trial::begin(engine, target, Subject::default()) else {
                continue;
            };
            ledger.moved_on(failures.last().map(|failure: &Failure| failure.cause));
            ledger.attempted(target);
            let deadline = self.deadline(ledger);
            let room = exchange.room();
            let came = tokio::select! {
                interrupt = exchange.interrupted() => return Err(interrupt.into()),
                came = timeout_at(deadline.into(), self.send(target, deadline, &room)) => came,
            };
            match came.unwrap_or_else(|_| Err(Failure::timeout().into())) {
                Ok(came) => {
                    trial.content_began();
                    self.pass(came, (target, trial), exchange, ledger).await;
                    return Ok(());
                }
                Err(Missed::PassOn(refusal)) => {
                    trial.end(Verdict::Rejected);
                    return Err(refusal.into());
                }
                Err(Missed::Failed(failure)) => {
                    trial.end(Verdict::Failed(failure));
                    ledger.failed(failure.possibly_billed);
                    failures.push(failure);
                }
            }
        }
        let late = clock::now() >= ledger.deadline();
        let ended = if late { exhausted::Ended::Total } else { exhausted::Ended::NoTarget };
        Err(engine.exhausted(&failures, ended, targets).into())
    }

    /// Whether there may be one more attempt after so many that failed.
    fn may_go_on(&self, failed: usize, ledger: &Ledger<'_>) -> bool {
        let Context { engine, world, .. } = self.context;
        let now = clock::now();
        let repeat = if failed == 1 { Repeat::FirstMove } else { Repeat::Further };
        failed < world.catalog.settings.failover.attempts as usize
            && now < ledger.deadline()
            && (failed == 0 || engine.budget.allow(repeat, now))
    }

    /// When the attempt that begins now has to have begun to answer, or to have answered whole.
    fn deadline(&self, ledger: &Ledger<'_>) -> Instant {
        let timeouts = &self.model.timeouts;
        let patience =
            if self.wanted == Wanted::Events { timeouts.first_token } else { timeouts.response };
        let deadline = clock::now().checked_add(patience).unwrap_or_else(|| ledger.deadline());
        deadline.min(ledger.deadline())
    }

    /// One attempt.
    async fn send(&self, target: &Target, deadline: Instant, room: &Room) -> Result<Came, Missed> {
        let admitted = self.context.admitted;
        let mut caller_headers = HeaderMap::new();
        header::forward(&admitted.forwarded, self.endpoint.dialect(), &mut caller_headers);
        let callers_own = matches!(target.provider.auth, Auth::Passthrough);
        let id = json::quote(&target.upstream_id);
        let edit = (self.span.clone(), Cow::Borrowed(id.as_bytes()));
        let sent = self.context.engine.upstream.send(Call {
            target,
            path: self.endpoint.path(),
            body: Bytes::from(json::splice(self.body, &[edit])),
            streamed: self.wanted == Wanted::Events,
            caller_headers: &caller_headers,
            passthrough: admitted.credential.as_ref().filter(|_| callers_own),
            connect_timeout: self.model.timeouts.connect,
        });
        let (head, body) = sent.await.map_err(|fault| open::unsent(&fault))?.into_parts();
        if !head.status.is_success() {
            let bytes = body.whole(REFUSAL, deadline.into()).await.unwrap_or_default();
            return Err(self.refused(head.status, &head.headers, &bytes, target));
        }
        let upstream_request_id = open::upstream_request_id(&head.headers);
        if self.wanted != Wanted::Json && self.wanted.is_in(&head.headers) {
            let kind = head.headers.get(CONTENT_TYPE).cloned();
            let flow = Flow::open(body, kind, self.events()).await?;
            return Ok(Came { upstream_request_id, answer: Answer::Flow(Box::new(flow)) });
        }
        if !Wanted::Json.is_in(&head.headers) {
            return Err(Failure::malformed().into());
        }
        let bytes = body.whole_in(room, MAX_ANSWER, deadline.into()).await;
        let bytes = bytes.map_err(|fault| {
            if matches!(fault, BodyFault::NoRoom(_)) {
                return Missed::PassOn(Refusal::no_room());
            }
            judge::unread(&fault).into()
        })?;
        let usage = judge::document(&bytes).map_err(|fault| judge::failure(&fault))?;
        if self.wanted != Wanted::Json {
            // Only an error dressed as a success may come in this form.
            return Err(Failure::malformed().into());
        }
        let bytes = answer::replace_model(&bytes, &self.model.id);
        let bytes = bytes.map_err(|fault| judge::failure(&fault))?;
        Ok(Came { upstream_request_id, answer: Answer::Whole(bytes, usage) })
    }

    fn events(&self) -> Option<Events> {
        let cap = if self.endpoint == PassThrough::Images { MAX_PICTURE } else { MAX_FRAME };
        (self.wanted == Wanted::Events).then(|| Events::new(&self.model.id, cap))
    }

    fn refused(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        bytes: &[u8],
        target: &Target,
    ) -> Missed {
        let status = status.as_u16();
        let retry_after = retry_after::parse(headers, clock::wall());
        let failure = Failure::of_status(&failure::Refusal {
            status,
            retry_after,
            too_long: false,
            callers_credential: matches!(target.provider.auth, Auth::Passthrough),
        });
        if failure.next == Next::OtherTarget {
            return Missed::Failed(failure);
        }
        let mask = |text: &str| self.mask(target, text);
        let dialect = self.endpoint.dialect();
        let body = error::relay(dialect, dialect, status, bytes, &mask);
        let id = open::upstream_request_id(headers);
        let refusal = Refusal::passed_on(status, body).retry_after(retry_after);
        Missed::PassOn(refusal.known_as(id))
    }

    /// Takes the credentials out of a provider's words.
    fn mask(&self, target: &Target, text: &str) -> String {
        let credential = self.context.admitted.credential.as_ref();
        let secrets: Vec<_> =
            upstream::credential_of(&target.provider).into_iter().chain(credential).collect();
        upstream::mask(text, &secrets)
    }

    /// Gives the caller the answer, and books it.
    async fn pass(
        &self,
        came: Came,
        (target, mut trial): (&Target, Trial<'_>),
        exchange: &mut impl Exchange,
        ledger: &mut Ledger<'_>,
    ) {
        ledger.answered(came.upstream_request_id);
        let (ending, usage) = match came.answer {
            Answer::Whole(bytes, usage) => {
                let sent = send_json(exchange, 200, ledger.headers(), bytes).await;
                (sent.map_or_else(Ending::Interrupted, |()| Ending::Complete), usage)
            }
            Answer::Flow(mut flow) => {
                let ending = self.flow(&mut flow, target, exchange, ledger).await;
                (ending, flow.events.and_then(|events| events.usage))
            }
        };
        if usage.is_some() {
            ledger.used(&Outcome { usage, ..Outcome::default() });
        }
        ending.settle(&mut trial, ledger);
    }

    async fn flow(
        &self,
        flow: &mut Flow,
        target: &Target,
        exchange: &mut impl Exchange,
        ledger: &Ledger<'_>,
    ) -> Ending {
        let headers = if flow.events.is_some() {
            ledger.stream_headers()
        } else {
            let octets = HeaderValue::from_static("application/octet-stream");
            let mut headers = ledger.headers();
            headers.insert(CONTENT_TYPE, flow.kind.take().unwrap_or(octets));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers
        };
        if exchange.start(StatusCode::OK, headers, None).await.is_err() {
            return Ending::Interrupted(Interrupt::CallerGone);
        }
        let between_tokens = self.model.timeouts.between_tokens;
        let patience = Patience { between_tokens, deadline: ledger.deadline() };
        flow.relay(exchange, patience, &|text| self.mask(target, text)).await
    }
}
