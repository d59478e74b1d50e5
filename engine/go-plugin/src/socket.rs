//! A unix socket with an unpredictable name, whose file is removed with its owner.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// The maximum length of a socket path in bytes: `sockaddr_un.sun_path` on Linux without the terminating zero.
const MAX_SOCKET_PATH: usize = 107;

/// Binds a new socket in `directory`. The variable `named_by` is named in errors.
///
/// Only the owner may connect, and the `group` (name or number) if given.
///
/// # Errors
/// The path is too long, the group is unknown, or the system call fails.
pub(crate) fn bind(
    directory: &Path,
    named_by: &'static str,
    group: Option<&str>,
) -> Result<(UnixListener, SocketFile), SocketError> {
    let path = directory.join(format!("plugin{:016x}", rand::random::<u64>()));
    if path.as_os_str().as_bytes().len() > MAX_SOCKET_PATH {
        return Err(SocketError::PathTooLong { path, named_by });
    }
    let listener =
        UnixListener::bind(&path).map_err(|source| SocketError::Bind { path: path.clone(), source })?;
    let file = SocketFile { path };
    let mode = match group {
        None => 0o600,
        Some(group) => {
            let id = group_id(group)?;
            std::os::unix::fs::chown(&file.path, None, Some(id))
                .map_err(|source| file.permissions_error(source))?;
            0o660
        }
    };
    fs::set_permissions(&file.path, fs::Permissions::from_mode(mode))
        .map_err(|source| file.permissions_error(source))?;
    Ok((listener, file))
}

/// The file of a bound socket. Removed on drop.
pub(crate) struct SocketFile {
    path: PathBuf,
}

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn permissions_error(&self, source: io::Error) -> SocketError {
        SocketError::SetPermissions { path: self.path.clone(), source }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // An error cannot be handled in drop.
        let _ = fs::remove_file(&self.path);
    }
}

/// A socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The path has more than 107 bytes.
    #[error(
        "socket path {} is longer than {MAX_SOCKET_PATH} bytes: set {named_by} to a shorter directory",
        path.display()
    )]
    PathTooLong {
        /// The socket path.
        path: PathBuf,
        /// The environment variable that sets the directory.
        named_by: &'static str,
    },
    /// The directory is missing, not writable, or on a file system without sockets.
    #[error("cannot bind socket {}", path.display())]
    Bind {
        /// The socket path.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The group does not exist.
    #[error("group `{0}` for the plugin's socket does not exist")]
    UnknownGroup(String),
    /// The group or the mode of the socket could not be set.
    #[error("cannot set the permissions of socket {}", path.display())]
    SetPermissions {
        /// The socket.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

/// Parses a group number, or looks the name up in `/etc/group`, because a static binary has no NSS.
fn group_id(group: &str) -> Result<u32, SocketError> {
    group.parse().or_else(|_| {
        let file = fs::read_to_string("/etc/group").unwrap_or_default();
        find_group(&file, group).ok_or_else(|| SocketError::UnknownGroup(group.to_owned()))
    })
}

fn find_group(file: &str, name: &str) -> Option<u32> {
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let file = "root:x:0:\nvaulted:x:7:\nvault:x:1000:alice,bob\nbroken:x\n";
        assert_eq!(find_group(file, "vault"), Some(1000));
        assert_eq!(find_group(file, "broken"), None);
        assert_eq!(find_group(file, "nobody"), None);
    }

    #[tokio::test]
    async fn a_socket_is_accessible_to_its_owner_only_and_is_removed_on_drop() {
        let directory = tempfile::tempdir().unwrap();
        let (_listener, file) = bind(directory.path(), "TMPDIR", None).unwrap();
        let path = file.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_with_a_group_is_accessible_to_the_group() {
        let directory = tempfile::tempdir().unwrap();
        let own = rustix::process::getgid().as_raw().to_string();
        let (_listener, file) = bind(directory.path(), "TMPDIR", Some(&own)).unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o660);
    }

    #[tokio::test]
    async fn an_unknown_group_is_an_error_and_leaves_no_socket() {
        let directory = tempfile::tempdir().unwrap();
        let error = bind(directory.path(), "TMPDIR", Some("no such group")).err();
        assert!(matches!(error, Some(SocketError::UnknownGroup(name)) if name == "no such group"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_names_the_variable_to_change() {
        let directory = PathBuf::from("/").join("d".repeat(100));
        let error = bind(&directory, "TMPDIR", None).err().unwrap().to_string();
        assert!(error.contains("set TMPDIR to a shorter directory"), "{error}");
    }
}
