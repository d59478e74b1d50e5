//! Finds the processes of containers from outside, by the cgroup that the kernel keeps them in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Processes by the name of their program, for the containers with these ids.
pub(super) fn of_containers(ids: &[String]) -> BTreeMap<String, usize> {
    let processes = fs::read_dir("/proc").expect("/proc is mounted");
    let mut counts = BTreeMap::new();
    for process in processes.filter_map(|entry| Some(entry.ok()?.path())) {
        // A process may end while it is looked at, and not everything there is a process.
        let Ok(cgroups) = fs::read_to_string(process.join("cgroup")) else { continue };
        let ours = cgroups.lines().any(|line| ids.iter().any(|id| line.ends_with(id.as_str())));
        if ours && let Ok(program) = fs::read_link(process.join("exe")) {
            *counts.entry(name(&program)).or_default() += 1;
        }
    }
    counts
}

fn name(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    // The kernel says so of a program whose file was replaced.
    name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned()
}
