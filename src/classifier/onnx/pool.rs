//! The threads that encode: a bounded set with a bounded queue.
//!
//! What waits is bounded by number, and what nobody waits for any more is not begun. A panic ends the work that caused
//! it, not the thread. When the pool is dropped its threads end with the work at hand.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{
    classifier::{
        ClassifierFault,
        onnx::{
            encoder::{Encoded, Encoder, Kind},
            tokenize::Tokenizer,
            window,
        },
    },
    classify::Unclassified,
    conversation::Conversation,
};

/// How much may wait for each thread. At 15 ms each the last one waits about as long as the default deadline.
const WAITING: usize = 16;

/// What is to be encoded.
pub(super) enum Work {
    /// A conversation.
    Conversation(Conversation),
    /// A task's text.
    Task(String),
}

/// What was made of it.
#[derive(Debug, Clone)]
pub(super) struct Read {
    /// Of unit length.
    pub(super) vector: Vec<f32>,
    /// The logit of *none*.
    pub(super) none: f32,
    /// Whether some of the user's text was not read.
    pub(super) truncated: bool,
}

type Answer = Result<Read, Unclassified>;

struct Job {
    work: Work,
    answer: oneshot::Sender<Answer>,
}

/// The threads.
pub(super) struct Pool {
    queue: SyncSender<Job>,
}

impl Pool {
    /// Starts a thread for each encoder.
    pub(super) fn start(
        encoders: Vec<Encoder>,
        tokenizer: &Arc<Tokenizer>,
    ) -> Result<Self, ClassifierFault> {
        let workers = encoders.into_iter().map(|mut encoder| {
            let tokenizer = Arc::clone(tokenizer);
            move |work: &Work| encode(&mut encoder, &tokenizer, work)
        });
        Self::of(workers.collect())
    }

    fn of<W>(workers: Vec<W>) -> Result<Self, ClassifierFault>
    where
        W: FnMut(&Work) -> Answer + Send + 'static,
    {
        let (queue, jobs) = sync_channel(WAITING.saturating_mul(workers.len()));
        let jobs = Arc::new(Mutex::new(jobs));
        for worker in workers {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name("classifier".to_owned())
                .spawn(move || serve(&jobs, worker))
                .map_err(|error| ClassifierFault::Thread(error.to_string()))?;
        }
        Ok(Self { queue })
    }

    /// Encodes `work` as soon as a thread is free.
    pub(super) async fn run(&self, work: Work) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Job { work, answer }).map_err(|error| match error {
            TrySendError::Full(_) => Unclassified::Overloaded,
            TrySendError::Disconnected(_) => Unclassified::Down("its threads ended".to_owned()),
        })?;
        answered.await.unwrap_or_else(|_| Err(Unclassified::Down("its thread ended".to_owned())))
    }
}

fn serve(jobs: &Mutex<Receiver<Job>>, mut worker: impl FnMut(&Work) -> Answer) {
    loop {
        let Ok(job) = jobs.lock().recv() else { return };
        if job.answer.is_closed() {
            continue;
        }
        let answer = catch_unwind(AssertUnwindSafe(|| worker(&job.work)))
            .unwrap_or_else(|_| Err(Unclassified::Down("it panicked".to_owned())));
        // Whoever asked may have given up meanwhile.
        let _ = job.answer.send(answer);
    }
}

fn encode(encoder: &mut Encoder, tokenizer: &Tokenizer, work: &Work) -> Answer {
    let (tokens, kind) = match work {
        Work::Conversation(conversation) => {
            (window::conversation(conversation, tokenizer)?, Kind::Conversation)
        }
        Work::Task(text) => (window::task(text, tokenizer)?, Kind::Task),
    };
    let Encoded { vector, none } = encoder.run(&tokens, kind)?;
    Ok(Read { vector, none, truncated: tokens.truncated })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn task(text: &str) -> Work {
        Work::Task(text.to_owned())
    }

    fn read() -> Read {
        Read { vector: Vec::new(), none: 0.5, truncated: false }
    }

    #[tokio::test]
    async fn a_panic_ends_the_work_and_not_the_thread() {
        let worker = |work: &Work| match work {
            Work::Task(text) if text == "bad" => panic!("as asked"),
            Work::Task(_) | Work::Conversation(_) => Ok(read()),
        };
        let threads = Pool::of(vec![worker]).unwrap();
        assert!(matches!(threads.run(task("bad")).await, Err(Unclassified::Down(_))));
        assert!(threads.run(task("good")).await.is_ok());
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_and_what_nobody_awaits_is_not_begun() {
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let begun = Arc::new(Mutex::new(0_usize));
        let count = Arc::clone(&begun);
        let worker = move |_: &Work| {
            *count.lock() += 1;
            gate.recv().unwrap();
            Ok(read())
        };
        let threads = Pool::of(vec![worker]).unwrap();
        let mut first = Box::pin(threads.run(task("first")));
        assert!(first.as_mut().now_or_never().is_none());
        while *begun.lock() == 0 {
            tokio::task::yield_now().await;
        }
        let mut waiting: Vec<_> =
            (0..WAITING).map(|_| Box::pin(threads.run(task("waits")))).collect();
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none());
        }
        assert_eq!(threads.run(task("late")).await.unwrap_err(), Unclassified::Overloaded);
        waiting.clear();
        release.send(()).unwrap();
        assert!(first.await.is_ok());
        release.send(()).unwrap();
        // What was given up takes its place in the queue until the thread comes to it.
        let again = loop {
            match threads.run(task("again")).await {
                Err(Unclassified::Overloaded) => tokio::task::yield_now().await,
                answer => break answer,
            }
        };
        assert!(again.is_ok());
        assert_eq!(*begun.lock(), 2);
    }
}
