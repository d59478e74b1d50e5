//! The public handle of a server, and its options.

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
use crate::reply::error_chain;
use crate::store::Store;
use crate::{StoreError, expiration, http, rollback};
use vault_plugin::framework::ttl::TtlLimits;
use vault_plugin::host::Isolation;

/// The grace period of requests in flight when the server is stopped.
const SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_secs(5);

/// The interval between flushes to the disk. Written data survives the end of this process at once, and a failure of the machine
/// after the next flush.
const SYNC_PERIOD: Duration = Duration::from_secs(1);

/// Options of a server. There is no `Debug`, because they may contain the root token.
#[derive(Clone)]
pub struct ServerOptions {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Which machines can reach the server.
    pub bind_scope: BindScope,
    /// The root token; `None` generates one.
    pub root_token: Option<String>,
    /// The directory of the data; `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// The plugin directory; without one, no plugin can be registered.
    pub plugin_directory: Option<PathBuf>,
    /// The file to append the audit log to.
    pub audit: Option<PathBuf>,
    /// Isolation of the plugin processes.
    pub isolation: Isolation,
    /// Receiver of events.
    pub log: LogSink,
    /// The default lease TTL of the system; 768 hours in Vault.
    pub default_lease_ttl: Duration,
    /// The maximum lease TTL of the system; 768 hours in Vault.
    pub max_lease_ttl: Duration,
    /// The delay before the first retry of a revocation; 10 s in Vault. It is randomized and doubles with every retry.
    pub revoke_retry_base: Duration,
    /// The period of rollbacks, in which plugins undo incomplete operations; 1 min in Vault.
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

/// Which machines can reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindScope {
    /// This machine only: other listen addresses are refused.
    Loopback,
    /// Any machine that can reach the listen address.
    Network,
}

/// A running server. Dropping it stops it immediately; [`DevVault::stop`] waits for requests in flight.
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
    /// Starts a server. When this returns, the server is unsealed, its mounts are running, and it accepts requests.
    ///
    /// A mount whose plugin fails to start has no backend, as in Vault. The error is logged.
    ///
    /// # Errors
    /// If the address is in use or not permitted, or the data or the audit log cannot be opened.
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

        let (shutdown, shutdown_requested) = oneshot::channel::<()>();
        let service = http::router(core.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let server_task = tokio::spawn(
            axum::serve(listener, service)
                .with_graceful_shutdown(async {
                    // A dropped sender stops the server too.
                    let _ = shutdown_requested.await;
                })
                .into_future(),
        );
        let background_tasks = vec![
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
            shutdown: Some(shutdown),
            server_task,
            background_tasks,
        })
    }

    /// The URL of the server, without a trailing slash.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The root token.
    #[must_use]
    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The key that unseals the server.
    #[must_use]
    pub fn unseal_key(&self) -> &str {
        &self.core.identity.unseal_key
    }

    /// Stops accepting requests, waits for those in flight, and stops the plugins.
    ///
    /// # Errors
    /// If the data could not be flushed to the disk.
    pub async fn stop(mut self) -> Result<(), StoreError> {
        drop(self.shutdown.take());
        // A client that keeps its connection open must not delay the shutdown.
        let _ = tokio::time::timeout(SHUTDOWN_GRACE_PERIOD, &mut self.server_task).await;
        self.core.seal().await;
        self.store.sync()
    }
}

impl Drop for DevVault {
    fn drop(&mut self) {
        self.server_task.abort();
        for task in &self.background_tasks {
            task.abort();
        }
    }
}

async fn sync(store: Arc<Store>, log: LogSink) {
    loop {
        tokio::time::sleep(SYNC_PERIOD).await;
        if let Err(error) = store.sync() {
            log_error(&log, "cannot flush the data to the disk", Some(&error_chain(&error)));
        }
    }
}

/// Errors of starting a server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is not a loopback address, and [`BindScope::Network`] was not set.
    #[error(
        "cannot listen on {address}: a development server is only for the local machine, because it stores secrets unencrypted"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address is in use, or not an address of the local machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The audit log cannot be opened.
    #[error("cannot open the audit log {}", .path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The data cannot be opened.
    #[error(transparent)]
    Data(#[from] StoreError),
}
