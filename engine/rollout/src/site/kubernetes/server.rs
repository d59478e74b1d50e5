//! The servers of the pods, each by a port of this machine's loopback, and one port for whichever is active.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use vault_api::config_state::{ConfigState, ReadSanitized};
use vault_api::health::{Health, Product};
use vault_api::{Client, ClientConfig, Redirects, health, leader, mounts, seal_status};

use super::cluster::Cluster;
use super::error::{Asked, KubernetesError};
use super::forward::Forward;
use super::keeping::Door;
use crate::apply::chain;
use crate::observe::may_pass;
use crate::observed::PluginDirectory;
use crate::observed::site::{NodeName, NodeServer, Role, RunningVersion, Seal};

/// The servers of the pods.
#[derive(Debug)]
pub(super) struct Servers {
    cluster: Cluster,
    door: Door,
    vault: ClientConfig,
    active: Way,
    each: Mutex<BTreeMap<NodeName, Way>>,
}

/// A way to a server. The port stays the same when the pod behind it is made anew.
#[derive(Clone, Debug)]
struct Way {
    forward: Arc<Forward>,
    client: Client,
}

/// Another node takes over within seconds.
const LONGEST_ELECTION: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A server that takes longer to say what it is does not serve either.
const LONGEST_LOOK: Duration = Duration::from_secs(15);

impl Servers {
    pub(super) async fn new(
        cluster: Cluster,
        door: Door,
        vault: ClientConfig,
    ) -> Result<Self, KubernetesError> {
        let active = way(&cluster, door, &vault, None).await?;
        Ok(Self { cluster, door, vault, active, each: Mutex::default() })
    }

    /// Of the active server.
    pub(super) fn client(&self) -> &Client {
        &self.active.client
    }

    pub(super) async fn client_of(&self, node: &NodeName) -> Result<Client, KubernetesError> {
        let mut each = self.each.lock().await;
        if let Some(way) = each.get(node) {
            return Ok(way.client.clone());
        }
        let way = way(&self.cluster, self.door, &self.vault, Some(node.to_string())).await?;
        let client = way.client.clone();
        each.insert(node.clone(), way);
        Ok(client)
    }

    /// Opens a way to a pod once, for it is only said here what is missing when the cluster does not allow it.
    pub(super) async fn try_way(&self, node: &NodeName) -> Result<(), KubernetesError> {
        let (api, ports) = (self.cluster.pods(), [self.door.port]);
        match self.cluster.again(Asked::PORT_FORWARD, || api.portforward(node.as_str(), &ports)).await {
            Err(error) if error.is_of_all() => Err(error),
            // What concerns this pod alone is seen when it is looked at.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Leads to the active server; while there is none, to the first that may become it, which says so. One that is sealed
    /// says nothing else.
    pub(super) async fn find_active(&self, nodes: Vec<NodeName>) -> Result<(), KubernetesError> {
        let mut asking = JoinSet::new();
        for node in nodes {
            let client = self.client_of(&node).await?;
            asking.spawn(async move { (node, health(&client).await) });
        }
        let mut answers: BTreeMap<NodeName, Health> = BTreeMap::new();
        for (node, answer) in asking.join_all().await {
            if let Ok(answer) = answer {
                answers.insert(node, answer);
            }
        }
        let active = answers.iter().min_by_key(|(_, health)| (!is_active(health), health.sealed));
        if let Some((node, _)) = active {
            self.active.forward.lead_to(node.as_str());
        }
        Ok(())
    }

    /// What a server says of itself, or why it says nothing.
    pub(super) async fn look(&self, node: &NodeName) -> Result<NodeServer, String> {
        let client = self.client_of(node).await.map_err(|error| chain(&error))?;
        let health = health(&client).await?;
        let runs_plugins =
            is_active(&health) || health.performance_standby || health.product == Product::OpenBao;
        let (mut running, mut seal, mut applied_index) = (BTreeMap::new(), Seal::NotKnown, None);
        // Others would pass the question on, and the answer would be of the active one.
        if runs_plugins && !health.sealed {
            let asked = async {
                tokio::join!(
                    client.send(&mounts::List),
                    client.send(&seal_status::Read),
                    client.send(&leader::Read)
                )
            };
            if let Ok((listed, status, log)) = tokio::time::timeout(LONGEST_LOOK, asked).await {
                seal = match status {
                    Ok(status) if status.is_shamir() => Seal::Shamir,
                    Ok(_) => Seal::Auto,
                    Err(_) => Seal::NotKnown,
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
            role: if is_active(&health) { Role::Active } else { Role::Standby },
            sealed: health.sealed,
            version: health.version,
            running,
            seal,
            applied_index,
        })
    }

    /// Where the server says that its plugins are. While no node is active it says nothing of the kind, so it is asked again.
    pub(super) async fn plugin_directory(&self) -> PluginDirectory {
        let until = Instant::now() + LONGEST_ELECTION;
        loop {
            // One that is not active is not shown the token.
            let shown = match self.active.client.send(&health::Read).await {
                Ok(health) if is_active(&health) => self.active.client.send(&ReadSanitized).await.map(Some),
                Ok(_) => Ok(None),
                Err(error) => Err(error),
            };
            match shown {
                Ok(Some(ConfigState::Shown(config))) if config.plugin_directory.is_empty() => {
                    return PluginDirectory::NotConfigured;
                }
                Ok(Some(ConfigState::Shown(config))) => {
                    return PluginDirectory::At(PathBuf::from(config.plugin_directory));
                }
                Ok(Some(_)) => return PluginDirectory::NotShown,
                Ok(None) if Instant::now() < until => self.look_for_active().await,
                Err(error) if may_pass(&error) && Instant::now() < until => self.look_for_active().await,
                Ok(None) | Err(_) => return PluginDirectory::NotShown,
            }
        }
    }

    async fn look_for_active(&self) {
        tokio::time::sleep(LOOK_AGAIN).await;
        let nodes = self.each.lock().await.keys().cloned().collect();
        // Whether one was found is seen by the next question.
        let _led = self.find_active(nodes).await;
    }
}

async fn way(
    cluster: &Cluster,
    door: Door,
    vault: &ClientConfig,
    pod: Option<String>,
) -> Result<Way, KubernetesError> {
    let forward = Forward::open(cluster.clone(), door.port, pod).await?;
    let config = ClientConfig {
        address: format!("{}://{}", door.scheme, forward.address()),
        redirects: Redirects::Refuse,
        ..vault.clone()
    };
    let client = Client::new(&config).map_err(KubernetesError::Client)?;
    Ok(Way { forward: Arc::new(forward), client })
}

async fn health(client: &Client) -> Result<Health, String> {
    match tokio::time::timeout(LONGEST_LOOK, client.send(&health::Read)).await {
        Ok(answer) => answer.map_err(|error| chain(&error)),
        Err(_) => Err(format!("it took more than {} s", LONGEST_LOOK.as_secs())),
    }
}

fn is_active(health: &Health) -> bool {
    health.initialized && !health.sealed && !health.standby
}
