//! The connections of database secrets engines. Each runs a database plugin.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::Deserialize;
use serde_json::json;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency, encode_path};

/// `LIST :mount/config`: the names of the connections.
#[derive(Clone, Debug)]
pub struct List {
    /// Path of the engine's mount, with a trailing slash.
    pub mount: String,
}

/// `GET :mount/config/:name`. Vault opens the connection to show the running version.
#[derive(Clone, Debug)]
pub struct Read {
    /// Path of the connection.
    pub path: String,
}

/// A connection. Its settings are not read, because they can contain secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// Name of the plugin.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub plugin_name: String,
    /// Configured version with its `v`; empty if unversioned.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub plugin_version: String,
    /// Running version; empty if unversioned, if the connection cannot be opened, and on OpenBao.
    #[serde(deserialize_with = "endpoint::null_as_default")]
    pub running_plugin_version: String,
}

/// `POST :mount/config/:name`: configures the version of a connection, and leaves its other settings. The server opens and verifies a new
/// connection before it closes the previous one. It refuses the request for a pinned plugin.
#[derive(Clone, Debug)]
pub struct SetVersion {
    /// Path of the connection.
    pub path: String,
    /// Version with its `v`, which must be in the catalog; empty for the unversioned entry.
    pub version: String,
}

/// `POST :mount/reset/:name`: closes a connection and opens it again.
#[derive(Clone, Debug)]
pub struct Reset {
    /// Path, with `reset` in place of `config`.
    pub path: String,
}

impl Endpoint for List {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&format!("{}config?list=true", encode_path(&self.mount)))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        if reply.status().as_u16() == 404 {
            let error = ApiError::from_reply(&reply);
            return if error.is_absent() { Ok(Vec::new()) } else { Err(error) };
        }
        endpoint::keys(reply)
    }
}

impl Endpoint for Read {
    /// `None` if there is no such connection.
    type Response = Option<Connection>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&encode_path(&self.path))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        if reply.status().as_u16() == 404 {
            let error = ApiError::from_reply(&reply);
            return if error.is_absent() { Ok(None) } else { Err(error) };
        }
        endpoint::data(reply).map(Some)
    }
}

impl Endpoint for SetVersion {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        let body = json!({ "plugin_version": self.version });
        endpoint::request_with_json(Method::POST, &encode_path(&self.path), &body)
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

impl Endpoint for Reset {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_with_json(Method::POST, &encode_path(&self.path), &json!({}))
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    #[test]
    fn only_the_version_of_a_connection_is_written() {
        let set = SetVersion { path: "database/config/orders".into(), version: "v1.2.3".into() };
        assert_eq!(
            request_line(&set.request()),
            r#"POST /v1/database/config/orders {"plugin_version":"v1.2.3"}"#
        );
        let list = List { mount: "team/database/".into() };
        assert_eq!(request_line(&list.request()), "GET /v1/team/database/config?list=true");
    }

    #[test]
    fn the_settings_of_a_connection_are_not_kept() {
        let body = r#"{"data":{"plugin_name":"redis","plugin_version":"v1.0.0","connection_details":{"password":"hunter2"}}}"#;
        let read = Read::response(reply(200, body)).expect("an answer").expect("a connection");
        assert_eq!((read.plugin_version.as_str(), read.running_plugin_version.as_str()), ("v1.0.0", ""));
        assert!(!format!("{read:?}").contains("hunter2"));
        assert_eq!(Read::response(reply(404, r#"{"errors":[]}"#)).expect("an answer"), None);
    }
}
