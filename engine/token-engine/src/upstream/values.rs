//! The values of placeholders.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::template::{Lookup, Placeholder, Value, ValueSource};

/// Parameters by name. A parameter without a value is missing.
pub(crate) type Parameters = BTreeMap<String, serde_json::Value>;

/// The known values when a call is rendered or bound. `None` means that a value is not known yet.
#[derive(Clone, Copy, Default)]
pub(crate) struct Values<'a> {
    pub(crate) api_key: Option<&'a str>,
    pub(crate) config: Option<&'a Parameters>,
    pub(crate) login_token: Option<&'a str>,
    pub(crate) role: Option<&'a Parameters>,
    pub(crate) permissions: Option<&'a [String]>,
    pub(crate) name: Option<&'a str>,
    pub(crate) generated_secret: Option<&'a str>,
    pub(crate) idempotency_key: Option<&'a str>,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) before: Option<&'a BTreeMap<String, String>>,
    pub(crate) id: Option<&'a str>,
    pub(crate) token: Option<&'a str>,
    pub(crate) key_owner: Option<&'a str>,
}

/// The requested lifetime of a token, and its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) now: Timestamp,
    pub(crate) seconds: u64,
}

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

impl Lifetime {
    /// Returns the requested expiry, rounded up to seconds.
    fn end(&self) -> Timestamp {
        let second = self.now.as_second() + i64::from(self.now.subsec_nanosecond() > 0);
        let seconds = i64::try_from(self.seconds).unwrap_or(i64::MAX);
        Timestamp::from_second(second.saturating_add(seconds)).unwrap_or(Timestamp::MAX)
    }

    /// Returns the date of the first midnight (UTC) at or after the expiry. Depending on the API, a token expires at the beginning or at the end
    /// of a date.
    fn end_date(&self) -> jiff::civil::Date {
        let end = self.end().to_zoned(TimeZone::UTC);
        let date = end.date();
        if end.time() == jiff::civil::Time::midnight() {
            return date;
        }
        date.checked_add(1.day()).unwrap_or(date)
    }

    /// Returns the latest expiry of a token that is requested with this placeholder. `None` if the placeholder requests no lifetime.
    pub(crate) fn latest_expiry(&self, placeholder: &Placeholder) -> Option<Timestamp> {
        let after = |seconds: u64| {
            let seconds = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            self.now.checked_add(seconds).unwrap_or(Timestamp::MAX)
        };
        Some(match placeholder {
            Placeholder::TtlSeconds => after(self.seconds),
            Placeholder::TtlMinutes => after(self.seconds.div_ceil(MINUTE).saturating_mul(MINUTE)),
            Placeholder::TtlDays => after(self.seconds.div_ceil(DAY).saturating_mul(DAY)),
            Placeholder::ExpiresRfc3339 | Placeholder::ExpiresEpoch | Placeholder::ExpiresEpochMs => {
                self.end()
            }
            // The API may let the token expire at the end of the day.
            Placeholder::ExpiresDate => {
                let next = self.end_date().checked_add(1.day()).ok();
                let midnight = next.and_then(|date| date.to_zoned(TimeZone::UTC).ok());
                midnight.map_or(Timestamp::MAX, |midnight| midnight.timestamp())
            }
            _ => return None,
        })
    }

    fn value(&self, placeholder: &Placeholder) -> Option<Value<'static>> {
        let integer = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        Some(match placeholder {
            Placeholder::TtlSeconds => integer(self.seconds),
            Placeholder::TtlMinutes => integer(self.seconds.div_ceil(MINUTE)),
            Placeholder::TtlDays => integer(self.seconds.div_ceil(DAY)),
            Placeholder::ExpiresRfc3339 => Value::Text(self.end().to_string().into()),
            Placeholder::ExpiresDate => Value::Text(self.end_date().to_string().into()),
            Placeholder::ExpiresEpoch => Value::Integer(self.end().as_second()),
            Placeholder::ExpiresEpochMs => Value::Integer(self.end().as_millisecond()),
            _ => return None,
        })
    }
}

impl ValueSource for Values<'_> {
    fn lookup(&self, placeholder: &Placeholder) -> Lookup<'_> {
        match placeholder {
            Placeholder::ApiKey => text(self.api_key),
            Placeholder::LoginToken => text(self.login_token),
            Placeholder::Name => text(self.name),
            Placeholder::GeneratedSecret => text(self.generated_secret),
            Placeholder::IdempotencyKey => text(self.idempotency_key),
            Placeholder::Id => text(self.id),
            Placeholder::Token => text(self.token),
            Placeholder::KeyOwner => text(self.key_owner),
            Placeholder::Config(name) => parameter(self.config, name),
            Placeholder::Role(name) => parameter(self.role, name),
            Placeholder::Before(name) => match self.before {
                None => Lookup::Unbound,
                Some(values) => text(Some(values.get(name).map_or("", |value| value))),
            },
            Placeholder::Permissions => match self.permissions {
                None => Lookup::Unbound,
                Some([]) => Lookup::Empty,
                Some(items) => Lookup::Value(Value::Strings(items)),
            },
            lifetime => match self.lifetime.and_then(|requested| requested.value(lifetime)) {
                None => Lookup::Unbound,
                Some(value) => Lookup::Value(value),
            },
        }
    }
}

fn text(value: Option<&str>) -> Lookup<'_> {
    match value {
        None => Lookup::Unbound,
        Some("") => Lookup::Empty,
        Some(text) => Lookup::Value(Value::Text(Cow::Borrowed(text))),
    }
}

fn parameter<'a>(parameters: Option<&'a Parameters>, name: &str) -> Lookup<'a> {
    let Some(parameters) = parameters else { return Lookup::Unbound };
    match parameters.get(name) {
        None | Some(serde_json::Value::Null) => Lookup::Empty,
        Some(serde_json::Value::String(text)) if text.is_empty() => Lookup::Empty,
        Some(serde_json::Value::Array(items)) if items.is_empty() => Lookup::Empty,
        Some(value) => Lookup::Value(Value::Json(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(now: &str, seconds: u64, placeholder: &str, expected: &str, latest: &str) {
        let lifetime = Lifetime { now: now.parse().unwrap(), seconds };
        let placeholder = Placeholder::parse(placeholder).unwrap();
        let shown = match lifetime.value(&placeholder).unwrap() {
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => text.into_owned(),
            _ => panic!("a number or a text"),
        };
        assert_eq!(shown, expected, "{placeholder}");
        assert_eq!(lifetime.latest_expiry(&placeholder).unwrap().to_string(), latest, "{placeholder}");
    }

    #[test]
    fn a_lifetime_is_rounded_up_to_the_unit_that_the_api_takes() {
        let now = "2026-11-30T12:00:00Z";
        check(now, 3601, "ttl.seconds", "3601", "2026-11-30T13:00:01Z");
        check(now, 3601, "ttl.minutes", "61", "2026-11-30T13:01:00Z");
        check(now, 3601, "ttl.days", "1", "2026-12-01T12:00:00Z");
        check(now, 86_400, "ttl.days", "1", "2026-12-01T12:00:00Z");
        check(now, 3600, "expires.rfc3339", "2026-11-30T13:00:00Z", "2026-11-30T13:00:00Z");
        check(now, 3600, "expires.epoch", "1796043600", "2026-11-30T13:00:00Z");
        check(now, 3600, "expires.epoch_ms", "1796043600000", "2026-11-30T13:00:00Z");
        check(now, 3600, "expires.date", "2026-12-01", "2026-12-02T00:00:00Z");
        check(now, 43_200, "expires.date", "2026-12-01", "2026-12-02T00:00:00Z");
        check(now, 43_201, "expires.date", "2026-12-02", "2026-12-03T00:00:00Z");
        check("2026-11-30T12:00:00.5Z", 60, "expires.epoch", "1796040061", "2026-11-30T12:01:01Z");
    }

    #[test]
    fn a_lifetime_without_end_does_not_overflow() {
        let lifetime = Lifetime { now: Timestamp::MAX, seconds: u64::MAX };
        for name in
            ["ttl.seconds", "ttl.minutes", "ttl.days", "expires.rfc3339", "expires.date", "expires.epoch_ms"]
        {
            let placeholder = Placeholder::parse(name).unwrap();
            assert!(lifetime.value(&placeholder).is_some() && lifetime.latest_expiry(&placeholder).is_some());
        }
        assert!(lifetime.latest_expiry(&Placeholder::Name).is_none());
    }
}
