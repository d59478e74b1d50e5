//! An operator of the plugins of one server on this machine, whose commands ask nothing and report as JSON.

use std::path::PathBuf;

use harness::{HoldingProxy, Output, Program, VaultServer};
use serde_json::Value;

use crate::lab::BINARY;

pub(crate) struct Operator {
    pub(crate) program: Program,
    plugin_directory: PathBuf,
}

impl Operator {
    pub(crate) fn of(server: &VaultServer) -> Operator {
        let plugin_directory = server.plugin_directory().to_owned();
        Operator { program: Program::new(BINARY).vault(server), plugin_directory }
    }

    /// The same, reaching the server only through a proxy.
    pub(crate) fn through(proxy: &HoldingProxy, server: &VaultServer) -> Operator {
        let operator = Operator::of(server);
        Operator { program: operator.program.env("VAULT_ADDR", proxy.address()), ..operator }
    }

    /// The file of a version of a plugin.
    pub(crate) fn file(&self, name: &str, version: &str) -> PathBuf {
        self.plugin_directory.join(format!("{name}-{version}"))
    }

    pub(crate) async fn run(&self, line: &[&str]) -> Output {
        self.program.run(self.command(line)).await
    }

    /// A command line, with the flags that each of these commands needs.
    pub(crate) fn command(&self, line: &[&str]) -> Vec<String> {
        let mut line: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
        if line[0] != "reload" {
            line.extend(["--plugin-dir".to_owned(), self.plugin_directory.to_str().unwrap().to_owned()]);
        }
        if !line.iter().any(|word| word == "--dry-run") {
            line.push("--yes".to_owned());
        }
        line.extend(["--output", "json"].map(str::to_owned));
        line
    }

    pub(crate) async fn doctor(&self) -> Value {
        let directory = self.plugin_directory.to_str().unwrap();
        let report = self.program.run(["doctor", "--plugin-dir", directory, "--output", "json"]).await;
        serde_json::from_str(&report.stdout).unwrap_or_else(|error| panic!("{error}: {report:?}"))
    }
}

/// The report at the end of a stream of events.
pub(crate) fn report_of(output: Output) -> Value {
    let events = output.success();
    serde_json::from_str(events.lines().last().unwrap()).unwrap()
}

/// The id and the severity of each finding.
pub(crate) fn findings(report: &Value) -> Vec<(&str, &str)> {
    let all = report["findings"].as_array().unwrap().iter();
    all.map(|one| (one["id"].as_str().unwrap(), one["severity"].as_str().unwrap())).collect()
}
