//! Each finding on a minimal observation that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use vault_api::catalog::{ListedPlugin, PluginType};
use vault_api::pins::Pin;

use super::*;
use crate::binary::Architecture;
use crate::decide::samples::{lock_holder, old_fleet, server_with};
use crate::observed::deployment::{
    DeploymentKind, DirectoryState, Exposure, NodeObserved, NotExecutable, PluginStorage, PodUpdateStrategy,
    Readiness, SharedDirectory,
};
use crate::observed::other_nodes::{NodeList, OtherNodes, ServerLocation};
use crate::observed::{ConsumerObserved, MountHealth, Pins, PluginDirectory};

/// A server without findings.
fn healthy() -> Observed {
    let mut observed = server_with("1.0.0", "bb");
    observed.irrevocable_leases = Some(0);
    observed.caller.capabilities = Some(BTreeMap::new());
    for mount in observed.consumers.values_mut() {
        mount.health = Some(MountHealth::Ok);
    }
    observed
}

fn fleet() -> Observed {
    let mut observed = old_fleet();
    observed.irrevocable_leases = Some(0);
    observed.caller.capabilities = Some(BTreeMap::new());
    for mount in observed.consumers.values_mut() {
        mount.health = Some(MountHealth::Ok);
    }
    observed
}

fn ids(observed: &Observed) -> Vec<&'static str> {
    diagnose(observed).0.into_iter().map(|finding| finding.id).collect()
}

#[track_caller]
fn check(expected: &[&str], change: impl FnOnce(&mut Observed)) {
    let mut observed = healthy();
    change(&mut observed);
    assert_eq!(ids(&observed), expected);
}

#[track_caller]
fn check_fleet(expected: &[&str], change: impl FnOnce(&mut Observed)) {
    let mut observed = fleet();
    change(&mut observed);
    assert_eq!(ids(&observed), expected);
}

fn node(observed: &mut Observed) -> &mut NodeObserved {
    observed.deployment.as_mut().expect("a deployment").nodes.values_mut().next().expect("a node")
}

fn set_kubernetes_kind(observed: &mut Observed) {
    let text = |text: &str| text.to_owned();
    observed.deployment.as_mut().expect("a deployment").kind =
        DeploymentKind::Kubernetes { namespace: text("v"), statefulset: text("v"), container: text("v") };
}

fn directory(state: DirectoryState) -> impl FnOnce(&mut Observed) {
    move |observed| node(observed).directory = state
}

#[test]
fn what_is_healthy_is_called_so() {
    for observed in [healthy(), fleet()] {
        let (findings, unobserved) = diagnose(&observed);
        assert_eq!((findings.len(), unobserved.len()), (0, 0), "{findings:?} {unobserved:?}");
    }
}

#[test]
fn directories() {
    check(&["VTP-201"], directory(DirectoryState::Missing));
    check(&["VTP-202"], directory(DirectoryState::NotADirectory));
    check(&["VTP-203"], directory(DirectoryState::NoExec));
    check(&["VTP-204"], directory(DirectoryState::WorldWritable));
    let by = Exposure::Mode { mode: 0o775 };
    check(&["VTP-212"], directory(DirectoryState::Exposed { directory: "/opt".into(), by }));
    check(&["VTP-205"], directory(DirectoryState::Symlinked { target: "/data/p".into() }));
    check(&["VTP-206"], |observed| {
        node(observed).file_issues.partial_files.push(".custom-1.0.0.part".into());
    });
    check(&["VTP-207"], |observed| node(observed).free_bytes = Some(1000));
    check(&["VTP-208"], |observed| {
        node(observed).file_issues.outside_links.insert("custom-1.0.0".into(), PathBuf::from("/opt/custom"));
    });
    check(&["VTP-209"], directory(DirectoryState::NotWritable));
    check(&["VTP-211"], directory(DirectoryState::NotAccessible));
    check(&["VTP-209"], directory(DirectoryState::ReadOnly));
    check_fleet(&[], |observed| {
        set_kubernetes_kind(observed);
        node(observed).directory = DirectoryState::ReadOnly;
    });
    check(&["VTP-210"], |observed| node(observed).files[0].mode = 0o775);
}

#[test]
fn a_plugin_directory_that_another_container_can_write_to_is_named_with_both() {
    let mut observed = fleet();
    set_kubernetes_kind(&mut observed);
    let by = Exposure::Mode { mode: 0o777 };
    let shared =
        SharedDirectory { directory: "/vault/plugins".into(), by, with: vec!["the container audit".into()] };
    node(&mut observed).file_issues.shared = Some(shared);
    let (findings, _) = diagnose(&observed);
    assert_eq!(findings.iter().map(|finding| finding.id).collect::<Vec<_>>(), ["VTP-213"]);
    assert_eq!(
        findings[0].evidence,
        "/vault/plugins has mode 777, and the container audit can write to its volume"
    );
    // A server that checks permissions refuses such a directory, which is more severe.
    node(&mut observed).directory = DirectoryState::WorldWritable;
    assert_eq!(ids(&observed), ["VTP-204"]);
}

#[test]
fn a_server_of_several_nodes_that_names_none_is_said() {
    check(&["VTP-807"], |observed| {
        let server = ServerLocation::ThisMachine;
        observed.other_nodes = OtherNodes::Found { server, nodes: NodeList::Unnamed };
    });
}

/// The helper container replaces the shell, except for copies between nodes.
#[test]
fn where_there_is_no_shell_no_command_takes_one() {
    let mut observed = fleet();
    set_kubernetes_kind(&mut observed);
    let deployment = observed.deployment.as_mut().expect("a deployment");
    for node in deployment.nodes.values_mut() {
        node.helper_container = Some("vault-token-plugin-1".into());
        node.files[0].mode = 0o666;
        node.file_issues.partial_files.push(".custom-1.0.0.part".into());
        node.file_issues.outside_links.insert("custom-1.0.0".into(), PathBuf::from("/opt/custom"));
        node.file_issues.orphans.insert(7);
    }
    node(&mut observed).files.clear();
    let (findings, _) = diagnose(&observed);
    let commands: Vec<&String> = findings.iter().flat_map(|finding| &finding.commands).collect();
    let in_pods = commands.iter().filter(|command| command.starts_with("kubectl"));
    let program =
        |command: &&&String| command.contains("-c vault-token-plugin-1 -- /vault-token-plugin node ");
    assert!(in_pods.clone().count() > 0 && in_pods.clone().all(|command| program(&command)), "{commands:#?}");
}

#[test]
fn the_catalog_against_the_files() {
    check(&["VTP-301"], |observed| node(observed).files.clear());
    check_fleet(&["VTP-302"], |observed| node(observed).files.clear());
    check(&["VTP-303"], |observed| node(observed).files[0].sha256 = "cc".into());
    check(&["VTP-304"], |observed| node(observed).files[0].mode = 0o644);
    check(&["VTP-311"], |observed| node(observed).files[0].sha256.clear());
    check(&["VTP-305"], |observed| observed.catalog[0].sha256.clear());
    check(&["VTP-306"], |observed| {
        let bare = crate::observed::CatalogEntry {
            version: String::new(),
            command: Some("custom-1.0.0".into()),
            ..observed.catalog[0].clone()
        };
        observed.catalog.push(bare);
    });
    for (id, why) in [
        ("VTP-307", NotExecutable::NotABinary),
        ("VTP-308", NotExecutable::WrongArchitecture(Architecture::Aarch64)),
        ("VTP-309", NotExecutable::MissingInterpreter("/lib/ld-musl-x86_64.so.1".into())),
    ] {
        check(&[id], |observed| {
            node(observed).file_issues.not_executable.insert("custom-1.0.0".into(), why);
        });
    }
    check_fleet(&["VTP-310"], |observed| node(observed).architecture = Architecture::Aarch64);
}

#[track_caller]
fn commands(observed: &Observed) -> Vec<String> {
    diagnose(observed).0.into_iter().flat_map(|finding| finding.commands).collect()
}

#[test]
fn what_is_not_as_registered_is_put_there_by_register() {
    let register = "vault-token-plugin register custom --version v1.0.0 --arg=serve --binary FILE --yes";
    let mut observed = healthy();
    observed.catalog[0].args = Some(vec!["serve".into()]);
    node(&mut observed).files[0].sha256 = "cc".into();
    assert_eq!(commands(&observed), ["rm -f /vault/plugins/custom-1.0.0", register]);
    node(&mut observed).files.clear();
    assert_eq!(commands(&observed), [register]);
    node(&mut observed).directory = DirectoryState::WorldWritable;
    assert_eq!(commands(&observed), ["chmod go-w /vault/plugins", register, "chmod go-w /vault/plugins"]);
    node(&mut observed).directory = DirectoryState::Usable;
    observed.plugin_directory = PluginDirectory::NotVisible;
    let with_directory = register.replace(" --binary", " --plugin-dir /vault/plugins --binary");
    assert_eq!(commands(&observed), [with_directory]);
    // `register` would copy it under another name.
    observed.catalog[0].command = Some("custom".into());
    assert_eq!(commands(&observed), [""; 0]);
}

/// No node has the registered file to copy from, and `register` is refused while a node has a wrong one.
#[test]
fn wrong_files_of_all_pods_are_removed_before_one_register() {
    let mut observed = fleet();
    set_kubernetes_kind(&mut observed);
    for node in observed.deployment.as_mut().expect("a deployment").nodes.values_mut() {
        node.files[0].sha256 = "cc".into();
    }
    let commands = commands(&observed);
    let removals = commands.iter().filter(|command| command.contains(" -- rm -f "));
    assert_eq!((removals.count(), commands.len()), (3, 4), "{commands:#?}");
    assert!(commands[3].contains(" register custom "), "{commands:#?}");
}

#[test]
fn what_breaks_a_mount_now_stands_before_it_and_they_share_one_cure() {
    let mut observed = healthy();
    node(&mut observed).files.clear();
    let mount = observed.consumers.get_mut("custom/").expect("there");
    mount.health = Some(MountHealth::NoBackend);
    let second = mount.clone();
    observed.consumers.insert("team/".parse().expect("a path"), second);
    let (findings, _) = diagnose(&observed);
    let actual: Vec<_> =
        findings.iter().map(|finding| (finding.id, finding.severity, &*finding.subject)).collect();
    assert_eq!(
        actual,
        [
            ("VTP-301", Severity::BreaksNow, "secret custom v1.0.0"),
            ("VTP-504", Severity::BreaksNow, "custom/, team/"),
        ]
    );
    assert_eq!(findings[1].commands, ["vault operator step-down"]);
    assert!(
        findings[1].evidence.contains("team/?help=1, of secret custom v1.0.0, "),
        "{}",
        findings[1].evidence
    );
}

#[test]
fn pins_and_mounts() {
    let pin = |version: &str| {
        Pins::Set(vec![Pin { kind: PluginType::Secret, name: "custom".into(), version: version.into() }])
    };
    check(&["VTP-401"], |observed| {
        observed.pins = pin("v1.0.0");
        observed.consumers.get_mut("custom/").expect("there").configured_version = "v0.9.0".into();
    });
    check(&["VTP-402"], |observed| observed.pins = pin("v2.0.0"));
    check(&["VTP-501"], |observed| {
        observed.consumers.get_mut("custom/").expect("there").configured_version = "v2.0.0".into();
    });
    check(&["VTP-502"], |observed| {
        observed.consumers.get_mut("custom/").expect("there").running_version = "v0.9.0".into();
    });
    check(&["VTP-503"], |observed| {
        observed.consumers.get_mut("custom/").expect("there").running_sha256 = "cc".into();
    });
    check(&["VTP-504"], |observed| {
        observed.consumers.get_mut("custom/").expect("there").health = Some(MountHealth::NoBackend);
    });
    check(&["VTP-505"], |observed| {
        let message = "plugin is shut down".to_owned();
        observed.consumers.get_mut("custom/").expect("there").health = Some(MountHealth::Error { message });
    });
    check(&["VTP-506"], |observed| {
        let mount = observed.consumers.get_mut("custom/").expect("there");
        mount.configured_version.clear();
        mount.running_version.clear();
        observed.catalog[0].version.clear();
    });
    check(&["VTP-508"], |observed| observed.catalog.clear());
    check_fleet(&["VTP-509"], |observed| {
        let deployment = observed.deployment.as_mut().expect("a deployment");
        let standby =
            deployment.nodes.values_mut().last().and_then(|node| node.server.as_mut()).expect("a server");
        standby.running.get_mut("custom/").expect("there").version = "v0.9.0".into();
    });
}

#[test]
fn processes_leases_server_and_cluster() {
    check(&["VTP-601"], |observed| {
        node(observed).file_issues.orphans.insert(42);
    });
    check(&["VTP-651"], |observed| observed.irrevocable_leases = Some(3));
    check(&["VTP-701"], |observed| observed.server.initialized = false);
    check(&["VTP-702"], |observed| observed.server.sealed = true);
    check(&["VTP-703"], |observed| observed.server.has_active_node = false);
    check(&["VTP-704"], |observed| observed.plugin_directory = PluginDirectory::NotConfigured);
    check_fleet(&["VTP-705"], |observed| {
        node(observed).server.as_mut().expect("a server").version = "1.20.0".into();
    });
    check_fleet(&["VTP-801"], |observed| {
        node(observed).readiness = Readiness::NotReady { reason: "the pod is being deleted".into() };
    });
    check_fleet(&["VTP-802"], |observed| node(observed).server.as_mut().expect("a server").sealed = true);
    let store = |storage| {
        move |observed: &mut Observed| {
            observed.deployment.as_mut().expect("a deployment").plugin_storage = storage;
        }
    };
    let init = |files: &[&str]| PluginStorage::InitContainer {
        name: "plugins".into(),
        image: "registry/plugins:1".into(),
        files: Some(files.iter().map(|&file| file.to_owned()).collect::<BTreeSet<_>>()),
    };
    check_fleet(&["VTP-803"], store(PluginStorage::Ephemeral { description: "emptyDir plugins".into() }));
    check_fleet(&["VTP-804"], store(init(&["custom-0.9.0"])));
    check_fleet(&[], store(init(&["custom-0.9.0", "custom-1.0.0"])));
    check_fleet(&["VTP-805"], |observed| {
        let deployment = observed.deployment.as_mut().expect("a deployment");
        (deployment.plugin_storage, deployment.update_strategy) =
            (init(&["custom-1.0.0"]), PodUpdateStrategy::RollingUpdate);
    });
    check_fleet(&["VTP-806"], |observed| {
        observed.deployment.as_mut().expect("a deployment").lock_holder = Some(lock_holder("alice"));
    });
}

#[test]
fn what_was_not_seen_is_never_called_healthy() {
    let mut blind = healthy();
    blind.deployment = None;
    blind.caller.denied.insert("sys/plugins/catalog".into());
    blind.catalog.clear();
    blind.irrevocable_leases = None;
    blind.caller.capabilities = None;
    let (findings, unobserved) = diagnose(&blind);
    assert_eq!(findings, []);
    let what: Vec<&str> = unobserved.iter().map(|item| item.subject.as_str()).collect();
    let expected =
        ["sys/plugins/catalog", "files and processes", "capabilities of this token", "irrevocable leases"];
    assert_eq!(what, expected);
    let mut unread = healthy();
    node(&mut unread).file_issues.unchecked.insert("custom-1.0.0".into());
    let (findings, unobserved) = diagnose(&unread);
    assert_eq!((findings, unobserved.len()), (Vec::new(), 1));
}

/// `doctor` observes again then, and reports nothing about an ordinary election.
#[test]
fn an_election_is_told_from_a_server_that_is_sealed_or_not_initialised() {
    let mut electing = healthy();
    assert!(!electing.is_failing_over());
    electing.server.has_active_node = false;
    assert!(electing.is_failing_over());

    let mut sealed = healthy();
    sealed.server.sealed = true;
    assert!(!sealed.is_failing_over(), "there is no other node");
    let mut uninitialized = healthy();
    uninitialized.server.initialized = false;
    assert!(!uninitialized.is_failing_over());

    let mut taking_over = fleet();
    taking_over.server.sealed = true;
    assert!(taking_over.is_failing_over(), "a standby becomes active");
    let nodes = taking_over.deployment.as_mut().expect("a deployment").nodes.values_mut();
    nodes.for_each(|node| node.server.as_mut().expect("a server").sealed = true);
    assert!(!taking_over.is_failing_over(), "all are sealed");
}

/// For example after a step-down: no permission of the token is missing.
#[test]
fn while_no_node_is_active_that_is_all_that_is_said() {
    let mut observed = healthy();
    observed.server.has_active_node = false;
    observed.deployment = None;
    observed.plugin_directory = PluginDirectory::NotVisible;
    observed.caller.capabilities = None;
    observed.caller.denied.insert("sys/mounts".into());
    observed.irrevocable_leases = None;
    let (findings, unobserved) = diagnose(&observed);
    let ids: Vec<&str> = findings.iter().map(|finding| finding.id).collect();
    assert_eq!((ids, unobserved.len()), (vec!["VTP-703"], 1), "{unobserved:?}");
}

#[test]
fn an_id_is_given_once_and_every_text_is_found_again() {
    let all = finding_kinds();
    let unique: BTreeSet<&str> = all.iter().map(|kind| kind.id).collect();
    assert_eq!(unique.len(), all.len());
    for kind in all {
        for words in kind.log_patterns {
            let line = format!("2026-01-01T00:00:00Z [ERROR] core: {} (x)", words.replace('*', " /a/b "));
            let ids: Vec<&str> = explain(&line).iter().map(|explained| explained.kind.id).collect();
            assert_eq!(ids, [kind.id], "{line}");
        }
    }
    assert_eq!(explain("2026-01-01T00:00:00Z [INFO]  core: vault is unsealed"), []);
    assert_eq!(explain_log("core: checksums did not match\nx: permission denied").len(), 1);
}

/// The ids of a move of one mount of `kv`, configured for a version, to a server that lists `kv` in these versions.
fn ids_of_move(configured: &str, target: &[(&str, bool)]) -> Vec<&'static str> {
    let mut observed = healthy();
    observed.consumers.clear();
    let mount =
        ConsumerObserved { plugin: "kv".into(), configured_version: configured.into(), ..Default::default() };
    observed.consumers.insert("notes".parse().expect("a path"), mount);
    let listed = |(version, builtin): &(&str, bool)| ListedPlugin {
        kind: PluginType::Secret,
        name: "kv".into(),
        version: (*version).into(),
        builtin: *builtin,
        sha256: String::new(),
    };
    let target: Vec<ListedPlugin> = target.iter().map(listed).collect();
    diagnose_move(&observed, &target).0.into_iter().map(|finding| finding.id).collect()
}

#[test]
fn a_mount_can_be_moved_to_a_server_that_has_its_plugin_in_its_version() {
    let builtin = [("v0.26.0+builtin", true)];
    for (configured, target) in [
        ("", &builtin[..]),
        ("v0.25.0+builtin", &builtin),
        ("", &[("", false)]),
        ("v1.0.0", &[("v1.0.0", false)]),
        ("latest", &[("v2.0.0", false)]),
    ] {
        assert_eq!(ids_of_move(configured, target), [""; 0], "{configured:?} {target:?}");
    }
    for configured in ["", "v1.0.0"] {
        assert_eq!(ids_of_move(configured, &[]), ["VTP-551"]);
        assert_eq!(ids_of_move(configured, &[("v2.0.0", false)]), ["VTP-552"]);
    }
    assert_eq!(ids_of_move("v1.0.0", &builtin), ["VTP-552"]);
}

#[test]
fn parts_of_a_server_are_no_plugins() {
    let mut observed = healthy();
    observed.consumers.clear();
    for (path, kind) in
        [("sys", "system"), ("cubbyhole", "cubbyhole"), ("identity", "identity"), ("auth/token", "token")]
    {
        let mount = ConsumerObserved { plugin: kind.into(), ..Default::default() };
        observed.consumers.insert(path.parse().expect("a path"), mount);
    }
    assert_eq!(diagnose_move(&observed, &[]).0, []);
}
