//! A provider that answers at once, in raw bytes, so that it costs as little as can be beside what is measured.

use std::{net::SocketAddr, thread, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Events after the first of a stream, and the pause before each.
const EVENTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(4);

/// Starts it on a free port, on a thread of its own.
pub(crate) fn start() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream));
            }
        });
    });
    address
}

async fn serve(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let whole = whole();
    let mut buffer = Vec::with_capacity(1 << 16);
    while let Some(request) = next_request(&mut stream, &mut buffer).await {
        let written = match request {
            Kind::Whole => stream.write_all(&whole).await,
            Kind::Stream => stream_events(&mut stream).await,
            Kind::Silent => fall_silent(&mut stream).await,
        };
        if written.is_err() {
            return;
        }
    }
}

/// What a request asks for; told by its body.
enum Kind {
    Whole,
    Stream,
    /// A stream that says one word and then nothing.
    Silent,
}

async fn next_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Kind> {
    buffer.clear();
    loop {
        if let Some(end) = crate::load::message_end(buffer) {
            let body = &buffer[..end];
            let has = |text: &[u8]| memchr::memmem::find(body, text).is_some();
            return Some(match (has(b"\"stream\":"), has(b"fall silent")) {
                (false, _) => Kind::Whole,
                (true, false) => Kind::Stream,
                (true, true) => Kind::Silent,
            });
        }
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

fn whole() -> Vec<u8> {
    let text = "A railway point is where one track becomes two. ".repeat(16);
    let body = format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"up","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":200,"completion_tokens":200,"total_tokens":400}}}}"#
    );
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn event(delta: &str, finish: &str) -> Vec<u8> {
    let event = format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    );
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

async fn stream_events(stream: &mut TcpStream) -> std::io::Result<()> {
    stream
        .write_all(
            &[HEAD, &event("{\"role\":\"assistant\",\"content\":\"word \"}", "null")].concat(),
        )
        .await?;
    for _ in 0..EVENTS {
        tokio::time::sleep(PAUSE).await;
        stream.write_all(&event("{\"content\":\"word \"}", "null")).await?;
    }
    let end = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
    stream.write_all(&[&event("{}", "\"stop\"")[..], end].concat()).await
}

async fn fall_silent(stream: &mut TcpStream) -> std::io::Result<()> {
    stream
        .write_all(
            &[HEAD, &event("{\"role\":\"assistant\",\"content\":\"word \"}", "null")].concat(),
        )
        .await?;
    let _hung_up = stream.read(&mut [0]).await;
    Err(std::io::ErrorKind::ConnectionAborted.into())
}
