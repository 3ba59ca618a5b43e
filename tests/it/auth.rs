//! C: authentication, secrets and isolation. A secret goes to one place; nobody steers where.

use crate::support::{
    client::request_head,
    program::{Program, chat, run, said},
    reply,
    setup::{CANARY, Setup},
    upstream::Upstream,
};

const CHAT: &str = "/v1/chat/completions";
const CALLER: &str = "sk-CANARY-caller-ci";

fn keyed(setup: Setup) -> Setup {
    setup.with("keys: [{name: ci, key: env:CALLER_CI}]").environment("CALLER_CI", CALLER)
}

#[test]
fn c01_wrong_keys_are_refused_alike() {
    let upstream = Upstream::always(reply::chat("fine"));
    let program = Program::start(&keyed(Setup::one("openai-chat", upstream.address())));
    let body = chat("alpha", "x", false);
    let bearer = format!("Bearer {CALLER}");
    assert_eq!(program.post(CHAT, &[("Authorization", &bearer)], &body).status(), 200);
    assert_eq!(program.post(CHAT, &[("x-api-key", CALLER)], &body).status(), 200);
    let long = format!("Bearer {}", "k".repeat(20_000));
    let wrong: [&[(&str, &str)]; 9] = [
        &[],
        &[("Authorization", "Bearer")],
        &[("Authorization", "Bearer ")],
        &[("Authorization", "Basic Y2k6Y2k=")],
        &[("Authorization", "Bearer sk-CANARY-caller-c")],
        &[("Authorization", "Bearer ' OR 1=1--")],
        &[("Authorization", &long)],
        &[("Authorization", &bearer), ("x-api-key", "another")],
        &[("Authorization", &bearer), ("Authorization", "Bearer another")],
    ];
    let mut bodies = Vec::new();
    for headers in wrong {
        let answer = program.post(CHAT, headers, &body);
        assert_eq!(answer.status(), 401, "{headers:?}: {}", answer.text());
        assert_eq!(answer.code(), "invalid_api_key");
        bodies.push(answer.text());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "the refusals differ: {bodies:?}");
    let answer = program.post("/v1/messages", &[], &body);
    assert_eq!(answer.json()["error"]["type"], "authentication_error");
    // The beginning of the SHA-256 of what was presented, and nothing else of it.
    program.post(CHAT, &[("x-api-key", "sk-guess"), ("x-request-id", "guess")], &body);
    let line = program.logged("\"guess\"");
    assert!(line.contains("\"refused_key\":\"9f219507\""), "{line}");
    assert!(!program.log().join("\n").contains("sk-guess"), "a refused key in the log");
    assert_eq!(upstream.requests(), 2);
}

#[test]
fn c03_no_open_listener_without_keys() {
    let setup = Setup::one("openai-chat", Upstream::refusing())
        .replace("listen: 127.0.0.1:0", "listen: 0.0.0.0:0");
    let folder = setup.write();
    let output = run(&setup, &["check", "-c", folder.main().to_str().unwrap()]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("keys"), "{text}");
}

#[test]
fn c04_no_header_of_the_caller_reaches_a_provider() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = keyed(Setup::new())
        .raw_provider(
            "bare",
            &format!("api: openai-chat, base_url: \"http://{}/v1\"", upstream.address()),
        )
        .model("alpha", "bare", "");
    let program = Program::start(&setup);
    let bearer = format!("Bearer {CALLER}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Cookie", "session=sk-CANARY-cookie"),
        ("openai-organization", "org-CANARY"),
        ("anthropic-beta", "beta-1"),
        ("anthropic-version", "2023-06-01"),
        ("x-goog-api-key", "sk-CANARY-goog"),
        ("api-key", "sk-CANARY-azure"),
        ("X-Model-Affinity", "session-1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("User-Agent", "caller/1.0"),
    ];
    let answer = program.post(CHAT, &headers, &chat("alpha", "x", false));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let seen = String::from_utf8(upstream.received()).unwrap();
    for secret in
        ["CANARY", "cookie", "organization", "beta-1", "session-1", "caller/1.0", "x-router"]
    {
        assert!(
            !seen.to_ascii_lowercase().contains(&secret.to_ascii_lowercase()),
            "{secret}: {seen}"
        );
    }
    let request = upstream.request(0);
    assert_eq!(request.header("authorization"), None);
    assert!(request.header("user-agent").is_some_and(|agent| agent.starts_with("pointsman/")));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(request.header("traceparent").is_some());
}

#[test]
fn c04_passthrough_passes_the_callers_own_key_and_only_there() {
    let (byo, keyed) =
        (Upstream::always(reply::chat("fine")), Upstream::always(reply::chat("fine")));
    let setup = Setup::new()
        .raw_provider(
            "byo",
            &format!(
                "api: openai-chat, auth: passthrough, base_url: \"http://{}/v1\"",
                byo.address()
            ),
        )
        .provider("keyed", "openai-chat", keyed.address())
        .model("alpha", "byo", "")
        .model("beta", "keyed", "");
    let program = Program::start(&setup);
    let bearer = format!("Bearer {CANARY}own");
    let headers = [("Authorization", bearer.as_str())];
    assert_eq!(program.post(CHAT, &headers, &chat("alpha", "x", false)).status(), 200);
    assert_eq!(program.post(CHAT, &headers, &chat("beta", "x", false)).status(), 200);
    assert_eq!(byo.request(0).header("authorization"), Some(bearer.as_str()));
    assert_eq!(keyed.request(0).header("authorization"), Some("Bearer sk-CANARY-provider-keyed"));
}

#[test]
fn c05_no_field_of_a_body_steers_where_it_goes() {
    let (upstream, evil) =
        (Upstream::always(reply::chat("fine")), Upstream::always(reply::chat("evil")));
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let url = format!("http://{}/v1", evil.address());
    let fields = format!(
        r#"{{"api_base":"{url}","base_url":"{url}","api_key":"sk-own","extra_headers":{{"x-evil":"1"}},"custom_llm_provider":"evil","proxy":"{url}","headers":{{"authorization":"Bearer x"}},"#
    );
    let body = chat("alpha", "x", false).replacen('{', &fields, 1);
    assert_eq!(program.post(CHAT, &[], &body).status(), 200);
    assert_eq!(evil.connections(), 0);
    let seen = upstream.request(0);
    assert_eq!(seen.target(), CHAT);
    assert_eq!(seen.header("authorization"), Some("Bearer sk-CANARY-provider-one"));
    assert_eq!(seen.header("x-evil"), None);
}

#[test]
fn c06_names_that_are_not_models() {
    let upstream = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let long = "m".repeat(64 * 1024);
    for model in [
        "one/../../alpha",
        "http://evil",
        "a\r\nX-Evil: y",
        &long,
        "__proto__",
        "router:",
        "router:gone",
        "Alpha",
        "",
    ] {
        let answer = program.post(CHAT, &[], &chat(model, "x", false));
        assert!(matches!(answer.status(), 404 | 400), "{model:?}: {}", answer.line);
        assert!(answer.body.len() < 2048, "a long name is echoed whole");
        assert_eq!(answer.header("x-evil"), None);
    }
    let answer = program.post(CHAT, &[], &chat("gone", "x", false));
    assert_eq!((answer.status(), answer.code().as_str()), (404, "model_not_found"));
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn c08_a_fallback_that_the_key_may_not_use_is_passed_over() {
    let (first, second) =
        (Upstream::always(reply::error(500, "", "broken")), Upstream::always(reply::chat("fine")));
    let setup = Setup::two(first.address(), second.address())
        .with("keys:\n  - {name: narrow, key: env:NARROW, models: [alpha]}\n  - {name: wide, key: env:WIDE}\n  - {name: shut, key: env:SHUT, routers: []}")
        .environment("NARROW", "sk-CANARY-narrow")
        .environment("WIDE", "sk-CANARY-wide")
        .environment("SHUT", "sk-CANARY-shut");
    let program = Program::start(&setup);
    let body = chat("router:both", "x", false);
    let ask = |key: &str, body: &str| program.post(CHAT, &[("x-api-key", key)], body);
    let answer = ask("sk-CANARY-narrow", &body);
    assert_eq!(answer.status(), 502, "the first error, not 403: {}", answer.text());
    assert!(!answer.text().contains("beta"), "a hidden name is told: {}", answer.text());
    assert_eq!(second.connections(), 0);
    assert_eq!(ask("sk-CANARY-wide", &body).status(), 200);
    let refused = ask("sk-CANARY-shut", &body);
    assert!(matches!(refused.status(), 403 | 404), "{}", refused.line);
    let refused = ask("sk-CANARY-narrow", &chat("beta", "x", false));
    assert!(matches!(refused.status(), 403 | 404), "{}", refused.line);
}

#[test]
fn c09_a_key_that_a_provider_echoes_is_masked() {
    for (api, path) in [("openai-chat", CHAT), ("anthropic", "/v1/messages")] {
        let upstream = Upstream::answering(|_, request| {
            let key =
                request.header("authorization").or(request.header("x-api-key")).unwrap_or_default();
            reply::error(400, &format!("x-echo: {key}\r\n"), &format!("bad key {key} given"))
        });
        let program = Program::start(&Setup::one(api, upstream.address()));
        let body = chat("alpha", "x", false).replacen('{', r#"{"max_tokens":5,"#, 1);
        let answer = program.post(path, &[], &body);
        assert_eq!(answer.status(), 400);
        let seen = upstream.request(0);
        assert!(format!("{:?}", seen.headers).contains(CANARY), "the provider got its key");
        assert!(!answer.text().contains(CANARY), "{}", answer.text());
        assert!(!format!("{:?}", answer.headers).contains(CANARY), "{:?}", answer.headers);
    }
}

#[test]
fn c10_no_page_of_the_admin_listener_shows_a_secret() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = keyed(Setup::one("openai-chat", upstream.address()))
        .with("admin_key: env:ADMIN\nlog: {level: debug}")
        .environment("ADMIN", "sk-CANARY-admin");
    let program = Program::start(&setup).with_admin_key("sk-CANARY-admin");
    let body = chat("alpha", "x", false);
    assert_eq!(program.post(CHAT, &[("x-api-key", CALLER)], &body).status(), 200);
    for path in
        ["/metrics", "/healthz", "/readyz", "/", "/config", "/debug", "/v2/gen-ai/models/routers"]
    {
        // What came is on the client's tape, which is searched at the end.
        let answer = program.admin(path);
        assert!(answer.status() < 500, "{path}");
    }
}

#[test]
fn c11_a_record_is_one_line_whatever_it_tells() {
    let upstream = Upstream::always(reply::error(400, "", "evil\n{\"level\":\"ERROR\"}\u{1b}[2J"));
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    let hostile = "x\n{\"fake\":true}\u{1b}[2J\"}";
    program.post(CHAT, &[], &chat(hostile, "x", false));
    program.post(CHAT, &[], &chat("alpha", hostile, false));
    program.post("/v1/%0a%7b%22fake%22:true%7d", &[], "{}");
    program.post(CHAT, &[("x-request-id", "a b\"}")], &chat("alpha", "x", false));
    program.metric_reaches("pointsman_requests_total", &[], 4.0);
    for line in program.log() {
        let record: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|fault| panic!("{fault}: {line}"));
        assert_eq!(record.get("fake"), None, "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
}

#[test]
fn c12_names_that_would_split_a_header_are_refused_at_load() {
    for name in ["a\\r\\nX: y", "a:b", "gr\u{f6}\u{df}e", " a", "none", &"n".repeat(300)] {
        let router = format!(
            "name: r\npolicies:\n  - custom_task: {{name: \"{name}\", description: d}}\n    models: [alpha]\n\
             fallback_models: [alpha]\n"
        );
        let setup =
            Setup::one("openai-chat", Upstream::refusing()).file("policies/r.yaml", &router);
        let folder = setup.write();
        let output = run(&setup, &["check", "-c", folder.main().to_str().unwrap()]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(64), "{name:?}: {text}");
        assert!(text.contains("r.yaml:3:"), "no place for {name:?}: {text}");
    }
}

#[test]
fn c13_secret_files() {
    let upstream = Upstream::always(reply::chat("fine"));
    let url = format!("base_url: \"http://{}/v1\"", upstream.address());
    let setup = |file: &str| {
        Setup::new()
            .raw_provider("one", &format!("api: openai-chat, api_key: \"file:{file}\", {url}"))
            .model("alpha", "one", "")
    };
    let trimmed = setup("key.txt").file("key.txt", "sk-CANARY-file\n");
    let program = Program::start(&trimmed);
    assert_eq!(program.chat("alpha").status(), 200);
    assert_eq!(upstream.request(0).header("authorization"), Some("Bearer sk-CANARY-file"));
    for bad in [setup("missing.txt"), setup("empty.txt").file("empty.txt", "\n")] {
        let folder = bad.write();
        let output = run(&bad, &["check", "-c", folder.main().to_str().unwrap()]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(".txt"), "{text}");
    }
}

#[test]
fn c15_an_inline_secret_is_refused_and_not_printed() {
    let url = "base_url: \"http://127.0.0.1:9/v1\"";
    let setup = Setup::new()
        .raw_provider(
            "one",
            &format!("api: openai-chat, api_key: sk-CANARY-inline, bsae_url: x, {url}"),
        )
        .model("alpha", "one", "");
    let folder = setup.write();
    let output = run(&setup, &["check", "-c", folder.main().to_str().unwrap()]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("api_key") && text.contains("bsae_url"), "{text}");
    assert!(!text.contains(CANARY), "{text}");
}

#[test]
fn c08_the_list_holds_what_the_key_may_use() {
    let setup = Setup::two(Upstream::refusing(), Upstream::refusing())
        .with("keys: [{name: narrow, key: env:NARROW, models: [alpha], routers: []}]")
        .environment("NARROW", "sk-CANARY-narrow");
    let program = Program::start(&setup);
    let list = |headers: &[(&str, &str)]| {
        let head = request_head("GET", "/v1/models", headers, 0);
        program.client().send(head).answer()
    };
    assert_eq!(list(&[]).status(), 401);
    let listed = list(&[("x-api-key", "sk-CANARY-narrow")]).text();
    assert!(
        listed.contains("alpha") && !listed.contains("beta") && !listed.contains("router:both"),
        "{listed}"
    );
}
