//! Whether mode and owner of a directory let other users replace a plugin in it.

use rollout::Exposure;

/// Returns how other users can change a plugin directory with this mode and owner; the users in `trusted` may own it.
pub(crate) fn exposure_of_directory(mode: u32, owner: u32, trusted: &[u32]) -> Option<Exposure> {
    if !trusted.contains(&owner) {
        return Some(Exposure::Owner { user: owner });
    }
    (mode & 0o022 != 0).then_some(Exposure::Mode { mode })
}

/// The same for a parent directory. In a sticky directory others can create files, but replace only their own.
pub(crate) fn exposure_of_ancestor(mode: u32, owner: u32, trusted: &[u32]) -> Option<Exposure> {
    let is_sticky = mode & 0o1000 != 0;
    exposure_of_directory(mode, owner, trusted)
        .filter(|exposure| !(is_sticky && matches!(exposure, Exposure::Mode { .. })))
}
