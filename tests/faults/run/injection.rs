//! Injects a fault while a command is held.

use std::time::Instant;

use harness::{Fault, Operation, eventually};
use serde_json::json;

use crate::assertions::ExpectedOutage;
use crate::fault_point::Disturbance;
use crate::lab::{Lab, MOUNTS, NAME, OLD, next_version};
use crate::paused_process::PausedProcess;
use crate::snapshot::Snapshot;

/// A mount of the plugin that no client uses.
const THIRD_MOUNT: &str = "third";

/// Number of tokens that are issued and not leased yet when the active Vault is killed.
const UNLEASED_TOKENS: usize = 4;

pub(super) struct Prepared {
    pub(super) token: String,
    /// Whether the plan has the steps of the list.
    pub(super) plan_is_usual: bool,
}

/// Creates the preconditions of the fault.
pub(super) async fn prepare(lab: &Lab, what: Disturbance) -> Prepared {
    let mut prepared = Prepared { token: lab.pods.root_token().to_owned(), plan_is_usual: true };
    match what {
        Disturbance::TokenExpired => {
            let made = lab.send("POST", "auth/token/create", Some(json!({"ttl": "1h"}))).await;
            prepared.token = made["auth"]["client_token"].as_str().unwrap().to_owned();
        }
        Disturbance::MountDeleted => {
            let mount = json!({"type": NAME, "config": {"plugin_version": format!("v{OLD}")}});
            lab.send("POST", &format!("sys/mounts/{THIRD_MOUNT}"), Some(mount)).await;
            prepared.plan_is_usual = false;
        }
        _ => {}
    }
    prepared
}

/// A held command, and its context.
pub(super) struct Injection<'a> {
    pub(super) lab: &'a mut Lab,
    pub(super) running: &'a mut PausedProcess,
    pub(super) prepared: &'a Prepared,
    pub(super) args: &'a [String],
    /// Updated if the fault itself changes the state.
    pub(super) start: &'a mut Snapshot,
}

impl Injection<'_> {
    /// Applies the fault. Returns the node that it makes unavailable.
    pub(super) async fn inject(self, what: Disturbance) -> Option<ExpectedOutage> {
        let Injection { lab, running, prepared, args, start } = self;
        let now = Instant::now();
        match what {
            Disturbance::Killed => running.kill(),
            Disturbance::Interrupted => running.interrupt(),
            Disturbance::SteppedDown => {
                let active = lab.pods.active().await.to_owned();
                lab.pods.request(&active, "PUT", "sys/step-down", None).await.success();
                return Some(ExpectedOutage::active_lost(&active, now));
            }
            Disturbance::ActiveKilled => {
                let active = lab.pods.active().await.to_owned();
                lab.pods.kill(&active).await;
                return Some(ExpectedOutage::active_killed(&active, now));
            }
            Disturbance::ActiveKilledWhileIssuing => {
                let active = lab.pods.active().await.to_owned();
                lab.upstream.fail_next(Operation::Mint, UNLEASED_TOKENS, Fault::Withheld);
                lab.upstream.wait_withheld(UNLEASED_TOKENS).await;
                let (now, before) = (Instant::now(), lab.pods.uid(&active).await);
                lab.pods.kill(&active).await;
                // Its storage is locked until it and the plugin have ended. An earlier response would reach the plugin, which would revoke
                // a token that was never used.
                eventually("another pod has its place", async || {
                    let uid = lab.pods.uid(&active).await;
                    (uid.is_some() && uid != before).then_some(())
                })
                .await;
                lab.pods.wait_ready(&active).await;
                lab.upstream.heal();
                return Some(ExpectedOutage::active_killed(&active, now));
            }
            Disturbance::StandbyDeleted => {
                let standby = lab.pods.standbys().await[0].to_owned();
                lab.pods.request_delete(&standby).await;
                return Some(ExpectedOutage::standby_restart(&standby, now));
            }
            Disturbance::ApiServerRestarted => lab.pods.cluster().kill_api_server(),
            Disturbance::ConnectionsCut => lab.gate.drop_connections(),
            Disturbance::Sealed => {
                let active = lab.pods.active().await.to_owned();
                lab.pods.seal(&active).await;
                return Some(ExpectedOutage::active_lost(&active, now));
            }
            Disturbance::TokenExpired => {
                lab.send("POST", "auth/token/revoke", Some(json!({"token": prepared.token}))).await;
            }
            Disturbance::Pinned => {
                let pin = Some(json!({"version": format!("v{OLD}")}));
                lab.send("PUT", &format!("sys/plugins/pins/secret/{NAME}"), pin).await;
                start.pin(OLD);
            }
            Disturbance::MountDeleted => {
                lab.send("DELETE", &format!("sys/mounts/{THIRD_MOUNT}"), None).await;
                start.unmount(THIRD_MOUNT);
            }
            Disturbance::SecondOperator => {
                let second = lab.run(args).await;
                assert_eq!(second.code, Some(1), "the second operator: {second:?}");
            }
            Disturbance::RoleRemoved => {
                for mount in MOUNTS {
                    lab.send("DELETE", &format!("{mount}/roles/trial"), None).await;
                }
            }
            Disturbance::PodAdded => {
                let more = lab.pods.names().len() + 1;
                lab.pods.scale(more).await;
                // The new pod must get the file too.
                start.add_file(lab.pods.names()[more - 1], &format!("{NAME}-{}", next_version()));
            }
        }
        None
    }
}

/// Repairs what only an operator can repair.
pub(super) async fn repair(lab: &Lab, what: Disturbance) {
    match what {
        Disturbance::ApiServerRestarted => lab.pods.cluster().wait_api_server().await,
        Disturbance::Sealed => {
            for pod in lab.pods.names() {
                // It unseals itself when it starts.
                if lab.pods.health(pod).await == Some(503) {
                    lab.pods.delete(pod).await;
                }
            }
        }
        _ => {}
    }
}
