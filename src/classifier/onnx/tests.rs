//! The shipped model, loaded as the program loads it. Without it or without the runtime (`make runtime`) these tests
//! cannot say anything, and say so.

use std::{fs, path::PathBuf};

use crate::{
    catalog::{
        router::{Policy, Prefer, Task},
        settings::Failover,
    },
    ids::{RouterName, TaskName},
};

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("router-models/default")
}

fn settings(folder: PathBuf) -> OnnxClassifier {
    OnnxClassifier { folder, threads: 1, timeout: Duration::from_mins(1) }
}

pub(super) fn load() -> Onnx {
    Onnx::load(&settings(folder())).unwrap_or_else(|fault| panic!("{fault}"))
}

pub(super) fn policy(name: &str, description: &str, examples: Vec<String>) -> Policy {
    Policy {
        task: Arc::new(Task {
            name: TaskName::parse(name).unwrap(),
            description: description.to_owned(),
            examples,
            quality: std::collections::BTreeMap::default(),
        }),
        models: Vec::new(),
        prefer: Prefer::Given,
    }
}

pub(super) fn router(tasks: &[(&str, &str)]) -> Arc<Router> {
    let policies = tasks.iter().map(|(name, description)| policy(name, description, Vec::new()));
    Arc::new(Router {
        name: RouterName::parse("test").unwrap(),
        description: String::new(),
        policies: policies.collect(),
        fallbacks: Vec::new(),
        threshold: None,
        failover: Failover::default(),
        switch_budget: None,
    })
}

fn coding() -> Arc<Router> {
    router(&[
        ("bug-fixing", "Identify and fix errors or bugs in code that the user supplies"),
        ("translation", "Translate text from one language to another"),
        ("summarization", "Summarize documents and texts"),
    ])
}

/// A copy of the model's folder in which one file is another.
fn spoiled(name: &str, change: impl Fn(&mut Vec<u8>)) -> Result<(), String> {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let to = std::env::temp_dir().join(format!("pointsman-model-{}-{number}", std::process::id()));
    fs::create_dir_all(&to).unwrap();
    for entry in fs::read_dir(folder()).unwrap() {
        let from = entry.unwrap().path();
        let target = to.join(from.file_name().unwrap());
        if from.file_name().unwrap() == name {
            let mut bytes = fs::read(&from).unwrap();
            change(&mut bytes);
            fs::write(target, bytes).unwrap();
        } else {
            std::os::unix::fs::symlink(fs::canonicalize(&from).unwrap(), target).unwrap();
        }
    }
    let loaded = Onnx::load(&settings(to.clone()));
    fs::remove_dir_all(to).unwrap();
    loaded.map(drop).map_err(|fault| fault.to_string())
}

#[test]
fn every_golden_case_is_reproduced() {
    let runtime = Runtime::find().unwrap_or_else(|fault| panic!("{fault}"));
    let golden = golden::Golden::read(&folder()).unwrap();
    golden.check_tokens(&Tokenizer::load(&folder()).unwrap()).unwrap();
    let mut encoder = Encoder::open(&runtime, &folder()).unwrap();
    golden.check_vectors(&mut encoder, usize::MAX).unwrap();
}

#[test]
fn between_no_examples_and_all_a_logit_means_something_between() {
    let manifest = Manifest::read(&folder()).unwrap();
    let [none, half, all] = [0.0, 0.5, 1.0].map(|share| manifest.calibration(share));
    assert!(none != all, "the model has no calibration of its own for examples");
    assert!((half.temperature - f64::midpoint(none.temperature, all.temperature)).abs() < 1e-9);
    assert!((half.none_offset - f64::midpoint(none.none_offset, all.none_offset)).abs() < 1e-9);
}

#[test]
fn a_model_need_not_be_calibrated_for_examples() {
    let loaded = spoiled("model.json", |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let own = ["\"examples_none_offset\"", "\"examples_temperature\""];
        let kept = text.lines().filter(|line| !own.iter().any(|name| line.contains(name)));
        let kept: Vec<&str> = kept.collect();
        assert_eq!(kept.len() + own.len(), text.lines().count());
        *bytes = kept.join("\n").into_bytes();
    });
    assert_eq!(loaded, Ok(()));
}

#[tokio::test]
async fn tasks_are_matched_in_any_language_and_none_where_none_fits() {
    let (model, router) = (load(), coding());
    model.prepare(&[Arc::clone(&router)]).await.unwrap();
    for (text, task) in [
        ("Why does this loop never end? while x: print(x)", Some(0)),
        ("Übersetze das bitte ins Englische: Guten Morgen", Some(1)),
        ("请用一句话总结这篇文章", Some(2)),
        ("book a table for two on friday", None),
    ] {
        let conversation = Conversation::from_text(text);
        let verdict = model.classify(&conversation, &router, None).await.unwrap();
        let sum: f64 = verdict.probabilities.iter().sum::<f64>() + verdict.none;
        assert!((sum - 1.0).abs() < 1e-9);
        assert_eq!(
            crate::classify::matched(&verdict, verdict.threshold),
            task,
            "{text}: {verdict:?}"
        );
    }
}

/// What the advice on `tasks` says of tasks that are alike.
async fn alike(model: &Onnx, tasks: &[(&str, &str)]) -> Vec<String> {
    let found = crate::advice::on(&router(tasks), Some(model)).await;
    let said = found.into_iter().map(|warning| warning.message);
    said.filter(|message| message.contains("cannot be told apart")).collect()
}

#[tokio::test]
async fn tasks_that_mean_the_same_are_found_and_near_ones_left_alone() {
    let model = load();
    let (mut same, mut near) = ((0, 0), (0, 0));
    for line in include_str!("../../../tests/corpus/tasks/pairs.tsv").lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let found = alike(&model, &[(fields[1], fields[2]), (fields[3], fields[4])]).await;
        let count = if fields[0] == "same" { &mut same } else { &mut near };
        *count = (count.0 + found.len(), count.1 + 1);
    }
    assert_eq!((same.1, near.1), (30, 30));
    assert!(same.0 >= 20, "{} of 30 pairs that mean the same were found", same.0);
    assert!(near.0 <= 2, "{} of 30 pairs that differ were warned of", near.0);
}

#[tokio::test]
async fn the_task_library_can_be_told_apart() {
    let texts = include_str!("../../../policies/tasks.yaml");
    let loaded = crate::config::load_texts(
        (
            "main",
            "providers: {p: {api: openai, base_url: \"https://example.com/v1\"}}\nmodels: {m: {endpoints: [{provider: p}]}}",
        ),
        &[("tasks", texts)],
        &crate::config::LoadOptions::default(),
    );
    let library = loaded.unwrap_or_else(|refused| panic!("{refused}")).catalog.tasks;
    let tasks: Vec<(&str, &str)> =
        library.iter().map(|(name, task)| (name.as_str(), task.description.as_str())).collect();
    assert_eq!(alike(&load(), &tasks).await, [""; 0]);
}

#[tokio::test]
async fn what_was_not_read_whole_is_said_and_not_cached() {
    let (model, router) = (load(), coding());
    let short = Conversation::from_text("translate this");
    let long = Conversation::from_text(&format!("{} translate this", "very long ".repeat(20_000)));
    assert!(!model.classify(&short, &router, None).await.unwrap().truncated);
    assert!(model.classify(&long, &router, None).await.unwrap().truncated);
    model.verdicts.run_pending_tasks();
    assert_eq!(model.verdicts.entry_count(), 1);
}

#[tokio::test]
async fn a_verdict_that_is_not_there_in_time_is_late() {
    let (model, router) = (load(), coding());
    let conversation = Conversation::from_text("translate this");
    let late = model.classify(&conversation, &router, Some(Duration::ZERO)).await;
    assert_eq!(late.unwrap_err(), Unclassified::Late);
}

#[test]
fn a_spoiled_model_is_refused_and_the_file_is_named() {
    let check = |name: &str, change: fn(&mut Vec<u8>), said: &str| {
        let refused = spoiled(name, change).unwrap_err();
        assert!(refused.contains(name) && refused.contains(said), "{refused}");
    };
    check("words.bin", |bytes| bytes.truncate(1_000), "bytes");
    check("words.bin", |bytes| bytes[77] ^= 1, "SHA-256");
    check("encoder.onnx", Vec::clear, "");
    check("pieces.bin", |bytes| bytes[0] ^= 1, "");
    check("model.json", |bytes| bytes.truncate(20), "EOF");
    check("model.json", |bytes| bytes[13] = b'9', "format is 9");
}
