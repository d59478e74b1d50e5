//! Mounts: what is answered below which path, by which engine, with which settings.

pub(crate) mod backend;
pub(crate) mod settings;
pub(crate) mod table;
mod view;

use std::sync::{PoisonError, RwLock};

use vault_plugin::logical::{Operation, Request, Response};

use crate::core::Core;
use crate::reply::ErrorReply;
use backend::MountBackend;
pub(crate) use settings::{MountSettings, TuneConfig};
use vault_plugin::framework::ttl::TtlLimits;

/// The version that a mount of the server itself runs, as Vault 1.21.4 says it.
pub(crate) const BUILTIN_VERSION: &str = "v1.21.4+builtin.vault";

/// Hexadecimal digits of a token as plugins see it: as many as those of Vault's hash.
const TOKEN_HASH_LENGTH: usize = 40;

/// One mount.
pub(crate) struct Mount {
    settings: RwLock<MountSettings>,
    backend: MountBackend,
}

impl Mount {
    /// A copy of its settings.
    pub(crate) fn settings(&self) -> MountSettings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn backend(&self) -> &MountBackend {
        &self.backend
    }

    /// How long its leases live.
    pub(crate) fn limits(&self, core: &Core) -> TtlLimits {
        self.settings().config.limits(core.config.limits)
    }

    /// The request with what Vault's router adds to every one of them (`vault/router.go`).
    pub(crate) fn add_routing_fields(&self, core: &Core, mut request: Request) -> Request {
        let settings = self.settings();
        request.client_token = core.identity.keyed_hash(&settings.uuid, &request.client_token);
        request.client_token.truncate(TOKEN_HASH_LENGTH);
        request.mount_point = settings.path;
        request.mount_type = settings.kind;
        request
    }

    /// Hands a request to the mount's plugin.
    pub(crate) async fn call_backend(
        &self,
        core: &Core,
        request: Request,
    ) -> Result<Option<Response>, ErrorReply> {
        let settings = self.settings();
        if settings.tainted && !matches!(request.operation, Operation::Revoke | Operation::Rollback) {
            let path = settings.path + &request.path;
            return Err(ErrorReply::new(
                404,
                format!("no handler for route \"{path}\". route entry is tainted."),
            ));
        }
        match &self.backend {
            MountBackend::Plugin(plugin) => {
                plugin.handle_request(core, self, self.add_routing_fields(core, request)).await
            }
            _ => Err(ErrorReply::unsupported_path()),
        }
    }

    /// Ends its engine, when the requests in flight are done.
    pub(crate) async fn stop(&self, core: &Core) {
        if let MountBackend::Plugin(plugin) = &self.backend {
            plugin.stop(core).await;
        }
    }

    pub(crate) fn update_settings(&self, change: impl FnOnce(&mut MountSettings)) {
        change(&mut self.settings.write().unwrap_or_else(PoisonError::into_inner));
    }
}
