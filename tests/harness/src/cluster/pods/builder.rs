//! The options of Vaults in pods.

use std::time::Duration;

use k8s_openapi::api::core::v1::Container;

use crate::cluster::Cluster;
use crate::product::Product;

/// Volume of the plugin directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginVolume {
    /// An emptyDir, which is empty in every new pod.
    EmptyDir,
    /// A persistent volume per pod, which the next pod of that name gets too.
    Persistent,
    /// A persistent volume per pod, mounted read-only.
    ReadOnly,
}

/// Other content of the server's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// A shell and the tools of busybox.
    WithShell,
    /// Nothing.
    WithoutShell,
}

/// The update strategy of the StatefulSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateStrategy {
    /// A pod is replaced when it is deleted, as with the official charts.
    OnDelete,
    /// Kubernetes replaces the pods one by one.
    RollingUpdate,
}

/// Transport of the Vaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP.
    Plain,
    /// TLS with a certificate of a private CA for all addresses of a pod.
    Tls,
}

/// User of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunsAs {
    /// Root, with a writable root file system.
    Root,
    /// User 100, with a read-only root file system and no capabilities, as security policies require.
    Restricted,
}

/// Builder of [`VaultPods`](super::VaultPods).
#[must_use = "call `start`"]
pub struct VaultPodsBuilder {
    pub(super) cluster: &'static Cluster,
    pub(super) replicas: usize,
    pub(super) product: Product,
    pub(super) plugin_volume: PluginVolume,
    pub(super) image: ImageKind,
    pub(super) update_strategy: UpdateStrategy,
    pub(super) transport: Transport,
    pub(super) runs_as: RunsAs,
    pub(super) init_containers: Vec<Container>,
    pub(super) sidecars: Vec<Container>,
    pub(super) record_requests: bool,
    pub(super) restart_delay: Duration,
    pub(super) stabilization_time: &'static str,
    pub(super) audit: Audit,
    pub(super) raw_storage: RawStorage,
    pub(super) unsealer: Unsealer,
}

#[derive(PartialEq)]
pub(super) enum Unsealer {
    OfCluster,
    Own,
}

#[derive(PartialEq)]
pub(super) enum RawStorage {
    Exposed,
    Hidden,
}

#[derive(PartialEq)]
pub(super) enum Audit {
    ToFile,
    Absent,
}

impl VaultPodsBuilder {
    pub(super) fn new(cluster: &'static Cluster) -> VaultPodsBuilder {
        VaultPodsBuilder {
            cluster,
            replicas: 3,
            product: Product::Vault,
            plugin_volume: PluginVolume::EmptyDir,
            image: ImageKind::WithShell,
            update_strategy: UpdateStrategy::OnDelete,
            transport: Transport::Plain,
            runs_as: RunsAs::Root,
            init_containers: Vec::new(),
            sidecars: Vec::new(),
            record_requests: false,
            restart_delay: Duration::ZERO,
            stabilization_time: "1s",
            audit: Audit::Absent,
            raw_storage: RawStorage::Hidden,
            unsealer: Unsealer::OfCluster,
        }
    }

    /// Sets the number of pods.
    pub fn replicas(mut self, replicas: usize) -> VaultPodsBuilder {
        self.replicas = replicas;
        self
    }

    /// Sets the server.
    pub fn product(mut self, product: Product) -> VaultPodsBuilder {
        self.product = product;
        self
    }

    /// Sets the volume of the plugin directory.
    pub fn plugin_volume(mut self, plugin_volume: PluginVolume) -> VaultPodsBuilder {
        self.plugin_volume = plugin_volume;
        self
    }

    /// Sets the image of the server.
    pub fn image(mut self, image: ImageKind) -> VaultPodsBuilder {
        self.image = image;
        self
    }

    /// Sets the update strategy.
    pub fn update_strategy(mut self, update_strategy: UpdateStrategy) -> VaultPodsBuilder {
        self.update_strategy = update_strategy;
        self
    }

    /// Sets the transport.
    pub fn transport(mut self, transport: Transport) -> VaultPodsBuilder {
        self.transport = transport;
        self
    }

    /// Sets the user.
    pub fn runs_as(mut self, runs_as: RunsAs) -> VaultPodsBuilder {
        self.runs_as = runs_as;
        self
    }

    /// Runs this init container before the server. The plugin directory is the volume `plugins`. Its image must be imported with
    /// [`Cluster::import_archive`] first.
    pub fn init_container(mut self, container: Container) -> VaultPodsBuilder {
        self.init_containers.push(container);
        self
    }

    /// Runs this container beside the server.
    pub fn sidecar(mut self, container: Container) -> VaultPodsBuilder {
        self.sidecars.push(container);
        self
    }

    /// Records the requests to each pod's server from clients that take the address from the StatefulSet; plain HTTP only. See
    /// [`VaultPods::recorded_requests`](super::VaultPods::recorded_requests).
    pub fn record_requests(mut self) -> VaultPodsBuilder {
        self.record_requests = true;
        self
    }

    /// Delays the server of a recreated pod by this long, as when a volume has to be attached. The image needs a shell.
    pub fn restart_delay(mut self, delay: Duration) -> VaultPodsBuilder {
        self.restart_delay = delay;
        self
    }

    /// Sets raft's `server_stabilization_time`: how long a joined server has no vote. Raft's default is `10s`, that of these pods `1s`.
    pub fn stabilization_time(mut self, time: &'static str) -> VaultPodsBuilder {
        self.stabilization_time = time;
        self
    }

    /// Enables a file audit device; see [`VaultPods::audit_log`](super::VaultPods::audit_log).
    pub fn audit_log(mut self) -> VaultPodsBuilder {
        self.audit = Audit::ToFile;
        self
    }

    /// Exposes the decrypted storage at `sys/raw`.
    pub fn raw_storage(mut self) -> VaultPodsBuilder {
        self.raw_storage = RawStorage::Exposed;
        self
    }

    /// Unseals them with a separate Vault, which a test can stop.
    pub fn own_unsealer(mut self) -> VaultPodsBuilder {
        self.unsealer = Unsealer::Own;
        self
    }

    /// Name of the image in the node.
    pub(super) fn image_name(&self) -> &'static str {
        match (self.product, self.image) {
            (Product::Vault, ImageKind::WithShell) => "localhost/vault:1.21.4",
            (Product::Vault, ImageKind::WithoutShell) => "localhost/vault-without-shell:1.21.4",
            (Product::OpenBao, ImageKind::WithShell) => "localhost/openbao:2.7.2",
            (Product::OpenBao, ImageKind::WithoutShell) => "localhost/openbao-without-shell:2.7.2",
        }
    }
}

impl Transport {
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Transport::Plain => "http",
            Transport::Tls => "https",
        }
    }
}
