//! What a host asks of an engine.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Auth, Map, Secret};

/// What is to be done at a path. The texts are those of `sdk/logical`; a host that knows more sends
/// [`Operation::Other`], which no path supports.
///
/// ```
/// use vault_plugin::logical::Operation;
///
/// assert_eq!(Operation::from("read"), Operation::Read);
/// assert_eq!(Operation::from("brew"), Operation::Other("brew".to_owned()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Write where the existence check found nothing.
    Create,
    /// Read one thing.
    Read,
    /// Write over something that exists, or where there is no existence check.
    Update,
    /// Change the named fields only (JSON merge patch).
    Patch,
    /// Remove.
    Delete,
    /// List names.
    List,
    /// List names, recursively (OpenBao).
    Scan,
    /// Describe the path.
    Help,
    /// Name the identity alias that a login would have.
    AliasLookahead,
    /// Name the role that a login would use.
    ResolveRole,
    /// HTTP HEAD.
    Header,
    /// Restore from a snapshot (Vault Enterprise).
    Recover,
    /// End a lease.
    Revoke,
    /// Extend a lease.
    Renew,
    /// The host's timer: write-ahead entries and periodic work.
    Rollback,
    /// Rotate a credential on the host's schedule (Vault Enterprise).
    Rotate,
    /// An operation this SDK has no name for.
    Other(String),
}

impl Operation {
    /// The word that stands for the operation on the wire.
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
            Operation::Other(word) => word,
        }
    }
}

impl From<&str> for Operation {
    fn from(word: &str) -> Operation {
        match word {
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

/// One request, as the host's router hands it to a mount.
///
/// `data` may hold secrets that a user sent, so `Debug` shows the names of its fields only.
///
/// ```
/// use vault_plugin::logical::{Map, Operation, Request};
///
/// let data = Map::from_iter([("password".to_owned(), "hunter2".into())]);
/// let mut request = Request::new(Operation::Update, "config", data);
/// request.display_name = "ldap-ann".to_owned();
/// let shown = format!("{request:?}");
/// assert!(shown.contains("password") && !shown.contains("hunter2"));
/// ```
#[derive(Clone)]
pub struct Request {
    /// The host's id of the request, also in its audit log.
    pub id: String,
    /// What is to be done.
    pub operation: Operation,
    /// The path below the mount, without a leading slash; a list path ends in a slash.
    pub path: String,
    /// Body and query of the request; for renew and revoke, what was returned when the lease was made.
    pub data: Map,
    /// The lease, for renew and revoke.
    pub secret: Option<Secret>,
    /// The login, when its token is to be renewed.
    pub auth: Option<Auth>,
    /// Request headers that the mount lets through (`passthrough_request_headers`).
    pub headers: BTreeMap<String, Vec<String>>,
    /// The caller's token, salted by the host: good for telling callers apart, for nothing else.
    pub client_token: String,
    /// The accessor of the caller's token.
    pub client_token_accessor: String,
    /// A readable name of the caller, for example `token` or `ldap-alice`.
    pub display_name: String,
    /// Where the engine is mounted, with a trailing slash.
    pub mount_point: String,
    /// The type of the mount as it was enabled.
    pub mount_type: String,
    /// The accessor of the mount.
    pub mount_accessor: String,
    /// Response wrapping that the caller asked for.
    pub wrap_info: Option<WrapInfo>,
    /// The caller's identity, empty where it has none.
    pub entity_id: String,
    /// The caller overrides soft-mandatory policies.
    pub policy_override: bool,
    /// The request came without a token.
    pub unauthenticated: bool,
    /// Where the request came from, if the host says.
    pub connection: Option<Connection>,
    /// The replication secondary on which the request began.
    pub replication_cluster: String,
    /// Set when a read, list or recover works on a loaded snapshot (Vault Enterprise).
    pub requires_snapshot_id: String,
    /// Where a recover takes its data from, if not from `path`.
    pub recover_source_path: String,
}

impl Request {
    /// A request with an operation, a path and data, all else empty.
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

/// Response wrapping that a caller asked for, or that an engine demands.
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
    /// How long the wrapping token lives.
    pub ttl: Duration,
    /// The format of the wrapping token; empty for the default.
    pub format: String,
    /// Whether the engine is asked to seal wrap what it stores for this request.
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
    /// The port of the caller; 0 where the host does not say (Vault never does).
    pub remote_port: i32,
    /// The caller's certificate chain in DER, leaf first; empty without client TLS.
    pub peer_certificates: Vec<Vec<u8>>,
}
