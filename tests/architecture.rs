//! Keeps imports pointing one way, I/O out of the core, and files small enough to read.

#![expect(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a test may fail by panicking, and reads its own sources"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Lowest layer first. A module may import from strictly lower layers only.
const LAYERS: &[&[&str]] = &[
    &["ids", "money", "bounded", "secret"],
    &["dialect"],
    &["catalog", "http"],
    &["stats", "prices"],
    &["conversation", "classify", "rank", "affinity", "resilience", "access"],
    &["route", "advice", "evaluation"],
    &["config", "upstream", "telemetry"],
    &["classifier", "feeds"],
    &["engine"],
    &["simulator", "server"],
    &["cli"],
];

/// Everything below this layer is pure: no clock, no randomness, no I/O.
const FIRST_IMPURE_LAYER: usize = 6;

const IMPURE: &[&str] = &[
    "pingora",
    "tokio::",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "fastrand",
    " ort::",
    "hyper::",
    "reqwest",
];

/// Words that only the named files may use.
const RESERVED: &[(&str, &[&str])] = &[
    ("std::env::var", &["config/secret.rs"]),
    ("ServerSession", &["server/"]),
    (".expose()", &["upstream/build.rs", "classifier/chat", "feeds", "config/"]),
];

/// The most production lines of a file.
const MAX_LINES: usize = 600;

struct Source {
    path: PathBuf,
    module: String,
    production: String,
}

#[test]
fn imports_point_one_way_and_the_core_is_pure() {
    let mut faults = Vec::new();
    for source in sources() {
        let layer = layer_of(&source.module);
        for (number, line) in code_lines(&source.production) {
            let at = format!("{}:{number}", source.path.display());
            for name in imported(line) {
                let target = layer_of(&name);
                if name != source.module && target.is_some() && layer <= target {
                    faults.push(format!("{at}: {} may not import {name}", source.module));
                }
            }
            if layer.is_some_and(|layer| layer < FIRST_IMPURE_LAYER) {
                for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                    faults.push(format!("{at}: {word} in a pure module"));
                }
            }
            if line.contains("super::super") {
                faults.push(format!("{at}: name the module from crate::"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    let known: BTreeSet<&str> = LAYERS.iter().flat_map(|layer| layer.iter().copied()).collect();
    for source in sources() {
        let named = known.contains(source.module.as_str());
        let root = matches!(source.module.as_str(), "lib" | "main");
        assert!(named || root, "{} has no layer", source.path.display());
    }
}

#[test]
fn what_is_reserved_is_used_where_it_belongs() {
    let mut faults = Vec::new();
    for source in sources() {
        let path = source.path.to_string_lossy().into_owned();
        for (word, allowed) in RESERVED {
            let used = code_lines(&source.production).any(|(_, line)| line.contains(word));
            if used && !allowed.iter().any(|place| path.contains(place)) {
                faults.push(format!("{path}: {word} belongs to {allowed:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn files_say_why_they_exist_and_stay_small() {
    for source in sources() {
        let path = source.path.display();
        assert!(source.production.starts_with("//!"), "{path} does not say why it exists");
        let lines = source.production.lines().count();
        assert!(lines <= MAX_LINES, "{path} has {lines} production lines");
        assert!(!path.to_string().ends_with("mod.rs"), "{path}: use foo.rs beside foo/");
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    visit(&root, &root, &mut found);
    found
}

fn visit(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("src can be listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            visit(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("sources are text");
            let inside = path.strip_prefix(root).expect("a file of src");
            let first = inside.iter().next().expect("a file has a name").to_string_lossy();
            let module = first.trim_end_matches(".rs").to_owned();
            let production = text.split("#[cfg(test)]").next().unwrap_or(&text).to_owned();
            found.push(Source { path, module, production });
        }
    }
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The modules of the crate that a line names: `crate::x`, and the first names of a `crate::{…}` group's lines.
fn imported(line: &str) -> Vec<String> {
    let trimmed = line.trim_start();
    let after_crate = line.match_indices("crate::").map(|(at, word)| &line[at + word.len()..]);
    // Inside a group rustfmt writes each module of the crate on a line of its own, eight spaces in or less.
    let grouped = (line.len() - trimmed.len() == 4 && !line.contains("crate::")).then_some(trimmed);
    let grouped = grouped.filter(|text| text.contains("::"));
    after_crate
        .chain(grouped)
        .map(|text| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&module))
}
