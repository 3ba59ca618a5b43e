//! Every scenario with the real SDKs, in front of every upstream API: `tests/sdk/matrix.py` and `agent_session.py`.

use std::{net::TcpListener, process::Command};

use pointsman::{
    catalog::provider::Api,
    simulator::{
        Model, Provider, Running,
        fault::{Fault, Order, RetryAfter},
        start,
    },
};
use serde_json::{Value, json};

use crate::{
    sdk::python,
    support::{
        program::{Program, said},
        setup::Setup,
        tests,
    },
};

/// A model, its provider and the provider's API.
const SERVED: [(&str, &str, Api); 3] = [
    ("gpt", "openai", Api::OpenAi),
    ("glm", "chat", Api::OpenAiChat),
    ("claude", "anthropic", Api::Anthropic),
];
const FAULTS: [&str; 14] = [
    "s400", "s401", "s403", "s404", "s413", "s422", "s429", "s500", "s503", "s529", "cut", "error",
    "filter", "refusal",
];

fn fault(kind: &str) -> Fault {
    match kind {
        "cut" => Fault::CutAfterTokens { tokens: 3 },
        "error" => Fault::ErrorEvent { tokens: 3 },
        "filter" => Fault::ContentFilter,
        "refusal" => Fault::Refusal,
        status => Fault::Status {
            status: status[1..].parse().unwrap(),
            retry_after: (status == "s429").then_some(RetryAfter::Seconds(7)),
            message: Some("simulated mistake".to_owned()),
        },
    }
}

/// The names of the models that have a fault: one for each SDK and way to ask, so that no breaker joins two of them.
fn faulty(model: &str) -> Vec<(String, &'static str)> {
    let kinds = FAULTS.iter().flat_map(|kind| {
        let surfaces = ["chat", "responses", "messages"].into_iter();
        surfaces.flat_map(move |surface| {
            ["whole", "stream"].map(|mode| (format!("{model}-{kind}-{surface}-{mode}"), *kind))
        })
    });
    let plain = ["s403", "s429"].map(|kind| (format!("{model}-{kind}"), kind));
    kinds.chain(plain).collect()
}

fn simulated(name: &str, api: Api, model: &str) -> Running {
    let plain = Model { answer_tokens: 30, ..Model::instant(&format!("upstream-{model}")) };
    let faulty = faulty(model).into_iter().map(|(name, kind)| Model {
        answer_tokens: 30,
        fault: Some(Order::always(fault(kind))),
        ..Model::instant(&format!("upstream-{name}"))
    });
    let models = std::iter::once(plain).chain(faulty).collect();
    let key = Some(format!("sk-CANARY-provider-{name}"));
    let provider = Provider { name: name.to_owned(), api, key, models };
    start(TcpListener::bind("127.0.0.1:0").unwrap(), provider).unwrap()
}

fn with_models(mut setup: Setup, name: &str, provider: &str) -> Setup {
    setup = setup.model(name, provider, "modalities: [text, image, document]");
    for (faulty, _) in faulty(name) {
        setup = setup.model(&faulty, provider, "");
    }
    setup
}

#[track_caller]
fn passes(script: &str, arguments: &Value, last: &str) {
    let Some(python) = python() else { return };
    let output = Command::new(python)
        .arg(tests().join("sdk").join(script))
        .arg(arguments.to_string())
        .args(std::env::var("POINTSMAN_SCENARIOS").iter().flat_map(|only| only.split(' ')))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(last), "{text}");
    println!("{text}");
}

#[test]
fn g01_g06_every_sdk_in_front_of_every_upstream_api() {
    let running = SERVED.map(|(model, provider, api)| simulated(provider, api, model));
    let mut setup = Setup::new().router("all", &["glm", "gpt", "claude"]).with(
        "keys:\n- {name: sdk, key: env:SDK_KEY}\n- {name: limited, key: env:LIMITED_KEY, models: [glm]}\nmax_body: 1MiB",
    );
    let mut own = Setup::new();
    for ((model, provider, api), running) in SERVED.iter().zip(&running) {
        let address = running.address();
        setup = with_models(setup.provider(provider, api.as_str(), address), model, provider);
        let fields =
            format!("api: {}, base_url: \"http://{address}/v1\", auth: passthrough", api.as_str());
        own = with_models(own.raw_provider(provider, &fields), model, provider);
    }
    let setup = setup
        .environment("SDK_KEY", "sk-CANARY-sdk")
        .environment("LIMITED_KEY", "sk-CANARY-limited");
    let (program, own) = (Program::start(&setup), Program::start(&own));
    let [openai, chat, anthropic] = running.each_ref().map(|running| running.address().to_string());
    let arguments = json!({
        "base": format!("http://{}", program.data()), "own": format!("http://{}", own.data()),
        "key": "sk-CANARY-sdk", "limited": "sk-CANARY-limited",
        "openai": openai, "chat": chat, "anthropic": anthropic,
        "openai_key": "sk-CANARY-provider-openai", "anthropic_key": "sk-CANARY-provider-anthropic",
    });
    passes("matrix.py", &arguments, " 0 failed");
}

#[test]
fn g01_g02_a_coding_agents_session_with_models_of_another_api() {
    let running = simulated("chat", Api::OpenAiChat, "glm");
    let setup = Setup::new()
        .provider("chat", "openai-chat", running.address())
        .model("glm", "chat", "modalities: [text, image, document]")
        .router("agents", &["glm"]);
    let program = Program::start(&setup);
    let arguments = json!({
        "base": format!("http://{}", program.data()), "chat": running.address().to_string(),
    });
    passes("agent_session.py", &arguments, "agent session: ok");
}
