//! Answers of every API for callers of every API, held to files: `tests/golden/API/answer/NAME.in.sse` is what a provider
//! sent, `NAME.CALLER.sse` what the caller received for it; `.json` are answers that were not streamed.
//!
//! `POINTSMAN_UPDATE_GOLDEN=1 cargo test --test golden_answers` writes the expected files anew; read what changed.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on fails"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::BytesMut;
use pointsman::{
    dialect::{
        Dialect,
        answer::{self, AnswerFault, Echo, Stream, Terms},
        json, sse,
    },
    ids::ModelId,
};
use proptest::prelude::*;

const REQUEST: &[u8] = br#"{"model":"router:x","input":"hi","instructions":"Be brief.","temperature":0.50,"tools":[{"type":"function","name":"act","parameters":{}}]}"#;

/// What a stream came to.
struct Told {
    text: String,
    fault: Option<AnswerFault>,
    /// The frames that held content.
    content: usize,
}

fn with_terms<T>(upstream: Dialect, caller: Dialect, work: impl FnOnce(&Terms<'_>) -> T) -> T {
    let model = ModelId::parse("glm-5").unwrap();
    let echo = Echo::read(caller, REQUEST);
    work(&Terms {
        caller,
        upstream,
        model: &model,
        hides_usage: false,
        id: "0123-abcd",
        created: 1_760_000_123,
        input_tokens: 40,
        echo: &echo,
        structured_tool: None,
        tool_names: &[],
    })
}

/// Passes chunks through a stream, and ends it as the relay would.
fn stream(upstream: Dialect, caller: Dialect, chunks: &[&[u8]]) -> Told {
    let mut stream = with_terms(upstream, caller, Stream::new);
    let mut decoder = sse::Decoder::default();
    let mut out = BytesMut::new();
    let mut content = 0_usize;
    let mut told = || {
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(frame) = decoder.next().unwrap() {
                content =
                    content.saturating_add(usize::from(stream.frame(&frame, &mut out)?.content));
            }
        }
        if let Some(frame) = decoder.finish().unwrap() {
            stream.frame(&frame, &mut out)?;
        }
        stream.end(&mut out)
    };
    let fault = told().err();
    if let Some(fault) = &fault {
        stream.fail(&fault.problem(), &mut out);
    }
    Told { text: String::from_utf8(out.to_vec()).unwrap(), fault, content }
}

fn whole(upstream: Dialect, caller: Dialect, input: &str) -> String {
    let told = with_terms(upstream, caller, |terms| answer::whole(terms, input.as_bytes()));
    String::from_utf8(told.unwrap().0.to_vec()).unwrap()
}

fn folder(upstream: Dialect) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(upstream.as_str())
        .join("answer")
}

/// The names of the recorded answers of one API.
fn names(upstream: Dialect, ending: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder(upstream))
        .unwrap()
        .filter_map(|entry| {
            Some(entry.unwrap().file_name().to_str()?.strip_suffix(ending)?.to_owned())
        })
        .collect();
    names.sort();
    assert!(names.len() > 5, "recorded answers of {upstream:?}");
    names
}

fn recorded(upstream: Dialect, name: &str) -> String {
    fs::read_to_string(folder(upstream).join(name)).unwrap()
}

fn hold(upstream: Dialect, name: &str, text: &str) {
    let path = folder(upstream).join(name);
    if std::env::var_os("POINTSMAN_UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{}", path.display());
}

fn every(check: impl Fn(Dialect, Dialect)) {
    for upstream in Dialect::ALL {
        for caller in Dialect::ALL {
            check(upstream, caller);
        }
    }
}

#[test]
fn streams_are_told_in_every_other_api() {
    every(|upstream, caller| {
        for name in names(upstream, ".in.sse") {
            let input = recorded(upstream, &format!("{name}.in.sse"));
            let told = stream(upstream, caller, &[input.as_bytes()]);
            assert!(told.content > 0, "{name} has content");
            if caller != upstream {
                hold(upstream, &format!("{name}.{}.sse", caller.as_str()), &told.text);
            }
        }
    });
}

#[test]
fn whole_answers_are_told_in_every_other_api() {
    every(|upstream, caller| {
        for name in names(upstream, ".in.json").iter().filter(|_| caller != upstream) {
            let text = whole(upstream, caller, &recorded(upstream, &format!("{name}.in.json")));
            json::parse(text.as_bytes()).unwrap();
            hold(upstream, &format!("{name}.{}.json", caller.as_str()), &text);
        }
    });
}

#[test]
fn the_same_api_keeps_every_byte_but_the_model() {
    for upstream in Dialect::ALL {
        for name in names(upstream, ".in.json") {
            let input = recorded(upstream, &format!("{name}.in.json"));
            assert_eq!(
                whole(upstream, upstream, &input),
                input.replace("upstream-model-2025", "glm-5")
            );
        }
        for name in names(upstream, ".in.sse") {
            let input = recorded(upstream, &format!("{name}.in.sse"))
                .replace("upstream-model-2025", "glm-5");
            let told = stream(upstream, upstream, &[input.as_bytes()]);
            match name.as_str() {
                "nodone" => assert_eq!(told.text, format!("{input}data: [DONE]\n\n")),
                "cut" => assert!(told.text.starts_with(&input)),
                "error" | "failed" => {
                    // All but the provider's own error, in whose place stands ours.
                    let whole = input.trim_end().rsplit_once("\n\n").unwrap().0;
                    assert!(told.text.starts_with(whole), "{}", told.text);
                }
                _ => assert_eq!(told.text, input),
            }
        }
    }
}

#[test]
fn a_stream_that_is_not_whole_is_never_ended_as_if_it_were() {
    every(|upstream, caller| {
        for name in names(upstream, ".in.sse") {
            let input = recorded(upstream, &format!("{name}.in.sse"));
            let told = stream(upstream, caller, &[input.as_bytes()]);
            let broken = matches!(name.as_str(), "cut" | "error" | "failed");
            assert_eq!(told.fault.is_some(), broken, "{name}");
            let ends = ["[DONE]", "message_stop", "response.completed", "response.incomplete"];
            let ended = ends.iter().any(|end| told.text.contains(end));
            assert_eq!(ended, !broken, "{name}: {}", told.text);
            assert_eq!(told.text.contains("\"error\":{\""), broken, "{name}");
        }
    });
}

#[test]
fn every_cut_of_a_whole_stream_is_told_as_broken() {
    every(|upstream, caller| {
        let input = recorded(upstream, "reasoning.in.sse");
        let frames: Vec<&str> = input.split_inclusive("\n\n").collect();
        let whole = stream(upstream, caller, &[input.as_bytes()]);
        assert_eq!(whole.fault, None);
        for kept in 1..frames.len() {
            let part = frames[..kept].concat();
            let told = stream(upstream, caller, &[part.as_bytes()]);
            // Chat may leave its last word out once there is a reason to stop.
            let may_end =
                upstream == Dialect::Chat && part.contains("\"finish_reason\":\"tool_calls\"");
            assert_eq!(told.fault.is_none(), may_end, "{upstream:?} {caller:?} {kept}");
        }
    });
}

#[test]
fn one_start_one_end_and_right_indexes() {
    every(|upstream, caller| {
        for name in names(upstream, ".in.sse") {
            let told = stream(
                upstream,
                caller,
                &[recorded(upstream, &format!("{name}.in.sse")).as_bytes()],
            );
            let count = |what: &str| told.text.matches(what).count();
            let ends = usize::from(told.fault.is_none());
            match caller {
                Dialect::Chat => assert_eq!(count("data: [DONE]"), ends),
                Dialect::Responses => {
                    assert_eq!(
                        (count("event: response.created"), count("event: response.in_progress")),
                        (1, 1)
                    );
                    assert_eq!(
                        count("event: response.completed") + count("event: response.incomplete"),
                        ends
                    );
                    assert_eq!(
                        count("output_item.added\n") * ends,
                        count("output_item.done\n") * ends
                    );
                    numbered(&told.text);
                }
                Dialect::Messages => {
                    assert_eq!(
                        (count("event: message_start"), count("event: message_stop")),
                        (1, ends)
                    );
                    assert_eq!(
                        count("event: content_block_start") * ends,
                        count("event: content_block_stop") * ends
                    );
                    blocks(&told.text);
                }
            }
        }
    });
}

/// Every event of a Responses stream has the next number.
fn numbered(text: &str) {
    for (number, data) in text.lines().filter_map(|line| line.strip_prefix("data: ")).enumerate() {
        let root = json::parse(data.as_bytes()).unwrap();
        let told = root.member("sequence_number").and_then(json::Node::as_u64);
        assert_eq!(told, u64::try_from(number).ok(), "{data}");
    }
}

/// Blocks of a Messages stream come one after the other, numbered from 0.
fn blocks(text: &str) {
    let mut open = None;
    let mut next = 0;
    for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let root = json::parse(data.as_bytes()).unwrap();
        let index = root.member("index").and_then(json::Node::as_u64);
        match root.member("type").and_then(json::Node::as_str).unwrap() {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(next)));
                open = index;
                next += 1;
            }
            "content_block_delta" => assert_eq!(index, open),
            "content_block_stop" => assert_eq!(index, open.take()),
            _ => {}
        }
    }
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(Dialect::ALL.to_vec())
}

/// Pieces of events, some of them as no provider would send them.
fn events() -> impl Strategy<Value = Vec<String>> {
    let recorded: Vec<String> = Dialect::ALL
        .into_iter()
        .flat_map(|api| ["reasoning", "parallel", "error"].map(|name| (api, name)))
        .flat_map(|(api, name)| {
            let text = recorded(api, &format!("{name}.in.sse"));
            text.split_inclusive("\n\n").map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let strange = [
        "data: {}\n\n",
        "data: []\n\n",
        "data: {\"choices\":7}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":18446744073709551615,\"function\":{\"name\":\"x\",\"arguments\":{}}}]}}]}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":99,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n",
        "data: {\"type\":\"response.output_text.done\",\"text\":\"x\"}\n\n",
        "data: {\"type\":\"response.completed\"}\n\n",
        "event: error\ndata: {\"x\":1}\n\n",
        ": note\n\n",
        "data: [DONE]\n\n",
        "data:\n\n",
        "data: {\n\n",
    ];
    let all = [recorded, strange.map(str::to_owned).to_vec()].concat();
    prop::collection::vec(prop::sample::select(all), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_split_tells_the_same(upstream in dialect(), caller in dialect(), name in prop::sample::select(vec!["text", "parallel", "reasoning"]), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let input = recorded(upstream, &format!("{name}.in.sse"));
        let bytes = input.as_bytes();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(stream(upstream, caller, &chunks).text, stream(upstream, caller, &[bytes]).text);
    }

    #[test]
    fn events_in_any_order_never_panic(upstream in dialect(), caller in dialect(), events in events()) {
        let told = stream(upstream, caller, &[events.concat().as_bytes()]);
        if upstream != caller && caller == Dialect::Messages {
            blocks(&told.text);
        }
    }

    #[test]
    fn any_bytes_never_panic(upstream in dialect(), caller in dialect(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        stream(upstream, caller, &[b"data: ", &bytes, b"\n\n"]);
        let _ = with_terms(upstream, caller, |terms| answer::whole(terms, &bytes));
    }
}
