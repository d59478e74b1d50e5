//! The parts of an OpenAPI 3.0.2 document that this module uses.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::framework::input::DisplayAttributes;

#[derive(Serialize)]
pub(super) struct Document<'a> {
    openapi: &'static str,
    info: Info<'a>,
    paths: BTreeMap<String, PathItem<'a>>,
    components: Components,
}

impl<'a> Document<'a> {
    pub(super) fn new(info: Info<'a>, paths: BTreeMap<String, PathItem<'a>>) -> Self {
        Self { openapi: "3.0.2", info, paths, components: Components { schemas: BTreeMap::new() } }
    }
}

impl From<Document<'_>> for Value {
    fn from(document: Document<'_>) -> Self {
        serde_json::to_value(document).expect("a document has text keys and finite numbers only")
    }
}

#[derive(Serialize)]
pub(super) struct Info<'a> {
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) version: &'a str,
}

/// Always empty, because schemas are inline.
#[derive(Serialize)]
struct Components {
    schemas: BTreeMap<String, Value>,
}

#[derive(Default, Serialize)]
pub(super) struct PathItem<'a> {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parameters: Vec<Parameter<'a>>,
    #[serde(rename = "x-vault-sudo", skip_serializing_if = "is_unset")]
    pub(super) sudo: bool,
    #[serde(rename = "x-vault-unauthenticated", skip_serializing_if = "is_unset")]
    pub(super) unauthenticated: bool,
    #[serde(rename = "x-vault-createSupported", skip_serializing_if = "is_unset")]
    pub(super) create_supported: bool,
    #[serde(rename = "x-vault-displayAttrs", skip_serializing_if = "Option::is_none")]
    pub(super) display: Option<&'a DisplayAttributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) get: Option<OperationObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) post: Option<OperationObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) patch: Option<OperationObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delete: Option<OperationObject<'a>>,
}

/// OpenAPI's "operation object".
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OperationObject<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) summary: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) description: &'a str,
    pub(super) operation_id: String,
    pub(super) tags: [&'static str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parameters: Vec<Parameter<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_body: Option<RequestBody<'a>>,
    pub(super) responses: BTreeMap<u16, ResponseObject<'a>>,
    #[serde(skip_serializing_if = "is_unset")]
    pub(super) deprecated: bool,
}

#[derive(Clone, Serialize)]
pub(super) struct Parameter<'a> {
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(rename = "in")]
    pub(super) location: Location,
    pub(super) schema: Schema<'a>,
    #[serde(skip_serializing_if = "is_unset")]
    pub(super) required: bool,
    #[serde(skip_serializing_if = "is_unset")]
    pub(super) deprecated: bool,
}

impl Parameter<'_> {
    /// Returns an optional string parameter.
    pub(super) fn text(name: &str, location: Location, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            location,
            schema: Schema::of("string"),
            required: false,
            deprecated: false,
        }
    }
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Location {
    Path,
    Query,
    Header,
}

#[derive(Serialize)]
pub(super) struct RequestBody<'a> {
    required: bool,
    content: Content<'a>,
}

impl<'a> RequestBody<'a> {
    pub(super) fn json(schema: Schema<'a>) -> Self {
        Self { required: true, content: Content::json(schema) }
    }
}

#[derive(Serialize)]
pub(super) struct ResponseObject<'a> {
    pub(super) description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Content<'a>>,
}

/// The content of a body. JSON is the only media type.
#[derive(Serialize)]
pub(super) struct Content<'a> {
    #[serde(rename = "application/json")]
    json: MediaType<'a>,
}

impl<'a> Content<'a> {
    pub(super) fn json(schema: Schema<'a>) -> Self {
        Self { json: MediaType { schema } }
    }
}

#[derive(Serialize)]
struct MediaType<'a> {
    schema: Schema<'a>,
}

#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Schema<'a> {
    #[serde(rename = "type", skip_serializing_if = "str::is_empty")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) properties: BTreeMap<String, Schema<'a>>,
    #[serde(skip_serializing_if = "is_unset")]
    pub(super) additional_properties: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) required: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) items: Option<Box<Schema<'a>>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) format: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) pattern: &'static str,
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub(super) allowed: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) example: Option<&'a Value>,
    #[serde(skip_serializing_if = "is_unset")]
    pub(super) deprecated: bool,
    #[serde(rename = "x-vault-displayAttrs", skip_serializing_if = "Option::is_none")]
    pub(super) display: Option<&'a DisplayAttributes>,
}

impl Schema<'_> {
    pub(super) fn of(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }
}

fn is_unset(flag: &bool) -> bool {
    !flag
}
