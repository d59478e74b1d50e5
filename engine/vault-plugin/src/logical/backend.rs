//! The interface between host and engine: [`crate::framework`] implements it, and `wire` serves it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use go_plugin::log::Logger;

use super::{Error, EventSender, InFlight, Product, Request, Response, Storage, SystemView};

/// One mounted engine.
///
/// ```
/// use vault_plugin::framework::{Engine, Path};
/// use vault_plugin::logical::{BackendType, Map, Operation, Request};
/// # use std::{collections::BTreeMap, sync::Arc};
/// # use vault_plugin::logical::{Level, Logger};
/// # use vault_plugin::framework::{Context, Data, NoFields};
/// # use vault_plugin::logical::{BackendConfig, Error, Product};
/// # use vault_plugin::testing::{MemoryStorage, RecordedEvents, StaticSystemView};
///
/// # async fn hello(_: Context<()>, _: NoFields) -> Result<Data<Map>, Error> {
/// #     Ok(Data(Map::from_iter([("text".to_owned(), "hello".into())])))
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let config = BackendConfig {
/// #     storage: Arc::new(MemoryStorage::default()),
/// #     system: Arc::new(StaticSystemView::default()),
/// #     events: Arc::new(RecordedEvents::default()),
/// #     product: Product::Vault,
/// #     logger: Logger::new("greeter", Level::Error),
/// #     options: BTreeMap::new(),
/// #     backend_uuid: "7c7eb9f8".to_owned(),
/// #     in_flight: Default::default(),
/// # };
/// let engine = Engine::new(|| ()).path(Path::new("hello").on(Operation::Read, "Greet.", hello));
/// let backend = engine.build()?.mount(config);
/// assert_eq!(backend.kind(), BackendType::Secrets);
/// let response = backend.handle_request(Request::new(Operation::Read, "hello", Map::new())).await?;
/// assert_eq!(response.unwrap().data.unwrap()["text"], "hello");
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Backend: Send + Sync {
    /// Returns whether this is a secrets engine or an auth method.
    fn kind(&self) -> BackendType;
    /// Returns the paths that the host treats specially.
    fn special_paths(&self) -> SpecialPaths;
    /// Called once, after the mount exists and storage is writable.
    async fn initialize(&self) -> Result<(), Error>;
    /// Handles a request. `None` means no content.
    async fn handle_request(&self, request: Request) -> Result<Option<Response>, Error>;
    /// Returns whether an object exists at the path, or `None` if the path has no existence check. Without a check, the host
    /// sends every write as an update.
    async fn handle_existence_check(&self, request: Request) -> Result<Option<bool>, Error>;
    /// Called after another node has changed `key`, so that cached values of it are dropped.
    async fn invalidate_key(&self, key: &str);
    /// Called before the mount is removed from this process.
    async fn cleanup(&self);
}

/// The type of an engine. The numbers are those of the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendType {
    /// A secrets engine.
    Secrets = 1,
    /// An auth method.
    Credential = 2,
}

/// Paths that the host treats specially. A path matches exactly, or as a prefix if it ends in `*`. In `unauthenticated`, `+`
/// matches one segment.
///
/// ```
/// use vault_plugin::framework::Engine;
/// use vault_plugin::logical::SpecialPaths;
/// # use vault_plugin::testing::TestMount;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let special = SpecialPaths {
///     root: vec!["config".to_owned(), "rotate/*".to_owned()],
///     unauthenticated: vec!["keys/+/public".to_owned()],
///     ..SpecialPaths::default()
/// };
/// let mount = TestMount::new(Engine::new(|| ()).special_paths(special.clone())).await?;
/// assert_eq!(mount.special_paths(), special);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialPaths {
    /// Paths that require the `sudo` capability.
    pub root: Vec<String>,
    /// Paths that do not require a token.
    pub unauthenticated: Vec<String>,
    /// Storage prefixes that are not replicated to other clusters.
    pub local_storage: Vec<String>,
    /// Storage keys, or prefixes that end in `/`, that the host additionally encrypts with its seal if the seal supports it.
    pub seal_wrap_storage: Vec<String>,
    /// Storage keys whose writes a secondary forwards to the primary (Vault Enterprise).
    pub write_forwarded_storage: Vec<String>,
    /// Paths that are subject to the host's request limiter.
    pub limited: Vec<String>,
    /// Paths that can be read from a loaded snapshot (Vault Enterprise).
    pub allow_snapshot_read: Vec<String>,
}

/// The configuration of a mount.
///
/// While a host registers a plugin, it sets up a mount without storage and settings, and calls to them fail. So an engine must use
/// neither before `initialize`.
///
/// ```
/// use std::{collections::BTreeMap, sync::Arc};
/// use vault_plugin::logical::{BackendConfig, Product};
/// use vault_plugin::testing::{MemoryStorage, RecordedEvents, StaticSystemView};
/// # use vault_plugin::{framework::{Context, Engine}, logical::Error};
///
/// # async fn initialize(cx: Context<()>) -> Result<(), Error> {
/// #     Ok(cx.storage().write("mounted", &true).await?)
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let engine = Engine::new(|| ()).on_initialize(initialize);
/// let storage = Arc::new(MemoryStorage::default());
/// let config = BackendConfig {
///     storage: storage.clone(),
///     system: Arc::new(StaticSystemView::default()),
///     events: Arc::new(RecordedEvents::default()),
///     product: Product::OpenBao,
///     logger: vault_plugin::logical::Logger::new("greeter", vault_plugin::logical::Level::Info),
///     options: BTreeMap::from([("plugin_name".to_owned(), "greeter".to_owned())]),
///     backend_uuid: "7c7eb9f8".to_owned(),
///     in_flight: Default::default(),
/// };
/// engine.build()?.mount(config).initialize().await?;
/// assert_eq!(storage.keys(), ["mounted"]);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BackendConfig {
    /// The mount's storage.
    pub storage: Arc<dyn Storage>,
    /// The host's settings.
    pub system: Arc<dyn SystemView>,
    /// The receiver of events and observations.
    pub events: Arc<dyn EventSender>,
    /// The product of the host.
    pub product: Product,
    /// The logger of the engine.
    pub logger: Logger,
    /// The mount's options with the host's additions (`plugin_name`, `plugin_version`, …).
    pub options: BTreeMap<String, String>,
    /// The mount's unique id.
    pub backend_uuid: String,
    /// Keeps the process alive for work that continues after its request.
    pub in_flight: InFlight,
}

impl fmt::Debug for BackendConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendConfig")
            .field("product", &self.product)
            .field("options", &self.options)
            .field("backend_uuid", &self.backend_uuid)
            .finish_non_exhaustive()
    }
}

/// Creates the backend of a mount.
pub(crate) type Factory = Arc<dyn Fn(BackendConfig) -> Arc<dyn Backend> + Send + Sync>;
