//! `register`: a plugin on its mounts, as described by flags or a file; does only what is missing.

mod wanted;

pub(crate) use wanted::{from_file, survival};

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use rollout::{
    Failover, Goal, HeldLease, MountObserved, MountPath, Plugin, Register, SmokeError, SmokeReport, Step,
    Version, World, how_to_revoke, roll_back, smoke,
};
use serde::Serialize;

use crate::commands::carry_out::{Carried, ConsentArgs, Ended, carry_out_and_hold};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::{Report, Ui};

/// What to register, and what to do with it.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    #[command(flatten)]
    wanted: wanted::Flags,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// What was registered.
#[derive(Debug, Serialize)]
pub struct RegisterReport {
    plugin: String,
    version: Version,
    sha256: String,
    #[serde(flatten)]
    carried: Carried,
    mounts: BTreeMap<String, MountObserved>,
    smoke: Vec<SmokeReport>,
}

/// Registers.
///
/// # Errors
/// When something is missing and nobody can be asked, and when it is refused, fails, or is interrupted.
pub async fn run(args: RegisterArgs, context: &Context, ui: &mut Ui) -> Result<RegisterReport, CommandError> {
    let RegisterArgs { wanted, consent } = args;
    let (world, register) = unless_interrupted(wanted::gather(wanted, context, ui)).await?;
    let goal = Goal::Register(Box::new(register.clone()));
    let mut interrupts = Interrupts::default();
    let (carried, held) = carry_out_and_hold(&world, &goal, consent.consent(), &mut interrupts, ui).await?;
    let smoke = match carried.result {
        Ended::Done => try_mounts(&world, &held, &register, &carried, &interrupts, ui).await,
        Ended::DryRun | Ended::NothingToDo => Ok(Vec::new()),
    };
    held.release().await;
    let smoke = smoke?;
    let mut mounts = carried.observed.mounts.clone();
    mounts.retain(|path, _| register.mounts.iter().any(|mount| mount.path.as_str() == path));
    let Register { plugin, .. } = register;
    Ok(RegisterReport {
        plugin: plugin.name,
        version: plugin.version,
        sha256: plugin.binary.sha256,
        carried,
        mounts,
        smoke,
    })
}

/// Nobody else changes plugins while mounts are tried, and what fails is moved back.
async fn try_mounts(
    world: &World,
    held: &HeldLease,
    register: &Register,
    carried: &Carried,
    interrupts: &Interrupts,
    ui: &mut Ui,
) -> Result<Vec<SmokeReport>, CommandError> {
    let mut reports = Vec::new();
    for mount in &register.mounts {
        let Some(below) = &mount.smoke else { continue };
        if interrupts.ask_to_stop() {
            return Err(CommandError::interrupted("after everything was done, before it was tried"));
        }
        let path = mount.path.join(below);
        if let Some(lost) = held.lost() {
            let error = CommandError::new(Kind::NeedsPerson, format!("{path} was not tried"));
            return Err(error.because(lost).hint("Everything else was done."));
        }
        match smoke(&world.client, &path, &mut |event| ui.event(event)).await {
            Ok(report) => reports.push(report),
            Err(error) => return Err(undone(world, held, &register.plugin, &path, error, carried, ui).await),
        }
    }
    Ok(reports)
}

/// Moves back what was moved to a version that does not do its work.
async fn undone(
    world: &World,
    held: &HeldLease,
    plugin: &Plugin,
    path: &str,
    error: SmokeError,
    carried: &Carried,
    ui: &mut Ui,
) -> CommandError {
    let message = format!("{path} does not work");
    let (done, failover) = (&carried.done, Failover::of(&carried.observed));
    let back = roll_back(world, held, failover, done, &message, &mut |event| ui.event(event)).await;
    let lease = error.lease_left().map(str::to_owned);
    let (kind, hints) = match back {
        Ok(mounts) => {
            let stays = changes_that_stay(&plugin.name, &plugin.version, done, &mounts);
            let kind = match (stays.is_empty(), mounts.is_empty()) {
                (false, _) => Kind::NeedsPerson,
                (true, false) => Kind::RolledBack,
                (true, true) => Kind::Failed,
            };
            let mounts: Vec<&str> = mounts.iter().map(MountPath::as_str).collect();
            let moved = format!("Moved back to the version before: {}", mounts.join(", "));
            let again = format!(
                "The plugin is registered and mounted. Try it again with `vault-token-plugin creds get {path}`."
            );
            let first = if mounts.is_empty() { again } else { moved };
            (kind, std::iter::once(first).chain(stays).collect())
        }
        Err(left) => (Kind::NeedsPerson, left),
    };
    let kind = if lease.is_some() { Kind::NeedsPerson } else { kind };
    let failed = CommandError::new(kind, message).because(error);
    let left = lease.as_deref().map(how_to_revoke);
    hints.into_iter().chain(left).fold(failed, CommandError::hint)
}

/// What was done that people use and that is not moved back, a sentence each.
fn changes_that_stay(
    plugin: &str,
    version: &Version,
    done: &[Step],
    moved_back: &[MountPath],
) -> Vec<String> {
    let change = |step: &Step| match step {
        Step::EnableMount { path, .. } => Some(format!("{path} stays mounted.")),
        Step::Write { path, .. } => Some(format!("What was written to {path} stays.")),
        Step::ReloadMount { path } if !moved_back.contains(path) => Some(format!("{path} was reloaded.")),
        Step::RestartNode { node } if moved_back.is_empty() => Some(format!("{node} was restarted.")),
        Step::RestartNode { node } => Some(format!(
            "{node} was restarted before, and runs {plugin} {version} until `vault-token-plugin reload --plugin {plugin}` restarts it \
             again."
        )),
        _ => None,
    };
    done.iter().filter_map(change).collect()
}

impl Report for RegisterReport {
    fn render(&self) -> String {
        let mut lines = match self.carried.result {
            Ended::NothingToDo => vec!["Nothing to do".to_owned()],
            Ended::DryRun => return "Nothing was done: this was a dry run\n".to_owned(),
            Ended::Done => self.carried.done.iter().map(|step| format!("Done: {step}")).collect(),
        };
        for (path, mount) in &self.mounts {
            let MountObserved { running_version, running_sha256, .. } = mount;
            lines.push(format!("{path} runs {} {running_version} (sha256 {running_sha256})", mount.plugin));
        }
        for trial in &self.smoke {
            lines.push(match &trial.lease {
                Some(_) => format!("{} works: issued, looked up and revoked", trial.path),
                None => format!("{} works: {}", trial.path, trial.fields.join(", ")),
            });
        }
        lines.join("\n") + "\n"
    }

    fn is_of_a_change(&self) -> bool {
        self.carried.result == Ended::Done
    }

    fn exit_code(&self) -> ExitCode {
        match self.carried.result {
            Ended::DryRun => Kind::Drift.exit_code(),
            Ended::NothingToDo | Ended::Done => ExitCode::SUCCESS,
        }
    }
}

#[cfg(test)]
mod tests {
    use rollout::NodeName;

    use super::*;

    #[test]
    fn a_standby_that_was_restarted_with_the_version_that_does_not_work_is_named_with_the_command_that_restarts_it()
     {
        let done = [Step::RestartNode { node: NodeName::new("bao-1") }];
        let version = "1.2.3".parse().unwrap();
        let custom = ["custom".parse().unwrap()];
        assert_eq!(
            changes_that_stay("ldap-x", &version, &done, &custom),
            [
                "bao-1 was restarted before, and runs ldap-x 1.2.3 until `vault-token-plugin reload --plugin ldap-x` restarts it again."
            ]
        );
        assert_eq!(changes_that_stay("ldap-x", &version, &done, &[]), ["bao-1 was restarted."]);
    }
}
