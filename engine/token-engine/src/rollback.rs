//! Rollback of a mint with an unknown result: revokes the token that may exist at the API.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use vault_plugin::framework::Context;
use vault_plugin::logical::Error;

use crate::config::{self, ConnectionMismatch};
use crate::role_name::RoleName;
use crate::static_roles;
use crate::upstream::{
    DEFAULT_PRESET, Lifetime, MintCall, MintResponse, MintSource, Minted, Parameters, Recovery, RecoveryPlan,
    RetryPolicy, Revocation, Search, Upstream, Values, find_preset,
};
use crate::wal_entry::{MINT_KIND, WalEntry, WalState};
use crate::{TokenEngine, UpstreamClient};

/// The maximum duration of a call. Until then its request may still reach the service.
const LONGEST_CALL: SignedDuration = SignedDuration::from_secs(75);

const NOT_RECOGNIZED: &str = "the service did not recognize the request and created another token, which is revoked; set config \
                              idempotency_window to the time for which it recognizes one";

/// Revokes the token of a mint with an unknown result.
///
/// If the response was received, the entry contains how to revoke the token. Otherwise the recovery of the API is used: the request is
/// repeated with its idempotency key and the same bytes, or the token is found or deleted by its name. If the result is not certain, the
/// entry stays and the rollback fails. Every entry is closed once its token must have expired.
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
    // Held until the end, so that no rotation changes what the role keeps.
    let _role_lock = match &entry.static_role {
        Some(role) => {
            let role =
                RoleName::try_from(role.clone()).map_err(|error| Error::internal(error.to_string()))?;
            let lock = context.lock(&static_roles::storage_key(&role)).await;
            if static_roles::is_kept(&context, &role, &name).await? {
                return Ok(());
            }
            Some(lock)
        }
        None => None,
    };
    let (now, latest) = (Timestamp::now(), entry.latest_expiry());
    if latest.is_some_and(|latest| latest < now) {
        context.logger().warn(format!(
            "token {name:?} has expired, if it was created; its write-ahead log entry is closed"
        ));
        return Ok(());
    }
    let client = match config::find_client(
        &context,
        config::DEFAULT_NAME,
        &entry.api_endpoint,
        &entry.account,
    )
    .await?
    {
        Ok(client) => client,
        Err(None) => {
            return Err(Error::internal(format!(
                "token {name:?} may be live at {} and cannot be revoked without configuration; write it again",
                entry.api_endpoint
            )));
        }
        Err(Some(mismatch)) => return Err(wrong_connection(&entry, &mismatch, latest)),
    };
    if let WalState::Minted { revocation } = &entry.state {
        return revoke(&context, &client.upstream, &name, revocation).await;
    }
    let why = match (&entry.state, entry.plan.clone()) {
        (WalState::Unrecognized, _) => NOT_RECOGNIZED.to_owned(),
        (_, Some(plan)) if !matches!(plan.recovery, Recovery::Replay { .. }) => {
            match find_and_revoke(&context, &client.upstream, &entry, &plan, now).await? {
                RollbackOutcome::Resolved => return Ok(()),
                RollbackOutcome::Unresolved(why) => why,
            }
        }
        (_, plan) => match replay(&context, &client, entry.clone(), plan, now).await? {
            RollbackOutcome::Resolved => return Ok(()),
            RollbackOutcome::Unresolved(why) => why,
        },
    };
    Err(not_found(&entry, &why, latest))
}

/// The result of a rollback.
enum RollbackOutcome {
    /// The token is revoked, or was never created.
    Resolved,
    /// The token may be live. Contains the reason.
    Unresolved(String),
}

/// Finds the token of an entry by its name and revokes it, or deletes it by its name.
async fn find_and_revoke(
    context: &Context<TokenEngine>,
    upstream: &Upstream,
    entry: &WalEntry,
    plan: &RecoveryPlan,
    now: Timestamp,
) -> Result<RollbackOutcome, Error> {
    let name = &entry.request.name;
    let found = match &plan.recovery {
        Recovery::Find { .. } => {
            let Some(find) = &plan.find else {
                return Ok(RollbackOutcome::Unresolved("the entry contains no search".to_owned()));
            };
            match upstream.find(find, name).await {
                Ok(Search::Found(ids)) => ids,
                Ok(Search::Absent) => Vec::new(),
                Err(error) => return Ok(RollbackOutcome::Unresolved(error.to_string())),
            }
        }
        Recovery::DeleteByName { .. } => vec![None],
        Recovery::Replay { .. } | Recovery::None => {
            return Ok(RollbackOutcome::Unresolved(
                "the API cannot search for it (config accept_orphans)".to_owned(),
            ));
        }
    };
    let is_search = matches!(plan.recovery, Recovery::Find { .. });
    // Several tokens have the name if a proxy has repeated the request.
    for id in &found {
        let revocation = plan.revocation(id.clone(), name).map_err(|error| {
            Error::internal(format!("the revocation of token {name:?} cannot be rendered: {error}"))
        })?;
        if found.len() == 1 && is_search {
            // If the revocation fails, the next rollback retries it without another search.
            update_wal_entry(context, &entry.clone().into_minted(revocation.clone())).await?;
        }
        revoke(context, upstream, name, &revocation).await?;
    }
    if is_search && !found.is_empty() {
        return Ok(RollbackOutcome::Resolved);
    }
    let settle = SignedDuration::from_secs(i64::try_from(plan.settle().0).unwrap_or(i64::MAX));
    let settled =
        entry.planned_at().is_some_and(|planned| now.duration_since(planned) > LONGEST_CALL + settle);
    if settled {
        context.logger().info(format!(
            "token {name:?} was not created, or is revoked; its write-ahead log entry is closed"
        ));
        return Ok(RollbackOutcome::Resolved);
    }
    Ok(RollbackOutcome::Unresolved(
        "its request may still reach the service; the next rollback searches again".to_owned(),
    ))
}

/// Repeats the request of an entry, while the API recognizes it, and revokes the returned token.
async fn replay(
    context: &Context<TokenEngine>,
    client: &UpstreamClient,
    entry: WalEntry,
    plan: Option<Box<RecoveryPlan>>,
    now: Timestamp,
) -> Result<RollbackOutcome, Error> {
    let UpstreamClient { config, upstream, .. } = client;
    if !entry.idempotency_key_valid(config, now) {
        return Ok(RollbackOutcome::Unresolved(
            "the service may not recognize the request any more (config idempotency_window), and would create another token"
                .to_owned(),
        ));
    }
    let Minted { id, expires, .. } = match repeat_mint(upstream, &entry, plan.as_deref()).await? {
        Ok(response) => response.minted,
        Err(why) => return Ok(RollbackOutcome::Unresolved(why)),
    };
    let name = entry.request.name.clone();
    let revocation = match &plan {
        None => Revocation::from_id(id.unwrap_or_default()),
        Some(plan) => plan.revocation(id, &name).map_err(|error| {
            Error::internal(format!("the revocation of token {name:?} cannot be rendered: {error}"))
        })?,
    };
    if entry.is_outlived_by(expires.unwrap_or_default()) {
        revoke_duplicate(context, upstream, entry, revocation).await?;
        return Ok(RollbackOutcome::Unresolved(NOT_RECOGNIZED.to_owned()));
    }
    // If the revocation fails, the next rollback retries it without repeating the request.
    update_wal_entry(context, &entry.into_minted(revocation.clone())).await?;
    revoke(context, upstream, &name, &revocation).await?;
    Ok(RollbackOutcome::Resolved)
}

/// Sends the mint of an entry again. The inner error is the reason of a failure.
async fn repeat_mint(
    upstream: &Upstream,
    entry: &WalEntry,
    plan: Option<&RecoveryPlan>,
) -> Result<Result<MintResponse, String>, Error> {
    let request = &entry.request;
    let default =
        find_preset(DEFAULT_PRESET).map_err(|error| Error::internal(error.to_string()))?.description();
    let mint = match plan {
        None => &default.mint,
        Some(RecoveryPlan { mint: Some(mint), .. }) => mint,
        Some(_) => return Ok(Err("the entry contains no request".to_owned())),
    };
    let empty = Parameters::new();
    let lifetime = Lifetime { now: entry.planned_at().unwrap_or_default(), seconds: request.ttl };
    let values = Values {
        config: Some(&empty),
        role: Some(&empty),
        permissions: Some(&request.permissions),
        name: Some(&request.name),
        idempotency_key: Some(&request.idempotency_key),
        lifetime: Some(lifetime),
        ..Values::default()
    };
    let source = request.body.as_deref().map_or(MintSource::Values, |body| MintSource::Repeated { body });
    let call = MintCall { mint, before: None, values, request: source, retry: RetryPolicy::Always };
    Ok(upstream.mint(call).await.map_err(|error| error.to_string()))
}

/// Revokes the token of an entry.
async fn revoke(
    context: &Context<TokenEngine>,
    upstream: &Upstream,
    name: &str,
    revocation: &Revocation,
) -> Result<(), Error> {
    upstream.revoke(revocation).await.map_err(|error| not_revoked(name, &error))?;
    context.logger().info(format!("revoked token {name:?}, which was never leased"));
    Ok(())
}

/// Revokes a token that the API has created because it did not recognize the request of an entry. The request is not sent again.
async fn revoke_duplicate(
    context: &Context<TokenEngine>,
    upstream: &Upstream,
    entry: WalEntry,
    duplicate: Revocation,
) -> Result<(), Error> {
    // Written first, because no other record contains this token.
    let wal_id = context.wal_put(MINT_KIND, &entry.for_duplicate(duplicate.clone())).await?;
    let name = entry.request.name.clone();
    update_wal_entry(context, &entry.into_unrecognized()).await?;
    match upstream.revoke(&duplicate).await {
        Ok(()) => context.wal_delete(&wal_id).await,
        Err(error) => {
            context
                .logger()
                .error(format!("cannot revoke the second token {name:?}: {error}; rollback tries again"));
            Ok(())
        }
    }
}

/// Updates the entry that is being rolled back.
async fn update_wal_entry(context: &Context<TokenEngine>, entry: &WalEntry) -> Result<(), Error> {
    match context.wal_metadata() {
        Some(record) => context.wal_put_with_id(&record.id, MINT_KIND, entry).await,
        None => Ok(()),
    }
}

/// Returns an error that names the token, because the log of the host contains nothing else about it.
fn not_revoked(name: &str, error: &dyn std::error::Error) -> Error {
    Error::internal(format!("token {name:?} may be live and is not revoked: {error}"))
}

fn wrong_connection(entry: &WalEntry, mismatch: &ConnectionMismatch, latest: Option<Timestamp>) -> Error {
    match entry.state {
        WalState::Minted { .. } => not_revoked(&entry.request.name, mismatch),
        WalState::Planned | WalState::Unrecognized => not_found(entry, &mismatch.to_string(), latest),
    }
}

fn not_found(entry: &WalEntry, why: &str, latest: Option<Timestamp>) -> Error {
    let name = &entry.request.name;
    let closes = match latest {
        Some(latest) => format!(
            "until {latest}, and is not found: {why}. Revoke it there by its name; this entry closes itself by then"
        ),
        None => format!(
            "until it is revoked, and is not found: {why}. Revoke it there by its name, and then delete this entry (vault list PATH/orphans)"
        ),
    };
    Error::internal(format!("token {name:?} may be live at {} {closes}", entry.api_endpoint))
}
