//! Namespaces below another one, and what is mounted in them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Repeat, encoded};
use crate::mounts::Mount;

/// `LIST sys/namespaces` of a namespace: its children.
#[derive(Clone, Debug)]
pub struct List {
    /// Path below the client's own namespace, with its trailing slash; empty for that one.
    pub within: String,
}

/// `GET sys/mounts` of a namespace.
#[derive(Clone, Debug)]
pub struct Mounts {
    /// Path below the client's own namespace, with its trailing slash.
    pub within: String,
}

#[derive(Deserialize)]
struct Keys {
    #[serde(default, deserialize_with = "endpoint::null_is_empty")]
    keys: Vec<String>,
}

impl Endpoint for List {
    /// Names with their trailing slash; none where the server has no namespaces.
    type Response = Vec<String>;
    const REPEAT: Repeat = Repeat::Safe;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&format!("{}sys/namespaces?list=true", encoded(&self.within)))
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        match reply.status().as_u16() {
            404 | 405 => Ok(Vec::new()),
            _ => endpoint::data::<Keys>(reply).map(|body| body.keys),
        }
    }
}

impl Endpoint for Mounts {
    type Response = BTreeMap<String, Mount>;
    const REPEAT: Repeat = Repeat::Safe;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&format!("{}sys/mounts", encoded(&self.within)))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        endpoint::data(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{line, reply};

    #[test]
    fn a_namespace_is_named_in_the_path() {
        let list = List { within: "team/sub/".into() };
        assert_eq!(line(&list.request()), "GET /v1/team/sub/sys/namespaces?list=true");
        let mounts = Mounts { within: "a b/".into() };
        assert_eq!(line(&mounts.request()), "GET /v1/a%20b/sys/mounts");
    }

    #[test]
    fn a_server_without_namespaces_has_none() {
        let none = List::response(reply(404, r#"{"errors":[]}"#));
        assert_eq!(none.expect("an answer"), Vec::<String>::new());
        let some = List::response(reply(200, r#"{"data":{"keys":["team/"],"key_info":{}}}"#));
        assert_eq!(some.expect("an answer"), ["team/"]);
        assert!(List::response(reply(403, r#"{"errors":["permission denied"]}"#)).is_err());
    }
}
