//! The `OpenAPI` document is true: what is served is in it, and what is in it is served as it says.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::{Map, Value, json};

use super::{BOTH, ask, get, started};
use crate::support::{
    client::request_head, program::Program, reply, setup::Setup, upstream::Upstream,
};

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

fn document(program: &Program) -> Value {
    get(program, "/openapi.json")
}

fn paths(document: &Value) -> &Map<String, Value> {
    document["paths"].as_object().unwrap()
}

/// Every text of the admin listener's sources that is a path.
fn served() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server");
    let mut sources = vec![root.join("admin.rs")];
    let mut folders = vec![root.join("admin")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { &mut folders } else { &mut sources }.push(path);
        }
    }
    for source in sources.iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
        let text = fs::read_to_string(source).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let texts = code.split('"').skip(1).step_by(2).map(str::to_owned);
        let is_path = |text: &String| {
            let roots = ["/api/", "/v2/", "/metrics", "/healthz", "/readyz", "/openapi.json"];
            roots.iter().any(|root| text.starts_with(root)) && !text.contains(' ')
        };
        found.extend(texts.filter(is_path));
    }
    found
}

#[test]
fn what_is_served_is_in_the_document() {
    let (_one, _two, program) = started();
    let document = document(&program);
    assert_eq!(document["openapi"], "3.1.0");
    let served = served();
    assert!(served.len() > 8, "{served:?}");
    for path in served {
        let known = paths(&document).keys().any(|known| {
            *known == path || (path.ends_with('/') && known.starts_with(&format!("{path}{{")))
        });
        assert!(known, "{path} is not in the document");
    }
    let mut ids = BTreeSet::new();
    for operation in paths(&document).values().flat_map(|path| path.as_object().unwrap().values()) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{operation}");
    }
}

/// What an operation needs: values for its path, its required query and its example.
fn request(path: &str, operation: &Value) -> (String, Option<Value>) {
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["required"] == true && parameter["in"] == "query" {
            query.push(format!("{}=x", parameter["name"].as_str().unwrap()));
        }
    }
    let path = path.replace("{uuid}", BOTH).replace("{request_id}", "nothing");
    let path = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
    let example = &operation["requestBody"]["content"]["application/json"]["example"];
    let body = serde_json::from_str(
        &example
            .to_string()
            .replace("gpt-5.2-mini", "alpha")
            .replace("glm-5", "beta")
            .replace("router:general", "router:both"),
    );
    (path, (!example.is_null()).then(|| body.unwrap()))
}

fn check_operation(program: &Program, document: &Value, method: &str, path: &str) {
    let operation = &document["paths"][path][method];
    let (target, body) = request(path, operation);
    let text = body.as_ref().map(Value::to_string).unwrap_or_default();
    let head = request_head(&method.to_uppercase(), &target, &[], text.len());
    let mut client = program.admin_client();
    client.send(head + &text);
    let streams =
        !operation["responses"]["200"]["content"]["text/event-stream"].is_null() && body.is_none();
    let answer = if streams { client.until("event: ") } else { client.answer() };
    let status = answer.status().to_string();
    let said = &operation["responses"];
    let response = if said[&status].is_null() { &said["default"] } else { &said[&status] };
    assert!(!response.is_null(), "{method} {target}: {status} is not in the document");
    let Some(content) = response["content"].as_object() else { return };
    let kind =
        answer.header("content-type").unwrap_or_default().split(';').next().unwrap().to_owned();
    assert!(content.contains_key(&kind), "{method} {target}: {kind} is not in the document");
    for name in response["headers"].as_object().into_iter().flat_map(Map::keys) {
        assert!(answer.header(&name.to_lowercase()).is_some(), "{method} {target}: no {name}");
    }
    if kind == "application/json" {
        let fault = mismatch(document, &content[&kind]["schema"], &answer.json());
        assert_eq!(fault, None, "{method} {target} {status}: {}", answer.text());
    }
}

#[test]
fn every_path_answers_as_the_document_says() {
    let (_one, _two, program) = started();
    let document = document(&program);
    for method in METHODS {
        for (path, operations) in paths(&document) {
            if !operations[method].is_null() {
                check_operation(&program, &document, method, path);
            } else if path.starts_with("/api") || path.starts_with("/v2") {
                let target = path.replace("{uuid}", BOTH).replace("{request_id}", "x");
                let (answer, _) = ask(&program, &method.to_uppercase(), &target, Some(&json!({})));
                assert_eq!(answer.status(), 405, "{method} {target}");
                assert!(answer.header("allow").is_some(), "{method} {target}");
            }
        }
    }
}

/// Where `value` is not what `schema` says; as much of JSON Schema as the document uses.
fn mismatch(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return mismatch(document, document.pointer(&name[1..]).unwrap(), value);
    }
    for any in ["anyOf", "oneOf"] {
        if let Some(options) = schema[any].as_array() {
            let fits = options.iter().any(|option| mismatch(document, option, value).is_none());
            return (!fits).then(|| format!("fits none of {options:?}: {value}"));
        }
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let wanted = &schema["type"];
    let fits = |wanted: &Value| wanted == kind || (wanted == "number" && kind == "integer");
    let typed = wanted
        .as_array()
        .map_or_else(|| wanted.is_null() || fits(wanted), |all| all.iter().any(fits));
    if !typed {
        return Some(format!("{value} is not {wanted}"));
    }
    let named = schema["enum"].as_array().is_none_or(|names| names.contains(value));
    if !named {
        return Some(format!("{value} is none of {}", schema["enum"]));
    }
    inside(document, schema, value)
}

fn inside(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(items) = value.as_array() {
        let kind = schema.get("items")?;
        return items.iter().find_map(|item| mismatch(document, kind, item));
    }
    let members = value.as_object()?;
    let missing = schema["required"].as_array().into_iter().flatten();
    let missing = missing.filter_map(Value::as_str).find(|name| !members.contains_key(*name));
    if let Some(name) = missing {
        return Some(format!("{name} is missing in {value}"));
    }
    members.iter().find_map(|(name, member)| {
        let kind = schema["properties"].get(name)?;
        mismatch(document, kind, member).map(|fault| format!("{name}: {fault}"))
    })
}

/// The commands of the README's section, at this program's address.
#[test]
fn the_commands_of_the_readme_succeed_as_pasted() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("SKIPPED: curl is not here, the README's commands were not tried");
        return;
    }
    let upstream = Upstream::always(reply::chat("fine"));
    let address = upstream.address();
    let mut setup = Setup::new().provider("one", "openai-chat", address);
    for model in ["gpt-5.2-mini", "glm-5"] {
        setup = setup.raw_model(model, "endpoints: [{provider: one}]");
    }
    let program = Program::start(&setup);
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let section = readme.split("### Change routers while it serves").nth(1).unwrap();
    let script = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let script = script
        .replace("127.0.0.1:8081", &program.admin_address().to_string())
        .replace("curl -s", "curl -sS --fail-with-body -w '\\n'");
    let done = Command::new("sh").args(["-e", "-c", &script]).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let answers: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 7, "{said}");
    assert_eq!(answers[4]["model_router"]["config"]["fallback_models"], json!(["gpt-5.2-mini"]));
    assert_eq!(answers[6]["uuid"], answers[3]["model_router"]["uuid"]);
}
