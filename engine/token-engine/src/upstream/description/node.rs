//! A JSON or YAML document: keys keep their order, and duplicate keys are rejected.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Number;

/// The maximum size of a description in bytes. A typical one has two thousand.
pub(crate) const MAX_SIZE: usize = 64 * 1024;

/// The maximum number of keys and values of a description.
const MAX_NODES: usize = 2000;

/// The maximum nesting of maps and lists.
const MAX_DEPTH: usize = 24;

/// The maximum length of a key.
const MAX_KEY_LENGTH: usize = 256;

/// A tree of values.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// An invalid document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NodeError {
    #[error("is longer than {} KiB", MAX_SIZE / 1024)]
    TooLong,
    #[error("is empty")]
    Empty,
    #[error("is neither JSON nor YAML: {0}")]
    Syntax(String),
}

impl Node {
    /// Parses JSON or YAML.
    pub(crate) fn parse(text: &str) -> Result<Node, NodeError> {
        if text.len() > MAX_SIZE {
            return Err(NodeError::TooLong);
        }
        // JSON has its own parser, because JSON with tabs is not valid YAML, and its messages are better.
        let node = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())
        } else {
            yaml::from_str(text).map_err(|error| error.to_string())
        };
        match node.map_err(NodeError::Syntax)? {
            Node::Null => Err(NodeError::Empty),
            node => Ok(node),
        }
    }

    /// Returns the kind of value, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "a boolean",
            Node::Number(_) => "a number",
            Node::Text(_) => "text",
            Node::List(_) => "a list",
            Node::Map(_) => "a map",
        }
    }
}

/// Deserializes one node, and counts it.
struct Seed<'a> {
    left: &'a Cell<usize>,
    depth: usize,
}

impl<'a> Seed<'a> {
    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1);
        self.left
            .set(left.ok_or_else(|| E::custom(format!("it has more than {MAX_NODES} keys and values")))?);
        Ok(())
    }

    fn deeper<E: serde::de::Error>(&self) -> Result<Seed<'a>, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format!("it is nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(Seed { left: self.left, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value).map(Node::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.deeper()?)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map: Vec<(String, Node)> = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.count()?;
            if key.len() > MAX_KEY_LENGTH {
                return Err(A::Error::custom(format!("a key is longer than {MAX_KEY_LENGTH} bytes")));
            }
            if map.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format!("key {key:?} is given twice")));
            }
            map.push((key, entries.next_value_seed(self.deeper()?)?));
        }
        Ok(Node::Map(map))
    }
}

impl<'de> serde::Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let left = Cell::new(MAX_NODES);
        Seed { left: &left, depth: 0 }.deserialize(deserializer)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Null => serializer.serialize_unit(),
            Node::Bool(value) => serializer.serialize_bool(*value),
            Node::Number(value) => value.serialize(serializer),
            Node::Text(value) => serializer.serialize_str(value),
            Node::List(items) => serializer.collect_seq(items),
            Node::Map(entries) => serializer.collect_map(entries.iter().map(|(key, value)| (key, value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn refused(text: &str) -> String {
        Node::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn json_and_yaml_are_the_same_document() {
        let json = Node::parse("{\"b\": [1, true, null],\t\"a\": {\"x\": \"y\", \"n\": -1.5}}").unwrap();
        let yaml = Node::parse("b: [1, true, null]\na:\n  x: y\n  n: -1.5\n").unwrap();
        assert_eq!(json, yaml);
        let Node::Map(entries) = &json else { panic!("a map") };
        assert_eq!(entries[0].0, "b", "the order is kept");
        let written = serde_json::to_string(&json).unwrap();
        assert_eq!(Node::parse(&written).unwrap(), json);
        let value: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(
            serde_json::to_value(serde_json::from_value::<Node>(value.clone()).unwrap()).unwrap(),
            value
        );
    }

    #[test]
    fn a_document_that_is_too_large_too_deep_or_ambiguous_is_rejected() {
        assert!(refused(&"x".repeat(MAX_SIZE + 1)).contains("longer than 64 KiB"));
        for text in ["", "# nothing\n", "null"] {
            assert_eq!(refused(text), "is empty", "{text:?}");
        }
        for text in ["{\"a\": 1, \"a\": 2}", "a: 1\na: 2\n"] {
            assert!(refused(text).contains("given twice") || refused(text).contains("duplicate"), "{text}");
        }
        let many =
            format!("{{{}}}", (0..10_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(","));
        assert!(many.len() > MAX_SIZE || refused(&many).contains("keys and values"));
        let many = format!("[{}]", "1,".repeat(10_000) + "1");
        assert!(refused(&many).contains("more than 2000"), "{}", refused(&many));
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(refused(&deep).contains("levels deep"), "{}", refused(&deep));
        assert!(refused("a: .nan").contains("finite"));
        assert!(refused("{\"a\": ").contains("line 1"));
        assert!(refused(&format!("{{\"{}\": 1}}", "k".repeat(300))).contains("256 bytes"));
    }

    #[test]
    fn a_message_contains_no_value_of_the_text() {
        for text in [
            "{\"a\": \"hunter2\" \"b\"}",
            "{\"a\": hunter2}",
            "a: !hunter2 x",
            "a: !!int hunter2",
            "a: hunter2: x",
            "a: *hunter2",
            "a: \"hunter2",
            "a: [hunter2",
            "a: b\nhunter2\n",
            "a: hunter2\n---\nb: hunter2\n",
        ] {
            let message = refused(text);
            assert!(!message.contains("hunter2"), "{text}: {message}");
            assert!(message.contains("line "), "{text}: {message}");
        }
    }

    #[test]
    fn words_of_yaml_1_1_are_text() {
        let node = Node::parse("a: yes\nb: 010\nc: 1_000\nd: 2026-01-01\n").unwrap();
        let value = serde_json::to_value(&node).unwrap();
        assert_eq!(value, serde_json::json!({"a": "yes", "b": "010", "c": "1_000", "d": "2026-01-01"}));
    }

    #[test]
    fn an_alias_inside_of_its_own_anchor_is_refused() {
        for text in ["x: &a [*a]\n", "mint: &m\n  json: *m\n", "mint: &m {post: /x, json: {a: *m}}\n"] {
            assert!(refused(text).contains("at line "), "{text}");
        }
    }

    #[test]
    fn aliases_do_not_multiply_without_end() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let last = level - 1;
            let aliases = vec![format!("*a{last}"); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(!refused(&text).is_empty());
    }
}
