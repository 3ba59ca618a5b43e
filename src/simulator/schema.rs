//! Values made up from a JSON schema, so that a simulated model's arguments and structured answers fit what was asked.
//!
//! Every text in them says that it is simulated, unless the schema leaves no room for it.

use serde_json::{Map, Value};

/// A schema that goes on inside itself deeper than this ends with null.
const DEEPEST: usize = 16;
const LONGEST_ARRAY: u64 = 8;
const LONGEST_TEXT: u64 = 256;
const TEXT: &str = "simulated";

/// A value that fits `schema`; of what has no bound, the least.
pub(super) fn made_up(schema: &Value) -> Value {
    value(schema, schema, 0)
}

fn value(root: &Value, schema: &Value, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    let deeper = depth.saturating_add(1);
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    if let Some(place) = schema.get("$ref").and_then(Value::as_str) {
        let named = place.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return named.map_or(Value::Null, |named| value(root, named, deeper));
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(choice).and_then(|choices| choices.get(0)) {
            return value(root, first, deeper);
        }
    }
    match kind(schema) {
        "object" => Value::Object(object(root, schema, deeper)),
        "array" => Value::Array(array(root, schema, deeper)),
        "boolean" => Value::Bool(true),
        "null" => Value::Null,
        "integer" | "number" => number(schema),
        _ => Value::String(text(schema)),
    }
}

/// The type, where there are several the first that is not null; one without a type but with properties is an object.
fn kind(schema: &Value) -> &str {
    let several = |kinds: &'_ Value| {
        let kinds = kinds.as_array().map(Vec::as_slice).unwrap_or_default();
        kinds.iter().filter_map(Value::as_str).position(|kind| kind != "null")
    };
    let Some(kind) = schema.get("type") else {
        return if schema.get("properties").is_some() { "object" } else { "string" };
    };
    let first = several(kind).and_then(|at| kind.get(at));
    first.unwrap_or(kind).as_str().unwrap_or("string")
}

fn object(root: &Value, schema: &Value, depth: usize) -> Map<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let members = properties.into_iter().flatten();
    members.map(|(name, schema)| (name.clone(), value(root, schema, depth))).collect()
}

fn array(root: &Value, schema: &Value, depth: usize) -> Vec<Value> {
    let Some(items) = schema.get("items") else { return Vec::new() };
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, LONGEST_ARRAY);
    (0..least).map(|_| value(root, items, depth)).collect()
}

fn number(schema: &Value) -> Value {
    let least = schema.get("minimum").or_else(|| schema.get("exclusiveMinimum"));
    let above = least.and_then(Value::as_i64).unwrap_or(0).saturating_add(1);
    let most = schema.get("maximum").and_then(Value::as_i64).unwrap_or(i64::MAX);
    Value::from(above.min(most))
}

fn text(schema: &Value) -> String {
    match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-01-01T00:00:00Z".to_owned(),
        Some("date") => "2026-01-01".to_owned(),
        Some("uri") => "https://simulated.invalid/".to_owned(),
        Some("email") => "simulated@simulated.invalid".to_owned(),
        _ => {
            let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
            let least = usize::try_from(least.min(LONGEST_TEXT)).unwrap_or(0);
            format!("{TEXT:.<least$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_fits_its_schema() {
        let schema = json!({
            "type": "object",
            "$defs": {"Place": {"type": "object", "properties": {"city": {"type": "string"}}}},
            "properties": {
                "place": {"$ref": "#/$defs/Place"},
                "days": {"type": ["null", "integer"], "minimum": 3},
                "unit": {"enum": ["metric", "imperial"]},
                "tags": {"type": "array", "items": {"type": "string", "minLength": 12}, "minItems": 2},
                "any": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
                "list": {"type": "array"},
            },
        });
        let expected = json!({
            "place": {"city": "simulated"}, "days": 4, "unit": "metric", "tags": ["simulated...", "simulated..."],
            "any": true, "list": [],
        });
        assert_eq!(made_up(&schema), expected);
    }

    #[test]
    fn a_schema_without_an_end_ends() {
        let endless = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        let text = made_up(&endless).to_string();
        assert!(text.contains("null}}") && text.len() < 200, "{text}");
        assert_eq!(made_up(&json!({})), json!("simulated"));
    }
}
