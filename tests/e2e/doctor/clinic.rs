//! Who looks, and a shell in which the printed commands are found.

use std::os::unix::fs::symlink;
use std::path::Path;

use harness::{Output, Program, eventually};
use serde_json::Value;
use tempfile::TempDir;

use crate::lab::BINARY;

pub(super) struct Clinic {
    pub(super) program: Program,
    pub(super) shell: Program,
    /// What every look is told.
    flags: Vec<String>,
    _programs: TempDir,
}

impl Clinic {
    /// With these programs on the shell's path beside our own; `set` gives a program its environment.
    pub(super) fn new(
        programs: &[(&str, &Path)],
        flags: &[&str],
        set: impl Fn(Program) -> Program,
    ) -> Clinic {
        let folder = tempfile::tempdir().unwrap();
        symlink(BINARY, folder.path().join("vault-token-plugin")).unwrap();
        for (name, program) in programs {
            symlink(program, folder.path().join(name)).unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let shell = set(Program::new("/bin/sh").env("PATH", path));
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        Clinic { program: set(Program::new(BINARY)), shell, flags, _programs: folder }
    }

    /// One look, with more flags.
    pub(super) async fn doctor(&self, flags: &[&str]) -> Output {
        let usual = ["doctor", "--output", "json"].into_iter().chain(self.flags.iter().map(String::as_str));
        self.program.run(usual.chain(flags.iter().copied())).await
    }

    #[track_caller]
    pub(super) fn findings(output: &Output) -> Vec<Value> {
        let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        document["findings"].as_array().unwrap().clone()
    }

    pub(super) async fn is_healthy(&self) {
        let document = self.doctor(&[]).await.json();
        assert_eq!(document["healthy"], true, "{document:#}");
    }

    /// As [`Clinic::is_healthy`], where the server is away for a moment.
    pub(super) async fn is_healthy_in_a_moment(&self) {
        eventually("doctor says that it is healthy", async || {
            let output = self.doctor(&[]).await;
            let document: Value = serde_json::from_str(&output.stdout).ok()?;
            (document["healthy"] == true).then_some(())
        })
        .await;
    }

    /// What doctor names must be these findings, and no others; one is named once for each node.
    pub(super) async fn names(&self, expected: &[&str], flags: &[&str]) -> Vec<Value> {
        let output = self.doctor(flags).await;
        let findings = Clinic::findings(&output);
        let mut ids: Vec<&str> = findings.iter().map(|finding| finding["id"].as_str().unwrap()).collect();
        ids.dedup();
        assert_eq!(ids, expected, "{findings:#?}");
        for finding in &findings {
            assert!(!finding["evidence"].as_str().unwrap().is_empty(), "{finding}");
        }
        findings
    }

    /// Names this one, runs literally what it prints, and is healthy then.
    pub(super) async fn cures(&self, id: &str) {
        self.treats(id).await;
        self.is_healthy().await;
    }

    /// As [`Clinic::cures`], where the server is away for a moment.
    pub(super) async fn cures_in_a_moment(&self, id: &str) {
        self.treats(id).await;
        self.is_healthy_in_a_moment().await;
    }

    /// As [`Clinic::cures`], where the cure asks for a `FILE`, which is this one.
    pub(super) async fn cures_with(&self, id: &str, file: &Path) {
        for finding in self.names(&[id], &[]).await {
            self.follows(&finding, file).await;
        }
        self.is_healthy().await;
    }

    async fn treats(&self, id: &str) {
        for finding in self.names(&[id], &[]).await {
            self.follows(&finding, Path::new("FILE")).await;
        }
    }

    /// Runs literally what a finding prints, with this file where it asks for one.
    pub(super) async fn follows(&self, finding: &Value, file: &Path) {
        let commands = finding["commands"].as_array().unwrap();
        assert!(!commands.is_empty(), "{} prints no command", finding["id"]);
        for command in commands {
            let command = command.as_str().unwrap();
            self.runs(&command.replace("--binary FILE", &format!("--binary {}", file.display()))).await;
        }
    }

    /// Runs a command line as a person does who copies it. Returns what it printed.
    pub(super) async fn runs(&self, command: &str) -> String {
        let output = self.shell.run(["-c", command]).await;
        assert_eq!(output.code, Some(0), "{command}: {output:?}");
        output.stdout
    }

    /// Finds this meaning, and no other, in the words of an error or a log. Returns what is known of it.
    pub(super) async fn explains(&self, words: &str, id: &str) -> Value {
        let lines = self.explained(words).await;
        let ids: Vec<&str> = lines.iter().map(|line| line["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [id], "{words}");
        lines[0].clone()
    }

    /// Every meaning that is found.
    pub(super) async fn explained(&self, words: &str) -> Vec<Value> {
        let explain = ["doctor", "--output", "json", "--explain", "-"];
        let document = self.program.run_with_input(explain, words).await.json();
        document["explained"].as_array().unwrap().clone()
    }
}
