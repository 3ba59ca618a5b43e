//! The client against scripted providers that speak raw bytes.

mod script;

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use tokio::sync::oneshot;

use super::*;
use crate::catalog::provider::{Api, Auth};
use script::*;

// === what is sent ===

#[tokio::test]
async fn a_request_is_built_from_scratch() {
    let (address, provider) = script(|listener| answer(&listener, ANSWER).0);
    let mut made = at(address);
    made.base_url.set_path("/deep/v1/");
    made.query = vec![("api-version".to_owned(), "2026 03&x".to_owned())];
    made.headers = vec![
        (http::HeaderName::from_static("x-team"), HeaderValue::from_static("search")),
        (http::header::HOST, HeaderValue::from_static("evil")),
    ];
    let from_caller = headers(&[
        ("authorization", "Bearer callers"),
        ("x-api-key", "callers"),
        ("cookie", "callers"),
        ("content-type", "text/callers"),
        ("x-team", "callers"),
        ("transfer-encoding", "callers"),
        ("traceparent", "00-1-2-03"),
    ]);
    let upstream = Upstream::new();
    let response = send_with(&upstream, &target(made), &from_caller, None).await.unwrap();
    assert_eq!(whole(response).await.unwrap(), "{}");

    let seen = provider.join().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let mut lines: Vec<_> = seen.split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST /deep/v1/chat/completions?api-version=2026+03%26x HTTP/1.1");
    lines.sort_unstable();
    let mut expected = [
        "",
        "accept-encoding: identity",
        "accept: application/json",
        "authorization: Bearer canary-key",
        "content-length: 7",
        "content-type: application/json",
        &format!("host: {address}"),
        "traceparent: 00-1-2-03",
        &format!("user-agent: pointsman/{version}"),
        "x-team: search",
        "{\"a\":1}",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn each_provider_gets_its_own_kind_of_credential_and_no_other() {
    let callers = Secret::new("callers-key".to_owned());
    for (api, auth, expected) in [
        (Api::OpenAi, Auth::None, None),
        (Api::OpenAi, Auth::Passthrough, Some("authorization: Bearer callers-key")),
        (Api::Anthropic, Auth::Passthrough, Some("x-api-key: callers-key")),
        (
            Api::OpenAiChat,
            Auth::Header(http::HeaderName::from_static("api-key"), Secret::new("k1".to_owned())),
            Some("api-key: k1"),
        ),
    ] {
        let (address, provider) = script(|listener| answer(&listener, ANSWER).0);
        let target = target(Provider { api, auth, ..at(address) });
        let sent = send_with(&Upstream::new(), &target, &HeaderMap::new(), Some(&callers)).await;
        assert!(sent.is_ok());
        let seen = provider.join().unwrap();
        let credentials: Vec<_> =
            seen.lines().filter(|line| line.contains("-key") || line.contains("auth")).collect();
        assert_eq!(credentials, Vec::from_iter(expected));
        assert_eq!(seen.contains("anthropic-version: 2023-06-01"), api == Api::Anthropic);
    }
}

#[tokio::test]
async fn the_callers_anthropic_version_wins_over_the_default() {
    let (address, provider) = script(|listener| answer(&listener, ANSWER).0);
    let target = target(Provider { api: Api::Anthropic, ..at(address) });
    let from_caller = headers(&[("anthropic-version", "2024-01-01"), ("anthropic-beta", "a")]);
    let sent = send_with(&Upstream::new(), &target, &from_caller, None).await;
    assert!(sent.is_ok());
    let seen = provider.join().unwrap();
    assert!(seen.contains("anthropic-version: 2024-01-01") && !seen.contains("2023-06-01"));
    assert!(seen.contains("anthropic-beta: a"));
}

#[test]
fn an_echoed_credential_is_masked() {
    let (own, callers) = (Secret::new("sk/own+1".to_owned()), Secret::new("callers".to_owned()));
    let text = r#"bad key sk/own+1 (sk\/own+1), not callers; "a""#;
    assert_eq!(mask(text, &[&own, &callers]), r#"bad key *** (***), not ***; "a""#);
    assert_eq!(mask("a b", &[&Secret::new(String::new()), &Secret::new("a".to_owned())]), "a b");
}

// === connections ===

#[tokio::test]
async fn a_connection_is_kept_and_survives_a_reload() {
    let (address, provider) = script(|listener| {
        let (_, mut stream) = answer(&listener, ANSWER);
        for _ in 0..2 {
            read_request(&mut stream);
            stream.write_all(ANSWER).unwrap();
        }
    });
    let upstream = Upstream::new();
    for _ in 0..3 {
        // A new provider each time, as after a reload.
        let response = send(&upstream, &target(at(address))).await.unwrap();
        assert_eq!(whole(response).await.unwrap(), "{}");
    }
    provider.join().unwrap();
    assert_eq!(upstream.origins.load().len(), 1);
    assert_eq!(upstream.pools.lock().len(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    let (closed, is_closed) = oneshot::channel();
    let (address, provider) = script(move |listener| {
        drop(answer(&listener, ANSWER));
        closed.send(()).unwrap();
        answer(&listener, ANSWER).0
    });
    let (upstream, target) = (Upstream::new(), target(at(address)));
    whole(send(&upstream, &target).await.unwrap()).await.unwrap();
    is_closed.await.unwrap();
    whole(send(&upstream, &target).await.unwrap()).await.unwrap();
    provider.join().unwrap();
}

#[tokio::test]
async fn a_kept_connection_that_dies_under_the_request_is_replaced_once() {
    let (address, provider) = script(|listener| {
        let (_, mut first) = answer(&listener, ANSWER);
        read_request(&mut first);
        drop(first);
        let (_, mut second) = answer(&listener, ANSWER);
        read_request(&mut second);
        drop(second);
        // The repeat came on a fresh connection; that one breaks too, and there is no third try.
        let (mut third, _) = listener.accept().unwrap();
        read_request(&mut third);
        drop(third);
        listener.set_nonblocking(true).unwrap();
        listener.accept().map(drop).unwrap_err().kind()
    });
    let (upstream, target) = (Upstream::new(), target(at(address)));
    for _ in 0..2 {
        whole(send(&upstream, &target).await.unwrap()).await.unwrap();
    }
    let fault = send(&upstream, &target).await.map(drop).unwrap_err();
    assert_eq!(fault.cause, Cause::Reset);
    assert!(fault.possibly_billed);
    assert_eq!(provider.join().unwrap(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn only_what_broke_at_once_and_in_silence_on_a_kept_connection_is_repeated() {
    let lost = |reused, sent, silent, after| Lost {
        fault: SendFault::new(Cause::Reset, String::new()),
        reused,
        sent,
        silent,
        after,
    };
    let (soon, late) = (Duration::from_millis(5), Duration::from_secs(3));
    assert!(lost(true, Sent::Whole, true, soon).was_stale());
    assert!(lost(true, Sent::Nothing, true, late).was_stale());
    assert!(!lost(true, Sent::Whole, true, late).was_stale());
    assert!(!lost(true, Sent::Whole, false, soon).was_stale());
    assert!(!lost(false, Sent::Whole, true, soon).was_stale());
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_is_a_fault_that_may_have_been_billed() {
    let fault = outcome(b"").await.map(drop).unwrap_err();
    assert_eq!((fault.cause, fault.possibly_billed), (Cause::Reset, true));
    let fault = outcome(b"HTTP/1.1 200 OK\r\ncontent-le").await.map(drop).unwrap_err();
    assert_eq!((fault.cause, fault.possibly_billed), (Cause::Reset, true));
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_end_a_kept_connection() {
    let (sent, is_sent) = oneshot::channel();
    let (address, provider) = script(move |listener| {
        let (_, mut first) = answer(&listener, ANSWER);
        first.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil").unwrap();
        sent.send(()).unwrap();
        let (_, second) = answer(&listener, ANSWER);
        wait_closed(first);
        drop(second);
    });
    let (upstream, target) = (Upstream::new(), target(at(address)));
    whole(send(&upstream, &target).await.unwrap()).await.unwrap();
    is_sent.await.unwrap();
    assert_eq!(whole(send(&upstream, &target).await.unwrap()).await.unwrap(), "{}");
    provider.join().unwrap();
}

#[tokio::test]
async fn an_answer_longer_than_announced_leaves_no_connection_behind() {
    let (address, provider) = script(|listener| {
        let (_, first) = answer(&listener, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}{}");
        wait_closed(first);
    });
    let upstream = Upstream::new();
    let response = send(&upstream, &target(at(address))).await.unwrap();
    assert_eq!(whole(response).await.unwrap(), "{}");
    provider.join().unwrap();
}

#[tokio::test]
async fn refused_connections_and_stalled_handshakes_are_told_apart() {
    let (address, listener) = script(|listener| listener);
    drop(listener.join().unwrap());
    assert_eq!(cause(send(&Upstream::new(), &target(at(address))).await), Cause::Connect);

    let (address, provider) = script(|listener| wait_closed(listener.accept().unwrap().0));
    let stalled = provider_tls(address, None);
    assert_eq!(cause(send(&Upstream::new(), &target(stalled)).await), Cause::ConnectTimeout);
    provider.join().unwrap();
}

#[tokio::test]
async fn forbidden_addresses_are_never_connected_to() {
    for (base, allow_private) in [
        ("http://169.254.169.254/v1", true),
        ("http://2852039166/v1", true),
        ("http://[::ffff:169.254.169.254]/v1", true),
        ("https://127.0.0.1:9/v1", false),
        ("https://localhost:9/v1", false),
        ("http://api.example.com/v1", false),
    ] {
        let target = target(Provider { allow_private, ..provider(base) });
        assert_eq!(cause(send(&Upstream::new(), &target).await), Cause::Egress, "{base}");
    }
    let unknown = target(provider("http://no-such-host.invalid/v1"));
    assert_eq!(cause(send(&Upstream::new(), &unknown).await), Cause::Dns);
}

// === TLS ===

#[tokio::test]
async fn a_providers_own_authority_is_trusted_and_nothing_less() {
    let (address, provider, ca) = script_tls("localhost");
    let response = send(&Upstream::new(), &target(provider_tls(address, Some(&ca)))).await.unwrap();
    assert_eq!(whole(response).await.unwrap(), "{}");
    provider.join().unwrap().unwrap();

    let (address, provider, _) = script_tls("localhost");
    let result = send(&Upstream::new(), &target(provider_tls(address, None))).await;
    assert_eq!(cause(result), Cause::Tls);
    provider.join().unwrap().unwrap_err();

    let (address, provider, ca) = script_tls("elsewhere.example");
    let result = send(&Upstream::new(), &target(provider_tls(address, Some(&ca)))).await;
    assert_eq!(cause(result), Cause::Tls);
    provider.join().unwrap().unwrap_err();
}

#[tokio::test]
async fn clear_text_where_tls_is_expected_is_a_tls_fault() {
    let (address, provider) = script(|listener| {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(ANSWER).unwrap();
        wait_closed(stream);
    });
    let result = send(&Upstream::new(), &target(provider_tls(address, None))).await;
    assert_eq!(cause(result), Cause::Tls);
    provider.join().unwrap();
}

// === answers ===

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let answer = b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(outcome(answer).await.unwrap().status(), 307);
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(outcome(answer).await.unwrap().status(), 200);
}

#[tokio::test]
async fn heads_that_are_ambiguous_or_not_asked_for_are_refused() {
    let refused: [&'static [u8]; 9] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\n{}",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    ];
    for bytes in refused {
        let fault = outcome(bytes).await.map(drop).unwrap_err();
        let text = bytes.escape_ascii();
        assert_eq!((fault.cause, fault.possibly_billed), (Cause::Protocol, true), "{text}");
    }
}

#[tokio::test]
async fn a_head_without_bounds_is_refused() {
    let many = "x-a: b\r\n".repeat(10_000);
    let long = format!("x-a: {}\r\n", "b".repeat(1 << 20));
    for fields in [many, long] {
        let (address, provider) = script(move |listener| {
            let (mut stream, _) = listener.accept().unwrap();
            read_request(&mut stream);
            // The reader may hang up long before all is written.
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n{fields}\r\n");
        });
        assert_eq!(cause(send(&Upstream::new(), &target(at(address))).await), Cause::Protocol);
        provider.join().unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_is_not_whole_is_a_fault() {
    let cut: [&'static [u8]; 3] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    ];
    for bytes in cut {
        let read = whole(outcome(bytes).await.unwrap()).await;
        assert!(matches!(read, Err(BodyFault::Broken(_))), "{}", bytes.escape_ascii());
    }
}

#[tokio::test]
async fn an_error_answer_that_is_compressed_keeps_its_status_but_has_no_body() {
    let answer =
        b"HTTP/1.1 429 X\r\ncontent-encoding: br\r\nretry-after: 3\r\ncontent-length: 2\r\n\r\nxx";
    let response = outcome(answer).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &HeaderValue::from_static("3"))
    );
    assert!(matches!(whole(response).await, Err(BodyFault::Encoded)));
}

#[tokio::test]
async fn a_whole_read_is_bounded_in_size_and_time() {
    let announced = outcome(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabcd").await.unwrap();
    let read = announced.into_body().whole(3, within(LONG)).await;
    assert!(matches!(read, Err(BodyFault::TooLarge(3))));

    let chunks =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n";
    let read = outcome(chunks).await.unwrap().into_body().whole(3, within(LONG)).await;
    assert!(matches!(read, Err(BodyFault::TooLarge(3))));
    assert_eq!(whole(outcome(chunks).await.unwrap()).await.unwrap(), "abcd");

    let (address, provider) = script(|listener| {
        wait_closed(answer(&listener, b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab").1);
    });
    let response = send(&Upstream::new(), &target(at(address))).await.unwrap();
    let read = response.into_body().whole(9, within(Duration::from_millis(20))).await;
    assert!(matches!(read, Err(BodyFault::Late)));
    provider.join().unwrap();
}

// === hanging up ===

#[tokio::test]
async fn dropping_the_future_closes_the_connection() {
    let (address, provider) = script(|listener| {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        wait_closed(stream);
    });
    let (upstream, target) = (Upstream::new(), target(at(address)));
    let waiting = tokio::time::timeout(Duration::from_millis(50), send(&upstream, &target));
    assert!(waiting.await.is_err());
    tokio::task::spawn_blocking(|| provider.join().unwrap()).await.unwrap();
}

#[tokio::test]
async fn dropping_a_body_before_its_end_closes_the_connection() {
    let (address, provider) = script(|listener| {
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n";
        wait_closed(answer(&listener, head).1);
    });
    let (upstream, target) = (Upstream::new(), target(at(address)));
    let mut body = send(&upstream, &target).await.unwrap().into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "ab");
    drop(body);
    tokio::task::spawn_blocking(|| provider.join().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_stream_left_at_its_last_event_keeps_the_connection() {
    let (address, provider) = script(|listener| {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
        let (_, mut stream) = answer(&listener, chunked);
        read_request(&mut stream);
        stream.write_all(ANSWER).unwrap();
    });
    let (upstream, target) = (Upstream::new(), target(at(address)));
    let mut body = send(&upstream, &target).await.unwrap().into_body();
    assert_eq!(body.next().await.unwrap().unwrap(), "ab");
    drop(body);
    whole(send(&upstream, &target).await.unwrap()).await.unwrap();
    provider.join().unwrap();
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_read_is_delivered() {
    let (address, provider) = script(|listener| {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 10]).unwrap();
        stream.write_all(b"HTTP/1.1 413 Large\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        wait_closed(stream);
    });
    let target = target(at(address));
    let call = Call {
        target: &target,
        path: "/responses",
        body: Bytes::from(vec![b' '; 20 << 20]),
        streamed: true,
        caller_headers: &HeaderMap::new(),
        passthrough: None,
        connect_timeout: LONG,
    };
    let response = Upstream::new().send(call).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(whole(response).await.unwrap(), "{}");
    provider.join().unwrap();
}
