//! The subset of HCL that policies and settings need.

use std::fmt::Write as _;

use rollout::PolicyRule;

/// A quoted string. Characters that would end it or are interpolated are escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A policy of these rules, each with its reason as a comment.
pub(super) fn policy(rights: &[PolicyRule]) -> String {
    let mut text = String::new();
    for (at, right) in rights.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        let capabilities: Vec<String> = right.capabilities.iter().map(|word| quoted(word)).collect();
        let _ = write!(
            text,
            "# {}\npath {} {{\n  capabilities = [{}]\n}}\n",
            right.reason,
            quoted(&right.path),
            capabilities.join(", ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_leave_its_quotes() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
    }
}
