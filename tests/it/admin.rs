//! M: the admin listener.

use crate::support::{
    client::request_head,
    http::Message,
    program::{Program, chat},
    reply,
    setup::Setup,
    upstream::Upstream,
};

const FAMILIES: [&str; 14] = [
    "pointsman_requests_total",
    "pointsman_decisions_total",
    "pointsman_classification_seconds",
    "pointsman_attempts_total",
    "pointsman_failovers_total",
    "pointsman_cost_usd_total",
    "pointsman_breaker_state",
    "pointsman_price_age_seconds",
    "pointsman_config_reload_failures_total",
    "pointsman_requests_in_flight",
    "pointsman_overhead_seconds",
    "gen_ai_server_time_to_first_token_seconds",
    "gen_ai_client_token_usage",
    "gen_ai_client_operation_duration_seconds",
];

fn get(program: &Program, path: &str, host: &str, headers: &[(&str, &str)]) -> u16 {
    let head =
        request_head("GET", path, headers, 0).replace("Host: localhost", &format!("Host: {host}"));
    program.admin_client().send(head).answer().status()
}

#[test]
fn m01_nothing_of_the_admin_is_on_the_data_plane() {
    let upstream = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    for path in ["/metrics", "/healthz", "/readyz", "/v2/gen-ai/models/routers"] {
        let head = request_head("GET", path, &[], 0);
        assert_eq!(program.client().send(head).answer().status(), 404, "{path}");
        assert_eq!(program.admin("/healthz").status(), 200);
    }
    let head = request_head("POST", "/v1/chat/completions", &[], 0);
    let status = program.admin_client().send(head).answer().status();
    assert!(matches!(status, 403 | 404), "the data plane is on the admin listener: {status}");
}

#[test]
fn m02_a_key_and_a_host() {
    let upstream = Upstream::always(reply::chat("fine"));
    let open = Program::start(&Setup::one("openai-chat", upstream.address()));
    let own = open.admin_address().to_string();
    assert_eq!(get(&open, "/metrics", &own, &[]), 200);
    assert_eq!(get(&open, "/metrics", "localhost", &[]), 200);
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"] {
        assert_eq!(get(&open, "/metrics", host, &[]), 403, "{host}");
    }
    let setup = Setup::one("openai-chat", upstream.address())
        .with("admin_key: env:ADMIN")
        .environment("ADMIN", "sk-CANARY-admin");
    let keyed = Program::start(&setup).with_admin_key("sk-CANARY-admin");
    assert_eq!(get(&keyed, "/metrics", "localhost", &[]), 401);
    assert_eq!(get(&keyed, "/metrics", "localhost", &[("Authorization", "Bearer wrong")]), 401);
    let right = [("Authorization", "Bearer sk-CANARY-admin")];
    assert_eq!(get(&keyed, "/metrics", "localhost", &right), 200);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&keyed, path, "localhost", &[]), 200, "{path} asks for a key");
    }
}

/// Asks the admin listener under its own name.
fn ask(
    program: &Program,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Message {
    let own = program.admin_address().to_string();
    let head = request_head(method, path, headers, body.len());
    let head = head.replace("Host: localhost", &format!("Host: {own}"));
    program.admin_client().send(head + body).answer()
}

#[test]
fn m03_a_foreign_page_changes_nothing() {
    let program = Program::start(&Setup::one("openai-chat", Upstream::refusing()));
    let own = format!("http://{}", program.admin_address());
    let post = |headers: &[(&str, &str)]| ask(&program, "POST", "/api/nowhere", headers, "{}");
    for fields in [
        [("Origin", "http://evil.example")],
        [("Origin", "null")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
        [("Content-Type", "text/plain")],
        [("Content-Type", "application/x-www-form-urlencoded")],
    ] {
        let refused = post(&fields);
        assert_eq!(refused.status(), 403, "{fields:?}");
        assert!(refused.json()["error"]["code"].is_string(), "{}", refused.text());
    }
    assert_eq!(post(&[("Origin", &own), ("Sec-Fetch-Site", "same-origin")]).status(), 404);
    let bare =
        format!("POST /api/nowhere HTTP/1.1\r\nHost: {own}\r\nContent-Length: 2\r\n\r\n{{}}");
    let bare = bare.replace("http://", "");
    assert_eq!(program.admin_client().send(bare).answer().status(), 403, "no content type");
    for path in ["/healthz", "/", "/api/nowhere"] {
        assert_eq!(get(&program, path, "evil.example", &[]), 403, "{path}");
    }
}

#[test]
fn m04_the_key_guards_the_api_and_a_foreign_host_is_refused_with_it() {
    let setup = Setup::one("openai-chat", Upstream::refusing())
        .with("admin_key: env:ADMIN")
        .environment("ADMIN", "sk-CANARY-admin");
    let program = Program::start(&setup).with_admin_key("sk-CANARY-admin");
    let right = ("Authorization", "Bearer sk-CANARY-admin");
    for path in ["/api/nowhere", "/v2/gen-ai/models/routers", "/metrics", "/openapi.json"] {
        for wrong in
            [&[][..], &[("Authorization", "Bearer sk")], &[("x-api-key", "sk-CANARY-admin")]]
        {
            let refused = ask(&program, "GET", path, wrong, "");
            assert_eq!(refused.status(), 401, "{path} {wrong:?}");
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(ask(&program, "GET", "/api/nowhere", &[right], "").status(), 404);
    let foreign = [right, ("Origin", "http://evil.example")];
    let answered = ask(&program, "POST", "/api/nowhere", &foreign, "{}").status();
    assert_eq!(answered, 404, "the key in a header is proof enough");
    let form = [right, ("Content-Type", "text/plain")];
    assert_eq!(ask(&program, "POST", "/api/nowhere", &form, "{}").status(), 415);
    assert_eq!(get(&program, "/", "localhost", &[]), 200, "pages hold nothing secret");
    assert_eq!(get(&program, "/metrics", "evil.example", &[right]), 403);
}

#[test]
fn m09_what_is_not_there_is_said_in_the_right_words() {
    let program = Program::start(&Setup::one("openai-chat", Upstream::refusing()));
    for path in ["/api", "/api/", "/api/nowhere", "/v2", "/v2/../api", "/api/overview/"] {
        let missing = ask(&program, "GET", path, &[], "");
        assert_eq!(missing.status(), 404, "{path}");
        assert_eq!(missing.json()["error"]["code"], "not_found", "{path}");
    }
    for path in ["/nowhere", "/index.html", "/assets/", "/playground/", "//", "/apiary"] {
        assert_eq!(ask(&program, "GET", path, &[], "").status(), 404, "{path}");
    }
    for path in ["/healthz", "/metrics", "/", "/playground", "/routers"] {
        let refused = ask(&program, "POST", path, &[], "{}");
        assert_eq!((refused.status(), refused.header("allow")), (405, Some("GET, HEAD")), "{path}");
    }
    let large = "x".repeat((1 << 20) + 1);
    let refused = ask(&program, "POST", "/api/nowhere", &[], &large);
    assert_eq!(refused.status(), 413);
    assert_eq!(refused.json()["error"]["code"], "request_too_large");
    assert_eq!(ask(&program, "POST", "/api/nowhere", &[], &large[1..]).status(), 404);
}

#[test]
fn m10_pages_run_nothing_that_is_not_ours() {
    let program = Program::start(&Setup::one("openai-chat", Upstream::refusing()));
    for path in ["/", "/playground", "/routers"] {
        let page = ask(&program, "GET", path, &[], "");
        assert_eq!(page.status(), 200, "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = page.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), Some(value), "{path}");
        }
        let text = page.text();
        assert!(!text.contains("<script>") && !text.contains("style=\""), "{text}");
    }
}

#[test]
fn m05_every_family_is_there_from_the_start() {
    let upstream = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::two(upstream.address(), upstream.address()));
    let metrics = program.metrics();
    let missing: Vec<&str> = FAMILIES.into_iter().filter(|family| !metrics.has(family)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    program.chat("router:both");
    program.chat("alpha");
    program.post("/nowhere", &[], "{}");
    // A request is counted when it is settled, which is after its answer.
    program.metric_reaches("pointsman_requests_total", &[], 3.0);
    let metrics = program.metrics();
    assert!((metrics.sum("pointsman_requests_total", &[]) - 3.0).abs() < 0.5);
    let ok = metrics.sum("pointsman_attempts_total", &[("model", "alpha"), ("outcome", "ok")]);
    assert!((ok - 2.0).abs() < 0.5, "{ok}");
    let input = [("gen_ai_token_type", "input"), ("gen_ai_request_model", "alpha")];
    assert!((metrics.sum("gen_ai_client_token_usage_sum", &input) - 10.0).abs() < 0.5);
}

#[test]
fn m07_a_dry_run_has_the_limits_of_traffic() {
    let upstream = Upstream::always(reply::chat("fine"));
    let setup = Setup::two(upstream.address(), upstream.address()).with("max_body: 1MiB");
    let program = Program::start(&setup);
    let large = chat("router:both", &"x".repeat(2 << 20), false);
    assert_eq!(program.post("/routing/v1/chat/completions", &[], &large).status(), 413);
    let direct = program.post("/routing/v1/chat/completions", &[], &chat("alpha", "x", false));
    assert!(matches!(direct.status(), 200 | 404), "{}", direct.text());
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn m08_health_does_not_depend_on_providers() {
    let program = Program::start(&Setup::one("openai-chat", Upstream::refusing()));
    assert_eq!(program.chat("alpha").status(), 502);
    assert_eq!(program.admin("/healthz").status(), 200);
    assert_eq!(program.admin("/readyz").status(), 200);
}

#[test]
fn the_list_of_models_has_the_callers_shape() {
    let program = Program::start(&Setup::two(Upstream::refusing(), Upstream::refusing()));
    let list = |headers: &[(&str, &str)]| {
        let head = request_head("GET", "/v1/models", headers, 0);
        program.client().send(head).answer().json()
    };
    let openai = list(&[]);
    assert_eq!(openai["object"], "list");
    let mut ids: Vec<&str> =
        openai["data"].as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["alpha", "beta", "router:both"]);
    let anthropic = list(&[("anthropic-version", "2023-06-01")]);
    assert_eq!(anthropic["data"][0]["type"], "model");
    assert_eq!(anthropic["has_more"], false);
    let head = request_head("GET", "/v1/models/alpha", &[], 0);
    assert_eq!(program.client().send(head).answer().json()["id"], "alpha");
    let head = request_head("GET", "/v1/models/gone", &[], 0);
    assert_eq!(program.client().send(head).answer().status(), 404);
}

/// Files are the source of the configuration: nothing is taken from a body that asks for a reload.
#[test]
fn m06_no_path_reloads_from_a_body() {
    let upstream = Upstream::always(reply::chat("fine"));
    let program = Program::start(&Setup::one("openai-chat", upstream.address()));
    for path in ["/reload", "/-/reload", "/config", "/v1/config"] {
        let body = "{\"providers\":{}}";
        let headers = [("Content-Type", "application/json")];
        let mut client = program.admin_client();
        let head = request_head("POST", path, &headers, body.len())
            .replace("localhost", &program.admin_address().to_string());
        let answer = client.send(head).send(body).answer();
        assert!(matches!(answer.status(), 403..=405), "{path}: {}", answer.line);
    }
    assert_eq!(program.chat("alpha").status(), 200);
}
