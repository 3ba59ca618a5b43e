//! Priors of the time to first content, from a server that answers as Prometheus does, and from one that does not.

use serde_json::{Value, json};

use crate::support::{
    Gate,
    program::{Program, chat},
    reply,
    setup::Setup,
    until,
    upstream::{Step, Upstream, send},
};

const DRY: &str = "/routing/v1/chat/completions";
const QUERY: &str = "histogram_quantile(0.5, sum by (le, model) (rate(ttft_bucket[15m])))";

/// An instant vector with these series.
fn vector(series: &[(Value, &str)]) -> Vec<Step> {
    let result: Vec<Value> = series
        .iter()
        .map(|(metric, value)| json!({"metric": metric, "value": [1_790_000_000.123, value]}))
        .collect();
    let answer = json!({"status": "success", "data": {"resultType": "vector", "result": result}});
    reply::json(200, &answer.to_string())
}

fn setup(prometheus: &Upstream, model: &Upstream) -> Setup {
    Setup::two(model.address(), model.address()).with(&format!(
        "latency: {{prometheus: \"http://{}\", query: \"{QUERY}\", label: model, refresh: 1s, allow_private: true}}",
        prometheus.address()
    ))
}

/// The expected time to first content of `model`, in milliseconds, and the samples that it is from.
fn expected(program: &Program, model: &str) -> (Option<u64>, u64) {
    let document: Value = program.post(DRY, &[], &chat(model, "x", false)).json();
    let candidate = &document["candidates"][0];
    (candidate["expected_ttft_ms"].as_u64(), candidate["samples"].as_u64().unwrap())
}

/// Waits until `model` is expected to start after about `time` milliseconds (a prompt of some tokens adds a little),
/// without a sample of its own.
#[track_caller]
fn becomes(program: &Program, model: &str, time: u64) {
    let near = |found: u64| found.abs_diff(time) <= time / 100;
    until("the prior is in force", || match expected(program, model) {
        (Some(found), 0) if near(found) => Some(()),
        _ => None,
    });
}

#[test]
fn an_outside_source_says_how_soon_an_unused_model_starts() {
    let model = Upstream::always(reply::chat_stream(&["fine"]));
    let prometheus = Upstream::always(vector(&[
        (json!({"model": "alpha"}), "0.25"),
        (json!({"model": "beta", "instance": "one"}), "1"),
        (json!({"model": "beta", "instance": "two"}), "2"),
    ]));
    let program = Program::start(&setup(&prometheus, &model));
    becomes(&program, "alpha", 250);
    becomes(&program, "beta", 1500);
    let asked = prometheus.request(0);
    let (path, query) = asked.target().split_once('?').unwrap();
    assert_eq!((path, asked.line.split(' ').next()), ("/api/v1/query", Some("GET")));
    let parsed: Vec<(String, String)> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    assert_eq!(parsed, [("query".to_owned(), QUERY.to_owned())]);
    // What this process measures itself outweighs it.
    for _ in 0..8 {
        assert_eq!(program.chat_stream("beta").status(), 200);
    }
    let (time, samples) = expected(&program, "beta");
    assert_eq!(samples, 8);
    assert!(time.unwrap() < 1500, "{time:?}");
}

#[test]
fn a_source_that_makes_no_sense_changes_nothing() {
    let model = Upstream::always(reply::chat("fine"));
    let good = vector(&[(json!({"model": "alpha"}), "0.25")]);
    let odd = |value: &str| vector(&[(json!({"model": "alpha"}), value)]);
    let huge = format!(r#"{{"status":"success","data":{{"result":[{}]}}}}"#, " ".repeat(5 << 20));
    let faults: Vec<Vec<Step>> = vec![
        odd("NaN"),
        odd("+Inf"),
        odd("-0.1"),
        odd("0"),
        odd("1e300"),
        odd("soon"),
        vector(&[(json!({"instance": "alpha"}), "9")]),
        vector(&[(json!({"model": "nobody"}), "9"), (json!({"model": "a b:c/\u{1}"}), "9")]),
        vector(&[]),
        reply::json(
            200,
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"model":"alpha"},"values":[[1,"9"]]}]}}"#,
        ),
        reply::json(200, r#"{"status":"success","data":{"resultType":"scalar","result":[1,"9"]}}"#),
        reply::json(200, r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#),
        reply::json(400, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#),
        reply::json(503, "down"),
        reply::json(200, "<html>"),
        reply::json(200, &huge),
        vec![Step::Reset],
        vec![send("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"), Step::Fin],
    ];
    let count = faults.len();
    let prometheus = Upstream::answering(move |index, _| match index {
        0 => good.clone(),
        index => faults[(index - 1) % count].clone(),
    });
    let program = Program::start(&setup(&prometheus, &model));
    becomes(&program, "alpha", 250);
    for fault in 0..count {
        prometheus.request(fault + 2);
        assert_eq!(expected(&program, "alpha"), (Some(250), 0), "after fault {fault}");
        assert_eq!(expected(&program, "beta").0, None, "after fault {fault}");
    }
    program.logged("not an answer of Prometheus");
    assert_eq!(program.chat("alpha").status(), 200);
}

#[test]
fn a_source_that_is_slow_or_down_holds_nothing_up() {
    let model = Upstream::always(reply::chat("fine"));
    let gate = Gate::default();
    let stalled = gate.clone();
    let late = vector(&[(json!({"model": "alpha"}), "0.25")]);
    let prometheus = Upstream::answering(move |_, _| {
        let mut steps = vec![Step::Stall(stalled.clone())];
        steps.extend(late.clone());
        steps
    });
    let program = Program::start(&setup(&prometheus, &model));
    prometheus.request(0);
    assert_eq!(program.chat("alpha").status(), 200);
    assert_eq!(expected(&program, "beta"), (None, 0));
    gate.open();
    becomes(&program, "alpha", 250);
    drop(program);
    let refusing = Setup::two(model.address(), model.address()).with(&format!(
        "latency: {{prometheus: \"http://{}\", query: up, refresh: 1s, allow_private: true}}",
        Upstream::refusing()
    ));
    let program = Program::start(&refusing);
    program.logged("no priors");
    assert_eq!(program.chat("alpha").status(), 200);
}
