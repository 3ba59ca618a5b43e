//! The example of the design, read to the right values.

use std::time::Duration;

use crate::{
    catalog::{
        provider::{Api, Auth},
        router::Prefer,
        settings::{
            ChatFormat, Classifier, Failover, LogFormat, LogLevel, PriceFormat, Rescue, Timeouts,
        },
    },
    config::{
        Summary, load_texts, needs_restart,
        tests::{Folder, MINIMAL, NOT_READING, READING, ROUTER},
    },
};

/// Every key of the design, once.
pub(super) const FULL: &str = r#"
listen: 127.0.0.1:9080
admin: "[::1]:9081"
providers:
  openai:
    api: openai
    base_url: https://api.openai.com/v1/
    api_key: env:SET
  anthropic: {api: anthropic, base_url: https://api.anthropic.com/v1, api_key: env:SET}
  local: {api: openai-chat, base_url: http://127.0.0.1:8000/v1, allow_private: true}
  azure:
    api: openai-chat
    base_url: https://example.openai.azure.com/openai/v1
    api_key: file:azure.key
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
routers: [policies/*.yaml]
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
  - {name: any, key: file:any.key}
admin_key: env:SET
upgrade_socket: run/upgrade.sock
"#;

const FULL_ROUTER: &str = r#"
name: software-engineering
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

fn full() -> (Folder, crate::config::Loaded) {
    let folder = Folder::new("full");
    folder.write("pointsman.yaml", FULL);
    folder.write("policies/a.yaml", FULL_ROUTER);
    folder.write("azure.key", "canary-of-a-file\r\n");
    folder.write("any.key", "canary-of-another-file");
    let loaded = folder.load(&READING);
    let loaded = loaded.unwrap_or_else(|refused| panic!("{refused}"));
    (folder, loaded)
}

#[test]
fn providers_are_read_with_their_credentials() {
    let (_folder, loaded) = full();
    let providers = loaded.catalog.providers;
    let openai = &providers["openai"];
    assert_eq!((openai.api, openai.base_url.as_str()), (Api::OpenAi, "https://api.openai.com/v1"));
    assert!(
        matches!(&openai.auth, Auth::Bearer(key) if key.expose() == "canary-of-the-environment")
    );
    let auth = &providers["anthropic"].auth;
    assert!(matches!(auth, Auth::Header(name, _) if name == "x-api-key"));
    assert!(providers["local"].allow_private && matches!(providers["local"].auth, Auth::None));
}

#[test]
fn a_provider_may_want_its_own_header_query_and_headers() {
    let (_folder, loaded) = full();
    let azure = &loaded.catalog.providers["azure"];
    assert!(
        matches!(&azure.auth, Auth::Header(name, key) if name == "api-key" && key.expose() == "canary-of-a-file")
    );
    assert_eq!(azure.query, [("api-version".to_owned(), "2026-03-01".to_owned())]);
    assert_eq!(
        (azure.headers[0].0.as_str(), azure.headers[0].1.as_bytes()),
        ("x-team", &b"search"[..])
    );
}

#[test]
fn models_are_read_with_prices_and_limits() {
    let (_folder, loaded) = full();
    let models = loaded.catalog.models;
    let gpt = &models["gpt-5.2"];
    let targets: Vec<&str> = gpt.targets.iter().map(|target| target.id.as_str()).collect();
    assert_eq!(targets, ["gpt-5.2@openai/gpt-5.2-2025-12-11", "gpt-5.2@azure/gpt-5.2"]);
    assert!(gpt.prefill && gpt.modalities.image && !gpt.modalities.audio && gpt.features.tools);
    assert_eq!((gpt.context_window, gpt.max_output), (Some(400_000), Some(128_000)));
    assert_eq!(gpt.pricing.base.input.map(crate::money::PerMillion::dollars), Some(1.75));
    assert!(gpt.pricing.base.cache_write.is_none(), "not known is not zero");
    let glm = &models["glm-5"];
    let tiers: Vec<u64> = glm.pricing.tiers.iter().map(|tier| tier.above).collect();
    assert_eq!(tiers, [200_000, 400_000], "rising");
    let off_peak = &glm.pricing.schedule[0];
    assert_eq!(off_peak.zone.iana_name(), Some("America/Los_Angeles"));
    assert_eq!((off_peak.from.hour(), off_peak.to.hour(), off_peak.discount), (22, 4, 0.1));
    assert!(!glm.features.tools && !glm.features.reasoning);
    assert_eq!(glm.timeouts.first_token, Duration::from_secs(20));
    assert_eq!(glm.timeouts.total, Duration::from_mins(11), "the file's, where a model sets none");
}

#[test]
fn settings_are_read() {
    let (folder, loaded) = full();
    let settings = loaded.catalog.settings;
    assert_eq!(settings.listen.to_string(), "127.0.0.1:9080");
    assert_eq!(settings.admin.to_string(), "[::1]:9081");
    let Some(Classifier::Chat(chat)) = settings.classifier else { panic!("a chat classifier") };
    assert_eq!((chat.provider.as_str(), chat.format), ("local", ChatFormat::PlanoOrchestrator));
    assert_eq!(settings.latency.unwrap().query, "avg by (m) (${x})");
    assert_eq!((settings.affinity.idle, settings.affinity.capacity), (Duration::from_hours(2), 5));
    assert_eq!(settings.prices[0].format, PriceFormat::ModelsDev);
    assert_eq!(settings.upgrade_socket, Some(folder.0.join("run/upgrade.sock")));
}

#[test]
fn limits_of_time_and_size_are_read() {
    let (_folder, loaded) = full();
    let settings = loaded.catalog.settings;
    assert_eq!(settings.body_timeout, Duration::from_secs(61));
    assert_eq!(
        settings.timeouts,
        Timeouts {
            connect: Duration::from_secs(4),
            first_token: Duration::from_secs(62),
            between_tokens: Duration::from_secs(63),
            response: Duration::from_mins(6),
            total: Duration::from_mins(11),
        }
    );
    let wait = Duration::from_secs(2);
    let failover = Failover { attempts: 5, same_target: 1, wait, rescue: Rescue::Continue };
    assert_eq!(settings.failover, failover);
    assert_eq!((settings.max_body, settings.limits.connections), (16 << 20, 7));
    assert_eq!((settings.limits.memory, settings.drain), (2 << 30, Duration::ZERO));
    assert_eq!((settings.log.format, settings.log.level), (LogFormat::Text, LogLevel::Debug));
}

#[test]
fn routers_and_keys_are_read() {
    let (_folder, loaded) = full();
    assert_eq!(
        Summary::of(&loaded.catalog).to_string(),
        "4 providers, 2 models, 1 router, 2 tasks, 2 keys"
    );
    let catalog = loaded.catalog;
    let router = catalog.router("software-engineering").unwrap();
    assert_eq!(router.policies[0].prefer, Prefer::Fastest);
    assert_eq!(router.policies[0].task.name.as_str(), "code-generation");
    assert_eq!(router.policies[1].prefer, Prefer::Given);
    assert_eq!(router.policies[1].task.examples, ["This throws a KeyError on ${x}, why?"]);
    assert_eq!((router.threshold, router.switch_budget), (Some(0.5), Some(20.0)));
    assert_eq!((router.failover.attempts, router.failover.rescue), (2, Rescue::Continue));
    assert_eq!(catalog.keys[0].routers.as_ref().unwrap().len(), 1);
    assert_eq!(
        catalog.keys[0].models.as_ref().map(Vec::len),
        Some(0),
        "an empty list is not absent"
    );
    assert!(catalog.keys[1].routers.is_none() && catalog.keys[1].models.is_none());
    assert!(catalog.admin_key.is_some());
}

#[test]
fn what_is_absent_has_the_defaults_of_the_design() {
    let loaded = load_texts(("main.yaml", MINIMAL), &[("r.yaml", ROUTER)], &READING).ok().unwrap();
    assert!(loaded.warnings.is_empty());
    let settings = &loaded.catalog.settings;
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.admin.to_string(), "127.0.0.1:8081");
    assert!(settings.classifier.is_none() && settings.latency.is_none() && settings.tls.is_none());
    assert_eq!((settings.max_body, settings.limits.memory), (32 << 20, 1 << 30));
    assert_eq!(settings.drain, Duration::from_secs(30));
    assert_eq!(settings.timeouts, Timeouts::default());
    assert_eq!(settings.failover, Failover::default());
    let model = loaded.catalog.model("small").unwrap();
    assert_eq!(&*model.targets[0].upstream_id, "small");
    assert!(model.context_window.is_none() && model.features.json && !model.modalities.image);
}

#[test]
fn secrets_that_are_not_read_need_not_be_there_and_serve_nobody() {
    let folder = Folder::new("unread");
    folder.write("pointsman.yaml", FULL.replace("env:SET", "env:ABSENT"));
    folder.write("policies/a.yaml", FULL_ROUTER);
    let catalog = folder.load(&NOT_READING).ok().unwrap().catalog;
    assert!(catalog.providers.values().all(|provider| matches!(provider.auth, Auth::None)));
    for presented in ["", "env:ABSENT", "unread"] {
        let digest = crate::secret::SecretDigest::of(presented);
        assert!(!catalog.keys.iter().any(|key| key.digest.matches(&digest)), "{presented}");
    }
}

#[test]
fn a_reload_may_change_all_but_the_listeners() {
    let load = |text: &str| load_texts(("main.yaml", text), &[], &READING).ok().unwrap();
    let running = load(MINIMAL).catalog.settings;
    assert!(needs_restart(&running, &load(&format!("drain: 5s\n{MINIMAL}"))).is_none());
    let moved = load(&format!("{MINIMAL}admin: 127.0.0.1:9\nlisten: 127.0.0.1:7\n"));
    let faults: Vec<String> =
        needs_restart(&running, &moved).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "main.yaml:6:9: listen: this change needs a restart",
            "main.yaml:5:8: admin: this change needs a restart",
        ]
    );
    let back = needs_restart(&moved.catalog.settings, &load(MINIMAL)).unwrap();
    assert_eq!(back[0].to_string(), "main.yaml:1:1: listen: this change needs a restart");
}
