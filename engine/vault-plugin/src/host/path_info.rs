//! The API of a plugin as data: paths, their operations and fields.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// A path.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PathInfo {
    /// The synopsis.
    pub synopsis: String,
    /// Whether the path requires the `sudo` capability.
    pub sudo: bool,
    /// Whether the path is accessible without a token.
    pub unauthenticated: bool,
    /// The parameters in the path.
    pub parameters: BTreeMap<String, FieldInfo>,
    /// The operations on the path.
    pub operations: BTreeMap<Verb, OperationInfo>,
}

/// An operation of a client, as in the commands of Vault's command line.
///
/// ```
/// use vault_plugin::host::Verb;
///
/// assert_eq!(Verb::Write.to_string(), "write");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// HTTP GET.
    Read,
    /// HTTP LIST, or GET with `list=true`.
    List,
    /// HTTP POST or PUT.
    Write,
    /// HTTP PATCH.
    Patch,
    /// HTTP DELETE.
    Delete,
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verb::Read => "read",
            Verb::List => "list",
            Verb::Write => "write",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
        })
    }
}

/// An operation on a path.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OperationInfo {
    /// The summary.
    pub summary: String,
    /// Whether it is deprecated.
    pub deprecated: bool,
    /// The fields of a request, in the body or the query.
    pub fields: BTreeMap<String, FieldInfo>,
    /// The documented fields of a response. Empty if the engine does not document them.
    pub response_fields: BTreeMap<String, FieldInfo>,
}

/// A field of a request or a response.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FieldInfo {
    /// The type in JSON, for example `string`, `integer (seconds)` or `array of string`.
    pub kind: String,
    /// The description.
    pub description: String,
    /// Whether the field is documented as required.
    pub required: bool,
    /// Whether it is deprecated.
    pub deprecated: bool,
    /// Whether the value is documented as sensitive.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
    /// The allowed values. Empty if any value is allowed.
    pub values: BTreeSet<String>,
}
