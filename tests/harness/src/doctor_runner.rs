//! Runs `doctor` as a user does, and the commands that it prints in a shell.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Output, Program, eventually};

/// The tool under test with the settings of one server, and a shell with the tool on its path.
pub struct DoctorRunner {
    /// The tool.
    pub program: Program,
    /// A shell with the same settings, for the commands that the tool prints.
    pub shell: Program,
    /// Passed to every run.
    flags: Vec<String>,
    _programs: TempDir,
}

impl DoctorRunner {
    /// `tool` is the binary under test; `programs` are linked onto the shell's path beside it, by name. `flags` are
    /// passed to every run. `configure` sets the environment of the tool and of the shell.
    ///
    /// # Panics
    ///
    /// If the temporary directory cannot be written to.
    pub fn new(
        tool: &str,
        programs: &[(&str, &Path)],
        flags: &[&str],
        configure: impl Fn(Program) -> Program,
    ) -> DoctorRunner {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        let tool = Path::new(tool);
        for (name, program) in [("vault-token-plugin", tool)].iter().chain(programs) {
            symlink(program, folder.path().join(name)).expect("a new directory is writable");
        }
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let shell = configure(Program::new("/bin/sh").env("PATH", path));
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        DoctorRunner { program: configure(Program::new(tool)), shell, flags, _programs: folder }
    }

    /// Runs `doctor --output json` with more flags.
    pub async fn run(&self, flags: &[&str]) -> Output {
        let usual = ["doctor", "--output", "json"].into_iter().chain(self.flags.iter().map(String::as_str));
        self.program.run(usual.chain(flags.iter().copied())).await
    }

    /// The findings in the output of [`DoctorRunner::run`].
    ///
    /// # Panics
    ///
    /// If the output is not the JSON document.
    #[track_caller]
    pub fn findings(output: &Output) -> Vec<Value> {
        let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        document["findings"].as_array().unwrap_or_else(|| panic!("{output:?}")).clone()
    }

    /// Requires that doctor reports a healthy server.
    pub async fn assert_healthy(&self) {
        let document = self.run(&[]).await.json();
        assert_eq!(document["healthy"], true, "{document:#}");
    }

    /// Waits until doctor reports a healthy server.
    pub async fn wait_healthy(&self) {
        eventually("doctor reports a healthy server", async || {
            let output = self.run(&[]).await;
            let document: Value = serde_json::from_str(&output.stdout).ok()?;
            (document["healthy"] == true).then_some(())
        })
        .await;
    }

    /// Requires these findings and no others, each with evidence; a finding appears once for each node.
    pub async fn assert_finds(&self, expected: &[&str], flags: &[&str]) -> Vec<Value> {
        let output = self.run(flags).await;
        let findings = DoctorRunner::findings(&output);
        let mut ids: Vec<&str> = findings.iter().filter_map(|finding| finding["id"].as_str()).collect();
        ids.dedup();
        assert_eq!(ids, expected, "{findings:#?}");
        for finding in &findings {
            assert!(!finding["evidence"].as_str().unwrap_or_default().is_empty(), "{finding}");
        }
        findings
    }

    /// Requires this finding and no other, runs the commands that it prints, and requires a healthy server after that.
    pub async fn assert_fixed_by_commands(&self, id: &str) {
        self.run_all_fix_commands(id).await;
        self.assert_healthy().await;
    }

    /// As [`DoctorRunner::assert_fixed_by_commands`], and waits for the healthy server.
    pub async fn assert_fixed_by_commands_eventually(&self, id: &str) {
        self.run_all_fix_commands(id).await;
        self.wait_healthy().await;
    }

    /// As [`DoctorRunner::assert_fixed_by_commands`], with `file` in place of `FILE` in the commands.
    pub async fn assert_fixed_by_commands_with_file(&self, id: &str, file: &Path) {
        for finding in self.assert_finds(&[id], &[]).await {
            self.run_fix_commands(&finding, file).await;
        }
        self.assert_healthy().await;
    }

    async fn run_all_fix_commands(&self, id: &str) {
        for finding in self.assert_finds(&[id], &[]).await {
            self.run_fix_commands(&finding, Path::new("FILE")).await;
        }
    }

    /// Runs the commands of a finding as printed, with `file` in place of `FILE`.
    ///
    /// # Panics
    ///
    /// If it prints none, or one of them fails.
    pub async fn run_fix_commands(&self, finding: &Value, file: &Path) {
        let commands: Vec<&str> = finding["commands"]
            .as_array()
            .map_or_else(Vec::new, |commands| commands.iter().filter_map(Value::as_str).collect());
        assert!(!commands.is_empty(), "{} prints no command", finding["id"]);
        for command in commands {
            self.run_in_shell(&command.replace("--binary FILE", &format!("--binary {}", file.display())))
                .await;
        }
    }

    /// Runs a command line in the shell and returns its standard output.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub async fn run_in_shell(&self, command: &str) -> String {
        let output = self.shell.run(["-c", command]).await;
        assert_eq!(output.code, Some(0), "{command}: {output:?}");
        output.stdout
    }

    /// Requires that `doctor --explain` finds this meaning and no other in a text, and returns it.
    pub async fn assert_explains(&self, text: &str, id: &str) -> Value {
        let meanings = self.explain(text).await;
        let ids: Vec<&str> = meanings.iter().filter_map(|meaning| meaning["id"].as_str()).collect();
        assert_eq!(ids, [id], "{text}");
        meanings[0].clone()
    }

    /// Every meaning that `doctor --explain` finds in a text.
    ///
    /// # Panics
    ///
    /// If the output is not the JSON document.
    pub async fn explain(&self, text: &str) -> Vec<Value> {
        let explain = ["doctor", "--output", "json", "--explain", "-"];
        let document = self.program.run_with_input(explain, text).await.json();
        document["explained"].as_array().unwrap_or_else(|| panic!("{document}")).clone()
    }
}

/// Sets the mode of a file or directory.
///
/// # Panics
///
/// If it is not there or not the caller's.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("cannot set the mode of {}: {error}", path.display()));
}
