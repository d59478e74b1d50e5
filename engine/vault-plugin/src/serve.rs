//! The plugin process, from its first line to its end.

use std::io;

use go_plugin::log::{Level, Logger, report_panics};
use go_plugin::{Environment, Handshake, Server, ServerStartError, StopReason};
use tokio::runtime::{Builder, Handle};

use crate::framework::{BuildError, Engine};
use crate::hardening::harden;
use crate::logical::Product;
use crate::wire;

/// What Vault and OpenBao put into a backend plugin's environment (`sdk/plugin/serve.go`), and the one protocol
/// version with which plugins of many mounts and mutual TLS run.
pub(crate) const HANDSHAKE: Handshake = Handshake {
    cookie_key: "VAULT_BACKEND_PLUGIN",
    cookie_value: "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
    protocol_versions: &[5],
};

/// Serves an engine to the host that started this process, until the host says stop, which ends the process, or is gone.
///
/// Standard output belongs to the protocol from here on. The engine's handlers run on a tokio runtime that this starts: what hardens the
/// process has to come before its threads.
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
/// [`ServeError::NotAPluginHost`] when the process was started by hand, and [`ServeError::InsideRuntime`] when it is called by asynchronous code.
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
    let ended = runtime.block_on(serve_host(declare, environment, logger));
    // What a handler still does, as to wait for a file, does not hold the process.
    runtime.shutdown_background();
    ended
}

async fn serve_host<S: Send + Sync + 'static>(
    declare: impl FnOnce() -> Engine<S>,
    environment: Environment,
    logger: Logger,
) -> Result<(), ServeError> {
    // Both hosts set the variables of Vault, for plugins that know no other.
    let product = if environment.has("BAO_VERSION") { Product::OpenBao } else { Product::Vault };
    let server = match Server::start(&HANDSHAKE, environment).await {
        Err(ServerStartError::NotAPluginHost) => return Err(ServeError::NotAPluginHost),
        other => other.map_err(ServeError::Start)?,
    };
    let declaration = declare().build().map_err(ServeError::Build)?;
    let version = declaration.version().to_owned();
    let routes = wire::routes(
        declaration.factory(),
        version,
        product,
        (server.broker(), server.graceful_shutdown()),
        logger,
    );
    match server.serve(routes).await.map_err(ServeError::Serve)? {
        StopReason::Shutdown => std::process::exit(0),
        StopReason::HostGone => Ok(()),
    }
}

/// Why a plugin process ended before its time.
///
/// ```
/// # use vault_plugin::{ServeError, framework::Engine};
/// let ended = vault_plugin::serve(|| Engine::new(|| ()));
/// assert!(matches!(ended, Err(ServeError::NotAPluginHost)));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The process was started by hand.
    #[error("this process was not started by a Vault or OpenBao server")]
    NotAPluginHost,
    /// It was called by asynchronous code, as in a function with `#[tokio::main]`.
    #[error("a plugin is served by a runtime of its own: call `serve` in a `main` that is not asynchronous")]
    InsideRuntime,
    /// The runtime could not be started.
    #[error("the runtime of the plugin cannot be started")]
    Runtime(#[source] io::Error),
    /// The engine's declaration is wrong.
    #[error("the engine cannot be served")]
    Build(#[source] BuildError),
    /// The handshake failed.
    #[error("the plugin cannot be started")]
    Start(#[source] ServerStartError),
    /// Serving failed.
    #[error("the plugin ended")]
    Serve(#[source] go_plugin::ServerError),
}
