//! Giving up being the active node.

use bytes::Bytes;
use http::{Method, Request, Response};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency};

/// `PUT sys/step-down`: the node that answers is not active any more, and another becomes it. Needs sudo.
///
/// On a server of one node it becomes active again after a while.
#[derive(Clone, Copy, Debug)]
pub struct StepDown;

impl Endpoint for StepDown {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::NotIdempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_without_body(Method::PUT, "sys/step-down")
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
    fn it_is_asked_without_a_body_and_answered_without_one() {
        assert_eq!(request_line(&StepDown.request()), "PUT /v1/sys/step-down");
        assert_eq!(StepDown::response(reply(204, "")).expect("success"), Vec::<String>::new());
    }
}
