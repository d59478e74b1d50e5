//! Checks values against the schemas of a document.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

use super::document::{Document, Node};

/// How deep values are checked, so that a schema that contains itself ends.
const MAX_DEPTH: usize = 24;

/// Keys of a schema that restrict no value, or none that a preset sends.
const IGNORED: [&str; 21] = [
    "description",
    "title",
    "example",
    "examples",
    "default",
    "deprecated",
    "externalDocs",
    "xml",
    "discriminator",
    "writeOnly",
    "uniqueItems",
    "$comment",
    "summary",
    "in",
    "name",
    "collectionFormat",
    "style",
    "explode",
    "allowEmptyValue",
    "content",
    "pattern",
];

/// Keys of a schema that are checked.
const CHECKED: [&str; 21] = [
    "type",
    "format",
    "enum",
    "const",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "allOf",
    "oneOf",
    "anyOf",
    "nullable",
    "readOnly",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
];

/// A place in a value, and what is wrong with it.
pub(super) type Problems = Vec<String>;

/// Checks a value of a request. A property that no schema names is a problem unless the schema says that there can be others.
pub(super) fn check(document: &Document, schema: Node, value: &Value, place: &str) -> Problems {
    let checker = Checker { document };
    let mut problems = Vec::new();
    checker.value(schema, value, place, Unknown::Refused, 0, &mut problems);
    problems
}

/// What a property means that the schema does not name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Refused,
    /// The schema is one of several, and the others may name it.
    Left,
}

struct Checker<'a> {
    document: &'a Document,
}

impl Checker<'_> {
    fn value(
        &self,
        schema: Node,
        value: &Value,
        place: &str,
        unknown: Unknown,
        depth: usize,
        problems: &mut Problems,
    ) {
        let Some(rules) = schema.value.as_object() else { return };
        if depth > MAX_DEPTH {
            problems.push(format!("{place}: the schema is nested too deep"));
            return;
        }
        for key in rules.keys() {
            if !CHECKED.contains(&key.as_str()) && !IGNORED.contains(&key.as_str()) && !key.starts_with("x-")
            {
                problems.push(format!("{place}: the check does not know the key {key} of the schema"));
            }
        }
        if value.is_null()
            && ["nullable", "x-nullable"].iter().any(|key| rules.get(*key) == Some(&Value::Bool(true)))
        {
            return;
        }
        if rules.get("readOnly") == Some(&Value::Bool(true)) {
            problems.push(format!("{place}: is read-only, and cannot be sent"));
        }
        self.kind(schema, value, place, problems);
        self.limits(schema, value, place, problems);
        match value {
            Value::Object(_) => self.object(schema, value, place, unknown, depth, problems),
            Value::Array(items) => {
                let Some(schema) = self.document.get(schema, "items") else { return };
                for (index, item) in items.iter().enumerate() {
                    self.value(
                        schema,
                        item,
                        &format!("{place}/{index}"),
                        Unknown::Refused,
                        depth + 1,
                        problems,
                    );
                }
            }
            _ => {}
        }
        for part in self.document.items(self.document.get(schema, "allOf")) {
            self.value(part, value, place, Unknown::Left, depth + 1, problems);
        }
        for key in ["oneOf", "anyOf"] {
            let parts = self.document.items(self.document.get(schema, key));
            let fits = |part: &Node| {
                let mut found = Vec::new();
                self.value(*part, value, place, Unknown::Refused, depth + 1, &mut found);
                found.is_empty()
            };
            if !parts.is_empty() && !parts.iter().any(fits) {
                problems.push(format!("{place}: fits none of {key}"));
            }
        }
    }

    /// Checks `type`, `enum` and `format`.
    fn kind(&self, schema: Node, value: &Value, place: &str, problems: &mut Problems) {
        let kinds: Vec<&str> = match schema.value.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is = |kind: &&str| match *kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            _ => false,
        };
        if !kinds.is_empty() && !kinds.iter().any(is) {
            problems.push(format!("{place}: must be of type {}", kinds.join(" or ")));
        }
        let allowed = schema.value.get("enum").and_then(Value::as_array);
        if allowed.is_some_and(|allowed| !allowed.contains(value)) {
            problems.push(format!("{place}: is not one of the values of the enum"));
        }
        if schema.value.get("const").is_some_and(|only| only != value) {
            problems.push(format!("{place}: is not the constant value"));
        }
        let (Some(format), Some(text)) = (schema.value.get("format").and_then(Value::as_str), value.as_str())
        else {
            return;
        };
        let fits = match format {
            "date-time" => text.parse::<Timestamp>().is_ok(),
            "date" => text.parse::<Date>().is_ok() && text.len() == 10,
            _ => true,
        };
        if !fits {
            problems.push(format!("{place}: is not a {format}"));
        }
    }

    /// Checks lengths, and the sizes of numbers.
    fn limits(&self, schema: Node, value: &Value, place: &str, problems: &mut Problems) {
        let limit = |key: &str| schema.value.get(key).and_then(Value::as_f64);
        let (size, least, most) = match value {
            Value::Array(items) => (items.len() as f64, "minItems", "maxItems"),
            Value::String(text) => (text.chars().count() as f64, "minLength", "maxLength"),
            Value::Number(number) => (number.as_f64().unwrap_or_default(), "minimum", "maximum"),
            _ => return,
        };
        let too_small = limit(least).is_some_and(|least| size < least);
        let too_large = limit(most).is_some_and(|most| size > most);
        let excluded = value.is_number()
            && (limit("exclusiveMinimum").is_some_and(|least| size <= least)
                || limit("exclusiveMaximum").is_some_and(|most| size >= most));
        if too_small || too_large || excluded {
            problems.push(format!("{place}: {size} is outside of {least} and {most}"));
        }
    }

    fn object(
        &self,
        schema: Node,
        value: &Value,
        place: &str,
        unknown: Unknown,
        depth: usize,
        problems: &mut Problems,
    ) {
        let Some(given) = value.as_object() else { return };
        let required = schema.value.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if !given.contains_key(name) {
                problems.push(format!("{place}: lacks the required property {name}"));
            }
        }
        let properties = self.document.get(schema, "properties");
        for (name, item) in given {
            let place = format!("{place}/{name}");
            if let Some(property) = properties.and_then(|properties| self.document.get(properties, name)) {
                self.value(property, item, &place, Unknown::Refused, depth + 1, problems);
            } else if let Some(other) = self.document.get(schema, "additionalProperties").filter(is_schema) {
                self.value(other, item, &place, Unknown::Refused, depth + 1, problems);
            } else if unknown == Unknown::Refused && !self.knows(schema, name, depth) {
                problems.push(format!("{place}: the schema has no such property"));
            }
        }
    }

    /// Whether a schema or one of its parts has a property, or can have any.
    fn knows(&self, schema: Node, name: &str, depth: usize) -> bool {
        if depth > MAX_DEPTH {
            return false;
        }
        let parts = ["allOf", "oneOf", "anyOf"]
            .into_iter()
            .flat_map(|key| self.document.items(self.document.get(schema, key)));
        let parts: Vec<Node> = parts.collect();
        let is_free = schema.value.get("additionalProperties").is_some_and(|other| *other != Value::Bool(false))
            // A schema without any properties describes an object with any.
            || (schema.value.get("properties").is_none() && parts.is_empty());
        is_free
            || self
                .document
                .get(schema, "properties")
                .is_some_and(|properties| properties.value.get(name).is_some())
            || parts.into_iter().any(|part| self.knows(part, name, depth + 1))
    }
}

fn is_schema(node: &Node) -> bool {
    node.value.is_object()
}

/// The schema of the value at a JSON pointer into a value of a schema.
pub(super) fn at(document: &Document, schema: Node, pointer: &str) -> Option<Node> {
    let mut found = schema;
    for segment in pointer.split('/').skip(1) {
        found = child(document, found, &segment.replace("~1", "/").replace("~0", "~"), 0)?;
    }
    Some(found)
}

fn child(document: &Document, schema: Node, name: &str, depth: usize) -> Option<Node> {
    if depth > MAX_DEPTH {
        return None;
    }
    let property = document.get(schema, "properties").and_then(|properties| document.get(properties, name));
    let item = || document.get(schema, "items").filter(|_| name.parse::<usize>().is_ok());
    let in_part = || {
        let parts =
            ["allOf", "oneOf", "anyOf"].into_iter().flat_map(|key| document.items(document.get(schema, key)));
        parts.into_iter().find_map(|part| child(document, part, name, depth + 1))
    };
    property.or_else(item).or_else(in_part)
}

/// The types that a schema allows, with those of its parts. Empty if it does not say.
pub(super) fn kinds(document: &Document, schema: Node) -> Vec<String> {
    let mut kinds: Vec<String> = match schema.value.get("type") {
        Some(Value::String(kind)) => vec![kind.clone()],
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(|kind| kind.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    for key in ["allOf", "oneOf", "anyOf"] {
        for part in document.items(document.get(schema, key)) {
            kinds.extend(self::kinds(document, part));
        }
    }
    kinds
}
