//! Responses of an engine.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::{Auth, Map, Secret, WrapInfo};

/// A response with data, optionally with a lease.
///
/// An empty response is `None` of `Option<Response>`: the host returns 404 for a read and 204 for a write. `Debug` shows the
/// names of fields only, because responses contain credentials.
///
/// ```
/// use vault_plugin::logical::{Map, Response};
///
/// let mut response = Response::data(Map::from_iter([("token".to_owned(), "s3cret".into())]));
/// response.warnings.push("the role expires today".to_owned());
/// let debug = format!("{response:?}");
/// assert!(debug.contains("token") && debug.contains("expires today") && !debug.contains("s3cret"));
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Response {
    /// The data for the caller. `None` is JSON `null`, which a host distinguishes from an empty object.
    pub data: Option<Map>,
    /// The lease, if the data is a secret that can be renewed or revoked.
    pub secret: Option<Secret>,
    /// The login. Only returned by auth methods.
    pub auth: Option<Auth>,
    /// Warnings. The request still succeeds.
    pub warnings: Vec<String>,
    /// HTTP headers. The host forwards those in the mount's `allowed_response_headers`.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Lets the host wrap the response, so that the caller gets a single-use token that unwraps it. A shorter TTL that the
    /// caller requests has precedence.
    pub wrap_info: Option<WrapInfo>,
}

impl Response {
    /// Returns a response with data.
    ///
    /// ```
    /// # use vault_plugin::logical::{Map, Response};
    /// let response = Response::data(Map::from_iter([("ttl".to_owned(), 60.into())]));
    /// assert_eq!(response.data.unwrap()["ttl"], 60);
    /// assert!(response.secret.is_none());
    /// ```
    #[must_use]
    pub fn data(data: Map) -> Response {
        Response { data: Some(data), ..Response::default() }
    }

    /// Returns a response to a list operation: `keys`, and `key_info` if it is not empty.
    ///
    /// An empty list has no `keys`, so that the host returns 404, as with Go's `ListResponseWithInfo`.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::logical::{Map, Response};
    /// let info = Map::from_iter([("ann".to_owned(), json!({"language": "en"}))]);
    /// let data = Response::list(vec!["ann".to_owned()], info).data.unwrap();
    /// assert_eq!((&data["keys"], &data["key_info"]["ann"]["language"]), (&json!(["ann"]), &json!("en")));
    /// assert_eq!(Response::list(Vec::new(), Map::new()).data, Some(Map::new()));
    /// ```
    #[must_use]
    pub fn list(keys: Vec<String>, key_info: Map) -> Response {
        let mut data = Map::new();
        if !keys.is_empty() {
            data.insert("keys".to_owned(), keys.into());
        }
        if !key_info.is_empty() {
            data.insert("key_info".to_owned(), Value::Object(key_info));
        }
        Response::data(data)
    }

    /// Returns a response that the host converts to status 400 with this message.
    ///
    /// ```
    /// # use vault_plugin::logical::Response;
    /// assert_eq!(Response::error("no such role").data.unwrap()["error"], "no such role");
    /// ```
    #[must_use]
    pub fn error(message: impl Into<String>) -> Response {
        let mut data = Map::new();
        data.insert("error".to_owned(), Value::String(message.into()));
        Response::data(data)
    }

    /// Returns the message of a response that was created by [`Response::error`].
    ///
    /// ```
    /// # use vault_plugin::logical::{Map, Response};
    /// assert_eq!(Response::error("no such role").error_text(), Some("no such role"));
    /// assert_eq!(Response::data(Map::new()).error_text(), None);
    /// ```
    #[must_use]
    pub fn error_text(&self) -> Option<&str> {
        let data = self.data.as_ref()?;
        let only_known = data.keys().all(|key| key == "error" || key == "data");
        if only_known { data.get("error")?.as_str() } else { None }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("fields", &self.data.as_ref().map(|data| data.keys().collect::<Vec<_>>()))
            .field("secret", &self.secret)
            .field("auth", &self.auth)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}
