//! The context of a request: its storage, state and host.

mod keyed_locks;
pub(crate) mod wal;

use std::fmt;
use std::sync::Arc;

use go_plugin::log::Logger;
use serde::Serialize;

pub use self::keyed_locks::KeyGuard;
pub(crate) use self::keyed_locks::KeyedLocks;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::wal::StoredEntry;
pub use self::wal::{WAL_PREFIX, WalMetadata};
use super::response::{IntoResponse, with_status};
use crate::logical::{BackendConfig, Error, EventSender, Product, Request, Response, Storage, SystemView};

/// The context of a request: the mount's state, its storage and its host. Cheap to clone.
///
/// ```
/// use serde_json::{Value, json};
/// use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
/// use vault_plugin::logical::{Error, Operation};
/// use vault_plugin::testing::TestMount;
///
/// async fn visit(cx: Context<()>, _: NoFields) -> Result<Data<Value>, Error> {
///     let visits = cx.storage().read("visits").await?.unwrap_or(0) + 1;
///     cx.storage().write("visits", &visits).await?;
///     Ok(Data(json!({"path": cx.request().path, "visits": visits})))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = Path::new("visit").on(Operation::Update, "Count a visit.", visit);
/// let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
/// mount.write("visit", json!({})).await?;
/// let second = mount.write("visit", json!({})).await?.unwrap();
/// assert_eq!(json!(second.data), json!({"path": "visit", "visits": 2}));
/// # Ok(()) }
/// ```
pub struct Context<S> {
    mount: Arc<MountState<S>>,
    request: Arc<Request>,
    wal_metadata: Option<Arc<WalMetadata>>,
}

impl<S> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("request", &self.request).finish_non_exhaustive()
    }
}

pub(crate) struct MountState<S> {
    pub(crate) state: S,
    pub(crate) config: BackendConfig,
    pub(crate) locks: KeyedLocks,
    /// Whether write-ahead log entries are seal wrapped.
    pub(crate) seal_wraps_wal: bool,
}

impl<S> Clone for Context<S> {
    fn clone(&self) -> Self {
        Context {
            mount: Arc::clone(&self.mount),
            request: Arc::clone(&self.request),
            wal_metadata: self.wal_metadata.clone(),
        }
    }
}

impl<S> Context<S> {
    pub(crate) fn new(mount: Arc<MountState<S>>, request: Arc<Request>) -> Context<S> {
        Context { mount, request, wal_metadata: None }
    }

    /// Returns the context for the rollback of a write-ahead log entry.
    pub(crate) fn with_wal_metadata(&self, metadata: WalMetadata) -> Context<S> {
        Context { wal_metadata: Some(Arc::new(metadata)), ..self.clone() }
    }

    /// Returns the in-memory state of the mount.
    ///
    /// ```
    /// # use std::sync::atomic::{AtomicU64, Ordering};
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn count(cx: Context<AtomicU64>, _: NoFields) -> Result<Data<Value>, Error> {
    ///     Ok(Data(json!({"since_start": cx.state().fetch_add(1, Ordering::Relaxed) + 1})))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::new(AtomicU64::default).path(Path::new("count").on(Operation::Read, "Count.", count));
    /// # let mount = TestMount::new(engine).await?;
    /// mount.read("count").await?;
    /// assert_eq!(mount.read("count").await?.unwrap().data.unwrap()["since_start"], 2);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn state(&self) -> &S {
        &self.mount.state
    }

    /// Returns the storage of the mount.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, Path};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// async fn set(cx: Context<()>, config: Map) -> Result<(), Error> {
    ///     Ok(cx.storage().write("config", &config).await?)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("config").on(Operation::Update, "Configure.", set);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// mount.write("config", json!({})).await?;
    /// assert_eq!(mount.storage().entry("config").unwrap().value, b"{}");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn storage(&self) -> &dyn Storage {
        &*self.mount.config.storage
    }

    /// Returns the host's settings.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn limit(cx: Context<()>, _: NoFields) -> Result<Data<Value>, Error> {
    ///     Ok(Data(json!({"max_ttl": cx.system().max_lease_ttl().await?.as_secs()})))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("limit").on(Operation::Read, "Return the limit.", limit);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// mount.system().update(|host| host.max_lease_ttl = Duration::from_secs(60));
    /// assert_eq!(mount.read("limit").await?.unwrap().data.unwrap()["max_ttl"], 60);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn system(&self) -> &dyn SystemView {
        &*self.mount.config.system
    }

    /// Returns the sender of events and observations.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Event, EventError, Operation}, testing::TestMount};
    /// async fn set(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     match cx.events().send_event(Event::new("greeter/config").path("config").modified()).await {
    ///         // A host without events is not an error.
    ///         Ok(()) | Err(EventError::Unsupported(_)) => Ok(()),
    ///         Err(error) => Err(error.into()),
    ///     }
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("config").on(Operation::Update, "Configure.", set);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// mount.write("config", json!({})).await?;
    /// assert_eq!(mount.events().events()[0].event_type, "greeter/config");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn events(&self) -> &dyn EventSender {
        &*self.mount.config.events
    }

    /// Returns the product of the host. Use it for display only, and detect features by calling them.
    ///
    /// ```
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, Product}, testing::TestMount};
    /// async fn about(cx: Context<()>, _: NoFields) -> Result<Data<Value>, Error> {
    ///     Ok(Data(json!({"host": format!("{:?}", cx.product())})))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::new(|| ()).path(Path::new("about").on(Operation::Read, "Return the product.", about));
    /// let mount = TestMount::for_product(Product::OpenBao, engine).await?;
    /// assert_eq!(mount.read("about").await?.unwrap().data.unwrap()["host"], "OpenBao");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn product(&self) -> Product {
        self.mount.config.product
    }

    /// Returns the request as sent by the host.
    ///
    /// ```
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn echo(cx: Context<()>, _: NoFields) -> Result<Data<Value>, Error> {
    ///     let request = cx.request();
    ///     Ok(Data(json!({"operation": request.operation.as_str(), "path": request.path, "sent": request.data})))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("echo").arbitrary_input().on(Operation::Update, "Echo.", echo);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let echoed = mount.write("echo", json!({"ttl": "1h"})).await?.unwrap();
    /// // The fields of `request()` are not coerced.
    /// assert_eq!(json!(echoed.data), json!({"operation": "update", "path": "echo", "sent": {"ttl": "1h"}}));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the logger of the mount.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn set(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     cx.logger().with("request_id", cx.request().id.as_str()).info("configured");
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("config").on(Operation::Update, "Configure.", set);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// # assert!(mount.write("config", json!({})).await?.is_none());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn logger(&self) -> &Logger {
        &self.mount.config.logger
    }

    /// Fails on a node that cannot write, so that the host forwards the request to one that can. Call it before any side effect outside
    /// the host: an upstream credential that is created on a standby cannot be leased.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, ReplicationState}, testing::TestMount};
    /// async fn mint(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     cx.require_writable().await?;
    ///     // Create the upstream credential here.
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("creds").on(Operation::Read, "Issue a credential.", mint);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// mount.system().set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
    /// assert!(matches!(mount.read("creds").await, Err(Error::ReadOnly)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::ReadOnly`] on a standby or secondary. Fails if the call to the host fails.
    pub async fn require_writable(&self) -> Result<(), Error> {
        let state = self.system().replication_state().await?;
        // `local_mount` is called only if its result matters.
        let safe =
            state.is_write_safe(false) || (state.is_write_safe(true) && self.system().local_mount().await?);
        if safe { Ok(()) } else { Err(Error::ReadOnly) }
    }

    /// Returns a response with an HTTP status other than the host's default (`RespondWithStatusCode` of `sdk/logical`).
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, Response}, testing::TestMount};
    /// async fn rotate(cx: Context<()>, _: NoFields) -> Result<Response, Error> {
    ///     cx.with_status(202, Data(json!({"job": "j1"})))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("rotate").on(Operation::Update, "Start a rotation.", rotate);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// // A host builds the status and the body of the HTTP response from this data.
    /// let data = mount.write("rotate", json!({})).await?.unwrap().data.unwrap();
    /// assert_eq!(data["http_status_code"], 202);
    /// assert!(data["http_raw_body"].as_str().unwrap().contains(r#""data":{"job":"j1"}"#));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the response is an error or is leased.
    pub fn with_status(&self, status: u16, response: impl IntoResponse) -> Result<Response, Error> {
        with_status(self.product(), &self.request.id, status, response.into_response()?)
    }

    /// Waits for the lock of a key of this mount, in order of arrival. Vault's storage has no transactions. A handler that reads,
    /// modifies and writes a value should hold the lock of its key, so that concurrent requests do not overwrite each other's
    /// changes.
    ///
    /// ```
    /// use serde_json::json;
    /// use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    ///
    /// async fn count(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     let _locked = cx.lock("visits").await;
    ///     let visits = cx.storage().read("visits").await?.unwrap_or(0) + 1;
    ///     Ok(cx.storage().write("visits", &visits).await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mount = TestMount::new(Engine::new(|| ()).path(Path::new("visit").on(Operation::Update, "Count.", count))).await?;
    /// let (one, other) = tokio::join!(mount.write("visit", json!({})), mount.write("visit", json!({})));
    /// # (one?, other?);
    /// assert_eq!(mount.storage().entry("visits").unwrap().value, b"2");
    /// # Ok(()) }
    /// ```
    pub async fn lock(&self, key: &str) -> KeyGuard {
        self.mount.locks.lock(key).await
    }

    /// Runs `work` to completion, even if the request is cancelled because the client disconnects. The process waits up to 10 s for it
    /// before it exits. The work starts immediately. The returned future waits for its result.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn set(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     let work = cx.clone();
    ///     cx.run_to_completion(async move {
    ///         work.storage().write("config", &"new").await?;
    ///         // Drop cached values of the configuration here.
    ///         Ok(())
    ///     })
    ///     .await
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mount = TestMount::new(Engine::new(|| ()).path(Path::new("config").on(Operation::Update, "Set.", set))).await?;
    /// mount.write("config", serde_json::json!({})).await?;
    /// assert_eq!(mount.storage().entry("config").unwrap().value, br#""new""#);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The future fails if the work fails or panics.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn run_to_completion<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static {
        let in_flight = self.mount.config.in_flight.track();
        let task = tokio::spawn(async move {
            let _in_flight = in_flight;
            work.await
        });
        async move {
            task.await
                .unwrap_or_else(|error| Err(Error::internal(format!("task of the request failed: {error}"))))
        }
    }

    /// Records an operation that must be undone if it is not completed, and returns the id of the entry.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn mint(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     cx.wal_put("token", &json!({"id": "t1"})).await?;
    ///     Err(Error::internal("no response from the upstream"))
    /// }
    ///
    /// async fn undo(cx: Context<()>, kind: String, data: Value) -> Result<(), Error> {
    ///     Ok(cx.storage().write("undone", &(kind, &data["id"])).await?)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("creds").on(Operation::Read, "Issue a token.", mint);
    /// # let engine = Engine::new(|| ()).path(path).on_rollback(Duration::from_secs(60), undo);
    /// # let mount = TestMount::new(engine).await?;
    ///
    /// assert!(mount.read("creds").await.is_err());
    /// mount.rollback().await?;
    /// assert_eq!(mount.storage().keys(), ["undone"]);
    /// assert_eq!(mount.storage().entry("undone").unwrap().value, br#"["token","t1"]"#);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the storage fails. Then the operation must not be started.
    pub async fn wal_put<T: Serialize + Sync>(&self, kind: &str, data: &T) -> Result<String, Error> {
        Ok(wal::put(self.storage(), self.mount.seal_wraps_wal, kind, data).await?)
    }

    /// Writes an entry with a given id, for example again after it was deleted too early.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn mint(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     let id = cx.wal_put("token", &"t1").await?;
    ///     cx.wal_delete(&id).await?;
    ///     // The response cannot be returned after all.
    ///     cx.wal_put_with_id(&id, "token", &"t1").await?;
    ///     Err(Error::internal("token discarded"))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("creds").on(Operation::Read, "Issue a token.", mint);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// assert!(mount.read("creds").await.is_err());
    /// assert_eq!(mount.storage().keys().len(), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the storage fails. An existing entry is then unchanged.
    pub async fn wal_put_with_id<T: Serialize + Sync>(
        &self,
        id: &str,
        kind: &str,
        data: &T,
    ) -> Result<(), Error> {
        Ok(wal::put_with_id(self.storage(), self.mount.seal_wraps_wal, id, kind, data).await?)
    }

    /// Returns the write-ahead log entry that is rolled back, or `None` outside a rollback.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// # async fn mint(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    /// #     cx.wal_put("token", &json!({"request": "r1"})).await?;
    /// #     Err(Error::internal("no response from the upstream"))
    /// # }
    /// async fn undo(cx: Context<()>, kind: String, _: Value) -> Result<(), Error> {
    ///     // Store the id before using it, in case the upstream cannot revoke the token now.
    ///     let Some(metadata) = cx.wal_metadata() else { return Ok(()) };
    ///     cx.wal_put_with_id(&metadata.id, &kind, &json!({"id": "t1"})).await?;
    ///     Err(Error::internal("no response from the upstream"))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("creds").on(Operation::Read, "Issue a token.", mint);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path).on_rollback(Duration::from_secs(60), undo)).await?;
    /// # assert!(mount.read("creds").await.is_err());
    /// mount.rollback().await?;
    /// let [entry] = &mount.storage().keys()[..] else { panic!("one entry") };
    /// assert!(String::from_utf8(mount.storage().entry(entry).unwrap().value)?.contains(r#""data":{"id":"t1"}"#));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn wal_metadata(&self) -> Option<&WalMetadata> {
        self.wal_metadata.as_deref()
    }

    /// Deletes an entry whose operation is completed or undone.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn mint(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     let id = cx.wal_put("token", &"t1").await?;
    ///     // Create the token upstream here. The host knows it by its lease.
    ///     cx.wal_delete(&id).await
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("creds").on(Operation::Read, "Issue a token.", mint);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// mount.read("creds").await?;
    /// assert!(mount.storage().keys().is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the storage fails. The entry is then rolled back later.
    pub async fn wal_delete(&self, id: &str) -> Result<(), Error> {
        Ok(wal::delete(self.storage(), id).await?)
    }
}
