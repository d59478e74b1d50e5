//! Finds plugin processes by where their executable lies, since a parent that was killed tells nothing.

use std::fs;
use std::path::Path;

use crate::process;

/// Ids of the processes whose executable lies below `directory`, in ascending order.
pub(super) fn running_below(directory: &Path) -> Vec<u32> {
    // The kernel shows executables by their real path.
    let Ok(directory) = directory.canonicalize() else { return Vec::new() };
    let mut pids: Vec<u32> = process::all_pids()
        // Zombies and other users' processes show no executable. One whose file was replaced has a suffix, which does
        // not matter here.
        .filter(|pid| {
            fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|executable| executable.starts_with(&directory))
        })
        .collect();
    pids.sort_unstable();
    pids
}
