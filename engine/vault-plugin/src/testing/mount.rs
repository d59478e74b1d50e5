//! A mount that sends requests to an engine like a host.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use go_plugin::log::{Level, Logger};
use serde_json::{Value, json};

use super::{MemoryStorage, RecordedEvents, StaticSystemView};
use crate::framework::{BuildError, Engine};
use crate::logical::{
    Backend, BackendConfig, Error, InFlight, Map, Operation, Product, Request, Response, SpecialPaths,
};

/// An engine that is mounted on in-memory storage.
///
/// ```
/// use serde_json::json;
/// use vault_plugin::framework::{Context, Data, Engine, Field, Path};
/// use vault_plugin::logical::{Error, Map, Operation};
/// use vault_plugin::testing::TestMount;
///
/// async fn write(cx: Context<()>, config: Map) -> Result<(), Error> {
///     Ok(cx.storage().write("config", &config).await?)
/// }
///
/// async fn read(cx: Context<()>, _: Map) -> Result<Option<Data<Map>>, Error> {
///     Ok(cx.storage().read("config").await?.map(Data))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("config")
///     .field("ttl", Field::duration())
///     .on(Operation::Update, "Store the settings.", write)
///     .on(Operation::Read, "Read the settings.", read);
/// let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
/// assert_eq!(mount.read("config").await?, None);
/// mount.write("config", json!({"ttl": "1h"})).await?;
/// assert_eq!(mount.read("config").await?.unwrap().data.unwrap()["ttl"], 3600);
/// # Ok(()) }
/// ```
pub struct TestMount {
    backend: Arc<dyn Backend>,
    storage: Arc<MemoryStorage>,
    system: Arc<StaticSystemView>,
    events: Arc<RecordedEvents>,
}

impl fmt::Debug for TestMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestMount")
            .field("storage", &self.storage)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl TestMount {
    /// Mounts an engine like Vault: without transactions, with events.
    ///
    /// ```
    /// # use vault_plugin::{framework::{Context, Engine}, logical::Error, testing::TestMount};
    /// async fn initialize(cx: Context<()>) -> Result<(), Error> {
    ///     Ok(cx.storage().write("config", &"on").await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).on_initialize(initialize)).await?;
    /// assert_eq!(mount.storage().keys(), ["config"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the declaration is invalid, or if the initialization of the engine fails.
    pub async fn new<S: Send + Sync + 'static>(engine: Engine<S>) -> Result<TestMount, TestMountError> {
        TestMount::for_product(Product::Vault, engine).await
    }

    /// Mounts an engine like this product: OpenBao has transactions and no events, Vault has events and no transactions.
    ///
    /// ```
    /// # use vault_plugin::{framework::Engine, testing::TestMount};
    /// # use vault_plugin::logical::{Access, Event, EventSender, Product, Storage};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::for_product(Product::OpenBao, Engine::new(|| ())).await?;
    /// assert!(mount.storage().begin(Access::ReadWrite).await?.is_some());
    /// assert!(mount.events().send_event(Event::new("greeter/write")).await.is_err());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails like [`TestMount::new`].
    pub async fn for_product<S: Send + Sync + 'static>(
        product: Product,
        engine: Engine<S>,
    ) -> Result<TestMount, TestMountError> {
        let storage = Arc::new(MemoryStorage::default());
        let system = Arc::new(StaticSystemView::default());
        let events = Arc::new(RecordedEvents::default());
        match product {
            Product::Vault => storage.disable_transactions(),
            Product::OpenBao => events.disable(),
        }
        let config = BackendConfig {
            storage: storage.clone(),
            system: system.clone(),
            events: events.clone(),
            product,
            logger: Logger::new("test", Level::Error),
            options: BTreeMap::new(),
            backend_uuid: "test".to_owned(),
            in_flight: InFlight::default(),
        };
        let backend = engine.build()?.mount(config);
        backend.initialize().await?;
        Ok(TestMount { backend, storage, system, events })
    }

    /// Returns the storage of the mount.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::logical::{Error, Map, Operation, Storage};
    /// # use vault_plugin::testing::TestMount;
    /// # async fn read(cx: Context<()>, _: NoFields) -> Result<Option<Data<Map>>, Error> {
    /// #     Ok(cx.storage().read("config").await?.map(Data))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("config").on(Operation::Read, "Read the settings.", read);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// // Written by an older version of the engine.
    /// let storage: &dyn Storage = mount.storage();
    /// storage.write("config", &serde_json::json!({"ttl": 60})).await?;
    /// assert_eq!(mount.read("config").await?.unwrap().data.unwrap()["ttl"], 60);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    /// Returns the host's settings.
    ///
    /// ```
    /// # use vault_plugin::{framework::{Context, Engine, NoFields, Path}, testing::TestMount};
    /// # use vault_plugin::logical::{Error, Operation, ReplicationState};
    /// async fn issue(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     cx.require_writable().await
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("issue").on(Operation::Read, "Issue a ticket.", issue);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// mount.read("issue").await?;
    /// mount.system().set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
    /// assert!(mount.read("issue").await.unwrap_err().is_read_only());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn system(&self) -> &StaticSystemView {
        &self.system
    }

    /// Returns the recorded events and observations.
    ///
    /// ```
    /// # use vault_plugin::{framework::{Context, Engine, NoFields, Path}, testing::TestMount};
    /// # use vault_plugin::logical::{Error, Event, Operation};
    /// async fn write(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     let event = Event::new("greeter/write").path(&cx.request().path);
    ///     Ok(cx.events().send_event(event).await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("config").on(Operation::Update, "Store the settings.", write);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// mount.write("config", serde_json::json!({})).await?;
    /// assert_eq!(mount.events().events(), [Event::new("greeter/write").path("config")]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn events(&self) -> &RecordedEvents {
        &self.events
    }

    /// Returns the special paths of the engine.
    ///
    /// ```
    /// # use vault_plugin::{framework::Engine, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).root_path("config")).await?;
    /// assert_eq!(mount.special_paths().root, ["config"]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn special_paths(&self) -> SpecialPaths {
        self.backend.special_paths()
    }

    /// Sends a create or an update, according to the existence check.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Data, Engine, Field, Path};
    /// # use vault_plugin::logical::{Error, Map, Operation};
    /// # use vault_plugin::testing::TestMount;
    /// # async fn exists(cx: Context<()>, _: Map) -> Result<bool, Error> {
    /// #     Ok(cx.storage().get("config").await?.is_some())
    /// # }
    /// async fn write(cx: Context<()>, config: Map) -> Result<Data<Map>, Error> {
    ///     cx.storage().write("config", &config).await?;
    ///     Ok(Data(Map::from_iter([("operation".to_owned(), cx.request().operation.as_str().into())])))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("config").field("ttl", Field::int()).existence_check(exists);
    /// # let path = path.on(Operation::Create, "Store it.", write).on(Operation::Update, "Change it.", write);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let first = mount.write("config", json!({"ttl": 60})).await?.unwrap();
    /// assert_eq!(first.data.unwrap()["operation"], "create");
    /// let second = mount.write("config", json!({"ttl": 90})).await?.unwrap();
    /// assert_eq!(second.data.unwrap()["operation"], "update");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine returns an error.
    pub async fn write(&self, path: &str, data: Value) -> Result<Option<Response>, Error> {
        let data = object(data);
        let request = Request::new(Operation::Create, path, data.clone());
        let operation = match self.backend.handle_existence_check(request).await? {
            Some(false) => Operation::Create,
            Some(true) | None => Operation::Update,
        };
        self.request(operation, path, data).await
    }

    /// Sends a patch.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, Field, Path, merge_patch};
    /// # use vault_plugin::logical::{Error, Map, Operation, Storage};
    /// # use vault_plugin::testing::TestMount;
    /// async fn patch(cx: Context<()>, changes: Map) -> Result<(), Error> {
    ///     let config = cx.storage().read::<Map>("config").await?.unwrap_or_default();
    ///     Ok(cx.storage().write("config", &merge_patch(&config, changes)?).await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("config").field("url", Field::string()).field("ttl", Field::int());
    /// # let path = path.on(Operation::Patch, "Change the settings.", patch);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let storage: &dyn Storage = mount.storage();
    /// storage.write("config", &json!({"url": "https://example.com", "ttl": 60})).await?;
    /// mount.patch("config", json!({"ttl": null})).await?;
    /// assert_eq!(storage.read("config").await?, Some(json!({"url": "https://example.com"})));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine returns an error.
    pub async fn patch(&self, path: &str, data: Value) -> Result<Option<Response>, Error> {
        self.request(Operation::Patch, path, object(data)).await
    }

    /// Sends a read.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Data, Engine, Field, Path};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// # async fn read(_: Context<()>, fields: Map) -> Result<Option<Data<Map>>, Error> {
    /// #     Ok((fields["name"] == "ann").then_some(Data(fields)))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("greetings/(?P<name>.+)").field("name", Field::string());
    /// # let path = path.on(Operation::Read, "Read a greeting.", read);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// assert_eq!(mount.read("greetings/ann").await?.unwrap().data.unwrap()["name"], "ann");
    /// assert_eq!(mount.read("greetings/ben").await?, None); // 404
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine returns an error.
    pub async fn read(&self, path: &str) -> Result<Option<Response>, Error> {
        self.request(Operation::Read, path, Map::new()).await
    }

    /// Sends a delete.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, Storage}, testing::TestMount};
    /// # async fn delete(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    /// #     Ok(cx.storage().delete("config").await?)
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("config").on(Operation::Delete, "Delete the settings.", delete);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let storage: &dyn Storage = mount.storage();
    /// storage.write("config", &"on").await?;
    /// assert_eq!(mount.delete("config").await?, None); // 204
    /// assert!(mount.storage().keys().is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine returns an error.
    pub async fn delete(&self, path: &str) -> Result<Option<Response>, Error> {
        self.request(Operation::Delete, path, Map::new()).await
    }

    /// Sends a list.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, ListResponse, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, Storage}, testing::TestMount};
    /// # async fn list(cx: Context<()>, _: NoFields) -> Result<ListResponse, Error> {
    /// #     Ok(ListResponse(cx.storage().list("roles/").await?))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("roles/").on(Operation::List, "List the roles.", list);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let storage: &dyn Storage = mount.storage();
    /// storage.write("roles/reader", &"read").await?;
    /// let listed = mount.list("roles/").await?.unwrap();
    /// assert_eq!(listed.data.unwrap()["keys"], serde_json::json!(["reader"]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine returns an error.
    pub async fn list(&self, path: &str) -> Result<Option<Response>, Error> {
        self.request(Operation::List, path, Map::new()).await
    }

    /// Sends a login, without a token.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, Login, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// # async fn login(_: Context<()>, _: NoFields) -> Result<Login, Error> {
    /// #     Ok(Login::new("ann").policies(["reader"]))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("login").on(Operation::Update, "Log in.", login);
    /// # let mount = TestMount::new(Engine::auth_method(|| ()).path(path).unauthenticated_path("login")).await?;
    /// let auth = mount.login("login", json!({"ticket": "A7"})).await?.unwrap().auth.unwrap();
    /// assert_eq!(auth.policies, ["reader"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine returns an error.
    pub async fn login(&self, path: &str, data: Value) -> Result<Option<Response>, Error> {
        let mut request = Request::new(Operation::Update, path, object(data));
        request.unauthenticated = true;
        self.send(request).await
    }

    /// Renews the lease or the login of an earlier response.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, LeasedSecret, Lease, NoFields, Path, SecretType};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// # async fn issue(_: Context<()>, _: NoFields) -> Result<LeasedSecret, Error> {
    /// #     Ok(LeasedSecret::new("ticket", json!({"code": "A7"}), json!({}), Lease::default()))
    /// # }
    /// async fn renew(_: Context<()>, _: NoFields) -> Result<Lease, Error> {
    ///     Ok(Lease { ttl: Duration::from_secs(60), max_ttl: Duration::ZERO })
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let engine = Engine::new(|| ()).path(Path::new("ticket").on(Operation::Read, "Issue a ticket.", issue));
    /// # let mount = TestMount::new(engine.secret(SecretType::new("ticket").on_renew(renew))).await?;
    /// let ticket = mount.read("ticket").await?.unwrap();
    /// let renewed = mount.renew(&ticket).await?.unwrap();
    /// assert_eq!(renewed.secret.unwrap().lease.ttl, Duration::from_secs(60));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine returns an error.
    pub async fn renew(&self, leased: &Response) -> Result<Option<Response>, Error> {
        self.backend.handle_request(lease_request(Operation::Renew, leased)).await
    }

    /// Revokes the lease of an earlier response.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, LeasedSecret, Lease, NoFields, Path, SecretType};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// # async fn issue(cx: Context<()>, _: NoFields) -> Result<LeasedSecret, Error> {
    /// #     cx.storage().write("taken/7", &true).await?;
    /// #     Ok(LeasedSecret::new("ticket", json!({"code": "A7"}), json!({"key": "taken/7"}), Lease::default()))
    /// # }
    /// async fn revoke(cx: Context<()>, ticket: Map) -> Result<(), Error> {
    ///     Ok(cx.storage().delete(ticket["key"].as_str().unwrap_or_default()).await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let engine = Engine::new(|| ()).path(Path::new("ticket").on(Operation::Read, "Issue a ticket.", issue));
    /// # let mount = TestMount::new(engine.secret(SecretType::new("ticket").on_revoke(revoke))).await?;
    /// let ticket = mount.read("ticket").await?.unwrap();
    /// assert_eq!(mount.storage().keys(), ["taken/7"]);
    /// mount.revoke(&ticket).await?;
    /// assert!(mount.storage().keys().is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine returns an error.
    pub async fn revoke(&self, leased: &Response) -> Result<Option<Response>, Error> {
        self.backend.handle_request(lease_request(Operation::Revoke, leased)).await
    }

    /// Rolls back all write-ahead log entries, at any age.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn issue(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     cx.wal_put("ticket", &json!({"seat": 7})).await?;
    ///     Err(Error::internal("no response from the upstream"))
    /// }
    ///
    /// async fn undo(_: Context<()>, kind: String, ticket: Value) -> Result<(), Error> {
    ///     assert_eq!((kind.as_str(), ticket), ("ticket", json!({"seat": 7})));
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("ticket").on(Operation::Read, "Issue a ticket.", issue);
    /// # let engine = Engine::new(|| ()).path(path).on_rollback(Duration::from_mins(10), undo);
    /// # let mount = TestMount::new(engine).await?;
    /// assert!(mount.read("ticket").await.is_err());
    /// assert_eq!(mount.storage().keys().len(), 1); // the write-ahead log entry
    /// mount.rollback().await?;
    /// assert!(mount.storage().keys().is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine returns an error.
    pub async fn rollback(&self) -> Result<Option<Response>, Error> {
        self.request(Operation::Rollback, "", object(json!({"immediate": true}))).await
    }

    /// Notifies the engine that another node has changed `key`.
    ///
    /// ```
    /// # use std::sync::{Arc, atomic::{AtomicBool, Ordering::Relaxed}};
    /// # use vault_plugin::{framework::Engine, testing::TestMount};
    /// fn forget(is_cached: &Arc<AtomicBool>, key: &str) {
    ///     if key == "config" {
    ///         is_cached.store(false, Relaxed);
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let is_cached = Arc::new(AtomicBool::new(true));
    /// let state = is_cached.clone();
    /// let mount = TestMount::new(Engine::new(move || state.clone()).on_invalidate(forget)).await?;
    /// mount.invalidate("roles/reader").await;
    /// assert!(is_cached.load(Relaxed));
    /// mount.invalidate("config").await;
    /// assert!(!is_cached.load(Relaxed));
    /// # Ok(()) }
    /// ```
    pub async fn invalidate(&self, key: &str) {
        self.backend.invalidate_key(key).await;
    }

    /// Sends any request.
    ///
    /// ```
    /// # use vault_plugin::{framework::Engine, logical::{Map, Operation}, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).description("Greets people.")).await?;
    /// let help = mount.request(Operation::Help, "", Map::new()).await?.unwrap().data.unwrap();
    /// assert!(help["help"].as_str().unwrap().contains("Greets people."));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine returns an error.
    pub async fn request(
        &self,
        operation: Operation,
        path: &str,
        data: Map,
    ) -> Result<Option<Response>, Error> {
        self.send(Request::new(operation, path, data)).await
    }

    /// Sends a request with all attributes: its connection, entity and headers.
    ///
    /// ```
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Map, Operation, Request}, testing::TestMount};
    /// async fn whoami(cx: Context<()>, _: NoFields) -> Result<Data<Value>, Error> {
    ///     Ok(Data(json!({"entity": cx.request().entity_id})))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("whoami").on(Operation::Read, "Return the caller.", whoami);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let mut request = Request::new(Operation::Read, "whoami", Map::new());
    /// request.entity_id = "e-1".to_owned();
    /// assert_eq!(mount.send(request).await?.unwrap().data.unwrap()["entity"], "e-1");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine returns an error.
    pub async fn send(&self, request: Request) -> Result<Option<Response>, Error> {
        self.backend.handle_request(request).await
    }
}

/// Returns a request with the data that a host has stored: the data of the response, and the secret or login with its issue time.
fn lease_request(operation: Operation, leased: &Response) -> Request {
    let mut request = Request::new(operation, "", leased.data.clone().unwrap_or_default());
    (request.secret, request.auth) = (leased.secret.clone(), leased.auth.clone());
    let secret = request.secret.as_mut().map(|secret| &mut secret.lease);
    let auth = request.auth.as_mut().map(|auth| &mut auth.lease);
    for lease in secret.into_iter().chain(auth) {
        lease.issue_time.get_or_insert_with(SystemTime::now);
    }
    request
}

fn object(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// An error from [`TestMount::new`].
///
/// ```
/// use vault_plugin::framework::{Context, Engine};
/// use vault_plugin::logical::Error;
/// use vault_plugin::testing::{TestMount, TestMountError};
///
/// async fn initialize(_: Context<()>) -> Result<(), Error> {
///     Err(Error::internal("the stored settings are of a newer version"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mounted = TestMount::new(Engine::new(|| ()).on_initialize(initialize)).await;
/// assert!(matches!(mounted, Err(TestMountError::Initialize(Error::Internal(_)))));
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum TestMountError {
    /// The declaration is invalid.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The initialization of the engine failed.
    #[error(transparent)]
    Initialize(#[from] Error),
}
