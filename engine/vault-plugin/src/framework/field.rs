//! Declares the fields of a path: their types, defaults and documentation.

use serde::Serialize;
use serde_json::Value;

use super::coerce::coerce;

/// The type a field's input is brought to, with the weak conversions of `sdk/framework`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// Text; numbers and booleans become text too.
    String,
    /// A whole number.
    Int,
    /// A whole number, documented as 64 bits wide.
    Int64,
    /// A boolean; also accepts numbers and texts such as `"t"` or `"0"`.
    Bool,
    /// An object with any values.
    Map,
    /// A list with any items.
    Slice,
    /// A list of texts, not split at commas.
    StringSlice,
    /// A list of texts, or one text split at commas.
    CommaStringSlice,
    /// A list of whole numbers, or one text split at commas.
    CommaIntSlice,
    /// An object of texts, or a list of `key=value`.
    KvPairs,
    /// Text that can stand in a URL segment: word characters, with `-` and `.` inside.
    NameString,
    /// Text, lowercased.
    LowerCaseString,
    /// A duration of at least zero, in whole seconds; accepts what [`parse_duration`](super::parse_duration) does.
    DurationSecond,
    /// A duration of either sign, in whole seconds.
    SignedDurationSecond,
    /// A number.
    Float,
    /// An instant, from RFC 3339 text or seconds since the Unix epoch; read as RFC 3339 text in UTC.
    Time,
    /// HTTP headers; read as an object of lists under canonical names.
    Header,
}

impl FieldType {
    /// Returns the name help texts show for this type.
    pub fn label(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::Map => "map",
            Self::Slice | Self::StringSlice | Self::CommaStringSlice | Self::CommaIntSlice => "slice",
            Self::KvPairs => "keypair",
            Self::NameString => "name string",
            Self::LowerCaseString => "lowercase string",
            Self::DurationSecond | Self::SignedDurationSecond => "duration (sec)",
            Self::Float => "float",
            Self::Time => "time",
            Self::Header => "header",
        }
    }
}

/// One field of a path, declared as `Field::duration().default("1h").describe("Lifetime of a token.")`.
///
/// As in `sdk/framework`, `required`, `deprecated` and `allowed` are documentation: requests are not checked
/// against them.
#[derive(Clone, Debug)]
pub struct Field {
    kind: FieldType,
    description: String,
    default: Option<Value>,
    required: bool,
    deprecated: bool,
    query: bool,
    allowed: Vec<Value>,
    display: Option<DisplayAttributes>,
}

/// Constructors, one for each type.
impl Field {
    /// Declares a [`FieldType::String`].
    pub fn string() -> Self {
        Self::of(FieldType::String)
    }

    /// Declares a [`FieldType::Int`].
    pub fn int() -> Self {
        Self::of(FieldType::Int)
    }

    /// Declares a [`FieldType::Int64`].
    pub fn int64() -> Self {
        Self::of(FieldType::Int64)
    }

    /// Declares a [`FieldType::Bool`].
    pub fn bool() -> Self {
        Self::of(FieldType::Bool)
    }

    /// Declares a [`FieldType::Map`].
    pub fn map() -> Self {
        Self::of(FieldType::Map)
    }

    /// Declares a [`FieldType::Slice`].
    pub fn list() -> Self {
        Self::of(FieldType::Slice)
    }

    /// Declares a [`FieldType::StringSlice`].
    pub fn strings() -> Self {
        Self::of(FieldType::StringSlice)
    }

    /// Declares a [`FieldType::CommaStringSlice`].
    pub fn comma_strings() -> Self {
        Self::of(FieldType::CommaStringSlice)
    }

    /// Declares a [`FieldType::CommaIntSlice`].
    pub fn comma_ints() -> Self {
        Self::of(FieldType::CommaIntSlice)
    }

    /// Declares a [`FieldType::KvPairs`].
    pub fn kv_pairs() -> Self {
        Self::of(FieldType::KvPairs)
    }

    /// Declares a [`FieldType::NameString`].
    pub fn name_string() -> Self {
        Self::of(FieldType::NameString)
    }

    /// Declares a [`FieldType::LowerCaseString`].
    pub fn lower_case_string() -> Self {
        Self::of(FieldType::LowerCaseString)
    }

    /// Declares a [`FieldType::DurationSecond`].
    pub fn duration() -> Self {
        Self::of(FieldType::DurationSecond)
    }

    /// Declares a [`FieldType::SignedDurationSecond`].
    pub fn signed_duration() -> Self {
        Self::of(FieldType::SignedDurationSecond)
    }

    /// Declares a [`FieldType::Float`].
    pub fn float() -> Self {
        Self::of(FieldType::Float)
    }

    /// Declares a [`FieldType::Time`].
    pub fn time() -> Self {
        Self::of(FieldType::Time)
    }

    /// Declares a [`FieldType::Header`].
    pub fn header() -> Self {
        Self::of(FieldType::Header)
    }

    fn of(kind: FieldType) -> Self {
        Self {
            kind,
            description: String::new(),
            default: None,
            required: false,
            deprecated: false,
            query: false,
            allowed: Vec::new(),
            display: None,
        }
    }
}

/// What a declaration says beyond the type.
impl Field {
    /// Describes the field for help texts and OpenAPI.
    #[must_use]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the value of the field where a request does not give one.
    ///
    /// The value takes the same forms as input: the default of a duration may be `3600` or `"1h"`.
    ///
    /// # Panics
    /// In debug builds, if the value does not fit the type: that is a mistake in the declaration.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        let value = value.into();
        debug_assert!(coerce(self.kind, &value).is_ok(), "the default {value} is no {}", self.kind.label());
        self.default = Some(value);
        self
    }

    /// Documents the field as one every request should give.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Documents the field as one to avoid.
    #[must_use]
    pub fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    /// Documents the field as a query parameter of the operations without a body: read, list and delete.
    #[must_use]
    pub fn query(mut self) -> Self {
        self.query = true;
        self
    }

    /// Documents the values the field takes.
    #[must_use]
    pub fn allowed<V: Into<Value>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.allowed = values.into_iter().map(Into::into).collect();
        self
    }

    /// Gives hints to user interfaces. A field once marked [`sensitive`](Self::sensitive) stays so.
    #[must_use]
    pub fn display(mut self, attributes: DisplayAttributes) -> Self {
        let sensitive = self.is_sensitive() || attributes.sensitive;
        self.display = Some(DisplayAttributes { sensitive, ..attributes });
        self
    }

    /// Asks user interfaces to mask the value.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.display.get_or_insert_default().sensitive = true;
        self
    }
}

/// What the documentation and the dispatch read of a declaration.
impl Field {
    /// Returns the type.
    pub fn kind(&self) -> FieldType {
        self.kind
    }

    /// Returns the description as declared.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the default as declared.
    pub fn declared_default(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    /// Returns the default in the form a request's value has after coercion: `"1h"` as `3600`.
    pub fn default_or_none(&self) -> Option<Value> {
        coerce(self.kind, self.default.as_ref()?).ok().flatten()
    }

    /// Tells whether the field is documented as required.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Tells whether the field is documented as deprecated.
    pub fn is_deprecated(&self) -> bool {
        self.deprecated
    }

    /// Tells whether the field is documented as a query parameter.
    pub fn is_query(&self) -> bool {
        self.query
    }

    /// Tells whether user interfaces are asked to mask the value.
    pub fn is_sensitive(&self) -> bool {
        self.display.as_ref().is_some_and(|display| display.sensitive)
    }

    /// Returns the documented values; none means any.
    pub fn allowed_values(&self) -> &[Value] {
        &self.allowed
    }

    /// Returns the hints for user interfaces.
    pub fn display_attributes(&self) -> Option<&DisplayAttributes> {
        self.display.as_ref()
    }
}

/// Hints for user interfaces and generated documentation; an empty or false member is not shown.
///
/// Written as a literal: `DisplayAttributes { name: "API key".into(), ..Default::default() }`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DisplayAttributes {
    /// The label of a field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Help beside the label, where it should differ from the field's description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The value a user interface offers first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Masks the value.
    #[serde(skip_serializing_if = "is_unset")]
    pub sensitive: bool,
    /// Offers the path as a navigation tab.
    #[serde(skip_serializing_if = "is_unset")]
    pub navigation: bool,
    /// What the path works on, such as `Role`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub item_type: String,
    /// The group a field is shown in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The verb of the operation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// First part of the OpenAPI operation id, such as the plugin's name.
    #[serde(skip)]
    pub operation_prefix: String,
    /// Second part of the operation id; without it, the name of the operation.
    #[serde(skip)]
    pub operation_verb: String,
    /// Last part of the operation id; without it, the path. One for each form of the path, separated by `|`.
    #[serde(skip)]
    pub operation_suffix: String,
    /// The form control, where it is `textarea` or `file`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub edit_type: String,
    /// Marks the field that names the item.
    #[serde(skip_serializing_if = "is_unset")]
    pub identifier: bool,
}

fn is_unset(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_duration_default_is_read_in_seconds() {
        assert_eq!(Field::duration().default("1h").default_or_none(), Some(json!(3600)));
        assert_eq!(Field::duration().default(90).default_or_none(), Some(json!(90)));
        assert_eq!(Field::duration().default_or_none(), None);
    }

    #[test]
    fn a_comma_list_default_is_read_as_a_list() {
        assert_eq!(
            Field::comma_strings().default("read, list").default_or_none(),
            Some(json!(["read", "list"]))
        );
    }

    #[test]
    fn a_sensitive_field_stays_sensitive_when_hints_are_added() {
        let hints = DisplayAttributes { name: "API key".into(), ..Default::default() };
        for field in
            [Field::string().sensitive().display(hints.clone()), Field::string().display(hints).sensitive()]
        {
            assert!(field.is_sensitive());
            assert_eq!(field.display_attributes().map(|shown| shown.name.as_str()), Some("API key"));
        }
    }

    #[test]
    fn hints_show_only_what_is_set_and_never_the_operation_id_parts() {
        let hints = DisplayAttributes {
            item_type: "Role".into(),
            operation_prefix: "token".into(),
            navigation: true,
            ..Default::default()
        };
        assert_eq!(serde_json::to_value(hints).unwrap(), json!({"itemType": "Role", "navigation": true}));
    }
}
