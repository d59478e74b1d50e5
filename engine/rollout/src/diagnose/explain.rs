//! Finds the kinds of findings that messages of a server or a kernel indicate.

use serde::Serialize;

use super::finding::FindingKind;

/// A line that matches a known message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainedLine<'a> {
    /// The line.
    pub line: &'a str,
    /// The kind of finding that it indicates.
    pub kind: &'static FindingKind,
}

/// Returns the lines of `text` that match a known message, in order; the longest pattern wins.
pub fn explain(text: &str) -> Vec<ExplainedLine<'_>> {
    let kinds = super::finding_kinds();
    let all: Vec<(&'static FindingKind, &'static str)> = kinds
        .into_iter()
        .flat_map(|kind| kind.log_patterns.iter().map(move |pattern| (kind, *pattern)))
        .collect();
    let is_healthy = |line: &&str| BENIGN_PATTERNS.iter().any(|pattern| matches_pattern(line, pattern));
    let of_line = |line| {
        let matching = all.iter().filter(|(_, pattern)| matches_pattern(line, pattern));
        let (kind, _) = matching.max_by_key(|(_, pattern)| pattern.len())?;
        Some(ExplainedLine { line, kind })
    };
    text.lines().filter(|line| !is_healthy(line)).filter_map(of_line).collect()
}

/// Messages of a healthy server: it was uninitialized once, and sealed at its start.
const BENIGN_PATTERNS: &[&str] = &[
    "[INFO]  core: security barrier not initialized",
    "activity: could not ",
    "activity: unable to regenerate ACME data",
];

/// Like [`explain`], for the log of a server that is also observed: findings about the state of the server and the
/// permissions of the token come from the observation, not from old log lines.
pub fn explain_log(text: &str) -> Vec<ExplainedLine<'_>> {
    let is_observed = |kind: &FindingKind| {
        let kinds = super::server::ALL.iter().chain(super::permissions::ALL);
        kinds.into_iter().any(|observed| observed.id == kind.id)
    };
    explain(text).into_iter().filter(|explained| !is_observed(explained.kind)).collect()
}

/// Returns whether `line` contains the parts between the stars, in order.
fn matches_pattern(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    pattern.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

impl Serialize for FindingKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut out = serializer.serialize_struct("FindingKind", 6)?;
        out.serialize_field("id", self.id)?;
        out.serialize_field("title", self.title)?;
        out.serialize_field("severity", &self.severity)?;
        out.serialize_field("consequence", self.consequence)?;
        out.serialize_field("remediation", self.remediation)?;
        out.serialize_field("explain", &self.explain_command())?;
        out.end()
    }
}
