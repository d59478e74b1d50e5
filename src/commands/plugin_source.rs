//! A plugin binary that the caller brings, by flags or by the file: read, and named by what it says of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rollout::{Binary, MountPath, ProbeOutcome, Refusal, Version};
use vault_api::SecretString;
use vault_api::catalog::PluginType;

use crate::commands::mount_data;
use crate::config::PluginYaml;
use crate::error::CommandError;
use crate::ui::Ui;

pub(crate) fn binary_path(flag: Option<PathBuf>, yaml: &PluginYaml) -> Result<PathBuf, CommandError> {
    match flag.or_else(|| yaml.plugin.binary.as_deref().map(|path| yaml.resolve_path(path))) {
        Some(path) => std::path::absolute(&path).map_err(|error| {
            CommandError::usage(format!("{} is no path of a binary", path.display())).caused_by(error)
        }),
        None => std::env::current_exe().map_err(|error| {
            CommandError::failed("could not find this program")
                .caused_by(error)
                .hint("Name it with --binary.")
        }),
    }
}

pub(crate) fn read_binary(program: &Path, ui: &mut Ui) -> Result<Binary, CommandError> {
    let binary = Binary::read(program, &mut |done, total| ui.progress("hashing", done, total));
    ui.end_progress();
    binary.map_err(|error| CommandError::usage("there is no plugin to register").caused_by(error))
}

pub(crate) fn plugin_type(flag: Option<PluginType>, yaml: &PluginYaml) -> Result<PluginType, CommandError> {
    match (flag, &yaml.plugin.kind) {
        (Some(kind), _) => Ok(kind),
        (None, Some(text)) => text.parse().map_err(|error| {
            CommandError::usage("could not understand plugin.type of the file").caused_by(error)
        }),
        (None, None) => Ok(PluginType::Secret),
    }
}

pub(crate) fn plugin_version(
    flag: Option<Version>,
    yaml: &PluginYaml,
    program: &Path,
    probed: &ProbeOutcome,
    own: bool,
) -> Result<Version, CommandError> {
    let reported = match probed {
        ProbeOutcome::Ran(probe) => probe.version.clone().filter(|text| !text.is_empty()),
        ProbeOutcome::Failed { .. } | ProbeOutcome::NotRun { .. } => None,
    };
    let own = own.then(|| env!("CARGO_PKG_VERSION").to_owned());
    let text = match flag {
        Some(version) => return Ok(version),
        None => yaml.plugin.version.clone().or(reported).or(own),
    };
    let text = text.ok_or_else(|| match probed {
        ProbeOutcome::Failed { output } => {
            Refusal::ProbeFailed { path: program.to_owned(), output: output.clone() }.into()
        }
        ProbeOutcome::Ran(_) | ProbeOutcome::NotRun { .. } => {
            missing_value("the version, which the binary does not report", "--version")
        }
    })?;
    text.parse()
        .map_err(|error| CommandError::usage(format!("{text:?} cannot be registered")).caused_by(error))
}

pub(crate) fn plugin_env(flags: &[String], yaml: &PluginYaml) -> Result<Vec<SecretString>, CommandError> {
    let mut variables = BTreeMap::new();
    for (key, value) in &yaml.plugin.env {
        variables.insert(key.clone(), yaml.resolve_value(key, value)?);
    }
    mount_data::parse_env(variables, flags)
}

pub(crate) fn parse_mount(text: &str) -> Result<MountPath, CommandError> {
    text.parse().map_err(|error| CommandError::usage("could not use a mount").caused_by(error))
}

pub(crate) fn missing_value(what: &str, flag: &str) -> CommandError {
    CommandError::usage(format!("{what} is missing"))
        .hint(format!("Give it with {flag} or in the file of -f."))
}
