//! Parses the expiry of a token in a response.

use data_encoding::BASE64URL_NOPAD;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::upstream::description::{Expires, ExpiryUnit};

/// An expiry that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpiryError {
    #[error("the response contains no expiry of the token")]
    Missing,
    #[error("the time at which the token ends is not {0}")]
    Unreadable(&'static str),
}

/// Returns the expiry of a token. `None` if it is optional and missing.
pub(super) fn read_expiry(
    expires: Option<&Expires>,
    body: &Value,
    now: Timestamp,
) -> Result<Option<Timestamp>, ExpiryError> {
    let Some((expires, (unit, pointer))) = expires.and_then(|expires| Some((expires, expires.unit()?)))
    else {
        return Ok(None);
    };
    let value = match pointer.find(body) {
        None | Some(Value::Null) if expires.optional => return Ok(None),
        None | Some(Value::Null) => return Err(ExpiryError::Missing),
        Some(value) => value,
    };
    let (instant, expected) = match unit {
        ExpiryUnit::Rfc3339 => (value.as_str().and_then(parse_time), "an RFC 3339 time"),
        ExpiryUnit::Epoch => {
            (number(value).and_then(|at| Timestamp::from_second(at).ok()), "a number of seconds since 1970")
        }
        ExpiryUnit::EpochMs => (
            number(value).and_then(|at| Timestamp::from_millisecond(at).ok()),
            "a number of milliseconds since 1970",
        ),
        ExpiryUnit::Date => (value.as_str().and_then(parse_date), "a date"),
        ExpiryUnit::InSeconds => (after(value, 1, now), "a number of seconds"),
        ExpiryUnit::InMinutes => (after(value, 60, now), "a number of minutes"),
        ExpiryUnit::InDays => (after(value, 24 * 60 * 60, now), "a number of days"),
        ExpiryUnit::Jwt => (value.as_str().and_then(jwt_expiry), "in a JWT with the claim exp"),
    };
    instant.map(Some).ok_or(ExpiryError::Unreadable(expected))
}

/// Reads a value as an expiry in every unit.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn expiries(value: &Value, now: Timestamp) -> Vec<Timestamp> {
    let units = ["rfc3339", "epoch", "epoch_ms", "date", "in_seconds", "in_minutes", "in_days", "jwt"];
    let described = units.map(|unit| serde_json::json!({ unit: "" }));
    let described = described.into_iter().filter_map(|unit| serde_json::from_value::<Expires>(unit).ok());
    described.filter_map(|expires| read_expiry(Some(&expires), value, now).ok().flatten()).collect()
}

/// Parses a time. Without an offset it is UTC.
fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let time: DateTime = text.parse().ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

fn parse_date(text: &str) -> Option<Timestamp> {
    let date: Date = text.parse().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn after(value: &Value, unit: i64, now: Timestamp) -> Option<Timestamp> {
    let seconds = number(value)?.checked_mul(unit)?;
    now.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Returns the claim `exp` of a JWT. The signature is not checked: the token came from the API itself.
fn jwt_expiry(token: &str) -> Option<Timestamp> {
    let payload = token.split('.').nth(1)?;
    let payload = Zeroizing::new(BASE64URL_NOPAD.decode(payload.trim_end_matches('=').as_bytes()).ok()?);
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let exp = claims.get("exp")?;
    // NumericDate may have a fraction (RFC 7519, section 2).
    let seconds =
        exp.as_i64().or_else(|| exp.as_f64().filter(|exp| exp.abs() < 1e12).map(|exp| exp as i64))?;
    Timestamp::from_second(seconds).ok()
}
