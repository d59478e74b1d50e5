//! Sets of HTTP status codes.

use std::fmt;

use http::StatusCode;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Serialize, Serializer};

/// A set of status codes: numbers, and classes such as `2xx`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusSet(Vec<StatusPattern>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StatusPattern {
    Code(u16),
    /// The first digit of a status code.
    Class(u16),
}

impl StatusSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, status: StatusCode) -> bool {
        self.0.iter().any(|pattern| match pattern {
            StatusPattern::Code(code) => *code == status.as_u16(),
            StatusPattern::Class(class) => *class == status.as_u16() / 100,
        })
    }

    /// Returns the first digits of all status codes of the set.
    pub(crate) fn classes(&self) -> impl Iterator<Item = u16> {
        self.0.iter().map(|pattern| match pattern {
            StatusPattern::Code(code) => code / 100,
            StatusPattern::Class(class) => *class,
        })
    }

    /// Returns a set of these codes.
    pub(crate) fn codes(codes: &[u16]) -> StatusSet {
        StatusSet(codes.iter().map(|code| StatusPattern::Code(*code)).collect())
    }
}

impl fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StatusPattern::Code(code) => write!(f, "{code}"),
            StatusPattern::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl Serialize for StatusPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            StatusPattern::Code(code) => serializer.serialize_u16(*code),
            StatusPattern::Class(_) => serializer.collect_str(self),
        }
    }
}

impl Serialize for StatusSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StatusPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StatusPattern, D::Error> {
        struct PatternVisitor;
        impl Visitor<'_> for PatternVisitor {
            type Value = StatusPattern;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status code such as 404, or a class such as 4xx")
            }

            fn visit_u64<E: serde::de::Error>(self, code: u64) -> Result<StatusPattern, E> {
                match u16::try_from(code) {
                    Ok(code @ 200..=599) => Ok(StatusPattern::Code(code)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Unsigned(code), &self)),
                }
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<StatusPattern, E> {
                match text {
                    "2xx" => Ok(StatusPattern::Class(2)),
                    "4xx" => Ok(StatusPattern::Class(4)),
                    "5xx" => Ok(StatusPattern::Class(5)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(PatternVisitor)
    }
}

impl<'de> Deserialize<'de> for StatusSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StatusSet, D::Error> {
        let patterns = Vec::deserialize(deserializer)?;
        if patterns.is_empty() {
            return Err(D::Error::custom("must contain at least one status, or be omitted"));
        }
        Ok(StatusSet(patterns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_of_codes_and_classes() {
        let set: StatusSet = serde_json::from_str(r#"[200, "4xx"]"#).unwrap();
        for (code, expected) in [(200, true), (201, false), (404, true), (500, false)] {
            assert_eq!(set.contains(StatusCode::from_u16(code).unwrap()), expected, "{code}");
        }
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"[200,"4xx"]"#);
        for text in ["[]", "[99]", "[600]", r#"["3xx"]"#, r#"["200"]"#, "200", "[70000]"] {
            assert!(serde_json::from_str::<StatusSet>(text).is_err(), "{text}");
        }
    }
}
