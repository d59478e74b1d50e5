//! Templates of query parameters, form fields and headers.

use std::fmt;

use http::HeaderName;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::text::TextTemplate;
use super::{Lookup, RenderError, ValueSource};

/// The fields of a query or a form. The order is kept.
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Fields(pub(crate) Vec<(String, Items)>);

/// The value of a field: one text, or several with the same name.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Items {
    One(TextTemplate),
    Many(Vec<TextTemplate>),
}

impl Items {
    pub(crate) fn templates(&self) -> &[TextTemplate] {
        match self {
            Items::One(text) => std::slice::from_ref(text),
            Items::Many(texts) => texts,
        }
    }

    /// Returns the value with known placeholders replaced by literals. `None` if it is omitted.
    fn bind(&self, values: &impl ValueSource) -> Result<Option<Items>, RenderError> {
        match self {
            Items::Many(texts) => {
                let bound: Result<_, _> = texts.iter().map(|text| text.bind(values)).collect();
                bound.map(Items::Many).map(Some)
            }
            Items::One(text) => {
                let Some(slot) = text.sole() else { return text.bind(values).map(Items::One).map(Some) };
                match values.lookup(&slot.placeholder) {
                    Lookup::Empty if slot.optional => Ok(None),
                    Lookup::Value(value) if slot.join.is_none() => match value.items() {
                        Some(items) => {
                            Ok(Some(Items::Many(items.iter().map(TextTemplate::literal).collect())))
                        }
                        None => text.bind(values).map(Items::One).map(Some),
                    },
                    _ => text.bind(values).map(Items::One).map(Some),
                }
            }
        }
    }
}

impl Fields {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Renders the names and values, unescaped.
    pub(crate) fn render(&self, values: &impl ValueSource) -> Result<Vec<(&str, String)>, RenderError> {
        let mut rendered = Vec::with_capacity(self.0.len());
        for (name, items) in &self.0 {
            let Some(bound) = items.bind(values)? else { continue };
            for text in bound.templates() {
                rendered.push((&**name, text.render(values)?));
            }
        }
        Ok(rendered)
    }

    pub(crate) fn bind(&self, values: &impl ValueSource) -> Result<Fields, RenderError> {
        let mut bound = Vec::with_capacity(self.0.len());
        for (name, items) in &self.0 {
            if let Some(items) = items.bind(values)? {
                bound.push((name.clone(), items));
            }
        }
        Ok(Fields(bound))
    }
}

impl Serialize for Items {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Items::One(text) => text.serialize(serializer),
            Items::Many(texts) => texts.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Items, D::Error> {
        struct ItemsVisitor;
        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or a list of texts")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Items, E> {
                TextTemplate::parse(text).map(Items::One).map_err(E::custom)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Items, E> {
                Ok(Items::One(TextTemplate::literal(value.to_string())))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Items, E> {
                Ok(Items::One(TextTemplate::literal(value.to_string())))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Items, E> {
                Ok(Items::One(TextTemplate::literal(value.to_string())))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Items, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(Items::Many(texts))
            }
        }
        deserializer.deserialize_any(ItemsVisitor)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, items) in &self.0 {
            map.serialize_entry(name, items)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of names to texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Headers, except those that the HTTP client sets.
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct HeaderFields(pub(crate) Vec<(HeaderName, TextTemplate)>);

/// Headers that the HTTP client sets. A template with one of them could smuggle a request.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header that cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("is not the name of a header")]
    Name,
    #[error("this header is set by the engine")]
    Reserved,
    #[error("this header is given twice; header names are case-insensitive")]
    Twice,
}

/// Returns whether a value is an optional placeholder without a value.
pub(crate) fn is_omitted(text: &TextTemplate, values: &impl ValueSource) -> bool {
    text.sole().is_some_and(|slot| slot.optional && matches!(values.lookup(&slot.placeholder), Lookup::Empty))
}

impl HeaderFields {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bind(&self, values: &impl ValueSource) -> Result<HeaderFields, RenderError> {
        let mut bound = Vec::with_capacity(self.0.len());
        for (name, text) in &self.0 {
            if !is_omitted(text, values) {
                bound.push((name.clone(), text.bind(values)?));
            }
        }
        Ok(HeaderFields(bound))
    }
}

impl Serialize for HeaderFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, text) in &self.0 {
            map.serialize_entry(name.as_str(), text)?;
        }
        map.end()
    }
}

/// A valid name of a header that a template may set.
struct CheckedName(HeaderName);

impl<'de> Deserialize<'de> for CheckedName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CheckedName, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = HeaderName::try_from(&text).map_err(|_| D::Error::custom(HeaderError::Name))?;
        if RESERVED.contains(&name.as_str()) {
            return Err(D::Error::custom(format!("{name}: {}", HeaderError::Reserved)));
        }
        Ok(CheckedName(name))
    }
}

impl<'de> Deserialize<'de> for HeaderFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HeaderFields, D::Error> {
        struct HeadersVisitor;
        impl<'de> Visitor<'de> for HeadersVisitor {
            type Value = HeaderFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of header names to texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderFields, A::Error> {
                let mut fields: Vec<(HeaderName, TextTemplate)> = Vec::new();
                while let Some(CheckedName(name)) = map.next_key()? {
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("{name}: {}", HeaderError::Twice)));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(HeaderFields(fields))
            }
        }
        deserializer.deserialize_map(HeadersVisitor)
    }
}
