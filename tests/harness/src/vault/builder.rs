//! The options of a Vault, and its configuration file.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::VaultServer;
use crate::copy_program::copy_program;
use crate::network::NetworkNamespace;
use crate::product::Product;
use crate::tls::{CertificateKind, ServerCertificate};
use crate::{build, chroot, http_client, port};

/// Storage of Vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In memory; lost when the process ends.
    Memory,
    /// A raft cluster of one node, in files; survives a restart. (The minimal build of Vault has no other such storage.)
    Raft,
}

/// Builder of a [`VaultServer`].
#[must_use = "call `start`"]
pub struct VaultServerBuilder {
    product: Product,
    storage: Storage,
    plugin_directory: PluginDirectory,
    audit: Audit,
    transport: Transport,
    raw_storage: RawStorage,
    max_value_size: Option<usize>,
    root: RootDirectory,
    environment: Vec<(String, String)>,
    settings: serde_json::Map<String, Value>,
    network: Option<Arc<NetworkNamespace>>,
}

#[derive(PartialEq)]
enum RawStorage {
    Exposed,
    Hidden,
}

#[derive(PartialEq)]
enum RootDirectory {
    Host,
    Chroot,
}

enum PluginDirectory {
    Own,
    At(PathBuf),
    Absent,
}

#[derive(PartialEq)]
enum Audit {
    ToFile,
    Absent,
}

#[derive(PartialEq)]
enum Transport {
    Plain,
    Tls,
}

impl Default for VaultServerBuilder {
    fn default() -> VaultServerBuilder {
        VaultServerBuilder {
            product: Product::Vault,
            storage: Storage::Memory,
            plugin_directory: PluginDirectory::Own,
            audit: Audit::Absent,
            transport: Transport::Plain,
            raw_storage: RawStorage::Hidden,
            max_value_size: None,
            root: RootDirectory::Host,
            environment: Vec::new(),
            settings: serde_json::Map::new(),
            network: None,
        }
    }
}

impl VaultServerBuilder {
    /// Sets the server; Vault by default.
    pub fn product(mut self, product: Product) -> VaultServerBuilder {
        self.product = product;
        self
    }

    /// Sets the storage.
    pub fn storage(mut self, storage: Storage) -> VaultServerBuilder {
        self.storage = storage;
        self
    }

    /// Uses this plugin directory unchanged. It may be a link, missing, or not writable.
    pub fn plugin_directory(mut self, path: impl Into<PathBuf>) -> VaultServerBuilder {
        self.plugin_directory = PluginDirectory::At(path.into());
        self
    }

    /// Configures no plugin directory.
    pub fn without_plugin_directory(mut self) -> VaultServerBuilder {
        self.plugin_directory = PluginDirectory::Absent;
        self
    }

    /// Enables a file audit device before the first request; see [`VaultServer::audit_log`].
    pub fn audit_log(mut self) -> VaultServerBuilder {
        self.audit = Audit::ToFile;
        self
    }

    /// Enables TLS with a certificate for the loopback address; see [`VaultServer::ca_file`].
    pub fn tls(mut self) -> VaultServerBuilder {
        self.transport = Transport::Tls;
        self
    }

    /// Exposes its storage at `sys/raw`; see [`VaultServer::read_raw_storage`].
    pub fn raw_storage(mut self) -> VaultServerBuilder {
        self.raw_storage = RawStorage::Exposed;
        self
    }

    /// Sets the maximum size of a stored value in bytes, encrypted. Only for [`Storage::Memory`].
    pub fn max_value_size(mut self, bytes: usize) -> VaultServerBuilder {
        self.max_value_size = Some(bytes);
        self
    }

    /// Runs it in a separate root, as a container does: [`VaultServer::directory`] contains Vault's binary, what Vault writes, three
    /// devices, and nothing else. Its plugins find no dynamic linker, libraries, certificates or /proc.
    ///
    /// Needs root, or a kernel that permits user namespaces.
    pub fn chroot(mut self) -> VaultServerBuilder {
        self.root = RootDirectory::Chroot;
        self
    }

    /// Runs it in this network namespace.
    pub(crate) fn network(mut self, network: Arc<NetworkNamespace>) -> VaultServerBuilder {
        self.network = Some(network);
        self
    }

    /// Sets an environment variable of Vault and its plugins.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> VaultServerBuilder {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets an entry of the configuration file.
    pub fn setting(mut self, name: impl Into<String>, value: Value) -> VaultServerBuilder {
        self.settings.insert(name.into(), value);
        self
    }

    /// Starts Vault, initializes it with one key, and unseals it.
    ///
    /// # Panics
    ///
    /// If Vault cannot be built or does not start; the message contains its log.
    pub async fn start(self) -> VaultServer {
        let audit = self.audit == Audit::ToFile;
        let mut server = self.spawn("only").await;
        server.initialise().await;
        server.unseal().await;
        if audit {
            let device =
                json!({"type": "file", "options": {"file_path": server.path_in_chroot(server.audit_file())}});
            server.request("PUT", "sys/audit/file", Some(device)).await.success();
        }
        server
    }

    /// Starts another node of the raft cluster of `first` with a separate plugin directory, and waits until it is a standby that can be
    /// elected. It has the keys of `first`, and an audit device if `first` has one.
    ///
    /// # Panics
    ///
    /// If it does not start, or cannot join.
    pub async fn join(self, first: &VaultServer, node_id: &str) -> VaultServer {
        let mut server = self.storage(Storage::Raft).spawn(node_id).await;
        server.unseal_key = first.unseal_key().to_owned();
        server.root_token = first.root_token().to_owned();
        // Raft's default gives it a vote only after ten healthy seconds.
        let autopilot = json!({"server_stabilization_time": "1s"});
        first.request("POST", "sys/storage/raft/autopilot/configuration", Some(autopilot)).await.success();
        let leader = json!({"leader_api_addr": first.address()});
        server.request("POST", "sys/storage/raft/join", Some(leader)).await.success();
        let key = json!({"key": server.unseal_key});
        server.request("PUT", "sys/unseal", Some(key)).await.success();
        server.wait_standby().await;
        first.wait_vote(node_id).await;
        server
    }

    /// A process that responds, and is not initialized.
    async fn spawn(self, node_id: &str) -> VaultServer {
        let binary = match self.product {
            Product::Vault => build::vault().await,
            Product::OpenBao => build::openbao().await,
        };
        let directory =
            tempfile::Builder::new().prefix("vault-").tempdir().expect("the temporary directory is writable");
        let folder = directory.path();
        for name in ["data", "plugins", "tmp"] {
            fs::create_dir(folder.join(name)).expect("a new directory is writable");
        }
        let root = (self.root == RootDirectory::Chroot).then(|| folder.to_owned());
        if root.is_some() {
            copy_program(&binary, folder.join("vault"));
            chroot::create_devices(folder);
        }
        // Paths of Vault's files as Vault sees them.
        let home = if root.is_some() { Path::new("/") } else { folder };

        let identity =
            (self.transport == Transport::Tls).then(|| ServerCertificate::new(CertificateKind::Valid));
        let ca_file = identity.as_ref().map(|_| folder.join("ca.pem"));
        let (plugin_directory, its_plugin_directory) = match self.plugin_directory {
            PluginDirectory::Own => (Some(folder.join("plugins")), Some(home.join("plugins"))),
            PluginDirectory::At(path) => (Some(path.clone()), Some(path)),
            PluginDirectory::Absent => (None, None),
        };

        let listener = port::listener();
        let host = listener.local_addr().expect("a bound socket has an address");
        // In another network it uses the same port, on all addresses.
        let (network, listens_on) = match self.network {
            None => {
                drop(listener);
                (None, host)
            }
            Some(network) => {
                let forward = network.forward_from(listener, host);
                (Some((network, forward)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, host.port())))
            }
        };
        let cluster_host = format!("{}:{}", Ipv4Addr::LOCALHOST, port::free_port());
        let address = format!("{}://{host}", if identity.is_some() { "https" } else { "http" });
        let mut listener = json!({"address": listens_on, "cluster_address": cluster_host});
        let mut client = http_client::builder();
        match identity {
            None => listener["tls_disable"] = json!(true),
            Some(identity) => {
                let files = [
                    ("ca.pem", &identity.ca_pem),
                    ("cert.pem", &identity.certificate),
                    ("key.pem", &identity.key),
                ];
                for (name, content) in files {
                    fs::write(folder.join(name), content).expect("a new directory is writable");
                }
                listener["tls_cert_file"] = json!(home.join("cert.pem"));
                listener["tls_key_file"] = json!(home.join("key.pem"));
                let authority =
                    reqwest::Certificate::from_pem(identity.ca_pem.as_bytes()).expect("rcgen writes PEM");
                client = client.tls_certs_only([authority]);
            }
        }
        let storage = match (self.storage, self.max_value_size) {
            (Storage::Memory, None) => json!({"inmem": {}}),
            (Storage::Memory, Some(bytes)) => json!({"inmem": {"max_value_size": bytes.to_string()}}),
            // Elects itself after one second instead of five, because there are no other nodes.
            (Storage::Raft, _) => json!({"raft": {
                "path": home.join("data"), "node_id": node_id, "performance_multiplier": "1",
            }}),
        };
        let mut configuration = json!({
            "api_addr": address,
            "cluster_addr": format!("https://{cluster_host}"),
            "disable_mlock": true,
            "listener": {"tcp": listener},
            "log_level": "debug",
            "raw_storage_endpoint": self.raw_storage == RawStorage::Exposed,
            "storage": storage,
        });
        if let Some(plugin_directory) = its_plugin_directory {
            configuration["plugin_directory"] = json!(plugin_directory);
        }
        for (name, value) in self.settings {
            configuration[name] = value;
        }

        let mut server = VaultServer {
            binary,
            chroot: root,
            address,
            storage: self.storage,
            plugin_directory,
            ca_file,
            environment: self.environment,
            client: client.build().expect("the client's configuration is valid"),
            unseal_key: String::new(),
            root_token: String::new(),
            process: None,
            network,
            directory,
        };
        fs::write(server.configuration_file(), configuration.to_string())
            .expect("a new directory is writable");
        server.spawn().await;
        server
    }
}
