//! The choices to make before Vaults start in pods.

use std::time::Duration;

use k8s_openapi::api::core::v1::Container;

use crate::cluster::Cluster;
use crate::product::Product;

/// What the plugin directory of a pod is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginVolume {
    /// An emptyDir: empty again in every new pod.
    EmptyDir,
    /// A persistent volume for each pod: what is in it is still there in the next pod under that name.
    Persistent,
    /// A persistent volume for each pod that is mounted read-only.
    ReadOnly,
}

/// What the image of the server has beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// A shell and the usual tools, those of busybox.
    WithShell,
    /// Nothing.
    WithoutShell,
}

/// The update strategy of the StatefulSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateStrategy {
    /// A pod is changed when somebody deletes it, as with the official charts.
    OnDelete,
    /// Kubernetes replaces one pod after the other.
    RollingUpdate,
}

/// How the Vaults are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP.
    Plain,
    /// TLS with a certificate of a private authority, for every address under which a pod is reached.
    Tls,
}

/// Who runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunsAs {
    /// Root, in a root file system that it may write to.
    Root,
    /// The user 100 with a read-only root file system and no capability, as security policies ask for.
    Restricted,
}

/// Choices to make before [`VaultPods`](super::VaultPods) start.
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

    /// Has this many pods.
    pub fn replicas(mut self, replicas: usize) -> VaultPodsBuilder {
        self.replicas = replicas;
        self
    }

    /// Runs this server.
    pub fn product(mut self, product: Product) -> VaultPodsBuilder {
        self.product = product;
        self
    }

    /// Has the plugin directory on this.
    pub fn plugin_volume(mut self, plugin_volume: PluginVolume) -> VaultPodsBuilder {
        self.plugin_volume = plugin_volume;
        self
    }

    /// Runs the server from this image.
    pub fn image(mut self, image: ImageKind) -> VaultPodsBuilder {
        self.image = image;
        self
    }

    /// Has this update strategy.
    pub fn update_strategy(mut self, update_strategy: UpdateStrategy) -> VaultPodsBuilder {
        self.update_strategy = update_strategy;
        self
    }

    /// Is spoken to like this.
    pub fn transport(mut self, transport: Transport) -> VaultPodsBuilder {
        self.transport = transport;
        self
    }

    /// Is run by this user.
    pub fn runs_as(mut self, runs_as: RunsAs) -> VaultPodsBuilder {
        self.runs_as = runs_as;
        self
    }

    /// Runs this container before the server. The plugin directory is the volume `plugins`; an image that it needs is
    /// imported with [`Cluster::import_archive`] before.
    pub fn init_container(mut self, container: Container) -> VaultPodsBuilder {
        self.init_containers.push(container);
        self
    }

    /// Runs this container beside the server.
    pub fn sidecar(mut self, container: Container) -> VaultPodsBuilder {
        self.sidecars.push(container);
        self
    }

    /// Has each pod write down what is sent to its server by those who look at the StatefulSet for its address: plain HTTP only. See
    /// [`VaultPods::recorded_requests`](super::VaultPods::recorded_requests).
    pub fn record_requests(mut self) -> VaultPodsBuilder {
        self.record_requests = true;
        self
    }

    /// Delays the server of a pod that is made again by this long, as when a volume has to be attached. The image needs a shell.
    pub fn restart_delay(mut self, delay: Duration) -> VaultPodsBuilder {
        self.restart_delay = delay;
        self
    }

    /// Sets raft's `server_stabilization_time`: how long a server that has joined has no vote. Raft's default is `10s`, that of
    /// these pods `1s`.
    pub fn stabilization_time(mut self, time: &'static str) -> VaultPodsBuilder {
        self.stabilization_time = time;
        self
    }

    /// Has a file audit device; see [`VaultPods::audit_log`](super::VaultPods::audit_log).
    pub fn audit_log(mut self) -> VaultPodsBuilder {
        self.audit = Audit::ToFile;
        self
    }

    /// Has its storage at `sys/raw`, decrypted.
    pub fn raw_storage(mut self) -> VaultPodsBuilder {
        self.raw_storage = RawStorage::Exposed;
        self
    }

    /// Unseals them with a Vault of their own, which a test can stop.
    pub fn own_unsealer(mut self) -> VaultPodsBuilder {
        self.unsealer = Unsealer::Own;
        self
    }

    /// The name of the image, in the node only.
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
