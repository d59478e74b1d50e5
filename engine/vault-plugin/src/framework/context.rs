//! What a handler works with besides its fields.

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
pub use self::wal::WalMetadata;
use super::response::{IntoResponse, with_status};
use crate::logical::{BackendConfig, Error, EventSender, Product, Request, Response, Storage, SystemView};

/// One request to one mount: its state, its storage, its host. Cheap to clone.
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
    /// Whether the host is asked to seal-wrap write-ahead entries.
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

    /// The same for the rollback of a write-ahead entry.
    pub(crate) fn with_wal_metadata(&self, record: WalMetadata) -> Context<S> {
        Context { wal_metadata: Some(Arc::new(record)), ..self.clone() }
    }

    /// What the mount keeps in memory.
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

    /// The mount's storage.
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

    /// The host's settings.
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
    /// # let path = Path::new("limit").on(Operation::Read, "Tell the limit.", limit);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// mount.system().update(|host| host.max_lease_ttl = Duration::from_secs(60));
    /// assert_eq!(mount.read("limit").await?.unwrap().data.unwrap()["max_ttl"], 60);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn system(&self) -> &dyn SystemView {
        &*self.mount.config.system
    }

    /// Where events and observations go.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Event, EventError, Operation}, testing::TestMount};
    /// async fn set(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     match cx.events().send_event(Event::new("greeter/config").path("config").modified()).await {
    ///         // A host without events is as good.
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

    /// Which program the host is. To be shown to people; what a host can do is found out by asking.
    ///
    /// ```
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, Product}, testing::TestMount};
    /// async fn about(cx: Context<()>, _: NoFields) -> Result<Data<Value>, Error> {
    ///     Ok(Data(json!({"host": format!("{:?}", cx.product())})))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::new(|| ()).path(Path::new("about").on(Operation::Read, "Tell the host.", about));
    /// let mount = TestMount::for_product(Product::OpenBao, engine).await?;
    /// assert_eq!(mount.read("about").await?.unwrap().data.unwrap()["host"], "OpenBao");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn product(&self) -> Product {
        self.mount.config.product
    }

    /// The request as it came.
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
    /// // The fields of the request are not coerced here.
    /// assert_eq!(json!(echoed.data), json!({"operation": "update", "path": "echo", "sent": {"ttl": "1h"}}));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The mount's log.
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

    /// Refuses on a node that cannot write, so that the host forwards the request to one that can. To be asked before
    /// anything happens outside of the host: an upstream credential made on a standby could not be leased.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, ReplicationState}, testing::TestMount};
    /// async fn mint(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     cx.require_writable().await?;
    ///     // The credential is made upstream here.
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
    /// [`Error::ReadOnly`] on a standby or secondary; fails too when the host cannot be asked.
    pub async fn require_writable(&self) -> Result<(), Error> {
        let state = self.system().replication_state().await?;
        // The second question is only asked where its answer matters.
        let safe =
            state.is_write_safe(false) || (state.is_write_safe(true) && self.system().local_mount().await?);
        if safe { Ok(()) } else { Err(Error::ReadOnly) }
    }

    /// The answer under an HTTP status other than the host's own (`RespondWithStatusCode` of `sdk/logical`).
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation, Response}, testing::TestMount};
    /// async fn rotate(cx: Context<()>, _: NoFields) -> Result<Response, Error> {
    ///     cx.with_status(202, Data(json!({"job": "j1"})))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("rotate").on(Operation::Update, "Begin a rotation.", rotate);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// // What hosts make the status and the body of the answer from.
    /// let data = mount.write("rotate", json!({})).await?.unwrap().data.unwrap();
    /// assert_eq!(data["http_status_code"], 202);
    /// assert!(data["http_raw_body"].as_str().unwrap().contains(r#""data":{"job":"j1"}"#));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails when the answer does, or is leased.
    pub fn with_status(&self, status: u16, answer: impl IntoResponse) -> Result<Response, Error> {
        with_status(self.product(), &self.request.id, status, answer.into_response()?)
    }

    /// Waits for the lock of a key of this mount, behind those that wait already. Vault's storage has no transactions: a handler that
    /// reads a value, changes it and stores it holds the lock of its key meanwhile, so that of two requests at once neither
    /// undoes the other's change.
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

    /// Runs work to its end, also when the request that began it is cancelled, as a host does when its client hangs up. The
    /// process waits for the work before it ends, for up to 10 s. The work begins at once; the future that is returned waits for its result.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn set(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     let work = cx.clone();
    ///     cx.run_to_completion(async move {
    ///         work.storage().write("config", &"new").await?;
    ///         // What is cached of the configuration is dropped here.
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
    /// The future fails as the work does, and when the work panics.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
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
                .unwrap_or_else(|error| Err(Error::internal(format!("the work was interrupted: {error}"))))
        }
    }

    /// Announces something that must be undone if nobody comes back to finish it, and returns the entry's id.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn mint(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     cx.wal_put("token", &json!({"id": "t1"})).await?;
    ///     Err(Error::internal("the upstream gave no answer"))
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
    /// Fails when storage does; nothing may be begun then.
    pub async fn wal_put<T: Serialize + Sync>(&self, kind: &str, data: &T) -> Result<String, Error> {
        Ok(wal::put(self.storage(), self.mount.seal_wraps_wal, kind, data).await?)
    }

    /// Writes an announcement under the id that it had, where it may have been taken back too early.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn mint(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     let id = cx.wal_put("token", &"t1").await?;
    ///     cx.wal_delete(&id).await?;
    ///     // The answer cannot be handed out after all.
    ///     cx.wal_put_with_id(&id, "token", &"t1").await?;
    ///     Err(Error::internal("nobody holds the token"))
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
    /// Fails when storage does; the entry is there if it was there before.
    pub async fn wal_put_with_id<T: Serialize + Sync>(
        &self,
        id: &str,
        kind: &str,
        data: &T,
    ) -> Result<(), Error> {
        Ok(wal::put_with_id(self.storage(), self.mount.seal_wraps_wal, id, kind, data).await?)
    }

    /// The write-ahead entry that is rolled back; `None` outside of a rollback.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// # async fn mint(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    /// #     cx.wal_put("token", &json!({"request": "r1"})).await?;
    /// #     Err(Error::internal("the upstream gave no answer"))
    /// # }
    /// async fn undo(cx: Context<()>, kind: String, _: Value) -> Result<(), Error> {
    ///     // The id that is found is kept before it is used, in case the upstream cannot revoke the token now.
    ///     let Some(record) = cx.wal_metadata() else { return Ok(()) };
    ///     cx.wal_put_with_id(&record.id, &kind, &json!({"id": "t1"})).await?;
    ///     Err(Error::internal("the upstream gave no answer"))
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

    /// Takes back an announcement: it is finished, or undone.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn mint(cx: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     let id = cx.wal_put("token", &"t1").await?;
    ///     // The token is made upstream here, and is known to the host by its lease.
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
    /// Fails when storage does; the entry is rolled back later then.
    pub async fn wal_delete(&self, id: &str) -> Result<(), Error> {
        Ok(wal::delete(self.storage(), id).await?)
    }
}
