//! `key=value`, `key=@file` and `key=-`, as in Vault's own command line.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rollout::DesiredValue;
use serde_json::Value;
use vault_api::SecretString;

/// An unusable pair. Values are not repeated.
#[derive(Debug, thiserror::Error)]
pub enum KeyValueError {
    /// There is no `=`, or nothing before it. The text may be a secret, so only its position is shown.
    #[error("expected key=value, key=@file or key=-")]
    Malformed,
    /// The file of `key=@file` cannot be read.
    #[error("could not read {path} for {key}")]
    File {
        /// Before the `=`.
        key: String,
        /// After the `@`.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Standard input cannot be read for `key=-`.
    #[error("could not read {key} from standard input")]
    Stdin {
        /// Before the `=`.
        key: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Fields that are secrets whatever their source is.
const SECRET_FIELDS: [&str; 1] = ["api_key"];

/// Parses one pair. A value from a file or standard input is a secret, and loses one trailing line break.
///
/// # Errors
/// If it is not a pair, or its source cannot be read.
pub fn parse(pair: &str) -> Result<(String, DesiredValue), KeyValueError> {
    let (key, value) =
        pair.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or(KeyValueError::Malformed)?;
    let value_source = match value.strip_prefix('@') {
        Some(path) => DesiredValue::Secret(secret_from_file(key, Path::new(path))?),
        None if value == "-" => DesiredValue::Secret(secret_from_stdin(key)?),
        None => inline_value(key, value),
    };
    Ok((key.to_owned(), value_source))
}

/// A value on the command line.
pub fn inline_value(key: &str, value: &str) -> DesiredValue {
    if is_secret_field(key) {
        DesiredValue::Secret(SecretString::new(value))
    } else {
        DesiredValue::Plain(Value::String(value.to_owned()))
    }
}

/// Whether a field of this name must never appear as text in a file or on a screen.
pub fn is_secret_field(key: &str) -> bool {
    SECRET_FIELDS.contains(&key)
}

/// Reads the secret in a file, without one trailing line break.
///
/// # Errors
/// If the file cannot be read.
pub fn secret_from_file(key: &str, path: &Path) -> Result<SecretString, KeyValueError> {
    let content = fs::read_to_string(path).map_err(|source| KeyValueError::File {
        key: key.to_owned(),
        path: path.to_owned(),
        source,
    })?;
    SECRET_FILES.lock().insert(path.to_owned());
    Ok(trim_line_break(content))
}

/// The files that this process has read secrets from. A plugin binary that is started later must not read them.
static SECRET_FILES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Returns the files that secrets were read from so far.
pub fn secret_files() -> BTreeSet<PathBuf> {
    SECRET_FILES.lock().clone()
}

fn secret_from_stdin(key: &str) -> Result<SecretString, KeyValueError> {
    let mut content = String::new();
    io::stdin()
        .read_to_string(&mut content)
        .map_err(|source| KeyValueError::Stdin { key: key.to_owned(), source })?;
    Ok(trim_line_break(content))
}

fn trim_line_break(mut content: String) -> SecretString {
    if content.ends_with('\n') {
        content.pop();
        if content.ends_with('\r') {
            content.pop();
        }
    }
    SecretString::new(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_equal_signs_and_be_empty() {
        let (key, value) = parse("filter=a=b").expect("a pair");
        assert_eq!(key, "filter");
        assert!(matches!(value, DesiredValue::Plain(Value::String(text)) if text == "a=b"));
        assert!(
            matches!(parse("x=").expect("a pair").1, DesiredValue::Plain(Value::String(text)) if text.is_empty())
        );
    }

    #[test]
    fn a_file_is_a_secret_without_its_last_line_break() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        fs::write(&path, "hunter2\n").expect("a file");
        let (_, value) = parse(&format!("password=@{}", path.display())).expect("a pair");
        assert!(matches!(value, DesiredValue::Secret(secret) if secret.expose() == "hunter2"));
        assert!(secret_files().contains(&path));
    }

    #[test]
    fn an_api_key_is_a_secret_however_it_is_given() {
        assert!(matches!(parse("api_key=hunter2").expect("a pair").1, DesiredValue::Secret(_)));
    }

    #[test]
    fn what_is_no_pair_is_refused_without_repeating_it() {
        for text in ["hunter2", "=hunter2"] {
            let error = parse(text).expect_err("no pair").to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(matches!(parse("a=@/nonexistent/file"), Err(KeyValueError::File { .. })));
    }
}
