//! Real servers for the tests: a [`VaultServer`], a Kubernetes [`Cluster`] with [`VaultPods`], an [`Upstream`] token
//! service, [`TokenServer`]s with real token APIs, and the [`Program`]s under test.
//!
//! A server is ready when its `start` returns, and is removed with everything it started when it is dropped. If it cannot be set up, the
//! test panics with the reason: a test without its servers must never pass.

mod absence_recorder;
pub mod build;
mod chroot;
mod client_load;
mod cluster;
mod copy_program;
mod doctor_runner;
mod failure_logs;
mod faulty_proxy;
mod holding_proxy;
mod http_client;
mod interruptions;
mod jwt_issuer;
mod kubernetes_auth_proxy;
mod leadership;
mod load;
mod network;
mod output;
mod plugin_yaml;
mod port;
mod process;
mod product;
mod program;
mod prometheus;
mod recording_proxy;
mod registry;
mod running_program;
mod secret_scan;
mod server_pool;
mod terminal;
mod tls;
mod token_api;
mod upstream;
mod vault;
mod wait;

pub use absence_recorder::AbsenceRecorder;
pub use client_load::{ClientLoad, ClientReport, Credentials, FailedAttempt, TicketRequest};
pub use cluster::{
    Cluster, ImageArchive, ImageContent, ImageKind, PluginVolume, RunsAs, Transport, UpdateStrategy,
    VaultPods, VaultPodsBuilder,
};
pub use copy_program::copy_program;
pub use doctor_runner::{DoctorRunner, set_mode};
pub use faulty_proxy::FaultyProxy;
pub use holding_proxy::{HoldPoint, HoldingProxy};
pub use interruptions::interrupt_at_every_request;
pub use jwt_issuer::JwtIssuer;
pub use kubernetes_auth_proxy::KubernetesAuthProxy;
pub use leadership::{Leader, LeadershipRecorder};
pub use load::{FailedRequest, LoadGenerator, LoadReport, Retries};
pub use network::PortForward;
pub use output::Output;
pub use plugin_yaml::PluginYamlBuilder;
pub use port::free_port;
pub use product::Product;
pub use program::Program;
pub use prometheus::{Prometheus, ScrapeTarget};
pub use recording_proxy::{Exchange, RecordingProxy};
pub use registry::Registry;
pub use running_program::{RunningProgram, Stream};
pub use secret_scan::SecretScan;
pub use server_pool::ServerPool;
pub use terminal::{TerminalOutput, TerminalProgram};
pub use tls::CertificateKind;
pub use token_api::{ApiRequest, Credential, IssuedCredential, ListedCredential, TokenApi, TokenServer};
pub use upstream::{DropMoment, Fault, IssuedToken, Operation, RecordedRequest, Upstream, UpstreamBuilder};
pub use vault::{ApiResponse, Storage, VaultServer, VaultServerBuilder};
pub use wait::{Observation, eventually, eventually_within, within_timeout};
