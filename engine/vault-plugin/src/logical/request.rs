//! Requests of a host to an engine.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Auth, Map, Secret};

/// The operation of a request. The names are those of `sdk/logical`. An unknown name becomes [`Operation::Other`], which no
/// path supports.
///
/// ```
/// use vault_plugin::logical::Operation;
///
/// assert_eq!(Operation::from("read"), Operation::Read);
/// assert_eq!(Operation::from("brew"), Operation::Other("brew".to_owned()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Write an object that the existence check did not find.
    Create,
    /// Read an object.
    Read,
    /// Write an object that exists, or that has no existence check.
    Update,
    /// Change only the given fields (JSON merge patch).
    Patch,
    /// Delete an object.
    Delete,
    /// List names.
    List,
    /// List names, recursively (OpenBao).
    Scan,
    /// Describe the path.
    Help,
    /// Return the identity alias of a login.
    AliasLookahead,
    /// Return the role of a login.
    ResolveRole,
    /// HTTP HEAD.
    Header,
    /// Restore from a snapshot (Vault Enterprise).
    Recover,
    /// Revoke a lease.
    Revoke,
    /// Renew a lease.
    Renew,
    /// Roll back write-ahead log entries, and run periodic work. Sent by the host's timer.
    Rollback,
    /// Rotate a credential on the host's schedule (Vault Enterprise).
    Rotate,
    /// An operation that this SDK does not know.
    Other(String),
}

impl Operation {
    /// Returns the name of the operation on the wire.
    ///
    /// ```
    /// # use vault_plugin::logical::Operation;
    /// assert_eq!(Operation::AliasLookahead.as_str(), "alias-lookahead");
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Operation::Create => "create",
            Operation::Read => "read",
            Operation::Update => "update",
            Operation::Patch => "patch",
            Operation::Delete => "delete",
            Operation::List => "list",
            Operation::Scan => "scan",
            Operation::Help => "help",
            Operation::AliasLookahead => "alias-lookahead",
            Operation::ResolveRole => "resolve-role",
            Operation::Header => "header",
            Operation::Recover => "recover",
            Operation::Revoke => "revoke",
            Operation::Renew => "renew",
            Operation::Rollback => "rollback",
            Operation::Rotate => "rotate",
            Operation::Other(name) => name,
        }
    }
}

impl From<&str> for Operation {
    fn from(name: &str) -> Operation {
        match name {
            "create" => Operation::Create,
            "read" => Operation::Read,
            "update" => Operation::Update,
            "patch" => Operation::Patch,
            "delete" => Operation::Delete,
            "list" => Operation::List,
            "scan" => Operation::Scan,
            "help" => Operation::Help,
            "alias-lookahead" => Operation::AliasLookahead,
            "resolve-role" => Operation::ResolveRole,
            "header" => Operation::Header,
            "recover" => Operation::Recover,
            "revoke" => Operation::Revoke,
            "renew" => Operation::Renew,
            "rollback" => Operation::Rollback,
            "rotate" => Operation::Rotate,
            other => Operation::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request, as the host's router sends it to a mount.
///
/// `data` may contain secrets of a user, so `Debug` shows the names of its fields only.
///
/// ```
/// use vault_plugin::logical::{Map, Operation, Request};
///
/// let data = Map::from_iter([("password".to_owned(), "hunter2".into())]);
/// let mut request = Request::new(Operation::Update, "config", data);
/// request.display_name = "ldap-ann".to_owned();
/// let debug = format!("{request:?}");
/// assert!(debug.contains("password") && !debug.contains("hunter2"));
/// ```
#[derive(Clone)]
pub struct Request {
    /// The host's id of the request, also in its audit log.
    pub id: String,
    /// The operation.
    pub operation: Operation,
    /// The path in the mount, without a leading slash. The path of a list ends in a slash.
    pub path: String,
    /// The body and query of the request. For renew and revoke, the data of the issued secret.
    pub data: Map,
    /// The lease, for renew and revoke.
    pub secret: Option<Secret>,
    /// The login, if its token is renewed.
    pub auth: Option<Auth>,
    /// The request headers that the mount passes through (`passthrough_request_headers`).
    pub headers: BTreeMap<String, Vec<String>>,
    /// The caller's token, salted by the host. Only useful to distinguish callers.
    pub client_token: String,
    /// The accessor of the caller's token.
    pub client_token_accessor: String,
    /// A readable name of the caller, for example `token` or `ldap-alice`.
    pub display_name: String,
    /// The path of the mount, with a trailing slash.
    pub mount_point: String,
    /// The type of the mount as it was enabled.
    pub mount_type: String,
    /// The accessor of the mount.
    pub mount_accessor: String,
    /// The response wrapping that the caller requested.
    pub wrap_info: Option<WrapInfo>,
    /// The id of the caller's entity, or an empty string.
    pub entity_id: String,
    /// Whether the caller overrides soft-mandatory policies.
    pub policy_override: bool,
    /// Whether the request has no token.
    pub unauthenticated: bool,
    /// The connection of the caller, if the host reports it.
    pub connection: Option<Connection>,
    /// The replication secondary that received the request.
    pub replication_cluster: String,
    /// The loaded snapshot on which a read, list or recover operates (Vault Enterprise).
    pub requires_snapshot_id: String,
    /// The path from which a recover reads its data, if not `path`.
    pub recover_source_path: String,
}

impl Request {
    /// Returns a request with an operation, a path and data. All other fields are empty.
    ///
    /// ```
    /// # use vault_plugin::logical::{Map, Operation, Request};
    /// let request = Request::new(Operation::List, "roles/", Map::new());
    /// assert_eq!(request.path, "roles/");
    /// assert!(request.secret.is_none() && request.client_token.is_empty());
    /// ```
    #[must_use]
    pub fn new(operation: Operation, path: impl Into<String>, data: Map) -> Request {
        Request {
            id: String::new(),
            operation,
            path: path.into(),
            data,
            secret: None,
            auth: None,
            headers: BTreeMap::new(),
            client_token: String::new(),
            client_token_accessor: String::new(),
            display_name: String::new(),
            mount_point: String::new(),
            mount_type: String::new(),
            mount_accessor: String::new(),
            wrap_info: None,
            entity_id: String::new(),
            policy_override: false,
            unauthenticated: false,
            connection: None,
            replication_cluster: String::new(),
            requires_snapshot_id: String::new(),
            recover_source_path: String::new(),
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .field("mount_point", &self.mount_point)
            .field("path", &self.path)
            .field("fields", &self.data.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The response wrapping that a caller requests, or that an engine requires.
///
/// ```
/// use std::time::Duration;
/// use vault_plugin::logical::{Map, Response, WrapInfo};
///
/// let wrap_info = Some(WrapInfo { ttl: Duration::from_secs(60), ..WrapInfo::default() });
/// let response = Response { wrap_info, ..Response::data(Map::new()) };
/// assert_eq!(response.wrap_info.map(|wrap| wrap.ttl.as_secs()), Some(60));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrapInfo {
    /// The TTL of the wrapping token.
    pub ttl: Duration,
    /// The format of the wrapping token. An empty string selects the default.
    pub format: String,
    /// Whether the engine should seal wrap what it stores for this request.
    pub seal_wrap: bool,
}

/// The connection on which a request arrived.
///
/// ```
/// use vault_plugin::logical::{Connection, Request};
/// # use vault_plugin::logical::{Map, Operation};
///
/// fn caller(request: &Request) -> &str {
///     request.connection.as_ref().map_or("unknown", |connection| &connection.remote_addr)
/// }
/// # let mut request = Request::new(Operation::Read, "config", Map::new());
/// assert_eq!(caller(&request), "unknown");
/// let remote_addr = "10.1.2.3".to_owned();
/// request.connection = Some(Connection { remote_addr, remote_port: 0, peer_certificates: Vec::new() });
/// assert_eq!(caller(&request), "10.1.2.3");
/// ```
#[derive(Clone, Debug)]
pub struct Connection {
    /// The address of the caller.
    pub remote_addr: String,
    /// The port of the caller, or 0 if the host does not report it. Vault never does.
    pub remote_port: i32,
    /// The caller's certificate chain in DER, leaf first. Empty without client TLS.
    pub peer_certificates: Vec<Vec<u8>>,
}
