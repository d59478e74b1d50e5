//! Templates: text, paths, fields and JSON trees with placeholders from a fixed set.
//!
//! A template is parsed once. Its placeholders are replaced when a request is rendered, and each value is escaped for its position:
//! path segment, query, form, header or JSON. A template can also be *bound*: placeholders with known values become
//! literals, and the others stay. A bound template has the same syntax, so it can be stored.

mod fields;
mod json;
mod path;
mod placeholder;
mod text;

pub(crate) use self::fields::{Fields, HeaderFields, Items, is_omitted};
pub(crate) use self::json::JsonTemplate;
pub(crate) use self::path::{PathTemplate, check_path, encode_query};
pub(crate) use self::placeholder::{Placeholder, Slot, is_name};
pub(crate) use self::text::{Part, TextTemplate};

use std::borrow::Cow;

/// The value of a placeholder.
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Strings(&'a [String]),
    /// A parameter of a role or a configuration, with the type that the description declares.
    Json(&'a serde_json::Value),
}

/// The result of the lookup of a placeholder.
pub(crate) enum Lookup<'a> {
    /// The value is not known yet. Binding keeps the placeholder.
    Unbound,
    /// The placeholder has no value.
    Empty,
    Value(Value<'a>),
}

/// A source of values of placeholders.
pub(crate) trait ValueSource {
    /// Looks a placeholder up. An empty text or list is [`Lookup::Empty`].
    fn lookup(&self, placeholder: &Placeholder) -> Lookup<'_>;
}

/// An error of rendering a template. Messages contain the placeholder, never its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RenderError {
    #[error("{{{0}}} has no value here")]
    Unbound(Placeholder),
    #[error("{{{0}}} is empty")]
    Empty(Placeholder),
    #[error("{{{0}}} is a list or a map and cannot be part of a text")]
    NotText(Placeholder),
    #[error("a path segment made of {{{0}}} would be empty, \".\" or \"..\"")]
    Segment(Placeholder),
    #[error("{{{0}}} is not a path below api_endpoint")]
    Path(Placeholder),
    #[error("the value of header {0} contains a character other than printable ASCII")]
    Header(String),
    #[error("the request is longer than {} KiB", MAX_RENDERED / 1024)]
    TooLong,
    #[error("the call has no method and path")]
    NoMethod,
}

/// The maximum size of a request. Parameters are already limited when they are written.
pub(crate) const MAX_RENDERED: usize = 256 * 1024;

impl Value<'_> {
    /// Returns the value as text. A list needs a separator.
    fn to_text(&self, slot: &Slot) -> Result<Cow<'_, str>, RenderError> {
        let not_text = || RenderError::NotText(slot.placeholder.clone());
        let joined = |items: &[String]| match slot.join {
            Some(join) => Ok(Cow::from(items.join(join.separator()))),
            None => Err(not_text()),
        };
        match self {
            Value::Text(text) => Ok(Cow::from(&**text)),
            Value::Integer(number) => Ok(number.to_string().into()),
            Value::Strings(items) => joined(items),
            Value::Json(value) => match value {
                serde_json::Value::String(text) => Ok(Cow::from(&**text)),
                serde_json::Value::Number(_) | serde_json::Value::Bool(_) => Ok(value.to_string().into()),
                serde_json::Value::Array(_) => joined(&strings(value).ok_or_else(not_text)?),
                serde_json::Value::Null | serde_json::Value::Object(_) => Err(not_text()),
            },
        }
    }

    /// Returns the items of a list of texts.
    fn items(&self) -> Option<Cow<'_, [String]>> {
        match self {
            Value::Strings(items) => Some(Cow::from(*items)),
            Value::Json(value) => strings(value).map(Cow::from),
            Value::Text(_) | Value::Integer(_) => None,
        }
    }
}

fn strings(value: &serde_json::Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}
