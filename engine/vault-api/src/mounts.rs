//! Secrets engines and where they are mounted.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Envelope, Idempotency, encode_path};

/// One mount as the server shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountInfo {
    /// Name of the plugin (for builtins: of the engine).
    #[serde(rename(deserialize = "type"))]
    pub plugin: String,
    /// Text for people.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub description: String,
    /// Identifies the mount across path changes.
    pub accessor: String,
    /// Identifies its storage.
    pub uuid: String,
    /// Configured version; empty for an unversioned plugin.
    #[serde(rename(deserialize = "plugin_version"), deserialize_with = "endpoint::null_as_default")]
    pub configured_version: String,
    /// Version of the process that serves it; empty when unversioned.
    #[serde(rename(deserialize = "running_plugin_version"), deserialize_with = "endpoint::null_as_default")]
    pub running_version: String,
    /// Hex sha256 of the binary that serves it; empty for builtins.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub running_sha256: String,
}

/// `GET sys/mounts`: every mount of the namespace, keyed by path with its trailing slash.
#[derive(Clone, Copy, Debug)]
pub struct List;

/// `GET sys/mounts/:path`: one mount, with what the server warns about.
#[derive(Clone, Debug)]
pub struct Read {
    /// Path, with or without its trailing slash.
    pub path: String,
}

/// A mount and the server's warnings on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MountWithWarnings {
    /// The mount.
    pub mount: MountInfo,
    /// For example that another version runs than is configured.
    pub warnings: Vec<String>,
}

/// `POST sys/mounts/:path`: mounts a plugin. Returns the server's warnings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enable {
    /// Path, with or without its trailing slash.
    pub path: String,
    /// Name of the plugin in the catalog.
    pub plugin: String,
    /// Version to run, with its `v`. Must be `None` where a pin is in effect.
    pub version: Option<String>,
}

/// `POST sys/mounts/:path/tune` with a plugin version: what the next reload starts. Refused under a pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuneVersion {
    /// Path, with or without its trailing slash.
    pub path: String,
    /// Version with its `v`; must be in the catalog. A mount cannot go back to "no version".
    pub version: String,
}

/// `DELETE sys/mounts/:path`: revokes the mount's leases and removes its data.
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

impl Endpoint for Read {
    /// `None` when nothing is mounted there.
    type Response = Option<MountWithWarnings>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&mount_path(&self.path))
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
            body["config"] = json!({ "plugin_version": version });
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
        endpoint::request_with_json(Method::POST, &format!("{}/tune", mount_path(&self.path)), &body)
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

fn mount_path(path: &str) -> String {
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
    fn the_version_is_given_only_where_it_is_wanted() {
        let mut enable =
            Enable { path: "custom/".into(), plugin: "custom-plugin".into(), version: Some("v1.2.3".into()) };
        assert_eq!(
            request_line(&enable.request()),
            r#"POST /v1/sys/mounts/custom {"config":{"plugin_version":"v1.2.3"},"type":"custom-plugin"}"#
        );
        enable.version = None;
        assert_eq!(request_line(&enable.request()), r#"POST /v1/sys/mounts/custom {"type":"custom-plugin"}"#);
    }

    #[test]
    fn what_is_configured_and_what_runs_are_two_things() {
        let body = format!(r#"{{"data":{CUSTOM},"warnings":["Plugin version is configured as"]}}"#);
        let shown = Read::response(reply(200, &body)).expect("an answer").expect("a mount");
        assert_eq!(shown.mount.configured_version, "v2.0.0");
        assert_eq!(shown.mount.running_version, "v1.0.0");
        assert_eq!(shown.warnings.len(), 1);
    }

    #[test]
    fn nothing_mounted_is_an_answer() {
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
