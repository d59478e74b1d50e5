//! The builder of a path: its pattern, fields and operations.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::build_error::BuildError;
use crate::framework::auth::token_fields;
use crate::framework::context::Context;
use crate::framework::describe::{OperationStatus, ResponseDoc};
use crate::framework::dispatch::{Forward, Route, RouteOperation};
use crate::framework::handler::{ExistenceFn, RequestHandler};
use crate::framework::input::{self, DisplayAttributes, Field, InputPolicy};
use crate::framework::pattern::Pattern;
use crate::framework::response::IntoResponse;
use crate::logical::{Error, Operation};

/// A path with its fields and operations.
///
/// ```
/// use serde_json::json;
/// use vault_plugin::framework::{Context, Data, Engine, Field, Path, pattern};
/// use vault_plugin::logical::{Error, Map, Operation};
/// use vault_plugin::testing::TestMount;
///
/// async fn write(cx: Context<()>, role: Map) -> Result<(), Error> {
///     Ok(cx.storage().write(&cx.request().path, &role).await?)
/// }
///
/// async fn read(cx: Context<()>, _: Map) -> Result<Option<Data<Map>>, Error> {
///     Ok(cx.storage().read(&cx.request().path).await?.map(Data))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new(format!("roles/{}", pattern::generic_name("name")))
///     .help("A role.", "Permissions and lifetime of its tokens.")
///     .field("name", Field::string().describe("Name of the role."))
///     .field("ttl", Field::duration().default("1h").describe("Lifetime of a token."))
///     .on(Operation::Update, "Store a role.", write)
///     .on(Operation::Read, "Read a role.", read);
/// let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
///
/// mount.write("roles/blue", json!({})).await?;
/// let role = mount.read("roles/blue").await?.unwrap();
/// assert_eq!(json!(role.data), json!({"name": "blue", "ttl": 3600}));
/// # Ok(()) }
/// ```
pub struct Path<S> {
    pattern: String,
    synopsis: String,
    description: String,
    fields: BTreeMap<String, Field>,
    operations: Vec<RouteOperation<S>>,
    existence: Option<ExistenceFn<S>>,
    display: Option<DisplayAttributes>,
    input: InputPolicy,
}

impl<S> fmt::Debug for Path<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations: Vec<_> = self.operations.iter().map(|entry| &entry.operation).collect();
        f.debug_struct("Path")
            .field("pattern", &self.pattern)
            .field("fields", &self.fields)
            .field("operations", &operations)
            .finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> Path<S> {
    /// Returns a path of the mount. The pattern must match the whole path. Named groups set the fields with their names.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Data, Engine, Field, Path};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new(r"keys/(?P<number>\d+)/?").field("number", Field::int());
    /// # let path = path.on(Operation::Read, "Read a key.", |_: Context<()>, key: Map| async { Ok(Data(key)) });
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// assert_eq!(mount.read("keys/7").await?.unwrap().data.unwrap()["number"], 7);
    /// assert!(matches!(mount.read("keys/7/public").await, Err(Error::UnsupportedPath)));
    /// # Ok(()) }
    /// ```
    pub fn new(pattern: impl Into<String>) -> Path<S> {
        Path {
            pattern: pattern.into(),
            synopsis: String::new(),
            description: String::new(),
            fields: BTreeMap::new(),
            operations: Vec::new(),
            existence: None,
            display: None,
            input: InputPolicy::DeclaredOnly,
        }
    }

    /// Sets the texts of `vault path-help`: a line for the list of paths, and a description for the path itself.
    ///
    /// ```
    /// # use vault_plugin::{framework::{Engine, Path}, logical::{Map, Operation}, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config").help("The connection.", "Address and credentials of the upstream.");
    /// let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let all = mount.request(Operation::Help, "", Map::new()).await?.unwrap().data.unwrap();
    /// assert!(all["help"].as_str().unwrap().ends_with("^config$\n        The connection."));
    /// let one = mount.request(Operation::Help, "config", Map::new()).await?.unwrap().data.unwrap();
    /// assert!(one["help"].as_str().unwrap().ends_with("Address and credentials of the upstream."));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn help(mut self, synopsis: impl Into<String>, description: impl Into<String>) -> Self {
        self.synopsis = synopsis.into();
        self.description = description.into();
        self
    }

    /// Adds a field.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Data, Engine, Field, Path};
    /// # use vault_plugin::{logical::{Map, Operation}, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config").field("timeout", Field::duration());
    /// # let path = path.on(Operation::Update, "Configure.", |_: Context<()>, config: Map| async { Ok(Data(config)) });
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let response = mount.write("config", json!({"timeout": "1m", "tiemout": 5})).await?.unwrap();
    /// assert_eq!(json!(response.data), json!({"timeout": 60}));
    /// assert_eq!(response.warnings, ["Endpoint ignored these unrecognized parameters: [tiemout]"]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field: Field) -> Self {
        self.fields.insert(name.into(), field);
        self
    }

    /// Adds the fields of [`TokenSettings`](crate::framework::TokenSettings), which contains an example.
    #[must_use]
    pub fn token_fields(self) -> Self {
        token_fields().into_iter().fold(self, |path, (name, field)| path.field(name, field))
    }

    /// Accepts undeclared fields without a warning.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Data, Engine, Path};
    /// # use vault_plugin::{logical::{Map, Operation}, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("secret").arbitrary_input();
    /// # let path = path.on(Operation::Update, "Store it.", |_: Context<()>, secret: Map| async { Ok(Data(secret)) });
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let response = mount.write("secret", json!({"user": "ann", "pin": [1, 2]})).await?.unwrap();
    /// assert_eq!(json!(response.data), json!({"user": "ann", "pin": [1, 2]}));
    /// assert!(response.warnings.is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn arbitrary_input(mut self) -> Self {
        self.input = InputPolicy::Arbitrary;
        self
    }

    /// Sets how documentation and user interfaces display the path.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{DisplayAttributes, Engine, Path};
    /// # use vault_plugin::{logical::{Map, Operation}, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let roles = DisplayAttributes { item_type: "Role".into(), navigation: true, ..Default::default() };
    /// let path = Path::new("roles").display(roles);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # let help = mount.request(Operation::Help, "roles", Map::new()).await?.unwrap().data.unwrap();
    /// let display = &help["openapi"]["paths"]["/roles"]["x-vault-displayAttrs"];
    /// assert_eq!(*display, json!({"itemType": "Role", "navigation": true}));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn display(mut self, display: DisplayAttributes) -> Self {
        self.display = Some(display);
        self
    }

    /// Sets the check for whether an object exists, which distinguishes create from update.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// # async fn store(cx: Context<()>, _: NoFields) -> Result<Data<serde_json::Value>, Error> {
    /// #     cx.storage().write("config", &1).await?;
    /// #     Ok(Data(json!({"operation": cx.request().operation.as_str()})))
    /// # }
    /// async fn exists(cx: Context<()>, _: NoFields) -> Result<bool, Error> {
    ///     Ok(cx.storage().get("config").await?.is_some())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config")
    ///     .existence_check(exists)
    ///     .on(Operation::Create, "Configure.", store)
    ///     .on(Operation::Update, "Change the configuration.", store);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// assert_eq!(mount.write("config", json!({})).await?.unwrap().data.unwrap()["operation"], "create");
    /// assert_eq!(mount.write("config", json!({})).await?.unwrap().data.unwrap()["operation"], "update");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn existence_check<T, F>(mut self, check: impl Fn(Context<S>, T) -> F + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned,
        F: Future<Output = Result<bool, Error>> + Send + 'static,
    {
        self.existence = Some(Box::new(move |cx, fields| match input::deserialize(fields) {
            Ok(fields) => Box::pin(check(cx, fields)),
            Err(error) => Box::pin(async move { Err(error) }),
        }));
        self
    }

    /// Adds a handler for an operation. It gets the fields as `T`. A field that is missing and has no default is absent. In a
    /// patch, a null field is null.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, Field, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// #[derive(serde::Deserialize)]
    /// struct Config {
    ///     url: String,
    ///     note: Option<String>,
    ///     timeout: u64,
    /// }
    ///
    /// async fn set(_: Context<()>, config: Config) -> Result<(), Error> {
    ///     assert_eq!((config.url.as_str(), config.note, config.timeout), ("https://a.example", None, 60));
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config")
    ///     .field("url", Field::string())
    ///     .field("note", Field::string())
    ///     .field("timeout", Field::duration().default("1m"))
    ///     .on(Operation::Update, "Configure.", set);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// assert!(mount.write("config", json!({"url": "https://a.example"})).await?.is_none());
    /// assert_eq!(mount.write("config", json!({})).await?.unwrap().error_text(), Some("missing field `url`"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn on<T, R, F>(
        mut self,
        operation: Operation,
        summary: impl Into<String>,
        handler: impl Fn(Context<S>, T) -> F + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned,
        R: IntoResponse,
        F: Future<Output = Result<R, Error>> + Send + 'static,
    {
        let handler: RequestHandler<S> = Box::new(move |cx, fields| match input::deserialize(fields) {
            Ok(fields) => {
                let response = handler(cx, fields);
                Box::pin(async move { response.await?.into_response() })
            }
            Err(error) => Box::pin(async move { Err(error) }),
        });
        self.operations.push(RouteOperation {
            operation,
            summary: summary.into(),
            description: String::new(),
            example: None,
            responses: Vec::new(),
            status: OperationStatus::Published,
            display: None,
            forward: Forward::default(),
            handler,
        });
        self
    }

    /// Forwards the last added operation from a standby to the active node (`ForwardPerformanceStandby` in Go).
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, ReplicationState}, testing::TestMount};
    /// # async fn set(_: Context<()>, _: NoFields) -> Result<(), Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config").on(Operation::Update, "Configure.", set).forward_performance_standby();
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// mount.system().set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
    /// // On this error a host forwards the request.
    /// assert!(matches!(mount.write("config", json!({})).await, Err(Error::ReadOnly)));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn forward_performance_standby(self) -> Self {
        self.update_last(|operation| operation.forward.from_standby = true)
    }

    /// Forwards the last added operation from a secondary to the primary cluster, unless the mount is local
    /// (`ForwardPerformanceSecondary` in Go).
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, ReplicationState}, testing::TestMount};
    /// # async fn set(_: Context<()>, _: NoFields) -> Result<(), Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config").on(Operation::Update, "Configure.", set).forward_performance_secondary();
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// mount.system().set_replication_state(ReplicationState::PERFORMANCE_SECONDARY);
    /// assert!(matches!(mount.write("config", json!({})).await, Err(Error::ReadOnly)));
    /// mount.system().update(|host| host.local_mount = true);
    /// assert!(mount.write("config", json!({})).await.is_ok());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn forward_performance_secondary(self) -> Self {
        self.update_last(|operation| operation.forward.from_secondary = true)
    }
}

/// The documentation of the last added operation.
impl<S: Send + Sync + 'static> Path<S> {
    /// Adds the description of a response.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, Field, NoFields, Path, ResponseDoc};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// # async fn read(_: Context<()>, _: NoFields) -> Result<(), Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("creds")
    ///     .on(Operation::Read, "Issue a token.", read)
    ///     .response(ResponseDoc::new(200, "A token.").field("token", Field::string()))
    ///     .response(ResponseDoc::new(503, "The upstream is unavailable."));
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # let help = mount.request(Operation::Help, "creds", Map::new()).await?.unwrap().data.unwrap();
    /// let responses = &help["openapi"]["paths"]["/creds"]["get"]["responses"];
    /// assert_eq!(responses["503"]["description"], "The upstream is unavailable.");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn response(self, response: ResponseDoc) -> Self {
        self.update_last(|operation| operation.responses.push(response))
    }

    /// Sets a description in addition to the summary.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// # async fn set(_: Context<()>, _: NoFields) -> Result<(), Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config").on(Operation::Update, "Configure.", set).describe("Leases keep their TTL.");
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # let help = mount.request(Operation::Help, "config", Map::new()).await?.unwrap().data.unwrap();
    /// let post = &help["openapi"]["paths"]["/config"]["post"];
    /// assert_eq!(post["summary"], "Configure.");
    /// assert_eq!(post["description"], "Leases keep their TTL.");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn describe(self, description: impl Into<String>) -> Self {
        self.update_last(|operation| operation.description = description.into())
    }

    /// Sets an example of the request body.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, Field, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// # async fn set(_: Context<()>, _: NoFields) -> Result<(), Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config")
    ///     .field("ttl", Field::duration())
    ///     .on(Operation::Update, "Configure.", set)
    ///     .example(json!({"ttl": "1h"}));
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # let help = mount.request(Operation::Help, "config", Map::new()).await?.unwrap().data.unwrap();
    /// let body = &help["openapi"]["paths"]["/config"]["post"]["requestBody"]["content"];
    /// assert_eq!(body["application/json"]["schema"]["example"], json!({"ttl": "1h"}));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn example(self, body: impl Into<Value>) -> Self {
        self.update_last(|operation| operation.example = Some(body.into()))
    }

    /// Marks the operation as deprecated, or omits it from the documentation.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, OperationStatus, Path};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// # async fn set(_: Context<()>, _: NoFields) -> Result<(), Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let path = Path::new("config").on(Operation::Update, "Configure.", set).status(OperationStatus::Deprecated);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # let help = mount.request(Operation::Help, "config", Map::new()).await?.unwrap().data.unwrap();
    /// assert_eq!(help["openapi"]["paths"]["/config"]["post"]["deprecated"], true);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn status(self, status: OperationStatus) -> Self {
        self.update_last(|operation| operation.status = status)
    }

    /// Sets how documentation and user interfaces display the operation, if this differs from the path.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, DisplayAttributes, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// # async fn issue(_: Context<()>, _: NoFields) -> Result<(), Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let generate = DisplayAttributes { operation_verb: "generate".into(), ..Default::default() };
    /// let path = Path::new("creds")
    ///     .display(DisplayAttributes { operation_prefix: "greeter".into(), ..Default::default() })
    ///     .on(Operation::Read, "Issue a token.", issue)
    ///     .operation_display(DisplayAttributes { operation_suffix: "token".into(), ..generate });
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # let help = mount.request(Operation::Help, "creds", Map::new()).await?.unwrap().data.unwrap();
    /// assert_eq!(help["openapi"]["paths"]["/creds"]["get"]["operationId"], "greeter-generate-token");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn operation_display(self, display: DisplayAttributes) -> Self {
        self.update_last(|operation| operation.display = Some(display))
    }

    /// Compiles the pattern.
    pub(crate) fn compile(self) -> Result<Route<S>, BuildError> {
        let creates = self.operations.iter().any(|entry| entry.operation == Operation::Create);
        if creates && self.existence.is_none() {
            return Err(BuildError::NoExistenceCheck { pattern: self.pattern });
        }
        let pattern = match Pattern::compile(&self.pattern) {
            Ok(pattern) => pattern,
            Err(source) => return Err(BuildError::Pattern { pattern: self.pattern, source }),
        };
        Ok(Route {
            pattern,
            synopsis: self.synopsis,
            description: self.description,
            fields: self.fields,
            operations: self.operations,
            existence: self.existence,
            display: self.display,
            input: self.input,
        })
    }

    fn update_last(mut self, change: impl FnOnce(&mut RouteOperation<S>)) -> Self {
        if let Some(last) = self.operations.last_mut() {
            change(last);
        }
        self
    }
}
