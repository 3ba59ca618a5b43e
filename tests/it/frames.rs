//! A19: HTTP/2 frame by frame, as no client should send them. A violation ends the connection, a flood is bounded, and
//! nobody else notices.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::support::{
    DEADLINE,
    client::is_pause,
    program::{Program, chat},
    reply,
    setup::Setup,
    until,
    upstream::{Step, Upstream},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

// Why a connection is given up.
const PROTOCOL: u32 = 1;
const FLOW: u32 = 3;
const SIZE: u32 = 6;
const COMPRESSION: u32 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One frame that came.
struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// A connection that sends any frame.
struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
    ended: bool,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head[..], payload].concat()
}

/// A field that is written out, name and value.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// The fields of a POST, with a body that is announced.
fn head(length: Option<usize>) -> Vec<u8> {
    let mut fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/chat/completions"),
        (":authority", "localhost"),
        ("content-type", "application/json"),
    ]
    .map(|(name, value)| field(name, value))
    .concat();
    if let Some(length) = length {
        fields.extend(field("content-length", &length.to_string()));
    }
    fields
}

impl Wire {
    /// Connected, without a word.
    fn silent(program: &Program) -> Self {
        let stream = TcpStream::connect(program.data()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        Self { stream, received: Vec::new(), ended: false }
    }

    /// Connected and introduced.
    fn open(program: &Program) -> Self {
        let mut wire = Self::silent(program);
        wire.send(PREFACE).send(frame(SETTINGS, 0, 0, &[]));
        wire.until("the settings", |frame| frame.kind == SETTINGS);
        wire
    }

    /// Sends bytes; what a closed connection does not take is lost.
    fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _closed = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Sends the same again and again until the connection ends, at most so often; reads only where `listens`. True
    /// where it has ended.
    fn flood(&mut self, bytes: &[u8], most: usize, listens: bool) -> bool {
        let batch = 64;
        let piece = bytes.repeat(batch);
        for _ in 0..most / batch {
            match self.stream.write_all(&piece) {
                // The other side does not take more for now, which bounds a flood as well.
                Err(fault) if is_pause(&fault) => {
                    return false;
                }
                Err(_) => return true,
                Ok(()) => {}
            }
            if listens {
                let _come = self.stream.set_nonblocking(true);
                self.read();
                let _come = self.stream.set_nonblocking(false);
            }
        }
        false
    }

    /// Waits for a frame.
    #[track_caller]
    fn until(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let end = Instant::now() + DEADLINE;
        loop {
            while let Some(frame) = self.next() {
                if wanted(&frame) {
                    return frame;
                }
            }
            assert!(!self.ended, "closed before {what}");
            assert!(Instant::now() < end, "no {what}");
            self.read();
        }
    }

    /// Waits until the connection is given up: by a GOAWAY with an error, or by its end. The error, where it was told.
    #[track_caller]
    fn given_up(&mut self) -> Option<u32> {
        let end = Instant::now() + DEADLINE;
        loop {
            while let Some(frame) = self.next() {
                if frame.kind == GOAWAY {
                    let code = u32::from_be_bytes(frame.payload[4..8].try_into().unwrap());
                    if code != 0 {
                        return Some(code);
                    }
                }
            }
            if self.ended {
                return None;
            }
            assert!(Instant::now() < end, "the connection stays");
            self.read();
        }
    }

    /// Waits for what becomes of the request on stream 1: whether it ends in a reset, in a status that is not 200, or
    /// with the connection.
    #[track_caller]
    fn refused(&mut self) -> bool {
        let end = Instant::now() + DEADLINE;
        loop {
            match self.next() {
                Some(frame) if matches!(frame.kind, RST_STREAM | GOAWAY) => return true,
                // 200 is in the table that every connection begins with.
                Some(frame) if frame.kind == HEADERS => return !frame.payload.starts_with(&[0x88]),
                Some(_) => {}
                None if self.ended => return true,
                None => self.read(),
            }
            assert!(Instant::now() < end, "neither answered nor refused");
        }
    }

    /// The next whole frame of what has come.
    fn next(&mut self) -> Option<Frame> {
        let length = self.received.get(..3)?;
        let length =
            usize::from(length[0]) << 16 | usize::from(length[1]) << 8 | usize::from(length[2]);
        if self.received.len() < 9 + length {
            return None;
        }
        let bytes: Vec<u8> = self.received.drain(..9 + length).collect();
        let stream = u32::from_be_bytes(bytes[5..9].try_into().unwrap());
        Some(Frame { kind: bytes[3], stream, payload: bytes[9..].to_vec() })
    }

    fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.ended = true,
            Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            Err(fault) => self.ended |= !is_pause(&fault),
        }
    }
}

/// The program before a provider that answers and one that never does.
fn start() -> (Program, [Upstream; 2]) {
    let (answers, silent) =
        (Upstream::always(reply::chat("fine")), Upstream::always(vec![Step::UntilClosed]));
    let program = Program::start(&Setup::two(answers.address(), silent.address()));
    (program, [answers, silent])
}

/// One request over a connection that is in order.
fn is_served(program: &Program) {
    assert_eq!(program.chat("alpha").status(), 200);
    let mut wire = Wire::open(program);
    let body = chat("alpha", "x", false);
    wire.send(frame(HEADERS, END_HEADERS, 1, &head(Some(body.len()))));
    wire.send(frame(DATA, END_STREAM, 1, body.as_bytes()));
    let answer = wire.until("an answer", |frame| frame.kind == DATA && frame.stream == 1);
    assert!(String::from_utf8_lossy(&answer.payload).contains("fine"));
}

#[test]
fn a19_a_violation_ends_the_connection() {
    let (program, _upstreams) = start();
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head(None));
    let open = frame(HEADERS, END_HEADERS, 1, &head(None));
    let with = |more: Vec<u8>| [open.clone(), more].concat();
    let update = |stream, by: u32| frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
    let cases: [(&str, Vec<u8>, &[u32]); 17] = [
        ("a frame that is too large", frame(DATA, 0, 1, &vec![0; 16_385]), &[SIZE, PROTOCOL]),
        ("settings of a wrong size", frame(SETTINGS, 0, 0, &[0; 5]), &[SIZE, PROTOCOL]),
        ("settings of a stream", frame(SETTINGS, 0, 1, &[]), &[PROTOCOL]),
        ("an acknowledgement with a payload", frame(SETTINGS, 1, 0, &[0; 6]), &[SIZE, PROTOCOL]),
        (
            "a window that is too large",
            frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]),
            &[FLOW, PROTOCOL],
        ),
        ("frames that are too small", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]), &[PROTOCOL]),
        ("data on no stream", frame(DATA, 0, 0, b"x"), &[PROTOCOL]),
        ("data on an idle stream", frame(DATA, 0, 5, b"x"), &[PROTOCOL, 5]),
        ("a head on no stream", frame(HEADERS, END_HEADERS, 0, &head(None)), &[PROTOCOL]),
        ("a head on a stream of ours", frame(HEADERS, END_HEADERS, 2, &head(None)), &[PROTOCOL]),
        ("a promise", with(frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])), &[PROTOCOL]),
        (
            "a continuation of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &head(None)),
            &[PROTOCOL],
        ),
        (
            "another frame between continuations",
            [frame(HEADERS, 0, 1, &head(None)), frame(PING, 0, 0, &[0; 8])].concat(),
            &[PROTOCOL],
        ),
        ("a ping of a wrong size", frame(PING, 0, 0, &[0; 7]), &[SIZE, PROTOCOL]),
        ("no increment of the connection", update(0, 0), &[PROTOCOL]),
        ("a window beyond its end", update(0, 0x7fff_ffff), &[FLOW]),
        (
            "a head that cannot be unpacked",
            frame(HEADERS, END_HEADERS, 1, &[0xff; 9]),
            &[COMPRESSION, PROTOCOL],
        ),
    ];
    for (what, bytes, codes) in cases {
        let mut wire = Wire::open(&program);
        wire.send(bytes);
        let code = wire.given_up();
        assert!(code.is_none_or(|code| codes.contains(&code)), "{what}: {code:?}");
    }
    // A preface that is none.
    let mut wire = Wire::silent(&program);
    wire.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").send(&request);
    let code = wire.given_up();
    assert!(code.is_none_or(|code| code == PROTOCOL), "{code:?}");
    is_served(&program);
}

#[test]
fn a19_a_bad_head_is_refused() {
    let (program, _upstreams) = start();
    let missing = |name: &str| -> Vec<u8> {
        [(":method", "POST"), (":scheme", "http"), (":path", "/v1/chat/completions")]
            .iter()
            .filter(|(known, _)| *known != name)
            .flat_map(|(name, value)| field(name, value))
            .collect()
    };
    let with = |name: &str, value: &str| [head(None), field(name, value)].concat();
    let cases = [
        ("no method", missing(":method")),
        ("no path", missing(":path")),
        ("a field of a connection", with("connection", "close")),
        ("a coding of a transfer", with("transfer-encoding", "chunked")),
        ("capital letters", with("X-Name", "v")),
        ("a pseudo-field behind others", with(":status", "200")),
        ("a line end in a value", with("x-name", "a\r\nb: c")),
        ("two lengths", [with("content-length", "3"), field("content-length", "4")].concat()),
    ];
    for (what, fields) in cases {
        let mut wire = Wire::open(&program);
        wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields));
        assert!(wire.refused(), "{what} was served");
    }
    is_served(&program);
}

#[test]
fn a19_floods_are_bounded() {
    let (program, _upstreams) = start();
    is_served(&program);
    let before = program.resident();
    let open = frame(HEADERS, END_HEADERS, 1, &head(None));
    let part = frame(CONTINUATION, 0, 1, &field("x-flood", &"y".repeat(100)).repeat(100));
    let floods: [(&str, Vec<u8>, Vec<u8>); 7] = [
        ("continuations", frame(HEADERS, 0, 1, &head(None)), part),
        ("empty continuations", frame(HEADERS, 0, 1, &head(None)), frame(CONTINUATION, 0, 1, &[])),
        ("settings", Vec::new(), frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9])),
        ("pings", Vec::new(), frame(PING, 0, 0, &[0; 8])),
        ("empty data", open.clone(), frame(DATA, 0, 1, &[])),
        ("windows", open.clone(), frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes())),
        ("unknown frames", Vec::new(), frame(0xbe, 0, 0, &[0; 64])),
    ];
    for (what, first, flood) in floods {
        let mut wire = Wire::open(&program);
        wire.send(first);
        let _ended = wire.flood(&flood, 60_000, false);
        assert_eq!(program.chat("alpha").status(), 200, "{what}: nobody else is served");
        let grown = program.resident().saturating_sub(before);
        assert!(grown < 64 << 20, "{what}: {} MiB more", grown >> 20);
    }
    is_served(&program);
}

#[test]
fn a19_streams_that_are_opened_and_reset_are_bounded() {
    let (program, _upstreams) = start();
    let before = program.resident();
    let body = chat("beta", "x", true);
    for ours in [true, false] {
        let mut wire = Wire::open(&program);
        let mut stream = 1;
        let mut ended = false;
        while stream < 20_000 && !ended {
            let mut bytes = Vec::new();
            for _ in 0..50 {
                bytes.extend(frame(HEADERS, END_HEADERS, stream, &head(Some(body.len()))));
                bytes.extend(frame(DATA, END_STREAM, stream, body.as_bytes()));
                bytes.extend(if ours {
                    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
                } else {
                    // An increment of nothing: the program has to reset the stream itself.
                    frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes())
                });
                stream += 2;
            }
            ended = wire.flood(&bytes, 64, true) || wire.ended;
        }
        drop(wire);
        assert_eq!(program.chat("alpha").status(), 200);
    }
    until("all of them to be over", || {
        let open = program.metrics().sum("pointsman_requests_in_flight", &[]);
        (open < 0.5).then_some(())
    });
    let grown = program.resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB more", grown >> 20);
    is_served(&program);
}

#[test]
fn a19_a_head_that_unpacks_to_much_is_refused() {
    let (program, _upstreams) = start();
    let before = program.resident();
    let mut wire = Wire::open(&program);
    // One field of almost 4 KiB is kept in the table, and named sixteen thousand times in as many bytes.
    let value = "v".repeat(3900);
    let mut fields = head(None);
    let length = 3900 - 127;
    fields.extend([0x40, 6]);
    fields.extend(b"x-bomb");
    fields.extend([
        127,
        u8::try_from(length % 128).unwrap() | 0x80,
        u8::try_from(length / 128).unwrap(),
    ]);
    fields.extend(value.as_bytes());
    fields.extend([0xbe].repeat(8_000));
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields));
    assert!(wire.refused(), "it was served");
    assert!(program.resident() < before + (32 << 20), "it was unpacked");
    is_served(&program);
}

#[test]
fn a19_a_caller_without_a_window_holds_up_nobody() {
    let answers = Upstream::answering(|_, _| reply::chat_stream(&["eins ", "zwei"]));
    let program = Program::start(&Setup::one("openai-chat", answers.address()));
    let mut wire = Wire::silent(&program);
    // Streams begin with no window at all.
    wire.send(PREFACE).send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let body = chat("alpha", "x", true);
    wire.send(frame(HEADERS, END_HEADERS, 1, &head(Some(body.len()))));
    wire.send(frame(DATA, END_STREAM, 1, body.as_bytes()));
    let head = wire.until("the head of the answer", |frame| frame.kind == HEADERS);
    assert_eq!(head.stream, 1);
    assert_eq!(program.chat_stream("alpha").status(), 200);
    // With a little window a little comes, and no more.
    wire.send(frame(WINDOW_UPDATE, 0, 1, &10_u32.to_be_bytes()));
    let data = wire.until("ten bytes", |frame| frame.kind == DATA);
    assert_eq!(data.payload.len(), 10);
    wire.send(frame(WINDOW_UPDATE, 0, 1, &100_000_u32.to_be_bytes()));
    let mut text = data.payload;
    while !text.ends_with(b"[DONE]\n\n") {
        text.extend(wire.until("the rest", |frame| frame.kind == DATA).payload);
    }
}
