//! The paths that are not routed are held to the same promises: judged before they begin, whole or visibly broken, in
//! time, in the retry budget, and without a provider's credential in them.

use serde_json::{Value, json};

use crate::support::{
    Gate,
    http::Message,
    program::Program,
    reply,
    setup::{CANARY, Setup},
    sse,
    upstream::{Step, Upstream, send},
};

const EMBEDDINGS: &str = "/v1/embeddings";
const COMPLETIONS: &str = "/v1/completions";
const IMAGES: &str = "/v1/images/generations";
const SPEECH: &str = "/v1/audio/speech";

/// `alpha` with an endpoint at each of these, and these settings.
fn endpoints(upstreams: &[&Upstream], settings: &str) -> Program {
    let mut setup = Setup::new().with(settings);
    let mut endpoints = Vec::new();
    for (number, upstream) in upstreams.iter().enumerate() {
        let name = format!("p{number}");
        setup = setup.provider(&name, "openai", upstream.address());
        endpoints.push(format!("{{provider: {name}, id: upstream-{name}}}"));
    }
    Program::start(&setup.raw_model("alpha", &format!("endpoints: [{}]", endpoints.join(", "))))
}

fn asked(path: &str, stream: bool) -> String {
    let mut body = json!({"model": "alpha", "input": "x", "prompt": "x", "voice": "v"});
    if stream {
        body["stream"] = json!(true);
    }
    if stream && path == SPEECH {
        body["stream_format"] = json!("sse");
    }
    body.to_string()
}

/// An event of a stream of completions.
fn text(text: &str, finish: Option<&str>) -> String {
    let choice = json!({"index": 0, "text": text, "finish_reason": finish});
    let data = json!({"id": "c", "model": "upstream", "choices": [choice]});
    format!("event: x\nid: 7\ndata: {data}\n\n")
}

fn streamed(events: &[&str], end: &[Step]) -> Vec<Step> {
    let head = std::iter::once(reply::stream_head());
    head.chain(events.iter().map(|event| reply::chunk(event))).chain(end.iter().cloned()).collect()
}

fn whole_stream(said: &str) -> Vec<Step> {
    streamed(&[&text(said, Some("stop")), "data: [DONE]\n\n"], &reply::end())
}

fn vectors() -> Vec<Step> {
    let body = json!({"object": "list", "model": "upstream", "data": [{"embedding": [0.5]}],
                      "usage": {"prompt_tokens": 9, "total_tokens": 9}});
    let headers = "Content-Type: application/json\r\nx-request-id: theirs-1\r\n";
    vec![send(reply::raw(200, headers, &body.to_string())), Step::Fin]
}

/// Sound that began, and goes on as `rest` says.
fn sound(rest: &[Step]) -> Vec<Step> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n";
    [&[send(head), reply::chunk("sound")], rest].concat()
}

/// The stream began and ended in an error that SDKs raise on, which is in its last event.
#[track_caller]
fn broke(answer: &Message) -> Value {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.whole, "{}", answer.text());
    let events = sse::events(&answer.text());
    assert!(events.first().unwrap().data.contains("begun"), "{}", answer.text());
    assert!(!answer.text().contains("[DONE]"), "{}", answer.text());
    let last: Value = serde_json::from_str(&events.last().unwrap().data).unwrap();
    assert!(last["error"]["message"].is_string(), "{}", answer.text());
    last["error"].clone()
}

fn record(program: &Program) -> Value {
    serde_json::from_str(&program.logged("\"message\":\"request\"")).unwrap()
}

#[test]
fn e08_an_answer_of_the_wrong_kind_goes_to_the_next_endpoint() {
    let page = || vec![send(reply::raw(200, "Content-Type: text/html\r\n", "<p>")), Step::Fin];
    let picture = || reply::json(200, r#"{"data":[{"url":"u"}],"model":"upstream"}"#);
    let completion = || reply::json(200, &chat_like());
    let error = || reply::json(200, r#"{"error":{"message":"no","code":429}}"#);
    for (path, stream, bad, good) in [
        (EMBEDDINGS, false, page(), vectors()),
        (EMBEDDINGS, false, reply::json(200, ""), vectors()),
        (EMBEDDINGS, false, error(), vectors()),
        (EMBEDDINGS, false, whole_stream("fine"), vectors()),
        (IMAGES, false, page(), picture()),
        (COMPLETIONS, false, page(), completion()),
        (COMPLETIONS, false, whole_stream("fine"), completion()),
        (COMPLETIONS, true, page(), whole_stream("fine")),
        (COMPLETIONS, true, completion(), whole_stream("fine")),
        (SPEECH, false, page(), sound(&reply::end())),
        (SPEECH, false, error(), sound(&reply::end())),
        (SPEECH, false, streamed(&[], &reply::end()), sound(&reply::end())),
    ] {
        let (first, second) = (Upstream::always(bad), Upstream::always(good));
        let program = endpoints(&[&first, &second], "");
        let answer = program.post(path, &[], &asked(path, stream));
        assert_eq!((answer.status(), answer.whole), (200, true), "{path}: {}", answer.text());
        assert_eq!(answer.header("x-pointsman-attempts"), Some("2"), "{path}: {}", answer.text());
        assert_eq!(answer.header("x-pointsman-provider"), Some("p1"), "{path}");
        assert!(!answer.text().contains("\"upstream\""), "{path}: {}", answer.text());
    }
}

fn chat_like() -> String {
    json!({"model": "upstream", "choices": [{"index": 0, "text": "fine", "finish_reason": "stop"}],
           "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
    .to_string()
}

#[test]
fn e10_a_stream_that_does_not_begin_goes_to_the_next_endpoint() {
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n";
    let kept = reply::chunk(error);
    for bad in [
        streamed(&[error], &[Step::UntilClosed]),
        streamed(&["event: error\ndata: {\"message\":\"no\"}\n\n"], &reply::end()),
        streamed(&[": ping\n\n"], &reply::end()),
        streamed(&["data: [DONE]\n\n"], &reply::end()),
        streamed(&["data: {\n\n"], &reply::end()),
        streamed(&[], &[Step::Reset]),
        vec![reply::stream_head(), kept, Step::Reset],
    ] {
        let (first, second) = (Upstream::always(bad), Upstream::always(whole_stream("fine")));
        let program = endpoints(&[&first, &second], "");
        let answer = program.post(COMPLETIONS, &[], &asked(COMPLETIONS, true));
        assert!(answer.text().contains("fine"), "{}", answer.text());
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
        assert_eq!(answer.header("x-pointsman-attempts"), Some("2"));
    }
}

#[test]
fn f01_f02_f09_a_stream_that_is_cut_short_ends_in_an_error() {
    let begun = text("begun ", None);
    for end in [
        vec![Step::Reset],
        vec![Step::Fin],
        reply::end().to_vec(),
        vec![reply::chunk("data: {\n\n"), Step::UntilClosed],
    ] {
        let upstream = Upstream::always(streamed(&[&begun], &end));
        let program = endpoints(&[&upstream], "");
        broke(&program.post(COMPLETIONS, &[], &asked(COMPLETIONS, true)));
        program.metric_reaches("pointsman_attempts_total", &[("outcome", "failed")], 1.0);
        assert_eq!(record(&program)["outcome"], "error");
    }
}

#[test]
fn f02_a_stream_whose_choices_ended_is_whole_without_its_last_word() {
    // Nor is a last event lost that no blank line ends.
    let last = text("the end", Some("length"));
    let upstream =
        Upstream::always(streamed(&[&text("begun ", None), last.trim_end()], &reply::end()));
    let program = endpoints(&[&upstream], "");
    let answer = program.post(COMPLETIONS, &[], &asked(COMPLETIONS, true)).text();
    assert_eq!(answer.matches("event: x\nid: 7\ndata: ").count(), 2, "{answer}");
    assert_eq!(answer.matches(r#""model":"alpha""#).count(), 2, "{answer}");
    assert!(answer.contains("the end") && answer.ends_with("data: [DONE]\n\n"), "{answer}");
    assert!(!answer.contains("error"), "{answer}");
}

#[test]
fn f03_c09_an_error_in_a_stream_is_told_without_the_credential_in_it() {
    let error = format!("data: {{\"error\":{{\"message\":\"bad key {CANARY}provider-p0\"}}}}\n\n");
    let upstream = Upstream::always(streamed(&[&text("begun ", None), &error], &reply::end()));
    let program = endpoints(&[&upstream], "log: {level: debug}");
    let told = broke(&program.post(COMPLETIONS, &[], &asked(COMPLETIONS, true)));
    assert!(told["message"].as_str().unwrap().starts_with("bad key "), "{told}");
    assert_eq!(record(&program)["outcome"], "error");
}

#[test]
fn f04_f05_silence_and_the_total_time_end_a_stream() {
    let more = text("on ", None);
    let flood = Step::Flood(format!("{:x}\r\n{more}\r\n", more.len()).into_bytes());
    let pings = Step::Flood(b"8\r\n: ping\n\n\r\n".to_vec());
    for (end, settings) in [
        (Step::UntilClosed, "timeouts: {between_tokens: 500ms}"),
        (pings, "timeouts: {between_tokens: 500ms}"),
        (flood, "timeouts: {total: 1s}"),
    ] {
        let upstream = Upstream::always(streamed(&[&text("begun ", None)], &[end]));
        let program = endpoints(&[&upstream], settings);
        let told = broke(&program.post(COMPLETIONS, &[], &asked(COMPLETIONS, true)));
        assert_eq!(told["code"], "upstream_timeout", "{told}");
        upstream.closed(0);
    }
}

#[test]
fn the_total_time_is_that_of_all_attempts() {
    let (first, second) = (Upstream::always(vec![Step::UntilClosed]), Upstream::always(vectors()));
    let program = endpoints(&[&first, &second], "timeouts: {total: 1s, response: 1m}");
    let answer = program.post(EMBEDDINGS, &[], &asked(EMBEDDINGS, false));
    assert_eq!((answer.status(), answer.code().as_str()), (504, "upstream_timeout"));
    assert_eq!(second.requests(), 0, "no time was left for it");
}

#[test]
fn sound_that_breaks_off_is_cut() {
    for end in [vec![Step::Reset], vec![Step::UntilClosed]] {
        let upstream = Upstream::always(sound(&end));
        let program = endpoints(&[&upstream], "timeouts: {between_tokens: 500ms}");
        let answer = program.post(SPEECH, &[], &asked(SPEECH, false));
        assert_eq!((answer.status(), answer.whole), (200, false), "it looks whole");
        assert_eq!(answer.text(), "sound");
        assert_eq!(answer.header("content-type"), Some("audio/mpeg"));
        assert_eq!(record(&program)["outcome"], "error");
    }
}

#[test]
fn l02_an_answer_that_is_longer_than_the_drain_ends_visibly() {
    let begun = text("begun ", None);
    for (path, steps) in [
        (COMPLETIONS, streamed(&[&begun], &[Step::Stall(Gate::new())])),
        (SPEECH, sound(&[Step::Stall(Gate::new())])),
    ] {
        let upstream = Upstream::always(steps);
        let mut program = endpoints(&[&upstream], "drain: 500ms");
        let mut client = program.client();
        let mark = if path == SPEECH { "sound" } else { "begun " };
        client.post(path, &[], &asked(path, path == COMPLETIONS)).until(mark);
        program.signal("TERM");
        let answer = client.answer();
        if path == SPEECH {
            assert_eq!((answer.text().as_str(), answer.whole), ("sound", false));
        } else {
            broke(&answer);
        }
        let record = record(&program);
        assert_eq!((&record["status"], &record["outcome"]), (&json!(200), &json!("cancelled")));
        assert!(program.ended().success());
        upstream.closed(0);
    }
}

#[test]
fn d02_a_hang_up_ends_the_upstream() {
    for (path, steps) in [
        (EMBEDDINGS, vec![Step::UntilClosed]),
        (COMPLETIONS, streamed(&[&text("begun ", None)], &[Step::UntilClosed])),
        (SPEECH, sound(&[Step::UntilClosed])),
    ] {
        let upstream = Upstream::always(steps);
        let program = endpoints(&[&upstream], "");
        let mut client = program.client();
        client.post(path, &[], &asked(path, path == COMPLETIONS));
        upstream.request(0);
        client.hang_up();
        upstream.closed(0);
        assert_eq!(record(&program)["outcome"], "cancelled", "{path}");
    }
}

#[test]
fn e15_later_moves_are_charged_to_the_retry_budget() {
    // What is not found opens no breaker, which would hide what the budget does.
    let failing: Vec<Upstream> =
        (0..3).map(|_| Upstream::always(reply::error(404, "", "no"))).collect();
    let program = endpoints(&failing.iter().collect::<Vec<_>>(), "failover: {attempts: 3}");
    let requests = 400;
    for _ in 0..requests {
        assert_eq!(program.post(EMBEDDINGS, &[], &asked(EMBEDDINGS, false)).status(), 502);
    }
    assert_eq!(failing[1].requests(), requests, "the first move is never refused");
    assert!((100..requests).contains(&failing[2].requests()), "{}", failing[2].requests());
}

#[test]
fn what_an_answer_took_and_who_gave_it_is_recorded() {
    let upstream = Upstream::always(vectors());
    let program = endpoints(&[&upstream], "");
    let answer = program.post(EMBEDDINGS, &[], &asked(EMBEDDINGS, false));
    assert_eq!(answer.header("x-pointsman-upstream-request-id"), Some("theirs-1"));
    assert_eq!(answer.json()["model"], "alpha");
    let line = record(&program);
    assert_eq!((&line["input_tokens"], &line["usage"]), (&json!(9), &json!("reported")), "{line}");
    assert_eq!(line["streamed"], false, "{line}");

    let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
    let events = [&text("begun ", Some("stop")), &format!("data: {usage}\n\n"), "data: [DONE]\n\n"];
    let upstream = Upstream::always(streamed(&events, &reply::end()));
    let program = endpoints(&[&upstream], "");
    program.post(COMPLETIONS, &[], &asked(COMPLETIONS, true));
    let line = record(&program);
    assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&json!(3), &json!(4)), "{line}");
    assert_eq!(line["streamed"], true, "{line}");
}

#[test]
fn streams_of_sound_and_of_pictures_have_last_events_of_their_own() {
    for (path, kind) in [(SPEECH, "speech.audio"), (IMAGES, "image_generation")] {
        let part = format!("data: {{\"type\":\"{kind}.delta\",\"audio\":\"begun\"}}\n\n");
        let ending = if path == SPEECH { "done" } else { "completed" };
        let last = format!("data: {{\"type\":\"{kind}.{ending}\"}}\n\n");
        let upstream = Upstream::always(streamed(&[&part, &last], &reply::end()));
        let program = endpoints(&[&upstream], "");
        let answer = program.post(path, &[], &asked(path, true));
        assert_eq!(answer.text(), format!("{part}{last}"), "{path}");
        let upstream = Upstream::always(streamed(&[&part], &reply::end()));
        let program = endpoints(&[&upstream], "");
        broke(&program.post(path, &[], &asked(path, true)));
    }
}
