//! The plugin catalog: registered plugins, pinned versions, and the selection of a version for a mount (`vault/logical_system.go`).

pub(crate) mod process;
mod registered_plugin;
mod version;

use std::collections::BTreeSet;
use std::path::{Component, Path};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vault_plugin::host::probe;

use crate::StoreError;
use crate::log::{LogSink, log_error};
use crate::reply::ErrorReply;
use crate::store::Store;
use process::{ProcessPool, SpawnError};
pub(crate) use registered_plugin::RegisteredPlugin;
pub(crate) use version::validate_version;
use version::{normalize_version, version_order};

const CATALOG: &str = "core/catalog/";
const PINS: &str = "core/pins/";
/// The version of an unversioned entry in its key.
const UNVERSIONED: &str = "-";

/// The plugin types in the order of Vault's lists.
pub(crate) const PLUGIN_TYPES: [&str; 3] = ["auth", "database", "secret"];
/// The type of secrets engines.
pub(crate) const SECRET_TYPE: &str = "secret";
/// The type of auth methods.
pub(crate) const AUTH_TYPE: &str = "auth";

/// A pinned version, which overrides the configured version of all mounts of the plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pin {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) version: String,
}

/// The registered plugins and the pinned versions.
pub(crate) struct Catalog {
    store: Arc<Store>,
    processes: Arc<ProcessPool>,
    log: LogSink,
}

impl Catalog {
    pub(crate) fn new(store: Arc<Store>, processes: Arc<ProcessPool>, log: LogSink) -> Catalog {
        Catalog { store, processes, log }
    }

    /// All registered plugins, sorted by type, name and version.
    pub(crate) fn entries(&self) -> Result<Vec<RegisteredPlugin>, StoreError> {
        let keys = self.store.keys(CATALOG);
        let mut entries: Vec<RegisteredPlugin> =
            keys.iter().filter_map(|key| self.store.read(key).transpose()).collect::<Result<_, _>>()?;
        entries.sort_by(|a, b| {
            (&a.kind, &a.name, version_order(&a.version)).cmp(&(&b.kind, &b.name, version_order(&b.version)))
        });
        Ok(entries)
    }

    /// The names of the plugins of a type that have an unversioned entry, as in Vault's list by type.
    pub(crate) fn unversioned_names(&self, kind: &str) -> Result<BTreeSet<String>, StoreError> {
        let entries = self.entries()?.into_iter();
        Ok(entries
            .filter(|entry| entry.kind == kind && entry.version.is_empty())
            .map(|entry| entry.name)
            .collect())
    }

    /// The plugin registered under this type, name and version.
    pub(crate) fn get(
        &self,
        kind: &str,
        name: &str,
        version: &str,
    ) -> Result<Option<RegisteredPlugin>, StoreError> {
        self.store.read(&entry_key(kind, name, version))
    }

    /// Registers a plugin. Starts it once, as Vault does: a version that it reports must match the requested one, or is used if none was
    /// requested. A plugin that fails to start is registered nevertheless.
    pub(crate) async fn register(&self, mut entry: RegisteredPlugin) -> Result<(), ErrorReply> {
        let directory = self.processes.directory().map_err(|error| ErrorReply::internal(&error))?;
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
            Err(error) => {
                let detail = format!("{}: {error}", entry.name);
                log_error(&self.log, "Error determining plugin version", Some(&detail));
            }
        }
        Ok(self.store.write(&entry_key(&entry.kind, &entry.name, &entry.version), &entry)?)
    }

    pub(crate) fn deregister(&self, kind: &str, name: &str, version: &str) -> Result<(), StoreError> {
        self.store.delete(&entry_key(kind, name, version))
    }

    pub(crate) fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        self.store.keys(PINS).iter().filter_map(|key| self.store.read(key).transpose()).collect()
    }

    pub(crate) fn pin(&self, kind: &str, name: &str) -> Result<Option<Pin>, StoreError> {
        self.store.read(&format!("{PINS}{kind}/{name}"))
    }

    pub(crate) fn set_pin(&self, pin: &Pin) -> Result<(), StoreError> {
        self.store.write(&format!("{PINS}{}/{}", pin.kind, pin.name), pin)
    }

    pub(crate) fn delete_pin(&self, kind: &str, name: &str) -> Result<(), StoreError> {
        self.store.delete(&format!("{PINS}{kind}/{name}"))
    }

    /// The version of a new mount: the pinned one, the requested one, the unversioned plugin, or the newest.
    pub(crate) fn select_version(
        &self,
        kind: &str,
        name: &str,
        requested: &str,
    ) -> Result<String, ErrorReply> {
        if let Some(pin) = self.pin(kind, name)? {
            if !requested.is_empty() {
                return Err(ErrorReply::bad_request(format!(
                    "cannot specify plugin_version for {kind} plugin \"{name}\", as it is pinned to version {}",
                    pin.version
                )));
            }
            return Ok(pin.version);
        }
        if !requested.is_empty() {
            let version = validate_version(requested)?;
            self.get(kind, name, &version)?.ok_or_else(|| not_in_catalog(name, &version))?;
            return Ok(version);
        }
        let entries = self.entries()?.into_iter();
        let versions: Vec<String> = entries
            .filter(|entry| entry.kind == kind && entry.name == name)
            .map(|entry| entry.version)
            .collect();
        if versions.iter().any(String::is_empty) {
            return Ok(String::new());
        }
        versions.last().cloned().ok_or_else(|| not_in_catalog(name, ""))
    }

    /// Validates a version for an existing mount of `name`, and returns its stored form.
    pub(crate) fn validate_tuned_version(
        &self,
        kind: &str,
        name: &str,
        version: &str,
    ) -> Result<String, ErrorReply> {
        let version = validate_version(version)?;
        if let Some(pin) = self.pin(kind, name)? {
            return Err(ErrorReply::bad_request(format!(
                "plugin_version cannot be set for {kind} plugin \"{name}\" as a pinned version {} is in effect",
                pin.version
            )));
        }
        self.get(kind, name, &version)?.ok_or_else(|| not_in_catalog(name, &version))?;
        Ok(version)
    }

    async fn reported_version(&self, entry: &RegisteredPlugin, directory: &Path) -> Result<String, String> {
        let program = directory.join(&entry.command);
        match self.processes.sha256(&program) {
            Ok(actual) if actual == entry.sha256 => {}
            Ok(_) => return Err(SpawnError::ChecksumMismatch.to_string()),
            Err(cause) => return Err(SpawnError::Checksum { cause }.to_string()),
        }
        match probe(self.processes.launch_options(entry, program)).await {
            Ok(report) => Ok(report.version),
            Err(error) => Err(ErrorReply::internal(&error).text.unwrap_or_default()),
        }
    }
}

/// The error for an unregistered plugin.
fn not_in_catalog(name: &str, version: &str) -> ErrorReply {
    let version = if version.is_empty() { String::new() } else { format!(", version={version}") };
    ErrorReply::bad_request(format!("plugin not found in the catalog: {name}{version}"))
}

fn entry_key(kind: &str, name: &str, version: &str) -> String {
    let version = if version.is_empty() { UNVERSIONED } else { version };
    format!("{CATALOG}{kind}/{version}/{name}")
}

/// Checks that the file is in the plugin directory, even after resolving symbolic links.
fn check_command(directory: &Path, command: &str) -> Result<(), ErrorReply> {
    let refuse = |text: String| ErrorReply::multierror(500, &[&text]);
    if Path::new(command).components().any(|part| part == Component::ParentDir) {
        return Err(refuse("path cannot contain parent references".to_owned()));
    }
    let path = directory.join(command);
    let resolved = path.canonicalize().map_err(|error| {
        // Go prefixes the name of the call and omits the error code.
        let text = error.to_string().to_lowercase();
        let text = text.split(" (os error").next().unwrap_or_default();
        refuse(format!("error while validating the command path: lstat {}: {text}", path.display()))
    })?;
    let directory = directory.canonicalize().map_err(|error| refuse(error.to_string()))?;
    if resolved.starts_with(&directory) {
        Ok(())
    } else {
        Err(refuse("cannot execute files outside of configured plugin directory".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
