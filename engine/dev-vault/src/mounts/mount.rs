//! A mount: its settings and its backend.

use vault_plugin::logical::{Map, Operation, Request, Response};

use super::backend::MountBackend;
use super::settings::{MountSettings, SharedSettings};
use crate::log::{LogSink, log_error};
use crate::reply::ErrorReply;

/// A mount.
pub(crate) struct Mount {
    settings: SharedSettings,
    backend: MountBackend,
}

impl Mount {
    pub(super) fn new(settings: SharedSettings, backend: MountBackend) -> Mount {
        Mount { settings, backend }
    }

    /// A copy of its settings.
    pub(crate) fn settings(&self) -> MountSettings {
        self.settings.get()
    }

    pub(super) fn set_settings(&self, settings: MountSettings) {
        self.settings.update(|current| *current = settings);
    }

    pub(crate) fn backend(&self) -> &MountBackend {
        &self.backend
    }

    /// Sends a request to the plugin of the mount.
    pub(crate) async fn call_backend(&self, request: Request) -> Result<Option<Response>, ErrorReply> {
        let settings = self.settings();
        if settings.tainted && !matches!(request.operation, Operation::Revoke | Operation::Rollback) {
            let path = settings.path + &request.path;
            return Err(ErrorReply::new(
                404,
                format!("no handler for route \"{path}\". route entry is tainted."),
            ));
        }
        match &self.backend {
            MountBackend::Plugin(plugin) => plugin.handle_request(request).await,
            _ => Err(ErrorReply::unsupported_path()),
        }
    }

    /// Requests a rollback of incomplete operations. A plugin without rollback is not an error. As in Vault an error response is ignored,
    /// because the plugin logs the failed entries itself.
    pub(crate) async fn roll_back(&self, log: &LogSink) {
        if !matches!(self.backend, MountBackend::Plugin(_)) {
            return;
        }
        let request = Request::new(Operation::Rollback, "", Map::new());
        if let Err(failure) = self.call_backend(request).await
            && failure.status != 405
            && let Some(text) = failure.text
        {
            log_error(log, "error rolling back", Some(&format!("{}: {text}", self.settings().path)));
        }
    }

    /// Stops its plugin after the requests in flight.
    pub(super) async fn stop(&self) {
        if let MountBackend::Plugin(plugin) = &self.backend {
            plugin.stop().await;
        }
    }
}
