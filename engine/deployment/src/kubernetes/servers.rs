//! The servers of the pods, each by a port of this machine's loopback, and one port for whichever is active.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rollout::{
    NodeName, NodeRole, NodeServer, PluginDirectory, RunningVersion, SealType, error_chain, is_transient,
};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
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

/// A way to a server. The port stays the same when the pod behind it is made anew.
#[derive(Clone, Debug)]
struct Tunnel {
    forward: Arc<PortForward>,
    client: Client,
}

/// Another node takes over within seconds.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A server that takes longer to say what it is does not serve either.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(15);

impl Servers {
    pub(super) async fn new(
        cluster: Cluster,
        door: VaultEndpoint,
        vault: ClientConfig,
    ) -> Result<Self, KubernetesError> {
        let active = open_tunnel(&cluster, door, &vault, None).await?;
        Ok(Self { cluster, endpoint: door, client_config: vault, active, by_node: Mutex::default() })
    }

    /// Of the active server.
    pub(super) fn client(&self) -> &Client {
        &self.active.client
    }

    pub(super) async fn node_client(&self, node: &NodeName) -> Result<Client, KubernetesError> {
        let mut each = self.by_node.lock().await;
        if let Some(way) = each.get(node) {
            return Ok(way.client.clone());
        }
        let way =
            open_tunnel(&self.cluster, self.endpoint, &self.client_config, Some(node.to_string())).await?;
        let client = way.client.clone();
        each.insert(node.clone(), way);
        Ok(client)
    }

    /// Opens a way to a pod once, for it is only said here what is missing when the cluster does not allow it.
    pub(super) async fn check_port_forward(&self, node: &NodeName) -> Result<(), KubernetesError> {
        let (api, ports) = (self.cluster.pods(), [self.endpoint.port]);
        match self.cluster.retry(ApiRequest::PORT_FORWARD, || api.portforward(node.as_str(), &ports)).await {
            Err(error) if error.is_cluster_wide() => Err(error),
            // What concerns this pod alone is seen when it is looked at.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Leads to the active server; while there is none, to the first that may become it, which says so. One that is sealed
    /// says nothing else.
    pub(super) async fn find_active(&self, nodes: Vec<NodeName>) -> Result<(), KubernetesError> {
        let mut asking = JoinSet::new();
        for node in nodes {
            let client = self.node_client(&node).await?;
            asking.spawn(async move { (node, read_health(&client).await) });
        }
        let mut answers: BTreeMap<NodeName, Health> = BTreeMap::new();
        for (node, answer) in asking.join_all().await {
            if let Ok(answer) = answer {
                answers.insert(node, answer);
            }
        }
        let active = answers.iter().min_by_key(|(_, health)| (!is_active(health), health.sealed));
        if let Some((node, _)) = active {
            self.active.forward.retarget(node.as_str());
        }
        Ok(())
    }

    /// What a server says of itself, or why it says nothing.
    pub(super) async fn read_node_server(&self, node: &NodeName) -> Result<NodeServer, String> {
        let client = self.node_client(node).await.map_err(|error| error_chain(&error))?;
        let health = read_health(&client).await?;
        let runs_plugins =
            is_active(&health) || health.performance_standby || health.product == Product::OpenBao;
        let (mut running, mut seal, mut applied_index) = (BTreeMap::new(), SealType::Unknown, None);
        // Others would pass the question on, and the answer would be of the active one.
        if runs_plugins && !health.sealed {
            let asked = async {
                tokio::join!(
                    client.send(&mounts::List),
                    client.send(&seal_status::Read),
                    client.send(&leader::Read)
                )
            };
            if let Ok((listed, status, log)) = tokio::time::timeout(HEALTH_TIMEOUT, asked).await {
                seal = match status {
                    Ok(status) if status.is_shamir() => SealType::Shamir,
                    Ok(_) => SealType::Auto,
                    Err(_) => SealType::Unknown,
                };
                applied_index = log.ok().and_then(|log| log.raft_applied_index);
                running = listed
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(path, mount)| {
                        (
                            path,
                            RunningVersion { version: mount.running_version, sha256: mount.running_sha256 },
                        )
                    })
                    .collect();
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

    /// Where the server says that its plugins are. While no node is active it says nothing of the kind, so it is asked again.
    pub(super) async fn plugin_directory(&self) -> PluginDirectory {
        let until = Instant::now() + ELECTION_TIMEOUT;
        loop {
            // One that is not active is not shown the token.
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
                Ok(None) if Instant::now() < until => self.retry_find_active().await,
                Err(error) if is_transient(&error) && Instant::now() < until => {
                    self.retry_find_active().await;
                }
                Ok(None) | Err(_) => return PluginDirectory::NotVisible,
            }
        }
    }

    async fn retry_find_active(&self) {
        tokio::time::sleep(POLL_INTERVAL).await;
        let nodes = self.by_node.lock().await.keys().cloned().collect();
        // Whether one was found is seen by the next question.
        let _led = self.find_active(nodes).await;
    }
}

async fn open_tunnel(
    cluster: &Cluster,
    door: VaultEndpoint,
    vault: &ClientConfig,
    pod: Option<String>,
) -> Result<Tunnel, KubernetesError> {
    let forward = PortForward::open(cluster.clone(), door.port, pod).await?;
    let config = ClientConfig {
        address: format!("{}://{}", door.scheme, forward.address()),
        redirects: RedirectPolicy::Refuse,
        ..vault.clone()
    };
    let client = Client::new(&config).map_err(KubernetesError::Client)?;
    Ok(Tunnel { forward: Arc::new(forward), client })
}

async fn read_health(client: &Client) -> Result<Health, String> {
    match tokio::time::timeout(HEALTH_TIMEOUT, client.send(&health::Read)).await {
        Ok(answer) => answer.map_err(|error| error_chain(&error)),
        Err(_) => Err(format!("it took more than {} s", HEALTH_TIMEOUT.as_secs())),
    }
}

fn is_active(health: &Health) -> bool {
    health.initialized && !health.sealed && !health.standby
}
