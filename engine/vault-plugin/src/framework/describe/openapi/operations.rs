//! Describes the operations of a path by their HTTP method.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Content, Location, OperationObject, Parameter, RequestBody, ResponseObject, Schema};
use super::operation_id::OperationId;
use super::special::is_special;
use super::{EngineDoc, OperationDoc, OperationStatus, PathDoc, schema};
use crate::framework::input::{Field, InputPolicy};
use crate::logical::{BackendType, Operation};

/// One URL of a path.
pub(super) struct PathUrl<'a, 'd> {
    pub(super) path: &'d PathDoc<'a>,
    pub(super) url: &'d str,
    /// The index of the URL among the URLs of the path.
    pub(super) index: usize,
    /// The names of the pattern's captures, in this URL or in another.
    pub(super) captured: &'d BTreeSet<String>,
    pub(super) has_parameters: bool,
    pub(super) engine: &'d EngineDoc<'d>,
}

/// The operations of a URL.
#[derive(Default)]
pub(super) struct UrlOperations<'a> {
    pub(super) get: Option<OperationObject<'a>>,
    pub(super) post: Option<OperationObject<'a>>,
    pub(super) patch: Option<OperationObject<'a>>,
    pub(super) delete: Option<OperationObject<'a>>,
    /// Also a `GET`, at the URL with a trailing slash.
    pub(super) list: Option<OperationObject<'a>>,
}

/// Describes the published operations that a client can call.
pub(super) fn url_operations<'a>(form: &PathUrl<'a, '_>) -> UrlOperations<'a> {
    let published = |operation| published(form.path, &operation);
    let described = |operation| published(operation).map(|doc| form.operation_object(doc));
    UrlOperations {
        get: described(Operation::Read),
        // Both are a `POST`. The update is documented if there is one.
        post: described(Operation::Update).or_else(|| {
            let created = form.path.operations.iter().all(|doc| doc.operation != Operation::Update);
            created.then(|| described(Operation::Create))?
        }),
        patch: described(Operation::Patch),
        delete: described(Operation::Delete),
        list: described(Operation::List).or_else(|| described(Operation::Scan)),
    }
}

/// Whether the path has a published create operation.
pub(super) fn create_supported(path: &PathDoc<'_>) -> bool {
    published(path, &Operation::Create).is_some()
}

fn published<'d, 'a>(path: &'d PathDoc<'a>, operation: &Operation) -> Option<&'d OperationDoc<'a>> {
    let doc = path.operations.iter().find(|doc| doc.operation == *operation)?;
    (doc.status != OperationStatus::Unpublished).then_some(doc)
}

impl<'a> PathUrl<'a, '_> {
    fn operation_object(&self, doc: &OperationDoc<'a>) -> OperationObject<'a> {
        let operation_id = OperationId {
            url: self.url,
            index: self.index,
            operation: &doc.operation,
            hints: [doc.display, self.path.display],
            default_prefix: self.engine.operation_prefix,
        };
        let (parameters, request_body) = match doc.operation {
            Operation::Create | Operation::Update => (self.recover_parameters(), self.body(doc)),
            Operation::Patch => (Vec::new(), self.body(doc)),
            _ => (self.query_parameters(&doc.operation), None),
        };
        OperationObject {
            summary: doc.summary.trim(),
            description: doc.description.trim(),
            operation_id: operation_id.render(),
            tags: [match self.engine.kind {
                BackendType::Secrets => "secrets",
                BackendType::Credential => "auth",
            }],
            parameters,
            request_body,
            responses: responses(doc),
            deprecated: doc.status == OperationStatus::Deprecated,
        }
    }

    /// Returns the fields that no URL of the path captures.
    fn uncaptured_fields(&self) -> impl Iterator<Item = (&'a String, &'a Field)> {
        self.path.fields.iter().filter(|(name, _)| !self.captured.contains(*name))
    }

    /// Returns the request body. It includes the query fields.
    fn body(&self, doc: &OperationDoc<'a>) -> Option<RequestBody<'a>> {
        let arbitrary = self.path.input == InputPolicy::Arbitrary;
        let required = self.uncaptured_fields().filter(|(_, field)| field.is_required());
        let body = Schema {
            additional_properties: arbitrary,
            required: required.map(|(name, _)| name.as_str()).collect(),
            example: doc.example,
            ..schema::object(self.uncaptured_fields())
        };
        (arbitrary || !body.properties.is_empty()).then(|| RequestBody::json(body))
    }

    fn query_parameters(&self, operation: &Operation) -> Vec<Parameter<'a>> {
        let fields = self.uncaptured_fields().filter(|(_, field)| field.is_query());
        let mut parameters: Vec<_> =
            fields.map(|(name, field)| schema::parameter(name, Location::Query, field)).collect();
        match operation {
            Operation::List => {
                parameters.push(required_true("list"));
                if published(self.path, &Operation::Scan).is_some() {
                    parameters.push(Parameter::text(
                        "scan",
                        Location::Query,
                        "With `true`, lists recursively",
                    ));
                }
            }
            Operation::Scan => parameters.push(required_true("scan")),
            _ => {}
        }
        if *operation != Operation::Delete && is_special(self.url, &self.engine.special.allow_snapshot_read) {
            let description = "Reads from the loaded snapshot with this id";
            parameters.push(Parameter::text("read_snapshot_id", Location::Query, description));
        }
        parameters.sort_by(|one, other| one.name.cmp(&other.name));
        parameters
    }

    /// Returns the parameters of a recovery: a write that names a snapshot recovers a path that supports it.
    fn recover_parameters(&self) -> Vec<Parameter<'a>> {
        if self.path.operations.iter().all(|doc| doc.operation != Operation::Recover) {
            return Vec::new();
        }
        let snapshot = "Recovers from the loaded snapshot with this id, and ignores the body";
        let source = "Recovers what the snapshot has at this path, instead of at the path of the request";
        let mut parameters = vec![
            Parameter {
                deprecated: true,
                ..Parameter::text("recover_snapshot_id", Location::Query, snapshot)
            },
            Parameter::text("X-Vault-Recover-Snapshot-Id", Location::Header, snapshot),
        ];
        if self.has_parameters {
            parameters.push(Parameter::text("X-Vault-Recover-Source-Path", Location::Header, source));
        }
        parameters
    }
}

fn required_true<'a>(name: &str) -> Parameter<'a> {
    let schema = Schema { allowed: vec!["true".into()], ..Schema::of("string") };
    Parameter { required: true, schema, ..Parameter::text(name, Location::Query, "Must be `true`") }
}

fn responses<'a>(doc: &OperationDoc<'a>) -> BTreeMap<u16, ResponseObject<'a>> {
    let mut responses = BTreeMap::new();
    for declared in doc.responses {
        let response = responses
            .entry(declared.status)
            .or_insert_with(|| ResponseObject { description: &declared.description, content: None });
        if !declared.fields.is_empty() {
            let body = Schema {
                additional_properties: declared.additional_fields,
                example: declared.example.as_ref(),
                ..schema::object(&declared.fields)
            };
            response.content = Some(Content::json(body));
        } else if let (Some(example), None) = (&declared.example, &response.content) {
            response.content = Some(Content::json(Schema { example: Some(example), ..Schema::default() }));
        }
    }
    if responses.is_empty() {
        let (status, response) = match doc.operation {
            Operation::Delete => (204, ResponseObject { description: "empty body", content: None }),
            Operation::List | Operation::Scan => {
                (200, ResponseObject { description: "OK", content: Some(Content::json(schema::list())) })
            }
            _ => (200, ResponseObject { description: "OK", content: None }),
        };
        responses.insert(status, response);
    }
    responses
}
