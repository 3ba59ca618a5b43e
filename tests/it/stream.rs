//! F: streams. Every stream is whole, or visibly broken in the caller's dialect.

use std::fs;

use crate::support::{
    Gate, corpus,
    http::Message,
    program::{Program, chat},
    reply,
    setup::Setup,
    sse,
    upstream::{Step, Upstream, send},
};

const CHAT: &str = "/v1/chat/completions";

fn one(steps: Vec<Step>, settings: &str) -> (Upstream, Program) {
    let upstream = Upstream::always(steps);
    let program = Program::start(&Setup::one("openai-chat", upstream.address()).with(settings));
    (upstream, program)
}

/// A stream that began: head, role, one token.
fn begun() -> Vec<Step> {
    vec![reply::stream_head(), reply::role(), reply::token("begun ")]
}

/// The answer began, ended with an error in the shape of chat, and does not look complete.
#[track_caller]
fn broke(answer: &Message) {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let stream = sse::chat(&answer.text());
    assert!(stream.text.starts_with("begun "), "{}", answer.text());
    assert!(stream.error.is_some(), "no error in {:?}", answer.text());
    assert!(!stream.done, "a broken stream looks complete: {}", answer.text());
}

#[test]
fn f01_a_stream_that_is_cut() {
    let cuts = [vec![Step::Reset], vec![Step::Fin], vec![send("5\r\nab"), Step::Fin]];
    for cut in cuts {
        let (_upstream, program) = one([begun(), cut].concat(), "");
        broke(&program.chat_stream("alpha"));
        program.metric_reaches("pointsman_attempts_total", &[("outcome", "failed")], 1.0);
    }
}

#[test]
fn f01_a_cut_stream_of_messages_and_responses_ends_in_their_own_shape() {
    let (_upstream, program) = one([begun(), vec![Step::Reset]].concat(), "");
    let body = chat("alpha", "x", true).replacen('{', r#"{"max_tokens":50,"#, 1);
    let answer = program.post("/v1/messages", &[], &body);
    assert!(answer.text().contains("begun "), "{}", answer.text());
    assert!(answer.text().contains("event: error"), "{}", answer.text());
    assert!(!answer.text().contains("message_stop"), "{}", answer.text());
    let body = r#"{"model":"alpha","input":"x","stream":true}"#;
    let answer = program.post("/v1/responses", &[], body);
    assert!(answer.text().contains("begun "), "{}", answer.text());
    assert!(!answer.text().contains("response.completed"), "{}", answer.text());
    let last = sse::events(&answer.text()).pop().unwrap();
    assert!(last.data.contains("error") || last.data.contains("response.failed"), "{last:?}");
}

#[test]
fn f02_a_clean_end_that_comes_too_early() {
    let (_upstream, program) = one([begun(), reply::end().to_vec()].concat(), "");
    broke(&program.chat_stream("alpha"));
    let finished = [begun(), vec![reply::finish()], reply::end().to_vec()].concat();
    let (_upstream, program) = one(finished, "");
    let stream = sse::chat(&program.chat_stream("alpha").text());
    assert_eq!((stream.error, stream.done), (None, true), "whole without its own [DONE]");
    let events = reply::messages_events(&["begun "]);
    let cut: Vec<Step> = std::iter::once(reply::stream_head())
        .chain(events[..events.len() - 1].iter().map(|event| reply::chunk(event)))
        .chain(reply::end())
        .collect();
    let upstream = Upstream::always(cut);
    let program = Program::start(&Setup::one("anthropic", upstream.address()));
    let body = chat("alpha", "x", true).replacen('{', r#"{"max_tokens":50,"#, 1);
    let answer = program.post("/v1/messages", &[], &body);
    assert!(answer.text().contains("event: error"), "{}", answer.text());
    assert!(!answer.text().contains("message_stop"), "{}", answer.text());
}

#[test]
fn f03_an_error_event_after_content_is_a_failure() {
    let error = reply::chunk(
        "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n",
    );
    let (_upstream, program) = one([begun(), vec![error], reply::end().to_vec()].concat(), "");
    let answer = program.chat_stream("alpha");
    broke(&answer);
    program.metric_reaches("pointsman_attempts_total", &[("outcome", "failed")], 1.0);
    assert!(program.metrics().sum("pointsman_attempts_total", &[("outcome", "ok")]).abs() < 0.5);
}

#[test]
fn f04_silence_ends_a_stream_and_pings_do_not_hide_it() {
    let (_upstream, program) =
        one([begun(), vec![Step::UntilClosed]].concat(), "timeouts: {between_tokens: 500ms}");
    broke(&program.chat_stream("alpha"));
    let pings = vec![Step::Flood(b"8\r\n: ping\n\n\r\n".to_vec())];
    let (upstream, program) = one([begun(), pings].concat(), "timeouts: {between_tokens: 500ms}");
    broke(&program.chat_stream("alpha"));
    upstream.closed(0);
}

#[test]
fn f05_an_endless_stream_ends_with_the_total_time() {
    let token = reply::chat_event(r#"{"content":"on "}"#, None);
    let flood = Step::Flood(format!("{:x}\r\n{token}\r\n", token.len()).into_bytes());
    let (upstream, program) = one([begun(), vec![flood]].concat(), "timeouts: {total: 1s}");
    broke(&program.chat_stream("alpha"));
    upstream.closed(0);
}

#[test]
fn f06_a_frame_without_end_is_cut_off() {
    let (_upstream, program) = {
        let endless =
            vec![Step::Flood(format!("{:x}\r\n{}\r\n", 1000, "x".repeat(1000)).into_bytes())];
        one([begun(), vec![reply::chunk("data: ")], endless].concat(), "")
    };
    let before = program.resident();
    broke(&program.chat_stream("alpha"));
    assert!(program.resident() < before + (16 << 20), "memory grew with a frame");
}

#[test]
fn f07_no_split_of_the_bytes_changes_what_comes_out() {
    let whole: String = [
        reply::chat_event(r#"{"role":"assistant","content":""}"#, None),
        reply::chat_event("{\"content\":\"日本🚂 \"}", None).replace('\n', "\r\n"),
        reply::chat_event(r#"{"content":"and \"more\""}"#, None),
        reply::chat_event("{}", Some("stop")),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    let bytes = whole.into_bytes();
    let count = bytes.len();
    let upstream = Upstream::answering(move |ordinal, _| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = |piece: &[u8]| {
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(piece);
            chunk.extend_from_slice(b"\r\n");
            send(chunk)
        };
        let mut steps = vec![send(head)];
        match ordinal {
            0 => steps.push(chunk(&bytes)),
            1 => steps.extend(bytes.chunks(1).map(chunk)),
            at => {
                let (left, right) = bytes.split_at((at - 1).min(bytes.len() - 1));
                steps.extend([chunk(left), chunk(right)]);
            }
        }
        // Kept: hundreds of streams need not cost hundreds of connections.
        steps.push(send("0\r\n\r\n"));
        steps
    });
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut client = program.client();
    let body = chat("alpha", "x", true);
    let mut ask = || client.post(CHAT, &[], &body).answer();
    let unsplit = ask();
    assert_eq!(sse::chat(&unsplit.text()).text, "日本🚂 and \"more\"");
    for split in 1..=count {
        let answer = ask();
        assert_eq!(answer.text(), unsplit.text(), "split {split}");
    }
}

#[test]
fn f08_every_form_that_the_standard_allows_is_read() {
    for file in corpus("sse") {
        let body = fs::read_to_string(&file).unwrap();
        let steps =
            [vec![reply::stream_head(), reply::chunk(&body)], reply::end().to_vec()].concat();
        let (_upstream, program) = one(steps, "");
        let name = file.display();
        let stream = sse::chat(&program.chat_stream("alpha").text());
        assert_eq!(stream.text.replace("\u{2028}\u{85}", ""), "eins zwei 日本 🚂", "{name}");
        assert!(stream.done && stream.error.is_none(), "{name}: {stream:?}");
        assert_eq!(stream.models, ["alpha"], "{name}");
    }
}

#[test]
fn f09_an_event_that_is_no_json_breaks_the_stream() {
    for bad in [
        "data: {\"oops\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\u{fffd}\n\n",
    ] {
        let (_upstream, program) = one(
            [
                begun(),
                vec![reply::chunk(bad), reply::finish(), reply::done()],
                reply::end().to_vec(),
            ]
            .concat(),
            "",
        );
        broke(&program.chat_stream("alpha"));
    }
    let mut invalid = b"2b\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"".to_vec();
    invalid.extend_from_slice(b"\r\n5\r\n\xff\"}}]\r\n3\r\n}\n\n\r\n");
    let (_upstream, program) = one(
        [begun(), vec![send(invalid), reply::finish(), reply::done()], reply::end().to_vec()]
            .concat(),
        "",
    );
    let answer = program.chat_stream("alpha");
    broke(&answer);
    assert!(!answer.text().contains('\u{fffd}'), "a replacement character was made up");
}

#[test]
fn f10_f11_odd_events_never_end_the_process() {
    let odd = [
        "data: {}\n\n",
        "data: {\"choices\":[]}\n\n",
        "data: {\"choices\":[{\"index\":7,\"delta\":{\"content\":\"x\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":3}]}}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":-5,\"completion_tokens\":1e300}}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":18446744073709551615,\"completion_tokens\":18446744073709551615}}\n\n",
        "data: {\"choices\":[],\"usage\":null}\n\n",
        "data: [DONE]\n\ndata: [DONE]\n\n",
        "data: null\n\n",
        "event: ping\n\n",
    ];
    for event in odd {
        let steps = [
            begun(),
            vec![reply::chunk(event), reply::finish(), reply::done()],
            reply::end().to_vec(),
        ]
        .concat();
        let upstream = Upstream::always(steps);
        let program = Program::start(&Setup::one("openai-chat", upstream.address()));
        for (path, body) in [
            (CHAT, chat("alpha", "x", true)),
            ("/v1/messages", chat("alpha", "x", true).replacen('{', r#"{"max_tokens":5,"#, 1)),
            ("/v1/responses", r#"{"model":"alpha","input":"x","stream":true}"#.to_owned()),
        ] {
            let answer = program.post(path, &[], &body);
            assert_eq!(answer.status(), 200, "{event}");
            assert!(answer.text().contains("begun "), "{event}");
        }
    }
}

#[test]
fn f12_a_million_comments_are_not_held() {
    let comments = ":\n\n".repeat(100_000);
    let steps = vec![
        reply::stream_head(),
        reply::role(),
        Step::Flood(format!("{:x}\r\n{comments}\r\n", comments.len()).into_bytes()),
    ];
    let (upstream, program) = one(steps, "timeouts: {first_token: 2s}");
    let before = program.resident();
    let answer = program.chat_stream("alpha");
    assert!(matches!(answer.status(), 502 | 504), "{}", answer.line);
    upstream.closed(0);
    assert!(program.resident() < before + (32 << 20), "memory grew with comments");
}

#[test]
fn f13_the_first_token_is_not_held_back() {
    let gate = Gate::new();
    let rest =
        [vec![Step::Stall(gate.clone()), reply::finish(), reply::done()], reply::end().to_vec()];
    let (_upstream, program) = one([vec![begun()], rest.to_vec()].concat().concat(), "");
    let mut client = program.client();
    let first = client.post(CHAT, &[], &chat("alpha", "x", true)).until("begun ");
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert_eq!(first.header("x-accel-buffering"), Some("no"));
    assert!(first.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")));
    gate.open();
    let answer = client.answer();
    assert!(sse::chat(&answer.text()).done);
}

#[test]
fn f05_rescue_finishes_an_answer_that_broke() {
    let steps = [begun(), vec![reply::token("the answer "), Step::Reset]].concat();
    let first = Upstream::always(steps);
    let second = Upstream::always(reply::chat_stream(&["begun the ", "answer is ", "42"]));
    let setup = Setup::two(first.address(), second.address()).with("failover: {rescue: continue}");
    let program = Program::start(&setup);
    let answer = program.chat_stream("router:both");
    let stream = sse::chat(&answer.text());
    assert_eq!(stream.text, "begun the answer is 42", "{}", answer.text());
    assert_eq!((stream.error, stream.done), (None, true));
    assert_eq!(stream.models, ["alpha", "beta"]);
}

/// A provider that answers in the other form than was asked for gave no answer; the caller gets one in the form it wants.
#[test]
fn f15_an_answer_in_the_other_form_is_not_passed_on() {
    for stream in [false, true] {
        let odd = Upstream::answering(move |_, _| {
            if stream { reply::chat("whole") } else { reply::chat_stream(&["streamed"]) }
        });
        let good = Upstream::answering(move |_, _| {
            if stream { reply::chat_stream(&["fine"]) } else { reply::chat("fine") }
        });
        let program = Program::start(&Setup::two(odd.address(), good.address()));
        let answer =
            if stream { program.chat_stream("router:both") } else { program.chat("router:both") };
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let streamed =
            answer.header("content-type").is_some_and(|kind| kind.contains("event-stream"));
        assert_eq!(streamed, stream, "{:?}", answer.headers);
        assert!(answer.text().contains("fine") || answer.text().contains("whole"));
    }
}
