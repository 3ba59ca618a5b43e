//! The real SDKs in front of the real program, with simulated providers behind it.

use std::{fs::File, net::TcpListener, path::Path, process::Command};

use pointsman::{
    catalog::provider::Api,
    simulator::{
        Model, Provider, Running,
        fault::{Fault, Order},
        start,
    },
};

use crate::support::{
    program::{Program, said},
    setup::Setup,
    tests,
};

fn simulated(name: &str, api: Api, models: Vec<Model>) -> Running {
    let key = Some(format!("sk-CANARY-provider-{name}"));
    let provider = Provider { name: name.to_owned(), api, key, models };
    start(TcpListener::bind("127.0.0.1:0").unwrap(), provider).unwrap()
}

fn faulty(id: &str, fault: Fault) -> Model {
    Model { answer_tokens: 40, fault: Some(Order::always(fault)), ..Model::instant(id) }
}

/// Python with both SDKs, in an environment of the project's own; `None`, with the reason said, where it cannot be had.
pub(crate) fn python() -> Option<std::path::PathBuf> {
    // Several tests, in processes of their own with some runners, may find it missing at once.
    let one_at_a_time = File::create(std::env::temp_dir().join("pointsman-venv.lock")).unwrap();
    one_at_a_time.lock().unwrap();
    let venv = tests().parent().map(Path::to_owned)?.join(".tools/venv");
    let python = venv.join("bin/python");
    let ready = || {
        let import = Command::new(&python).args(["-c", "import openai, anthropic"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if ready() {
        return Some(python);
    }
    let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).output();
    if !made.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: python3 with venv is not here, the SDKs were not tried");
        return None;
    }
    let requirements = tests().join("sdk/requirements.txt");
    let installed = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "-r"])
        .arg(requirements)
        .output();
    if !installed.is_ok_and(|output| output.status.success()) || !ready() {
        eprintln!("SKIPPED: the SDKs cannot be installed, they were not tried");
        return None;
    }
    Some(python)
}

#[test]
fn g06_the_sdks_see_what_they_would_see_of_a_provider() {
    let Some(python) = python() else { return };
    let plain = |id: &str| Model { answer_tokens: 40, ..Model::instant(id) };
    let cut = Fault::CutAfterTokens { tokens: 3 };
    let limited = Fault::Status {
        status: 400,
        retry_after: None,
        message: Some("simulated mistake".to_owned()),
    };
    let openai = simulated(
        "openai",
        Api::OpenAi,
        vec![
            plain("upstream-gpt"),
            faulty("upstream-gpt-cut", cut.clone()),
            faulty("upstream-gpt-bad", limited.clone()),
        ],
    );
    let anthropic = simulated(
        "anthropic",
        Api::Anthropic,
        vec![
            plain("upstream-claude"),
            faulty("upstream-claude-cut", cut),
            faulty("upstream-claude-bad", limited),
        ],
    );
    let chat = simulated("zhipu", Api::OpenAiChat, vec![plain("upstream-glm")]);
    let setup = Setup::new()
        .provider("openai", "openai", openai.address())
        .provider("anthropic", "anthropic", anthropic.address())
        .provider("zhipu", "openai-chat", chat.address())
        .model("gpt", "openai", "")
        .model("gpt-cut", "openai", "")
        .model("gpt-bad", "openai", "")
        .model("claude", "anthropic", "")
        .model("claude-cut", "anthropic", "")
        .model("claude-bad", "anthropic", "")
        .model("glm", "zhipu", "")
        .router("both", &["glm", "claude"])
        .with("keys: [{name: sdk, key: env:SDK_KEY}]")
        .environment("SDK_KEY", "sk-CANARY-sdk");
    let program = Program::start(&setup);
    let script = tests().join("sdk/smoke.py");
    let output = Command::new(python)
        .arg(script)
        .arg(format!("http://{}", program.data()))
        .arg("sk-CANARY-sdk")
        .output()
        .unwrap();
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("sdk smoke: ok"), "{text}");
}
