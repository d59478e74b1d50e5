//! The type-erased functions of an engine.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use crate::logical::{BoxFuture, Error, Map, Response};

type HandlerFuture<T> = BoxFuture<'static, T, Error>;

/// Handles an operation. It gets the coerced fields.
pub(crate) type RequestHandler<S> =
    Box<dyn Fn(Context<S>, Map) -> HandlerFuture<Option<Response>> + Send + Sync>;

/// Returns whether an object exists at a path.
pub(crate) type ExistenceFn<S> = Box<dyn Fn(Context<S>, Map) -> HandlerFuture<bool> + Send + Sync>;

/// Renews or revokes by the internal data of a lease or a login.
pub(crate) type InternalDataFn<S, R> = Box<dyn Fn(Context<S>, &Map) -> HandlerFuture<R> + Send + Sync>;

/// Undoes the operation of a write-ahead log entry, by its kind and data.
pub(crate) type RollbackFn<S> = Box<dyn Fn(Context<S>, String, Value) -> HandlerFuture<()> + Send + Sync>;

/// Runs at a point in the lifecycle of a mount.
pub(crate) type HookFn<S> = Box<dyn Fn(Context<S>) -> HandlerFuture<()> + Send + Sync>;

/// Drops cached values of a storage key.
pub(crate) type InvalidateFn<S> = Box<dyn Fn(&S, &str) + Send + Sync>;

/// Wraps a handler so that it gets deserialized internal data.
pub(crate) fn internal_data_fn<S, T, R, F>(
    handle: impl Fn(Context<S>, T) -> F + Send + Sync + 'static,
) -> InternalDataFn<S, R>
where
    T: DeserializeOwned,
    R: 'static,
    F: Future<Output = Result<R, Error>> + Send + 'static,
{
    Box::new(move |cx, data| match T::deserialize(data) {
        Ok(data) => Box::pin(handle(cx, data)),
        Err(_) => Box::pin(async {
            Err(Error::internal("the lease holds internal data that this version cannot read"))
        }),
    })
}
