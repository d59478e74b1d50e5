//! Removes control characters from the output of plugins, servers and containers, which could contain escape sequences of a terminal.

/// Returns the text without control characters, except for line breaks and tabs.
pub fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control() || matches!(character, '\n' | '\t')).collect()
}

/// Returns the text in one line, without control characters, and cut after `max_chars`.
pub fn printable_line(text: &str, max_chars: usize) -> String {
    text.chars().filter(|character| !character.is_control()).take(max_chars).collect()
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
