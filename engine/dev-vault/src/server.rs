//! The public handle of a server: start with options, address, stop.

use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::audit::AuditLog;
use crate::core::{Core, ServerConfig};
use crate::log::{LogSink, log_error};
use crate::random::random_token;
use crate::store::Store;
use crate::{StoreError, expiration, http, rollback};
use vault_plugin::framework::ttl::TtlLimits;
use vault_plugin::host::Isolation;

/// The grace period of requests in flight when the server is stopped.
const SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_secs(5);

/// How long what was written may wait for the disk. It is safe from the end of this process at once, and from that of the
/// machine after this.
const SYNC_PERIOD: Duration = Duration::from_secs(1);

/// Options of a server. No `Debug`: they may hold the root token.
#[derive(Clone)]
pub struct ServerOptions {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// From where it may be reached.
    pub bind_scope: BindScope,
    /// The root token; `None` generates one.
    pub root_token: Option<String>,
    /// The directory of the data; `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// The plugin directory; without one, no plugin can be registered.
    pub plugin_directory: Option<PathBuf>,
    /// The file to append the audit log to.
    pub audit: Option<PathBuf>,
    /// What plugins inherit from this process.
    pub isolation: Isolation,
    /// Where events go.
    pub log: LogSink,
    /// The default lease TTL of the system; 768 hours in Vault.
    pub default_lease_ttl: Duration,
    /// The maximum lease TTL of the system; 768 hours in Vault.
    pub max_lease_ttl: Duration,
    /// The delay before the first retry of a revocation; it doubles with every retry and is randomized; 10 s in Vault.
    pub revoke_retry_base: Duration,
    /// The period of the rollback of unfinished work; 1 min in Vault.
    pub rollback_period: Duration,
}

impl Default for ServerOptions {
    /// In memory, on a free port of the loopback interface, with the durations of Vault, without a plugin directory.
    fn default() -> ServerOptions {
        let day = Duration::from_hours(24);
        ServerOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            bind_scope: BindScope::Loopback,
            root_token: None,
            data_dir: None,
            plugin_directory: None,
            audit: None,
            isolation: Isolation::Inherit,
            log: Arc::new(|_| {}),
            default_lease_ttl: 32 * day,
            max_lease_ttl: 32 * day,
            revoke_retry_base: Duration::from_secs(10),
            rollback_period: Duration::from_mins(1),
        }
    }
}

/// From where a server can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindScope {
    /// This machine only: other listen addresses are refused.
    Loopback,
    /// Any machine that can reach the listen address.
    Network,
}

/// A running server. Dropping it stops it at once; [`DevVault::stop`] waits for requests in flight.
pub struct DevVault {
    core: Arc<Core>,
    store: Arc<Store>,
    address: SocketAddr,
    root_token: String,
    shutdown: Option<oneshot::Sender<()>>,
    server_task: JoinHandle<io::Result<()>>,
    background_tasks: Vec<JoinHandle<()>>,
}

impl DevVault {
    /// Starts a server; when this returns it is unsealed, its mounts are up, and it listens.
    ///
    /// A mount whose plugin does not start stays without a backend, as in Vault; the error is logged.
    ///
    /// # Errors
    /// The address is in use or not allowed, or the data or the audit log cannot be used.
    pub async fn start(options: ServerOptions) -> Result<DevVault, StartError> {
        let address = options.listen;
        if options.bind_scope == BindScope::Loopback && !address.ip().is_loopback() {
            return Err(StartError::NotLoopback { address });
        }
        let listener =
            TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;

        let store = Arc::new(match &options.data_dir {
            Some(directory) => Store::open(directory)?,
            None => Store::in_memory(),
        });
        let audit = match &options.audit {
            Some(path) => {
                let opened = AuditLog::open(path, random_token());
                Some(opened.map_err(|source| StartError::Audit { path: path.clone(), source })?)
            }
            None => None,
        };
        let config = ServerConfig {
            plugin_directory: options.plugin_directory,
            limits: TtlLimits {
                default: options.default_lease_ttl.min(options.max_lease_ttl),
                max: options.max_lease_ttl,
            },
            revoke_retry_base: options.revoke_retry_base,
            storage_type: if options.data_dir.is_some() { "file" } else { "inmem" },
        };
        let core = Arc::new(Core::new(config, &store, audit, options.log.clone(), options.isolation)?);
        let root_token = options.root_token.unwrap_or_else(random_token);
        core.tokens.ensure_root(&root_token)?;
        core.unseal().await?;

        let (stopping, stopped) = oneshot::channel::<()>();
        let service = http::router(core.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(
            axum::serve(listener, service)
                .with_graceful_shutdown(async {
                    // A dropped sender stops the server too.
                    let _ = stopped.await;
                })
                .into_future(),
        );
        let timers = vec![
            tokio::spawn(expiration::run(Arc::downgrade(&core.expiration))),
            tokio::spawn(rollback::run(
                Arc::downgrade(&core.mounts),
                options.rollback_period,
                options.log.clone(),
            )),
            tokio::spawn(sync(store.clone(), options.log)),
        ];
        Ok(DevVault {
            core,
            store,
            address,
            root_token,
            shutdown: Some(stopping),
            server_task: serving,
            background_tasks: timers,
        })
    }

    /// Its URL, without a trailing slash.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The root token.
    #[must_use]
    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The key that unseals it.
    #[must_use]
    pub fn unseal_key(&self) -> &str {
        &self.core.identity.unseal_key
    }

    /// Refuses new requests, waits for those in flight, and stops the plugins.
    ///
    /// # Errors
    /// The data could not be flushed to the disk.
    pub async fn stop(mut self) -> Result<(), StoreError> {
        drop(self.shutdown.take());
        // A client that keeps its connection open must not delay the stop.
        let _ = tokio::time::timeout(SHUTDOWN_GRACE_PERIOD, &mut self.server_task).await;
        self.core.seal().await;
        self.store.sync()
    }
}

impl Drop for DevVault {
    fn drop(&mut self) {
        self.server_task.abort();
        for timer in &self.background_tasks {
            timer.abort();
        }
    }
}

async fn sync(store: Arc<Store>, log: LogSink) {
    loop {
        tokio::time::sleep(SYNC_PERIOD).await;
        if let Err(error) = store.sync() {
            log_error(&log, "cannot write the data to the disk", Some(&error.to_string()));
        }
    }
}

/// Errors of starting a server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is not a loopback address, and [`BindScope::Network`] was not set.
    #[error("{address} can be reached from other machines, and a development server protects nothing")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address is in use, or not an address of this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The audit log cannot be written.
    #[error("cannot write the audit log {}", .path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] StoreError),
}
