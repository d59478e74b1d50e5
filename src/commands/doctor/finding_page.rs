//! Renders the description of a finding, for the documentation and for `doctor --explain`.

use std::fmt::Write as _;

use rollout::{FindingKind, finding_kinds};

use crate::error::CommandError;

/// Returns the finding whose id is the whole text; `None` for any other text.
///
/// # Errors
/// If no finding has that id.
pub(super) fn finding_by_id(text: &str) -> Result<Option<&'static FindingKind>, CommandError> {
    let id = text.trim().to_uppercase();
    let is_id = id.strip_prefix("VTP-").is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()));
    if !is_id {
        return Ok(None);
    }
    let found = finding_kinds().into_iter().find(|kind| kind.id == id);
    found.map(Some).ok_or_else(|| {
        CommandError::usage(format!("there is no finding {id}"))
            .hint("Pass the id as `vault-token-plugin doctor` prints it, for example VTP-301.")
    })
}

/// Renders its page as Markdown.
pub(super) fn render_page(kind: &FindingKind) -> String {
    let FindingKind { id, title, severity, consequence, remediation, log_patterns, verified_by: _ } = kind;
    let mut text = format!(
        "# {id}: {title}\n\n**Severity:** {severity}\n\n## Remediation\n\n{remediation}\n\n## Consequence\n\n{consequence}\n"
    );
    if !log_patterns.is_empty() {
        text.push_str("\n## Messages\n\n```text\n");
        for pattern in *log_patterns {
            let _ = writeln!(text, "{pattern}");
        }
        text.push_str("```\n");
    }
    text
}
