//! The stored tokens: created, looked up, counted, and revoked together with their leases and child tokens.

mod batch;
mod cubbyholes;
mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::StoreError;
use crate::identity::ServerIdentity;
use crate::leases::{Lease, LeaseKind, Leases, LoginAuth};
use crate::random::{random_id, random_token};
use crate::store::{Store, StoreOp};
pub(crate) use cubbyholes::Cubbyholes;
pub(crate) use token::{Token, TokenKind, sanitize_policies};

/// The path of the first root token of a server.
pub(crate) const ROOT_TOKEN_PATH: &str = "auth/token/root";

const BY_HASH: &str = "sys/token/id/";
const BY_ACCESSOR: &str = "sys/token/accessor/";
const BY_PARENT: &str = "sys/token/parent/";

/// Whether a token may be used once more.
pub(crate) enum TokenUse {
    Allowed,
    /// The last use: the token has to be revoked after the request.
    Last,
    /// No uses are left.
    Exhausted,
}

/// The tokens of the server.
pub(crate) struct Tokens {
    store: Arc<Store>,
    identity: Arc<ServerIdentity>,
    leases: Arc<Leases>,
    cubbyholes: Arc<Cubbyholes>,
    /// Locked while the remaining uses of a token change.
    uses: Mutex<()>,
}

impl Tokens {
    pub(crate) fn new(
        store: Arc<Store>,
        identity: Arc<ServerIdentity>,
        leases: Arc<Leases>,
        cubbyholes: Arc<Cubbyholes>,
    ) -> Tokens {
        Tokens { store, identity, leases, cubbyholes, uses: Mutex::default() }
    }

    /// Stores a root token unless this one is stored already.
    pub(crate) fn ensure_root(&self, token: &str) -> Result<(), StoreError> {
        if self.find(token)?.is_some_and(|token| token.is_root()) {
            return Ok(());
        }
        self.insert(&Token {
            entity_id: String::new(),
            kind: TokenKind::Service,
            bound_cidrs: Vec::new(),
            hash: self.hash(token),
            accessor: random_id(),
            parent: None,
            policies: vec!["root".to_owned()],
            path: ROOT_TOKEN_PATH.to_owned(),
            meta: BTreeMap::new(),
            display_name: "root".to_owned(),
            num_uses: 0,
            created: SystemTime::now(),
            ttl: Duration::ZERO,
            explicit_max_ttl: Duration::ZERO,
            period: Duration::ZERO,
            renewable: false,
        })
    }

    /// The hash under which a token is stored. An engine receives a hash of this hash, salted with its mount.
    pub(crate) fn hash(&self, token: &str) -> String {
        format!("h{}", self.identity.keyed_hash("token", token))
    }

    /// The record of a token, unless it is unknown, revoked or expired.
    pub(crate) fn find(&self, token: &str) -> Result<Option<Token>, StoreError> {
        match batch::payload(token) {
            Some(payload) => Ok(batch::open(&self.identity, payload)
                .filter(|token| SystemTime::now() < token.created + token.ttl)),
            None => self.by_hash(&self.hash(token)),
        }
    }

    /// Creates a batch token, which is not stored: it contains its record. Returns the token.
    pub(crate) fn create_batch(&self, token: &mut Token) -> Result<String, StoreError> {
        batch::create(&self.identity, token)
    }

    /// Stores the token of a login, and returns the token.
    pub(crate) fn create_from_login(
        &self,
        token: &mut Token,
        login: LoginAuth,
    ) -> Result<String, StoreError> {
        let text = random_token();
        token.hash = self.hash(&text);
        self.insert_with(token, Some(Box::new(login)))?;
        Ok(text)
    }

    pub(crate) fn by_hash(&self, hash: &str) -> Result<Option<Token>, StoreError> {
        self.store.read(&format!("{BY_HASH}{hash}"))
    }

    pub(crate) fn by_accessor(&self, accessor: &str) -> Result<Option<Token>, StoreError> {
        match self.store.read::<String>(&format!("{BY_ACCESSOR}{accessor}"))? {
            Some(hash) => self.by_hash(&hash),
            None => Ok(None),
        }
    }

    pub(crate) fn accessors(&self) -> Vec<String> {
        self.store.list(BY_ACCESSOR)
    }

    /// Stores a token, together with its lease if it has a TTL.
    pub(crate) fn insert(&self, token: &Token) -> Result<(), StoreError> {
        self.insert_with(token, None)
    }

    fn insert_with(&self, token: &Token, login: Option<Box<LoginAuth>>) -> Result<(), StoreError> {
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
        self.leases.put_with(
            Lease {
                id: token.lease_id(),
                path: token.path.clone(),
                token: None,
                kind: LeaseKind::Token { hash: token.hash.clone(), ttl: token.ttl, login },
                issued: token.created,
                expires: Some(token.created + token.ttl),
                renewed: None,
                attempts: 0,
                error: None,
            },
            changes,
        )
    }

    /// Counts one use of a token.
    pub(crate) fn count_use(&self, token: &Token) -> Result<TokenUse, StoreError> {
        if token.num_uses == 0 {
            return Ok(TokenUse::Allowed);
        }
        // Concurrent requests must not consume the same use.
        let _guard = self.uses.lock();
        let Some(mut current) = self.by_hash(&token.hash)? else { return Ok(TokenUse::Exhausted) };
        match current.num_uses {
            remaining if remaining < 0 => return Ok(TokenUse::Exhausted),
            1 => current.num_uses = -1,
            _ => current.num_uses -= 1,
        }
        self.store.write(&format!("{BY_HASH}{}", current.hash), &current)?;
        Ok(if current.num_uses < 0 { TokenUse::Last } else { TokenUse::Allowed })
    }

    /// Revokes a token and everything issued to it: child tokens at once, leases in the background.
    pub(crate) fn revoke_tree(&self, hash: &str) -> Result<(), StoreError> {
        let mut pending = vec![hash.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(hash) = pending.pop() {
            if !seen.insert(hash.clone()) {
                continue;
            }
            pending.extend(self.store.list(&format!("{BY_PARENT}{hash}/")));
            self.revoke_single(&hash)?;
        }
        Ok(())
    }

    /// Revokes a token; its children become orphans.
    pub(crate) fn revoke_orphaning(&self, hash: &str) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for child in self.store.list(&format!("{BY_PARENT}{hash}/")) {
            if let Some(mut token) = self.by_hash(&child)? {
                token.parent = None;
                changes.push(StoreOp::put(format!("{BY_HASH}{child}"), &token)?);
            }
            changes.push(StoreOp::Delete(format!("{BY_PARENT}{hash}/{child}")));
        }
        self.store.apply(changes)?;
        self.revoke_single(hash)
    }

    fn revoke_single(&self, hash: &str) -> Result<(), StoreError> {
        let Some(token) = self.by_hash(hash)? else { return Ok(()) };
        for lease in self.leases.of_token(hash)? {
            self.leases.expire_now(&lease)?;
        }
        let mut changes = vec![
            StoreOp::Delete(format!("{BY_HASH}{hash}")),
            StoreOp::Delete(format!("{BY_ACCESSOR}{}", token.accessor)),
        ];
        if let Some(parent) = &token.parent {
            changes.push(StoreOp::Delete(format!("{BY_PARENT}{parent}/{hash}")));
        }
        changes.extend(self.cubbyholes.clear(hash));
        self.leases.delete_with(&token.lease_id(), None, changes)
    }
}
