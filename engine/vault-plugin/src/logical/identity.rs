//! Who a caller is, and how a plugin proves who it is.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::Sensitive;

/// An identity of the host, behind one or more ways to log in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// Its id, as in [`Request::entity_id`](super::Request::entity_id).
    pub id: String,
    /// Its unique name.
    pub name: String,
    /// The ways to log in as it.
    pub aliases: Vec<Alias>,
    /// What the operator noted of it.
    pub metadata: BTreeMap<String, String>,
    /// Whether its tokens are refused.
    pub disabled: bool,
    /// The namespace it belongs to.
    pub namespace_id: String,
}

/// An entity as one auth method knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alias {
    /// Its id.
    pub id: String,
    /// Its name at the auth method, such as a user name.
    pub name: String,
    /// The type of the auth method.
    pub mount_type: String,
    /// The accessor of the auth method.
    pub mount_accessor: String,
    /// What the auth method noted of it.
    pub metadata: BTreeMap<String, String>,
    /// What the operator noted of it.
    pub custom_metadata: BTreeMap<String, String>,
    /// The namespace it belongs to.
    pub namespace_id: String,
    /// Whether it exists in this cluster only.
    pub local: bool,
}

/// A group of entities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: String,
    /// Its unique name.
    pub name: String,
    /// What the operator noted of it.
    pub metadata: BTreeMap<String, String>,
    /// The namespace it belongs to.
    pub namespace_id: String,
}

/// A token of the host that proves to somebody else which mount is asking (workload identity).
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityToken {
    /// A signed JSON web token.
    pub token: Sensitive,
    /// How long it is valid, in whole seconds.
    pub ttl: Duration,
}

/// Data that the host keeps until somebody unwraps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The token that unwraps it, once.
    pub token: Sensitive,
    /// The accessor of the token.
    pub accessor: String,
    /// How long it is kept.
    pub ttl: Duration,
    /// When it was wrapped.
    pub creation_time: Option<SystemTime>,
    /// The path that the host's audit log names for it.
    pub creation_path: String,
}
