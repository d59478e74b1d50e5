//! A compiled path.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::framework::context::Context;
use crate::framework::describe::{OperationDoc, OperationStatus, PathDoc, ResponseDoc};
use crate::framework::handler::{ExistenceFn, RequestHandler};
use crate::framework::input::{DisplayAttributes, Field, InputPolicy};
use crate::framework::pattern::Pattern;
use crate::logical::{Error, Map, Operation, Response};

/// A path that requests can be matched against.
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

/// From which nodes an operation is left to another one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) from_standby: bool,
    pub(crate) from_secondary: bool,
}

impl<S: Send + Sync + 'static> Route<S> {
    pub(crate) fn fields(&self) -> &BTreeMap<String, Field> {
        &self.fields
    }

    pub(crate) fn input(&self) -> InputPolicy {
        self.input
    }

    pub(crate) fn synopsis(&self) -> &str {
        &self.synopsis
    }

    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    pub(crate) fn supports(&self, operation: &Operation) -> bool {
        self.entry(operation).is_some()
    }

    /// From which nodes the operation is left to another one.
    pub(crate) fn forward(&self, operation: &Operation) -> Forward {
        self.entry(operation).map(|entry| entry.forward).unwrap_or_default()
    }

    pub(crate) async fn handle(
        &self,
        operation: &Operation,
        cx: Context<S>,
        fields: Map,
    ) -> Result<Option<Response>, Error> {
        let Some(entry) = self.entry(operation) else { return Err(Error::UnsupportedOperation) };
        (entry.handler)(cx, fields).await
    }

    /// `None` where the path has no existence check.
    pub(crate) async fn check_existence(&self, cx: Context<S>, fields: Map) -> Result<Option<bool>, Error> {
        match &self.existence {
            Some(check) => check(cx, fields).await.map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn has_existence_check(&self) -> bool {
        self.existence.is_some()
    }

    /// What documentation says of it.
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

    fn entry(&self, operation: &Operation) -> Option<&RouteOperation<S>> {
        self.operations.iter().find(|entry| entry.operation == *operation)
    }
}
