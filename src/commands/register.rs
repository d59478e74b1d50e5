//! `register`: a plugin on its mounts, as described by flags or a file; does only what is missing.

mod wanted;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args};
use rollout::{
    CancelFlag, Goal, MountObserved, MountPath, Register, SmokeError, SmokeReport, Version, smoke,
};
use serde::Serialize;
use vault_api::catalog::PluginType;

use crate::commands::carry_out::{Carried, ConsentArgs, Ended, Interrupts, carry_out};
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::{Report, Ui};

/// What to register, and what to do with it.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// Name in the catalog
    #[arg(long)]
    name: Option<String>,
    /// Type of the plugin: secret, auth or database [default: secret]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<PluginType>,
    /// Version [default: what the binary reports]
    #[arg(long)]
    version: Option<Version>,
    /// The plugin's binary [default: this program]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Argument of the plugin; can be given more than once
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,
    /// Environment of the plugin; the value can be @FILE or - (standard input)
    #[arg(long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// Where to mount it
    #[arg(long, value_name = "PATH")]
    mount: Option<MountPath>,
    /// Plugin directory of the server on this machine [default: what the server says]
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// Data of `config`; the value can be @FILE or - (standard input)
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// Data of `roles/NAME`
    #[arg(long, value_name = "NAME:KEY=VALUE")]
    role: Vec<String>,
    /// Data of any other path of the mount
    #[arg(long, num_args = 2, value_names = ["PATH", "KEY=VALUE"], action = ArgAction::Append)]
    write: Vec<String>,
    /// Path of the mount to try at the end, such as creds/developer; a lease is revoked again
    #[arg(long, value_name = "PATH")]
    smoke: Option<String>,
    /// All of the above in a file; flags come before it
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Move mounts to an older version
    #[arg(long, action = ArgAction::SetTrue)]
    allow_downgrade: bool,
    /// Write again what cannot be read back
    #[arg(long, action = ArgAction::SetTrue)]
    rewrite: bool,
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
    let RegisterArgs {
        name,
        kind,
        version,
        binary,
        args,
        env,
        mount,
        plugin_dir,
        config,
        role,
        write,
        smoke,
        file,
        allow_downgrade,
        rewrite,
        consent,
    } = args;
    let flags = wanted::Flags {
        name,
        kind,
        version,
        binary,
        args,
        env,
        mount,
        plugin_dir,
        config,
        role,
        write,
        smoke,
        downgrade: if allow_downgrade { rollout::Downgrade::Allow } else { rollout::Downgrade::Refuse },
        rewrite: if rewrite { rollout::Rewrite::Unreadable } else { rollout::Rewrite::Never },
    };
    let (world, register) = wanted::gather(flags, file.as_deref(), context, ui).await?;
    let goal = Goal::Register(Box::new(register.clone()));
    let carried = carry_out(&world, &goal, consent.consent(), ui).await?;
    let smoke = match carried.result {
        Ended::Done => try_mounts(&world.client, &register, ui).await?,
        Ended::DryRun | Ended::NothingToDo => Vec::new(),
    };
    let mut mounts = carried.observed.mounts.clone();
    mounts.retain(|path, _| register.mounts.iter().any(|mount| mount.path.as_str() == path));
    let Register { plugin, mounts: _, downgrade: _, rewrite: _ } = register;
    Ok(RegisterReport {
        plugin: plugin.name,
        version: plugin.version,
        sha256: plugin.binary.sha256,
        carried,
        mounts,
        smoke,
    })
}

async fn try_mounts(
    client: &vault_api::Client,
    register: &Register,
    ui: &mut Ui,
) -> Result<Vec<SmokeReport>, CommandError> {
    let cancel = CancelFlag::new();
    let _watch = Interrupts::watch(cancel.clone());
    let mut reports = Vec::new();
    for mount in &register.mounts {
        if cancel.is_cancelled() {
            return Err(CommandError::new(
                Kind::Interrupted,
                "interrupted after everything was done, before it was tried",
            ));
        }
        if let Some(below) = &mount.smoke {
            let path = mount.path.join(below);
            let ended = smoke(client, &path, &mut |event| ui.event(event)).await;
            reports.push(ended.map_err(|error| not_working(&path, error))?);
        }
    }
    Ok(reports)
}

fn not_working(path: &str, error: SmokeError) -> CommandError {
    let message = format!("the plugin is registered and mounted, and {path} does not work");
    match error.lease_left().map(str::to_owned) {
        Some(lease) => CommandError::new(Kind::NeedsPerson, message).because(error).hint(format!(
            "A credential may live on. Revoke it with `vault-token-plugin creds revoke {lease}`."
        )),
        None => CommandError::failed(message)
            .because(error)
            .hint(format!("Try it again with `vault-token-plugin creds get {path}`.")),
    }
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

    fn exit_code(&self) -> ExitCode {
        match self.carried.result {
            Ended::DryRun => Kind::Drift.exit_code(),
            Ended::NothingToDo | Ended::Done => ExitCode::SUCCESS,
        }
    }
}
