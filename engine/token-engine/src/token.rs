//! The leased token: what its lease remembers, and how it is renewed and revoked.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use vault_plugin::framework::{Context, Field, Lease, SecretType};
use vault_plugin::logical::Error;

use crate::config;
use crate::endpoint::Endpoint;
use crate::measure::{Issuer, Operation, measured};
use crate::terms::{self, Terms};
use crate::upstream::is_addressable;
use crate::{Connected, TokenEngine};

/// The name of the secret type.
pub(crate) const NAME: &str = "token";

/// What a lease remembers of its token. Role and configuration may change; a lease keeps the terms it was made under.
#[derive(Serialize, Deserialize)]
pub(crate) struct Leased {
    /// The token's identity at the service.
    #[serde(deserialize_with = "addressable")]
    pub(crate) id: String,
    /// Where it was minted.
    pub(crate) api_endpoint: Endpoint,
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

fn addressable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if is_addressable(&id) { Ok(id) } else { Err(D::Error::custom("a token cannot have this id")) }
}

pub(crate) fn secret_type() -> SecretType<TokenEngine> {
    SecretType::new(NAME)
        .field("token", Field::string().describe("The token."))
        .on_renew(measured(Operation::TokenRenew, renew))
        .on_revoke(measured(Operation::TokenRevoke, revoke))
}

async fn renew(context: Context<TokenEngine>, leased: Leased) -> Result<Lease, Error> {
    let mut terms =
        Terms { ttl: Duration::from_secs(leased.ttl), max_ttl: Duration::from_secs(leased.max_ttl) };
    if leased.renew_upstream {
        let connected = connected(&context, "renewed").await?;
        let expires_at = connected.upstream.renew(&leased.id, terms.ttl).await?;
        if let Some(remaining) = terms::remaining(&expires_at, Timestamp::now())? {
            terms.ttl = terms.ttl.min(remaining);
        }
    }
    Ok(terms.into())
}

/// Revokes at the service. A token that is gone already is as good as revoked, since a host may ask twice.
async fn revoke(context: Context<TokenEngine>, leased: Leased) -> Result<(), Error> {
    let connected = connected(&context, "revoked").await?;
    connected.upstream.revoke(&leased.id, &leased.api_endpoint).await?;
    let engine = context.engine();
    engine.measures().revoked(if leased.run == engine.run { Issuer::ThisEngine } else { Issuer::Another });
    Ok(())
}

async fn connected(context: &Context<TokenEngine>, to_be: &str) -> Result<Arc<Connected>, Error> {
    config::connected(context).await?.ok_or_else(|| {
        Error::internal(format!(
            "the token cannot be {to_be} since the configuration of its service is gone; its lease stays until it is \
             written again: vault write {}config api_endpoint=… api_key=…",
            context.request().mount_point
        ))
    })
}
