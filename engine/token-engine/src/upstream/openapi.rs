//! The presets against the OpenAPI documents of the vendors.
//!
//! Each call of a preset is rendered with example values and checked against the operation of the document: method, path, query,
//! headers, credential and body, and the places in the response that values are read from. The documents are not part of this
//! repository. What was validated is: `tests/openapi/*.json` holds the calls, and a test fails when a preset sends anything else.
//! `tests/openapi/README.md` says how to repeat the validation.
//!
//! The modules in reading order, each of which uses only those below it:
//!
//! - `check`: a call against an operation.
//! - `schema`: values against schemas.
//! - `document`: operations and references; `rendered`: the calls of a description.

mod check;
mod document;
mod rendered;
mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::check::check_call;
use self::document::Document;
use self::rendered::{Examples, RenderedCall, render};
use super::description::Description;
use super::presets::{all_presets, find_preset};

/// The directory with the documents, as OWNER/NAME/PATH.
const DOCUMENTS: &str = "OPENAPI_DOCUMENTS";

/// A document of a vendor, and values for the placeholders of the preset.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    repository: String,
    /// Commit or tag.
    revision: String,
    /// Path of the document, or of its first file.
    document: String,
    /// The path that all paths of the document are below, where the document does not name it.
    base: Option<String>,
    /// The files that are read, with their SHA-256.
    files: BTreeMap<String, String>,
    #[serde(default)]
    examples: Examples,
}

impl Entry {
    fn evidence(&self) -> String {
        format!("https://github.com/{}/blob/{}/{}", self.repository, self.revision, self.document)
    }

    /// Opens the document below a directory.
    fn open(&self, directory: &Path) -> Result<Document, String> {
        let directory = directory.join(&self.repository);
        let files = self.files.clone();
        let read = move |path: &str| {
            let file = directory.join(path);
            let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let digest = HEXLOWER.encode(&Sha256::digest(&bytes));
            if files.get(path) != Some(&digest) {
                return Err(format!("{path}: digest mismatch: expected {:?}, got {digest}", files.get(path)));
            }
            String::from_utf8(bytes).map_err(|error| error.to_string())
        };
        Document::open(&self.document, self.base.as_deref(), Box::new(read))
    }
}

/// What was validated.
#[derive(Serialize)]
struct Record<'a> {
    document: String,
    calls: &'a [RenderedCall],
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi")
}

fn entries() -> BTreeMap<String, Entry> {
    let text = std::fs::read_to_string(directory().join("documents.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn every_request_of_a_validated_preset_is_one_that_the_document_of_its_vendor_allows() {
    let documents = std::env::var_os(DOCUMENTS).map(PathBuf::from);
    let mut problems = Vec::new();
    for (name, entry) in entries() {
        let description = find_preset(&name).unwrap().description();
        let calls =
            render(&description, &entry.examples).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        let record = Record { document: entry.evidence(), calls: &calls };
        let record = serde_json::to_string_pretty(&record).unwrap() + "\n";
        let file = directory().join(format!("{name}.json"));
        if let Some(documents) = &documents {
            let document = entry.open(documents).unwrap_or_else(|problem| panic!("{name}: {problem}"));
            let found: Vec<String> = calls.iter().flat_map(|call| check_call(&document, call)).collect();
            if found.is_empty() && std::env::var_os("UPDATE_GENERATED").is_some() {
                std::fs::write(&file, &record).unwrap();
            }
            problems.extend(found.into_iter().map(|problem| format!("{name}: {problem}")));
        }
        if std::fs::read_to_string(&file).unwrap_or_default() != record {
            problems.push(format!(
                "{name}: the calls are not those that were validated; see tests/openapi/README.md"
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_preset_says_that_it_is_validated_if_there_is_a_document_and_a_record() {
    let entries = entries();
    for preset in all_presets() {
        let evidence = entries.get(preset.name).map(Entry::evidence);
        assert_eq!(preset.description().validated, evidence, "{}", preset.name);
        assert_eq!(
            directory().join(format!("{}.json", preset.name)).exists(),
            evidence.is_some(),
            "{}",
            preset.name
        );
    }
    assert!(entries.keys().all(|name| find_preset(name).is_ok()));
}

/// A description of the API of the document.
fn keys() -> Value {
    json!({
        "name": "keys",
        "auth": {"headers": {"Authorization": "Bearer {api_key}", "X-Tenant": "t"}},
        "parameters": {"project": {"required": true}, "size": {"type": "int", "default": 1}, "rules": {"type": "json"}},
        "mint": {
            "post": "/v1/projects/{role.project}/keys",
            "json": {"label": "{name}", "size": "{role.size}", "kind": "small", "until": "{expires.rfc3339}", "rules": "{role.rules?}"},
            "success": [201], "id": "/key/id", "token": "/key/secret", "expires": {"epoch": "/key/until"},
        },
        "find": {"get": "/v1/projects/{role.project}/keys", "query": {"label": "{name}"}, "items": "/keys", "name": "/label", "id": "/id"},
        "revoke": {"delete": "/v1/projects/{role.project}/keys/{id}", "gone": {"status": [404]}},
        "probe": {"get": "/v1/me", "account": "/id"},
        "recovery": {"find": {"settle": 10}},
    })
}

/// The document as OpenAPI 3, in two files.
fn openapi() -> BTreeMap<String, Value> {
    let key = json!({
        "allOf": [
            {"type": "object", "properties": {"id": {"type": "integer", "readOnly": true}, "label": {"type": "string", "maxLength": 40}}},
            {"type": "object", "properties": {
                "secret": {"type": "string", "readOnly": true}, "until": {"type": "integer"},
            }},
        ],
    });
    let new_key = json!({
        "type": "object", "required": ["label", "until"],
        "properties": {
            "label": {"type": "string"}, "size": {"type": "integer", "maximum": 9}, "kind": {"enum": ["small", "large"]},
            "until": {"type": "string", "format": "date-time"},
            "rules": {"type": "array", "items": {"type": "object", "required": ["verb"], "properties": {"verb": {"type": "string"}}}},
            "made": {"type": "string", "readOnly": true},
        },
    });
    let project = json!({"name": "project", "in": "path", "required": true, "schema": {"type": "string"}});
    let keys = json!({
        "parameters": [project],
        "get": {
            "parameters": [{"name": "label", "in": "query", "schema": {"type": "string"}}],
            "responses": {"200": {"content": {"application/json; charset=utf-8": {"schema": {
                "type": "object", "properties": {"keys": {"type": "array", "items": {"$ref": "#/key"}}},
            }}}}},
        },
        "post": {
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/new_key"}}}},
            "responses": {"201": {"content": {"application/json": {"schema": {
                "type": "object", "properties": {"key": {"$ref": "#/key"}},
            }}}}},
        },
    });
    let root = json!({
        "openapi": "3.0.3", "servers": [{"url": "https://keys.example.com/v1"}],
        "security": [{"bearer": [], "tenant": []}],
        "components": {"securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"}, "tenant": {"type": "apiKey", "in": "header", "name": "X-Tenant"},
        }},
        "paths": {
            "/projects/{project}/keys": {"$ref": "parts/keys.json#/keys"},
            "/projects/{project}/keys/{id}": {"delete": {
                "parameters": [project, {"name": "id", "in": "path", "schema": {"type": "integer"}}],
                "responses": {"204": {}, "404": {}},
            }},
            "/me": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {
                "oneOf": [{"properties": {"id": {"type": "string"}}}, {"properties": {"robot": {"type": "string"}}}],
            }}}}}}},
        },
    });
    let parts = json!({"keys": keys, "key": key, "new_key": new_key});
    BTreeMap::from([("root.json".to_owned(), root), ("parts/keys.json".to_owned(), parts)])
}

fn problems_of(files: &BTreeMap<String, Value>, description: &Value, role: &Value) -> Vec<String> {
    let files = files.clone();
    let read =
        move |path: &str| files.get(path).map(Value::to_string).ok_or_else(|| format!("no file {path}"));
    let document = Document::open("root.json", None, Box::new(read)).unwrap();
    let description =
        Description::parse(&description.to_string()).unwrap_or_else(|problems| panic!("{problems}"));
    let examples = serde_json::from_value(json!({"role": role, "id": "7"})).unwrap();
    let calls = render(&description, &examples).unwrap();
    calls.iter().flat_map(|call| check_call(&document, call)).collect()
}

#[test]
fn a_preset_that_the_document_allows_has_no_problem() {
    let role = json!({"project": "web", "rules": [{"verb": "read"}]});
    assert_eq!(problems_of(&openapi(), &keys(), &role), Vec::<String>::new());
}

/// Checks the first problem of a description with one value replaced. A value that is replaced by null is removed.
#[track_caller]
fn check_broken(place: &str, value: Value, expected: &str) {
    let mut description = keys();
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = description.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        drop(parent.remove(key));
    } else {
        drop(parent.insert(key.to_owned(), value));
    }
    let problems = problems_of(&openapi(), &description, &json!({"project": "web"}));
    assert_eq!(problems.first().map(String::as_str), Some(expected), "{place}");
}

#[test]
fn a_preset_with_an_error_is_found_out() {
    check_broken("/mint/json/colour", json!("red"), "mint: body/colour: the schema has no such property");
    check_broken("/mint/json/until", json!(null), "mint: body: lacks the required property until");
    check_broken("/mint/json/label", json!(["{name}"]), "mint: body/label: must be of type string");
    check_broken("/mint/json/size", json!("1 of {role.size}"), "mint: body/size: must be of type integer");
    check_broken(
        "/parameters/size/default",
        json!(10),
        "mint: body/size: 10 is outside of minimum and maximum",
    );
    check_broken("/mint/json/kind", json!("huge"), "mint: body/kind: is not one of the values of the enum");
    check_broken("/mint/json/until", json!("{expires.date}"), "mint: body/until: is not a date-time");
    check_broken("/mint/json/made", json!("{name}"), "mint: body/made: is read-only, and cannot be sent");
    check_broken(
        "/mint/post",
        json!("/v1/projects/{role.project}/tokens"),
        "mint: the document has no path that matches /v1/projects/web/tokens",
    );
    check_broken("/mint/post", json!("/v2/keys"), "mint: /v2/keys is not below /v1");
    check_broken("/find/query/name", json!("{name}"), "find: the document has no query parameter name");
    check_broken(
        "/mint/id",
        json!("/key/key_id"),
        r#"mint: 201 Created: id: the response has no "/key/key_id""#,
    );
    check_broken(
        "/mint/expires",
        json!({"rfc3339": "/key/until"}),
        r#"mint: 201 Created: expires: "/key/until" is of type integer"#,
    );
    check_broken("/find/items", json!("/tokens"), r#"find: 200 OK: items: the response has no "/tokens""#);
    check_broken("/find/name", json!("/name"), r#"find: 200 OK: name: the response has no "/name""#);
    check_broken("/probe/account", json!("/user"), r#"probe: 200 OK: account: the response has no "/user""#);
    check_broken(
        "/mint/success",
        json!([200]),
        "mint: status 201 Created means success in the document, and not in the preset",
    );
    check_broken(
        "/revoke/gone",
        json!({"status": [410]}),
        "revoke: the document has no response with a status of gone",
    );
    check_broken(
        "/revoke/delete",
        json!("/v1/projects/{role.project}/keys/x-{id}"),
        "revoke: path id: must be of type integer",
    );
}

#[test]
fn a_parameter_that_the_schema_does_not_allow_is_found_out() {
    let role = json!({"project": "web", "rules": [{"noun": "x"}]});
    let expected = [
        "mint: body/rules/0: lacks the required property verb",
        "mint: body/rules/0/noun: the schema has no such property",
    ];
    assert_eq!(problems_of(&openapi(), &keys(), &role), expected);
}

#[test]
fn a_call_with_another_method_or_credential_or_without_its_body_is_found_out() {
    let role = json!({"project": "web"});
    let mut description = keys();
    description["before"] = json!({"post": "/v1/projects/{role.project}/keys"});
    assert_eq!(problems_of(&openapi(), &description, &role), ["before: lacks the required body"]);

    let mut description = keys();
    let mint = description["mint"].as_object_mut().unwrap();
    let path = mint.remove("post").unwrap();
    mint.insert("put".to_owned(), path);
    let expected = ["mint: the document has no PUT /projects/{project}/keys"];
    assert_eq!(problems_of(&openapi(), &description, &role), expected);

    let mut description = keys();
    description["auth"] = json!({"headers": {"Authorization": "Bearer {api_key}"}});
    let problems = problems_of(&openapi(), &description, &role);
    let calls = ["mint", "find", "revoke", "probe"];
    let expected =
        calls.map(|call| format!("{call}: the document does not name this credential for the operation"));
    assert_eq!(problems, expected);
}

/// The document of an API that takes forms, as Swagger 2.0.
#[test]
fn a_form_is_checked_against_the_fields_of_swagger_2() {
    let field = |name: &str, kind: &str, required: bool| json!({"name": name, "in": "formData", "type": kind, "required": required});
    let swagger = BTreeMap::from([(
        "root.json".to_owned(),
        json!({
            "swagger": "2.0", "basePath": "/api",
            "securityDefinitions": {"basic": {"type": "basic"}}, "security": [{"basic": []}],
            "paths": {
                "/tokens": {"post": {
                    "parameters": [field("name", "string", true), field("days", "integer", false)],
                    "responses": {"200": {"schema": {"properties": {"token": {"type": "string"}}}}},
                }},
                "/tokens/{name}": {"delete": {"responses": {"204": {}}}},
            },
        }),
    )]);
    let description = |form: Value| {
        json!({
            "name": "forms", "auth": {"basic": {"user": "admin", "password": "{api_key}"}},
            "mint": {"post": "/api/tokens", "form": form, "token": "/token"},
            "revoke": {"delete": "/api/tokens/{name}"}, "recovery": {"delete_by_name": {}},
        })
    };
    let check = |form: Value, expected: &[&str]| {
        assert_eq!(problems_of(&swagger, &description(form), &json!({})), expected);
    };
    check(json!({"name": "{name}", "days": "{ttl.days}"}), &[]);
    check(
        json!({"days": "{ttl.days}", "name": "{name}", "scope": "x"}),
        &["mint: the document has no form field scope"],
    );
    check(
        json!({"days": "{name}"}),
        &["mint: form days: must be of type integer", "mint: lacks the required form field name"],
    );
}
