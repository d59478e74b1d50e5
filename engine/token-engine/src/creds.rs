//! `creds/`: mints a token of a role, and never one that nobody could revoke.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vault_plugin::framework::{Context, Field, LeasedSecret, Path};
use vault_plugin::logical::{Error, Operation, Sensitive};

use crate::config;
use crate::pending_token::{MINT_KIND, PendingToken, TokenGuard, WalEntry, WalState};
use crate::role_name::{self, RoleName};
use crate::roles;
use crate::sensitive;
use crate::telemetry::{self, instrument};
use crate::terms::{self, LeaseTerms};
use crate::token::{self, LeaseData};
use crate::upstream::{MintRequest, MintResponse, Revocation, Upstream};
use crate::{TokenEngine, UpstreamClient};

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new(format!("creds/{}", role_name::PATTERN))
        .help(
            "Read a token of a role.",
            "Each read mints a token with the permissions of the role, under a renewable lease. It is revoked at the \
             token service when the lease is revoked or ends.",
        )
        .field("name", Field::string().required().describe("Name of the role."))
        .on(Operation::Read, "Mint a token.", instrument(telemetry::MeasuredOperation::CredsRead, read))
}

#[derive(Deserialize)]
struct CredsRequest {
    name: RoleName,
}

/// What the caller gets.
#[derive(Serialize)]
struct Credentials {
    #[serde(serialize_with = "sensitive::serialize_exposed")]
    token: Sensitive,
    permissions: Vec<String>,
}

async fn read(context: Context<TokenEngine>, named: CredsRequest) -> Result<LeasedSecret, Error> {
    let Some(client) = config::load_client(&context).await? else {
        return Err(Error::invalid(format!(
            "the token service is not configured; write it first: vault write {}config api_endpoint=… api_key=…",
            context.request().mount_point
        )));
    };
    let Some(role) = roles::load_cached(&context, &named.name).await? else {
        return Err(Error::invalid(format!(
            "there is no role \"{}\"; write it first, or list those that exist: vault list {}roles",
            named.name,
            context.request().mount_point
        )));
    };
    let terms = role.terms(context.system().max_lease_ttl().await?);
    let config = &client.config;

    // A token that the service does not renew has to outlive every renewal of its lease.
    let upstream_ttl = if config.renew_upstream { terms.ttl } else { terms.max_ttl };
    let request = MintRequest::new(&named.name, &role.permissions, upstream_ttl)?;
    let entry = WalEntry::new(config, request);
    // Also where a node that cannot write refuses, before anything happens outside of the host: asking for the replication
    // state first would be one more call for the same answer.
    let wal_id = context.wal_put(MINT_KIND, &entry).await?;

    let minted = match client.upstream.mint(&entry.request, config.retries_mints()).await {
        Ok(minted) => minted,
        Err(error) => {
            if error.had_no_effect()
                && let Err(kept) = context.wal_delete(&wal_id).await
            {
                // Rollback finds it and learns the same.
                context.logger().warn(format!("the write-ahead entry of a refused token is left: {kept}"));
            }
            return Err(error.into_role_error());
        }
    };
    let MintResponse { token, expires_at, revocation } = minted;
    let renew_upstream = config.renew_upstream;
    let entry = entry.into_minted(revocation.clone());
    let guard = TokenGuard::new(PendingToken { context, client, wal_id, entry, revocation });
    let issued = async {
        guard.pending.record().await?;
        let terms = cap_to_expiry(terms, &expires_at, renew_upstream)?;
        guard.pending.context.wal_delete(&guard.pending.wal_id).await?;
        Ok::<_, Error>(terms)
    };
    let terms = match issued.await {
        Ok(terms) => terms,
        Err(error) => {
            guard.abort().await;
            return Err(error);
        }
    };

    let pending = guard.commit();
    let PendingToken { context, entry, revocation, .. } = &*pending;
    let lease = LeaseData {
        id: revocation.id.clone(),
        api_endpoint: entry.api_endpoint.clone(),
        account: entry.account.clone(),
        revocation_path: revocation.path.clone(),
        ttl: terms.ttl.as_secs(),
        max_ttl: terms.max_ttl.as_secs(),
        renew_upstream,
        role: named.name.to_string(),
        name: entry.request.name.clone(),
        run: context.state().instance_id.clone(),
    };
    context.state().metrics().count_issued();
    let credentials = Credentials { token, permissions: entry.request.permissions.clone() };
    Ok(LeasedSecret::new(token::SECRET_TYPE, credentials, lease, terms.into()))
}

/// The terms as far as the service lets the token live.
fn cap_to_expiry(terms: LeaseTerms, expires_at: &Value, renew_upstream: bool) -> Result<LeaseTerms, Error> {
    let Some(remaining) = terms::time_until_expiry(expires_at, Timestamp::now())? else { return Ok(terms) };
    if renew_upstream {
        return Ok(LeaseTerms { ttl: terms.ttl.min(remaining), ..terms });
    }
    Ok(terms.capped_at(remaining))
}

/// Revokes what a mint without a known end may have left at the service.
///
/// A token whose answer has arrived is revoked by what its entry holds. Where no answer has, the request is repeated under its
/// idempotency key, with the same bytes, as long as the service recognises the key: it answers with the token of the first time. What
/// else it answers proves nothing of the first time, so the entry stays, and says so. Every entry is closed once its token must have
/// expired.
pub(crate) async fn roll_back(
    context: Context<TokenEngine>,
    _kind: String,
    data: Value,
) -> Result<(), Error> {
    let mut entry: WalEntry = serde_json::from_value(data).map_err(|error| {
        Error::internal(format!("the write-ahead entry of a mint cannot be read: {error}"))
    })?;
    if let Some(record) = context.wal_metadata() {
        entry.fill_planned_at(record.created_at);
    }
    let name = entry.request.name.clone();
    let (now, latest) = (Timestamp::now(), entry.latest_expiry());
    if latest.is_some_and(|latest| latest < now) {
        context.logger().warn(format!("token {name:?}, if it was minted, has expired: its entry is closed"));
        return Ok(());
    }
    let Some(client) = config::load_client(&context).await? else {
        return Err(Error::internal(format!(
            "token {name:?} may be live at {} and cannot be revoked without configuration; write it again",
            entry.api_endpoint
        )));
    };
    let UpstreamClient { config, upstream } = &*client;
    if let WalState::Minted { revocation } = &entry.state {
        config
            .check_connection(&entry.api_endpoint, &entry.account)
            .map_err(|error| not_revoked(&name, &error))?;
        return revoke(&context, upstream, &name, revocation).await;
    }
    let found = match &entry.state {
        WalState::Forgotten => Err(NOT_RECOGNIZED.to_owned()),
        _ => replay(&client, &entry, now).await,
    };
    let why = match found {
        Ok(another) if entry.is_outlived_by(&another.expires_at) => {
            revoke_duplicate(&context, upstream, entry.clone(), another.revocation).await?;
            NOT_RECOGNIZED.to_owned()
        }
        Ok(minted) => {
            // A revocation that fails is tried again without the service's memory of the request.
            update_wal_entry(&context, &entry.into_minted(minted.revocation.clone())).await?;
            return revoke(&context, upstream, &name, &minted.revocation).await;
        }
        Err(why) => why,
    };
    let until = latest.map_or_else(|| "it expires".to_owned(), |latest| latest.to_string());
    Err(Error::internal(format!(
        "token {name:?} may be live at {} until {until}, and is not found: {why}. Revoke it there by its name; this entry closes itself \
         by then",
        entry.api_endpoint
    )))
}

const NOT_RECOGNIZED: &str = "the service did not recognise the request and minted another token, which is revoked; set config \
                         idempotency_window to the time for which it recognises one";

/// Asks for the token of an entry once more, as long as the service recognises the request; else says why not.
async fn replay(
    UpstreamClient { config, upstream }: &UpstreamClient,
    entry: &WalEntry,
    now: Timestamp,
) -> Result<MintResponse, String> {
    // Another service would mint a token of its own, and knows nothing of the one that is looked for.
    config
        .check_connection(&entry.api_endpoint, &entry.account)
        .map_err(|unreachable| unreachable.to_string())?;
    if !entry.idempotency_key_valid(config, now) {
        return Err(
            "the service may not recognise the request any more (config idempotency_window), and would mint another token"
                .to_owned(),
        );
    }
    upstream.mint(&entry.request, true).await.map_err(|error| error.to_string())
}

/// Revokes the token of an entry.
async fn revoke(
    context: &Context<TokenEngine>,
    upstream: &Upstream,
    name: &str,
    revocation: &Revocation,
) -> Result<(), Error> {
    upstream.revoke(revocation).await.map_err(|error| not_revoked(name, &error))?;
    context.logger().info(format!("revoked token {name:?}, which was minted and never leased"));
    Ok(())
}

/// An error of a rollback is read in a log, where nothing else says which token it is about.
fn not_revoked(name: &str, error: &dyn std::error::Error) -> Error {
    Error::internal(format!("token {name:?} may be live and is not revoked: {error}"))
}

/// Revokes a token that the service has minted in place of recognising the request of an entry, which is not sent again.
async fn revoke_duplicate(
    context: &Context<TokenEngine>,
    upstream: &Upstream,
    entry: WalEntry,
    another: Revocation,
) -> Result<(), Error> {
    // First of all, as nothing else knows it.
    let wal_id = context.wal_put(MINT_KIND, &entry.for_duplicate(another.clone())).await?;
    let name = entry.request.name.clone();
    update_wal_entry(context, &entry.into_unrecognized()).await?;
    match upstream.revoke(&another).await {
        Ok(()) => context.wal_delete(&wal_id).await,
        Err(error) => {
            context.logger().error(format!("another token {name:?} is left to rollback: {error}"));
            Ok(())
        }
    }
}

/// Writes the entry that is rolled back again.
async fn update_wal_entry(context: &Context<TokenEngine>, entry: &WalEntry) -> Result<(), Error> {
    match context.wal_metadata() {
        Some(record) => context.wal_put_with_id(&record.id, MINT_KIND, entry).await,
        None => Ok(()),
    }
}
