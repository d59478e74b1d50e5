//! A real Kubernetes, and Vaults in its pods.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use harness::{
    Cluster, ImageKind, PluginVolume, Program, RunsAs, Transport, UpdateStrategy, Upstream, VaultPods, build,
    eventually,
};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use rustix::fs::{FlockOperation, flock};
use serde_json::json;

#[tokio::test]
async fn three_pods_come_up_and_one_that_is_deleted_comes_back_unsealed() {
    let cluster = Cluster::shared().await;
    let pods = VaultPods::builder(cluster).start().await;
    assert_eq!(pods.names(), ["vault-0", "vault-1", "vault-2"]);
    assert_eq!(pods.standbys().await.len(), 2);
    let active = pods.active().await;
    let note = Some(json!({"text": "kept"}));
    pods.request(active, "POST", "sys/mounts/notes", Some(json!({"type": "kv"}))).await.success();
    pods.request(active, "PUT", "notes/one", note).await.success();

    let standby = pods.standbys().await[0];
    let (uid, address) = (pods.uid(standby).await, pods.address(standby));
    pods.copy_to_plugin_directory(standby, &build::busybox().await, "gone-with-the-pod").await;
    pods.delete(standby).await;
    pods.wait_all_ready().await;
    assert_ne!(pods.uid(standby).await, uid);
    assert_eq!(pods.address(standby), address);
    assert!(fs::read_dir(pods.plugin_directory(standby).await).unwrap().next().is_none());

    let next = pods.step_down().await;
    assert_ne!(next, active);
    // After a change, the previous state may be in effect for a moment.
    let read = eventually("the note is read", async || {
        let reply = pods.request(standby, "GET", "notes/one", None).await;
        (reply.status == 200).then_some(reply.body)
    })
    .await;
    assert_eq!(read["data"]["text"], "kept");

    let said = pods.exec(standby, &["sh", "-c", "vault status >/dev/null; echo $?; exit 3"]).await;
    assert_eq!((said.code, said.stdout.as_str()), (Some(3), "0\n"));
    assert_eq!(pods.processes(standby).await["vault"], 1);
    assert!(pods.logs(standby).await.contains("vault is unsealed"));
}

#[tokio::test]
async fn a_restricted_pod_without_shell_on_tls_reads_plugins_that_it_cannot_write() {
    let cluster = Cluster::shared().await;
    let pods = VaultPods::builder(cluster)
        .replicas(1)
        .plugin_volume(PluginVolume::ReadOnly)
        .image(ImageKind::WithoutShell)
        .update_strategy(UpdateStrategy::RollingUpdate)
        .transport(Transport::Tls)
        .runs_as(RunsAs::Restricted)
        .audit_log()
        .start()
        .await;
    pods.copy_to_plugin_directory("vault-0", &build::busybox().await, "busybox").await;
    let plugin = "/vault/plugins/busybox";
    // Any program of the image can be executed, and the image has no other one.
    assert_eq!(pods.exec("vault-0", &[plugin, "id", "-u"]).await.success(), "100\n");
    let refused = pods.exec("vault-0", &[plugin, "touch", "/vault/plugins/new"]).await;
    assert!(refused.stderr.contains("Read-only file system"), "{refused:?}");
    let refused = pods.exec("vault-0", &[plugin, "touch", "/new"]).await;
    assert!(refused.stderr.contains("Read-only file system"), "{refused:?}");

    let cli = Program::new(build::vault().await).pods(&pods);
    // On this machine, and in the network of the pods.
    let outside = cli.env("VAULT_ADDR", pods.url("vault-0"));
    assert!(outside.run(["secrets", "list"]).await.success().contains("cubbyhole/"));
    let inside = outside.env("VAULT_ADDR", pods.url_in_network("vault-0")).in_network_of(cluster);
    assert!(inside.run(["secrets", "list"]).await.success().contains("cubbyhole/"));
    let seen = pods.audit_log("vault-0");
    let lists = seen.iter().filter(|it| it["type"] == "response" && it["request"]["path"] == "sys/mounts");
    assert_eq!(lists.count(), 2, "{seen:?}");
}

#[tokio::test]
async fn what_is_on_a_persistent_volume_is_there_in_the_next_pod() {
    let pods = VaultPods::builder(Cluster::shared().await)
        .replicas(1)
        .plugin_volume(PluginVolume::Persistent)
        .runs_as(RunsAs::Restricted)
        .start()
        .await;
    pods.exec("vault-0", &["sh", "-c", "echo here >/vault/plugins/file"]).await.success();
    pods.delete("vault-0").await;
    pods.wait_all_ready().await;
    assert_eq!(pods.exec("vault-0", &["cat", "/vault/plugins/file"]).await.success(), "here\n");
}

#[tokio::test]
async fn a_pod_that_joins_later_waits_for_what_unseals_it() {
    let mut pods = VaultPods::builder(Cluster::shared().await).replicas(1).own_unsealer().start().await;
    pods.scale(2).await;
    pods.wait_all_ready().await;

    pods.unsealer().stop().await;
    pods.delete("vault-1").await;
    eventually("its Vault gives up", async || {
        let status = pods.pods().get("vault-1").await.unwrap().status?;
        let container = status.container_statuses?.into_iter().next()?;
        (container.restart_count > 0).then_some(())
    })
    .await;
    pods.unsealer().start().await;
    pods.wait_all_ready().await;
}

#[tokio::test]
async fn pods_reach_an_upstream_and_nothing_else() {
    let cluster = Cluster::shared().await;
    let upstream = Upstream::builder().in_network_of(cluster).start().await;
    let pods = VaultPods::builder(cluster).replicas(1).start().await;
    let url = format!("{}/health", upstream.endpoint());
    let _ = pods.exec("vault-0", &["wget", "-q", "-O-", &url]).await;
    assert_eq!(upstream.requests().len(), 1);
    // From the networks that are reserved for documentation.
    let ask = "VAULT_MAX_RETRIES=0 vault status -address=http://203.0.113.1:8200";
    let lost = pods.exec("vault-0", &["sh", "-c", ask]).await;
    assert_eq!(lost.code, Some(1));
    assert!(lost.stderr.contains("unreachable"), "{lost:?}");
}

#[tokio::test]
async fn the_logs_of_pods_and_cluster_are_kept_when_their_test_fails() {
    let pods = VaultPods::builder(Cluster::shared().await).replicas(1).audit_log().start().await;
    let namespace = pods.namespace().to_owned();
    // On this thread, whose name is that of the test.
    let failing = tokio::spawn(async move {
        let _pods = pods;
        panic!("on purpose");
    });
    failing.await.unwrap_err();
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let name = "cluster.the_logs_of_pods_and_cluster_are_kept_when_their_test_fails";
    let logs = target.join("test-logs/kubernetes").join(name).join(&namespace);
    for component in ["etcd", "kube-apiserver", "kubelet", "containerd", "node"] {
        assert!(logs.join("log").join(component).exists(), "{component} is missing");
    }
    assert!(!fs::read_to_string(logs.join("log/kubelet")).unwrap().is_empty());
    let of_pod = fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().path());
    let of_pod = of_pod.filter(|it| it.to_str().unwrap().contains(&format!("{namespace}_vault-0_")));
    let said: String = of_pod.map(|folder| fs::read_to_string(folder.join("vault/0.log")).unwrap()).collect();
    assert!(said.contains("vault is unsealed"), "{said}");
    assert!(fs::read_to_string(logs.join("pods.json")).unwrap().contains("vault-0"));
    assert!(fs::read_to_string(logs.join("events.json")).unwrap().contains("Started container"));
    fs::remove_dir_all(logs.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn a_cluster_that_is_killed_leaves_no_process_and_the_next_one_clears_its_files_away() {
    let killed = Cluster::start().await;
    let container = running_container(&killed).await;
    let (folder, namespace) = (killed.folder().to_owned(), killed.network_namespace().to_owned());
    assert!(!cgroups(&folder, &container).is_empty());
    killed.kill().await;

    // Every process of the cluster holds it.
    let lock = File::open(folder.join("lock")).unwrap();
    eventually("no process of the cluster is left", async || {
        flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()
    })
    .await;
    drop(lock);
    assert!(!namespace.exists());
    let empty =
        |cgroup: &PathBuf| fs::read_to_string(cgroup.join("cgroup.procs")).is_ok_and(|it| it.is_empty());
    assert!(cgroups(&folder, &container).iter().all(empty));
    assert!(folder.exists());
    assert!(!mounts().contains(&folder.display().to_string()));

    let next = Cluster::start().await;
    assert!(!folder.exists());
    assert_eq!(cgroups(&folder, ""), Vec::<PathBuf>::new());

    let container = running_container(&next).await;
    let folder = next.folder().to_owned();
    assert!(!cgroups(&folder, &container).is_empty());
    drop(next);
    assert!(!folder.exists());
    assert_eq!(cgroups(&folder, ""), Vec::<PathBuf>::new());
    assert!(!mounts().contains(&folder.display().to_string()));
}

#[tokio::test]
async fn a_cluster_that_does_not_come_up_says_which_part_is_missing_and_shows_its_log() {
    // Its write-ahead log exceeds any file size limit.
    let limited = ["--fsize=33554432"];
    let said = start_error(&limited, &[], "23456").await;
    assert!(
        said.contains("error: the cluster ended, because etcd did\nThe end of the log of etcd:\n"),
        "{said}"
    );
    assert!(said.contains("file too large"), "{said}");

    let said = start_error(&[], &[], "98765").await;
    assert!(said.contains("error: the cluster ended, because kube-apiserver did\n"), "{said}");
    assert!(said.contains("98765") && !said.contains("The end of the log of etcd"), "{said}");

    // It takes longer than that on any machine.
    let said = start_error(&[], &[("CLUSTER_START_SECONDS", "1")], "23457").await;
    let waited = said.lines().find_map(|line| line.strip_prefix("error: waited 1 s in vain for "));
    let parts = [
        "the node's network",
        "containerd",
        "the import of an image into containerd",
        "etcd",
        "the API server",
        "a node that is ready",
    ];
    assert!(waited.is_some_and(|part| parts.contains(&part)), "{said}");
}

/// Standard error of the script of a cluster that does not start, with these limits of its processes and this port.
async fn start_error(limits: &[&str], environment: &[(&str, &str)], port: &str) -> String {
    let kubernetes = build::kubernetes().await;
    let cache = kubernetes.ancestors().nth(4).unwrap();
    let logs = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../servers/kubernetes/run");
    let mut program = Program::new("/usr/bin/prlimit")
        .env("XDG_CACHE_HOME", cache.to_str().unwrap())
        .env("KEEP_LOGS_IN", logs.path().to_str().unwrap());
    for (name, value) in environment {
        program = program.env(*name, *value);
    }
    let output = program.run(limits.iter().copied().chain([script, port])).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(!output.stdout.contains("READY"), "{output:?}");
    assert!(logs.path().join("log/etcd").exists(), "{output:?}");
    assert!(output.stderr.contains(&format!("logs kept: {}", logs.path().display())), "{output:?}");
    output.stderr
}

/// Starts a pod that only waits, and returns the id of its container.
async fn running_container(cluster: &Cluster) -> String {
    let pods: Api<Pod> = Api::default_namespaced(cluster.client().await);
    let container = json!({"name": "idle", "image": "localhost/pause:1", "imagePullPolicy": "Never"});
    let metadata = json!({"name": "idle"});
    let pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    eventually("the pod runs", async || {
        let status = pods.get("idle").await.unwrap().status?;
        let container = status.container_statuses?.into_iter().next()?;
        container.state?.running?;
        Some(container.container_id?.strip_prefix("containerd://")?.to_owned())
    })
    .await
}

/// The cgroups of a container of the cluster in `folder`, one per hierarchy; those of the cluster itself without a container.
fn cgroups(folder: &Path, container: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let cluster = format!("vault-token-plugin-{}", folder.file_name().unwrap().to_str().unwrap());
    let hierarchies = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let candidates = hierarchies.chain([root.to_owned()]).map(|it| it.join(&cluster).join(container));
    candidates.filter(|cgroup| cgroup.exists()).collect()
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mounts").unwrap()
}
