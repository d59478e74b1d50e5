//! A mount that asks an engine as a host would.

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

/// One engine, mounted on storage in memory.
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
///     .on(Operation::Read, "Show the settings.", read);
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
    /// Mounts an engine as on Vault: without transactions, with events.
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
    /// Fails when the declaration is wrong or the engine refuses to be initialised.
    pub async fn new<S: Send + Sync + 'static>(engine: Engine<S>) -> Result<TestMount, TestMountError> {
        TestMount::for_product(Product::Vault, engine).await
    }

    /// Mounts an engine as on this host: OpenBao has transactions and no events, Vault has events and no transactions.
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
    /// As [`TestMount::new`].
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

    /// The storage under the mount.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::logical::{Error, Map, Operation, Storage};
    /// # use vault_plugin::testing::TestMount;
    /// # async fn read(cx: Context<()>, _: NoFields) -> Result<Option<Data<Map>>, Error> {
    /// #     Ok(cx.storage().read("config").await?.map(Data))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("config").on(Operation::Read, "Show the settings.", read);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// // As an older version of the engine left it.
    /// let storage: &dyn Storage = mount.storage();
    /// storage.write("config", &serde_json::json!({"ttl": 60})).await?;
    /// assert_eq!(mount.read("config").await?.unwrap().data.unwrap()["ttl"], 60);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    /// The settings around the mount.
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

    /// What the engine told the world.
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

    /// The special paths that the engine declares.
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

    /// Writes: create or update, as the existence check says.
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
    ///     Ok(Data(Map::from_iter([("done".to_owned(), cx.request().operation.as_str().into())])))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("config").field("ttl", Field::int()).existence_check(exists);
    /// # let path = path.on(Operation::Create, "Store it.", write).on(Operation::Update, "Change it.", write);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let first = mount.write("config", json!({"ttl": 60})).await?.unwrap();
    /// assert_eq!(first.data.unwrap()["done"], "create");
    /// let second = mount.write("config", json!({"ttl": 90})).await?.unwrap();
    /// assert_eq!(second.data.unwrap()["done"], "update");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn write(&self, path: &str, data: Value) -> Result<Option<Response>, Error> {
        let data = object(data);
        let asked = Request::new(Operation::Create, path, data.clone());
        let operation = match self.backend.handle_existence_check(asked).await? {
            Some(false) => Operation::Create,
            Some(true) | None => Operation::Update,
        };
        self.request(operation, path, data).await
    }

    /// Changes the given fields.
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
    /// Fails as the engine does.
    pub async fn patch(&self, path: &str, data: Value) -> Result<Option<Response>, Error> {
        self.request(Operation::Patch, path, object(data)).await
    }

    /// Reads.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Data, Engine, Field, Path};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// # async fn read(_: Context<()>, fields: Map) -> Result<Option<Data<Map>>, Error> {
    /// #     Ok((fields["name"] == "ann").then_some(Data(fields)))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("greetings/(?P<name>.+)").field("name", Field::string());
    /// # let path = path.on(Operation::Read, "Show a greeting.", read);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// assert_eq!(mount.read("greetings/ann").await?.unwrap().data.unwrap()["name"], "ann");
    /// assert_eq!(mount.read("greetings/nobody").await?, None); // 404
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn read(&self, path: &str) -> Result<Option<Response>, Error> {
        self.request(Operation::Read, path, Map::new()).await
    }

    /// Removes.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, Storage}, testing::TestMount};
    /// # async fn delete(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    /// #     Ok(cx.storage().delete("config").await?)
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("config").on(Operation::Delete, "Forget the settings.", delete);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let storage: &dyn Storage = mount.storage();
    /// storage.write("config", &"on").await?;
    /// assert_eq!(mount.delete("config").await?, None); // 204
    /// assert!(mount.storage().keys().is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn delete(&self, path: &str) -> Result<Option<Response>, Error> {
        self.request(Operation::Delete, path, Map::new()).await
    }

    /// Lists.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, ListResponse, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, Storage}, testing::TestMount};
    /// # async fn list(cx: Context<()>, _: NoFields) -> Result<ListResponse, Error> {
    /// #     Ok(ListResponse(cx.storage().list("roles/").await?))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("roles/").on(Operation::List, "Name the roles.", list);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let storage: &dyn Storage = mount.storage();
    /// storage.write("roles/reader", &"read").await?;
    /// let listed = mount.list("roles/").await?.unwrap();
    /// assert_eq!(listed.data.unwrap()["keys"], serde_json::json!(["reader"]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn list(&self, path: &str) -> Result<Option<Response>, Error> {
        self.request(Operation::List, path, Map::new()).await
    }

    /// Logs in, at a path without a token.
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
    /// Fails as the engine does.
    pub async fn login(&self, path: &str, data: Value) -> Result<Option<Response>, Error> {
        let mut request = Request::new(Operation::Update, path, object(data));
        request.unauthenticated = true;
        self.send(request).await
    }

    /// Renews what an earlier response leased, or its login.
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
    /// Fails as the engine does.
    pub async fn renew(&self, leased: &Response) -> Result<Option<Response>, Error> {
        self.backend.handle_request(lease_request(Operation::Renew, leased)).await
    }

    /// Revokes what an earlier response leased.
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
    /// Fails as the engine does.
    pub async fn revoke(&self, leased: &Response) -> Result<Option<Response>, Error> {
        self.backend.handle_request(lease_request(Operation::Revoke, leased)).await
    }

    /// Rolls back every write-ahead entry, whatever its age.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn issue(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     cx.wal_put("ticket", &json!({"seat": 7})).await?;
    ///     Err(Error::internal("the upstream did not answer"))
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
    /// assert_eq!(mount.storage().keys().len(), 1); // the write-ahead entry
    /// mount.rollback().await?;
    /// assert!(mount.storage().keys().is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn rollback(&self) -> Result<Option<Response>, Error> {
        self.request(Operation::Rollback, "", object(json!({"immediate": true}))).await
    }

    /// Tells the engine that another node has changed what is stored at `key`.
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

    /// Any request.
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
    /// Fails as the engine does.
    pub async fn request(
        &self,
        operation: Operation,
        path: &str,
        data: Map,
    ) -> Result<Option<Response>, Error> {
        self.send(Request::new(operation, path, data)).await
    }

    /// A request with all that a host tells of it: where it comes from, who it is of, its headers.
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
    /// # let path = Path::new("whoami").on(Operation::Read, "Tell who asks.", whoami);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let mut request = Request::new(Operation::Read, "whoami", Map::new());
    /// request.entity_id = "e-1".to_owned();
    /// assert_eq!(mount.send(request).await?.unwrap().data.unwrap()["entity"], "e-1");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn send(&self, request: Request) -> Result<Option<Response>, Error> {
        self.backend.handle_request(request).await
    }
}

/// A host hands back what it stored: the data of the response, the secret or the login with its time of issue.
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

/// Why an engine could not be mounted.
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
    /// The declaration is wrong.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The engine refused to be initialised.
    #[error(transparent)]
    Initialize(#[from] Error),
}
