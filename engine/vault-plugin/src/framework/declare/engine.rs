//! The builder of an engine.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::build_error::BuildError;
use super::path::Path;
use crate::framework::auth::TokenLifetime;
use crate::framework::context::Context;
use crate::framework::dispatch::{EngineInner, MountedBackend, Rollback};
use crate::framework::handler::{HookFn, InternalDataFn, InvalidateFn, internal_data_fn};
use crate::framework::lease::SecretType;
use crate::logical::{Backend, BackendConfig, BackendType, Error, Factory, SpecialPaths};

/// The declaration of a secrets engine or an auth method. `S` is the in-memory state of a mount, such as caches and clients.
///
/// ```
/// use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
/// use vault_plugin::logical::Operation;
/// use vault_plugin::testing::TestMount;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let read = |_: Context<()>, _: NoFields| async { Ok(Data(serde_json::json!({"text": "hello"}))) };
/// let engine = Engine::new(|| ())
///     .description("Greets people.")
///     .version("1.2.0")
///     .path(Path::new("greeting").help("A greeting.", "").on(Operation::Read, "Read it.", read));
///
/// let mount = TestMount::new(engine).await?;
/// assert_eq!(mount.read("greeting").await?.unwrap().data.unwrap()["text"], "hello");
/// # Ok(()) }
/// ```
pub struct Engine<S> {
    kind: BackendType,
    state: Box<dyn Fn() -> S + Send + Sync>,
    description: String,
    version: String,
    paths: Vec<Path<S>>,
    secrets: Vec<SecretType<S>>,
    special: SpecialPaths,
    login_renew: Option<InternalDataFn<S, TokenLifetime>>,
    rollback: Option<Rollback<S>>,
    rotate: Option<HookFn<S>>,
    periodic: Option<HookFn<S>>,
    initialize: Option<HookFn<S>>,
    cleanup: Option<HookFn<S>>,
    invalidate: Option<InvalidateFn<S>>,
}

impl<S> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("kind", &self.kind)
            .field("version", &self.version)
            .field("paths", &self.paths)
            .field("secrets", &self.secrets)
            .field("special", &self.special)
            .finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> Engine<S> {
    /// Returns a secrets engine without paths. `state` is called once per mount.
    ///
    /// ```
    /// # use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// # use vault_plugin::{framework::Engine, logical::Error, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mounts = Arc::new(AtomicU64::new(0));
    /// let counter = Arc::clone(&mounts);
    /// let mount = TestMount::new(Engine::new(move || counter.fetch_add(1, Ordering::Relaxed))).await?;
    /// assert_eq!(mounts.load(Ordering::Relaxed), 1);
    /// assert!(matches!(mount.read("config").await, Err(Error::UnsupportedPath)));
    /// # Ok(()) }
    /// ```
    pub fn new(state: impl Fn() -> S + Send + Sync + 'static) -> Engine<S> {
        Engine::with_type(BackendType::Secrets, state)
    }

    /// Returns an auth method without paths. Its login handlers, at [unauthenticated paths](Self::unauthenticated_path), return a
    /// [`Login`](crate::framework::Login). `state` is called once per mount.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Engine, Login, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn login(_: Context<()>, _: NoFields) -> Result<Login, Error> {
    ///     Ok(Login::new("anyone").policies(["visitor"]))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::auth_method(|| ())
    ///     .unauthenticated_path("login")
    ///     .path(Path::new("login").on(Operation::Update, "Log in.", login));
    /// # let mount = TestMount::new(engine).await?;
    /// let auth = mount.login("login", json!({})).await?.unwrap().auth.unwrap();
    /// assert_eq!(auth.policies, ["visitor"]);
    /// # Ok(()) }
    /// ```
    pub fn auth_method(state: impl Fn() -> S + Send + Sync + 'static) -> Engine<S> {
        Engine::with_type(BackendType::Credential, state)
    }

    fn with_type(kind: BackendType, state: impl Fn() -> S + Send + Sync + 'static) -> Engine<S> {
        Engine {
            kind,
            state: Box::new(state),
            description: String::new(),
            version: String::new(),
            paths: Vec::new(),
            secrets: Vec::new(),
            special: SpecialPaths::default(),
            login_renew: None,
            rollback: None,
            rotate: None,
            periodic: None,
            initialize: None,
            cleanup: None,
            invalidate: None,
        }
    }

    /// Sets the description, with which the output of `vault path-help MOUNT` begins.
    ///
    /// ```
    /// # use vault_plugin::{framework::Engine, logical::{Map, Operation}, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).description("Greets people.")).await?;
    /// let help = mount.request(Operation::Help, "", Map::new()).await?.unwrap().data.unwrap();
    /// assert!(help["help"].as_str().unwrap().starts_with("## DESCRIPTION\n\nGreets people."));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Sets the semantic version that the plugin reports, with or without the leading `v` that hosts require.
    ///
    /// ```
    /// # use vault_plugin::framework::{BuildError, Engine};
    /// assert_eq!(Engine::new(|| ()).version("1.2.0").build()?.version(), "v1.2.0");
    /// # Ok::<(), BuildError>(())
    /// ```
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        let version = version.into();
        self.version = if version.starts_with('v') { version } else { format!("v{version}") };
        self
    }

    /// Adds a path. The first path whose pattern matches a request handles it.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Data, Engine, Field, NoFields, Path, pattern};
    /// # use vault_plugin::{logical::Operation, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let own = |_: Context<()>, _: NoFields| async { Ok(Data(json!({"owner": "own"}))) };
    /// # let named = |_: Context<()>, _: NoFields| async { Ok(Data(json!({"owner": "another"}))) };
    /// # let any = Path::new(pattern::generic_name("name")).field("name", Field::string());
    /// let engine = Engine::new(|| ())
    ///     .path(Path::new("self").on(Operation::Read, "Read your own entry.", own))
    ///     .path(any.on(Operation::Read, "Read an entry by name.", named));
    /// # let mount = TestMount::new(engine).await?;
    /// assert_eq!(mount.read("self").await?.unwrap().data.unwrap()["owner"], "own");
    /// assert_eq!(mount.read("ann").await?.unwrap().data.unwrap()["owner"], "another");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn path(mut self, path: Path<S>) -> Self {
        self.paths.push(path);
        self
    }

    /// Adds a type of leased secret.
    ///
    /// ```
    /// # use serde_json::{Value, json};
    /// # use vault_plugin::framework::{Context, Engine, LeasedSecret, Lease, NoFields, Path, SecretType};
    /// # use vault_plugin::{logical::Operation, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let issue = |_: Context<()>, _: NoFields| async {
    /// #     Ok(LeasedSecret::new("token", json!({"token": "s3cret"}), json!({"id": "t1"}), Lease::default()))
    /// # };
    /// # let revoke = |cx: Context<()>, token: Value| async move {
    /// #     Ok(cx.storage().write("revoked", &token["id"]).await?)
    /// # };
    /// let engine = Engine::new(|| ())
    ///     .path(Path::new("creds").on(Operation::Read, "Issue a token.", issue))
    ///     .secret(SecretType::new("token").on_revoke(revoke));
    /// # let mount = TestMount::new(engine).await?;
    /// let leased = mount.read("creds").await?.unwrap();
    /// mount.revoke(&leased).await?;
    /// assert_eq!(mount.storage().entry("revoked").unwrap().value, br#""t1""#);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn secret(mut self, secret: SecretType<S>) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Sets the handler that renews the token of a login and returns its new lifetime. It gets the
    /// [internal](crate::framework::Login::internal) data of the login, and the rest is in [`Request::auth`](crate::logical::Request::auth).
    /// Without this handler, the tokens of an auth method are not renewable. Reject a renewal if the login is no longer valid, for example
    /// because the [policies](crate::framework::TokenSettings::has_same_policies) have changed.
    ///
    /// ```
    /// # use serde_json::json;
    /// # use std::time::Duration;
    /// # use vault_plugin::framework::{Context, Engine, Login, NoFields, Path, TokenLifetime};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// #[derive(serde::Deserialize, serde::Serialize)]
    /// struct Guest {
    ///     seat: u32,
    /// }
    ///
    /// async fn renew(cx: Context<()>, guest: Guest) -> Result<TokenLifetime, Error> {
    ///     if cx.storage().get(&format!("closed/{}", guest.seat)).await?.is_some() {
    ///         return Err(Error::PermissionDenied);
    ///     }
    ///     Ok(TokenLifetime { ttl: Duration::from_mins(5), ..TokenLifetime::default() })
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let login = |_: Context<()>, _: NoFields| async { Ok(Login::new("ann").internal(Guest { seat: 7 })) };
    /// # let path = Path::new("login").on(Operation::Update, "Log in.", login);
    /// # let engine = Engine::auth_method(|| ()).path(path).unauthenticated_path("login");
    /// let mount = TestMount::new(engine.on_login_renew(renew)).await?;
    /// let login = mount.login("login", json!({})).await?.unwrap();
    /// let renewed = mount.renew(&login).await?.unwrap().auth.unwrap();
    /// assert_eq!(renewed.lease.ttl, Duration::from_mins(5));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn on_login_renew<T, F>(mut self, renew: impl Fn(Context<S>, T) -> F + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned,
        F: Future<Output = Result<TokenLifetime, Error>> + Send + 'static,
    {
        self.login_renew = Some(internal_data_fn(renew));
        self
    }

    /// Requires the `sudo` capability for a path, or for a prefix that ends in `*`.
    ///
    /// ```
    /// # use vault_plugin::{framework::Engine, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).root_path("config/*")).await?;
    /// assert_eq!(mount.special_paths().root, ["config/*"]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn root_path(mut self, path: impl Into<String>) -> Self {
        self.special.root.push(path.into());
        self
    }

    /// Allows requests without a token to a path. It may end in `*`, and `+` matches one segment.
    ///
    /// ```
    /// # use vault_plugin::{framework::Engine, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).unauthenticated_path("issuer/+/pem")).await?;
    /// assert_eq!(mount.special_paths().unauthenticated, ["issuer/+/pem"]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn unauthenticated_path(mut self, path: impl Into<String>) -> Self {
        self.special.unauthenticated.push(path.into());
        self
    }

    /// Applies the host's request limiter to a path (Vault).
    ///
    /// ```
    /// # use vault_plugin::{framework::Engine, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).limited_path("issue/*")).await?;
    /// assert_eq!(mount.special_paths().limited, ["issue/*"]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn limited_path(mut self, path: impl Into<String>) -> Self {
        self.special.limited.push(path.into());
        self
    }

    /// Excludes a storage prefix from replication to other clusters.
    ///
    /// ```
    /// # use vault_plugin::{framework::Engine, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).local_storage("cache/")).await?;
    /// assert_eq!(mount.special_paths().local_storage, ["cache/"]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn local_storage(mut self, prefix: impl Into<String>) -> Self {
        self.special.local_storage.push(prefix.into());
        self
    }

    /// Marks a storage key, or a prefix that ends in `/`, for additional encryption by a seal that supports it.
    ///
    /// ```
    /// # use vault_plugin::{framework::Engine, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).seal_wrap("config").seal_wrap("keys/")).await?;
    /// assert_eq!(mount.special_paths().seal_wrap_storage, ["config", "keys/"]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn seal_wrap(mut self, key: impl Into<String>) -> Self {
        self.special.seal_wrap_storage.push(key.into());
        self
    }

    /// Sets all special paths, and replaces those that were built before.
    ///
    /// ```
    /// # use vault_plugin::{framework::Engine, logical::SpecialPaths, testing::TestMount};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let special = SpecialPaths { write_forwarded_storage: vec!["usage/".to_owned()], ..Default::default() };
    /// let mount = TestMount::new(Engine::new(|| ()).root_path("config").special_paths(special.clone())).await?;
    /// assert_eq!(mount.special_paths(), special);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn special_paths(mut self, special: SpecialPaths) -> Self {
        self.special = special;
        self
    }

    /// Sets the handler that undoes the operation of a write-ahead log entry. `undo` gets the kind and the data of each entry that is
    /// older than `min_age`, and of all entries when the mount is removed. An entry is deleted if `undo` succeeds. If it fails, the error
    /// is logged and the entry is retried.
    ///
    /// A host cancels a rollback after 90 s and repeats it every minute. After 45 s no further entry is started, and the next rollback
    /// continues with the rest.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use serde_json::Value;
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// async fn undo(_: Context<()>, kind: String, token: Value) -> Result<(), Error> {
    ///     assert_eq!((kind.as_str(), token), ("token", "t1".into()));
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let begin = |cx: Context<()>, _: NoFields| async move { cx.wal_put("token", &"t1").await.map(drop) };
    /// # let engine = Engine::new(|| ()).path(Path::new("begin").on(Operation::Read, "Record a token.", begin));
    /// let engine = engine.on_rollback(Duration::from_secs(600), undo);
    /// # let mount = TestMount::new(engine).await?;
    /// # mount.read("begin").await?;
    /// // The host's timer does not roll back an entry that is younger.
    /// mount.request(Operation::Rollback, "", Map::new()).await?;
    /// assert_eq!(mount.storage().keys().len(), 1);
    /// // This rolls it back at any age.
    /// mount.rollback().await?;
    /// assert!(mount.storage().keys().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn on_rollback<F>(
        mut self,
        min_age: Duration,
        undo: impl Fn(Context<S>, String, Value) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.rollback = Some(Rollback {
            min_age,
            handler: Box::new(move |cx, kind, data| Box::pin(undo(cx, kind, data))),
        });
        self
    }

    /// Sets the handler that rotates a credential that was registered with
    /// [`SystemView::register_rotation_job`](crate::logical::SystemView). Not called on a node that cannot write.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine};
    /// # use vault_plugin::{logical::{Error, Map, Operation, ReplicationState}, testing::TestMount};
    /// async fn rotate(cx: Context<()>) -> Result<(), Error> {
    ///     Ok(cx.storage().write("key", &"new").await?)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).on_rotate(rotate)).await?;
    /// mount.request(Operation::Rotate, "config/rotate", Map::new()).await?;
    /// assert_eq!(mount.storage().keys(), ["key"]);
    /// # mount.system().set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
    /// # assert!(mount.request(Operation::Rotate, "config/rotate", Map::new()).await.is_err());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn on_rotate<F>(mut self, rotate: impl Fn(Context<S>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.rotate = Some(Box::new(move |cx| Box::pin(rotate(cx))));
        self
    }

    /// Sets work that runs on the host's timer, about once a minute, before the rollback of write-ahead log entries.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine};
    /// # use vault_plugin::{logical::{Error, Map, Operation}, testing::TestMount};
    /// async fn tidy(cx: Context<()>) -> Result<(), Error> {
    ///     Ok(cx.storage().write("tidied", &true).await?)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).periodic(tidy)).await?;
    /// mount.request(Operation::Rollback, "", Map::new()).await?;
    /// assert_eq!(mount.storage().keys(), ["tidied"]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn periodic<F>(mut self, work: impl Fn(Context<S>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.periodic = Some(Box::new(move |cx| Box::pin(work(cx))));
        self
    }

    /// Sets work that runs when the mount exists and its storage is writable.
    ///
    /// ```
    /// # use vault_plugin::{framework::{Context, Engine}, logical::Error, testing::TestMount};
    /// async fn prepare(cx: Context<()>) -> Result<(), Error> {
    ///     Ok(cx.storage().write("version", &1).await?)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mount = TestMount::new(Engine::new(|| ()).on_initialize(prepare)).await?;
    /// assert_eq!(mount.storage().keys(), ["version"]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn on_initialize<F>(mut self, work: impl Fn(Context<S>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.initialize = Some(Box::new(move |cx| Box::pin(work(cx))));
        self
    }

    /// Sets work that runs before the mount is removed from this process.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use vault_plugin::logical::{Level, Logger};
    /// # use vault_plugin::framework::{Context, Engine};
    /// # use vault_plugin::logical::{BackendConfig, Error, Product};
    /// # use vault_plugin::testing::{MemoryStorage, RecordedEvents, StaticSystemView};
    /// async fn end(cx: Context<()>) -> Result<(), Error> {
    ///     Ok(cx.storage().delete("session").await?)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let storage = Arc::new(MemoryStorage::default());
    /// # let config = BackendConfig {
    /// #     storage: storage.clone(),
    /// #     system: Arc::new(StaticSystemView::default()),
    /// #     events: Arc::new(RecordedEvents::default()),
    /// #     product: Product::Vault,
    /// #     logger: Logger::new("test", Level::Error),
    /// #     options: Default::default(),
    /// #     backend_uuid: "test".to_owned(),
    /// #     in_flight: Default::default(),
    /// # };
    /// let begin = |cx: Context<()>| async move { Ok(cx.storage().write("session", &"s1").await?) };
    /// let mount = Engine::new(|| ()).on_initialize(begin).on_cleanup(end).build()?.mount(config);
    /// mount.initialize().await?;
    /// assert_eq!(storage.keys(), ["session"]);
    /// mount.cleanup().await;
    /// assert!(storage.keys().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn on_cleanup<F>(mut self, work: impl Fn(Context<S>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.cleanup = Some(Box::new(move |cx| Box::pin(work(cx))));
        self
    }

    /// Sets the handler that drops cached values of a storage key that another node has changed.
    ///
    /// ```
    /// # use std::sync::Mutex;
    /// # use serde_json::json;
    /// # use vault_plugin::framework::{Context, Data, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::Operation, testing::TestMount};
    /// #[derive(Default)]
    /// struct Cache(Mutex<Option<String>>);
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::new(|| Cache(Mutex::new(Some("old".to_owned())))).on_invalidate(|cache, key| {
    ///     if key == "config" {
    ///         *cache.0.lock().unwrap() = None;
    ///     }
    /// });
    /// # let read = |cx: Context<Cache>, _: NoFields| async move {
    /// #     Ok(Data(json!({"cached": *cx.state().0.lock().unwrap()})))
    /// # };
    /// # let mount = TestMount::new(engine.path(Path::new("cached").on(Operation::Read, "Read the cache.", read))).await?;
    /// assert_eq!(mount.read("cached").await?.unwrap().data.unwrap()["cached"], "old");
    /// mount.invalidate("config").await;
    /// assert!(mount.read("cached").await?.unwrap().data.unwrap()["cached"].is_null());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn on_invalidate(mut self, invalidate: impl Fn(&S, &str) + Send + Sync + 'static) -> Self {
        self.invalidate = Some(Box::new(invalidate));
        self
    }

    /// Validates the declaration.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, BuildError, Engine, NoFields, Path};
    /// # use vault_plugin::logical::Operation;
    /// let role = Path::new("role").on(Operation::Create, "Create it.", |_: Context<()>, _: NoFields| async { Ok(()) });
    /// let result = Engine::new(|| ()).path(role).build();
    /// assert!(matches!(result, Err(BuildError::NoExistenceCheck { pattern }) if pattern == "role"));
    /// ```
    ///
    /// # Errors
    /// Fails if a pattern is invalid, if a path supports create without an existence check, or if a secrets engine renews
    /// logins.
    pub fn build(self) -> Result<BuiltEngine<S>, BuildError> {
        let routes = self.paths.into_iter().map(Path::compile).collect::<Result<Vec<_>, _>>()?;
        if self.kind == BackendType::Secrets && self.login_renew.is_some() {
            return Err(BuildError::LoginRenewOnSecretsEngine);
        }
        let inner = EngineInner {
            kind: self.kind,
            state: self.state,
            description: self.description,
            routes,
            secrets: self.secrets,
            special: self.special,
            login_renew: self.login_renew,
            rollback: self.rollback,
            rotate: self.rotate,
            periodic: self.periodic,
            initialize: self.initialize,
            cleanup: self.cleanup,
            invalidate: self.invalidate,
        };
        Ok(BuiltEngine { version: self.version, inner: Arc::new(inner) })
    }
}

/// A validated engine, which its mounts share.
///
/// ```
/// # use vault_plugin::framework::{BuiltEngine, BuildError, Engine};
/// let built: BuiltEngine<()> = Engine::new(|| ()).version("1.2.0").build()?;
/// assert_eq!(built.version(), "v1.2.0");
/// # Ok::<(), BuildError>(())
/// ```
pub struct BuiltEngine<S> {
    version: String,
    inner: Arc<EngineInner<S>>,
}

impl<S> fmt::Debug for BuiltEngine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuiltEngine")
            .field("version", &self.version)
            .field("secrets", &self.inner.secrets)
            .field("special", &self.inner.special)
            .finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> BuiltEngine<S> {
    /// Returns the version that the plugin reports.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the backend of a mount.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use vault_plugin::logical::{Level, Logger};
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::testing::{MemoryStorage, RecordedEvents, StaticSystemView};
    /// use vault_plugin::logical::{BackendConfig, Map, Operation, Product, Request};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let ping = |_: Context<()>, _: NoFields| async { Ok(()) };
    /// # let built = Engine::new(|| ()).path(Path::new("ping").on(Operation::Read, "Ping.", ping)).build()?;
    /// let backend = built.mount(BackendConfig {
    ///     storage: Arc::new(MemoryStorage::default()),
    ///     system: Arc::new(StaticSystemView::default()),
    ///     events: Arc::new(RecordedEvents::default()),
    ///     product: Product::Vault,
    ///     logger: Logger::new("test", Level::Error),
    ///     options: Default::default(),
    ///     backend_uuid: "test".to_owned(),
    ///     in_flight: Default::default(),
    /// });
    /// assert!(backend.handle_request(Request::new(Operation::Read, "ping", Map::new())).await?.is_none());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn mount(&self, config: BackendConfig) -> Arc<dyn Backend> {
        Arc::new(MountedBackend::new(Arc::clone(&self.inner), config))
    }

    pub(crate) fn factory(self) -> Factory {
        Arc::new(move |config| self.mount(config))
    }
}
