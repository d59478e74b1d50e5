//! What is known of a finding, as a page: the same in the documentation and on a terminal.

use std::fmt::Write as _;

use rollout::{FindingKind, finding_kinds};

use crate::error::CommandError;

/// The finding that a text names by its id and nothing else; `None` for any other text.
///
/// # Errors
/// When there is no finding of that id.
pub(super) fn finding_by_id(text: &str) -> Result<Option<&'static FindingKind>, CommandError> {
    let id = text.trim().to_uppercase();
    let is_id = id.strip_prefix("VTP-").is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()));
    if !is_id {
        return Ok(None);
    }
    let found = finding_kinds().into_iter().find(|kind| kind.id == id);
    found.map(Some).ok_or_else(|| {
        CommandError::usage(format!("there is no finding {id}"))
            .hint("A finding is named as `vault-token-plugin doctor` prints it, for example VTP-301.")
    })
}

/// Its page.
pub(super) fn render_page(kind: &FindingKind) -> String {
    let FindingKind { id, title, severity, consequence, remediation, log_patterns, verified_by: _ } = kind;
    let mut text = format!(
        "# {id}: {title}\n\n**Severity:** {severity}\n\n## What it breaks\n\n{consequence}\n\n## What cures it\n\n{remediation}\n"
    );
    if !log_patterns.is_empty() {
        text.push_str("\n## How it is said\n\n```text\n");
        for pattern in *log_patterns {
            let _ = writeln!(text, "{pattern}");
        }
        text.push_str("```\n");
    }
    text
}
