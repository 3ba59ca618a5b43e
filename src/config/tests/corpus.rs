//! Hostile and mistaken files, one in `tests/corpus/yaml` for each kind, and exactly what is said of each.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::config::tests::{Folder, MINIMAL, NOT_READING, READING, said, said_after};

/// What is said of each file, by name; a change here is a change of what users read.
const EXPECTED: &str = r#"
=== library-mistakes.yaml
policies/other.yaml:2:56: tasks[0].quality.small: must be from 0 to 1
policies/other.yaml:2:59: tasks[0].quality.smal: there is no model `smal`; did you mean `small`?
policies/other.yaml:3:12: tasks[1].name: this task is in the library twice; the other is at policies/other.yaml:2:12
policies/other.yaml:4:5: tasks[2].name: is missing
policies/other.yaml:5:12: tasks[3].name: a task's name must be 1 to 64 printable ASCII characters without a colon, no space at either end, and not `none` or `other`
policies/other.yaml:5:19: tasks[3].utterances: unknown key
=== library-scores.yaml
policies/other.yaml:2:55: tasks[0].quality_source: says where scores are from, but there is no `quality`
policies/other.yaml:2:77: tasks[0].quality_date: says where scores are from, but there is no `quality`
policies/other.yaml:3:74: tasks[1].quality_date: must be a day, as in 2026-01-31
policies/other.yaml:3:112: tasks[1].quality_samples.small: must be from 1 to 4294967295
policies/other.yaml:3:115: tasks[1].quality_samples.smal: there is no model `smal`; did you mean `small`?
policies/other.yaml:4:57: tasks[2].quality_source: must not be empty
policies/other.yaml:4:75: tasks[2].quality_date: must be a day, as in 2026-01-31
policies/other.yaml:5:12: tasks[3].name: this task is in the library twice; the other is at policies/other.yaml:4:12
=== main-a-list.yaml
pointsman.yaml:1:1: must be a mapping, as in {name: value}
=== main-a-text.yaml
pointsman.yaml:1:1: must be a mapping, as in {name: value}
=== main-addresses.yaml
pointsman.yaml:2:34: providers.clear.base_url: clear text (http://) needs `allow_private: true`
pointsman.yaml:3:33: providers.user.base_url: must not hold a user or a password
pointsman.yaml:4:37: providers.fragment.base_url: must not hold a fragment (#)
pointsman.yaml:5:34: providers.query.base_url: must not hold a query (?); use `query`
pointsman.yaml:6:33: providers.file.base_url: must begin with https://
pointsman.yaml:7:35: providers.socket.base_url: must begin with https://
pointsman.yaml:8:35: providers.spaces.base_url: must not hold spaces, backslashes or control characters
pointsman.yaml:9:33: providers.zone.base_url: must be a whole address, as in https://api.example.com/v1
pointsman.yaml:10:38: providers.homograph.base_url: must be ASCII; write an international name in its xn-- form
pointsman.yaml:11:37: providers.loopback.base_url: a private or loopback address needs `allow_private: true`
pointsman.yaml:12:36: providers.decimal.base_url: a private or loopback address needs `allow_private: true`
pointsman.yaml:13:36: providers.private.base_url: a private or loopback address needs `allow_private: true`
pointsman.yaml:14:37: providers.metadata.base_url: link-local, metadata, multicast and unspecified addresses are refused
pointsman.yaml:15:35: providers.mapped.base_url: link-local, metadata, multicast and unspecified addresses are refused
pointsman.yaml:16:40: providers.hexadecimal.base_url: link-local, metadata, multicast and unspecified addresses are refused
pointsman.yaml:17:38: providers.ourselves.base_url: is this program's own address: its requests would come back to it
=== main-alias-bomb.yaml
pointsman.yaml:5:7: e: more than 200000 values, aliases expanded
=== main-alias-to-itself.yaml
pointsman.yaml:2:6: providers.a: an alias may not stand inside of what it names
=== main-byte-order-mark.yaml
pointsman.yaml:1:1: begins with a byte order mark; save it as UTF-8 without one
=== main-classifier.yaml
pointsman.yaml:4:21: classifier.model: leave this out: `chat` is the classifier, with settings of its own
pointsman.yaml:4:33: classifier.threads: leave this out: `chat` is the classifier, with settings of its own
pointsman.yaml:4:53: classifier.chat.provider: must be a provider with `api: openai` or `api: openai-chat`
pointsman.yaml:4:56: classifier.chat.modle: unknown key; did you mean `model`?
pointsman.yaml:4:74: classifier.chat.format: must be one of arch-router, plano-orchestrator
=== main-duplicate-keys.yaml
pointsman.yaml:3:3: providers.a: this key is here twice; the first is at line 2, column 3
pointsman.yaml:5:33: models.m.endpoints[0].provider: this key is here twice; the first is at line 5, column 20
pointsman.yaml:6:1: models: this key is here twice; the first is at line 4, column 1
=== main-empty.yaml
pointsman.yaml:1:1: the file is empty
=== main-five-mistakes.yaml
pointsman.yaml:1:1: listn: unknown key; did you mean `listen`?
pointsman.yaml:3:17: providers.openai.api: must be one of openai, openai-chat, anthropic; did you mean `openai`?
pointsman.yaml:5:32: models.gpt.endpoints[0].provider: there is no provider `opnai`; did you mean `openai`?
pointsman.yaml:5:57: models.gpt.context_window: must not be negative
pointsman.yaml:6:8: drain: needs a unit: ms, s, m or h, as in 5s
=== main-forged-lines.yaml
pointsman.yaml:1:9: listen: must be an IP address and a port, as in 127.0.0.1:8080
pointsman.yaml:3:3: providers.a\nforged: line: a provider's name must be 1 to 64 of letters, digits, `-`, `_` and `.`
pointsman.yaml:3:28: providers.a\nforged: line.api: must be one of openai, openai-chat, anthropic
pointsman.yaml:4:37: models.m.endpoints[0].provider: there is no provider `a\nforged`
=== main-inline-secrets.yaml
pointsman.yaml:2:30: providers.a.base_url: must not hold a user or a password
pointsman.yaml:2:84: providers.a.api_key: must be env:NAME or file:PATH; a secret is never written into this file
pointsman.yaml:3:56: providers.b.api_key: unknown key; a space must follow the colon
pointsman.yaml:7:14: providers.c.api_key: must be a text
pointsman.yaml:8:18: providers.c.auth_header: must be the name of a header
pointsman.yaml:9:15: providers.c.headers.authorization: credentials belong in `api_key`, not in `headers`
pointsman.yaml:9:50: providers.c.headers.Cookie: credentials belong in `api_key`, not in `headers`
pointsman.yaml:9:76: providers.c.headers.x-a: holds characters that no header carries
pointsman.yaml:10:22: providers.….api: must be one of openai, openai-chat, anthropic
pointsman.yaml:10:46: providers.….base_url: must be a whole address, as in https://api.example.com/v1
pointsman.yaml:10:69: providers.….api_key: must be env:NAME or file:PATH; a secret is never written into this file
pointsman.yaml:12:30: models.m.endpoints[0].provider: there is no provider `…`; did you mean `…`?
pointsman.yaml:13:15: keys[0].name: a key's name must be 1 to 64 of letters, digits, `-`, `_` and `.`
pointsman.yaml:13:34: keys[0].key: must be env:NAME or file:PATH; a secret is never written into this file
pointsman.yaml:14:12: admin_key: must be env:NAME or file:PATH; a secret is never written into this file
=== main-interpolation.yaml
pointsman.yaml:1:9: listen: `${LISTEN}` is not replaced; write the value, or env:LISTEN where a secret belongs
pointsman.yaml:2:40: providers.a.base_url: `${HOST}` is not replaced; write the value, or env:HOST where a secret belongs
pointsman.yaml:2:77: providers.a.headers.x-a: `${A}` is not replaced; write the value, or env:A where a secret belongs
pointsman.yaml:3:10: models.${M}: `${…}` is not replaced; write the name
pointsman.yaml:3:49: models.${M}.endpoints[0].id: `${ID}` is not replaced; write the value, or env:ID where a secret belongs
=== main-keys.yaml
pointsman.yaml:1:72: providers.a.auth: `keys` must be absent: a caller's credential cannot be both theirs and ours
pointsman.yaml:2:41: models.m.endpoints[1]: this endpoint is here twice
pointsman.yaml:4:38: keys[0].routers[0]: there is no router `no-such`
pointsman.yaml:4:57: keys[0].models[0]: there is no model `n`
pointsman.yaml:5:12: keys[1].name: another key has this name: pointsman.yaml:4:12
pointsman.yaml:5:28: keys[1].routers: has no value: give it one, or leave it out
pointsman.yaml:6:5: keys[2].name: is missing
pointsman.yaml:6:18: keys[2].model: unknown key; did you mean `models`?
pointsman.yaml:7:9: listen: must be an IP address and a port, as in 127.0.0.1:8080
=== main-near-misses.yaml
pointsman.yaml:1:1: provider: unknown key; did you mean `providers`?
pointsman.yaml:2:20: provider.a.baseurl: unknown key; did you mean `base_url`?
pointsman.yaml:2:55: provider.a.allow_privat: unknown key; did you mean `allow_private`?
pointsman.yaml:3:1: modles: unknown key; did you mean `models`?
pointsman.yaml:4:7: modles.m.endpoint: unknown key; did you mean `endpoints`?
pointsman.yaml:5:12: failover.atempts: unknown key; did you mean `attempts`?
pointsman.yaml:5:32: failover.rescue: must be one of none, continue; did you mean `continue`?
pointsman.yaml:6:7: log.levle: unknown key; did you mean `level`?
pointsman.yaml:6:28: log.format: must be one of json, text; did you mean `json`?
pointsman.yaml:7:1: tiemouts: unknown key; did you mean `timeouts`?
=== main-not-utf-8.yaml
pointsman.yaml:2:9: is not UTF-8 from here on
=== main-nothing-where-something-belongs.yaml
pointsman.yaml:1:12: providers: must not be empty
pointsman.yaml:3:18: models.m.endpoints: must not be empty
pointsman.yaml:4:1: classifier: has no value: give it one, or leave it out
pointsman.yaml:5:10: routers: must be a list, as in [a, b]
pointsman.yaml:6:9: prices: must be a list, as in [a, b]
pointsman.yaml:7:6: tls.key: is missing
=== main-nul.yaml
pointsman.yaml:2:9: holds a NUL character
=== main-open-listeners.yaml
pointsman.yaml:1:9: listen: is not loopback, so `keys` are required
pointsman.yaml:2:8: admin: is not loopback, so `admin_key` is required
pointsman.yaml:2:8: admin: is the address of `listen` too; the two are never one listener
pointsman.yaml:3:94: providers.a.api_key: leave this out: `auth: passthrough` sends the caller's own credential
=== main-quantities.yaml
pointsman.yaml:5:20: models.m.price.input: must not be negative
pointsman.yaml:5:32: models.m.price.output: must be a number
pointsman.yaml:5:50: models.m.price.cache_read: must be a number
pointsman.yaml:5:68: models.m.price.cache_write: must be a number
pointsman.yaml:6:27: models.m.price_tiers[0].above: must be from 1 to 1000000000
pointsman.yaml:6:63: models.m.price_tiers[2]: another tier begins at the same number of tokens
pointsman.yaml:7:29: models.m.price_schedule[0].from: must be a time of day from 00:00 to 23:59, as in "22:00"
pointsman.yaml:7:42: models.m.price_schedule[0].to: must be a time of day from 00:00 to 23:59, as in "22:00"
pointsman.yaml:7:51: models.m.price_schedule[0].zone: must be an IANA time zone, as in Europe/Berlin; did you mean `Europe/Berlin`?
pointsman.yaml:7:76: models.m.price_schedule[0].discount: must be from 0 to 1
pointsman.yaml:8:21: models.m.context_window: must be a whole number
pointsman.yaml:9:17: models.m.max_output: must be a whole number
pointsman.yaml:10:24: models.m.modalities[1]: must be one of text, image, audio, document; did you mean `image`?
pointsman.yaml:11:15: models.m.features: must be a list, as in [a, b]
pointsman.yaml:12:14: models.m.prefill: must be true or false
pointsman.yaml:13:29: models.m.timeouts.first_token: must be more than 0
pointsman.yaml:13:33: models.m.timeouts.body: unknown key
pointsman.yaml:14:21: timeouts.connect: needs a unit: ms, s, m or h, as in 5s
pointsman.yaml:14:37: timeouts.first_token: must not be negative
pointsman.yaml:14:58: timeouts.between_tokens: must be a time with a unit, as in 250ms, 5s, 2m or 1h
pointsman.yaml:14:74: timeouts.response: must be a time with a unit, as in 250ms, 5s, 2m or 1h
pointsman.yaml:14:88: timeouts.total: must be a time with a unit, as in 250ms, 5s, 2m or 1h
pointsman.yaml:15:22: failover.attempts: must be from 1 to 100
pointsman.yaml:15:38: failover.same_target: must not be negative
pointsman.yaml:15:48: failover.wait: must be a time with a unit, as in 250ms, 5s, 2m or 1h
pointsman.yaml:16:11: max_body: must be a size with a unit, as in 64KiB, 32MiB or 1GiB
pointsman.yaml:17:23: limits.connections: must be from 1 to 1000000
pointsman.yaml:17:34: limits.memory: is less than `max_body`: the largest body could never be taken
pointsman.yaml:18:8: drain: must be at most 720h
pointsman.yaml:19:18: affinity.idle: must be more than 0
pointsman.yaml:19:32: affinity.capacity: must be a whole number
=== main-second-document.yaml
pointsman.yaml:3:1: a second document begins here; a file holds one
=== main-tabs.yaml
pointsman.yaml:4:1: a tab cannot indent YAML; use spaces
=== main-tags.yaml
pointsman.yaml:1:12: providers: tags are not supported here
pointsman.yaml:1:44: providers: must be a mapping, as in {name: value}
pointsman.yaml:2:9: models: tags are not supported here
pointsman.yaml:2:18: models: must be a mapping, as in {name: value}
=== main-unknown-alias.yaml
pointsman.yaml:1:12: not valid YAML: while parsing node, found unknown anchor
=== main-upgrade-socket.yaml
pointsman.yaml:3:17: upgrade_socket: must be a path, as in folder/name
=== main-utf-16.yaml
pointsman.yaml:1:1: is not UTF-8 but UTF-16 or binary; save it as UTF-8
=== router-names.yaml
policies/other.yaml:1:7: name: a router's name must be 1 to 63 of a-z, 0-9 and -
policies/other.yaml:3:25: policies[0].custom_task.name: a task's name must be 1 to 64 printable ASCII characters without a colon, no space at either end, and not `none` or `other`
policies/other.yaml:5:25: policies[1].custom_task.name: a task's name must be 1 to 64 printable ASCII characters without a colon, no space at either end, and not `none` or `other`
policies/other.yaml:7:25: policies[2].custom_task.name: a task's name must be 1 to 64 printable ASCII characters without a colon, no space at either end, and not `none` or `other`
policies/other.yaml:9:25: policies[3].custom_task.name: a task's name must be 1 to 64 printable ASCII characters without a colon, no space at either end, and not `none` or `other`
policies/other.yaml:11:25: policies[4].custom_task.name: a task's name must be 1 to 64 printable ASCII characters without a colon, no space at either end, and not `none` or `other`
policies/other.yaml:13:61: policies[5].custom_task.examples[1]: must not be empty
policies/other.yaml:13:65: policies[5].custom_task.examples[2]: this example is here twice
policies/other.yaml:15:18: fallback_models: must not be empty
=== router-references.yaml
policies/other.yaml:3:16: policies[0].task_slug: there is no task `sumarization` in the library; did you mean `summarization`?
policies/other.yaml:4:13: policies[0].models: must name 1 to 3 models
policies/other.yaml:4:14: policies[0].models[0]: there is no model `smal`; did you mean `small`?
policies/other.yaml:4:27: policies[0].models[2]: `small` is here twice
policies/other.yaml:4:34: policies[0].models[3]: `small` is here twice
policies/other.yaml:5:32: policies[0].selection_policy.prefer: must be one of none, cheapest, fastest, optimal; did you mean `cheapest`?
policies/other.yaml:7:18: policies[1].custom_task: a policy has one task: leave out `task_slug` or `custom_task`
policies/other.yaml:8:13: policies[1].models: must name 1 to 3 models
policies/other.yaml:9:5: policies[2]: `task_slug` or `custom_task` is missing
policies/other.yaml:12:16: policies[4].task_slug: this task is in the router twice; the first is at policies/other.yaml:10:16
policies/other.yaml:14:23: policies[4].selection_policy: must be a mapping, as in {name: value}
policies/other.yaml:15:19: fallback_models[0]: there is no model `large`
policies/other.yaml:16:12: threshold: must be from 0 to 1
=== router-unknown-keys.yaml
policies/other.yaml:1:1: nane: unknown key; did you mean `name`?
policies/other.yaml:1:1: policies: is missing
policies/other.yaml:2:1: policy: unknown key
policies/other.yaml:4:18: fallback_models: must be a list, as in [a, b]
policies/other.yaml:5:12: failover.total: unknown key
policies/other.yaml:6:16: switch_budget: must not be negative
"#;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/yaml")
}

/// What is said of each file: of `main-…` as the main file, of any other as a file among the routers.
fn said_of_all() -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let folder = Folder::new(&name);
        let bytes = fs::read(corpus().join(&name)).unwrap();
        if name.starts_with("main-") {
            folder.write("pointsman.yaml", bytes);
        } else {
            folder.write("pointsman.yaml", MINIMAL);
            folder.write("policies/other.yaml", bytes);
        }
        all.insert(name, folder.said(&NOT_READING));
    }
    all
}

#[test]
fn every_mistake_of_every_file_is_reported_where_it_is() {
    let mut text = String::from("\n");
    for (name, faults) in said_of_all() {
        writeln!(text, "=== {name}").unwrap();
        for fault in faults {
            writeln!(text, "{fault}").unwrap();
        }
    }
    for (line, expected) in text.lines().zip(EXPECTED.lines()) {
        assert_eq!(line, expected);
    }
    assert_eq!(text, EXPECTED);
}

#[test]
fn no_report_repeats_a_secret() {
    for (name, faults) in said_of_all() {
        assert!(!faults.concat().contains("canary"), "{name}");
    }
}

#[test]
fn a_socket_has_a_short_path() {
    assert_eq!(said_after("upgrade_socket: run/up.sock\n"), [""; 0]);
    assert_eq!(said_after("upgrade_socket: \"5\"\n"), [""; 0], "a file may be called so");
    let long = said_after(&format!("upgrade_socket: /{}\n", "x".repeat(101)));
    assert_eq!(long.len(), 1);
    assert!(long[0].contains("upgrade_socket: is too long for a socket"), "{long:?}");
}

#[test]
fn a_key_without_its_secret_has_a_name_all_the_same() {
    let folder = Folder::new("keys");
    let keys =
        "keys:\n  - {name: ci, key: env:UNSET, routers: [none]}\n  - {name: ci, key: env:SET}\n";
    folder.write("pointsman.yaml", MINIMAL.to_owned() + keys);
    let said = folder.said(&READING);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("keys[0].key: the environment variable UNSET is not set"));
    assert!(said[1].contains("keys[0].routers[0]: there is no router `none`"));
    assert!(said[2].contains("keys[1].name: another key has this name: pointsman.yaml:6:12"));
}

#[test]
fn ten_thousand_levels_are_one_mistake() {
    for deep in
        ["[".repeat(10_000), "{a: ".repeat(10_000), "- ".repeat(10_000), "a: [".repeat(10_000)]
    {
        assert_eq!(said(&deep, &[]).len(), 1);
    }
    let block = (0..10_000).map(|level| " ".repeat(level) + "a:\n").collect::<String>();
    assert!(said(&block, &[])[0].contains("nested deeper than 64 levels"));
}

#[test]
fn a_huge_file_is_one_mistake() {
    let folder = Folder::new("huge");
    folder.write("pointsman.yaml", "a: 1\n".repeat(1_000_000));
    assert_eq!(folder.said(&NOT_READING), ["pointsman.yaml: is larger than 4194304 bytes"]);
    let wide = "- a\n".repeat(300_000);
    assert_eq!(
        said(&wide, &[]),
        ["main.yaml:200000:3: [199999]: more than 200000 values, aliases expanded"]
    );
}

#[test]
fn a_report_is_bounded() {
    let keys = (0..5_000).map(|index| ["unknown", &index.to_string(), ": 1\n"].concat());
    let keys: String = keys.collect();
    let said = said_after(&keys);
    assert_eq!(said.len(), 1_001);
    assert_eq!(said.last().unwrap(), "main.yaml: and 4000 more mistakes");
}

#[test]
fn nothing_is_said_of_references_to_what_could_not_be_read() {
    let router =
        "name: r\npolicies: [{task_slug: translation, models: [x]}]\nfallback_models: [y]\n";
    assert_eq!(said("models: [\n", &[router]).len(), 1, "the main file alone is at fault");
    let keys = "keys: [{name: a, key: env:A, routers: [r]}]\n";
    let broken = router.replace("name: r", "name: [");
    let said = said(&format!("{MINIMAL}{keys}"), &[&broken]);
    assert!(said.iter().all(|fault| fault.starts_with("r0.yaml")), "{said:?}");
}
