//! Text with placeholders.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::placeholder::{Join, Placeholder, Slot, known_names};
use super::{Lookup, RenderError, ValueSource};
use crate::upstream::suggestion::suggestion;

/// Text with placeholders in braces. A literal brace is written twice.
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct TextTemplate {
    pub(super) parts: Vec<Part>,
}

/// A part of a template. Two literals are never adjacent.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Part {
    Literal(String),
    Slot(Slot),
}

/// An invalid template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("a {{ is not closed; write a literal brace twice")]
    Unclosed,
    #[error("a }} has no {{ before it; write a literal brace twice")]
    Stray,
    #[error("unknown placeholder {{{name}}}{suggestion}")]
    Unknown { name: String, suggestion: String },
    #[error("unknown separator in {{{0}}}; use :space or :comma")]
    Separator(String),
    #[error("{0} can be optional only if it is the whole value of a key")]
    Optional(Slot),
    #[error("{0}")]
    Path(&'static str),
}

impl TextTemplate {
    pub(crate) fn parse(text: &str) -> Result<TextTemplate, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else if let Some(after) = from.strip_prefix('{') {
                let (inside, after) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Slot(parse_slot(inside)?));
                rest = after;
            } else {
                return Err(TemplateError::Stray);
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        let template = TextTemplate { parts };
        if let Some(slot) = template.slots().find(|slot| slot.optional)
            && template.sole().is_none()
        {
            return Err(TemplateError::Optional(slot.clone()));
        }
        Ok(template)
    }

    /// Returns a template without placeholders.
    pub(crate) fn literal(text: impl Into<String>) -> TextTemplate {
        let text = text.into();
        let parts = if text.is_empty() { Vec::new() } else { vec![Part::Literal(text)] };
        TextTemplate { parts }
    }

    /// Returns the placeholder, if it is the whole template. Its value keeps its type.
    pub(crate) fn sole(&self) -> Option<&Slot> {
        match &self.parts[..] {
            [Part::Slot(slot)] => Some(slot),
            _ => None,
        }
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.parts.iter().filter_map(|part| match part {
            Part::Slot(slot) => Some(slot),
            Part::Literal(_) => None,
        })
    }

    /// Renders the text, unescaped.
    pub(crate) fn render(&self, values: &impl ValueSource) -> Result<String, RenderError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Slot(slot) => push_value(&mut text, slot, values)?,
            }
        }
        Ok(text)
    }

    /// Returns the template with known placeholders replaced by literals.
    pub(crate) fn bind(&self, values: &impl ValueSource) -> Result<TextTemplate, RenderError> {
        let mut bound = TextTemplate::default();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => bound.push_literal(literal),
                Part::Slot(slot) => match values.lookup(&slot.placeholder) {
                    Lookup::Unbound => bound.parts.push(Part::Slot(slot.clone())),
                    Lookup::Empty => return Err(RenderError::Empty(slot.placeholder.clone())),
                    Lookup::Value(value) => bound.push_literal(&value.to_text(slot)?),
                },
            }
        }
        Ok(bound)
    }

    pub(super) fn push_literal(&mut self, text: &str) {
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Literal(last)) => last.push_str(text),
            _ => self.parts.push(Part::Literal(text.to_owned())),
        }
    }
}

fn push_value(text: &mut String, slot: &Slot, values: &impl ValueSource) -> Result<(), RenderError> {
    match values.lookup(&slot.placeholder) {
        Lookup::Unbound => Err(RenderError::Unbound(slot.placeholder.clone())),
        Lookup::Empty => Err(RenderError::Empty(slot.placeholder.clone())),
        Lookup::Value(value) => {
            text.push_str(&value.to_text(slot)?);
            Ok(())
        }
    }
}

/// Parses the text between the braces.
fn parse_slot(inside: &str) -> Result<Slot, TemplateError> {
    let (name, optional) = match inside.strip_suffix('?') {
        Some(name) => (name, true),
        None => (inside, false),
    };
    let (name, separator) = match name.split_once(':') {
        None => (name, None),
        Some((name, separator)) => (name, Some(separator)),
    };
    let placeholder = Placeholder::parse(name).ok_or_else(|| {
        let suggestion = suggestion(name, known_names()).replace("mean ", "mean {").replace('?', "}?");
        TemplateError::Unknown { name: shown(name), suggestion }
    })?;
    let join = match separator {
        None => None,
        Some("space") => Some(Join::Space),
        Some("comma") => Some(Join::Comma),
        Some(_) => return Err(TemplateError::Separator(shown(inside))),
    };
    Ok(Slot { placeholder, optional, join })
}

/// Shortens and escapes a placeholder for a message. An invalid template can contain any text.
fn shown(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._:?-".contains(letter);
    if text.len() <= 48 && text.chars().all(plain) { text.to_owned() } else { "…".to_owned() }
}

impl fmt::Display for TextTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(literal) => {
                    f.write_str(&literal.replace('{', "{{").replace('}', "}}"))?;
                }
                Part::Slot(slot) => slot.fmt(f)?,
            }
        }
        Ok(())
    }
}

impl Serialize for TextTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TextTemplate {
    /// Accepts numbers and booleans too, because YAML users write them without quotes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TextTemplate, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = TextTemplate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TextTemplate, E> {
                TextTemplate::parse(text).map_err(E::custom)
            }

            fn visit_bool<E>(self, value: bool) -> Result<TextTemplate, E> {
                Ok(TextTemplate::literal(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<TextTemplate, E> {
                Ok(TextTemplate::literal(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<TextTemplate, E> {
                Ok(TextTemplate::literal(value.to_string()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = TextTemplate::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn a_template_is_written_as_it_was_read() {
        for text in [
            "",
            "plain",
            "token {api_key}",
            "{login.token}",
            "{role.scopes?}",
            "{permissions:space?}",
            "a {{literal}} brace",
            "{config.a}{config.b}-{before.uid}",
            "{{{name}}}",
        ] {
            assert_eq!(TextTemplate::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_misspelt_placeholder_is_named_with_the_nearest_one() {
        refused("{ttl.second}", "unknown placeholder {ttl.second}; did you mean {ttl.seconds}?");
        refused("{Name}", "did you mean {name}?");
        refused("{role.}", "unknown placeholder {role.}");
        refused("{role.User}", "unknown placeholder");
        refused("{}", "unknown placeholder {}");
        refused("{name", "not closed");
        refused("name}", "no { before");
        refused("{permissions:tab}", ":space or :comma");
        refused("vault-{name?}", "whole value of a key");
        refused("{\"password\": \"hunter2\"}", "unknown placeholder {…}");
    }
}
