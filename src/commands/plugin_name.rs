//! The positional `[PLUGIN]`: a name in the catalog. Files and images are passed by flags.

use std::collections::BTreeSet;
use std::path::Path;

use oci_image::ImageReference;
use rollout::{Observed, shell_quote};
use vault_api::catalog::PluginType;

use crate::error::CommandError;
use crate::ui::Ui;

/// Parses the name of a plugin that a command installs.
///
/// # Errors
/// If it is a path or an image; the error names the flag for it.
pub(crate) fn parse_installable(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('/') {
        return Err(installable_hint(text));
    }
    Ok(text.to_owned())
}

/// Parses the name of a plugin on the server. A name that another tool has registered may contain a slash.
///
/// # Errors
/// If it is a path.
pub(crate) fn parse_registered(text: &str) -> Result<String, String> {
    let is_path = ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start));
    if text.is_empty() || is_path || (text.contains('/') && Path::new(text).exists()) {
        return Err(
            "PLUGIN is a name in the catalog, not a file; `vault-token-plugin status` shows the names".into(),
        );
    }
    Ok(text.to_owned())
}

/// Refuses a name that is also a file, because the command would otherwise install its own program under this name.
pub(crate) fn refuse_file(name: &str) -> Result<(), CommandError> {
    if !Path::new(name).is_file() {
        return Ok(());
    }
    Err(CommandError::usage(format!("{name} is a file in this directory, and no plugin binary was given"))
        .hint(format!("To install that file, add --binary {}.", shell_quote(&format!("./{name}")))))
}

/// Returns the only plugin that is used, of one type or of any. If there are several, asks on a terminal.
///
/// # Errors
/// If none is used, or the choice is ambiguous.
pub(crate) fn only_mounted(
    observed: &Observed,
    kind: Option<PluginType>,
    command: &str,
    ui: &mut Ui,
) -> Result<String, CommandError> {
    let entries = observed.catalog.iter().filter(|entry| kind.is_none_or(|kind| entry.kind == kind));
    let mounted = entries.filter(|entry| observed.consumers_of(entry.kind, &entry.name).next().is_some());
    only(mounted.map(|entry| entry.name.as_str()).collect(), "mounted", command, ui)
}

/// Returns the type of a plugin: the given one, or that of the only plugin of this name that is used, or else registered.
///
/// # Errors
/// If plugins of several types have the name.
pub(crate) fn kind_of(
    observed: &Observed,
    name: &str,
    given: Option<PluginType>,
) -> Result<PluginType, CommandError> {
    if let Some(kind) = given {
        return Ok(kind);
    }
    let consumers = observed.consumers.iter().filter(|(path, consumer)| {
        consumer.plugin == name && !path.is_canary() && is_registered(observed, consumer.kind, name)
    });
    let mut kinds: BTreeSet<PluginType> = consumers.map(|(_, consumer)| consumer.kind).collect();
    if kinds.is_empty() {
        let entries = observed.catalog.iter().filter(|entry| entry.name == name);
        kinds = entries.map(|entry| entry.kind).collect();
    }
    match (kinds.first(), kinds.len()) {
        (Some(kind), 1) => Ok(*kind),
        (Some(_), _) => {
            let list = kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" and ");
            Err(CommandError::usage(format!("{name} is registered with the types {list}"))
                .hint("Select one with --type."))
        }
        // The command reports what is missing.
        (None, _) => Ok(PluginType::default()),
    }
}

fn is_registered(observed: &Observed, kind: PluginType, name: &str) -> bool {
    observed.catalog.iter().any(|entry| entry.kind == kind && entry.name == name)
}

/// Returns the only registered plugin, of one type or of any. If there are several, asks on a terminal.
///
/// # Errors
/// If none is registered, or the choice is ambiguous.
pub(crate) fn only_registered(
    observed: &Observed,
    kind: Option<PluginType>,
    command: &str,
    ui: &mut Ui,
) -> Result<String, CommandError> {
    let entries = observed.catalog.iter().filter(|entry| kind.is_none_or(|kind| entry.kind == kind));
    only(entries.map(|entry| entry.name.as_str()).collect(), "registered", command, ui)
}

fn only(
    names: BTreeSet<&str>,
    state: &'static str,
    command: &str,
    ui: &mut Ui,
) -> Result<String, CommandError> {
    let list = names.iter().copied().collect::<Vec<_>>().join(", ");
    let missing = |several: &str| {
        CommandError::usage(format!("the name of the plugin is missing, and {several} {state}"))
            .hint(format!("Pass it: `vault-token-plugin {command} PLUGIN`."))
    };
    match (names.first(), names.len()) {
        (Some(name), 1) => Ok((*name).to_owned()),
        (None, _) => Err(missing("none is")),
        (Some(_), _) if ui.is_interactive() => {
            let name = ui.prompt(&format!("Name of the plugin ({list})"), None)?;
            if names.contains(name.as_str()) {
                Ok(name)
            } else {
                Err(CommandError::usage(format!("no plugin {name} is {state}")))
            }
        }
        (Some(_), _) => Err(missing("several are").hint(format!("These are {state}: {list}"))),
    }
}

fn installable_hint(text: &str) -> String {
    let image = || ImageReference::parse_qualified(text).filter(|_| !Path::new(text).exists());
    match image() {
        _ if text.is_empty() => "PLUGIN is a name in the catalog, and cannot be empty".to_owned(),
        Some(_) => {
            format!("PLUGIN is a name in the catalog; give an image with --image {}", shell_quote(text))
        }
        None => format!("PLUGIN is a name in the catalog; give a file with --binary {}", shell_quote(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_or_an_image_in_place_of_the_name_is_refused_with_the_flag_that_takes_it() {
        for (text, cure) in [
            ("./my-plugin", "--binary ./my-plugin"),
            ("target/release/my-plugin", "--binary target/release/my-plugin"),
            ("/tmp/my plugin", "--binary '/tmp/my plugin'"),
            (
                "registry.example.com/team/my-plugin:1.2.3",
                "--image registry.example.com/team/my-plugin:1.2.3",
            ),
        ] {
            let error = parse_installable(text).expect_err(text);
            assert!(error.ends_with(cure), "{error}");
        }
        assert_eq!(parse_installable("my-plugin"), Ok("my-plugin".to_owned()));
        assert!(parse_installable("").is_err());
    }

    #[test]
    fn a_path_is_no_name_of_a_registered_plugin() {
        for text in ["./my-plugin", "../my-plugin", "/plugins/my-plugin", "~/my-plugin", ""] {
            assert!(parse_registered(text).is_err(), "{text:?}");
        }
        for text in ["my-plugin", "team/my-plugin"] {
            assert_eq!(parse_registered(text), Ok(text.to_owned()));
        }
    }
}
