//! Finds the processes of containers from outside, by their cgroup.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::process;

/// Processes of these containers by program name.
pub(super) fn count_by_program(ids: &[String]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for process in pids(ids) {
        // It may have ended.
        if let Ok(program) = fs::read_link(format!("/proc/{process}/exe")) {
            *counts.entry(name(&program)).or_default() += 1;
        }
    }
    counts
}

/// The host's process id of one process of these containers.
pub(super) fn first_pid(ids: &[String]) -> Option<u32> {
    pids(ids).next()
}

fn pids(ids: &[String]) -> impl Iterator<Item = u32> {
    process::all_pids().filter(|process| {
        let Ok(cgroups) = fs::read_to_string(format!("/proc/{process}/cgroup")) else { return false };
        cgroups.lines().any(|line| ids.iter().any(|id| line.ends_with(id.as_str())))
    })
}

fn name(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    // The kernel's suffix for a program whose file was replaced.
    name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned()
}
