//! The JSON Schema of a description, generated from the types for the committed file.

use std::borrow::Cow;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::source::SourceMap;
use super::{Description, Pointer, Seconds, Source, StatusSet};
use crate::upstream::description::call::Sources;
use crate::upstream::template::{Fields, HeaderFields, JsonTemplate, PathTemplate, TextTemplate};

/// Implements the schema of a type that implements `Deserialize` by hand.
macro_rules! schema {
    ($name:ident, |$generator:ident| $schema:expr) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

schema!(TextTemplate, |_generator| json_schema!({
    "description": "Text with placeholders in braces, such as {name}; a literal brace is written twice.",
    "type": ["string", "number", "boolean"],
}));
schema!(PathTemplate, |_generator| json_schema!({
    "description": "Path below api_endpoint, with placeholders inside its segments.",
    "type": "string",
    "pattern": "^(/|\\{config\\.)",
}));
schema!(JsonTemplate, |_generator| json_schema!({
    "description": "Any JSON. Texts are templates; one that is a single placeholder becomes the value with its type.",
}));
schema!(Pointer, |_generator| json_schema!({
    "description": "JSON pointer (RFC 6901).",
    "type": "string",
    "pattern": "^(/|$)",
}));
schema!(Seconds, |_generator| json_schema!({
    "description": "Duration such as 30s, 5m or 1d, or a number of seconds.",
    "type": ["string", "integer"],
}));
schema!(StatusSet, |_generator| json_schema!({
    "description": "Status codes such as 404, and classes such as 4xx.",
    "type": "array",
    "minItems": 1,
    "items": {"anyOf": [{"type": "integer", "minimum": 200, "maximum": 599}, {"enum": ["2xx", "4xx", "5xx"]}]},
}));
schema!(Fields, |generator| {
    let text = generator.subschema_for::<TextTemplate>();
    json_schema!({
        "description": "Names with their values. A list repeats the name.",
        "type": "object",
        "additionalProperties": {"anyOf": [text, {"type": "array", "items": text}]},
    })
});
schema!(HeaderFields, |generator| {
    let text = generator.subschema_for::<TextTemplate>();
    json_schema!({"description": "Headers with their values.", "type": "object", "additionalProperties": text})
});
schema!(Source, |generator| {
    let map = generator.subschema_for::<SourceMap>();
    json_schema!({
        "description": "Where a value is: a JSON pointer (begins with /), text with placeholders, or a map.",
        "anyOf": [{"type": "string"}, map],
    })
});
schema!(Sources, |generator| {
    let source = generator.subschema_for::<Source>();
    json_schema!({"description": "Names with the places of their values.", "type": "object", "additionalProperties": source})
});

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let schema = schemars::schema_for!(Description);
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets/description.schema.json");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == text, "run the test again with UPDATE_GENERATED=1");
}
