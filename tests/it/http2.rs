//! HTTP/2, with prior knowledge and over TLS: the same answers, and one stream's end is not another's.

use std::{fs, net::TcpStream, sync::Arc};

use http_body_util::{BodyExt as _, Full};
use hyper::{body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::{
    Gate,
    http::Message,
    program::{Program, chat},
    reply,
    setup::Setup,
    sse,
    upstream::{Step, Upstream},
};

const CHAT: &str = "/v1/chat/completions";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn connect(program: &Program) -> http2::SendRequest<Full<Bytes>> {
    let stream = tokio::net::TcpStream::connect(program.data()).await.unwrap();
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(program: &Program, body: String) -> http::Request<Full<Bytes>> {
    http::Request::post(format!("http://{}{CHAT}", program.data()))
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .unwrap()
}

#[test]
fn a19_requests_are_served_over_http2() {
    let upstream = Upstream::answering(|_, request| {
        let stream = request.json()["stream"] == true;
        if stream { reply::chat_stream(&["eins ", "zwei"]) } else { reply::chat("fine") }
    });
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    runtime().block_on(async {
        let mut sender = connect(&program).await;
        for _ in 0..3 {
            let answer =
                sender.send_request(request(&program, chat("alpha", "x", false))).await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["x-pointsman-model"], "alpha");
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(body.windows(4).any(|window| window == b"fine"));
        }
        let answer =
            sender.send_request(request(&program, chat("alpha", "x", true))).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let stream = sse::chat(std::str::from_utf8(&body).unwrap());
        assert_eq!((stream.text.as_str(), stream.done), ("eins zwei", true));
    });
}

#[test]
fn d04_one_stream_that_is_reset_is_not_another() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |_, _| {
        let rest =
            [Step::Stall(held.clone()), reply::token("done"), reply::finish(), reply::done()];
        let steps = [reply::stream_head(), reply::role(), reply::token("begun ")];
        [&steps[..], &rest, &reply::end()].concat()
    });
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    runtime().block_on(async {
        let mut sender = connect(&program).await;
        let first = sender.send_request(request(&program, chat("alpha", "x", true))).await.unwrap();
        let second =
            sender.send_request(request(&program, chat("alpha", "x", true))).await.unwrap();
        drop(first);
        tokio::task::block_in_place(|| {
            upstream.closed(0);
            gate.open();
        });
        let body = second.into_body().collect().await.unwrap().to_bytes();
        assert!(sse::chat(std::str::from_utf8(&body).unwrap()).done);
    });
    program.metric_reaches("pointsman_attempts_total", &[("outcome", "cancelled")], 1.0);
    program.metric_reaches("pointsman_attempts_total", &[("outcome", "ok")], 1.0);
}

#[test]
fn a19_a_flood_of_resets_harms_nobody_else() {
    let upstream = Upstream::always(vec![Step::UntilClosed]);
    let healthy = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::two(upstream.address(), healthy.address()));
    let before = program.resident();
    runtime().block_on(async {
        for _ in 0..5 {
            let mut sender = connect(&program).await;
            for _ in 0..400 {
                if sender.ready().await.is_err() {
                    break;
                }
                let pending = sender.send_request(request(&program, chat("alpha", "x", true)));
                drop(pending);
                tokio::task::yield_now().await;
            }
        }
    });
    assert_eq!(program.chat("beta").status(), 200);
    assert!(program.resident() < before + (64 << 20), "memory grew with resets");
}

#[test]
fn m_tls_is_served_and_clear_text_is_not() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::one("openai-chat", upstream.address())
        .with("tls: {cert: file:cert.pem, key: file:key.pem}")
        .file("cert.pem", &made.cert.pem())
        .file("key.pem", &made.signing_key.serialize_pem());
    let program = Program::start(&setup);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    for protocol in ["http/1.1", "h2"] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = TcpStream::connect(program.data()).unwrap();
        let mut tls = rustls::Stream::new(&mut session, &mut stream);
        if protocol == "http/1.1" {
            let body = chat("alpha", "x", false);
            let length = body.len();
            let head = format!(
                "POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
            );
            std::io::Write::write_all(&mut tls, (head + &body).as_bytes()).unwrap();
            let mut received = Vec::new();
            let _without_close_notify = std::io::Read::read_to_end(&mut tls, &mut received);
            assert_eq!(Message::parse(&received, true).unwrap().status(), 200);
        } else {
            std::io::Write::write_all(
                &mut tls,
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            )
            .unwrap();
            let mut frame = [0; 9];
            std::io::Read::read_exact(&mut tls, &mut frame).unwrap();
            assert_eq!(frame[3], 4, "the first frame is SETTINGS");
        }
        assert_eq!(session.alpn_protocol(), Some(protocol.as_bytes()));
    }
    let mut client = program.client();
    client.post(CHAT, &[], &chat("alpha", "x", false));
    let received = client.closed();
    assert!(!received.starts_with(b"HTTP/1.1 200"), "clear text was served on a TLS listener");
    assert!(fs::metadata(program.folder().path().join("key.pem")).is_ok());
}
