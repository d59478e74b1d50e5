//! The types of fields.

/// The type to which the input of a field is coerced, with the weak conversions of `sdk/framework`.
///
/// ```
/// # use vault_plugin::framework::{Field, field::FieldType};
/// assert_eq!(Field::comma_strings().kind(), FieldType::CommaStringSlice);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A string. Accepts numbers and booleans.
    String,
    /// An integer.
    Int,
    /// An integer that is documented as 64 bits wide.
    Int64,
    /// A boolean. Accepts numbers and strings such as `"t"` or `"0"`.
    Bool,
    /// An object with any values.
    Map,
    /// A list with any items.
    Slice,
    /// A list of strings, not split at commas.
    StringSlice,
    /// A list of strings, or one string that is split at commas.
    CommaStringSlice,
    /// A list of integers, or one string that is split at commas.
    CommaIntSlice,
    /// An object of strings, or a list of `key=value`.
    KvPairs,
    /// A string that can be a URL segment: word characters, with `-` and `.` inside.
    NameString,
    /// A string in lower case.
    LowerCaseString,
    /// A non-negative duration in whole seconds. Accepts the same input as [`parse_duration`](crate::framework::parse_duration).
    DurationSecond,
    /// A signed duration in whole seconds.
    SignedDurationSecond,
    /// A number.
    Float,
    /// A point in time, from RFC 3339 or seconds since the Unix epoch. The value is RFC 3339 in UTC.
    Time,
    /// HTTP headers. The value is an object of lists with canonical names.
    Header,
}

impl FieldType {
    /// All types.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const ALL: [FieldType; 17] = [
        FieldType::String,
        FieldType::Int,
        FieldType::Int64,
        FieldType::Bool,
        FieldType::Map,
        FieldType::Slice,
        FieldType::StringSlice,
        FieldType::CommaStringSlice,
        FieldType::CommaIntSlice,
        FieldType::KvPairs,
        FieldType::NameString,
        FieldType::LowerCaseString,
        FieldType::DurationSecond,
        FieldType::SignedDurationSecond,
        FieldType::Float,
        FieldType::Time,
        FieldType::Header,
    ];

    /// Returns the name of the type in help.
    ///
    /// ```
    /// # use vault_plugin::framework::field::FieldType;
    /// assert_eq!(FieldType::DurationSecond.label(), "duration (sec)");
    /// ```
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
