//! The rotation of a static role, and the revocation of the tokens that it no longer keeps.
//!
//! Every step is safe to interrupt. A token that the role does not keep has a write-ahead log entry, from before its mint until it is
//! stored in the role, and from before it leaves the role until it is revoked. Rollback closes the entry of a token that a role keeps, and
//! revokes every other.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use vault_plugin::framework::Context;
use vault_plugin::logical::Error;

use super::credential::{StaticCredential, StaticRole, StaticRoleSettings, load, storage_key};
use crate::config;
use crate::events::{self, event};
use crate::mint::{self, MintParams, MintedToken};
use crate::role_name::RoleName;
use crate::sensitive::StoredSecret;
use crate::stored;
use crate::upstream::{PermissionUse, Revocation};
use crate::wal_entry::{MINT_KIND, TokenOwner, WalState, unique_name};
use crate::{TokenEngine, UpstreamClient, roles};

/// Services report an expiry in whole seconds, rounded in either direction.
const EXPIRY_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// A minted credential that no static role keeps yet, and the id of its write-ahead log entry.
pub(super) struct NewCredential {
    pub(super) credential: StaticCredential,
    wal_id: String,
}

/// The end of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retired {
    Revoked,
    /// Rollback tries again.
    Pending,
}

/// Returns the client of a static role, if its settings fit the API.
pub(super) async fn client(
    context: &Context<TokenEngine>,
    settings: &StaticRoleSettings,
) -> Result<Arc<UpstreamClient>, Error> {
    let Some(client) = config::load_client(context, &settings.config).await? else {
        return Err(config::not_configured(context, &settings.config));
    };
    roles::check_fields(&client.upstream.api, &settings.permissions, &settings.parameters)?;
    Ok(client)
}

/// Mints a credential for a static role. If it expires before the rotation after the next one, `if_short` decides.
pub(super) async fn mint(
    context: &Context<TokenEngine>,
    client: Arc<UpstreamClient>,
    name: &RoleName,
    settings: &StaticRoleSettings,
    if_short: ShortLife,
) -> Result<NewCredential, Error> {
    let api = &client.upstream.api;
    let parameters = roles::check_fields(api, &settings.permissions, &settings.parameters)?;
    let sends_permissions = api.uses.permissions != PermissionUse::Unused;
    let now = Timestamp::now();
    let params = MintParams {
        name: unique_name(name, api.name_limits()),
        permissions: &settings.permissions,
        parameters: &parameters,
        life: settings.life(now),
        owner: TokenOwner::StaticRole(name.clone()),
    };
    let MintedToken { guard, token, outputs, expires, .. } =
        mint::mint(context.clone(), Arc::clone(&client), params).await?;
    let checked = match expires {
        Ok(expires) => check_life(settings, now, expires).map(|()| expires).or_else(|error| match if_short {
            ShortLife::Refuse => Err(error),
            ShortLife::Warn => {
                context.logger().warn(format!("static role \"{name}\": {error}"));
                Ok(expires)
            }
        }),
        Err(error) => Err(Error::internal(error.to_string())),
    };
    let expires = match checked {
        Ok(expires) => expires,
        Err(error) => {
            guard.abort().await;
            return Err(error);
        }
    };
    // From here on, the entry is closed by the write of the role, or by rollback. A failed write may have been stored, so it must not
    // revoke the token.
    let pending = guard.commit();
    let credential = StaticCredential {
        token: StoredSecret(token),
        outputs: outputs.into_iter().map(|(name, value)| (name, StoredSecret(value))).collect(),
        sends_permissions,
        minted_at: now.as_second(),
        expires_at: expires.map(Timestamp::as_second),
        entry: pending.entry.clone(),
    };
    Ok(NewCredential { credential, wal_id: pending.wal_id.clone() })
}

/// What happens to a token that expires too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShortLife {
    /// It is revoked: the role is new, and its settings can be changed.
    Refuse,
    /// It is kept: the token that it replaces expires even earlier.
    Warn,
}

/// Checks that a token lives until the rotation after the next one.
fn check_life(
    settings: &StaticRoleSettings,
    now: Timestamp,
    expires: Option<Timestamp>,
) -> Result<(), Error> {
    let second = settings.rotation.next_after(now).and_then(|next| settings.rotation.next_after(next));
    match (expires, second) {
        (Some(expires), Some(second)) if expires + EXPIRY_TOLERANCE < second => Err(Error::invalid(format!(
            "the service grants a token until {expires}, but it is used until the rotation after the next one, at {second}: rotate \
                 more often (rotation_period, rotation_schedule), or allow a longer lifetime at the service"
        ))),
        _ => Ok(()),
    }
}

/// Stores a static role with a new credential, and closes the write-ahead log entry of its mint.
pub(super) async fn store(
    context: &Context<TokenEngine>,
    name: &RoleName,
    role: &StaticRole,
    wal_id: &str,
) -> Result<(), Error> {
    stored::write(context.storage(), &storage_key(name), role).await?;
    if let Err(error) = context.wal_delete(wal_id).await {
        // Rollback closes it, because the role keeps the token.
        context
            .logger()
            .warn(format!("cannot delete the write-ahead log entry of static role \"{name}\": {error}"));
    }
    Ok(())
}

/// Creates a static role with its first credential.
pub(super) async fn create(
    context: &Context<TokenEngine>,
    name: &RoleName,
    settings: StaticRoleSettings,
) -> Result<(), Error> {
    let client = client(context, &settings).await?;
    let NewCredential { credential, wal_id } =
        mint(context, client, name, &settings, ShortLife::Refuse).await?;
    let role = StaticRole { settings, current: credential, previous: None };
    store(context, name, &role, &wal_id).await
}

/// Rotates a static role: a new token becomes the current one, the current one the previous one, and the previous one is revoked. The caller
/// holds the lock of the role.
pub(super) async fn rotate(
    context: &Context<TokenEngine>,
    name: &RoleName,
    role: StaticRole,
) -> Result<(StaticRole, Retired), Error> {
    let client = client(context, &role.settings).await?;
    let send_events = client.config.send_events;
    let NewCredential { credential, wal_id } =
        mint(context, client, name, &role.settings, ShortLife::Warn).await?;
    let retired = match &role.previous {
        Some(previous) => Some(context.wal_put(MINT_KIND, &previous.entry).await?),
        None => None,
    };
    let StaticRole { settings, current, previous } = role;
    let rotated = StaticRole { settings, current: credential, previous: Some(current) };
    store(context, name, &rotated, &wal_id).await?;
    events::send(context, send_events, || {
        let event = event(context, "rotate", format!("rotate-role/{name}")).with("name", name.to_string());
        let event = event.with("token_name", rotated.current.name()).with("modified", "true");
        event.with("connection", &rotated.settings.config)
    });
    context.logger().info(format!(
        "rotated static role \"{name}\": token {:?} is the current one",
        rotated.current.name()
    ));
    let ended = match (previous, retired) {
        (Some(previous), Some(wal_id)) => revoke(context, name, &previous, &wal_id).await,
        _ => Retired::Revoked,
    };
    Ok((rotated, ended))
}

/// Deletes a static role, and revokes its tokens. Returns `None` if there is no such role.
pub(super) async fn delete(
    context: &Context<TokenEngine>,
    name: &RoleName,
) -> Result<Option<Retired>, Error> {
    let Some(role) = load(context, name).await? else { return Ok(None) };
    let mut tokens = Vec::new();
    for credential in [Some(role.current), role.previous].into_iter().flatten() {
        let wal_id = context.wal_put(MINT_KIND, &credential.entry).await?;
        tokens.push((credential, wal_id));
    }
    context.storage().delete(&storage_key(name)).await?;
    let mut ended = Retired::Revoked;
    for (credential, wal_id) in tokens {
        if revoke(context, name, &credential, &wal_id).await == Retired::Pending {
            ended = Retired::Pending;
        }
    }
    Ok(Some(ended))
}

/// Revokes a token that the role no longer keeps, and closes its write-ahead log entry. If that fails, rollback tries again.
async fn revoke(
    context: &Context<TokenEngine>,
    name: &RoleName,
    credential: &StaticCredential,
    wal_id: &str,
) -> Retired {
    let revoked = async {
        let WalState::Minted { revocation } = &credential.entry.state else {
            return Err(Error::internal("its record does not contain how it is revoked"));
        };
        revoke_upstream(context, credential, revocation).await?;
        context.wal_delete(wal_id).await
    };
    match revoked.await {
        Ok(()) => {
            context.logger().info(format!("revoked token {:?} of static role \"{name}\"", credential.name()));
            Retired::Revoked
        }
        Err(error) => {
            context.logger().error(format!(
                "cannot revoke token {:?} of static role \"{name}\": {error}; rollback tries again",
                credential.name()
            ));
            Retired::Pending
        }
    }
}

async fn revoke_upstream(
    context: &Context<TokenEngine>,
    credential: &StaticCredential,
    revocation: &Revocation,
) -> Result<(), Error> {
    let entry = &credential.entry;
    let found = config::find_client(context, config::DEFAULT_NAME, &entry.api_endpoint, &entry.account);
    match found.await? {
        Ok(client) => Ok(client.upstream.revoke(revocation).await?),
        Err(Some(mismatch)) => Err(mismatch.into()),
        Err(None) => Err(Error::internal("the configuration of its service is gone")),
    }
}
