//! The record of a token.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use crate::reply::ReplyAuth;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vault_plugin::framework::TokenSettings;
use vault_plugin::logical::{Connection, Map, Operation, Request, TokenType};

/// A stored token. The token itself is not stored, only a keyed hash of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) hash: String,
    pub(crate) accessor: String,
    /// The hash of the parent token; `None` for an orphan.
    pub(crate) parent: Option<String>,
    pub(crate) policies: Vec<String>,
    /// The path that issued it.
    pub(crate) path: String,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) display_name: String,
    /// Remaining uses. 0 means no limit; a negative number means that the request with the last use is in flight.
    pub(crate) num_uses: i64,
    pub(crate) created: SystemTime,
    pub(crate) ttl: Duration,
    pub(crate) explicit_max_ttl: Duration,
    pub(crate) period: Duration,
    pub(crate) renewable: bool,
    /// The entity of the login that created it; empty without one.
    #[serde(default)]
    pub(crate) entity_id: String,
    #[serde(default)]
    pub(crate) kind: TokenKind,
    /// The addresses and networks that may use it; empty means all.
    #[serde(default)]
    pub(crate) bound_cidrs: Vec<String>,
}

/// The type of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenKind {
    /// Stored and renewable.
    #[default]
    Service,
    /// Not stored: the token contains its record.
    Batch,
}

impl TokenKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            TokenKind::Service => "service",
            TokenKind::Batch => "batch",
        }
    }
}

impl From<TokenKind> for TokenType {
    fn from(kind: TokenKind) -> TokenType {
        match kind {
            TokenKind::Service => TokenType::Service,
            TokenKind::Batch => TokenType::Batch,
        }
    }
}

/// Returns policies in lower case, sorted and without duplicates; `default` is added on request, but not beside `root`
/// (`helper/policyutil`).
pub(crate) fn sanitize_policies(policies: Vec<String>, add_default: bool) -> Vec<String> {
    let policies = policies.into_iter().map(|policy| policy.trim().to_lowercase());
    let mut policies: BTreeSet<String> = policies.filter(|policy| !policy.is_empty()).collect();
    if policies.contains("root") {
        return vec!["root".to_owned()];
    }
    if add_default {
        policies.insert("default".to_owned());
    }
    policies.into_iter().collect()
}

impl Token {
    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == "root")
    }

    /// Vault's client ID: the entity, or without one a hash of the policies and the namespace.
    pub(crate) fn client_id(&self) -> String {
        if !self.entity_id.is_empty() {
            return self.entity_id.clone();
        }
        let mut policies = self.policies.clone();
        policies.sort_unstable();
        STANDARD.encode(Sha256::digest(format!("{}\0root", policies.join("\x7f"))))
    }

    /// Whether a caller at this address may use it. As in Vault, a root token that never expires is not bound.
    pub(crate) fn allows_source(&self, connection: Connection) -> bool {
        if self.bound_cidrs.is_empty() || self.ttl.is_zero() {
            return true;
        }
        let settings = TokenSettings { bound_cidrs: self.bound_cidrs.clone(), ..TokenSettings::default() };
        let mut request = Request::new(Operation::Read, "", Map::new());
        request.connection = Some(connection);
        settings.allows_source(&request)
    }

    /// The token `text` with this record, as its creator sees it.
    pub(crate) fn reply(&self, text: String, ttl: Duration, identity_policies: Vec<String>) -> ReplyAuth {
        let identity_policies = sanitize_policies(identity_policies, false);
        ReplyAuth {
            client_token: text,
            accessor: self.accessor.clone(),
            display_name: self.display_name.clone(),
            policies: sanitize_policies([&self.policies[..], &identity_policies].concat(), false),
            token_policies: self.policies.clone(),
            identity_policies,
            entity_id: self.entity_id.clone(),
            token_type: self.kind.as_str(),
            metadata: self.meta.clone(),
            lease_duration: ttl.as_secs(),
            renewable: self.renewable,
            orphan: self.parent.is_none(),
            num_uses: self.num_uses,
        }
    }

    /// The ID of its lease, with which it expires.
    pub(crate) fn lease_id(&self) -> String {
        format!("{}/{}", self.path, self.hash)
    }
}
