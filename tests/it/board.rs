//! M: what the pages are told of the process: the last requests, the figures, and live events.

use serde_json::{Value, json};

use crate::support::{
    Gate,
    client::{Client, request_head},
    http::Message,
    metrics::Metrics,
    program::{Program, chat},
    reply,
    setup::Setup,
    sse, until,
    upstream::{Step, Upstream},
};

const CHAT: &str = "/v1/chat/completions";

/// An upstream that does what the question says.
fn obedient() -> Upstream {
    Upstream::answering(|_, request| {
        let text = request.text();
        let said = |word: &str| text.contains(word);
        match () {
            () if said("too wrong") => reply::error(400, "", "no such thing"),
            () if said("please fail") => reply::error(500, "", "broken"),
            () if said("break off") => vec![reply::stream_head(), reply::token("begun"), Step::Fin],
            () if said("stall") => {
                vec![reply::stream_head(), reply::token("begun"), Step::UntilClosed]
            }
            () if said("silence") => vec![Step::UntilClosed],
            () if said("\"stream\":true") => reply::chat_stream(&["one ", "two"]),
            () => reply::chat("fine"),
        }
    })
}

fn priced(upstream: &Upstream) -> Setup {
    Setup::new()
        .provider("one", "openai-chat", upstream.address())
        .model("alpha", "one", "price: {input: 1, output: 10}")
        .model("beta", "one", "price: {input: 2, output: 20, cache_read: 1}")
        .model("gamma", "one", "")
        .router("both", &["alpha", "beta"])
}

/// The request of this id once it is over.
#[track_caller]
fn done(program: &Program, id: &str) -> Value {
    until("the request is settled", || {
        let answer = program.admin(&format!("/api/requests/{id}"));
        (answer.status() == 200).then(|| answer.json()).filter(|record| record["state"] == "done")
    })
}

fn asked(program: &Program, id: &str, body: &str) -> Message {
    program.post(CHAT, &[("X-Request-Id", id)], body)
}

fn overview(program: &Program, query: &str) -> Value {
    let answer = program.admin(&format!("/api/overview{query}"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()
}

/// Waits until so many requests are summed.
#[track_caller]
fn summed(program: &Program, requests: u64) -> Value {
    until("the requests are summed", || {
        Some(overview(program, "?compare=beta")).filter(|figures| figures["requests"] == requests)
    })
}

fn near(found: &Value, wanted: f64) {
    let found = found.as_f64().unwrap_or(f64::NAN);
    assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
}

/// A request begun with `body` that is left once `mark` has come, or at once without one.
fn left(program: &Program, id: &str, body: &str, mark: Option<&str>) {
    let mut client = program.client();
    client.post(CHAT, &[("X-Request-Id", id)], body);
    match mark {
        Some(mark) => drop(client.until(mark)),
        None => until("it is listed", || {
            let listed = program.admin(&format!("/api/requests/{id}"));
            (listed.status() == 200).then_some(())
        }),
    }
    client.hang_up();
}

/// A request for each way to end.
fn every_ending(program: &Program) -> [(&'static str, u16, &'static str); 11] {
    asked(program, "whole", &chat("alpha", "hello", false));
    asked(program, "stream", &chat("router:both", "hello", true));
    asked(program, "gone", &chat("nobody", "hello", false));
    asked(program, "json", "{");
    asked(program, "rejected", &chat("alpha", "too wrong", false));
    asked(program, "failed", &chat("alpha", "please fail", false));
    asked(program, "broken", &chat("beta", "break off", true));
    left(program, "left-late", &chat("beta", "stall", true), Some("begun"));
    left(program, "left-early", &chat("beta", "silence", true), None);
    let head = request_head("GET", "/v1/models", &[("X-Request-Id", "models")], 0);
    program.client().send(head).answer();
    let smuggled =
        "POST / HTTP/1.1\r\nHost: a\r\nX-Request-Id: refused\r\nContent-Length: +1\r\n\r\n";
    program.client().send(smuggled).closed();
    [
        ("whole", 200, "ok"),
        ("stream", 200, "ok"),
        ("gone", 404, "rejected"),
        ("json", 400, "rejected"),
        ("rejected", 400, "rejected"),
        ("failed", 502, "error"),
        ("broken", 200, "error"),
        ("left-late", 200, "cancelled"),
        ("left-early", 499, "cancelled"),
        ("models", 200, "ok"),
        ("refused", 400, "rejected"),
    ]
}

#[test]
fn m20_every_way_to_end_is_recorded_once() {
    let upstream = obedient();
    let program = Program::start(&priced(&upstream));
    let endings = every_ending(&program);
    for (id, status, outcome) in endings {
        let record = done(&program, id);
        let found = (&record["status"], &record["outcome"], &record["source"]);
        assert_eq!(found, (&json!(status), &json!(outcome), &json!("data_plane")), "{record}");
        assert!(record["duration_ms"].as_f64() > Some(0.0), "{record}");
    }
    let figures = summed(&program, endings.len() as u64);
    let wanted = json!({"ok": 3, "rejected": 4, "error": 2, "cancelled": 2});
    assert_eq!(figures["outcomes"], wanted);
    near(&figures["requests"], program.metrics().sum("pointsman_requests_total", &[]));
    let listed = program.admin("/api/requests?limit=500").json();
    let listed = listed["requests"].as_array().unwrap().clone();
    let mut ids: Vec<&str> = listed.iter().map(|record| record["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    let mut wanted: Vec<&str> = endings.iter().map(|(id, _, _)| *id).collect();
    wanted.sort_unstable();
    assert_eq!(ids, wanted, "each request is listed once");
    assert!(listed.iter().all(|record| record.get("decision").is_none()));
}

#[test]
fn m21_a_dry_run_is_listed_and_not_counted() {
    let upstream = obedient();
    let program = Program::start(&priced(&upstream));
    let body = chat("router:both", "hello", false);
    program.post("/routing/v1/chat/completions", &[("X-Request-Id", "dry")], &body);
    let record = done(&program, "dry");
    assert_eq!((&record["dry_run"], &record["model"]), (&json!(true), &Value::Null));
    assert_eq!(record["decision"]["candidates"][0]["model"], "alpha");
    asked(&program, "wet", &body);
    let figures = summed(&program, 1);
    assert_eq!((&figures["attempts"], &figures["reasons"]["unclassified"]), (&json!(1), &json!(1)));
}

#[test]
fn m22_a_record_has_the_figures_of_its_request() {
    let upstream = obedient();
    let program = Program::start(&priced(&upstream));
    asked(&program, "r", &chat("router:both", "hello", true));
    let record = done(&program, "r");
    for (name, value) in [
        ("router", json!("both")),
        ("asked", json!("router:both")),
        ("reason", json!("unclassified")),
        ("task", Value::Null),
        ("model", json!("alpha")),
        ("provider", json!("one")),
        ("endpoint", json!("upstream-alpha")),
        ("attempts", json!(1)),
        ("streamed", json!(true)),
        ("dry_run", json!(false)),
        ("key", Value::Null),
        ("generation", json!(1)),
    ] {
        assert_eq!(record[name], value, "{name} of {record}");
    }
    assert!(record["ttft_ms"].as_f64() > Some(0.0) && record["overhead_ms"].is_number());
    assert_eq!(record["usage"]["estimated"], true, "this stream reported no usage");
    assert_eq!(record["decision"]["router"], "both");
    asked(&program, "d", &chat("gamma", "hello", false));
    let direct = done(&program, "d");
    assert_eq!((&direct["asked"], &direct["reason"]), (&json!("gamma"), &json!("direct")));
    assert_eq!(direct["cost"], Value::Null, "its price is not known");
    assert_eq!(direct["ttft_ms"], Value::Null, "nothing was streamed");
    let usage = json!({"input": 5, "cache_read": 0, "cache_write": 0, "output": 2, "reasoning": 0, "estimated": false});
    assert_eq!(direct["usage"], usage);
}

#[test]
fn m23_a_request_can_be_looked_at_while_it_runs() {
    let upstream = obedient();
    let program = Program::start(&priced(&upstream));
    let mut client = program.client();
    client.post(CHAT, &[("X-Request-Id", "same")], &chat("alpha", "stall", true));
    client.until("begun");
    let open = program.admin("/api/requests/same").json();
    assert_eq!((&open["state"], &open["outcome"]), (&json!("open"), &Value::Null));
    assert_eq!(open["decision"]["candidates"][0]["model"], "alpha");
    assert_eq!(overview(&program, "")["in_flight"], 1);
    client.hang_up();
    let over = done(&program, "same");
    assert_eq!(over["seq"], open["seq"], "it is the same request");
    asked(&program, "same", &chat("beta", "hello", false));
    let newest = done(&program, "same");
    assert!(newest["seq"].as_u64() > over["seq"].as_u64(), "{newest}");
    assert_eq!(newest["model"], "beta");
}

#[test]
fn m24_costs_are_summed_and_compared() {
    let upstream = obedient();
    let program = Program::start(&priced(&upstream));
    let nothing = overview(&program, "?compare=beta");
    let unknown = json!({"dearest": null, "compare": null});
    assert_eq!(nothing["cost_if"], unknown, "nothing to compare is not zero");
    asked(&program, "a", &chat("router:both", "hello", false));
    asked(&program, "b", &chat("gamma", "hello", false));
    asked(&program, "c", &chat("alpha", "hello", false));
    let figures = summed(&program, 3);
    // Each took five tokens in and two out: 25 millionths at alpha, 50 at beta, nobody knows at gamma.
    near(&figures["cost_usd"], 50e-6);
    near(&figures["cost_compared_usd"], 50e-6);
    assert_eq!(figures["cost_unknown_requests"], 1);
    assert_eq!(figures["cost_if"]["dearest"]["model"], Value::Null);
    near(&figures["cost_if"]["dearest"]["cost_usd"], 75e-6);
    assert_eq!(figures["cost_if"]["compare"]["model"], "beta");
    near(&figures["cost_if"]["compare"]["cost_usd"], 100e-6);
    for compare in ["gamma", "nobody", ""] {
        let figures = overview(&program, &format!("?compare={compare}"));
        assert_eq!(figures["cost_if"]["compare"], Value::Null, "{compare}");
    }
    let rows = figures["models"].as_array().unwrap();
    let row = |name: &str| rows.iter().find(|row| row["model"] == name).unwrap();
    assert_eq!((&row("alpha")["requests"], &row("alpha")["input_tokens"]), (&json!(2), &json!(10)));
    near(&row("alpha")["cost_usd"], 50e-6);
    assert_eq!(
        (&row("gamma")["cost_usd"], &row("gamma")["ttft_p50_ms"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn m25_tasks_fallbacks_and_failovers_are_told_apart() {
    let judge = Upstream::answering(|_, request| {
        let route = if request.text().contains("odd") { "other" } else { "chores" };
        reply::chat(&format!(r#"{{"route": "{route}"}}"#))
    });
    let (broken, works) = (Upstream::always(reply::error(500, "", "broken")), obedient());
    let router = "name: both\npolicies:\n  - custom_task: {name: chores, description: Small work.}\n    \
                  models: [alpha]\nfallback_models: [beta]\n";
    let setup = Setup::two(broken.address(), works.address())
        .classified(judge.address(), "5s")
        .file("policies/both.yaml", router);
    let program = Program::start(&setup);
    asked(&program, "a", &chat("router:both", "hello", false));
    asked(&program, "b", &chat("router:both", "odd", true));
    let figures = summed(&program, 2);
    assert_eq!(
        (&figures["reasons"]["matched"], &figures["reasons"]["no_match"]),
        (&json!(1), &json!(1))
    );
    assert_eq!((&figures["attempts"], &figures["fallback_answers"]), (&json!(3), &json!(2)));
    let of = |cause: &str| {
        let causes = figures["failovers"].as_array().unwrap();
        causes.iter().find(|row| row["cause"] == cause).unwrap()["count"].clone()
    };
    assert_eq!((of("status"), of("timeout")), (json!(1), json!(0)));
    let shares = json!([{"model": "beta", "requests": 1}]);
    let wanted = json!([
        {"router": "both", "task": null, "requests": 1, "models": shares},
        {"router": "both", "task": "chores", "requests": 1, "models": shares},
    ]);
    assert_eq!(figures["tasks"], wanted);
    let beta =
        figures["models"].as_array().unwrap().iter().find(|row| row["model"] == "beta").unwrap();
    assert!(beta["ttft_p50_ms"].as_f64() > Some(0.0), "one of them was streamed: {beta}");
}

#[test]
fn m26_the_health_of_every_target_is_told() {
    let limited = Upstream::always(reply::error(429, "Retry-After: 30\r\n", "slow down"));
    let broken = Upstream::always(reply::error(500, "", "broken"));
    let program = Program::start(&Setup::two(limited.address(), broken.address()));
    let row = |figures: &Value, model: &str| {
        figures["targets"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["model"] == model)
            .unwrap()
            .clone()
    };
    let before = row(&overview(&program, ""), "alpha");
    assert_eq!((&before["breaker"], &before["cooldown_s"]), (&json!("closed"), &Value::Null));
    assert_eq!((&before["ttft_ms"], &before["samples"]), (&Value::Null, &json!(0)));
    program.chat("alpha");
    for _ in 0..5 {
        program.chat("beta");
    }
    let figures = summed(&program, 6);
    let cooling = row(&figures, "alpha")["cooldown_s"].as_f64().unwrap();
    assert!((0.0..=30.0).contains(&cooling), "{cooling}");
    assert_eq!(row(&figures, "alpha")["breaker"], "closed");
    assert_eq!(row(&figures, "beta")["breaker"], "open");
    assert_eq!(row(&figures, "beta")["cooldown_s"], Value::Null);
}

#[test]
fn m27_where_prices_are_from_and_what_is_wrong_with_a_feed() {
    let document = r#"{"alpha":{"input_cost_per_token":2e-6,"output_cost_per_token":6e-6}}"#;
    let good = Upstream::always(reply::json(200, document));
    let bad = Upstream::always(reply::json(404, "{}"));
    let feed = |upstream: &Upstream, path: &str| {
        let at = upstream.address();
        format!(
            "{{format: litellm, url: \"http://{at}/{path}?key=sk-CANARY-feed\", allow_private: true}}"
        )
    };
    let setup = Setup::one("openai-chat", Upstream::refusing())
        .model("beta", "one", "price: {input: 1, output: 2}")
        .with(&format!("prices: [{}, {}]", feed(&good, "good"), feed(&bad, "bad")));
    let program = Program::start(&setup);
    let rows = until("the feeds were fetched", || {
        let rows = overview(&program, "")["prices"].clone();
        let told = |row: &Value| row["models"] == 1 || row["fault"].is_string();
        rows.as_array().unwrap().iter().all(told).then_some(rows)
    });
    let row = |path: &str| {
        let mut rows = rows.as_array().unwrap().iter();
        rows.find(|row| row["source"].as_str().unwrap().ends_with(path)).unwrap()
    };
    assert_eq!(
        (&row("configured")["models"], &row("configured")["age_s"]),
        (&json!(1), &Value::Null)
    );
    assert!(row("/good")["age_s"].is_number() && row("/good")["fault"].is_null(), "{rows}");
    assert!(row("/bad")["age_s"].is_null() && row("/bad")["fault"].is_string(), "{rows}");
    let catalog = program.admin("/api/catalog").json();
    let price = &catalog["models"][0]["price"];
    near(&price["input"], 2.0);
    assert!(price["source"].as_str().unwrap().ends_with("/good"), "{price}");
}

#[test]
fn m28_the_catalog_says_what_can_be_named() {
    let upstream = obedient();
    let program = Program::start(&priced(&upstream));
    let catalog = program.admin("/api/catalog").json();
    assert_eq!((&catalog["generation"], &catalog["simulated"]), (&json!(1), &json!(false)));
    assert_eq!(catalog["data_plane"], format!("http://{}", program.data()));
    assert_eq!(catalog["classifier"], Value::Null);
    assert_eq!(catalog["version"], env!("CARGO_PKG_VERSION"));
    let models = catalog["models"].as_array().unwrap();
    let names: Vec<&str> = models.iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["alpha", "beta", "gamma"]);
    let price = json!({"input": 2.0, "cache_read": 1.0, "cache_write": 2.0, "output": 20.0, "source": "configured", "age_s": null});
    assert_eq!(models[1]["price"], price);
    assert_eq!((&models[2]["price"], &models[2]["context_window"]), (&Value::Null, &Value::Null));
    let router = &catalog["routers"][0];
    assert_eq!(
        (&router["name"], &router["fallback_models"]),
        (&json!("both"), &json!(["alpha", "beta"]))
    );
    assert_eq!(router["tasks"][0]["name"], "chores");
    let listed = program.admin("/v2/gen-ai/models/routers").json();
    assert_eq!(router["uuid"], listed["model_routers"][0]["uuid"]);
    assert_eq!(router["editable"], true);
}

#[test]
fn m29_the_series_holds_what_just_happened() {
    let upstream = obedient();
    let program = Program::start(&priced(&upstream));
    asked(&program, "a", &chat("alpha", "hello", true));
    asked(&program, "b", &chat("alpha", "please fail", false));
    let figures = summed(&program, 2);
    let series = &figures["series"];
    let points = series["points"].as_array().unwrap();
    assert_eq!((&series["step_s"], points.len()), (&json!(5), 120));
    let sum = |name: &str| points.iter().filter_map(|point| point[name].as_u64()).sum::<u64>();
    assert_eq!((sum("requests"), sum("errors")), (2, 1));
    assert!(points.iter().any(|point| point["ttft"]["alpha"].is_number()), "{series}");
    let times: Vec<u64> = points.iter().map(|point| point["t"].as_u64().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 5), "{times:?}");
}

#[test]
fn m30_what_is_asked_wrongly_is_said() {
    let program = Program::start(&Setup::one("openai-chat", Upstream::refusing()));
    for limit in ["0", "501", "-1", "many", ""] {
        let refused = program.admin(&format!("/api/requests?limit={limit}"));
        assert_eq!(
            (refused.status(), refused.code().as_str()),
            (400, "invalid_request"),
            "{limit}"
        );
    }
    let missing = program.admin("/api/requests/nobody");
    assert_eq!((missing.status(), missing.code().as_str()), (404, "not_found"));
    for path in ["/api/catalog", "/api/overview", "/api/requests", "/api/requests/a", "/api/events"]
    {
        let refused = program.ask("POST", path, &[], "{}").answer();
        assert_eq!(refused.status(), 405, "{path}");
        assert!(refused.header("allow").unwrap().starts_with("GET"), "{path}");
    }
}

/// An event of a stream with its id.
struct Event {
    name: String,
    id: u64,
    data: Value,
}

fn events(message: &Message) -> Vec<Event> {
    let text = message.text();
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok());
    let found = sse::events(&text);
    let whole = found.into_iter().zip(ids.collect::<Vec<u64>>());
    whole
        .map(|(event, id)| Event {
            data: serde_json::from_str(&event.data).unwrap(),
            name: event.name,
            id,
        })
        .collect()
}

fn follow(program: &Program, headers: &[(&str, &str)]) -> Client {
    let mut client = program.ask("GET", "/api/events?compare=beta", headers, "");
    client.until("event: overview");
    client
}

#[test]
fn m31_live_events_come_in_order() {
    let upstream = obedient();
    let program = Program::start(&priced(&upstream));
    let mut client = follow(&program, &[]);
    asked(&program, "first", &chat("alpha", "hello", false));
    asked(&program, "second", &chat("nobody", "hello", false));
    let told = client.until("\"second\"");
    assert_eq!(told.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(told.header("cache-control"), Some("no-store"));
    let events = events(&told);
    assert!(events.windows(2).all(|pair| pair[0].id <= pair[1].id), "ids fall");
    let requests: Vec<(&str, &str)> = events
        .iter()
        .filter(|event| event.name == "request")
        .map(|event| (event.data["id"].as_str().unwrap(), event.data["state"].as_str().unwrap()))
        .collect();
    assert_eq!(requests, [("first", "open"), ("first", "done"), ("second", "done")]);
    assert!(events.iter().all(|event| event.data.get("decision").is_none()));
    let figures = client.until("\"requests\":2");
    assert!(figures.text().contains("\"compare\":{\"model\":\"beta\""), "{}", figures.text());
}

#[test]
fn m32_a_reader_that_comes_back_is_told_what_it_missed() {
    let upstream = obedient();
    let program = Program::start(&priced(&upstream));
    let mut client = follow(&program, &[]);
    asked(&program, "first", &chat("nobody", "hello", false));
    let told = events(&client.until("\"first\""));
    let seen = told.iter().find(|event| event.name == "request").unwrap().id.to_string();
    client.hang_up();
    asked(&program, "second", &chat("nobody", "hello", false));
    asked(&program, "third", &chat("nobody", "hello", false));
    done(&program, "third");
    let told = events(&follow(&program, &[("Last-Event-ID", &seen)]).until("\"third\""));
    let requests: Vec<&Value> = told
        .iter()
        .filter(|event| event.name == "request")
        .map(|event| &event.data["id"])
        .collect();
    assert_eq!(requests, ["second", "third"]);
    for id in ["999999", "-1", "x"] {
        let fresh = events(&follow(&program, &[("Last-Event-ID", id)]).until("event: overview"));
        assert!(fresh.iter().all(|event| event.name == "overview"), "{id}");
    }
}

#[test]
fn m33_only_so_many_may_listen() {
    let program = Program::start(&Setup::one("openai-chat", Upstream::refusing()));
    let mut readers: Vec<Client> = (0..32).map(|_| follow(&program, &[])).collect();
    let refused = program.admin("/api/events");
    assert_eq!((refused.status(), refused.code().as_str()), (503, "overloaded"));
    readers.pop().unwrap().hang_up();
    until("there is room again", || {
        let mut client = program.ask("GET", "/api/events", &[], "");
        let answer = client.answered_within(std::time::Duration::from_millis(200));
        answer.is_none_or(|answer| answer.status() == 200).then_some(())
    });
}

#[test]
fn m34_a_stream_ends_whole_when_the_process_drains() {
    let gate = Gate::new();
    let upstream =
        Upstream::always(vec![Step::Stall(gate.clone()), reply::chat("fine")[0].clone()]);
    let mut program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let mut reader = follow(&program, &[]);
    let mut caller = program.client();
    caller.post(CHAT, &[], &chat("alpha", "hello", false));
    upstream.request(0);
    program.signal("TERM");
    let told = reader.answer();
    assert!(told.whole, "it was cut");
    assert!(told.text().contains("\"draining\":true"), "{}", told.text());
    assert!(program.runs(), "it did not wait for the caller");
    gate.open();
    assert_eq!(caller.answer().status(), 200);
    assert!(program.ended().success());
}

#[test]
fn m35_a_new_catalog_is_told() {
    let program = Program::start(&Setup::two(Upstream::refusing(), Upstream::refusing()));
    let mut reader = follow(&program, &[]);
    let setup = Setup::two(Upstream::refusing(), Upstream::refusing());
    program.folder().write("pointsman.yaml", setup.text());
    let told = reader.until("event: catalog");
    let generation = |event: &Event| event.data["generation"].as_u64();
    let changed = events(&told).iter().find(|event| event.name == "catalog").and_then(generation);
    assert_eq!(changed, Some(2));
}

/// A text that may be nowhere but at the provider.
const PRIVATE: &str = "my-medical-record-7f3a";

#[test]
fn m36_no_text_of_a_request_is_kept_or_logged() {
    let upstream = Upstream::answering(|_, request| {
        if request.text().contains("please fail") {
            return reply::error(400, "", PRIVATE);
        }
        reply::chat(PRIVATE)
    });
    let program =
        Program::start(&priced(&upstream).replace("listen", "log: {level: debug}\nlisten"));
    let mut reader = follow(&program, &[]);
    let question = format!("{PRIVATE} hello");
    for (path, model) in [
        ("/api/chat", "alpha"),
        ("/api/chat", "router:both"),
        ("/api/route", "router:both"),
        ("/api/chat", PRIVATE),
    ] {
        program
            .ask("POST", path, &[("X-Request-Id", "p")], &chat(model, &question, false))
            .answer();
    }
    program
        .ask("POST", "/api/chat", &[], &chat("alpha", &format!("please fail {PRIVATE}"), false))
        .answer();
    program.ask("POST", "/api/chat", &[], &format!("{{{PRIVATE}")).answer();
    asked(&program, "last", &chat("alpha", &question, false));
    done(&program, "last");
    let told = reader.until("\"last\"");
    for (what, text) in [
        ("events", told.text()),
        ("requests", program.admin("/api/requests?limit=500").text()),
        ("one request", program.admin("/api/requests/p").text()),
        ("overview", program.admin("/api/overview").text()),
        ("metrics", program.admin("/metrics").text()),
    ] {
        assert!(!text.contains(PRIVATE), "{what}: {text}");
    }
    program.logged("\"last\"");
    let log = program.log().join("\n");
    assert!(!log.contains(PRIVATE), "{log}");
}

#[test]
fn m37_the_board_says_what_the_metrics_say() {
    let upstream = obedient();
    let program = Program::start(&priced(&upstream));
    for number in 0..20 {
        let model = ["alpha", "beta", "gamma", "router:both"][number % 4];
        asked(&program, "x", &chat(model, "hello", number % 2 == 0));
    }
    let figures = summed(&program, 20);
    let metrics = program.metrics();
    let count = |name: &str, labels: &[(&str, &str)]| Metrics::sum(&metrics, name, labels);
    near(&figures["cost_usd"], count("pointsman_cost_usd_total", &[]));
    near(
        &figures["cost_if"]["dearest"]["cost_usd"],
        count("pointsman_cost_dearest_usd_total", &[]),
    );
    near(&figures["fallback_answers"], count("pointsman_fallback_answers_total", &[]));
    near(&figures["outcomes"]["ok"], count("pointsman_outcomes_total", &[("outcome", "ok")]));
    near(&figures["attempts"], count("pointsman_attempts_total", &[]));
    let direct = count("pointsman_decisions_total", &[("reason", "direct")]);
    near(&figures["reasons"]["direct"], direct);
    for row in figures["models"].as_array().unwrap() {
        let labels = [
            ("gen_ai_request_model", row["model"].as_str().unwrap()),
            ("gen_ai_token_type", "output"),
        ];
        near(&row["output_tokens"], count("gen_ai_client_token_usage_sum", &labels));
    }
}
