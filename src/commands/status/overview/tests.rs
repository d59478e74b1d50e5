use std::collections::BTreeMap;

use rollout::{
    Architecture, Caller, Consumer, DeploymentKind, DirectoryState, FileIssues, MountHealth, NodeServer,
    OtherNodes, PluginFile, PodUpdateStrategy, Process, Raft, RunningVersion, SealType, Server,
    WriteObserved,
};
use vault_api::health::Product;
use vault_api::pins::Pin;

use super::*;

fn server() -> Observed {
    Observed {
        server: Server {
            address: "https://vault.example:8200".into(),
            product: Product::Vault,
            version: "1.21.4".into(),
            initialized: true,
            sealed: false,
            standby: false,
            has_active_node: true,
        },
        caller: Caller::default(),
        plugin_directory: PluginDirectory::At("/vault/plugins".into()),
        deployment: None,
        other_nodes: OtherNodes::NotAsked,
        namespaces: BTreeSet::new(),
        namespace: None,
        catalog: Vec::new(),
        pins: Pins::Set(Vec::new()),
        consumers: BTreeMap::new(),
        irrevocable_leases: None,
        raft: Raft::NotAsked,
        writes: Vec::<WriteObserved>::new(),
    }
}

fn sha(version: &str) -> String {
    format!("{version:0<64}").replace('.', "a")
}

fn entry(version: &str) -> CatalogEntry {
    CatalogEntry {
        kind: PluginType::Secret,
        name: "custom".into(),
        version: format!("v{version}"),
        sha256: sha(version),
        command: None,
        args: None,
    }
}

fn mount(configured: &str, runs: &str) -> ConsumerObserved {
    ConsumerObserved {
        plugin: "custom".into(),
        configured_version: format!("v{configured}"),
        running_version: format!("v{runs}"),
        running_sha256: sha(runs),
        ..ConsumerObserved::default()
    }
}

fn node(role: NodeRole, versions: &[&str], runs: &[&str]) -> NodeObserved {
    let file = |version: &&str| format!("custom-{version}");
    NodeObserved {
        readiness: Readiness::Ready,
        uid: None,
        helper_container: None,
        directory: DirectoryState::Usable,
        architecture: Architecture::X86_64,
        free_bytes: Some(5 << 30),
        interpreter_present: true,
        links: BTreeSet::new(),
        files: versions
            .iter()
            .map(|version| PluginFile { name: file(version), sha256: sha(version), mode: 0o755 })
            .collect(),
        processes: runs.iter().map(|version| Process { pid: 7, file: file(version), sha256: None }).collect(),
        file_issues: FileIssues::default(),
        server: Some(NodeServer {
            role,
            sealed: false,
            version: "1.21.4".into(),
            running: BTreeMap::<String, RunningVersion>::new(),
            seal_type: SealType::Unknown,
            applied_index: None,
        }),
    }
}

fn kubernetes(nodes: Vec<(String, NodeObserved)>, keeping: PluginStorage) -> DeploymentObserved {
    DeploymentObserved {
        kind: DeploymentKind::Kubernetes {
            namespace: "vault".into(),
            statefulset: "vault".into(),
            container: "vault".into(),
        },
        directory: "/vault/plugins".into(),
        nodes: nodes.into_iter().map(|(name, node)| (NodeName::new(name), node)).collect(),
        plugin_storage: keeping,
        update_strategy: PodUpdateStrategy::OnDelete,
        lock_holder: None,
        unobserved: BTreeMap::new(),
    }
}

#[test]
fn three_nodes_amid_an_upgrade() {
    let mut observed = server();
    observed.catalog = vec![entry("1.0.0"), entry("1.1.0")];
    observed.consumers = BTreeMap::from([
        ("custom".parse().expect("a path"), mount("1.1.0", "1.0.0")),
        ("team".parse().expect("a path"), mount("1.0.0", "1.0.0")),
        (
            "kv".parse().expect("a path"),
            ConsumerObserved { plugin: "kv".into(), ..ConsumerObserved::default() },
        ),
    ]);
    let away = NodeObserved::not_ready("the pod is Pending: no node has enough memory");
    observed.deployment = Some(kubernetes(
        vec![
            ("vault-0".into(), node(NodeRole::Active, &["1.0.0", "1.1.0"], &["1.0.0"])),
            ("vault-1".into(), node(NodeRole::Standby, &["1.0.0"], &[])),
            ("vault-2".into(), away),
        ],
        PluginStorage::InitContainer {
            name: "plugins".into(),
            image: "registry.example/plugins:1".into(),
            files: Some(["custom-1.0.0".to_owned()].into()),
        },
    ));
    assert_eq!(
        render_status(&observed),
        "\
Server   https://vault.example:8200 Vault 1.21.4
Plugins  /vault/plugins
Restarts init container plugins copies 1 file from registry.example/plugins:1

custom (secret)
  VERSION  SHA256        CATALOG  ON DISK  CONFIGURED  RUNNING   RESTART
  v1.1.0   1a1a00000000  yes      1 of 3   1 mount     -         LOST
  v1.0.0   1a0a00000000  yes      2 of 3   1 mount     2 mounts  kept
  RUNNING v1.0.0, configured v1.1.0: custom/
  v1.0.0: team/

Nodes
  NODE     ROLE     SERVER  FREE      FILES  RUNS
  vault-0  active   1.21.4  5.00 GiB  2      custom-1.0.0
  vault-1  standby  1.21.4  5.00 GiB  1      -
  vault-2  NOT READY: the pod is Pending: no node has enough memory

1 mount of built-in engines
"
    );
}

#[test]
fn twenty_nodes_and_fifty_mounts_fit_into_eighty_columns() {
    let mut observed = server();
    observed.catalog = vec![entry("1.0.0"), entry("1.1.0"), entry("1.2.0-rc.1+build.2030")];
    observed.pins =
        Pins::Set(vec![Pin { kind: PluginType::Secret, name: "custom".into(), version: "v1.1.0".into() }]);
    let path = |number: usize| -> Consumer {
        format!("teams/department-{number:02}/credentials").parse().expect("a path")
    };
    observed.consumers = (0..50).map(|number| (path(number), mount("1.0.0", "1.1.0"))).collect();
    let nodes = (0..20).map(|number| {
        let role = if number == 3 { NodeRole::Active } else { NodeRole::Standby };
        (format!("vault-{number}"), node(role, &["1.0.0", "1.1.0"], &["1.0.0", "1.1.0"]))
    });
    let what = "emptyDir plugins".to_owned();
    observed.deployment = Some(kubernetes(nodes.collect(), PluginStorage::Ephemeral { description: what }));
    let text = render_status(&observed);
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(text.lines().count() < 60, "{text}");
    for words in [
        "custom (secret), pinned to v1.1.0\n",
        "  v1.2.0-rc.1+…  1a2a0-rca1+b  yes      -         -           -          -\n",
        "  v1.1.0         1a1a00000000  yes      20 of 20  -           50 mounts  LOST\n",
        "  vault-3   active   1.21.4  5.00 GiB  2      custom-1.0.0 custom-1.1.0\n",
        "Restarts files are lost: emptyDir plugins\n",
    ] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    assert_eq!(text.matches("credentials/").count(), 50);
}

#[test]
fn a_server_that_shows_nothing_and_one_that_is_sealed_are_pictures_too() {
    let mut observed = server();
    observed.plugin_directory = PluginDirectory::NotVisible;
    observed.caller.denied.insert("sys/plugins/catalog".into());
    assert_eq!(
        render_status(&observed),
        "\
Server   https://vault.example:8200 Vault 1.21.4
Plugins  not shown to this token
Denied   sys/plugins/catalog
"
    );
    observed.server.sealed = true;
    assert!(
        render_status(&observed).starts_with("Server   https://vault.example:8200 Vault 1.21.4, sealed\n")
    );
}

#[test]
fn a_file_that_differs_from_the_catalog_is_not_counted_as_there() {
    let mut observed = server();
    observed.catalog = vec![entry("1.0.0")];
    let mut other = node(NodeRole::Active, &["1.0.0"], &[]);
    other.files[0].sha256 = sha("6.6.6");
    let volume = PluginStorage::PersistentVolume { description: "persistent volume claims".into() };
    observed.deployment = Some(kubernetes(vec![("vault-0".into(), other)], volume));
    let text = render_status(&observed);
    assert!(text.contains("yes      1 WRONG  -           -        BREAKS\n"), "{text}");
}

#[test]
fn a_mount_that_does_not_answer_is_not_said_to_run() {
    let mut observed = server();
    observed.catalog = vec![entry("1.0.0")];
    let dead = ConsumerObserved { health: Some(MountHealth::NoBackend), ..mount("1.0.0", "1.0.0") };
    observed.consumers =
        [("dead".parse().expect("a path"), dead), ("live".parse().expect("a path"), mount("1.0.0", "1.0.0"))]
            .into();
    let text = render_status(&observed);
    assert!(text.contains("  2 mounts    1 mount "), "{text}");
    assert!(text.ends_with("  NOT RESPONDING, configured v1.0.0: dead/\n  v1.0.0: live/\n"), "{text}");
}
