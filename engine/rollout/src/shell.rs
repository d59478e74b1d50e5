//! Quoting for commands that a user copies into a shell.

/// Quotes `text` as one word of a POSIX shell, if that is necessary.
pub fn shell_quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-/:@,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
