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
    /// Lease ID.
    pub lease_id: String,
}

/// The state of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeaseInfo {
    /// Lease ID.
    pub id: String,
    /// Remaining TTL.
    pub ttl: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Time of issue (RFC 3339).
    pub issue_time: Option<String>,
    /// Time of expiry (RFC 3339).
    pub expire_time: Option<String>,
}

/// `POST sys/leases/renew`.
#[derive(Clone, Debug)]
pub struct Renew {
    /// Lease ID.
    pub lease_id: String,
    /// Requested new TTL; `None` requests the default of the lease. Sent in whole seconds.
    pub increment: Option<Duration>,
}

/// The result of a renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RenewedLease {
    /// Lease ID.
    pub lease_id: String,
    /// New TTL; may be less than requested.
    pub lease_duration: Duration,
    /// Whether it can be renewed again.
    pub renewable: bool,
    /// For example, that the requested TTL exceeds the maximum.
    pub warnings: Vec<String>,
}

/// `POST sys/leases/revoke` with `sync`: success means that the plugin has revoked the lease.
#[derive(Clone, Debug)]
pub struct Revoke {
    /// Lease ID.
    pub lease_id: String,
}

/// `POST sys/leases/revoke` without `sync`: the server queues the revocation, and retries it if it fails.
#[derive(Clone, Debug)]
pub struct RevokeAsync {
    /// Lease ID.
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
    /// `None` if the lease does not exist, or no longer exists.
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
        // The TTL is negative if the revocation is overdue.
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

/// `GET sys/leases/count?type=irrevocable`: the number of leases of this namespace that the server has given up revoking.
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
    fn an_asynchronous_revoke_does_not_wait() {
        let line = request_line(&RevokeAsync { lease_id: "custom/creds/a/1".into() }.request());
        assert_eq!(line, r#"POST /v1/sys/leases/revoke {"lease_id":"custom/creds/a/1"}"#);
    }

    #[test]
    fn a_missing_lease_is_none() {
        let missing = Lookup::response(reply(400, r#"{"errors":["invalid lease"]}"#)).expect("an answer");
        assert_eq!(missing, None);
        assert!(Lookup::response(reply(400, r#"{"errors":["lease_id must be specified"]}"#)).is_err());
    }

    #[test]
    fn a_requested_ttl_is_sent_in_whole_seconds() {
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
