//! What ships must load, and its tasks must be told apart.

use std::collections::BTreeSet;

use crate::{
    catalog::router::Score,
    config::{
        Summary, load_texts,
        task::{BUILT_IN, Library},
        tests::{Folder, NOT_READING},
    },
};

const EXAMPLE: &str = include_str!("../../../policies/examples/pointsman.yaml");

const PRESETS: [(&str, &str); 4] = [
    ("general.yaml", include_str!("../../../policies/general.yaml")),
    (
        "knowledge-base-document.yaml",
        include_str!("../../../policies/knowledge-base-document.yaml"),
    ),
    ("software-engineering.yaml", include_str!("../../../policies/software-engineering.yaml")),
    ("writing.yaml", include_str!("../../../policies/writing.yaml")),
];

const SLUGS: [&str; 25] = [
    "brainstorming-ideation",
    "classification-labeling",
    "opinion-advice-recommendation",
    "planning-task-decomposition",
    "summarization",
    "text-extraction-structured-output",
    "translation",
    "creative-writing",
    "email-professional-communication-drafting",
    "long-form-article-blog-writing",
    "rewriting-editing",
    "social-media-short-form-content",
    "bug-fixing",
    "code-completion-inline",
    "code-generation",
    "code-performance-optimization",
    "test-writing-code-verification",
    "system-architecture-design",
    "code-explanation",
    "knowledge-base-customer-support",
    "long-context-retrieval-aggregation",
    "long-document-qa",
    "rag-system-quality-evaluation",
    "retrieval-quality-cross-domain-ir",
    "text-and-table-grounded-reasoning",
];

#[test]
fn the_library_is_the_25_tasks_of_the_design() {
    let tasks = Library::built_in().tasks;
    let names: BTreeSet<&str> = tasks.keys().map(crate::ids::TaskName::as_str).collect();
    assert_eq!(names, SLUGS.into_iter().collect());
    for task in tasks.values() {
        assert!((3..=5).contains(&task.examples.len()), "{}", task.name);
        let seen = format!("{}: {}", task.name, task.description);
        assert!((80..=230).contains(&seen.len()), "{} characters, {seen}", seen.len());
    }
}

#[test]
fn descriptions_read_distinct() {
    let tasks = Library::built_in().tasks;
    let words = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !c.is_alphanumeric())
            .filter(|word| word.len() > 3)
            .map(str::to_lowercase)
            .collect()
    };
    let sets: Vec<_> = tasks.values().map(|task| (&task.name, words(&task.description))).collect();
    for (index, (name, set)) in sets.iter().enumerate() {
        for (other, other_set) in &sets[..index] {
            let shared = set.intersection(other_set).count();
            let smaller = set.len().min(other_set.len());
            assert!(shared * 3 <= smaller, "{name} and {other} share {shared} of {smaller} words");
        }
    }
    let mut examples = BTreeSet::new();
    for example in tasks.values().flat_map(|task| &task.examples) {
        assert!(examples.insert(example.to_lowercase()), "{example:?} is there twice");
    }
}

#[test]
fn the_example_and_the_presets_load_together() {
    let mut routers = PRESETS.to_vec();
    // As when somebody copies the whole folder: the library in it is the one that is built in.
    routers.push(("tasks.yaml", BUILT_IN));
    let loaded = load_texts(("pointsman.yaml", EXAMPLE), &routers, &NOT_READING);
    let loaded = loaded.unwrap_or_else(|refused| panic!("{refused}"));
    assert_eq!(loaded.warnings, []);
    let summary = Summary::of(&loaded.catalog);
    assert_eq!((summary.routers, summary.models), (4, 4));
    for (file, _) in PRESETS {
        let router = loaded.catalog.router(file.trim_end_matches(".yaml")).unwrap();
        assert!(!router.description.is_empty() && router.policies.len() >= 5, "{file}");
    }
    assert_eq!(loaded.catalog.tasks, Library::built_in().tasks);
}

#[test]
fn a_library_file_overrides_and_extends_what_ships() {
    let folder = Folder::new("library");
    folder.write("pointsman.yaml", crate::config::tests::MINIMAL);
    folder.write("policies/router.yaml", crate::config::tests::ROUTER);
    let library = "\
tasks:
  - {name: summarization, quality: {small: 0.8}}
  - {name: haiku, description: Poems of three lines, examples: [A haiku about rain]}
";
    folder.write("policies/mine.yaml", library);
    let loaded = folder.load(&NOT_READING).unwrap_or_else(|refused| panic!("{refused}"));
    let task = &loaded.catalog.router("support").unwrap().policies[0].task;
    assert!(task.description.contains("tl;dr") && !task.examples.is_empty(), "kept as it ships");
    assert_eq!(task.quality.values().cloned().collect::<Vec<_>>(), [Score::bare(0.8)]);
    assert_eq!(loaded.catalog.tasks.len(), 26);
    assert_eq!(loaded.catalog.routers.len(), 1, "a library is no router");
}

#[test]
fn scores_have_a_file_of_their_own_and_say_where_they_are_from() {
    let folder = Folder::new("scores");
    let minimal = crate::config::tests::MINIMAL;
    folder
        .write("pointsman.yaml", format!("{minimal}  big: {{endpoints: [{{provider: local}}]}}\n"));
    let custom = "\
name: custom
policies:
  - custom_task: {name: haiku, description: Poems of three lines}
    models: [small, big]
    selection_policy: {prefer: optimal}
  - task_slug: summarization
    models: [small, big]
    selection_policy: {prefer: optimal}
fallback_models: [small]
";
    folder.write("policies/custom.yaml", custom);
    let scores = "\
tasks:
  - name: haiku
    quality: {small: 0.8}
    quality_source: measured by pointsman eval
    quality_date: 2026-11-21
    quality_samples: {small: 40}
";
    folder.write("policies/scores.yaml", scores);
    let words = "tasks:\n  - {name: haiku, description: Poems, examples: [A haiku about rain]}\n";
    folder.write("policies/words.yaml", words);
    let loaded = folder.load(&NOT_READING).unwrap_or_else(|refused| panic!("{refused}"));
    let policies = &loaded.catalog.router("custom").unwrap().policies;
    let score = &policies[0].task.quality.values().next().unwrap();
    let origin = score.origin.as_ref().unwrap();
    assert_eq!(
        (score.samples, origin.source.as_deref()),
        (Some(40), Some("measured by pointsman eval"))
    );
    assert_eq!(origin.date.unwrap().to_string(), "2026-11-21");
    let library = &loaded.catalog.tasks.values().find(|task| task.name.as_str() == "haiku");
    assert_eq!(library.unwrap().description, "Poems", "the words are from the other file");
    assert!(!library.unwrap().quality.is_empty());
    let warned: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let [warning] = &warned[..] else { panic!("{warned:?}") };
    assert!(warning.contains("summarization") && warning.contains("quality"), "{warning}");
}
