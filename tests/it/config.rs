//! K: what `check` says of a configuration. Every mistake of every file at once, with its place.

use crate::support::{
    program::{run, said},
    setup::{Folder, Setup},
    upstream::Upstream,
};

/// What `check` ends with and says.
fn checked(setup: &Setup) -> (i32, String) {
    let folder = setup.write();
    check(setup, &folder)
}

fn check(setup: &Setup, folder: &Folder) -> (i32, String) {
    let output = run(setup, &["check", "-c", folder.main().to_str().unwrap()]);
    let text = said(&output);
    (output.status.code().unwrap_or(-1), text)
}

fn good() -> Setup {
    Setup::two(Upstream::refusing(), Upstream::refusing())
}

/// Refused with 64, and each of `says` is in the report.
#[track_caller]
fn refused(setup: &Setup, says: &[&str]) -> String {
    let (code, text) = checked(setup);
    assert_eq!(code, 64, "{}\n{text}", setup.text());
    for word in says {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
    text
}

#[test]
fn k15_a_good_file_is_ok() {
    let (code, text) = checked(&good());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("ok:"), "{text}");
}

/// A router of these tasks, each a name, a description and the YAML of its examples.
fn routing(tasks: &[(&str, &str, &str)]) -> String {
    let policy = |(name, description, examples): &(&str, &str, &str)| {
        format!(
            "  - custom_task:\n      name: {name}\n      description: {description}\n      examples: [{examples}]\n    models: [alpha]\n"
        )
    };
    let policies: Vec<String> = tasks.iter().map(policy).collect();
    let policies = policies.concat();
    format!("name: shop\npolicies:\n{policies}fallback_models: [alpha]\n")
}

#[test]
fn k_what_is_probably_not_meant_is_a_warning_and_no_mistake() {
    let router = routing(&[
        ("billing", "\"\"", "where is my invoice"),
        ("returns", "About returns", ""),
        ("orders", "parcels", ""),
        ("refunds", "Customers who want their money back", "Where is my  INVOICE"),
    ]);
    let folder = good().file("policies/shop.yaml", &router).write();
    let output = run(&good(), &["check", "-c", folder.main().to_str().unwrap()]);
    let out = String::from_utf8(output.stdout).unwrap();
    let warnings = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && out.starts_with("ok:"), "{out}{warnings}");
    let path = "policies[0].custom_task.name: warning: ";
    for said in [
        format!("policies/shop.yaml:4:13: {path}task `billing` has no description"),
        "shop.yaml:9:13: policies[1].custom_task.name: warning: the description of `returns` only repeats".to_owned(),
        "shop.yaml:14:13: policies[2].custom_task.name: warning: the description of `orders` has fewer".to_owned(),
        "`refunds` is also one of `billing`".to_owned(),
    ] {
        assert!(warnings.contains(&said), "no {said:?} in:\n{warnings}");
    }
    assert_eq!(warnings.lines().count(), 4, "{warnings}");
}

#[test]
fn k_tasks_that_the_classifier_cannot_tell_apart_are_named_with_what_to_change() {
    let router = routing(&[
        ("law-questions", "Legal questions, contracts", ""),
        ("legal", "Questions about contracts and law", ""),
        ("recipes", "How to cook a dish", "\"Please translate this contract into French for me\""),
        ("translation", "Translate texts between languages", ""),
    ]);
    let setup = good()
        .file("policies/shop.yaml", &router)
        .with("classifier: {model: router-models/default}");
    let (code, text) = checked(&setup);
    if code == 64 && (text.contains("make runtime") || text.contains("router-models")) {
        eprintln!("SKIPPED: the default classifier is not beside the program (`make runtime`)");
        return;
    }
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("warning: `legal` and `law-questions` cannot be told apart"), "{text}");
    assert!(text.contains("make one task of them"), "{text}");
    assert!(text.contains("of `recipes` is classified as `translation`"), "{text}");
    assert!(text.contains("ok:"), "{text}");
}

#[test]
fn k01_every_mistake_is_reported_with_its_place() {
    let setup = good()
        .with("timeouts: {connect: soon}\nmax_body: -1\ndrian: 5s")
        .raw_model("gamma", "endpoints: [{provider: nowhere}]")
        .file("policies/broken.yaml", "name: Broken\npolicies: []\nfallback_models: [ghost]\n");
    let text = refused(
        &setup,
        &[
            "pointsman.yaml:3:",
            "pointsman.yaml:4:",
            "pointsman.yaml:5:",
            "nowhere",
            "ghost",
            "broken.yaml:1:",
        ],
    );
    let reports = text.lines().filter(|line| line.contains(".yaml:")).count();
    assert!(reports >= 6, "{text}");
}

#[test]
fn k02_a_near_miss_gets_a_suggestion() {
    refused(&good().with("timeuots: {connect: 3s}"), &["timeuots", "timeouts"]);
    refused(
        &good().raw_model("gamma", "endpionts: [{provider: one}]"),
        &["endpionts", "endpoints"],
    );
    refused(&good().router("third", &["alhpa"]), &["alhpa", "alpha"]);
}

#[test]
fn k03_names_that_are_there_twice() {
    refused(&good().model("alpha", "one", ""), &["alpha"]);
    let twice = good().file("policies/again.yaml", "name: both\npolicies:\n  - custom_task: {name: t, description: d}\n    models: [alpha]\nfallback_models: [alpha]\n");
    refused(&twice, &["both", "again.yaml:1:", "both.yaml"]);
    let task = "  - custom_task: {name: t, description: d}\n    models: [alpha]\n";
    let tasks = good().file(
        "policies/r.yaml",
        &format!("name: r\npolicies:\n{task}{task}fallback_models: [alpha]\n"),
    );
    refused(&tasks, &["r.yaml:5:"]);
}

#[test]
fn k04_references_to_nothing() {
    refused(&good().raw_model("gamma", "endpoints: [{provider: gone}]"), &["gone"]);
    refused(&good().raw_model("gamma", "endpoints: []"), &["endpoints"]);
    refused(&good().router("third", &["gone"]), &["gone"]);
    refused(&good().file("policies/r.yaml", "name: r\npolicies:\n  - task_slug: no-such-task\n    models: [alpha]\nfallback_models: [alpha]\n"), &["no-such-task"]);
    refused(&good().file("policies/r.yaml", "name: r\npolicies:\n  - custom_task: {name: t, description: d}\n    models: [alpha]\nfallback_models: []\n"), &["fallback_models"]);
    refused(&good().with("routers: [missing.yaml]"), &["missing.yaml"]);
}

#[test]
fn k05_files_that_are_no_configuration() {
    let bomb: String = (1..20).fold("a0: &a0 [x, x]\n".to_owned(), |text, level| {
        let last = level - 1;
        let aliases = format!("*a{last}, ").repeat(9);
        format!("{text}a{level}: &a{level} [{aliases}]\n")
    });
    let deep = "[".repeat(10_000);
    for text in [
        String::new(),
        bomb,
        deep,
        "\tlisten: x\n".to_owned(),
        "listen: \0\n".to_owned(),
        "providers: !!python/object:os.system {}\n".to_owned(),
        "- just\n- a list\n".to_owned(),
        "\u{fffe}".to_owned(),
    ] {
        let folder = Folder::new();
        folder.write("pointsman.yaml", &text);
        let (code, report) = check(&Setup::new(), &folder);
        assert_eq!(code, 64, "{:?}: {report}", text.chars().take(40).collect::<String>());
        assert!(!report.contains("panicked"), "{report}");
        assert!(report.len() < 20_000, "the report is {} bytes", report.len());
    }
    let (code, report) = check(&Setup::new(), &Folder::new());
    assert_eq!(code, 64);
    assert!(report.contains("pointsman.yaml"), "the path is not named: {report}");
}

#[test]
fn k10_base_addresses_that_are_refused() {
    for url in [
        "http://api.example.com/v1",
        "https://user:sk-CANARY@api.example.com/v1",
        "https://api.example.com/v1#x",
        "file:///etc/passwd",
        "unix:/run/x.sock",
        "not a url",
        "https://api.example.com/v1?key=x",
        "http://127.0.0.1:9/v1",
    ] {
        let setup = Setup::new()
            .raw_provider("one", &format!("api: openai, base_url: \"{url}\""))
            .model("alpha", "one", "");
        let mut text = setup.text();
        text = text.replace(", allow_private: true", "");
        let folder = Folder::new();
        folder.write("pointsman.yaml", &text);
        let (code, report) = check(&setup, &folder);
        assert_eq!(code, 64, "{url}: {report}");
        assert!(!report.contains("sk-CANARY"), "{report}");
    }
}

#[test]
fn k12_durations_and_sizes_that_are_none() {
    for setting in [
        "timeouts: {connect: 0s}",
        "timeouts: {connect: -3s}",
        "timeouts: {connect: 1e30s}",
        "timeouts: {connect: 5}",
        "timeouts: {connect: 5 parsecs}",
        "max_body: lots",
        "failover: {attempts: 0}",
        "drain: soon",
        "affinity: {capacity: -1}",
    ] {
        let key = setting.split(':').next().unwrap();
        refused(&good().with(setting), &[key, "pointsman.yaml:3:"]);
    }
}

#[test]
fn k13_variables_that_are_missing_or_empty() {
    let setup = Setup::new()
        .raw_provider(
            "one",
            "api: openai, api_key: \"env:POINTSMAN_NO_SUCH\", base_url: \"http://127.0.0.1:9/v1\"",
        )
        .raw_provider(
            "two",
            "api: openai, api_key: \"env:POINTSMAN_EMPTY\", base_url: \"http://127.0.0.1:9/v1\"",
        )
        .environment("POINTSMAN_EMPTY", "")
        .model("alpha", "one", "");
    refused(&setup, &["POINTSMAN_NO_SUCH", "POINTSMAN_EMPTY"]);
    let interpolated = good().with("log: {level: \"${LEVEL}\"}").environment("LEVEL", "info");
    refused(&interpolated, &["level"]);
}

#[test]
fn exit_codes_are_as_documented() {
    let setup = Setup::new();
    let code = |arguments: &[&str]| run(&setup, arguments).status.code();
    assert_eq!(code(&[]), Some(2));
    assert_eq!(code(&["no-such-command"]), Some(2));
    assert_eq!(code(&["--help"]), Some(0));
    assert_eq!(code(&["serve", "-c", "/no/such/file.yaml"]), Some(64));
    let version = run(&setup, &["--version"]);
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("pointsman "));
}
