//! The fields of a path: their types, defaults and documentation.

use serde::Serialize;
use serde_json::Value;

use super::coerce::coerce;
pub use super::field_type::FieldType;

/// A field of a path, declared as `Field::duration().default("1h").describe("Lifetime of a token.")`.
///
/// As in `sdk/framework`, `required`, `deprecated` and `allowed` are documentation only: requests are not validated
/// against them.
///
/// ```
/// use serde_json::json;
/// use vault_plugin::framework::{Context, Data, Engine, Field, Path};
/// use vault_plugin::logical::{Map, Operation};
/// use vault_plugin::testing::TestMount;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("role")
///     .field("ttl", Field::duration().default("1h"))
///     .field("permissions", Field::comma_strings())
///     .on(Operation::Update, "Store a role.", |_: Context<()>, role: Map| async { Ok(Data(role)) });
/// let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
///
/// let stored = mount.write("role", json!({"permissions": "read, list"})).await?.unwrap();
/// assert_eq!(json!(stored.data), json!({"ttl": 3600, "permissions": ["read", "list"]}));
///
/// let error = mount.write("role", json!({"ttl": "-5m"})).await?.unwrap();
/// assert!(error.error_text().unwrap().ends_with("field \"ttl\": cannot provide negative value '-300'"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Field {
    kind: FieldType,
    description: String,
    default: Option<Value>,
    documented_default: Option<Value>,
    required: bool,
    deprecated: bool,
    query: bool,
    allowed: Vec<Value>,
    display: Option<DisplayAttributes>,
}

/// The constructors, one per type. The examples show accepted values with defaults, which are coerced like input.
impl Field {
    /// Declares a [`FieldType::String`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::string().default(7).coerced_default(), Some(json!("7")));
    /// assert_eq!(Field::string().default(true).coerced_default(), Some(json!("1")));
    /// ```
    pub fn string() -> Self {
        Self::with_type(FieldType::String)
    }

    /// Declares a [`FieldType::Int`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::int().default("0x10").coerced_default(), Some(json!(16)));
    /// assert_eq!(Field::int().default(2.9).coerced_default(), Some(json!(2)));
    /// ```
    pub fn int() -> Self {
        Self::with_type(FieldType::Int)
    }

    /// Declares a [`FieldType::Int64`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// let exact = json!(9_007_199_254_740_993_i64);
    /// assert_eq!(Field::int64().default("9007199254740993").coerced_default(), Some(exact));
    /// ```
    pub fn int64() -> Self {
        Self::with_type(FieldType::Int64)
    }

    /// Declares a [`FieldType::Bool`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::bool().default("t").coerced_default(), Some(json!(true)));
    /// assert_eq!(Field::bool().default(0).coerced_default(), Some(json!(false)));
    /// ```
    pub fn bool() -> Self {
        Self::with_type(FieldType::Bool)
    }

    /// Declares a [`FieldType::Map`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// let maps = json!([{"team": "blue"}, {"seats": 4}]);
    /// assert_eq!(Field::map().default(maps).coerced_default(), Some(json!({"team": "blue", "seats": 4})));
    /// ```
    pub fn map() -> Self {
        Self::with_type(FieldType::Map)
    }

    /// Declares a [`FieldType::Slice`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::list().default(7).coerced_default(), Some(json!([7])));
    /// ```
    pub fn list() -> Self {
        Self::with_type(FieldType::Slice)
    }

    /// Declares a [`FieldType::StringSlice`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::strings().default("CN=a,OU=b").coerced_default(), Some(json!(["CN=a,OU=b"])));
    /// assert_eq!(Field::strings().default(vec![7, 8]).coerced_default(), Some(json!(["7", "8"])));
    /// ```
    pub fn strings() -> Self {
        Self::with_type(FieldType::StringSlice)
    }

    /// Declares a [`FieldType::CommaStringSlice`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::comma_strings().default("read, list").coerced_default(), Some(json!(["read", "list"])));
    /// ```
    pub fn comma_strings() -> Self {
        Self::with_type(FieldType::CommaStringSlice)
    }

    /// Declares a [`FieldType::CommaIntSlice`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::comma_ints().default("80,443").coerced_default(), Some(json!([80, 443])));
    /// ```
    pub fn comma_ints() -> Self {
        Self::with_type(FieldType::CommaIntSlice)
    }

    /// Declares a [`FieldType::KvPairs`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::kv_pairs().default(vec!["team=blue"]).coerced_default(), Some(json!({"team": "blue"})));
    /// assert_eq!(Field::kv_pairs().default(json!({"seats": 4})).coerced_default(), Some(json!({"seats": "4"})));
    /// ```
    pub fn kv_pairs() -> Self {
        Self::with_type(FieldType::KvPairs)
    }

    /// Declares a [`FieldType::NameString`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::{Context, Engine, Field, NoFields, Path}};
    /// # use vault_plugin::{logical::Operation, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("role").field("team", Field::name_string());
    /// # let path = path.on(Operation::Update, "Store a role.", |_: Context<()>, _: NoFields| async { Ok(()) });
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// assert!(mount.write("role", json!({"team": "blue-1.eu"})).await?.is_none());
    /// let error = mount.write("role", json!({"team": "../blue"})).await?.unwrap();
    /// assert!(error.error_text().unwrap().ends_with("field does not match the formatting rules"));
    /// # Ok(()) }
    /// ```
    pub fn name_string() -> Self {
        Self::with_type(FieldType::NameString)
    }

    /// Declares a [`FieldType::LowerCaseString`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::lower_case_string().default("Ann@Home").coerced_default(), Some(json!("ann@home")));
    /// ```
    pub fn lower_case_string() -> Self {
        Self::with_type(FieldType::LowerCaseString)
    }

    /// Declares a [`FieldType::DurationSecond`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::duration().default("90m").coerced_default(), Some(json!(5400)));
    /// assert_eq!(Field::duration().default(90).coerced_default(), Some(json!(90)));
    /// ```
    pub fn duration() -> Self {
        Self::with_type(FieldType::DurationSecond)
    }

    /// Declares a [`FieldType::SignedDurationSecond`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::signed_duration().default("-30s").coerced_default(), Some(json!(-30)));
    /// ```
    pub fn signed_duration() -> Self {
        Self::with_type(FieldType::SignedDurationSecond)
    }

    /// Declares a [`FieldType::Float`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::float().default("0.5").coerced_default(), Some(json!(0.5)));
    /// ```
    pub fn float() -> Self {
        Self::with_type(FieldType::Float)
    }

    /// Declares a [`FieldType::Time`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// let noon = Some(json!("2026-02-28T12:00:00Z"));
    /// assert_eq!(Field::time().default("2026-02-28T14:00:00+02:00").coerced_default(), noon);
    /// assert_eq!(Field::time().default("1772280000").coerced_default(), noon);
    /// ```
    pub fn time() -> Self {
        Self::with_type(FieldType::Time)
    }

    /// Declares a [`FieldType::Header`].
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// let header = Field::header().default(json!({"x-request-id": "r1"}));
    /// assert_eq!(header.coerced_default(), Some(json!({"X-Request-Id": ["r1"]})));
    /// ```
    pub fn header() -> Self {
        Self::with_type(FieldType::Header)
    }

    fn with_type(kind: FieldType) -> Self {
        Self {
            kind,
            description: String::new(),
            default: None,
            documented_default: None,
            required: false,
            deprecated: false,
            query: false,
            allowed: Vec::new(),
            display: None,
        }
    }
}

/// The attributes of a field.
impl Field {
    /// Sets the description for help and OpenAPI.
    ///
    /// ```
    /// # use vault_plugin::framework::Field;
    /// let field = Field::duration().describe("Lifetime of a token.");
    /// assert_eq!(field.description(), "Lifetime of a token.");
    /// ```
    #[must_use]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the value of the field in requests that omit it.
    ///
    /// The value is coerced like input: the default of a duration may be `3600` or `"1h"`.
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// let field = Field::duration().default("1h");
    /// assert_eq!(field.declared_default(), Some(&json!("1h")));
    /// assert_eq!(field.coerced_default(), Some(json!(3600)));
    /// ```
    ///
    /// # Panics
    /// In debug builds, if the value does not have the type of the field, which is an error in the declaration.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        let value = value.into();
        debug_assert!(
            coerce(self.kind, &value).is_ok(),
            "invalid default {value} for a field of type {}",
            self.kind.label()
        );
        self.default = Some(value);
        self
    }

    /// Documents the value that applies if the field was never set. Unlike [`default`](Self::default), it is not added to a request, so a
    /// handler that changes only the given fields can tell them from the others.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Data, Engine, Field, Path};
    /// # use vault_plugin::{logical::{Map, Operation}, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config").field("timeout", Field::duration().documented_default("30s"));
    /// # let path = path.on(Operation::Update, "Configure.", |_: Context<()>, config: Map| async { Ok(Data(config)) });
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # let help = mount.request(Operation::Help, "config", Map::new()).await?.unwrap().data.unwrap();
    /// # let post = &help["openapi"]["paths"]["/config"]["post"];
    /// # let schema = &post["requestBody"]["content"]["application/json"]["schema"];
    /// assert_eq!(schema["properties"]["timeout"]["default"], "30s");
    /// assert!(help["help"].as_str().unwrap().contains("Defaults to 30s."));
    /// // The handler does not get it.
    /// assert_eq!(json!(mount.write("config", json!({})).await?.unwrap().data), json!({}));
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    /// In debug builds, if the value does not have the type of the field, which is an error in the declaration.
    #[must_use]
    pub fn documented_default(mut self, value: impl Into<Value>) -> Self {
        let value = value.into();
        debug_assert!(
            coerce(self.kind, &value).is_ok(),
            "invalid default {value} for a field of type {}",
            self.kind.label()
        );
        self.documented_default = Some(value);
        self
    }

    /// Documents the field as required.
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::{Context, Engine, Field, NoFields, Path}};
    /// # use vault_plugin::{logical::{Map, Operation}, testing::TestMount};
    /// # async fn set(_: Context<()>, _: NoFields) -> Result<(), vault_plugin::logical::Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config").field("url", Field::string().required());
    /// # let path = path.on(Operation::Update, "Configure.", set);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # let help = mount.request(Operation::Help, "config", Map::new()).await?.unwrap().data.unwrap();
    /// # let post = &help["openapi"]["paths"]["/config"]["post"];
    /// # let schema = &post["requestBody"]["content"]["application/json"]["schema"];
    /// assert_eq!(schema["required"], json!(["url"]));
    /// // The handler is called nevertheless.
    /// assert!(mount.write("config", json!({})).await.is_ok());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Documents the field as deprecated.
    ///
    /// ```
    /// # use vault_plugin::{framework::{Engine, Field, Path}, logical::{Map, Operation}, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config").field("address", Field::string().deprecated().describe("Use url."));
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # let help = mount.request(Operation::Help, "config", Map::new()).await?.unwrap().data.unwrap();
    /// assert!(help["help"].as_str().unwrap().contains("(DEPRECATED) Use url."));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    /// Documents the field as a query parameter of the operations without a body: read, list and delete.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, Field, NoFields, Path};
    /// # use vault_plugin::{logical::{Map, Operation}, testing::TestMount};
    /// # async fn get(_: Context<()>, _: NoFields) -> Result<(), vault_plugin::logical::Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("creds").field("ttl", Field::duration().query());
    /// # let path = path.on(Operation::Read, "Issue a token.", get);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # let help = mount.request(Operation::Help, "creds", Map::new()).await?.unwrap().data.unwrap();
    /// let parameter = &help["openapi"]["paths"]["/creds"]["get"]["parameters"][0];
    /// assert_eq!(parameter["name"], "ttl");
    /// assert_eq!(parameter["in"], "query");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn query(mut self) -> Self {
        self.query = true;
        self
    }

    /// Documents the allowed values.
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// let field = Field::string().allowed(["rsa", "ed25519"]);
    /// assert_eq!(field.allowed_values(), [json!("rsa"), json!("ed25519")]);
    /// ```
    #[must_use]
    pub fn allowed<V: Into<Value>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.allowed = values.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the display attributes for user interfaces. A [`sensitive`](Self::sensitive) field remains sensitive.
    ///
    /// ```
    /// # use vault_plugin::framework::{DisplayAttributes, Field};
    /// let field = Field::string().sensitive();
    /// let field = field.display(DisplayAttributes { name: "API key".into(), ..Default::default() });
    /// assert!(field.is_sensitive());
    /// ```
    #[must_use]
    pub fn display(mut self, attributes: DisplayAttributes) -> Self {
        let sensitive = self.is_sensitive() || attributes.sensitive;
        self.display = Some(DisplayAttributes { sensitive, ..attributes });
        self
    }

    /// Tells user interfaces to mask the value.
    ///
    /// ```
    /// # use vault_plugin::framework::Field;
    /// assert!(Field::string().sensitive().display_attributes().unwrap().sensitive);
    /// ```
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.display.get_or_insert_default().sensitive = true;
        self
    }
}

/// The accessors of a declaration.
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

    /// Returns the default for documentation: the documented one, else the declared one.
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// let field = Field::duration().documented_default("30s");
    /// assert_eq!((field.shown_default(), field.declared_default()), (Some(&json!("30s")), None));
    /// ```
    pub fn shown_default(&self) -> Option<&Value> {
        self.documented_default.as_ref().or(self.default.as_ref())
    }

    /// Returns the coerced default: `3600` for `"1h"`.
    ///
    /// ```
    /// # use {serde_json::json, vault_plugin::framework::Field};
    /// assert_eq!(Field::duration().default("1h").coerced_default(), Some(json!(3600)));
    /// assert_eq!(Field::duration().coerced_default(), None);
    /// ```
    pub fn coerced_default(&self) -> Option<Value> {
        coerce(self.kind, self.default.as_ref()?).ok().flatten()
    }

    /// Whether the field is documented as required.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Whether the field is documented as deprecated.
    pub fn is_deprecated(&self) -> bool {
        self.deprecated
    }

    /// Whether the field is documented as a query parameter.
    pub fn is_query(&self) -> bool {
        self.query
    }

    /// Whether user interfaces should mask the value.
    pub fn is_sensitive(&self) -> bool {
        self.display.as_ref().is_some_and(|display| display.sensitive)
    }

    /// Returns the documented values. An empty slice means any value.
    pub fn allowed_values(&self) -> &[Value] {
        &self.allowed
    }

    /// Returns the display attributes.
    pub fn display_attributes(&self) -> Option<&DisplayAttributes> {
        self.display.as_ref()
    }
}

/// Attributes for user interfaces and generated documentation. Empty or false members are omitted.
///
/// Written as a literal: `DisplayAttributes { name: "API key".into(), ..Default::default() }`.
///
/// ```
/// # use {serde_json::json, vault_plugin::framework::DisplayAttributes};
/// let display = DisplayAttributes { item_type: "Role".into(), navigation: true, ..Default::default() };
/// assert_eq!(serde_json::to_value(display)?, json!({"itemType": "Role", "navigation": true}));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DisplayAttributes {
    /// The label of a field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The help text of a field, if it differs from the field's description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The value that a user interface suggests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Masks the value.
    #[serde(skip_serializing_if = "is_unset")]
    pub sensitive: bool,
    /// Shows the path as a navigation tab.
    #[serde(skip_serializing_if = "is_unset")]
    pub navigation: bool,
    /// The type of the path's items, such as `Role`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub item_type: String,
    /// The group of a field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The verb of the operation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The first part of the OpenAPI operation id, such as the plugin's name.
    #[serde(skip)]
    pub operation_prefix: String,
    /// The second part of the operation id. The default is the name of the operation.
    #[serde(skip)]
    pub operation_verb: String,
    /// The last part of the operation id. The default is the path. One per URL of the path, separated by `|`.
    #[serde(skip)]
    pub operation_suffix: String,
    /// The form control, if it is `textarea` or `file`.
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
mod tests;
