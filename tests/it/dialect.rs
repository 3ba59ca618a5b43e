//! G: translation, as callers of each API see it. The tables themselves are tested beside the code.

use serde_json::{Value, json};

use crate::support::{
    program::{Program, chat},
    reply,
    setup::Setup,
    sse,
    upstream::{Step, Upstream},
};

const PATHS: [&str; 3] = ["/v1/chat/completions", "/v1/messages", "/v1/responses"];

/// The same question in the API of `path`.
fn question(path: &str, model: &str, stream: bool) -> String {
    match path {
        "/v1/responses" => json!({"model": model, "input": "hello", "stream": stream}).to_string(),
        "/v1/messages" => json!({
            "model": model, "max_tokens": 50, "stream": stream,
            "messages": [{"role": "user", "content": "hello"}],
        })
        .to_string(),
        _ => chat(model, "hello", stream),
    }
}

/// The text of a whole answer in the API of `path`.
fn text(path: &str, answer: &Value) -> String {
    let text = match path {
        "/v1/responses" => &answer["output"][0]["content"][0]["text"],
        "/v1/messages" => &answer["content"][0]["text"],
        _ => &answer["choices"][0]["message"]["content"],
    };
    text.as_str().unwrap_or_default().to_owned()
}

#[test]
fn g01_g08_each_api_answers_in_front_of_each_provider() {
    let openai = Upstream::always(reply::chat("from chat"));
    let anthropic = Upstream::always(reply::messages("from messages"));
    let setup = Setup::new()
        .provider("one", "openai-chat", openai.address())
        .provider("two", "anthropic", anthropic.address())
        .model("alpha", "one", "")
        .model("beta", "two", "");
    let program = Program::start(&setup);
    for (model, said) in [("alpha", "from chat"), ("beta", "from messages")] {
        for path in PATHS {
            let answer = program.post(path, &[], &question(path, model, false));
            assert_eq!(answer.status(), 200, "{path} {model}: {}", answer.text());
            assert_eq!(text(path, &answer.json()), said, "{path} {model}");
            assert_eq!(answer.json()["model"], model, "{path}");
            assert_eq!(answer.header("x-pointsman-model"), Some(model));
            assert_eq!(answer.header("x-pointsman-reason"), Some("direct"));
        }
    }
    assert_eq!(openai.request(0).json()["model"], "upstream-alpha");
    assert_eq!(anthropic.request(0).json()["model"], "upstream-beta");
    assert_eq!(anthropic.request(0).target(), "/v1/messages");
}

#[test]
fn g01_each_api_streams_in_front_of_each_provider() {
    let openai = Upstream::always(reply::chat_stream(&["eins ", "zwei"]));
    let events: Vec<Step> = std::iter::once(reply::stream_head())
        .chain(reply::messages_events(&["eins ", "zwei"]).iter().map(|event| reply::chunk(event)))
        .chain(reply::end())
        .collect();
    let anthropic = Upstream::always(events);
    let setup = Setup::new()
        .provider("one", "openai-chat", openai.address())
        .provider("two", "anthropic", anthropic.address())
        .model("alpha", "one", "")
        .model("beta", "two", "");
    let program = Program::start(&setup);
    for model in ["alpha", "beta"] {
        for path in PATHS {
            let answer = program.post(path, &[], &question(path, model, true));
            assert_eq!(answer.status(), 200, "{path} {model}: {}", answer.text());
            assert!(answer.whole);
            assert_eq!(
                streamed(path, &answer.text()),
                "eins zwei",
                "{path} {model}: {}",
                answer.text()
            );
            assert!(!answer.text().contains("upstream-"), "{path} {model}: {}", answer.text());
            let end = match path {
                "/v1/responses" => "response.completed",
                "/v1/messages" => "message_stop",
                _ => "[DONE]",
            };
            assert!(answer.text().contains(end), "{path} {model}");
        }
    }
}

fn streamed(path: &str, body: &str) -> String {
    let events = sse::events(body).into_iter().filter(|event| event.data != "[DONE]");
    events
        .map(|event| {
            let data: Value = serde_json::from_str(&event.data).unwrap();
            let text = match path {
                "/v1/responses" if data["type"] == "response.output_text.delta" => &data["delta"],
                "/v1/responses" => &Value::Null,
                "/v1/messages" => &data["delta"]["text"],
                _ => &data["choices"][0]["delta"]["content"],
            };
            text.as_str().unwrap_or_default().to_owned()
        })
        .collect()
}

#[test]
fn g06_an_error_has_the_shape_of_the_callers_api() {
    let upstream = Upstream::always(reply::error(400, "", "you sent nonsense"));
    let other = Upstream::always(reply::json(
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"you sent nonsense"}}"#,
    ));
    let setup = Setup::new()
        .provider("one", "openai-chat", upstream.address())
        .provider("two", "anthropic", other.address())
        .model("alpha", "one", "")
        .model("beta", "two", "");
    let program = Program::start(&setup);
    for model in ["alpha", "beta", "gone"] {
        for path in PATHS {
            let answer = program.post(path, &[], &question(path, model, false));
            let body = answer.json();
            assert_eq!(answer.status(), if model == "gone" { 404 } else { 400 }, "{path} {model}");
            let message = body["error"]["message"].as_str().unwrap_or_else(|| panic!("{body}"));
            assert!(model == "gone" || message.contains("you sent nonsense"), "{message}");
            if path == "/v1/messages" {
                assert_eq!(body["type"], "error");
                let kind =
                    if model == "gone" { "not_found_error" } else { "invalid_request_error" };
                assert_eq!(body["error"]["type"], kind);
            }
            assert!(answer.header("x-request-id").is_some());
        }
    }
}

#[test]
fn g02_what_a_target_cannot_say_is_told() {
    let upstream = Upstream::always(reply::messages("fine"));
    let program = Program::start(&Setup::one("anthropic", upstream.address()));
    let body = question(PATHS[0], "alpha", false).replacen(
        '{',
        r#"{"seed":7,"logit_bias":{"5":1},"frequency_penalty":0.1,"#,
        1,
    );
    let answer = program.post(PATHS[0], &[], &body);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let loss = answer.header("x-pointsman-loss").unwrap_or_default();
    for field in ["seed", "logit_bias", "frequency_penalty"] {
        assert!(loss.contains(field), "{field} is not in {loss:?}");
    }
    let several = question(PATHS[0], "alpha", false).replacen('{', r#"{"n":3,"#, 1);
    let answer = program.post(PATHS[0], &[], &several);
    assert_eq!((answer.status(), answer.code().as_str()), (400, "unsupported_by_model"));
}

#[test]
fn g09_an_answer_id_of_nobody_goes_to_the_first_who_knows_such_ids() {
    let upstream = Upstream::answering(|_, request| {
        let previous = request.json()["previous_response_id"].as_str().unwrap_or("none").to_owned();
        reply::error(400, "", &format!("unknown id {previous}"))
    });
    let program = Program::start(&Setup::one("openai", upstream.address()));
    let body = r#"{"model":"alpha","input":"x","previous_response_id":"resp_unknown"}"#;
    let answer = program.post("/v1/responses", &[], body);
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("resp_unknown"), "{}", answer.text());
}

/// What Anthropic's API receives of a conversation that no provider would send.
#[test]
fn g03_turns_in_an_order_that_the_target_refuses() {
    let upstream = Upstream::always(reply::messages("fine"));
    let program = Program::start(&Setup::one("anthropic", upstream.address()));
    let body = json!({"model": "alpha", "messages": [
        {"role": "user", "content": "first"}, {"role": "user", "content": "second"},
        {"role": "assistant", "content": ""}, {"role": "system", "content": "be brief"},
        {"role": "user", "content": "third"},
    ]});
    let answer = program.post(PATHS[0], &[], &body.to_string());
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let sent = upstream.request(0).json();
    let turns = sent["messages"].as_array().unwrap();
    assert!(turns.iter().all(|turn| turn["role"] != "system"), "{sent}");
    let empty = |content: &Value| content == "" || content.as_array().is_some_and(Vec::is_empty);
    assert!(turns.iter().all(|turn| !empty(&turn["content"])), "{sent}");
    assert_eq!(turns[0]["role"], "user", "{sent}");
    for said in ["first", "second", "third", "be brief"] {
        assert!(sent.to_string().contains(said), "{said} is lost: {sent}");
    }
}

#[test]
fn g04_identifiers_and_names_that_the_target_refuses() {
    let upstream = Upstream::always(reply::messages("fine"));
    let program = Program::start(&Setup::one("anthropic", upstream.address()));
    let name = "tool.with/odd characters and far more than the sixty-four that are allowed";
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let body = |arguments: &str| {
        json!({"model": "alpha", "tools": [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}],
            "messages": [{"role": "user", "content": "x"},
                {"role": "assistant", "content": null, "tool_calls": [call("id:1/\u{e9}", arguments), call("id:1/\u{e9}", "{}")]},
                {"role": "tool", "tool_call_id": "id:1/\u{e9}", "content": "one"},
                {"role": "tool", "tool_call_id": "id:1/\u{e9}", "content": "two"}]})
        .to_string()
    };
    let answer = program.post(PATHS[0], &[], &body("{\"a\":1}"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let sent = upstream.request(0).json();
    let allowed =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let tool = sent["tools"][0]["name"].as_str().unwrap();
    assert!(tool.len() <= 64 && allowed(tool), "{tool}");
    let of = |turn: usize, kind: &str, key: &str| -> Vec<String> {
        let parts = sent["messages"][turn]["content"].as_array().unwrap().iter();
        parts
            .filter(|part| part["type"] == kind)
            .map(|part| part[key].as_str().unwrap().to_owned())
            .collect()
    };
    let (calls, results) = (of(1, "tool_use", "id"), of(2, "tool_result", "tool_use_id"));
    assert_eq!(calls, results, "{sent}");
    assert!(calls.len() == 2 && calls[0] != calls[1], "{calls:?}");
    assert!(calls.iter().all(|id| allowed(id)), "{calls:?}");
    let odd = program.post(PATHS[0], &[], &body("not json"));
    assert!(matches!(odd.status(), 200 | 400), "{}", odd.text());
    if odd.status() == 400 {
        assert_eq!(odd.code(), "unsupported_by_model");
    } else {
        assert!(upstream.request(1).text().contains("not json"), "the arguments are lost");
    }
}

#[test]
fn g05_a_reason_to_end_that_nobody_knows_is_an_ordinary_end() {
    let strange = reply::chat_body("fine").replace("\"stop\"", "\"vibes\"");
    let upstream = Upstream::always(reply::json(200, &strange));
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let messages = program.post(PATHS[1], &[], &question(PATHS[1], "alpha", false)).json();
    assert_eq!(messages["stop_reason"], "end_turn", "{messages}");
    let responses = program.post(PATHS[2], &[], &question(PATHS[2], "alpha", false)).json();
    assert_eq!(responses["status"], "completed", "{responses}");
    for (reason, stop) in
        [("length", "max_tokens"), ("content_filter", "refusal"), ("tool_calls", "tool_use")]
    {
        let body = reply::chat_body("fine").replace("\"stop\"", &format!("\"{reason}\""));
        let upstream = Upstream::always(reply::json(200, &body));
        let program = Program::start(&Setup::one("openai-chat", upstream.address()));
        let answer = program.post(PATHS[1], &[], &question(PATHS[1], "alpha", false)).json();
        if reason != "tool_calls" {
            assert_eq!(answer["stop_reason"], stop, "{answer}");
        }
    }
}

#[test]
fn g07_a_provider_gets_no_field_of_ours() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::two(upstream.address(), upstream.address());
    let program = Program::start(&setup);
    let headers =
        [("X-Model-Affinity", "s"), ("X-Router-Target", "beta"), ("X-Request-Id", "mine")];
    let answer = program.post(PATHS[0], &headers, &question(PATHS[0], "router:both", false));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let seen = upstream.request(0);
    let mut names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent"
        ]
    );
    assert_eq!(seen.json()["model"], "upstream-alpha");
    let sent: Value = serde_json::from_str(&question(PATHS[0], "upstream-alpha", false)).unwrap();
    assert_eq!(seen.json(), sent, "nothing but the model was changed");
}
