use serde_json::json;

use super::*;
use crate::framework::pattern::{generic_name, match_all, optional_param};

/// An engine with one path, which has one published operation for each that is passed.
struct Fixture {
    pattern: Pattern,
    fields: BTreeMap<String, Field>,
    display: Option<DisplayAttributes>,
    special: SpecialPaths,
    responses: Vec<ResponseDoc>,
    input: InputPolicy,
    status: OperationStatus,
}

impl Fixture {
    fn new(pattern: &str) -> Self {
        Self {
            pattern: Pattern::compile(pattern).unwrap(),
            fields: BTreeMap::new(),
            display: None,
            special: SpecialPaths::default(),
            responses: Vec::new(),
            input: InputPolicy::DeclaredOnly,
            status: OperationStatus::Published,
        }
    }

    fn field(mut self, name: &str, field: Field) -> Self {
        self.fields.insert(name.to_owned(), field);
        self
    }

    fn document(&self, operations: &[Operation]) -> Value {
        let operations = operations.iter().map(|operation| OperationDoc {
            operation: operation.clone(),
            summary: "",
            description: "",
            example: None,
            responses: &self.responses,
            status: self.status,
            display: None,
        });
        let path = PathDoc {
            pattern: &self.pattern,
            fields: &self.fields,
            operations: operations.collect(),
            synopsis: "Does\n  something.",
            display: self.display.as_ref(),
            input: self.input,
        };
        let engine = EngineDoc {
            kind: BackendType::Secrets,
            product: Product::Vault,
            special: &self.special,
            host_version: "1.21.4",
            operation_prefix: "token",
        };
        document(&[path], &engine)
    }

    /// Returns the value at a path of the document.
    fn at(&self, operations: &[Operation], json_path: &[&str]) -> Value {
        let document = self.document(operations);
        json_path.iter().fold(document, |value, key| value[*key].clone())
    }

    fn urls(&self, operations: &[Operation]) -> Vec<String> {
        let paths = self.at(operations, &["paths"]);
        paths.as_object().unwrap().keys().cloned().collect()
    }
}

#[test]
fn a_document_has_the_shape_a_host_decodes() {
    let fixture = Fixture::new(&format!("roles/{}", generic_name("name")))
        .field("name", Field::name_string().describe("Name of\n the role."))
        .field("ttl", Field::duration().default("1h").required());
    assert_eq!(
        fixture.document(&[Operation::Update]),
        json!({
            "openapi": "3.0.2",
            "info": {
                "title": "HashiCorp Vault API",
                "description": "The HTTP API of a plugin. Its routes begin with `/v1/` and the path of the mount.",
                "version": "1.21.4",
            },
            "paths": {"/roles/{name}": {
                "description": "Does something.",
                "parameters": [{
                    "name": "name",
                    "description": "Name of the role.",
                    "in": "path",
                    "required": true,
                    "schema": {"type": "string", "pattern": r"\w([\w-.]*\w)?"},
                }],
                "post": {
                    "operationId": "token-write-roles-name",
                    "tags": ["secrets"],
                    "requestBody": {"required": true, "content": {"application/json": {"schema": {
                        "type": "object",
                        "required": ["ttl"],
                        "properties": {"ttl": {"type": "string", "format": "duration", "default": "1h"}},
                    }}}},
                    "responses": {"200": {"description": "OK"}},
                },
            }},
            "components": {"schemas": {}},
        })
    );
}

#[test]
fn lists_stand_apart_under_a_trailing_slash() {
    let roles = Fixture::new("roles/?").field("limit", Field::int().query());
    assert_eq!(roles.urls(&[Operation::List]), ["/roles/"]);
    assert_eq!(roles.urls(&[Operation::List, Operation::Read]), ["/roles", "/roles/"]);
    assert_eq!(roles.urls(&[Operation::Read]), ["/roles"]);
    assert_eq!(
        roles.at(&[Operation::List], &["paths", "/roles/", "get"]),
        json!({
            "operationId": "token-list-roles",
            "tags": ["secrets"],
            "parameters": [
                {"name": "limit", "in": "query", "schema": {"type": "integer"}},
                {
                    "name": "list",
                    "description": "Must be `true`",
                    "in": "query",
                    "required": true,
                    "schema": {"type": "string", "enum": ["true"]},
                },
            ],
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": {
                "type": "object",
                "properties": {"keys": {"type": "array", "items": {"type": "string"}}},
            }}}}},
        })
    );
}

#[test]
fn a_recursive_list_is_a_list_with_a_parameter() {
    let roles = Fixture::new("roles/?");
    for (operations, required) in
        [(vec![Operation::List, Operation::Scan], Value::Null), (vec![Operation::Scan], json!(true))]
    {
        let parameters = roles.at(&operations, &["paths", "/roles/", "get", "parameters"]);
        let scan =
            parameters.as_array().unwrap().iter().find(|parameter| parameter["name"] == "scan").unwrap();
        assert_eq!(scan["required"], required);
    }
}

#[test]
fn a_slash_that_is_not_optional_leaves_only_the_list() {
    let fixture = Fixture::new("roles/");
    let operations = [Operation::List, Operation::Read];
    assert_eq!(fixture.urls(&operations), ["/roles/"]);
    assert_eq!(fixture.at(&operations, &["paths", "/roles/", "get", "operationId"]), "token-list-roles");
    assert_eq!(fixture.at(&[Operation::Read], &["paths", "/roles/", "get"]), Value::Null);
}

#[test]
fn a_form_without_the_parameter_does_not_show_its_field() {
    let fixture = Fixture::new(&format!("creds{}", optional_param("name")))
        .field("name", Field::string())
        .field("ttl", Field::duration());
    let body = ["post", "requestBody", "content", "application/json", "schema", "properties"];
    for url in ["/creds", "/creds/{name}"] {
        let properties = fixture.at(&[Operation::Update], &[&["paths", url], body.as_slice()].concat());
        assert_eq!(properties, json!({"ttl": {"type": "string", "format": "duration"}}), "{url}");
    }
    assert_eq!(fixture.at(&[Operation::Update], &["paths", "/creds", "parameters"]), Value::Null);
}

#[test]
fn create_and_update_are_one_post() {
    let fixture = Fixture::new("config");
    let config = ["paths", "/config"];
    let both = fixture.at(&[Operation::Create, Operation::Update], &config);
    assert_eq!(both["x-vault-createSupported"], true);
    assert_eq!(both["post"]["operationId"], "token-write-config");
    let create = fixture.at(&[Operation::Create], &config);
    assert_eq!(create["post"]["operationId"], "token-create-config");
    assert_eq!(fixture.at(&[Operation::Update], &config)["x-vault-createSupported"], Value::Null);
}

#[test]
fn special_paths_are_marked() {
    let mut fixture = Fixture::new("roles/?");
    fixture.special.root = vec!["roles/*".to_owned()];
    fixture.special.unauthenticated = vec!["roles".to_owned()];
    let paths = fixture.at(&[Operation::List, Operation::Read], &["paths"]);
    assert_eq!(paths["/roles/"]["x-vault-sudo"], true);
    assert_eq!(paths["/roles/"]["x-vault-unauthenticated"], Value::Null);
    assert_eq!(paths["/roles"]["x-vault-sudo"], Value::Null);
    assert_eq!(paths["/roles"]["x-vault-unauthenticated"], true);
}

#[test]
fn responses_have_their_fields_in_place() {
    let mut fixture = Fixture::new("config");
    fixture.responses = vec![
        ResponseDoc::new(200, "The configuration.")
            .field("scopes", Field::comma_strings())
            .example(json!({"scopes": ["read"]})),
        ResponseDoc::new(404, "Not configured."),
        ResponseDoc::new(202, "Later.").example(json!({"id": 1})),
    ];
    assert_eq!(
        fixture.at(&[Operation::Read], &["paths", "/config", "get", "responses"]),
        json!({
            "200": {"description": "The configuration.", "content": {"application/json": {"schema": {
                "type": "object",
                "properties": {"scopes": {"type": "array", "items": {"type": "string"}}},
                "example": {"scopes": ["read"]},
            }}}},
            "202": {"description": "Later.", "content": {"application/json": {"schema": {"example": {"id": 1}}}}},
            "404": {"description": "Not configured."},
        })
    );
    let delete =
        Fixture::new("config").at(&[Operation::Delete], &["paths", "/config", "delete", "responses"]);
    assert_eq!(delete, json!({"204": {"description": "empty body"}}));
}

#[test]
fn display_attributes_are_shown_without_the_parts_of_the_operation_id() {
    let mut fixture = Fixture::new("config").field("api_key", Field::string().sensitive());
    fixture.display = Some(DisplayAttributes {
        action: "Configure".into(),
        operation_prefix: "my".into(),
        operation_suffix: "configuration".into(),
        ..Default::default()
    });
    let config = fixture.at(&[Operation::Update], &["paths", "/config"]);
    assert_eq!(config["x-vault-displayAttrs"], json!({"action": "Configure"}));
    assert_eq!(config["post"]["operationId"], "my-write-configuration");
    let body = &config["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["properties"]["api_key"]["x-vault-displayAttrs"], json!({"sensitive": true}));
    fixture.display = Some(DisplayAttributes { operation_prefix: "my".into(), ..Default::default() });
    assert_eq!(fixture.at(&[Operation::Read], &["paths", "/config", "x-vault-displayAttrs"]), Value::Null);
}

#[test]
fn a_path_that_accepts_arbitrary_input_documents_it() {
    let mut fixture = Fixture::new(&match_all("path"));
    fixture.input = InputPolicy::Arbitrary;
    let body = fixture.at(&[Operation::Update], &["paths", "/{path}", "post", "requestBody", "content"]);
    assert_eq!(
        body,
        json!({"application/json": {"schema": {"type": "object", "additionalProperties": true}}})
    );
}

#[test]
fn an_unpublished_operation_or_an_inexpressible_pattern_is_a_bare_path() {
    let mut fixture = Fixture::new("config");
    fixture.status = OperationStatus::Unpublished;
    let bare = json!({"description": "Does something."});
    assert_eq!(fixture.at(&[Operation::Read, Operation::Create], &["paths"]), json!({"/config": bare}));
    assert_eq!(Fixture::new("raw/.*").at(&[Operation::Read], &["paths"]), json!({"/^raw/.*$": bare}));
    fixture.status = OperationStatus::Deprecated;
    assert_eq!(fixture.at(&[Operation::Read], &["paths", "/config", "get", "deprecated"]), true);
}

#[test]
fn a_snapshot_is_read_and_recovered_by_parameters() {
    let mut fixture = Fixture::new(&format!("roles/{}", generic_name("name"))).field("name", Field::string());
    fixture.special.allow_snapshot_read = vec!["roles/*".to_owned()];
    let operations = [Operation::Read, Operation::Update, Operation::Recover, Operation::Delete];
    let names = |method| {
        let parameters = fixture.at(&operations, &["paths", "/roles/{name}", method, "parameters"]);
        let names = parameters.as_array().into_iter().flatten();
        names.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("get"), ["read_snapshot_id"]);
    assert_eq!(names("delete"), [""; 0]);
    let recover = ["recover_snapshot_id", "X-Vault-Recover-Snapshot-Id", "X-Vault-Recover-Source-Path"];
    assert_eq!(names("post"), recover);
}
