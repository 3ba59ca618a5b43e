//! A raw client: sends any bytes, reads what comes, and knows a whole answer from a cut one.

use std::{
    fmt::Write as _,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{DEADLINE, Watched, http::Message, must, upstream::reset_on_close};

/// Every byte that any client of one program received; searched for secrets when the program ends.
pub(crate) type Tape = Arc<Watched<Vec<u8>>>;

/// One connection to the program.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    ended: bool,
    /// Whether the last read found less than it had room for.
    rests: bool,
    tape: Tape,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr, tape: &Tape) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self { stream, received: Vec::new(), ended: false, rests: true, tape: Arc::clone(tape) }
    }

    /// Sends bytes. A peer that has closed is no failure: what it answered is looked at.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _peer_may_have_closed = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Sends a whole POST with JSON.
    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> &mut Self {
        let head = request_head("POST", path, headers, body.len());
        self.send(head + body)
    }

    /// Waits for one whole answer, or for its broken end.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Message {
        let message = self.read_until("a whole answer", |received, ended| {
            Message::parse(received, ended).filter(|message| message.whole || ended)
        });
        let message =
            must(message, || format!("closed without an answer: {}", excerpt(&self.received)));
        self.received.drain(..message.length.min(self.received.len()));
        message
    }

    /// The whole answer, if it comes within `time`: for requests that may rightly go unanswered for now.
    pub(crate) fn answered_within(&mut self, time: Duration) -> Option<Message> {
        let end = Instant::now() + time;
        loop {
            let message = Message::parse(&self.received, self.ended);
            if let Some(message) = message.filter(|message| message.whole) {
                return Some(message);
            }
            if self.ended || Instant::now() >= end {
                return None;
            }
            self.read();
        }
    }

    /// Waits until the answer's body holds `mark`; the answer as far as it came.
    #[track_caller]
    pub(crate) fn until(&mut self, mark: &str) -> Message {
        let what = format!("{mark:?} in the answer");
        let found = self.read_until(&what, |received, ended| {
            Message::parse(received, ended).filter(|message| message.text().contains(mark))
        });
        must(found, || format!("no {mark:?} in {}", excerpt(&self.received)))
    }

    /// Waits until the program closes the connection; what came before.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> Vec<u8> {
        let _none: Option<()> = self.read_until("the end of the connection", |_, _| None);
        std::mem::take(&mut self.received)
    }

    /// Sends `byte` once a second until the program closes the connection, at most `most` times; how often it was sent.
    pub(crate) fn dribble(&mut self, byte: u8, most: u32) -> u32 {
        for sent in 0..most {
            let second = Instant::now() + Duration::from_secs(1);
            while !self.ended && Instant::now() < second {
                self.read();
            }
            if self.ended {
                return sent;
            }
            self.send([byte]);
        }
        most
    }

    /// Closes it with FIN in both directions.
    pub(crate) fn hang_up(self) {
        let _gone = self.stream.shutdown(Shutdown::Both);
    }

    /// Closes it with a reset.
    pub(crate) fn reset(self) {
        reset_on_close(&self.stream);
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub(crate) fn half_close(&mut self) {
        let _gone = self.stream.shutdown(Shutdown::Write);
    }

    #[track_caller]
    fn read_until<R>(
        &mut self,
        what: &str,
        mut found: impl FnMut(&[u8], bool) -> Option<R>,
    ) -> Option<R> {
        let end = Instant::now() + DEADLINE;
        // A flood is not looked at again for each piece of it: that would take longer than the flood.
        let mut looked_at = None;
        loop {
            let grown = self.received.len().saturating_sub(looked_at.unwrap_or_default());
            if self.rests || looked_at.is_none() || grown > self.received.len() / 4 {
                looked_at = Some(self.received.len());
                if let Some(result) = found(&self.received, self.ended) {
                    return Some(result);
                }
            }
            if self.ended {
                return None;
            }
            assert!(Instant::now() < end, "no {what}; received {}", excerpt(&self.received));
            self.read();
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.end(),
            Ok(count) => {
                self.rests = count < buffer.len();
                self.received.extend_from_slice(&buffer[..count]);
                self.tape.change(|tape| tape.extend_from_slice(&buffer[..count]));
            }
            Err(fault) if is_pause(&fault) => self.rests = true,
            Err(_) => self.end(),
        }
    }

    fn end(&mut self) {
        (self.ended, self.rests) = (true, true);
    }
}

/// Whether a read with a timeout ended without saying anything of the connection: nothing came in time, or the machine
/// stood still, which interrupts such reads.
pub(crate) fn is_pause(fault: &io::Error) -> bool {
    matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn excerpt(bytes: &[u8]) -> String {
    let tail = &bytes[bytes.len().saturating_sub(1500)..];
    format!("{} bytes, the last: {}", bytes.len(), tail.escape_ascii())
}

/// A head with `content-type: application/json` and a length; `headers` may replace the former.
pub(crate) fn request_head(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    length: usize,
) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        head.push_str("Content-Type: application/json\r\n");
    }
    for (name, value) in headers {
        let _infallible = write!(head, "{name}: {value}\r\n");
    }
    head + &format!("Content-Length: {length}\r\n\r\n")
}
