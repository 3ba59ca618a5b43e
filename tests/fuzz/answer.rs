//! `dialect::answer`: answers of any provider for any caller, whole and streamed, broken in every way.
//!
//! A case of a stream begins with a line `CALLER UPSTREAM NUMBER`, of which the number says how it is cut; the stream
//! follows. A case of a whole answer begins with `CALLER UPSTREAM`.

use bytes::BytesMut;
use pointsman::{
    dialect::{
        Dialect,
        answer::{self, AnswerFault, Echo, Stream, Terms},
        json, sse,
    },
    ids::ModelId,
};

use crate::{dice::Dice, driver::Target, mutate, seeds, well_formed};

const REQUEST: &[u8] = br#"{"model":"router:x","input":"hi","instructions":"Be brief."}"#;

#[test]
fn stream() {
    Target { name: "stream", make: make_stream, hold: hold_stream }.run();
}

#[test]
fn whole() {
    Target { name: "whole", make: make_whole, hold: hold_whole }.run();
}

fn make_stream(dice: &mut Dice) -> Vec<u8> {
    let caller = dice.pick(&Dialect::ALL).as_str();
    let (upstream, seed) = dice.pick(&seeds::STREAMS);
    let upstream = if dice.once_in(20) { dice.pick(&Dialect::ALL) } else { upstream };
    let head = format!("{caller} {} {}\n", upstream.as_str(), dice.number() % 1000);
    let stream = match dice.below(20) {
        0 => dice.noise(64),
        1 => seed.clone().into_bytes(),
        _ => mutate::stream(dice, seed),
    };
    [head.into_bytes(), stream].concat()
}

fn make_whole(dice: &mut Dice) -> Vec<u8> {
    let caller = dice.pick(&Dialect::ALL).as_str();
    let (upstream, mut answer) = dice.pick(&seeds::ANSWERS).clone();
    mutate::tree(dice, &mut answer);
    let mut body = answer.to_string().into_bytes();
    if dice.once_in(8) {
        mutate::bytes(dice, &mut body);
    }
    [format!("{caller} {}\n", upstream.as_str()).into_bytes(), body].concat()
}

/// The words of the first line of a case, and what follows it.
pub(crate) fn case(case: &[u8]) -> Option<(Vec<&str>, &[u8])> {
    let end = case.iter().position(|byte| *byte == b'\n')?;
    let (head, rest) = case.split_at(end);
    Some((std::str::from_utf8(head).ok()?.split(' ').collect(), &rest[1..]))
}

pub(crate) fn dialect(word: &str) -> Option<Dialect> {
    Dialect::ALL.into_iter().find(|dialect| dialect.as_str() == word)
}

fn with_terms<T>(
    caller: Dialect,
    upstream: Dialect,
    hides_usage: bool,
    work: impl FnOnce(&Terms<'_>) -> T,
) -> T {
    let model = ModelId::parse("glm-5").unwrap();
    let echo = Echo::read(caller, REQUEST);
    work(&Terms {
        caller,
        upstream,
        model: &model,
        hides_usage,
        id: "0123-abcd",
        created: 1_760_000_123,
        input_tokens: 40,
        echo: &echo,
        structured_tool: None,
        tool_names: &[],
    })
}

fn hold_stream(bytes: &[u8]) {
    let Some((words, stream)) = case(bytes) else { return };
    let &[caller, upstream, number] = &words[..] else { return };
    let (Some(caller), Some(upstream), Ok(number)) =
        (dialect(caller), dialect(upstream), number.parse::<u64>())
    else {
        return;
    };
    let pair = (caller, upstream, number % 2 == 1);
    let (told, fault) = tell(pair, stream, |_| usize::MAX);
    let mut dice = Dice::new(number);
    let cut = tell(pair, stream, |left| 1 + dice.below(left));
    assert!(cut.0 == told && cut.1 == fault, "another cut, another answer");
    if stream.len() < 4_000 {
        assert!(tell(pair, stream, |_| 1) == (told.clone(), fault.clone()), "cut into bytes");
    }
    let events = well_formed::events(&told);
    match fault {
        None if caller == upstream => assert_eq!(well_formed::ends(caller, &events), 1, "one end"),
        None => well_formed::check(caller, &events),
        // Without any content nothing of it was sent yet, and another target is tried.
        Some(AnswerFault::Empty) => {}
        Some(fault) => {
            assert_eq!(well_formed::ends(caller, &events), 0, "an end after {fault:?}");
            let (_, errors) = events.split_at(events.len() - 1);
            assert_eq!(well_formed::errors(caller, errors), 1, "an error at the end, {fault:?}");
        }
    }
}

/// Passes a stream through as the relay would, with chunks of as many bytes as `cut` says.
fn tell(
    (caller, upstream, hides_usage): (Dialect, Dialect, bool),
    bytes: &[u8],
    mut cut: impl FnMut(usize) -> usize,
) -> (Vec<u8>, Option<AnswerFault>) {
    let mut stream = with_terms(caller, upstream, hides_usage, Stream::new);
    let mut decoder = sse::Decoder::default();
    let mut out = BytesMut::new();
    let mut content = false;
    let mut relay = || {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(cut(rest.len()).min(rest.len()));
            decoder.push(chunk);
            rest = after;
            while let Some(frame) = decoder.next().unwrap() {
                let before = out.len();
                let step = stream.frame(&frame, &mut out).inspect_err(|_| {
                    assert_eq!(out.len(), before, "output for a frame that is refused");
                })?;
                content |= step.content;
                if step.finished {
                    return stream.end(&mut out);
                }
            }
        }
        while let Some(frame) = decoder.finish().unwrap() {
            let step = stream.frame(&frame, &mut out)?;
            content |= step.content;
            if step.finished {
                break;
            }
        }
        stream.end(&mut out)
    };
    let fault = relay().err();
    let outcome = stream.outcome();
    assert!(!(content && fault == Some(AnswerFault::Empty)), "content, and yet empty");
    if let Some(fault) = &fault {
        stream.fail(&fault.problem(), &mut out);
    } else {
        assert!(content || outcome.stop.is_some(), "whole, and yet nothing");
    }
    (out.to_vec(), fault)
}

fn hold_whole(bytes: &[u8]) {
    let Some((words, body)) = case(bytes) else { return };
    let &[caller, upstream] = &words[..] else { return };
    let (Some(caller), Some(upstream)) = (dialect(caller), dialect(upstream)) else { return };
    let Ok((told, outcome)) =
        with_terms(caller, upstream, false, |terms| answer::whole(terms, body))
    else {
        return;
    };
    if caller == upstream {
        return assert_kept(body, &told);
    }
    let again = with_terms(caller, caller, false, |terms| answer::whole(terms, &told));
    // All that there was may have been something that the caller's API has no place for.
    if again == Err(AnswerFault::Empty) && !outcome.losses.is_empty() {
        return;
    }
    let (_, again) = again.unwrap_or_else(|fault| panic!("{fault}: {}", told.escape_ascii()));
    assert!(again.stop.is_some() || outcome.stop.is_none(), "the reason to stop went missing");
    assert!(again.content_bytes > 0 || outcome.content_bytes == 0, "the content went missing");
}

/// Only the value of `model` may differ.
fn assert_kept(body: &[u8], told: &[u8]) {
    let differs = body.iter().zip(told).take_while(|(a, b)| a == b).count();
    let same_end = body.iter().rev().zip(told.iter().rev()).take_while(|(a, b)| a == b).count();
    let rest = body.len().saturating_sub(differs + same_end);
    assert!(rest < 400 && told.len() < body.len() + 16, "more than the model was changed");
    if body != told {
        let told = json::parse(told).expect("JSON in place of JSON");
        assert_eq!(told.member("model").and_then(json::Node::as_str), Some("glm-5"));
    }
}
