//! Stepping down as the active node.

use bytes::Bytes;
use http::{Method, Request, Response};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency};

/// `PUT sys/step-down`: the active node steps down, and another node becomes active. Requires the `sudo` capability.
///
/// In a cluster of one node, the same node becomes active again after a delay.
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
    fn request_and_response_have_no_body() {
        assert_eq!(request_line(&StepDown.request()), "PUT /v1/sys/step-down");
        assert_eq!(StepDown::response(reply(204, "")).expect("success"), Vec::<String>::new());
    }
}
