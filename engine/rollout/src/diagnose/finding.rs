//! One thing that is wrong, and what is known of its kind.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::deployment::PROGRAM_PATH;
use crate::observed::Observed;
use crate::observed::deployment::{DeploymentKind, NodeName};
use crate::shell::shell_quote;

/// When something breaks. The worst is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Requests fail at this moment.
    BreaksNow,
    /// All is served, until the server or its plugin is started anew, or another node becomes active.
    BreaksAtRestart,
    /// It breaks when something else goes wrong too.
    Risk,
    /// Worth knowing.
    Note,
}

/// What is known of one kind of failure: the same for the program, its pages and its tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingKind {
    /// Never changes its meaning.
    pub id: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// As a rule; a finding may weigh less.
    pub severity: Severity,
    /// What it breaks.
    pub consequence: &'static str,
    /// What to do, in words.
    pub remediation: &'static str,
    /// How servers and kernels say it; `*` stands for anything.
    pub log_patterns: &'static [&'static str],
    /// How it is known to be true.
    pub verified_by: VerifiedBy,
}

/// How a finding is known to be true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifiedBy {
    /// A test of `tests/e2e` makes it happen on a real server.
    E2eTest(&'static str),
    /// A test of `tests/kubernetes` makes it happen on real pods.
    KubernetesTest(&'static str),
    /// Only on a snapshot, and why it is not made to happen.
    UnitTest(&'static str),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Of its kind.
    pub id: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// When it breaks.
    pub severity: Severity,
    /// Which mount, node or file.
    pub subject: String,
    /// What was read, and where.
    pub evidence: String,
    /// What it breaks.
    pub consequence: &'static str,
    /// What to do, in words.
    pub remediation: &'static str,
    /// The same as command lines; none where only a person can know them.
    pub commands: Vec<String>,
    /// The command that prints its page.
    pub explain: String,
}

/// Something that was not looked at, so that nothing is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unobserved {
    /// What.
    pub subject: String,
    /// Why not, and what would help.
    pub reason: String,
}

impl FindingKind {
    /// The command that prints its page.
    pub fn explain(&self) -> String {
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
            explain: self.explain(),
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

/// The beginning of a command line of this program for what was looked at.
pub(super) fn own_command(observed: &Observed, command: &str) -> String {
    match observed.deployment.as_ref().map(|site| &site.kind) {
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

/// A command line that gives a file or a directory on a node a mode.
pub(super) fn chmod_command(observed: &Observed, node: &NodeName, mode: &str, path: &str) -> String {
    let chmod = match helper_container(observed, node) {
        None => "chmod".to_owned(),
        Some(_) => format!("{PROGRAM_PATH} node mode"),
    };
    command_on_node(observed, node, &format!("{chmod} {mode} {}", shell_quote(path)))
}

/// A command line that takes a file of the plugin directory away from a node.
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

/// A command line that does something on a node with the tools of a shell; `None` where there is none.
pub(super) fn shell_command_on_node(observed: &Observed, node: &NodeName, command: &str) -> Option<String> {
    helper_container(observed, node).is_none().then(|| command_on_node(observed, node, command))
}

/// The container with this program in it, where the server's own has no shell.
pub(super) fn helper_container<'a>(observed: &'a Observed, node: &NodeName) -> Option<&'a str> {
    observed.deployment.as_ref()?.nodes.get(node)?.helper_container.as_deref()
}

/// A command line that does something where the work on a node is done.
fn command_on_node(observed: &Observed, node: &NodeName, command: &str) -> String {
    match observed.deployment.as_ref().map(|site| &site.kind) {
        Some(DeploymentKind::Kubernetes { namespace, statefulset: _, container }) => format!(
            "kubectl -n {} exec {} -c {} -- {command}",
            shell_quote(namespace),
            shell_quote(node.as_str()),
            shell_quote(helper_container(observed, node).unwrap_or(container))
        ),
        Some(DeploymentKind::Local) | None => command.to_owned(),
    }
}
