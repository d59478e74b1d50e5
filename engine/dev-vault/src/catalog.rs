//! The plugin catalog, and which version of a plugin a mount gets (`vault/logical_system.go`).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path};

use semver::Version;
use serde::{Deserialize, Serialize};
use vault_plugin::host::probe;

use crate::StoreError;
use crate::core::Core;
use crate::mount::process::SpawnError;
use crate::reply::ErrorReply;

const CATALOG: &str = "core/catalog/";
const PINS: &str = "core/pins/";
/// Stands for no version in a key.
const UNVERSIONED: &str = "-";

/// The kinds of plugins that Vault knows, in the order in which it lists them.
pub(crate) const PLUGIN_TYPES: [&str; 3] = ["auth", "database", "secret"];
/// The one that can be mounted here.
pub(crate) const SECRET_TYPE: &str = "secret";

/// What is registered. No `Debug`: the environment may hold secrets.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct RegisteredPlugin {
    pub(crate) kind: String,
    pub(crate) name: String,
    /// With a leading `v`; empty for an unversioned plugin.
    pub(crate) version: String,
    /// The file, below the plugin directory.
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    /// `NAME=value` each.
    pub(crate) env: Vec<String>,
    /// In hex.
    pub(crate) sha256: String,
}

impl RegisteredPlugin {
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let pairs = self.env.iter().map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.map(|(name, value)| (name.into(), value.into())).collect()
    }
}

/// The version that all mounts of a plugin run, whatever they are set to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pin {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) version: String,
}

impl Core {
    /// Every registered plugin, by kind, name and version.
    pub(crate) fn catalog(&self) -> Result<Vec<RegisteredPlugin>, StoreError> {
        let keys = self.store().keys(CATALOG);
        let mut entries: Vec<RegisteredPlugin> =
            keys.iter().filter_map(|key| self.store().read(key).transpose()).collect::<Result<_, _>>()?;
        entries.sort_by(|a, b| {
            (&a.kind, &a.name, version_order(&a.version)).cmp(&(&b.kind, &b.name, version_order(&b.version)))
        });
        Ok(entries)
    }

    /// The names of the plugins of a kind that have an unversioned entry, as Vault's plain list shows them.
    pub(crate) fn unversioned_names(&self, kind: &str) -> Result<BTreeSet<String>, StoreError> {
        let entries = self.catalog()?.into_iter();
        Ok(entries
            .filter(|entry| entry.kind == kind && entry.version.is_empty())
            .map(|entry| entry.name)
            .collect())
    }

    pub(crate) fn registered_plugin(
        &self,
        kind: &str,
        name: &str,
        version: &str,
    ) -> Result<Option<RegisteredPlugin>, StoreError> {
        self.store().read(&entry_key(kind, name, version))
    }

    /// A secrets engine in the catalog.
    pub(crate) fn catalog_entry(
        &self,
        name: &str,
        version: &str,
    ) -> Result<Option<RegisteredPlugin>, StoreError> {
        self.registered_plugin(SECRET_TYPE, name, version)
    }

    /// Registers a plugin after it was started once, as Vault does: a version that it reports must be the one asked
    /// for, and becomes the entry's where none was; that it does not start is no reason to refuse it.
    pub(crate) async fn register(&self, mut entry: RegisteredPlugin) -> Result<(), ErrorReply> {
        let directory = self.config().plugin_directory.as_deref();
        let directory = directory.ok_or_else(|| ErrorReply::internal(&SpawnError::NoPluginDirectory))?;
        check_command(directory, &entry.command)?;
        match self.reported_version(&entry, directory).await {
            Ok(reported) if reported.is_empty() => {}
            Ok(reported) if entry.version.is_empty() => entry.version = reported,
            Ok(reported) if normalize_version(&reported).as_deref() != Some(&entry.version) => {
                return Err(ErrorReply::bad_request(format!(
                    "plugin version mismatch: {} reported version ({reported}) did not match requested version ({})",
                    entry.name, entry.version
                )));
            }
            Ok(_) => {}
            Err(why) => {
                self.log_error("Error determining plugin version", Some(&format!("{}: {why}", entry.name)));
            }
        }
        Ok(self.store().write(&entry_key(&entry.kind, &entry.name, &entry.version), &entry)?)
    }

    pub(crate) fn deregister(&self, kind: &str, name: &str, version: &str) -> Result<(), StoreError> {
        self.store().delete(&entry_key(kind, name, version))
    }

    pub(crate) fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        self.store().keys(PINS).iter().filter_map(|key| self.store().read(key).transpose()).collect()
    }

    pub(crate) fn pin(&self, kind: &str, name: &str) -> Result<Option<Pin>, StoreError> {
        self.store().read(&format!("{PINS}{kind}/{name}"))
    }

    pub(crate) fn set_pin(&self, pin: &Pin) -> Result<(), StoreError> {
        self.store().write(&format!("{PINS}{}/{}", pin.kind, pin.name), pin)
    }

    pub(crate) fn delete_pin(&self, kind: &str, name: &str) -> Result<(), StoreError> {
        self.store().delete(&format!("{PINS}{kind}/{name}"))
    }

    /// The version that a new mount is set to: the pinned one, the one asked for, the unversioned plugin, or the newest.
    pub(crate) fn select_version(&self, name: &str, wanted: &str) -> Result<String, ErrorReply> {
        if let Some(pin) = self.pin(SECRET_TYPE, name)? {
            if !wanted.is_empty() {
                return Err(ErrorReply::bad_request(format!(
                    "cannot specify plugin_version for secret plugin \"{name}\", as it is pinned to version {}",
                    pin.version
                )));
            }
            return Ok(pin.version);
        }
        if !wanted.is_empty() {
            let version = validate_version(wanted)?;
            self.catalog_entry(name, &version)?.ok_or_else(|| not_in_catalog(name, &version))?;
            return Ok(version);
        }
        let entries = self.catalog()?.into_iter();
        let versions: Vec<String> = entries
            .filter(|entry| entry.kind == SECRET_TYPE && entry.name == name)
            .map(|entry| entry.version)
            .collect();
        if versions.iter().any(String::is_empty) {
            return Ok(String::new());
        }
        versions.last().cloned().ok_or_else(|| not_in_catalog(name, ""))
    }

    async fn reported_version(&self, entry: &RegisteredPlugin, directory: &Path) -> Result<String, String> {
        let program = directory.join(&entry.command);
        match self.processes().sha256(&program) {
            Ok(found) if found == entry.sha256 => {}
            Ok(_) => return Err(SpawnError::ChecksumMismatch.to_string()),
            Err(source) => return Err(SpawnError::Checksum { source }.to_string()),
        }
        match probe(self.processes().launch_options(entry, program)).await {
            Ok(report) => Ok(report.version),
            Err(error) => Err(ErrorReply::internal(&error).text.unwrap_or_default()),
        }
    }
}

/// That a plugin is not registered, with its version where one was asked for.
pub(crate) fn not_in_catalog(name: &str, version: &str) -> ErrorReply {
    let version = if version.is_empty() { String::new() } else { format!(", version={version}") };
    ErrorReply::bad_request(format!("plugin not found in the catalog: {name}{version}"))
}

/// A version as it is kept, with a leading `v`, or Vault's refusal of it.
pub(crate) fn validate_version(text: &str) -> Result<String, ErrorReply> {
    normalize_version(text).ok_or_else(|| {
        ErrorReply::bad_request(format!(
            "version \"{text}\" is not a valid semantic version: Malformed version: {text}"
        ))
    })
}

/// Missing numbers are zero, as in hashicorp/go-version.
fn normalize_version(text: &str) -> Option<String> {
    let bare = text.strip_prefix('v').unwrap_or(text);
    let end = bare.find(['-', '+']).unwrap_or(bare.len());
    let (numbers, rest) = bare.split_at(end);
    let missing = 2usize.saturating_sub(numbers.matches('.').count());
    let padded = format!("{numbers}{}{rest}", ".0".repeat(missing));
    Version::parse(&padded).ok().map(|version| format!("v{version}"))
}

fn version_order(version: &str) -> Option<Version> {
    Version::parse(version.strip_prefix('v')?).ok()
}

fn entry_key(kind: &str, name: &str, version: &str) -> String {
    let version = if version.is_empty() { UNVERSIONED } else { version };
    format!("{CATALOG}{kind}/{version}/{name}")
}

/// The file must lie in the plugin directory, also after links are followed.
fn check_command(directory: &Path, command: &str) -> Result<(), ErrorReply> {
    let refused = |text: String| ErrorReply::multierror(500, &[&text]);
    if Path::new(command).components().any(|part| part == Component::ParentDir) {
        return Err(refused("path cannot contain parent references".to_owned()));
    }
    let path = directory.join(command);
    let real = path.canonicalize().map_err(|error| {
        // Go names the call and has no code at the end.
        let text = error.to_string().to_lowercase();
        let text = text.split(" (os error").next().unwrap_or_default();
        refused(format!("error while validating the command path: lstat {}: {text}", path.display()))
    })?;
    let directory = directory.canonicalize().map_err(|error| refused(error.to_string()))?;
    if real.starts_with(&directory) {
        Ok(())
    } else {
        Err(refused("cannot execute files outside of configured plugin directory".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_kept_with_a_v_and_three_numbers() {
        assert_eq!(normalize_version("1.2.3").as_deref(), Some("v1.2.3"));
        assert_eq!(normalize_version("v1.2").as_deref(), Some("v1.2.0"));
        assert_eq!(normalize_version("1.2.3-rc1+b").as_deref(), Some("v1.2.3-rc1+b"));
        assert_eq!(normalize_version("xx"), None);
        let text = validate_version("xx").unwrap_err().text.unwrap();
        assert_eq!(text, "version \"xx\" is not a valid semantic version: Malformed version: xx");
    }

    #[test]
    fn a_newer_version_is_newer_by_its_numbers_not_its_letters() {
        assert!(version_order("v1.10.0") > version_order("v1.9.0"));
        assert!(version_order("v1.0.0") > version_order(""));
    }

    #[test]
    fn a_command_outside_the_plugin_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/sh", directory.path().join("link")).unwrap();
        let text = |command| check_command(directory.path(), command).unwrap_err().text.unwrap();
        assert!(text("../x").contains("path cannot contain parent references"));
        assert!(text("link").contains("cannot execute files outside of configured plugin directory"));
        assert!(text("missing").contains("missing: no such file or directory\n"));
    }
}
