//! Callers: one that waits for each answer, and many at once. Each measures what it sees.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Where to send what.
#[derive(Clone)]
pub(crate) struct Aim {
    pub(crate) address: SocketAddr,
    /// Header lines besides the usual ones, each with its line end.
    pub(crate) headers: String,
}

impl Aim {
    fn request(&self, body: &str) -> Vec<u8> {
        let Self { address, headers } = self;
        let length = body.len();
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nauthorization: Bearer sk-bench\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
    }

    /// A request of about 1 KB.
    pub(crate) fn whole(&self) -> Vec<u8> {
        let text = "Why is the 07:40 to Lyon always late on Mondays? ".repeat(18);
        self.request(&format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#
        ))
    }

    /// A request for a stream; a silent one stops after its first word.
    pub(crate) fn stream(&self, silent: bool) -> Vec<u8> {
        let text = if silent { "fall silent" } else { "go on" };
        self.request(&format!(
            r#"{{"model":"m","stream":true,"messages":[{{"role":"user","content":"{text}"}}]}}"#
        ))
    }
}

/// Where a whole HTTP/1.1 message ends in `bytes`, if it is there.
pub(crate) fn message_end(bytes: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let mut length = None;
    for line in bytes[..head].split(|byte| *byte == b'\n') {
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix(b"content-length:") {
            length = std::str::from_utf8(value).ok()?.trim().parse::<usize>().ok();
        }
    }
    match length {
        Some(length) => (bytes.len() >= head + length).then_some(head + length),
        None => bytes.ends_with(b"\r\n0\r\n\r\n").then_some(bytes.len()),
    }
}

fn check(answer: &[u8]) {
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
}

/// The latencies of one caller's requests, one after the other, for this long or so many.
pub(crate) fn one_caller(aim: &Aim, time: Duration, most: usize) -> Vec<f64> {
    let mut stream = TcpStream::connect(aim.address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (request, started) = (aim.whole(), Instant::now());
    let (mut buffer, mut latencies) = (vec![0; 1 << 16], Vec::new());
    while started.elapsed() < time && latencies.len() < most {
        let sent = Instant::now();
        stream.write_all(&request).unwrap();
        let mut filled = 0;
        while message_end(&buffer[..filled]).is_none() {
            let read = stream.read(&mut buffer[filled..]).unwrap();
            assert!(read > 0, "closed after {}", buffer[..filled].escape_ascii());
            filled += read;
        }
        latencies.push(sent.elapsed().as_secs_f64());
        check(&buffer[..filled]);
    }
    latencies
}

/// How many requests this many callers got answered in this time.
pub(crate) fn many_callers(aim: &Aim, callers: usize, time: Duration) -> usize {
    let request = aim.whole();
    let ends = Instant::now() + time;
    let each = run(callers, aim, move |mut stream| {
        let request = request.clone();
        async move {
            let (mut buffer, mut count) = (Vec::with_capacity(1 << 16), 0);
            while Instant::now() < ends {
                stream.write_all(&request).await.unwrap();
                buffer.clear();
                while message_end(&buffer).is_none() {
                    assert!(stream.read_buf(&mut buffer).await.unwrap() > 0, "closed");
                }
                check(&buffer);
                count += 1;
            }
            count
        }
    });
    each.into_iter().sum()
}

/// From request to first content, for each stream of this many callers. A proxy that breaks streams off gives fewer.
pub(crate) fn first_contents(aim: &Aim, callers: usize, time: Duration) -> Vec<f64> {
    let request = aim.stream(false);
    let ends = Instant::now() + time;
    let each = run(callers, aim, move |mut stream| {
        let request = request.clone();
        async move {
            let mut latencies = Vec::new();
            while Instant::now() < ends {
                let Some(latency) = first_content(&mut stream, &request).await else { break };
                latencies.push(latency);
            }
            latencies
        }
    });
    each.into_iter().flatten().collect()
}

async fn first_content(stream: &mut tokio::net::TcpStream, request: &[u8]) -> Option<f64> {
    let (sent, mut buffer) = (Instant::now(), Vec::with_capacity(1 << 14));
    stream.write_all(request).await.ok()?;
    let mut latency = None;
    while message_end(&buffer).is_none() {
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
        if latency.is_none() && memchr::memmem::find(&buffer, b"word").is_some() {
            latency = Some(sent.elapsed().as_secs_f64());
        }
    }
    latency
}

/// Runs `meanwhile` while so many streams are open and say nothing.
pub(crate) fn with_silent_streams<T>(
    aim: &Aim,
    streams: usize,
    meanwhile: impl FnOnce() -> T,
) -> T {
    let request = aim.stream(true);
    let open: Vec<_> = (0..streams)
        .map(|_| {
            let mut stream = TcpStream::connect(aim.address).unwrap();
            stream.write_all(&request).unwrap();
            let mut buffer = [0; 4096];
            let mut filled = 0;
            while memchr::memmem::find(&buffer[..filled], b"word").is_none() {
                let read = stream.read(&mut buffer[filled..]).unwrap();
                assert!(read > 0, "closed after {}", buffer[..filled].escape_ascii());
                filled += read;
            }
            stream
        })
        .collect();
    let result = meanwhile();
    drop(open);
    result
}

/// Runs one task for each caller, with a connection of its own, on one thread.
fn run<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    callers: usize,
    aim: &Aim,
    call: impl Fn(tokio::net::TcpStream) -> F,
) -> Vec<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..callers {
            let stream = tokio::net::TcpStream::connect(aim.address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            tasks.spawn(call(stream));
        }
        tasks.join_all().await
    })
}
