//! Deserializes a typed value from a [`Node`]. An error has the place of the problem.
//!
//! Messages contain the expected type and the kind of the found value. They never contain the value, which may be a secret.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

use super::node::Node;
use super::problem::{Place, Problem};
use crate::upstream::suggestion::suggestion;

/// Deserializes a value.
pub(crate) fn read<'de, T: Deserialize<'de>>(node: &'de Node) -> Result<T, Problem> {
    T::deserialize(Reader(node)).map_err(ReadError::into_problem)
}

/// A node that is deserialized.
struct Reader<'de>(&'de Node);

/// A problem with its place, as steps from the innermost one outwards.
#[derive(Debug)]
struct ReadError {
    steps: Vec<Step>,
    message: String,
}

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

impl ReadError {
    fn at(mut self, step: Step) -> ReadError {
        self.steps.push(step);
        self
    }

    fn new(message: String) -> ReadError {
        ReadError { steps: Vec::new(), message }
    }

    fn into_problem(self) -> Problem {
        let place = self.steps.iter().rev().fold(Place::root(), |place, step| match step {
            Step::Key(key) => place.key(key),
            Step::Index(index) => place.index(*index),
        });
        Problem { place, message: self.message }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> ReadError {
        ReadError::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> ReadError {
        ReadError::new(format!("must be {expected}, not {}", kind(found)))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> ReadError {
        ReadError::new(format!("must be {expected}"))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> ReadError {
        ReadError::new(format!("must be {expected}"))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> ReadError {
        let suggestion = suggestion(field, known.iter().copied());
        let message = if suggestion.is_empty() {
            format!("unknown key; known here: {}", known.join(", "))
        } else {
            format!("unknown key{suggestion}")
        };
        ReadError::new(message).at(Step::Key(field.to_owned()))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> ReadError {
        let suggestion = suggestion(variant, known.iter().copied());
        ReadError::new(format!("must be one of {}{suggestion}", known.join(", ")))
    }

    fn missing_field(field: &'static str) -> ReadError {
        ReadError::new(format!("{field} is required"))
    }

    fn duplicate_field(field: &'static str) -> ReadError {
        ReadError::new(format!("{field} is given twice"))
    }
}

fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "text",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a map",
        _ => "another kind of value",
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (_, _, Some(number)) => visitor.visit_f64(number),
                (None, None, None) => Err(ReadError::new("is not a valid number".to_owned())),
            },
            Node::Text(text) => visitor.visit_borrowed_str(text),
            Node::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Node::Map(entries) => visitor.visit_map(Entries { left: entries.iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.0 {
            Node::Text(name) => visitor.visit_enum(Variant { name, content: None }),
            Node::Map(entries) => match &entries[..] {
                [(name, content)] => visitor.visit_enum(Variant { name, content: Some(content) }),
                _ => {
                    Err(ReadError::new(format!("must have exactly one of the keys {}", variants.join(", "))))
                }
            },
            other => {
                Err(ReadError::new(format!("must be one of {}, not {}", variants.join(", "), other.kind())))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        // A derived `Deserialize` would accept a list too.
        match self.0 {
            Node::Map(_) => self.deserialize_any(visitor),
            other => Err(ReadError::new(format!("must be a map, not {}", other.kind()))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Node>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some((index, node)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(node)).map(Some).map_err(|error| error.at(Step::Index(index)))
    }
}

struct Entries<'de> {
    left: std::slice::Iter<'de, (String, Node)>,
    value: Option<&'de (String, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        self.value = self.left.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some((key, node)) = self.value.take() else {
            return Err(ReadError::new("a value is read before its key".to_owned()));
        };
        seed.deserialize(Reader(node)).map_err(|error| error.at(Step::Key(key.clone())))
    }
}

struct Variant<'de> {
    name: &'de str,
    content: Option<&'de Node>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = ReadError;
    type Variant = VariantContent<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, VariantContent<'de>), ReadError> {
        let variant = seed.deserialize(StrDeserializer::new(self.name))?;
        Ok((variant, VariantContent(self)))
    }
}

struct VariantContent<'de>(Variant<'de>);

impl<'de> VariantContent<'de> {
    fn content(&self) -> Result<Reader<'de>, ReadError> {
        let missing = || ReadError::new(format!("{} needs a value", self.0.name));
        self.0.content.map(Reader).ok_or_else(missing)
    }

    fn at(&self, error: ReadError) -> ReadError {
        error.at(Step::Key(self.0.name.to_owned()))
    }
}

impl<'de> VariantAccess<'de> for VariantContent<'de> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.0.content {
            None | Some(Node::Null) => Ok(()),
            Some(_) => Err(self.at(ReadError::new("has no value".to_owned()))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.content()?).map_err(|error| self.at(error))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.content()?.deserialize_any(visitor).map_err(|error| self.at(error))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let content = self.content()?;
        content.deserialize_struct("", fields, visitor).map_err(|error| self.at(error))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        mint: Inner,
        #[serde(default)]
        list: Vec<u8>,
        #[serde(default)]
        map: BTreeMap<String, bool>,
        #[serde(default)]
        choice: Option<Choice>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        path: String,
        #[serde(default)]
        status: Option<u16>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        Find { settle: u32 },
        None,
        Text(String),
    }

    fn refused(text: &str) -> String {
        read::<Outer>(&Node::parse(text).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_value_that_fits_is_read() {
        let text =
            "mint: {path: /x, status: null}\nlist: [1, 2]\nmap: {a: true}\nchoice: {find: {settle: 3}}";
        let read: Outer = read(&Node::parse(text).unwrap()).unwrap();
        assert_eq!((read.list, read.map.len()), (vec![1, 2], 1));
        assert_eq!(read.choice, Some(Choice::Find { settle: 3 }));
        assert_eq!(read.mint, Inner { path: "/x".to_owned(), status: None });
    }

    #[test]
    fn an_invalid_value_is_reported_with_its_place_and_is_not_shown() {
        for (text, expected) in [
            ("mint: {paht: hunter2}", "mint.paht: unknown key; did you mean path?"),
            ("mint: {secret: hunter2}", "mint.secret: unknown key; known here: path, status"),
            ("mint: {path: [hunter2]}", "mint.path: must be a string, not a list"),
            ("mint: {path: x, status: hunter2}", "mint.status: must be u16, not text"),
            ("mint: {}", "mint: path is required"),
            ("list: []", "the description: mint is required"),
            ("mint: {path: x}\nlist: [1, 300]", "list[1]: must be u8"),
            ("mint: {path: x}\nmap: {a: hunter2}", "map.a: must be a boolean, not text"),
            ("mint: {path: x}\nchoice: nnoe", "choice: must be one of find, none, text"),
            (
                "mint: {path: x}\nchoice: {find: {settle: hunter2}}",
                "choice.find.settle: must be u32, not text",
            ),
            ("mint: {path: x}\nchoice: find", "choice: find needs a value"),
            ("mint: {path: x}\nchoice: {none: 3}", "choice.none: has no value"),
            ("mint: {path: x}\nchoice: {}", "choice: must have exactly one of the keys find, none, text"),
            ("mint: {path: x}\nchoice: 3", "choice: must be one of find, none, text, not a number"),
            ("[1]", "the description: must be a map, not a list"),
        ] {
            let error = refused(text);
            assert!(error.starts_with(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
