//! What holds for every request, whichever way it goes.

use std::borrow::Cow;

use proptest::prelude::*;

use super::{Outgoing, Quirks, Shape, read_request, write_request};
use crate::dialect::{
    Dialect,
    carry::carry,
    estimate,
    ir::{
        Format, Request, Schema,
        part::{Image, Message, Part, Role, Source, ToolCall, ToolResult},
        tool::{Tool, ToolChoice, ToolKind},
    },
    json,
};

const SHAPE: Shape<'static> = Shape {
    upstream_id: "up",
    max_output: None,
    prefill: false,
    foreign_reasoning: false,
    quirks: Quirks { no_stream_options: false, max_tokens_only: false, no_prompt_cache: false },
};

fn fault(dialect: Dialect, body: &str) -> (&'static str, String) {
    let fault = read_request(dialect, body.as_bytes()).unwrap_err();
    (fault.code, fault.message)
}

fn written(from: Dialect, body: &str, to: Dialect, shape: &Shape<'_>) -> Outgoing {
    write_request(&read_request(from, body.as_bytes()).unwrap(), body.as_bytes(), to, shape)
}

fn sent(from: Dialect, body: &str, to: Dialect, shape: &Shape<'_>) -> String {
    String::from_utf8(written(from, body, to, shape).body.to_vec()).unwrap()
}

#[test]
fn what_routing_needs_is_demanded() {
    for dialect in Dialect::ALL {
        assert_eq!(fault(dialect, "{").0, "invalid_json");
        assert!(fault(dialect, "{\"model\": tru}").1.contains("line 1 column 11"));
        for bad in [
            "null",
            "[]",
            "\"x\"",
            "{}",
            r#"{"model":1,"messages":[],"input":""}"#,
            r#"{"model":"m"}"#,
        ] {
            assert_eq!(fault(dialect, bad).0, "invalid_request", "{bad}");
        }
        let stream = r#"{"model":"m","messages":[],"input":"","stream":"true"}"#;
        assert_eq!(fault(dialect, stream).1, "`stream` must be true or false, not a string");
    }
}

#[test]
fn a_refusal_names_the_field() {
    let cases = [
        (
            Dialect::Chat,
            r#"{"model":"m","messages":{}}"#,
            "`messages` must be an array, not an object",
        ),
        (
            Dialect::Messages,
            r#"{"model":"m","messages":"hi"}"#,
            "`messages` must be an array, not a string",
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","input":1}"#,
            "`input` must be a string or an array, not a number",
        ),
        (
            Dialect::Chat,
            r#"{"model":"m","messages":[],"max_tokens":-5}"#,
            "`max_tokens` must be a whole number that is not negative",
        ),
        (
            Dialect::Responses,
            r#"{"model":"m","previous_response_id":7}"#,
            "`previous_response_id` must be a string",
        ),
        (
            Dialect::Chat,
            r#"{"messages":[]}"#,
            "`model` is missing: name a model, or a router as `router:NAME`",
        ),
    ];
    for (dialect, body, message) in cases {
        assert_eq!(fault(dialect, body), ("invalid_request", message.to_owned()));
    }
}

#[test]
fn the_rest_is_left_to_the_callers_own_api() {
    let body = r#"{"model":"m","stream":null,"max_tokens":null,"n":0,"temperature":1e9,"tools":"x","stop":7,
        "messages":[{"role":"wizard","content":7},{"role":"user","content":[{"type":"hologram"},"plain",3]},"x"]}"#;
    let request = read_request(Dialect::Chat, body.as_bytes()).unwrap();
    assert!(carry(&request, Dialect::Chat).is_ok());
    assert!(carry(&request, Dialect::Messages).is_err());
    assert_eq!(sent(Dialect::Chat, body, Dialect::Chat, &SHAPE), body.replace("\"m\"", "\"up\""));
    let stored = r#"{"model":"m","previous_response_id":"resp_1"}"#;
    assert!(read_request(Dialect::Responses, stored.as_bytes()).is_ok());
}

#[test]
fn usage_is_asked_for_in_place() {
    let cases = [
        ("", r#","stream_options":{"include_usage":true}"#, true),
        (r#","stream_options":null"#, r#","stream_options":{"include_usage":true}"#, true),
        (r#","stream_options": { }"#, r#","stream_options": {"include_usage":true}"#, true),
        (r#","stream_options":{"x":1}"#, r#","stream_options":{"include_usage":true,"x":1}"#, true),
        (
            r#","stream_options":{"x":1, "include_usage" : false}"#,
            r#","stream_options":{"x":1, "include_usage" : true}"#,
            true,
        ),
        (
            r#","stream_options":{"include_usage":true}"#,
            r#","stream_options":{"include_usage":true}"#,
            false,
        ),
        (r#","stream_options":[1]"#, r#","stream_options":[1]"#, true),
    ];
    for (options, expected, hides) in cases {
        // The one that is not there is added behind `model`; the others are changed where they stand.
        let (head, tail) = if options.is_empty() { (expected, "") } else { ("", expected) };
        let body = format!(r#"{{ "model" :"a\u0062" ,"messages":[] ,"stream":true{options} }}"#);
        let out = written(Dialect::Chat, &body, Dialect::Chat, &SHAPE);
        let wanted = format!(r#"{{ "model" :"up"{head} ,"messages":[] ,"stream":true{tail} }}"#);
        assert_eq!(std::str::from_utf8(&out.body).unwrap(), wanted);
        assert_eq!(out.hides_usage, hides, "{options}");
        let quirks = Quirks { no_stream_options: true, ..Quirks::default() };
        let plain = sent(Dialect::Chat, &body, Dialect::Chat, &Shape { quirks, ..SHAPE });
        assert_eq!(plain, body.replace(r#""a\u0062""#, r#""up""#));
    }
}

#[test]
fn large_numbers_key_order_and_unknown_fields_survive_between_equal_apis() {
    let body = "{\"zeta\":{\"b\":1,\"a\":-0.0},\n \"seed\":123456789012345678901234567890,\"model\":\"m\",\
                \"messages\":[{\"role\":\"user\",\"content\":\"\\u0000\\u202e\"}]}";
    assert_eq!(sent(Dialect::Chat, body, Dialect::Chat, &SHAPE), body.replace("\"m\"", "\"up\""));
    let to_messages = written(Dialect::Chat, body, Dialect::Messages, &SHAPE);
    assert_eq!(to_messages.losses, ["seed", "zeta"]);
}

#[test]
fn nothing_of_ours_is_sent_and_quirks_are_heeded() {
    let body = r#"{"model":"router:x","max_tokens":70000,"stream":true,"cache_control":{"type":"ephemeral"},
        "metadata":{"user_id":"u"},"messages":[{"role":"user","content":"hi"}]}"#;
    let quirks = Quirks { no_stream_options: true, max_tokens_only: true, no_prompt_cache: true };
    let shape = Shape { quirks, max_output: Some(4096), ..SHAPE };
    let out = written(Dialect::Messages, body, Dialect::Chat, &shape);
    let expected = r#"{"model":"up","messages":[{"role":"user","content":"hi"}],"max_tokens":4096,"user":"u","stream":true}"#;
    assert_eq!(std::str::from_utf8(&out.body).unwrap(), expected);
    assert_eq!(out.losses, ["cache_control"]);
}

#[test]
fn a_prefilled_answer_is_kept_where_the_model_takes_one() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"One, \n"}]}"#;
    let taken = sent(Dialect::Chat, body, Dialect::Messages, &Shape { prefill: true, ..SHAPE });
    assert!(taken.ends_with(r#"{"role":"assistant","content":"One,"}]}"#), "{taken}");
    assert!(
        sent(Dialect::Chat, body, Dialect::Messages, &SHAPE).contains("Continue your last message")
    );
}

#[test]
fn foreign_reasoning_is_cut_out_of_bytes_that_are_otherwise_kept() {
    let shape = Shape { foreign_reasoning: true, ..SHAPE };
    let body = r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":2000},"messages":[{"role":"assistant",
        "content":[{"type":"thinking","thinking":"a","signature":"s"}, {"type":"text","text":"1"} ,{"type":"tool_use",
        "id":"t","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}]}"#;
    let out = written(Dialect::Messages, body, Dialect::Messages, &shape);
    let text = std::str::from_utf8(&out.body).unwrap();
    assert!(
        text.contains(r#""content":[{"type":"text","text":"1"},{"type":"tool_use","#),
        "{text}"
    );
    assert!(
        text.contains(r#""thinking":{"type":"disabled"}"#) && !text.contains("signature"),
        "{text}"
    );
    assert_eq!(out.losses, ["thinking"]);
    assert_eq!(
        sent(Dialect::Messages, body, Dialect::Messages, &SHAPE),
        body.replace("\"m\"", "\"up\"")
    );
    let alone = r#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"redacted_thinking","data":"x"}]}]}"#;
    assert!(
        sent(Dialect::Messages, alone, Dialect::Messages, &shape).contains(r#"[{"type":"text","#)
    );
    let items = r#"{"input":[{"type":"reasoning","summary":[],"encrypted_content":"x"},{"role":"user","content":"hi"}],"model":"m"}"#;
    let expected = r#"{"input":[{"role":"user","content":"hi"}],"model":"up"}"#;
    assert_eq!(sent(Dialect::Responses, items, Dialect::Responses, &shape), expected);
}

#[test]
fn a_request_says_what_it_demands_of_a_model() {
    let body = r#"{"model":"m","tools":[{"type":"function","function":{"name":"f"}}],"reasoning_effort":"low",
        "response_format":{"type":"json_object"},"messages":[{"role":"user","content":[{"type":"image_url",
        "image_url":{"url":"http://169.254.169.254/x"}},{"type":"file","file":{"file_data":"x"}},
        {"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}]}"#;
    let demand = read_request(Dialect::Chat, body.as_bytes()).unwrap().demand();
    assert!(demand.tools && demand.json && demand.reasoning);
    assert!(demand.modalities.image && demand.modalities.audio && demand.modalities.document);
    let inside = r#"{"model":"m","thinking":{"type":"disabled"},"messages":[{"role":"user","content":[{"type":"tool_result",
        "tool_use_id":"1","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":""}}]}]}]}"#;
    let demand = read_request(Dialect::Messages, inside.as_bytes()).unwrap().demand();
    assert!(
        demand.modalities.image
            && !demand.modalities.document
            && !demand.reasoning
            && !demand.tools
    );
    for (effort, asked) in [("none", false), ("minimal", false), ("xhigh", true)] {
        let body = format!(r#"{{"model":"m","input":"","reasoning":{{"effort":"{effort}"}}}}"#);
        assert_eq!(
            read_request(Dialect::Responses, body.as_bytes()).unwrap().demand().reasoning,
            asked
        );
    }
}

#[test]
fn a_loss_is_named_safely_and_once() {
    let body = "{\"model\":\"m\",\"a b\":1,\"x\\r\\ny: z\":1,\"messages\":[{\"role\":\"user\",\"content\":\"\",\"k\":1},\
                {\"role\":\"user\",\"content\":\"\",\"k\":1,\"nothing\":null,\"empty\":[]}]}";
    let request = read_request(Dialect::Chat, body.as_bytes()).unwrap();
    assert_eq!(carry(&request, Dialect::Responses).unwrap().losses, ["(unnamed)", "k"]);
}

// === arbitrary bodies ===

/// Values that mean something in one of the APIs.
const WORDS: &str = "\
    user assistant system developer tool text image_url input_text input_image tool_use \
    tool_result function function_call function_call_output thinking enabled low auto any \
    json_schema custom document base64 url message reasoning id1 data:image/png;base64,AA== \
    data:, ephemeral 1h required allowed_tools adaptive file refusal";

/// Keys inside messages, parts and tools.
const KEYS: &str = "\
    role content type text tool_calls id function name arguments input call_id output image_url \
    url source data media_type cache_control ttl schema parameters format tool_use_id \
    tool_call_id is_error thinking signature effort mode tools custom file file_data file_id \
    title refusal summary encrypted_content json_schema budget_tokens detail";

/// Fields of a request.
const FIELDS: &str = "\
    tools tool_choice system instructions thinking reasoning reasoning_effort response_format \
    text output_config stop stop_sequences temperature top_p top_k metadata user stream \
    stream_options n max_tokens max_output_tokens prompt_cache_key prompt_cache_retention \
    service_tier store parallel_tool_calls cache_control previous_response_id functions seed";

/// JSON made of the words of the three APIs.
fn vocabulary() -> impl Strategy<Value = serde_json::Value> {
    let odd = ["", " ", "{}", "{\"a\": 1}"];
    let words = WORDS.split_whitespace().chain(odd).collect::<Vec<_>>();
    let words = prop::sample::select(words);
    let leaf = prop_oneof![
        4 => words.prop_map(Into::into),
        1 => Just(serde_json::Value::Null),
        1 => any::<bool>().prop_map(Into::into),
        1 => any::<u32>().prop_map(Into::into),
        1 => (-2.0..3.0).prop_map(|x: f64| x.into()),
    ];
    let keys = prop::sample::select(KEYS.split_whitespace().collect::<Vec<_>>());
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn body() -> impl Strategy<Value = String> {
    let top = prop::sample::select(FIELDS.split_whitespace().collect::<Vec<_>>());
    let rest = prop::collection::btree_map(top.prop_map(str::to_owned), vocabulary(), 0..6);
    (prop::collection::vec(vocabulary(), 0..6), rest).prop_map(|(messages, rest)| {
        let mut body = serde_json::Map::from_iter(rest);
        body.insert("model".into(), "m".into());
        body.insert("messages".into(), messages.clone().into());
        body.insert("input".into(), messages.into());
        serde_json::Value::Object(body).to_string()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever comes in is read or refused, and what goes out is JSON that its own API's decoder reads.
    #[test]
    fn any_body_is_read_or_refused_and_what_is_written_can_be_read(body in body(), prefill: bool) {
        for from in Dialect::ALL {
            let Ok(request) = read_request(from, body.as_bytes()) else { continue };
            estimate::input_tokens(&request);
            request.demand();
            for to in Dialect::ALL {
                let out = write_request(&request, body.as_bytes(), to, &Shape { prefill, foreign_reasoning: true, ..SHAPE });
                let again = read_request(to, &out.body);
                prop_assert!(again.is_ok(), "{from:?} {to:?} {again:?}");
                if from != to && carry(&request, to).is_ok() {
                    let again = again.unwrap();
                    prop_assert!(again.unreadable.is_empty() && again.extra.is_empty(), "{:?} {:?}", again.extra, out.body);
                    prop_assert_eq!(carry(&again, to).unwrap().losses, Vec::<String>::new());
                    prop_assert!(said(again.parts()) >= said(request.parts()), "{from:?} {to:?}");
                }
            }
        }
    }

    /// Between equal APIs only the value of `model` changes, wherever it stands and however it is spaced.
    #[test]
    fn a_splice_changes_the_model_alone(body in body(), model in "[ -~é]{0,20}", pretty: bool, responses: bool) {
        let dialect = if responses { Dialect::Responses } else { Dialect::Messages };
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        let body = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { body };
        if let Ok(request) = read_request(dialect, body.as_bytes()) {
            let span = request.places.model.clone();
            let out = write_request(&request, body.as_bytes(), dialect, &Shape { upstream_id: &model, ..SHAPE }).body;
            let (before, rest) = body.split_at(span.start);
            let after = rest.split_at(span.len()).1;
            let expected = [before, &json::quote(&model), after].concat();
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        }
    }
}

/// How many characters are said in words; white space alone says nothing.
fn said<'a>(parts: impl Iterator<Item = &'a Part<'a>>) -> usize {
    parts
        .map(|part| match part {
            Part::Text(text) => text.text.trim().len(),
            Part::Refusal(text) => text.trim().len(),
            Part::ToolResult(result) => said(result.parts.iter()),
            Part::ToolCall(call) => call.name.len(),
            Part::Image(_) | Part::Document(_) => 1,
            Part::Audio(_) | Part::Reasoning(_) | Part::Other(_) => 0,
        })
        .sum()
}

// === round trips ===

/// What a request means, in the order in which it is said, however it is cut into messages.
fn meaning(request: &Request<'_>) -> Vec<String> {
    let mut atoms = Vec::new();
    for message in &request.messages {
        let side = match message.role {
            Role::System | Role::Developer => "system",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        for part in &message.parts {
            atoms.push(match part {
                Part::Text(text) => format!("{side}: {}", text.text),
                Part::Image(image) => format!("{side}: {:?}", image.source),
                Part::ToolCall(call) => {
                    let arguments: serde_json::Value =
                        serde_json::from_str(&call.arguments).unwrap();
                    format!("call {} {} {arguments}", call.id, call.name)
                }
                Part::ToolResult(result) => format!("result {} {:?}", result.id, result.parts),
                Part::Document(_)
                | Part::Audio(_)
                | Part::Reasoning(_)
                | Part::Refusal(_)
                | Part::Other(_) => format!("{part:?}"),
            });
        }
    }
    let tools = request.tools.list.iter();
    atoms.extend(
        tools.map(|tool| format!("{} {:?} {:?}", tool.name, tool.description, tool.schema)),
    );
    atoms.push(format!("{:?} {:?}", request.tools.choice, request.tools.parallel));
    atoms.push(format!("{:?} {:?} {:?}", request.max_output, request.stop, request.stream));
    atoms.push(format!("{:?} {:?}", request.sampling.temperature, request.labels.user));
    atoms
}

fn word() -> impl Strategy<Value = String> {
    "[a-zé\"\\\\\n ]{0,8}[a-zé]"
}

/// A turn of the user, and the answer to it, which may be preceded by rounds of tool calls.
fn exchange(number: usize) -> impl Strategy<Value = Vec<Message<'static>>> {
    let image = prop_oneof![
        Just(Source::Url("https://example.com/a.png".into())),
        Just(Source::Base64 { media_type: "image/png".into(), data: "AAAA".into() }),
    ];
    let calls = prop::collection::vec((word(), word()), 0..3);
    (word(), prop::option::of(image), calls, word()).prop_map(move |(ask, image, calls, answer)| {
        let mut asked = vec![Part::text(ask)];
        asked.extend(image.map(|source| Part::Image(Image { source, detail: None, cache: None })));
        let mut messages = vec![Message { role: Role::User, parts: asked }];
        let id = |at: usize| Cow::Owned(format!("call_{number}_{at}"));
        let mut called = Vec::new();
        let mut results = Vec::new();
        for (at, (value, result)) in calls.into_iter().enumerate() {
            called.push(Part::ToolCall(ToolCall {
                id: id(at),
                name: "f".into(),
                arguments: serde_json::json!({ "v": value }).to_string().into(),
                custom: false,
                cache: None,
            }));
            let parts = vec![Part::text(result)];
            let result = ToolResult { id: id(at), parts, error: false, custom: false, cache: None };
            results.push(Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] });
        }
        if !called.is_empty() {
            messages.push(Message { role: Role::Assistant, parts: called });
            messages.append(&mut results);
        }
        messages.push(Message { role: Role::Assistant, parts: vec![Part::text(answer)] });
        messages
    })
}

fn request() -> impl Strategy<Value = Request<'static>> {
    let exchanges = (exchange(0), exchange(1), word());
    let choice = prop_oneof![
        Just(None),
        Just(Some(ToolChoice::Auto)),
        Just(Some(ToolChoice::None)),
        Just(Some(ToolChoice::Required)),
        Just(Some(ToolChoice::Named("f".into()))),
    ];
    let settings = (
        prop::option::of(any::<bool>()),
        16..9000_u64,
        any::<bool>(),
        prop::option::of(word()),
        any::<bool>(),
    );
    (prop::option::of(word()), exchanges, choice, settings).prop_map(
        |(system, (one, two, last), choice, settings)| {
            let mut request = Request::new(Dialect::Chat);
            request.messages.extend(
                system.map(|text| Message { role: Role::System, parts: vec![Part::text(text)] }),
            );
            request.messages.extend(one.into_iter().chain(two));
            request.messages.push(Message { role: Role::User, parts: vec![Part::text(last)] });
            let schema = Some(r#"{"type":"object","properties":{"v":{"type":"string"}}}"#);
            let description = Some("Does it.".into());
            let kind = ToolKind::Function;
            request.tools.list.push(Tool {
                kind,
                name: "f".into(),
                description,
                schema,
                strict: None,
                cache: None,
            });
            // Only Messages keeps the two in one field, so that one cannot be said without the other there.
            request.tools.parallel =
                settings.0.filter(|_| !matches!(choice, None | Some(ToolChoice::None)));
            request.tools.choice = choice;
            request.max_output = Some(settings.1);
            request.stream = settings.2;
            request.labels.user = settings.3.map(Into::into);
            request.sampling.temperature = settings.4.then_some("0.5");
            request
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_each_api_can_say_comes_back_the_same(mut request in request()) {
        for to in Dialect::ALL {
            request.dialect = if to == Dialect::Chat { Dialect::Responses } else { Dialect::Chat };
            prop_assert_eq!(carry(&request, to).unwrap().losses, Vec::<String>::new());
            let out = write_request(&request, b"", to, &SHAPE);
            let again = read_request(to, &out.body).unwrap();
            let (mut meant, mut understood) = (meaning(&request), meaning(&again));
            // What goes without saying is said by one API and not by another.
            for atoms in [&mut meant, &mut understood] {
                for atom in atoms {
                    *atom = atom.replace("Some(true)", "None");
                }
            }
            prop_assert_eq!(meant, understood, "{:?}", to);
            prop_assert_eq!(request.stream, again.stream);
        }
    }

    /// Names that are too long and identifiers that do not fit change alike for a call, its result and its tool.
    #[test]
    fn odd_names_and_identifiers_stay_consistent(id in "[ -~]{0,80}", name in "[ -~]{1,90}") {
        let mut request = Request::new(Dialect::Responses);
        request.tools.list.push(Tool {
            kind: ToolKind::Function, name: name.clone().into(), description: None, schema: None, strict: None, cache: None,
        });
        request.response_format = Format::Schema(Schema { name: None, description: None, schema: "{}", strict: None });
        for _ in 0..2 {
            let call = ToolCall {
                id: id.clone().into(), name: name.clone().into(), arguments: "{}".into(), custom: false, cache: None,
            };
            let result = ToolResult { id: id.clone().into(), parts: vec![], error: true, custom: false, cache: None };
            request.messages.push(Message { role: Role::Assistant, parts: vec![Part::ToolCall(call)] });
            request.messages.push(Message { role: Role::Tool, parts: vec![Part::ToolResult(result)] });
        }
        for to in [Dialect::Chat, Dialect::Messages] {
            let out = write_request(&request, b"", to, &SHAPE);
            let again = read_request(to, &out.body).unwrap();
            let (mut calls, mut results) = (Vec::new(), Vec::new());
            for part in again.parts() {
                if let Part::ToolCall(call) = part {
                    calls.push((call.id.clone(), call.name.clone()));
                }
                if let Part::ToolResult(result) = part {
                    results.push(result.id.clone());
                }
            }
            prop_assert_eq!(calls.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), results);
            prop_assert_ne!(&calls[0].0, &calls[1].0);
            prop_assert_eq!(&calls[0].1, &again.tools.list[0].name);
            let original = out.tool_names.iter().find(|(sent, _)| *sent == calls[0].1).map(|(_, original)| original);
            prop_assert_eq!(original.map_or(&*calls[0].1, String::as_str), name.as_str());
        }
    }
}
