//! Leases: look up, renew, revoke.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency};

/// `POST sys/leases/lookup`.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Lease id.
    pub lease_id: String,
}

/// What the server knows of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaseInfo {
    /// Lease id.
    pub id: String,
    /// Time left.
    pub ttl: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// RFC 3339.
    pub issue_time: Option<String>,
    /// RFC 3339.
    pub expire_time: Option<String>,
}

/// `POST sys/leases/renew`.
#[derive(Clone, Debug)]
pub struct Renew {
    /// Lease id.
    pub lease_id: String,
    /// Wish for the time from now on; `None` asks for the lease's own. Sent in whole seconds.
    pub increment: Option<Duration>,
}

/// What a renewal gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RenewedLease {
    /// Lease id.
    pub lease_id: String,
    /// Time from now on; may be less than was asked for.
    pub lease_duration: Duration,
    /// Whether it can be renewed again.
    pub renewable: bool,
    /// For example that the wish was above the maximum.
    pub warnings: Vec<String>,
}

/// `POST sys/leases/revoke` with `sync`: success means that the plugin has revoked it.
#[derive(Clone, Debug)]
pub struct Revoke {
    /// Lease id.
    pub lease_id: String,
}

/// `POST sys/leases/revoke` without `sync`: the server takes it on itself to revoke, and tries again where it fails.
#[derive(Clone, Debug)]
pub struct RevokeAsync {
    /// Lease id.
    pub lease_id: String,
}

#[derive(Deserialize)]
struct LookupBody {
    id: String,
    #[serde(default)]
    ttl: i64,
    #[serde(default)]
    renewable: bool,
    issue_time: Option<String>,
    expire_time: Option<String>,
}

#[derive(Deserialize)]
struct RenewBody {
    lease_id: String,
    lease_duration: u64,
    renewable: bool,
    warnings: Option<Vec<String>>,
}

impl Endpoint for Lookup {
    /// `None` when there is no such lease (any more).
    type Response = Option<LeaseInfo>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_with_json(Method::POST, "sys/leases/lookup", &json!({ "lease_id": self.lease_id }))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        if reply.status().as_u16() == 400 {
            let error = ApiError::from_reply(&reply);
            return if error.has_message("invalid lease") { Ok(None) } else { Err(error) };
        }
        let LookupBody { id, ttl, renewable, issue_time, expire_time } = endpoint::data(reply)?;
        // Negative once it is overdue.
        let ttl = Duration::from_secs(u64::try_from(ttl).unwrap_or(0));
        Ok(Some(LeaseInfo { id, ttl, renewable, issue_time, expire_time }))
    }
}

impl Endpoint for Renew {
    type Response = RenewedLease;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        let mut body = json!({ "lease_id": self.lease_id });
        if let Some(increment) = self.increment {
            body["increment"] = json!(increment.as_secs());
        }
        endpoint::request_with_json(Method::POST, "sys/leases/renew", &body)
    }

    fn response(reply: Response<Bytes>) -> Result<RenewedLease, ApiError> {
        let reply = endpoint::error_for_status(reply)?;
        let RenewBody { lease_id, lease_duration, renewable, warnings } = endpoint::parse_json(&reply)?;
        let lease_duration = Duration::from_secs(lease_duration);
        Ok(RenewedLease { lease_id, lease_duration, renewable, warnings: warnings.unwrap_or_default() })
    }
}

impl Endpoint for Revoke {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        let body = json!({ "lease_id": self.lease_id, "sync": true });
        endpoint::request_with_json(Method::POST, "sys/leases/revoke", &body)
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

impl Endpoint for RevokeAsync {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_with_json(Method::POST, "sys/leases/revoke", &json!({ "lease_id": self.lease_id }))
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

/// `GET sys/leases/count?type=irrevocable`: how many leases the server has given up revoking, in this namespace.
#[derive(Clone, Copy, Debug)]
pub struct CountIrrevocable;

#[derive(Deserialize)]
struct CountBody {
    lease_count: u64,
}

impl Endpoint for CountIrrevocable {
    type Response = u64;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/leases/count?type=irrevocable")
    }

    fn response(reply: Response<Bytes>) -> Result<u64, ApiError> {
        endpoint::data::<CountBody>(reply).map(|count| count.lease_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    #[test]
    fn a_revoke_waits_for_the_plugin() {
        let line = request_line(&Revoke { lease_id: "custom/creds/a/1".into() }.request());
        assert_eq!(line, r#"POST /v1/sys/leases/revoke {"lease_id":"custom/creds/a/1","sync":true}"#);
    }

    #[test]
    fn a_revoke_that_is_left_to_the_server_does_not_wait() {
        let line = request_line(&RevokeAsync { lease_id: "custom/creds/a/1".into() }.request());
        assert_eq!(line, r#"POST /v1/sys/leases/revoke {"lease_id":"custom/creds/a/1"}"#);
    }

    #[test]
    fn a_lease_that_is_gone_is_none() {
        let gone = Lookup::response(reply(400, r#"{"errors":["invalid lease"]}"#)).expect("an answer");
        assert_eq!(gone, None);
        assert!(Lookup::response(reply(400, r#"{"errors":["lease_id must be specified"]}"#)).is_err());
    }

    #[test]
    fn a_wish_is_whole_seconds() {
        let renew = Renew { lease_id: "l".into(), increment: Some(Duration::from_secs(90)) };
        assert_eq!(
            request_line(&renew.request()),
            r#"POST /v1/sys/leases/renew {"increment":90,"lease_id":"l"}"#
        );
        let body = r#"{"lease_id":"l","lease_duration":90,"renewable":true,"data":null,"warnings":null}"#;
        let renewed = Renew::response(reply(200, body)).expect("an answer");
        assert_eq!(renewed.lease_duration, Duration::from_secs(90));
    }
}
