//! Paths below the endpoint of an API.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use super::placeholder::{Placeholder, Slot};
use super::text::{Part, TemplateError, TextTemplate};
use super::{Lookup, RenderError, Value, ValueSource};

/// Everything except the unreserved characters of a URL.
const QUERY_ESCAPES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Everything except the characters of a path segment (RFC 3986, `pchar`). This is the encoding of browsers, for services that compare paths
/// as text.
const SEGMENT_ESCAPES: &AsciiSet = &QUERY_ESCAPES
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A path that begins with `/`, with placeholders inside its segments. A value never leaves its segment, and scheme, host and port
/// are never part of a path. Only a parameter of type `path` may stand for several segments, at the beginning.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct PathTemplate(TextTemplate);

/// Encodes a name or a value for a query.
pub(crate) fn encode_query(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, QUERY_ESCAPES)
}

fn encode_segment(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, SEGMENT_ESCAPES)
}

/// Checks that a path stays below its endpoint and is already normalized.
pub(crate) fn check_path(path: &str) -> Result<(), &'static str> {
    let Some(inside) = path.strip_prefix('/') else {
        return Err(
            "must begin with /: a path is relative to api_endpoint, which alone names scheme, host and port",
        );
    };
    let mut segments = inside.split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err("must not contain //");
        }
        if matches!(&*percent_decode_str(segment).collect::<Vec<u8>>(), b"." | b"..") {
            return Err("must not contain the segments . and ..");
        }
        check_segment(segment)?;
    }
    Ok(())
}

fn check_segment(segment: &str) -> Result<(), &'static str> {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'?' | b'#' => return Err("must not contain ? or #; put parameters into query"),
            b'%' => {
                let digits = [bytes.next(), bytes.next()];
                if !digits.iter().all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())) {
                    return Err("contains a % not followed by two hexadecimal digits");
                }
            }
            byte if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) => {}
            _ => return Err("contains a character that a URL path cannot hold; percent-encode it"),
        }
    }
    Ok(())
}

impl PathTemplate {
    pub(crate) fn parse(text: &str) -> Result<PathTemplate, TemplateError> {
        let template = TextTemplate::parse(text)?;
        let mut shape = String::new();
        for (index, part) in template.parts.iter().enumerate() {
            match part {
                Part::Literal(literal) => shape.push_str(literal),
                Part::Slot(slot) if slot.optional => return Err(TemplateError::Optional(slot.clone())),
                // The type may be `path`. Validation checks it, since only the declaration contains the type.
                Part::Slot(Slot { placeholder: Placeholder::Config(_), .. }) if index == 0 => {
                    shape.push_str("/x");
                }
                Part::Slot(_) => shape.push('x'),
            }
        }
        check_path(&shape).map_err(TemplateError::Path)?;
        Ok(PathTemplate(template))
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.0.slots()
    }

    /// Returns the parameter of type `path` at the beginning of the path.
    pub(crate) fn prefix(&self) -> Option<&Slot> {
        match self.0.parts.first() {
            Some(Part::Slot(slot)) => Some(slot),
            _ => None,
        }
    }

    /// Renders the path, percent-encoded.
    pub(crate) fn render(&self, values: &impl ValueSource) -> Result<String, RenderError> {
        match &self.0.parts[..] {
            // Checked when it was parsed.
            [Part::Literal(path)] => Ok(path.clone()),
            _ => self.render_parts(values),
        }
    }

    fn render_parts(&self, values: &impl ValueSource) -> Result<String, RenderError> {
        let mut path = String::new();
        for part in self.bind(values)?.0.parts {
            match part {
                Part::Literal(literal) => path.push_str(&literal),
                Part::Slot(slot) => return Err(RenderError::Unbound(slot.placeholder)),
            }
        }
        Ok(path)
    }

    /// Returns the template with known placeholders replaced by percent-encoded literals.
    pub(crate) fn bind(&self, values: &impl ValueSource) -> Result<PathTemplate, RenderError> {
        let mut bound = TextTemplate::default();
        let mut last = None;
        for (index, part) in self.0.parts.iter().enumerate() {
            match part {
                Part::Literal(literal) => bound.push_literal(literal),
                Part::Slot(slot) => match values.lookup(&slot.placeholder) {
                    Lookup::Unbound => bound.parts.push(Part::Slot(slot.clone())),
                    Lookup::Empty => return Err(RenderError::Segment(slot.placeholder.clone())),
                    Lookup::Value(value) if index == 0 => bound.push_literal(&prefix_value(slot, &value)?),
                    Lookup::Value(value) => {
                        last = Some(&slot.placeholder);
                        bound.push_literal(&encode_segment(&value.to_text(slot)?).to_string());
                    }
                },
            }
        }
        let shape = bound.parts.iter().fold(String::new(), |shape, part| match part {
            Part::Literal(literal) => shape + literal,
            Part::Slot(_) => shape + "x",
        });
        // Only a segment with a placeholder can be empty or a dot segment here, because literals are checked when parsed.
        match (check_path(&shape), last) {
            (Ok(()), _) => Ok(PathTemplate(bound)),
            (Err(_), Some(placeholder)) => Err(RenderError::Segment(placeholder.clone())),
            (Err(_), None) => Err(RenderError::NoMethod),
        }
    }
}

/// Returns the value of a parameter of type `path`, unescaped.
fn prefix_value(slot: &Slot, value: &Value<'_>) -> Result<String, RenderError> {
    let text = value.to_text(slot)?;
    check_path(&text).map_err(|_| RenderError::Path(slot.placeholder.clone()))?;
    Ok(text.into_owned())
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for PathTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PathTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PathTemplate, D::Error> {
        let text = String::deserialize(deserializer)?;
        PathTemplate::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_relative_to_the_endpoint() {
        for text in
            ["/", "/tokens", "/tokens/", "/users/{role.user}/tokens/{id}", "/a/{name}-{id}", "{config.p}/x"]
        {
            assert_eq!(PathTemplate::parse(text).unwrap().to_string(), text);
        }
        for (text, expected) in [
            ("", "must begin with /"),
            ("tokens", "must begin with /"),
            ("https://example.com/tokens", "must begin with /"),
            ("{name}", "must begin with /"),
            ("//example.com/tokens", "must not contain //"),
            ("/a//b", "must not contain //"),
            ("/../tokens", "segments . and .."),
            ("/a/./b", "segments . and .."),
            ("/a/%2e%2E/b", "segments . and .."),
            ("/a/.%2e", "segments . and .."),
            ("/a?all=1", "put parameters into query"),
            ("/a#b", "put parameters into query"),
            ("/a b", "percent-encode it"),
            ("/a\\b", "percent-encode it"),
            ("/ü", "percent-encode it"),
            ("/a%2", "two hexadecimal digits"),
            ("/a/{name?}", "whole value of a key"),
            ("/a/{nmae}", "did you mean {name}?"),
        ] {
            let error = PathTemplate::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
