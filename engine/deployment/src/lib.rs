//! The deployments of Vault and OpenBao servers: where their plugin directories are, and how these are observed and changed.
//!
//! A deployment implements [`rollout::Deployment`]. There are two:
//!
//! - [`StatefulSetDeployment`]: the pods of a StatefulSet. It runs commands in the pods, or in an ephemeral container beside a server
//!   without a shell, forwards a port of this machine to the active server, and takes a Lease as the lock.
//! - [`LocalDeployment`]: a directory of this machine.
//!
//! The crate decides nothing: which file is needed on which node is decided in `rollout`.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use deployment::LocalDeployment;
//! use rollout::{ConnectionMode, Environment};
//! use vault_api::{Client, ClientConfig};
//!
//! # fn main() -> Result<(), vault_api::ClientError> {
//! let environment = Environment {
//!     client: Client::new(&ClientConfig::new("http://127.0.0.1:8200"))?,
//!     deployment: Some(Arc::new(LocalDeployment::new("/etc/vault/plugins"))),
//!     connection_mode: ConnectionMode::Address,
//! };
//! # let _ = environment;
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! In reading order:
//!
//! | Module | Content |
//! |---|---|
//! | `local` | a directory of this machine: states, hashes, copies, the environment of a running plugin |
//! | `kubernetes` | the pods of a StatefulSet: `find`, `cluster` (API server), `servers` (port-forward), `executor` and `facts` (commands in pods), `observation` (one pod), `pod_template`, `plugin_storage` and `init_container_files` (what a restart keeps), `lease`, `restart` |
//! | `kubernetes::node` | the same commands for an image without a shell, executed by this program |
//! | `bundle`, `sha256sums` | the plugins of an image, copied into a plugin directory by its init container |
//! | `rbac` | the permissions that an operator needs in the cluster |
//! | `drift` | compares manifests with the objects of a cluster |
//! | `exposure`, `processes`, `syncing_writer` | shared: who can replace a file, `/proc`, writes that do not stall a server on the same disk |

mod bundle;
mod drift;
mod exposure;
mod kubernetes;
mod local;
mod processes;
mod rbac;
mod sha256sums;
mod syncing_writer;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

pub use bundle::{BundledPlugins, LoadAction, LoadError, LoadedPlugin, OverwritePolicy};
pub use drift::{ClusterConnection, Drift, DriftError, FieldDrift, ObjectDrift, compare_with_cluster};
pub use kubernetes::cluster::ClusterOptions;
pub use kubernetes::error::KubernetesError;
pub use kubernetes::find::PodSelector;
pub use kubernetes::node::{NodeError, node_copy, node_facts, node_mode, node_remove};
pub use kubernetes::{KubernetesOptions, StatefulSetDeployment};
pub use local::error::LocalError;
pub use local::plugin_env::{PluginEnvError, read_plugin_env};
pub use local::{LocalDeployment, Owner};
pub use rbac::{RBAC_RULES, RbacRule, RuleScope};
pub use sha256sums::{Sha256Sums, Sha256SumsError};
