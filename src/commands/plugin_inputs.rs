//! The plugin binary that flags or the file name: reads it, and probes its name and version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rollout::{
    Binary, Consumer, DesiredMount, DesiredWrite, Observed, ProbeOutcome, Refusal, SmokeRequest, Version,
};
use serde_json::Value;
use vault_api::SecretString;
use vault_api::catalog::PluginType;

use crate::commands::mount_data;
use crate::commands::smoke_args::check_smoke_data;
use crate::config::{LoginSection, MountSection, PluginYaml, SmokeSection};
use crate::error::CommandError;
use crate::ui::Ui;

/// The absolute path of the given binary, if any.
pub(crate) fn binary_path(flag: Option<&Path>, yaml: &PluginYaml) -> Result<Option<PathBuf>, CommandError> {
    let in_file = || yaml.plugin.binary.as_deref().map(|path| yaml.resolve_path(path));
    let given = flag.map(Path::to_owned).or_else(in_file);
    let absolute = given.map(|path| {
        std::path::absolute(&path).map_err(|error| {
            CommandError::usage(format!("{} is not a valid path", path.display())).caused_by(error)
        })
    });
    absolute.transpose()
}

/// The mounts of the file, with the data of each.
pub(crate) fn mounts_from_file(
    yaml: &PluginYaml,
    kind: PluginType,
    observed: &Observed,
) -> Result<Vec<DesiredMount>, CommandError> {
    let mut mounts = Vec::new();
    for section in &yaml.mounts {
        let mut writes = Vec::new();
        for (path, fields) in &section.write {
            let mut data = BTreeMap::new();
            for (key, value) in fields {
                data.insert(key.clone(), yaml.resolve_value(key, value)?);
            }
            writes.push(DesiredWrite { path: path.trim_matches('/').to_owned(), data });
        }
        let smoke = section.smoke.as_ref().map(|smoke| smoke_request(yaml, smoke)).transpose()?;
        check_smoke_data(kind, smoke.as_ref())?;
        mounts.push(DesiredMount { path: mount_of_section(section, kind, observed)?, writes, smoke });
    }
    Ok(mounts)
}

fn mount_of_section(
    section: &MountSection,
    kind: PluginType,
    observed: &Observed,
) -> Result<Consumer, CommandError> {
    let path = parse_mount(&section.path)?;
    match &section.namespace {
        None => Ok(observed.resolve(path, kind)),
        Some(namespace) => Ok(path.of_kind(kind).in_namespace(parse_namespace(namespace)?)),
    }
}

/// Checks the path of a child namespace, and returns it without slashes at its ends. It is empty for the namespace of the client.
pub(crate) fn parse_namespace(text: &str) -> Result<&str, CommandError> {
    let namespace = text.trim_matches('/');
    if namespace.is_empty() {
        return Ok(namespace);
    }
    match namespace.parse::<Consumer>() {
        Ok(_) => Ok(namespace),
        Err(_) => Err(CommandError::usage(format!("{text:?} is not the path of a namespace"))),
    }
}

fn smoke_request(yaml: &PluginYaml, section: &SmokeSection) -> Result<SmokeRequest, CommandError> {
    match section {
        SmokeSection::Path(path) => Ok(SmokeRequest::from(path.as_str())),
        SmokeSection::Login(LoginSection { path, data }) => {
            let value = |(key, value): (&String, &Value)| {
                yaml.resolve_value(key, value).map(|value| (key.clone(), value))
            };
            let data = data.iter().map(value).collect::<Result<_, _>>()?;
            Ok(SmokeRequest { path: path.clone(), data })
        }
    }
}

pub(crate) fn read_binary(program: &Path, ui: &mut Ui) -> Result<Binary, CommandError> {
    let binary = Binary::read(program, &mut |done, total| ui.progress("hashing", done, total));
    ui.end_progress();
    binary.map_err(|error| CommandError::usage("invalid plugin binary").caused_by(error))
}

/// The type of a new plugin.
pub(crate) fn plugin_type(flag: Option<PluginType>, yaml: &PluginYaml) -> Result<PluginType, CommandError> {
    Ok(given_type(flag, yaml)?.unwrap_or_default())
}

/// The type that the flag or the file gives.
pub(crate) fn given_type(
    flag: Option<PluginType>,
    yaml: &PluginYaml,
) -> Result<Option<PluginType>, CommandError> {
    match (flag, &yaml.plugin.kind) {
        (Some(kind), _) => Ok(Some(kind)),
        (None, Some(text)) => text
            .parse()
            .map(Some)
            .map_err(|error| CommandError::usage("invalid plugin.type in the file").caused_by(error)),
        (None, None) => Ok(None),
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
    text.parse().map_err(|error| CommandError::usage(format!("invalid version {text:?}")).caused_by(error))
}

pub(crate) fn plugin_env(flags: &[String], yaml: &PluginYaml) -> Result<Vec<SecretString>, CommandError> {
    let mut variables = BTreeMap::new();
    for (key, value) in &yaml.plugin.env {
        variables.insert(key.clone(), yaml.resolve_value(key, value)?);
    }
    mount_data::parse_env(variables, flags)
}

pub(crate) fn parse_mount(text: &str) -> Result<Consumer, CommandError> {
    text.parse().map_err(|error| CommandError::usage("invalid mount path").caused_by(error))
}

pub(crate) fn missing_value(what: &str, flag: &str) -> CommandError {
    CommandError::usage(format!("{what} is missing"))
        .hint(format!("Pass it with {flag} or in the file of -f."))
}
