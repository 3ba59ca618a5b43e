//! Streams that break off at any event, between any APIs, and are finished by another model.

use bytes::BytesMut;

use super::*;
use crate::dialect::{json::Node, sse};

const WORDS: [&str; 5] = ["The ", "cat \"sat\" ", "on\n", "the 日本 ", "mat."];

/// A chat stream that says `texts`.
fn chat(texts: &[&str]) -> String {
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"up\",\"created\":3,\"model\":\"up\",\"choices\":[{{\"index\":0,\"delta\":{delta},\
             \"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let mut all = chunk(r#"{"role":"assistant","content":""}"#, "null");
    for text in texts {
        all.push_str(&chunk(&format!(r#"{{"content":{}}}"#, json::quote(text)), "null"));
    }
    all.push_str(&chunk("{}", "\"stop\""));
    all.push_str(
        "data: {\"id\":\"up\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n",
    );
    all + "data: [DONE]\n\n"
}

fn with_terms<T>(
    model: &str,
    caller: Dialect,
    upstream: Dialect,
    work: impl FnOnce(&Terms<'_>) -> T,
) -> T {
    work(&Terms {
        caller,
        upstream,
        model: &ModelId::parse(model).unwrap(),
        hides_usage: false,
        id: "req-1",
        created: 7,
        input_tokens: 9,
        echo: &Echo::read(caller, b"{}"),
        structured_tool: None,
        tool_names: &[],
    })
}

/// Reads the frames of `text` until one is refused, and then the end if `whole`.
fn feed(stream: &mut Stream, text: &str, out: &mut BytesMut, whole: bool) {
    let mut decoder = sse::Decoder::default();
    decoder.push(text.as_bytes());
    while let Some(frame) = decoder.next().unwrap() {
        stream.frame(&frame, out).unwrap();
    }
    if whole {
        stream.end(out).unwrap();
    }
}

/// What a provider of this API sends for `texts`.
fn told(upstream: Dialect, texts: &[&str]) -> String {
    let mut out = BytesMut::new();
    let mut stream = with_terms("up", upstream, Dialect::Chat, Stream::new);
    feed(&mut stream, &chat(texts), &mut out, true);
    String::from_utf8(out.to_vec()).unwrap()
}

/// The text and the usage that a caller of this API reads.
fn heard(caller: Dialect, text: &str) -> (String, Usage) {
    let mut stream = with_terms("up", Dialect::Chat, caller, Stream::new);
    let mut out = BytesMut::new();
    feed(&mut stream, text, &mut out, true);
    let out = String::from_utf8(out.to_vec()).unwrap();
    let said = out.lines().filter_map(|line| {
        let root = json::parse(line.strip_prefix("data: ")?.as_bytes()).ok()?;
        let choice = root.member("choices")?.as_array()?.first()?;
        choice.member("delta")?.member("content")?.as_str().map(str::to_owned)
    });
    (said.collect(), stream.outcome().usage.unwrap())
}

/// That the events of a stream belong together.
fn check(caller: Dialect, text: &str) {
    let mut ids = Vec::new();
    for (number, line) in text.lines().filter_map(|line| line.strip_prefix("data: ")).enumerate() {
        let Ok(root) = json::parse(line.as_bytes()) else { continue };
        let holder = if caller == Dialect::Chat { Some(&root) } else { root.member("response") };
        ids.extend(holder.and_then(|holder| read::text(holder, "id")).map(str::to_owned));
        if caller == Dialect::Responses {
            let sequence = root.member("sequence_number").and_then(Node::as_u64);
            assert_eq!(sequence, u64::try_from(number).ok(), "{text}");
        }
    }
    ids.dedup();
    assert!(ids.len() <= 1, "{ids:?}");
    for once in ["message_start\"", "message_stop\"", "response.created\"", "response.completed\""]
    {
        let events = text.matches(&format!("\"type\":\"{once}")).count();
        let wanted = match caller {
            Dialect::Chat => 0,
            Dialect::Responses => usize::from(once.starts_with("response")),
            Dialect::Messages => usize::from(once.starts_with("message")),
        };
        assert_eq!(events, wanted, "{once} in {text}");
    }
}

#[test]
fn a_stream_that_breaks_at_any_event_is_finished_or_told() {
    let all = WORDS.concat();
    for (caller, one, two) in Dialect::ALL
        .into_iter()
        .flat_map(|caller| Dialect::ALL.map(|one| (caller, one)))
        .flat_map(|(caller, one)| Dialect::ALL.map(|two| (caller, one, two)))
    {
        let first = told(one, &WORDS);
        let events: Vec<&str> = first.split_inclusive("\n\n").collect();
        let mut rescued = 0;
        for cut in 1..events.len() {
            let mut stream = with_terms("alpha", caller, one, Stream::new).traced();
            let mut out = BytesMut::new();
            feed(&mut stream, &events[..cut].concat(), &mut out, false);
            let Some(said) = stream.unfinished().map(str::to_owned) else { continue };
            if said.is_empty() {
                continue;
            }
            assert!(all.starts_with(&said));
            rescued += 1;
            let rest = all.strip_prefix(&said).unwrap();
            for continuation in [rest, &all] {
                let mut out = out.clone();
                let mut resumed =
                    with_terms("beta", caller, two, |terms| stream.resumed(terms, false));
                feed(&mut resumed, &told(two, &[continuation, "!"]), &mut out, true);
                let text = String::from_utf8(out.to_vec()).unwrap();
                check(caller, &text);
                let (heard, usage) = heard(caller, &text);
                assert_eq!(heard, format!("{all}!"), "{caller:?} {one:?} {two:?} {cut}: {text}");
                let spent = stream.spent(9);
                assert_eq!((usage.input, usage.output), (spent.input + 5, spent.output + 2));
                assert_eq!(resumed.outcome().usage.unwrap().input, 5);
                assert!(caller == Dialect::Messages || text.contains("\"model\":\"beta\""));
            }
        }
        assert!(rescued >= WORDS.len() - 1, "{caller:?} {one:?} {two:?}: {rescued}");
    }
}

#[test]
fn what_was_said_is_what_the_caller_got() {
    for (caller, one) in
        Dialect::ALL.into_iter().flat_map(|caller| Dialect::ALL.map(|one| (caller, one)))
    {
        let mut stream = with_terms("alpha", caller, one, Stream::new).traced();
        let mut out = BytesMut::new();
        let first = told(one, &WORDS[..2]);
        let said: Vec<&str> = first.split_inclusive("\n\n").collect();
        let upto = said.iter().rposition(|event| event.contains("sat")).unwrap();
        let delta = said[..=upto].iter().position(|event| event.contains("sat")).unwrap();
        feed(&mut stream, &said[..=delta].concat(), &mut out, false);
        let mut decoder = sse::Decoder::default();
        decoder.push(b"data: {\"choices\":[{\"delta\":{\"content\":\"lost\"}},\n\n");
        let before = out.len();
        assert!(stream.frame(&decoder.next().unwrap().unwrap(), &mut out).is_err());
        assert_eq!(out.len(), before);
        assert_eq!(stream.unfinished(), Some("The cat \"sat\" "), "{caller:?} {one:?}");
    }
}

#[test]
fn a_text_beyond_what_is_kept_is_not_finished() {
    let long = "x".repeat(600 << 10);
    let mut stream = with_terms("alpha", Dialect::Chat, Dialect::Chat, Stream::new).traced();
    let mut out = BytesMut::new();
    let text = chat(&[&long, &long]);
    let events: Vec<&str> = text.split_inclusive("\n\n").collect();
    feed(&mut stream, &events[..2].concat(), &mut out, false);
    assert!(stream.unfinished().is_some());
    feed(&mut stream, events[2], &mut out, false);
    assert!(stream.unfinished().is_none());
}

#[test]
fn an_account_is_kept_only_where_it_is_asked_for() {
    let mut stream = with_terms("alpha", Dialect::Chat, Dialect::Chat, Stream::new);
    let mut out = BytesMut::new();
    let text = chat(&WORDS);
    let events: Vec<&str> = text.split_inclusive("\n\n").collect();
    feed(&mut stream, &events[..3].concat(), &mut out, false);
    assert!(stream.unfinished().is_none());
    assert!(!stream.settle(&mut out));
}
