//! Real servers for the tests: a [`VaultServer`], a Kubernetes [`Cluster`] with [`VaultPods`], an [`Upstream`] token
//! service, and the [`Program`]s under test.
//!
//! A server is ready when its `start` returns, and gone with everything it started when it is dropped. What cannot be
//! set up ends the test with a panic that says why: a test that lacks its servers must never pass.

mod absences;
pub mod build;
mod cluster;
mod description;
mod doctor;
mod gate;
mod http_client;
mod kept_logs;
mod kubernetes_auth;
mod leadership;
mod load;
mod network;
mod port;
mod process;
mod program;
mod prometheus;
mod recorder;
mod registry;
mod root;
mod running;
mod secret_scan;
mod shared;
mod tls;
mod upstream;
mod vault;
mod wait;

pub use absences::Absences;
pub use cluster::{
    Cluster, Content, ImageArchive, ImageKind, PluginVolume, Product, RunsAs, Transport, UpdateStrategy,
    VaultPods, VaultPodsBuilder,
};
pub use description::PluginDescription;
pub use doctor::{Doctor, set_mode};
pub use gate::Gate;
pub use kubernetes_auth::KubernetesAuth;
pub use leadership::{Leader, Leadership};
pub use load::{Account, FailedRequest, Load, Retries};
pub use network::Forward;
pub use port::free as free_port;
pub use program::{Output, Program};
pub use prometheus::{Prometheus, Target};
pub use recorder::{Exchange, Recorder};
pub use registry::Registry;
pub use running::{RunningProgram, Stream};
pub use secret_scan::SecretScan;
pub use shared::Shared;
pub use tls::Certificate;
pub use upstream::{Fault, Issued, Moment, Operation, Recorded, Upstream, UpstreamBuilder};
pub use vault::{Reply, Storage, VaultServer, VaultServerBuilder};
pub use wait::{Observation, eventually, eventually_within, in_time};
