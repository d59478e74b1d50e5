//! What runs a plugin.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use vault_api::catalog::PluginType;

use crate::shell::shell_quote;
use crate::version::Version;

/// Prefix of the path of every canary mount.
pub(crate) const CANARY_MOUNT_PREFIX: &str = "vault-token-plugin-canary/";

/// Prefix of the API paths of auth mounts. No secrets mount can have it.
pub(crate) const AUTH_PREFIX: &str = "auth/";

/// Path at which mounts are reloaded.
pub(crate) const RELOAD_PATH: &str = "sys/plugins/reload/backend";

/// Between the path of a database secrets engine and the name of a connection.
const CONNECTION_INFIX: &str = "config/";

/// What runs a plugin: a secrets mount, an auth mount, or a connection of a database secrets engine. It is written as its API path:
/// `custom/`, `auth/jwt/`, or `database/config/orders`, which has no trailing slash. The path of one in a child namespace begins with that
/// namespace: `team/auth/jwt/`.
// On a server the path determines namespace and kind, so comparisons of the path are comparisons of all, as `Borrow` requires.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consumer {
    path: String,
    /// Child namespace with a trailing slash; empty for the namespace of the client.
    namespace: String,
    kind: PluginType,
}

/// Not the path of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a mount path such as custom, team/custom or auth/jwt")]
pub struct ConsumerError {
    text: String,
}

impl Consumer {
    /// Returns the mount of a path that the server lists under `sys/mounts` or `sys/auth`.
    pub(crate) fn listed(kind: PluginType, path: &str) -> Self {
        let prefix = if kind == PluginType::Auth { AUTH_PREFIX } else { "" };
        Self { path: format!("{prefix}{path}"), namespace: String::new(), kind }
    }

    /// Returns a connection of a database secrets engine.
    pub(crate) fn connection(engine: &Self, name: &str) -> Self {
        let path = format!("{engine}{CONNECTION_INFIX}{name}");
        Self { path, namespace: engine.namespace.clone(), kind: PluginType::Database }
    }

    /// Returns the path of the canary mount of a version.
    pub(crate) fn canary(kind: PluginType, plugin: &str, version: &Version) -> Self {
        // A plus sign in a URL would have to be encoded.
        let version = version.to_string().replace('+', "_");
        Self::listed(kind, &format!("{CANARY_MOUNT_PREFIX}{plugin}-{version}/"))
    }

    /// Returns the consumer of a plugin of `kind`: users may leave out the `auth/` of an auth mount, and a connection has no other form.
    #[must_use]
    pub fn of_kind(self, kind: PluginType) -> Self {
        match (self.kind, kind) {
            (PluginType::Secret, PluginType::Auth) => {
                Self::listed(kind, self.local_path()).in_namespace(&self.namespace)
            }
            (PluginType::Secret, PluginType::Database) => {
                Self { path: self.path.trim_end_matches('/').to_owned(), kind, ..self }
            }
            _ => self,
        }
    }

    /// Returns the same consumer in a child namespace.
    #[must_use]
    pub fn in_namespace(self, child: &str) -> Self {
        let child = child.trim_matches('/');
        if child.is_empty() {
            return self;
        }
        let Self { path, namespace, kind } = self;
        Self { path: format!("{child}/{path}"), namespace: format!("{child}/{namespace}"), kind }
    }

    /// Returns the consumer of a plugin of `kind` that users mean with a path. One that begins with the path of a child namespace is there.
    #[must_use]
    pub fn resolve(self, kind: PluginType, namespaces: &BTreeSet<String>) -> Self {
        let is_above = |namespace: &&String| self.local_path().starts_with(namespace.as_str());
        let deepest = namespaces.iter().filter(is_above).max_by_key(|namespace| namespace.len());
        let local = |namespace: &String| self.local_path().strip_prefix(namespace.as_str())?.parse().ok();
        let found = deepest.and_then(|namespace| Some((namespace, local(namespace)?)));
        match found {
            Some((namespace, local)) if self.namespace.is_empty() => {
                let local: Self = local;
                local.of_kind(kind).in_namespace(namespace)
            }
            _ => self.of_kind(kind),
        }
    }

    /// Returns its child namespace with a trailing slash; empty for the namespace of the client.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the API path in its namespace.
    pub fn local_path(&self) -> &str {
        self.path.strip_prefix(self.namespace.as_str()).unwrap_or(&self.path)
    }

    /// Type of the plugins that it can run.
    pub fn kind(&self) -> PluginType {
        self.kind
    }

    /// Whether it is a canary mount, which no client should use and no upgrade moves.
    pub fn is_canary(&self) -> bool {
        self.mount_path().starts_with(CANARY_MOUNT_PREFIX)
    }

    /// Returns the API path, as servers list it.
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// Returns a path below the mount; for a connection, below that of its engine.
    pub fn join(&self, below: &str) -> String {
        let (engine, _) = self.engine_and_name();
        format!("{engine}{}", below.trim_matches('/'))
    }

    /// Returns the path at which a connection is closed and opened again.
    pub(crate) fn reset_path(&self) -> String {
        let (engine, name) = self.engine_and_name();
        format!("{engine}reset/{name}")
    }

    /// Returns the API path at which it starts its configured version.
    pub(crate) fn reload_api_path(&self) -> String {
        match self.kind {
            PluginType::Database => self.reset_path(),
            PluginType::Secret | PluginType::Auth => format!("{}{RELOAD_PATH}", self.namespace),
        }
    }

    /// Splits the path of a connection; the name of a mount is empty.
    fn engine_and_name(&self) -> (&str, &str) {
        let split = || match self.kind {
            PluginType::Database => self.path.rsplit_once(CONNECTION_INFIX),
            PluginType::Secret | PluginType::Auth => None,
        };
        split().unwrap_or((&self.path, ""))
    }

    /// Returns the path with which it is enabled and disabled: without the `auth/` of an auth mount.
    pub(crate) fn mount_path(&self) -> &str {
        self.local_path().strip_prefix(AUTH_PREFIX).unwrap_or(self.local_path())
    }

    /// Returns the command that disables the mount.
    pub(crate) fn disable_command(&self) -> String {
        // The commands below take an absolute namespace, which is not known here.
        if !self.namespace.is_empty() {
            return format!("vault delete {}", shell_quote(&self.mount_api_path()));
        }
        let group = if self.kind == PluginType::Auth { "auth" } else { "secrets" };
        format!("vault {group} disable {}", shell_quote(self.mount_path()))
    }

    /// Returns the API path at which the mount is enabled and disabled.
    pub(crate) fn mount_api_path(&self) -> String {
        let group = if self.kind == PluginType::Auth { "" } else { "mounts/" };
        format!("{}sys/{group}{}", self.namespace, self.local_path().trim_end_matches('/'))
    }

    /// Returns the API path at which its version is configured.
    pub(crate) fn tune_api_path(&self) -> String {
        match self.kind {
            PluginType::Database => self.path.clone(),
            PluginType::Secret | PluginType::Auth => {
                format!("{}sys/mounts/{}/tune", self.namespace, self.local_path().trim_end_matches('/'))
            }
        }
    }

    /// Whether one of the two paths is below the other, which Vault does not allow.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self != other
            && self.namespace == other.namespace
            && self.kind != PluginType::Database
            && other.kind != PluginType::Database
            && (self.path.starts_with(&other.path) || other.path.starts_with(&self.path))
    }
}

impl FromStr for Consumer {
    type Err = ConsumerError;

    fn from_str(text: &str) -> Result<Self, ConsumerError> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let invalid = path.split('/').any(|part| part.is_empty() || part == "." || part == "..")
            || path.chars().any(|c| c.is_whitespace() || c.is_control())
            || path == AUTH_PREFIX.trim_end_matches('/');
        if invalid {
            return Err(ConsumerError { text: text.to_owned() });
        }
        let kind = if path.starts_with(AUTH_PREFIX) { PluginType::Auth } else { PluginType::Secret };
        Ok(Self { path: format!("{path}/"), namespace: String::new(), kind })
    }
}

impl Borrow<str> for Consumer {
    fn borrow(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl Serialize for Consumer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Consumer {
        text.parse().expect("a path")
    }

    #[test]
    fn a_mount_path_has_one_form() {
        for text in ["custom", "custom/"] {
            assert_eq!(parsed(text).as_str(), "custom/");
        }
        assert_eq!(parsed("a/b").join("/config"), "a/b/config");
        for text in ["", "/", "/custom", "a//b", "a b", "../a", "auth", "auth/"] {
            assert!(text.parse::<Consumer>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_auth_mount_is_named_with_or_without_its_prefix() {
        let expected = Consumer::listed(PluginType::Auth, "jwt/");
        for text in ["jwt", "auth/jwt", "auth/jwt/"] {
            assert_eq!(parsed(text).of_kind(PluginType::Auth), expected, "{text}");
        }
        assert_eq!((expected.as_str(), expected.kind()), ("auth/jwt/", PluginType::Auth));
        assert_eq!(parsed("jwt").of_kind(PluginType::Secret).as_str(), "jwt/");
    }

    #[test]
    fn a_connection_is_part_of_its_engine() {
        let connection = Consumer::connection(&parsed("team/database"), "orders");
        assert_eq!(connection.as_str(), "team/database/config/orders");
        assert_eq!(parsed("team/database/config/orders").of_kind(PluginType::Database), connection);
        assert_eq!(connection.reset_path(), "team/database/reset/orders");
        assert_eq!(connection.join("creds/app"), "team/database/creds/app");
        assert!(!connection.overlaps(&parsed("team/database")));
    }

    #[test]
    fn a_path_that_begins_with_a_namespace_is_in_it() {
        let namespaces = BTreeSet::from(["team/".to_owned(), "team/sub/".to_owned()]);
        for (text, kind, path, namespace) in [
            ("custom", PluginType::Secret, "custom/", ""),
            ("teams/custom", PluginType::Secret, "teams/custom/", ""),
            ("team/custom", PluginType::Secret, "team/custom/", "team/"),
            ("team/sub/custom", PluginType::Secret, "team/sub/custom/", "team/sub/"),
            ("team/jwt", PluginType::Auth, "team/auth/jwt/", "team/"),
            ("team/auth/jwt", PluginType::Auth, "team/auth/jwt/", "team/"),
            ("team/database/config/orders", PluginType::Database, "team/database/config/orders", "team/"),
        ] {
            let consumer = parsed(text).resolve(kind, &namespaces);
            assert_eq!((consumer.as_str(), consumer.namespace(), consumer.kind()), (path, namespace, kind));
            let given = parsed(consumer.local_path()).of_kind(kind).in_namespace(namespace);
            assert_eq!(given.resolve(kind, &namespaces), consumer);
        }
    }

    #[test]
    fn a_mount_of_a_child_namespace_is_changed_there() {
        let secret = parsed("custom").in_namespace("team");
        assert_eq!(secret.mount_api_path(), "team/sys/mounts/custom");
        assert_eq!(secret.tune_api_path(), "team/sys/mounts/custom/tune");
        assert_eq!(secret.reload_api_path(), "team/sys/plugins/reload/backend");
        assert_eq!(secret.disable_command(), "vault delete team/sys/mounts/custom");
        assert_eq!(secret.join("creds/dev"), "team/custom/creds/dev");
        assert!(!secret.overlaps(&parsed("team")));
        let auth = parsed("auth/jwt").in_namespace("team/sub/");
        assert_eq!(auth.mount_api_path(), "team/sub/sys/auth/jwt");
        assert_eq!(auth.tune_api_path(), "team/sub/sys/mounts/auth/jwt/tune");
        assert_eq!(parsed("auth/jwt").disable_command(), "vault auth disable jwt/");
    }

    #[test]
    fn the_canary_of_an_auth_method_is_an_auth_mount() {
        let version: Version = "1.2.3".parse().expect("a version");
        let canary = Consumer::canary(PluginType::Auth, "jwt", &version);
        assert_eq!(canary.as_str(), "auth/vault-token-plugin-canary/jwt-1.2.3/");
        assert!(canary.is_canary() && !parsed("auth/jwt").is_canary());
        assert_eq!(parsed(canary.as_str()), canary);
    }
}
