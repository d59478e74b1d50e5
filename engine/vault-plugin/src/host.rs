//! The host side, the counterpart of [`serve`](crate::serve()): starts any plugin like Vault, mounts its engine on your
//! storage, and sends requests to it.
//!
//! - [`launch`] and [`Plugin::mount`] run a plugin with one or several mounts.
//! - [`probe()`] reads the type and version of a plugin, like Vault when it registers a version.
//! - [`inspect()`] reads the paths and fields of a plugin, and [`compare()`] the differences between two versions.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use vault_plugin::{host, logical, testing};
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let plugin = host::launch(host::PluginCommand::new("./custom-plugin")).await?;
//! let config = host::MountConfig::new(
//!     Arc::new(testing::MemoryStorage::default()),
//!     Arc::new(testing::StaticSystemView::default()),
//! );
//! let mount = plugin.mount(config).await?;
//! mount.initialize().await?;
//! let read = logical::Request::new(logical::Operation::Read, "config", logical::Map::new());
//! let response = mount.handle_request(read).await?;
//! # Ok(()) }
//! ```

mod compare;
mod database;
mod difference;
mod inspect;
mod launch;
mod mount;
mod openapi;
mod path_info;
mod probe;

pub use compare::{compare, compare_paths};
pub use database::{DatabaseReport, probe_database};
pub use difference::{Difference, DifferenceKind};
pub use go_plugin::host::{BrokerError, Isolation, IsolationGap, NetworkAccess, ShutdownError};
pub use go_plugin::host::{
    BrokerTransport, LogLine, LogSink, LogSource, PluginExit, PluginStartError, ShutdownOutcome,
};
pub use go_plugin::log::Level;
pub use inspect::{InspectError, Inspection, ShutdownBehavior, inspect};
pub use launch::{LaunchError, Plugin, PluginCommand, launch};
pub use mount::{MountConfig, MountError, RemoteMount};
pub use openapi::documented_paths;
pub use path_info::{FieldInfo, OperationInfo, PathInfo, Verb};
pub use probe::{ProbeError, ProbeReport, probe};

pub use crate::wire::{BackendError, CallError};
