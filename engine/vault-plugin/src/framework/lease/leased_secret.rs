//! The response of a handler that issues a leased secret.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::framework::response::{IntoResponse, to_object};
use crate::logical::{Error, LeaseOptions, Map, Response, Secret};

/// The lifetime of a secret. Zero selects the host's default.
///
/// ```
/// # use std::time::Duration;
/// # use vault_plugin::framework::Lease;
/// let hourly_for_a_day = Lease { ttl: Duration::from_hours(1), max_ttl: Duration::from_hours(24) };
/// let host_default = Lease::default();
/// assert!(host_default.ttl.is_zero() && host_default.max_ttl.is_zero());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// The TTL, from now.
    pub ttl: Duration,
    /// The maximum TTL, from the time of issue, including renewals.
    pub max_ttl: Duration,
}

/// A leased secret. Its type must be declared by the engine: otherwise the response is an error, because the secret could not be
/// revoked. `Debug` shows its type and its lease only.
///
/// ```
/// # use serde_json::json;
/// # use vault_plugin::framework::{Context, Engine, LeasedSecret, Lease, NoFields, Path};
/// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
/// async fn issue(_: Context<()>, _: NoFields) -> Result<LeasedSecret, Error> {
///     Ok(LeasedSecret::new("token", json!({"token": "s3cret"}), json!({"id": "t1"}), Lease::default()))
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = Path::new("creds").on(Operation::Read, "Issue a token.", issue);
/// # async fn revoke(_: Context<()>, _: serde_json::Value) -> Result<(), Error> { Ok(()) }
/// # let secret = vault_plugin::framework::SecretType::new("token").on_revoke(revoke);
/// # let mount = TestMount::new(Engine::new(|| ()).path(path).secret(secret)).await?;
/// let leased = mount.read("creds").await?.unwrap();
/// assert_eq!(leased.data.unwrap()["token"], "s3cret");
/// assert!(leased.secret.is_some());
/// # Ok(()) }
/// ```
pub struct LeasedSecret {
    secret_type: &'static str,
    data: Result<Map, Error>,
    internal: Result<Map, Error>,
    lease: Lease,
}

impl fmt::Debug for LeasedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeasedSecret")
            .field("secret_type", &self.secret_type)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl LeasedSecret {
    /// Returns a secret of a declared type, with the data for the caller and the internal data for renew and revoke.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use {serde_json::json, vault_plugin::{framework::{IntoResponse, LeasedSecret, Lease}, logical::Error}};
    /// let lease = Lease { ttl: Duration::from_secs(60), max_ttl: Duration::from_secs(600) };
    /// let secret = LeasedSecret::new("token", json!({"token": "s3cret"}), json!({"id": "t1"}), lease);
    /// assert!(!format!("{secret:?}").contains("s3cret"));
    /// let response = secret.into_response()?.unwrap();
    /// assert_eq!(json!(response.data), json!({"token": "s3cret"}));
    /// // Not visible to the caller. Renewals and revocations are routed by the type.
    /// let secret = response.secret.unwrap();
    /// assert_eq!(json!(secret.internal_data), json!({"id": "t1", "secret_type": "token"}));
    /// assert_eq!(secret.lease.ttl, Duration::from_secs(60));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(
        secret_type: &'static str,
        data: impl Serialize,
        internal: impl Serialize,
        lease: Lease,
    ) -> LeasedSecret {
        LeasedSecret { secret_type, data: to_object(data), internal: to_object(internal), lease }
    }
}

impl IntoResponse for LeasedSecret {
    fn into_response(self) -> Result<Option<Response>, Error> {
        let mut internal_data = self.internal?;
        internal_data.insert("secret_type".to_owned(), self.secret_type.into());
        let lease = LeaseOptions {
            ttl: self.lease.ttl,
            max_ttl: self.lease.max_ttl,
            renewable: true,
            ..LeaseOptions::default()
        };
        let secret = Secret { lease, internal_data, lease_id: String::new() };
        Ok(Some(Response { secret: Some(secret), ..Response::data(self.data?) }))
    }
}
