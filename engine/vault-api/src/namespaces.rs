//! Child namespaces and their mounts.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency, encode_path};
use crate::mounts::MountInfo;

/// `LIST sys/namespaces`: the children of a namespace.
#[derive(Clone, Debug)]
pub struct List {
    /// Path relative to the namespace of the client, with a trailing slash; empty for that namespace itself.
    pub namespace: String,
}

/// `GET sys/mounts` of a namespace.
#[derive(Clone, Debug)]
pub struct ListMounts {
    /// Path relative to the namespace of the client, with a trailing slash.
    pub namespace: String,
}

/// `GET sys/auth` of a namespace.
#[derive(Clone, Debug)]
pub struct ListAuthMounts {
    /// Path relative to the namespace of the client, with a trailing slash.
    pub namespace: String,
}

impl Endpoint for List {
    /// Names with a trailing slash; empty if the server does not support namespaces.
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&format!("{}sys/namespaces?list=true", encode_path(&self.namespace)))
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        match reply.status().as_u16() {
            404 | 405 => Ok(Vec::new()),
            _ => endpoint::keys(reply),
        }
    }
}

impl Endpoint for ListMounts {
    type Response = BTreeMap<String, MountInfo>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&format!("{}sys/mounts", encode_path(&self.namespace)))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        endpoint::data(reply)
    }
}

impl Endpoint for ListAuthMounts {
    type Response = BTreeMap<String, MountInfo>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&format!("{}sys/auth", encode_path(&self.namespace)))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        endpoint::data(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    #[test]
    fn a_namespace_is_named_in_the_path() {
        let list = List { namespace: "team/sub/".into() };
        assert_eq!(request_line(&list.request()), "GET /v1/team/sub/sys/namespaces?list=true");
        let mounts = ListMounts { namespace: "a b/".into() };
        assert_eq!(request_line(&mounts.request()), "GET /v1/a%20b/sys/mounts");
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
