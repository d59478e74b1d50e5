//! What an engine answers.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::{Auth, Map, Secret, WrapInfo};

/// An answer with data, perhaps under a lease.
///
/// No answer at all (`None` where an `Option<Response>` is asked for) is something else: a read of it is 404, a write
/// 204. `Debug` shows names of fields only, since credentials travel here.
///
/// ```
/// use vault_plugin::logical::{Map, Response};
///
/// let mut response = Response::data(Map::from_iter([("token".to_owned(), "s3cret".into())]));
/// response.warnings.push("the role ends today".to_owned());
/// let shown = format!("{response:?}");
/// assert!(shown.contains("token") && shown.contains("ends today") && !shown.contains("s3cret"));
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Response {
    /// What the caller gets; `None` is JSON `null`, which differs from an empty object for the host.
    pub data: Option<Map>,
    /// The lease, if the data is a secret to be renewed and revoked.
    pub secret: Option<Secret>,
    /// Who has logged in; from an auth method only.
    pub auth: Option<Auth>,
    /// Remarks that do not make the request fail.
    pub warnings: Vec<String>,
    /// HTTP headers; the host passes on those in the mount's `allowed_response_headers`.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Has the host wrap the answer, so that the caller gets a token that unwraps it once. A caller who asked for a
    /// shorter time gets that.
    pub wrap_info: Option<WrapInfo>,
}

impl Response {
    /// An answer with data.
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

    /// The answer to a list: `keys`, and `key_info` where there is something to say of them.
    ///
    /// An empty list has no `keys`, which makes the host answer 404, as Go's `ListResponseWithInfo` does.
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

    /// The answer that the host turns into status 400 with this text.
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

    /// The text of an answer made by [`Response::error`], if it is one.
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
