//! What a generative router answers, read strictly: a known name or nothing, never content that becomes a route.
//!
//! Arch-Router answers `{"route": "name"}`, Plano-Orchestrator `{"route": ["name", …]}`, the most fitting first. `other`
//! and an empty route mean that no task fits. Arch-Router was seen to write the same object with single quotes, which is
//! taken too. Prose around it, more members, other types or an unknown name are not an answer.

use std::borrow::Cow;

use crate::{
    catalog::settings::ChatFormat,
    dialect::json::{self, Node, Value},
};

/// Why an answer names no task. Nothing of the answer is repeated: it may hold a caller's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotALabel {
    /// There is no answer.
    #[error("it is empty")]
    Empty,
    /// It is not the one JSON object that was asked for.
    #[error("it is not the JSON object that was asked for")]
    Shape,
    /// It names something that is not a task of the router.
    #[error("it names no task of the router")]
    Unknown,
}

/// The index in `names` of the task that `answer` names; `None` when it says that none fits.
pub fn read(answer: &str, format: ChatFormat, names: &[&str]) -> Result<Option<usize>, NotALabel> {
    let answer = answer.trim();
    if answer.is_empty() {
        return Err(NotALabel::Empty);
    }
    let answer = double_quoted(answer);
    let node = json::parse(answer.as_bytes()).map_err(|_| NotALabel::Shape)?;
    let route = only_route(&node).ok_or(NotALabel::Shape)?;
    match format {
        ChatFormat::ArchRouter => known(route.as_str().ok_or(NotALabel::Shape)?, names),
        ChatFormat::PlanoOrchestrator => first(route.as_array().ok_or(NotALabel::Shape)?, names),
    }
}

fn double_quoted(answer: &str) -> Cow<'_, str> {
    if answer.contains('"') { answer.into() } else { answer.replace('\'', "\"").into() }
}

fn only_route<'n, 'a>(node: &'n Node<'a>) -> Option<&'n Node<'a>> {
    let Value::Object(members) = &node.value else { return None };
    match members.as_slice() {
        [(name, route)] if name == "route" => Some(route),
        _ => None,
    }
}

fn first(routes: &[Node<'_>], names: &[&str]) -> Result<Option<usize>, NotALabel> {
    let mut chosen = None;
    for route in routes {
        let index = known(route.as_str().ok_or(NotALabel::Shape)?, names)?;
        chosen = chosen.or(index);
    }
    Ok(chosen)
}

fn known(name: &str, names: &[&str]) -> Result<Option<usize>, NotALabel> {
    if matches!(name, "" | "other") {
        return Ok(None);
    }
    names.iter().position(|known| *known == name).map(Some).ok_or(NotALabel::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["bug fixing", "tests"];

    #[test]
    fn arch_router_names_one_task() {
        let read = |answer| read(answer, ChatFormat::ArchRouter, &NAMES);
        assert_eq!(read(" {\"route\": \"tests\"}\n"), Ok(Some(1)));
        assert_eq!(read("{'route': 'bug fixing'}"), Ok(Some(0)));
        assert_eq!(read("{\"route\": \"other\"}"), Ok(None));
        assert_eq!(read("{\"route\": \"\"}"), Ok(None));
        assert_eq!(read("  "), Err(NotALabel::Empty));
        assert_eq!(read("{\"route\": \"Tests\"}"), Err(NotALabel::Unknown));
        assert_eq!(read("{\"route\": \"premium\"}"), Err(NotALabel::Unknown));
        for answer in [
            "tests",
            "The route is {\"route\": \"tests\"}",
            "{\"route\": \"tests\"} because",
            "{\"route\": \"tests\", \"model\": \"gpt\"}",
            "{\"route\": \"tests\", \"route\": \"bug fixing\"}",
            "{\"route\": [\"tests\"]}",
            "{\"route\": null}",
            "{\"route\": \"tests\"; DROP",
            "[]",
        ] {
            assert_eq!(read(answer), Err(NotALabel::Shape), "{answer}");
        }
    }

    #[test]
    fn plano_orchestrator_names_tasks_in_order() {
        let read = |answer| read(answer, ChatFormat::PlanoOrchestrator, &NAMES);
        assert_eq!(read("{\"route\": [\"tests\", \"bug fixing\"]}"), Ok(Some(1)));
        assert_eq!(read("{\"route\": []}"), Ok(None));
        assert_eq!(read("{\"route\": [\"other\"]}"), Ok(None));
        assert_eq!(read("{\"route\": [\"tests\", \"premium\"]}"), Err(NotALabel::Unknown));
        assert_eq!(read("{\"route\": [7]}"), Err(NotALabel::Shape));
        assert_eq!(read("{\"route\": \"tests\"}"), Err(NotALabel::Shape));
    }
}
