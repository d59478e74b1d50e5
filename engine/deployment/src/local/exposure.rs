//! Whether users other than root and the server's user can replace a plugin.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rollout::Exposure;

use crate::exposure::{exposure_of_ancestor, exposure_of_directory};
use crate::processes;

/// Returns the first directory on the path to `directory`, from the root, that other users can change, and how they can. `directory` must be
/// a canonical path.
pub(super) fn find_exposure(directory: &Path) -> Option<(PathBuf, Exposure)> {
    let trusted = trusted_users(directory);
    let ancestors: Vec<&Path> = directory.ancestors().collect();
    for at in ancestors.into_iter().rev() {
        // Unknown if it cannot be read.
        let metadata = fs::metadata(at).ok()?;
        let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
        let exposure = if at == directory {
            exposure_of_directory(mode, owner, &trusted)
        } else {
            exposure_of_ancestor(mode, owner, &trusted)
        };
        if let Some(exposure) = exposure {
            return Some((at.to_owned(), exposure));
        }
        if mode & 0o011 == 0 {
            // Other users cannot go further down.
            return None;
        }
    }
    None
}

/// Root, this user, and the users of the servers on this machine. If no server is visible, the owner of the directory.
fn trusted_users(directory: &Path) -> Vec<u32> {
    let mut servers: Vec<u32> = processes::server_processes().into_iter().map(|(_, user)| user).collect();
    if servers.is_empty() {
        servers.extend(fs::metadata(directory).map(|metadata| metadata.uid()));
    }
    servers.extend([0, rustix::process::geteuid().as_raw()]);
    servers
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_is_as_safe_as_every_one_that_leads_to_it() {
        let base = tempfile::tempdir().expect("a directory");
        let base = fs::canonicalize(base.path()).expect("a path");
        let (above, plugins) = (base.join("above"), base.join("above/plugins"));
        fs::create_dir_all(&plugins).expect("made");
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
        };
        let of = |mode_of_base, mode_above, mode| {
            set(&base, mode_of_base);
            set(&above, mode_above);
            set(&plugins, mode);
            find_exposure(&plugins)
        };
        let writable = |path: &PathBuf, mode| Some((path.clone(), Exposure::Mode { mode }));
        assert_eq!(of(0o755, 0o755, 0o755), None);
        assert_eq!(of(0o755, 0o755, 0o775), writable(&plugins, 0o775));
        assert_eq!(of(0o755, 0o775, 0o755), writable(&above, 0o775));
        // As in /tmp: other users can create files, but not replace these.
        assert_eq!(of(0o755, 0o1777, 0o755), None);
        assert_eq!(of(0o755, 0o755, 0o1777), writable(&plugins, 0o1777));
        // Other users cannot reach it.
        assert_eq!(of(0o700, 0o777, 0o777), None);
        set(&base, 0o700);
    }
}
