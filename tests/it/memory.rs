//! What is kept: answers that are collected count against `limits.memory` (B17), and nothing is written at home.

use crate::support::{
    program::{Program, chat, command, said},
    reply,
    setup::{Folder, Setup},
    upstream::Upstream,
};

const ALPHA: &str = "/v1/chat/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

#[test]
fn b17_an_answer_that_has_no_room_is_refused_and_blames_nobody() {
    let text = "x".repeat(8 << 20);
    let upstream = Upstream::answering(move |_, request| {
        let long = request.text().contains("long");
        let answer = if long { text.as_str() } else { "fine" };
        match request.target() {
            "/v1/embeddings" => {
                reply::json(200, &format!(r#"{{"object":"list","model":"m","data":["{answer}"]}}"#))
            }
            _ => reply::chat(answer),
        }
    });
    let other = Upstream::always(reply::chat("not asked"));
    let setup = Setup::new()
        .provider("one", "openai", upstream.address())
        .provider("two", "openai", other.address())
        .model("alpha", "one", "")
        .model("beta", "two", "")
        .router("both", &["alpha", "beta"])
        .with("max_body: 1MiB")
        .with("limits: {memory: 4MiB}");
    let program = Program::start(&setup);
    for _ in 0..6 {
        let embed = r#"{"model":"alpha","input":"long"}"#;
        for answer in [
            program.post(ALPHA, &[], &chat("router:both", "long", false)),
            program.post(EMBEDDINGS, &[], embed),
        ] {
            assert_eq!((answer.status(), answer.code().as_str()), (503, "overloaded"));
            assert!(answer.header("retry-after").is_some());
        }
    }
    // It was no fault of the provider's: nothing has opened, nothing moved on, and there is room for what is small.
    assert_eq!(other.requests(), 0);
    assert_eq!(program.chat("alpha").status(), 200);
    let metrics = program.metrics();
    assert!(metrics.sum("pointsman_breaker_state", &[("model", "alpha")]).abs() < 0.5);
    assert!(metrics.sum("pointsman_failovers_total", &[]).abs() < 0.5);
}

#[test]
fn nothing_is_kept_at_home() {
    // ONNX Runtime would begin a record of its use there, to be sent to its maker.
    let home = Folder::new();
    let setup = Setup::two(Upstream::refusing(), Upstream::refusing())
        .with("classifier: {model: router-models/default}")
        .environment("HOME", home.path().to_str().unwrap())
        .environment("XDG_CACHE_HOME", home.path().to_str().unwrap());
    let folder = setup.write();
    let main = folder.main();
    let arguments = ["route", "-c", main.to_str().unwrap(), "--router", "both", "Mend this."];
    let mut command = command(&setup, &arguments);
    let output = command.env_remove("ORT_DISABLE_TELEMETRY").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"probability\""));
    let kept: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(kept.is_empty(), "{kept:?}");
}
