//! The server's configuration, as far as it shows it.

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency};

/// `GET sys/config/state/sanitized`.
#[derive(Clone, Copy, Debug)]
pub struct ReadSanitized;

/// What concerns plugins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigState {
    /// The server showed it.
    Available(PluginConfig),
    /// This token may not see it.
    PermissionDenied,
    /// This server does not have it.
    Unsupported,
}

/// How the server treats plugin binaries. Empty texts and zeros mean that nothing is configured, as in Vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PluginConfig {
    /// Directory of plugin binaries; empty when none is configured.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub plugin_directory: String,
    /// Owner that plugin files must have (0: any but checked against the server's own).
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub plugin_file_uid: u32,
    /// Permission bits that plugin files may have at most (0: no write for group and others).
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub plugin_file_permissions: u32,
    /// Where containerised plugins put their sockets.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub plugin_tmpdir: String,
    /// Address that the server tells others.
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
    fn a_token_that_may_not_see_it_is_not_an_error() {
        let answer = ReadSanitized::response(reply(403, r#"{"errors":["permission denied"]}"#));
        assert_eq!(answer.expect("an answer"), ConfigState::PermissionDenied);
    }

    #[test]
    fn a_namespace_shows_nothing_of_the_server() {
        let body = r#"{"errors":["operation only available in root namespace"]}"#;
        let answer = ReadSanitized::response(reply(400, body));
        assert_eq!(answer.expect("an answer"), ConfigState::Unsupported);
        assert!(ReadSanitized::response(reply(400, r#"{"errors":["else"]}"#)).is_err());
    }

    #[test]
    fn no_directory_is_empty_text() {
        let body =
            r#"{"data":{"api_addr":"","plugin_directory":"","plugin_file_permissions":0,"listeners":[]}}"#;
        let ConfigState::Available(config) = ReadSanitized::response(reply(200, body)).expect("an answer")
        else {
            panic!("not shown");
        };
        assert_eq!(config, PluginConfig::default());
    }
}
