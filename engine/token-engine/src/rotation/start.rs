//! The steps of a rotation until the new key exists.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use vault_plugin::framework::Context;
use vault_plugin::logical::Error;
use zeroize::Zeroizing;

use super::entry::{self, ROTATION_KIND, RotationEntry, RotationState};
use super::settle::{Outcome, Rotation, lock_key, user_of_key};
use crate::config::{self, Config};
use crate::events::{self, event};
use crate::role_name::RoleName;
use crate::upstream::{Rotate, Values};
use crate::wal_entry::unique_name;
use crate::{ROLLBACK_MIN_AGE, TokenEngine, UpstreamClient};

/// Replaces the key of a connection. An unfinished rotation is finished first. Completes even if the request is cancelled.
pub(super) async fn rotate(context: &Context<TokenEngine>, connection: &str) -> Result<(), Error> {
    context.require_writable().await?;
    let (work, connection) = (context.clone(), connection.to_owned());
    context
        .run_to_completion(async move {
            let result = rotate_locked(&work, &connection).await;
            work.state().metrics().count_rotation(result.is_ok());
            let what = if result.is_ok() { "root-rotate" } else { "root-rotate-fail" };
            let modified = if result.is_ok() { "true" } else { "false" };
            let stored = config::load(work.storage(), &connection).await.ok().flatten();
            let send_events = stored.map(|config| config.send_events).unwrap_or_default();
            events::send(&work, send_events, || {
                let rotated = event(&work, what, config::storage_key(&connection));
                rotated.with("modified", modified).with("name", &connection)
            });
            match &result {
                Ok(()) => work.logger().info(format!("rotated the key of connection {connection:?}")),
                // The response tells the user what to change.
                Err(Error::Invalid(_)) => {}
                Err(error) => {
                    work.logger()
                        .error(format!("cannot rotate the key of connection {connection:?}: {error}"));
                }
            }
            result
        })
        .await
}

async fn rotate_locked(context: &Context<TokenEngine>, connection: &str) -> Result<(), Error> {
    let _guard = context.lock(&lock_key(connection)).await;
    for (wal_id, entry) in entry::of_connection(context, connection).await? {
        finish_first(Rotation { context, wal_id, entry, old_clients: Vec::new() }).await?;
    }
    let Some(client) = config::load_client(context, connection).await? else {
        return Err(config::not_configured(context, connection));
    };
    let UpstreamClient { config, upstream, .. } = &*client;
    let description = &upstream.api.description;
    let Some(rotate) = &description.rotate else {
        return Err(Error::invalid(format!(
            "the API {} has no call that creates another key; create one at the service, and write it to config api_key",
            description.name
        )));
    };
    check(context, connection, config, rotate).await?;
    let old_key = upstream.probe().await?;
    let described = description.probe.as_ref();
    if (old_key.id.is_none() && described.is_some_and(|probe| probe.key_id.is_some()))
        || (old_key.owner.is_none() && described.is_some_and(|probe| probe.key_owner.is_some()))
    {
        return Err(Error::invalid(
            "the API does not report the id and the owner of api_key, which are needed to replace it; write a key that was created by its API",
        ));
    }
    let owner =
        RoleName::try_from(connection.to_owned()).map_err(|error| Error::invalid(error.to_string()))?;
    let name = unique_name(&owner, upstream.api.name_limits());
    let entry = RotationEntry::new(connection, config.clone(), old_key, name, &context.state().instance_id);

    // Marked first: an entry without a request would look like one with a lost response.
    mark(context, &entry).await?;
    let wal_id = context.wal_put(ROTATION_KIND, &entry).await?;
    let mut rotation = Rotation { context, wal_id, entry, old_clients: vec![client.in_use.subscribe()] };
    let secret = Zeroizing::new(BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>()));
    let values = Values {
        config: Some(&upstream.api.parameters),
        name: Some(&rotation.entry.name),
        key_owner: Some(rotation.entry.key_owner()),
        generated_secret: Some(&secret),
        ..Values::default()
    };
    let created = upstream.rotate(rotate, &values).await;
    let created = match created {
        Ok(created) => created,
        Err(error) if error.had_no_effect() => {
            rotation.close().await?;
            return Err(error.into());
        }
        Err(error) => {
            return Err(Error::internal(format!(
                "{error}. The old key stays; a rollback searches for the new key {:?}",
                rotation.entry.name
            )));
        }
    };
    // Requests with the old key are awaited later. This one has ended.
    drop(client);
    rotation.entry.state = RotationState::Created(created.into());
    let outcome = match rotation.write_entry().await {
        Ok(()) => rotation.settle().await?,
        // Without a record, the key must not be used: the rollback of a planned rotation revokes it.
        Err(error) => rotation.undo_unrecorded(error).await?,
    };
    match outcome {
        Outcome::Rotated => Ok(()),
        Outcome::Undone(reason) => Err(reason),
    }
}

/// Finishes an earlier rotation of the connection.
async fn finish_first(mut rotation: Rotation<'_>) -> Result<(), Error> {
    let (context, entry) = (rotation.context, &rotation.entry);
    // Another process may still run it.
    let is_foreign = entry.instance_id != context.state().instance_id;
    let age = entry.age(Timestamp::now());
    if is_foreign && age.unsigned_abs() < ROLLBACK_MIN_AGE {
        let message = format!(
            "another node began to rotate the key of connection {:?} at {}; try again after three minutes",
            entry.connection,
            entry.planned_at()
        );
        return Err(Error::Coded { status: 503, message });
    }
    match rotation.settle().await {
        Ok(Outcome::Rotated) => Ok(()),
        Ok(Outcome::Undone(reason)) => {
            context.logger().warn(format!("an earlier rotation is undone: {reason}"));
            Ok(())
        }
        Err(error) => Err(Error::internal(format!("an earlier rotation is not finished: {error}"))),
    }
}

/// Checks what the calls of the API do not show.
async fn check(
    context: &Context<TokenEngine>,
    connection: &str,
    config: &Config,
    rotate: &Rotate,
) -> Result<(), Error> {
    if rotate.find.is_none() && !config.accept_orphans {
        return Err(Error::invalid(
            "the API cannot search for a new key whose creation got no response. Such a key lives until it expires or is revoked by hand; \
             accept that with config accept_orphans=true",
        ));
    }
    match user_of_key(context, config, Some(connection)).await? {
        None => Ok(()),
        Some(other) => Err(Error::invalid(format!(
            "connection {other:?} has the same api_key, which a rotation revokes; write another key to one of them first"
        ))),
    }
}

/// Marks the connection, unless it was changed since it was read.
async fn mark(context: &Context<TokenEngine>, entry: &RotationEntry) -> Result<(), Error> {
    let (id, old) = (entry.id.clone(), entry.old.clone());
    let marked = config::change(context, &entry.connection, move |config| {
        if *config == old {
            config.key_rotation.begin(&id);
        }
    })
    .await?;
    match marked {
        Some(config) if config.key_rotation.progress(&entry.id) == config::RotationProgress::Running => {
            Ok(())
        }
        _ => Err(Error::internal("the connection was written meanwhile; rotate it again")),
    }
}
