//! Problems of files that only a deep observation finds: leftovers, and files that cannot be started.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use rollout::{Architecture, FileIssues, Format, Linkage, NotExecutable, PluginFile};

use crate::processes;

/// Examines the files. Blocks. Skips files that cannot be read; they are reported as unreadable elsewhere.
pub(super) fn find_file_issues(directory: &Path, files: &[PluginFile]) -> FileIssues {
    let Ok(real) = fs::canonicalize(directory) else { return FileIssues::default() };
    let mut outside_links = BTreeMap::new();
    let mut not_executable = BTreeMap::new();
    for file in files {
        let path = real.join(&file.name);
        if let Ok(target) = fs::canonicalize(&path)
            && !target.starts_with(&real)
        {
            outside_links.insert(file.name.clone(), target);
        }
        let reason = Format::read(&path).ok().and_then(|format| not_executable_reason(&path, &format));
        if let Some(reason) = reason {
            not_executable.insert(file.name.clone(), reason);
        }
    }
    FileIssues {
        partial_files: partial_files(&real),
        outside_links,
        not_executable,
        unchecked: BTreeSet::new(),
        orphans: orphans(&real),
        // Write access of other users is part of the directory's state.
        shared: None,
    }
}

fn not_executable_reason(path: &Path, format: &Format) -> Option<NotExecutable> {
    match format {
        Format::Elf(elf) if elf.architecture != Architecture::host() => {
            Some(NotExecutable::WrongArchitecture(elf.architecture))
        }
        Format::Elf(elf) => match &elf.linkage {
            Linkage::Dynamic { interpreter } if !interpreter.exists() => {
                Some(NotExecutable::MissingInterpreter(interpreter.clone()))
            }
            Linkage::Dynamic { .. } | Linkage::Static => None,
        },
        // A script is started by the interpreter in its first line.
        Format::Other => {
            let mut first = [0; 2];
            let read = File::open(path).and_then(|mut file| file.read_exact(&mut first));
            let is_script = read.is_ok() && first == *b"#!";
            (!is_script).then_some(NotExecutable::NotABinary)
        }
    }
}

/// Files that a killed copy has left. Their names begin with a dot and end in `part`, or in `.vtp-part` in a pod.
pub(crate) fn partial_files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut partial: Vec<String> =
        names.filter(|name| name.starts_with('.') && name.ends_with("part")).collect();
    partial.sort();
    partial
}

/// Processes that run from the directory and whose parent is not a server.
fn orphans(directory: &Path) -> BTreeSet<u32> {
    let pids = processes::list().into_iter().map(|(pid, _)| pid);
    pids.filter(|pid| is_orphan(*pid, directory) == Some(true)).collect()
}

/// `None` if the process does not run from the directory, or has just ended.
fn is_orphan(pid: u32, directory: &Path) -> Option<bool> {
    let executable = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    executable.strip_prefix(directory).ok()?;
    processes::has_plugin_host(pid).map(|hosted| !hosted)
}
