//! The mounts of secrets engines and auth methods. The path of an auth mount starts with `auth/`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Envelope, Idempotency, encode_path};

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountInfo {
    /// Name of the plugin; of a builtin, its type.
    #[serde(rename(deserialize = "type"))]
    pub plugin: String,
    /// Description.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub description: String,
    /// Accessor, which stays the same when the mount is moved.
    pub accessor: String,
    /// ID of its storage.
    pub uuid: String,
    /// Configured version; empty if unversioned.
    #[serde(rename(deserialize = "plugin_version"), deserialize_with = "endpoint::null_as_default")]
    pub configured_version: String,
    /// Version of the running process; empty if unversioned.
    #[serde(rename(deserialize = "running_plugin_version"), deserialize_with = "endpoint::null_as_default")]
    pub running_version: String,
    /// SHA-256 of the running binary in hex; empty for builtins.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub running_sha256: String,
}

/// `GET sys/mounts`: all mounts of the namespace by path, with a trailing slash.
#[derive(Clone, Copy, Debug)]
pub struct List;

/// `GET sys/auth`: all auth mounts of the namespace by path, without `auth/` and with a trailing slash.
#[derive(Clone, Copy, Debug)]
pub struct ListAuth;

/// `GET sys/mounts/:path`: one mount, with the warnings of the server. Other than `sys/auth/:path`, it needs no `sudo` for an auth mount.
#[derive(Clone, Debug)]
pub struct Read {
    /// Path, with or without its trailing slash.
    pub path: String,
}

/// A mount with the warnings of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MountWithWarnings {
    /// The mount.
    pub mount: MountInfo,
    /// For example, that the running version differs from the configured one.
    pub warnings: Vec<String>,
}

/// `POST sys/mounts/:path` or `POST sys/auth/:path`: mounts a plugin. Returns the warnings of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enable {
    /// Path, with or without its trailing slash.
    pub path: String,
    /// Name of the plugin in the catalog.
    pub plugin: String,
    /// Version to run, with its `v`. Must be `None` if the plugin is pinned.
    pub version: Option<String>,
    /// Limit for the TTLs of its leases and tokens; `None` for that of the server.
    pub max_lease_ttl: Option<Duration>,
}

/// `POST sys/mounts/:path/tune`: sets the version that the next reload starts. The server refuses it for a pinned plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuneVersion {
    /// Path, with or without its trailing slash.
    pub path: String,
    /// Version with its `v`, which must be in the catalog. A mount cannot become unversioned again.
    pub version: String,
}

/// `DELETE sys/mounts/:path` or `DELETE sys/auth/:path`: revokes the leases of the mount and deletes its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disable {
    /// Path, with or without its trailing slash.
    pub path: String,
}

impl Endpoint for List {
    type Response = BTreeMap<String, MountInfo>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/mounts")
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        endpoint::data(reply)
    }
}

impl Endpoint for ListAuth {
    type Response = BTreeMap<String, MountInfo>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/auth")
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        endpoint::data(reply)
    }
}

impl Endpoint for Read {
    /// `None` if nothing is mounted at the path.
    type Response = Option<MountWithWarnings>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&tunable_path(&self.path))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        if !reply.status().is_success() {
            let error = ApiError::from_reply(&reply);
            return if error.has_message("No secret engine mount at") { Ok(None) } else { Err(error) };
        }
        let body: Envelope<MountInfo> = endpoint::parse_json(&reply)?;
        let mount = body.data.ok_or_else(|| ApiError::malformed_reply(&reply, None))?;
        Ok(Some(MountWithWarnings { mount, warnings: body.warnings.unwrap_or_default() }))
    }
}

impl Endpoint for Enable {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::NotIdempotent;

    fn request(&self) -> Request<Bytes> {
        let mut body = json!({ "type": self.plugin });
        if let Some(version) = &self.version {
            body["config"]["plugin_version"] = json!(version);
        }
        if let Some(ttl) = &self.max_lease_ttl {
            body["config"]["max_lease_ttl"] = json!(format!("{}s", ttl.as_secs()));
        }
        endpoint::request_with_json(Method::POST, &mount_path(&self.path), &body)
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

impl Endpoint for TuneVersion {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        let body = json!({ "plugin_version": self.version });
        endpoint::request_with_json(Method::POST, &format!("{}/tune", tunable_path(&self.path)), &body)
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

impl Endpoint for Disable {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_without_body(Method::DELETE, &mount_path(&self.path))
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

/// Path at which a mount is enabled and disabled.
fn mount_path(path: &str) -> String {
    match path.trim_matches('/').strip_prefix("auth/") {
        Some(path) => format!("sys/auth/{}", encode_path(path)),
        None => tunable_path(path),
    }
}

/// Path at which a mount of either kind is read and tuned. The same under `sys/auth` requires `sudo`.
fn tunable_path(path: &str) -> String {
    format!("sys/mounts/{}", encode_path(path.trim_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    const CUSTOM: &str = r#"{"type":"custom-plugin","description":"","accessor":"custom_1","uuid":"u",
        "plugin_version":"v2.0.0","running_plugin_version":"v1.0.0","running_sha256":"ab","options":null,
        "config":{"default_lease_ttl":0}}"#;

    #[test]
    fn the_version_is_sent_only_if_it_is_set() {
        let mut enable = Enable {
            path: "custom/".into(),
            plugin: "custom-plugin".into(),
            version: Some("v1.2.3".into()),
            max_lease_ttl: None,
        };
        assert_eq!(
            request_line(&enable.request()),
            r#"POST /v1/sys/mounts/custom {"config":{"plugin_version":"v1.2.3"},"type":"custom-plugin"}"#
        );
        enable.version = None;
        assert_eq!(request_line(&enable.request()), r#"POST /v1/sys/mounts/custom {"type":"custom-plugin"}"#);
    }

    #[test]
    fn an_auth_mount_is_enabled_as_such_and_tuned_without_sudo() {
        let enable = Enable {
            path: "auth/jwt/".into(),
            plugin: "jwt".into(),
            version: None,
            max_lease_ttl: Some(Duration::from_secs(300)),
        };
        assert_eq!(
            request_line(&enable.request()),
            r#"POST /v1/sys/auth/jwt {"config":{"max_lease_ttl":"300s"},"type":"jwt"}"#
        );
        let tune = TuneVersion { path: "auth/jwt/".into(), version: "v1.2.3".into() };
        assert_eq!(
            request_line(&tune.request()),
            r#"POST /v1/sys/mounts/auth/jwt/tune {"plugin_version":"v1.2.3"}"#
        );
        assert_eq!(request_line(&Disable { path: "auth/jwt/".into() }.request()), "DELETE /v1/sys/auth/jwt");
        assert_eq!(request_line(&Read { path: "auth/jwt/".into() }.request()), "GET /v1/sys/mounts/auth/jwt");
    }

    #[test]
    fn the_configured_and_the_running_version_are_distinct() {
        let body = format!(r#"{{"data":{CUSTOM},"warnings":["Plugin version is configured as"]}}"#);
        let read = Read::response(reply(200, &body)).expect("an answer").expect("a mount");
        assert_eq!(read.mount.configured_version, "v2.0.0");
        assert_eq!(read.mount.running_version, "v1.0.0");
        assert_eq!(read.warnings.len(), 1);
    }

    #[test]
    fn a_missing_mount_is_none() {
        let body = r#"{"errors":["No secret engine mount at custom/"]}"#;
        assert_eq!(Read::response(reply(400, body)).expect("an answer"), None);
    }

    #[test]
    fn the_list_is_keyed_by_path() {
        let body = format!(r#"{{"data":{{"custom/":{CUSTOM}}}}}"#);
        let all = List::response(reply(200, &body)).expect("an answer");
        assert_eq!(all["custom/"].plugin, "custom-plugin");
    }
}
