//! One difference between two versions of a plugin, in words, and whether it breaks clients.

use std::fmt;

use super::path_info::Verb;
use crate::logical::BackendType;

/// One difference between two plugins.
///
/// ```
/// use serde_json::json;
/// use vault_plugin::host::{DifferenceKind, Difference, Verb, compare_paths, documented_paths};
///
/// let before = documented_paths(&json!({"paths": {"/config": {"get": {}, "delete": {}}}}));
/// let after = documented_paths(&json!({"paths": {"/config": {"get": {}}}}));
/// let removed =
///     Difference { path: "config".to_owned(), verb: Some(Verb::Delete), kind: DifferenceKind::Removed };
/// assert_eq!(compare_paths(&before, &after), [removed]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path; empty for what concerns the whole plugin.
    pub path: String,
    /// The operation on the path, where it is one of an operation.
    pub verb: Option<Verb>,
    /// What is different.
    pub kind: DifferenceKind,
}

/// What is different.
///
/// ```
/// use vault_plugin::host::DifferenceKind;
///
/// assert_eq!(DifferenceKind::Sudo { after: true }.to_string(), "needs sudo now");
/// let change = DifferenceKind::FieldRequired { field: "ttl".to_owned() };
/// assert_eq!(change.to_string(), "field ttl is required now");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The version that the plugin reports.
    Version {
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// A secrets engine has become an auth method, or the reverse.
    PluginType {
        /// Before.
        from: BackendType,
        /// After.
        to: BackendType,
    },
    /// Mounts share the process now, or no longer.
    Multiplexed {
        /// Whether they do after.
        after: bool,
    },
    /// The path or the operation is new.
    Added,
    /// The path or the operation is gone.
    Removed,
    /// The path needs the `sudo` capability now, or no longer.
    Sudo {
        /// Whether it does after.
        after: bool,
    },
    /// The path is open to callers without a token now, or no longer.
    Unauthenticated {
        /// Whether it is after.
        after: bool,
    },
    /// The path, the operation or a field is one to avoid now.
    Deprecated {
        /// The field; `None` for the operation itself.
        field: Option<String>,
    },
    /// A field can be sent now.
    FieldAdded {
        /// Its name.
        field: String,
        /// Whether it must be sent.
        required: bool,
    },
    /// A field is not understood any more.
    FieldRemoved {
        /// Its name.
        field: String,
    },
    /// A field that could be left out must be sent now.
    FieldRequired {
        /// Its name.
        field: String,
    },
    /// A field has another type.
    FieldType {
        /// Its name.
        field: String,
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// Some values of a field are not taken any more.
    ValuesRemoved {
        /// Its name.
        field: String,
        /// The values.
        values: Vec<String>,
    },
    /// A field is in the answer now.
    ResponseFieldAdded {
        /// Its name.
        field: String,
    },
    /// A field is not in the answer any more.
    ResponseFieldRemoved {
        /// Its name.
        field: String,
    },
    /// A field of the answer has another type.
    ResponseFieldType {
        /// Its name.
        field: String,
        /// Before.
        from: String,
        /// After.
        to: String,
    },
}

impl Difference {
    /// Whether a client that works with the first plugin may fail with the second.
    ///
    /// ```
    /// # use vault_plugin::host::{DifferenceKind, Difference};
    /// let added = |required| Difference {
    ///     path: "config".to_owned(),
    ///     verb: None,
    ///     kind: DifferenceKind::FieldAdded { field: "ttl".to_owned(), required },
    /// };
    /// assert!(!added(false).breaks_clients());
    /// assert!(added(true).breaks_clients());
    /// ```
    #[must_use]
    pub fn breaks_clients(&self) -> bool {
        match &self.kind {
            DifferenceKind::PluginType { .. }
            | DifferenceKind::Removed
            | DifferenceKind::FieldRemoved { .. }
            | DifferenceKind::FieldRequired { .. }
            | DifferenceKind::FieldType { .. }
            | DifferenceKind::ValuesRemoved { .. }
            | DifferenceKind::ResponseFieldRemoved { .. }
            | DifferenceKind::ResponseFieldType { .. } => true,
            DifferenceKind::Sudo { after } => *after,
            DifferenceKind::Unauthenticated { after } => !after,
            DifferenceKind::FieldAdded { required, .. } => *required,
            DifferenceKind::Version { .. }
            | DifferenceKind::Multiplexed { .. }
            | DifferenceKind::Added
            | DifferenceKind::Deprecated { .. }
            | DifferenceKind::ResponseFieldAdded { .. } => false,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            if let Some(verb) = self.verb {
                write!(f, "{verb} ")?;
            }
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.kind)
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DifferenceKind::Version { from, to } => write!(f, "version {from} becomes {to}"),
            DifferenceKind::PluginType { from, to } => write!(f, "{} becomes {}", kind(*from), kind(*to)),
            DifferenceKind::Multiplexed { after: true } => f.write_str("mounts share a process now"),
            DifferenceKind::Multiplexed { after: false } => f.write_str("mounts no longer share a process"),
            DifferenceKind::Added => f.write_str("added"),
            DifferenceKind::Removed => f.write_str("removed"),
            DifferenceKind::Sudo { after: true } => f.write_str("needs sudo now"),
            DifferenceKind::Sudo { after: false } => f.write_str("no longer needs sudo"),
            DifferenceKind::Unauthenticated { after: true } => f.write_str("open without a token now"),
            DifferenceKind::Unauthenticated { after: false } => f.write_str("no longer open without a token"),
            DifferenceKind::Deprecated { field: None } => f.write_str("deprecated"),
            DifferenceKind::Deprecated { field: Some(field) } => write!(f, "field {field} deprecated"),
            DifferenceKind::FieldAdded { field, required: false } => write!(f, "field {field} added"),
            DifferenceKind::FieldAdded { field, required: true } => {
                write!(f, "field {field} added, and required")
            }
            DifferenceKind::FieldRemoved { field } => write!(f, "field {field} removed"),
            DifferenceKind::FieldRequired { field } => write!(f, "field {field} is required now"),
            DifferenceKind::FieldType { field, from, to } => {
                write!(f, "field {field} changes from {from} to {to}")
            }
            DifferenceKind::ValuesRemoved { field, values } => {
                write!(f, "field {field} no longer takes {}", values.join(", "))
            }
            DifferenceKind::ResponseFieldAdded { field } => write!(f, "answer has {field} now"),
            DifferenceKind::ResponseFieldRemoved { field } => write!(f, "answer has no {field} any more"),
            DifferenceKind::ResponseFieldType { field, from, to } => {
                write!(f, "{field} of the answer changes from {from} to {to}")
            }
        }
    }
}

fn kind(kind: BackendType) -> &'static str {
    match kind {
        BackendType::Secrets => "secrets engine",
        BackendType::Credential => "auth method",
    }
}
