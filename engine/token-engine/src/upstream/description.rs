//! The description of a token API: its requests, the interpretation of its responses, and its recovery after a lost response.
//!
//! A description is JSON or YAML. Unknown keys are rejected, and everything is validated when it is written: [`Description::parse`]
//! returns every problem with its place. An accepted description is rendered without further checks.
//!
//! The modules in reading order, each of which uses only those below it:
//!
//! - `validate`: rules that concern several parts of a description.
//! - `auth`, `call`, `parameter`: the parts.
//! - `source`, `status`: values in responses, and sets of status codes.
//! - `reader`: deserializes a document with the place of each problem. `node`: the document. `problem`: problems and places.

mod auth;
mod call;
mod node;
mod parameter;
mod problem;
mod reader;
#[cfg(test)]
mod schema;
mod source;
mod status;
mod validate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use self::auth::{Auth, Basic, ClientCredentials, OAuth2};
pub(crate) use self::call::{
    Body, Call, Find, Gone, Login, Mint, Pages, PreMint, Probe, Renew, Revoke, RevokedBy, Rotate,
};
pub(crate) use self::node::Node;
pub(crate) use self::parameter::{Parameter, coerce_given, complete, is_empty};
pub(crate) use self::problem::{Place, Problem, Problems};
pub(crate) use self::source::{Expires, ExpiryUnit, Origin, Pointer, Source};
pub(crate) use self::status::StatusSet;

use vault_plugin::framework::parse_duration;

/// A token API.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// Name: lower-case letters, digits and -.
    pub(crate) name: String,
    /// The kind of credential that is issued, in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) help: String,
    /// The real server and version that the description was tested with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proven: Option<String>,
    /// Address of the documentation that the description follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) documented: Option<String>,
    /// Address of the vendor's OpenAPI document that the calls were validated against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) validated: Option<String>,
    /// Assumptions that neither a test nor the documentation covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unverified: Option<String>,
    /// Parameters of the connection, besides api_endpoint and api_key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) config: BTreeMap<String, Parameter>,
    /// Parameters of a role, besides permissions, ttl and max_ttl.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) parameters: BTreeMap<String, Parameter>,
    /// Authentication of the requests.
    pub(crate) auth: Auth,
    /// Limits of names.
    #[serde(default, skip_serializing_if = "Naming::is_default")]
    pub(crate) naming: Naming,
    /// A call before the mint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<PreMint>,
    /// Creates a token.
    pub(crate) mint: Mint,
    /// Extends the lifetime of a token, if the API supports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renew: Option<Renew>,
    /// Revokes a token.
    pub(crate) revoke: Revoke,
    /// Searches for a token by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) find: Option<Find>,
    /// Checks the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) probe: Option<Probe>,
    /// Replaces the key of the connection, for rotate-root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rotate: Option<Rotate>,
    /// How to find a token whose creation got no response.
    pub(crate) recovery: Recovery,
    /// Whether the API reuses the id of a revoked token for a new one. If so, the name is compared before a token is revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reused_ids: bool,
}

/// Limits of the names of tokens. A name always ends with its unique part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Naming {
    /// Maximum length of a name. At least 40.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_length: Option<usize>,
    /// Whether names contain only lower-case letters, digits and -.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dns_label: bool,
}

impl Naming {
    fn is_default(&self) -> bool {
        *self == Naming::default()
    }
}

/// How to find a token whose creation got no response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Recovery {
    /// The call is repeated with its {idempotency_key}, and the API returns the same token.
    Replay {
        /// How long the API recognizes the key.
        remembered_for: Seconds,
    },
    /// The token is found by its exact name, and revoked.
    Find {
        /// How long after the mint a search may not find the token yet.
        #[serde(default)]
        settle: Seconds,
    },
    /// The token is revoked by its name.
    DeleteByName {
        /// How long after the mint the API may not find the token by its name yet.
        #[serde(default)]
        settle: Seconds,
    },
    /// The token cannot be found. The configuration must accept that with accept_orphans.
    None,
}

/// A duration such as 30s, 5m, 24h or 1d, or a number of seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seconds(pub(crate) u64);

impl Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Seconds, D::Error> {
        struct SecondsVisitor;
        impl serde::de::Visitor<'_> for SecondsVisitor {
            type Value = Seconds;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration such as 30s, 5m or 1d")
            }

            fn visit_u64<E>(self, seconds: u64) -> Result<Seconds, E> {
                Ok(Seconds(seconds))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Seconds, E> {
                let seconds = parse_duration(text).ok().and_then(|seconds| u64::try_from(seconds).ok());
                let invalid = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
                seconds.filter(|_| !text.is_empty()).map(Seconds).ok_or_else(invalid)
            }
        }
        deserializer.deserialize_any(SecondsVisitor)
    }
}

impl Description {
    /// Parses and validates a description in JSON or YAML.
    pub(crate) fn parse(text: &str) -> Result<Description, Problems> {
        let node = Node::parse(text).map_err(|error| Problem::new(&Place::root(), error.to_string()))?;
        Description::from_node(&node)
    }

    /// Validates a description that is already parsed.
    pub(crate) fn from_node(node: &Node) -> Result<Description, Problems> {
        let description: Description = reader::read(node)?;
        validate::validate(&description)?;
        Ok(description)
    }

    /// Returns the placeholders that the mint uses, as far as they concern a role or a request.
    pub(crate) fn mint_uses(&self) -> MintUses {
        validate::mint_uses(self)
    }
}

/// The use of placeholders in the calls of a mint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MintUses {
    /// Whether permissions are sent, and whether they may be empty.
    pub(crate) permissions: PermissionUse,
    /// The placeholders that request a lifetime.
    pub(crate) lifetimes: Vec<crate::upstream::template::Placeholder>,
    /// Whether the engine generates a secret.
    pub(crate) generated_secret: bool,
}

/// Whether a mint sends the permissions of the role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PermissionUse {
    #[default]
    Unused,
    Optional,
    Required,
}
