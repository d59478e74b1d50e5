//! The steps of a rotation after the call that creates the new key, and its rollback.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;
use vault_plugin::framework::Context;
use vault_plugin::logical::Error;

use super::entry::{self, CreatedKey, ROTATION_KIND, RotationEntry, RotationState};
use super::keys::{Key, Proof};
use crate::TokenEngine;
use crate::config::{self, Config, RotationProgress};

/// The maximum duration of a call. Until then its request may still reach the service, or use the old key.
const LONGEST_CALL: std::time::Duration = std::time::Duration::from_secs(75);

/// A rotation with its write-ahead log entry. The lock of the rotations of its connection must be held.
pub(super) struct Rotation<'a> {
    pub(super) context: &'a Context<TokenEngine>,
    pub(super) wal_id: String,
    pub(super) entry: RotationEntry,
    /// Clients with the old key that requests may still use. Each receiver ends when its client is dropped.
    pub(super) old_clients: Vec<watch::Receiver<()>>,
}

/// The end of a rotation. Its entry is closed.
pub(super) enum Outcome {
    /// The connection has the new key, and the old one is revoked.
    Rotated,
    /// The new key is revoked, if it existed. Contains the reason.
    Undone(Error),
}

/// Returns the key of the lock that a rotation of a connection holds from its beginning to its end.
pub(super) fn lock_key(connection: &str) -> String {
    format!("rotation/{connection}")
}

/// Completes or undoes a rotation that was interrupted.
pub(crate) async fn roll_back(context: Context<TokenEngine>, data: Value) -> Result<(), Error> {
    let connection = entry::parse(data)?.connection;
    let Some(wal_id) = context.wal_metadata().map(|record| record.id.clone()) else { return Ok(()) };
    let work = context.clone();
    context
        .run_to_completion(async move {
            let _guard = work.lock(&lock_key(&connection)).await;
            // The rotation may have made progress while the lock was held.
            let Some(entry) = entry::load(&work, &wal_id).await? else { return Ok(()) };
            let mut rotation = Rotation { context: &work, wal_id, entry, old_clients: Vec::new() };
            match rotation.settle().await? {
                Outcome::Rotated => {
                    work.state().metrics().count_rotation(true);
                    work.logger().info(format!("completed the rotation of connection {connection:?}"));
                }
                Outcome::Undone(reason) => work
                    .logger()
                    .warn(format!("the rotation of connection {connection:?} is undone: {reason}")),
            }
            Ok(())
        })
        .await
}

impl Rotation<'_> {
    /// Completes the rotation, or undoes it. If neither is possible now, the entry stays and the next rollback tries again.
    pub(super) async fn settle(&mut self) -> Result<Outcome, Error> {
        let key = match &self.entry.state {
            RotationState::Planned => return self.undo_planned().await,
            RotationState::Created(key) | RotationState::Promoted(key) => key.clone(),
        };
        let new = Key::created(self.context, &self.entry, &key);
        let new = match new {
            Ok(new) => new,
            // The API has returned something that cannot be sent. Without {id}, nothing can revoke it.
            Err(error) => return self.undo_unusable(error).await,
        };
        if self.entry.is_in_place(&key) {
            return self.settle_in_place(&key, &new).await;
        }
        match self.progress().await?.0 {
            RotationProgress::Running => {
                match new.prove(&self.entry.old_key).await? {
                    Proof::Valid => {}
                    Proof::NotAccepted(reason) if self.may_settle()? => {
                        return Err(Error::internal(format!("{reason}. The next rollback tries again")));
                    }
                    Proof::NotAccepted(reason) => return self.undo(&new, reason).await,
                    Proof::OtherAccount(reason) => return self.undo_of_other_account(&new, reason).await,
                }
                self.promote(&key).await;
            }
            RotationProgress::Completed => {}
            RotationProgress::Superseded => return self.give_way(&key, &new).await,
        }
        match self.progress().await? {
            (RotationProgress::Completed, _) => self.finish(&key, &new).await,
            (RotationProgress::Superseded, _) => self.give_way(&key, &new).await,
            (RotationProgress::Running, _) => {
                Err(Error::internal("the new key could not be stored; the next rollback tries again"))
            }
        }
    }

    /// Returns the progress according to the connection, which one write changes together with the key.
    async fn progress(&self) -> Result<(RotationProgress, Option<Config>), Error> {
        let config = config::load(self.context.storage(), &self.entry.connection).await?;
        let progress = config
            .as_ref()
            .map_or(RotationProgress::Superseded, |config| config.key_rotation.progress(&self.entry.id));
        Ok((progress, config))
    }

    /// Stores the new key in the connection. Requests that have begun with the old key end before it is revoked.
    async fn promote(&mut self, key: &CreatedKey) {
        let old_client = config::load_client(self.context, &self.entry.connection).await;
        self.old_clients.extend(old_client.ok().flatten().map(|client| client.in_use.subscribe()));
        let (id, key, name) = (self.entry.id.clone(), key.clone(), self.entry.name.clone());
        let promoted = config::change(self.context, &self.entry.connection, move |config| {
            config.complete_rotation(&id, &name, key.api_key.clone(), &key.parameters);
        })
        .await;
        if let Err(error) = promoted {
            // The stored connection shows whether the write had an effect.
            self.context.logger().warn(format!("cannot store the new key: {error}"));
            return;
        }
        let all_dropped = async {
            for client in &mut self.old_clients {
                let _dropped = client.changed().await;
            }
        };
        let _timed_out = timeout(LONGEST_CALL, all_dropped).await;
    }

    /// Revokes the old key.
    async fn finish(&mut self, key: &CreatedKey, new: &Key) -> Result<Outcome, Error> {
        if !matches!(self.entry.state, RotationState::Promoted(_)) {
            self.entry.state = RotationState::Promoted(key.clone());
            self.write_entry().await?;
        }
        if self.is_old_key_used().await? {
            self.context.logger().warn(format!(
                "the old key of connection {:?} is not revoked: another connection has it",
                self.entry.connection
            ));
        } else {
            Key::old(self.context, &self.entry)?.revoke(&self.entry, &[new]).await.map_err(|error| {
                Error::internal(format!("the new key is stored, but the old one is not revoked yet: {error}"))
            })?;
        }
        self.close().await?;
        Ok(Outcome::Rotated)
    }

    /// Undoes a rotation whose new key is not valid.
    async fn undo(&self, new: &Key, reason: Error) -> Result<Outcome, Error> {
        let old = Key::old(self.context, &self.entry)?;
        let undone = async {
            new.revoke(&self.entry, &[&old]).await?;
            Key::revoke_found(&self.entry, &[&old]).await
        };
        if let Err(error) = undone.await {
            return Err(Error::internal(format!("{reason}; it is not revoked yet: {error}")));
        }
        self.close().await?;
        Ok(Outcome::Undone(reason))
    }

    /// Undoes a rotation whose new key belongs to another account. There, the key with its id may be another one.
    async fn undo_of_other_account(&self, new: &Key, reason: Error) -> Result<Outcome, Error> {
        let revoked = new.revoke(&self.entry, &[]).await;
        revoked.map_err(|error| Error::internal(format!("{reason}; it is not revoked yet: {error}")))?;
        self.close().await?;
        Ok(Outcome::Undone(reason))
    }

    /// Undoes a rotation whose new key cannot be recorded.
    pub(super) async fn undo_unrecorded(&mut self, reason: Error) -> Result<Outcome, Error> {
        let key = match &self.entry.state {
            RotationState::Planned => return Err(reason),
            RotationState::Created(key) | RotationState::Promoted(key) => key.clone(),
        };
        let new = Key::created(self.context, &self.entry, &key)?;
        if self.entry.is_in_place(&key) {
            return self.settle_in_place(&key, &new).await;
        }
        self.undo(&new, reason).await
    }

    /// Ends a rotation in which the API has returned the present key, or has replaced it in place. The key that works is kept, and nothing is
    /// revoked.
    async fn settle_in_place(&mut self, key: &CreatedKey, new: &Key) -> Result<Outcome, Error> {
        let old = Key::old(self.context, &self.entry)?;
        if let Proof::Valid = old.prove(&self.entry.old_key).await? {
            self.close().await?;
            return Ok(Outcome::Undone(Error::internal(
                "the API has returned the present key; the description must create another one",
            )));
        }
        match new.prove(&self.entry.old_key).await? {
            Proof::Valid => {}
            Proof::NotAccepted(reason) | Proof::OtherAccount(reason) => return Err(reason),
        }
        self.promote(key).await;
        if self.progress().await?.0 == RotationProgress::Running {
            return Err(Error::internal("the new key could not be stored; the next rollback tries again"));
        }
        self.context.logger().warn(
            "the API has replaced the key in place; a lost response would have lost it, so the description must create another one",
        );
        self.close().await?;
        Ok(Outcome::Rotated)
    }

    /// Undoes a rotation whose new key cannot be used in a request.
    async fn undo_unusable(&self, reason: Error) -> Result<Outcome, Error> {
        let old = Key::old(self.context, &self.entry)?;
        if !Key::revoke_found(&self.entry, &[&old]).await? {
            self.context.logger().error(format!(
                "the API has returned a key that cannot be sent; revoke the key {:?} there",
                self.entry.name
            ));
        }
        self.close().await?;
        Ok(Outcome::Undone(reason))
    }

    /// Ends a rotation after the user has written another key or has deleted the connection. That key is never revoked.
    async fn give_way(&self, key: &CreatedKey, new: &Key) -> Result<Outcome, Error> {
        let (_, config) = self.progress().await?;
        let reason = match &config {
            Some(_) => {
                "the connection was written during the rotation; its key is kept, and the new one is revoked"
            }
            None => "the connection was deleted during the rotation; the new key is revoked",
        };
        let current_key = config.as_ref().map(|config| config.api_key.clone());
        let is_promoted = matches!(self.entry.state, RotationState::Promoted(_));
        let current = match self.current_key(config).await? {
            // The old key is kept until the key of the user is known to work.
            Some((_, Proof::NotAccepted(error))) if is_promoted => {
                return Err(Error::internal(format!("the old key is not revoked yet: {error}")));
            }
            Some((current, Proof::Valid)) => Some(current),
            // In another account, a key with the same id may be another one.
            Some((_, Proof::NotAccepted(_) | Proof::OtherAccount(_))) | None => None,
        };
        let old = Key::old(self.context, &self.entry)?;
        let revokers: Vec<&Key> = current.iter().chain([&old, new]).collect();
        if is_promoted && !self.is_old_key_used().await? {
            old.revoke(&self.entry, &revokers).await?;
        }
        if current_key.as_ref() != Some(&key.api_key) {
            new.revoke(&self.entry, &revokers).await?;
        }
        self.close().await?;
        Ok(Outcome::Undone(Error::internal(reason)))
    }

    /// Finds and revokes the new key of a rotation whose response was lost.
    async fn undo_planned(&self) -> Result<Outcome, Error> {
        let name = &self.entry.name;
        let undone =
            Outcome::Undone(Error::internal("the API did not respond to the creation of the new key"));
        let api = self.entry.old.api()?;
        if api.description.rotate.as_ref().is_none_or(|rotate| rotate.find.is_none()) {
            let now = Timestamp::now();
            let until = match self.entry.latest_expiry() {
                Some(latest) if latest < now => {
                    self.close().await?;
                    return Ok(undone);
                }
                Some(latest) => format!("until {latest}"),
                None => "until it is revoked".to_owned(),
            };
            return Err(Error::internal(format!(
                "a key {name:?} may be live at {} {until}, and the API cannot search for it. Revoke it there, and then delete this entry \
                 (vault list PATH/orphans)",
                self.entry.old.api_endpoint
            )));
        }
        let old = Key::old(self.context, &self.entry)?;
        let (_, config) = self.progress().await?;
        // The user may have replaced the old key.
        let current = match self.current_key(config).await? {
            Some((current, Proof::Valid)) => Some(current),
            Some((_, Proof::NotAccepted(_) | Proof::OtherAccount(_))) | None => None,
        };
        let keys: Vec<&Key> = current.iter().chain([&old]).collect();
        let found = Key::revoke_found(&self.entry, &keys).await.map_err(|error| {
            Error::internal(format!("a key {name:?} may be live at {}: {error}", self.entry.old.api_endpoint))
        })?;
        if !found && self.may_settle()? {
            return Err(Error::internal(format!(
                "the request for key {name:?} may still reach the service; the next rollback searches again"
            )));
        }
        self.close().await?;
        Ok(undone)
    }

    /// Returns the key of the connection, if it is for the same service, with its proof.
    async fn current_key(&self, config: Option<Config>) -> Result<Option<(Key, Proof)>, Error> {
        let config = config.filter(|config| config.api_endpoint == self.entry.old.api_endpoint);
        let Some(config) = config else { return Ok(None) };
        let key = Key::new(self.context, config, None)?;
        let proof = key.prove(&self.entry.old_key).await?;
        Ok(Some((key, proof)))
    }

    /// Returns whether the request may still reach the API, or the API may not know the new key everywhere yet.
    fn may_settle(&self) -> Result<bool, Error> {
        let api = self.entry.old.api()?;
        let Some(rotate) = &api.description.rotate else { return Ok(false) };
        let settle = SignedDuration::from_secs(i64::try_from(rotate.settle.0).unwrap_or(i64::MAX));
        let limit = match self.entry.state {
            // The request has ended.
            RotationState::Created(_) | RotationState::Promoted(_) => settle,
            RotationState::Planned => {
                SignedDuration::try_from(LONGEST_CALL).unwrap_or_default().saturating_add(settle)
            }
        };
        Ok(self.entry.age(Timestamp::now()) < limit)
    }

    /// Returns whether a connection has the old key.
    async fn is_old_key_used(&self) -> Result<bool, Error> {
        Ok(user_of_key(self.context, &self.entry.old, None).await?.is_some())
    }

    /// Writes the entry again.
    pub(super) async fn write_entry(&self) -> Result<(), Error> {
        self.context.wal_put_with_id(&self.wal_id, ROTATION_KIND, &self.entry).await
    }

    /// Removes the mark of the connection, and deletes the entry.
    pub(super) async fn close(&self) -> Result<(), Error> {
        if let (RotationProgress::Running, _) = self.progress().await? {
            let id = self.entry.id.clone();
            config::change(self.context, &self.entry.connection, move |config| {
                config.key_rotation.abandon(&id);
            })
            .await?;
        }
        self.context.wal_delete(&self.wal_id).await
    }
}

/// Returns the name of a connection with the key of another one.
pub(super) async fn user_of_key(
    context: &Context<TokenEngine>,
    old: &Config,
    except: Option<&str>,
) -> Result<Option<String>, Error> {
    for name in config::names(context.storage()).await? {
        if Some(&*name) == except {
            continue;
        }
        let config = config::load(context.storage(), &name).await?;
        if config
            .is_some_and(|config| config.api_endpoint == old.api_endpoint && config.api_key == old.api_key)
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
