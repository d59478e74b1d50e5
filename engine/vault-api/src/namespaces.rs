//! The child namespaces of a namespace. [`Client::in_namespace`](crate::Client::in_namespace) sends requests to one.

use bytes::Bytes;
use http::{Request, Response};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency};

/// `LIST sys/namespaces`: the children of a namespace.
#[derive(Clone, Copy, Debug)]
pub struct List;

impl Endpoint for List {
    /// Names with a trailing slash; empty if the server does not support namespaces.
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/namespaces?list=true")
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        match reply.status().as_u16() {
            404 | 405 => Ok(Vec::new()),
            _ => endpoint::keys(reply),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::reply;

    #[test]
    fn a_server_without_namespaces_has_none() {
        let none = List::response(reply(404, r#"{"errors":[]}"#));
        assert_eq!(none.expect("an answer"), Vec::<String>::new());
        let some = List::response(reply(200, r#"{"data":{"keys":["team/"],"key_info":{}}}"#));
        assert_eq!(some.expect("an answer"), ["team/"]);
        assert!(List::response(reply(403, r#"{"errors":["permission denied"]}"#)).is_err());
    }
}
