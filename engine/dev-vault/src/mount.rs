//! Mounts: what is answered below which path, by which engine, with which settings.

pub(crate) mod engine;
pub(crate) mod process;
pub(crate) mod settings;
pub(crate) mod table;
mod view;

use std::sync::{PoisonError, RwLock};

use vault_plugin::logical::{Operation, Request, Response};

use crate::core::Core;
use crate::reply::Failure;
use engine::Engine;
pub(crate) use settings::{Config, Settings};
use vault_plugin::framework::ttl::Limits;

/// The version that a mount of the server itself runs, as Vault 1.21.4 says it.
pub(crate) const BUILTIN_VERSION: &str = "v1.21.4+builtin.vault";

/// Hexadecimal digits of a token as plugins see it: as many as those of Vault's hash.
const DIGITS_OF_TOKEN: usize = 40;

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

    /// The request with what Vault's router adds to every one of them (`vault/router.go`).
    pub(crate) fn routed(&self, core: &Core, mut request: Request) -> Request {
        let settings = self.settings();
        request.client_token = core.identity().keyed_hash(&settings.uuid, &request.client_token);
        request.client_token.truncate(DIGITS_OF_TOKEN);
        request.mount_point = settings.path;
        request.mount_type = settings.kind;
        request
    }

    /// Hands a request to the mount's plugin.
    pub(crate) async fn ask_engine(
        &self,
        core: &Core,
        request: Request,
    ) -> Result<Option<Response>, Failure> {
        let settings = self.settings();
        if settings.tainted && !matches!(request.operation, Operation::Revoke | Operation::Rollback) {
            let path = settings.path + &request.path;
            return Err(Failure::new(
                404,
                format!("no handler for route \"{path}\". route entry is tainted."),
            ));
        }
        match &self.engine {
            Engine::Plugin(plugin) => plugin.handle_request(core, self, self.routed(core, request)).await,
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
