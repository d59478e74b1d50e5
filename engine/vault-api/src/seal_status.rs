//! The seal type of a server.

use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency, RequestScope};

/// `GET sys/seal-status`. Needs no token.
#[derive(Clone, Copy, Debug)]
pub struct Read;

/// The response of `sys/seal-status`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SealStatus {
    /// Type of the seal: `shamir`, or an auto-unseal type such as `transit`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl SealStatus {
    /// Whether the server must be unsealed manually after each start.
    pub fn is_shamir(&self) -> bool {
        self.kind == "shamir"
    }
}

impl Endpoint for Read {
    type Response = SealStatus;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;
    const SCOPE: RequestScope = RequestScope::Public;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/seal-status")
    }

    fn response(reply: Response<Bytes>) -> Result<SealStatus, ApiError> {
        endpoint::parse_json(&endpoint::error_for_status(reply)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::reply;

    #[test]
    fn a_shamir_seal_is_unsealed_manually() {
        let of = |body| Read::response(reply(200, body)).expect("an answer").is_shamir();
        assert!(of(r#"{"type":"shamir","initialized":true,"sealed":false,"t":3,"n":5}"#));
        assert!(!of(r#"{"type":"transit","initialized":true,"sealed":false,"recovery_seal":true}"#));
    }
}
