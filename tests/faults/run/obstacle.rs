//! What is there from the start. What stands in the way is refused, with nothing changed, until it is gone.

use std::fs;
use std::path::PathBuf;

use harness::build;
use serde_json::json;

use super::bad_version::upgrade;
use super::{Ended, args};
use crate::lab::{Lab, MOUNTS, NAME, OLD, new, sha256};
use crate::point::{Command, Obstacle};

/// Runs the upgrade into it, and takes it away.
pub(super) async fn meet(lab: &Lab, what: Obstacle) -> Ended {
    match what {
        Obstacle::PodPending => {
            lab.pods.cordon().await;
            let pod = lab.pods.standbys().await[0].to_owned();
            lab.pods.delete(&pod).await;
            let ended = refused(lab).await;
            lab.pods.uncordon().await;
            lab.pods.wait_ready(&pod).await;
            ended
        }
        Obstacle::DiskFull => {
            let pod = lab.pods.standbys().await[0].to_owned();
            lab.pods.fill_plugin_directory(&pod).await;
            let ended = refused(lab).await;
            lab.pods.free_plugin_directory(&pod).await;
            ended
        }
        Obstacle::RunsAlready => {
            lab.reset(&new()).await;
            let output = lab.program().run(args(lab, Command::Upgrade)).await;
            assert!(output.stdout.contains("\"nothing_to_do\""), "{output:?}");
            Ended { code: output.code, said: output.stderr }
        }
        Obstacle::Downgrade => {
            let binary = older(lab);
            let ended = upgrade(lab, &binary, &["serve".to_owned()], Vec::new()).await;
            assert_eq!(ended.code, Some(1), "{}", ended.said);
            assert!(ended.said.contains("which is newer than"), "{}", ended.said);
            unchanged(lab).await;
            ended
        }
        Obstacle::NameTaken => {
            let pod = lab.pods.names()[1].to_owned();
            let name = format!("{NAME}-{}", new());
            lab.pods.place(&pod, &lab.old, &name).await;
            let output = lab.program().run(args(lab, Command::Upgrade)).await;
            assert_eq!(output.code, Some(1), "{output:?}");
            fs::remove_file(lab.pods.plugin_directory(&pod).await.join(name)).unwrap();
            unchanged(lab).await;
            Ended { code: output.code, said: output.stderr }
        }
        Obstacle::TwoVersions => two_versions(lab).await,
        Obstacle::TwentyInARow => twenty_in_a_row(lab).await,
    }
}

/// All of them are moved at once, from what each of them runs.
async fn two_versions(lab: &Lab) -> Ended {
    let (binary, version, others) = (older(lab), zeroed(), ["third", "fourth", "fifth"]);
    let file = format!("{NAME}-{version}");
    for pod in lab.pods.names() {
        lab.pods.place(pod, &binary, &file).await;
    }
    let entry = json!({
        "version": format!("v{version}"), "command": file, "args": ["serve"], "sha256": sha256(&binary),
    });
    lab.send("PUT", &format!("sys/plugins/catalog/secret/{NAME}"), Some(entry)).await;
    for mount in others {
        let config = json!({"type": NAME, "config": {"plugin_version": format!("v{version}")}});
        lab.send("POST", &format!("sys/mounts/{mount}"), Some(config)).await;
    }
    let output = lab.program().run(args(lab, Command::Upgrade)).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let mounts = lab.get("sys/mounts").await;
    for mount in others.iter().chain(&MOUNTS) {
        assert_eq!(mounts[format!("{mount}/")]["running_plugin_version"], format!("v{}", new()), "{mount}");
    }
    for mount in others {
        lab.send("DELETE", &format!("sys/mounts/{mount}"), None).await;
    }
    lab.send("DELETE", &format!("sys/plugins/catalog/secret/{NAME}?version=v{version}"), None).await;
    for pod in lab.pods.names() {
        fs::remove_file(lab.pods.plugin_directory(pod).await.join(&file)).unwrap();
    }
    Ended { code: output.code, said: output.stderr }
}

/// There and back ten times.
async fn twenty_in_a_row(lab: &Lab) -> Ended {
    for _ in 0..10 {
        for (command, version) in [(Command::Upgrade, new()), (Command::Rollback, OLD.to_owned())] {
            let output = lab.program().run(args(lab, command)).await;
            assert_eq!(output.code, Some(0), "{output:?}");
            lab.assert_all_on(&version).await;
        }
    }
    Ended { code: Some(0), said: String::new() }
}

fn zeroed() -> String {
    OLD.chars().map(|sign| if sign.is_ascii_digit() { '0' } else { sign }).collect()
}

fn older(lab: &Lab) -> PathBuf {
    build::another_version(&lab.old, OLD, &zeroed(), lab.folder.path())
}

async fn refused(lab: &Lab) -> Ended {
    let output = lab.program().run(args(lab, Command::Upgrade)).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    unchanged(lab).await;
    Ended { code: output.code, said: output.stderr }
}

async fn unchanged(lab: &Lab) {
    lab.assert_all_on(OLD).await;
    lab.assert_nothing_is_left_but(&[OLD]).await;
}
