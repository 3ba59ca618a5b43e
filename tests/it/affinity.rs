//! J: pins. A conversation stays with its model, within bounds, and leaves it when it fails.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::support::{
    http::Message,
    program::{Program, chat},
    reply,
    setup::Setup,
    upstream::{Step, Upstream},
};

const CHAT: &str = "/v1/chat/completions";

struct Bench {
    judge: Upstream,
    _first: Upstream,
    _second: Upstream,
    first_works: Arc<AtomicBool>,
    program: Program,
}

impl Bench {
    fn new(settings: &str) -> Self {
        Self::with(|setup| setup.with(settings))
    }

    fn with(more: impl FnOnce(Setup) -> Setup) -> Self {
        let judge = Upstream::always(reply::chat(r#"{"route": "chores"}"#));
        let first_works = Arc::new(AtomicBool::new(true));
        let works = Arc::clone(&first_works);
        let first = Upstream::answering(move |_, _| {
            if works.load(Ordering::SeqCst) {
                reply::chat("alpha")
            } else {
                reply::error(500, "", "broken")
            }
        });
        let second = Upstream::always(reply::chat("beta"));
        let setup = Setup::two(first.address(), second.address()).classified(judge.address(), "5s");
        let program = Program::start(&more(setup));
        Self { judge, _first: first, _second: second, first_works, program }
    }

    #[track_caller]
    fn ask(&self, session: &str, question: &str) -> Message {
        let body = chat("router:both", question, false);
        let answer = self.program.post(CHAT, &[("X-Model-Affinity", session)], &body);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer
    }
}

#[track_caller]
fn by(answer: &Message, reason: &str, model: &str) {
    assert_eq!(answer.header("x-pointsman-reason"), Some(reason), "{:?}", answer.headers);
    assert_eq!(answer.header("x-pointsman-model"), Some(model));
    assert_eq!(answer.header("x-model-router-selected-route"), Some("chores"));
}

#[test]
fn j02_a_pin_holds_until_its_model_fails_and_then_moves() {
    let bench = Bench::new("");
    by(&bench.ask("s", "one"), "matched", "alpha");
    let judged = bench.judge.requests();
    by(&bench.ask("s", "two"), "pinned", "alpha");
    assert_eq!(bench.judge.requests(), judged, "a pinned request was classified");
    bench.first_works.store(false, Ordering::SeqCst);
    by(&bench.ask("s", "three"), "pinned", "beta");
    bench.first_works.store(true, Ordering::SeqCst);
    by(&bench.ask("s", "four"), "pinned", "beta");
    by(&bench.ask("another", "five"), "matched", "alpha");
}

#[test]
fn the_next_turn_may_come_as_soon_as_the_answer_has_ended() {
    let judge = Upstream::always(reply::chat(r#"{"route": "chores"}"#));
    let mut lingering = reply::chat_stream(&["alpha"]);
    lingering.truncate(lingering.len() - reply::end().len());
    lingering.push(Step::UntilClosed);
    let provider = Upstream::answering(move |_, _| lingering.clone());
    let spare = Upstream::always(reply::chat("beta"));
    let setup = Setup::two(provider.address(), spare.address());
    let program = Program::start(&setup.classified(judge.address(), "5s"));
    let body = chat("router:both", "x", true);
    for session in 0..20 {
        let session = session.to_string();
        let ask = || program.post(CHAT, &[("X-Model-Affinity", session.as_str())], &body);
        by(&ask(), "matched", "alpha");
        by(&ask(), "pinned", "alpha");
    }
}

#[test]
fn j01_more_conversations_than_there_is_room_for() {
    let bench = Bench::new("affinity: {capacity: 50}");
    by(&bench.ask("first", "x"), "matched", "alpha");
    let before = bench.program.resident();
    for number in 0..2000 {
        bench.ask(&format!("session-{number}"), "x");
    }
    assert!(bench.program.resident() < before + (24 << 20), "memory grew with conversations");
    // The oldest are forgotten, which is ordinary routing again.
    let answer = bench.ask("first", "x");
    assert_eq!(answer.header("x-pointsman-reason"), Some("matched"));
}

#[test]
fn j06_any_header_value_is_a_session_or_refused() {
    let bench = Bench::new("");
    let body = chat("router:both", "x", false);
    for session in ["", "s".repeat(8000).as_str(), "a b:c;\"d\""] {
        let answer = bench.program.post(CHAT, &[("X-Model-Affinity", session)], &body);
        assert!(matches!(answer.status(), 200 | 400), "{}", answer.line);
    }
}

#[test]
fn j05_a_session_belongs_to_its_caller() {
    let bench = Bench::with(|setup| {
        setup
            .with("keys:\n  - {name: a, key: env:CALLER_A}\n  - {name: b, key: env:CALLER_B}")
            .environment("CALLER_A", "sk-CANARY-a")
            .environment("CALLER_B", "sk-CANARY-b")
    });
    let body = chat("router:both", "x", false);
    let ask = |key: &str| {
        bench.program.post(CHAT, &[("x-api-key", key), ("X-Model-Affinity", "same")], &body)
    };
    by(&ask("sk-CANARY-a"), "matched", "alpha");
    by(&ask("sk-CANARY-b"), "matched", "alpha");
    by(&ask("sk-CANARY-a"), "pinned", "alpha");
}

#[test]
fn j_a_tool_loop_stays_with_its_model() {
    let bench = Bench::new("");
    let first = r#"{"role":"user","content":"what is the weather"}"#;
    let start = format!(r#"{{"model":"router:both","messages":[{first}]}}"#);
    by(&bench.program.post(CHAT, &[], &start), "matched", "alpha");
    let judged = bench.judge.requests();
    let goes_on = format!(
        r#"{{"model":"router:both","messages":[{first},{{"role":"assistant","content":null,"tool_calls":[{{"id":"c","type":"function","function":{{"name":"w","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"c","content":"rain"}}]}}"#
    );
    by(&bench.program.post(CHAT, &[], &goes_on), "continued", "alpha");
    assert_eq!(bench.judge.requests(), judged);
}

/// An answer of the Responses API whose id is `id`.
fn response(id: &str) -> String {
    serde_json::json!({
        "id": id, "object": "response", "created_at": 1, "status": "completed", "model": "upstream-id",
        "output": [{"type": "message", "id": "m1", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "fine", "annotations": []}]}],
        "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
    })
    .to_string()
}

#[test]
fn j03_an_answer_that_is_gone_on_from_has_one_home() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let home = Upstream::answering(move |_, _| {
        if is_down.load(Ordering::SeqCst) {
            return reply::error(500, "", "down");
        }
        reply::json(200, &response("resp_home"))
    });
    let other = Upstream::always(reply::json(200, &response("resp_other")));
    let setup = Setup::new()
        .provider("one", "openai", home.address())
        .provider("two", "openai", other.address())
        .model("alpha", "one", "")
        .model("beta", "two", "")
        .router("both", &["alpha", "beta"]);
    let program = Program::start(&setup);
    let ask = |body: &str| program.post("/v1/responses", &[], body);
    let first = ask(r#"{"model":"router:both","input":"hello"}"#);
    assert_eq!(first.json()["id"], "resp_home", "{}", first.text());
    let next = r#"{"model":"router:both","input":"go on","previous_response_id":"resp_home"}"#;
    assert_eq!(ask(next).header("x-pointsman-model"), Some("alpha"));
    down.store(true, Ordering::SeqCst);
    let lost = ask(next);
    assert_eq!(lost.status(), 503, "{}", lost.text());
    assert!(lost.header("retry-after").is_some());
    assert_eq!(other.connections(), 0, "another provider was asked for what it does not know");
}

#[test]
fn j04_what_a_provider_sealed_goes_to_no_other() {
    let chat = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::one("openai-chat", chat.address()));
    let sealed = r#"{"model":"alpha","max_tokens":50,"messages":[{"role":"user","content":"one"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"SEALED"},{"type":"text","text":"two"}]},
        {"role":"user","content":"three"}]}"#;
    let answer = program.post("/v1/messages", &[], sealed);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.header("x-pointsman-loss").is_some_and(|loss| loss.contains("thinking")));
    let sent = String::from_utf8(chat.received()).unwrap();
    assert!(sent.contains("three") && !sent.contains("SEALED"), "{sent}");
}

#[test]
fn j07_a_change_of_task_does_not_move_a_pinned_session() {
    let bench = Bench::new("");
    by(&bench.ask("s", "sweep the floor"), "matched", "alpha");
    let judged = bench.judge.requests();
    by(&bench.ask("s", "and now prove Fermat's last theorem"), "pinned", "alpha");
    assert_eq!(bench.judge.requests(), judged);
}

#[test]
fn j08_a_model_that_leaves_the_router_takes_its_pins_along() {
    let bench = Bench::new("");
    by(&bench.ask("s", "one"), "matched", "alpha");
    by(&bench.ask("s", "two"), "pinned", "alpha");
    let without = "name: both\npolicies:\n  - custom_task: {name: chores, description: Small everyday work.}\n    \
                   models: [beta]\nfallback_models: [beta]\n";
    bench.program.folder().write("policies/both.yaml", without);
    let moved = crate::support::until("the router without alpha", || {
        let answer = bench.ask("s", "three");
        (answer.header("x-pointsman-model") == Some("beta")).then_some(answer)
    });
    by(&moved, "matched", "beta");
    by(&bench.ask("s", "four"), "pinned", "beta");
}
