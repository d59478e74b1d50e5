//! What happens while a command is at work.

use harness::{Fault, Operation};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::process::Child;

use crate::lab::{Lab, NAME, OLD};
use crate::point::Disturbance;

/// A mount of the plugin that no client uses.
const THIRD: &str = "third";

pub(super) struct Prepared {
    pub(super) token: String,
    /// Whether the plan has the steps of the list.
    pub(super) plan_is_usual: bool,
}

/// What has to be cured once the command has ended.
pub(super) enum Struck {
    Nothing,
    Sealed(String),
    ApiServerRestarted,
}

/// What has to be there before the command starts.
pub(super) async fn prepare(lab: &Lab, what: Disturbance) -> Prepared {
    let mut prepared = Prepared { token: lab.pods.root_token().to_owned(), plan_is_usual: true };
    match what {
        Disturbance::TokenExpired => {
            let made = lab.send("POST", "auth/token/create", Some(json!({"ttl": "1h"}))).await;
            prepared.token = made["auth"]["client_token"].as_str().unwrap().to_owned();
        }
        Disturbance::MountDeleted => {
            let mount = json!({"type": NAME, "plugin_version": format!("v{OLD}")});
            lab.send("POST", &format!("sys/mounts/{THIRD}"), Some(mount)).await;
            prepared.plan_is_usual = false;
        }
        _ => {}
    }
    prepared
}

/// Lets it happen.
pub(super) async fn strike(
    lab: &mut Lab,
    child: &mut Child,
    what: Disturbance,
    prepared: &Prepared,
    args: &[String],
) -> Struck {
    match what {
        Disturbance::Killed => child.start_kill().unwrap(),
        Disturbance::Interrupted => {
            // At the last step it may have ended already.
            if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
                kill_process(pid, Signal::INT).unwrap();
            }
        }
        Disturbance::SteppedDown => {
            lab.send("PUT", "sys/step-down", None).await;
        }
        Disturbance::ActiveKilled => {
            let active = lab.pods.active().await;
            lab.pods.kill(active).await;
        }
        Disturbance::StandbyDeleted => {
            let standby = lab.pods.standbys().await[0];
            lab.pods.start_to_delete(standby).await;
        }
        Disturbance::ApiServerRestarted => {
            lab.pods.cluster().kill_api_server();
            return Struck::ApiServerRestarted;
        }
        Disturbance::ConnectionsCut => lab.gate.cut(),
        Disturbance::Sealed => {
            let active = lab.pods.active().await.to_owned();
            lab.pods.seal(&active).await;
            return Struck::Sealed(active);
        }
        Disturbance::TokenExpired => {
            lab.send("POST", "auth/token/revoke", Some(json!({"token": prepared.token}))).await;
        }
        Disturbance::Pinned => {
            let pin = Some(json!({"version": format!("v{OLD}")}));
            lab.send("PUT", &format!("sys/plugins/pins/secret/{NAME}"), pin).await;
        }
        Disturbance::MountDeleted => {
            lab.send("DELETE", &format!("sys/mounts/{THIRD}"), None).await;
        }
        Disturbance::SecondOperator => {
            let second = lab.program().run(args).await;
            assert_eq!(second.code, Some(1), "the second operator: {second:?}");
        }
        Disturbance::UpstreamRefuses => lab.upstream.fail(Operation::Mint, Fault::Status(401)),
        Disturbance::PodAdded => {
            let more = lab.pods.names().len() + 1;
            lab.pods.scale(more).await;
        }
    }
    Struck::Nothing
}

/// Makes the pods whole again, as their keepers would.
pub(super) async fn cure(lab: &Lab, struck: Struck) {
    match struck {
        Struck::Nothing => {}
        // It unseals itself when it starts.
        Struck::Sealed(pod) => lab.pods.delete(&pod).await,
        Struck::ApiServerRestarted => lab.pods.cluster().wait_api_server().await,
    }
}
