//! Credentials for a registry, from the Docker configuration.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::secrets::RegistryAuth;

use crate::image_reference::ImageReference;

/// Credentials for a registry. `Debug` does not show them.
#[derive(Clone)]
pub struct Credentials(pub(crate) RegistryAuth);

/// Configured credentials could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The configuration file could not be read.
    #[error("could not read {path}")]
    Unreadable {
        /// Path of the configuration file.
        path: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The configuration file is invalid.
    #[error("invalid entry for {registry} in {path}: {reason}")]
    InvalidConfig {
        /// Path of the configuration file.
        path: PathBuf,
        /// The registry.
        registry: String,
        /// Why it is invalid.
        reason: &'static str,
    },
    /// The credential helper failed.
    #[error("the credential helper for {registry} in {path} failed: {message}")]
    Helper {
        /// Path of the configuration file.
        path: PathBuf,
        /// The registry.
        registry: String,
        /// Its error message.
        message: String,
    },
    /// The configuration contains an OAuth2 identity token, which is not supported.
    #[error("{path} contains an identity token for {registry}, which is not supported")]
    IdentityToken {
        /// Path of the configuration file.
        path: PathBuf,
        /// The registry.
        registry: String,
    },
}

/// Key of Docker Hub in the Docker configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

impl Credentials {
    /// Anonymous access.
    pub fn anonymous() -> Self {
        Self(RegistryAuth::Anonymous)
    }

    /// Reads the credentials for a registry from `config.json` in `directory`, or from its credential helper. Returns [`anonymous`](Self::anonymous) if there are none. Blocks.
    ///
    /// # Errors
    /// If configured credentials cannot be read.
    pub fn from_docker_config(directory: &Path, target: &ImageReference) -> Result<Self, CredentialsError> {
        let path = directory.join("config.json");
        let config = match fs::read(&path) {
            Ok(config) => config,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::anonymous()),
            Err(source) => return Err(CredentialsError::Unreadable { path, source }),
        };
        let server = if target.registry() == "docker.io" { DOCKER_HUB } else { target.registry() };
        let registry = target.registry().to_owned();
        let invalid =
            |path, reason| Err(CredentialsError::InvalidConfig { path, registry: registry.clone(), reason });
        let helper =
            |path, message| Err(CredentialsError::Helper { path, registry: registry.clone(), message });
        let lookup = |server| docker_credential::get_credential_from_reader(config.as_slice(), server);
        let credential = match lookup(server) {
            // Tools other than Docker use the host name of Docker Hub as the key.
            Err(CredentialRetrievalError::NoCredentialConfigured) => lookup(target.registry()),
            credential => credential,
        };
        match credential {
            Ok(DockerCredential::UsernamePassword(user, password)) => {
                Ok(Self(RegistryAuth::Basic(user, password)))
            }
            Ok(DockerCredential::IdentityToken(_)) => Err(CredentialsError::IdentityToken { path, registry }),
            Err(
                CredentialRetrievalError::NoCredentialConfigured | CredentialRetrievalError::ConfigNotFound,
            ) => Ok(Self::anonymous()),
            Err(CredentialRetrievalError::HelperFailure { helper: _, stdout, stderr }) => {
                // By convention, helpers print this on standard output if they have no credentials.
                if stdout.contains("credentials not found") {
                    return Ok(Self::anonymous());
                }
                helper(path, stderr.lines().next().unwrap_or("no error message").to_owned())
            }
            Err(CredentialRetrievalError::HelperCommunicationError) => {
                helper(path, "could not start docker-credential-...; is it in PATH?".to_owned())
            }
            Err(CredentialRetrievalError::MalformedHelperResponse) => {
                helper(path, "its output is not JSON with Username and Secret".to_owned())
            }
            Err(CredentialRetrievalError::CredentialDecodingError) => {
                invalid(path, "`auth` is not base64 of user:password")
            }
            Err(CredentialRetrievalError::CredentialMismatchError) => {
                invalid(path, "`auth` does not match username and password")
            }
            Err(CredentialRetrievalError::ConfigReadError) => {
                invalid(path, "not a Docker configuration in JSON")
            }
        }
    }
}

impl CredentialsError {
    /// Tells the user how to fix the error.
    pub fn hint(&self) -> String {
        match self {
            Self::IdentityToken { registry, .. } => format!(
                "Log in with a user and password, or with a robot account: `docker login {registry}`."
            ),
            Self::Unreadable { .. } | Self::InvalidConfig { .. } => {
                "Log in again with `docker login`, or set DOCKER_CONFIG to another directory.".to_owned()
            }
            Self::Helper { .. } => {
                "Fix the helper, or log in with a DOCKER_CONFIG directory that has no helper.".to_owned()
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
    fn without_a_file_the_access_is_anonymous() {
        let target = ImageReference::parse("team/plugin", "1").expect("a name");
        let credential =
            Credentials::from_docker_config(Path::new("/nonexistent"), &target).expect("anonymous");
        assert_eq!(credential.0, RegistryAuth::Anonymous);
    }

    #[test]
    fn unreadable_credentials_are_an_error_without_the_secret() {
        for (config, expected) in [
            ("{", "not a Docker configuration"),
            (r#"{"auths": {"docker.io": {"auth": "aHVudGVyMg=="}}}"#, "not base64 of user:password"),
            (r#"{"auths": {"docker.io": {"identitytoken": "hunter2"}}}"#, "identity token for docker.io"),
            (r#"{"credsStore": "nonexistent"}"#, "could not start"),
        ] {
            let error = find_credentials(config, "team/plugin").expect_err(config);
            assert!(error.to_string().contains(expected), "{config}: {error}");
            assert!(!format!("{error} {error:?} {}", error.hint()).contains("hunter2"));
        }
    }

    #[test]
    fn debug_output_does_not_show_credentials() {
        let credentials = Credentials(RegistryAuth::Basic("user".into(), "hunter2".into()));
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        // Even root cannot read a directory as a file.
        fs::create_dir(directory.path().join("config.json")).expect("made");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("set");
        let target = ImageReference::parse("team/plugin", "1").expect("a name");
        let error = Credentials::from_docker_config(directory.path(), &target).expect_err("no file");
        assert!(error.to_string().contains("config.json"), "{error}");
    }
}
