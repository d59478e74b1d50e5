//! The smoke test of an auth mount: logs in, looks the token up, revokes it, and verifies that it is revoked.

use std::collections::BTreeMap;

use vault_api::identity::{Alias, DeleteEntity, ReadEntity};
use vault_api::logical::LogicalData;
use vault_api::login::{Login, LoginToken};
use vault_api::token::{LookupSelf, RevokeAccessor, RevokeSelf, TokenType};
use vault_api::{ApiError, CallError, Client};

use super::{SmokeError, SmokeReport, SmokeToken};
use crate::consumer::Consumer;
use crate::error_chain::error_chain;
use crate::event::Event;
use crate::goal::DesiredValue;

/// Logs in at a full path of a mount, to whose namespace the token belongs. Revokes the token also if the test fails.
pub(super) async fn run(
    client: &Client,
    mount: &Consumer,
    path: &str,
    data: &BTreeMap<String, DesiredValue>,
    listener: &mut dyn FnMut(&Event),
) -> Result<SmokeReport, SmokeError> {
    let data = data.iter().map(|(field, value)| (field.clone(), value.value())).collect();
    let token = client
        .send(&Login { path: path.to_owned(), data: LogicalData(data) })
        .await
        .map_err(|source| SmokeError::Login { path: path.to_owned(), source })?
        .ok_or_else(|| SmokeError::NoToken { path: path.to_owned() })?;
    listener(&Event::SmokeCredentialIssued { path: path.to_owned() });
    let client = &client.in_namespace(mount.namespace());
    let holder =
        client.with_token(&token.token).map_err(|_| SmokeError::NoToken { path: path.to_owned() })?;
    let known = look_up(&holder, path).await;
    // A batch token is not stored, and expires.
    if token.kind == TokenType::Service {
        revoke(client, &holder, &token).await?;
        listener(&Event::SmokeCredentialRevoked { path: path.to_owned() });
    }
    let left = remove_canary_entity(client, mount, &token.entity_id).await;
    known?;
    let LoginToken { policies, ttl, .. } = token;
    let token = Some(SmokeToken { ttl_seconds: ttl.as_secs(), policies });
    Ok(SmokeReport { token, warnings: left.into_iter().collect(), ..SmokeReport::of(path, Vec::new(), None) })
}

/// Removes the entity that the server creates for a login at a canary mount: it would stay when the mount is disabled, and each upgrade would
/// add another one. An entity with other names is not removed. Returns a warning if it may be left.
async fn remove_canary_entity(client: &Client, mount: &Consumer, id: &str) -> Option<String> {
    if id.is_empty() || !mount.is_canary() {
        return None;
    }
    let removed = async {
        let entity = client.send(&ReadEntity { id: id.to_owned() }).await?.unwrap_or_default();
        let is_of_canary = |alias: &Alias| alias.mount_path == mount.local_path();
        if !entity.aliases.is_empty() && entity.aliases.iter().all(is_of_canary) {
            client.send(&DeleteEntity { id: id.to_owned() }).await?;
        }
        Ok::<(), CallError>(())
    };
    let error = removed.await.err()?;
    let reason = error_chain(&error);
    Some(format!(
        "the entity {id} of the login is left: {reason}; `vault delete identity/entity/id/{id}` removes it"
    ))
}

/// Looks a token up with itself. One whose policies do not allow that is known to the server too: an unknown one is reported differently.
async fn look_up(holder: &Client, path: &str) -> Result<(), SmokeError> {
    match holder.send(&LookupSelf).await {
        Ok(_) => Ok(()),
        Err(error) if is_denied(&error) && !error.api_error_is(ApiError::is_invalid_token) => Ok(()),
        Err(source) => Err(SmokeError::Token { path: path.to_owned(), source }),
    }
}

/// Revokes a token with itself, or by its accessor if its policies do not allow that.
async fn revoke(client: &Client, holder: &Client, token: &LoginToken) -> Result<(), SmokeError> {
    let accessor = || token.accessor.clone();
    match holder.send(&RevokeSelf).await {
        Ok(_) => {}
        // Also a token that could be used only once, which the lookup has used.
        Err(error) if error.api_error_is(ApiError::is_invalid_token) => return Ok(()),
        Err(error) if is_denied(&error) => {
            let by_accessor = RevokeAccessor { accessor: accessor() };
            client
                .send(&by_accessor)
                .await
                .map_err(|source| SmokeError::TokenNotRevoked { accessor: accessor(), source })?;
        }
        Err(source) => return Err(SmokeError::TokenNotRevoked { accessor: accessor(), source }),
    }
    match holder.send(&LookupSelf).await {
        Err(error) if is_denied(&error) => Ok(()),
        Err(source) => Err(SmokeError::TokenNotRevoked { accessor: accessor(), source }),
        Ok(_) => Err(SmokeError::TokenStillValid { accessor: accessor() }),
    }
}

fn is_denied(error: &CallError) -> bool {
    error.api_error_is(ApiError::is_permission_denied)
}
