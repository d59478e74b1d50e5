//! Obstacles that exist from the start. They are refused, with nothing changed, until they are removed.

use std::fs;

use serde_json::json;

use super::bad_version::upgrade;
use super::{CommandRun, run_undisturbed};
use crate::assertions::{self, ExpectedOutage};
use crate::fault_point::{Command, Obstacle};
use crate::lab::{Lab, NAME, next_version, zero_version};
use crate::snapshot::Snapshot;

/// Mounts that run another version than the others.
const OTHER_MOUNTS: [&str; 3] = ["third", "fourth", "fifth"];

/// Runs the upgrade with the obstacle.
pub(super) async fn run(lab: &Lab, what: Obstacle) -> CommandRun {
    match what {
        Obstacle::PodPending => {
            lab.pods.cordon().await;
            let pod = lab.pods.standbys().await[0].to_owned();
            let excuse = ExpectedOutage::standby_restart(&pod, std::time::Instant::now());
            lab.pods.delete(&pod).await;
            let ended = run_command(lab, Command::Upgrade).await;
            CommandRun { excuses: vec![excuse], ..ended }
        }
        Obstacle::DiskFull => {
            lab.pods.fill_plugin_directory(&full_pod(lab)).await;
            run_command(lab, Command::Upgrade).await
        }
        Obstacle::RunsAlready => {
            lab.copy_and_register(&next_version(), &lab.new).await;
            lab.move_mounts(&next_version()).await;
            run_command(lab, Command::Upgrade).await
        }
        Obstacle::Downgrade => {
            let ended = upgrade(lab, &lab.zero, &["serve".to_owned()], Vec::new()).await;
            assert!(ended.stderr.contains("which is newer than"), "{}", ended.stderr);
            ended
        }
        Obstacle::NameTaken => {
            lab.pods
                .copy_to_plugin_directory(
                    lab.pods.names()[1],
                    &lab.old,
                    &format!("{NAME}-{}", next_version()),
                )
                .await;
            run_command(lab, Command::Upgrade).await
        }
        Obstacle::TwoVersions => two_versions(lab).await,
        Obstacle::TwentyInARow => twenty_in_a_row(lab).await,
    }
}

/// Removes the obstacle.
pub(super) async fn repair(lab: &Lab, what: Obstacle) {
    match what {
        Obstacle::PodPending => lab.pods.uncordon().await,
        Obstacle::DiskFull => lab.pods.unfill_plugin_directory(&full_pod(lab)).await,
        Obstacle::NameTaken => {
            let directory = lab.pods.plugin_directory(lab.pods.names()[1]).await;
            fs::remove_file(directory.join(format!("{NAME}-{}", next_version()))).unwrap();
        }
        Obstacle::TwoVersions => {
            for mount in OTHER_MOUNTS {
                lab.send("DELETE", &format!("sys/mounts/{mount}"), None).await;
            }
            let entry = format!("sys/plugins/catalog/secret/{NAME}?version=v{}", zero_version());
            lab.send("DELETE", &entry, None).await;
            for pod in lab.pods.names() {
                let directory = lab.pods.plugin_directory(pod).await;
                fs::remove_file(directory.join(format!("{NAME}-{}", zero_version()))).unwrap();
            }
        }
        Obstacle::RunsAlready | Obstacle::Downgrade | Obstacle::TwentyInARow => {}
    }
}

async fn run_command(lab: &Lab, command: Command) -> CommandRun {
    let start = Snapshot::take(lab).await;
    run_undisturbed(lab, start, &lab.args(command)).await
}

/// The pod without space; always the same one.
fn full_pod(lab: &Lab) -> String {
    lab.pods.names()[2].to_owned()
}

/// All of them are moved at once, each from its running version.
async fn two_versions(lab: &Lab) -> CommandRun {
    lab.copy_and_register(&zero_version(), &lab.zero).await;
    for mount in OTHER_MOUNTS {
        let config = json!({"type": NAME, "config": {"plugin_version": format!("v{}", zero_version())}});
        lab.send("POST", &format!("sys/mounts/{mount}"), Some(config)).await;
    }
    run_command(lab, Command::Upgrade).await
}

/// Ten times in both directions.
async fn twenty_in_a_row(lab: &Lab) -> CommandRun {
    lab.copy_and_register(&next_version(), &lab.new).await;
    lab.move_mounts(&next_version()).await;
    for _ in 0..9 {
        for command in [Command::Rollback, Command::Upgrade] {
            let ended = run_command(lab, command).await;
            assertions::assert_state(lab, &ended).await;
        }
    }
    let ended = run_command(lab, Command::Rollback).await;
    assertions::assert_state(lab, &ended).await;
    run_command(lab, Command::Upgrade).await
}
