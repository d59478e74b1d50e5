//! Types of leased secrets, with their renew and revoke handlers.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use serde::de::DeserializeOwned;

use super::leased_secret::Lease;
use crate::framework::context::Context;
use crate::framework::handler::{InternalDataFn, internal_data_fn};
use crate::framework::input::Field;
use crate::logical::{Error, Map, Response, Secret};

/// A type of leased secret.
///
/// ```
/// use serde_json::{Value, json};
/// use vault_plugin::framework::{Context, Engine, LeasedSecret, Lease, NoFields, Path, SecretType};
/// use vault_plugin::logical::{Error, Operation};
/// use vault_plugin::testing::TestMount;
///
/// async fn issue(_: Context<()>, _: NoFields) -> Result<LeasedSecret, Error> {
///     Ok(LeasedSecret::new("token", json!({"token": "s3cret"}), json!({"id": "t1"}), Lease::default()))
/// }
///
/// async fn revoke(cx: Context<()>, token: Value) -> Result<(), Error> {
///     // A real engine deletes the token with this id upstream.
///     Ok(cx.storage().write("revoked", &token["id"]).await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new(|| ())
///     .path(Path::new("creds").on(Operation::Read, "Issue a token.", issue))
///     .secret(SecretType::new("token").on_revoke(revoke));
/// let mount = TestMount::new(engine).await?;
/// let leased = mount.read("creds").await?.unwrap();
/// mount.revoke(&leased).await?;
/// assert_eq!(mount.storage().entry("revoked").unwrap().value, br#""t1""#);
/// # Ok(()) }
/// ```
pub struct SecretType<S> {
    pub(crate) name: &'static str,
    fields: BTreeMap<String, Field>,
    renew: Option<InternalDataFn<S, Lease>>,
    revoke: Option<InternalDataFn<S, ()>>,
}

impl<S> fmt::Debug for SecretType<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretType")
            .field("name", &self.name)
            .field("fields", &self.fields)
            .field("renewable", &self.renew.is_some())
            .field("revocable", &self.revoke.is_some())
            .finish()
    }
}

impl<S: Send + Sync + 'static> SecretType<S> {
    /// Returns a type of secret. It is renewable with [`on_renew`](Self::on_renew). Leases contain the name, so it must not change while leases exist.
    ///
    /// ```
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Engine, LeasedSecret, Lease, NoFields, Path, SecretType};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// # async fn issue(_: Context<()>, _: NoFields) -> Result<LeasedSecret, Error> {
    /// #     Ok(LeasedSecret::new("token", json!({"token": "s3cret"}), json!({"id": "t1"}), Lease::default()))
    /// # }
    /// # async fn revoke(_: Context<()>, _: Value) -> Result<(), Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let secret = SecretType::new("token").on_revoke(revoke);
    /// # let path = Path::new("creds").on(Operation::Read, "Issue a token.", issue);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path).secret(secret)).await?;
    /// assert!(!mount.read("creds").await?.unwrap().secret.unwrap().lease.renewable);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn new(name: &'static str) -> SecretType<S> {
        SecretType { name, fields: BTreeMap::new(), renew: None, revoke: None }
    }

    /// Adds the description of a field.
    ///
    /// ```
    /// # use vault_plugin::framework::{Field, SecretType};
    /// let secret = SecretType::<()>::new("token").field("token", Field::string().describe("The token.").sensitive());
    /// assert_eq!(secret.fields()["token"].description(), "The token.");
    /// ```
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field: Field) -> Self {
        self.fields.insert(name.into(), field);
        self
    }

    /// Returns the declared fields of the secret.
    #[must_use]
    pub fn fields(&self) -> &BTreeMap<String, Field> {
        &self.fields
    }

    /// Sets the handler that renews a lease. It gets the internal data of the secret and returns the new TTL from now. The host
    /// limits it to `max_ttl` from the time of issue.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Engine, LeasedSecret, Lease, NoFields, Path, SecretType};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// # async fn issue(_: Context<()>, _: NoFields) -> Result<LeasedSecret, Error> {
    /// #     Ok(LeasedSecret::new("token", json!({"token": "s3cret"}), json!({"id": "t1"}), Lease::default()))
    /// # }
    /// async fn renew(_: Context<()>, token: Value) -> Result<Lease, Error> {
    ///     assert_eq!(token["id"], "t1");
    ///     Ok(Lease { ttl: Duration::from_hours(1), max_ttl: Duration::from_hours(24) })
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let secret = SecretType::new("token").on_renew(renew);
    /// # let path = Path::new("creds").on(Operation::Read, "Issue a token.", issue);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path).secret(secret)).await?;
    /// let leased = mount.read("creds").await?.unwrap();
    /// let renewed = mount.renew(&leased).await?.unwrap().secret.unwrap();
    /// assert_eq!(renewed.lease.ttl, Duration::from_hours(1));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn on_renew<T, F>(mut self, renew: impl Fn(Context<S>, T) -> F + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned,
        F: Future<Output = Result<Lease, Error>> + Send + 'static,
    {
        self.renew = Some(internal_data_fn(renew));
        self
    }

    /// Sets the handler that revokes a secret. It may be called more than once for the same secret, and the host retries after every error.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, LeasedSecret, Lease, NoFields, Path, SecretType};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// # async fn issue(cx: Context<()>, _: NoFields) -> Result<LeasedSecret, Error> {
    /// #     cx.storage().write("tokens/t1", &true).await?;
    /// #     Ok(LeasedSecret::new("token", json!({"token": "s3cret"}), json!({"id": "t1"}), Lease::default()))
    /// # }
    /// #[derive(serde::Deserialize)]
    /// struct Token {
    ///     id: String,
    /// }
    ///
    /// async fn revoke(cx: Context<()>, token: Token) -> Result<(), Error> {
    ///     Ok(cx.storage().delete(&format!("tokens/{}", token.id)).await?)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let secret = SecretType::new("token").on_revoke(revoke);
    /// # let path = Path::new("creds").on(Operation::Read, "Issue a token.", issue);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path).secret(secret)).await?;
    /// let leased = mount.read("creds").await?.unwrap();
    /// assert_eq!(mount.storage().keys(), ["tokens/t1"]);
    /// mount.revoke(&leased).await?;
    /// mount.revoke(&leased).await?;
    /// assert!(mount.storage().keys().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn on_revoke<T, F>(mut self, revoke: impl Fn(Context<S>, T) -> F + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.revoke = Some(internal_data_fn(revoke));
        self
    }

    /// Whether there is a renew handler.
    pub(crate) fn is_renewable(&self) -> bool {
        self.renew.is_some()
    }

    /// Renews a secret. The response contains the whole secret, because the host stores it.
    pub(crate) async fn renew(&self, cx: &Context<S>, secret: &Secret) -> Result<Option<Response>, Error> {
        let Some(renew) = &self.renew else { return Err(Error::UnsupportedOperation) };
        let lease = renew(cx.clone(), &secret.internal_data).await?;
        let mut secret = secret.clone();
        secret.lease.ttl = lease.ttl;
        secret.lease.max_ttl = lease.max_ttl;
        Ok(Some(Response { secret: Some(secret), ..Response::default() }))
    }

    pub(crate) async fn revoke(&self, cx: &Context<S>, secret: &Secret) -> Result<Option<Response>, Error> {
        let Some(revoke) = &self.revoke else { return Err(Error::UnsupportedOperation) };
        revoke(cx.clone(), &secret.internal_data).await?;
        Ok(None)
    }
}

/// Returns the secret type in the internal data.
pub(crate) fn secret_type(internal_data: &Map) -> Option<&str> {
    internal_data.get("secret_type")?.as_str()
}
