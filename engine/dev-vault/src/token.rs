//! Tokens: made, found, used up, revoked with everything they made.

pub(crate) mod api;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::StoreError;
use crate::core::Core;
use crate::lease::{Lease, LeaseKind};
use crate::store::StoreOp;

/// Where the root token of a new server comes from.
pub(crate) const ROOT_TOKEN_PATH: &str = "auth/token/root";

const BY_HASH: &str = "sys/token/id/";
const BY_ACCESSOR: &str = "sys/token/accessor/";
const BY_PARENT: &str = "sys/token/parent/";

/// A token as it is kept: its text is not, only a keyed hash of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) hash: String,
    pub(crate) accessor: String,
    /// The hash of the token that made it, unless it is an orphan.
    pub(crate) parent: Option<String>,
    pub(crate) policies: Vec<String>,
    /// The path that made it.
    pub(crate) path: String,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) display_name: String,
    /// 0 is no limit; negative means that its last use is under way.
    pub(crate) num_uses: i64,
    pub(crate) created: SystemTime,
    pub(crate) ttl: Duration,
    pub(crate) explicit_max_ttl: Duration,
    pub(crate) period: Duration,
    pub(crate) renewable: bool,
}

impl Token {
    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == "root")
    }

    /// Vault's client ID of a token without an entity: a hash of its policies and its namespace.
    pub(crate) fn client_id(&self) -> String {
        let mut policies = self.policies.clone();
        policies.sort_unstable();
        STANDARD.encode(Sha256::digest(format!("{}\0root", policies.join("\x7f"))))
    }

    /// The id of the lease that ends it.
    pub(crate) fn lease_id(&self) -> String {
        format!("{}/{}", self.path, self.hash)
    }
}

/// Whether a token may be used once more.
pub(crate) enum TokenUse {
    Allowed,
    /// It was the last time: the token is to be revoked when the request is done.
    Last,
    /// It is used up.
    Exhausted,
}

impl Core {
    /// The name under which a token is kept; an engine sees a hash of this, salted with its mount.
    pub(crate) fn token_hash(&self, token: &str) -> String {
        format!("h{}", self.identity.keyed_hash("token", token))
    }

    pub(crate) fn find_token(&self, token: &str) -> Result<Option<Token>, StoreError> {
        self.token_by_hash(&self.token_hash(token))
    }

    pub(crate) fn token_by_hash(&self, hash: &str) -> Result<Option<Token>, StoreError> {
        self.store.read(&format!("{BY_HASH}{hash}"))
    }

    pub(crate) fn token_by_accessor(&self, accessor: &str) -> Result<Option<Token>, StoreError> {
        match self.store.read::<String>(&format!("{BY_ACCESSOR}{accessor}"))? {
            Some(hash) => self.token_by_hash(&hash),
            None => Ok(None),
        }
    }

    pub(crate) fn token_accessors(&self) -> Vec<String> {
        self.store.list(BY_ACCESSOR)
    }

    /// Keeps a token, and with a lifetime also the lease that ends it.
    pub(crate) fn store_token(&self, token: &Token) -> Result<(), StoreError> {
        let mut changes = vec![
            StoreOp::put(format!("{BY_HASH}{}", token.hash), token)?,
            StoreOp::put(format!("{BY_ACCESSOR}{}", token.accessor), &token.hash)?,
        ];
        if let Some(parent) = &token.parent {
            changes.push(StoreOp::put(format!("{BY_PARENT}{parent}/{}", token.hash), &())?);
        }
        if token.ttl.is_zero() {
            return self.store.apply(changes);
        }
        self.store_lease_with(
            Lease {
                id: token.lease_id(),
                path: token.path.clone(),
                token: None,
                kind: LeaseKind::Token { hash: token.hash.clone(), ttl: token.ttl },
                issued: token.created,
                expires: Some(token.created + token.ttl),
                renewed: None,
                attempts: 0,
                error: None,
            },
            changes,
        )
    }

    /// Takes one of a token's uses.
    pub(crate) fn use_token(&self, token: &Token) -> Result<TokenUse, StoreError> {
        if token.num_uses == 0 {
            return Ok(TokenUse::Allowed);
        }
        // Two requests at once must not take the same use.
        let _counting = self.token_uses.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(mut current) = self.token_by_hash(&token.hash)? else { return Ok(TokenUse::Exhausted) };
        match current.num_uses {
            left if left < 0 => return Ok(TokenUse::Exhausted),
            1 => current.num_uses = -1,
            _ => current.num_uses -= 1,
        }
        self.store.write(&format!("{BY_HASH}{}", current.hash), &current)?;
        Ok(if current.num_uses < 0 { TokenUse::Last } else { TokenUse::Allowed })
    }

    /// Revokes a token and all that it made: tokens at once, secrets as soon as their engines let them go.
    pub(crate) fn revoke_token_tree(&self, hash: &str) -> Result<(), StoreError> {
        let mut waiting = vec![hash.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(hash) = waiting.pop() {
            if !seen.insert(hash.clone()) {
                continue;
            }
            waiting.extend(self.store.list(&format!("{BY_PARENT}{hash}/")));
            self.revoke_single_token(&hash)?;
        }
        Ok(())
    }

    /// Revokes a token; those it made live on without a parent.
    pub(crate) fn revoke_token_orphaning(&self, hash: &str) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for child in self.store.list(&format!("{BY_PARENT}{hash}/")) {
            if let Some(mut token) = self.token_by_hash(&child)? {
                token.parent = None;
                changes.push(StoreOp::put(format!("{BY_HASH}{child}"), &token)?);
            }
            changes.push(StoreOp::Delete(format!("{BY_PARENT}{hash}/{child}")));
        }
        self.store.apply(changes)?;
        self.revoke_single_token(hash)
    }

    fn revoke_single_token(&self, hash: &str) -> Result<(), StoreError> {
        let Some(token) = self.token_by_hash(hash)? else { return Ok(()) };
        for lease in self.leases_of_token(hash)? {
            self.expire_now(&lease)?;
        }
        let mut changes = vec![
            StoreOp::Delete(format!("{BY_HASH}{hash}")),
            StoreOp::Delete(format!("{BY_ACCESSOR}{}", token.accessor)),
        ];
        if let Some(parent) = &token.parent {
            changes.push(StoreOp::Delete(format!("{BY_PARENT}{parent}/{hash}")));
        }
        let cubbyhole = self.cubbyhole_prefix(hash);
        changes.extend(self.store.keys(&cubbyhole).into_iter().map(StoreOp::Delete));
        self.delete_lease_with(&token.lease_id(), None, changes)
    }
}
