//! Files: which are read, what is said of those that cannot be, secrets, and changes on disk.

use std::{fs, path::Path};

use crate::config::{
    LoadOptions, load_in,
    tests::{Folder, MINIMAL, NOT_READING, READING, ROUTER, environment, faults},
};

#[test]
fn a_missing_main_file_is_named() {
    let result = load_in(Path::new("/nowhere/pointsman.yaml"), &READING, &environment);
    assert_eq!(faults(result), ["/nowhere/pointsman.yaml: does not exist"]);
}

#[test]
fn a_named_file_must_exist_and_a_pattern_may_match_nothing() {
    let folder = Folder::new("named");
    folder.write("pointsman.yaml", format!("{MINIMAL}routers: [none/*.yaml, absent.yaml]\n"));
    assert_eq!(
        folder.said(&READING),
        ["pointsman.yaml:5:24: routers[1]: the file absent.yaml does not exist"]
    );
    folder.write("absent.yaml", ROUTER);
    let loaded = folder.load(&READING).ok().unwrap();
    assert_eq!(loaded.catalog.routers.len(), 1);
    folder.write(
        "pointsman.yaml",
        format!("{MINIMAL}routers: [absent.yaml, ./*.yaml, absent.yaml]\n"),
    );
    let said = folder.said(&READING);
    assert!(
        said.iter().all(|fault| fault.starts_with("pointsman.yaml")),
        "each file once: {said:?}"
    );
}

#[test]
fn a_broken_file_does_not_hide_the_others() {
    let folder = Folder::new("broken");
    folder.write("pointsman.yaml", "providers: [\n");
    folder.write("policies/a.yaml", "name: A\n\tpolicies: []\n");
    folder.write("policies/b.yaml", ROUTER.replace("fallback_models", "fallback_model"));
    folder.write("policies/.#c.yaml", "not: read");
    folder.write("policies/d.yaml", "\u{feff}name: d\n");
    fs::create_dir(folder.0.join("policies/e.yaml")).unwrap();
    assert_eq!(
        folder.said(&READING),
        [
            "pointsman.yaml:1:12: not valid YAML: unclosed bracket '['",
            "policies/a.yaml:2:1: a tab cannot indent YAML; use spaces",
            "policies/b.yaml:5:1: fallback_model: unknown key; did you mean `fallback_models`?",
            "policies/d.yaml:1:1: begins with a byte order mark; save it as UTF-8 without one",
        ]
    );
}

#[test]
fn two_routers_of_one_name_are_told_both_places() {
    let folder = Folder::new("twice");
    folder.write("pointsman.yaml", MINIMAL);
    folder.write("policies/a.yaml", ROUTER);
    folder.write("policies/b.yaml", format!("description: x\n{ROUTER}"));
    let said = folder.said(&READING);
    assert_eq!(
        said,
        ["policies/b.yaml:2:7: name: another router has this name: policies/a.yaml:1:7"]
    );
}

/// What is said of a provider whose credential is `reference`.
fn said_of_key(folder: &Folder, reference: &str) -> Vec<String> {
    let key = MINIMAL.replace("allow_private", &format!("api_key: {reference}, allow_private"));
    folder.write("pointsman.yaml", key);
    folder.said(&READING)
}

#[test]
fn a_secret_that_cannot_be_used_is_named_and_never_shown() {
    let folder = Folder::new("secrets");
    folder.write("empty.key", "\n");
    folder.write("lines.key", "canary\nof two lines");
    for (reference, message) in [
        ("env:ABSENT", "the environment variable ABSENT is not set"),
        ("env:EMPTY", "the environment variable EMPTY is empty"),
        (
            "env:SPACED",
            "what it refers to holds a space, a line break or a character that no header carries",
        ),
        ("env:sk-canary", "env: must be followed by the name of an environment variable"),
        ("file:absent.key", "the file absent.key does not exist"),
        ("file:empty.key", "the file empty.key is empty"),
        (
            "file:lines.key",
            "what it refers to holds a space, a line break or a character that no header carries",
        ),
        ("sk-canary", "must be env:NAME or file:PATH; a secret is never written into this file"),
        ("'${CANARY}'", "must be env:NAME or file:PATH; a secret is never written into this file"),
    ] {
        let said = said_of_key(&folder, reference);
        let expected = format!("pointsman.yaml:2:76: providers.local.api_key: {message}");
        assert_eq!(said, [expected], "{reference}");
        assert!(!said.concat().to_lowercase().contains("canary"));
    }
}

#[cfg(unix)]
#[test]
fn a_secret_file_that_everyone_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("world");
    let path = folder.write("a.key", "canary");
    let warnings = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(said_of_key(&folder, "file:a.key"), Vec::<String>::new());
        folder.load(&READING).ok().unwrap().warnings.len()
    };
    assert_eq!((warnings(0o600), warnings(0o644)), (0, 1));
}

#[test]
fn a_classifier_is_looked_for_beside_the_file_and_beside_the_program() {
    let folder = Folder::new("classifier");
    folder.write("pointsman.yaml", format!("{MINIMAL}classifier: {{model: nets/one}}\n"));
    let program = Folder::new("program");
    let options = LoadOptions {
        find_classifier: true,
        program_folders: vec![program.0.join("bin"), program.0.clone()],
        ..NOT_READING
    };
    assert_eq!(
        folder.said(&options),
        [
            "pointsman.yaml:5:21: classifier.model: there is no folder nets/one, neither beside this file nor beside the program"
        ]
    );
    let found =
        |folder: &Folder| match folder.load(&options).ok().unwrap().catalog.settings.classifier {
            Some(crate::catalog::settings::Classifier::Onnx(onnx)) => onnx.folder,
            _ => panic!("an encoder"),
        };
    fs::create_dir_all(program.0.join("nets/one")).unwrap();
    assert_eq!(found(&folder), program.0.join("nets/one"));
    fs::create_dir_all(folder.0.join("nets/one")).unwrap();
    assert_eq!(found(&folder), folder.0.join("nets/one"));
}

#[test]
fn tls_needs_a_pair_that_serves() {
    let folder = Folder::new("tls");
    let one = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    folder.write("cert.pem", one.cert.pem());
    let tls = "tls: {cert: file:cert.pem, key: file:key.pem}\n";
    folder.write("pointsman.yaml", format!("{MINIMAL}{tls}"));
    assert_eq!(
        folder.said(&READING),
        ["pointsman.yaml:5:33: tls.key: the file key.pem does not exist"]
    );
    folder.write("key.pem", "canary");
    assert_eq!(folder.said(&READING), ["pointsman.yaml:5:6: tls: `key` holds no PEM private key"]);
    folder.write("key.pem", one.signing_key.serialize_pem());
    assert!(folder.load(&READING).is_ok());
    folder
        .write("pointsman.yaml", format!("{MINIMAL}tls: {{cert: cert.pem, key: file:key.pem}}\n"));
    assert_eq!(folder.said(&READING), ["pointsman.yaml:5:13: tls.cert: must be file:PATH"]);
}
