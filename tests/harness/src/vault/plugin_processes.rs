//! Finds plugin processes by the path of their executable, because a killed parent cannot report them.

use std::fs;
use std::path::Path;

use crate::process;

/// Ids of the processes whose executable is below `directory`, in ascending order.
pub(super) fn running_below(directory: &Path) -> Vec<u32> {
    // The kernel shows the real path of executables.
    let Ok(directory) = directory.canonicalize() else { return Vec::new() };
    let mut pids: Vec<u32> = process::all_pids()
        // Zombies and other users' processes show no executable. The suffix of a replaced file does not matter here.
        .filter(|pid| {
            fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|executable| executable.starts_with(&directory))
        })
        .collect();
    pids.sort_unstable();
    pids
}
