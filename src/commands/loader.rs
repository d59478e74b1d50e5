//! `loader`: the entry point of an image made by `package`. It copies the plugins of the image into the plugin directory.

mod watch;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use deployment::{
    BundledPlugins, LoadAction, LoadError, LoadedPlugin, LocalDeployment, OverwritePolicy, Owner,
};
use rollout::Binary;
use serde::Serialize;

use crate::commands::owner;
use crate::error::CommandError;
use crate::ui::{Report, Ui};

/// Arguments of `loader`.
#[derive(Debug, Args)]
pub struct LoaderArgs {
    /// Directory of the versions and their SHA256SUMS
    #[arg(long, default_value = "/plugins", value_name = "DIR")]
    from: PathBuf,
    /// The server's plugin directory
    #[arg(long, default_value = "/vault/plugins", value_name = "DIR")]
    to: PathBuf,
    /// Owner of the installed files [default: the user of the process]
    #[arg(long, value_name = "UID[:GID]", value_parser = owner::parse_owner)]
    owner: Option<Owner>,
    /// Overwrite another build of the same version
    #[arg(long, action = ArgAction::SetTrue)]
    overwrite: bool,
    /// Keep running, and restore files that are removed or changed
    #[arg(long, action = ArgAction::SetTrue)]
    watch: bool,
    /// Copy only this program, for an application that runs `creds exec`
    #[arg(long = "self", action = ArgAction::SetTrue, conflicts_with_all = ["from", "overwrite", "watch"])]
    this_program: bool,
}

/// Result of the loader.
#[derive(Debug, Serialize)]
pub struct LoaderReport {
    directory: PathBuf,
    plugins: Vec<LoadedPlugin>,
    /// Versions in the directory that are not part of the image.
    others: Vec<String>,
    #[serde(skip)]
    already_printed: bool,
}

/// Copies the plugins once, and watches them with --watch.
///
/// # Errors
/// If a version cannot be copied. A sidecar retries instead, once it has started.
pub async fn run(args: LoaderArgs, ui: &mut Ui) -> Result<LoaderReport, CommandError> {
    let LoaderArgs { from, to, owner, overwrite, watch, this_program } = args;
    let deployment = LocalDeployment::new(&to);
    let deployment = owner.into_iter().fold(deployment, LocalDeployment::owned_by);
    if this_program {
        let plugins = vec![install_self(&deployment, ui)?];
        return Ok(LoaderReport { directory: to, plugins, others: Vec::new(), already_printed: false });
    }
    let existing = if overwrite { OverwritePolicy::Replace } else { OverwritePolicy::Refuse };
    // Started before the first check, so that no later change is missed.
    let watcher = if watch { Some(watch::PluginDirWatcher::new(&to)?) } else { None };
    let bundled = BundledPlugins::read(&from).map_err(load_error)?;
    let loaded = bundled.load(&deployment, existing, &mut |done, total| ui.progress("copying", done, total));
    ui.end_progress();
    let mut report = LoaderReport {
        plugins: loaded.map_err(load_error)?,
        others: bundled.unbundled_files(&deployment),
        directory: to,
        already_printed: false,
    };
    if let Some(watcher) = watcher {
        ui.report(&report)?;
        report.already_printed = true;
        watcher.run(&from, &deployment, ui).await?;
    }
    Ok(report)
}

/// Copies only this program, without the plugins, into the container of an application.
fn install_self(deployment: &LocalDeployment, ui: &mut Ui) -> Result<LoadedPlugin, CommandError> {
    let not_copied = || CommandError::failed("could not copy this program to the directory");
    let program = std::env::current_exe().map_err(|error| not_copied().caused_by(error))?;
    let binary = Binary::read(&program, &mut |_, _| ()).map_err(|error| not_copied().caused_by(error))?;
    let file = env!("CARGO_PKG_NAME");
    let mut progress = |done, total| ui.progress("copying", done, total);
    let installed = Binary::read(&deployment.directory().join(file), &mut |_, _| ());
    let (action, copied) = match installed {
        Ok(installed) if installed.sha256 == binary.sha256 => (LoadAction::Kept, Ok(())),
        _ => (LoadAction::Copied, deployment.copy(&binary, file, &mut progress)),
    };
    ui.end_progress();
    copied.map_err(|error| not_copied().caused_by(error))?;
    Ok(LoadedPlugin { file: file.to_owned(), sha256: binary.sha256, action })
}

fn load_error(error: LoadError) -> CommandError {
    let cure = error.hint();
    CommandError::failed("could not copy the plugins of the image").caused_by(error).hint(cure)
}

/// Describes an action.
fn describe_action(action: LoadAction) -> &'static str {
    match action {
        LoadAction::Kept => "is up to date",
        LoadAction::Copied => "copied",
        LoadAction::ReplacedTruncated => "replaced: the existing copy was truncated",
        LoadAction::ReplacedNotExecutable => "replaced: the existing copy was not executable",
        LoadAction::Overwritten => "overwritten: the existing file differed",
        LoadAction::PermissionsFixed => "replaced: its mode or owner differed",
    }
}

impl Report for LoaderReport {
    fn render(&self) -> String {
        let Self { directory, plugins, others, already_printed } = self;
        if *already_printed {
            return String::new();
        }
        let mut text = String::new();
        for LoadedPlugin { file, sha256, action } in plugins {
            let short = sha256.get(..12).unwrap_or(sha256);
            let _ = writeln!(
                text,
                "{} {} (sha256 {short}…)",
                directory.join(file).display(),
                describe_action(*action)
            );
        }
        for other in others {
            let _ = writeln!(text, "{} is not in the image, and is kept", directory.join(other).display());
        }
        text
    }

    /// A sidecar prints the report when it starts to watch, and prints nothing when it exits.
    fn is_raw(&self) -> bool {
        self.already_printed
    }
}
