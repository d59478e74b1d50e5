//! `loader`: what an image that `package` made starts: its plugins into the plugin directory.

mod watch;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};
use rollout::{Binary, Carried, Did, Existing, LoadError, Loaded, LocalSite, MESSAGE_FILE, Owner, message};
use serde::Serialize;

use crate::commands::owner;
use crate::error::CommandError;
use crate::ui::{Report, Ui};

/// Copies every version that the image carries into the plugin directory, verified on both sides; versions that it does not carry stay.
#[derive(Debug, Args)]
pub struct LoaderArgs {
    /// Directory of the versions and their SHA256SUMS
    #[arg(long, default_value = "/plugins", value_name = "DIR")]
    from: PathBuf,
    /// The server's plugin directory
    #[arg(long, default_value = "/vault/plugins", value_name = "DIR")]
    to: PathBuf,
    /// Whose the files shall be [default: whoever runs this]
    #[arg(long, value_name = "UID[:GID]", value_parser = owner::parse)]
    owner: Option<Owner>,
    /// Replace a file of the same name that is another build, too
    #[arg(long, action = ArgAction::SetTrue)]
    replace: bool,
    /// Stay, and put back what is removed or changed
    #[arg(long, action = ArgAction::SetTrue)]
    watch: bool,
    /// Put only this program itself there, for an application that runs `creds exec`
    #[arg(long, action = ArgAction::SetTrue, conflicts_with_all = ["from", "replace", "watch"])]
    itself: bool,
}

/// What is in place.
#[derive(Debug, Serialize)]
pub struct LoaderReport {
    directory: PathBuf,
    plugins: Vec<Loaded>,
    /// Versions that are there and not carried.
    others: Vec<String>,
    #[serde(skip)]
    shown: bool,
}

/// Loads once, and then stays if that is wanted.
///
/// # Errors
/// When a version cannot be put in place. A sidecar that has started once tries again instead.
pub async fn run(args: LoaderArgs, ui: &mut Ui) -> Result<LoaderReport, CommandError> {
    let LoaderArgs { from, to, owner, replace, watch, itself } = args;
    let site = LocalSite::new(&to);
    let site = owner.into_iter().fold(site, LocalSite::owned_by);
    if itself {
        let plugins = vec![place_itself(&site, ui)?];
        return Ok(LoaderReport { directory: to, plugins, others: Vec::new(), shown: false });
    }
    let existing = if replace { Existing::Replace } else { Existing::Refuse };
    // Before the first look: what changes from then on is seen.
    let watcher = if watch { Some(watch::Watcher::new(&to)?) } else { None };
    let carried = Carried::read(&from).map_err(failed)?;
    let loaded = carried.load(&site, existing, &mut |done, total| ui.progress("copying", done, total));
    ui.end_progress();
    let mut report = LoaderReport {
        plugins: loaded.map_err(failed)?,
        others: carried.others(&site),
        directory: to,
        shown: false,
    };
    tell_cluster(&report.plugins);
    if let Some(watcher) = watcher {
        ui.report(&report)?;
        report.shown = true;
        watcher.stay(&from, &site, ui).await?;
    }
    Ok(report)
}

/// Leaves word with the pod of what its image brings. On a machine that is no pod there is no such file, and a cluster that does
/// not hear it knows less, which is no reason to fail.
fn tell_cluster(plugins: &[Loaded]) {
    let file = Path::new(MESSAGE_FILE);
    if let Some(text) = message(plugins.iter().map(|plugin| &*plugin.file)).filter(|_| file.exists()) {
        let _unheard = std::fs::write(file, text);
    }
}

/// An application's container has the program beside its own, and nothing of the plugins.
fn place_itself(site: &LocalSite, ui: &mut Ui) -> Result<Loaded, CommandError> {
    let unplaced = || CommandError::failed("could not put this program into the directory");
    let program = std::env::current_exe().map_err(|error| unplaced().because(error))?;
    let binary = Binary::read(&program, &mut |_, _| ()).map_err(|error| unplaced().because(error))?;
    let file = env!("CARGO_PKG_NAME");
    let mut progress = |done, total| ui.progress("copying", done, total);
    let there = Binary::read(&site.directory().join(file), &mut |_, _| ());
    let (did, placed) = match there {
        Ok(there) if there.sha256 == binary.sha256 => (Did::Kept, Ok(())),
        _ => (Did::Placed, site.place(&binary, file, &mut progress)),
    };
    ui.end_progress();
    placed.map_err(|error| unplaced().because(error))?;
    Ok(Loaded { file: file.to_owned(), sha256: binary.sha256, did })
}

fn failed(error: LoadError) -> CommandError {
    let cure = error.cure();
    CommandError::failed("the plugin directory does not hold what the image carries")
        .because(error)
        .hint(cure)
}

/// What was done, in words.
fn words(did: Did) -> &'static str {
    match did {
        Did::Kept => "was there already",
        Did::Placed => "placed",
        Did::ReplacedCutShort => "placed again: the copy that was there was cut short",
        Did::ReplacedUnusable => "placed again: what was there could not be run",
        Did::ReplacedOther => "placed again: there was something else",
        Did::ReplacedUnfit => "placed again: the mode or the owner was wrong",
    }
}

impl Report for LoaderReport {
    fn render(&self) -> String {
        let Self { directory, plugins, others, shown } = self;
        if *shown {
            return String::new();
        }
        let mut text = String::new();
        for Loaded { file, sha256, did } in plugins {
            let short = sha256.get(..12).unwrap_or(sha256);
            let _ = writeln!(text, "{} {} (sha256 {short}…)", directory.join(file).display(), words(*did));
        }
        for other in others {
            let _ = writeln!(text, "{} is not in the image and stays", directory.join(other).display());
        }
        text
    }

    /// A sidecar shows it when it begins to watch, and nothing when it ends.
    fn is_bare(&self) -> bool {
        self.shown
    }
}
