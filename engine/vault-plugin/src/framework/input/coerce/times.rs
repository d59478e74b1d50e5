//! Coercion to a point in time.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde_json::Value;

use super::CoerceError;
use super::integers;

/// Returns RFC 3339 in UTC.
///
/// Unlike Go, it accepts a JSON number. In Go a number is a float, which `parseutil` rejects, so that the documented seconds
/// since the epoch only work as a string.
pub(super) fn time(raw: &Value) -> Result<String, CoerceError> {
    let utc = match raw {
        Value::String(text) => parse(text).ok_or(CoerceError::NotATime)?,
        Value::Number(number) => number.as_i64().and_then(from_epoch).ok_or(CoerceError::InvalidTimeType)?,
        _ => return Err(CoerceError::InvalidTimeType),
    };
    Ok(format!("{utc}Z"))
}

fn parse(text: &str) -> Option<DateTime> {
    parse_rfc3339(text).or_else(|| from_epoch(integers::decimal(text).ok()?))
}

fn from_epoch(seconds: i64) -> Option<DateTime> {
    const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    EPOCH.checked_add(SignedDuration::from_secs(seconds)).ok().filter(has_rfc3339_form)
}

/// Parses RFC 3339 like Go's `time.Parse`: the hour may have one digit, a comma may precede the fraction, and `T` and `Z`
/// are upper case.
fn parse_rfc3339(text: &str) -> Option<DateTime> {
    let mut rest = Rfc3339Parser { text };
    let year = rest.number(4)?;
    let month = rest.after(b'-')?.number(2)?;
    let day = rest.after(b'-')?.number(2)?;
    let hour = rest.after(b'T')?.number_of_one_or_two()?;
    let minute = rest.after(b':')?.number(2)?;
    let second = rest.after(b':')?.number(2)?;
    let nanosecond = rest.fraction()?;
    let offset = rest.offset()?;
    let local = DateTime::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
        i8::try_from(hour).ok()?,
        i8::try_from(minute).ok()?,
        i8::try_from(second).ok()?,
        nanosecond,
    );
    local.ok()?.checked_sub(offset).ok().filter(has_rfc3339_form)
}

/// Whether the year has four digits, as RFC 3339 requires.
fn has_rfc3339_form(utc: &DateTime) -> bool {
    (0..=9999).contains(&utc.year())
}

/// The unparsed rest of a string.
struct Rfc3339Parser<'a> {
    text: &'a str,
}

impl Rfc3339Parser<'_> {
    fn after(&mut self, separator: u8) -> Option<&mut Self> {
        self.text = self.text.strip_prefix(char::from(separator))?;
        Some(self)
    }

    fn number(&mut self, width: usize) -> Option<u16> {
        let (digits, rest) = self.text.split_at_checked(width)?;
        self.text = rest;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    }

    fn number_of_one_or_two(&mut self) -> Option<u16> {
        let second_is_digit = self.text.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        self.number(if second_is_digit { 2 } else { 1 })
    }

    /// Parses optional nanoseconds. Digits after the ninth are ignored.
    fn fraction(&mut self) -> Option<i32> {
        let Some(after) = self.text.strip_prefix(['.', ',']) else { return Some(0) };
        let end = after.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(after.len());
        let (digits, rest) = after.split_at(end);
        self.text = rest;
        if digits.is_empty() {
            return None;
        }
        format!("{:0<9}", &digits[..digits.len().min(9)]).parse().ok()
    }

    /// Parses `Z` or `±hh:mm` at the end of the string.
    fn offset(&mut self) -> Option<SignedDuration> {
        if self.text == "Z" {
            return Some(SignedDuration::ZERO);
        }
        let (sign, rest) = self.text.split_at_checked(1)?;
        self.text = rest;
        let hours = self.number(2)?;
        let minutes = self.after(b':')?.number(2)?;
        // The limits of Go, which are wider than those of a clock.
        if !self.text.is_empty() || hours > 24 || minutes > 60 {
            return None;
        }
        let east = SignedDuration::from_mins(i64::from(hours) * 60 + i64::from(minutes));
        match sign {
            "+" => Some(east),
            "-" => Some(-east),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{check, not_given, refuse};
    use crate::framework::input::FieldType;

    #[test]
    fn rfc_3339_is_converted_to_utc() {
        for (text, utc) in [
            ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
            ("2024-01-02T03:04:05+02:30", "2024-01-02T00:34:05Z"),
            ("2024-01-02T03:04:05-24:60", "2024-01-03T04:04:05Z"),
            ("2024-01-02T03:04:05.100Z", "2024-01-02T03:04:05.1Z"),
            ("2024-01-02T03:04:05,5Z", "2024-01-02T03:04:05.5Z"),
            ("2024-01-02T03:04:05.1234567899Z", "2024-01-02T03:04:05.123456789Z"),
            ("2024-01-02T3:04:05Z", "2024-01-02T03:04:05Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ] {
            check(FieldType::Time, json!(text), json!(utc));
        }
    }

    #[test]
    fn seconds_since_the_epoch_are_given_as_a_string_or_number() {
        check(FieldType::Time, json!("1700000000"), json!("2023-11-14T22:13:20Z"));
        check(FieldType::Time, json!(1_700_000_000), json!("2023-11-14T22:13:20Z"));
        check(FieldType::Time, json!("-1"), json!("1969-12-31T23:59:59Z"));
    }

    #[test]
    fn a_time_that_go_rejects_is_rejected() {
        for text in [
            "",
            "2024-01-02",
            "2024-01-02 03:04:05Z",
            "2024-01-02t03:04:05Z",
            "2024-01-02T03:04:05z",
            "2024-01-02T03:04:05",
            "2024-01-02T03:04:05.Z",
            "2024-01-02T03:04:05Z ",
            "2024-01-02T03:04:05+2400",
            "2024-01-02T03:04:05+25:00",
            "2024-02-30T03:04:05Z",
            "2024-01-02T24:00:00Z",
            "2024-01-02T23:59:60Z",
            "1700000000.5",
            "é024-01-02T03:04:05Z",
        ] {
            refuse(FieldType::Time, json!(text), "could not parse string as date and time");
        }
        for raw in [json!(1.5), json!(true), json!([]), json!({})] {
            refuse(FieldType::Time, raw, "could not parse time from input type");
        }
    }

    #[test]
    fn a_time_that_rfc_3339_cannot_represent_is_rejected() {
        for text in ["9223372036854775807", "0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"] {
            refuse(FieldType::Time, json!(text), "could not parse string as date and time");
        }
    }

    #[test]
    fn null_counts_as_missing() {
        not_given(FieldType::Time, json!(null));
    }
}
