//! `-f plugin.yaml`: complete registrations in one file, for CI.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rollout::DesiredValue;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use vault_api::SecretString;
use vault_api::catalog::PluginType;

use crate::error::CommandError;
use crate::key_value;
use yaml::YamlError;

/// One document of the file, which describes one plugin. Relative paths in it start at the directory of the file. Flags take precedence.
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
    /// Child namespace.
    pub namespace: Option<String>,
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
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
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
    /// Reads all documents of the file, of which there is at least one.
    ///
    /// # Errors
    /// If it cannot be read, is not YAML, has an unknown key, or does not name each of several plugins.
    pub fn read(path: &Path) -> Result<Vec<Self>, CommandError> {
        let text = fs::read_to_string(path).map_err(|source| {
            CommandError::usage(format!("could not read {}", path.display())).caused_by(source)
        })?;
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(&text, &directory).map_err(|source| {
            CommandError::usage(format!("could not parse {}", path.display())).caused_by(source)
        })
    }

    /// Reads the documents of a file that describe a plugin, or all of them. A file of one document describes any plugin.
    ///
    /// # Errors
    /// As [`PluginYaml::read`], or if no document describes the plugin.
    pub fn read_plugin(path: &Path, name: Option<&str>) -> Result<Vec<Self>, CommandError> {
        let mut documents = Self::read(path)?;
        let Some(name) = name.filter(|_| documents.len() > 1) else { return Ok(documents) };
        let names = plugin_names(&documents);
        documents.retain(|document| document.plugin.name.as_deref() == Some(name));
        if documents.is_empty() {
            return Err(CommandError::usage(format!("{} does not describe {name}", path.display()))
                .hint(format!("It describes {names}.")));
        }
        Ok(documents)
    }

    /// As [`PluginYaml::read_plugin`], for a command that needs a single plugin, of one type if it is given. Without a file, the document is
    /// empty.
    ///
    /// # Errors
    /// As there, and if there are several.
    pub fn read_one(
        path: Option<&Path>,
        name: Option<&str>,
        kind: Option<PluginType>,
    ) -> Result<Self, CommandError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let mut documents = Self::read_plugin(path, name)?;
        if let Some(kind) = kind.filter(|_| documents.len() > 1) {
            let default = PluginType::default();
            documents.retain(|document| {
                document.plugin.kind.as_deref().unwrap_or(default.as_str()) == kind.as_str()
            });
        }
        match (documents.pop(), documents.as_slice()) {
            (Some(document), []) => Ok(document),
            (None, _) => Err(CommandError::usage(format!(
                "{} does not describe a plugin of this type",
                path.display()
            ))),
            (Some(last), others) => {
                let names = plugin_names(others.iter().chain([&last]));
                Err(CommandError::usage(format!("{} describes several plugins", path.display()))
                    .hint(format!("Name one of them: {names}. Plugins of the same name also need --type.")))
            }
        }
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

    fn parse(text: &str, directory: &Path) -> Result<Vec<Self>, YamlError> {
        let mut documents: Vec<Self> = yaml::from_str_multiple(text)?;
        let shared = documents.first().and_then(|first| first.deployment.clone());
        for document in &mut documents {
            document.check()?;
            document.directory = directory.to_owned();
            if document.deployment.is_none() {
                document.deployment.clone_from(&shared);
            }
        }
        if documents.len() > 1 {
            check_names(&documents)?;
        }
        if documents.is_empty() {
            documents.push(Self { directory: directory.to_owned(), ..Self::default() });
        }
        Ok(documents)
    }

    fn check(&self) -> Result<(), YamlError> {
        let is_ambiguous = |it: &DeploymentSection| it.local.is_some() == it.kubernetes.is_some();
        if self.deployment.as_ref().is_some_and(is_ambiguous) {
            return Err(YamlError::new("deployment is either local or kubernetes"));
        }
        if self.kubernetes().is_some_and(|it| it.statefulset.is_some() && it.selector.is_some()) {
            return Err(YamlError::new("deployment.kubernetes has either statefulset or selector"));
        }
        Ok(())
    }
}

/// Checks that each of several plugins has a name, and that none is described twice.
fn check_names(documents: &[PluginYaml]) -> Result<(), YamlError> {
    let mut known = BTreeSet::new();
    for (number, PluginYaml { plugin, .. }) in documents.iter().enumerate() {
        let Some(name) = &plugin.name else {
            return Err(YamlError::new(format!(
                "document {} has no plugin.name, which a file of several plugins needs",
                number + 1
            )));
        };
        if !known.insert((plugin.kind.as_deref().unwrap_or_default(), name)) {
            return Err(YamlError::new(format!("document {} describes {name} again", number + 1)));
        }
    }
    Ok(())
}

fn plugin_names<'a>(documents: impl IntoIterator<Item = &'a PluginYaml>) -> String {
    let names = documents.into_iter().filter_map(|document| document.plugin.name.as_deref());
    names.collect::<Vec<_>>().join(", ")
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

    /// The only document of a text.
    fn parse(text: &str) -> Result<PluginYaml, YamlError> {
        let mut documents = PluginYaml::parse(text, Path::new("deploy"))?;
        assert_eq!(documents.len(), 1, "{text}");
        Ok(documents.remove(0))
    }

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
        let yaml = parse(WHOLE).expect("the file");
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
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn text_needs_no_quotes() {
        let text =
            "plugin: {name: 010, version: 1.10, args: [1, yes, 010, true, 1.50, '']}\nmounts: [{path: on}]\n";
        let yaml = parse(text).expect("a file");
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
        let yaml = parse(text).expect("a file");
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
            let yaml = parse(text).expect(text);
            assert!(
                yaml.plugin.args.is_empty() && yaml.plugin.env.is_empty() && yaml.mounts.is_empty(),
                "{text}"
            );
            assert!(yaml.plugin.version.is_none() && yaml.deployment.is_none(), "{text}");
        }
        for text in ["mounts:\n- path: a\n  write:\n", "mounts:\n- path: a\n  write:\n    config:\n"] {
            let yaml = parse(text).expect(text);
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
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[track_caller]
    fn check_not_repeated(text: &str) {
        let error = parse(text).expect_err(text);
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
        let yaml = parse(text).expect("a file");
        assert_eq!(yaml.kubernetes().expect("a cluster").namespace.as_deref(), Some("vault-system"));
        assert_eq!(yaml.plugin_dir(), None);
        for text in [
            "deployment: {}",
            "deployment: {local: {plugin_dir: /p}, kubernetes: {}}",
            "deployment: {kubernetes: {statefulset: a, selector: b=c}}",
            "deployment: {kubernetes: {pod: vault-0}}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_describes_several_plugins() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("plugin.yaml");
        let text = "plugin: {name: a}\ndeployment: {local: {plugin_dir: /p}}\n---\nplugin: {name: b, type: auth}\n---\n\
            plugin: {name: b}\ndeployment: {kubernetes: {}}\n";
        fs::write(&path, text).expect("a file");
        let all = PluginYaml::read_plugin(&path, None).expect("the file");
        let directories: Vec<Option<PathBuf>> = all.iter().map(PluginYaml::plugin_dir).collect();
        assert_eq!(
            directories,
            [Some("/p".into()), Some("/p".into()), None],
            "the first deployment is shared"
        );
        assert_eq!(PluginYaml::read_plugin(&path, Some("b")).expect("the file").len(), 2);
        let one = |name, kind| PluginYaml::read_one(Some(&path), name, kind);
        assert_eq!(one(Some("a"), None).expect("a plugin").plugin.name.as_deref(), Some("a"));
        let auth = one(Some("b"), Some(PluginType::Auth)).expect("a plugin");
        assert_eq!(auth.plugin.kind.as_deref(), Some("auth"));
        assert!(one(Some("b"), Some(PluginType::Secret)).expect("a plugin").kubernetes().is_some());
        for (name, kind, expected) in [
            (None, None, "Name one of them: a, b, b."),
            (Some("b"), None, "Plugins of the same name also need --type."),
            (Some("b"), Some(PluginType::Database), "does not describe a plugin of this type"),
            (Some("c"), None, "It describes a, b, b."),
        ] {
            let error = one(name, kind).expect_err("no single plugin").render();
            assert!(error.contains(expected), "{name:?} {kind:?}: {error}");
        }
    }

    #[test]
    fn each_of_several_plugins_has_its_own_name() {
        for (text, expected) in [
            ("plugin: {name: a}\n---\nplugin: {version: 1.0.0}\n", "document 2 has no plugin.name"),
            ("plugin: {name: a}\n---\nplugin: {name: a, version: 1.0.0}\n", "document 2 describes a again"),
        ] {
            let error = PluginYaml::parse(text, Path::new("")).expect_err(text);
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }

    #[test]
    fn an_image_is_a_name_or_a_directory_beside_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("layout")).expect("a directory");
        let image = |image: &str| {
            let text = format!("plugin: {{image: {image}}}");
            PluginYaml::parse(&text, directory.path()).expect("the file")[0].image().expect("an image")
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
        let yaml = &PluginYaml::parse(WHOLE, directory.path()).expect("the file")[0];
        let desired =
            yaml.resolve_value("api_key", &yaml.mounts[0].write["config"]["api_key"]).expect("a value");
        assert!(matches!(desired, DesiredValue::Secret(secret) if secret.expose() == "hunter2"));
        let error = yaml.resolve_value("api_key", &Value::from("hunter2")).expect_err("written out");
        assert!(!error.render().contains("hunter2"));
    }
}
