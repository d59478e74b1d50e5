//! Issues, renews and revokes leases, and revokes expired leases in the background (`vault/expiration.go`).

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use rand::RngExt;
use tokio::sync::Semaphore;
use vault_plugin::framework::ttl::{self, TtlRequest};
use vault_plugin::logical::{Operation, Response, Secret};

use crate::leases::{Lease, LeaseKind, Leases};
use crate::log::{LogSink, log_error};
use crate::mounts::Mounts;
use crate::random::random_id;
use crate::reply::{ErrorReply, Reply, ReplyLease};
use crate::tokens::Tokens;

/// Maximum number of concurrent revocations, as in Vault.
const MAX_WORKERS: usize = 200;

/// Issues, renews and revokes leases.
pub(crate) struct ExpirationManager {
    leases: Arc<Leases>,
    mounts: Arc<Mounts>,
    tokens: Arc<Tokens>,
    log: LogSink,
    revoke_retry_base: Duration,
}

/// Revokes the leases that are due until the manager is dropped.
pub(crate) async fn run(weak_manager: Weak<ExpirationManager>) {
    let workers = Arc::new(Semaphore::new(MAX_WORKERS));
    loop {
        let Some(manager) = weak_manager.upgrade() else { return };
        let due = manager.leases.queue().pop_due(SystemTime::now());
        match due {
            Ok(id) => {
                // The semaphore is never closed.
                let Ok(worker) = workers.clone().acquire_owned().await else { return };
                tokio::spawn(async move {
                    let _worker = worker;
                    manager.expire(&id).await;
                });
            }
            Err(remaining) => {
                // The server may stop during the wait.
                let queue = manager.leases.queue().clone();
                drop(manager);
                let _ = tokio::time::timeout(remaining, queue.changed()).await;
            }
        }
    }
}

impl ExpirationManager {
    pub(crate) fn new(
        leases: Arc<Leases>,
        mounts: Arc<Mounts>,
        tokens: Arc<Tokens>,
        log: LogSink,
        revoke_retry_base: Duration,
    ) -> ExpirationManager {
        ExpirationManager { leases, mounts, tokens, log, revoke_retry_base }
    }

    /// Issues a lease for the secret of a response. On an error the secret is revoked immediately, because nothing would revoke it
    /// later.
    pub(crate) async fn register(
        &self,
        path: &str,
        token_hash: Option<&str>,
        response: Response,
        secret: Secret,
    ) -> Result<Reply, ErrorReply> {
        let limits = self.mounts.limits_at(path);
        let request =
            TtlRequest { ttl: secret.lease.ttl, max_ttl: secret.lease.max_ttl, ..TtlRequest::default() };
        let granted = ttl::calculate_ttl(limits, &request, SystemTime::now())
            .map_err(|text| ErrorReply::multierror(500, &[text]))?;
        let issued = SystemTime::now();
        let lease = Lease {
            id: format!("{path}/{}", random_id()),
            path: path.to_owned(),
            token: token_hash.map(str::to_owned),
            kind: LeaseKind::Secret {
                data: response.data.clone(),
                internal_data: secret.internal_data,
                ttl: granted.ttl,
                max_ttl: secret.lease.max_ttl,
                renewable: secret.lease.renewable,
            },
            issued,
            expires: Some(issued + granted.ttl),
            renewed: None,
            attempts: 0,
            error: None,
        };
        let leased = reply_lease(&lease, granted.ttl);
        if let Err(error) = self.leases.put(lease.clone()) {
            // If this fails too, both errors can only be reported.
            if let Err(failure) = self.revoke_secret(&lease).await {
                let text = failure.text.as_deref();
                log_error(&self.log, "failed to revoke a secret without a lease", text);
            }
            return Err(error.into());
        }
        let mut reply = Reply::from_plugin(response);
        reply.lease = Some(leased);
        reply.warnings.extend(granted.warnings);
        Ok(reply)
    }

    /// Renews a secret within the limits of its engine and its mount.
    pub(crate) async fn renew(&self, id: &str, increment: Duration) -> Result<Option<Reply>, ErrorReply> {
        let _guard = self.leases.lock(id).await;
        let Some(mut lease) = self.leases.get(id)? else {
            return Err(ErrorReply::bad_request("lease not found"));
        };
        let now = SystemTime::now();
        if lease.expires.is_some_and(|expires| expires < now) {
            return Err(ErrorReply::bad_request("lease expired"));
        }
        if matches!(lease.kind, LeaseKind::Token { .. }) {
            return Err(ErrorReply::bad_request("tokens cannot be renewed through this endpoint"));
        }
        if !lease.is_renewable() {
            return Err(ErrorReply::bad_request("lease is not renewable"));
        }
        let limits = self.mounts.limits_at(&lease.path);
        let response = self.call_backend_for_lease(&lease, Operation::Renew, increment).await;
        let mut response = match response {
            Ok(None) => return Ok(None),
            Ok(Some(response)) => response,
            Err(text) => return Err(ErrorReply::bad_request(format!("failed to renew entry: {text}"))),
        };
        let Some(secret) = response.secret.take() else { return Ok(None) };
        let request = TtlRequest {
            increment,
            ttl: secret.lease.ttl,
            max_ttl: secret.lease.max_ttl,
            issued: Some(lease.issued),
            ..TtlRequest::default()
        };
        let granted = ttl::calculate_ttl(limits, &request, now).map_err(ErrorReply::bad_request)?;
        lease.kind = LeaseKind::Secret {
            data: response.data.clone(),
            internal_data: secret.internal_data,
            ttl: granted.ttl,
            max_ttl: secret.lease.max_ttl,
            renewable: secret.lease.renewable,
        };
        lease.renewed = Some(now);
        lease.expires = Some(now + granted.ttl);
        let leased = reply_lease(&lease, granted.ttl);
        self.leases.put(lease)?;
        let mut reply = Reply::from_plugin(response);
        reply.lease = Some(leased);
        reply.warnings.extend(granted.warnings);
        Ok(Some(reply))
    }

    /// Revokes a lease now.
    pub(crate) async fn revoke(&self, id: &str) -> Result<(), ErrorReply> {
        let _guard = self.leases.lock(id).await;
        let Some(lease) = self.leases.get(id)? else { return Ok(()) };
        if let LeaseKind::Token { hash, .. } = &lease.kind {
            return Ok(self.tokens.revoke_tree(hash)?);
        }
        self.revoke_secret(&lease).await?;
        Ok(self.leases.delete_with(id, lease.token.as_deref(), Vec::new())?)
    }

    /// Deletes a lease even if its engine does not revoke the secret.
    pub(crate) async fn force_revoke(&self, id: &str) -> Result<(), ErrorReply> {
        if let Err(failure) = self.revoke(id).await {
            let text = failure.text.as_deref();
            log_error(&self.log, "revocation failed; the lease was deleted by force", text);
            let token = self.leases.get(id)?.and_then(|lease| lease.token);
            self.leases.delete_with(id, token.as_deref(), Vec::new())?;
        }
        Ok(())
    }

    /// Revokes all leases below `prefix` now. Stops at the first error.
    pub(crate) async fn revoke_prefix(&self, prefix: &str) -> Result<(), ErrorReply> {
        let ids = self.leases.ids(prefix);
        for (index, id) in ids.iter().enumerate() {
            self.revoke(id).await.map_err(|failure| {
                let text = failure.text.unwrap_or_default();
                let position = format!("({} / {})", index + 1, ids.len());
                ErrorReply::bad_request(format!("failed to revoke \"{id}\" {position}: {text}"))
            })?;
        }
        Ok(())
    }

    async fn expire(&self, id: &str) {
        let Err(failure) = self.revoke(id).await else { return };
        let text = failure.text.unwrap_or_default();
        log_error(&self.log, "failed to revoke lease", Some(&format!("{id}: {text}")));
        let stored = match self.leases.get(id) {
            Ok(Some(lease)) => self.leases.put(self.reschedule(lease, text)),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            let text = error.to_string();
            log_error(&self.log, "failed to store a lease whose revocation failed", Some(&text));
        }
    }

    /// Returns the lease with the time of its next revocation. The delay doubles with every attempt, and is randomized by up to half so
    /// that many leases do not retry together.
    fn reschedule(&self, mut lease: Lease, error: String) -> Lease {
        let exponential = self.revoke_retry_base * 2u32.saturating_pow(lease.attempts);
        lease.expires = Some(SystemTime::now() + exponential.mul_f64(rand::rng().random_range(0.5..1.5)));
        lease.attempts += 1;
        lease.error = Some(error);
        if lease.is_irrevocable() {
            log_error(&self.log, "lease has consumed all retry attempts", Some(&lease.id));
        }
        lease
    }

    async fn revoke_secret(&self, lease: &Lease) -> Result<(), ErrorReply> {
        match self.call_backend_for_lease(lease, Operation::Revoke, Duration::ZERO).await {
            Ok(_) => Ok(()),
            Err(text) => Err(ErrorReply::bad_request(format!("failed to revoke entry: {text}"))),
        }
    }

    /// Sends a request for a lease to its engine. The message of an error is the one that Go prints in Vault.
    async fn call_backend_for_lease(
        &self,
        lease: &Lease,
        operation: Operation,
        increment: Duration,
    ) -> Result<Option<Response>, String> {
        let without_response = |error: &str| format!("resp: (*logical.Response)(nil) err: {error}");
        let Some((mount, path)) = self.mounts.route(&lease.path) else {
            return Err(without_response("unsupported path"));
        };
        let Some(request) = lease.request(operation, path, increment) else {
            return Err(without_response("lease does not correspond to a secret"));
        };
        match mount.call_backend(request).await {
            Ok(Some(response)) if response.error_text().is_some() => Err(format!(
                "resp: &logical.Response{{error: {:?}}} err: %!w(<nil>)",
                response.error_text().unwrap_or_default()
            )),
            Ok(response) => Ok(response),
            Err(failure) => Err(without_response(failure.inner_message())),
        }
    }
}

fn reply_lease(lease: &Lease, ttl: Duration) -> ReplyLease {
    ReplyLease { id: lease.id.clone(), duration: ttl.as_secs(), renewable: lease.is_renewable() }
}
