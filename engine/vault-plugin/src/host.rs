//! The host's side of a plugin, the counterpart of [`serve`](crate::serve): starts any plugin as Vault does, mounts its
//! engine on storage of the caller's, and asks it.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use vault_plugin::{host, logical, testing};
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let plugin = host::launch(host::Launch::new("./custom-plugin")).await?;
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

mod call;
mod compare;
mod difference;
mod document;
mod inspect;
mod launch;
mod mount;
mod probe;

pub use call::{CallError, Refusal};
pub use compare::{compare, compare_paths};
pub use difference::{Change, Difference};
pub use document::paths as documented_paths;
pub use go_plugin::host::{BrokeredError, Isolation, IsolationGap, Network, ShutdownError};
pub use go_plugin::host::{Brokering, Exit, Exited, LaunchError as StartError, LogLine, LogSink, Origin};
pub use go_plugin::log::Level;
pub use inspect::{Ending, FieldInfo, InspectError, Inspection, OperationInfo, PathInfo, Verb, inspect};
pub use launch::{Launch, LaunchError, Plugin, launch};
pub use mount::{Mount, MountConfig, MountError};
pub use probe::{ProbeError, ProbeReport, probe};
