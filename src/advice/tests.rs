//! Advice with a classifier that does what it is told.

use async_trait::async_trait;
use futures_util::FutureExt as _;

use crate::{
    catalog::{
        router::{Policy, Prefer},
        settings::Failover,
    },
    classify::Verdict,
    ids::RouterName,
};

use super::*;

/// Matches a text to the task whose index it ends with; `9` is none. The tasks at the indices given are alike.
struct ByLastCharacter(Option<(usize, usize)>);

const BY_LAST: ByLastCharacter = ByLastCharacter(None);

#[async_trait]
impl Classifier for ByLastCharacter {
    async fn classify(
        &self,
        conversation: &Conversation,
        router: &Arc<Router>,
        _: Option<Duration>,
    ) -> Result<Verdict, Unclassified> {
        let end = conversation.turns[0].text.chars().last().unwrap();
        let chosen = end.to_digit(10).ok_or(Unclassified::Absent)? as usize;
        let doubtful = conversation.turns[0].text.contains("doubtful");
        let (won, lost) = if doubtful { (0.55, 0.45) } else { (1.0, 0.0) };
        let given = |index| if index == chosen { won } else { lost };
        let probabilities = (0..router.policies.len()).map(given).collect();
        let none = if chosen == 9 { 1.0 } else { 0.0 };
        Ok(Verdict { probabilities, none, threshold: 0.5, truncated: false })
    }

    async fn prepare(&self, _: &[Arc<Router>]) -> Result<(), Unclassified> {
        Ok(())
    }

    async fn likeness(&self, _: &Arc<Router>) -> Result<Option<Vec<Likeness>>, Unclassified> {
        let pairs = [(0, 1), (0, 2), (1, 2)].map(|(one, other)| {
            let doubt = if self.0 == Some((one, other)) { 0.1 } else { 0.001 };
            Likeness { one, other, doubt }
        });
        Ok(Some(pairs.to_vec()))
    }

    fn threshold(&self) -> f64 {
        0.5
    }
}

fn router(tasks: &[(&str, &str, &[&str])]) -> Arc<Router> {
    let policies = tasks.iter().map(|(name, description, examples)| Policy {
        task: Arc::new(Task {
            name: TaskName::parse(name).unwrap(),
            description: (*description).to_owned(),
            examples: examples.iter().map(|example| (*example).to_owned()).collect(),
            quality: BTreeMap::new(),
        }),
        models: Vec::new(),
        prefer: Prefer::Given,
    });
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

fn advice(router: &Arc<Router>, classifier: Option<&dyn Classifier>) -> Vec<Warning> {
    on(router, classifier).now_or_never().unwrap()
}

#[test]
fn good_tasks_need_no_advice() {
    let router = router(&[
        ("billing", "Invoices, payments and refunds", &["Where is my invoice 0"]),
        ("returns", "Sending goods back", &["I want to return shoes 1", "doubtful 0"]),
    ]);
    assert_eq!(advice(&router, Some(&BY_LAST)), []);
}

#[test]
fn thin_descriptions_are_named() {
    let router = router(&[
        ("billing", "", &["an example"]),
        ("returns", "Returns", &[]),
        ("orders", "parcels", &["examples make up for it"]),
        ("greetings", "hello", &[]),
    ]);
    let said: Vec<String> = advice(&router, None)
        .into_iter()
        .map(|one| format!("{}: {}", one.path, one.message))
        .collect();
    assert_eq!(
        said,
        [
            "policies[0]: task `billing` has no description; say in a sentence what users ask for",
            "policies[1]: the description of `returns` only repeats its name; say in a sentence what users ask for",
            "policies[3]: the description of `greetings` has fewer than 3 words; say in a sentence what users ask for",
        ]
    );
}

#[test]
fn an_example_of_two_tasks_and_one_that_lands_elsewhere_are_named() {
    let router = router(&[
        ("billing", "Invoices, payments and refunds", &["Where is it 0"]),
        ("returns", "Sending goods back again", &["where  is IT 0", "Bill me 0", "back 1"]),
    ]);
    let found = advice(&router, Some(&BY_LAST));
    let names: Vec<&str> = found[0].tasks.iter().map(TaskName::as_str).collect();
    assert_eq!((found.len(), found[0].policy, names), (3, 1, vec!["returns", "billing"]));
    let said = |words: &str| found.iter().any(|one| one.message.contains(words));
    assert!(said("\"where  is IT 0\" of `returns` is also one of `billing`"), "{found:?}");
    assert!(said("\"Bill me 0\" of `returns` is classified as `billing`"), "{found:?}");
}

#[test]
fn tasks_that_are_alike_are_named_together() {
    let tasks: &[(&str, &str, &[&str])] = &[
        ("billing", "Invoices, payments and refunds", &[]),
        ("returns", "Sending goods back again", &[]),
        ("invoices", "Bills and what to pay", &[]),
    ];
    let found = advice(&router(tasks), Some(&ByLastCharacter(Some((0, 2)))));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].policy, found[0].path.as_str(), found[0].tasks.len()),
        (2, "policies[2]", 2)
    );
    assert!(
        found[0].message.contains("`invoices` and `billing` cannot be told apart"),
        "{found:?}"
    );
}

#[test]
fn a_task_whose_examples_match_nothing_is_named() {
    let router = router(&[
        ("billing", "Invoices, payments and refunds", &["a 9", "b 9", "c 0"]),
        ("returns", "Sending goods back again", &["d 9", "e 1"]),
        ("orders", "What was ordered and when", &["f 9"]),
    ]);
    let found = advice(&router, Some(&BY_LAST));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.starts_with("of the 3 examples of `billing` 2 match no task"));
}

#[test]
fn a_classifier_that_fails_costs_only_its_part() {
    let router = router(&[("billing", "", &["no digit"])]);
    assert_eq!(advice(&router, Some(&BY_LAST)).len(), 1);
}

#[test]
fn a_long_example_is_shown_on_one_bounded_line() {
    assert_eq!(shown("a\nb"), "a\\nb");
    assert_eq!(shown(&"é".repeat(500)).chars().count(), SHOWN + 1);
}
