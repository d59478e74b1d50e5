//! Logins: the result of an auth method, from which the host creates a token.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Alias, LeaseOptions, Map, Sensitive};

/// A login, as an auth method returns it, and as the host sends it back when the token is renewed.
///
/// Usually created with [`framework::Login`](crate::framework::Login). `Debug` shows the name and the policies, but neither internal
/// data nor the token.
///
/// ```
/// use vault_plugin::framework::{IntoResponse, Login};
/// # use serde_json::json;
/// # use vault_plugin::logical::Error;
///
/// let login = Login::new("ann").policies(["reader"]).internal(json!({"ticket": "t1"}));
/// let auth = login.into_response()?.unwrap().auth.unwrap();
/// assert_eq!((auth.alias.as_ref().unwrap().name.as_str(), &auth.policies[..]), ("ann", &["reader".to_owned()][..]));
/// let debug = format!("{auth:?}");
/// assert!(debug.contains("ann") && debug.contains("reader") && !debug.contains("t1"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Auth {
    /// The lease of the token.
    pub lease: LeaseOptions,
    /// Data for the renewal. The host stores it and never shows it to clients.
    pub internal_data: Map,
    /// A readable name. The host prepends that of the mount: `ann` becomes `door-ann`.
    pub display_name: String,
    /// The policies of the token, without those that the host adds.
    pub policies: Vec<String>,
    /// Prevents the host from adding the policy `default`.
    pub no_default_policy: bool,
    /// Metadata of the token, visible in token lookups and in the audit log.
    pub metadata: BTreeMap<String, String>,
    /// The period of a periodic token, which does not expire as long as it is renewed within the period. Zero means none.
    pub period: Duration,
    /// The maximum lifetime, which renewals cannot exceed. Zero means none.
    pub explicit_max_ttl: Duration,
    /// How many times the token can be used. Zero means no limit.
    pub num_uses: u32,
    /// The type of the token.
    pub token_type: TokenType,
    /// The addresses (`10.1.2.3`) and networks (`10.0.0.0/8`) from which the token can be used. An empty list means all.
    pub bound_cidrs: Vec<String>,
    /// The identity, by its name in the auth method. Without an alias, the token has no identity.
    pub alias: Option<Alias>,
    /// The groups of the identity in the auth method.
    pub group_aliases: Vec<Alias>,
    /// The token, after the host has created it.
    pub client_token: Sensitive,
    /// The accessor of the token, after the host has created it.
    pub accessor: String,
    /// The id of the entity that the host has found for the alias.
    pub entity_id: String,
    /// The policies of the login as normalized by the host: lower case, sorted, including `default`.
    pub token_policies: Vec<String>,
    /// The policies of the identity.
    pub identity_policies: Vec<String>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("lease", &self.lease)
            .field("display_name", &self.display_name)
            .field("policies", &self.policies)
            .field("alias", &self.alias.as_ref().map(|alias| &alias.name))
            .field("accessor", &self.accessor)
            .field("entity_id", &self.entity_id)
            .finish_non_exhaustive()
    }
}

/// The type of the token that a login creates. The names are those of `sdk/logical`.
///
/// ```
/// use vault_plugin::logical::TokenType;
///
/// assert_eq!(TokenType::from_name("batch"), Some(TokenType::Batch));
/// assert_eq!(TokenType::default().as_str(), "default");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenType {
    /// The type in the mount's tuning, or `service` if none is set.
    #[default]
    Default,
    /// A token that is stored, can be renewed, and can have child tokens.
    Service,
    /// A self-contained token that is not stored and expires at the end of its TTL.
    Batch,
    /// A value for the mount's tuning: `service`, unless the login sets another type.
    DefaultService,
    /// A value for the mount's tuning: `batch`, unless the login sets another type.
    DefaultBatch,
}

impl TokenType {
    pub(crate) const ALL: [TokenType; 5] = [
        TokenType::Default,
        TokenType::Service,
        TokenType::Batch,
        TokenType::DefaultService,
        TokenType::DefaultBatch,
    ];

    /// Returns the name of the type.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            TokenType::Default => "default",
            TokenType::Service => "service",
            TokenType::Batch => "batch",
            TokenType::DefaultService => "default-service",
            TokenType::DefaultBatch => "default-batch",
        }
    }

    /// Returns the type with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<TokenType> {
        TokenType::ALL.into_iter().find(|token_type| token_type.as_str() == name)
    }
}
