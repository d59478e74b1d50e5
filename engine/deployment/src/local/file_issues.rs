//! What only a closer look at a directory shows: what was left behind, and what could not be started.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use rollout::{Architecture, FileIssues, Format, Linkage, NotExecutable, PluginFile};

use crate::processes;

/// Looks. Blocks: it reads the files. What cannot be read is left to those who report unreadable files.
pub(super) fn find_file_issues(directory: &Path, files: &[PluginFile]) -> FileIssues {
    let Ok(real) = fs::canonicalize(directory) else { return FileIssues::default() };
    let mut links = BTreeMap::new();
    let mut unfit = BTreeMap::new();
    for file in files {
        let path = real.join(&file.name);
        if let Ok(target) = fs::canonicalize(&path)
            && !target.starts_with(&real)
        {
            links.insert(file.name.clone(), target);
        }
        if let Some(why) = Format::read(&path).ok().and_then(|format| not_executable_reason(&path, &format)) {
            unfit.insert(file.name.clone(), why);
        }
    }
    let (leftovers, orphans) = (leftovers(&real), orphans(&real));
    // Who else can write to a directory of this machine is what the state of the directory says.
    FileIssues {
        partial_files: leftovers,
        outside_links: links,
        not_executable: unfit,
        unchecked: BTreeSet::new(),
        orphans,
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
        // A script is started by the program that its first line names.
        Format::Other => {
            let mut first = [0; 2];
            let read = File::open(path).and_then(|mut file| file.read_exact(&mut first));
            let is_script = read.is_ok() && first == *b"#!";
            (!is_script).then_some(NotExecutable::NotABinary)
        }
    }
}

/// What a copy that was killed leaves: a name that begins with a dot and ends in `part`, in a pod in `.vtp-part`.
pub(crate) fn leftovers(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut left: Vec<String> =
        names.filter(|name| name.starts_with('.') && name.ends_with("part")).collect();
    left.sort();
    left
}

/// Processes from the directory that no server is the parent of.
fn orphans(directory: &Path) -> BTreeSet<u32> {
    let pids = processes::list().into_iter().map(|(pid, _)| pid);
    pids.filter(|pid| is_orphan(*pid, directory) == Some(true)).collect()
}

/// `None` for what is no process of the directory, or ended just now.
fn is_orphan(pid: u32, directory: &Path) -> Option<bool> {
    let executable = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    executable.strip_prefix(directory).ok()?;
    processes::has_plugin_host(pid).map(|hosted| !hosted)
}
