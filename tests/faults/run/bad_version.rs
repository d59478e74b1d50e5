//! Versions that do not work, here or only in a pod. None of them ever reaches a mount that people use.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use harness::build;

use super::{CommandRun, run_undisturbed};
use crate::fault_point::BadVersion;
use crate::lab::{Lab, NAME, OLD, next_version};
use crate::snapshot::Snapshot;

/// A second binary in the plugin directory of the pods.
const HELPER: &str = "helper";

/// Runs the upgrade to it.
pub(super) async fn run(lab: &Lab, what: BadVersion) -> CommandRun {
    let only_in_the_pod =
        |there: &str| format!("[ -d /vault/config ] && {{ {there}; }}; exec {} serve", lab.new.display());
    // A program that can be anything: it is linked statically.
    let busybox = build::busybox().await;
    let shell = |script: String| (busybox.clone(), vec!["sh".to_owned(), "-c".to_owned(), script]);
    let serve = |binary: PathBuf| (binary, vec!["serve".to_owned()]);
    let mut flags = vec!["--version".to_owned(), next_version()];
    let (binary, args): (PathBuf, Vec<String>) = match what {
        BadVersion::DoesNotStart => (busybox.clone(), vec!["false".to_owned()]),
        BadVersion::HangsAtStart => (busybox.clone(), vec!["sleep".to_owned(), "100000".to_owned()]),
        BadVersion::CrashesAtSetup => {
            flags.extend(["--allow-breaking", "--env", "GO_SDK_FAULT=crash"].map(str::to_owned));
            (build::go_sdk("v0.25.0").await, Vec::new())
        }
        BadVersion::CrashesAtTheFirstRequest => {
            let more = ["--allow-breaking", "--env", "GO_SDK_FAULT=request", "--smoke", "notes/kept"];
            flags.extend(more.map(str::to_owned));
            flags.extend(["--write", "notes/kept", "text=kept"].map(str::to_owned));
            (build::go_sdk("v0.25.0").await, Vec::new())
        }
        BadVersion::IsOfAnotherType => {
            flags.extend(["--allow-breaking", "--env", "GO_SDK_FAULT=kind"].map(str::to_owned));
            (build::go_sdk("v0.25.0").await, Vec::new())
        }
        BadVersion::DoesNotStartInThePod => shell(only_in_the_pod("exit 1")),
        BadVersion::HangsInThePod => shell(only_in_the_pod("exec /bin/sleep 100000")),
        BadVersion::DiesSoonInThePod => {
            for pod in lab.pods.names() {
                lab.pods.copy_to_plugin_directory(pod, &lab.new, HELPER).await;
            }
            let dies = format!("/vault/plugins/{HELPER} serve & /bin/sleep 0.2; kill -9 $!; exit 1");
            shell(only_in_the_pod(&dies))
        }
        BadVersion::LiesAboutItsVersion => {
            flags[1] = "8.0.0".to_owned();
            serve(lab.new.clone())
        }
        BadVersion::LiesInThePod => {
            shell(only_in_the_pod(&format!("exec /vault/plugins/{NAME}-{OLD} serve")))
        }
        BadVersion::DroppedAField => {
            serve(build::with_patched_version(&lab.new, "max_ttl", "max_tll", lab.folder.path()))
        }
        BadVersion::OtherArchitecture => {
            serve(patched_binary(lab, "foreign", |content| build::set_foreign_machine(content)))
        }
        BadVersion::Truncated => serve(patched_binary(lab, "cut", |content| content.truncate(1 << 20))),
        // This machine's shell, whose dynamic linker the pods do not have.
        BadVersion::Dynamic => {
            ("/bin/sh".into(), vec!["-c".to_owned(), format!("exec {} serve", lab.new.display())])
        }
        BadVersion::RegisteredWithAnotherChecksum => {
            let other = build::with_patched_version(&lab.new, "max_ttl", "max_tlx", lab.folder.path());
            for pod in lab.pods.names() {
                lab.pods.copy_to_plugin_directory(pod, &other, HELPER).await;
            }
            lab.register(&next_version(), HELPER, &other).await;
            serve(lab.new.clone())
        }
    };
    upgrade(lab, &binary, &args, flags).await
}

/// Removes what the fault added.
pub(super) async fn repair(lab: &Lab, what: BadVersion) {
    if what == BadVersion::RegisteredWithAnotherChecksum {
        let entry = format!("sys/plugins/catalog/secret/{NAME}?version=v{}", next_version());
        lab.send("DELETE", &entry, None).await;
    }
    for pod in lab.pods.names() {
        // Only some have one.
        let _ = fs::remove_file(lab.pods.plugin_directory(pod).await.join(HELPER));
    }
}

/// An upgrade by flags alone.
pub(super) async fn upgrade(lab: &Lab, binary: &Path, args: &[String], flags: Vec<String>) -> CommandRun {
    let mut line = ["upgrade", NAME, "--binary"].map(str::to_owned).to_vec();
    line.push(binary.display().to_string());
    let pods = ["--statefulset", "vault", "-n", lab.pods.namespace(), "--output", "json"];
    line.extend(pods.map(str::to_owned));
    line.extend(args.iter().map(|arg| format!("--arg={arg}")));
    line.extend(flags);
    let start = Snapshot::take(lab).await;
    run_undisturbed(lab, start, &line).await
}

fn patched_binary(lab: &Lab, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut content = fs::read(&lab.new).unwrap();
    change(&mut content);
    let path = lab.folder.path().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}
