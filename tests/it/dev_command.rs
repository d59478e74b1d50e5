//! `dev` as a process, with a temporary directory that is checked for leftovers.

use std::fs;
use std::path::Path;

use harness::{Output, Program, RunningProgram, Stream};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

use crate::lab::{BINARY, snapshot_text};

/// How to start `dev`, and its temporary directory.
pub(crate) struct DevCommand {
    pub(crate) program: Program,
    scratch: TempDir,
}

impl DevCommand {
    pub(crate) fn new() -> DevCommand {
        let scratch = tempfile::tempdir().unwrap();
        let program = Program::new(BINARY).env("TMPDIR", scratch.path().display().to_string());
        DevCommand { program, scratch }
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        self.program.run([&["dev"], args].concat()).await
    }

    pub(crate) fn snapshot_text(&self, output: &Output) -> String {
        let own = [
            (self.scratch.path().display().to_string(), "<scratch>"),
            (self.program.home().display().to_string(), "<home>"),
        ];
        snapshot_text(output, &own)
    }

    /// Starts it, and waits until the plugin is running.
    pub(crate) async fn start(&self, args: &[&str]) -> RunningDev {
        let all = [&["dev", "--listen", "127.0.0.1:0", "--output", "json"], args].concat();
        let mut program = self.program.start(all);
        let mut document = String::new();
        while !document.ends_with("\n}\n") {
            let line = program.next_line(Stream::Stdout).await;
            let line = line.unwrap_or_else(|| panic!("dev ended after {document:?}"));
            document.extend([&*line, "\n"]);
        }
        RunningDev { ready: serde_json::from_str(&document).unwrap(), program }
    }

    /// The plugins that it has started, whose files are in its temporary directory or its data directory.
    pub(crate) fn plugin_pids(&self) -> Vec<Pid> {
        processes_below(&[self.scratch.path(), self.program.home()])
    }

    /// The files in its temporary directory.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let entries = fs::read_dir(self.scratch.path()).unwrap();
        entries.map(|entry| entry.unwrap().path().display().to_string()).collect()
    }
}

pub(crate) struct RunningDev {
    pub(crate) program: RunningProgram,
    /// Its ready message.
    pub(crate) ready: Value,
}

impl RunningDev {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap()
    }

    /// Our own binary as a client of it.
    pub(crate) fn client(&self) -> Program {
        Program::new(BINARY).env("VAULT_ADDR", self.field("address")).env("VAULT_TOKEN", self.field("token"))
    }

    /// Ends it with a signal. Returns its exit code and standard error.
    pub(crate) async fn signal_and_wait(self, signal: Signal) -> (Option<i32>, String) {
        let output = self.program.signal_and_wait(signal).await;
        (output.code, output.stderr)
    }
}

/// The running processes whose executables are below these directories.
fn processes_below(directories: &[&Path]) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(program) = fs::read_link(entry.path().join("exe")) else { continue };
        if directories.iter().any(|directory| program.starts_with(directory)) {
            found.extend(entry.file_name().to_str().and_then(|name| Pid::from_raw(name.parse().ok()?)));
        }
    }
    found
}
