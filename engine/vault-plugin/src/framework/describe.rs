//! The help and the OpenAPI document of an engine.

mod help;
mod openapi;

pub(crate) use help::{PathHelp, root_help};
pub(crate) use openapi::{EngineDoc, OperationDoc, PathDoc, document};
pub use openapi::{OperationStatus, ResponseDoc};
