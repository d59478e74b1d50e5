//! Describes fields as schemas and parameters.

use std::collections::BTreeMap;

use super::model::{Location, Parameter, Schema};
use crate::framework::input::{DisplayAttributes, Field, FieldType};

/// Describes the data of a request or of a response.
pub(super) fn object<'a>(fields: impl IntoIterator<Item = (&'a String, &'a Field)>) -> Schema<'a> {
    let properties = fields.into_iter().map(|(name, field)| (name.clone(), property(field)));
    Schema { properties: properties.collect(), ..Schema::of("object") }
}

/// Describes the data of a list.
pub(super) fn list<'a>() -> Schema<'a> {
    let keys = Schema { items: Some(Box::new(Schema::of("string"))), ..Schema::of("array") };
    Schema { properties: BTreeMap::from([("keys".to_owned(), keys)]), ..Schema::of("object") }
}

/// Describes a field outside of the body. It is optional.
pub(super) fn parameter<'a>(name: &str, location: Location, field: &'a Field) -> Parameter<'a> {
    Parameter {
        name: name.to_owned(),
        description: single_line(field.description()),
        location,
        schema: value(field),
        required: false,
        deprecated: field.is_deprecated(),
    }
}

/// Replaces each run of white space with one space.
pub(super) fn single_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the display attributes if any is set besides the parts of an operation id.
pub(super) fn visible_display(display: Option<&DisplayAttributes>) -> Option<&DisplayAttributes> {
    display.filter(|display| {
        let empty = DisplayAttributes {
            operation_prefix: display.operation_prefix.clone(),
            operation_verb: display.operation_verb.clone(),
            operation_suffix: display.operation_suffix.clone(),
            ..DisplayAttributes::default()
        };
        **display != empty
    })
}

fn property(field: &Field) -> Schema<'_> {
    Schema {
        description: single_line(field.description()),
        deprecated: field.is_deprecated(),
        ..value(field)
    }
}

fn value(field: &Field) -> Schema<'_> {
    Schema {
        allowed: field.allowed_values().to_vec(),
        default: field.shown_default(),
        display: visible_display(field.display_attributes()),
        ..of_type(field.kind())
    }
}

fn of_type<'a>(kind: FieldType) -> Schema<'a> {
    let formatted = |kind, format| Schema { format, ..Schema::of(kind) };
    let list_of = |items| Schema { items: Some(Box::new(Schema::of(items))), ..Schema::of("array") };
    match kind {
        FieldType::String | FieldType::Header => Schema::of("string"),
        FieldType::NameString => Schema { pattern: r"\w([\w-.]*\w)?", ..Schema::of("string") },
        FieldType::LowerCaseString => formatted("string", "lowercase"),
        FieldType::Int => Schema::of("integer"),
        FieldType::Int64 => formatted("integer", "int64"),
        FieldType::DurationSecond | FieldType::SignedDurationSecond => formatted("string", "duration"),
        FieldType::Bool => Schema::of("boolean"),
        FieldType::Map => formatted("object", "map"),
        FieldType::KvPairs => formatted("object", "kvpairs"),
        FieldType::Slice => list_of("object"),
        FieldType::StringSlice | FieldType::CommaStringSlice => list_of("string"),
        FieldType::CommaIntSlice => list_of("integer"),
        FieldType::Time => formatted("string", "date-time"),
        FieldType::Float => formatted("number", "float"),
    }
}
