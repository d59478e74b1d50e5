//! What an author declares: an engine, and its paths with their operations.

mod build_error;
mod engine;
mod path;

pub use build_error::BuildError;
pub use engine::{BuiltEngine, Engine};
pub use path::Path;
