//! `register`: a plugin on its mounts, as described by flags or a file; does only what is missing.

mod goal;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use rollout::{
    Environment, Failover, Goal, LeaseLock, MountObserved, MountPath, Plugin, RegisterGoal, SmokeError,
    SmokeReport, Step, Version, revoke_and_verify, revoke_hint, roll_back, run_smoke_test,
};
use serde::Serialize;

use crate::commands::execute::{ConsentArgs, PlanResult, PlanStatus, carry_out_and_hold};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::context::Context;
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::{Report, Ui};

/// What to register, and what to do with it.
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

/// What was registered.
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

/// Registers.
///
/// # Errors
/// When something is missing and nobody can be asked, and when it is refused, fails, or is interrupted.
pub async fn run(args: RegisterArgs, context: &Context, ui: &mut Ui) -> Result<RegisterReport, CommandError> {
    let RegisterArgs { flags: wanted, consent } = args;
    let (world, register, _extracted) = unless_interrupted(goal::resolve(wanted, context, ui)).await?;
    let goal = Goal::Register(Box::new(register.clone()));
    let mut interrupts = Interrupts::default();
    let (carried, held) = carry_out_and_hold(&world, &goal, consent.consent(), &mut interrupts, ui).await?;
    let smoke = match carried.result {
        PlanStatus::Done => smoke_test_mounts(&world, &held, &register, &carried, &interrupts, ui).await,
        PlanStatus::DryRun | PlanStatus::NothingToDo => Ok(Vec::new()),
    };
    held.release().await;
    let smoke = smoke?;
    let mut mounts = carried.observed.mounts.clone();
    mounts.retain(|path, _| register.mounts.iter().any(|mount| mount.path.as_str() == path));
    let RegisterGoal { plugin, .. } = register;
    Ok(RegisterReport {
        plugin: plugin.name,
        version: plugin.version,
        sha256: plugin.binary.sha256,
        plan_result: carried,
        mounts,
        smoke,
    })
}

/// Nobody else changes plugins while mounts are tried, and what fails is moved back.
async fn smoke_test_mounts(
    world: &Environment,
    held: &LeaseLock,
    register: &RegisterGoal,
    carried: &PlanResult,
    interrupts: &Interrupts,
    ui: &mut Ui,
) -> Result<Vec<SmokeReport>, CommandError> {
    let mut reports = Vec::new();
    for mount in &register.mounts {
        let Some(below) = &mount.smoke else { continue };
        if interrupts.stop_requested() {
            return Err(CommandError::interrupted("after everything was done, before it was tried"));
        }
        let path = mount.path.join(below);
        if let Some(lost) = held.lost_reason() {
            let error =
                CommandError::new(CommandErrorKind::ManualIntervention, format!("{path} was not tried"));
            return Err(error.caused_by(lost).hint("Everything else was done."));
        }
        match run_smoke_test(&world.client, &path, &mut |event| ui.show_event(event)).await {
            Ok(report) => reports.push(report),
            Err(error) => {
                return Err(roll_back_after_failed_smoke_test(
                    world,
                    held,
                    &register.plugin,
                    &path,
                    error,
                    carried,
                    ui,
                )
                .await);
            }
        }
    }
    Ok(reports)
}

/// Moves back what was moved to a version that does not do its work.
async fn roll_back_after_failed_smoke_test(
    world: &Environment,
    held: &LeaseLock,
    plugin: &Plugin,
    path: &str,
    error: SmokeError,
    carried: &PlanResult,
    ui: &mut Ui,
) -> CommandError {
    let message = format!("{path} does not work");
    let (done, failover) = (&carried.done, Failover::of(&carried.observed));
    // Before the mounts go back: the previous version may not be able to revoke it.
    let lease = match error.unrevoked_lease() {
        Some(lease) => revoke_and_verify(&world.client, lease).await.is_err().then(|| lease.to_owned()),
        None => None,
    };
    let back = roll_back(world, held, failover, done, &message, &mut |event| ui.show_event(event)).await;
    let (kind, hints) = match back {
        Ok(mounts) => {
            let stays = changes_not_rolled_back(&plugin.name, &plugin.version, done, &mounts);
            let kind = match (stays.is_empty(), mounts.is_empty()) {
                (false, _) => CommandErrorKind::ManualIntervention,
                (true, false) => CommandErrorKind::RolledBack,
                (true, true) => CommandErrorKind::Failed,
            };
            let mounts: Vec<&str> = mounts.iter().map(MountPath::as_str).collect();
            let moved = format!("Moved back to the version before: {}", mounts.join(", "));
            let again = format!(
                "The plugin is registered and mounted. Try it again with `vault-token-plugin creds get {path}`."
            );
            let first = if mounts.is_empty() { again } else { moved };
            (kind, std::iter::once(first).chain(stays).collect())
        }
        Err(left) => (CommandErrorKind::ManualIntervention, left),
    };
    let kind = if lease.is_some() { CommandErrorKind::ManualIntervention } else { kind };
    let failed = CommandError::new(kind, message).caused_by(error);
    let left = lease.as_deref().map(revoke_hint);
    hints.into_iter().chain(left).fold(failed, CommandError::hint)
}

/// What was done that people use and that is not moved back, a sentence each.
fn changes_not_rolled_back(
    plugin: &str,
    version: &Version,
    done: &[Step],
    moved_back: &[MountPath],
) -> Vec<String> {
    let change = |step: &Step| match step {
        Step::EnableMount { path, .. } => Some(format!("{path} stays mounted.")),
        Step::Write { path, .. } => Some(format!("What was written to {path} stays.")),
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
        let mut lines = match self.plan_result.result {
            PlanStatus::NothingToDo => vec!["Nothing to do".to_owned()],
            PlanStatus::DryRun => return "Nothing was done: this was a dry run\n".to_owned(),
            PlanStatus::Done => self.plan_result.done.iter().map(|step| format!("Done: {step}")).collect(),
        };
        for (path, mount) in &self.mounts {
            let MountObserved { running_version, running_sha256, .. } = mount;
            lines.push(format!("{path} runs {} {running_version} (sha256 {running_sha256})", mount.plugin));
        }
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
