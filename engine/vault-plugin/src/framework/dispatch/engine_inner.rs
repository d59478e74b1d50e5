//! A validated engine, which its mounts share.

use std::time::Duration;

use super::route::Route;
use crate::framework::auth::TokenLifetime;
use crate::framework::handler::{HookFn, InternalDataFn, InvalidateFn, RollbackFn};
use crate::framework::lease::SecretType;
use crate::logical::{BackendType, SpecialPaths};

/// The declaration of an engine with compiled paths.
pub(crate) struct EngineInner<S> {
    pub(crate) kind: BackendType,
    pub(crate) state: Box<dyn Fn() -> S + Send + Sync>,
    pub(crate) description: String,
    pub(crate) routes: Vec<Route<S>>,
    pub(crate) secrets: Vec<SecretType<S>>,
    pub(crate) special: SpecialPaths,
    pub(crate) login_renew: Option<InternalDataFn<S, TokenLifetime>>,
    pub(crate) rollback: Option<Rollback<S>>,
    pub(crate) rotate: Option<HookFn<S>>,
    pub(crate) periodic: Option<HookFn<S>>,
    pub(crate) initialize: Option<HookFn<S>>,
    pub(crate) cleanup: Option<HookFn<S>>,
    pub(crate) invalidate: Option<InvalidateFn<S>>,
}

/// The rollback of write-ahead log entries.
pub(crate) struct Rollback<S> {
    /// Younger entries are not rolled back.
    pub(crate) min_age: Duration,
    pub(crate) handler: RollbackFn<S>,
}
