//! How a credential reaches those who use it: variables of a new process, and files that are replaced at once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lease_keeper::Credential;
use vault_api::SecretString;

use crate::error::CommandError;

/// `NAME=field`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EnvMapping {
    name: String,
    field: String,
}

/// `PATH=field`, or `PATH=json` for all fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileMapping {
    path: PathBuf,
    field: String,
}

/// Why a text says no place for a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MappingError {
    #[error("a variable is given as NAME=field, with letters, digits and _ in its name")]
    Variable,
    #[error("a file is given as PATH=field, or as PATH=json for all fields")]
    File,
}

/// The word that stands for all fields.
const ALL_FIELDS: &str = "json";

/// What a field must not become by the mere chance of its name: it decides which programs are found and what they load.
const RESERVED_VARIABLES: [&str; 9] =
    ["PATH", "HOME", "SHELL", "USER", "IFS", "ENV", "BASH_ENV", "PWD", "TMPDIR"];
const RESERVED_PREFIXES: [&str; 4] = ["LD_", "VAULT_", "BAO_", "DYLD_"];

impl FromStr for EnvMapping {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<EnvMapping, MappingError> {
        let (name, field) = text.split_once('=').ok_or(MappingError::Variable)?;
        let well_formed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit());
        if name.is_empty() || field.is_empty() || !well_formed {
            return Err(MappingError::Variable);
        }
        Ok(EnvMapping { name: name.to_owned(), field: field.to_owned() })
    }
}

impl FromStr for FileMapping {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<FileMapping, MappingError> {
        // A path may hold the sign, a field does not.
        let (path, field) = text.rsplit_once('=').ok_or(MappingError::File)?;
        if path.is_empty() || field.is_empty() {
            return Err(MappingError::File);
        }
        Ok(FileMapping { path: path.into(), field: field.to_owned() })
    }
}

/// The variables of a process that uses the credential.
///
/// Without a wish each field becomes the variable of its name in capital letters: `token` is `TOKEN`.
pub(super) fn env_variables(
    wanted: &[EnvMapping],
    files: &[FileMapping],
    credential: &Credential,
) -> Result<BTreeMap<String, SecretString>, CommandError> {
    let mut variables = BTreeMap::new();
    for EnvMapping { name, field } in wanted {
        variables.insert(name.clone(), field_value(field, credential)?.clone());
    }
    // Who has it written to files has no need of it elsewhere.
    if wanted.is_empty() && files.is_empty() {
        for (field, secret) in credential.fields() {
            variables.insert(default_variable_name(field)?, secret.clone());
        }
    }
    match variables.iter().find(|(_, secret)| secret.expose().contains('\0')) {
        Some((name, _)) => {
            Err(CommandError::failed(format!("{name} cannot be a variable: it holds a zero byte"))
                .hint("Have it written to a file with --write-file PATH=field."))
        }
        None => Ok(variables),
    }
}

fn default_variable_name(field: &str) -> Result<String, CommandError> {
    let name: String = field
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' })
        .collect();
    let taken = RESERVED_VARIABLES.contains(&name.as_str())
        || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if taken || name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(CommandError::usage(format!(
            "the field {field} cannot become the variable {name:?} by itself"
        ))
        .hint(format!("Say which fields are to be variables: --set-env NAME={field}, for one.")));
    }
    Ok(name)
}

/// Writes every file anew: each is at any moment the old one or the new one, and is its owner's alone (mode 0600).
pub(super) fn write_files(files: &[FileMapping], credential: &Credential) -> Result<(), CommandError> {
    for FileMapping { path, field } in files {
        let content = if field == ALL_FIELDS { credential.json() } else { field_value(field, credential)? };
        write_atomically(path, content).map_err(|error| {
            CommandError::failed(format!("could not write {}", path.display())).caused_by(error).hint(
                "Is its directory there, and writable? A directory in memory (tmpfs) is a good place for it.",
            )
        })?;
    }
    Ok(())
}

/// Takes the files away: what is in them is revoked.
pub(super) fn remove_files(files: &[FileMapping]) -> Vec<String> {
    let gone = |file: &FileMapping| match std::fs::remove_file(&file.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Some(format!("could not remove {}: {error}", file.path.display()))
        }
        _ => None,
    };
    files.iter().filter_map(gone).collect()
}

fn write_atomically(path: &Path, content: &SecretString) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    let mut temporary = tempfile::Builder::new()
        .prefix(&prefix)
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(directory)?;
    temporary.write_all(content.expose().as_bytes())?;
    // Else a crash of the machine could leave an empty file under the name.
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn field_value<'a>(field: &str, credential: &'a Credential) -> Result<&'a SecretString, CommandError> {
    credential.field(field).ok_or_else(|| {
        let names: Vec<&str> = credential.fields().map(|(name, _)| name).collect();
        CommandError::failed(format!("the credential has no field {field}"))
            .hint(format!("It has: {}.", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vault_api::logical::LogicalData;

    use super::*;

    fn credential(value: serde_json::Value) -> Credential {
        Credential::new(LogicalData(value.as_object().expect("an object").clone()))
    }

    #[test]
    fn places_are_understood_and_nonsense_is_not() {
        let file: FileMapping = "/run/a=b/token=token".parse().expect("a file");
        assert_eq!((file.path.to_str(), file.field.as_str()), (Some("/run/a=b/token"), "token"));
        for text in ["token", "=token", "1A=token", "A-B=token", "A="] {
            assert_eq!(text.parse::<EnvMapping>(), Err(MappingError::Variable), "{text}");
        }
        for text in ["/run/token", "=token", "/run/token="] {
            assert_eq!(text.parse::<FileMapping>(), Err(MappingError::File), "{text}");
        }
    }

    #[test]
    fn every_field_is_a_variable_unless_somebody_says_which() {
        let credential = credential(json!({"token": "hunter2", "api-host": "h"}));
        let names = |wanted: &[&str], files: &[&str]| {
            let wanted: Vec<EnvMapping> =
                wanted.iter().map(|text| text.parse().expect("a variable")).collect();
            let files: Vec<FileMapping> = files.iter().map(|text| text.parse().expect("a file")).collect();
            env_variables(&wanted, &files, &credential).map(|found| found.into_keys().collect::<Vec<_>>())
        };
        assert_eq!(names(&[], &[]).expect("variables"), ["API_HOST", "TOKEN"]);
        assert_eq!(names(&["MY_TOKEN=token"], &[]).expect("variables"), ["MY_TOKEN"]);
        assert_eq!(names(&[], &["/run/t=token"]).expect("variables"), Vec::<String>::new());
        let error = names(&["A=nothing"], &[]).expect_err("no such field").render();
        assert!(error.contains("It has: api-host, token.") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_field_does_not_become_the_path_of_programs_by_its_name() {
        for field in ["path", "ld_preload", "vault_token", "1st"] {
            assert!(env_variables(&[], &[], &credential(json!({field: "x"}))).is_err(), "{field}");
        }
        let wanted = ["PATH=path".parse().expect("a variable")];
        assert!(env_variables(&wanted, &[], &credential(json!({"path": "x"}))).is_ok());
    }

    #[test]
    fn a_file_is_replaced_whole_and_is_its_owners_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        std::fs::write(&path, "old").expect("a file");
        let files: Vec<FileMapping> = ["token", "json"]
            .iter()
            .map(|field| FileMapping { path: path.with_file_name(field), field: (*field).to_owned() })
            .collect();
        write_files(&files, &credential(json!({"token": "hunter2"}))).expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "hunter2");
        let whole = std::fs::read_to_string(directory.path().join("json")).expect("a file");
        assert_eq!(whole, r#"{"token":"hunter2"}"#);
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 2);
        assert!(remove_files(&files).is_empty() && remove_files(&files).is_empty());
        assert!(!path.exists());
    }
}
