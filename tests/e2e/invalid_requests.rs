//! Invalid requests are refused with the name of the field, and change nothing.

use serde_json::{Value, json};

use crate::lab::{Lab, NAME};

/// Method, path, body; expected status, and text in the response.
type RefusedRequest = (&'static str, &'static str, Value, u16, &'static str);

#[tokio::test]
async fn bad_input_is_refused_with_its_cause_and_nothing_changes() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    lab.vault.cli(["secrets", "enable", "-path=fresh", NAME]).await.success();
    let names = "cannot be the name of a role";
    let rows: Vec<RefusedRequest> = vec![
        ("POST", "fresh/config", json!({}), 400, "api_endpoint is required"),
        (
            "POST",
            "fresh/config",
            json!({"api_endpoint": "https://t.example.com"}),
            400,
            "api_key is required",
        ),
        ("GET", "fresh/creds/developer", Value::Null, 400, "vault write fresh/config api_endpoint="),
        ("POST", "custom/config", json!({"api_endpoint": "tokens"}), 400, "absolute URL such as"),
        ("POST", "custom/config", json!({"api_endpoint": "ftp://t.example.com"}), 400, "http:// or https://"),
        ("POST", "custom/config", json!({"api_endpoint": {"url": 1}}), 400, "api_endpoint"),
        ("POST", "custom/config", json!({"request_timeout": "soon"}), 400, "request_timeout"),
        ("POST", "custom/config", json!({"tls_skip_verify": "perhaps"}), 400, "tls_skip_verify"),
        ("POST", "custom/roles/new", json!({}), 400, "permissions is required"),
        ("POST", "custom/roles/new", json!({"permissions": {"read": true}}), 400, "permissions"),
        ("POST", "custom/roles/developer", json!({"ttl": -1}), 400, "negative"),
        ("POST", "custom/roles/developer", json!({"ttl": "-1h"}), 400, "negative"),
        ("POST", "custom/roles/developer", json!({"ttl": 0}), 400, "longer than zero"),
        (
            "POST",
            "custom/roles/developer",
            json!({"ttl": "25h"}),
            400,
            "ttl (90000s) must not be longer than max_ttl (86400s)",
        ),
        ("POST", "custom/roles/developer", json!({"ttl": "soon"}), 400, "invalid duration"),
        ("POST", "custom/roles/developer", json!({"ttl": "1.5"}), 400, "missing unit in duration"),
        ("POST", "custom/roles/developer", json!({"ttl": [60]}), 400, "ttl"),
        ("GET", "custom/creds/missing", Value::Null, 400, "vault list custom/roles"),
        ("POST", "custom/roles/a/b", json!({"permissions": "read"}), 400, names),
        ("POST", "custom/roles/entwickler-\u{f6}", json!({"permissions": "read"}), 400, names),
        ("GET", "custom/creds/entwickler-\u{f6}", Value::Null, 400, names),
        ("GET", "custom/creds/team/developer", Value::Null, 400, names),
        (
            "POST",
            "custom/creds/developer",
            json!({"permissions": "admin"}),
            400,
            "the role does not have the permission",
        ),
        ("DELETE", "custom/creds/developer", Value::Null, 405, "unsupported operation"),
        ("GET", "custom/tokens", Value::Null, 404, "unsupported path"),
        (
            "POST",
            "custom/roles/huge",
            json!({"permissions": vec!["x".repeat(1 << 19); 80]}),
            413,
            "too large",
        ),
    ];
    let before = stored_state(&lab).await;
    let minted = lab.upstream.issued().len();
    for (method, path, body, status, says) in rows {
        let shown = body.to_string().chars().take(80).collect::<String>();
        let sent = if body.is_null() { None } else { Some(body) };
        let reply = lab.vault.request(method, path, sent).await;
        assert_eq!(reply.status, status, "{method} {path} {shown}: {}", reply.body);
        assert!(reply.body.to_string().contains(says), "{method} {path} {shown}: {}", reply.body);
    }
    assert_eq!(stored_state(&lab).await, before);
    assert_eq!(lab.upstream.issued().len(), minted);
    lab.read_credential("custom").await;
}

#[tokio::test]
async fn durations_are_taken_as_vault_takes_them() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    for (given, seconds) in
        [(json!("1d"), 86_400), (json!("90m"), 5400), (json!("90"), 90), (json!(60), 60), (json!(1.5), 1)]
    {
        lab.vault
            .request("POST", "custom/roles/r", Some(json!({"permissions": "read", "ttl": given})))
            .await
            .success();
        let shown = lab.vault.request("GET", "custom/roles/r", None).await.success();
        assert_eq!(shown["data"]["ttl"], seconds, "{given}");
    }
}

#[tokio::test]
async fn a_body_within_the_servers_limit_passes_whole() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    // Vault allows 32 MiB in all and 1 MiB in one text.
    let permissions: Vec<String> = (0..30).map(|at| format!("{at}-{}", "x".repeat(1 << 19))).collect();
    lab.vault.request("POST", "custom/roles/huge", Some(json!({"permissions": permissions}))).await.success();
    let shown = lab.vault.request("GET", "custom/roles/huge", None).await.success();
    assert!(shown["data"]["permissions"] == json!(permissions), "what was stored is not what was sent");
}

/// Everything that the engine stores and shows.
async fn stored_state(lab: &Lab) -> Value {
    let mut all = Vec::new();
    for (method, path) in [
        ("GET", "custom/config"),
        ("LIST", "custom/roles"),
        ("GET", "custom/roles/developer"),
        ("LIST", "fresh/roles"),
        ("GET", "fresh/config"),
    ] {
        let mut data = lab.vault.request(method, path, None).await.body["data"].clone();
        // Its salt is different each time. A credential shows that the key is the same.
        data.as_object_mut().and_then(|data| data.remove("api_key_sha256"));
        all.push(data);
    }
    Value::Array(all)
}
