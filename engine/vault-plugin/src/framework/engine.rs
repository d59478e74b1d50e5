//! The declaration of an engine, read top to bottom.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::context::Context;
use super::instance::Instance;
use super::path::{Path, Route};
use super::pattern::PatternError;
use super::secret::SecretType;
use crate::logical::{Backend, BackendConfig, BackendType, Error, Factory, Operation, SpecialPaths};

pub(crate) type Work = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A secrets engine as its author declares it. `S` is what one mount keeps in memory: caches, clients.
pub struct Engine<S> {
    state: Box<dyn Fn() -> S + Send + Sync>,
    description: String,
    version: String,
    paths: Vec<Path<S>>,
    secrets: Vec<SecretType<S>>,
    special: SpecialPaths,
    rollback: Option<Rollback<S>>,
    rotate: Option<ContextWork<S>>,
    periodic: Option<ContextWork<S>>,
    initialize: Option<ContextWork<S>>,
    cleanup: Option<ContextWork<S>>,
    invalidate: Option<Invalidate<S>>,
}

pub(crate) struct Rollback<S> {
    pub(crate) min_age: Duration,
    pub(crate) undo: Undo<S>,
}

type Undo<S> = Box<dyn Fn(Context<S>, String, Value) -> Work + Send + Sync>;
type ContextWork<S> = Box<dyn Fn(Context<S>) -> Work + Send + Sync>;
type Invalidate<S> = Box<dyn Fn(&S, &str) + Send + Sync>;

impl<S: Send + Sync + 'static> Engine<S> {
    /// An engine without paths. `state` is called once for every mount.
    pub fn new(state: impl Fn() -> S + Send + Sync + 'static) -> Engine<S> {
        Engine {
            state: Box::new(state),
            description: String::new(),
            version: String::new(),
            paths: Vec::new(),
            secrets: Vec::new(),
            special: SpecialPaths::default(),
            rollback: None,
            rotate: None,
            periodic: None,
            initialize: None,
            cleanup: None,
            invalidate: None,
        }
    }

    /// What `vault path-help MOUNT` says first.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// The semantic version that the plugin reports of itself, with or without the leading `v` that hosts want.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        let version = version.into();
        self.version = if version.starts_with('v') { version } else { format!("v{version}") };
        self
    }

    /// Adds a path. The first path whose pattern matches a request handles it.
    #[must_use]
    pub fn path(mut self, path: Path<S>) -> Self {
        self.paths.push(path);
        self
    }

    /// Adds a kind of leased secret.
    #[must_use]
    pub fn secret(mut self, secret: SecretType<S>) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Has a path (or, ending in `*`, every path that begins so) need the `sudo` capability.
    #[must_use]
    pub fn root_path(mut self, path: impl Into<String>) -> Self {
        self.special.root.push(path.into());
        self
    }

    /// Opens a path to callers without a token. It may end in `*`, and `+` stands for one segment.
    #[must_use]
    pub fn unauthenticated_path(mut self, path: impl Into<String>) -> Self {
        self.special.unauthenticated.push(path.into());
        self
    }

    /// Puts a path under the host's own request limiter (Vault).
    #[must_use]
    pub fn limited_path(mut self, path: impl Into<String>) -> Self {
        self.special.limited.push(path.into());
        self
    }

    /// Keeps what is stored below a prefix in this cluster: it is not replicated.
    #[must_use]
    pub fn local_storage(mut self, prefix: impl Into<String>) -> Self {
        self.special.local_storage.push(prefix.into());
        self
    }

    /// Has what is stored at `key` (or below it, when it ends in `/`) wrapped once more by a seal that can.
    #[must_use]
    pub fn seal_wrap(mut self, key: impl Into<String>) -> Self {
        self.special.seal_wrap_storage.push(key.into());
        self
    }

    /// Sets every special path at once, over those declared before.
    #[must_use]
    pub fn special_paths(mut self, special: SpecialPaths) -> Self {
        self.special = special;
        self
    }

    /// Undoes what a write-ahead entry announced and nobody finished. `undo` gets the kind and the data of entries
    /// older than `min_age`; an entry is removed when it succeeds and tried again when it fails.
    #[must_use]
    pub fn on_rollback<F>(
        mut self,
        min_age: Duration,
        undo: impl Fn(Context<S>, String, Value) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.rollback =
            Some(Rollback { min_age, undo: Box::new(move |cx, kind, data| Box::pin(undo(cx, kind, data))) });
        self
    }

    /// Rotates the credential of which [`SystemView::register_rotation_job`](crate::logical::SystemView) told the host,
    /// when the host says so. Not asked on a node that cannot write.
    #[must_use]
    pub fn on_rotate<F>(mut self, rotate: impl Fn(Context<S>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.rotate = Some(Box::new(move |cx| Box::pin(rotate(cx))));
        self
    }

    /// Work to be done on the host's timer, about once a minute, before write-ahead entries.
    #[must_use]
    pub fn periodic<F>(mut self, work: impl Fn(Context<S>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.periodic = Some(Box::new(move |cx| Box::pin(work(cx))));
        self
    }

    /// Work to be done when the mount is in place and its storage can be written.
    #[must_use]
    pub fn on_initialize<F>(mut self, work: impl Fn(Context<S>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.initialize = Some(Box::new(move |cx| Box::pin(work(cx))));
        self
    }

    /// Work to be done when the mount leaves this process.
    #[must_use]
    pub fn on_cleanup<F>(mut self, work: impl Fn(Context<S>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.cleanup = Some(Box::new(move |cx| Box::pin(work(cx))));
        self
    }

    /// Forgets what was cached of a storage key that another node has changed.
    #[must_use]
    pub fn on_invalidate(mut self, forget: impl Fn(&S, &str) + Send + Sync + 'static) -> Self {
        self.invalidate = Some(Box::new(forget));
        self
    }

    /// Checks the declaration and makes it ready for mounts.
    ///
    /// # Errors
    /// Fails when a pattern is not a valid expression, or a path supports create without an existence check.
    pub fn declare(self) -> Result<Declaration<S>, DeclarationError> {
        let routes = self.paths.into_iter().map(Route::compile).collect::<Result<Vec<_>, _>>()?;
        let compiled = Compiled {
            state: self.state,
            description: self.description,
            routes,
            secrets: self.secrets,
            special: self.special,
            rollback: self.rollback,
            rotate: self.rotate,
            periodic: self.periodic,
            initialize: self.initialize,
            cleanup: self.cleanup,
            invalidate: self.invalidate,
        };
        Ok(Declaration { version: self.version, compiled: Arc::new(compiled) })
    }
}

/// An engine that has been checked. Its mounts share it.
pub struct Declaration<S> {
    version: String,
    compiled: Arc<Compiled<S>>,
}

impl<S: Send + Sync + 'static> Declaration<S> {
    /// The version that the plugin reports.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The engine of one mount.
    #[must_use]
    pub fn mount(&self, config: BackendConfig) -> Arc<dyn Backend> {
        Arc::new(Instance::new(Arc::clone(&self.compiled), config))
    }

    pub(crate) fn factory(self) -> Factory {
        Arc::new(move |config| self.mount(config))
    }
}

pub(crate) struct Compiled<S> {
    pub(crate) state: Box<dyn Fn() -> S + Send + Sync>,
    pub(crate) description: String,
    pub(crate) routes: Vec<Route<S>>,
    pub(crate) secrets: Vec<SecretType<S>>,
    pub(crate) special: SpecialPaths,
    pub(crate) rollback: Option<Rollback<S>>,
    pub(crate) rotate: Option<ContextWork<S>>,
    pub(crate) periodic: Option<ContextWork<S>>,
    pub(crate) initialize: Option<ContextWork<S>>,
    pub(crate) cleanup: Option<ContextWork<S>>,
    pub(crate) invalidate: Option<Invalidate<S>>,
}

impl<S> Compiled<S> {
    pub(crate) const KIND: BackendType = BackendType::Secrets;
}

/// What is wrong with a declaration. It is a fault of the engine's author.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// The pattern of a path is not a valid expression.
    #[error("path {pattern:?} cannot be matched")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: PatternError,
    },
    /// A path supports create without an existence check, so that the host never asks for it.
    #[error("path {pattern:?} supports {} but has no existence check", Operation::Create)]
    NoExistenceCheck {
        /// The pattern.
        pattern: String,
    },
}
