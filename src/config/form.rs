//! A router as a form: the tree of its file, taken from YAML or JSON and given as either.
//!
//! The tree keeps every key, also those that only the file knows, and checks nothing: what a form says is checked where
//! every file is, by loading the configuration with its YAML among the files. So a mistake in a form is told in the very
//! words of `check`, at its line of that YAML.
//!
//! YAML is written in one order and one layout, so that the same form is always the same text.

mod json;
mod yaml;

pub use crate::config::form::json::{Config, Member};
use crate::{
    config::{
        fault::{Report, Spot},
        raw::{self, Entry, Node, Shape},
    },
    dialect::json as wire,
};

/// The keys of a router's file that are not part of its `config`.
const HEAD: [&str; 2] = ["name", "description"];

/// Keys whose values are texts, however they are spelled.
const TEXTS: [&str; 8] = [
    "name",
    "description",
    "task_slug",
    "models",
    "fallback_models",
    "examples",
    "prefer",
    "custom_task",
];

/// A router's file as a tree.
#[derive(Debug, Clone, Default)]
pub struct Form {
    entries: Vec<Entry>,
}

impl Form {
    /// The form that a YAML text holds; `None` where it is no mapping.
    pub fn of_yaml(text: &str) -> Option<Self> {
        let report = Report::default();
        match raw::parse("", text, &report)?.shape {
            Shape::Map(entries) => Some(Self { entries }),
            Shape::Null | Shape::Scalar { .. } | Shape::List(_) => None,
        }
    }

    /// The form as YAML.
    pub fn to_yaml(&self) -> String {
        yaml::write(&self.entries)
    }

    /// The text of `key`, where it has one.
    pub fn text(&self, key: &str) -> Option<&str> {
        text_of(&self.entries.iter().find(|entry| entry.key == key)?.value)
    }

    /// What is not name or description.
    pub fn config(&self) -> Config<'_> {
        Config(&self.entries)
    }

    /// Sets `key` to a JSON value; one that is there already keeps its place.
    pub fn set(&mut self, key: &str, value: &wire::Node<'_>) {
        let value = json::node(value);
        match self.entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.value = value,
            None => self.entries.push(Entry { key: key.to_owned(), spot: Spot::START, value }),
        }
    }

    /// Replaces every list of models by what `choose` makes of it.
    pub fn choose_models(&mut self, choose: impl Fn(&[&str]) -> Vec<String>) {
        for entry in &mut self.entries {
            match (entry.key.as_str(), &mut entry.value.shape) {
                ("fallback_models", _) => replace_models(&mut entry.value, &choose),
                ("policies", Shape::List(policies)) => policies
                    .iter_mut()
                    .filter_map(|policy| member(policy, "models"))
                    .for_each(|models| replace_models(models, &choose)),
                _ => {}
            }
        }
    }

    /// The place of the policy for the library's task of this name.
    pub fn policy_for(&self, slug: &str) -> Option<usize> {
        let is_of = |entry: &Entry| entry.key == "task_slug" && text_of(&entry.value) == Some(slug);
        self.policies().iter().position(|policy| entries(policy).iter().any(is_of))
    }

    /// What the policy at this place has under `key`.
    pub fn policy(&self, place: usize, key: &str) -> Option<Member<'_>> {
        let policy = self.policies().get(place)?;
        entries(policy).iter().find(|entry| entry.key == key).map(Member::of)
    }

    /// The line and the column of the policy at this place, both from 1.
    pub fn policy_spot(&self, place: usize) -> Option<(usize, usize)> {
        self.policies().get(place).map(|policy| (policy.spot.line, policy.spot.column))
    }

    fn policies(&self) -> &[Node] {
        let policies = self.entries.iter().find(|entry| entry.key == "policies");
        match policies.map(|entry| &entry.value.shape) {
            Some(Shape::List(policies)) => policies,
            Some(Shape::Null | Shape::Scalar { .. } | Shape::Map(_)) | None => &[],
        }
    }

    /// Forgets the whole `config`.
    pub fn clear_config(&mut self) {
        self.entries.retain(|entry| HEAD.contains(&entry.key.as_str()));
    }
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.shape {
        Shape::Scalar { text, .. } => Some(text),
        Shape::Null | Shape::List(_) | Shape::Map(_) => None,
    }
}

fn entries(node: &Node) -> &[Entry] {
    match &node.shape {
        Shape::Map(entries) => entries,
        Shape::Null | Shape::Scalar { .. } | Shape::List(_) => &[],
    }
}

fn member<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Shape::Map(entries) = &mut node.shape else { return None };
    entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
}

fn replace_models(node: &mut Node, choose: &impl Fn(&[&str]) -> Vec<String>) {
    let Shape::List(items) = &node.shape else { return };
    let chosen = choose(&items.iter().filter_map(text_of).collect::<Vec<_>>());
    let item = |text| Node { spot: node.spot, shape: Shape::Scalar { text, plain: false } };
    node.shape = Shape::List(chosen.into_iter().map(item).collect());
}

/// Whether a text without quotes is a number or a truth value.
fn is_typed(text: &str) -> bool {
    is_number(text) || matches!(text, "true" | "false")
}

fn is_number(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    begins && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(json: &str) -> Form {
        let node = wire::parse(json.as_bytes()).unwrap();
        let mut form = Form::default();
        for (key, value) in node.as_object().unwrap() {
            form.set(key, value);
        }
        form
    }

    fn as_json(form: &Form) -> serde_json::Value {
        let mut all = serde_json::to_value(form.config()).unwrap();
        for key in HEAD {
            if let Some(text) = form.text(key) {
                all[key] = text.into();
            }
        }
        all
    }

    #[test]
    fn yaml_has_one_order_and_one_layout() {
        let written = form(
            r#"{"threshold": 0.5, "fallback_models": ["a"], "name": "x", "failover": {"rescue": "continue", "attempts": 2},
                "policies": [{"selection_policy": {"prefer": "fastest"}, "models": ["a", "b:c", "5"], "task_slug": "s"},
                  {"models": ["a"], "custom_task": {"examples": ["Why, oh why?", "yes"], "name": "tea", "description": "It's: so"}}],
                "description": "", "switch_budget": 20}"#,
        )
        .to_yaml();
        let expected = "\
name: x
description: \"\"
policies:
  - task_slug: s
    models: [a, b:c, \"5\"]
    selection_policy: {prefer: fastest}
  - custom_task:
      name: tea
      description: \"It's: so\"
      examples:
        - Why, oh why?
        - \"yes\"
    models: [a]
fallback_models: [a]
threshold: 0.5
failover: {rescue: continue, attempts: 2}
switch_budget: 20
";
        assert_eq!(written, expected);
        assert_eq!(Form::of_yaml(&written).unwrap().to_yaml(), written);
    }

    #[test]
    fn numbers_stay_numbers_and_names_stay_names() {
        let yaml = "name: 007\nfallback_models: [1.5, true]\nthreshold: .5\npolicies: []\nswitch_budget: \"20\"\n";
        let form = Form::of_yaml(yaml).unwrap();
        let expected = serde_json::json!({
            "name": "007", "fallback_models": ["1.5", "true"], "threshold": 0.5, "policies": [], "switch_budget": "20",
        });
        assert_eq!(as_json(&form), expected);
        assert_eq!(as_json(&Form::of_yaml(&form.to_yaml()).unwrap()), expected);
    }

    #[test]
    fn a_key_that_means_something_in_yaml_is_a_key() {
        let written = form(r#"{"<<": {"name": "x"}, "~": 1, "": 2}"#);
        let read = Form::of_yaml(&written.to_yaml()).unwrap();
        assert_eq!(as_json(&read), as_json(&written));
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let text = prop_oneof![
            any::<String>(),
            "[ -~]{0,20}",
            "(yes|null|~|1e3|0x1f|- a|a: b|a #b|\\{|---|'|\\?|@|%|!|&|\\*|\u{85}|\u{2028}|\u{feff})",
        ];
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            text.prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map("[ -~\u{e4}]{0,8}", inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(value in value()) {
            let mut written = Form::default();
            let text = serde_json::json!({ "k": value }).to_string();
            let node = wire::parse(text.as_bytes()).unwrap();
            written.set("k", node.member("k").unwrap());
            let yaml = written.to_yaml();
            let read = Form::of_yaml(&yaml);
            prop_assert!(read.is_some(), "{yaml}");
            let read = read.unwrap();
            prop_assert_eq!(as_json(&read), as_json(&written), "{}", yaml);
            prop_assert_eq!(read.to_yaml(), yaml);
        }
    }
}
