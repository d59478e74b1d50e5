//! JSON trees with placeholders.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::{Number, Value as Json};

use super::placeholder::Slot;
use super::text::TextTemplate;
use super::{Lookup, RenderError, Value, ValueSource};

/// A JSON document with placeholders in its texts. A text that is one placeholder becomes the value with its type.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum JsonTemplate {
    Null,
    Bool(bool),
    Number(Number),
    Text(TextTemplate),
    List(Vec<JsonTemplate>),
    /// The order is kept.
    Map(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    /// Visits all texts of the tree with their places.
    pub(crate) fn visit<'a, P: Clone>(
        &'a self,
        place: &P,
        key: &impl Fn(&P, &str) -> P,
        index: &impl Fn(&P, usize) -> P,
        visit: &mut impl FnMut(&P, &'a TextTemplate),
    ) {
        match self {
            JsonTemplate::Null | JsonTemplate::Bool(_) | JsonTemplate::Number(_) => {}
            JsonTemplate::Text(text) => visit(place, text),
            JsonTemplate::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    item.visit(&index(place, at), key, index, visit);
                }
            }
            JsonTemplate::Map(entries) => {
                for (name, value) in entries {
                    value.visit(&key(place, name), key, index, visit);
                }
            }
        }
    }

    /// Renders the document.
    pub(crate) fn render(&self, values: &impl ValueSource) -> Result<Vec<u8>, RenderError> {
        let mut document = Vec::new();
        if self.write(values, &mut document)? { Ok(document) } else { Err(RenderError::NoMethod) }
    }

    /// Appends the document. Returns false, and appends nothing, for an optional placeholder without a value.
    fn write(&self, values: &impl ValueSource, document: &mut Vec<u8>) -> Result<bool, RenderError> {
        match self {
            JsonTemplate::Null => write_json(&(), document)?,
            JsonTemplate::Bool(value) => write_json(value, document)?,
            JsonTemplate::Number(number) => write_json(number, document)?,
            JsonTemplate::Text(text) => match text.sole() {
                Some(slot) => return write_sole(slot, values, document),
                None => write_json(&text.render(values)?, document)?,
            },
            JsonTemplate::List(items) => {
                document.push(b'[');
                let mut is_first = true;
                for item in items {
                    write_member(&mut is_first, document, |document| item.write(values, document))?;
                }
                document.push(b']');
            }
            JsonTemplate::Map(entries) => {
                document.push(b'{');
                let mut is_first = true;
                for (name, value) in entries {
                    write_member(&mut is_first, document, |document| {
                        write_json(name, document)?;
                        document.push(b':');
                        value.write(values, document)
                    })?;
                }
                document.push(b'}');
            }
        }
        Ok(true)
    }

    /// Returns the template with known placeholders replaced by literals. `None` for an optional placeholder without a value.
    pub(crate) fn bind(&self, values: &impl ValueSource) -> Result<Option<JsonTemplate>, RenderError> {
        Ok(Some(match self {
            JsonTemplate::Null | JsonTemplate::Bool(_) | JsonTemplate::Number(_) => self.clone(),
            JsonTemplate::Text(text) => match text.sole() {
                Some(slot) => return bind_sole(slot, values),
                None => JsonTemplate::Text(text.bind(values)?),
            },
            JsonTemplate::List(items) => {
                let mut bound = Vec::with_capacity(items.len());
                for item in items {
                    bound.extend(item.bind(values)?);
                }
                JsonTemplate::List(bound)
            }
            JsonTemplate::Map(entries) => {
                let mut bound = Vec::with_capacity(entries.len());
                for (name, value) in entries {
                    bound.extend(value.bind(values)?.map(|value| (name.clone(), value)));
                }
                JsonTemplate::Map(bound)
            }
        }))
    }
}

/// Appends a member of a list or a map, with the comma before it. A member that is not written has no comma either.
fn write_member(
    is_first: &mut bool,
    document: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<bool, RenderError>,
) -> Result<(), RenderError> {
    let before = document.len();
    if !*is_first {
        document.push(b',');
    }
    if write(document)? {
        *is_first = false;
    } else {
        document.truncate(before);
    }
    Ok(())
}

/// Appends the value of a placeholder that is the whole value.
fn write_sole(slot: &Slot, values: &impl ValueSource, document: &mut Vec<u8>) -> Result<bool, RenderError> {
    let value = match values.lookup(&slot.placeholder) {
        Lookup::Unbound => return Err(RenderError::Unbound(slot.placeholder.clone())),
        Lookup::Empty if slot.optional => return Ok(false),
        Lookup::Empty => return Err(RenderError::Empty(slot.placeholder.clone())),
        Lookup::Value(value) => value,
    };
    match value {
        value if slot.join.is_some() => write_json(&value.to_text(slot)?, document)?,
        Value::Text(text) => write_json(&text, document)?,
        Value::Integer(number) => write_json(&number, document)?,
        Value::Strings(items) => write_json(items, document)?,
        Value::Json(value) => write_json(value, document)?,
    }
    Ok(true)
}

fn write_json(value: &(impl Serialize + ?Sized), document: &mut Vec<u8>) -> Result<(), RenderError> {
    serde_json::to_writer(document, value).map_err(|_| RenderError::TooLong)
}

/// Binds a placeholder that is the whole value.
fn bind_sole(slot: &Slot, values: &impl ValueSource) -> Result<Option<JsonTemplate>, RenderError> {
    let value = match values.lookup(&slot.placeholder) {
        Lookup::Unbound => return Ok(Some(JsonTemplate::Text(TextTemplate::from(slot.clone())))),
        Lookup::Empty if slot.optional => return Ok(None),
        Lookup::Empty => return Err(RenderError::Empty(slot.placeholder.clone())),
        Lookup::Value(value) => value,
    };
    if slot.join.is_some() {
        return Ok(Some(JsonTemplate::Text(TextTemplate::literal(value.to_text(slot)?))));
    }
    Ok(Some(match value {
        Value::Text(text) => JsonTemplate::Text(TextTemplate::literal(text)),
        Value::Integer(number) => JsonTemplate::Number(number.into()),
        Value::Strings(items) => JsonTemplate::List(
            items.iter().map(|item| JsonTemplate::Text(TextTemplate::literal(item))).collect(),
        ),
        Value::Json(value) => JsonTemplate::from(value),
    }))
}

impl From<Slot> for TextTemplate {
    fn from(slot: Slot) -> TextTemplate {
        TextTemplate { parts: vec![super::Part::Slot(slot)] }
    }
}

impl From<&Json> for JsonTemplate {
    /// Converts a value to a template without placeholders.
    fn from(value: &Json) -> JsonTemplate {
        match value {
            Json::Null => JsonTemplate::Null,
            Json::Bool(value) => JsonTemplate::Bool(*value),
            Json::Number(number) => JsonTemplate::Number(number.clone()),
            Json::String(text) => JsonTemplate::Text(TextTemplate::literal(text)),
            Json::Array(items) => JsonTemplate::List(items.iter().map(JsonTemplate::from).collect()),
            Json::Object(entries) => JsonTemplate::Map(
                entries.iter().map(|(name, value)| (name.clone(), JsonTemplate::from(value))).collect(),
            ),
        }
    }
}

impl Serialize for JsonTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            JsonTemplate::Null => serializer.serialize_unit(),
            JsonTemplate::Bool(value) => serializer.serialize_bool(*value),
            JsonTemplate::Number(number) => number.serialize(serializer),
            JsonTemplate::Text(text) => text.serialize(serializer),
            JsonTemplate::List(items) => serializer.collect_seq(items),
            JsonTemplate::Map(entries) => {
                serializer.collect_map(entries.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}

impl<'de> Deserialize<'de> for JsonTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<JsonTemplate, D::Error> {
        struct JsonVisitor;
        impl<'de> Visitor<'de> for JsonVisitor {
            type Value = JsonTemplate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<JsonTemplate, E> {
                Ok(JsonTemplate::Null)
            }

            fn visit_none<E>(self) -> Result<JsonTemplate, E> {
                Ok(JsonTemplate::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<JsonTemplate, D::Error> {
                JsonTemplate::deserialize(deserializer)
            }

            fn visit_bool<E>(self, value: bool) -> Result<JsonTemplate, E> {
                Ok(JsonTemplate::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<JsonTemplate, E> {
                Ok(JsonTemplate::Number(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<JsonTemplate, E> {
                Ok(JsonTemplate::Number(value.into()))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<JsonTemplate, E> {
                let number = Number::from_f64(value);
                number.map(JsonTemplate::Number).ok_or_else(|| E::custom("a number is not finite"))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<JsonTemplate, E> {
                TextTemplate::parse(text).map(JsonTemplate::Text).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<JsonTemplate, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(JsonTemplate::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonTemplate, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(JsonTemplate::Map(entries))
            }
        }
        deserializer.deserialize_any(JsonVisitor)
    }
}
