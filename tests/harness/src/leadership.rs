//! Records which Vault was active at what time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::Client;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{VaultPods, eventually, http_client};

/// Polling interval.
const POLL_INTERVAL: Duration = Duration::from_millis(150);

/// Time after which a pod without a response counts as gone.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Records which Vault is active, until it is dropped.
pub struct LeadershipRecorder {
    changes: Arc<Mutex<Vec<LeaderChange>>>,
    task: JoinHandle<()>,
}

/// An active Vault that is known to all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its pod.
    pub pod: String,
    /// Its start time as reported; another time is another election.
    pub since: String,
}

/// A change of the leader; `None` while no Vault is active or not all reachable pods know it.
struct LeaderChange {
    at: Instant,
    leader: Option<Leader>,
}

struct PodEndpoint {
    pod: String,
    local_url: String,
    network_url: String,
}

impl LeadershipRecorder {
    /// Starts recording and waits for the first leader.
    pub async fn start(pods: &VaultPods) -> LeadershipRecorder {
        let node = |pod: &str| PodEndpoint {
            pod: pod.to_owned(),
            local_url: pods.url(pod),
            network_url: pods.url_in_network(pod),
        };
        let nodes: Vec<PodEndpoint> = pods.names().into_iter().map(node).collect();
        let changes = Arc::<Mutex<Vec<LeaderChange>>>::default();
        let task = tokio::spawn(poll(http_client::with_ca(pods.ca_file()), nodes, Arc::clone(&changes)));
        let watching = LeadershipRecorder { changes, task };
        eventually("a Vault is active and all others know it", async || watching.current()).await;
        watching
    }

    /// The currently active Vault.
    pub fn current(&self) -> Option<Leader> {
        self.changes.lock().last()?.leader.clone()
    }

    /// All leaders from `since` on, in order.
    pub fn leaders_since(&self, since: Instant) -> Vec<Leader> {
        let changes = self.changes.lock();
        let first = changes.iter().rposition(|change| change.at <= since).unwrap_or_default();
        let mut leaders: Vec<Leader> =
            changes[first..].iter().filter_map(|change| change.leader.clone()).collect();
        leaders.dedup();
        leaders
    }

    /// Time at which a leader other than `before` was first seen.
    pub fn taken_over_at(&self, before: &Leader) -> Option<Instant> {
        let is_another =
            |change: &&LeaderChange| change.leader.as_ref().is_some_and(|leader| leader != before);
        self.changes.lock().iter().find(is_another).map(|change| change.at)
    }
}

impl Drop for LeadershipRecorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn poll(http: Client, nodes: Vec<PodEndpoint>, changes: Arc<Mutex<Vec<LeaderChange>>>) {
    loop {
        let leader = leader(&http, &nodes).await;
        record(&changes, leader);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn record(changes: &Mutex<Vec<LeaderChange>>, leader: Option<Leader>) {
    let mut changes = changes.lock();
    if changes.last().is_none_or(|last| last.leader != leader) {
        changes.push(LeaderChange { at: Instant::now(), leader });
    }
}

async fn leader(http: &Client, nodes: &[PodEndpoint]) -> Option<Leader> {
    let mut answers = Vec::new();
    for node in nodes {
        if let Some(answer) = read_leader(http, node).await {
            answers.push((node, answer));
        }
    }
    let (active, said) = answers.iter().find(|(_, answer)| answer["is_self"] == true)?;
    let knows = |answer: &Value| answer["leader_address"] == active.network_url.as_str();
    // A pod that has just started does not know the leader yet.
    let all_know = answers.iter().all(|(_, answer)| knows(answer));
    all_know.then(|| Leader { pod: active.pod.clone(), since: said["active_time"].to_string() })
}

/// State of an unsealed Vault.
async fn read_leader(http: &Client, node: &PodEndpoint) -> Option<Value> {
    let request = http.get(format!("{}/v1/sys/leader", node.local_url)).timeout(REQUEST_TIMEOUT);
    let answer = request.send().await.ok()?.error_for_status().ok()?;
    serde_json::from_slice(&answer.bytes().await.ok()?).ok()
}
