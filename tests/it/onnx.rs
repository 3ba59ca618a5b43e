//! H: the classifier inside the process, with the default model. Without it beside the program these tests are skipped.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use serde_json::Value;

use crate::support::{
    http::Message,
    program::{Program, binary, chat, run, said},
    reply,
    setup::Setup,
    until,
    upstream::Upstream,
};

const CHAT: &str = "/v1/chat/completions";
const DRY: &str = "/routing/v1/chat/completions";

const ROUTER: &str = "name: desk\npolicies:\n  - custom_task: {name: code, description: Write or repair computer programs.}\n    \
                      models: [beta]\n  - custom_task: {name: cooking, description: Recipes and how to prepare food.}\n    \
                      models: [beta]\nfallback_models: [alpha]\n";

/// The default model beside the program, or word that the test is skipped.
fn model() -> Option<PathBuf> {
    let program = PathBuf::from(binary());
    let beside = program.parent()?;
    let model = beside.join("router-models/default");
    if model.join("model.json").is_file() && beside.join("libonnxruntime.so").is_file() {
        return Some(model);
    }
    println!("SKIPPED: no default model beside {}", program.display());
    None
}

/// A router `desk` of two tasks whose model is beta, and that falls back on alpha.
fn desk(upstream: &Upstream, model: &Path, more: &str) -> Setup {
    Setup::new()
        .provider("one", "openai-chat", upstream.address())
        .model("alpha", "one", "")
        .model("beta", "one", "")
        .file("policies/desk.yaml", &format!("{ROUTER}{more}"))
        .with(&format!("classifier: {{model: \"{}\", timeout: 10s}}", model.display()))
}

fn decided(program: &Program, question: &str) -> Value {
    let answer = program.post(DRY, &[], &chat("router:desk", question, false));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()
}

/// A copy of the model's folder in which `change` was done to `file`.
fn tampered(model: &Path, into: &Path, file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    fs::create_dir_all(into).unwrap();
    for entry in fs::read_dir(model).unwrap() {
        let entry = entry.unwrap();
        let target = into.join(entry.file_name());
        let _old = fs::remove_file(&target);
        if entry.file_name() == *file {
            fs::write(&target, change(fs::read(entry.path()).unwrap())).unwrap();
        } else {
            std::os::unix::fs::symlink(entry.path(), &target).unwrap();
        }
    }
}

#[test]
fn h01_h02_a_model_that_is_not_whole_is_refused_by_name() {
    let Some(model) = model() else { return };
    let upstream = Upstream::always(reply::chat("fine"));
    let folder = desk(&upstream, Path::new("model"), "").write();
    let broken = folder.path().join("model");
    let main = folder.main();
    let setup = desk(&upstream, Path::new("model"), "");
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let flipped = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        bytes
    };
    for file in ["encoder.onnx", "words.bin", "pieces.bin", "tokenizer.json", "golden.json"] {
        for change in [&cut as &dyn Fn(Vec<u8>) -> Vec<u8>, &flipped] {
            tampered(&model, &broken, file, change);
            let output = run(&setup, &["check", "-c", main.to_str().unwrap()]);
            let text = said(&output);
            assert_eq!(output.status.code(), Some(64), "{file}: {text}");
            assert!(text.contains(file), "{file} is not named: {text}");
        }
    }
    tampered(&model, &broken, "model.json", |_| b"{\"format\": 99}".to_vec());
    let output = run(&setup, &["check", "-c", main.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(64), "{}", said(&output));
    fs::remove_file(broken.join("encoder.onnx")).unwrap();
    let output = run(&setup, &["check", "-c", main.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(64), "{}", said(&output));
}

#[test]
fn h01_a_reload_to_a_broken_model_keeps_the_old_one() {
    let Some(model) = model() else { return };
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = desk(&upstream, &model, "");
    let program = Program::start(&setup);
    assert_eq!(decided(&program, "how do I fry an egg")["task"], "cooking");
    let broken = program.folder().path().join("broken");
    tampered(&model, &broken, "encoder.onnx", |bytes| bytes[..1000].to_vec());
    let text = setup.text().replace(&model.display().to_string(), "broken");
    program.folder().write("pointsman.yaml", text);
    program.metric_reaches("pointsman_config_reload_failures_total", &[], 1.0);
    assert_eq!(decided(&program, "how do I bake bread")["task"], "cooking");
    program.logged("encoder.onnx");
}

#[test]
fn h05_more_questions_than_it_can_answer_cost_no_request() {
    let Some(model) = model() else { return };
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = desk(&upstream, &model, "").replace("timeout: 10s", "timeout: 250ms");
    let program = Program::start(&setup);
    let answers: Vec<Message> = thread::scope(|scope| {
        let asking: Vec<_> = (0..20)
            .map(|caller| {
                let program = &program;
                scope.spawn(move || -> Vec<Message> {
                    let mut client = program.client();
                    let ask = |number| {
                        let question = format!("question {number} of {caller}: an egg, a pan?");
                        let body = chat("router:desk", &question, false);
                        client.post(CHAT, &[], &body).answer()
                    };
                    (0..25).map(ask).collect()
                })
            })
            .collect();
        asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect()
    });
    assert_eq!(answers.len(), 500);
    for answer in &answers {
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let reason = answer.header("x-pointsman-reason").unwrap_or_default();
        assert!(matches!(reason, "matched" | "no_match" | "unclassified"), "{reason}");
    }
    let last = until("a classifier that answers again", || {
        let answer = program.post(CHAT, &[], &chat("router:desk", "how do I boil rice", false));
        (answer.header("x-pointsman-reason") == Some("matched")).then_some(answer)
    });
    assert_eq!(last.header("x-model-router-selected-route"), Some("cooking"));
}

#[test]
fn h08_below_the_threshold_nothing_matches_and_equal_questions_get_equal_answers() {
    let Some(model) = model() else { return };
    let upstream = Upstream::always(reply::chat("fine"));
    let strict = Program::start(&desk(&upstream, &model, "threshold: 1\n"));
    let document = decided(&strict, "fix this function");
    assert_eq!((&document["task"], &document["reason"]), (&Value::Null, &"no_match".into()));
    assert!(document["tasks"][0]["probability"].as_f64().unwrap() > 0.0, "{document}");
    let (one, other) = (Program::start(&desk(&upstream, &model, "")), strict);
    let seen = |program: &Program| {
        let document = decided(program, "my loop never ends, why?");
        (document["tasks"].clone(), document["none"].clone())
    };
    assert_eq!(seen(&one), seen(&one));
    assert_eq!(seen(&one), seen(&other), "two processes say the same");
}

#[test]
fn h10_the_command_line_says_what_the_proxy_says() {
    let Some(model) = model() else { return };
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = desk(&upstream, &model, "");
    let program = Program::start(&setup);
    let main = program.folder().main();
    for question in ["Warum bricht diese Schleife nie ab?", "crème brûlée 🍮", "good morning"]
    {
        let output =
            run(&setup, &["route", "-c", main.to_str().unwrap(), "--router", "desk", question]);
        assert!(output.status.success(), "{}", said(&output));
        let offline: Value = serde_json::from_slice(&output.stdout).unwrap();
        let online = decided(&program, question);
        for key in ["task", "reason", "tasks", "none", "truncated", "confidence"] {
            assert_eq!(offline[key], online[key], "{question}: {key}");
        }
    }
}
