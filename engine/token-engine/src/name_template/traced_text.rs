//! Text that records for each letter where it comes from: from the template, from a variable, or from a random generator.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// The random bits of a hexadecimal digit.
const BITS_OF_HEX_DIGIT: f64 = 4.0;

/// The random bits of an alphanumeric letter whose case is ignored: the most frequent values have the probability 2/62.
const BITS_OF_ALPHANUMERIC: f64 = 4.95;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TracedText(Vec<Letter>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Letter {
    letter: char,
    origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Origin {
    /// From the template, or derived from a variable. It is never removed.
    Literal,
    /// A letter of a variable. It can be removed from a name that is too long.
    Variable,
    /// A random letter with this many bits. It is never removed.
    Random(f64),
}

/// The rules for a whole name.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameRules {
    pub(super) max_length: usize,
    pub(super) dns_label: bool,
}

/// The constructors.
impl TracedText {
    pub(super) fn literal(text: &str) -> TracedText {
        TracedText::with_origin(text, Origin::Literal)
    }

    pub(super) fn variable(text: &str) -> TracedText {
        TracedText::with_origin(text, Origin::Variable)
    }

    /// Random ASCII letters and digits.
    pub(super) fn alphanumeric(text: &str) -> TracedText {
        TracedText::with_origin(text, Origin::Random(BITS_OF_ALPHANUMERIC))
    }

    /// A random UUID of version 4.
    pub(super) fn uuid(uuid: uuid::Uuid) -> TracedText {
        let text = uuid.hyphenated().to_string();
        let letters = text.char_indices().map(|(index, letter)| Letter {
            letter,
            origin: match index {
                _ if letter == '-' => Origin::Literal,
                // The version is fixed, and two bits of the variant.
                14 => Origin::Literal,
                19 => Origin::Random(2.0),
                _ => Origin::Random(BITS_OF_HEX_DIGIT),
            },
        });
        TracedText(letters.collect())
    }

    fn with_origin(text: &str, origin: Origin) -> TracedText {
        TracedText(text.chars().map(|letter| Letter { letter, origin }).collect())
    }
}

/// The operations of the functions of a template.
impl TracedText {
    pub(super) fn append(&mut self, mut other: TracedText) {
        self.0.append(&mut other.0);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns how many bits an observer must guess who knows everything but the random letters.
    pub(super) fn random_bits(&self) -> f64 {
        let bits = self.0.iter().map(|letter| match letter.origin {
            Origin::Random(bits) => bits,
            Origin::Literal | Origin::Variable => 0.0,
        });
        // The sum of nothing is -0.
        bits.fold(0.0, |sum, bits| sum + bits)
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    pub(super) fn split_off(&mut self, at: usize) -> TracedText {
        TracedText(self.0.split_off(at))
    }

    /// Returns the first digits of the SHA-256 digest in hexadecimal.
    pub(super) fn sha256(&self, digits: usize) -> TracedText {
        let mut remaining = self.random_bits();
        let digest = HEXLOWER.encode(&Sha256::digest(self.to_string()));
        let is_random = self.0.iter().any(|letter| matches!(letter.origin, Origin::Random(_)));
        // Each digit has four bits until those of the text are used up. Functions cut only at the end, so the first digits remain.
        let letters = digest.chars().take(digits).map(|letter| {
            let bits = remaining.min(BITS_OF_HEX_DIGIT);
            remaining -= bits;
            Letter { letter, origin: if is_random { Origin::Random(bits) } else { Origin::Literal } }
        });
        TracedText(letters.collect())
    }

    pub(super) fn map_letters(&mut self, change: fn(char) -> char) {
        for letter in &mut self.0 {
            letter.letter = change(letter.letter);
        }
    }

    /// Replaces each occurrence of a text. Fails if it could be in the random letters: then names would have fewer random bits.
    pub(super) fn replace(self, find: &str, with: &str) -> Result<TracedText, String> {
        let is_random = self.0.iter().any(|letter| matches!(letter.origin, Origin::Random(_)));
        if is_random && find.contains(|letter: char| letter.is_ascii_alphanumeric()) {
            return Err(format!(
                "replace {find:?} could change random letters; apply it to the other parts, before they are joined with the random one"
            ));
        }
        let find: Vec<char> = find.chars().collect();
        let (mut rest, mut replaced) = (&self.0[..], TracedText::default());
        while let Some((first, others)) = rest.split_first() {
            let found =
                rest.len() >= find.len() && rest.iter().zip(&find).all(|(one, other)| one.letter == *other);
            if found {
                // The replacement of a part of a variable can be removed like the variable.
                let origin =
                    if first.origin == Origin::Variable { Origin::Variable } else { Origin::Literal };
                replaced.append(TracedText::with_origin(with, origin));
                rest = &rest[find.len()..];
            } else {
                replaced.0.push(*first);
                rest = others;
            }
        }
        Ok(replaced)
    }

    /// Returns the name in the alphabet and the length that the API accepts. Only letters of variables are removed, from the end of the
    /// longest variable.
    pub(super) fn fit(mut self, rules: NameRules) -> Result<TracedText, String> {
        if rules.dns_label {
            self.map_letters(|letter| match letter.to_ascii_lowercase() {
                letter @ ('a'..='z' | '0'..='9') => letter,
                _ => '-',
            });
        }
        self.trim_ends(rules);
        self.remove_variable_letters(self.len().saturating_sub(rules.max_length));
        if self.len() > rules.max_length {
            return Err(format!(
                "a name has {} letters without those of the role and of the caller, and the API accepts {}",
                self.len(),
                rules.max_length
            ));
        }
        self.trim_ends(rules);
        Ok(self)
    }

    /// Removes what a service may remove or refuse at the ends of a name: spaces, and `-` of a DNS label.
    fn trim_ends(&mut self, rules: NameRules) {
        let is_trimmed = |letter: &Letter| letter.letter == ' ' || rules.dns_label && letter.letter == '-';
        let start = self.0.iter().take_while(|letter| is_trimmed(letter)).count();
        self.0.drain(..start);
        let end = self.0.iter().rev().take_while(|letter| is_trimmed(letter)).count();
        self.0.truncate(self.0.len() - end);
    }

    /// Removes letters at the end of the longest run of letters of a variable, one after the other.
    fn remove_variable_letters(&mut self, count: usize) {
        let mut runs: Vec<Run> = Vec::new();
        let is_variable = |letter: &Letter| letter.origin == Origin::Variable;
        for start in
            self.0.iter().enumerate().filter(|(_, letter)| is_variable(letter)).map(|(index, _)| index)
        {
            match runs.last_mut().filter(|run| run.start + run.length == start) {
                Some(run) => run.length += 1,
                None => runs.push(Run { start, length: 1 }),
            }
        }
        for _ in 0..count {
            if let Some(longest) = runs.iter_mut().max_by_key(|run| run.length) {
                longest.length = longest.length.saturating_sub(1);
            }
        }
        let kept = |index| runs.iter().any(|run| (run.start..run.start + run.length).contains(&index));
        let mut index = 0;
        self.0.retain(|letter| {
            index += 1;
            !is_variable(letter) || kept(index - 1)
        });
    }
}

/// Adjacent letters of variables.
struct Run {
    start: usize,
    length: usize,
}

impl fmt::Display for TracedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| fmt::Write::write_char(f, letter.letter))
    }
}
