//! A compiled path.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::framework::describe::{OperationDoc, OperationStatus, PathDoc, ResponseDoc};
use crate::framework::handler::{ExistenceFn, RequestHandler};
use crate::framework::input::{DisplayAttributes, Field, InputPolicy};
use crate::framework::pattern::Pattern;
use crate::logical::Operation;

/// A path with its compiled pattern.
pub(crate) struct Route<S> {
    pub(crate) pattern: Pattern,
    pub(crate) synopsis: String,
    pub(crate) description: String,
    pub(crate) fields: BTreeMap<String, Field>,
    pub(crate) operations: Vec<RouteOperation<S>>,
    pub(crate) existence: Option<ExistenceFn<S>>,
    pub(crate) display: Option<DisplayAttributes>,
    pub(crate) input: InputPolicy,
}

/// An operation on a route.
pub(crate) struct RouteOperation<S> {
    pub(crate) operation: Operation,
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) example: Option<Value>,
    pub(crate) responses: Vec<ResponseDoc>,
    pub(crate) status: OperationStatus,
    pub(crate) display: Option<DisplayAttributes>,
    pub(crate) forward: Forward,
    pub(crate) handler: RequestHandler<S>,
}

/// From which nodes the host must forward an operation.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) from_standby: bool,
    pub(crate) from_secondary: bool,
}

impl<S: Send + Sync + 'static> Route<S> {
    pub(crate) fn operation(&self, operation: &Operation) -> Option<&RouteOperation<S>> {
        self.operations.iter().find(|candidate| candidate.operation == *operation)
    }

    /// Returns the documentation of the path.
    pub(crate) fn document(&self) -> PathDoc<'_> {
        let operations = self.operations.iter().map(|entry| OperationDoc {
            operation: entry.operation.clone(),
            summary: &entry.summary,
            description: &entry.description,
            example: entry.example.as_ref(),
            responses: &entry.responses,
            status: entry.status,
            display: entry.display.as_ref(),
        });
        PathDoc {
            pattern: &self.pattern,
            fields: &self.fields,
            operations: operations.collect(),
            synopsis: &self.synopsis,
            display: self.display.as_ref(),
            input: self.input,
        }
    }
}
