//! Which Vault was active at what time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{VaultPods, eventually, http_client};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(150);

/// How long a pod may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Records which Vault is active, until it is dropped.
pub struct Leadership {
    changes: Arc<Mutex<Vec<Change>>>,
    task: JoinHandle<()>,
}

/// An active Vault that all others know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its pod.
    pub pod: String,
    /// Since when, as it says itself: another time is another election.
    pub since: String,
}

/// A change of the leader; `None` while no Vault is active or not all reachable pods know it.
struct Change {
    at: Instant,
    leader: Option<Leader>,
}

struct Node {
    pod: String,
    here: String,
    in_network: String,
}

impl Leadership {
    /// Starts recording and waits for the first leader.
    pub async fn watch(pods: &VaultPods) -> Leadership {
        let node = |pod: &str| Node {
            pod: pod.to_owned(),
            here: pods.url(pod),
            in_network: pods.url_in_network(pod),
        };
        let nodes: Vec<Node> = pods.names().into_iter().map(node).collect();
        let changes = Arc::<Mutex<Vec<Change>>>::default();
        let task = tokio::spawn(look(http_client::trusting(pods.ca_file()), nodes, Arc::clone(&changes)));
        let watching = Leadership { changes, task };
        eventually("a Vault is active and all others know it", async || watching.now()).await;
        watching
    }

    /// Who is active now.
    pub fn now(&self) -> Option<Leader> {
        lock(&self.changes).last()?.leader.clone()
    }

    /// All leaders from `since` on, in order.
    pub fn leaders_since(&self, since: Instant) -> Vec<Leader> {
        let changes = lock(&self.changes);
        let first = changes.iter().rposition(|change| change.at <= since).unwrap_or_default();
        let mut leaders: Vec<Leader> =
            changes[first..].iter().filter_map(|change| change.leader.clone()).collect();
        leaders.dedup();
        leaders
    }

    /// Time at which another leader than `before` was first seen.
    pub fn taken_over(&self, before: &Leader) -> Option<Instant> {
        let is_another = |change: &&Change| change.leader.as_ref().is_some_and(|leader| leader != before);
        lock(&self.changes).iter().find(is_another).map(|change| change.at)
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(http: Client, nodes: Vec<Node>, changes: Arc<Mutex<Vec<Change>>>) {
    loop {
        let leader = leader(&http, &nodes).await;
        note(&changes, leader);
        tokio::time::sleep(PAUSE).await;
    }
}

fn note(changes: &Mutex<Vec<Change>>, leader: Option<Leader>) {
    let mut changes = lock(changes);
    if changes.last().is_none_or(|last| last.leader != leader) {
        changes.push(Change { at: Instant::now(), leader });
    }
}

async fn leader(http: &Client, nodes: &[Node]) -> Option<Leader> {
    let mut answers = Vec::new();
    for node in nodes {
        if let Some(answer) = ask(http, node).await {
            answers.push((node, answer));
        }
    }
    let (active, said) = answers.iter().find(|(_, answer)| answer["is_self"] == true)?;
    let knows = |answer: &Value| answer["leader_address"] == active.in_network.as_str();
    // A pod that has just started does not know the leader yet.
    let all_know = answers.iter().all(|(_, answer)| knows(answer));
    all_know.then(|| Leader { pod: active.pod.clone(), since: said["active_time"].to_string() })
}

/// What an unsealed Vault says.
async fn ask(http: &Client, node: &Node) -> Option<Value> {
    let request = http.get(format!("{}/v1/sys/leader", node.here)).timeout(PATIENCE);
    let answer = request.send().await.ok()?.error_for_status().ok()?;
    serde_json::from_slice(&answer.bytes().await.ok()?).ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
