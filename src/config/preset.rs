//! The routers that ship as files to start from, and what is said of them and of the library's tasks to people who
//! choose among them.
//!
//! What a router or a task *is* stands in its file alone; here is only what a list of choices needs besides.

/// The routers that ship: file name and text.
pub const ROUTERS: [(&str, &str); 4] = [
    ("software-engineering.yaml", include_str!("../../policies/software-engineering.yaml")),
    ("general.yaml", include_str!("../../policies/general.yaml")),
    ("writing.yaml", include_str!("../../policies/writing.yaml")),
    ("knowledge-base-document.yaml", include_str!("../../policies/knowledge-base-document.yaml")),
];

/// What a list says of a router that ships.
pub struct RouterCard {
    /// The router's name.
    pub slug: &'static str,
    /// Its title; also the category of its tasks.
    pub title: &'static str,
    /// More than the file's own description says.
    pub long: &'static str,
}

/// What a list says of a task of the library.
pub struct TaskCard {
    /// The task's name.
    pub slug: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Words to find it by.
    pub tags: &'static [&'static str],
}

/// The routers, in the order in which they are shown. A task's category is the first of them that has it.
pub const ROUTER_CARDS: [RouterCard; 4] = [
    RouterCard {
        slug: "general",
        title: "General assistant",
        long: "For a chat window that is asked anything. Ideas, labels, extraction and summaries go to models that cost \
               little; advice and plans, where a poor answer is dear, go to the strongest first.",
    },
    RouterCard {
        slug: "software-engineering",
        title: "Software engineering",
        long: "For coding assistants and agents. Completions and new code go to whichever model starts first, \
               explanations and tests to the cheapest, and bugs, performance and architecture to the strongest.",
    },
    RouterCard {
        slug: "writing",
        title: "Writing",
        long: "For tools that draft and polish texts. Stories and articles go to the model with the best prose, mails \
               and posts to the one that answers soonest, rewriting and ideas to the cheapest.",
    },
    RouterCard {
        slug: "knowledge-base-document",
        title: "Knowledge base and documents",
        long: "For answers out of given documents: support desks, long files, tables, and the evaluation of retrieval. \
               Short lookups go to fast models, long contexts to those with room for them.",
    },
];

const fn task(slug: &'static str, title: &'static str, tags: &'static [&'static str]) -> TaskCard {
    TaskCard { slug, title, tags }
}

/// The tasks of the library that ships.
pub const TASK_CARDS: [TaskCard; 25] = [
    task("brainstorming-ideation", "Brainstorming", &["ideas", "names", "creative"]),
    task(
        "classification-labeling",
        "Classification and labels",
        &["categories", "sentiment", "triage"],
    ),
    task("opinion-advice-recommendation", "Advice and recommendations", &["advice", "choice"]),
    task("planning-task-decomposition", "Planning", &["steps", "schedule", "projects"]),
    task("summarization", "Summaries", &["summary", "recap", "documents"]),
    task(
        "text-extraction-structured-output",
        "Extraction to a structure",
        &["json", "fields", "data"],
    ),
    task("translation", "Translation", &["languages"]),
    task("rewriting-editing", "Rewriting and editing", &["style", "grammar", "editing"]),
    task("creative-writing", "Creative writing", &["stories", "poems", "creative"]),
    task(
        "email-professional-communication-drafting",
        "Mails and business letters",
        &["mail", "work", "drafts"],
    ),
    task(
        "long-form-article-blog-writing",
        "Articles and blog posts",
        &["articles", "long", "drafts"],
    ),
    task(
        "social-media-short-form-content",
        "Social media and short texts",
        &["posts", "captions", "short"],
    ),
    task("bug-fixing", "Bug fixing", &["code", "errors", "debugging"]),
    task("code-completion-inline", "Code completion", &["code", "editor", "latency"]),
    task("code-generation", "Code generation", &["code", "functions", "programs"]),
    task("code-performance-optimization", "Performance of code", &["code", "speed", "memory"]),
    task("test-writing-code-verification", "Tests and verification", &["code", "tests", "review"]),
    task(
        "system-architecture-design",
        "Architecture and design",
        &["systems", "design", "trade-offs"],
    ),
    task("code-explanation", "Explaining code", &["code", "learning"]),
    task("knowledge-base-customer-support", "Support from a knowledge base", &["support", "rag"]),
    task(
        "long-context-retrieval-aggregation",
        "Gathering from long contexts",
        &["long", "documents", "aggregation"],
    ),
    task("long-document-qa", "Questions on a long document", &["long", "documents", "questions"]),
    task("rag-system-quality-evaluation", "Judging answers from retrieval", &["rag", "evaluation"]),
    task(
        "retrieval-quality-cross-domain-ir",
        "Judging and improving search",
        &["search", "ranking", "evaluation"],
    ),
    task(
        "text-and-table-grounded-reasoning",
        "Reasoning on texts and tables",
        &["tables", "numbers", "documents"],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{form::Form, task::Library};

    #[test]
    fn every_router_and_every_task_that_ships_has_one_card() {
        let routers: BTreeSet<String> = ROUTERS
            .iter()
            .map(|(_, text)| Form::of_yaml(text).unwrap().text("name").unwrap().to_owned())
            .collect();
        let cards: BTreeSet<String> =
            ROUTER_CARDS.iter().map(|card| card.slug.to_owned()).collect();
        assert_eq!(cards, routers);
        let library = Library::built_in();
        let tasks: BTreeSet<&str> =
            library.tasks.keys().map(crate::ids::TaskName::as_str).collect();
        let cards: BTreeSet<&str> = TASK_CARDS.iter().map(|card| card.slug).collect();
        assert_eq!((cards.len(), &cards), (TASK_CARDS.len(), &tasks));
        for card in &TASK_CARDS {
            assert!(!card.tags.is_empty() && card.title.len() <= 40, "{}", card.slug);
        }
    }
}
