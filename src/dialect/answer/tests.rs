//! Answers, whole and streamed, case by case: what is content, what is an error, what is whole, what is kept.

use bytes::BytesMut;

use super::*;
use crate::dialect::sse;

/// What may differ from the usual terms.
#[derive(Clone, Copy)]
struct Case<'a> {
    caller: Dialect,
    upstream: Dialect,
    hides_usage: bool,
    structured_tool: Option<&'a str>,
    tool_names: &'a [(String, String)],
}

const fn case(upstream: Dialect, caller: Dialect) -> Case<'static> {
    Case { caller, upstream, hides_usage: false, structured_tool: None, tool_names: &[] }
}

fn with_terms<T>(case: Case<'_>, work: impl FnOnce(&Terms<'_>) -> T) -> T {
    let model = ModelId::parse("glm-5").unwrap();
    work(&Terms {
        caller: case.caller,
        upstream: case.upstream,
        model: &model,
        hides_usage: case.hides_usage,
        id: "req-1",
        created: 7,
        input_tokens: 9,
        echo: &Echo::read(case.caller, b"{}"),
        structured_tool: case.structured_tool,
        tool_names: case.tool_names,
    })
}

/// What came of a stream.
struct Told {
    text: String,
    result: Result<(), AnswerFault>,
    steps: Vec<Step>,
    outcome: Outcome,
}

fn tell(case: Case<'_>, text: &str) -> Told {
    let mut stream = with_terms(case, Stream::new);
    let mut decoder = sse::Decoder::default();
    let mut out = BytesMut::new();
    let mut steps = Vec::new();
    decoder.push(text.as_bytes());
    let mut run = || {
        while let Some(frame) = decoder.next().unwrap() {
            steps.push(stream.frame(&frame, &mut out)?);
        }
        stream.end(&mut out)
    };
    let result = run();
    let text = String::from_utf8(out.to_vec()).unwrap();
    Told { text, result, steps, outcome: stream.outcome() }
}

fn tell_whole(case: Case<'_>, text: &str) -> Result<(String, Outcome), AnswerFault> {
    let (bytes, outcome) = with_terms(case, |terms| whole(terms, text.as_bytes()))?;
    Ok((String::from_utf8(bytes.to_vec()).unwrap(), outcome))
}

fn data(events: &[&str]) -> String {
    events.iter().flat_map(|event| ["data: ", event, "\n\n"]).collect()
}

const CHAT: Case<'static> = case(Dialect::Chat, Dialect::Chat);
const RESPONSES: Case<'static> = case(Dialect::Responses, Dialect::Responses);
const MESSAGES: Case<'static> = case(Dialect::Messages, Dialect::Messages);

const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const TEXT: &str = r#"{"id":"c","model":"up","choices":[{"index":0,"delta":{"content":"hi"}}]}"#;

fn error(result: Result<(), AnswerFault>) -> (Option<u16>, String, bool) {
    match result.unwrap_err() {
        AnswerFault::Error { status, message, too_long } => (status, message, too_long),
        fault @ (AnswerFault::Malformed(_) | AnswerFault::Empty | AnswerFault::Truncated) => {
            panic!("{fault:?}")
        }
    }
}

/// Tells single events, and whether each was content.
fn check_content(case: Case<'_>, events: &[(&str, bool)]) {
    for (event, content) in events {
        let told = tell(case, &data(&[event]));
        assert_eq!(told.steps, [Step { content: *content, finished: false }], "{event}");
        assert_eq!(told.result, Err(AnswerFault::Truncated));
    }
}

#[test]
fn content_of_chat() {
    check_content(
        CHAT,
        &[
            (r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, false),
            (r#"{"choices":[{"delta":{"content":null}}]}"#, false),
            (r#"{"choices":[],"prompt_filter_results":[]}"#, false),
            (TEXT, true),
            (r#"{"choices":[{"delta":{"reasoning_content":"x"}}]}"#, true),
            (r#"{"choices":[{"delta":{"reasoning":"x"}}]}"#, true),
            (r#"{"choices":[{"delta":{"refusal":"x"}}]}"#, true),
            (
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f"}}]}}]}"#,
                true,
            ),
            (r#"{"choices":[{"delta":{"function_call":{"name":"f"}}}]}"#, true),
            (r#"{"choices":[{"delta":{"audio":{"data":"x"}}}]}"#, true),
            (r#"{"choices":[{"delta":{"content":[{"type":"text","text":"x"}]}}]}"#, true),
            (
                r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"x"}]}]}}]}"#,
                true,
            ),
            (r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#, true),
        ],
    );
}

#[test]
fn content_of_responses() {
    check_content(
        RESPONSES,
        &[
            (r#"{"type":"response.created","response":{"id":"r"}}"#, false),
            (r#"{"type":"response.output_item.added","item":{"type":"message"}}"#, false),
            (
                r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"f"}}"#,
                true,
            ),
            (r#"{"type":"response.output_item.added","item":{"type":"web_search_call"}}"#, true),
            (r#"{"type":"response.output_text.delta","delta":"x"}"#, true),
            (r#"{"type":"response.output_text.delta","delta":""}"#, false),
            (r#"{"type":"response.reasoning_summary_text.delta","delta":"x"}"#, true),
            (r#"{"type":"response.reasoning_text.delta","delta":"x"}"#, true),
            (r#"{"type":"response.refusal.delta","delta":"x"}"#, true),
            (r#"{"type":"response.audio.delta","delta":"x"}"#, true),
        ],
    );
}

#[test]
fn content_of_messages() {
    check_content(
        MESSAGES,
        &[
            (r#"{"type":"message_start","message":{"id":"m"}}"#, false),
            (r#"{"type":"ping"}"#, false),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                false,
            ),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","name":"f"}}"#,
                true,
            ),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","name":"f"}}"#,
                true,
            ),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}"#,
                true,
            ),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"x"}}"#,
                true,
            ),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"x"}}"#,
                false,
            ),
            (r#"{"type":"new_event","x":1}"#, false),
        ],
    );
}

#[test]
fn comments_and_empty_data_go_on_but_are_no_content() {
    let text = ": ping\n\nevent: x\n\ndata:\n\n";
    for case in [CHAT, RESPONSES, MESSAGES] {
        let told = tell(case, text);
        assert_eq!(told.text, text);
        assert!(told.steps.iter().all(|step| *step == Step::default()));
    }
    assert_eq!(tell(case(Dialect::Chat, Dialect::Messages), text).text, "");
}

#[test]
fn the_model_is_replaced_where_it_stands_and_nothing_else() {
    for (case, before, after) in [
        (
            CHAT,
            "id: 1\r\ndata: { \"x\": 1.0,\r\ndata: \"model\" : \"up\", \"choices\": [{\"model\":\"up\"}] }\r\n\r\n",
            "id: 1\r\ndata: { \"x\": 1.0,\r\ndata: \"model\" : \"glm-5\", \"choices\": [{\"model\":\"up\"}] }\r\n\r\n",
        ),
        (
            RESPONSES,
            "data: {\"type\":\"response.created\",\"model\":\"up\",\"response\":{\"model\":\"u\\u0070\"}}\n\n",
            "data: {\"type\":\"response.created\",\"model\":\"up\",\"response\":{\"model\":\"glm-5\"}}\n\n",
        ),
        (
            MESSAGES,
            "data: {\"type\":\"message_start\",\"message\":{\"model\":\"up\"}}\n\n",
            "data: {\"type\":\"message_start\",\"message\":{\"model\":\"glm-5\"}}\n\n",
        ),
        (CHAT, "data: {\"model\":null}\n\n", "data: {\"model\":null}\n\n"),
    ] {
        assert_eq!(tell(case, before).text, after);
    }
    let body = r#"{ "data": [{"model": "up"}], "model": "up" }"#;
    let model = ModelId::parse("glm-5").unwrap();
    assert_eq!(
        replace_model(body.as_bytes(), &model).unwrap(),
        r#"{ "data": [{"model": "up"}], "model": "glm-5" }"#
    );
    assert!(replace_model(b"[", &model).is_err());
}

#[test]
fn usage_that_we_asked_for_is_kept_from_the_caller() {
    let usage = r#"{"model":"up","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let text = data(&[TEXT, STOP, usage, "[DONE]"]);
    for (hides_usage, shown) in [(true, false), (false, true)] {
        let told = tell(Case { hides_usage, ..CHAT }, &text);
        assert_eq!(told.text.contains("prompt_tokens"), shown);
        assert_eq!(told.outcome.usage, Some(Usage { input: 3, output: 2, ..Usage::default() }));
        let told =
            tell(Case { hides_usage, ..case(Dialect::Messages, Dialect::Chat) }, &messages_text());
        assert_eq!(told.text.contains("prompt_tokens"), shown, "{}", told.text);
    }
    // In a chunk of its own kind it stays.
    let inside = STOP.replace("]}", r#"],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#);
    let told = tell(Case { hides_usage: true, ..CHAT }, &data(&[TEXT, &inside, "[DONE]"]));
    assert!(told.text.contains("prompt_tokens"));
}

fn messages_text() -> String {
    data(&[
        r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":3,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ])
}

#[test]
fn an_answer_without_content_is_empty_unless_cut() {
    let chat = |reason: &str| data(&[&STOP.replace("stop", reason), "[DONE]"]);
    let responses = |status: &str| {
        data(&[&format!(
            r#"{{"type":"response.{status}","response":{{"status":"{status}","output":[]}}}}"#
        )])
    };
    let messages = |reason: &str| {
        data(&[
            &format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}"}}}}"#),
            r#"{"type":"message_stop"}"#,
        ])
    };
    for (case, text, empty) in [
        (CHAT, chat("stop"), true),
        (CHAT, chat("length"), false),
        (CHAT, chat("content_filter"), false),
        (RESPONSES, responses("completed"), true),
        (RESPONSES, responses("incomplete"), false),
        (MESSAGES, messages("end_turn"), true),
        (MESSAGES, messages("max_tokens"), false),
        (MESSAGES, messages("refusal"), false),
    ] {
        for caller in Dialect::ALL {
            let told = tell(Case { caller, ..case }, &text);
            assert_eq!(told.result == Err(AnswerFault::Empty), empty, "{text}");
            assert!(told.steps.iter().all(|step| !step.content));
        }
    }
}

#[test]
fn a_whole_answer_without_content_is_empty_unless_cut() {
    let chat = |message: &str, reason: &str| {
        format!(r#"{{"choices":[{{"message":{{{message}}},"finish_reason":"{reason}"}}]}}"#)
    };
    for (case, text, empty) in [
        (CHAT, r#"{"choices":[]}"#.to_owned(), true),
        (CHAT, "{}".to_owned(), true),
        (CHAT, chat(r#""content":"""#, "stop"), true),
        (CHAT, chat(r#""content":null"#, "length"), false),
        (CHAT, chat(r#""content":null,"refusal":"no""#, "stop"), false),
        (RESPONSES, r#"{"status":"completed","output":[]}"#.to_owned(), true),
        (RESPONSES, r#"{"status":"incomplete","output":[]}"#.to_owned(), false),
        (RESPONSES, r#"{"status":"queued","output":[]}"#.to_owned(), false),
        (MESSAGES, r#"{"content":[],"stop_reason":"end_turn"}"#.to_owned(), true),
        (MESSAGES, r#"{"content":[],"stop_reason":"max_tokens"}"#.to_owned(), false),
    ] {
        assert_eq!(tell_whole(case, &text).map(|_| ()) == Err(AnswerFault::Empty), empty, "{text}");
    }
}

#[test]
fn errors_in_band_are_found() {
    for (case, event, status, message) in [
        (CHAT, r#"{"error":{"message":"m","code":429}}"#, Some(429), "m"),
        (CHAT, r#"{"error":"m"}"#, None, "m"),
        (CHAT, r#"{"object":"error","message":"m","code":400}"#, Some(400), "m"),
        (
            CHAT,
            r#"{"choices":[{"delta":{"content":"x"},"finish_reason":"error","error":{"message":"m","code":502}}]}"#,
            Some(502),
            "m",
        ),
        (
            RESPONSES,
            r#"{"type":"error","code":"rate_limit_exceeded","message":"m"}"#,
            Some(429),
            "m",
        ),
        (
            RESPONSES,
            r#"{"type":"error","error":{"type":"server_error","message":"m"}}"#,
            Some(500),
            "m",
        ),
        (
            RESPONSES,
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"m"}}}"#,
            Some(500),
            "m",
        ),
        (
            MESSAGES,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
            Some(529),
            "m",
        ),
    ] {
        for caller in Dialect::ALL {
            let told = tell(Case { caller, ..case }, &data(&[event]));
            assert_eq!(error(told.result), (status, message.to_owned(), false), "{event}");
            assert_eq!(told.text, "", "nothing of it is passed on");
        }
    }
    assert!(error(tell(CHAT, "event: error\ndata: {\"message\":\"m\"}\n\n").result).1 == "m");
    let long =
        r#"{"error":{"message":"prompt is too long: 2 > 1","type":"invalid_request_error"}}"#;
    assert!(error(tell(CHAT, &data(&[long])).result).2);
    // A member that says nothing is none.
    for quiet in [r#"{"error":null}"#, r#"{"error":{}}"#, r#"{"error":""}"#] {
        assert_eq!(tell(CHAT, &data(&[quiet])).result, Err(AnswerFault::Truncated));
    }
    for (case, body) in [
        (CHAT, r#"{"error":{"message":"m"}}"#),
        (
            RESPONSES,
            r#"{"status":"failed","output":[],"error":{"code":"server_error","message":"m"}}"#,
        ),
        (MESSAGES, r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#),
    ] {
        assert_eq!(error(tell_whole(case, body).map(|_| ())).1, "m");
    }
}

#[test]
fn garbage_is_malformed() {
    for case in [CHAT, RESPONSES, MESSAGES] {
        for garbage in
            ["data: {\n\n", "data: <html>\n\n", "data: []\n\n", "data: {\"a\":1,\"a\":2}\n\n"]
        {
            assert!(
                matches!(tell(case, garbage).result, Err(AnswerFault::Malformed(_))),
                "{garbage}"
            );
        }
        for garbage in ["", "<html>", "[]", "null", "{}}"] {
            assert!(
                matches!(tell_whole(case, garbage), Err(AnswerFault::Malformed(_))),
                "{garbage}"
            );
        }
    }
    let mut stream = with_terms(CHAT, Stream::new);
    let mut decoder = sse::Decoder::default();
    decoder.push(b"data: \"\xff\"\n\n");
    let frame = decoder.next().unwrap().unwrap();
    assert!(matches!(stream.frame(&frame, &mut BytesMut::new()), Err(AnswerFault::Malformed(_))));
}

#[test]
fn nothing_follows_the_last_event() {
    let text = data(&[TEXT, STOP, "[DONE]"]);
    for caller in Dialect::ALL {
        let once = tell(Case { caller, ..CHAT }, &text);
        let more = tell(Case { caller, ..CHAT }, &format!("{text}{text}data: {{\n\n"));
        assert_eq!(once.text, more.text);
        assert_eq!(more.result, Ok(()));
        assert_eq!(more.steps.last(), Some(&Step { content: false, finished: true }));
        let twice = tell(Case { caller, ..MESSAGES }, &messages_text().repeat(2));
        assert_eq!(twice.text, tell(Case { caller, ..MESSAGES }, &messages_text()).text);
    }
}

#[test]
fn every_choice_must_end_and_done_is_added() {
    let other = r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#;
    assert_eq!(tell(CHAT, &data(&[TEXT, other, STOP])).result, Err(AnswerFault::Truncated));
    let ends = other.replace("}}]", "},\"finish_reason\":\"length\"}]");
    let told = tell(CHAT, &data(&[TEXT, &ends, STOP]));
    assert_eq!(told.result, Ok(()));
    assert!(told.text.ends_with("data: [DONE]\n\n"));
}

#[test]
fn an_error_is_told_once_and_never_after_the_end() {
    let problem = AnswerFault::Truncated.problem();
    let mut stream = with_terms(RESPONSES, Stream::new);
    let mut decoder = sse::Decoder::default();
    decoder
        .push(b"data: {\"type\":\"response.created\",\"sequence_number\":4,\"response\":{}}\n\n");
    let mut out = BytesMut::new();
    stream.frame(&decoder.next().unwrap().unwrap(), &mut out).unwrap();
    stream.fail(&problem, &mut out);
    let told = String::from_utf8(out.to_vec()).unwrap();
    assert!(told.contains("\"sequence_number\":5,\"error\":{"), "{told}");
    stream.fail(&problem, &mut out);
    assert_eq!(out, told);

    let overloaded = AnswerFault::Error { status: Some(529), message: "m".into(), too_long: false };
    assert_eq!(overloaded.problem(), Problem { status: 529, code: "", message: "m".into() });
    let denied = AnswerFault::Error { status: Some(401), message: "m".into(), too_long: false };
    assert_eq!(denied.problem().status, 502);
}

#[test]
fn tool_names_and_ids_are_the_callers() {
    let names = [("short".to_owned(), "very.long.name".to_owned())];
    let events = data(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"short","arguments":""}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":2,"function":{"name":"g"}}]},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    let told = tell(Case { tool_names: &names, ..case(Dialect::Chat, Dialect::Messages) }, &events);
    for part in [
        r#""id":"a","name":"very.long.name""#,
        r#""id":"toolu_req101","name":"f""#,
        r#""id":"toolu_req102","name":"g""#,
        r#""stop_reason":"tool_use""#,
    ] {
        assert!(told.text.contains(part), "{part} in {}", told.text);
    }
    assert_eq!(told.text.matches(r#""partial_json":"{}""#).count(), 3, "{}", told.text);
}

#[test]
fn a_tool_that_stood_for_structure_becomes_text() {
    let case =
        Case { structured_tool: Some("json_answer"), ..case(Dialect::Messages, Dialect::Chat) };
    let told = tell(
        case,
        &data(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"json_answer","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ]),
    );
    assert!(
        told.text.contains(r#"{"content":"{\"a\":"}"#) && told.text.contains(r#"{"content":"1}"}"#)
    );
    assert!(told.text.contains(r#""finish_reason":"stop""#) && !told.text.contains("tool_calls"));
    let (text, _) = tell_whole(
        case,
        r#"{"content":[{"type":"tool_use","id":"t","name":"json_answer","input":{"a": 1.50}}],"stop_reason":"tool_use"}"#,
    )
    .unwrap();
    assert!(
        text.contains(r#""content":"{\"a\": 1.50}""#) && text.contains(r#""finish_reason":"stop""#),
        "{text}"
    );
}

#[test]
fn what_has_no_place_is_a_loss() {
    let (_, outcome) = tell_whole(
        case(Dialect::Messages, Dialect::Chat),
        r#"{"id":"m","content":[{"type":"thinking","thinking":"x","signature":"s"},{"type":"redacted_thinking","data":"d"},
            {"type":"text","text":"y","citations":[{"x":1}]}],"stop_reason":"end_turn"}"#,
    )
    .unwrap();
    assert_eq!(outcome.losses, ["reasoning", "citations"]);
    assert_eq!(outcome.response_id, None);
    let (_, outcome) =
        tell_whole(MESSAGES, r#"{"id":"m","content":[{"type":"text","text":"y"}]}"#).unwrap();
    assert_eq!((outcome.response_id.as_deref(), outcome.content_bytes), (Some("m"), 1));
}

#[test]
fn a_tool_call_without_json_is_malformed_where_it_must_be_an_object() {
    let body = |arguments: &str, reason: &str| {
        let call = format!(r#"{{"id":"c","function":{{"name":"f","arguments":{arguments}}}}}"#);
        format!(
            r#"{{"choices":[{{"message":{{"tool_calls":[{call}]}},"finish_reason":"{reason}"}}]}}"#
        )
    };
    let case = case(Dialect::Chat, Dialect::Messages);
    let input =
        |arguments, reason| tell_whole(case, &body(arguments, reason)).map(|(text, _)| text);
    assert!(input(r#""{\"a\":1}""#, "tool_calls").unwrap().contains(r#""input":{"a":1}"#));
    assert!(input(r#"{"a":1}"#, "tool_calls").unwrap().contains(r#""input":{"a":1}"#));
    assert!(input(r#""""#, "tool_calls").unwrap().contains(r#""input":{}"#));
    assert!(matches!(input(r#""{\"a\"""#, "tool_calls"), Err(AnswerFault::Malformed(_))));
    assert!(input(r#""{\"a\"""#, "length").unwrap().contains(r#""input":{}"#));
}

#[test]
fn servers_that_differ_are_understood() {
    let calls = |events: &[&str]| {
        let told = tell(case(Dialect::Chat, Dialect::Responses), &data(events));
        told.text.matches("response.function_call_arguments.done\n").count()
    };
    // No index at all; an index used again with another id; the id in every piece; a name that comes late.
    for (events, expected) in [
        (
            [
                r#"{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":"{}"}}]}}]}"#,
                STOP,
            ],
            2,
        ),
        (
            [
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]}}]}"#,
                STOP,
            ],
            2,
        ),
        (
            [
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}},{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}]}}]}"#,
                STOP,
            ],
            1,
        ),
        (
            [
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{"}},{"index":0,"function":{"name":"f","arguments":"}"}}]}}]}"#,
                STOP,
            ],
            1,
        ),
    ] {
        assert_eq!(calls(&events), expected, "{}", events[0]);
    }
    // Responses without deltas: what came whole is used, once.
    let text = "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"{}\"}}\n\n\
        data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"{}\"}]}}\n\n";
    let told = tell(case(Dialect::Responses, Dialect::Chat), text);
    assert_eq!(told.text.matches("\"name\":\"f\"").count(), 1, "{}", told.text);
    let only = "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"hi\"}]}]}}\n\n";
    assert!(
        tell(case(Dialect::Responses, Dialect::Chat), only).text.contains("{\"content\":\"hi\"}")
    );
}

#[test]
fn ids_are_short_and_made_from_ours() {
    assert_eq!(seed("req-1_A.b"), "req1Ab");
    let long = seed(&"x".repeat(128));
    assert_eq!(long.len(), 32);
    assert_ne!(long, seed(&"x".repeat(127)));
    assert_eq!(seed("..--").len(), 32);
}

#[test]
fn a_response_repeats_its_request() {
    let echo = Echo::read(
        Dialect::Responses,
        br#"{"model":"m","input":"x","tools":[ {"type":"function"} ],"temperature":0.70,"store":true,"user":null}"#,
    );
    let value =
        |name: &str| echo.members.iter().find(|(member, _)| *member == name).unwrap().1.as_str();
    assert_eq!(value("tools"), r#"[ {"type":"function"} ]"#);
    assert_eq!(value("temperature"), "0.70");
    assert_eq!((value("store"), value("user"), value("metadata")), ("false", "null", "{}"));
    assert_eq!(Echo::read(Dialect::Chat, b"{}"), Echo::default());
    assert_eq!(Echo::read(Dialect::Responses, b"{"), Echo::default());
}
