//! The smoke test on the command line: a path that is read, or a login with its data.

use clap::Args;
use rollout::{DesiredValue, SmokeRequest};
use serde_json::Value;
use vault_api::SecretString;
use vault_api::catalog::PluginType;

use crate::error::CommandError;
use crate::key_value;

/// The smoke test of a mount.
#[derive(Clone, Debug, Args)]
pub(crate) struct SmokeArgs {
    /// Path to read as a smoke test, like creds/developer
    ///
    /// The path is below the mount. A lease that is issued is revoked again. On an auth mount, a login is sent to the path with the data
    /// after the colon, like login/alice:password=@FILE, and the token is revoked again. KEY=@FILE reads a file, and KEY=- reads standard
    /// input; pass secrets in one of these two ways. Repeat the flag for more data.
    #[arg(long, value_name = "PATH")]
    smoke: Vec<String>,
}

impl SmokeArgs {
    /// Whether there is no flag.
    pub(crate) fn is_empty(&self) -> bool {
        self.smoke.is_empty()
    }

    /// Reads the files and the standard input that the flags refer to. `None` without flags.
    ///
    /// # Errors
    /// If the flags name several paths, or a value cannot be read.
    pub(crate) fn parse(&self) -> Result<Option<SmokeRequest>, CommandError> {
        let mut request: Option<SmokeRequest> = None;
        for flag in &self.smoke {
            let (path, pair) = match flag.split_once(':') {
                Some((path, pair)) if pair.contains('=') => (path, Some(pair)),
                _ => (flag.as_str(), None),
            };
            let current = request.get_or_insert_with(|| SmokeRequest::from(path));
            if current.path != path {
                return Err(CommandError::usage(format!(
                    "--smoke names two paths, {} and {path}, but a mount has one smoke test",
                    current.path
                )));
            }
            if let Some(pair) = pair {
                let (key, value) = key_value::parse(pair)
                    .map_err(|error| CommandError::usage("invalid value of --smoke").caused_by(error))?;
                // What a login sends is a credential, or part of one.
                let value = match value {
                    DesiredValue::Plain(Value::String(text)) => DesiredValue::Secret(SecretString::new(text)),
                    other => other,
                };
                current.data.insert(key, value);
            }
        }
        Ok(request)
    }
}

/// Refuses data for a mount that has no logins.
///
/// # Errors
/// If there is data and the plugin is not an auth method.
pub(crate) fn check_smoke_data(kind: PluginType, smoke: Option<&SmokeRequest>) -> Result<(), CommandError> {
    if kind == PluginType::Auth || smoke.is_none_or(|smoke| smoke.data.is_empty()) {
        return Ok(());
    }
    Err(CommandError::usage(format!("the smoke test of a {kind} plugin reads a path, and has no data")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(flags: &[&str]) -> Result<Option<SmokeRequest>, CommandError> {
        SmokeArgs { smoke: flags.iter().map(|&flag| flag.to_owned()).collect() }.parse()
    }

    #[test]
    fn a_login_has_its_path_once_and_any_number_of_fields() {
        assert_eq!(parsed(&[]).expect("no test"), None);
        assert_eq!(parsed(&["creds/dev"]).expect("a test"), Some("creds/dev".into()));
        let login = parsed(&["login/alice:role=dev", "login/alice:otp=1:2"]).expect("a test").expect("one");
        assert_eq!(login.path, "login/alice");
        assert_eq!(login.data["otp"].value(), "1:2");
        assert_eq!(login.data.len(), 2);
        let error = parsed(&["login/alice:a=b", "login/bob:a=b"]).expect_err("two paths");
        assert!(error.render().contains("login/alice and login/bob"), "{}", error.render());
    }
}
