//! Runs against a server and nodes that are simulated in this process.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};
use vault_api::health::Product;
use vault_api::testing::ReceivedRequest;
use vault_api::{Client, ClientConfig};

use super::*;
use crate::binary::Binary;
use crate::decide::plan;
use crate::decide::samples::{SHA, old_fleet, restart_step, simulate, upgrade};
use crate::deployment::{CopyProgress, Deployment, DeploymentError, Query};
use crate::goal::{Canary, SmokeTest, UpgradeGoal};
use crate::observe::ConnectionMode;
use crate::observed::deployment::{DeploymentObserved, NodeObserved};
use crate::step::UnreadyPodPolicy;

mod changed_meanwhile;
mod interrupted_step;
mod undo;

/// A cluster of three OpenBao nodes that run `custom`: its server, and its deployment.
#[derive(Clone, Debug)]
struct FakeCluster(Arc<Mutex<FakeState>>);

#[derive(Debug)]
struct FakeState {
    observed: Observed,
    /// The requests that have changed something.
    changes: Vec<String>,
    /// How many tunes are executed without a response, because the active node fails. The next one starts the configured version.
    dropped_responses: usize,
    /// Changes that were made without the lock.
    changes_without_lock: Vec<String>,
    /// The held lock, to which its loss is sent.
    lock: Option<watch::Sender<Option<LockLost>>>,
    /// Number of the change after which the lock is lost.
    lock_lost_after: Option<usize>,
    /// In how many observations after the first change a standby does not report what it runs.
    silent_observations: usize,
    /// In how many of them the failed node is absent.
    absent_observations: usize,
    /// After how many changes it is absent.
    absent_after: usize,
    /// In how many observations after the first change the server does not respond.
    unanswered_observations: usize,
    /// How many reloads have no effect.
    ignored_reloads: usize,
    /// The leases that are not revoked; `None` if the plugin issues no credentials.
    leases: Option<BTreeSet<String>>,
    /// How many requests about leases reach the failed node, which has returned sealed.
    sealed_responses: usize,
    /// How many revocations fail.
    failing_revocations: usize,
    /// The raft servers, while autopilot is off; `None` if the storage is not raft.
    raft: Option<Value>,
}

impl FakeCluster {
    /// A cluster that runs `custom` 1.0.0, with 1.2.3 installed and registered.
    fn new() -> Self {
        let mut observed = old_fleet();
        observed.server.product = Product::OpenBao;
        observed.consumers.remove("team/");
        let planned = plan(&observed, &goal()).expect("a plan");
        let observed = simulate(&observed, &planned.steps[..2]).observed;
        let state = FakeState {
            observed,
            changes: Vec::new(),
            changes_without_lock: Vec::new(),
            lock: None,
            lock_lost_after: None,
            dropped_responses: 0,
            silent_observations: 0,
            absent_observations: 0,
            absent_after: 1,
            unanswered_observations: 0,
            ignored_reloads: 0,
            leases: None,
            sealed_responses: 0,
            failing_revocations: 0,
            raft: None,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn with_state<T>(&self, then: impl FnOnce(&mut FakeState) -> T) -> T {
        then(&mut self.0.lock().expect("no test has panicked with it"))
    }

    /// Starts the server, and returns the environment of a run.
    fn environment(&self) -> Environment {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let cluster = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                cluster.serve(stream);
            }
        });
        let config = ClientConfig { max_retries: 0, ..ClientConfig::new(address) };
        Environment {
            client: Client::new(&config).expect("a client"),
            deployment: Some(Arc::new(self.clone()) as Arc<dyn Deployment>),
            connection_mode: ConnectionMode::PortForward,
        }
    }

    /// Serves one request per connection. A lost request has no response.
    fn serve(&self, mut stream: TcpStream) {
        let ReceivedRequest { method, path, body } = ReceivedRequest::read(&stream);
        if let Some((status, response)) = self.with_state(|state| state.respond(&method, &path, &body)) {
            let response = response.to_string();
            let head =
                format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}", response.len());
            write!(stream, "{head}\r\n\r\n{response}").expect("a connection");
        }
    }
}

impl FakeState {
    fn record_change(&mut self, change: String) {
        if self.lock.is_none() {
            self.changes_without_lock.push(change.clone());
        }
        self.changes.push(change);
        if let Some(lock) = self.lock.as_ref().filter(|_| self.lock_lost_after == Some(self.changes.len())) {
            lock.send_replace(Some(LockLost::Taken { holder: "alice".into() }));
        }
    }

    fn apply_step(&mut self, step: &Step) {
        self.observed = self.observed.after(step, &Progress::default());
    }

    fn respond(&mut self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        if method != "GET" && !path.starts_with("sys/capabilities") {
            self.record_change(format!("{method} {path} {body}"));
        }
        let endpoint = path.split('?').next().unwrap_or_default();
        let response = match (method, endpoint) {
            (_, "sys/health") if self.unanswered_observations > 0 && !self.changes.is_empty() => {
                self.unanswered_observations -= 1;
                return None;
            }
            (_, "sys/health") => {
                json!({"initialized": true, "sealed": false, "standby": false, "version": "2.4.0"})
            }
            (_, "sys/config/state/sanitized") => json!({"data": {"plugin_directory": "/vault/plugins"}}),
            ("GET", "sys/auth") => json!({"data": {}}),
            ("GET", "sys/mounts") => {
                let mounts = self
                    .observed
                    .consumers
                    .keys()
                    .map(|path| (path.to_string(), self.mount_json(path.as_str())));
                json!({"data": mounts.collect::<serde_json::Map<_, _>>()})
            }
            ("GET", "sys/plugins/catalog") => {
                let entries = self.observed.catalog.iter().map(|entry| {
                    json!({"type": "secret", "name": entry.name, "version": entry.version, "sha256": entry.sha256})
                });
                json!({"data": {"detailed": entries.collect::<Vec<_>>()}})
            }
            ("GET", "sys/plugins/catalog/secret/custom") => {
                let version = path.rsplit_once("version=").map_or("", |(_, version)| version);
                let entry = self.observed.catalog.iter().find(|entry| entry.version == version)?;
                json!({"data": {"name": "custom", "version": version, "command": entry.command, "args": [], "sha256": entry.sha256}})
            }
            ("DELETE", "sys/plugins/catalog/secret/custom") => {
                let version = path.rsplit_once("version=").map_or("", |(_, version)| version);
                self.observed.catalog.retain(|entry| entry.version != version);
                json!({})
            }
            ("GET", "sys/storage/raft/autopilot/state") if self.raft.is_some() => {
                return Some((404, json!({"errors": []})));
            }
            ("GET", "sys/storage/raft/configuration") => {
                json!({"data": {"config": {"servers": self.raft.clone()?}}})
            }
            ("POST", "sys/leases/lookup" | "sys/leases/revoke") if self.sealed_responses > 0 => {
                self.sealed_responses -= 1;
                return Some((503, json!({"errors": ["Vault is sealed"]})));
            }
            ("GET", "custom/creds/dev") if self.leases.is_some() => {
                let leases = self.leases.as_mut()?;
                let id = format!("custom/creds/dev/{}", leases.len());
                leases.insert(id.clone());
                json!({"lease_id": id, "lease_duration": 60, "renewable": false, "data": {"token": "t"}})
            }
            ("POST", "sys/leases/lookup") => {
                if !self.leases.as_ref()?.contains(body["lease_id"].as_str()?) {
                    return Some((400, json!({"errors": ["invalid lease"]})));
                }
                json!({"data": {"id": body["lease_id"], "ttl": 60}})
            }
            ("POST", "sys/leases/revoke") if self.failing_revocations > 0 => {
                self.failing_revocations -= 1;
                return Some((500, json!({"errors": ["the upstream does not respond"]})));
            }
            ("POST", "sys/leases/revoke") => {
                self.leases.as_mut()?.remove(body["lease_id"].as_str()?);
                return Some((204, Value::Null));
            }
            ("GET", "sys/mounts/custom") => json!({"data": self.mount_json("custom/")}),
            ("POST", "sys/mounts/custom/tune") => {
                let to = body["plugin_version"].as_str()?.parse().ok()?;
                self.apply_step(&Step::TuneMount { path: custom_mount(), from: String::new(), to });
                if self.dropped_responses > 0 {
                    self.dropped_responses -= 1;
                    self.apply_step(&Step::ReloadMount { path: custom_mount() });
                    return None;
                }
                json!({})
            }
            ("POST", "sys/plugins/reload/backend") if self.ignored_reloads > 0 => {
                self.ignored_reloads -= 1;
                json!({})
            }
            ("POST", "sys/plugins/reload/backend") => {
                self.apply_step(&Step::ReloadMount { path: custom_mount() });
                json!({})
            }
            _ => return Some((404, json!({"errors": ["unsupported path"]}))),
        };
        Some((200, response))
    }

    fn mount_json(&self, path: &str) -> Value {
        let mount = &self.observed.consumers[path];
        json!({
            "type": mount.plugin, "plugin_version": mount.configured_version,
            "running_plugin_version": mount.running_version, "running_sha256": mount.running_sha256,
        })
    }
}

#[async_trait]
impl Deployment for FakeCluster {
    async fn find_active(&self) -> Result<(), DeploymentError> {
        Ok(())
    }

    fn follows_active_node(&self) -> bool {
        self.with_state(|state| state.raft.is_some())
    }

    async fn verify_image_pull(&self, _image: &str) -> Result<Option<String>, DeploymentError> {
        Ok(None)
    }

    async fn observe(&self, _query: &Query) -> Result<DeploymentObserved, DeploymentError> {
        self.with_state(|state| {
            let mut deployment = state.observed.deployment.clone().expect("a deployment");
            let is_absent = state.changes.len() >= state.absent_after;
            if state.dropped_responses == 0 && state.absent_observations > 0 && is_absent {
                state.absent_observations -= 1;
                deployment
                    .nodes
                    .insert(NodeName::new("vault-2"), NodeObserved::not_ready("the pod has failed"));
            }
            if state.silent_observations > 0 && state.changes.len() > 1 {
                state.silent_observations -= 1;
                let node = deployment.nodes.get_mut(&NodeName::new("vault-1")).expect("a node");
                node.server.as_mut().expect("a server").running.clear();
            }
            Ok(deployment)
        })
    }

    async fn copy(
        &self,
        _binary: &Binary,
        _file: &str,
        _nodes: &[NodeName],
        _progress: UnboundedSender<CopyProgress>,
    ) -> Result<(), DeploymentError> {
        Err(DeploymentError::Unsupported { deployment: "a simulated cluster", operation: "copy" })
    }

    async fn logs(
        &self,
    ) -> Result<std::collections::BTreeMap<NodeName, Result<String, String>>, DeploymentError> {
        Err(DeploymentError::Unsupported { deployment: "a simulated cluster", operation: "show logs" })
    }

    async fn remove(&self, file: &str, nodes: &[NodeName]) -> Result<(), DeploymentError> {
        self.with_state(|state| {
            state.record_change(format!("remove {file}"));
            let directory = "/vault/plugins".into();
            state.apply_step(&Step::RemoveBinary { nodes: nodes.to_vec(), directory, file: file.to_owned() });
        });
        Ok(())
    }

    async fn node_client(&self, _node: &NodeName) -> Result<Option<Client>, DeploymentError> {
        Ok(None)
    }

    async fn acquire_lock(&self) -> Result<LeaseLock, DeploymentError> {
        let (lose, lost) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        if self.with_state(|state| state.lock.replace(lose)).is_some() {
            return Err(DeploymentError::Other("alice is changing plugins of this deployment".into()));
        }
        let cluster = self.clone();
        let task = tokio::spawn(async move {
            let _released_or_dropped = stopped.await;
            cluster.with_state(|state| state.lock = None);
        });
        Ok(LeaseLock::with_renew_task(task, stop, lost))
    }

    async fn restart_node(
        &self,
        node: &NodeName,
        uid: &str,
        unready: UnreadyPodPolicy,
    ) -> Result<(), DeploymentError> {
        let step = Step::RestartNode { node: node.clone(), uid: Some(uid.to_owned()), unready };
        self.with_state(|state| state.apply_step(&step));
        Ok(())
    }

    async fn set_init_image(
        &self,
        _image: &str,
        _files: Option<&BTreeSet<String>>,
    ) -> Result<(), DeploymentError> {
        Err(DeploymentError::Unsupported { deployment: "a simulated cluster", operation: "set an image" })
    }
}

fn running_version(cluster: &FakeCluster) -> String {
    cluster.with_state(|state| state.observed.consumers["custom/"].running_version.clone())
}

fn custom_mount() -> Consumer {
    "custom".parse().expect("a path")
}

/// Upgrades `custom/` to 1.2.3, and smoke-tests it.
fn goal() -> Goal {
    upgrade_with_smoke_tests(vec![smoke_test()])
}

fn smoke_test() -> SmokeTest {
    SmokeTest { mount: custom_mount(), request: "creds/dev".into() }
}

fn upgrade_with_smoke_tests(smoke_tests: Vec<SmokeTest>) -> Goal {
    Goal::Upgrade(Box::new(UpgradeGoal { canary: Canary::Skip, smoke_tests, ..upgrade() }))
}

/// Without autopilot it does not become a voter, as with OpenBao's `retry_join_as_non_voter`.
#[tokio::test]
async fn a_raft_server_that_has_no_vote_while_autopilot_is_off_is_not_waited_for() {
    let cluster = FakeCluster::new();
    let server = |id: usize, voter| json!({"node_id": format!("vault-{id}"), "address": format!("vault-{id}:8201"), "voter": voter});
    let servers = |third| json!([server(0, true), server(1, true), server(2, third)]);
    cluster.with_state(|state| state.raft = Some(servers(false)));
    let goal = upgrade_with_smoke_tests(Vec::new());
    let environment = cluster.environment();
    let observed = observe(&environment, Some(&goal)).await.expect("observed");
    assert_eq!(crate::decide::failover_blocker(&observed), None);
    let stop = |observed: &Observed| plan(observed, &goal).expect_err("two voters are left").to_string();
    assert!(stop(&observed).contains("it is one of 2 raft voters"), "{}", stop(&observed));
    cluster.with_state(|state| state.raft = Some(servers(true)));
    let observed = observe(&environment, Some(&goal)).await.expect("observed");
    assert!(plan(&observed, &goal).is_ok());
}
