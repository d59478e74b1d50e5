//! The stored connections, and the one that reaches a token.

use std::sync::Arc;

use tokio::sync::watch;
use vault_plugin::framework::Context;
use vault_plugin::logical::{BoxFuture, Error, Storage, StorageError};

use super::settings::{Config, ConnectionMismatch};
use super::{DEFAULT_NAME, NAMED_PREFIX, STORAGE_KEY, storage_key};
use crate::endpoint::Endpoint;
use crate::events::SendEvents;
use crate::stored;
use crate::upstream::Upstream;
use crate::{TokenEngine, UpstreamClient};

/// Returns the stored configuration, without its client.
pub(crate) async fn load(storage: &dyn Storage, name: &str) -> Result<Option<Config>, StorageError> {
    storage.read(&storage_key(name)).await
}

/// Returns the names of all connections.
pub(crate) async fn names(storage: &dyn Storage) -> Result<Vec<String>, StorageError> {
    let mut names = storage.list(NAMED_PREFIX).await?;
    if storage.get(STORAGE_KEY).await?.is_some() {
        names.push(DEFAULT_NAME.to_owned());
    }
    names.sort();
    Ok(names)
}

/// Returns the current configuration with its client.
pub(crate) async fn load_client(
    context: &Context<TokenEngine>,
    name: &str,
) -> Result<Option<Arc<UpstreamClient>>, Error> {
    let read = || -> BoxFuture<'_, _, _> {
        Box::pin(async {
            let Some(config) = load(context.storage(), name).await? else { return Ok(None) };
            let upstream =
                Upstream::new(config.connection(), config.api()?, Arc::clone(&context.state().metrics))?;
            Ok(Some(UpstreamClient { config, upstream, in_use: watch::Sender::default() }))
        })
    };
    context.state().client.get_or_load(&storage_key(name), read).await
}

/// Returns a connection to an endpoint and an account: the one with this name, or else any other.
///
/// Otherwise returns why the named connection does not reach the account, or `None` if no connection exists.
pub(crate) async fn find_client(
    context: &Context<TokenEngine>,
    name: &str,
    endpoint: &Endpoint,
    account: &str,
) -> Result<Result<Arc<UpstreamClient>, Option<ConnectionMismatch>>, Error> {
    let mut mismatch = None;
    if let Some(client) = load_client(context, name).await? {
        match client.check_connection(endpoint, account).await? {
            Ok(()) => return Ok(Ok(client)),
            Err(error) => mismatch = Some(error),
        }
    }
    for other in names(context.storage()).await?.iter().filter(|other| *other != name) {
        let Some(client) = load_client(context, other).await? else { continue };
        // A connection whose account cannot be requested is skipped, because it cannot revoke the token either.
        match client.check_connection(endpoint, account).await {
            Ok(Ok(())) => return Ok(Ok(client)),
            Ok(Err(error)) => mismatch = mismatch.or(Some(error)),
            Err(_) => {}
        }
    }
    Ok(Err(mismatch))
}

/// Returns `send_events` of the first connection to an endpoint, or the default without any.
pub(crate) async fn send_events_of(
    storage: &dyn Storage,
    endpoint: &Endpoint,
) -> Result<SendEvents, StorageError> {
    for name in names(storage).await? {
        match load(storage, &name).await? {
            Some(config) if config.api_endpoint == *endpoint => return Ok(config.send_events),
            _ => {}
        }
    }
    Ok(SendEvents::default())
}

/// Returns the error of a request whose connection is not configured.
pub(crate) fn not_configured(context: &Context<TokenEngine>, name: &str) -> Error {
    let mount = &context.request().mount_point;
    if name == DEFAULT_NAME {
        return Error::invalid(format!(
            "the token service is not configured; write it first: vault write {mount}config api_endpoint=… api_key=…"
        ));
    }
    Error::invalid(format!(
        "there is no connection \"{name}\"; write it first: vault write {mount}config/{name} api_endpoint=… api_key=…"
    ))
}

/// Changes a stored connection, and returns it. Returns `None` if it does not exist.
pub(crate) async fn change(
    context: &Context<TokenEngine>,
    name: &str,
    change: impl Fn(&mut Config) + Send + Sync + 'static,
) -> Result<Option<Config>, Error> {
    const NOT_FOUND: u16 = 404;
    let changed = stored::update(context, storage_key(name), move |_, before: Option<Config>| {
        let changed = before.map(|mut config| {
            change(&mut config);
            config
        });
        let missing =
            || Error::Coded { status: NOT_FOUND, message: "the connection does not exist".to_owned() };
        Box::pin(std::future::ready(changed.ok_or_else(missing)))
    })
    .await;
    match changed {
        Ok(changed) => Ok(Some(changed.after)),
        Err(Error::Coded { status: NOT_FOUND, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
