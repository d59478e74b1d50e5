//! The secret type of leased tokens: the data of a lease, its renewal and its revocation.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_plugin::framework::ttl::{TtlLimits, TtlRequest, calculate_ttl};
use vault_plugin::framework::{Context, Field, Lease, SecretType};
use vault_plugin::logical::Error;

use crate::config;
use crate::endpoint::Endpoint;
use crate::events::{self, event};
use crate::telemetry::{LeaseIssuer, MeasuredOperation, instrument};
use crate::terms::{self, LeaseTerms};
use crate::upstream::{
    DEFAULT_PRESET, IdCheck, Lifetime, Renew, Revocation, Revoke, deserialize_token_id, find_preset,
};
use crate::{TokenEngine, UpstreamClient};

/// The name of the secret type.
pub(crate) const SECRET_TYPE: &str = "token";

/// The internal data of a lease. It is independent of later changes of the role and the configuration.
///
/// Versions up to 0.1.0 wrote neither `account` nor `revocation_path`, and ignore both. Such a lease has no account, and its token is
/// revoked by its id.
#[derive(Serialize, Deserialize)]
pub(crate) struct LeaseData {
    /// The id of the token at the service. Empty if it has none.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "deserialize_token_id")]
    pub(crate) id: String,
    /// The endpoint that minted the token.
    pub(crate) api_endpoint: Endpoint,
    /// The account that minted the token. Empty if there was none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) account: String,
    /// The path of the DELETE request that revokes the token, below the endpoint.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) revocation_path: String,
    /// The call that revokes the token. `None` for the default description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revocation: Option<Box<Revoke>>,
    /// The check before the revocation, for an API that reuses ids.
    #[serde(default, rename = "look", skip_serializing_if = "Option::is_none")]
    pub(crate) id_check: Option<Box<IdCheck>>,
    /// The call that renews the token. `None` for the default description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renewal: Option<Box<Renew>>,
    /// The connection that minted the token. Another connection to the same endpoint and account can be used too.
    #[serde(default = "default_config", skip_serializing_if = "is_default_config")]
    pub(crate) config: String,
    /// In seconds.
    pub(crate) ttl: u64,
    /// In seconds.
    pub(crate) max_ttl: u64,
    /// Whether the token was minted for `ttl` and is renewed at the service.
    pub(crate) renew_upstream: bool,
    /// The role of the token.
    pub(crate) role: String,
    /// The name of the token at the service.
    pub(crate) name: String,
    /// The instance id of the engine that issued the lease.
    #[serde(default, rename = "run")]
    pub(crate) instance_id: String,
}

fn default_config() -> String {
    config::DEFAULT_NAME.to_owned()
}

fn is_default_config(name: &String) -> bool {
    name == config::DEFAULT_NAME
}

impl LeaseData {
    /// Checks that the lease identifies a token. Only a described call works without the id.
    fn check(&self) -> Result<(), Error> {
        if self.id.is_empty() && self.revocation.is_none() {
            return Err(Error::internal("the lease holds internal data that this version cannot read"));
        }
        Ok(())
    }

    /// Takes out how the token is revoked.
    fn take_revocation(&mut self) -> Revocation {
        let id = std::mem::take(&mut self.id);
        match self.revocation.take() {
            None => Revocation::from_lease(id, std::mem::take(&mut self.revocation_path)),
            call => Revocation { id, path: String::new(), call, id_check: self.id_check.take() },
        }
    }
}

pub(crate) fn secret_type() -> SecretType<TokenEngine> {
    SecretType::new(SECRET_TYPE)
        .field("token", Field::string().describe("The token."))
        .on_renew(instrument(MeasuredOperation::TokenRenew, renew))
        .on_revoke(instrument(MeasuredOperation::TokenRevoke, revoke))
}

/// Renews the token at the service for the TTL that the host will grant, and caps the lease to the TTL that the service has granted.
async fn renew(context: Context<TokenEngine>, lease: LeaseData) -> Result<Lease, Error> {
    lease.check()?;
    let terms =
        LeaseTerms { ttl: Duration::from_secs(lease.ttl), max_ttl: Duration::from_secs(lease.max_ttl) };
    if !lease.renew_upstream {
        return Ok(terms.into());
    }
    let now = SystemTime::now();
    let lease_options = context.request().secret.as_ref().map(|secret| &secret.lease);
    let issued = lease_options.and_then(|lease_options| lease_options.issue_time);
    let request = TtlRequest {
        increment: lease_options.map(|lease_options| lease_options.increment).unwrap_or_default(),
        ttl: terms.ttl,
        max_ttl: terms.max_ttl,
        issued,
        ..TtlRequest::default()
    };
    // A lease always has a TTL, so the default of the mount is not used.
    let limits = TtlLimits { default: terms.ttl, max: context.system().max_lease_ttl().await? };
    // After the maximum TTL the host rejects the renewal, so the service is not called.
    let Ok(grant) = calculate_ttl(limits, &request, now) else { return Ok(terms.into()) };

    let client = client_for_lease(&context, &lease, "renewed").await?;
    let default =
        find_preset(DEFAULT_PRESET).map_err(|error| Error::internal(error.to_string()))?.description();
    let described =
        lease.renewal.as_deref().or(default.renew.as_ref().filter(|_| lease.revocation.is_none()));
    let Some(renewal) = described else { return Ok(terms.into()) };
    let lifetime = Lifetime { now: Timestamp::now(), seconds: grant.ttl.as_secs() };
    let expires = client.upstream.renew(renewal, &lease.id, lifetime).await?;
    let expires = expires.map_err(|error| Error::internal(error.to_string()))?;
    let upstream_ttl = terms::time_until_expiry(expires, Timestamp::now())?.unwrap_or(grant.ttl);
    // The host may grant the requested increment instead of the TTL. Only the maximum TTL, which counts from the issue time, caps it.
    let age =
        issued.and_then(|issued| truncate_to_seconds(now).duration_since(truncate_to_seconds(issued)).ok());
    let age = age.unwrap_or_default();
    Ok(LeaseTerms { ttl: terms.ttl.min(upstream_ttl), max_ttl: terms.max_ttl.min(age + upstream_ttl) }.into())
}

/// Truncates a time to seconds, as hosts do.
fn truncate_to_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// Revokes the token at the service. A token that no longer exists counts as revoked, because a host may revoke it twice.
async fn revoke(context: Context<TokenEngine>, mut lease: LeaseData) -> Result<(), Error> {
    lease.check()?;
    let client = client_for_lease(&context, &lease, "revoked").await?;
    let engine = context.state();
    let issuer = if lease.instance_id == engine.instance_id {
        LeaseIssuer::ThisInstance
    } else {
        LeaseIssuer::OtherInstance
    };
    client.upstream.revoke(&lease.take_revocation()).await?;
    engine.metrics().count_revoked(issuer);
    events::send(&context, client.config.send_events, || {
        let revoked =
            event(&context, "creds-revoke", format!("creds/{}", lease.role)).with("name", lease.role);
        revoked.with("token_name", lease.name).with("connection", lease.config)
    });
    Ok(())
}

/// Returns the client, if its connection is the one that minted the token of the lease.
async fn client_for_lease(
    context: &Context<TokenEngine>,
    lease: &LeaseData,
    action: &str,
) -> Result<Arc<UpstreamClient>, Error> {
    match config::find_client(context, &lease.config, &lease.api_endpoint, &lease.account).await? {
        Ok(client) => Ok(client),
        Err(Some(mismatch)) => Err(mismatch.into()),
        Err(None) => Err(Error::internal(format!(
            "the token cannot be {action} since the configuration of its service is gone; its lease stays until it is \
             written again: vault write {}config api_endpoint=… api_key=…",
            context.request().mount_point
        ))),
    }
}
