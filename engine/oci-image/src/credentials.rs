//! The credentials of a registry, from where `docker login` puts them.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::secrets::RegistryAuth;

use crate::image_reference::ImageReference;

/// Who pushes. Not shown by anything.
#[derive(Clone)]
pub struct Credentials(pub(crate) RegistryAuth);

/// Credentials that are configured and cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// There is a file, and it is not readable.
    #[error("could not read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is readable, and not understood.
    #[error("could not understand what {path} says of {registry}: {reason}")]
    InvalidConfig {
        /// The file.
        path: PathBuf,
        /// Whose credentials were looked for.
        registry: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The program that keeps the credentials did not give them.
    #[error("the credential helper that {path} names for {registry} failed: {message}")]
    Helper {
        /// The file that names it.
        path: PathBuf,
        /// Whose credentials were looked for.
        registry: String,
        /// What it said.
        message: String,
    },
    /// A token of OAuth2, which only the registry's own tools can turn into credentials.
    #[error("{path} holds an identity token for {registry}, which cannot be used here")]
    IdentityToken {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        registry: String,
    },
}

/// How `docker login` calls Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

impl Credentials {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self(RegistryAuth::Anonymous)
    }

    /// Those for a registry in `config.json` of `directory`, or of the helper that it names; nobody where it names none. Blocks.
    ///
    /// # Errors
    /// When some are configured and cannot be had.
    pub fn from_docker_config(directory: &Path, target: &ImageReference) -> Result<Self, CredentialsError> {
        let path = directory.join("config.json");
        let config = match fs::read(&path) {
            Ok(config) => config,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::anonymous()),
            Err(source) => return Err(CredentialsError::Unreadable { path, source }),
        };
        let server = if target.registry() == "docker.io" { DOCKER_HUB } else { target.registry() };
        let registry = target.registry().to_owned();
        let not_understood = |path, why| {
            Err(CredentialsError::InvalidConfig { path, registry: registry.clone(), reason: why })
        };
        let helper =
            |path, said| Err(CredentialsError::Helper { path, registry: registry.clone(), message: said });
        let look = |server| docker_credential::get_credential_from_reader(config.as_slice(), server);
        let found = match look(server) {
            // Others than Docker call the Hub by its name.
            Err(CredentialRetrievalError::NoCredentialConfigured) => look(target.registry()),
            found => found,
        };
        match found {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                Ok(Self(RegistryAuth::Basic(user, password)))
            }
            Ok(DockerCredential::IdentityToken(_)) => Err(CredentialsError::IdentityToken { path, registry }),
            Err(
                CredentialRetrievalError::NoCredentialConfigured | CredentialRetrievalError::ConfigNotFound,
            ) => Ok(Self::anonymous()),
            Err(CredentialRetrievalError::HelperFailure { helper: _, stdout, stderr }) => {
                // What every helper says on standard output when it has none.
                if stdout.contains("credentials not found") {
                    return Ok(Self::anonymous());
                }
                helper(path, stderr.lines().next().unwrap_or("it gave no reason").to_owned())
            }
            Err(CredentialRetrievalError::HelperCommunicationError) => {
                helper(path, "it could not be started; is docker-credential-... in PATH?".to_owned())
            }
            Err(CredentialRetrievalError::MalformedHelperResponse) => {
                helper(path, "its answer is not JSON with Username and Secret".to_owned())
            }
            Err(CredentialRetrievalError::CredentialDecodingError) => {
                not_understood(path, "auth is not base64 of user:password")
            }
            Err(CredentialRetrievalError::CredentialMismatchError) => {
                not_understood(path, "auth says something else than username and password")
            }
            Err(CredentialRetrievalError::ConfigReadError) => {
                not_understood(path, "it is not the JSON of Docker")
            }
        }
    }
}

impl CredentialsError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::IdentityToken { registry, .. } => format!(
                "Log in with a user and password, or with a robot account: `docker login {registry}`."
            ),
            Self::Unreadable { .. } | Self::InvalidConfig { .. } => {
                "Log in anew with `docker login`, or name another directory with DOCKER_CONFIG.".to_owned()
            }
            Self::Helper { .. } => {
                "Repair the helper, or log in with a DOCKER_CONFIG directory that names none.".to_owned()
            }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn find_credentials(config: &str, image: &str) -> Result<RegistryAuth, CredentialsError> {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("config.json"), config).expect("written");
        let target = ImageReference::parse(image, "1").expect("a name");
        Credentials::from_docker_config(directory.path(), &target).map(|credentials| credentials.0)
    }

    #[test]
    fn credentials_are_found_by_registry() {
        // {"user": "hunter2"}, and the Hub under its old name.
        let config = r#"{"auths": {"registry.example.com:5000": {"auth": "dXNlcjpodW50ZXIy"},
            "https://index.docker.io/v1/": {"auth": "aHViOnBhc3M="}}}"#;
        let basic = |user: &str, password: &str| RegistryAuth::Basic(user.into(), password.into());
        assert_eq!(
            find_credentials(config, "registry.example.com:5000/plugin").expect("found"),
            basic("user", "hunter2")
        );
        assert_eq!(find_credentials(config, "team/plugin").expect("found"), basic("hub", "pass"));
        assert_eq!(
            find_credentials(config, "other.example.com/plugin").expect("none"),
            RegistryAuth::Anonymous
        );
        assert_eq!(find_credentials("{}", "team/plugin").expect("none"), RegistryAuth::Anonymous);
    }

    #[test]
    fn without_a_file_it_is_nobody() {
        let target = ImageReference::parse("team/plugin", "1").expect("a name");
        let found = Credentials::from_docker_config(Path::new("/nonexistent"), &target).expect("nobody");
        assert_eq!(found.0, RegistryAuth::Anonymous);
    }

    #[test]
    fn what_is_configured_and_cannot_be_had_is_an_error_without_the_secret() {
        for (config, says) in [
            ("{", "not the JSON of Docker"),
            (r#"{"auths": {"docker.io": {"auth": "aHVudGVyMg=="}}}"#, "not base64 of user:password"),
            (r#"{"auths": {"docker.io": {"identitytoken": "hunter2"}}}"#, "identity token for docker.io"),
            (r#"{"credsStore": "of-nobody"}"#, "could not be started"),
        ] {
            let error = find_credentials(config, "team/plugin").expect_err(config);
            assert!(error.to_string().contains(says), "{config}: {error}");
            assert!(!format!("{error} {error:?} {}", error.hint()).contains("hunter2"));
        }
    }

    #[test]
    fn nothing_shows_credentials() {
        let credentials = Credentials(RegistryAuth::Basic("user".into(), "hunter2".into()));
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        // Root reads everything but a directory.
        fs::create_dir(directory.path().join("config.json")).expect("made");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("set");
        let target = ImageReference::parse("team/plugin", "1").expect("a name");
        let error = Credentials::from_docker_config(directory.path(), &target).expect_err("no file");
        assert!(error.to_string().contains("config.json"), "{error}");
    }
}
