//! The environment variables through which a host configures a plugin.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use crate::handshake::parse_go_bool;

pub(crate) const PROTOCOL_VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";
pub(crate) const CLIENT_CERTIFICATE: &str = "PLUGIN_CLIENT_CERT";
pub(crate) const MULTIPLEX: &str = "PLUGIN_MULTIPLEX_GRPC";
pub(crate) const SOCKET_DIRECTORY: &str = "PLUGIN_UNIX_SOCKET_DIR";
pub(crate) const SOCKET_GROUP: &str = "PLUGIN_UNIX_SOCKET_GROUP";
pub(crate) const TEMPORARY_DIRECTORY: &str = "TMPDIR";

/// A snapshot of the process environment. [`crate::Server::start`] reads its configuration only from here.
/// A host may pass secrets in it, so `Debug` shows the names only.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<OsString, OsString>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl Environment {
    /// Returns the environment of this process. Nothing else on the plugin side of this crate reads it.
    #[must_use]
    pub fn from_process() -> Self {
        std::env::vars_os().collect()
    }

    /// Whether this variable is set, even if it is empty.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether this variable is set to a value that Go's `strconv.ParseBool` parses as true.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).and_then(OsStr::to_str).and_then(parse_go_bool).unwrap_or_default()
    }

    /// Whether the magic cookie is present.
    pub(crate) fn has_cookie(&self, key: &str, value: &str) -> bool {
        self.get(key) == Some(OsStr::new(value))
    }

    /// Returns the protocol versions that the host offers. Invalid numbers are ignored, as in Go.
    pub(crate) fn offered_versions(&self) -> Vec<u32> {
        let versions = self.get(PROTOCOL_VERSIONS).and_then(OsStr::to_str).unwrap_or_default();
        versions.split(',').filter_map(|version| version.trim().parse().ok()).collect()
    }

    /// Returns the certificate of an AutoMTLS host, in PEM.
    pub(crate) fn client_certificate(&self) -> Option<&OsStr> {
        self.get(CLIENT_CERTIFICATE).filter(|pem| !pem.is_empty())
    }

    /// Whether brokered connections have to share the main connection.
    pub(crate) fn multiplex(&self) -> bool {
        self.is_true(MULTIPLEX)
    }

    /// Returns the directory for the plugin's socket, and the variable that sets it.
    pub(crate) fn socket_directory(&self) -> (PathBuf, &'static str) {
        for name in [SOCKET_DIRECTORY, TEMPORARY_DIRECTORY] {
            if let Some(directory) = self.get(name).filter(|directory| !directory.is_empty()) {
                return (directory.into(), name);
            }
        }
        (PathBuf::from("/tmp"), TEMPORARY_DIRECTORY)
    }

    /// Returns the group, by name or number, that may connect in addition to the owner.
    pub(crate) fn socket_group(&self) -> Option<String> {
        let group = self.get(SOCKET_GROUP).filter(|group| !group.is_empty())?;
        Some(group.to_string_lossy().into_owned())
    }

    fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().copied().collect()
    }

    #[test]
    fn debug_output_shows_names_and_no_values() {
        assert_eq!(format!("{:?}", environment(&[("API_KEY", "s3cret")])), r#"{"API_KEY"}"#);
    }

    #[test]
    fn a_wrong_or_missing_cookie_is_rejected() {
        assert!(environment(&[("COOKIE", "right")]).has_cookie("COOKIE", "right"));
        assert!(!environment(&[("COOKIE", "wrong")]).has_cookie("COOKIE", "right"));
        assert!(!environment(&[]).has_cookie("COOKIE", "right"));
    }

    #[test]
    fn versions_come_in_any_order_and_invalid_ones_are_ignored() {
        assert_eq!(environment(&[(PROTOCOL_VERSIONS, "4,x, 3")]).offered_versions(), [4, 3]);
        assert_eq!(environment(&[]).offered_versions(), [0_u32; 0]);
    }

    #[test]
    fn the_socket_directory_of_the_host_comes_before_the_temporary_one() {
        let both = environment(&[(SOCKET_DIRECTORY, "/sockets"), (TEMPORARY_DIRECTORY, "/scratch")]);
        assert_eq!(both.socket_directory(), ("/sockets".into(), SOCKET_DIRECTORY));
        let scratch = environment(&[(SOCKET_DIRECTORY, ""), (TEMPORARY_DIRECTORY, "/scratch")]);
        assert_eq!(scratch.socket_directory(), ("/scratch".into(), TEMPORARY_DIRECTORY));
        assert_eq!(environment(&[]).socket_directory(), ("/tmp".into(), TEMPORARY_DIRECTORY));
    }

    #[test]
    fn only_a_true_value_requests_multiplexing() {
        assert!(environment(&[(MULTIPLEX, "true")]).multiplex());
        assert!(!environment(&[(MULTIPLEX, "false")]).multiplex());
        assert!(!environment(&[(MULTIPLEX, "yes")]).multiplex());
    }

    #[test]
    fn an_empty_certificate_or_group_counts_as_missing() {
        let empty = environment(&[(CLIENT_CERTIFICATE, ""), (SOCKET_GROUP, "")]);
        assert!(empty.client_certificate().is_none());
        assert!(empty.socket_group().is_none());
    }
}
