//! Clients of the servers, each through a forwarded port, and one for the active server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rollout::{
    NodeName, NodeRole, NodeServer, PluginDirectory, Poll, RunningVersion, SealType, error_chain,
    is_transient,
};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use vault_api::config_state::{ConfigState, ReadSanitized};
use vault_api::health::{Health, Product};
use vault_api::{Client, ClientConfig, RedirectPolicy, health, leader, mounts, seal_status};

use super::cluster::Cluster;
use super::error::{ApiRequest, KubernetesError};
use super::plugin_storage::VaultEndpoint;
use super::port_forward::PortForward;

/// The servers of the pods.
#[derive(Debug)]
pub(super) struct Servers {
    cluster: Cluster,
    endpoint: VaultEndpoint,
    client_config: ClientConfig,
    active: Tunnel,
    by_node: Mutex<BTreeMap<NodeName, Tunnel>>,
}

/// A connection to a server. The local port stays the same when the pod is recreated.
#[derive(Clone, Debug)]
struct Tunnel {
    forward: Arc<PortForward>,
    client: Client,
}

/// Timeout of an election, until an active server is found.
const FIND_ACTIVE_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Timeout of a health request. A server that takes longer does not serve either.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(15);

impl Servers {
    pub(super) async fn new(
        cluster: Cluster,
        endpoint: VaultEndpoint,
        client_config: ClientConfig,
    ) -> Result<Self, KubernetesError> {
        let active = open_tunnel(&cluster, endpoint, &client_config, None).await?;
        Ok(Self { cluster, endpoint, client_config, active, by_node: Mutex::default() })
    }

    /// The client of the active server.
    pub(super) fn client(&self) -> &Client {
        &self.active.client
    }

    pub(super) async fn node_client(&self, node: &NodeName) -> Result<Client, KubernetesError> {
        let mut by_node = self.by_node.lock().await;
        if let Some(tunnel) = by_node.get(node) {
            return Ok(tunnel.client.clone());
        }
        let tunnel =
            open_tunnel(&self.cluster, self.endpoint, &self.client_config, Some(node.to_string())).await?;
        let client = tunnel.client.clone();
        by_node.insert(node.clone(), tunnel);
        Ok(client)
    }

    /// Opens a port-forward to a pod once, to report a missing permission. Later connections can only fail.
    pub(super) async fn check_port_forward(&self, node: &NodeName) -> Result<(), KubernetesError> {
        let (api, ports) = (self.cluster.pods(), [self.endpoint.port]);
        match self.cluster.retry(ApiRequest::PORT_FORWARD, || api.portforward(node.as_str(), &ports)).await {
            Err(error) if error.is_cluster_wide() => Err(error),
            // A problem of this pod is reported when it is observed.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Connects the active client to the active server. Without an active server, connects to a server that can become active, and reports
    /// that it is not active; a sealed server is the last choice.
    pub(super) async fn find_active(&self, nodes: Vec<NodeName>) -> Result<(), KubernetesError> {
        let mut requests = JoinSet::new();
        for node in nodes {
            let client = self.node_client(&node).await?;
            requests.spawn(async move { (node, read_health(&client).await) });
        }
        let mut healths: BTreeMap<NodeName, Health> = BTreeMap::new();
        for (node, health) in requests.join_all().await {
            if let Ok(health) = health {
                healths.insert(node, health);
            }
        }
        let active = healths.iter().min_by_key(|(_, health)| (!is_active(health), health.sealed));
        if let Some((node, _)) = active {
            self.active.forward.retarget(node.as_str());
        }
        Ok(())
    }

    /// Reads the state of one server, with the mounts of these child namespaces, or why it could not be read.
    pub(super) async fn read_node_server(
        &self,
        node: &NodeName,
        namespaces: &BTreeSet<String>,
    ) -> Result<NodeServer, String> {
        let client = self.node_client(node).await.map_err(|error| error_chain(&error))?;
        let health = read_health(&client).await?;
        let runs_plugins =
            is_active(&health) || health.performance_standby || health.product == Product::OpenBao;
        let (mut running, mut seal, mut applied_index) = (BTreeMap::new(), SealType::Unknown, None);
        // Other servers would forward the request to the active one.
        if runs_plugins && !health.sealed {
            let requests = async {
                tokio::join!(
                    running_versions(&client, namespaces),
                    client.send(&seal_status::Read),
                    client.send(&leader::Read)
                )
            };
            if let Ok((mounted, status, log)) = tokio::time::timeout(HEALTH_TIMEOUT, requests).await {
                seal = match status {
                    Ok(status) if status.is_shamir() => SealType::Shamir,
                    Ok(_) => SealType::Auto,
                    Err(_) => SealType::Unknown,
                };
                applied_index = log.ok().and_then(|log| log.raft_applied_index);
                running = mounted;
            }
        }
        Ok(NodeServer {
            role: if is_active(&health) { NodeRole::Active } else { NodeRole::Standby },
            sealed: health.sealed,
            version: health.version,
            running,
            seal_type: seal,
            applied_index,
        })
    }

    /// Reads the plugin directory from the server. Waits while no node is active.
    pub(super) async fn plugin_directory(&self) -> PluginDirectory {
        let mut poll = Poll::every(POLL_INTERVAL, FIND_ACTIVE_TIMEOUT);
        loop {
            // The token is only sent to the active server.
            let shown = match self.active.client.send(&health::Read).await {
                Ok(health) if is_active(&health) => self.active.client.send(&ReadSanitized).await.map(Some),
                Ok(_) => Ok(None),
                Err(error) => Err(error),
            };
            match shown {
                Ok(Some(ConfigState::Available(config))) if config.plugin_directory.is_empty() => {
                    return PluginDirectory::NotConfigured;
                }
                Ok(Some(ConfigState::Available(config))) => {
                    return PluginDirectory::At(PathBuf::from(config.plugin_directory));
                }
                Ok(Some(_)) => return PluginDirectory::NotVisible,
                Ok(None) if !poll.timed_out() => {}
                Err(error) if is_transient(&error) && !poll.timed_out() => {}
                Ok(None) | Err(_) => return PluginDirectory::NotVisible,
            }
            poll.pause().await;
            let nodes = self.by_node.lock().await.keys().cloned().collect();
            // The next request shows whether an active node was found.
            let _found = self.find_active(nodes).await;
        }
    }
}

/// Reads what a server runs, by API path; nothing of a list that the token may not read.
async fn running_versions(
    client: &Client,
    namespaces: &BTreeSet<String>,
) -> BTreeMap<String, RunningVersion> {
    let mut running = BTreeMap::new();
    for namespace in std::iter::once("").chain(namespaces.iter().map(String::as_str)) {
        let client = client.in_namespace(namespace);
        let (mounts, auth_mounts) = tokio::join!(client.send(&mounts::List), client.send(&mounts::ListAuth));
        let auth_mounts = auth_mounts.unwrap_or_default().into_iter();
        let all = auth_mounts
            .map(|(path, mount)| (format!("auth/{path}"), mount))
            .chain(mounts.unwrap_or_default());
        running.extend(all.map(|(path, mount)| {
            let running = RunningVersion { version: mount.running_version, sha256: mount.running_sha256 };
            (format!("{namespace}{path}"), running)
        }));
    }
    running
}

async fn open_tunnel(
    cluster: &Cluster,
    endpoint: VaultEndpoint,
    client_config: &ClientConfig,
    pod: Option<String>,
) -> Result<Tunnel, KubernetesError> {
    let forward = PortForward::open(cluster.clone(), endpoint.port, pod).await?;
    let config = ClientConfig {
        address: format!("{}://{}", endpoint.scheme, forward.address()),
        redirects: RedirectPolicy::Refuse,
        ..client_config.clone()
    };
    let client = Client::new(&config).map_err(KubernetesError::Client)?;
    Ok(Tunnel { forward: Arc::new(forward), client })
}

async fn read_health(client: &Client) -> Result<Health, String> {
    match tokio::time::timeout(HEALTH_TIMEOUT, client.send(&health::Read)).await {
        Ok(health) => health.map_err(|error| error_chain(&error)),
        Err(_) => Err(format!("no response within {} s", HEALTH_TIMEOUT.as_secs())),
    }
}

fn is_active(health: &Health) -> bool {
    health.initialized && !health.sealed && !health.standby
}
