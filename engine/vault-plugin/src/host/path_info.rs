//! The API of a plugin as data: paths, their operations and fields.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// One path.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PathInfo {
    /// What it is for, in one line.
    pub synopsis: String,
    /// Whether it needs the `sudo` capability.
    pub sudo: bool,
    /// Whether it is open to callers without a token.
    pub unauthenticated: bool,
    /// The parts that a caller fills in.
    pub parameters: BTreeMap<String, FieldInfo>,
    /// What can be done there.
    pub operations: BTreeMap<Verb, OperationInfo>,
}

/// What a client does at a path, in the words of Vault's command line.
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

/// One operation on a path.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OperationInfo {
    /// What it does, in one line.
    pub summary: String,
    /// Whether it is one to avoid.
    pub deprecated: bool,
    /// What a caller may send, in the body or the query.
    pub fields: BTreeMap<String, FieldInfo>,
    /// What the engine says it answers; empty where it does not say.
    pub answers: BTreeMap<String, FieldInfo>,
}

/// One field of a request or an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FieldInfo {
    /// The type in JSON, for example `string`, `integer (seconds)` or `array of string`.
    pub kind: String,
    /// What it is for.
    pub description: String,
    /// Whether it must be sent, as far as the engine says.
    pub required: bool,
    /// Whether it is one to avoid.
    pub deprecated: bool,
    /// Whether its value is a secret, as far as the engine says.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
    /// The only values, where there is a list of them.
    pub values: BTreeSet<String>,
}
