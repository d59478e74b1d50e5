//! Processes of this machine, as far as `/proc` shows them to this user.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// Program names of servers.
const SERVER_NAMES: [&str; 2] = ["vault", "bao"];

/// Name of this program, cut off by the kernel: `dev` starts plugins too.
const DEVELOPMENT_HOST: &str = "vault-token-plu";

/// Index of the parent process id in `stat`, counted from the field after the name.
const STAT_PPID: usize = 1;

/// Index of the start time, in ticks since the machine was booted.
const STAT_START_TIME: usize = 19;

/// All process ids with their directories, sorted.
pub(crate) fn list() -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut processes: Vec<_> =
        entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))).collect();
    processes.sort();
    processes
}

/// Process ids of servers, with the users that run them.
pub(crate) fn server_processes() -> Vec<(u32, u32)> {
    let is_server = |process: &Path| {
        fs::read_to_string(process.join("comm")).is_ok_and(|name| SERVER_NAMES.contains(&name.trim()))
    };
    list()
        .into_iter()
        .filter(|(_, process)| is_server(process))
        .filter_map(|(pid, process)| Some((pid, fs::metadata(process).ok()?.uid())))
        .collect()
}

/// Whether the parent of a process is a program that starts plugins; `None` if the process has just ended. A plugin that outlives its host
/// gets another parent, whose environment has nothing to do with it.
pub(crate) fn has_plugin_host(pid: u32) -> Option<bool> {
    let parent = parent(pid).ok()??;
    let name = fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
    let name = name.trim_end();
    Some(SERVER_NAMES.contains(&name) || name == DEVELOPMENT_HOST)
}

/// The parent of a process; `None` if `stat` does not contain one.
///
/// # Errors
/// If the process has ended, or is hidden from this user.
pub(crate) fn parent(pid: u32) -> io::Result<Option<u32>> {
    Ok(stat_field(pid, STAT_PPID)?.and_then(|field| field.parse().ok()))
}

/// Start time of a process, which distinguishes it from a later process with the same id.
pub(crate) fn start_time(pid: u32) -> Option<String> {
    stat_field(pid, STAT_START_TIME).ok().flatten()
}

/// Whether a process with this id exists, including one that is hidden from this user.
pub(crate) fn exists(pid: u32) -> bool {
    let pid = pid.try_into().ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

fn stat_field(pid: u32, field: usize) -> io::Result<Option<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name comes before, and can contain any character.
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
    Ok(fields.and_then(|fields| fields.split(' ').nth(field)).map(str::to_owned))
}
