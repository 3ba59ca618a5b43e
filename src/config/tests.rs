//! Whole configurations: what a good one becomes, and what is said of bad ones.

mod changes;
mod corpus;
mod files;
mod good;
mod shipped;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::config::{LoadOptions, Loaded, Refused, load_in, load_texts};

/// A folder of its own for one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let unique = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("pointsman-config-{unique}-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("policies")).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn load(&self, options: &LoadOptions) -> Result<Loaded, Refused> {
        load_in(&self.0.join("pointsman.yaml"), options, &environment)
    }

    /// What is said of the configuration, its folder left out.
    fn said(&self, options: &LoadOptions) -> Vec<String> {
        let folder = format!("{}/", self.0.display());
        faults(self.load(options)).iter().map(|fault| fault.replace(&folder, "")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An environment in which two variables are set, one of them to nothing.
fn environment(name: &str) -> Option<String> {
    match name {
        "SET" => Some("canary-of-the-environment".to_owned()),
        "EMPTY" => Some(String::new()),
        "SPACED" => Some("canary with spaces".to_owned()),
        _ => None,
    }
}

const READING: LoadOptions =
    LoadOptions { read_secrets: true, find_classifier: false, program_folders: Vec::new() };

const NOT_READING: LoadOptions =
    LoadOptions { read_secrets: false, find_classifier: false, program_folders: Vec::new() };

/// The least that is a configuration.
const MINIMAL: &str = "\
providers:
  local: {api: openai-chat, base_url: \"http://127.0.0.1:8000/v1\", allow_private: true}
models:
  small: {endpoints: [{provider: local}]}
";

/// The least that is a router.
const ROUTER: &str = "\
name: support
policies:
  - task_slug: summarization
    models: [small]
fallback_models: [small]
";

fn faults(result: Result<Loaded, Refused>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(refused) => refused.faults.iter().map(ToString::to_string).collect(),
    }
}

/// What is said of a main text and router texts named `r0.yaml`, `r1.yaml` and so on.
fn said(main: &str, routers: &[&str]) -> Vec<String> {
    let names: Vec<String> = (0..routers.len()).map(|index| format!("r{index}.yaml")).collect();
    let routers: Vec<(&str, &str)> =
        names.iter().map(String::as_str).zip(routers.iter().copied()).collect();
    faults(load_texts(("main.yaml", main), &routers, &NOT_READING))
}

/// What is said of a main text that continues the minimal one.
fn said_after(rest: &str) -> Vec<String> {
    said(&format!("{MINIMAL}{rest}"), &[])
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_it_panic(main in "\\PC*", router in "(\\PC|[\\n :\\-{}\\[\\]&*!|>'\"])*") {
        let _ = said(&main, &[&router]);
    }

    #[test]
    fn no_damage_to_a_good_file_makes_it_panic(
        at in 0_usize..5_000,
        removed in 0_usize..40,
        added in "[ -~\\n\\t]{0,8}",
    ) {
        let mut text = good::FULL.to_owned();
        let floor = |text: &str, at: usize| {
            (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap()
        };
        let (from, to) = (floor(&text, at), floor(&text, at.saturating_add(removed)));
        text.replace_range(from..to, &added);
        for fault in said(&text, &[ROUTER]) {
            proptest::prop_assert!(!fault.contains('\n'), "one line each: {fault}");
        }
    }
}
