//! In which format a command prints: `-o`, else the variable of Vault's own command line.

use clap::ValueEnum;

use super::env_setting;
use crate::error::CommandError;
use crate::ui::Format;

/// A value of `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Text for people
    Human,
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
    /// Test results
    #[value(hide = true)]
    Junit,
    /// Results of an analysis, SARIF 2.1.0
    #[value(hide = true)]
    Sarif,
}

impl OutputFormat {
    /// The format that applies: the flag, else `BAO_FORMAT`, else `VAULT_FORMAT`, else text for people.
    ///
    /// # Errors
    /// For a value of the variable that is not supported.
    pub(crate) fn resolve(
        flag: Option<OutputFormat>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<OutputFormat, CommandError> {
        if let Some(format) = flag {
            return Ok(format);
        }
        let Some((name, value)) = env_setting(variable, "FORMAT") else { return Ok(OutputFormat::Human) };
        // Vault ignores the case.
        match value.to_ascii_lowercase().as_str() {
            "table" => Ok(OutputFormat::Human),
            "json" => Ok(OutputFormat::Json),
            "yaml" | "yml" => Ok(OutputFormat::Yaml),
            _ => Err(CommandError::usage(format!("{name} is {value:?}, which is not a supported format"))
                .hint(format!("Set {name} to table, json or yaml, or override it with -o human|json|yaml."))),
        }
    }

    /// How reports and errors are printed. Documents for build servers are texts of their own, and their errors are for people.
    pub(crate) fn ui_format(self) -> Format {
        match self {
            OutputFormat::Human | OutputFormat::Junit | OutputFormat::Sarif => Format::Human,
            OutputFormat::Json => Format::Json,
            OutputFormat::Yaml => Format::Yaml,
        }
    }

    /// Whether only `doctor` has this format.
    pub(crate) fn is_for_build_servers(self) -> bool {
        matches!(self, OutputFormat::Junit | OutputFormat::Sarif)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(
        flag: Option<OutputFormat>,
        environment: &[(&str, &str)],
    ) -> Result<OutputFormat, CommandError> {
        let value = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        OutputFormat::resolve(flag, &|name| value(name).map(str::to_owned))
    }

    #[test]
    fn the_variable_of_vaults_command_line_sets_the_format() {
        for (value, expected) in [
            ("table", OutputFormat::Human),
            ("json", OutputFormat::Json),
            ("JSON", OutputFormat::Json),
            ("yaml", OutputFormat::Yaml),
            ("yml", OutputFormat::Yaml),
            ("", OutputFormat::Human),
        ] {
            assert_eq!(resolve(None, &[("VAULT_FORMAT", value)]).expect(value), expected, "{value:?}");
        }
        let both = [("VAULT_FORMAT", "json"), ("BAO_FORMAT", "yaml")];
        assert_eq!(resolve(None, &both).expect("OpenBao's variable first"), OutputFormat::Yaml);
    }

    #[test]
    fn a_flag_wins_over_the_variable_even_if_that_is_wrong() {
        for value in ["json", "nonsense"] {
            let format = resolve(Some(OutputFormat::Human), &[("VAULT_FORMAT", value)]);
            assert_eq!(format.expect("the flag"), OutputFormat::Human);
        }
    }

    #[test]
    fn an_unknown_format_is_refused_with_the_variable_that_has_it() {
        for name in ["VAULT_FORMAT", "BAO_FORMAT"] {
            let error = resolve(None, &[(name, "pretty")]).expect_err("not supported").render();
            assert!(error.contains(&format!("{name} is \"pretty\"")), "{error}");
            assert!(error.contains(&format!("Set {name} to table, json or yaml")), "{error}");
            assert!(error.contains("-o human|json|yaml"), "{error}");
        }
    }
}
