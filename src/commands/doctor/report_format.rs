//! Findings as documents of build servers.

use std::fmt::Write as _;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rollout::{Finding, Severity, finding_kinds};
use serde_json::json;

use crate::context::OutputFormat;

/// The formats of every command and, shown too, those of build servers.
pub(super) fn every_output_format() -> impl TypedValueParser<Value = OutputFormat> {
    let formats = OutputFormat::value_variants().iter().filter_map(OutputFormat::to_possible_value);
    PossibleValuesParser::new(formats.map(|format| format.hide(false)))
        .try_map(|text| OutputFormat::from_str(&text, false))
}

/// One test case for each finding, and one that passes where there is none.
pub(super) fn junit(findings: &[Finding]) -> String {
    let failures = findings.len();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"vault-token-plugin doctor\" tests=\"{}\" failures=\"{failures}\">\n",
        failures.max(1)
    );
    if findings.is_empty() {
        text.push_str("  <testcase classname=\"doctor\" name=\"healthy\"/>\n");
    }
    for finding in findings {
        let _ = writeln!(
            text,
            "  <testcase classname=\"{}\" name=\"{}\"><failure type=\"{}\" message=\"{}\">{}</failure></testcase>",
            finding.id,
            escape_xml(&finding.subject),
            finding.severity,
            escape_xml(finding.title),
            escape_xml(&finding_text(finding))
        );
    }
    text.push_str("</testsuite>\n");
    text
}

/// SARIF 2.1.0.
pub(super) fn sarif(findings: &[Finding]) -> String {
    let rules: Vec<_> = finding_kinds()
        .into_iter()
        .map(|known| json!({"id": known.id, "shortDescription": {"text": known.title}, "help": {"text": known.remediation}}))
        .collect();
    let results: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "ruleId": finding.id,
                "level": sarif_level(finding.severity),
                "message": {"text": format!("{}: {}. {}", finding.subject, finding.title, finding_text(finding))},
                "locations": [{"logicalLocations": [{"fullyQualifiedName": finding.subject}]}],
            })
        })
        .collect();
    let driver = json!({"name": "vault-token-plugin", "version": env!("CARGO_PKG_VERSION"), "rules": rules});
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    });
    format!("{document:#}\n")
}

fn sarif_level(severity: Severity) -> &'static str {
    match severity {
        Severity::BreaksNow | Severity::BreaksAtRestart => "error",
        Severity::Risk => "warning",
        Severity::Note => "note",
    }
}

fn finding_text(finding: &Finding) -> String {
    let commands: Vec<String> = finding.commands.iter().map(|command| format!("\n{command}")).collect();
    format!(
        "Seen: {}. {} {}{}",
        finding.evidence,
        finding.consequence,
        finding.remediation,
        commands.concat()
    )
}

fn escape_xml(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no way to say these.
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escape_xml("a<b>&\"c\u{1b}"), "a&lt;b&gt;&amp;&quot;c ");
    }

    #[test]
    fn a_healthy_server_is_a_test_that_passes() {
        assert!(junit(&[]).contains("tests=\"1\" failures=\"0\""));
        let document: serde_json::Value = serde_json::from_str(&sarif(&[])).expect("JSON");
        assert_eq!(document["runs"][0]["results"], json!([]));
    }
}
