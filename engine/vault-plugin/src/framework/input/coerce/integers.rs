//! Parses integers like Go's `strconv.ParseInt`.

/// An error from parsing an integer. The messages are those of Go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum IntegerError {
    InvalidSyntax,
    OutOfRange,
}

impl IntegerError {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::InvalidSyntax => "invalid syntax",
            Self::OutOfRange => "value out of range",
        }
    }
}

/// Parses a decimal integer: an optional sign, then digits.
pub(super) fn decimal(text: &str) -> Result<i64, IntegerError> {
    let (negative, digits) = split_sign(text);
    signed(negative, digits, 10)
}

/// Parses an integer with an optional base prefix (`0x`, `0o`, `0b`, or `0` for octal) and with `_` between digits.
pub(super) fn literal(text: &str) -> Result<i64, IntegerError> {
    let (negative, unsigned) = split_sign(text);
    let (base, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // An underscore may follow a prefix.
    let separated = if base == 10 { digits } else { digits.strip_prefix('_').unwrap_or(digits) };
    if !underscores_separate_digits(separated) {
        return Err(IntegerError::InvalidSyntax);
    }
    signed(negative, &separated.replace('_', ""), base)
}

/// Whether each `_` is between two digits of any base.
pub(super) fn underscores_separate_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_hexdigit);
    let mut underscores = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_');
    underscores.all(|(at, _)| is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1)))
}

/// Splits off a sign, and returns whether it is a minus.
pub(super) fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn signed(negative: bool, digits: &str, base: u32) -> Result<i64, IntegerError> {
    // `from_str_radix` would accept a second sign.
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return Err(IntegerError::InvalidSyntax);
    }
    let magnitude = u64::from_str_radix(digits, base).map_err(|_| IntegerError::OutOfRange)?;
    let value = if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() };
    value.ok_or(IntegerError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<i64, IntegerError>) {
        assert_eq!(literal(text), expected, "{text:?}");
    }

    #[test]
    fn the_prefix_selects_the_base() {
        for (text, value) in [
            ("0x10", 16),
            ("0X1f", 31),
            ("010", 8),
            ("0o17", 15),
            ("0b101", 5),
            ("-0x10", -16),
            ("+5", 5),
            ("0", 0),
        ] {
            check(text, Ok(value));
        }
    }

    #[test]
    fn underscores_are_only_allowed_between_digits() {
        for (text, value) in [("1_000", 1000), ("0x_1f", 31), ("0_7", 7)] {
            check(text, Ok(value));
        }
        for text in ["_1", "1_", "1__0", "0x1_"] {
            check(text, Err(IntegerError::InvalidSyntax));
        }
    }

    #[test]
    fn anything_else_is_rejected() {
        for text in ["", "-", "+-5", "--5", " 1", "1 ", "1.0", "0x", "08", "ten", "1e3", "٣"] {
            check(text, Err(IntegerError::InvalidSyntax));
        }
    }

    #[test]
    fn the_range_is_that_of_64_bits() {
        check("9223372036854775807", Ok(i64::MAX));
        check("-9223372036854775808", Ok(i64::MIN));
        check("9223372036854775808", Err(IntegerError::OutOfRange));
        check("-9223372036854775809", Err(IntegerError::OutOfRange));
        check("99999999999999999999999", Err(IntegerError::OutOfRange));
    }

    #[test]
    fn a_decimal_has_neither_prefix_nor_underscore() {
        assert_eq!(decimal("010"), Ok(10));
        assert_eq!(decimal("-7"), Ok(-7));
        assert_eq!(decimal("0x10"), Err(IntegerError::InvalidSyntax));
        assert_eq!(decimal("1_000"), Err(IntegerError::InvalidSyntax));
    }
}
