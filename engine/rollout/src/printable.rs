//! Words of others, made harmless for a terminal: a plugin, a server or a container may write escape sequences, which would
//! act on the terminal of whoever reads them.

/// The text without control characters. Line breaks and tabs stay.
pub fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')).collect()
}

/// The text in one line without control characters, and at most this many characters of it.
pub fn printable_line(text: &str, most: usize) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_become_plain_text() {
        let hostile = "a\u{1b}]52;c;eA==\u{7}\n\tb\u{1b}[2J\r\u{9b}2J\u{7f}ü";
        assert_eq!(printable(hostile), "a]52;c;eA==\n\tb[2J2Jü");
        assert_eq!(printable_line(hostile, 100), "a]52;c;eA==b[2J2Jü");
        assert_eq!(printable_line(hostile, 2), "a]");
    }
}
