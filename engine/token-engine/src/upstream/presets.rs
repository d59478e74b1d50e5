//! The descriptions that ship with the engine.

use std::sync::{Arc, OnceLock};

use super::description::Description;
use super::suggestion::suggestion;

/// The preset of a connection that names none: the contract of the first version.
pub(crate) const DEFAULT_PRESET: &str = "tokens";

/// A description that ships, as it is written.
pub(crate) struct Preset {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    parsed: OnceLock<Arc<Description>>,
}

/// Declares the presets. The name of a preset is that of its file.
macro_rules! presets {
    ($($name:literal,)*) => {
        static PRESETS: [Preset; [$($name),*].len()] = [$(
            Preset {
                name: $name,
                text: include_str!(concat!("../../presets/", $name, ".yaml")),
                parsed: OnceLock::new(),
            },
        )*];
    };
}

presets! {
    "artifactory",
    "buildkite",
    "cloudflare",
    "datadog",
    "digitalocean-spaces",
    "docker-hub",
    "elasticsearch",
    "gitea",
    "gitlab-group",
    "gitlab-project",
    "grafana",
    "harbor",
    "harbor-project",
    "hydra-client",
    "influxdb",
    "jupyterhub",
    "keycloak-client",
    "keystone",
    "keystone-app-cred",
    "kubernetes",
    "oauth2",
    "sentry",
    "sonarqube",
    "tailscale",
    "tokens",
    "vault-token",
    "verdaccio",
}

/// No preset has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no preset {name:?}{suggestion}; list them: vault list PATH/presets")]
pub(crate) struct UnknownPreset {
    name: String,
    suggestion: String,
}

/// Every preset, by name.
pub(crate) fn all_presets() -> &'static [Preset] {
    &PRESETS
}

/// The preset of this name.
pub(crate) fn find_preset(name: &str) -> Result<&'static Preset, UnknownPreset> {
    PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| UnknownPreset {
        name: name.chars().take(64).collect(),
        suggestion: suggestion(name, PRESETS.iter().map(|preset| preset.name)),
    })
}

impl Preset {
    /// The description, which is parsed once.
    pub(crate) fn description(&self) -> Arc<Description> {
        let parse = || Arc::new(Description::parse(self.text).expect("a test parses every preset"));
        Arc::clone(self.parsed.get_or_init(parse))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_preset_is_valid_and_says_how_it_was_shown() {
        let mut problems = String::new();
        for preset in all_presets() {
            match Description::parse(preset.text) {
                Err(found) => problems.push_str(&format!("{}: {found}\n", preset.name)),
                Ok(description) => {
                    assert_eq!(description.name, preset.name);
                    assert!(!description.help.is_empty(), "{}: help", preset.name);
                    let evidence = [&description.proven, &description.documented];
                    assert!(
                        evidence.iter().any(|text| text.is_some()),
                        "{}: proven or documented",
                        preset.name
                    );
                    if let Some(address) = &description.documented {
                        assert!(address.starts_with("https://"), "{}: {address}", preset.name);
                    }
                }
            }
        }
        assert!(problems.is_empty(), "{problems}");
    }

    #[test]
    fn every_file_is_a_preset_and_the_list_is_in_order() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".yaml")?.to_owned()))
            .collect();
        let listed: Vec<&str> = all_presets().iter().map(|preset| preset.name).collect();
        assert_eq!(listed, files.iter().collect::<Vec<_>>());
    }

    /// The page that describes the format.
    fn page() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/token-apis.md")
    }

    #[test]
    fn the_documentation_lists_every_preset_with_how_it_was_tested() {
        let heading = "| Preset | Issues | `rotate-root` | Status |\n|---|---|---|---|\n";
        let mut table = heading.to_owned();
        for preset in all_presets() {
            let description = preset.description();
            let mut status = match (&description.proven, &description.validated, &description.unverified) {
                (Some(server), _, None) => format!("tested with {server}"),
                (None, Some(address), None) => {
                    format!("validated against the vendor's [OpenAPI document]({address})")
                }
                (None, None, Some(_)) => "unverified".to_owned(),
                _ => panic!("{}: exactly one of proven, validated and unverified", preset.name),
            };
            if let Some(address) = &description.documented {
                status.push_str(&format!(", follows the [documentation]({address})"));
            }
            let rotation = if description.rotate.is_some() { "yes" } else { "no" };
            table
                .push_str(&format!("| `{}` | {} | {rotation} | {status} |\n", preset.name, description.help));
        }
        let committed = std::fs::read_to_string(page()).unwrap();
        let (before, rows) = committed.split_once(heading).expect("the table");
        let (_, after) = rows.split_once("\n\n").expect("text after the table");
        let generated = format!("{before}{table}\n{after}");
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(page(), &generated).unwrap();
        }
        let committed = std::fs::read_to_string(page()).unwrap();
        assert!(committed == generated, "run the test again with UPDATE_GENERATED=1");
    }

    #[test]
    fn the_description_of_the_documentation_is_valid_and_its_error_is_quoted() {
        let page = std::fs::read_to_string(page()).unwrap();
        let (_, block) = page.split_once("```yaml\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        if let Err(problems) = Description::parse(block) {
            panic!("{problems}");
        }
        let misspelt = block.replace("{ttl.seconds}", "{tll.seconds}");
        let problems = Description::parse(&misspelt).err().unwrap().to_string();
        let quoted = "mint.json.expires_in: unknown placeholder {tll.seconds}; did you mean {ttl.seconds}?";
        assert!(problems.contains(quoted), "{problems}");
        assert!(page.contains(quoted));
    }

    /// Adds the text of each Rust file below a folder.
    fn read_sources(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read_sources(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn the_comparison_with_existing_plugins_names_every_preset_and_only_tests_that_exist() {
        let page = std::fs::read_to_string(page().with_file_name("upstreams.md")).unwrap();
        let mut sources = String::new();
        read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"), &mut sources);
        let named: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
        let tests = named.iter().filter(|name| name.matches('_').count() > 3);
        let missing: Vec<&&str> = tests.filter(|name| !sources.contains(&format!("fn {name}("))).collect();
        assert_eq!(missing, Vec::<&&str>::new());
        let (_, table) = page.split_once("## Plugins by preset").unwrap();
        for preset in all_presets() {
            assert!(table.contains(&format!("`{}`", preset.name)), "{}", preset.name);
        }
    }

    #[test]
    fn a_misspelt_preset_is_named_with_the_nearest_one() {
        assert!(find_preset("jupyterhib").err().unwrap().to_string().contains("did you mean jupyterhub?"));
        assert!(find_preset(DEFAULT_PRESET).is_ok());
    }
}
