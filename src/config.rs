//! `-f plugin.yaml`: the whole of a registration in one file, for CI.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rollout::DesiredValue;
use serde::Deserialize;
use serde_json::Value;
use vault_api::SecretString;

use crate::error::CommandError;
use crate::key_value;
use crate::yaml::{self, YamlError};

/// The file. Relative paths in it start at its directory. Flags come before it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginYaml {
    /// What is registered.
    #[serde(default)]
    pub plugin: PluginSection,
    /// Where it is mounted, and with what.
    #[serde(default)]
    pub mounts: Vec<MountSection>,
    /// Where the server's plugin directory lies.
    pub site: Option<DeploymentSection>,
    #[serde(skip)]
    directory: PathBuf,
}

/// What is registered.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginSection {
    /// Name in the catalog.
    pub name: Option<String>,
    /// `secret`, `auth` or `database`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Version; what the binary reports when it is missing.
    pub version: Option<String>,
    /// The binary.
    pub binary: Option<PathBuf>,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment: texts, or references.
    #[serde(default)]
    pub env: BTreeMap<String, Value>,
}

/// One mount.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountSection {
    /// As in `vault secrets enable -path`.
    pub path: String,
    /// Mount-relative path to data.
    #[serde(default)]
    pub write: BTreeMap<String, BTreeMap<String, Value>>,
    /// How it is tried.
    pub smoke: Option<SmokeSection>,
}

/// How a mount is tried.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmokeSection {
    /// Mount-relative path that returns a lease or data.
    pub read: String,
}

/// Where the server's plugin directory lies: one of these.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentSection {
    /// On this machine.
    pub local: Option<LocalSection>,
    /// In pods of a cluster.
    pub kubernetes: Option<KubernetesSection>,
}

/// Pods of a cluster; the cluster itself is that of the caller's kubeconfig. What is missing is found.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KubernetesSection {
    /// Context of the kubeconfig.
    pub context: Option<String>,
    /// Their namespace.
    pub namespace: Option<String>,
    /// Their StatefulSet.
    pub statefulset: Option<String>,
    /// Their labels, in place of it.
    pub selector: Option<String>,
    /// The container of the server.
    pub container: Option<String>,
    /// An image with this program in it.
    pub tool_image: Option<String>,
}

/// A plugin directory of this machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalSection {
    /// The directory.
    pub plugin_dir: PathBuf,
}

/// A reference to a secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum SecretReference {
    File(PathBuf),
    Env(String),
}

impl PluginYaml {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, is no YAML, or has a key that is not known.
    pub fn read(path: &Path) -> Result<Self, CommandError> {
        let text = fs::read_to_string(path).map_err(|source| {
            CommandError::usage(format!("could not read {}", path.display())).caused_by(source)
        })?;
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(&text, directory).map_err(|source| {
            CommandError::usage(format!("could not understand {}", path.display())).caused_by(source)
        })
    }

    /// The plugin directory on this machine, as seen from here.
    pub fn plugin_dir(&self) -> Option<PathBuf> {
        let local = self.site.as_ref()?.local.as_ref()?;
        Some(self.resolve_path(&local.plugin_dir))
    }

    fn kubernetes(&self) -> Option<&KubernetesSection> {
        self.site.as_ref()?.kubernetes.as_ref()
    }

    /// A path of the file, as seen from here.
    pub fn resolve_path(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// A value of the file: itself, or what it refers to.
    ///
    /// # Errors
    /// When a reference leads nowhere, and when a secret is written out.
    pub fn resolve_value(&self, key: &str, value: &Value) -> Result<DesiredValue, CommandError> {
        let is_reference = value
            .as_object()
            .is_some_and(|map| map.len() == 1 && (map.contains_key("file") || map.contains_key("env")));
        if !is_reference {
            return if key_value::is_secret_field(key) {
                Err(plaintext_secret_error(key, key))
            } else {
                Ok(DesiredValue::Plain(value.clone()))
            };
        }
        let reference = serde_json::from_value(value.clone()).map_err(|source| {
            CommandError::usage(format!("could not understand the reference for {key}")).caused_by(source)
        })?;
        match reference {
            SecretReference::File(path) => key_value::secret_from_file(key, &self.resolve_path(&path))
                .map(DesiredValue::Secret)
                .map_err(|source| CommandError::usage("could not follow a reference").caused_by(source)),
            SecretReference::Env(name) => std::env::var(&name)
                .map(|text| DesiredValue::Secret(SecretString::new(text)))
                .map_err(|_| CommandError::usage(format!("the variable {name} for {key} is not set"))),
        }
    }

    fn parse(text: &str, directory: PathBuf) -> Result<Self, YamlError> {
        let yaml: Self = yaml::from_str(text)?;
        if yaml.site.as_ref().is_some_and(|site| site.local.is_some() == site.kubernetes.is_some()) {
            return Err(YamlError::new("site is either local or kubernetes"));
        }
        if yaml.kubernetes().is_some_and(|it| it.statefulset.is_some() && it.selector.is_some()) {
            return Err(YamlError::new("site.kubernetes has either statefulset or selector"));
        }
        Ok(Self { directory, ..yaml })
    }
}

/// What a secret is answered with that stands in the file itself. `what` names it.
pub(crate) fn plaintext_secret_error(what: &str, key: &str) -> CommandError {
    CommandError::usage(format!("{what} is written out in the file, and is a secret"))
        .hint(format!("Refer to it: {key}: {{file: ./path}} or {key}: {{env: NAME}}."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WHOLE: &str = r#"
plugin: {name: custom-plugin, type: secret, version: 1.2.3, binary: ./vault-token-plugin, args: [serve], env: {}}
mounts:
- path: custom
  write:
    config: {api_endpoint: "https://api.example.com", api_key: {file: ./api-key}}
    roles/developer: {permissions: "read,write", ttl: 1h}
  smoke: {read: creds/developer}
site: {local: {plugin_dir: /vault/plugins}}
"#;

    #[test]
    fn the_file_of_the_manual_is_understood() {
        let yaml = PluginYaml::parse(WHOLE, PathBuf::from("deploy")).expect("the file");
        assert_eq!(yaml.plugin.version.as_deref(), Some("1.2.3"));
        assert_eq!(yaml.mounts[0].write["roles/developer"]["ttl"], "1h");
        assert_eq!(yaml.mounts[0].smoke.as_ref().expect("a trial").read, "creds/developer");
        assert_eq!(yaml.resolve_path(Path::new("./api-key")), Path::new("deploy/./api-key"));
        let local = yaml.site.expect("a site").local.expect("this machine");
        assert_eq!(local.plugin_dir, Path::new("/vault/plugins"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        for text in
            ["plugins: {}", "plugin: {nmae: x}", "mounts: [{path: a, writes: {}}]", "site: {docker: {}}"]
        {
            assert!(PluginYaml::parse(text, PathBuf::new()).is_err(), "{text}");
        }
    }

    #[test]
    fn text_needs_no_quotes() {
        let text =
            "plugin: {name: 010, version: 1.10, args: [1, yes, 010, true, 1.50, '']}\nmounts: [{path: on}]\n";
        let yaml = PluginYaml::parse(text, PathBuf::new()).expect("a file");
        assert_eq!(
            (yaml.plugin.name.as_deref(), yaml.plugin.version.as_deref()),
            (Some("010"), Some("1.10"))
        );
        assert_eq!(yaml.plugin.args, ["1", "yes", "010", "true", "1.50", ""]);
        assert_eq!(yaml.mounts[0].path, "on");
    }

    #[test]
    fn data_of_a_mount_has_the_types_of_yaml_1_2() {
        let text = "mounts: [{path: a, write: {config: {a: 010, b: yes, c: 1, d: ~, e: true, f: 1.50, g: 2026-01-01}}}]";
        let yaml = PluginYaml::parse(text, PathBuf::new()).expect("a file");
        let expected =
            json!({"a": "010", "b": "yes", "c": 1, "d": null, "e": true, "f": 1.5, "g": "2026-01-01"});
        assert_eq!(json!(yaml.mounts[0].write["config"]), expected);
    }

    #[test]
    fn an_empty_section_is_one_that_is_not_there() {
        for text in
            ["", "# c\n", "---\n", "plugin:\nmounts:\n", "plugin: {args: , env: , version: }", "site:"]
        {
            let yaml = PluginYaml::parse(text, PathBuf::new()).expect(text);
            assert!(
                yaml.plugin.args.is_empty() && yaml.plugin.env.is_empty() && yaml.mounts.is_empty(),
                "{text}"
            );
            assert!(yaml.plugin.version.is_none() && yaml.site.is_none(), "{text}");
        }
        for text in ["mounts:\n- path: a\n  write:\n", "mounts:\n- path: a\n  write:\n    config:\n"] {
            let yaml = PluginYaml::parse(text, PathBuf::new()).expect(text);
            assert!(yaml.mounts[0].write.values().all(BTreeMap::is_empty), "{text}");
        }
    }

    #[test]
    fn a_section_that_is_there_twice_is_refused() {
        for text in ["plugin: {}\nplugin: {}", "plugin: {name: a, name: b}", "mounts: [{path: a, path: b}]"] {
            assert!(PluginYaml::parse(text, PathBuf::new()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_on_a_line_that_cannot_be_read_is_not_repeated() {
        for value in [
            "hunter2: x",
            "'hunter2",
            "\"hunter2",
            "\"hunter2\\q\"",
            "'hunter2' hunter2",
            "{file: hunter2",
            "[hunter2",
            "@hunter2",
            "`hunter2",
            "%hunter2",
            "*hunter2",
            "!hunter2",
            "!hunter2 x",
            "|hunter2",
            ">5hunter2",
            "hunter2\nhunter2",
            "hunter2\n  x: y",
        ] {
            let text = format!("mounts:\n- path: a\n  write:\n    config:\n      api_key: {value}\n");
            let error = PluginYaml::parse(&text, PathBuf::new()).expect_err(value);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("hunter"), "{value}: {shown}");
            assert!(shown.contains("line"), "{value}: {shown}");
        }
    }

    #[test]
    fn a_site_is_here_or_in_a_cluster() {
        let text = "site: {kubernetes: {namespace: vault-system, statefulset: vault, container: vault}}";
        let yaml = PluginYaml::parse(text, PathBuf::new()).expect("a file");
        assert_eq!(yaml.kubernetes().expect("a cluster").namespace.as_deref(), Some("vault-system"));
        assert_eq!(yaml.plugin_dir(), None);
        for text in [
            "site: {}",
            "site: {local: {plugin_dir: /p}, kubernetes: {}}",
            "site: {kubernetes: {statefulset: a, selector: b=c}}",
            "site: {kubernetes: {pod: vault-0}}",
        ] {
            assert!(PluginYaml::parse(text, PathBuf::new()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_followed_and_never_written_out() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("api-key"), "hunter2\n").expect("a file");
        let yaml = PluginYaml::parse(WHOLE, directory.path().to_owned()).expect("the file");
        let wanted =
            yaml.resolve_value("api_key", &yaml.mounts[0].write["config"]["api_key"]).expect("a value");
        assert!(matches!(wanted, DesiredValue::Secret(secret) if secret.expose() == "hunter2"));
        let error = yaml.resolve_value("api_key", &Value::from("hunter2")).expect_err("written out");
        assert!(!error.render().contains("hunter2"));
    }
}
