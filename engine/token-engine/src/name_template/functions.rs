//! The functions of a template, with the names and parameters that they have in Vault.

use jiff::Timestamp;
use rand::distr::{Alphanumeric, SampleString as _};

use super::layout;
use super::traced_text::TracedText;

/// Names are shorter.
const MAX_RANDOM_LENGTH: usize = 255;

/// The number of digits of the digest at the end of a text that `truncate_sha256` shortens.
const TRUNCATED_DIGEST_LENGTH: usize = 8;

/// The number of hexadecimal digits of a SHA-256 digest.
const SHA256_DIGITS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Random,
    Uuid,
    Truncate,
    TruncateSha256,
    Lowercase,
    Uppercase,
    Replace,
    Sha256,
    UnixTime,
    UnixTimeMillis,
    Timestamp,
    Printf,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParameterType {
    Number,
    Text,
    /// A text in quotes: its value is checked when the template is written.
    Literal,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    Text(TracedText),
    Number(usize),
}

pub(super) const FUNCTIONS: [(&str, Function); 12] = [
    ("random", Function::Random),
    ("uuid", Function::Uuid),
    ("truncate", Function::Truncate),
    ("truncate_sha256", Function::TruncateSha256),
    ("lowercase", Function::Lowercase),
    ("uppercase", Function::Uppercase),
    ("replace", Function::Replace),
    ("sha256", Function::Sha256),
    ("unix_time", Function::UnixTime),
    ("unix_time_millis", Function::UnixTimeMillis),
    ("timestamp", Function::Timestamp),
    ("printf", Function::Printf),
];

impl Function {
    pub(super) fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(_, function)| *function == self).map_or("", |(name, _)| name)
    }

    /// The types of the parameters. `printf` takes more, one for each verb of its format.
    pub(super) fn parameters(self) -> &'static [ParameterType] {
        use ParameterType::{Literal, Number, Text};
        match self {
            Function::Random => &[Number],
            Function::Uuid | Function::UnixTime | Function::UnixTimeMillis => &[],
            Function::Truncate | Function::TruncateSha256 => &[Number, Text],
            Function::Lowercase | Function::Uppercase | Function::Sha256 => &[Text],
            Function::Replace => &[Literal, Literal, Text],
            Function::Timestamp | Function::Printf => &[Literal],
        }
    }

    /// Checks the literals of a call.
    pub(super) fn check_literals(self, literals: &[&str], numbers: &[usize]) -> Result<(), String> {
        match (self, literals, numbers) {
            (Function::Random, _, [length]) if !(1..=MAX_RANDOM_LENGTH).contains(length) => {
                Err(format!("random needs a number of letters from 1 to {MAX_RANDOM_LENGTH}, not {length}"))
            }
            (Function::Truncate, _, [0]) => Err("truncate needs a length of at least 1, not 0".to_owned()),
            (Function::TruncateSha256, _, [length]) if *length <= TRUNCATED_DIGEST_LENGTH => Err(format!(
                "truncate_sha256 needs a length of at least {}, not {length}: the last {TRUNCATED_DIGEST_LENGTH} letters are a digest",
                TRUNCATED_DIGEST_LENGTH + 1
            )),
            (Function::Replace, ["", _], _) => Err("replace needs a text to find, not \"\"".to_owned()),
            (Function::Timestamp, [layout], _) => layout::to_strftime(layout).map(drop),
            _ => Ok(()),
        }
    }
}

impl Argument {
    pub(super) fn into_text(self) -> TracedText {
        match self {
            Argument::Text(text) => text,
            Argument::Number(number) => TracedText::literal(&number.to_string()),
        }
    }
}

/// Calls a function. The number and types of its arguments were checked when the template was parsed.
pub(super) fn call(
    function: Function,
    arguments: Vec<Argument>,
    now: Timestamp,
) -> Result<TracedText, String> {
    use Argument::{Number, Text};
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next();
    let text = match (function, next(), next(), next()) {
        (Function::Random, Some(Number(length)), ..) => {
            TracedText::alphanumeric(&Alphanumeric.sample_string(&mut rand::rng(), length))
        }
        (Function::Uuid, ..) => TracedText::uuid(uuid::Uuid::new_v4()),
        (Function::Truncate, Some(Number(length)), Some(Text(mut text)), _) => {
            text.truncate(length);
            text
        }
        (Function::TruncateSha256, Some(Number(length)), Some(Text(mut text)), _) => {
            if text.len() > length {
                let rest = text.split_off(length - TRUNCATED_DIGEST_LENGTH);
                text.append(rest.sha256(TRUNCATED_DIGEST_LENGTH));
            }
            text
        }
        (Function::Lowercase, Some(Text(mut text)), ..) => {
            text.map_letters(|letter| letter.to_ascii_lowercase());
            text
        }
        (Function::Uppercase, Some(Text(mut text)), ..) => {
            text.map_letters(|letter| letter.to_ascii_uppercase());
            text
        }
        (Function::Replace, Some(Text(find)), Some(Text(with)), Some(Text(text))) => {
            text.replace(&find.to_string(), &with.to_string())?
        }
        (Function::Sha256, Some(Text(text)), ..) => text.sha256(SHA256_DIGITS),
        (Function::UnixTime, ..) => TracedText::literal(&now.as_second().to_string()),
        (Function::UnixTimeMillis, ..) => TracedText::literal(&now.as_millisecond().to_string()),
        (Function::Timestamp, Some(Text(layout)), ..) => {
            TracedText::literal(&layout::format(&layout.to_string(), now)?)
        }
        (Function::Printf, Some(Text(format)), first, second) => {
            print(&format.to_string(), first.into_iter().chain(second).chain(arguments))
        }
        (function, ..) => return Err(format!("{} has wrong arguments", function.name())),
    };
    Ok(text)
}

/// A part of the format of `printf`.
pub(super) enum FormatPart<'a> {
    Text(&'a str),
    /// `%s`, `%d` or `%v`.
    Verb(char),
}

/// Splits the format of `printf`.
pub(super) fn split_format(format: &str) -> Result<Vec<FormatPart<'_>>, String> {
    let (mut rest, mut parts) = (format, Vec::new());
    while let Some((text, after)) = rest.split_once('%') {
        parts.push(FormatPart::Text(text));
        let verb = after.chars().next();
        match verb {
            Some('%') => parts.push(FormatPart::Text("%")),
            Some(verb @ ('s' | 'd' | 'v')) => parts.push(FormatPart::Verb(verb)),
            _ => {
                return Err(format!("printf {format:?} has a % that is not %s, %d, %v or %%"));
            }
        }
        rest = &after[1..];
    }
    parts.push(FormatPart::Text(rest));
    Ok(parts)
}

fn print(format: &str, mut values: impl Iterator<Item = Argument>) -> TracedText {
    let mut printed = TracedText::default();
    for part in split_format(format).unwrap_or_default() {
        match part {
            FormatPart::Text(text) => printed.append(TracedText::literal(text)),
            FormatPart::Verb(_) => {
                printed.append(values.next().map(Argument::into_text).unwrap_or_default());
            }
        }
    }
    printed
}
