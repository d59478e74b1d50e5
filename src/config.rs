//! `-f plugin.yaml`: a complete registration in one file, for CI.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rollout::DesiredValue;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use vault_api::SecretString;

use crate::error::CommandError;
use crate::key_value;
use yaml::YamlError;

/// The file. Relative paths in it start at its directory. Flags take precedence.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginYaml {
    /// The plugin to register.
    #[serde(default, deserialize_with = "null_as_default")]
    pub plugin: PluginSection,
    /// Its mounts and their data.
    #[serde(default, deserialize_with = "null_as_default")]
    pub mounts: Vec<MountSection>,
    /// Where the plugins of the server are.
    pub deployment: Option<DeploymentSection>,
    #[serde(skip)]
    directory: PathBuf,
}

/// The plugin to register.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginSection {
    /// Name in the catalog.
    pub name: Option<String>,
    /// `secret`, `auth` or `database`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Version; by default what the binary reports.
    pub version: Option<String>,
    /// The binary.
    pub binary: Option<PathBuf>,
    /// The image: its name in a registry, or the directory of an OCI layout.
    pub image: Option<String>,
    /// Its arguments.
    #[serde(default, deserialize_with = "null_as_default")]
    pub args: Vec<String>,
    /// Its environment: texts, or references.
    #[serde(default, deserialize_with = "null_as_default")]
    pub env: BTreeMap<String, Value>,
}

/// One mount.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountSection {
    /// As in `vault secrets enable -path` or `vault auth enable -path`.
    pub path: String,
    /// Mount-relative path to data.
    #[serde(default, deserialize_with = "null_as_empty_data")]
    pub write: BTreeMap<String, BTreeMap<String, Value>>,
    /// The smoke test: a mount-relative path that is read, or a login.
    pub smoke: Option<SmokeSection>,
}

/// A smoke test.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a path, or `path` and `data` of a login")]
pub enum SmokeSection {
    /// A path.
    Path(String),
    /// A login.
    Login(LoginSection),
}

/// A login as a smoke test.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginSection {
    /// Mount-relative path.
    pub path: String,
    /// Its data: texts, or references.
    #[serde(default, deserialize_with = "null_as_default")]
    pub data: BTreeMap<String, Value>,
}

/// Where the plugins of the server are: one of these.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentSection {
    /// On this machine.
    pub local: Option<LocalSection>,
    /// In the pods of a cluster.
    pub kubernetes: Option<KubernetesSection>,
}

/// The pods of a cluster, which is selected by the caller's kubeconfig. Missing values are detected.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KubernetesSection {
    /// Context of the kubeconfig.
    pub context: Option<String>,
    /// Their namespace.
    pub namespace: Option<String>,
    /// Their StatefulSet.
    pub statefulset: Option<String>,
    /// Their labels, instead of the StatefulSet.
    pub selector: Option<String>,
    /// The container of the server.
    pub container: Option<String>,
    /// An image that contains this program.
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
    /// If it cannot be read, is not YAML, or has an unknown key.
    pub fn read(path: &Path) -> Result<Self, CommandError> {
        let text = fs::read_to_string(path).map_err(|source| {
            CommandError::usage(format!("could not read {}", path.display())).caused_by(source)
        })?;
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(&text, directory).map_err(|source| {
            CommandError::usage(format!("could not parse {}", path.display())).caused_by(source)
        })
    }

    /// The plugin directory on this machine, relative to the working directory.
    pub fn plugin_dir(&self) -> Option<PathBuf> {
        let local = self.deployment.as_ref()?.local.as_ref()?;
        Some(self.resolve_path(&local.plugin_dir))
    }

    fn kubernetes(&self) -> Option<&KubernetesSection> {
        self.deployment.as_ref()?.kubernetes.as_ref()
    }

    /// The image of the plugin; a directory is relative to the working directory.
    pub fn image(&self) -> Option<String> {
        let image = self.plugin.image.as_ref()?;
        let directory = self.resolve_path(Path::new(image));
        Some(if directory.is_dir() { directory.to_string_lossy().into_owned() } else { image.clone() })
    }

    /// A path of the file, relative to the working directory.
    pub fn resolve_path(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// The value in the file, or what it refers to.
    ///
    /// # Errors
    /// If a reference cannot be resolved, or a secret is written out.
    pub fn resolve_value(&self, key: &str, value: &Value) -> Result<DesiredValue, CommandError> {
        let is_reference = value
            .as_object()
            .is_some_and(|map| map.len() == 1 && (map.contains_key("file") || map.contains_key("env")));
        if !is_reference {
            return match value.as_object() {
                _ if key_value::is_secret_field(key) => Err(plaintext_secret_error(key, key)),
                // Each can be a secret.
                Some(parameters) if key == "parameters" => {
                    let resolved = parameters
                        .iter()
                        .map(|(name, value)| Ok((name.clone(), self.resolve_value(name, value)?)));
                    Ok(DesiredValue::Fields(resolved.collect::<Result<_, CommandError>>()?))
                }
                _ => Ok(DesiredValue::Plain(value.clone())),
            };
        }
        let reference = serde_json::from_value(value.clone()).map_err(|source| {
            CommandError::usage(format!("invalid reference for {key}")).caused_by(source)
        })?;
        match reference {
            SecretReference::File(path) => key_value::secret_from_file(key, &self.resolve_path(&path))
                .map(DesiredValue::Secret)
                .map_err(|source| CommandError::usage("could not resolve a reference").caused_by(source)),
            SecretReference::Env(name) => std::env::var(&name)
                .map(|text| DesiredValue::Secret(SecretString::new(text)))
                .map_err(|_| CommandError::usage(format!("the variable {name} for {key} is not set"))),
        }
    }

    fn parse(text: &str, directory: PathBuf) -> Result<Self, YamlError> {
        let yaml = yaml::from_str::<Option<Self>>(text)?.unwrap_or_default();
        let is_ambiguous = |it: &DeploymentSection| it.local.is_some() == it.kubernetes.is_some();
        if yaml.deployment.as_ref().is_some_and(is_ambiguous) {
            return Err(YamlError::new("deployment is either local or kubernetes"));
        }
        if yaml.kubernetes().is_some_and(|it| it.statefulset.is_some() && it.selector.is_some()) {
            return Err(YamlError::new("deployment.kubernetes has either statefulset or selector"));
        }
        Ok(Self { directory, ..yaml })
    }
}

/// A section without content is null in YAML, and counts as missing.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    section: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(section)?.unwrap_or_default())
}

/// The same for the data of a mount, in which each path is a section.
fn null_as_empty_data<'de, D: Deserializer<'de>>(
    section: D,
) -> Result<BTreeMap<String, BTreeMap<String, Value>>, D::Error> {
    let paths: BTreeMap<String, Option<BTreeMap<String, Value>>> = null_as_default(section)?;
    Ok(paths.into_iter().map(|(path, data)| (path, data.unwrap_or_default())).collect())
}

/// The error for a secret that is written out in the file. `what` is its name.
pub(crate) fn plaintext_secret_error(what: &str, key: &str) -> CommandError {
    CommandError::usage(format!("{what} is a secret, and must not be written out in the file"))
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
  smoke: creds/developer
deployment: {local: {plugin_dir: /vault/plugins}}
"#;

    #[test]
    fn the_file_of_the_manual_is_understood() {
        let yaml = PluginYaml::parse(WHOLE, PathBuf::from("deploy")).expect("the file");
        assert_eq!(yaml.plugin.version.as_deref(), Some("1.2.3"));
        assert_eq!(yaml.mounts[0].write["roles/developer"]["ttl"], "1h");
        assert!(matches!(&yaml.mounts[0].smoke, Some(SmokeSection::Path(path)) if path == "creds/developer"));
        assert_eq!(yaml.resolve_path(Path::new("./api-key")), Path::new("deploy/./api-key"));
        let local = yaml.deployment.expect("a deployment").local.expect("this machine");
        assert_eq!(local.plugin_dir, Path::new("/vault/plugins"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        for text in [
            "plugins: {}",
            "plugin: {nmae: x}",
            "mounts: [{path: a, writes: {}}]",
            "mounts: [{path: a, smoke: {read: b}}]",
            "mounts: [{path: a, smoke: {path: b, date: {}}}]",
            "deployment: {docker: {}}",
            "site: {local: {plugin_dir: /p}}",
        ] {
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
        for text in [
            "",
            "# c\n",
            "---\n",
            "plugin:\nmounts:\n",
            "plugin: {args: , env: , version: }",
            "deployment:",
            "plugin: ~\nmounts: null\n",
        ] {
            let yaml = PluginYaml::parse(text, PathBuf::new()).expect(text);
            assert!(
                yaml.plugin.args.is_empty() && yaml.plugin.env.is_empty() && yaml.mounts.is_empty(),
                "{text}"
            );
            assert!(yaml.plugin.version.is_none() && yaml.deployment.is_none(), "{text}");
        }
        for text in ["mounts:\n- path: a\n  write:\n", "mounts:\n- path: a\n  write:\n    config:\n"] {
            let yaml = PluginYaml::parse(text, PathBuf::new()).expect(text);
            assert!(yaml.mounts[0].write.values().all(BTreeMap::is_empty), "{text}");
        }
    }

    #[test]
    fn a_section_that_is_there_twice_is_refused() {
        for text in [
            "plugin: {}\nplugin: {}",
            "plugin: {name: a, name: b}",
            "mounts: [{path: a, path: b}]",
            "plugin: {env: {A: 1, A: 2}}",
            "mounts: [{path: a, write: {c: {x: 1, x: 2}}}]",
            "mounts: [{path: a, write: {c: {x: 1}, c: {y: 2}}}]",
        ] {
            assert!(PluginYaml::parse(text, PathBuf::new()).is_err(), "{text}");
        }
    }

    #[track_caller]
    fn check_not_repeated(text: &str) {
        let error = PluginYaml::parse(text, PathBuf::new()).expect_err(text);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter") && shown.contains("line"), "{text}: {shown}");
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        for text in [
            "hunter2",
            "plugin: hunter2",
            "mounts: hunter2",
            "mounts: [hunter2]",
            "mounts: [{path: a, write: hunter2}]",
            "mounts: [{path: a, write: {config: hunter2}}]",
            "plugin: {args: hunter2}",
            "plugin: {name: !hunter2 x}",
            "deployment: hunter2",
        ] {
            check_not_repeated(text);
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
            check_not_repeated(&text);
        }
    }

    #[test]
    fn a_deployment_is_here_or_in_a_cluster() {
        let text =
            "deployment: {kubernetes: {namespace: vault-system, statefulset: vault, container: vault}}";
        let yaml = PluginYaml::parse(text, PathBuf::new()).expect("a file");
        assert_eq!(yaml.kubernetes().expect("a cluster").namespace.as_deref(), Some("vault-system"));
        assert_eq!(yaml.plugin_dir(), None);
        for text in [
            "deployment: {}",
            "deployment: {local: {plugin_dir: /p}, kubernetes: {}}",
            "deployment: {kubernetes: {statefulset: a, selector: b=c}}",
            "deployment: {kubernetes: {pod: vault-0}}",
        ] {
            assert!(PluginYaml::parse(text, PathBuf::new()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_image_is_a_name_or_a_directory_beside_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("layout")).expect("a directory");
        let image = |image: &str| {
            let text = format!("plugin: {{image: {image}}}");
            PluginYaml::parse(&text, directory.path().to_owned())
                .expect("the file")
                .image()
                .expect("an image")
        };
        assert_eq!(image("registry.example.com/team/a:1"), "registry.example.com/team/a:1");
        assert_eq!(Path::new(&image("./layout")), directory.path().join("./layout"));
    }

    #[test]
    fn a_parameter_is_a_text_or_a_reference() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("key"), "hunter2\n").expect("a file");
        let yaml = PluginYaml { directory: directory.path().to_owned(), ..PluginYaml::default() };
        let parameters = json!({"key": {"file": "key"}, "user": "ada"});
        let resolved = yaml.resolve_value("parameters", &parameters).expect("values");
        let DesiredValue::Fields(fields) = resolved else { panic!("{resolved:?}") };
        assert!(matches!(&fields["key"], DesiredValue::Secret(secret) if secret.expose() == "hunter2"));
        assert_eq!(fields["user"], DesiredValue::Plain(json!("ada")));
    }

    #[test]
    fn a_secret_is_followed_and_never_written_out() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("api-key"), "hunter2\n").expect("a file");
        let yaml = PluginYaml::parse(WHOLE, directory.path().to_owned()).expect("the file");
        let desired =
            yaml.resolve_value("api_key", &yaml.mounts[0].write["config"]["api_key"]).expect("a value");
        assert!(matches!(desired, DesiredValue::Secret(secret) if secret.expose() == "hunter2"));
        let error = yaml.resolve_value("api_key", &Value::from("hunter2")).expect_err("written out");
        assert!(!error.render().contains("hunter2"));
    }
}
