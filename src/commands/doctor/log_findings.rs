//! Known messages in the logs of the servers. A message describes the past, so it is shown but does not make the report unhealthy.

use std::fmt::Write as _;

use rollout::{Environment, FindingKind, Unobserved, explain_log, printable_line};
use serde::Serialize;

use crate::error::CommandError;

/// A known message in the log of a node's server.
#[derive(Debug, Serialize)]
pub(super) struct LogFinding {
    node: String,
    /// Number of lines with this message.
    times: usize,
    /// The last of these lines.
    last: String,
    #[serde(flatten)]
    known: &'static FindingKind,
}

/// Length that suffices to recognize a line. A response that is logged in full may be very long.
const MAX_LINE_LENGTH: usize = 400;

/// Reads the logs of all nodes. A node whose log cannot be read is added to the unobserved ones.
///
/// # Errors
/// If there are no pods, or the token may not read their logs.
pub(super) async fn read_logs(
    environment: &Environment,
    unobserved: &mut Vec<Unobserved>,
) -> Result<Vec<LogFinding>, CommandError> {
    let hint = "Select the pods with -n, or pass a log: `vault-token-plugin doctor --explain - < vault.log`.";
    let Some(deployment) = &environment.deployment else {
        return Err(CommandError::usage("no pods with logs found").hint(hint));
    };
    let logs = deployment.logs().await;
    let logs =
        logs.map_err(|error| CommandError::failed("could not read the logs").caused_by(error).hint(hint))?;
    let mut findings = Vec::new();
    for (node, log) in logs {
        match log {
            Ok(log) => findings.extend(findings_in_log(node.as_str(), &log)),
            Err(why) => unobserved.push(Unobserved { subject: format!("the log of {node}"), reason: why }),
        }
    }
    findings.sort_by(|a, b| {
        (a.known.severity, a.known.id, &a.node).cmp(&(b.known.severity, b.known.id, &b.node))
    });
    Ok(findings)
}

fn findings_in_log(node: &str, log: &str) -> Vec<LogFinding> {
    let mut findings: Vec<LogFinding> = Vec::new();
    for explained_line in explain_log(log) {
        let last = printable_line(explained_line.line.trim(), MAX_LINE_LENGTH);
        match findings.iter_mut().find(|findings| findings.known.id == explained_line.kind.id) {
            Some(findings) => {
                findings.times += 1;
                findings.last = last;
            }
            None => findings.push(LogFinding {
                node: node.to_owned(),
                times: 1,
                last,
                known: explained_line.kind,
            }),
        }
    }
    findings
}

/// Renders the messages for people.
pub(super) fn render(findings: &[LogFinding]) -> String {
    if findings.is_empty() {
        return "The logs contain no known messages.\n".to_owned();
    }
    let mut text = "Known messages in the logs, which may be outdated:\n".to_owned();
    for LogFinding { node, times, last, known } in findings {
        let often = if *times == 1 { "once".to_owned() } else { format!("{times} times, most recently") };
        let _ = writeln!(
            text,
            "  {} on {node}: {}\n    {often}: {last}\n    remediation: {}",
            known.id, known.title, known.remediation
        );
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_told_by_meaning_with_its_last_line() {
        let log = "1 core: checksums did not match\n2 fine\n3 core: checksums did not match\u{1b}[2J\n";
        let findings = findings_in_log("vault-0", log);
        let [one] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(
            (one.known.id, one.times, &*one.last),
            ("VTP-303", 2, "3 core: checksums did not match[2J")
        );
        assert!(render(&findings).contains("VTP-303 on vault-0"), "{}", render(&findings));
        assert_eq!(render(&[]), "The logs contain no known messages.\n");
    }
}
