//! Names of plugin files: `<name>-<semver>`.

use crate::version::Version;

/// Returns name and version of a file that is named `<name>-<semver>`; both may contain dashes.
pub fn parse_plugin_file_name(file: &str) -> Option<(&str, Version)> {
    file.match_indices('-').filter(|(at, _)| *at > 0).find_map(|(at, _)| {
        let version = file[at + 1..].parse().ok().filter(|_| !file[at + 1..].starts_with('v'))?;
        Some((&file[..at], version))
    })
}

/// Whether a file has the name of a version of `plugin`, or of any plugin.
pub fn is_version_file_of(file: &str, plugin: Option<&str>) -> bool {
    let is_version = |text: &str| !text.starts_with('v') && text.parse::<Version>().is_ok();
    match plugin {
        Some(plugin) => {
            file.strip_prefix(plugin).and_then(|rest| rest.strip_prefix('-')).is_some_and(is_version)
        }
        None => parse_plugin_file_name(file).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_contains_plugin_and_version() {
        for (file, plugin, is) in [
            ("custom-1.2.3", Some("custom"), true),
            ("custom-plugin-1.2.3-rc.1", Some("custom-plugin"), true),
            ("custom-plugin-1.2.3", Some("custom"), false),
            ("custom-v1.2.3", Some("custom"), false),
            ("custom", Some("custom"), false),
            ("custom-plugin-1.2.3", None, true),
            ("README", None, false),
        ] {
            assert_eq!(is_version_file_of(file, plugin), is, "{file} {plugin:?}");
        }
    }
}
