//! The plugin settings in the configuration of the server.

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency};

/// `GET sys/config/state/sanitized`.
#[derive(Clone, Copy, Debug)]
pub struct ReadSanitized;

/// What is known about the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigState {
    /// The settings.
    Available(PluginConfig),
    /// The token has no permission to read them.
    PermissionDenied,
    /// The server, or the namespace, does not support the request.
    Unsupported,
}

/// The plugin settings of a server. As in Vault, empty strings and zeros mean unset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PluginConfig {
    /// Directory of plugin binaries.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub plugin_directory: String,
    /// Additional permitted owner of plugin files (0: only the user of the server).
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub plugin_file_uid: u32,
    /// Permission bits that plugin files may have (0: no write permission for group and others).
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub plugin_file_permissions: u32,
    /// Directory for the sockets of containerized plugins.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub plugin_tmpdir: String,
    /// Address of the server that it announces to clients.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub api_addr: String,
}

impl Endpoint for ReadSanitized {
    type Response = ConfigState;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/config/state/sanitized")
    }

    fn response(reply: Response<Bytes>) -> Result<ConfigState, ApiError> {
        match reply.status().as_u16() {
            403 => Ok(ConfigState::PermissionDenied),
            404 | 405 => Ok(ConfigState::Unsupported),
            400 if ApiError::from_reply(&reply).has_message("namespace") => Ok(ConfigState::Unsupported),
            _ => endpoint::data(reply).map(ConfigState::Available),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::reply;

    #[test]
    fn a_missing_permission_is_a_result() {
        let state = ReadSanitized::response(reply(403, r#"{"errors":["permission denied"]}"#));
        assert_eq!(state.expect("an answer"), ConfigState::PermissionDenied);
    }

    #[test]
    fn a_namespace_does_not_support_the_request() {
        let body = r#"{"errors":["operation only available in root namespace"]}"#;
        let state = ReadSanitized::response(reply(400, body));
        assert_eq!(state.expect("an answer"), ConfigState::Unsupported);
        assert!(ReadSanitized::response(reply(400, r#"{"errors":["else"]}"#)).is_err());
    }

    #[test]
    fn an_unset_directory_is_empty() {
        let body =
            r#"{"data":{"api_addr":"","plugin_directory":"","plugin_file_permissions":0,"listeners":[]}}"#;
        let ConfigState::Available(config) = ReadSanitized::response(reply(200, body)).expect("an answer")
        else {
            panic!("expected the settings");
        };
        assert_eq!(config, PluginConfig::default());
    }
}
