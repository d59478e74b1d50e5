//! `plugin.yaml` of our plugin, as a user writes it.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};

use crate::VaultPods;

/// A description of our plugin, with a role `developer` on each of its mounts, and a smoke test that reads a credential of it.
///
/// Its text is what [`Display`] writes.
#[derive(Debug, Clone)]
#[must_use = "write it to a file, or take its text"]
pub struct PluginYamlBuilder {
    name: String,
    binary: PathBuf,
    endpoint: String,
    api_key_file: PathBuf,
    mounts: Vec<String>,
    role: String,
    target: Option<String>,
}

impl PluginYamlBuilder {
    /// The name of the plugin unless set.
    pub const DEFAULT_NAME: &str = "custom-plugin";

    /// The plugin `binary` on one mount, `custom`, with a token service at `endpoint`, whose key is in a file. A relative path
    /// of that file counts from the description.
    pub fn new(
        binary: impl Into<PathBuf>,
        endpoint: impl Into<String>,
        api_key_file: impl Into<PathBuf>,
    ) -> PluginYamlBuilder {
        PluginYamlBuilder {
            name: PluginYamlBuilder::DEFAULT_NAME.to_owned(),
            binary: binary.into(),
            endpoint: endpoint.into(),
            api_key_file: api_key_file.into(),
            mounts: vec!["custom".to_owned()],
            role: r#"permissions: "read,write", ttl: 1h"#.to_owned(),
            target: None,
        }
    }

    /// Sets the name of the plugin.
    pub fn name(mut self, name: impl Into<String>) -> PluginYamlBuilder {
        self.name = name.into();
        self
    }

    /// Sets the paths of the mounts.
    pub fn mounts(mut self, mounts: &[&str]) -> PluginYamlBuilder {
        self.mounts = mounts.iter().map(|&mount| mount.to_owned()).collect();
        self
    }

    /// Sets the fields of the role, in the notation of YAML: `permissions: read, ttl: 1h, max_ttl: 24h`.
    pub fn role(mut self, fields: impl Into<String>) -> PluginYamlBuilder {
        self.role = fields.into();
        self
    }

    /// For a server on this machine with this plugin directory.
    pub fn for_local_server(mut self, plugin_directory: &Path) -> PluginYamlBuilder {
        self.target = Some(format!("{{local: {{plugin_dir: {}}}}}", plugin_directory.display()));
        self
    }

    /// For these pods.
    pub fn for_pods(mut self, pods: &VaultPods) -> PluginYamlBuilder {
        let (namespace, stateful_set) = (pods.namespace(), pods.stateful_set());
        self.target =
            Some(format!("{{kubernetes: {{namespace: {namespace}, statefulset: {stateful_set}}}}}"));
        self
    }

    /// Writes it to `plugin.yaml` in `folder`.
    ///
    /// # Panics
    ///
    /// When the folder is not writable.
    pub fn write_to(&self, folder: &Path) -> PathBuf {
        let file = folder.join("plugin.yaml");
        fs::write(&file, self.to_string()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        file
    }
}

impl Display for PluginYamlBuilder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (name, binary) = (&self.name, self.binary.display());
        writeln!(f, "plugin: {{name: {name}, binary: {binary}, args: [serve]}}\nmounts:")?;
        for mount in &self.mounts {
            let (endpoint, key) = (&self.endpoint, self.api_key_file.display());
            writeln!(f, "- path: {mount}\n  write:")?;
            writeln!(f, "    config: {{api_endpoint: \"{endpoint}\", api_key: {{file: {key}}}}}")?;
            writeln!(f, "    roles/developer: {{{}}}\n  smoke: creds/developer", self.role)?;
        }
        match &self.target {
            Some(target) => writeln!(f, "deployment: {target}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_every_mount_and_where_the_server_is() {
        let description = PluginYamlBuilder::new("/bin/plugin", "http://tokens", "./api-key")
            .mounts(&["first", "second"])
            .role("permissions: read, ttl: 2h")
            .for_local_server(Path::new("/plugins"));
        let mount = |path: &str| {
            format!(
                "- path: {path}\n  write:\n    config: {{api_endpoint: \"http://tokens\", api_key: {{file: ./api-key}}}}\n    \
                 roles/developer: {{permissions: read, ttl: 2h}}\n  smoke: creds/developer\n"
            )
        };
        let expected = format!(
            "plugin: {{name: custom-plugin, binary: /bin/plugin, args: [serve]}}\nmounts:\n{}{}deployment: {{local: {{plugin_dir: \
             /plugins}}}}\n",
            mount("first"),
            mount("second"),
        );
        assert_eq!(description.to_string(), expected);
    }
}
