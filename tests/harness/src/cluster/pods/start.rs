//! Starts Vaults in pods: image, namespace, volumes, manifests, initialization.

use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::chown;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolume, Secret, Service};
use kube::api::PostParams;
use kube::core::{ClusterResourceScope, NamespaceResourceScope};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::builder::{Audit, ImageKind, RawStorage, RunsAs, Transport, Unsealer, VaultPodsBuilder};
use super::{PodMember, STATEFUL_SET_NAME, VaultPods, manifests};
use crate::cluster::Cluster;
use crate::cluster::image::{ImageArchive, ImageContent};
use crate::product::Product;
use crate::tls::ServerCertificate;
use crate::{Storage, VaultServer, build, eventually, http_client};

/// The user and the group of the official image.
const VAULT_USER: (u32, u32) = (100, 1000);

impl VaultPodsBuilder {
    /// Starts all pods at once, initializes the first, and waits until all are unsealed and one is active.
    ///
    /// # Panics
    ///
    /// If one of them does not come up.
    pub async fn start(self) -> VaultPods {
        let cluster = self.cluster;
        let client = cluster.client().await;
        let namespace = format!("vault-{}", &Uuid::new_v4().simple().to_string()[..8]);
        self.import_image().await;
        create_global::<Namespace>(&client, json!({"metadata": {"name": namespace}})).await;

        let own_unsealer = match self.unsealer {
            Unsealer::OfCluster => None,
            Unsealer::Own => Some(start_unsealer(cluster).await),
        };

        let mut pods = VaultPods {
            cluster,
            client: client.clone(),
            namespace,
            plugin_volume: self.plugin_volume,
            transport: self.transport,
            runs_as: self.runs_as,
            members: Vec::new(),
            http: http_client::builder().build().expect("nothing in it can be wrong"),
            ca_file: None,
            root_token: String::new(),
            own_unsealer,
            directory: tempfile::tempdir().expect("the temporary directory is writable"),
        };
        for _ in 0..self.replicas {
            pods.add_member().await;
        }
        let identity = (self.transport == Transport::Tls).then(|| pods.pod_certificate());
        if let Some(identity) = &identity {
            let file = pods.directory.path().join("pods-ca.pem");
            fs::write(&file, &identity.ca_pem).expect("the directory is the harness's own");
            let authority =
                reqwest::Certificate::from_pem(identity.ca_pem.as_bytes()).expect("rcgen writes PEM");
            let http = http_client::builder().tls_certs_only([authority]);
            pods.http = http.build().expect("the client's configuration is valid");
            pods.ca_file = Some(file);
        }

        let mut configuration = manifests::vault_config(&pods).await;
        if self.raw_storage == RawStorage::Exposed {
            configuration["raw_storage_endpoint"] = json!(true);
        }
        if self.product == Product::OpenBao {
            // Otherwise a busy machine causes elections that no test expects.
            configuration["storage"]["raft"]["performance_multiplier"] = json!("10");
        }
        let secret = manifests::config_secret(&configuration, identity.as_ref());
        create::<Secret>(&client, &pods.namespace, secret).await;
        create::<Service>(&client, &pods.namespace, manifests::service()).await;
        create::<StatefulSet>(&client, &pods.namespace, manifests::stateful_set(&self)).await;
        pods.initialise(self.stabilization_time).await;
        if self.audit == Audit::ToFile {
            let device = json!({"type": "file", "options": {"file_path": "/vault/audit/audit.log"}});
            pods.request(pods.active().await, "PUT", "sys/audit/file", Some(device)).await.success();
        }
        pods
    }

    async fn import_image(&self) {
        let (binary, path) = match self.product {
            Product::Vault => (build::vault().await, "bin/vault"),
            Product::OpenBao => (build::openbao().await, "bin/bao"),
        };
        let busybox = build::busybox().await;
        let (name, image) = (self.image_name(), self.image);
        let make = || {
            let users = "root:x:0:0::/:/bin/sh\nvault:x:100:1000::/:/bin/sh\n".to_owned();
            let mut content = vec![
                (path, ImageContent::Program(binary)),
                ("etc/passwd", ImageContent::Text(users)),
                ("tmp", ImageContent::WritableDirectory),
            ];
            if image == ImageKind::WithShell {
                content.push(("bin/busybox", ImageContent::Program(busybox)));
                let links =
                    BUSYBOX_TOOLS.iter().map(|tool| (*tool, ImageContent::Link("busybox".to_owned())));
                content.extend(links);
            }
            ImageArchive::new(name, &format!("/{path}"), &content)
        };
        self.cluster.import_image_once(name, make).await;
    }
}

/// A Vault in the network of the cluster with a transit key that unseals pods.
pub(in crate::cluster) async fn start_unsealer(cluster: &Cluster) -> VaultServer {
    // With file storage, so that a test can stop and restart it.
    let unsealer = VaultServer::builder().storage(Storage::Raft).in_network_of(cluster).start().await;
    unsealer.request("POST", "sys/mounts/transit", Some(json!({"type": "transit"}))).await.success();
    unsealer.request("POST", "transit/keys/unseal", None).await.success();
    unsealer
}

/// The tools of the image with a shell that tests and `kubectl cp` need.
const BUSYBOX_TOOLS: &[&str] = &[
    "bin/cat",
    "bin/chmod",
    "bin/chown",
    "bin/cp",
    "bin/dd",
    "bin/df",
    "bin/gzip",
    "bin/head",
    "bin/id",
    "bin/kill",
    "bin/ls",
    "bin/mkdir",
    "bin/mv",
    "bin/od",
    "bin/ps",
    "bin/readlink",
    "bin/rm",
    "bin/sh",
    "bin/sha256sum",
    "bin/sleep",
    "bin/stat",
    "bin/sync",
    "bin/tar",
    "bin/test",
    "bin/touch",
    "bin/true",
    "bin/uname",
    "bin/wget",
];

impl VaultPods {
    /// Prepares the next pod: its address, its volumes, and a forwarded port.
    pub(super) async fn add_member(&mut self) {
        let name = format!("{STATEFUL_SET_NAME}-{}", self.members.len());
        let address = self.cluster.reserve_address(&self.namespace, &name);
        for volume in manifests::volumes(self.plugin_volume) {
            let folder = self.volume(&name, volume);
            fs::create_dir_all(&folder).expect("root may write there");
            if self.runs_as == RunsAs::Restricted {
                let (user, group) = VAULT_USER;
                chown(&folder, Some(user), Some(group)).expect("root may");
            }
            let manifest = manifests::persistent_volume(&self.namespace, &name, volume, &folder);
            create_global::<PersistentVolume>(&self.client, manifest).await;
        }
        let forward = self.cluster.forward_port((address, 8200).into());
        self.members.push(PodMember { name, address, forward });
    }

    /// A certificate for all addresses of a pod: that of the member and this machine's loopback.
    fn pod_certificate(&self) -> ServerCertificate {
        let mut names: Vec<String> = self.members.iter().map(|member| member.address.to_string()).collect();
        names.extend(["127.0.0.1".to_owned(), "localhost".to_owned()]);
        ServerCertificate::for_names(names)
    }

    async fn initialise(&mut self, stabilization_time: &str) {
        let first = self.members[0].name.clone();
        eventually(&format!("the Vault of {first} answers"), async || {
            self.health(&first).await.filter(|status| *status == 501)
        })
        .await;
        let request = json!({"recovery_shares": 1, "recovery_threshold": 1});
        let answer = self.request(&first, "PUT", "sys/init", Some(request)).await.success();
        self.root_token = answer["root_token"].as_str().expect("sys/init answers with a token").to_owned();
        // With raft's default, a joined pod has no vote for ten seconds, and cannot become active.
        self.set_stabilization_time("1s").await;
        self.wait_all_ready().await;
        if stabilization_time != "1s" {
            self.set_stabilization_time(stabilization_time).await;
        }
    }

    async fn set_stabilization_time(&self, time: &str) {
        let autopilot = Some(json!({"server_stabilization_time": time}));
        let active = self.active().await;
        self.request(active, "POST", "sys/storage/raft/autopilot/configuration", autopilot).await.success();
    }
}

async fn create<Kind>(client: &Client, namespace: &str, manifest: Value)
where
    Kind: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    post(&Api::<Kind>::namespaced(client.clone(), namespace), manifest).await;
}

async fn create_global<Kind>(client: &Client, manifest: Value)
where
    Kind: Resource<Scope = ClusterResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    post(&Api::<Kind>::all(client.clone()), manifest).await;
}

async fn post<Kind>(api: &Api<Kind>, mut manifest: Value)
where
    Kind: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
{
    manifest["apiVersion"] = json!(Kind::api_version(&()));
    manifest["kind"] = json!(Kind::kind(&()));
    let object = serde_json::from_value(manifest).expect("the harness's manifests have the right form");
    api.create(&PostParams::default(), &object)
        .await
        .unwrap_or_else(|error| panic!("the cluster refuses a manifest of the harness: {error}"));
}
