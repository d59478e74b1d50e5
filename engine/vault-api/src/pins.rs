//! Pinned plugin versions, which override the configured version of every mount (Vault 1.16 and later, root namespace only).

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ApiError;
use crate::catalog::PluginType;
use crate::endpoint::{self, Endpoint, Idempotency, encode_path};

/// A pinned version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Type of the plugin.
    #[serde(rename = "type")]
    pub kind: PluginType,
    /// Name of the plugin.
    pub name: String,
    /// Version with its `v`.
    pub version: String,
}

/// `GET sys/plugins/pins`.
#[derive(Clone, Copy, Debug)]
pub struct List;

/// `GET sys/plugins/pins/:type/:name`.
#[derive(Clone, Debug)]
pub struct Read {
    /// Type of the plugin.
    pub kind: PluginType,
    /// Name of the plugin.
    pub name: String,
}

/// `POST sys/plugins/pins/:type/:name`. The version must be in the catalog.
#[derive(Clone, Debug)]
pub struct Set(pub Pin);

/// `DELETE sys/plugins/pins/:type/:name`. Succeeds if there is no pin.
#[derive(Clone, Debug)]
pub struct Delete {
    /// Type of the plugin.
    pub kind: PluginType,
    /// Name of the plugin.
    pub name: String,
}

#[derive(Deserialize)]
struct ListBody {
    #[serde(default, deserialize_with = "endpoint::null_as_default")]
    pinned_versions: Vec<Pin>,
}

impl Endpoint for List {
    /// `None` if the server or the namespace does not support pins.
    type Response = Option<Vec<Pin>>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/plugins/pins")
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        match reply.status().as_u16() {
            404 => none_if_absent(&reply),
            _ => Ok(Some(endpoint::data::<ListBody>(reply)?.pinned_versions)),
        }
    }
}

impl Endpoint for Read {
    /// `None` if the plugin is not pinned, or the server does not support pins.
    type Response = Option<Pin>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&pin_path(self.kind, &self.name))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        match reply.status().as_u16() {
            404 => none_if_absent(&reply),
            _ => endpoint::data(reply).map(Some),
        }
    }
}

impl Endpoint for Set {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        let Pin { kind, name, version } = &self.0;
        endpoint::request_with_json(Method::POST, &pin_path(*kind, name), &json!({ "version": version }))
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

impl Endpoint for Delete {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_without_body(Method::DELETE, &pin_path(self.kind, &self.name))
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

fn none_if_absent<T>(reply: &Response<Bytes>) -> Result<Option<T>, ApiError> {
    let error = ApiError::from_reply(reply);
    let is_absent =
        error.is_absent() || error.is_unsupported_path() || error.has_message("no pinned version");
    if is_absent { Ok(None) } else { Err(error) }
}

fn pin_path(kind: PluginType, name: &str) -> String {
    format!("sys/plugins/pins/{kind}/{}", encode_path(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    #[test]
    fn a_missing_pin_and_a_server_without_pins_are_both_none() {
        for body in [
            r#"{"errors":["no pinned version for this plugin"]}"#,
            r#"{"errors":["1 error occurred:\n\t* unsupported path\n\n"]}"#,
            r#"{"errors":[]}"#,
        ] {
            assert_eq!(Read::response(reply(404, body)).expect("an answer"), None, "{body}");
        }
        assert!(Read::response(reply(404, r#"{"errors":["something else"]}"#)).is_err());
    }

    #[test]
    fn all_pins_are_listed_with_a_plain_read() {
        assert_eq!(request_line(&List.request()), "GET /v1/sys/plugins/pins");
        let body = r#"{"data":{"pinned_versions":[{"name":"custom","type":"secret","version":"v1.0.0"}]}}"#;
        assert_eq!(List::response(reply(200, body)).expect("an answer").map(|pins| pins.len()), Some(1));
        assert!(List::response(reply(405, r#"{"errors":["unsupported operation"]}"#)).is_err());
    }

    #[test]
    fn a_pin_is_read() {
        let body = r#"{"data":{"name":"custom","type":"secret","version":"v1.0.0"}}"#;
        let pin = Read::response(reply(200, body)).expect("an answer").expect("a pin");
        assert_eq!(pin, Pin { kind: PluginType::Secret, name: "custom".into(), version: "v1.0.0".into() });
    }
}
