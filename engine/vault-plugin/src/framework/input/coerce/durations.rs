//! Coercions to durations in whole seconds.

use serde_json::Value;

use super::CoerceError;
use super::integers;
use super::scalars;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 24 * 60 * 60;
/// The limit of a duration in Go: nanoseconds in 64 bits, about 292 years in either direction.
const MAX_NANOS: u64 = 1 << 63;

/// An error from [`parse_duration`]. The messages are those of Go.
///
/// ```
/// use vault_plugin::framework::{DurationError, parse_duration};
///
/// assert_eq!(parse_duration("1.5"), Err(DurationError::MissingUnit("1.5".to_owned())));
/// assert_eq!(parse_duration("1y").unwrap_err().to_string(), r#"time: unknown unit "y" in duration "1y""#);
/// ```
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum DurationError {
    /// The text does not consist of numbers with units, or exceeds about 292 years.
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    /// A number has no unit.
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    /// A unit is not `ns`, `us`, `ms`, `s`, `m` or `h`. (`d` is only supported alone, after a whole number.)
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit {
        /// The unit as given.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// The number before `d` is not an integer.
    #[error("cannot parse {0:?} as a number of days")]
    Days(String),
    /// The duration exceeds about 292 years.
    #[error("multiplication of durations resulted in overflow, one operand may be too large")]
    Overflow,
}

/// Parses a duration like Vault's API, and returns whole seconds.
///
/// Accepts `"90"` (seconds), `"1d"` (a whole number of days, alone), and Go's durations such as `"1h30m"`, `"1.5h"` and
/// `"-250ms"`. Fractions of a second are dropped. An empty string is zero.
///
/// ```
/// use vault_plugin::framework::parse_duration;
///
/// assert_eq!(parse_duration("1h30m"), Ok(5400));
/// assert_eq!(parse_duration("90"), Ok(90));
/// assert_eq!(parse_duration("2d"), Ok(172_800));
/// assert!(parse_duration("2d12h").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    if text.is_empty() {
        return Ok(0);
    }
    if let Ok(seconds) = integers::decimal(text) {
        return scaled(seconds, 1);
    }
    if let Some(days) = text.strip_suffix('d') {
        let days = integers::decimal(days).map_err(|_| DurationError::Days(days.to_owned()))?;
        return scaled(days, SECONDS_PER_DAY);
    }
    Ok(whole_seconds(parse_nanos(text)?))
}

pub(super) fn seconds(raw: &Value) -> Result<i64, CoerceError> {
    match signed_seconds(raw)? {
        negative if negative < 0 => Err(CoerceError::Negative(negative)),
        seconds => Ok(seconds),
    }
}

pub(super) fn signed_seconds(raw: &Value) -> Result<i64, CoerceError> {
    match raw {
        Value::String(text) => Ok(parse_duration(text)?),
        Value::Number(number) => Ok(scaled(scalars::truncated(number).ok_or(DurationError::Overflow)?, 1)?),
        _ => Err(CoerceError::InvalidDurationType),
    }
}

/// Returns `count` times `seconds`, if Go can represent it in nanoseconds.
fn scaled(count: i64, seconds: i64) -> Result<i64, DurationError> {
    let nanos = count.checked_mul(seconds * NANOS_PER_SECOND).ok_or(DurationError::Overflow)?;
    Ok(nanos / NANOS_PER_SECOND)
}

/// Converts through a float like Go's `Duration.Seconds`: for a large value, the last nanosecond of a second rounds up.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "rounds like Go")]
fn whole_seconds(nanos: i64) -> i64 {
    let seconds = (nanos / NANOS_PER_SECOND) as f64 + (nanos % NANOS_PER_SECOND) as f64 / 1e9;
    seconds as i64
}

/// Parses one or more numbers with units, like Go's `time.ParseDuration`.
fn parse_nanos(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = integers::split_sign(text);
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (whole, after) = take_while(rest, |byte| byte.is_ascii_digit());
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => take_while(after, |byte| byte.is_ascii_digit()),
            None => ("", after),
        };
        let (unit, after) = take_while(after, |byte| byte != b'.' && !byte.is_ascii_digit());
        let whole = whole_number(whole, fraction).ok_or_else(invalid)?;
        let nanos_per_unit = match (unit_nanos(unit), unit) {
            (Some(nanos), _) => nanos,
            (None, "") => return Err(DurationError::MissingUnit(text.to_owned())),
            (None, _) => {
                return Err(DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() });
            }
        };
        let nanos = in_nanos(whole, fraction, nanos_per_unit).ok_or_else(invalid)?;
        total = total.checked_add(nanos).filter(|total| *total <= MAX_NANOS).ok_or_else(invalid)?;
        rest = after;
    }
    let value = if negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() };
    value.ok_or_else(invalid)
}

/// Parses the digits before the decimal point. They may be missing if digits follow it.
fn whole_number(whole: &str, fraction: &str) -> Option<u64> {
    match (whole, fraction) {
        ("", "") => None,
        ("", _) => Some(0),
        _ => whole.parse().ok().filter(|whole| *whole <= MAX_NANOS),
    }
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // The micro sign and the Greek letter are both accepted.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        _ => return None,
    })
}

fn in_nanos(whole: u64, fraction: &str, nanos_per_unit: u64) -> Option<u64> {
    let nanos = whole.checked_mul(nanos_per_unit)?;
    nanos.checked_add(fraction_in_nanos(fraction, nanos_per_unit)).filter(|nanos| *nanos <= MAX_NANOS)
}

/// Uses the digits that fit into an integer, and multiplies as floats, to round like Go.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounds like Go"
)]
fn fraction_in_nanos(fraction: &str, nanos_per_unit: u64) -> u64 {
    let mut numerator = 0_u64;
    let mut denominator = 1_f64;
    for digit in fraction.bytes().map(|byte| u64::from(byte - b'0')) {
        let longer = (numerator <= i64::MAX as u64 / 10).then(|| numerator * 10 + digit);
        let Some(longer) = longer.filter(|longer| *longer <= MAX_NANOS) else { break };
        numerator = longer;
        denominator *= 10.0;
    }
    (numerator as f64 * (nanos_per_unit as f64 / denominator)) as u64
}

fn take_while(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !belongs(byte)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{check, not_given, refuse};
    use super::*;
    use crate::framework::input::FieldType;

    #[test]
    fn durations_are_parsed_to_whole_seconds() {
        for (text, seconds) in [
            ("", 0),
            ("0", 0),
            ("15", 15),
            ("+15", 15),
            ("-15", -15),
            ("90m", 5400),
            ("1.5h", 5400),
            ("1h30m", 5400),
            ("-1h", -3600),
            ("1d", 86_400),
            ("-2d", -172_800),
            ("500ms", 0),
            ("-1500ms", -1),
            ("3000000us", 3),
            ("3000000µs", 3),
            ("3000000μs", 3),
            ("5000000000ns", 5),
            (".5m", 30),
            ("1.m", 60),
            ("0.1h0.1m0.1s", 366),
            ("9223372036s", 9_223_372_036),
        ] {
            assert_eq!(parse_duration(text), Ok(seconds), "{text:?}");
        }
    }

    #[test]
    fn a_fraction_rounds_where_go_rounds() {
        assert_eq!(parse_duration("0.99999999999999999999s"), Ok(1));
        assert_eq!(parse_duration("0.999999999s"), Ok(0));
        assert_eq!(parse_duration("9223372036.854775807s"), Ok(9_223_372_036));
    }

    #[test]
    fn an_invalid_duration_has_the_message_of_go() {
        for (text, message) in [
            ("5 minutes", "time: unknown unit \" minutes\" in duration \"5 minutes\""),
            ("1y", "time: unknown unit \"y\" in duration \"1y\""),
            ("1h1d", "cannot parse \"1h1\" as a number of days"),
            ("1.5d", "cannot parse \"1.5\" as a number of days"),
            ("1.5", "time: missing unit in duration \"1.5\""),
            ("soon", "time: invalid duration \"soon\""),
            ("-", "time: invalid duration \"-\""),
            (".s", "time: invalid duration \".s\""),
            (" 1h", "time: invalid duration \" 1h\""),
            ("3000000h", "time: invalid duration \"3000000h\""),
            ("9223372037", "multiplication of durations resulted in overflow, one operand may be too large"),
            ("106752d", "multiplication of durations resulted in overflow, one operand may be too large"),
        ] {
            assert_eq!(
                parse_duration(text).map_err(|error| error.to_string()),
                Err(message.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn numbers_are_seconds_without_their_fraction() {
        check(FieldType::DurationSecond, json!(90), json!(90));
        check(FieldType::DurationSecond, json!(1.9), json!(1));
        check(FieldType::DurationSecond, json!(-0.5), json!(0));
        let overflow = "multiplication of durations resulted in overflow, one operand may be too large";
        refuse(FieldType::DurationSecond, json!(9_223_372_037_i64), overflow);
        refuse(FieldType::DurationSecond, json!(1e21), overflow);
    }

    #[test]
    fn only_the_signed_type_accepts_a_negative_duration() {
        check(FieldType::SignedDurationSecond, json!("-90s"), json!(-90));
        check(FieldType::SignedDurationSecond, json!(-90), json!(-90));
        refuse(FieldType::DurationSecond, json!("-90s"), "cannot provide negative value '-90'");
        check(FieldType::DurationSecond, json!("-500ms"), json!(0));
    }

    #[test]
    fn null_counts_as_missing_and_other_types_are_rejected() {
        not_given(FieldType::DurationSecond, json!(null));
        for raw in [json!(true), json!([]), json!({}), json!(["1h"])] {
            refuse(FieldType::DurationSecond, raw, "could not parse duration from input");
        }
    }
}
