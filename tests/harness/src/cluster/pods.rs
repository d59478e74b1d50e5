//! A namespace with Vaults in pods: a raft cluster that unseals itself, and the operations of tests on it.

mod builder;
mod manifests;
mod processes;
mod start;
mod teardown;

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition, PodStatus};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{AttachParams, DeleteParams, LogParams, Patch, PatchParams};
use kube::{Api, Client};
use reqwest::Client as HttpClient;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

pub use self::builder::{ImageKind, PluginVolume, RunsAs, Transport, UpdateStrategy, VaultPodsBuilder};
pub(super) use self::start::start_unsealer;

use crate::cluster::Cluster;
use crate::network::PortForward;
use crate::output::Output;
use crate::program::Program;
use crate::{ApiResponse, VaultServer, eventually, process};

/// The name of the StatefulSet, of the headless service, of the container, and of the label `app.kubernetes.io/name`.
pub(crate) const STATEFUL_SET_NAME: &str = "vault";

/// Path of the plugin directory in every pod.
pub(crate) const PLUGIN_DIRECTORY: &str = "/vault/plugins";

/// The name of the pods' disruption budget.
const DISRUPTION_BUDGET_NAME: &str = "keep-quorum";

/// Maximum run time of a command in a pod.
const EXEC_TIMEOUT: Duration = Duration::from_secs(180);

/// Maximum run time of a program that works on pods. It copies its plugin to each pod and reads it back, while other tests start their
/// pods.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(600);

/// Maximum run time of a tool of this machine in the mount namespace of a pod.
const TOOL_TIMEOUT: Duration = Duration::from_secs(60);

/// A namespace with Vault pods. Dropping it deletes the namespace without waiting. If the test fails then, the logs of its pods and of the
/// cluster are kept, and the line `logs kept: PATH` shows where.
pub struct VaultPods {
    cluster: &'static Cluster,
    client: Client,
    namespace: String,
    plugin_volume: PluginVolume,
    transport: Transport,
    runs_as: RunsAs,
    members: Vec<PodMember>,
    http: HttpClient,
    ca_file: Option<PathBuf>,
    root_token: String,
    /// The Vault that unseals the pods, if they do not share that of the cluster.
    own_unsealer: Option<VaultServer>,
    directory: TempDir,
}

/// A planned pod.
struct PodMember {
    name: String,
    address: Ipv4Addr,
    /// A port on this machine's loopback that forwards to its Vault.
    forward: PortForward,
}

/// Timeout of a health request to a pod. The kernel repeats a connection attempt to a pod without an address only after 1, 3, 7, … 63 and
/// 127 seconds; a longer timeout would miss what happens in between.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

impl VaultPods {
    /// The defaults: three pods with an emptyDir as plugin directory, an image with a shell, `OnDelete`, plain HTTP, and root as user.
    pub fn builder(cluster: &'static Cluster) -> VaultPodsBuilder {
        VaultPodsBuilder::new(cluster)
    }

    /// The cluster that they are in.
    pub fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    /// A client of the API server, as administrator.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The namespace, a new one per set of pods.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Name of the StatefulSet, and of the container in its pods.
    pub fn stateful_set(&self) -> &str {
        STATEFUL_SET_NAME
    }

    /// Names of the pods that the StatefulSet was made with or scaled to, in order.
    pub fn names(&self) -> Vec<&str> {
        self.members.iter().map(|member| &*member.name).collect()
    }

    /// A pod's address in the network of the cluster. A recreated pod keeps it.
    pub fn address(&self, pod: &str) -> Ipv4Addr {
        self.member(pod).address
    }

    /// The URL of a pod's Vault on this machine, without a trailing slash.
    pub fn url(&self, pod: &str) -> String {
        format!("{}://{}", self.transport.scheme(), self.member(pod).forward.address())
    }

    /// The URL of a pod's Vault in the network of the cluster, without a trailing slash.
    pub fn url_in_network(&self, pod: &str) -> String {
        format!("{}://{}:8200", self.transport.scheme(), self.address(pod))
    }

    /// The file with the CA of the certificates on this machine, if they use TLS.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// The root token.
    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The Vault outside of the pods that unseals them. While it is stopped, a pod that restarts stays sealed.
    ///
    /// # Panics
    ///
    /// If they share the unsealer; see [`VaultPodsBuilder::own_unsealer`].
    pub fn unsealer(&mut self) -> &mut VaultServer {
        self.own_unsealer.as_mut().expect("these pods were built with an unsealer of their own")
    }

    /// Sends a request to a pod's Vault with the root token; `path` is what follows `/v1/`. A standby forwards it.
    ///
    /// # Panics
    ///
    /// If there is no response.
    pub async fn request(&self, pod: &str, method: &str, path: &str, body: Option<Value>) -> ApiResponse {
        self.send(pod, method, path, body)
            .await
            .unwrap_or_else(|error| panic!("{pod}: {method} {path}: {error}"))
    }

    /// The status of `sys/health`: 200 active, 429 standby, 503 sealed; `None` without a response.
    pub async fn health(&self, pod: &str) -> Option<u16> {
        let answer = timeout(HEALTH_TIMEOUT, self.send(pod, "GET", "sys/health", None)).await;
        Some(answer.ok()?.ok()?.status)
    }

    /// The pod whose Vault is active. Waits until there is one.
    pub async fn active(&self) -> &str {
        eventually("a pod is active", async || {
            for member in &self.members {
                if self.health(&member.name).await == Some(200) {
                    return Ok(&*member.name);
                }
            }
            Err(self.health_summary().await)
        })
        .await
    }

    /// The pods whose Vaults stand by.
    pub async fn standbys(&self) -> Vec<&str> {
        let mut standbys = Vec::new();
        for member in &self.members {
            if self.health(&member.name).await == Some(429) {
                standbys.push(&*member.name);
            }
        }
        standbys
    }

    /// Waits until every pod is ready, one Vault is active, and all others stand by and can take its place.
    pub async fn wait_all_ready(&self) {
        for member in &self.members {
            self.wait_ready(&member.name).await;
        }
        let others = self.members.len() - 1;
        eventually("one pod is active and the others stand by", async || {
            if self.standbys().await.len() == others { Ok(()) } else { Err(self.health_summary().await) }
        })
        .await;
        let active = self.active().await;
        eventually("all pods have a vote", async || {
            let reply = self.send(active, "GET", "sys/storage/raft/configuration", None).await;
            let body = reply.map_err(|error| error.to_string())?.body;
            let servers = &body["data"]["config"]["servers"];
            let has_vote = |server: &Value, pod: &str| server["node_id"] == pod && server["voter"] == true;
            let votes = |pod: &str| servers.as_array().into_iter().flatten().any(|it| has_vote(it, pod));
            if self.names().into_iter().all(votes) { Ok(()) } else { Err(body.to_string()) }
        })
        .await;
    }

    /// Waits until a pod is ready, that is unsealed.
    pub async fn wait_ready(&self, pod: &str) {
        eventually(&format!("{pod} is ready"), async || {
            let found = self.pods().get_opt(pod).await.map_err(|error| error.to_string())?;
            let status = found.ok_or("there is no such pod")?.status.unwrap_or_default();
            let ready = |it: &PodCondition| it.type_ == "Ready" && it.status == "True";
            if status.conditions.iter().flatten().any(ready) {
                Ok(())
            } else {
                Err(not_ready_reason(&status))
            }
        })
        .await;
    }

    /// The response of `sys/health` of every pod, for the message of a wait that fails.
    async fn health_summary(&self) -> String {
        let mut seen = Vec::new();
        for member in &self.members {
            let health = self.health(&member.name).await;
            let health = health.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            seen.push(format!("{}: {health}", member.name));
        }
        seen.join(", ")
    }

    /// Makes the active Vault step down, and waits until another one is active and known to all. Returns its pod.
    pub async fn step_down(&self) -> &str {
        let before = self.active().await;
        self.request(before, "PUT", "sys/step-down", None).await.success();
        eventually("another pod is active and all know it", async || {
            let now = self.active().await;
            if now == before {
                return None;
            }
            let leader = self.url_in_network(now);
            for member in &self.members {
                let reply = self.send(&member.name, "GET", "sys/leader", None).await.ok()?;
                if reply.body["leader_address"] != leader.as_str() {
                    return None;
                }
            }
            Some(now)
        })
        .await
    }

    /// Seals a pod's Vault, which must be the active one.
    pub async fn seal(&self, pod: &str) {
        self.request(pod, "PUT", "sys/seal", None).await.success();
        eventually("it is sealed", async || (self.health(pod).await == Some(503)).then_some(())).await;
    }

    /// Deletes a pod, as `kubectl delete pod` does. Waits until the next pod of this name exists, not until it is ready.
    pub async fn delete(&self, pod: &str) {
        let before = self.uid(pod).await;
        self.pods().delete(pod, &DeleteParams::default()).await.expect("a pod can be deleted");
        eventually(&format!("{pod} is made again"), async || {
            let now = self.uid(pod).await;
            (now.is_some() && now != before).then_some(())
        })
        .await;
    }

    /// Like [`VaultPods::delete`], without waiting.
    pub async fn request_delete(&self, pod: &str) {
        self.pods().delete(pod, &DeleteParams::default()).await.expect("a pod can be deleted");
    }

    /// Kills a pod, as when its machine is lost. Does not wait.
    pub async fn kill(&self, pod: &str) {
        let now = DeleteParams::default().grace_period(0);
        self.pods().delete(pod, &now).await.expect("a pod can be deleted");
    }

    /// Stops the node from accepting new pods, for all tests that share the cluster.
    pub async fn cordon(&self) {
        self.make_unschedulable(json!(true)).await;
    }

    /// Lets the node accept pods again.
    pub async fn uncordon(&self) {
        self.make_unschedulable(json!(null)).await;
    }

    async fn make_unschedulable(&self, whether: Value) {
        let patch = Patch::Merge(json!({"spec": {"unschedulable": whether}}));
        let nodes: Api<Node> = Api::all(self.client.clone());
        nodes.patch("node", &PatchParams::default(), &patch).await.expect("a node can be patched");
    }

    /// The uid of a pod, if it exists.
    pub async fn uid(&self, pod: &str) -> Option<String> {
        self.pods().get_opt(pod).await.ok()??.metadata.uid
    }

    /// Sets the number of replicas; does not wait.
    pub async fn scale(&mut self, replicas: usize) {
        while self.members.len() < replicas {
            self.add_member().await;
        }
        self.members.truncate(replicas);
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.stateful_sets()
            .patch(STATEFUL_SET_NAME, &PatchParams::default(), &patch)
            .await
            .expect("a StatefulSet can be scaled");
    }

    /// Sets the number of available pods that the PodDisruptionBudget `keep-quorum` requires, and waits until the cluster has evaluated it.
    pub async fn set_disruption_budget(&self, min_available: usize) {
        let budgets: Api<PodDisruptionBudget> = Api::namespaced(self.client.clone(), &self.namespace);
        let budget = json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": DISRUPTION_BUDGET_NAME},
            "spec": {
                "minAvailable": min_available,
                "selector": {"matchLabels": {"app.kubernetes.io/name": STATEFUL_SET_NAME}},
            },
        });
        let params = PatchParams::apply("harness");
        let applied = budgets.patch(DISRUPTION_BUDGET_NAME, &params, &Patch::Apply(&budget)).await;
        let generation = applied.expect("a budget can be set").metadata.generation;
        eventually("the cluster has counted the pods of the budget", async || {
            let status = budgets.get(DISRUPTION_BUDGET_NAME).await.map_err(|error| error.to_string())?.status;
            let counted = status.as_ref().is_some_and(|status| {
                status.observed_generation == generation
                    && usize::try_from(status.current_healthy) == Ok(self.members.len())
            });
            if counted { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    }

    /// Runs a command in a pod, through the API server.
    ///
    /// # Panics
    ///
    /// If the API server or the node refuses, for example because the command does not exist, or if it runs for more than three minutes.
    pub async fn exec(&self, pod: &str, command: &[&str]) -> Output {
        let parameters = AttachParams::default().container(STATEFUL_SET_NAME).stderr(true);
        let mut process = self
            .pods()
            .exec(pod, command.iter().copied(), &parameters)
            .await
            .unwrap_or_else(|error| panic!("cannot exec {command:?} in {pod}: {error}"));
        let status = process.take_status().expect("it is taken once");
        let (stdout, stderr) = (process.stdout(), process.stderr());
        let ended = async { tokio::join!(read_all(stdout), read_all(stderr), status) };
        let (stdout, stderr, status) = timeout(EXEC_TIMEOUT, ended)
            .await
            .unwrap_or_else(|_| panic!("{command:?} in {pod} did not end within {EXEC_TIMEOUT:?}"));
        let status = status.unwrap_or_else(|| panic!("{command:?} in {pod} ended without a status"));
        Output { code: Some(exit_code(&status)), stdout, stderr }
    }

    /// The log of a pod's Vault and its plugins since its container started.
    pub async fn logs(&self, pod: &str) -> String {
        self.logs_if_there(pod).await.unwrap_or_else(|| panic!("no logs of {pod}"))
    }

    /// Like [`VaultPods::logs`], for a pod that may not exist.
    pub async fn logs_if_there(&self, pod: &str) -> Option<String> {
        let parameters = LogParams { container: Some(STATEFUL_SET_NAME.to_owned()), ..LogParams::default() };
        self.pods().logs(pod, &parameters).await.ok()
    }

    /// The entries of a pod's audit log, oldest first, including those of earlier containers.
    pub fn audit_log(&self, pod: &str) -> Vec<Value> {
        let file = self.volume(pod, "audit").join("audit.log");
        let content = fs::read_to_string(file).unwrap_or_default();
        // What follows the last line feed is incomplete.
        let complete = content.rfind('\n').map_or("", |end| &content[..end]);
        complete.lines().map(|line| serde_json::from_str(line).expect("an audit entry is JSON")).collect()
    }

    /// The heads of the requests to the server of a pod; needs [`VaultPodsBuilder::record_requests`].
    pub fn recorded_requests(&self, pod: &str) -> Vec<String> {
        let content = fs::read(self.volume(pod, "audit").join("heard")).unwrap_or_default();
        let text = String::from_utf8_lossy(&content).into_owned();
        text.split("\r\n\r\n").filter(|head| head.contains(" HTTP/1.1\r\n")).map(str::to_owned).collect()
    }

    /// The plugin directory of a pod as a path of this machine, on any kind of volume.
    pub async fn plugin_directory(&self, pod: &str) -> PathBuf {
        match self.plugin_volume {
            PluginVolume::Persistent | PluginVolume::ReadOnly => self.volume(pod, "plugins"),
            PluginVolume::EmptyDir => {
                let uid = self.uid(pod).await.unwrap_or_else(|| panic!("{pod} is not there"));
                let pods = self.cluster.folder().join("kubelet/pods");
                pods.join(uid).join("volumes/kubernetes.io~empty-dir/plugins")
            }
        }
    }

    /// Copies a file into the plugin directory of a pod from outside and makes it executable, even if the pod cannot write there.
    pub async fn copy_to_plugin_directory(&self, pod: &str, file: &Path, name: &str) {
        let target = self.plugin_directory(pod).await.join(name);
        fs::copy(file, &target).unwrap_or_else(|error| panic!("cannot write {}: {error}", target.display()));
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).expect("root may");
    }

    /// Mounts an almost full file system over the plugin directory of a pod. Its files stay readable.
    ///
    /// # Panics
    ///
    /// If the pod's image has no busybox.
    pub async fn fill_plugin_directory(&self, pod: &str) {
        let folder = self.plugin_directory(pod).await;
        let sizes = fs::read_dir(&folder).expect("it is there").filter_map(|file| file.ok()?.metadata().ok());
        let used: u64 = sizes.map(|metadata| metadata.len()).sum();
        let saved = "/tmp/plugins";
        let script = format!("cp -a {PLUGIN_DIRECTORY} {saved}");
        self.exec(pod, &["sh", "-c", &script]).await.success();
        // A mebibyte for the metadata of the file system.
        let options = format!("size={}k,mode=755", used / 1024 + 1024);
        self.run_in_mount_namespace(
            pod,
            &["mount", "-t", "tmpfs", "-o", &options, "tmpfs", PLUGIN_DIRECTORY],
        )
        .await;
        let script = format!("cp -a {saved}/. {PLUGIN_DIRECTORY}/ && rm -r {saved}");
        self.exec(pod, &["sh", "-c", &script]).await.success();
    }

    /// Remounts the plugin directory of a pod with this option, such as `noexec`.
    pub async fn remount_plugin_directory(&self, pod: &str, option: &str) {
        let options = format!("remount,bind,{option}");
        // Mounted with a source, because the pod's own list of mounts is not visible from here.
        self.run_in_mount_namespace(pod, &["mount", "-o", &options, "none", PLUGIN_DIRECTORY]).await;
    }

    /// Unmounts that file system.
    pub async fn unfill_plugin_directory(&self, pod: &str) {
        // A process that was started from it keeps it busy.
        self.run_in_mount_namespace(pod, &["umount", "-l", PLUGIN_DIRECTORY]).await;
    }

    /// Runs a tool of busybox in the mount namespace of a pod, as root of this machine.
    async fn run_in_mount_namespace(&self, pod: &str, command: &[&str]) {
        let ids = self.container_ids(pod).await;
        let process = processes::first_pid(&ids).expect("a running pod has a process");
        let mut tool = Command::new("/usr/bin/nsenter");
        tool.arg(format!("--mount=/proc/{process}/ns/mnt")).arg("/bin/busybox").args(command);
        let output = process::output(&mut tool, TOOL_TIMEOUT).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?} in {pod}: {stderr}");
    }

    /// Counts the processes of a pod by program name.
    pub async fn processes(&self, pod: &str) -> BTreeMap<String, usize> {
        processes::count_by_program(&self.container_ids(pod).await)
    }

    async fn container_ids(&self, pod: &str) -> Vec<String> {
        let pod = self.pods().get(pod).await.expect("the pod is there");
        let statuses = pod.status.and_then(|status| status.container_statuses).unwrap_or_default();
        let ids = statuses.into_iter().filter_map(|status| status.container_id);
        // "containerd://<id>"
        ids.filter_map(|id| Some(id.rsplit_once('/')?.1.to_owned())).collect()
    }

    /// The pods of this namespace.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The StatefulSets of this namespace.
    pub fn stateful_sets(&self) -> Api<StatefulSet> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn send(
        &self,
        pod: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<ApiResponse> {
        let method = method.parse().expect("tests use valid methods");
        let mut request = self.http.request(method, format!("{}/v1/{path}", self.url(pod)));
        if !self.root_token.is_empty() {
            request = request.header("X-Vault-Token", &self.root_token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        ApiResponse::read(request.send().await?).await
    }

    fn member(&self, pod: &str) -> &PodMember {
        let found = self.members.iter().find(|member| member.name == pod);
        found.unwrap_or_else(|| panic!("{pod} is not one of {:?}", self.names()))
    }

    /// The folder on this machine that is a persistent volume of a pod.
    fn volume(&self, pod: &str, volume: &str) -> PathBuf {
        self.cluster.folder().join("volumes").join(&self.namespace).join(pod).join(volume)
    }
}

impl Program {
    /// Configures the program for `pods`, with their root token and as administrator of their cluster, and a timeout of ten minutes.
    pub fn pods(self, pods: &VaultPods) -> Program {
        let kubeconfig = pods.cluster().kubeconfig().display().to_string();
        let program =
            self.timeout(PROGRAM_TIMEOUT).env("KUBECONFIG", kubeconfig).env("VAULT_TOKEN", pods.root_token());
        match pods.ca_file() {
            Some(ca_file) => program.env("VAULT_CACERT", ca_file.display().to_string()),
            None => program,
        }
    }
}

async fn read_all(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut content = Vec::new();
    if let Some(mut stream) = stream {
        // What was read before the connection broke is part of the message.
        let _ = stream.read_to_end(&mut content).await;
    }
    String::from_utf8_lossy(&content).into_owned()
}

/// The reason why a pod is not ready.
fn not_ready_reason(status: &PodStatus) -> String {
    let phase = status.phase.as_deref().unwrap_or("no phase");
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let states = containers.map(|it| format!("{}: {}", it.name, json!(it.state)));
    [phase.to_owned()].into_iter().chain(states).collect::<Vec<_>>().join(", ")
}

/// The exit code in the status of an exec.
fn exit_code(status: &Status) -> i32 {
    if status.status.as_deref() == Some("Success") {
        return 0;
    }
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    let mut codes = causes.filter(|cause| cause.reason.as_deref() == Some("ExitCode"));
    codes
        .find_map(|cause| cause.message.as_deref()?.parse().ok())
        .unwrap_or_else(|| panic!("the command did not run: {status:?}"))
}
