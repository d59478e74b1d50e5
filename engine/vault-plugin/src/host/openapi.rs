//! Parses the OpenAPI document in the help of an engine, of any SDK version.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path_info::{FieldInfo, OperationInfo, PathInfo, Verb};

/// The maximum nesting depth of a type description. Schemas can be recursive.
const MAX_SCHEMA_DEPTH: usize = 4;

/// Returns the paths of the document. Unexpected parts are ignored, because an incomplete description is better than
/// none.
///
/// ```
/// use serde_json::json;
/// use vault_plugin::host::{Verb, documented_paths};
///
/// let schema = json!({"required": ["ttl"], "properties": {"ttl": {"type": "integer", "format": "seconds"}}});
/// let body = json!({"requestBody": {"content": {"application/json": {"schema": schema}}}});
/// let paths = documented_paths(&json!({"paths": {"/config": {"x-vault-sudo": true, "post": body}}}));
/// assert!(paths["config"].sudo);
/// let ttl = &paths["config"].operations[&Verb::Write].fields["ttl"];
/// assert_eq!((ttl.kind.as_str(), ttl.required), ("integer (seconds)", true));
/// ```
pub fn documented_paths(document: &Value) -> BTreeMap<String, PathInfo> {
    let reader = SchemaReader { schemas: object(&document["components"]["schemas"]) };
    let mut paths: BTreeMap<String, PathInfo> = BTreeMap::new();
    for (path, item) in object(&document["paths"]).into_iter().flatten() {
        // In newer documents, lists have their own item with a trailing slash.
        let info = paths.entry(path.trim_matches('/').to_owned()).or_default();
        reader.read(item, info);
    }
    paths
}

struct SchemaReader<'a> {
    schemas: Option<&'a Map<String, Value>>,
}

impl SchemaReader<'_> {
    fn read(&self, item: &Value, info: &mut PathInfo) {
        if info.synopsis.is_empty() {
            info.synopsis = text(item, "description").trim().to_owned();
        }
        info.sudo |= flag(item, "x-vault-sudo");
        info.unauthenticated |= flag(item, "x-vault-unauthenticated");
        for parameter in array(&item["parameters"]) {
            info.parameters.insert(text(parameter, "name").to_owned(), self.parameter(parameter));
        }
        for (method, verb) in [("post", Verb::Write), ("patch", Verb::Patch), ("delete", Verb::Delete)] {
            if let Some(call) = object(&item[method]) {
                info.operations.insert(verb, self.operation(call));
            }
        }
        if let Some(call) = object(&item["get"]) {
            let list = call.get("parameters").map(array).into_iter().flatten();
            let list = list.filter(|parameter| text(parameter, "name") == "list").last();
            let mut operation = self.operation(call);
            operation.fields.remove("list");
            // An optional list parameter means that the path supports read and list.
            if list.is_none_or(|list| !flag(list, "required")) {
                info.operations.insert(Verb::Read, operation.clone());
            }
            if list.is_some() {
                info.operations.insert(Verb::List, operation);
            }
        }
    }

    fn operation(&self, call: &Map<String, Value>) -> OperationInfo {
        let call = &Value::Object(call.clone());
        let mut fields = self.properties(&call["requestBody"]["content"]);
        for parameter in array(&call["parameters"]) {
            fields.insert(text(parameter, "name").to_owned(), self.parameter(parameter));
        }
        let success = object(&call["responses"]).into_iter().flatten();
        let success = success.filter(|(status, _)| status.starts_with('2'));
        OperationInfo {
            summary: text(call, "summary").to_owned(),
            deprecated: flag(call, "deprecated"),
            fields,
            response_fields: success
                .flat_map(|(_, response)| self.properties(&response["content"]))
                .collect(),
        }
    }

    fn parameter(&self, parameter: &Value) -> FieldInfo {
        let field = self.field(&parameter["schema"]);
        FieldInfo {
            description: text(parameter, "description").to_owned(),
            required: flag(parameter, "required"),
            deprecated: flag(parameter, "deprecated"),
            ..field
        }
    }

    fn properties(&self, content: &Value) -> BTreeMap<String, FieldInfo> {
        let schema = self.resolve(&content["application/json"]["schema"]);
        let required: Vec<&str> = array(&schema["required"]).filter_map(Value::as_str).collect();
        let properties = object(&schema["properties"]).into_iter().flatten();
        properties
            .map(|(name, schema)| {
                let required = required.contains(&name.as_str());
                (name.clone(), FieldInfo { required, ..self.field(schema) })
            })
            .collect()
    }

    fn field(&self, schema: &Value) -> FieldInfo {
        let schema = self.resolve(schema);
        FieldInfo {
            kind: self.type_name(schema, MAX_SCHEMA_DEPTH),
            description: text(schema, "description").to_owned(),
            required: false,
            deprecated: flag(schema, "deprecated"),
            // The attribute is the same in the SDKs of Vault, OpenBao and this crate.
            sensitive: flag(&schema["x-vault-displayAttrs"], "sensitive"),
            values: array(&schema["enum"])
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                .collect(),
        }
    }

    fn type_name(&self, schema: &Value, depth: usize) -> String {
        let schema = self.resolve(schema);
        let kind = match text(schema, "type") {
            "" => "any",
            kind => kind,
        };
        if kind == "array" && depth > 0 && schema["items"].is_object() {
            return format!("array of {}", self.type_name(&schema["items"], depth - 1));
        }
        match text(schema, "format") {
            "" => kind.to_owned(),
            format => format!("{kind} ({format})"),
        }
    }

    /// Resolves a reference to a schema.
    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let name = text(schema, "$ref").strip_prefix("#/components/schemas/");
        let resolved = name.and_then(|name| self.schemas?.get(name));
        resolved.unwrap_or(schema)
    }
}

fn object(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reference_to_a_schema_is_resolved_and_a_list_is_merged_into_its_path() {
        let document = json!({
            "paths": {
                "/roles/": {"get": {
                    "parameters": [{"name": "list", "in": "query", "required": true, "schema": {"type": "string"}}],
                    "responses": {"200": {"content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/List"}}}}},
                }},
                "/roles/{name}": {
                    "description": "A role.",
                    "x-vault-sudo": true,
                    "parameters": [{"name": "name", "in": "path", "required": true, "schema": {"type": "string"}}],
                    "post": {"requestBody": {"content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/Write"}}}}},
                },
            },
            "components": {"schemas": {
                "List": {"properties": {"keys": {"type": "array", "items": {"type": "string"}}}},
                "Write": {"required": ["ttl"], "properties": {
                    "ttl": {"type": "integer", "format": "seconds"},
                    "mode": {"type": "string", "enum": ["a", "b"]},
                    "password": {"type": "string", "x-vault-displayAttrs": {"sensitive": true}},
                }},
            }},
        });
        let paths = documented_paths(&document);
        assert_eq!(paths.keys().collect::<Vec<_>>(), ["roles", "roles/{name}"]);
        let list = &paths["roles"].operations[&Verb::List];
        assert_eq!((list.response_fields["keys"].kind.as_str(), list.fields.len()), ("array of string", 0));
        let role = &paths["roles/{name}"];
        assert!(role.sudo && role.parameters["name"].required);
        let fields = &role.operations[&Verb::Write].fields;
        assert_eq!((fields["ttl"].kind.as_str(), fields["ttl"].required), ("integer (seconds)", true));
        assert_eq!(fields["mode"].values.len(), 2);
        assert!(fields["password"].sensitive && !fields["mode"].sensitive);
    }

    #[test]
    fn an_optional_list_parameter_means_read_and_list() {
        let get = json!({"parameters": [{"name": "list", "in": "query"}]});
        let paths = documented_paths(&json!({"paths": {"/x": {"get": get}}}));
        let verbs: Vec<_> = paths["x"].operations.keys().copied().collect();
        assert_eq!(verbs, [Verb::Read, Verb::List]);
    }

    #[test]
    fn an_invalid_document_yields_no_operations_and_no_panic() {
        for document in [json!(null), json!([]), json!({"paths": 7}), json!({"paths": {"/x": [1]}})] {
            assert!(documented_paths(&document).values().all(|path| path.operations.is_empty()));
        }
        let recursive = json!({"$ref": "#/components/schemas/A", "type": "array"});
        let schemas = json!({"A": {"type": "array", "items": recursive}});
        let get = json!({"responses": {"200": {"content": {"application/json": {
            "schema": {"properties": {"a": recursive}}}}}}});
        let document = json!({"paths": {"/x": {"get": get}}, "components": {"schemas": schemas}});
        let kind = &documented_paths(&document)["x"].operations[&Verb::Read].response_fields["a"].kind;
        assert!(kind.starts_with("array of array of"), "{kind}");
    }
}
