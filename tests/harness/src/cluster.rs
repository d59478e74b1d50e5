//! A real Kubernetes of one node in separate namespaces, and Vaults in its pods.

mod image;
mod pods;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{Mutex, OnceCell};
use uuid::Uuid;

pub use self::image::{ImageArchive, ImageContent};
pub use self::pods::{
    ImageKind, PluginVolume, RunsAs, Transport, UpdateStrategy, VaultPods, VaultPodsBuilder,
};

use crate::failure_logs::{self, FailureLogs};
use crate::network::{NetworkNamespace, PortForward};
use crate::program::Program;
use crate::{VaultServer, VaultServerBuilder, build, eventually, port, process};

/// Maximum start time of a cluster. It usually takes fifteen seconds. Its script gives up after three minutes and reports the missing part.
/// The rest is for packages that it installs first.
const START_TIMEOUT: Duration = Duration::from_secs(600);

/// Maximum time to stop it: its script waits a minute for its processes.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// Maximum time for the import of an image into the node.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(120);

/// The node's address in the network of the cluster. Every pod can reach ports on it.
pub(crate) const NODE_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// First address for pods whose address is reserved before they are created; see `tests/servers/kubernetes/address`.
const FIRST_RESERVED_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 18, 128, 0);

/// A running cluster. Its script stops it and cleans up when this value is dropped or this process ends. If a test fails then, or a failing
/// test has [`VaultPods`] in it, its logs are kept, and the line `logs kept: PATH` shows where.
pub struct Cluster {
    network: Arc<NetworkNamespace>,
    folder: PathBuf,
    kubeconfig: PathBuf,
    port: u16,
    reserved: AtomicU32,
    imported: Mutex<Vec<String>>,
    unsealer: OnceCell<VaultServer>,
    _api_server: PortForward,
    script: Child,
}

impl Cluster {
    /// The cluster that all tests of this process share. The first caller starts it; it ends with the process.
    ///
    /// # Panics
    ///
    /// As [`Cluster::start`].
    #[track_caller]
    pub fn shared() -> impl Future<Output = &'static Cluster> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        let start = Cluster::start();
        async { SHARED.get_or_init(|| start).await }
    }

    /// Starts a separate cluster.
    ///
    /// # Panics
    ///
    /// If it does not start. The output of its script went to standard error; it names the missing part and contains the end of that part's
    /// log. All logs are kept, and the line `logs kept: PATH` shows where.
    #[track_caller]
    pub fn start() -> impl Future<Output = Cluster> {
        let caller = Location::caller();
        async move {
            // The script would build it too, but not serialized with other tests that do.
            build::kubernetes().await;
            let logs = failure_logs::folder_of_test().join(format!("cluster-{}", Uuid::new_v4().simple()));
            let started = tokio::task::spawn_blocking({
                let logs = logs.clone();
                move || Cluster::start_blocking(&logs)
            });
            started.await.expect("its panic was shown").unwrap_or_else(|reason| {
                panic!("{caller}: the cluster did not come up: {reason}\nlogs kept: {}", logs.display());
            })
        }
    }

    /// Starts it. If that fails, its script copies its logs to the folder `logs`.
    fn start_blocking(logs: &Path) -> Result<Cluster, String> {
        // The same port number inside and outside of the network, so that one kubeconfig is valid in both.
        let listener = port::listener();
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../servers/kubernetes/run");
        let mut keeper = Command::new(&script)
            .arg(port.to_string())
            .env("KEEP_LOGS_IN", logs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", script.display()));
        let output = BufReader::new(keeper.stdout.take().expect("standard output is piped"));
        let (send, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));

        let deadline = Instant::now() + START_TIMEOUT;
        let mut said = Vec::new();
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line == "READY" => break,
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    // It cleans up then.
                    stop(&mut keeper, Some(Signal::TERM));
                    return Err(format!("{} was not ready within {START_TIMEOUT:?}", script.display()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    stop(&mut keeper, None);
                    return Err(format!("{} ended; what it wrote above says why", script.display()));
                }
            }
        }
        let value = |name: &str| -> PathBuf {
            let found = said.iter().find_map(|line| line.strip_prefix(name));
            found.unwrap_or_else(|| panic!("{} does not say {name}: {said:?}", script.display())).into()
        };
        let network = Arc::new(NetworkNamespace::enter(&value("NETNS=")));
        let api_server = network.forward_from(listener, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Ok(Cluster {
            network,
            folder: value("FOLDER="),
            kubeconfig: value("KUBECONFIG="),
            port,
            reserved: AtomicU32::new(1),
            imported: Mutex::default(),
            unsealer: OnceCell::new(),
            _api_server: api_server,
            script: keeper,
        })
    }

    /// A kubeconfig of the administrator, valid on this machine and inside the cluster's network.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The folder with everything the cluster writes.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its network namespace, for `nsenter --net`.
    pub fn network_namespace(&self) -> &Path {
        self.network.namespace()
    }

    /// A client of the API server, as administrator. It belongs to the runtime of the test.
    pub async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).expect("the cluster wrote it");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .expect("the cluster's kubeconfig is complete");
        Client::try_from(config).expect("the cluster's kubeconfig is valid")
    }

    /// A port on this machine's loopback that forwards to an address in the cluster's network.
    pub fn forward_port(&self, target: SocketAddr) -> PortForward {
        self.network.forward(target)
    }

    /// Kills the API server, which is restarted. Does not wait.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill_api_server(&self) {
        let port = format!("--secure-port={}", self.port);
        let is_it = |pid: &u32| {
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = command.split('\0');
            words.nth(1) == Some("kube-apiserver") && words.any(|word| word == port)
        };
        let pid = process::all_pids().find(is_it).expect("the API server runs");
        let pid = Pid::from_raw(pid.cast_signed()).expect("no process is number 0");
        kill_process(pid, Signal::KILL).expect("root may");
    }

    /// Waits until the API server responds.
    pub async fn wait_api_server(&self) {
        let client = self.client().await;
        eventually("the API server answers", async || client.apiserver_version().await.ok()).await;
    }

    /// Imports the images of an archive, in the format of Docker or OCI, into the node under their names.
    ///
    /// # Panics
    ///
    /// If the node refuses it.
    pub async fn import_archive(&self, archive: &Path) {
        let mut import = tokio::process::Command::new(build::debian_program("ctr").await);
        import.arg("--address").arg(self.folder.join("containerd.sock"));
        import.args(["--namespace", "k8s.io", "images", "import"]).arg(archive);
        let output = process::output(&mut import, IMPORT_TIMEOUT).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cannot import {}: {stderr}", archive.display());
    }

    /// Builds an image and imports it into the node, once per name.
    ///
    /// # Panics
    ///
    /// If the node refuses it.
    pub async fn import_image_once(&self, name: &str, make: impl FnOnce() -> ImageArchive) {
        let mut imported = self.imported.lock().await;
        if !imported.iter().any(|known| known == name) {
            let archive = make();
            self.import_archive(&archive.path()).await;
            imported.push(name.to_owned());
        }
    }

    /// Kills its script and all processes of the cluster, as if this process had been killed. They are cleaned up when the next cluster
    /// starts.
    pub async fn kill(mut self) {
        tokio::task::spawn_blocking(move || {
            self.script.kill().expect("our own child can be killed");
            self.script.wait().expect("our own child can be waited for");
        })
        .await
        .expect("its panic was shown");
    }

    /// Keeps the logs of its components.
    pub(crate) fn save_logs(&self, kept: &FailureLogs) {
        kept.save(&self.folder.join("log"));
    }

    /// The Vault outside of the pods that unseals all those of this cluster. Only its address and token are used, because its client
    /// belongs to the runtime of the test that has started it.
    pub(crate) async fn unsealer(&self) -> &VaultServer {
        self.unsealer.get_or_init(|| pods::start_unsealer(self)).await
    }

    pub(crate) fn network(&self) -> Arc<NetworkNamespace> {
        Arc::clone(&self.network)
    }

    /// Address of the API server for pods.
    pub fn api_server_in_network(&self) -> String {
        format!("https://{NODE_ADDRESS}:{}", self.port)
    }

    /// Reserves the address of a pod before it is created. The pod keeps it when it is recreated.
    pub fn reserve_address(&self, namespace: &str, pod: &str) -> Ipv4Addr {
        let number = self.reserved.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::from_bits(FIRST_RESERVED_ADDRESS.to_bits() + number);
        let file = self.folder.join("addresses").join(format!("{namespace}.{pod}"));
        fs::write(file, address.to_string()).expect("root may write there");
        address
    }
}

impl Program {
    /// Runs it in the network of `cluster`, where it can reach the pods.
    pub fn in_network_of(self, cluster: &Cluster) -> Program {
        self.network_namespace(cluster.network_namespace())
    }
}

impl VaultServerBuilder {
    /// Runs it in the network of `cluster`. Pods reach it at [`VaultServer::address_in_network`], this machine at [`VaultServer::address`].
    pub fn in_network_of(self, cluster: &Cluster) -> VaultServerBuilder {
        self.network(cluster.network())
    }
}

impl VaultServer {
    /// Its URL for the pods of its cluster.
    pub fn address_in_network(&self) -> String {
        self.address().replace("127.0.0.1", &NODE_ADDRESS.to_string())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(kept) = FailureLogs::if_test_fails(&format!("cluster-{}", self.port)) {
            self.save_logs(&kept);
        }
        drop(self.script.stdin.take());
        // It reports its errors itself.
        stop(&mut self.script, None);
    }
}

/// Sends this signal to the script and waits for its end. Kills it, and with it the cluster, if it does not end.
fn stop(keeper: &mut Child, signal: Option<Signal>) {
    let pid = Pid::from_raw(keeper.id().cast_signed()).expect("no process is number 0");
    // Fails if the process has just ended.
    let _ = signal.map(|signal| kill_process(pid, signal));
    let deadline = Instant::now() + STOP_TIMEOUT;
    while let Ok(None) = keeper.try_wait() {
        if Instant::now() > deadline {
            failure_logs::print_to_test_output(&format!(
                "the script of a cluster did not end within {STOP_TIMEOUT:?} and is killed"
            ));
            let _ = keeper.kill().and_then(|()| keeper.wait());
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
