//! The location of a value in a response.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use crate::upstream::template::TextTemplate;

/// A JSON pointer (RFC 6901): `/data/0/id`. Empty for the whole body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pointer {
    text: String,
    /// The names and indexes, unescaped.
    segments: Vec<String>,
}

/// An invalid JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PointerError {
    #[error("must be a JSON pointer, which begins with / (or is empty for the whole response)")]
    Start,
    #[error("contains a ~ not followed by 0 or 1 (in a JSON pointer, ~ is written ~0 and / is written ~1)")]
    Escape,
}

impl Pointer {
    pub(crate) fn parse(text: &str) -> Result<Pointer, PointerError> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(PointerError::Start);
        }
        if text.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) {
            return Err(PointerError::Escape);
        }
        let segments = text.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"));
        Ok(Pointer { text: text.to_owned(), segments: segments.collect() })
    }

    /// Returns the selected value, as [`Value::pointer`] does, which would parse the pointer again.
    pub(crate) fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.segments.iter().try_fold(value, |value, segment| match value {
            Value::Object(entries) => entries.get(segment),
            Value::Array(items) => items.get(parse_index(segment)?),
            _ => None,
        })
    }

    /// Returns whether the pointer selects the whole body.
    pub(crate) fn is_whole(&self) -> bool {
        self.text.is_empty()
    }
}

/// Parses an index of a list, without a sign and without leading zeros.
fn parse_index(segment: &str) -> Option<usize> {
    let is_canonical = segment == "0" || !segment.starts_with(['0', '+']);
    segment.parse().ok().filter(|_| is_canonical)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pointer, D::Error> {
        let text = String::deserialize(deserializer)?;
        Pointer::parse(&text).map_err(D::Error::custom)
    }
}

/// The source of a value. The short form is a JSON pointer (begins with `/`), or text with placeholders.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Source {
    pub(crate) origin: Origin,
    /// Whether the value is only the part after the last `/`, for example of the `Location` of a new object.
    pub(crate) last_segment: bool,
    /// Whether the value is secret.
    pub(crate) secret: bool,
}

/// A part of a response, or text.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Origin {
    Pointer(Pointer),
    Header(http::HeaderName),
    Text(TextTemplate),
}

/// The long form of a source.
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct SourceMap {
    /// JSON pointer into the body of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Name of a header of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    /// Text with placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Whether only the part after the last / is used, for example of a Location header.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    last_segment: bool,
    /// Whether the value is a secret. The token always is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    secret: bool,
}

impl Source {
    fn parse(text: &str) -> Result<Source, String> {
        let origin = if text.starts_with('/') {
            Origin::Pointer(Pointer::parse(text).map_err(|error| error.to_string())?)
        } else {
            Origin::Text(TextTemplate::parse(text).map_err(|error| error.to_string())?)
        };
        Ok(Source { origin, last_segment: false, secret: false })
    }

    fn from_map(map: SourceMap) -> Result<Source, String> {
        let origin = match (map.at, map.header, map.text) {
            (Some(at), None, None) => {
                Origin::Pointer(Pointer::parse(&at).map_err(|error| error.to_string())?)
            }
            (None, Some(header), None) => {
                let name = http::HeaderName::try_from(header);
                Origin::Header(name.map_err(|_| "header is not a valid header name".to_owned())?)
            }
            (None, None, Some(text)) => {
                Origin::Text(TextTemplate::parse(&text).map_err(|error| error.to_string())?)
            }
            _ => return Err("must have exactly one of the keys at, header, text".to_owned()),
        };
        Ok(Source { origin, last_segment: map.last_segment, secret: map.secret })
    }

    /// Returns the text with placeholders, if the source is one.
    pub(crate) fn text(&self) -> Option<&TextTemplate> {
        match &self.origin {
            Origin::Text(text) => Some(text),
            Origin::Pointer(_) | Origin::Header(_) => None,
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map =
            SourceMap { last_segment: self.last_segment, secret: self.secret, ..SourceMap::default() };
        match &self.origin {
            Origin::Pointer(pointer) => map.at = Some(pointer.to_string()),
            Origin::Header(name) => map.header = Some(name.to_string()),
            Origin::Text(text) => map.text = Some(text.to_string()),
        }
        map.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Source, D::Error> {
        struct SourceVisitor;
        impl<'de> Visitor<'de> for SourceVisitor {
            type Value = Source;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON pointer, text with placeholders, or a map with at, header or text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Source, E> {
                Source::parse(text).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                let map = SourceMap::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Source::from_map(map).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(SourceVisitor)
    }
}

/// Expiry of a token in a response, in exactly one of the units.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(test, derive(Debug, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Expires {
    /// Pointer to an RFC 3339 time. A time without an offset is UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rfc3339: Option<Pointer>,
    /// Pointer to seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) epoch: Option<Pointer>,
    /// Pointer to milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) epoch_ms: Option<Pointer>,
    /// Pointer to a date. The token counts as expired from the beginning of the day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) date: Option<Pointer>,
    /// Pointer to a number of seconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) in_seconds: Option<Pointer>,
    /// Pointer to a number of minutes from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) in_minutes: Option<Pointer>,
    /// Pointer to a number of days from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) in_days: Option<Pointer>,
    /// Pointer to a JWT whose claim exp is the expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jwt: Option<Pointer>,
    /// Whether the value may be missing or null. Then the token has the requested expiry.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) optional: bool,
}

/// The unit of an expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpiryUnit {
    Rfc3339,
    Epoch,
    EpochMs,
    Date,
    InSeconds,
    InMinutes,
    InDays,
    Jwt,
}

impl Expires {
    /// Returns the unit with its pointer, if exactly one is set.
    pub(crate) fn unit(&self) -> Option<(ExpiryUnit, &Pointer)> {
        let units = [
            (ExpiryUnit::Rfc3339, &self.rfc3339),
            (ExpiryUnit::Epoch, &self.epoch),
            (ExpiryUnit::EpochMs, &self.epoch_ms),
            (ExpiryUnit::Date, &self.date),
            (ExpiryUnit::InSeconds, &self.in_seconds),
            (ExpiryUnit::InMinutes, &self.in_minutes),
            (ExpiryUnit::InDays, &self.in_days),
            (ExpiryUnit::Jwt, &self.jwt),
        ];
        let mut given = units.into_iter().filter_map(|(unit, pointer)| Some((unit, pointer.as_ref()?)));
        given.next().filter(|_| given.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn a_pointer_selects_what_serde_json_selects(text in "(/(a|b|~0|~1|0|1|01|\\+1|-|){1,2}){0,3}") {
            let list = json!([{"a": 1, "0": [2, 3]}, ["b", [4]]]);
            let body = json!({"a": list, "b": {"~": list, "/": list, "": list, "01": 5, "a0": list}, "0": list, "": {"": 6, "a": list}});
            let pointer = Pointer::parse(&text).unwrap();
            for value in [&body, &list] {
                prop_assert_eq!(pointer.find(value), value.pointer(&text), "{}", text);
            }
        }
    }
}
