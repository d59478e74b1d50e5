//! Translates a pattern from Go's syntax to the syntax of the `regex` crate.
//!
//! Both are RE2, with these differences: here `\w`, `\d`, `\s` and `\b` are Unicode by default; inside a class `[`, `&&`,
//! `--` and `~~` are operators, and a range must not begin with a class; `\Q…\E`, `\<`, `\>`, octal escapes and a `{` without
//! a repetition are parsed differently or not at all.

use std::iter::Peekable;
use std::str::Chars;

use super::PatternError;

/// Returns `pattern` in the syntax of the `regex` crate.
///
/// Syntax that both do not support is unchanged, so that the regex compiler reports it.
pub(super) fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut translation = Translation { pattern, rest: pattern.chars().peekable(), out: String::new() };
    translation.run()?;
    Ok(translation.out)
}

struct Translation<'a> {
    pattern: &'a str,
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Translation<'_> {
    fn run(&mut self) -> Result<(), PatternError> {
        while let Some(letter) = self.rest.next() {
            match letter {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '{' => self.brace(),
                '}' | ']' => self.literal(letter),
                _ => self.out.push(letter),
            }
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        match self.rest.next() {
            Some('Q') => self.quotation(),
            Some('b') => self.out.push_str(r"(?-u:\b)"),
            // It would also match between the bytes of one character, where a string cannot be split.
            Some('B') => return Err(self.unsupported(r"\B")),
            Some(letter) => match ascii_class(letter) {
                Some(class) => self.out.push_str(class),
                None => self.plain_escape(letter),
            },
            None => self.out.push('\\'),
        }
        Ok(())
    }

    /// Writes the text before `\E`, or before the end, as literals.
    fn quotation(&mut self) {
        while let Some(letter) = self.rest.next() {
            if letter == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(letter);
        }
    }

    /// Writes an escape that has the same meaning inside and outside a class.
    fn plain_escape(&mut self, letter: char) {
        match letter {
            '0'..='7' => self.octal(letter),
            _ if letter.is_ascii_alphanumeric() => {
                self.out.push('\\');
                self.out.push(letter);
                if matches!(letter, 'p' | 'P' | 'x') {
                    self.braced_argument();
                }
            }
            _ => self.literal(letter),
        }
    }

    /// Translates an octal escape. Go accepts up to three octal digits, but rejects a single digit from 1 to 7 as a back reference.
    fn octal(&mut self, first: char) {
        let mut digits = String::from(first);
        while let Some(digit) = self.rest.next_if(|next| digits.len() < 3 && next.is_digit(8)) {
            digits.push(digit);
        }
        match u32::from_str_radix(&digits, 8) {
            Ok(code) if digits == "0" || digits.len() > 1 => self.out.push_str(&format!(r"\x{{{code:x}}}")),
            _ => self.out.push_str(&format!(r"\{digits}")),
        }
    }

    /// Copies the `{…}` of an escape, which is not a repetition.
    fn braced_argument(&mut self) {
        if self.rest.peek() == Some(&'{') {
            for letter in self.rest.by_ref() {
                self.out.push(letter);
                if letter == '}' {
                    break;
                }
            }
        }
    }

    /// Copies a repetition, or writes a brace as a literal.
    fn brace(&mut self) {
        let ahead: String = self.rest.clone().take_while(|letter| *letter != '}').collect();
        let closed = self.rest.clone().nth(ahead.chars().count()) == Some('}');
        let is_count = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let repeats = match ahead.split_once(',') {
            None => is_count(&ahead),
            Some((min, max)) => is_count(min) && (max.is_empty() || is_count(max)),
        };
        if !(closed && repeats) {
            return self.literal('{');
        }
        self.out.push('{');
        self.out.push_str(&ahead);
        self.out.push('}');
        self.rest.nth(ahead.len());
    }

    fn class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        // A bracket in the first position is a literal.
        if self.rest.next_if_eq(&']').is_some() {
            self.literal(']');
            self.range_end();
        }
        while let Some(letter) = self.rest.next() {
            match letter {
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' if self.named_class() => {}
                '\\' => self.class_escape()?,
                _ => {
                    self.literal(letter);
                    self.range_end();
                }
            }
        }
        Ok(())
    }

    fn class_escape(&mut self) -> Result<(), PatternError> {
        let Some(letter) = self.rest.next() else { return Ok(()) };
        match (ascii_class(letter), letter) {
            (Some(class), _) => self.out.push_str(class),
            (None, 'Q' | 'E') => return Err(self.unsupported(&format!(r"\{letter} in a class"))),
            (None, 'p' | 'P') => self.plain_escape(letter),
            (None, _) => {
                self.plain_escape(letter);
                self.range_end();
            }
        }
        Ok(())
    }

    /// Copies `[:name:]` after its first bracket. Returns whether there was one.
    fn named_class(&mut self) -> bool {
        if self.rest.peek() != Some(&':') {
            return false;
        }
        let inner: String = self.rest.clone().skip(1).take_while(|letter| *letter != ':').collect();
        let mut after = self.rest.clone().skip(1 + inner.chars().count());
        if after.next() != Some(':') || after.next() != Some(']') {
            return false;
        }
        self.out.push_str(&format!("[:{inner}:]"));
        self.rest.nth(inner.chars().count() + 2);
        true
    }

    /// Writes the rest of a range after its first character, if it is a range.
    fn range_end(&mut self) {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || matches!(ahead.next(), None | Some(']')) {
            return;
        }
        self.rest.next();
        self.out.push('-');
        match self.rest.next() {
            Some('\\') => {
                if let Some(letter) = self.rest.next() {
                    self.plain_escape(letter);
                }
            }
            Some(letter) => self.literal(letter),
            None => {}
        }
    }

    fn literal(&mut self, letter: char) {
        self.out.push_str(&regex_syntax::escape(letter.encode_utf8(&mut [0; 4])));
    }

    fn unsupported(&self, found: &str) -> PatternError {
        PatternError::Unsupported { pattern: self.pattern.to_owned(), found: found.to_owned() }
    }
}

/// Returns the ASCII class for a letter after a backslash, in a form that is valid inside another class.
fn ascii_class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    /// Asserts that `pattern` matches all of `members` and none of `others` as a whole.
    fn check(pattern: &str, members: &[&str], others: &[&str]) {
        let translated = translate(pattern).unwrap();
        let regex = Regex::new(&format!("^(?:{translated})$")).unwrap();
        for text in members {
            assert!(regex.is_match(text), "{pattern} ({translated}) should match {text:?}");
        }
        for text in others {
            assert!(!regex.is_match(text), "{pattern} ({translated}) should not match {text:?}");
        }
    }

    #[test]
    fn classes_are_ascii() {
        check(r"\w", &["a", "0", "_"], &["é", "٣", "-"]);
        check(r"\W", &["é", "-"], &["a"]);
        check(r"\d", &["5"], &["٣"]);
        check(r"\D", &["٣", "a"], &["5"]);
        check(r"\s", &[" ", "\t"], &["\u{a0}", "\u{b}"]);
        check(r"\S", &["\u{a0}", "\u{b}"], &[" "]);
        check(r"a\b.", &["aé", "a "], &["ab"]);
    }

    #[test]
    fn a_hyphen_beside_a_class_in_a_class_is_a_literal() {
        check(r"[\w-.]", &["a", "-", "."], &["/", "+"]);
        check(r"[\d-z]", &["5", "-", "z"], &["a"]);
        check(r"[a-z-9]", &["b", "-", "9"], &["5"]);
        check(r"[a-]", &["a", "-"], &["b"]);
        check(r"[-a]", &["a", "-"], &["b"]);
        check(r"[--/]", &["-", ".", "/"], &["a"]);
        check(r"[+--]", &["+", ",", "-"], &["."]);
    }

    #[test]
    fn brackets_and_operators_in_a_class_are_literals() {
        check(r"[^[]", &["a", "]"], &["["]);
        check(r"[[a]", &["[", "a"], &["b"]);
        check(r"[]a]", &["]", "a"], &["b"]);
        check(r"[^]a]", &["b"], &["]", "a"]);
        check(r"[a&&b]", &["a", "b", "&"], &["c"]);
        check(r"[a~~b]", &["a", "b", "~"], &["c"]);
        check(r"[\]\[\\^-]", &["]", "[", "\\", "^", "-"], &["a"]);
        check(r"[\W_]", &["_", "-"], &["a"]);
    }

    #[test]
    fn named_classes_are_kept() {
        check("[[:word:]-]", &["a", "_", "-"], &[":", "é"]);
        check("[[:^alpha:]]", &["5"], &["a"]);
        check("[[:word]", &["[", ":", "w"], &["a"]);
        check(r"[\pL\x{31}-3]", &["é", "2"], &["4"]);
        check(r"\p{Greek}{2}", &["αβ"], &["α", "ab"]);
    }

    #[test]
    fn quoted_text_is_literal() {
        check(r"\Qa.b\E+", &["a.b", "a.bb"], &["axb", "a.ba.b"]);
        check(r"\Q[\w]\E", &[r"[\w]"], &["a"]);
        check(r"\Qa*", &["a*"], &["aa"]);
    }

    #[test]
    fn braces_are_repetitions_or_literals() {
        check("a{2}b{1,}c{0,1}", &["aab", "aabbc"], &["ab", "aacc"]);
        check("a{,2}", &["a{,2}"], &["aa"]);
        check("{name}", &["{name}"], &["name"]);
        check("a{2", &["a{2"], &["aa"]);
        check("a{}]", &["a{}]"], &[]);
    }

    #[test]
    fn escapes_are_those_of_go() {
        check(r"\<\>\-\_\/\.", &["<>-_/."], &[]);
        check(r"\101\0\x41\x{42}\n", &["A\0AB\n"], &[]);
        assert!(Regex::new(&translate(r"(a)\1").unwrap()).is_err());
        assert!(Regex::new(&translate(r"[a-\d]").unwrap()).is_err());
    }

    #[test]
    fn untranslatable_syntax_is_rejected() {
        assert!(matches!(translate(r"\B"), Err(PatternError::Unsupported { .. })));
        assert!(matches!(translate(r"[\Qa\E]"), Err(PatternError::Unsupported { .. })));
    }
}
