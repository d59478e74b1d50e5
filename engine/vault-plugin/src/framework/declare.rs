//! The declaration of an engine, its paths and their operations.

mod build_error;
mod engine;
mod path;

pub use build_error::BuildError;
pub use engine::{BuiltEngine, Engine};
pub use path::Path;
