//! Rotations on the host's timer.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use vault_plugin::framework::Context;
use vault_plugin::logical::Error;

use super::credential::{PREFIX, load, storage_key};
use super::due::FailureScope;
use super::rotation;
use crate::TokenEngine;
use crate::config;
use crate::role_name::RoleName;
use crate::schedule::RotationDue;
use crate::telemetry::{MeasuredOperation, time_request};

/// The maximum number of rotations at one tick of the host's timer, which ticks once a minute. After an outage of a day, the service gets
/// no more than this number at once.
const MAX_ROTATIONS: usize = 20;

/// The time after which no further rotation is started at a tick. The host cancels the request after 90 seconds.
const BUDGET: Duration = Duration::from_secs(30);

/// The result of one rotation.
enum Attempt {
    /// It was rotated, or another request has done so before. The role is due again then.
    Done(RotationDue),
    /// The role no longer exists.
    Gone,
}

/// Rotates the static roles that are due, the longest overdue first. After a failure, the next attempt is delayed: of the role, if the
/// service has refused its request, or else of all roles of its connection.
pub(crate) async fn rotate_due(context: &Context<TokenEngine>) -> Result<(), Error> {
    let (started, now) = (Instant::now(), Timestamp::now());
    let queue = &context.state().static_rotations;
    let names = context.storage().list(PREFIX).await?;
    for name in queue.retain(&names) {
        let Ok(role_name) = RoleName::try_from(name.clone()) else { continue };
        if let Some(role) = load(context, &role_name).await? {
            queue.set(&name, &role.settings.config, role.due(now));
        }
    }
    let due = queue.due(now);
    for (done, (name, connection)) in due.iter().enumerate() {
        if done >= MAX_ROTATIONS || started.elapsed() >= BUDGET {
            let left = due.len() - done;
            context.logger().info(format!("{left} static roles wait for rotation at the next tick"));
            break;
        }
        let Ok(role_name) = RoleName::try_from(name.clone()) else { continue };
        if !queue.is_ready(connection, now) {
            continue;
        }
        let rotate = async {
            if queue.has_failed(connection) {
                check_connection(context, connection).await?;
            }
            rotate_if_due(context, role_name).await
        };
        match time_request(context.clone(), MeasuredOperation::StaticRotation, rotate).await {
            Ok(Attempt::Done(due)) => {
                queue.set_working(connection);
                queue.set(name, connection, due);
            }
            Ok(Attempt::Gone) => queue.forget(name),
            Err(error) if error.is_read_only() => return Err(error),
            Err(error) => {
                context.logger().error(format!("cannot rotate static role \"{name}\": {error}"));
                let scope = match error {
                    Error::Invalid(_) => FailureScope::Role,
                    _ => FailureScope::Connection,
                };
                queue.set_failed(name, scope, Timestamp::now());
            }
        }
    }
    Ok(())
}

/// Sends the call that creates nothing. During an outage, a mint could create a token whose response is lost, at each attempt.
async fn check_connection(context: &Context<TokenEngine>, connection: &str) -> Result<(), Error> {
    match config::load_client(context, connection).await? {
        Some(client) => Ok(client.upstream.probe().await.map(drop)?),
        None => Err(config::not_configured(context, connection)),
    }
}

/// Rotates a static role, if it is still due once its lock is held.
async fn rotate_if_due(context: &Context<TokenEngine>, name: RoleName) -> Result<Attempt, Error> {
    let work = context.clone();
    context
        .run_to_completion(async move {
            let _guard = work.lock(&storage_key(&name)).await;
            let Some(role) = load(&work, &name).await? else { return Ok(Attempt::Gone) };
            let due = role.due(Timestamp::now());
            if due != RotationDue::Now {
                return Ok(Attempt::Done(due));
            }
            let (rotated, _) = rotation::rotate(&work, &name, role).await?;
            Ok(Attempt::Done(rotated.due(Timestamp::now())))
        })
        .await
}

/// Deletes all static roles, and revokes their tokens, because the mount is being removed. A failure does not keep the others from it.
pub(crate) async fn delete_all(context: &Context<TokenEngine>) -> Result<(), Error> {
    let started = Instant::now();
    let names = context.storage().list(PREFIX).await?;
    for (done, name) in names.iter().enumerate() {
        if started.elapsed() >= BUDGET {
            let left = names[done..].join(", ");
            context
                .logger()
                .error(format!("no time is left to revoke the tokens of the static roles {left}"));
            break;
        }
        let Ok(role_name) = RoleName::try_from(name.clone()) else { continue };
        let work = context.clone();
        let deleted = context.run_to_completion(async move {
            let _guard = work.lock(&storage_key(&role_name)).await;
            rotation::delete(&work, &role_name).await
        });
        match deleted.await {
            Ok(_) => {}
            Err(error) if error.is_read_only() => return Err(error),
            Err(error) => {
                context.logger().error(format!("cannot delete static role \"{name}\": {error}"));
            }
        }
    }
    Ok(())
}
