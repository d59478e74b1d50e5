//! `creds/`: mints a token of a role, and never one that nobody could revoke.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use vault_plugin::framework::{Context, Field, Issued, Path};
use vault_plugin::logical::{Error, Operation};

use crate::config;
use crate::measure::{self, measured};
use crate::role_name::{self, RoleName};
use crate::roles;
use crate::sensitive::{self, Secret};
use crate::terms::{self, Terms};
use crate::token::{self, Leased};
use crate::unclaimed::{Intent, MINT, Minting, Unclaimed};
use crate::upstream::{Minted, Order};
use crate::{Connected, TokenEngine};

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new(format!("creds/{}", role_name::PATTERN))
        .help(
            "Read a token of a role.",
            "Each read mints a token with the permissions of the role, under a renewable lease. It is revoked at the \
             token service when the lease is revoked or ends.",
        )
        .field("name", Field::string().required().describe("Name of the role."))
        .on(Operation::Read, "Mint a token.", measured(measure::Operation::CredsRead, read))
}

#[derive(Deserialize)]
struct Named {
    name: RoleName,
}

/// What the caller gets.
#[derive(Serialize)]
struct Credentials {
    #[serde(serialize_with = "sensitive::in_clear")]
    token: Secret,
    permissions: Vec<String>,
}

async fn read(context: Context<TokenEngine>, named: Named) -> Result<Issued, Error> {
    let Some(connected) = config::connected(&context).await? else {
        return Err(Error::invalid(format!(
            "the token service is not configured; write it first: vault write {}config api_endpoint=… api_key=…",
            context.request().mount_point
        )));
    };
    let Some(role) = roles::known(&context, &named.name).await? else {
        return Err(Error::invalid(format!(
            "there is no role \"{}\"; write it first, or list those that exist: vault list {}roles",
            named.name,
            context.request().mount_point
        )));
    };
    let terms = role.terms(context.system().max_lease_ttl().await?);
    let config = &connected.config;

    // A token that the service does not renew has to outlive every renewal of its lease.
    let upstream_ttl = if config.renew_upstream { terms.ttl } else { terms.max_ttl };
    let order = Order {
        name: format!("vault-{}-{}", named.name, Uuid::new_v4()),
        permissions: role.permissions.clone(),
        ttl: upstream_ttl.as_secs(),
        idempotency_key: Uuid::new_v4().to_string(),
    };
    let intent = Intent { api_endpoint: config.api_endpoint.clone(), order };
    // Also where a node that cannot write refuses, before anything happens outside of the host: asking for the replication
    // state first would be one more call for the same answer.
    let entry = context.wal_put(MINT, &intent).await?;

    let minted = match connected.upstream.mint(&intent.order).await {
        Ok(minted) => minted,
        Err(error) => {
            if error.nothing_done()
                && let Err(kept) = context.wal_delete(&entry).await
            {
                // Rollback finds it and learns the same.
                context.logger().warn(format!("the write-ahead entry of a refused token is left: {kept}"));
            }
            return Err(error.into());
        }
    };
    let Minted { id, token, expires_at } = minted;
    let renew_upstream = config.renew_upstream;
    let unclaimed = Unclaimed::new(Minting { context, connected, id, entry, intent });
    let handed_out = async {
        let terms = limited(terms, &expires_at, renew_upstream)?;
        unclaimed.minting.context.wal_delete(&unclaimed.minting.entry).await?;
        Ok::<_, Error>(terms)
    };
    let terms = match handed_out.await {
        Ok(terms) => terms,
        Err(error) => {
            unclaimed.give_back().await;
            return Err(error);
        }
    };

    let minting = unclaimed.claim();
    let order = &minting.intent.order;
    let leased = Leased {
        id: minting.id.clone(),
        api_endpoint: minting.intent.api_endpoint.clone(),
        ttl: terms.ttl.as_secs(),
        max_ttl: terms.max_ttl.as_secs(),
        renew_upstream,
        role: named.name.to_string(),
        name: order.name.clone(),
        run: minting.context.engine().run.clone(),
    };
    minting.context.engine().measures().issued();
    let credentials = Credentials { token, permissions: order.permissions.clone() };
    Ok(Issued::new(token::NAME, credentials, leased, terms.into()))
}

/// The terms as far as the service lets the token live.
fn limited(terms: Terms, expires_at: &Value, renew_upstream: bool) -> Result<Terms, Error> {
    let Some(remaining) = terms::remaining(expires_at, Timestamp::now())? else { return Ok(terms) };
    if renew_upstream {
        return Ok(Terms { ttl: terms.ttl.min(remaining), ..terms });
    }
    Ok(terms.ending_within(remaining))
}

/// Revokes what a mint without a known end may have left at the service.
///
/// The entry was written before the service gave the token an id, so the service is asked once more with the same
/// idempotency key. It answers with the token of the first time; one that ignores the key mints another, which is
/// revoked here and leaves the first to its end of life. The order is the same to the byte, as services that know the
/// key demand.
pub(crate) async fn roll_back(
    context: Context<TokenEngine>,
    _kind: String,
    data: Value,
) -> Result<(), Error> {
    let intent: Intent = serde_json::from_value(data).map_err(|error| {
        Error::internal(format!("the write-ahead entry of a mint cannot be read: {error}"))
    })?;
    let name = &intent.order.name;
    let Some(connected) = config::connected(&context).await? else {
        return Err(Error::internal(format!(
            "token {name:?} may be live at {} and cannot be revoked without configuration; write it again",
            intent.api_endpoint
        )));
    };
    // Another service would mint a token of its own, and knows nothing of the one that is looked for.
    let Connected { config, upstream } = &*connected;
    if config.api_endpoint != intent.api_endpoint {
        return Err(Error::internal(format!(
            "token {name:?} may be live at {} but the configuration names {}; revoke it there, or configure that \
             address until this is done",
            intent.api_endpoint, config.api_endpoint
        )));
    }
    match upstream.mint(&intent.order).await {
        Ok(minted) => {
            upstream.revoke(&minted.id, &intent.api_endpoint).await?;
            context.logger().info(format!("revoked token {name:?}, which was minted and never leased"));
            Ok(())
        }
        Err(error) if error.order_refused() => {
            context.logger().warn(format!("token {name:?} was never minted: {error}"));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
