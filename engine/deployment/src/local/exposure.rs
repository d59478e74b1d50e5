//! Whether anybody but the server's user and root can put another file in the place of a plugin.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rollout::Exposure;

use crate::exposure::{exposure_of_ancestor, exposure_of_directory};
use crate::processes;

/// The first directory on the way to `directory`, from the root on, that others can change, and how. `directory` is a real path.
pub(super) fn find_exposure(directory: &Path) -> Option<(PathBuf, Exposure)> {
    let trusted = trusted_users(directory);
    let way: Vec<&Path> = directory.ancestors().collect();
    for at in way.into_iter().rev() {
        // What may not be looked at is not judged.
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
            // Others get no further.
            return None;
        }
    }
    None
}

/// Root, this user, and the users of the servers that run here; where none is seen, the owner of the directory is taken for one.
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
        // As in /tmp, others can make files there; those in it stay.
        assert_eq!(of(0o755, 0o1777, 0o755), None);
        assert_eq!(of(0o755, 0o755, 0o1777), writable(&plugins, 0o1777));
        // Nobody else comes that far.
        assert_eq!(of(0o700, 0o777, 0o777), None);
        set(&base, 0o700);
    }
}
