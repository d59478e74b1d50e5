//! The leased token: what its lease remembers, and how it is renewed and revoked.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_plugin::framework::ttl::{TtlLimits, TtlRequest, calculate_ttl};
use vault_plugin::framework::{Context, Field, Lease, SecretType};
use vault_plugin::logical::Error;

use crate::config;
use crate::endpoint::Endpoint;
use crate::telemetry::{LeaseIssuer, MeasuredOperation, instrument};
use crate::terms::{self, LeaseTerms};
use crate::upstream::{
    DEFAULT_PRESET, Lifetime, Look, Renew, Revocation, Revoke, deserialize_token_id, find_preset,
};
use crate::{TokenEngine, UpstreamClient};

/// The name of the secret type.
pub(crate) const SECRET_TYPE: &str = "token";

/// The internal data of a lease. Role and configuration may change; a lease keeps the terms it was issued under.
///
/// Versions up to 0.1.0 wrote neither `account` nor `revocation_path`, and ignore both: such a lease is one without an account, and its
/// token is revoked by its id.
#[derive(Serialize, Deserialize)]
pub(crate) struct LeaseData {
    /// The token's identity at the service.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "deserialize_token_id")]
    pub(crate) id: String,
    /// Where it was minted.
    pub(crate) api_endpoint: Endpoint,
    /// The account that the configuration named then; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) account: String,
    /// What is deleted to revoke the token, below the endpoint.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) revocation_path: String,
    /// The call that revokes the token, of any description but the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revocation: Option<Revoke>,
    /// The search before the revocation, of an API that uses identifiers again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) look: Option<Look>,
    /// The call that renews the token, of any description but the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renewal: Option<Renew>,
    /// The connection that minted the token. Any other to the same endpoint and account is as good.
    #[serde(default = "default_config", skip_serializing_if = "is_default_config")]
    pub(crate) config: String,
    /// In seconds.
    pub(crate) ttl: u64,
    /// In seconds.
    pub(crate) max_ttl: u64,
    /// Whether the token was minted for `ttl` only and lives on by being renewed at the service.
    pub(crate) renew_upstream: bool,
    /// The role it was read from.
    pub(crate) role: String,
    /// Its name at the service.
    pub(crate) name: String,
    /// The run of the engine that issued it.
    #[serde(default)]
    pub(crate) run: String,
}

fn default_config() -> String {
    config::DEFAULT_NAME.to_owned()
}

fn is_default_config(name: &String) -> bool {
    name == config::DEFAULT_NAME
}

impl LeaseData {
    /// How the token is revoked.
    fn into_revocation(self) -> Revocation {
        match self.revocation {
            None => Revocation::from_lease(self.id, self.revocation_path),
            call => Revocation { id: self.id, path: String::new(), call, look: self.look },
        }
    }
}

pub(crate) fn secret_type() -> SecretType<TokenEngine> {
    SecretType::new(SECRET_TYPE)
        .field("token", Field::string().describe("The token."))
        .on_renew(instrument(MeasuredOperation::TokenRenew, renew))
        .on_revoke(instrument(MeasuredOperation::TokenRevoke, revoke))
}

/// Asks the service for as long as the host is going to grant, and lets the host grant no more than the service gave.
async fn renew(context: Context<TokenEngine>, lease: LeaseData) -> Result<Lease, Error> {
    let terms =
        LeaseTerms { ttl: Duration::from_secs(lease.ttl), max_ttl: Duration::from_secs(lease.max_ttl) };
    if !lease.renew_upstream {
        return Ok(terms.into());
    }
    let now = SystemTime::now();
    let asked = context.request().secret.as_ref().map(|secret| &secret.lease);
    let issued = asked.and_then(|asked| asked.issue_time);
    let wanted = TtlRequest {
        increment: asked.map(|asked| asked.increment).unwrap_or_default(),
        ttl: terms.ttl,
        max_ttl: terms.max_ttl,
        issued,
        ..TtlRequest::default()
    };
    // A lease has a ttl of its own, so the default of the mount is not asked for.
    let limits = TtlLimits { default: terms.ttl, max: context.system().max_lease_ttl().await? };
    // Past the maximum the host refuses by itself, and the service is not asked.
    let Ok(granted) = calculate_ttl(limits, &wanted, now) else { return Ok(terms.into()) };

    let client = client_for_lease(&context, &lease, "renewed").await?;
    let default =
        find_preset(DEFAULT_PRESET).map_err(|error| Error::internal(error.to_string()))?.description();
    let described = lease.renewal.as_ref().or(default.renew.as_ref().filter(|_| lease.revocation.is_none()));
    let Some(renewal) = described else { return Ok(terms.into()) };
    let lifetime = Lifetime { now: Timestamp::now(), seconds: granted.ttl.as_secs() };
    let expires = client.upstream.renew(renewal, &lease.id, lifetime).await?;
    let expires = expires.map_err(|error| Error::internal(error.to_string()))?;
    let given = terms::time_until_expiry(expires, Timestamp::now())?.unwrap_or(granted.ttl);
    // The host grants an increment rather than the ttl; only the longest life, which counts from the time of issue, limits it.
    let age =
        issued.and_then(|issued| truncate_to_seconds(now).duration_since(truncate_to_seconds(issued)).ok());
    let age = age.unwrap_or_default();
    Ok(LeaseTerms { ttl: terms.ttl.min(given), max_ttl: terms.max_ttl.min(age + given) }.into())
}

/// As hosts count.
fn truncate_to_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// Revokes at the service. A token that is gone already is as good as revoked, since a host may ask twice.
async fn revoke(context: Context<TokenEngine>, lease: LeaseData) -> Result<(), Error> {
    let client = client_for_lease(&context, &lease, "revoked").await?;
    let engine = context.state();
    let issuer =
        if lease.run == engine.instance_id { LeaseIssuer::ThisInstance } else { LeaseIssuer::OtherInstance };
    client.upstream.revoke(&lease.into_revocation()).await?;
    engine.metrics().count_revoked(issuer);
    Ok(())
}

/// The client of the connection that minted the token of a lease.
async fn client_for_lease(
    context: &Context<TokenEngine>,
    lease: &LeaseData,
    to_be: &str,
) -> Result<Arc<UpstreamClient>, Error> {
    match config::find_client(context, &lease.config, &lease.api_endpoint, &lease.account).await? {
        Ok(client) => Ok(client),
        Err(Some(mismatch)) => Err(mismatch.into()),
        Err(None) => Err(Error::internal(format!(
            "the token cannot be {to_be} since the configuration of its service is gone; its lease stays until it is \
             written again: vault write {}config api_endpoint=… api_key=…",
            context.request().mount_point
        ))),
    }
}
