//! `register`: installs, registers, mounts and configures a plugin as described by flags or a file. Steps that are done are skipped.

mod goal;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use rollout::{
    Environment, Failover, Goal, LeaseLock, MountObserved, MountPath, Plugin, RegisterGoal, SmokeError,
    SmokeReport, Step, Version, revoke_and_verify, revoke_hint, roll_back, run_smoke_test,
};
use serde::Serialize;

use crate::commands::execute::{ConsentArgs, PlanResult, PlanStatus, execute_and_hold};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plan_summary::list_or_count;
use crate::context::Context;
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::{Report, Ui};

/// Arguments of `register`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Only missing steps are executed, so a second run has nothing to do. On a terminal, missing values are asked for."
)]
pub struct RegisterArgs {
    #[command(flatten)]
    flags: goal::RegisterFlags,
    #[command(flatten, next_help_heading = None::<&'static str>)]
    consent: ConsentArgs,
}

/// Result of `register`.
#[derive(Debug, Serialize)]
pub struct RegisterReport {
    plugin: String,
    version: Version,
    sha256: String,
    #[serde(flatten)]
    plan_result: PlanResult,
    mounts: BTreeMap<String, MountObserved>,
    smoke: Vec<SmokeReport>,
}

/// Registers the plugin, and smoke-tests its mounts.
///
/// # Errors
/// If a value is missing and there is no terminal to ask for it, or the registration is refused, fails, or is interrupted.
pub async fn run(args: RegisterArgs, context: &Context, ui: &mut Ui) -> Result<RegisterReport, CommandError> {
    let RegisterArgs { flags, consent } = args;
    let (environment, register, _extracted) = unless_interrupted(goal::resolve(flags, context, ui)).await?;
    let goal = Goal::Register(Box::new(register.clone()));
    let mut interrupts = Interrupts::default();
    let (result, lock) =
        execute_and_hold(&environment, &goal, consent.consent(), &mut interrupts, ui).await?;
    let smoke = match result.result {
        PlanStatus::Done => smoke_test_mounts(&environment, &lock, &register, &result, &interrupts, ui).await,
        PlanStatus::DryRun | PlanStatus::NothingToDo => Ok(Vec::new()),
    };
    lock.release().await;
    let smoke = smoke?;
    let mut mounts = result.observed.mounts.clone();
    mounts.retain(|path, _| register.mounts.iter().any(|mount| mount.path.as_str() == path));
    let RegisterGoal { plugin, .. } = register;
    Ok(RegisterReport {
        plugin: plugin.name,
        version: plugin.version,
        sha256: plugin.binary.sha256,
        plan_result: result,
        mounts,
        smoke,
    })
}

/// Smoke-tests the mounts while the Lease is held, and rolls back if a test fails.
async fn smoke_test_mounts(
    environment: &Environment,
    lock: &LeaseLock,
    register: &RegisterGoal,
    result: &PlanResult,
    interrupts: &Interrupts,
    ui: &mut Ui,
) -> Result<Vec<SmokeReport>, CommandError> {
    let mut reports = Vec::new();
    for mount in &register.mounts {
        let Some(smoke_path) = &mount.smoke else { continue };
        if interrupts.stop_requested() {
            return Err(CommandError::interrupted("after everything was done, before the smoke test"));
        }
        let path = mount.path.join(smoke_path);
        if let Some(lost) = lock.lost_reason() {
            let error = CommandError::new(
                CommandErrorKind::ManualIntervention,
                format!("the smoke test of {path} did not run"),
            );
            return Err(error.caused_by(lost).hint("All steps before it were applied."));
        }
        match run_smoke_test(&environment.client, &path, &mut |event| ui.show_event(event)).await {
            Ok(report) => reports.push(report),
            Err(error) => {
                return Err(roll_back_after_failed_smoke_test(
                    environment,
                    lock,
                    &register.plugin,
                    &path,
                    error,
                    result,
                    ui,
                )
                .await);
            }
        }
    }
    Ok(reports)
}

/// Moves mounts back from a version that failed its smoke test.
async fn roll_back_after_failed_smoke_test(
    environment: &Environment,
    lock: &LeaseLock,
    plugin: &Plugin,
    path: &str,
    error: SmokeError,
    result: &PlanResult,
    ui: &mut Ui,
) -> CommandError {
    let message = format!("the smoke test of {path} failed");
    let (done, failover) = (&result.done, Failover::of(&result.observed));
    // Revoked before the mounts are moved back, because the previous version may be unable to revoke it.
    let unrevoked = match error.unrevoked_lease() {
        Some(lease) => revoke_and_verify(&environment.client, lease).await.is_err().then(|| lease.to_owned()),
        None => None,
    };
    let rolled_back =
        roll_back(environment, lock, failover, done, &message, &mut |event| ui.show_event(event)).await;
    let (kind, hints) = match rolled_back {
        Ok(mounts) => {
            let remaining = changes_not_rolled_back(&plugin.name, &plugin.version, done, &mounts);
            let kind = match (remaining.is_empty(), mounts.is_empty()) {
                (false, _) => CommandErrorKind::ManualIntervention,
                (true, false) => CommandErrorKind::RolledBack,
                (true, true) => CommandErrorKind::Failed,
            };
            let mounts: Vec<&str> = mounts.iter().map(MountPath::as_str).collect();
            let moved_back = format!("Moved back to the previous version: {}", mounts.join(", "));
            let retry = format!(
                "The plugin is registered and mounted. Repeat the smoke test with `vault-token-plugin creds get {path}`."
            );
            let first = if mounts.is_empty() { retry } else { moved_back };
            (kind, std::iter::once(first).chain(remaining).collect())
        }
        Err(left) => (CommandErrorKind::ManualIntervention, left),
    };
    let kind = if unrevoked.is_some() { CommandErrorKind::ManualIntervention } else { kind };
    let failed = CommandError::new(kind, message).caused_by(error);
    let revoke = unrevoked.as_deref().map(revoke_hint);
    hints.into_iter().chain(revoke).fold(failed, CommandError::hint)
}

/// Changes that clients can see and that are not rolled back, one sentence each.
fn changes_not_rolled_back(
    plugin: &str,
    version: &Version,
    done: &[Step],
    moved_back: &[MountPath],
) -> Vec<String> {
    let change = |step: &Step| match step {
        Step::EnableMount { path, .. } => Some(format!("{path} stays mounted.")),
        Step::Write { path, .. } => Some(format!("The data written to {path} stays.")),
        Step::ReloadMount { path } if !moved_back.contains(path) => Some(format!("{path} was reloaded.")),
        Step::RestartNode { node, .. } if moved_back.is_empty() => Some(format!("{node} was restarted.")),
        Step::RestartNode { node, .. } => Some(format!(
            "{node} was restarted before, and runs {plugin} {version} until `vault-token-plugin reload {plugin}` restarts it \
             again."
        )),
        _ => None,
    };
    done.iter().filter_map(change).collect()
}

impl Report for RegisterReport {
    fn render(&self) -> String {
        let mounts: Vec<&str> = self.mounts.keys().map(String::as_str).collect();
        let runs_on = match mounts.as_slice() {
            [] => String::new(),
            mounts => format!(" and runs on {}", list_or_count(mounts, "mounts")),
        };
        let state = format!("{} {} is registered{runs_on}", self.plugin, self.version.v_prefixed());
        let mut lines = vec![self.plan_result.summary(&state, Some(&state))];
        for test in &self.smoke {
            lines.push(match &test.lease {
                Some(_) => format!("{} works: issued, looked up and revoked", test.path),
                None => format!("{} works: {}", test.path, test.fields.join(", ")),
            });
        }
        lines.join("\n") + "\n"
    }

    fn made_changes(&self) -> bool {
        self.plan_result.result.made_changes()
    }

    fn exit_code(&self) -> ExitCode {
        self.plan_result.result.exit_code()
    }
}

#[cfg(test)]
mod tests {
    use rollout::{NodeName, UnreadyPodPolicy};

    use super::*;

    #[test]
    fn a_standby_that_was_restarted_with_the_version_that_does_not_work_is_named_with_the_command_that_restarts_it()
     {
        let unready = UnreadyPodPolicy::Evict;
        let done = [Step::RestartNode { node: NodeName::new("bao-1"), uid: None, unready }];
        let version = "1.2.3".parse().unwrap();
        let custom = ["custom".parse().unwrap()];
        assert_eq!(
            changes_not_rolled_back("ldap-x", &version, &done, &custom),
            [
                "bao-1 was restarted before, and runs ldap-x 1.2.3 until `vault-token-plugin reload ldap-x` restarts it again."
            ]
        );
        assert_eq!(changes_not_rolled_back("ldap-x", &version, &done, &[]), ["bao-1 was restarted."]);
    }
}
