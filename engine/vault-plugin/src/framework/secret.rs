//! Leased secrets: how they are renewed and revoked.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::field::Field;
use crate::logical::{Error, Map, Response, Secret};

type Renew<S> = Box<dyn Fn(Context<S>, Map) -> Renewal + Send + Sync>;
type Revoke<S> = Box<dyn Fn(Context<S>, Map) -> Revocation + Send + Sync>;
type Renewal = Pin<Box<dyn Future<Output = Result<Lease, Error>> + Send>>;
type Revocation = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// How long a secret lives. Zero leaves the choice to the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// From now.
    pub ttl: Duration,
    /// From the time of issue, renewals included.
    pub max_ttl: Duration,
}

/// A kind of leased secret.
pub struct SecretType<S> {
    pub(crate) name: &'static str,
    fields: BTreeMap<String, Field>,
    renew: Option<Renew<S>>,
    revoke: Option<Revoke<S>>,
}

impl<S: Send + Sync + 'static> SecretType<S> {
    /// A kind of secret, renewable once it is given [`on_renew`](Self::on_renew). Leases remember the name: changing it later strands those that exist.
    #[must_use]
    pub fn new(name: &'static str) -> SecretType<S> {
        SecretType { name, fields: BTreeMap::new(), renew: None, revoke: None }
    }

    /// Describes a field of the secret.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field: Field) -> Self {
        self.fields.insert(name.into(), field);
        self
    }

    /// The declared fields of the secret.
    #[must_use]
    pub fn fields(&self) -> &BTreeMap<String, Field> {
        &self.fields
    }

    /// Extends a lease. The handler gets the internal data of the secret and says how long the lease runs from now;
    /// the host holds it to `max_ttl` from the time of issue.
    #[must_use]
    pub fn on_renew<T, F>(mut self, renew: impl Fn(Context<S>, T) -> F + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned,
        F: Future<Output = Result<Lease, Error>> + Send + 'static,
    {
        self.renew = Some(Box::new(move |cx, data| match read(data) {
            Ok(data) => Box::pin(renew(cx, data)),
            Err(error) => Box::pin(async move { Err(error) }),
        }));
        self
    }

    /// Ends a secret. It may be called twice for the same one, and every error is tried again by the host.
    #[must_use]
    pub fn on_revoke<T, F>(mut self, revoke: impl Fn(Context<S>, T) -> F + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.revoke = Some(Box::new(move |cx, data| match read(data) {
            Ok(data) => Box::pin(revoke(cx, data)),
            Err(error) => Box::pin(async move { Err(error) }),
        }));
        self
    }

    /// Whether there is something that renews.
    pub(crate) fn is_renewable(&self) -> bool {
        self.renew.is_some()
    }

    /// Renews, and answers with the whole secret: the host stores what it gets.
    pub(crate) async fn renew(&self, cx: Context<S>, mut secret: Secret) -> Result<Option<Response>, Error> {
        let Some(renew) = &self.renew else { return Err(Error::UnsupportedOperation) };
        let lease = renew(cx, secret.internal_data.clone()).await?;
        secret.lease.ttl = lease.ttl;
        secret.lease.max_ttl = lease.max_ttl;
        Ok(Some(Response { secret: Some(secret), ..Response::default() }))
    }

    pub(crate) async fn revoke(&self, cx: Context<S>, secret: Secret) -> Result<Option<Response>, Error> {
        let Some(revoke) = &self.revoke else { return Err(Error::UnsupportedOperation) };
        revoke(cx, secret.internal_data).await?;
        Ok(None)
    }
}

/// The kind of secret that the internal data belongs to.
pub(crate) fn secret_type(internal_data: &Map) -> Option<&str> {
    internal_data.get("secret_type")?.as_str()
}

fn read<T: DeserializeOwned>(data: Map) -> Result<T, Error> {
    serde_json::from_value(Value::Object(data))
        .map_err(|_| Error::internal("the lease holds internal data that this version cannot read"))
}
