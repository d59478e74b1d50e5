//! `dev` as a process, with a place of its own in which to look for what stays behind.

use std::fs;
use std::path::Path;

use harness::{Output, Program};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout};

use crate::lab::{BINARY, seen};

/// A program with a temporary directory of its own, in which to look for what stays behind.
pub(crate) struct Stage {
    pub(crate) program: Program,
    scratch: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let scratch = tempfile::tempdir().unwrap();
        let program = Program::new(BINARY).env("TMPDIR", scratch.path().display().to_string());
        Stage { program, scratch }
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        self.program.run([&["dev"], args].concat()).await
    }

    pub(crate) fn seen(&self, output: &Output) -> String {
        let own = [
            (self.scratch.path().display().to_string(), "<scratch>"),
            (self.program.home().display().to_string(), "<home>"),
        ];
        seen(output, &own)
    }

    /// Starts it, and waits until the plugin is at work.
    pub(crate) async fn at_work(&self, args: &[&str]) -> AtWork {
        let all = [&["dev", "--listen", "127.0.0.1:0", "--output", "json"], args].concat();
        let mut child = self.program.spawn(all);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut document = String::new();
        while !document.ends_with("\n}\n") {
            if stdout.read_line(&mut document).await.unwrap() == 0 {
                child.stderr.take().unwrap().read_to_string(&mut document).await.unwrap();
                panic!("dev ended: {document}");
            }
        }
        let ready: Value = serde_json::from_str(&document).unwrap();
        AtWork { child, ready, stdout }
    }

    /// The plugins that it has started, which lie in its temporary directory or with its data.
    pub(crate) fn plugins(&self) -> Vec<Pid> {
        processes_below(&[self.scratch.path(), self.program.home()])
    }

    /// What it left in its temporary directory.
    pub(crate) fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.scratch.path()).unwrap();
        entries.map(|entry| entry.unwrap().path().display().to_string()).collect()
    }
}

pub(crate) struct AtWork {
    pub(crate) child: Child,
    pub(crate) ready: Value,
    pub(crate) stdout: BufReader<ChildStdout>,
}

impl AtWork {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap()
    }

    /// Our own binary as a client of it.
    pub(crate) fn client(&self) -> Program {
        Program::new(BINARY).env("VAULT_ADDR", self.field("address")).env("VAULT_TOKEN", self.field("token"))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap()
    }

    /// Ends it with a signal; its exit code and the rest of what it said.
    pub(crate) async fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill_process(self.pid(), signal).unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        (self.child.wait().await.unwrap().code(), said)
    }
}

/// What is under way of the programs that lie below some directories.
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
