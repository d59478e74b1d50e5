//! A finding, and the description of its kind.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::deployment::PROGRAM_PATH;
use crate::observed::Observed;
use crate::observed::deployment::{DeploymentKind, NodeName};
use crate::shell::shell_quote;

/// When a problem breaks something. The most severe value compares as the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Requests fail now.
    BreaksNow,
    /// Requests succeed until the server or its plugin restarts, or another node becomes active.
    BreaksAtRestart,
    /// It breaks something together with another failure.
    Risk,
    /// Worth knowing.
    Note,
}

/// The description of one kind of problem, shared by the program, its documentation and its tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingKind {
    /// Stable identifier; it is never reused for another problem.
    pub id: &'static str,
    /// Short description.
    pub title: &'static str,
    /// Default severity; a finding may have a lower one.
    pub severity: Severity,
    /// What the problem breaks.
    pub consequence: &'static str,
    /// How to fix it.
    pub remediation: &'static str,
    /// Messages of servers and kernels that indicate it; `*` matches any text.
    pub log_patterns: &'static [&'static str],
    /// The test that verifies it.
    pub verified_by: VerifiedBy,
}

/// How a kind of finding is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifiedBy {
    /// A test in `tests/e2e` reproduces it on a real server.
    E2eTest(&'static str),
    /// A test in `tests/kubernetes` reproduces it on real pods.
    KubernetesTest(&'static str),
    /// No server reproduces it in a test, for this reason; only unit tests on an `Observed` cover it.
    NotReproduced(&'static str),
}

/// A problem that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Id of its kind.
    pub id: &'static str,
    /// Short description.
    pub title: &'static str,
    /// When it breaks something.
    pub severity: Severity,
    /// The mount, node or file that it is about.
    pub subject: String,
    /// The observation that shows it, with its source.
    pub evidence: String,
    /// What the problem breaks.
    pub consequence: &'static str,
    /// How to fix it.
    pub remediation: &'static str,
    /// Command lines that fix it; empty if they depend on something that only the user knows.
    pub commands: Vec<String>,
    /// Command that prints its documentation.
    pub explain: String,
}

/// Something that was not observed, so that no finding covers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unobserved {
    /// What was not observed.
    pub subject: String,
    /// Why it was not observed, and how to change that.
    pub reason: String,
}

impl FindingKind {
    /// Command that prints its documentation.
    pub fn explain_command(&self) -> String {
        format!("vault-token-plugin doctor --explain {}", self.id)
    }

    pub(super) fn finding(&self, subject: impl Into<String>, evidence: impl Into<String>) -> Finding {
        Finding {
            id: self.id,
            title: self.title,
            severity: self.severity,
            subject: subject.into(),
            evidence: evidence.into(),
            consequence: self.consequence,
            remediation: self.remediation,
            commands: Vec::new(),
            explain: self.explain_command(),
        }
    }
}

impl Finding {
    pub(super) fn with_command(mut self, command: String) -> Self {
        self.commands.push(command);
        self
    }

    pub(super) fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BreaksNow => "breaks now",
            Self::BreaksAtRestart => "breaks at the next restart",
            Self::Risk => "risk",
            Self::Note => "note",
        })
    }
}

/// Returns a command line of this program for the observed deployment.
pub(super) fn own_command(observed: &Observed, command: &str) -> String {
    match observed.deployment.as_ref().map(|deployment| &deployment.kind) {
        Some(DeploymentKind::Kubernetes { namespace, statefulset, container: _ }) => {
            format!(
                "vault-token-plugin -n {} --statefulset {} {command}",
                shell_quote(namespace),
                shell_quote(statefulset)
            )
        }
        Some(DeploymentKind::Local) | None => format!("vault-token-plugin {command}"),
    }
}

/// Returns a command line that changes the mode of a file or a directory on a node.
pub(super) fn chmod_command(observed: &Observed, node: &NodeName, mode: &str, path: &str) -> String {
    let chmod = match helper_container(observed, node) {
        None => "chmod".to_owned(),
        Some(_) => format!("{PROGRAM_PATH} node mode"),
    };
    command_on_node(observed, node, &format!("{chmod} {mode} {}", shell_quote(path)))
}

/// Returns a command line that removes a file from the plugin directory of a node.
pub(super) fn remove_file_command(
    observed: &Observed,
    node: &NodeName,
    directory: &Path,
    file: &str,
) -> String {
    let text = |path: &Path| shell_quote(&path.display().to_string());
    let remove = match helper_container(observed, node) {
        None => format!("rm -f {}", text(&directory.join(file))),
        Some(_) => format!("{PROGRAM_PATH} node remove {} {}", text(directory), shell_quote(file)),
    };
    command_on_node(observed, node, &remove)
}

/// Returns a command line that runs a shell command on a node; `None` if the node has no shell.
pub(super) fn shell_command_on_node(observed: &Observed, node: &NodeName, command: &str) -> Option<String> {
    helper_container(observed, node).is_none().then(|| command_on_node(observed, node, command))
}

/// The container that holds this program, if the server's own container has no shell.
pub(super) fn helper_container<'a>(observed: &'a Observed, node: &NodeName) -> Option<&'a str> {
    observed.deployment.as_ref()?.nodes.get(node)?.helper_container.as_deref()
}

/// Returns a command line that runs `command` on a node.
fn command_on_node(observed: &Observed, node: &NodeName, command: &str) -> String {
    match observed.deployment.as_ref().map(|deployment| &deployment.kind) {
        Some(DeploymentKind::Kubernetes { namespace, statefulset: _, container }) => format!(
            "kubectl -n {} exec {} -c {} -- {command}",
            shell_quote(namespace),
            shell_quote(node.as_str()),
            shell_quote(helper_container(observed, node).unwrap_or(container))
        ),
        Some(DeploymentKind::Local) | None => command.to_owned(),
    }
}
