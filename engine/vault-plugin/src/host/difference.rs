//! A difference between two versions of a plugin, and whether it is breaking.

use std::fmt;

use super::path_info::Verb;
use crate::logical::BackendType;

/// A difference between two plugins.
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
    /// The path, or an empty string for a difference of the whole plugin.
    pub path: String,
    /// The operation, if the difference concerns one.
    pub verb: Option<Verb>,
    /// The kind of difference.
    pub kind: DifferenceKind,
}

/// The kind of a difference.
///
/// ```
/// use vault_plugin::host::DifferenceKind;
///
/// assert_eq!(DifferenceKind::Sudo { after: true }.to_string(), "now requires sudo");
/// let change = DifferenceKind::FieldRequired { field: "ttl".to_owned() };
/// assert_eq!(change.to_string(), "field ttl is now required");
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
    /// Several mounts can now share a process, or no longer.
    Multiplexed {
        /// Whether they can in the second plugin.
        after: bool,
    },
    /// The path or the operation is new.
    Added,
    /// The path or the operation was removed.
    Removed,
    /// The path now requires the `sudo` capability, or no longer.
    Sudo {
        /// Whether the second plugin requires it.
        after: bool,
    },
    /// The path is now accessible without a token, or no longer.
    Unauthenticated {
        /// Whether it is in the second plugin.
        after: bool,
    },
    /// The path, the operation or a field is now deprecated.
    Deprecated {
        /// The field, or `None` for the operation itself.
        field: Option<String>,
    },
    /// A field of requests was added.
    FieldAdded {
        /// The name of the field.
        field: String,
        /// Whether the field is required.
        required: bool,
    },
    /// A field of requests was removed.
    FieldRemoved {
        /// The name of the field.
        field: String,
    },
    /// An optional field is now required.
    FieldRequired {
        /// The name of the field.
        field: String,
    },
    /// The type of a field has changed.
    FieldType {
        /// The name of the field.
        field: String,
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// Some values of a field are no longer accepted.
    ValuesRemoved {
        /// The name of the field.
        field: String,
        /// The values.
        values: Vec<String>,
    },
    /// A field of responses was added.
    ResponseFieldAdded {
        /// The name of the field.
        field: String,
    },
    /// A field of responses was removed.
    ResponseFieldRemoved {
        /// The name of the field.
        field: String,
    },
    /// The type of a field of responses has changed.
    ResponseFieldType {
        /// The name of the field.
        field: String,
        /// Before.
        from: String,
        /// After.
        to: String,
    },
}

impl Difference {
    /// Whether a client of the first plugin may fail with the second.
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
            DifferenceKind::Multiplexed { after: true } => f.write_str("mounts now share a process"),
            DifferenceKind::Multiplexed { after: false } => f.write_str("mounts no longer share a process"),
            DifferenceKind::Added => f.write_str("added"),
            DifferenceKind::Removed => f.write_str("removed"),
            DifferenceKind::Sudo { after: true } => f.write_str("now requires sudo"),
            DifferenceKind::Sudo { after: false } => f.write_str("no longer requires sudo"),
            DifferenceKind::Unauthenticated { after: true } => f.write_str("now accessible without a token"),
            DifferenceKind::Unauthenticated { after: false } => {
                f.write_str("no longer accessible without a token")
            }
            DifferenceKind::Deprecated { field: None } => f.write_str("deprecated"),
            DifferenceKind::Deprecated { field: Some(field) } => write!(f, "field {field} deprecated"),
            DifferenceKind::FieldAdded { field, required: false } => write!(f, "field {field} added"),
            DifferenceKind::FieldAdded { field, required: true } => {
                write!(f, "field {field} added, and required")
            }
            DifferenceKind::FieldRemoved { field } => write!(f, "field {field} removed"),
            DifferenceKind::FieldRequired { field } => write!(f, "field {field} is now required"),
            DifferenceKind::FieldType { field, from, to } => {
                write!(f, "field {field} changes from {from} to {to}")
            }
            DifferenceKind::ValuesRemoved { field, values } => {
                write!(f, "field {field} no longer accepts {}", values.join(", "))
            }
            DifferenceKind::ResponseFieldAdded { field } => write!(f, "response field {field} added"),
            DifferenceKind::ResponseFieldRemoved { field } => write!(f, "response field {field} removed"),
            DifferenceKind::ResponseFieldType { field, from, to } => {
                write!(f, "response field {field} changes from {from} to {to}")
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
