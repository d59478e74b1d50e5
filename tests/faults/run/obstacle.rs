//! What is there from the start. What stands in the way is refused, with nothing changed, until it is gone.

use std::fs;

use serde_json::json;

use super::bad_version::upgrade;
use super::{Ended, undisturbed};
use crate::judge::{self, Excuse};
use crate::lab::{Lab, NAME, new, zeroed};
use crate::point::{Command, Obstacle};
use crate::snapshot::Snapshot;

/// Mounts that run another version than the others.
const OTHERS: [&str; 3] = ["third", "fourth", "fifth"];

/// Runs the upgrade into it.
pub(super) async fn meet(lab: &Lab, what: Obstacle) -> Ended {
    match what {
        Obstacle::PodPending => {
            lab.pods.cordon().await;
            let pod = lab.pods.standbys().await[0].to_owned();
            let excuse = Excuse::of_restart(&pod, std::time::Instant::now());
            lab.pods.delete(&pod).await;
            let ended = as_usual(lab, Command::Upgrade).await;
            Ended { excuses: vec![excuse], ..ended }
        }
        Obstacle::DiskFull => {
            lab.pods.fill_plugin_directory(&full(lab)).await;
            as_usual(lab, Command::Upgrade).await
        }
        Obstacle::RunsAlready => {
            lab.bring(&new(), &lab.new).await;
            lab.switch(&new()).await;
            as_usual(lab, Command::Upgrade).await
        }
        Obstacle::Downgrade => {
            let ended = upgrade(lab, &lab.zeroed, &["serve".to_owned()], Vec::new()).await;
            assert!(ended.said.contains("which is newer than"), "{}", ended.said);
            ended
        }
        Obstacle::NameTaken => {
            lab.pods.place(lab.pods.names()[1], &lab.old, &format!("{NAME}-{}", new())).await;
            as_usual(lab, Command::Upgrade).await
        }
        Obstacle::TwoVersions => two_versions(lab).await,
        Obstacle::TwentyInARow => twenty_in_a_row(lab).await,
    }
}

/// Removes the obstacle.
pub(super) async fn cure(lab: &Lab, what: Obstacle) {
    match what {
        Obstacle::PodPending => lab.pods.uncordon().await,
        Obstacle::DiskFull => lab.pods.free_plugin_directory(&full(lab)).await,
        Obstacle::NameTaken => {
            let directory = lab.pods.plugin_directory(lab.pods.names()[1]).await;
            fs::remove_file(directory.join(format!("{NAME}-{}", new()))).unwrap();
        }
        Obstacle::TwoVersions => {
            for mount in OTHERS {
                lab.send("DELETE", &format!("sys/mounts/{mount}"), None).await;
            }
            let entry = format!("sys/plugins/catalog/secret/{NAME}?version=v{}", zeroed());
            lab.send("DELETE", &entry, None).await;
            for pod in lab.pods.names() {
                let directory = lab.pods.plugin_directory(pod).await;
                fs::remove_file(directory.join(format!("{NAME}-{}", zeroed()))).unwrap();
            }
        }
        Obstacle::RunsAlready | Obstacle::Downgrade | Obstacle::TwentyInARow => {}
    }
}

async fn as_usual(lab: &Lab, command: Command) -> Ended {
    let start = Snapshot::take(lab).await;
    undisturbed(lab, start, &lab.args(command)).await
}

/// The pod without room: whichever it is, it stays the same.
fn full(lab: &Lab) -> String {
    lab.pods.names()[2].to_owned()
}

/// All of them are moved at once, from what each of them runs.
async fn two_versions(lab: &Lab) -> Ended {
    lab.bring(&zeroed(), &lab.zeroed).await;
    for mount in OTHERS {
        let config = json!({"type": NAME, "config": {"plugin_version": format!("v{}", zeroed())}});
        lab.send("POST", &format!("sys/mounts/{mount}"), Some(config)).await;
    }
    as_usual(lab, Command::Upgrade).await
}

/// There and back ten times.
async fn twenty_in_a_row(lab: &Lab) -> Ended {
    lab.bring(&new(), &lab.new).await;
    lab.switch(&new()).await;
    for _ in 0..9 {
        for command in [Command::Rollback, Command::Upgrade] {
            let ended = as_usual(lab, command).await;
            judge::state(lab, &ended).await;
        }
    }
    let ended = as_usual(lab, Command::Rollback).await;
    judge::state(lab, &ended).await;
    as_usual(lab, Command::Upgrade).await
}
