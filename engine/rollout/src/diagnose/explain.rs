//! From the words of a server, or of a kernel, to what is known of them.

use serde::Serialize;

use super::finding::FindingKind;

/// A line that says something known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainedLine<'a> {
    /// The line.
    pub line: &'a str,
    /// What it says.
    pub kind: &'static FindingKind,
}

/// The lines of `text` that say something known, in order; of several readings of one line the most particular.
pub fn explain(text: &str) -> Vec<ExplainedLine<'_>> {
    let known = super::finding_kinds();
    let all: Vec<(&'static FindingKind, &'static str)> = known
        .into_iter()
        .flat_map(|known| known.log_patterns.iter().map(move |words| (known, *words)))
        .collect();
    let is_healthy = |line: &&str| BENIGN_PATTERNS.iter().any(|words| matches_pattern(line, words));
    let of_line = |line| {
        let matching = all.iter().filter(|(_, words)| matches_pattern(line, words));
        let (known, _) = matching.max_by_key(|(_, words)| words.len())?;
        Some(ExplainedLine { line, kind: known })
    };
    text.lines().filter(|line| !is_healthy(line)).filter_map(of_line).collect()
}

/// What a server says though nothing is wrong: that it was new once, and sealed when it was started.
const BENIGN_PATTERNS: &[&str] = &[
    "[INFO]  core: security barrier not initialized",
    "activity: could not ",
    "activity: unable to regenerate ACME data",
];

/// As [`explain`], of the log of a server that is looked at too: what state it is in, and what a token may do, is seen and
/// need not be read from what was so once.
pub fn explain_log(text: &str) -> Vec<ExplainedLine<'_>> {
    let is_seen = |known: &FindingKind| {
        let seen = super::server::ALL.iter().chain(super::permissions::ALL);
        seen.into_iter().any(|seen| seen.id == known.id)
    };
    explain(text).into_iter().filter(|told| !is_seen(told.kind)).collect()
}

/// Whether the parts between the stars come one after the other.
fn matches_pattern(line: &str, words: &str) -> bool {
    let mut rest = line;
    words.split('*').all(|part| match rest.find(part) {
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
        let mut out = serializer.serialize_struct("Known", 6)?;
        out.serialize_field("id", self.id)?;
        out.serialize_field("title", self.title)?;
        out.serialize_field("severity", &self.severity)?;
        out.serialize_field("consequence", self.consequence)?;
        out.serialize_field("remediation", self.remediation)?;
        out.serialize_field("explain", &self.explain())?;
        out.end()
    }
}
