//! One difference between two versions of a plugin, in words, and whether it breaks clients.

use std::fmt;

use super::inspect::Verb;
use crate::logical::BackendType;

/// One difference between two plugins.
///
/// ```
/// use serde_json::json;
/// use vault_plugin::host::{Change, Difference, Verb, compare_paths, documented_paths};
///
/// let before = documented_paths(&json!({"paths": {"/config": {"get": {}, "delete": {}}}}));
/// let after = documented_paths(&json!({"paths": {"/config": {"get": {}}}}));
/// let removed =
///     Difference { path: "config".to_owned(), verb: Some(Verb::Delete), change: Change::Removed };
/// assert_eq!(compare_paths(&before, &after), [removed]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path; empty for what concerns the whole plugin.
    pub path: String,
    /// The operation on the path, where it is one of an operation.
    pub verb: Option<Verb>,
    /// What is different.
    pub change: Change,
}

/// What is different.
///
/// ```
/// use vault_plugin::host::Change;
///
/// assert_eq!(Change::Sudo { after: true }.to_string(), "needs sudo now");
/// let change = Change::FieldRequired { field: "ttl".to_owned() };
/// assert_eq!(change.to_string(), "field ttl is required now");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The version that the plugin reports.
    Version {
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// A secrets engine has become an auth method, or the reverse.
    Kind {
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
    FieldKind {
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
    AnswerAdded {
        /// Its name.
        field: String,
    },
    /// A field is not in the answer any more.
    AnswerRemoved {
        /// Its name.
        field: String,
    },
    /// A field of the answer has another type.
    AnswerKind {
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
    /// # use vault_plugin::host::{Change, Difference};
    /// let added = |required| Difference {
    ///     path: "config".to_owned(),
    ///     verb: None,
    ///     change: Change::FieldAdded { field: "ttl".to_owned(), required },
    /// };
    /// assert!(!added(false).breaks_clients());
    /// assert!(added(true).breaks_clients());
    /// ```
    #[must_use]
    pub fn breaks_clients(&self) -> bool {
        match &self.change {
            Change::Kind { .. }
            | Change::Removed
            | Change::FieldRemoved { .. }
            | Change::FieldRequired { .. }
            | Change::FieldKind { .. }
            | Change::ValuesRemoved { .. }
            | Change::AnswerRemoved { .. }
            | Change::AnswerKind { .. } => true,
            Change::Sudo { after } => *after,
            Change::Unauthenticated { after } => !after,
            Change::FieldAdded { required, .. } => *required,
            Change::Version { .. }
            | Change::Multiplexed { .. }
            | Change::Added
            | Change::Deprecated { .. }
            | Change::AnswerAdded { .. } => false,
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
        write!(f, "{}", self.change)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Version { from, to } => write!(f, "version {from} becomes {to}"),
            Change::Kind { from, to } => write!(f, "{} becomes {}", kind(*from), kind(*to)),
            Change::Multiplexed { after: true } => f.write_str("mounts share a process now"),
            Change::Multiplexed { after: false } => f.write_str("mounts no longer share a process"),
            Change::Added => f.write_str("added"),
            Change::Removed => f.write_str("removed"),
            Change::Sudo { after: true } => f.write_str("needs sudo now"),
            Change::Sudo { after: false } => f.write_str("no longer needs sudo"),
            Change::Unauthenticated { after: true } => f.write_str("open without a token now"),
            Change::Unauthenticated { after: false } => f.write_str("no longer open without a token"),
            Change::Deprecated { field: None } => f.write_str("deprecated"),
            Change::Deprecated { field: Some(field) } => write!(f, "field {field} deprecated"),
            Change::FieldAdded { field, required: false } => write!(f, "field {field} added"),
            Change::FieldAdded { field, required: true } => write!(f, "field {field} added, and required"),
            Change::FieldRemoved { field } => write!(f, "field {field} removed"),
            Change::FieldRequired { field } => write!(f, "field {field} is required now"),
            Change::FieldKind { field, from, to } => write!(f, "field {field} changes from {from} to {to}"),
            Change::ValuesRemoved { field, values } => {
                write!(f, "field {field} no longer takes {}", values.join(", "))
            }
            Change::AnswerAdded { field } => write!(f, "answer has {field} now"),
            Change::AnswerRemoved { field } => write!(f, "answer has no {field} any more"),
            Change::AnswerKind { field, from, to } => {
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
