//! Logins: what an auth method says of who has come, and what the host makes a token from.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Alias, LeaseOptions, Map, Sensitive};

/// A login, as an auth method answers it and as the host hands it back when the token is to be renewed.
///
/// Most is said by [`framework::Login`](crate::framework::Login), which makes one. `Debug` shows who it is and what policies
/// they get, nothing internal and no token.
///
/// ```
/// use vault_plugin::framework::{IntoResponse, Login};
/// # use serde_json::json;
/// # use vault_plugin::logical::Error;
///
/// let login = Login::new("ann").policies(["reader"]).internal(json!({"ticket": "t1"}));
/// let auth = login.into_response()?.unwrap().auth.unwrap();
/// assert_eq!((auth.alias.as_ref().unwrap().name.as_str(), &auth.policies[..]), ("ann", &["reader".to_owned()][..]));
/// let shown = format!("{auth:?}");
/// assert!(shown.contains("ann") && shown.contains("reader") && !shown.contains("t1"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Auth {
    /// How long the token lives.
    pub lease: LeaseOptions,
    /// What a renewal gets back. The host keeps it; nobody is shown it.
    pub internal_data: Map,
    /// A readable name, which the host puts after the mount's: `ann` becomes `door-ann`.
    pub display_name: String,
    /// The policies of the token, less what the host adds by itself.
    pub policies: Vec<String>,
    /// Keeps the host from adding the policy `default`.
    pub no_default_policy: bool,
    /// What is noted of the token; anyone who looks it up is shown it, and so is the audit log.
    pub metadata: BTreeMap<String, String>,
    /// A token with a period never ends as long as it is renewed within it. Zero for none.
    pub period: Duration,
    /// The longest that the token lives whatever else is changed. Zero for none.
    pub explicit_max_ttl: Duration,
    /// How many requests the token is good for; zero for any number.
    pub num_uses: u32,
    /// What kind of token it is.
    pub token_type: TokenType,
    /// The addresses (`10.1.2.3`) and networks (`10.0.0.0/8`) that the token can be used from; none for all.
    pub bound_cidrs: Vec<String>,
    /// Who it is, by the name that the auth method knows them by. Without one the token has no identity.
    pub alias: Option<Alias>,
    /// The groups that the auth method knows them in.
    pub group_aliases: Vec<Alias>,
    /// The token, once the host has made it.
    pub client_token: Sensitive,
    /// The accessor of the token, once the host has made it.
    pub accessor: String,
    /// The identity that the host has found for the alias.
    pub entity_id: String,
    /// The policies that come from the login, as the host has written them down: in lower case, sorted, `default` among them.
    pub token_policies: Vec<String>,
    /// The policies that come from the identity.
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

/// What kind of token a login leads to. The words are those of `sdk/logical`.
///
/// ```
/// use vault_plugin::logical::TokenType;
///
/// assert_eq!(TokenType::from_name("batch"), Some(TokenType::Batch));
/// assert_eq!(TokenType::default().as_str(), "default");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenType {
    /// As the mount is tuned; `service` where it is not.
    #[default]
    Default,
    /// A token that is stored, can be renewed and is the parent of others.
    Service,
    /// A token that holds everything itself, and ends when its time is over.
    Batch,
    /// As a mount is tuned: `service` unless the login says otherwise.
    DefaultService,
    /// As a mount is tuned: `batch` unless the login says otherwise.
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

    /// The word for it.
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

    /// The kind that a word stands for.
    #[must_use]
    pub fn from_name(word: &str) -> Option<TokenType> {
        TokenType::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}
