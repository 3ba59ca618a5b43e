//! `rescue: continue`: an answer that breaks after its first content is finished by the next target.

mod telling;

use serde_json::{Value, json};

use self::telling::{
    CHAT, MESSAGES, PATHS, RESPONSES, Read, begun, events, faults, question, read, whole,
};
use crate::support::{
    Gate,
    http::Message,
    program::Program,
    reply,
    setup::Setup,
    upstream::{Step, Upstream},
};

const ON: &str = "failover: {rescue: continue}\ntimeouts: {between_tokens: 300ms}";

/// Which API a provider speaks that is asked in that of `path`.
fn api(path: &str) -> &'static str {
    match path {
        RESPONSES => "openai",
        MESSAGES => "anthropic",
        _ => "openai-chat",
    }
}

/// Where a request went, as callers spell it.
fn asked(request: &Message) -> &'static str {
    PATHS.into_iter().find(|path| *path == request.target()).unwrap()
}

/// A router over two models; the second one's file has these fields more.
struct Pair {
    first: Upstream,
    second: Upstream,
    program: Program,
}

impl Pair {
    fn new(apis: [&str; 2], upstreams: [Upstream; 2], more: &str, settings: &str) -> Self {
        let [first, second] = upstreams;
        let setup = Setup::new()
            .provider("one", apis[0], first.address())
            .provider("two", apis[1], second.address())
            .model("alpha", "one", "price: {input: 1000, output: 1000}")
            .model("beta", "two", more)
            .router("both", &["alpha", "beta"])
            .with(settings);
        let program = Program::start(&setup);
        Self { first, second, program }
    }

    /// Both in chat: the first says `The cat sat on` and breaks off, the second answers so.
    fn chat(answer: Vec<Step>) -> Self {
        let first = Upstream::always(begun(CHAT, &["The cat ", "sat on"], vec![Step::Reset]));
        Self::new(["openai-chat"; 2], [first, Upstream::always(answer)], "", ON)
    }

    #[track_caller]
    fn ask(&self, path: &str) -> Read {
        self.ask_with(path, &json!({}))
    }

    #[track_caller]
    fn ask_with(&self, path: &str, more: &Value) -> Read {
        let answer = self.program.post(path, &[], &question(path, more));
        assert_eq!(answer.header("x-pointsman-model"), Some("alpha"));
        assert_eq!(answer.header("x-pointsman-attempts"), Some("1"));
        read(path, &answer)
    }

    /// The caller has an honest error behind what was said, and the second provider was not asked.
    #[track_caller]
    fn not_rescued(&self, path: &str, more: &Value) {
        let read = self.ask_with(path, more);
        assert!(read.error, "{read:?}");
        assert_eq!(self.second.requests(), 0);
    }
}

/// The conversation that a provider was sent, as text: who, and what.
fn turns(request: &Message) -> Vec<(String, String)> {
    let body = request.json();
    let turns = if body["input"].is_array() { &body["input"] } else { &body["messages"] };
    let said = |turn: &Value| {
        let content = &turn["content"];
        let text = content.as_str().or_else(|| content[0]["text"].as_str());
        (turn["role"].as_str().unwrap().to_owned(), text.unwrap_or_default().to_owned())
    };
    turns.as_array().unwrap().iter().map(said).collect()
}

#[test]
fn callers_of_chat_are_rescued_from_every_fault() {
    every_api_is_rescued_by_every_api(CHAT);
}

#[test]
fn callers_of_messages_are_rescued_from_every_fault() {
    every_api_is_rescued_by_every_api(MESSAGES);
}

#[test]
fn callers_of_responses_are_rescued_from_every_fault() {
    every_api_is_rescued_by_every_api(RESPONSES);
}

#[track_caller]
fn every_api_is_rescued_by_every_api(caller: &str) {
    for (one, two) in PATHS.into_iter().flat_map(|one| PATHS.map(|two| (one, two))) {
        let first = Upstream::answering(|ordinal, request| {
            begun(asked(request), &["The cat ", "sat on"], faults()[ordinal].1.clone())
        });
        let second = Upstream::answering(|_, request| whole(asked(request), &[" the", " mat."]));
        let pair = Pair::new([api(one), api(two)], [first, second], "", ON);
        for (ordinal, (fault, _)) in faults().into_iter().enumerate() {
            let read = pair.ask(caller);
            let what = format!("{caller} from {one} and {two}: {fault}: {read:?}");
            assert_eq!(read.text, "The cat sat on the mat.", "{what}");
            assert!(read.done, "{what}");
            let names: &[&str] = if caller == MESSAGES { &["alpha"] } else { &["alpha", "beta"] };
            assert_eq!(read.models, names, "{what}");
            pair.first.closed(ordinal);
            let turns = turns(&pair.second.request(ordinal));
            assert_eq!(turns[0], ("user".to_owned(), "hello".to_owned()), "{what}");
            assert_eq!(turns[1], ("assistant".to_owned(), "The cat sat on".to_owned()));
            assert_eq!(turns[2].0, "user");
            assert!(turns[2].1.contains("cut off"), "{turns:?}");
        }
    }
}

#[test]
fn off_is_the_default() {
    let first = Upstream::always(begun(CHAT, &["The cat "], vec![Step::Reset]));
    let second = Upstream::always(whole(CHAT, &["sat."]));
    let pair = Pair::new(["openai-chat"; 2], [first, second], "", "");
    pair.not_rescued(CHAT, &json!({}));
}

#[test]
fn what_the_second_model_repeats_is_dropped() {
    for texts in [
        &["sat", " on", " the mat."][..],
        &["The cat", " sat on the", " mat."],
        &["The", " cat", " sat", " on", " the mat."],
        &["\n\nThe cat sat on the mat."],
        &["on the mat."],
    ] {
        for path in PATHS {
            let first = Upstream::answering(|_, request| {
                begun(asked(request), &["The cat ", "sat on"], vec![Step::Reset])
            });
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let second = Upstream::answering(move |_, request| {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                whole(asked(request), &texts)
            });
            let pair = Pair::new([api(path); 2], [first, second], "", ON);
            let read = pair.ask(path);
            assert_eq!(read.text, "The cat sat on the mat.", "{path}");
            assert!(read.done);
        }
    }
}

#[test]
fn a_second_break_is_told() {
    for path in PATHS {
        for (fault, then) in faults() {
            let first = Upstream::answering(|_, request| {
                begun(asked(request), &["The cat ", "sat on"], vec![Step::Reset])
            });
            let second = Upstream::answering(move |_, request| {
                begun(asked(request), &[" the", " mat"], then.clone())
            });
            let third = Upstream::always(whole(CHAT, &["never"]));
            let setup = Setup::new()
                .provider("one", api(path), first.address())
                .provider("two", api(path), second.address())
                .provider("three", "openai-chat", third.address())
                .model("alpha", "one", "")
                .model("beta", "two", "")
                .model("gamma", "three", "")
                .router("both", &["alpha", "beta", "gamma"])
                .with(ON);
            let program = Program::start(&setup);
            let read = read(path, &program.post(path, &[], &question(path, &json!({}))));
            assert!(read.error, "{path} {fault}: {read:?}");
            assert_eq!(read.text, "The cat sat on the mat", "{path} {fault}");
            assert_eq!(third.requests(), 0);
            program.metric_reaches("pointsman_attempts_total", &[("outcome", "failed")], 2.0);
        }
    }
}

#[test]
fn the_plan_goes_on_where_the_next_target_cannot() {
    let first = Upstream::always(begun(CHAT, &["The cat ", "sat on"], vec![Step::Reset]));
    let third = Upstream::always(whole(CHAT, &[" the mat."]));
    for (status, answer) in [
        ("500", reply::error(500, "", "down")),
        ("429", reply::error(429, "Retry-After: 9\r\n", "slow down")),
        ("400", reply::error(400, "", "I do not like this")),
        ("empty", whole(CHAT, &[])),
        ("too long", reply::error(400, "", "This model's maximum context length is 10 tokens.")),
    ] {
        let second = Upstream::always(answer);
        let setup = Setup::new()
            .provider("one", "openai-chat", first.address())
            .provider("two", "openai-chat", second.address())
            .provider("three", "openai-chat", third.address())
            .model("alpha", "one", "")
            .model("beta", "two", "")
            .model("gamma", "three", "")
            .router("both", &["alpha", "beta", "gamma"])
            .with(ON);
        let program = Program::start(&setup);
        let read = read(CHAT, &program.post(CHAT, &[], &question(CHAT, &json!({}))));
        assert_eq!((read.text.as_str(), read.done), ("The cat sat on the mat.", true), "{status}");
        assert_eq!(read.models, ["alpha", "gamma"], "{status}");
        assert_eq!(second.requests(), 1, "{status}");
    }
}

#[test]
fn nobody_left_is_told() {
    let pair = Pair::chat(reply::error(500, "", "down"));
    let read = pair.ask(CHAT);
    assert_eq!((read.text.as_str(), read.error), ("The cat sat on", true));
    let line: Value = serde_json::from_str(&pair.program.logged("\"attempts\":2")).unwrap();
    assert_eq!(line["outcome"], "error", "{line}");
    assert_eq!(line["model"], "alpha", "{line}");
    assert_eq!(line["possibly_billed"], 1, "{line}");
    // No more attempts than allowed: the second one is not made.
    let first = Upstream::always(begun(CHAT, &["The cat "], vec![Step::Reset]));
    let second = Upstream::always(whole(CHAT, &["sat."]));
    let one = "failover: {rescue: continue, attempts: 1}";
    Pair::new(["openai-chat"; 2], [first, second], "", one).not_rescued(CHAT, &json!({}));
    // Nor one after the total time.
    let first = Upstream::always(begun(CHAT, &["The cat "], vec![Step::UntilClosed]));
    let second = Upstream::always(whole(CHAT, &["sat."]));
    let brief = "failover: {rescue: continue}\ntimeouts: {total: 500ms}";
    Pair::new(["openai-chat"; 2], [first, second], "", brief).not_rescued(CHAT, &json!({}));
}

#[test]
fn a_model_that_takes_a_prefill_is_given_one_and_may_refuse_it() {
    for path in PATHS {
        let first = Upstream::answering(|_, request| {
            begun(asked(request), &["The cat ", "sat on "], vec![Step::Reset])
        });
        let second = Upstream::answering(|_, request| whole(asked(request), &[" the mat."]));
        let pair = Pair::new([api(path); 2], [first, second], "prefill: true", ON);
        assert_eq!(pair.ask(path).text, "The cat sat on the mat.", "{path}");
        let asked_for = turns(&pair.second.request(0));
        assert_eq!(asked_for.len(), 2, "{path}: {asked_for:?}");
        assert_eq!(asked_for[1], ("assistant".to_owned(), "The cat sat on".to_owned()));

        let first = Upstream::answering(|_, request| {
            begun(asked(request), &["The cat ", "sat on "], vec![Step::Reset])
        });
        let second = Upstream::answering(|ordinal, request| match ordinal {
            0 => reply::error(400, "", "This model does not support assistant message prefill."),
            _ => whole(asked(request), &["the mat."]),
        });
        let pair = Pair::new([api(path); 2], [first, second], "prefill: true", ON);
        assert_eq!(pair.ask(path).text, "The cat sat on the mat.", "{path}");
        let asked_for = turns(&pair.second.request(1));
        assert_eq!(asked_for.len(), 3, "{path}: {asked_for:?}");
        assert_eq!(asked_for[1].1, "The cat sat on ");
    }
}

#[test]
fn tool_calls_are_never_rescued() {
    let tool = |delta: &str| reply::chunk(&reply::chat_event(delta, None));
    let call = r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a"}}]}"#;
    for path in PATHS {
        let steps = begun(CHAT, &["I look: "], vec![tool(call), Step::Reset]);
        let first = Upstream::always(steps);
        let second = Upstream::always(whole(CHAT, &["never"]));
        let pair = Pair::new(["openai-chat"; 2], [first, second], "", ON);
        let answer = pair.program.post(path, &[], &question(path, &json!({})));
        assert!(answer.text().contains("error"), "{path}: {}", answer.text());
        assert_eq!(pair.second.requests(), 0, "{path}");
    }
}

#[test]
fn reasoning_that_its_maker_signs_is_never_rescued() {
    let event = |data: Value| {
        let name = data["type"].as_str().unwrap();
        reply::chunk(&format!("event: {name}\ndata: {data}\n\n"))
    };
    let start = event(json!({"type": "content_block_start", "index": 0,
                             "content_block": {"type": "thinking", "thinking": "", "signature": ""}}));
    let delta =
        |delta: Value| event(json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    let thinking = delta(json!({"type": "thinking_delta", "thinking": "Well, "}));
    let signature = delta(json!({"type": "signature_delta", "signature": "c2lnbmVk"}));
    let stop = event(json!({"type": "content_block_stop", "index": 0}));
    let text = [
        event(json!({"type": "content_block_start", "index": 1,
                     "content_block": {"type": "text", "text": ""}})),
        event(json!({"type": "content_block_delta", "index": 1,
                     "delta": {"type": "text_delta", "text": "The cat"}})),
    ];
    let message = reply::chunk(&events(MESSAGES, &[])[0]);
    let head = [reply::stream_head(), message, start, thinking];
    let in_flight = [&head[..], &[Step::Reset]].concat();
    let delivered = [&head[..], &[signature, stop], &text, &[Step::Reset]].concat();
    for steps in [in_flight, delivered] {
        let second = Upstream::always(whole(MESSAGES, &["never"]));
        let pair = Pair::new(["anthropic"; 2], [Upstream::always(steps), second], "", ON);
        pair.not_rescued(MESSAGES, &json!({}));
    }
    let added = |item: Value| {
        event(json!({"type": "response.output_item.added", "output_index": 0, "item": item,
                     "sequence_number": 2}))
    };
    let item = json!({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "x"});
    let done = event(json!({"type": "response.output_item.done", "output_index": 0, "item": item,
                            "sequence_number": 3}));
    let all = events(RESPONSES, &["The cat"]);
    let renumbered = |event: &String, number: u64| {
        let data: Value = serde_json::from_str(event.split("data: ").nth(1).unwrap()).unwrap();
        let mut data = data;
        data["sequence_number"] = json!(number);
        data["output_index"] = json!(1);
        reply::chunk(&format!("data: {data}\n\n"))
    };
    let steps = vec![
        reply::stream_head(),
        reply::chunk(&all[0]),
        reply::chunk(&all[1]),
        added(json!({"id": "rs_1", "type": "reasoning", "summary": []})),
        done,
        renumbered(&all[2], 4),
        renumbered(&all[3], 5),
        renumbered(&all[4], 6),
        Step::Reset,
    ];
    let second = Upstream::always(whole(RESPONSES, &["never"]));
    let pair = Pair::new(["openai"; 2], [Upstream::always(steps), second], "", ON);
    let answer = pair.program.post(RESPONSES, &[], &question(RESPONSES, &json!({})));
    assert!(answer.text().contains("event: error"), "{}", answer.text());
    assert_eq!(pair.second.requests(), 0);
}

#[test]
fn reasoning_that_nobody_signed_does_not_stand_in_the_way() {
    let thought = reply::chunk(&reply::chat_event(r#"{"reasoning_content":"Well, "}"#, None));
    for path in PATHS {
        let steps = vec![reply::stream_head(), thought.clone(), Step::Reset];
        let second = Upstream::always(
            [vec![reply::stream_head(), thought.clone()], whole(CHAT, &["The cat."])[1..].to_vec()]
                .concat(),
        );
        let pair = Pair::new(["openai-chat"; 2], [Upstream::always(steps), second], "", ON);
        let answer = pair.program.post(path, &[], &question(path, &json!({})));
        assert!(answer.text().contains("The cat."), "{path}: {}", answer.text());
        assert!(!answer.text().contains("error\":{"), "{path}: {}", answer.text());
        let thoughts = answer.text().matches("Well, ").count();
        assert!(thoughts > 0, "{path}: what the first one thought is there");
        assert_eq!(turns(&pair.second.request(0)).len(), 1, "nothing was said yet");
    }
}

#[test]
fn what_a_text_cannot_go_on_from_is_never_rescued() {
    let schema = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {}}});
    let format = json!({"format": {"type": "json_schema", "name": "a", "schema": {}}});
    for (path, more) in [
        (CHAT, json!({"response_format": schema})),
        (CHAT, json!({"response_format": {"type": "json_object"}})),
        (CHAT, json!({"n": 2})),
        (RESPONSES, json!({"text": format})),
        (RESPONSES, json!({"previous_response_id": "resp_unknown"})),
    ] {
        let first = Upstream::answering(|_, request| {
            begun(asked(request), &["The cat "], vec![Step::Reset])
        });
        let second = Upstream::answering(|_, request| whole(asked(request), &["sat."]));
        let pair = Pair::new([api(path); 2], [first, second], "", ON);
        pair.not_rescued(path, &more);
    }
    let refusal = reply::chunk(&reply::chat_event(r#"{"refusal":"I will not "}"#, None));
    let steps = vec![reply::stream_head(), reply::role(), refusal, Step::Reset];
    let second = Upstream::always(whole(CHAT, &["sat."]));
    let pair = Pair::new(["openai-chat"; 2], [Upstream::always(steps), second], "", ON);
    pair.not_rescued(CHAT, &json!({}));
}

#[test]
fn an_answer_of_which_only_the_end_is_missing_is_ended() {
    for path in [CHAT, MESSAGES] {
        let all = events(path, &["The cat."]);
        let steps: Vec<Step> = std::iter::once(reply::stream_head())
            .chain(all[..all.len() - 1].iter().map(|event| reply::chunk(event)))
            .chain([Step::Reset])
            .collect();
        let second = Upstream::always(whole(path, &["never"]));
        let pair = Pair::new([api(path); 2], [Upstream::always(steps), second], "", ON);
        let read = pair.ask(path);
        assert_eq!((read.text.as_str(), read.done), ("The cat.", true), "{path}");
        assert_eq!(pair.second.requests(), 0);
    }
}

#[test]
fn the_second_model_may_go_on_with_a_tool_call() {
    let call = r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"a\":1}"}}]}"#;
    let answer = vec![
        reply::stream_head(),
        reply::token("sat on"),
        reply::chunk(&reply::chat_event(call, None)),
        reply::chunk(&reply::chat_event("{}", Some("tool_calls"))),
        reply::done(),
    ];
    let pair = Pair::chat([answer, reply::end().to_vec()].concat());
    let tools = json!([{"type": "function", "function": {"name": "look", "parameters": {}}}]);
    let answer = pair.program.post(CHAT, &[], &question(CHAT, &json!({"tools": tools})));
    assert!(answer.text().contains(r#""finish_reason":"tool_calls""#), "{}", answer.text());
    assert!(answer.text().contains("look"), "{}", answer.text());
    assert_eq!(answer.text().matches("sat on").count(), 1, "{}", answer.text());
}

#[test]
fn the_usage_is_the_sum_and_is_recorded_once() {
    for path in PATHS {
        let first = Upstream::answering(|_, request| {
            begun(asked(request), &["The cat ", "sat on"], vec![Step::Reset])
        });
        let second = Upstream::answering(|_, request| whole(asked(request), &[" the mat."]));
        let price = "price: {input: 2000, output: 2000}";
        let pair = Pair::new([api(path); 2], [first, second], price, ON);
        let (input, output) = pair.ask(path).usage.unwrap();
        // Fourteen bytes were said, four to a token, and two tokens more were counted.
        assert_eq!(output, 4 + 2, "{path}");
        assert!(input > 5, "{path}");
        let line: Value = serde_json::from_str(&pair.program.logged("\"attempts\":2")).unwrap();
        assert_eq!(line["outcome"], "ok", "{line}");
        assert_eq!(line["model"], "beta", "{line}");
        assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&json!(input), &json!(6)));
        assert_eq!(line["usage"], "estimated", "{line}");
        assert_eq!(line["possibly_billed"], 1, "{line}");
        let cost = line["cost_usd"].as_f64().unwrap();
        let began = f64::from(u32::try_from(input - 5 + 4).unwrap());
        let expected = began.mul_add(0.001, 7.0 * 0.002);
        assert!((cost - expected).abs() < 1e-9, "{line}");
        let metrics = pair.program.metrics();
        let count = |name: &str, labels: &[(&str, &str)], wanted: f64| {
            assert!((metrics.sum(name, labels) - wanted).abs() < 0.1, "{name}{labels:?}");
        };
        count("pointsman_failovers_total", &[("cause", "stream")], 1.0);
        count("pointsman_attempts_total", &[("model", "alpha"), ("outcome", "failed")], 1.0);
        count("pointsman_attempts_total", &[("model", "beta"), ("outcome", "ok")], 1.0);
        count("pointsman_requests_total", &[], 1.0);
        let records = pair.program.log();
        let records = records.iter().filter(|line| line.contains("\"duration_ms\"")).count();
        assert_eq!(records, 1);
    }
}

#[test]
fn a_caller_that_leaves_ends_the_rescue() {
    let gate = Gate::new();
    let first = Upstream::always(begun(CHAT, &["The cat "], vec![Step::Reset]));
    let second = Upstream::always(vec![Step::Stall(gate.clone())]);
    let pair = Pair::new(["openai-chat"; 2], [first, second], "", ON);
    let mut client = pair.program.client();
    client.post(CHAT, &[], &question(CHAT, &json!({}))).until("The cat ");
    pair.second.request(0);
    client.hang_up();
    pair.second.closed(0);
    let line: Value = serde_json::from_str(&pair.program.logged("\"attempts\":2")).unwrap();
    assert_eq!(line["outcome"], "cancelled", "{line}");
}

#[test]
fn a_rescue_is_not_taken_for_the_request_that_it_finishes() {
    let pair = Pair::chat(whole(CHAT, &[" the mat."]));
    let body = question(CHAT, &json!({"seed": 12_345_678_901_234_567_890_u64, "x_own": [1]}));
    let answer = pair.program.post(CHAT, &[("Idempotency-Key", "key-1")], &body);
    assert!(read(CHAT, &answer).done);
    assert_eq!(pair.first.request(0).header("idempotency-key"), Some("key-1"));
    let second = pair.second.request(0);
    assert_eq!(second.header("idempotency-key"), None);
    assert!(second.text().contains(r#""seed":12345678901234567890"#), "{}", second.text());
    assert_eq!(second.json()["x_own"], json!([1]));
    assert_eq!(second.json()["model"], "upstream-beta");
}
