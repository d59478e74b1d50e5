use vault_api::capabilities::Capabilities;
use vault_api::catalog::PluginType;
use vault_api::pins::Pin;

use super::samples::{
    SHA, bare_server, decide, empty_node, goal, lock_holder, old_fleet, other_nodes, plan, register,
    server_with, simulate,
};
use super::*;
use crate::binary::{Architecture, Elf, Format, Linkage, ProbedPlugin};
use crate::goal::{
    DeregisterGoal, DowngradePolicy, OtherNodesPolicy, RegisterGoal, RestartConsent, VersionSelector,
};
use crate::observed::deployment::{DeploymentKind, DirectoryState, Exposure, NodeName, NodeObserved};
use crate::observed::other_nodes::{NodeList, OtherNode, OtherNodes, ServerLocation};
use crate::observed::{CatalogEntry, Pins, PluginDirectory};

fn step_texts(observed: &Observed, goal: &Goal) -> Vec<String> {
    plan(observed, goal).expect("a plan").steps.iter().map(ToString::to_string).collect()
}

fn set_pin(observed: &mut Observed, version: &str) {
    let pin = Pin { kind: PluginType::Secret, name: "custom".into(), version: version.into() };
    observed.pins = Pins::Set(vec![pin]);
}

#[test]
fn everything_from_nothing_in_order() {
    assert_eq!(
        step_texts(&bare_server(), &goal(register())),
        [
            "copy custom-1.2.3 to /vault/plugins",
            "register secret plugin custom v1.2.3",
            "mount custom v1.2.3 at custom/",
            "write custom/config (api_endpoint, api_key)",
        ]
    );
}

#[test]
fn mounts_are_smoke_tested_once_everything_is_done_and_only_if_there_was_anything_to_do() {
    let mut register = register();
    register.mounts[0].smoke = Some("creds/dev".into());
    let goal = goal(register);
    assert_eq!(step_texts(&bare_server(), &goal).last().expect("a step"), "smoke-test custom/creds/dev");
    assert_eq!(decide(&server_with("1.2.3", SHA), &goal), Decision::Done);
}

/// A restarted standby would keep running a version that fails its smoke test.
#[test]
fn a_mount_is_smoke_tested_before_standbys_are_restarted() {
    let mut register = register();
    register.mounts[0].smoke = Some("creds/dev".into());
    let mut fleet = old_fleet();
    fleet.server.product = Product::OpenBao;
    let steps = step_texts(&fleet, &goal(register));
    let at = |text: &str| steps.iter().position(|step| step.starts_with(text));
    let (reload, test, restart) = (at("reload custom/"), at("smoke-test"), at("restart"));
    assert!(reload.is_some() && reload < test && test < restart, "{steps:?}");
}

#[test]
fn nothing_where_everything_is_as_wanted() {
    assert_eq!(decide(&server_with("1.2.3", SHA), &goal(register())), Decision::Done);
}

#[test]
fn a_mount_that_shows_no_checksum_may_be_a_builtin_and_proves_nothing() {
    let mut observed = server_with("1.2.3", SHA);
    observed.consumers.get_mut("custom/").expect("a mount").running_sha256 = String::new();
    assert_eq!(step_texts(&observed, &goal(register())), ["reload custom/"]);
}

#[test]
fn a_mount_of_an_older_version_is_moved_and_reloaded() {
    assert_eq!(
        step_texts(&server_with("1.0.0", "bb"), &goal(register())),
        [
            "copy custom-1.2.3 to /vault/plugins",
            "register secret plugin custom v1.2.3",
            "move custom/ from v1.0.0 to v1.2.3",
            "reload custom/",
        ]
    );
}

#[test]
fn a_mount_that_was_moved_and_not_reloaded_is_reloaded() {
    let mut observed = server_with("1.2.3", SHA);
    observed.consumers.get_mut("custom/").expect("a mount").running_version = "v1.0.0".into();
    assert_eq!(step_texts(&observed, &goal(register())), ["reload custom/"]);
}

#[test]
fn the_same_version_with_another_binary_is_reloaded() {
    let mut observed = server_with("1.2.3", SHA);
    observed.consumers.get_mut("custom/").expect("a mount").running_sha256 = "cc".into();
    assert_eq!(step_texts(&observed, &goal(register())), ["reload custom/"]);
}

#[test]
fn under_a_pin_to_the_wanted_version_mounts_are_not_given_one() {
    let mut observed = bare_server();
    set_pin(&mut observed, "v1.2.3");
    let steps = plan(&observed, &goal(register())).expect("a plan").steps;
    assert!(
        steps.iter().any(|step| matches!(step, Step::EnableMount { version_from: VersionFrom::Pin, .. }))
    );
    let mut observed = server_with("1.0.0", "bb");
    set_pin(&mut observed, "v1.2.3");
    assert_eq!(
        step_texts(&observed, &goal(register()))[2..],
        ["reload custom/"],
        "a tune would be refused by the server"
    );
}

#[test]
fn only_what_differs_is_written() {
    let mut observed = server_with("1.2.3", SHA);
    observed.writes[0].fields.insert("api_key".into(), Comparison::Differs);
    assert_eq!(step_texts(&observed, &goal(register())), ["write custom/config (api_endpoint, api_key)"]);
    observed.writes[0].fields.insert("api_key".into(), Comparison::Unreadable);
    let made = plan(&observed, &goal(register())).expect("a plan");
    assert!(made.is_empty());
    assert_eq!(
        made.notices,
        [Notice::FieldsUnreadable { path: "custom/config".into(), fields: vec!["api_key".into()] }]
    );
    let rewrite = RegisterGoal { rewrite: RewritePolicy::Unreadable, ..register() };
    assert_eq!(step_texts(&observed, &goal(rewrite)).len(), 1);
}

#[test]
fn a_plan_never_holds_a_secret() {
    let made = plan(&bare_server(), &goal(register())).expect("a plan");
    let text = format!("{made:?} {}", serde_json::to_string(&made).expect("serializes"));
    assert!(text.contains("api_key") && !text.contains("hunter2"));
}

#[test]
fn a_missing_permission_is_refused_first_with_a_policy() {
    let mut observed = bare_server();
    let capabilities = [
        ("sys/plugins/catalog/secret/custom", vec!["read", "update"]),
        ("sys/mounts/custom", vec!["update"]),
    ];
    observed.caller.capabilities = Some(
        capabilities
            .into_iter()
            .map(|(path, names)| {
                (path.to_owned(), Capabilities(names.into_iter().map(String::from).collect()))
            })
            .collect(),
    );
    let Decision::Refuse(Refusal::NotPermitted { missing, policy }) = decide(&observed, &goal(register()))
    else {
        panic!("not refused");
    };
    assert_eq!(missing, ["read and update and sudo on sys/plugins/catalog/secret/custom"]);
    assert_eq!(
        policy,
        "path \"sys/plugins/catalog/secret/custom\" {\n  capabilities = [\"create\", \"read\", \"update\", \"sudo\"]\n}\n"
    );
}

#[test]
fn without_an_active_node_it_waits() {
    let mut observed = bare_server();
    observed.server.has_active_node = false;
    assert_eq!(decide(&observed, &goal(register())), Decision::Wait(WaitingOn::ActiveNode));
}

#[test]
fn a_reload_happens_once_and_is_proven() {
    let goal = Goal::Reload(ReloadGoal {
        target: ReloadTarget::Mounts(vec!["custom".parse().expect("a path")]),
        restart_consent: RestartConsent::default(),
    });
    let observed = server_with("1.2.3", SHA);
    let Decision::Do(step) = decide(&observed, &goal) else { panic!("nothing to do") };
    let after = simulate(&observed, [&step]);
    assert_eq!(decide(&after, &goal), Decision::Done);
    let mut not_reloaded = after;
    not_reloaded.observed.consumers.get_mut("custom/").expect("a mount").running_version = "v1.0.0".into();
    assert!(matches!(decide(&not_reloaded, &goal), Decision::Refuse(Refusal::RunningVersionMismatch { .. })));
}

/// Each row: the refusal, and the change that leads to it.
#[test]
fn refusals_name_what_is_wrong() {
    type Change = fn(&mut Observed, &mut RegisterGoal);
    fn local_node(observed: &mut Observed) -> &mut NodeObserved {
        observed
            .deployment
            .as_mut()
            .expect("a deployment")
            .nodes
            .get_mut(&NodeName::local())
            .expect("its node")
    }
    fn probe(register: &mut RegisterGoal, version: &str, kind: PluginType) {
        let probe =
            ProbedPlugin { version: Some(version.into()), kind: Some(kind), protocol: 5, multiplexing: true };
        register.plugin.probe = ProbeOutcome::Ran(probe);
    }
    let rows: &[(&str, Change)] = &[
        ("is not initialized", |o, _| o.server.initialized = false),
        ("is sealed", |o, _| o.server.sealed = true),
        ("does not have the required permissions", |o, _| {
            o.caller.denied.insert("sys/mounts".into());
        }),
        ("has no plugin directory configured", |o, _| o.plugin_directory = PluginDirectory::NotConfigured),
        ("the plugin directory of the server is unknown", |o, _| o.deployment = None),
        ("does not exist", |o, _| local_node(o).directory = DirectoryState::Missing),
        ("is not a directory", |o, _| local_node(o).directory = DirectoryState::NotADirectory),
        ("contains a symbolic link; its real path is /data", |o, _| {
            local_node(o).directory = DirectoryState::Symlinked { target: "/data".into() }
        }),
        ("the plugin directory of the server is /other", |o, _| {
            local_node(o).directory =
                DirectoryState::NotPluginDirectory { plugin_directory: "/other".into() };
        }),
        ("is not writable", |o, _| local_node(o).directory = DirectoryState::NotWritable),
        ("mounted read-only", |o, _| local_node(o).directory = DirectoryState::ReadOnly),
        ("mounted noexec", |o, _| local_node(o).directory = DirectoryState::NoExec),
        ("alice is changing plugins", |o, _| {
            o.deployment.as_mut().expect("a deployment").lock_holder = Some(lock_holder("alice"));
        }),
        ("is world-writable", |o, _| local_node(o).directory = DirectoryState::WorldWritable),
        ("/opt has mode 775, so other users can replace plugins", |o, _| {
            let by = Exposure::Mode { mode: 0o775 };
            local_node(o).directory = DirectoryState::Exposed { directory: "/opt".into(), by };
        }),
        ("/opt belongs to user 65534", |o, _| {
            let by = Exposure::Owner { user: 65534 };
            local_node(o).directory = DirectoryState::Exposed { directory: "/opt".into(), by };
        }),
        ("10 bytes free", |o, _| local_node(o).free_bytes = Some(10)),
        ("not a Linux executable", |_, r| r.plugin.binary.format = Format::Other),
        ("./custom is not executable", |_, r| r.plugin.binary.executable = false),
        ("built for arm64, but the server runs on amd64", |_, r| {
            r.plugin.binary.format =
                Format::Elf(Elf { architecture: Architecture::Aarch64, linkage: Linkage::Static });
        }),
        ("requires the dynamic linker /lib64/ld.so", |o, r| {
            local_node(o).interpreter_present = false;
            let linkage = Linkage::Dynamic { interpreter: "/lib64/ld.so".into() };
            r.plugin.binary.format = Format::Elf(Elf { architecture: Architecture::X86_64, linkage });
        }),
        ("is not a working plugin: usage", |_, r| {
            r.plugin.probe = ProbeOutcome::Failed { output: "usage".into() };
        }),
        ("reports v9.9.9, expected 1.2.3", |_, r| probe(r, "v9.9.9", PluginType::Secret)),
        ("of type auth, expected secret", |_, r| probe(r, "1.2.3", PluginType::Auth)),
        ("exists with a different content", |o, _| {
            *o = server_with("1.2.3", "bb");
        }),
        ("already registered with a different sha256", |o, _| {
            *o = server_with("1.2.3", SHA);
            o.catalog[0].sha256 = "bb".into();
        }),
        ("already registered with a different command", |o, _| {
            *o = server_with("1.2.3", SHA);
            o.catalog[0].command = Some("custom".into());
        }),
        ("already registered with a different list of arguments", |o, r| {
            *o = server_with("1.2.3", SHA);
            r.plugin.args = vec!["serve".into()];
        }),
        ("custom/ is a mount of the plugin kv", |o, _| {
            *o = server_with("1.2.3", SHA);
            o.consumers.get_mut("custom/").expect("a mount").plugin = "kv".into();
        }),
        ("overlaps with the mount custom/team/", |o, _| {
            o.consumers.insert("custom/team/".parse().expect("a path"), ConsumerObserved::default());
        }),
        ("custom is pinned to v1.0.0", |o, _| set_pin(o, "v1.0.0")),
        ("has version v2.0.0, which is newer than 1.2.3", |o, _| *o = server_with("2.0.0", "bb")),
        ("of type auth cannot be mounted", |_, r| {
            r.plugin.kind = PluginType::Auth;
            probe(r, "1.2.3", PluginType::Auth);
        }),
    ];
    for (words, change) in rows {
        let (mut observed, mut register) = (bare_server(), register());
        change(&mut observed, &mut register);
        let Decision::Refuse(refusal) = decide(&observed, &goal(register)) else {
            panic!("not refused: {words}");
        };
        assert!(refusal.to_string().contains(words), "{words}: {refusal}");
        assert!(refusal.hint().len() > 10, "{words}");
    }
}

/// Three pods, of which the first has the binary.
fn three_pods() -> Observed {
    let mut observed = server_with("1.2.3", SHA);
    let deployment = observed.deployment.as_mut().expect("a deployment");
    deployment.kind = DeploymentKind::Kubernetes {
        namespace: "vault".into(),
        statefulset: "vault".into(),
        container: "vault".into(),
    };
    let first = deployment.nodes.remove(&NodeName::local()).expect("the node");
    deployment.nodes.insert(NodeName::new("vault-0"), first);
    for name in ["vault-1", "vault-2"] {
        deployment.nodes.insert(NodeName::new(name), empty_node());
    }
    observed
}

#[test]
fn only_the_nodes_that_lack_the_binary_get_it() {
    assert_eq!(
        step_texts(&three_pods(), &goal(register())),
        ["copy custom-1.2.3 to /vault/plugins on vault-1, vault-2"]
    );
}

#[test]
fn one_node_that_is_not_fit_stops_everything_and_is_named() {
    let refused = |change: fn(&mut NodeObserved)| {
        let mut observed = three_pods();
        let nodes = &mut observed.deployment.as_mut().expect("a deployment").nodes;
        change(nodes.get_mut(&NodeName::new("vault-2")).expect("the node"));
        let Decision::Refuse(refusal) = decide(&observed, &goal(register())) else { panic!("not refused") };
        refusal.to_string()
    };
    assert_eq!(
        refused(|node| *node = NodeObserved::not_ready("Pending: no node has room")),
        "on vault-2: the node is not ready: Pending: no node has room"
    );
    assert_eq!(
        refused(|node| node.free_bytes = Some(1)),
        "on vault-2: /vault/plugins has 1 bytes free, the binary requires 1000"
    );
}

#[test]
fn a_downgrade_can_be_allowed() {
    let register = RegisterGoal { downgrade: DowngradePolicy::Allow, ..register() };
    let steps = step_texts(&server_with("2.0.0", "bb"), &goal(register));
    assert!(steps.contains(&"move custom/ from v2.0.0 to v1.2.3".to_owned()));
}

#[test]
fn an_unversioned_entry_beside_it_is_said() {
    let mut observed = bare_server();
    observed.catalog.push(CatalogEntry {
        kind: PluginType::Secret,
        name: "custom".into(),
        version: String::new(),
        sha256: "bb".into(),
        command: None,
        args: None,
    });
    let notices = plan(&observed, &goal(register())).expect("a plan").notices;
    assert_eq!(notices, [Notice::UnversionedEntry { name: "custom".into() }]);
}

#[test]
fn nodes_that_this_machine_cannot_look_at_are_accounted_for_or_nothing_is_done() {
    let node = |name: &str| OtherNode { name: name.into(), names: [name.to_owned()].into() };
    let with = |other_nodes_policy: OtherNodesPolicy| goal(RegisterGoal { other_nodes_policy, ..register() });
    let installed_on =
        |names: &[&str]| OtherNodesPolicy::InstalledOn(names.iter().map(|&name| name.to_owned()).collect());
    let mut observed = bare_server();
    observed.other_nodes = other_nodes(ServerLocation::ThisMachine, vec![node("b"), node("c")]);
    for (other_nodes_policy, unconfirmed) in [
        (installed_on(&[]), vec!["b", "c"]),
        (installed_on(&["b"]), vec!["c"]),
        (installed_on(&["d", "c"]), vec!["b"]),
    ] {
        let Decision::Refuse(Refusal::OtherNodes { nodes, .. }) =
            decide(&observed, &with(other_nodes_policy))
        else {
            panic!("not refused");
        };
        assert_eq!(nodes, unconfirmed);
    }
    for (other_nodes_policy, confirmed) in
        [(installed_on(&["c", "b"]), true), (OtherNodesPolicy::ThisNodeOnly, false)]
    {
        let made = plan(&observed, &with(other_nodes_policy)).expect("a plan");
        let nodes = vec!["b".to_owned(), "c".to_owned()];
        assert_eq!(made.notices, [Notice::OtherNodes { nodes, confirmed }]);
    }

    // The directory of this machine is not that of a server on another one.
    observed.other_nodes = other_nodes(ServerLocation::OtherMachine, vec![node("a")]);
    for other_nodes_policy in [installed_on(&[]), OtherNodesPolicy::ThisNodeOnly] {
        let decision = decide(&observed, &with(other_nodes_policy));
        assert!(matches!(decision, Decision::Refuse(Refusal::RemoteServer { .. })), "{decision:?}");
    }
    assert!(matches!(decide(&observed, &with(installed_on(&["a"]))), Decision::Do(_)));

    // If there is nothing to do, no confirmation is needed.
    let mut done = server_with("1.2.3", SHA);
    done.other_nodes = observed.other_nodes;
    assert_eq!(decide(&done, &with(installed_on(&[]))), Decision::Done);
}

#[test]
fn a_server_of_several_nodes_that_names_none_is_refused_as_one_that_names_them() {
    let with = |other_nodes_policy: OtherNodesPolicy| goal(RegisterGoal { other_nodes_policy, ..register() });
    let mut observed = bare_server();
    observed.other_nodes =
        OtherNodes::Found { server: ServerLocation::ThisMachine, nodes: NodeList::Unnamed };
    let Decision::Refuse(refusal) = decide(&observed, &with(OtherNodesPolicy::default())) else {
        panic!("not refused");
    };
    for words in ["--installed-on", "--this-node-only", "/vault/plugins/custom-1.2.3"] {
        assert!(refusal.hint().contains(words), "{words:?} is not in: {}", refusal.hint());
    }
    let nodes = vec!["b".to_owned()];
    for (other_nodes_policy, confirmed_nodes) in
        [(OtherNodesPolicy::InstalledOn(nodes.clone()), nodes), (OtherNodesPolicy::ThisNodeOnly, Vec::new())]
    {
        let made = plan(&observed, &with(other_nodes_policy)).expect("a plan");
        assert_eq!(made.notices, [Notice::UnnamedNodes { confirmed_nodes }]);
    }
    let mut done = server_with("1.2.3", SHA);
    done.other_nodes = OtherNodes::Found { server: ServerLocation::ThisMachine, nodes: NodeList::Unnamed };
    assert_eq!(decide(&done, &with(OtherNodesPolicy::default())), Decision::Done);
}

#[test]
fn a_mount_that_follows_the_latest_version_is_told_to_run_that() {
    let latest = |version: &str, sha256: &str| {
        let mut observed = server_with(version, sha256);
        observed.consumers.get_mut("custom/").expect("a mount").configured_version = "latest".into();
        observed
    };
    assert_eq!(decide(&latest("1.2.3", SHA), &goal(register())), Decision::Done);
    assert_eq!(
        step_texts(&latest("1.0.0", "bb"), &goal(register())),
        ["copy custom-1.2.3 to /vault/plugins", "register secret plugin custom v1.2.3", "reload custom/"]
    );
    let reload = Goal::Reload(ReloadGoal {
        target: ReloadTarget::Mounts(vec!["custom".parse().expect("a path")]),
        restart_consent: RestartConsent::default(),
    });
    let observed = latest("1.2.3", SHA);
    let reloaded = simulate(&observed, [&Step::ReloadMount { path: "custom".parse().expect("a path") }]);
    assert_eq!(decide(&reloaded, &reload), Decision::Done);
    let (findings, _) = crate::diagnose::diagnose(&observed);
    assert_eq!(findings.iter().map(|finding| finding.id).collect::<Vec<_>>(), Vec::<&str>::new());

    // A registered version that is not running yet will run after the next start.
    let mut observed = latest("1.0.0", "bb");
    let newer = CatalogEntry { version: "v1.10.0".into(), command: None, ..observed.catalog[0].clone() };
    observed.catalog.push(newer);
    let needed = DeregisterGoal {
        kind: PluginType::Secret,
        name: "custom".into(),
        versions: VersionSelector::Only(vec!["1.10.0".parse().expect("a version")]),
    };
    let Decision::Refuse(refusal) = decide(&observed, &Goal::Deregister(needed)) else {
        panic!("not refused")
    };
    assert_eq!(refusal.to_string(), "custom v1.10.0 is in use: custom/ is configured to run it");
}

#[test]
fn a_mount_in_a_namespace_that_does_not_exist_is_refused() {
    let mut observed = bare_server();
    let mut register = register();
    let mount = &mut register.mounts[0];
    mount.path = mount.path.clone().in_namespace("team");
    let Decision::Refuse(refusal) = decide(&observed, &goal(register.clone())) else { panic!("not refused") };
    assert_eq!(refusal.to_string(), "there is no namespace team");
    observed.namespaces.insert("team/".into());
    let steps = plan(&observed, &goal(register.clone())).expect("a plan").steps;
    assert!(steps.iter().any(|step| step.to_string() == "mount custom v1.2.3 at team/custom/"), "{steps:?}");
    // A token without permission to list namespaces may have it to use one.
    observed.namespaces.clear();
    observed.caller.denied.insert("sys/namespaces".into());
    assert!(plan(&observed, &goal(register)).is_ok());
}

/// OpenBao's own words for it are "unsupported path".
#[test]
fn a_version_is_not_registered_in_a_namespace_whose_server_has_one_catalog() {
    let mut observed = bare_server();
    observed.namespace = Some("team".into());
    assert!(plan(&observed, &goal(register())).is_ok(), "what Vault Enterprise allows is its own affair");
    observed.server.product = Product::OpenBao;
    let Decision::Refuse(refusal) = decide(&observed, &goal(register())) else { panic!("it would not work") };
    assert_eq!(
        refusal.to_string(),
        "custom 1.2.3 cannot be registered in the namespace team: the plugin catalog belongs to the root namespace"
    );
    assert!(
        refusal.hint().contains("put the namespace before the path of each mount: team/PATH"),
        "{}",
        refusal.hint()
    );
    // What runs already needs no entry.
    let there =
        Observed { namespace: observed.namespace, server: observed.server, ..server_with("1.2.3", SHA) };
    assert_eq!(decide(&there, &goal(register())), Decision::Done);
}
