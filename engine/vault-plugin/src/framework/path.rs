//! A path of an engine: pattern, fields, operations.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::engine::DeclarationError;
use super::field::{DisplayAttributes, Field};
use super::input;
use super::openapi::{OperationDoc, OperationStatus, PathDoc, PathInput, ResponseDoc};
use super::pattern::Pattern;
use super::response::IntoResponse;
use crate::logical::{Error, Map, Operation, Response};

type Answer = Pin<Box<dyn Future<Output = Result<Option<Response>, Error>> + Send>>;
type Handler<S> = Box<dyn Fn(Context<S>, Map) -> Answer + Send + Sync>;
type Existence<S> =
    Box<dyn Fn(Context<S>, Map) -> Pin<Box<dyn Future<Output = Result<bool, Error>> + Send>> + Send + Sync>;

/// A path with its fields and operations.
pub struct Path<S> {
    pattern: String,
    synopsis: String,
    description: String,
    fields: BTreeMap<String, Field>,
    operations: Vec<OperationEntry<S>>,
    existence: Option<Existence<S>>,
    display: Option<DisplayAttributes>,
    input: PathInput,
}

struct OperationEntry<S> {
    operation: Operation,
    summary: String,
    description: String,
    example: Option<Value>,
    responses: Vec<ResponseDoc>,
    status: OperationStatus,
    display: Option<DisplayAttributes>,
    forward: Forward,
    handler: Handler<S>,
}

/// From which nodes an operation is left to another one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) from_standby: bool,
    pub(crate) from_secondary: bool,
}

impl<S: Send + Sync + 'static> Path<S> {
    /// A path below the mount. The pattern is matched from end to end; named groups fill the fields of their name.
    pub fn new(pattern: impl Into<String>) -> Path<S> {
        Path {
            pattern: pattern.into(),
            synopsis: String::new(),
            description: String::new(),
            fields: BTreeMap::new(),
            operations: Vec::new(),
            existence: None,
            display: None,
            input: PathInput::Declared,
        }
    }

    /// What `vault path-help` says: a line for the list of paths, and the text for the path itself.
    #[must_use]
    pub fn help(mut self, synopsis: impl Into<String>, description: impl Into<String>) -> Self {
        self.synopsis = synopsis.into();
        self.description = description.into();
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field: Field) -> Self {
        self.fields.insert(name.into(), field);
        self
    }

    /// Takes input outside of the declared fields without a warning.
    #[must_use]
    pub fn arbitrary_input(mut self) -> Self {
        self.input = PathInput::Arbitrary;
        self
    }

    /// How documentation and user interfaces show the path.
    #[must_use]
    pub fn display(mut self, display: DisplayAttributes) -> Self {
        self.display = Some(display);
        self
    }

    /// Tells create from update: whether something is there already.
    #[must_use]
    pub fn exists<T, F>(mut self, check: impl Fn(Context<S>, T) -> F + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned,
        F: Future<Output = Result<bool, Error>> + Send + 'static,
    {
        self.existence = Some(Box::new(move |cx, fields| match input::read(fields) {
            Ok(fields) => Box::pin(check(cx, fields)),
            Err(error) => Box::pin(async move { Err(error) }),
        }));
        self
    }

    /// Handles an operation. The handler gets its fields as `T`: a field that was not given and has no default is
    /// absent, in a patch one that was given as null is null.
    #[must_use]
    pub fn on<T, R, F>(
        mut self,
        operation: Operation,
        summary: impl Into<String>,
        handler: impl Fn(Context<S>, T) -> F + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned,
        R: IntoResponse,
        F: Future<Output = Result<R, Error>> + Send + 'static,
    {
        let handler: Handler<S> = Box::new(move |cx, fields| match input::read(fields) {
            Ok(fields) => {
                let answer = handler(cx, fields);
                Box::pin(async move { answer.await?.into_response() })
            }
            Err(error) => Box::pin(async move { Err(error) }),
        });
        self.operations.push(OperationEntry {
            operation,
            summary: summary.into(),
            description: String::new(),
            example: None,
            responses: Vec::new(),
            status: OperationStatus::Published,
            display: None,
            forward: Forward::default(),
            handler,
        });
        self
    }

    /// Has the operation added last done on the active node only (`ForwardPerformanceStandby` in Go).
    #[must_use]
    pub fn forwarded(self) -> Self {
        self.last(|operation| operation.forward.from_standby = true)
    }

    /// Has the operation added last done on the primary cluster, unless the mount is local
    /// (`ForwardPerformanceSecondary` in Go).
    #[must_use]
    pub fn forwarded_from_secondary(self) -> Self {
        self.last(|operation| operation.forward.from_secondary = true)
    }
}

/// What documentation says of the operation added last.
impl<S: Send + Sync + 'static> Path<S> {
    /// Describes an answer.
    #[must_use]
    pub fn answers(self, response: ResponseDoc) -> Self {
        self.last(|operation| operation.responses.push(response))
    }

    /// Says more than the summary.
    #[must_use]
    pub fn describe(self, description: impl Into<String>) -> Self {
        self.last(|operation| operation.description = description.into())
    }

    /// Gives an example of the body of a request.
    #[must_use]
    pub fn example(self, body: impl Into<Value>) -> Self {
        self.last(|operation| operation.example = Some(body.into()))
    }

    /// Documents it as one to avoid, or not at all.
    #[must_use]
    pub fn status(self, status: OperationStatus) -> Self {
        self.last(|operation| operation.status = status)
    }

    /// How documentation and user interfaces show it, where that differs from the path.
    #[must_use]
    pub fn operation_display(self, display: DisplayAttributes) -> Self {
        self.last(|operation| operation.display = Some(display))
    }

    fn last(mut self, change: impl FnOnce(&mut OperationEntry<S>)) -> Self {
        if let Some(last) = self.operations.last_mut() {
            change(last);
        }
        self
    }
}

/// A path that is ready to be matched.
pub(crate) struct Route<S> {
    pub(crate) pattern: Pattern,
    path: Path<S>,
}

impl<S: Send + Sync + 'static> Route<S> {
    pub(crate) fn compile(path: Path<S>) -> Result<Route<S>, DeclarationError> {
        let creates = path.operations.iter().any(|entry| entry.operation == Operation::Create);
        if creates && path.existence.is_none() {
            return Err(DeclarationError::NoExistenceCheck { pattern: path.pattern });
        }
        match Pattern::compile(&path.pattern) {
            Ok(pattern) => Ok(Route { pattern, path }),
            Err(source) => Err(DeclarationError::Pattern { pattern: path.pattern, source }),
        }
    }

    pub(crate) fn fields(&self) -> &BTreeMap<String, Field> {
        &self.path.fields
    }

    pub(crate) fn input(&self) -> PathInput {
        self.path.input
    }

    pub(crate) fn synopsis(&self) -> &str {
        &self.path.synopsis
    }

    pub(crate) fn description(&self) -> &str {
        &self.path.description
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
    pub(crate) async fn exists(&self, cx: Context<S>, fields: Map) -> Result<Option<bool>, Error> {
        match &self.path.existence {
            Some(check) => check(cx, fields).await.map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn has_existence_check(&self) -> bool {
        self.path.existence.is_some()
    }

    pub(crate) fn document(&self) -> PathDoc<'_> {
        let operations = self.path.operations.iter().map(|entry| OperationDoc {
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
            fields: &self.path.fields,
            operations: operations.collect(),
            synopsis: &self.path.synopsis,
            display: self.path.display.as_ref(),
            input: self.path.input,
        }
    }

    fn entry(&self, operation: &Operation) -> Option<&OperationEntry<S>> {
        self.path.operations.iter().find(|entry| entry.operation == *operation)
    }
}
