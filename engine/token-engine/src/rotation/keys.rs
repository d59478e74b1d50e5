//! The keys of a rotation: their proof and their revocation.

use std::sync::Arc;

use vault_plugin::framework::Context;
use vault_plugin::logical::Error;

use super::entry::{CreatedKey, RotationEntry};
use crate::TokenEngine;
use crate::config::Config;
use crate::upstream::{KeyInfo, Parameters, RevokedBy, Rotate, Search, Upstream, Values};

/// A key with the client that is authenticated by it.
pub(super) struct Key {
    config: Config,
    upstream: Upstream,
    id: Option<String>,
}

/// The result of a proof.
pub(super) enum Proof {
    Valid,
    /// The API does not accept the key.
    NotAccepted(Error),
    /// The key belongs to another account.
    OtherAccount(Error),
}

impl Key {
    /// Returns the key of a connection. Opens no connection.
    pub(super) fn new(
        context: &Context<TokenEngine>,
        config: Config,
        id: Option<String>,
    ) -> Result<Key, Error> {
        let metrics = Arc::clone(&context.state().metrics);
        let upstream = Upstream::new(config.connection(), config.api()?, metrics)?;
        Ok(Key { config, upstream, id })
    }

    pub(super) fn old(context: &Context<TokenEngine>, entry: &RotationEntry) -> Result<Key, Error> {
        Key::new(context, entry.old.clone(), entry.old_key.id.clone())
    }

    pub(super) fn created(
        context: &Context<TokenEngine>,
        entry: &RotationEntry,
        key: &CreatedKey,
    ) -> Result<Key, Error> {
        let config = entry.with_key(key);
        config.check_api_key()?;
        Key::new(context, config, key.id.clone())
    }

    /// Checks the key with the call `probe`. Fails if the response shows neither that it is valid nor that it is invalid.
    pub(super) async fn prove(&self, old_key: &KeyInfo) -> Result<Proof, Error> {
        match self.upstream.probe().await {
            Ok(info) if info.has_same_owner(old_key) => Ok(Proof::Valid),
            Ok(_) => Ok(Proof::OtherAccount(Error::internal(
                "the key belongs to another account than the old one, so it would not reach the tokens of existing leases",
            ))),
            Err(error) if error.is_rejection() => {
                Ok(Proof::NotAccepted(Error::internal(format!("the key is not valid: {error}"))))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Revokes the key, with another one or with itself as the API requires. A key that is no longer accepted is revoked.
    pub(super) async fn revoke(&self, entry: &RotationEntry, others: &[&Key]) -> Result<(), Error> {
        // The key itself reports its id. A stored id may belong to another key by now.
        let id = match self.upstream.probe().await {
            Ok(info) => info.id.or_else(|| self.id.clone()),
            Err(error) if error.is_unauthorized() => return Ok(()),
            // Some APIs do not know the user of a deleted credential. A path that is wrong rejects every key.
            Err(error) if error.is_rejection() && accepts_any(others).await => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let values = Values {
            api_key: Some(self.config.api_key.expose()),
            config: Some(&self.upstream.api.parameters),
            key_owner: Some(entry.key_owner()),
            id: id.as_deref(),
            ..Values::default()
        };
        let by_itself = self.rotate().is_some_and(|rotate| rotate.revoke_old.auth == RevokedBy::Old);
        let others = others.iter().copied().filter(|_| !by_itself);
        let senders: Vec<&Key> = others.chain([self]).collect();
        send_revocation(&senders, &values).await
    }

    /// Revokes the new key of a rotation that a search finds by its name. Returns whether it was found.
    pub(super) async fn revoke_found(entry: &RotationEntry, keys: &[&Key]) -> Result<bool, Error> {
        let (ids, id_parameters) = find(entry, keys).await?;
        for id in &ids {
            let mut parameters: Parameters = entry.old.api()?.parameters;
            parameters.extend(id_parameters.iter().map(|name| (name.clone(), id.clone().into())));
            let values = Values {
                config: Some(&parameters),
                key_owner: Some(entry.key_owner()),
                id: Some(id),
                ..Values::default()
            };
            send_revocation(keys, &values).await?;
        }
        Ok(!ids.is_empty())
    }

    /// Returns the parameters of the connection that are the id of its key.
    fn id_parameters(&self) -> Vec<String> {
        let Some(rotate) = self.rotate() else { return Vec::new() };
        let is_id = |source| Some(source) == rotate.id.as_ref();
        rotate.config.0.iter().filter(|(_, source)| is_id(source)).map(|(name, _)| name.clone()).collect()
    }

    fn rotate(&self) -> Option<&Rotate> {
        self.upstream.api.description.rotate.as_ref()
    }
}

/// Returns whether the API accepts one of these keys.
async fn accepts_any(keys: &[&Key]) -> bool {
    for key in keys {
        if key.upstream.probe().await.is_ok() {
            return true;
        }
    }
    false
}

/// Searches for the new key of a rotation. Returns its ids, and the parameters of the connection that are the id of its key.
async fn find(entry: &RotationEntry, keys: &[&Key]) -> Result<(Vec<String>, Vec<String>), Error> {
    let mut rejected = None;
    for key in keys {
        let Some(find) = key.rotate().and_then(|rotate| rotate.find.as_ref()) else { continue };
        let values = Values {
            config: Some(&key.upstream.api.parameters),
            key_owner: Some(entry.key_owner()),
            name: Some(&entry.name),
            ..Values::default()
        };
        match key.upstream.find_key(find, &entry.name, &values).await {
            Ok(Search::Found(ids)) => return Ok((ids.into_iter().flatten().collect(), key.id_parameters())),
            Ok(Search::Absent) => return Ok((Vec::new(), Vec::new())),
            Err(error) if error.is_unauthorized() => rejected = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    rejected.map_or(Ok((Vec::new(), Vec::new())), |error| Err(error.into()))
}

/// Sends a revocation with the first key that the API accepts. `values` are those of the revoked key.
async fn send_revocation(senders: &[&Key], values: &Values<'_>) -> Result<(), Error> {
    let mut rejected = None;
    for key in senders {
        let Some(rotate) = key.rotate() else { continue };
        match key.upstream.revoke_key(rotate, values).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_unauthorized() => rejected = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(rejected.map_or_else(|| Error::internal("the API has no call that revokes a key"), Error::from))
}
