//! The OpenAPI document of a real Vault, compared with what the engine accepts and returns: every path, operation, field and response.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Fault, Operation, Program, eventually};
use serde_json::{Value, json};

use crate::lab::{BINARY, Lab};

/// A request to the mount, with the template of its path in the document.
struct Sample {
    method: &'static str,
    template: &'static str,
    path: String,
    body: Value,
}

/// A field of a request or of a response: its operation, and its name.
type FieldOf = (String, String);

/// The document, and which of its parts the requests have shown to be true.
struct Documented {
    paths: BTreeMap<String, Value>,
    sent: BTreeSet<FieldOf>,
    returned: BTreeSet<FieldOf>,
    operations: BTreeSet<String>,
}

impl Documented {
    async fn read(lab: &Lab) -> Documented {
        let document = lab.vault.request("GET", "sys/internal/specs/openapi", None).await.success();
        let paths = document["paths"].as_object().unwrap().iter();
        let own =
            paths.filter_map(|(path, item)| Some((path.strip_prefix("/custom/")?.to_owned(), item.clone())));
        Documented {
            paths: own.collect(),
            sent: BTreeSet::new(),
            returned: BTreeSet::new(),
            operations: BTreeSet::new(),
        }
    }

    fn operation(&self, name: &str) -> &Value {
        let (method, template) = name.split_once(' ').unwrap();
        let item = self.paths.get(template).unwrap_or_else(|| panic!("{template} is not documented"));
        let operation = &item[if method == "LIST" { "get".to_owned() } else { method.to_lowercase() }];
        assert!(operation.is_object(), "{name} is not documented");
        operation
    }

    /// The documented fields of all request bodies and of all responses, and the operations.
    fn all(&self) -> (BTreeSet<FieldOf>, BTreeSet<FieldOf>, BTreeSet<String>) {
        let (mut bodies, mut responses, mut operations) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (template, item) in &self.paths {
            for method in ["get", "post", "patch", "delete"] {
                let Some(operation) = item.get(method) else { continue };
                let method = if template.ends_with('/') { "LIST".to_owned() } else { method.to_uppercase() };
                let name = format!("{method} {template}");
                let body = properties(&operation["requestBody"]);
                bodies.extend(body.map(|(field, _)| (name.clone(), field)));
                for response in operation["responses"].as_object().unwrap().values() {
                    responses.extend(properties(response).map(|(field, _)| (name.clone(), field)));
                }
                operations.insert(name);
            }
        }
        (bodies, responses, operations)
    }

    /// Sends a request, and checks that its fields, its status and the fields of its response are documented.
    async fn send(&mut self, lab: &Lab, sample: Sample) -> Value {
        let Sample { method, template, path, body } = sample;
        let name = format!("{method} {template}");
        let operation = self.operation(&name).clone();
        for field in body.as_object().into_iter().flatten().map(|(field, _)| field) {
            let documented = properties(&operation["requestBody"]).any(|(known, _)| known == *field);
            assert!(documented, "{name}: the field {field} is not documented");
            self.sent.insert((name.clone(), field.clone()));
        }
        let (status, answer) = match method {
            // Needs the media type of a merge patch.
            "PATCH" => {
                let cli = Program::new(lab.vault.cli_binary()).vault(&lab.vault);
                cli.run_with_input(["patch", &format!("custom/{path}"), "-"], &body.to_string())
                    .await
                    .success();
                (204, Value::Null)
            }
            _ => {
                let reply = lab
                    .vault
                    .request(method, &format!("custom/{path}"), (!body.is_null()).then_some(body))
                    .await;
                assert!((200..300).contains(&reply.status), "{name}: {} {}", reply.status, reply.body);
                (reply.status, reply.body)
            }
        };
        let warnings = answer["warnings"].to_string();
        assert!(!warnings.contains("unrecognized parameters"), "{name}: {warnings}");
        let response = &operation["responses"][status.to_string()];
        assert!(response.is_object(), "{name}: the status {status} is not documented");
        let documented: BTreeMap<String, Value> = properties(response).collect();
        let more = &response["content"]["application/json"]["schema"]["additionalProperties"];
        for (field, value) in answer["data"].as_object().into_iter().flatten() {
            let schema = documented.get(field);
            assert!(
                schema.is_some() || *more == true,
                "{name}: the field {field} of the response is not documented"
            );
            let Some(schema) = schema else { continue };
            assert!(has_type(value, schema), "{name}: {field} is {value}, and documented as {schema}");
            self.returned.insert((name.clone(), field.clone()));
        }
        self.operations.insert(name);
        answer
    }
}

/// The fields of a body or of a response, with their schemas.
fn properties(body: &Value) -> impl Iterator<Item = (String, Value)> {
    let properties = body["content"]["application/json"]["schema"]["properties"].as_object().cloned();
    properties.unwrap_or_default().into_iter()
}

fn has_type(value: &Value, schema: &Value) -> bool {
    match schema["type"].as_str() {
        Some("string") => value.is_string() || value.is_null(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    }
}

/// Creates an orphan, and returns its id. Its time in the storage is moved back, as its request may still run for three minutes.
async fn orphan(lab: &Lab) -> String {
    lab.upstream.fail_next(Operation::Mint, 1, Fault::BrokenJson);
    assert_eq!(lab.vault.request("GET", "custom/creds/developer", None).await.status, 500);
    let mounts = lab.vault.request("GET", "sys/mounts", None).await.success();
    let entries = format!("logical/{}/wal", mounts["custom/"]["uuid"].as_str().unwrap());
    let id = lab.vault.list_raw_storage(&entries).await.remove(0);
    let path = format!("{entries}/{id}");
    let mut entry = lab.vault.read_raw_storage(&path).await.unwrap();
    entry["created_at"] = (entry["created_at"].as_i64().unwrap() - 600).into();
    entry["data"]["planned_at"] = (entry["data"]["planned_at"].as_i64().unwrap() - 600).into();
    lab.vault.write_raw_storage(&path, &entry).await;
    id
}

fn sample(method: &'static str, template: &'static str, path: &str, body: Value) -> Sample {
    Sample { method, template, path: path.to_owned(), body }
}

/// Requests that use every operation and every field.
fn samples(lab: &Lab, description: &Value) -> Vec<Sample> {
    let (endpoint, key) = (lab.upstream.endpoint(), lab.upstream.api_key());
    // Every field of a connection to the service of the test.
    let connection = json!({
        "api_endpoint": endpoint, "api_key": key, "preset": "tokens", "account": "", "ca_cert": "", "tls_skip_verify": false,
        "request_timeout": "20s", "renew_upstream": false, "idempotency_window": 0, "metrics_prefix": "custom_plugin",
        "parameters": {}, "accept_orphans": false, "send_events": "never", "rotation_period": 0, "rotation_schedule": "", "rotation_window": 0,
        "disable_automated_rotation": false,
    });
    let hub = json!({
        "api_endpoint": endpoint, "api_key": key, "preset": "keycloak-client", "accept_orphans": true,
        "parameters": {"realm": "main"},
    });
    let described = json!({"api_endpoint": endpoint, "api_key": key, "api": description.to_string()});
    let role = json!({
        "permissions": "read,write", "ttl": "1h", "max_ttl": "2h", "config": "default", "parameters": {},
        "name_template": "{{.RoleName}}-{{random 20}}",
    });
    let by_period = json!({
        "config": "default", "permissions": "read", "parameters": {}, "ttl": "100h", "rotation_period": "24h",
    });
    let by_schedule = json!({
        "permissions": "read", "rotation_schedule": "0 3 * * SAT", "rotation_window": "2h", "disable_automated_rotation": true,
    });
    let with_parameters = json!({"config": "unknown", "parameters": {"user": "ada"}});
    let null = Value::Null;
    vec![
        sample("POST", "config", "config", connection.clone()),
        sample("POST", "config", "config", json!({"api": description.to_string()})),
        sample("POST", "config", "config", json!({"preset": "tokens"})),
        sample("PATCH", "config", "config", connection.clone()),
        sample("PATCH", "config", "config", json!({"api": description.to_string()})),
        sample("GET", "config", "config", null.clone()),
        sample("PATCH", "config", "config", json!({"preset": "tokens"})),
        sample("POST", "config/{name}", "config/hub", hub),
        sample("POST", "config/{name}", "config/described", described),
        sample("POST", "config/{name}", "config/other", connection.clone()),
        sample("PATCH", "config/{name}", "config/other", connection),
        sample("PATCH", "config/{name}", "config/other", json!({"api": description.to_string()})),
        sample("GET", "config/{name}", "config/hub", null.clone()),
        sample("GET", "config/{name}", "config/described", null.clone()),
        sample("LIST", "config/", "config", null.clone()),
        sample("POST", "roles/{name}", "roles/sample", role.clone()),
        sample("PATCH", "roles/{name}", "roles/sample", role),
        sample("POST", "roles/{name}", "roles/later", with_parameters),
        sample("GET", "roles/{name}", "roles/sample", null.clone()),
        sample("GET", "roles/{name}", "roles/later", null.clone()),
        sample("LIST", "roles/", "roles", null.clone()),
        sample("GET", "creds/{name}", "creds/sample", null.clone()),
        sample("POST", "creds/{name}", "creds/sample", json!({"permissions": "read", "ttl": "5m"})),
        sample("POST", "static-roles/{name}", "static-roles/period", by_period.clone()),
        sample("PATCH", "static-roles/{name}", "static-roles/period", by_period),
        sample("POST", "static-roles/{name}", "static-roles/schedule", by_schedule.clone()),
        sample("PATCH", "static-roles/{name}", "static-roles/schedule", by_schedule),
        sample("GET", "static-roles/{name}", "static-roles/period", null.clone()),
        sample("GET", "static-roles/{name}", "static-roles/schedule", null.clone()),
        sample("LIST", "static-roles/", "static-roles", null.clone()),
        sample("POST", "rotate-role/{name}", "rotate-role/period", null.clone()),
        sample("GET", "static-creds/{name}", "static-creds/period", null.clone()),
        sample("GET", "static-creds/{name}", "static-creds/schedule", null.clone()),
        sample("DELETE", "static-roles/{name}", "static-roles/period", null.clone()),
        sample("DELETE", "static-roles/{name}", "static-roles/schedule", null.clone()),
        sample("GET", "check", "check", null.clone()),
        sample("GET", "check/{name}", "check/other", null.clone()),
        sample("LIST", "presets/", "presets", null.clone()),
        sample("GET", "presets/{name}", "presets/harbor", null.clone()),
        sample("GET", "metrics", "metrics", null.clone()),
        sample("GET", "info", "info", null.clone()),
        sample("DELETE", "roles/{name}", "roles/sample", null.clone()),
        sample("DELETE", "config/{name}", "config/other", null),
    ]
}

/// Fields that no API of this test returns. The services of the presets report an account, and their keys are rotated.
const NOT_SHOWN_HERE: [(&str, &str); 18] = [
    ("GET config", "rotation_period"),
    ("GET config", "rotation_schedule"),
    ("GET config", "rotation_window"),
    ("GET config", "disable_automated_rotation"),
    ("GET config", "last_rotation"),
    ("GET config", "next_rotation"),
    ("GET config/{name}", "rotation_period"),
    ("GET config/{name}", "rotation_schedule"),
    ("GET config/{name}", "rotation_window"),
    ("GET config/{name}", "disable_automated_rotation"),
    ("GET config/{name}", "last_rotation"),
    ("GET config/{name}", "next_rotation"),
    ("GET orphans/{name}", "connection"),
    ("GET static-roles/{name}", "parameters"),
    ("GET check", "account"),
    ("GET check/{name}", "account"),
    ("LIST orphans/", "account"),
    ("GET orphans/{name}", "account"),
];

#[tokio::test]
async fn the_openapi_document_of_vault_is_what_the_engine_accepts_and_returns() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let mut documented = Documented::read(&lab).await;
    let preset = lab.vault.request("GET", "custom/presets/tokens", None).await.success();
    for sample in samples(&lab, &preset["data"]["api"]) {
        documented.send(&lab, sample).await;
    }
    // The service of this test has no other key. `presets` rotates those of real services.
    for (template, path) in [("rotate-root", "rotate-root"), ("rotate-root/{name}", "rotate-root/hub")] {
        let name = format!("POST {template}");
        let status = lab.vault.request("POST", &format!("custom/{path}"), None).await.status;
        assert!(documented.operation(&name)["responses"][status.to_string()].is_object(), "{name}: {status}");
        documented.operations.insert(name);
    }
    let id = orphan(&lab).await;
    let null = || Value::Null;
    documented.send(&lab, sample("LIST", "orphans/", "orphans", null())).await;
    for method in ["GET", "DELETE"] {
        documented.send(&lab, sample(method, "orphans/{name}", &format!("orphans/{id}"), null())).await;
    }
    documented.send(&lab, sample("DELETE", "config", "config", null())).await;

    let (bodies, responses, operations) = documented.all();
    let missing: Vec<_> = operations.difference(&documented.operations).collect();
    assert!(missing.is_empty(), "add a request for each new operation to `samples`: {missing:?}");
    let missing: Vec<_> = bodies.difference(&documented.sent).collect();
    assert!(missing.is_empty(), "add these fields to a request in `samples`: {missing:?}");
    // Both paths of a connection have the same response.
    let shown = |(operation, field): &&FieldOf| {
        let other = match &**operation {
            "GET config" => "GET config/{name}",
            "GET config/{name}" => "GET config",
            operation => operation,
        };
        documented.returned.contains(&(other.to_owned(), field.clone()))
            || NOT_SHOWN_HERE.contains(&(&**operation, &**field))
    };
    let missing: Vec<_> = responses.difference(&documented.returned).filter(|field| !shown(field)).collect();
    assert!(missing.is_empty(), "the document names fields that no response has: {missing:?}");
}

#[tokio::test]
async fn path_help_describes_every_path_and_every_field() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let root = lab.vault.cli(["path-help", "custom"]).await.success();
    let documented = Documented::read(&lab).await;
    assert!(documented.paths.len() > 10, "{:?}", documented.paths.keys());
    for (template, item) in &documented.paths {
        let path = template.trim_end_matches('/').replace("{name}", "sample");
        let first = template.split(['/', '{']).next().unwrap();
        assert!(root.contains(&format!("^{first}")), "{template} is missing in {root}");
        let help = lab.vault.cli(["path-help", &format!("custom/{path}")]).await.success();
        let bodies = ["post", "patch"].map(|method| properties(&item[method]["requestBody"]));
        for (field, schema) in bodies.into_iter().flatten() {
            assert!(help.contains(&format!("\n    {field} (")), "{field} is missing in {help}");
            assert!(help.contains(schema["description"].as_str().unwrap()), "{field} in {help}");
        }
    }
}

/// The only token whose creation was not answered is shown, counted and closed by a person, and the log says by whom.
#[tokio::test]
async fn an_orphan_is_listed_measured_and_closed_by_a_person_whose_name_is_logged() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let config = json!({"idempotency_window": 0});
    lab.vault.request("POST", "custom/config", Some(config)).await.success();
    let id = orphan(&lab).await;
    let listed = lab.vault.cli(["list", "-detailed", "custom/orphans"]).await.success();
    let minted = lab.upstream.live().pop().unwrap();
    assert!(listed.contains(&minted.name) && listed.contains(&lab.upstream.endpoint()), "{listed}");
    let metrics = lab.vault.cli(["read", "-format=raw", "custom/metrics"]).await.success();
    assert!(metrics.contains("custom_plugin_orphans 1\n"), "{metrics}");

    let policy = json!({"policy": "path \"custom/orphans/*\" { capabilities = [\"delete\"] }"});
    lab.vault.request("PUT", "sys/policies/acl/operator", Some(policy)).await.success();
    let wanted = json!({"policies": ["operator"], "display_name": "ada"});
    let token = lab.vault.request("POST", "auth/token/create", Some(wanted)).await.success();
    let token = token["auth"]["client_token"].as_str().unwrap();
    let cli = Program::new(lab.vault.cli_binary()).vault(&lab.vault).env("VAULT_TOKEN", token);
    let closed = cli.run(["delete", &format!("custom/orphans/{id}")]).await;
    assert_eq!(closed.code, Some(0), "{closed:?}");
    let log = eventually("the deletion is logged", async || {
        let logs = lab.vault.logs();
        logs.lines().find(|line| line.contains("was deleted by")).map(str::to_owned)
    })
    .await;
    assert!(log.contains(&minted.name) && log.contains("token-ada") && log.contains("until 20"), "{log}");
    let request =
        lab.vault.audit_log().into_iter().rev().find(|line| {
            line["type"] == "request" && line["request"]["path"] == format!("custom/orphans/{id}")
        });
    assert!(
        log.contains(request.unwrap()["request"]["id"].as_str().unwrap()),
        "the audit log has the same request: {log}"
    );
    assert!(!log.contains(&minted.token) && !log.contains(token), "{log}");
}

#[tokio::test]
async fn a_token_has_the_name_of_the_template_of_its_role() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let written = Program::new(lab.vault.cli_binary()).vault(&lab.vault);
    let template = "name_template={{.DisplayName}}.{{.RoleName}}.{{random 20}}";
    written.run(["write", "custom/roles/developer", template]).await.success();
    lab.read_credential("custom").await;
    let name = lab.upstream.live().pop().unwrap().name;
    assert!(name.starts_with("root.developer."), "{name}");
    let refused =
        written.run(["write", "custom/roles/developer", "name_template={{.RoleName}}-{{unix_time}}"]).await;
    assert!(refused.code != Some(0) && refused.stderr.contains("needs 64"), "{refused:?}");
}

#[tokio::test]
async fn info_names_the_host_on_vault_and_on_openbao() {
    for lab in [Lab::new().await, Lab::openbao().await] {
        lab.register(&lab.description(&["custom"], "1h")).await.success();
        let info = lab.vault.request("GET", "custom/info", None).await.success()["data"].clone();
        let health = lab.vault.request("GET", "sys/health", None).await.body;
        assert_eq!(info["host_version"], health["version"], "{info}");
        assert_eq!((&info["roles"], &info["presets"]), (&json!(1), &json!(["tokens"])), "{info}");
        let version = Program::new(BINARY).run(["version"]).await.success();
        assert!(version.contains(info["version"].as_str().unwrap()), "{version}");
    }
}
