//! The types of fields.

/// The type a field's input is brought to, with the weak conversions of `sdk/framework`.
///
/// ```
/// # use vault_plugin::framework::{Field, field::FieldType};
/// assert_eq!(Field::comma_strings().kind(), FieldType::CommaStringSlice);
/// ```
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
    /// A duration of at least zero, in whole seconds; accepts what [`parse_duration`](crate::framework::parse_duration) does.
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
    /// Every type.
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

    /// Returns the name help texts show for this type.
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
