//! `loader`: what an image that `package` made starts: its plugins into the plugin directory.

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

/// What to copy, and where.
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

/// What is in place.
#[derive(Debug, Serialize)]
pub struct LoaderReport {
    directory: PathBuf,
    plugins: Vec<LoadedPlugin>,
    /// Versions that are there and not carried.
    others: Vec<String>,
    #[serde(skip)]
    already_printed: bool,
}

/// Loads once, and then stays if that is wanted.
///
/// # Errors
/// When a version cannot be put in place. A sidecar that has started once tries again instead.
pub async fn run(args: LoaderArgs, ui: &mut Ui) -> Result<LoaderReport, CommandError> {
    let LoaderArgs { from, to, owner, overwrite, watch, this_program } = args;
    let site = LocalDeployment::new(&to);
    let site = owner.into_iter().fold(site, LocalDeployment::owned_by);
    if this_program {
        let plugins = vec![install_self(&site, ui)?];
        return Ok(LoaderReport { directory: to, plugins, others: Vec::new(), already_printed: false });
    }
    let existing = if overwrite { OverwritePolicy::Replace } else { OverwritePolicy::Refuse };
    // Before the first look: what changes from then on is seen.
    let watcher = if watch { Some(watch::PluginDirWatcher::new(&to)?) } else { None };
    let carried = BundledPlugins::read(&from).map_err(load_error)?;
    let loaded = carried.load(&site, existing, &mut |done, total| ui.progress("copying", done, total));
    ui.end_progress();
    let mut report = LoaderReport {
        plugins: loaded.map_err(load_error)?,
        others: carried.unbundled_files(&site),
        directory: to,
        already_printed: false,
    };
    if let Some(watcher) = watcher {
        ui.report(&report)?;
        report.already_printed = true;
        watcher.run(&from, &site, ui).await?;
    }
    Ok(report)
}

/// An application's container has the program beside its own, and nothing of the plugins.
fn install_self(site: &LocalDeployment, ui: &mut Ui) -> Result<LoadedPlugin, CommandError> {
    let unplaced = || CommandError::failed("could not put this program into the directory");
    let program = std::env::current_exe().map_err(|error| unplaced().caused_by(error))?;
    let binary = Binary::read(&program, &mut |_, _| ()).map_err(|error| unplaced().caused_by(error))?;
    let file = env!("CARGO_PKG_NAME");
    let mut progress = |done, total| ui.progress("copying", done, total);
    let there = Binary::read(&site.directory().join(file), &mut |_, _| ());
    let (did, placed) = match there {
        Ok(there) if there.sha256 == binary.sha256 => (LoadAction::Kept, Ok(())),
        _ => (LoadAction::Placed, site.place(&binary, file, &mut progress)),
    };
    ui.end_progress();
    placed.map_err(|error| unplaced().caused_by(error))?;
    Ok(LoadedPlugin { file: file.to_owned(), sha256: binary.sha256, action: did })
}

fn load_error(error: LoadError) -> CommandError {
    let cure = error.hint();
    CommandError::failed("the plugin directory does not hold what the image carries")
        .caused_by(error)
        .hint(cure)
}

/// What was done, in words.
fn describe_action(did: LoadAction) -> &'static str {
    match did {
        LoadAction::Kept => "was there already",
        LoadAction::Placed => "placed",
        LoadAction::ReplacedTruncated => "placed again: the copy that was there was cut short",
        LoadAction::ReplacedNotExecutable => "placed again: what was there could not be run",
        LoadAction::Overwritten => "placed again: there was something else",
        LoadAction::PermissionsFixed => "placed again: the mode or the owner was wrong",
    }
}

impl Report for LoaderReport {
    fn render(&self) -> String {
        let Self { directory, plugins, others, already_printed: shown } = self;
        if *shown {
            return String::new();
        }
        let mut text = String::new();
        for LoadedPlugin { file, sha256, action: did } in plugins {
            let short = sha256.get(..12).unwrap_or(sha256);
            let _ = writeln!(
                text,
                "{} {} (sha256 {short}…)",
                directory.join(file).display(),
                describe_action(*did)
            );
        }
        for other in others {
            let _ = writeln!(text, "{} is not in the image and stays", directory.join(other).display());
        }
        text
    }

    /// A sidecar shows it when it begins to watch, and nothing when it ends.
    fn is_raw(&self) -> bool {
        self.already_printed
    }
}
