//! Finds plugin processes by where their executable lies, since a parent that was killed tells nothing.

use std::fs;
use std::path::Path;

/// Ids of the processes whose executable lies below `directory`, in ascending order.
pub(super) fn below(directory: &Path) -> Vec<u32> {
    // The kernel shows executables by their real path.
    let Ok(directory) = directory.canonicalize() else { return Vec::new() };
    let processes = fs::read_dir("/proc").expect("/proc is mounted");
    let mut pids: Vec<u32> = processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
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
