//! A mount that asks an engine as a host would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use go_plugin::log::{Level, Logger};
use serde_json::{Value, json};

use super::{MemoryStorage, RecordedEvents, StaticSystemView};
use crate::framework::{DeclarationError, Engine};
use crate::logical::{
    Backend, BackendConfig, Error, Map, Operation, Product, Request, Response, SpecialPaths,
};

/// One engine, mounted on storage in memory.
pub struct Mount {
    backend: Arc<dyn Backend>,
    storage: Arc<MemoryStorage>,
    system: Arc<StaticSystemView>,
    events: Arc<RecordedEvents>,
}

impl Mount {
    /// Mounts an engine as on Vault: without transactions, with events.
    ///
    /// # Errors
    /// Fails when the declaration is wrong or the engine refuses to be initialised.
    pub async fn new<S: Send + Sync + 'static>(engine: Engine<S>) -> Result<Mount, MountError> {
        Mount::on(Product::Vault, engine).await
    }

    /// Mounts an engine as on this host: OpenBao has transactions and no events, Vault has events and no transactions.
    ///
    /// # Errors
    /// As [`Mount::new`].
    pub async fn on<S: Send + Sync + 'static>(
        product: Product,
        engine: Engine<S>,
    ) -> Result<Mount, MountError> {
        let storage = Arc::new(MemoryStorage::default());
        let system = Arc::new(StaticSystemView::default());
        let events = Arc::new(RecordedEvents::default());
        match product {
            Product::Vault => storage.withhold_transactions(),
            Product::OpenBao => events.withhold(),
        }
        let config = BackendConfig {
            storage: storage.clone(),
            system: system.clone(),
            events: events.clone(),
            product,
            logger: Logger::new("test", Level::Error),
            options: BTreeMap::new(),
            backend_uuid: "test".to_owned(),
        };
        let backend = engine.declare()?.mount(config);
        backend.initialize().await?;
        Ok(Mount { backend, storage, system, events })
    }

    /// The storage under the mount.
    #[must_use]
    pub fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    /// The settings around the mount.
    #[must_use]
    pub fn system(&self) -> &StaticSystemView {
        &self.system
    }

    /// What the engine told the world.
    #[must_use]
    pub fn events(&self) -> &RecordedEvents {
        &self.events
    }

    /// The special paths that the engine declares.
    #[must_use]
    pub fn special_paths(&self) -> SpecialPaths {
        self.backend.special_paths()
    }

    /// Writes: create or update, as the existence check says.
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn write(&self, path: &str, data: Value) -> Result<Option<Response>, Error> {
        let data = object(data);
        let asked = Request::new(Operation::Create, path, data.clone());
        let operation = match self.backend.handle_existence_check(asked).await? {
            Some(false) => Operation::Create,
            Some(true) | None => Operation::Update,
        };
        self.request(operation, path, data).await
    }

    /// Changes the given fields.
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn patch(&self, path: &str, data: Value) -> Result<Option<Response>, Error> {
        self.request(Operation::Patch, path, object(data)).await
    }

    /// Reads.
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn read(&self, path: &str) -> Result<Option<Response>, Error> {
        self.request(Operation::Read, path, Map::new()).await
    }

    /// Removes.
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn delete(&self, path: &str) -> Result<Option<Response>, Error> {
        self.request(Operation::Delete, path, Map::new()).await
    }

    /// Lists.
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn list(&self, path: &str) -> Result<Option<Response>, Error> {
        self.request(Operation::List, path, Map::new()).await
    }

    /// Renews what an earlier response leased.
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn renew(&self, leased: &Response) -> Result<Option<Response>, Error> {
        self.backend.handle_request(lease_request(Operation::Renew, leased)).await
    }

    /// Revokes what an earlier response leased.
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn revoke(&self, leased: &Response) -> Result<Option<Response>, Error> {
        self.backend.handle_request(lease_request(Operation::Revoke, leased)).await
    }

    /// Rolls back every write-ahead entry, whatever its age.
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn rollback(&self) -> Result<Option<Response>, Error> {
        self.request(Operation::Rollback, "", object(json!({"immediate": true}))).await
    }

    /// Tells the engine that another node has changed what is stored at `key`.
    pub async fn invalidate(&self, key: &str) {
        self.backend.invalidate_key(key).await;
    }

    /// Any request.
    ///
    /// # Errors
    /// Fails as the engine does.
    pub async fn request(
        &self,
        operation: Operation,
        path: &str,
        data: Map,
    ) -> Result<Option<Response>, Error> {
        self.backend.handle_request(Request::new(operation, path, data)).await
    }
}

/// A host hands back what it stored: the data of the response, the secret with its time of issue.
fn lease_request(operation: Operation, leased: &Response) -> Request {
    let mut request = Request::new(operation, "", leased.data.clone().unwrap_or_default());
    request.secret = leased.secret.clone().map(|mut secret| {
        secret.lease.issue_time.get_or_insert_with(SystemTime::now);
        secret
    });
    request
}

fn object(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Why an engine could not be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The declaration is wrong.
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
    /// The engine refused to be initialised.
    #[error(transparent)]
    Initialize(#[from] Error),
}
