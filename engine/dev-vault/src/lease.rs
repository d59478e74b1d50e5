//! Leases: what is kept of a secret so that it can be renewed and revoked (`vault/expiration.go`).

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use vault_plugin::logical::{LeaseOptions, Map, Operation, Request, Response, Secret};

use crate::StoreError;
use crate::core::Core;
use crate::random::random_id;
use crate::reply::{ErrorReply, Reply, ReplyLease};
use crate::store::StoreOp;
use crate::token::Token;
use vault_plugin::framework::ttl::{self, TtlRequest};

const BY_ID: &str = "sys/expire/id/";
const BY_TOKEN: &str = "sys/expire/token/";

/// How often a revocation is tried before it is given up as irrevocable.
pub(crate) const MAX_REVOKE_ATTEMPTS: u32 = 6;

/// A lease as it is kept. No `Debug`: it holds what the engine returned.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) id: String,
    /// The path that made it.
    pub(crate) path: String,
    /// The hash of the token under which it was made.
    pub(crate) token: Option<String>,
    pub(crate) kind: LeaseKind,
    pub(crate) issued: SystemTime,
    /// `None` never ends by itself.
    pub(crate) expires: Option<SystemTime>,
    pub(crate) renewed: Option<SystemTime>,
    /// Revocations that failed.
    pub(crate) attempts: u32,
    /// Why the last of them did; with all attempts used up, the lease is irrevocable.
    pub(crate) error: Option<String>,
}

/// What ends with the lease.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum LeaseKind {
    Token { hash: String, ttl: Duration },
    Secret { data: Option<Map>, internal_data: Map, ttl: Duration, max_ttl: Duration, renewable: bool },
}

impl Lease {
    pub(crate) fn is_irrevocable(&self) -> bool {
        self.attempts >= MAX_REVOKE_ATTEMPTS
    }

    pub(crate) fn is_renewable(&self) -> bool {
        matches!(self.kind, LeaseKind::Secret { renewable: true, .. })
    }

    /// The request that renews or revokes it, as its engine gets it.
    fn request(&self, operation: Operation, path: &str, increment: Duration) -> Option<Request> {
        let LeaseKind::Secret { data, internal_data, ttl, max_ttl, renewable } = &self.kind else {
            return None;
        };
        let mut request = Request::new(operation.clone(), path, data.clone().unwrap_or_default());
        request.secret = Some(Secret {
            lease: LeaseOptions {
                ttl: *ttl,
                max_ttl: *max_ttl,
                renewable: *renewable,
                increment,
                issue_time: Some(self.issued),
            },
            internal_data: internal_data.clone(),
            // Vault stores the id with the secret of a renewal only.
            lease_id: match operation {
                Operation::Revoke if self.renewed.is_some() => self.id.clone(),
                _ => String::new(),
            },
        });
        Some(request)
    }
}

impl Core {
    pub(crate) fn lease(&self, id: &str) -> Result<Option<Lease>, StoreError> {
        self.store.read(&format!("{BY_ID}{id}"))
    }

    /// The names below a prefix of lease ids.
    pub(crate) fn list_leases(&self, prefix: &str) -> Vec<String> {
        self.store.list(&format!("{BY_ID}{prefix}"))
    }

    /// The ids of all leases below a prefix.
    pub(crate) fn lease_ids(&self, prefix: &str) -> Vec<String> {
        let keys = self.store.keys(&format!("{BY_ID}{prefix}"));
        keys.into_iter().filter_map(|key| key.strip_prefix(BY_ID).map(str::to_owned)).collect()
    }

    pub(crate) fn leases_of_token(&self, hash: &str) -> Result<Vec<String>, StoreError> {
        let keys = self.store.keys(&format!("{BY_TOKEN}{hash}/"));
        keys.iter().filter_map(|key| self.store.read(key).transpose()).collect()
    }

    /// Puts the secret of an engine's answer under a lease. When that fails the secret is revoked at once, so that none
    /// lives without a record.
    pub(crate) async fn register_lease(
        &self,
        path: &str,
        token: Option<&Token>,
        response: Response,
        secret: Secret,
    ) -> Result<Reply, ErrorReply> {
        let limits = self.lease_limits(path);
        let wanted =
            TtlRequest { ttl: secret.lease.ttl, max_ttl: secret.lease.max_ttl, ..TtlRequest::default() };
        let granted = ttl::calculate_ttl(limits, &wanted, SystemTime::now())
            .map_err(|text| ErrorReply::multierror(500, &[text]))?;
        let issued = SystemTime::now();
        let lease = Lease {
            id: format!("{path}/{}", random_id()),
            path: path.to_owned(),
            token: token.map(|token| token.hash.clone()),
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
        if let Err(error) = self.store_lease_with(lease.clone(), Vec::new()) {
            // Nothing more can be done than to say that both failed.
            if let Err(failure) = self.revoke_secret(&lease).await {
                self.log_error("a secret without a lease could not be revoked", failure.text.as_deref());
            }
            return Err(error.into());
        }
        let mut reply = Reply::from_plugin(response);
        reply.lease = Some(leased);
        reply.warnings.extend(granted.warnings);
        Ok(reply)
    }

    /// Renews a secret as far as its engine and the mount allow.
    pub(crate) async fn renew_lease(
        &self,
        id: &str,
        increment: Duration,
    ) -> Result<Option<Reply>, ErrorReply> {
        let _alone = self.lease_lock(id).await;
        let Some(mut lease) = self.lease(id)? else { return Err(ErrorReply::bad_request("lease not found")) };
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
        let limits = self.lease_limits(&lease.path);
        let response = self.call_backend_for_lease(&lease, Operation::Renew, increment).await;
        let mut response = match response {
            Ok(None) => return Ok(None),
            Ok(Some(response)) => response,
            Err(text) => return Err(ErrorReply::bad_request(format!("failed to renew entry: {text}"))),
        };
        let Some(secret) = response.secret.take() else { return Ok(None) };
        let wanted = TtlRequest {
            increment,
            ttl: secret.lease.ttl,
            max_ttl: secret.lease.max_ttl,
            issued: Some(lease.issued),
            ..TtlRequest::default()
        };
        let granted = ttl::calculate_ttl(limits, &wanted, now).map_err(ErrorReply::bad_request)?;
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
        self.store_lease_with(lease, Vec::new())?;
        let mut reply = Reply::from_plugin(response);
        reply.lease = Some(leased);
        reply.warnings.extend(granted.warnings);
        Ok(Some(reply))
    }

    /// Revokes a lease now. A failure is kept with the lease, and tried again later.
    pub(crate) async fn revoke_lease(&self, id: &str) -> Result<(), ErrorReply> {
        let _alone = self.lease_lock(id).await;
        let Some(lease) = self.lease(id)? else { return Ok(()) };
        if let LeaseKind::Token { hash, .. } = &lease.kind {
            return Ok(self.revoke_token_tree(hash)?);
        }
        self.revoke_secret(&lease).await?;
        Ok(self.delete_lease_with(id, lease.token.as_deref(), Vec::new())?)
    }

    /// Forgets a lease whether its engine revokes the secret or not.
    pub(crate) async fn force_revoke_lease(&self, id: &str) -> Result<(), ErrorReply> {
        if let Err(failure) = self.revoke_lease(id).await {
            self.log_error("revocation failed, and the lease was removed by force", failure.text.as_deref());
            let token = self.lease(id)?.and_then(|lease| lease.token);
            self.delete_lease_with(id, token.as_deref(), Vec::new())?;
        }
        Ok(())
    }

    /// Stores a lease with other changes at once, and sees to its end.
    pub(crate) fn store_lease_with(&self, lease: Lease, mut changes: Vec<StoreOp>) -> Result<(), StoreError> {
        changes.push(StoreOp::put(format!("{BY_ID}{}", lease.id), &lease)?);
        if let Some(token) = &lease.token {
            changes.push(StoreOp::put(self.token_index(token, &lease.id), &lease.id)?);
        }
        self.store.apply(changes)?;
        match lease.expires.filter(|_| !lease.is_irrevocable()) {
            Some(expires) => self.expiration.schedule(&lease.id, expires),
            None => self.expiration.cancel(&lease.id),
        }
        Ok(())
    }

    /// Forgets a lease with other changes at once.
    pub(crate) fn delete_lease_with(
        &self,
        id: &str,
        token: Option<&str>,
        mut changes: Vec<StoreOp>,
    ) -> Result<(), StoreError> {
        changes.push(StoreOp::Delete(format!("{BY_ID}{id}")));
        changes.extend(token.map(|token| StoreOp::Delete(self.token_index(token, id))));
        self.store.apply(changes)?;
        self.expiration.cancel(id);
        Ok(())
    }

    /// Lets a lease end now, in the background; its failures start to count anew.
    pub(crate) fn expire_now(&self, id: &str) -> Result<(), StoreError> {
        let Some(mut lease) = self.lease(id)? else { return Ok(()) };
        lease.expires = Some(SystemTime::now());
        lease.attempts = 0;
        self.store_lease_with(lease, Vec::new())
    }

    async fn revoke_secret(&self, lease: &Lease) -> Result<(), ErrorReply> {
        match self.call_backend_for_lease(lease, Operation::Revoke, Duration::ZERO).await {
            Ok(_) => Ok(()),
            Err(text) => Err(ErrorReply::bad_request(format!("failed to revoke entry: {text}"))),
        }
    }

    /// Hands a lease to its engine. The text of a failure is Vault's, where Go prints it.
    async fn call_backend_for_lease(
        &self,
        lease: &Lease,
        operation: Operation,
        increment: Duration,
    ) -> Result<Option<Response>, String> {
        let without_answer = |error: &str| format!("resp: (*logical.Response)(nil) err: {error}");
        let Some((mount, path)) = self.route(&lease.path) else {
            return Err(without_answer("unsupported path"));
        };
        let Some(request) = lease.request(operation, path, increment) else {
            return Err(without_answer("lease does not correspond to a secret"));
        };
        match mount.call_backend(self, request).await {
            Ok(Some(response)) if response.error_text().is_some() => Err(format!(
                "resp: &logical.Response{{error: {:?}}} err: %!w(<nil>)",
                response.error_text().unwrap_or_default()
            )),
            Ok(response) => Ok(response),
            Err(failure) => Err(without_answer(failure.inner_message())),
        }
    }

    fn token_index(&self, token: &str, lease_id: &str) -> String {
        format!("{BY_TOKEN}{token}/{}", self.identity.keyed_hash("lease", lease_id))
    }
}

fn reply_lease(lease: &Lease, ttl: Duration) -> ReplyLease {
    ReplyLease { id: lease.id.clone(), duration: ttl.as_secs(), renewable: lease.is_renewable() }
}
