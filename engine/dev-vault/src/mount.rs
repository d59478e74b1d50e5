//! Mounts: what is answered below which path, by which engine, with which settings.

pub(crate) mod engine;
pub(crate) mod process;
pub(crate) mod settings;
pub(crate) mod table;
mod view;

use std::sync::{PoisonError, RwLock};

use vault_plugin::logical::{Request, Response};

use crate::core::Core;
use crate::reply::Failure;
use engine::Engine;
pub(crate) use settings::{Config, Settings};
use vault_plugin::framework::ttl::Limits;

/// The version that a mount of the server itself runs, as Vault 1.21.4 says it.
pub(crate) const BUILTIN_VERSION: &str = "v1.21.4+builtin.vault";

/// One mount.
pub(crate) struct Mount {
    settings: RwLock<Settings>,
    engine: Engine,
}

impl Mount {
    /// A copy of its settings.
    pub(crate) fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How long its leases live.
    pub(crate) fn limits(&self, core: &Core) -> Limits {
        self.settings().config.limits(core.options().limits)
    }

    /// Hands a request to the mount's plugin.
    pub(crate) async fn ask_engine(
        &self,
        core: &Core,
        request: Request,
    ) -> Result<Option<Response>, Failure> {
        match &self.engine {
            Engine::Plugin(plugin) => plugin.handle_request(core, self, request).await,
            _ => Err(Failure::unsupported_path()),
        }
    }

    /// Ends its engine, when the requests in flight are done.
    pub(crate) async fn take_down(&self, core: &Core) {
        if let Engine::Plugin(plugin) = &self.engine {
            plugin.take_down(core).await;
        }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.write().unwrap_or_else(PoisonError::into_inner));
    }
}
