//! Observed states and goals that tests vary.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;
use vault_api::SecretString;
use vault_api::catalog::PluginType;
use vault_api::health::Product;

use crate::binary::{Architecture, Binary, Elf, Format, Linkage, ProbeOutcome, ProbedPlugin};
use crate::compare::Comparison;
use crate::goal::{
    Canary, DesiredMount, DesiredValue, DesiredWrite, DowngradePolicy, Durability, FailoverTest, Goal,
    OtherNodesPolicy, Plugin, RegisterGoal, RestartConsent, RewritePolicy, Target, UpgradeGoal,
};
use crate::observed::deployment::{
    DeploymentObserved, DirectoryState, FileIssues, HolderLiveness, LockHolder, NodeName, NodeObserved,
    NodeRole, NodeServer, PluginFile, Process, Readiness, RunningVersion, SealType,
};
use crate::observed::other_nodes::{NodeList, OtherNode, OtherNodes, ServerLocation};
use crate::observed::{
    Caller, CatalogEntry, ConsumerObserved, Observed, Pins, PluginDirectory, Raft, ReadState, Server,
    WriteObserved,
};
use crate::progress::Progress;
use crate::step::{Step, UnreadyPodPolicy};

use super::{Decision, Plan, PlanError};

pub(crate) const SHA: &str = "aa";

/// What a decision is made on: an observed state, before a run or during it.
pub(crate) trait State {
    fn observed(&self) -> &Observed;

    /// None before a run.
    fn progress(&self) -> Progress {
        Progress::default()
    }
}

impl State for Observed {
    fn observed(&self) -> &Observed {
        self
    }
}

/// A state during a run.
#[derive(Clone, Debug)]
pub(crate) struct Simulation {
    pub(crate) observed: Observed,
    pub(crate) progress: Progress,
}

impl State for Simulation {
    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

/// The state after `steps`.
pub(crate) fn simulate<'a>(state: &impl State, steps: impl IntoIterator<Item = &'a Step>) -> Simulation {
    let start = Simulation { observed: state.observed().clone(), progress: state.progress() };
    steps.into_iter().fold(start, |Simulation { observed, progress }, step| Simulation {
        observed: observed.after(step, &progress),
        progress: progress.with_step(step),
    })
}

/// As [`super::decide`], at any point of a run.
pub(crate) fn decide(state: &impl State, goal: &Goal) -> Decision {
    super::decide(state.observed(), goal, &state.progress())
}

/// As [`super::plan`], at any point of a run.
pub(crate) fn plan(state: &impl State, goal: &Goal) -> Result<Plan, PlanError> {
    super::remaining_plan(state.observed(), goal, &state.progress())
}

/// Another operator, who holds the lock.
pub(crate) fn lock_holder(name: &str) -> LockHolder {
    LockHolder { name: name.into(), liveness: HolderLiveness::Confirmed }
}

/// A server on which the plugin was never installed.
pub(crate) fn bare_server() -> Observed {
    Observed {
        server: Server {
            address: "https://127.0.0.1:8200".into(),
            product: Product::Vault,
            version: "1.21.4".into(),
            initialized: true,
            sealed: false,
            standby: false,
            has_active_node: true,
        },
        caller: Caller::default(),
        plugin_directory: PluginDirectory::At("/vault/plugins".into()),
        deployment: Some(DeploymentObserved::local(Path::new("/vault/plugins"), empty_node())),
        other_nodes: other_nodes(ServerLocation::ThisMachine, Vec::new()),
        catalog: Vec::new(),
        pins: Pins::Set(Vec::new()),
        consumers: BTreeMap::new(),
        namespaces: BTreeSet::new(),
        namespace: None,
        irrevocable_leases: None,
        raft: Raft::NotAsked,
        writes: vec![WriteObserved {
            path: "custom/config".into(),
            read_state: ReadState::NotRead,
            fields: BTreeMap::from([
                ("api_endpoint".into(), Comparison::Unreadable),
                ("api_key".into(), Comparison::Unreadable),
            ]),
        }],
    }
}

/// Other nodes that the server lists.
pub(crate) fn other_nodes(server: ServerLocation, nodes: Vec<OtherNode>) -> OtherNodes {
    OtherNodes::Found { server, nodes: NodeList::Named(nodes) }
}

/// A node without plugins.
pub(crate) fn empty_node() -> NodeObserved {
    NodeObserved {
        readiness: Readiness::Ready,
        uid: None,
        helper_container: None,
        directory: DirectoryState::Usable,
        architecture: Architecture::X86_64,
        free_bytes: Some(1 << 30),
        interpreter_present: true,
        files: Vec::new(),
        links: BTreeSet::new(),
        processes: Vec::new(),
        file_issues: FileIssues::default(),
        server: None,
    }
}

/// A server on which `version` is installed, registered, and mounted at `custom/` with its configuration.
pub(crate) fn server_with(version: &str, sha256: &str) -> Observed {
    let mut observed = bare_server();
    let v_prefixed = format!("v{version}");
    let name = format!("custom-{version}");
    for node in observed.deployment.iter_mut().flat_map(|deployment| deployment.nodes.values_mut()) {
        node.files.push(PluginFile { name: name.clone(), sha256: sha256.into(), mode: 0o755 });
    }
    observed.catalog.push(CatalogEntry {
        kind: PluginType::Secret,
        name: "custom".into(),
        version: v_prefixed.clone(),
        sha256: sha256.into(),
        command: Some(name),
        args: Some(Vec::new()),
    });
    let mount = ConsumerObserved {
        plugin: "custom".into(),
        configured_version: v_prefixed.clone(),
        running_version: v_prefixed,
        running_sha256: sha256.into(),
        ..ConsumerObserved::default()
    };
    observed.consumers.insert("custom/".parse().expect("a path"), mount);
    for write in &mut observed.writes {
        write.read_state = ReadState::Present;
        write.fields.values_mut().for_each(|field| *field = Comparison::Equal);
    }
    observed
}

/// Registers `custom` 1.2.3, mounted at `custom/` with its configuration.
pub(crate) fn register() -> RegisterGoal {
    let data = BTreeMap::from([
        ("api_endpoint".into(), DesiredValue::Plain(json!("https://api.example.com"))),
        ("api_key".into(), DesiredValue::Secret(SecretString::new("hunter2"))),
    ]);
    RegisterGoal {
        plugin: Plugin {
            kind: PluginType::Secret,
            name: "custom".into(),
            version: "1.2.3".parse().expect("a version"),
            args: Vec::new(),
            env: Vec::new(),
            binary: Binary {
                path: PathBuf::from("./custom"),
                size: 1000,
                sha256: SHA.into(),
                executable: true,
                format: Format::Elf(Elf { architecture: Architecture::X86_64, linkage: Linkage::Static }),
            },
            probe: ProbeOutcome::Ran(ProbedPlugin {
                version: Some("v1.2.3".into()),
                kind: Some(PluginType::Secret),
                protocol: 5,
                multiplexing: true,
            }),
        },
        mounts: vec![DesiredMount {
            path: "custom".parse().expect("a path"),
            writes: vec![DesiredWrite { path: "config".into(), data }],
            smoke: None,
        }],
        downgrade: DowngradePolicy::Refuse,
        rewrite: RewritePolicy::Never,
        durability: Durability::Required,
        restart_consent: RestartConsent::default(),
        other_nodes_policy: OtherNodesPolicy::default(),
    }
}

pub(crate) fn goal(register: RegisterGoal) -> Goal {
    Goal::Register(Box::new(register))
}

/// Three nodes on which `custom` 1.0.0 runs, at `custom/` and `team/`.
pub(crate) fn old_fleet() -> Observed {
    let mut observed = server_with("1.0.0", "bb");
    let mount = observed.consumers["custom/"].clone();
    observed.consumers.insert("team/".parse().expect("a path"), mount.clone());
    let deployment = observed.deployment.as_mut().expect("a deployment");
    let running = RunningVersion { version: mount.running_version, sha256: mount.running_sha256 };
    let running = BTreeMap::from(["custom/", "team/"].map(|path| (path.to_owned(), running.clone())));
    let local = deployment.nodes.remove(&NodeName::local()).expect("a node");
    for (name, role) in
        [("vault-0", NodeRole::Active), ("vault-1", NodeRole::Standby), ("vault-2", NodeRole::Standby)]
    {
        let processes = match role {
            NodeRole::Active => {
                vec![Process { pid: 7, file: "custom-1.0.0".into(), sha256: Some("bb".into()) }]
            }
            NodeRole::Standby => Vec::new(),
        };
        let vault = NodeServer {
            role,
            sealed: false,
            version: "1.21.4".into(),
            running: running.clone(),
            seal_type: SealType::Auto,
            applied_index: None,
        };
        let uid = Some(format!("uid of {name}"));
        let node = NodeObserved { processes, uid, server: Some(vault), ..local.clone() };
        deployment.nodes.insert(NodeName::new(name), node);
    }
    observed
}

/// The restart of a standby of [`old_fleet`].
pub(crate) fn restart_step(node: &str) -> Step {
    let uid = Some(format!("uid of {node}"));
    Step::RestartNode { node: NodeName::new(node), uid, unready: UnreadyPodPolicy::Evict }
}

/// Upgrades every mount of `custom` to 1.2.3, after a canary.
pub(crate) fn upgrade() -> UpgradeGoal {
    UpgradeGoal {
        target: Target::Provided(Box::new(register().plugin)),
        only_mounts: Vec::new(),
        downgrade: DowngradePolicy::Refuse,
        canary: Canary::Mount { writes: Vec::new(), source_mount: None, smoke: None },
        smoke_tests: Vec::new(),
        breaking_changes: Vec::new(),
        durability: Durability::Required,
        other_nodes_policy: OtherNodesPolicy::default(),
        failover_test: FailoverTest::None,
        restart_consent: RestartConsent::default(),
    }
}
