//! What a handler works with besides its fields.

use std::sync::Arc;

use go_plugin::log::Logger;
use serde::Serialize;

use super::response::IntoResponse;
use super::{raw, wal};
use crate::logical::{BackendConfig, Error, EventSender, Product, Request, Response, Storage, SystemView};

/// One request to one mount: its state, its storage, its host. Cheap to clone.
pub struct Context<S> {
    mount: Arc<Mounted<S>>,
    request: Arc<Request>,
}

pub(crate) struct Mounted<S> {
    pub(crate) state: S,
    pub(crate) config: BackendConfig,
}

impl<S> Clone for Context<S> {
    fn clone(&self) -> Self {
        Context { mount: Arc::clone(&self.mount), request: Arc::clone(&self.request) }
    }
}

impl<S> Context<S> {
    pub(crate) fn new(mount: Arc<Mounted<S>>, request: Arc<Request>) -> Context<S> {
        Context { mount, request }
    }

    /// What the mount keeps in memory.
    #[must_use]
    pub fn engine(&self) -> &S {
        &self.mount.state
    }

    /// The mount's storage.
    #[must_use]
    pub fn storage(&self) -> &dyn Storage {
        &*self.mount.config.storage
    }

    /// The host's settings.
    #[must_use]
    pub fn system(&self) -> &dyn SystemView {
        &*self.mount.config.system
    }

    /// Where events and observations go.
    #[must_use]
    pub fn events(&self) -> &dyn EventSender {
        &*self.mount.config.events
    }

    /// Which program the host is. To be shown to people; what a host can do is found out by asking.
    #[must_use]
    pub fn product(&self) -> Product {
        self.mount.config.product
    }

    /// The request as it came.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The mount's log.
    #[must_use]
    pub fn logger(&self) -> &Logger {
        &self.mount.config.logger
    }

    /// Refuses on a node that cannot write, so that the host forwards the request to one that can. To be asked before
    /// anything happens outside of the host: an upstream credential made on a standby could not be leased.
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
    /// # Errors
    /// Fails when the answer does, or is leased.
    pub fn with_status(&self, status: u16, answer: impl IntoResponse) -> Result<Response, Error> {
        raw::with_status(self.product(), &self.request.id, status, answer.into_response()?)
    }

    /// Announces something that must be undone if nobody comes back to finish it, and returns the entry's id.
    ///
    /// # Errors
    /// Fails when storage does; nothing may be begun then.
    pub async fn wal_put<T: Serialize + Sync>(&self, kind: &str, data: &T) -> Result<String, Error> {
        Ok(wal::put(self.storage(), kind, data).await?)
    }

    /// Writes an announcement under the id that it had, where it may have been taken back too early.
    ///
    /// # Errors
    /// Fails when storage does; the entry is there if it was there before.
    pub async fn wal_put_again<T: Serialize + Sync>(
        &self,
        id: &str,
        kind: &str,
        data: &T,
    ) -> Result<(), Error> {
        Ok(wal::put_at(self.storage(), id, kind, data).await?)
    }

    /// Takes back an announcement: it is finished, or undone.
    ///
    /// # Errors
    /// Fails when storage does; the entry is rolled back later then.
    pub async fn wal_delete(&self, id: &str) -> Result<(), Error> {
        Ok(wal::delete(self.storage(), id).await?)
    }
}
