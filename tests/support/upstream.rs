//! A scripted upstream: a listener that does to each connection what a test says, byte for byte.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{DEADLINE, Gate, Watched, http::Message, must};

/// One step of what is done to a connection.
#[derive(Clone)]
pub(crate) enum Step {
    /// Wait until a whole request has come.
    Read,
    /// Wait until these bytes have come.
    ReadUntil(Vec<u8>),
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send these bytes again and again until the peer leaves.
    Flood(Vec<u8>),
    /// Do nothing until the gate opens, or the peer leaves.
    Stall(Gate),
    /// End with a reset.
    Reset,
    /// End with a FIN.
    Fin,
    /// Wait until the peer leaves.
    UntilClosed,
}

/// Sends `bytes`.
pub(crate) fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

/// Never answers.
pub(crate) fn silence() -> Vec<Step> {
    vec![Step::UntilClosed]
}

type Answer = dyn Fn(usize, &Message) -> Vec<Step> + Send + Sync;

enum Behavior {
    /// What is done to the n-th connection; the last entry goes on for those after it.
    Raw(Vec<Vec<Step>>),
    /// What is done after each whole request, whose ordinal counts from 0.
    Answer(Box<Answer>),
}

#[derive(Default)]
struct Connection {
    received: Vec<u8>,
    closed: Option<Instant>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Message>,
    connections: Vec<Arc<Watched<Connection>>>,
}

struct Shared {
    behavior: Behavior,
    seen: Arc<Watched<Seen>>,
    stopping: AtomicBool,
}

/// A scripted upstream that listens, until this is dropped.
pub(crate) struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Upstream {
    /// Does the same to every request.
    pub(crate) fn always(steps: Vec<Step>) -> Self {
        Self::answering(move |_, _| steps.clone())
    }

    /// Does to each request what `answer` says.
    pub(crate) fn answering(
        answer: impl Fn(usize, &Message) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Behavior::Answer(Box::new(answer)))
    }

    /// Does to the n-th connection what the n-th script says, and the last of them to those after it.
    pub(crate) fn raw(scripts: Vec<Vec<Step>>) -> Self {
        Self::start(Behavior::Raw(scripts))
    }

    fn start(behavior: Behavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Watched::new(Seen::default());
        let shared = Arc::new(Shared { behavior, seen, stopping: AtomicBool::new(false) });
        let served = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &served));
        Self { address, shared }
    }

    /// An address where nothing listens.
    pub(crate) fn refusing() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it had.
    pub(crate) fn connections(&self) -> usize {
        self.shared.seen.look(|seen| seen.connections.len())
    }

    /// How many whole requests it had.
    pub(crate) fn requests(&self) -> usize {
        self.shared.seen.look(|seen| seen.requests.len())
    }

    /// Waits for the `index`-th whole request.
    #[track_caller]
    pub(crate) fn request(&self, index: usize) -> Message {
        let found = self.shared.seen.wait(|seen| seen.requests.get(index).cloned());
        must(found, || format!("the upstream saw no request {index}"))
    }

    /// Waits until the proxy has closed the `index`-th connection.
    #[track_caller]
    pub(crate) fn closed(&self, index: usize) {
        let connection = self.shared.seen.wait(|seen| seen.connections.get(index).cloned());
        let connection = must(connection, || format!("there was no connection {index}"));
        let closed = connection.wait(|connection| connection.closed);
        assert!(closed.is_some(), "connection {index} stayed open");
    }

    /// Every byte that it received, over all connections.
    pub(crate) fn received(&self) -> Vec<u8> {
        let connections = self.shared.seen.look(|seen| seen.connections.clone());
        connections.iter().flat_map(|one| one.look(|one| one.received.clone())).collect()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _woken = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let connection = Watched::new(Connection::default());
        let index = shared.seen.change(|seen| {
            seen.connections.push(Arc::clone(&connection));
            seen.connections.len() - 1
        });
        let Ok(reading) = stream.try_clone() else { continue };
        let received = Arc::clone(&connection);
        thread::spawn(move || read(reading, &received));
        let shared = Arc::clone(shared);
        thread::spawn(move || serve(index, &stream, &connection, &shared));
    }
}

fn read(mut stream: TcpStream, connection: &Watched<Connection>) {
    let mut buffer = [0; 16 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => {
                connection.change(|connection| connection.closed = Some(Instant::now()));
                return;
            }
            Ok(count) => connection
                .change(|connection| connection.received.extend_from_slice(&buffer[..count])),
        }
    }
}

/// Whether the connection can go on after a step.
#[derive(PartialEq, Eq)]
enum Then {
    Open,
    Ended,
}

fn serve(index: usize, stream: &TcpStream, connection: &Watched<Connection>, shared: &Shared) {
    let _unset = stream.set_nodelay(true);
    let mut used = 0;
    match &shared.behavior {
        Behavior::Raw(scripts) => {
            let script = scripts.get(index).or(scripts.last()).cloned().unwrap_or_default();
            for step in script {
                if step_once(step, stream, connection, shared, &mut used) == Then::Ended {
                    return;
                }
            }
        }
        Behavior::Answer(answer) => {
            while let Some((ordinal, request)) = next_request(connection, shared, &mut used) {
                for step in answer(ordinal, &request) {
                    if step_once(step, stream, connection, shared, &mut used) == Then::Ended {
                        return;
                    }
                }
            }
        }
    }
    let _gone = stream.shutdown(Shutdown::Both);
}

fn next_request(
    connection: &Watched<Connection>,
    shared: &Shared,
    used: &mut usize,
) -> Option<(usize, Message)> {
    let request = connection.wait(|connection| {
        let request = Message::parse(&connection.received[*used..], connection.closed.is_some());
        match request.filter(|request| request.whole) {
            Some(request) => Some(Some(request)),
            None if connection.closed.is_some() => Some(None),
            None => None,
        }
    })??;
    *used += request.length;
    let ordinal = shared.seen.change(|seen| {
        seen.requests.push(request.clone());
        seen.requests.len() - 1
    });
    Some((ordinal, request))
}

fn step_once(
    step: Step,
    stream: &TcpStream,
    connection: &Watched<Connection>,
    shared: &Shared,
    used: &mut usize,
) -> Then {
    let mut writer = stream;
    let open = match step {
        Step::Read => next_request(connection, shared, used).is_some(),
        Step::ReadUntil(mark) => connection
            .wait(|connection| {
                let found = super::http::find(&connection.received, &mark).is_some();
                (found || connection.closed.is_some()).then_some(found)
            })
            .unwrap_or(false),
        Step::Send(bytes) => writer.write_all(&bytes).is_ok(),
        Step::Flood(bytes) => {
            while writer.write_all(&bytes).is_ok() {}
            false
        }
        Step::Stall(gate) => stall(&gate, connection),
        Step::Reset => {
            reset_on_close(stream);
            // Ends the reading thread, which holds a handle too, without a packet.
            let _ended = stream.shutdown(Shutdown::Read);
            false
        }
        Step::Fin => {
            let _gone = stream.shutdown(Shutdown::Write);
            false
        }
        Step::UntilClosed => {
            let _closed = connection.wait(|connection| connection.closed);
            false
        }
    };
    if open { Then::Open } else { Then::Ended }
}

/// Waits for two things at once; true when the gate has opened.
fn stall(gate: &Gate, connection: &Watched<Connection>) -> bool {
    let until = Instant::now() + DEADLINE;
    while Instant::now() < until {
        if gate.is_open() {
            return true;
        }
        if connection.look(|connection| connection.closed.is_some()) {
            return false;
        }
        thread::park_timeout(Duration::from_millis(2));
    }
    false
}

/// Makes the close of this connection a reset: the last of its handles to be dropped sends RST.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let _entered = runtime.enter();
    let copy = stream.try_clone().unwrap();
    copy.set_nonblocking(true).unwrap();
    let copy = tokio::net::TcpStream::from_std(copy).unwrap();
    copy.set_zero_linger().unwrap();
    // The flag belongs to the socket, not to the handle.
    stream.set_nonblocking(false).unwrap();
}
