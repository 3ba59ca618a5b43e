//! Requests, from each API to each other, against golden files: `tests/golden/<api>/request/<scenario>.json`.
//!
//! A file holds what the caller sent (`in`) and, for each API, what a provider must get (`body`), what is dropped
//! (`losses`), which names change (`tool_names`), the tool that stands for a structured answer, or why the target is ruled
//! out (`ruled_out`). Where caller and target speak the same API the expectation is `kept`: nothing but `model` changes,
//! and `stream_options` where the usage of a stream would be missing.
//!
//! `POINTSMAN_UPDATE_GOLDEN=1 cargo test --test golden_requests` writes the expectations anew; read what changed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on fails"
)]

use std::{env, fs, path::Path};

use pointsman::dialect::{
    Dialect, carry,
    request::{Shape, read_request, write_request},
};
use serde_json::{Value, json};

/// What the provider calls the model in every scenario.
const UPSTREAM: &str = "upstream-model";

#[test]
fn every_scenario_becomes_what_its_file_says() {
    let update = env::var_os("POINTSMAN_UPDATE_GOLDEN").is_some();
    let mut count = 0;
    for from in Dialect::ALL {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        for entry in fs::read_dir(golden.join(from.as_str()).join("request")).unwrap() {
            let path = entry.unwrap().path();
            let mut scenario: Value =
                serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            let outcomes =
                Dialect::ALL.map(|to| (to.as_str().to_owned(), outcome(from, to, &scenario)));
            let outcomes = Value::Object(outcomes.into_iter().collect());
            if update {
                scenario["to"] = outcomes;
                fs::write(&path, format!("{scenario:#}\n")).unwrap();
            } else {
                assert_eq!(outcomes, scenario["to"], "{}: {outcomes:#}", path.display());
            }
            count += 1;
        }
    }
    assert!(count >= 36, "only {count} scenarios were found");
}

/// What becomes of a scenario on the way from one API to another, in the form of the files.
fn outcome(from: Dialect, to: Dialect, scenario: &Value) -> Value {
    let body = serde_json::to_string_pretty(&scenario["in"]).unwrap();
    let request = read_request(from, body.as_bytes()).unwrap();
    let carried = match carry::carry(&request, to) {
        Ok(carried) => carried,
        Err(reason) => return json!({"ruled_out": reason}),
    };
    let shape = Shape {
        upstream_id: UPSTREAM,
        max_output: scenario["shape"]["max_output"].as_u64(),
        prefill: scenario["shape"]["prefill"].as_bool().unwrap_or_default(),
        ..Shape::default()
    };
    let outgoing = write_request(&request, body.as_bytes(), to, &shape);
    let sent = std::str::from_utf8(&outgoing.body).unwrap();
    for loss in &carried.losses {
        assert!(outgoing.losses.contains(loss), "{loss} was announced and not reported");
    }
    let mut outcome = if from == to {
        assert_eq!(kept(&body, outgoing.hides_usage), sent);
        json!({"kept": true})
    } else {
        json!({"body": serde_json::from_str::<Value>(sent).unwrap()})
    };
    let facts = [
        ("losses", json!(outgoing.losses), !outgoing.losses.is_empty()),
        ("hides_usage", json!(true), outgoing.hides_usage),
        ("structured_tool", json!(outgoing.structured_tool), outgoing.structured_tool.is_some()),
        ("tool_names", json!(outgoing.tool_names), !outgoing.tool_names.is_empty()),
    ];
    for (name, value, told) in facts {
        if told {
            outcome[name] = value;
        }
    }
    outcome
}

/// The caller's text with the name of the model replaced, and usage asked for where that is told.
fn kept(body: &str, asks_usage: bool) -> String {
    let start = body.find("\"model\": ").unwrap() + "\"model\": ".len();
    let end = start + 1 + body[start + 1..].find('"').unwrap() + 1;
    let usage = if asks_usage { r#","stream_options":{"include_usage":true}"# } else { "" };
    format!("{}\"{UPSTREAM}\"{usage}{}", &body[..start], &body[end..])
}
