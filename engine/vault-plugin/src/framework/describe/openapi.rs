//! Describes the paths of an engine as an OpenAPI document, like `sdk/framework`, but with inline schemas.
//!
//! A host decodes the document of an external plugin into structures that drop `$ref`, so schemas under
//! `components` would be lost.

mod expand;
mod model;
mod operation_id;
mod operations;
mod schema;
mod special;

use std::collections::BTreeMap;

use serde_json::Value;

use self::expand::expand;
use self::model::{Document, Info, Location, Parameter, PathItem};
use self::operations::{PathUrl, create_supported, url_operations};
use self::special::is_special;
use crate::framework::input::{DisplayAttributes, Field, InputPolicy};
use crate::framework::pattern::Pattern;
use crate::logical::{BackendType, Operation, Product, SpecialPaths};

/// The engine that is described.
pub(crate) struct EngineDoc<'a> {
    pub(crate) kind: BackendType,
    pub(crate) product: Product,
    pub(crate) special: &'a SpecialPaths,
    /// The version of the host, or `unknown` if the host does not report it.
    pub(crate) host_version: &'a str,
    /// The default prefix of operation ids: the type of the mount, which the host sends with its request as
    /// `requestResponsePrefix`.
    pub(crate) operation_prefix: &'a str,
}

/// One path of the engine.
pub(crate) struct PathDoc<'a> {
    pub(crate) pattern: &'a Pattern,
    pub(crate) fields: &'a BTreeMap<String, Field>,
    pub(crate) operations: Vec<OperationDoc<'a>>,
    pub(crate) synopsis: &'a str,
    pub(crate) display: Option<&'a DisplayAttributes>,
    pub(crate) input: InputPolicy,
}

/// One operation on a path.
pub(crate) struct OperationDoc<'a> {
    pub(crate) operation: Operation,
    pub(crate) summary: &'a str,
    pub(crate) description: &'a str,
    /// An example of the request's body.
    pub(crate) example: Option<&'a Value>,
    pub(crate) responses: &'a [ResponseDoc],
    pub(crate) status: OperationStatus,
    pub(crate) display: Option<&'a DisplayAttributes>,
}

/// Whether an operation is documented, and how.
///
/// ```
/// # use vault_plugin::framework::{Context, Engine, NoFields, OperationStatus, Path};
/// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
/// # async fn handle(_: Context<()>, _: NoFields) -> Result<(), Error> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("debug")
///     .on(Operation::Read, "Read the state.", handle)
///     .on(Operation::Delete, "Clear the state.", handle)
///     .status(OperationStatus::Unpublished);
/// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
/// # let help = mount.request(Operation::Help, "debug", Map::new()).await?.unwrap().data.unwrap();
/// let documented = &help["openapi"]["paths"]["/debug"];
/// assert!(documented["get"].is_object() && documented["delete"].is_null());
/// // The operation still exists.
/// assert!(mount.delete("debug").await.is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OperationStatus {
    /// Documented.
    #[default]
    Published,
    /// Documented as deprecated.
    Deprecated,
    /// Omitted from the documentation.
    Unpublished,
}

/// A response of an operation, for the documentation.
///
/// If several have the same status, the first sets the description, and the last one with fields sets the schema.
///
/// ```
/// # use serde_json::json;
/// # use vault_plugin::framework::{Context, Engine, Field, NoFields, Path, ResponseDoc};
/// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
/// # async fn issue(_: Context<()>, _: NoFields) -> Result<(), Error> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let token = ResponseDoc::new(200, "A token.")
///     .field("token", Field::string().describe("The token."))
///     .example(json!({"token": "s3cret"}));
/// let path = Path::new("creds").on(Operation::Read, "Issue a token.", issue).response(token);
/// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
/// # let help = mount.request(Operation::Help, "creds", Map::new()).await?.unwrap().data.unwrap();
/// let documented = &help["openapi"]["paths"]["/creds"]["get"]["responses"]["200"];
/// assert_eq!(documented["description"], "A token.");
/// let schema = &documented["content"]["application/json"]["schema"];
/// assert_eq!(schema["properties"]["token"], json!({"type": "string", "description": "The token."}));
/// assert_eq!(schema["example"], json!({"token": "s3cret"}));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ResponseDoc {
    status: u16,
    description: String,
    fields: BTreeMap<String, Field>,
    additional_fields: bool,
    example: Option<Value>,
}

impl ResponseDoc {
    /// Returns the description of the response with the HTTP status `status`.
    pub fn new(status: u16, description: impl Into<String>) -> Self {
        Self {
            status,
            description: description.into(),
            fields: BTreeMap::new(),
            additional_fields: false,
            example: None,
        }
    }

    /// Adds a field of the response's data.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field: Field) -> Self {
        self.fields.insert(name.into(), field);
        self
    }

    /// Documents that the response's data has more fields, which depend on the configuration.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, Field, NoFields, Path, ResponseDoc};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// # async fn issue(_: Context<()>, _: NoFields) -> Result<(), Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let token = ResponseDoc::new(200, "A token.").field("token", Field::string()).additional_fields();
    /// let path = Path::new("creds").on(Operation::Read, "Issue a token.", issue).response(token);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # let help = mount.request(Operation::Help, "creds", Map::new()).await?.unwrap().data.unwrap();
    /// # let documented = &help["openapi"]["paths"]["/creds"]["get"]["responses"]["200"];
    /// assert_eq!(documented["content"]["application/json"]["schema"]["additionalProperties"], true);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn additional_fields(mut self) -> Self {
        self.additional_fields = true;
        self
    }

    /// Sets an example of the response's data.
    #[must_use]
    pub fn example(mut self, data: impl Into<Value>) -> Self {
        self.example = Some(data.into());
        self
    }
}

/// Returns the document: `openapi`, `info`, `paths` and empty `components`.
pub(crate) fn document(paths: &[PathDoc<'_>], engine: &EngineDoc<'_>) -> Value {
    let info = Info {
        title: match engine.product {
            Product::Vault => "HashiCorp Vault API",
            Product::OpenBao => "OpenBao API",
        },
        description: "The HTTP API of a plugin. Its routes begin with `/v1/` and the path of the mount.",
        version: engine.host_version,
    };
    let paths = paths.iter().flat_map(|path| path_items(path, engine)).collect();
    Document::new(info, paths).into()
}

/// Describes each URL of a path, with its list operation separately under a trailing slash.
fn path_items<'a>(path: &PathDoc<'a>, engine: &EngineDoc<'_>) -> Vec<(String, PathItem<'a>)> {
    let Some(expansion) = expand(path.pattern) else {
        // The pattern itself still shows that the path exists.
        let url = path.pattern.as_str();
        return vec![(format!("/{url}"), bare_item(path, url, Vec::new(), engine))];
    };
    let mut items = Vec::new();
    for (index, url) in expansion.urls.iter().enumerate() {
        let names = parameter_names(url);
        let parameters: Vec<_> = names.iter().map(|name| path_parameter(name, path.fields)).collect();
        let has_parameters = !parameters.is_empty();
        let form = PathUrl { path, url, index, captured: &expansion.captured, has_parameters, engine };
        let calls = url_operations(&form);
        let has_calls =
            calls.get.is_some() || calls.post.is_some() || calls.patch.is_some() || calls.delete.is_some();
        // A URL that ends in a slash only supports list: the host routes nothing else there.
        let (item_url, list_url) = match url.strip_suffix('/') {
            Some(_) if calls.list.is_some() => (None, Some(url.clone())),
            Some(_) => (Some(url.clone()), None),
            None => {
                let item = (has_calls || calls.list.is_none()).then(|| url.clone());
                (item, calls.list.is_some().then(|| format!("{url}/")))
            }
        };
        if let Some(item_url) = item_url {
            let mut item = bare_item(path, &item_url, parameters.clone(), engine);
            item.create_supported = create_supported(path);
            if !item_url.ends_with('/') {
                (item.get, item.post, item.patch, item.delete) =
                    (calls.get, calls.post, calls.patch, calls.delete);
            }
            items.push((format!("/{item_url}"), item));
        }
        if let Some(list_url) = list_url {
            let mut item = bare_item(path, &list_url, parameters, engine);
            item.get = calls.list;
            items.push((format!("/{list_url}"), item));
        }
    }
    items
}

fn bare_item<'a>(
    path: &PathDoc<'a>,
    url: &str,
    parameters: Vec<Parameter<'a>>,
    engine: &EngineDoc<'_>,
) -> PathItem<'a> {
    PathItem {
        description: schema::single_line(path.synopsis),
        parameters,
        sudo: is_special(url, &engine.special.root),
        unauthenticated: is_special(url, &engine.special.unauthenticated),
        display: schema::visible_display(path.display),
        ..PathItem::default()
    }
}

/// Returns the sorted names in braces.
fn parameter_names(url: &str) -> Vec<&str> {
    let mut names: Vec<_> =
        url.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect();
    names.sort_unstable();
    names
}

fn path_parameter<'a>(name: &str, fields: &'a BTreeMap<String, Field>) -> Parameter<'a> {
    match fields.get(name) {
        Some(field) => Parameter { required: true, ..schema::parameter(name, Location::Path, field) },
        // A capture without a field is used only by the pattern, but is a part of the URL.
        None => Parameter { required: true, ..Parameter::text(name, Location::Path, "") },
    }
}

#[cfg(test)]
mod tests;
