//! The plugin process, from its start to its exit.

use std::io;

use go_plugin::log::{Level, Logger, report_panics};
use go_plugin::{Environment, Handshake, Server, ServerStartError, StopReason};
use tokio::runtime::{Builder, Handle};

use crate::framework::{BuildError, Engine};
use crate::hardening::harden;
use crate::logical::Product;
use crate::wire;

/// The version of the protocol between Vault or OpenBao and the plugins of this SDK. It is the only one that combines multiplexed mounts
/// with mutual TLS.
pub const PROTOCOL_VERSION: u32 = 5;

/// The handshake of Vault and OpenBao for backend plugins (`sdk/plugin/serve.go`).
pub(crate) const HANDSHAKE: Handshake = Handshake {
    cookie_key: "VAULT_BACKEND_PLUGIN",
    cookie_value: "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
    protocol_versions: &[PROTOCOL_VERSION],
};

/// Whether Vault or OpenBao started this process as a plugin.
pub fn is_started_by_host() -> bool {
    Environment::from_process().has(HANDSHAKE.cookie_key)
}

/// Serves an engine to the host that started this process, until the host shuts it down or disconnects. A shutdown exits the
/// process.
///
/// Standard output is reserved for the protocol from here on. The function starts its own Tokio runtime, because the process must be
/// hardened before it has other threads. The handlers run on that runtime.
///
/// ```no_run
/// use vault_plugin::framework::Engine;
///
/// fn main() -> Result<(), vault_plugin::ServeError> {
///     vault_plugin::serve(|| Engine::new(|| ()).version(env!("CARGO_PKG_VERSION")))
/// }
/// ```
///
/// # Errors
/// [`ServeError::NotStartedByHost`] if no host has started the process, and [`ServeError::InsideRuntime`] if it is called in async code.
pub fn serve<S: Send + Sync + 'static>(declare: impl FnOnce() -> Engine<S>) -> Result<(), ServeError> {
    if Handle::try_current().is_ok() {
        return Err(ServeError::InsideRuntime);
    }
    let logger = Logger::new("plugin", Level::Trace);
    report_panics(&logger);
    let environment = Environment::from_process();
    if environment.has(HANDSHAKE.cookie_key) {
        harden(&environment, &logger);
    }
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(ServeError::Runtime)?;
    let result = runtime.block_on(serve_host(declare, environment, logger));
    // Does not wait for handlers that block, for example on a file.
    runtime.shutdown_background();
    result
}

async fn serve_host<S: Send + Sync + 'static>(
    declare: impl FnOnce() -> Engine<S>,
    environment: Environment,
    logger: Logger,
) -> Result<(), ServeError> {
    // OpenBao also sets Vault's variables, for plugins that do not know its own.
    let product = if environment.has("BAO_VERSION") { Product::OpenBao } else { Product::Vault };
    let server = match Server::start(&HANDSHAKE, environment).await {
        Err(ServerStartError::NotStartedByHost) => return Err(ServeError::NotStartedByHost),
        other => other.map_err(ServeError::Start)?,
    };
    let engine = declare().build().map_err(ServeError::Build)?;
    let version = engine.version().to_owned();
    let routes = wire::routes(
        engine.factory(),
        version,
        product,
        (server.broker(), server.graceful_shutdown()),
        logger,
    );
    match server.serve(routes).await.map_err(ServeError::Serve)? {
        StopReason::Shutdown => std::process::exit(0),
        StopReason::HostDisconnected => Ok(()),
    }
}

/// An error from [`serve`](crate::serve()).
///
/// ```
/// # use vault_plugin::{ServeError, framework::Engine};
/// let result = vault_plugin::serve(|| Engine::new(|| ()));
/// assert!(matches!(result, Err(ServeError::NotStartedByHost)));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No host has started the process.
    #[error("this process was not started by a Vault or OpenBao server")]
    NotStartedByHost,
    /// `serve` was called in async code, for example in a function with `#[tokio::main]`.
    #[error("`serve` must not be called inside an async runtime: call it in a `main` that is not async")]
    InsideRuntime,
    /// The Tokio runtime could not be started.
    #[error("cannot start the async runtime of the plugin")]
    Runtime(#[source] io::Error),
    /// The declaration of the engine is invalid.
    #[error("invalid declaration of the engine")]
    Build(#[source] BuildError),
    /// The plugin could not start.
    #[error("cannot start the plugin")]
    Start(#[source] ServerStartError),
    /// The plugin could not continue to serve.
    #[error("cannot serve the plugin")]
    Serve(#[source] go_plugin::ServerError),
}
