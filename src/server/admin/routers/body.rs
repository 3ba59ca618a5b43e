//! What a caller sends of a router: its file's text as it was typed, or its members as JSON.
//!
//! The members are those of the file, at the top level or in `config` as they are shown. What the hosted product also
//! shows or takes (`uuid`, the times, `regions`) may be sent back as it came and means nothing.

use std::borrow::Cow;

use crate::{
    config::form::Form,
    dialect::json::{self, Node, Value},
    ids::RouterName,
    server::admin::routers::refusal::Refusal,
};

/// The members of an object.
pub(super) type Members<'a, 'b> = &'b [(Cow<'a, str>, Node<'a>)];

/// A body as JSON.
pub(super) fn parse(body: &[u8]) -> Result<Node<'_>, Refusal> {
    let fault = |fault: json::Fault| {
        Refusal::bad("invalid_json", format!("the body is not acceptable JSON: {fault}"))
    };
    json::parse(body).map_err(fault)
}

/// The members of the object that `node` must be.
pub(super) fn members<'a, 'b>(node: &'b Node<'a>, what: &str) -> Result<Members<'a, 'b>, Refusal> {
    let wrong = || invalid(format!("{what} must be an object, not {}", node.value));
    node.as_object().ok_or_else(wrong)
}

/// The text that a router's file is to hold. Members that are not sent are those of `base`.
pub(super) fn text(node: &Node<'_>, base: Form) -> Result<String, Refusal> {
    let members = members(node, "the router")?;
    match members.iter().find(|(key, _)| key == "yaml") {
        Some((_, yaml)) if members.len() == 1 => match yaml.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(invalid("`yaml` must be a text: what the file is to hold")),
        },
        Some(_) => Err(invalid("`yaml` stands alone: the text says everything")),
        None => Ok(form(members, base)?.to_yaml()),
    }
}

fn form(members: Members<'_, '_>, mut form: Form) -> Result<Form, Refusal> {
    let config = members.iter().find(|(key, _)| key == "config").map(|(_, config)| config);
    let config = config.map(|config| self::members(config, "`config`")).transpose()?;
    if let Some(config) = config {
        form.clear_config();
        for (key, value) in config {
            if matches!(&**key, "name" | "description" | "config") {
                return Err(invalid(format!("`{key}` stands beside `config`, not in it")));
            }
            form.set(key, value);
        }
    }
    let is_in_config =
        |key: &str| config.is_some_and(|members| members.iter().any(|(k, _)| k == key));
    for (key, value) in members.iter().filter(|(key, _)| key != "config") {
        if is_in_config(key) {
            return Err(invalid(format!("`{key}` is here twice: beside `config` and in it")));
        }
        match &**key {
            "uuid" | "created_at" | "updated_at" => {}
            "regions" => check_regions(value)?,
            _ => form.set(key, value),
        }
    }
    Ok(form)
}

/// The hosted product takes no others any more.
fn check_regions(value: &Node<'_>) -> Result<(), Refusal> {
    let all = match &value.value {
        Value::Null => true,
        Value::Array(regions) => regions.iter().all(|region| region.as_str() == Some("all")),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
    };
    if all { Ok(()) } else { Err(invalid("`regions` must be left out, or [\"all\"]")) }
}

/// The router's name that `text` holds, where it is one.
pub(super) fn name_in(text: &str) -> Option<RouterName> {
    RouterName::parse(Form::of_yaml(text)?.text("name")?).ok()
}

/// A body that is not what is asked for.
pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::bad("invalid_request", message)
}
