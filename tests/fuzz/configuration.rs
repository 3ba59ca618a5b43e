//! Configuration: texts that nobody meant to write. Files of a case are separated by a line `=== router`.

use std::sync::LazyLock;

use pointsman::config::{LoadOptions, Summary, load_texts};

use crate::{dice::Dice, driver::Target, mutate};

/// What must never be repeated in a report: it stands where somebody might paste a key.
const CANARY: &str = "sk-CANARY-7f3a";

const MAIN: &str = r#"
listen: 127.0.0.1:9080
admin: "[::1]:9081"
providers:
  openai:
    api: openai
    base_url: https://api.openai.com/v1/
    api_key: env:SET
  anthropic: {api: anthropic, base_url: https://api.anthropic.com/v1, api_key: env:SET}
  local: {api: openai-chat, base_url: http://127.0.0.1:8000/v1, allow_private: true}
  pasted: {api: openai, base_url: https://a.example/v1, api_key: env:sk-CANARY-7f3a}
  azure:
    api: openai-chat
    base_url: https://example.openai.azure.com/openai/v1
    api_key: env:AZURE
    auth_header: api-key
    query: {api-version: "2026-03-01"}
    headers: {x-team: search}
models:
  gpt-5.2:
    endpoints:
      - {provider: openai, id: gpt-5.2-2025-12-11}
      - {provider: azure}
    price: {input: 1.75, cache_read: 0.175, output: 14.00}
    context_window: 400000
    modalities: [text, image]
    max_output: 128000
    features: [tools, json, reasoning]
    prefill: true
  glm-5:
    endpoints: [{provider: local}]
    price: {input: 0.30, output: 1}
    price_tiers: [{above: 400000, input: 0.9}, {above: 200000, input: 0.60, output: 2.00}]
    price_schedule:
      - {from: "22:00", to: "04:00", zone: America/Los_Angeles, discount: 0.10}
    features: []
    timeouts: {first_token: 20s}
classifier:
  chat: {provider: local, model: Plano-Orchestrator-4B, timeout: 700ms}
latency: {prometheus: "http://127.0.0.1:9090", query: "avg by (m) (${x})", label: m, allow_private: true}
affinity: {idle: 2h, capacity: 5}
timeouts: {body: 61s, connect: 4s, first_token: 62s, between_tokens: 63s, response: 6m, total: 11m}
failover: {attempts: 5, same_target: 1, wait: 2s, rescue: continue}
max_body: 16MiB
limits: {connections: 7, memory: 2GiB}
drain: 0s
log: {format: text, level: debug}
prices:
  - {format: models-dev, url: "https://models.dev/api.json?x=1", refresh: 3h, api_key: env:SET}
keys:
  - {name: ci, key: env:SET, routers: [software-engineering], models: []}
  - {name: any, key: env:ANY}
admin_key: env:SET
upgrade_socket: run/upgrade.sock
"#;

const ROUTER: &str = r#"name: software-engineering
description: Coding assistants and agents.
policies:
  - task_slug: code-generation
    models: [gpt-5.2, glm-5]
    selection_policy: {prefer: fastest}
  - custom_task:
      name: bug fixing (Python)
      description: Identify and fix errors or bugs in code that the user supplies
      examples: ["This throws a KeyError on ${x}, why?"]
    models: [glm-5]
fallback_models: [glm-5]
threshold: 0.5
failover: {attempts: 2}
switch_budget: 20
"#;

/// Numbers at the edges of what a field may hold, and beyond.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1",
    "00",
    "0.0000000001",
    "60",
    "101",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999",
    "1e400",
];

const BETWEEN: &str = "=== router\n";

/// Lines and words of the example, and what looks like them.
static PIECES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let both = [MAIN, ROUTER];
    let lines = both.iter().flat_map(|text| text.split_inclusive('\n')).map(str::to_owned);
    let words = both.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned);
    let odd = [
        "&a ",
        "*a",
        "!!binary ",
        "<<: *a\n",
        "--- \n",
        "...\n",
        "? ",
        "{",
        "}",
        "[",
        "]",
        "null",
        "~",
        ".nan",
        "-.inf",
        "0x7f",
        "1e999",
        "-1",
        "99999999999999999999",
        "yes",
        "''",
        "\"\\u0000\"",
        "|\n",
        ">-\n",
        "\t",
        "\r\n",
        "\u{feff}",
        "\u{2028}",
        "ünï",
        "file:",
        "env:",
        "1h1h",
        "0.1ms",
        "9999999999999GiB",
        "127.0.0.1:99999",
        "http://[::1]:1/x",
        "http://user:pw@h/",
        "24:00",
    ];
    lines.chain(words).chain(odd.iter().map(|piece| (*piece).to_owned())).collect()
});

#[test]
fn config() {
    Target { name: "config", make, hold }.run();
}

fn make(dice: &mut Dice) -> Vec<u8> {
    if dice.once_in(20) {
        return dice.noise(100);
    }
    let text = format!("{MAIN}{BETWEEN}{ROUTER}");
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for _ in 0..dice.few() {
        change_line(dice, &mut lines);
    }
    let mut bytes = lines.concat().into_bytes();
    if dice.once_in(4) {
        mutate::bytes(dice, &mut bytes);
    }
    bytes
}

fn change_line(dice: &mut Dice, lines: &mut Vec<String>) {
    if lines.is_empty() {
        return;
    }
    let at = dice.below(lines.len());
    match dice.below(9) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => lines.insert(at, dice.pick(&PIECES).clone()),
        3 => lines[at].insert_str(0, "  "),
        4 => lines[at] = lines[at].trim_start().to_owned(),
        5 => change_number(dice, &mut lines[at]),
        _ => {
            let words: Vec<&str> = lines[at].split_inclusive(' ').collect();
            let place = dice.below(words.len().max(1));
            let piece = dice.pick(&PIECES);
            let changed: Vec<&str> = words
                .iter()
                .enumerate()
                .map(|(word, text)| if word == place { piece.as_str() } else { text })
                .collect();
            lines[at] = format!("{}\n", changed.concat().trim_end_matches('\n'));
        }
    }
}

/// Puts another number in the place of one of the line.
fn change_number(dice: &mut Dice, line: &mut String) {
    let starts: Vec<usize> = line
        .char_indices()
        .filter(|(at, c)| {
            c.is_ascii_digit() && !line[..*at].ends_with(|c: char| c.is_ascii_digit())
        })
        .map(|(at, _)| at)
        .collect();
    if starts.is_empty() {
        return;
    }
    let start = *dice.pick(&starts);
    let digits = line[start..].bytes().take_while(u8::is_ascii_digit).count();
    let number = *dice.pick(&NUMBERS);
    line.replace_range(start..start + digits, number);
}

fn hold(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut texts = text.split(BETWEEN);
    let main = texts.next().unwrap_or_default();
    let routers: Vec<(&str, &str)> = texts.map(|text| ("router.yaml", text)).collect();
    let options = LoadOptions::default();
    let load = || load_texts(("main.yaml", main), &routers, &options);
    match load() {
        Ok(loaded) => {
            let summary = Summary::of(&loaded.catalog);
            assert!(summary.models > 0 && summary.providers > 0, "a catalog without a model");
            let again = load().unwrap_or_else(|refused| panic!("another time: {refused}"));
            assert_eq!(Summary::of(&again.catalog), summary);
            assert_eq!(again.warnings, loaded.warnings);
        }
        Err(refused) => {
            assert!(!refused.faults.is_empty(), "refused without a reason");
            assert!(refused.faults.is_sorted(), "{refused}");
            let lines = text.split(['\n', '\r']).count() + 1;
            for fault in refused.faults.iter().chain(&refused.warnings) {
                assert!(fault.line <= lines, "{fault}");
                assert!(!fault.to_string().contains(['\n', '\r']), "{fault:?}");
                // The path is made of keys; a value must not be repeated.
                assert!(!fault.message.contains(CANARY), "a secret is in the report: {fault}");
            }
        }
    }
}
