//! What a host needs of an engine: the face that [`crate::framework`] implements and the wire serves.

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
/// let answer = backend.handle_request(Request::new(Operation::Read, "hello", Map::new())).await?;
/// assert_eq!(answer.unwrap().data.unwrap()["text"], "hello");
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Backend: Send + Sync {
    /// Secrets engine or auth method.
    fn kind(&self) -> BackendType;
    /// Paths that the host treats in a special way.
    fn special_paths(&self) -> SpecialPaths;
    /// Called once after the mount is in place and storage can be written.
    async fn initialize(&self) -> Result<(), Error>;
    /// Handles a request. `None` is no content.
    async fn handle_request(&self, request: Request) -> Result<Option<Response>, Error>;
    /// Whether something exists at the path, or `None` where the path has no existence check (the host then takes a
    /// write for an update).
    async fn handle_existence_check(&self, request: Request) -> Result<Option<bool>, Error>;
    /// Something under `key` was changed by another node: caches of it are stale.
    async fn invalidate_key(&self, key: &str);
    /// The mount is going away from this process.
    async fn cleanup(&self);
}

/// What kind of mount an engine makes; the numbers are the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendType {
    /// A secrets engine.
    Secrets = 1,
    /// An auth method.
    Credential = 2,
}

/// Paths that the host treats in a special way. A path matches exactly, or as a prefix when it ends in `*`; in
/// `unauthenticated`, `+` stands for one segment.
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
    /// Paths that need the `sudo` capability.
    pub root: Vec<String>,
    /// Paths open to callers without a token.
    pub unauthenticated: Vec<String>,
    /// Storage prefixes that are not replicated to other clusters.
    pub local_storage: Vec<String>,
    /// Storage keys (or prefixes, ending in `/`) that a capable seal wraps once more.
    pub seal_wrap_storage: Vec<String>,
    /// Storage keys that a secondary writes through the primary (Vault Enterprise).
    pub write_forwarded_storage: Vec<String>,
    /// Paths under the host's own request limiter.
    pub limited: Vec<String>,
    /// Paths that can be read from a loaded snapshot (Vault Enterprise).
    pub allow_snapshot_read: Vec<String>,
}

/// What a mount is given when it is set up.
///
/// While a host registers a plugin it sets one up without storage or settings: calls to them fail then, so an engine
/// asks neither before it is initialised.
///
/// ```
/// use std::{collections::BTreeMap, sync::Arc};
/// use vault_plugin::logical::{BackendConfig, Product};
/// use vault_plugin::testing::{MemoryStorage, RecordedEvents, StaticSystemView};
/// # use vault_plugin::{framework::{Context, Engine}, logical::Error};
///
/// # async fn note(cx: Context<()>) -> Result<(), Error> {
/// #     Ok(cx.storage().write("mounted", &true).await?)
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let engine = Engine::new(|| ()).on_initialize(note);
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
/// engine.build()?.mount(config).initialize().await?; // stores that it is mounted
/// assert_eq!(storage.keys(), ["mounted"]);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BackendConfig {
    /// The mount's storage.
    pub storage: Arc<dyn Storage>,
    /// The host's settings.
    pub system: Arc<dyn SystemView>,
    /// Where events and observations go.
    pub events: Arc<dyn EventSender>,
    /// Which program the host is.
    pub product: Product,
    /// Where the engine logs.
    pub logger: Logger,
    /// The mount's options with the host's additions (`plugin_name`, `plugin_version`, …).
    pub options: BTreeMap<String, String>,
    /// The mount's unique id.
    pub backend_uuid: String,
    /// Keeps the process for work that outlives its request.
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

/// Makes an engine for a mount.
pub(crate) type Factory = Arc<dyn Fn(BackendConfig) -> Arc<dyn Backend> + Send + Sync>;
