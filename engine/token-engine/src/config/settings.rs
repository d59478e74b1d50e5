//! The stored configuration, and what it says about tokens that were minted with it or with another one.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vault_plugin::logical::Error;

use crate::endpoint::Endpoint;
use crate::sensitive::{self, SecretString};
use crate::upstream::{
    Api, Connection, DEFAULT_PRESET, Description, Node, Parameters, Place, complete, find_preset,
};

/// How the token service is reached, as stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) api_endpoint: Endpoint,
    /// Whose tokens the key mints, where the service has several accounts; empty for one that is not named.
    #[serde(default)]
    pub(crate) account: String,
    /// The account of the tokens that were minted while `account` was empty: the first name that was given. Empty as long as `account` is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) unnamed_account: String,
    #[serde(serialize_with = "sensitive::serialize_exposed")]
    pub(crate) api_key: SecretString,
    /// Authorities to trust instead of the system's, in PEM; empty for the system's.
    #[serde(default)]
    pub(crate) ca_cert: String,
    #[serde(default)]
    pub(crate) tls_skip_verify: bool,
    /// Seconds that one request to the service may take.
    pub(crate) request_timeout: u64,
    #[serde(default)]
    pub(crate) renew_upstream: bool,
    /// Seconds for which the service recognises a repeated idempotency key; zero for one that knows none.
    #[serde(default = "default_idempotency_window")]
    pub(crate) idempotency_window: u64,
    /// What the names of metrics begin with.
    #[serde(default = "default_metrics_prefix")]
    pub(crate) metrics_prefix: String,
    /// The description of the API that ships with the engine; empty if `api` is given.
    #[serde(default = "default_preset", skip_serializing_if = "is_default_preset")]
    pub(crate) preset: String,
    /// A description of the API of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api: Option<Node>,
    /// What the description asks of the connection, as given.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub(crate) parameters: Parameters,
    /// Whether a token may be left that no search can find, until it ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) accept_orphans: bool,
}

/// The preset of a configuration that names none.
pub(super) fn default_preset() -> String {
    DEFAULT_PRESET.to_owned()
}

fn is_default_preset(preset: &String) -> bool {
    preset == DEFAULT_PRESET
}

/// A day, which is what services that document it grant at least.
pub(super) fn default_idempotency_window() -> u64 {
    24 * 60 * 60
}

/// A call repeats its request for up to 75 seconds, and would mint a second token where the service has forgotten the first request by then.
/// Rollback stops 10 minutes before the window ends.
pub(super) const MIN_IDEMPOTENCY_WINDOW: u64 = 5 * 60;

/// The prefix that a mount has which says nothing else.
pub(crate) fn default_metrics_prefix() -> String {
    "custom_plugin".to_owned()
}

impl Config {
    /// How the service is reached.
    pub(crate) fn connection(&self) -> Connection<'_> {
        Connection {
            endpoint: &self.api_endpoint,
            api_key: &self.api_key,
            ca_cert: &self.ca_cert,
            tls_skip_verify: self.tls_skip_verify,
            request_timeout: Duration::from_secs(self.request_timeout),
        }
    }

    /// The description with the parameters of this connection.
    pub(crate) fn api(&self) -> Result<Api, Error> {
        let invalid = |error: &dyn std::error::Error| Error::invalid(error.to_string());
        let description = match &self.api {
            Some(node) => Arc::new(Description::from_node(node).map_err(|problems| invalid(&problems))?),
            None => find_preset(&self.preset).map_err(|error| invalid(&error))?.description(),
        };
        let place = Place::root().key("parameters");
        let parameters = complete(&description.config, &self.parameters, &place);
        Ok(Api::new(description, parameters.map_err(|problems| invalid(&problems))?))
    }

    /// What makes this configuration reach the tokens of an endpoint and an account; `None` if it does.
    ///
    /// A token without an account was minted before one was named, and belongs to the account that its key was named with first.
    pub(crate) fn check_connection(
        &self,
        endpoint: &Endpoint,
        account: &str,
    ) -> Result<(), ConnectionMismatch> {
        let account = if account.is_empty() { &*self.unnamed_account } else { account };
        let same_account = self.account == account;
        if self.api_endpoint == *endpoint && same_account {
            return Ok(());
        }
        let account = match account {
            _ if same_account => String::new(),
            "" => " account=\"\"".to_owned(),
            account => format!(" account={account}"),
        };
        Err(ConnectionMismatch {
            endpoint: endpoint.to_string(),
            configured: self.connection_label(),
            account,
        })
    }

    /// What its writer should know of it, where it takes the place of another.
    pub(super) fn warnings(&self, before: Option<&Config>, mount: &str) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(before) = before.filter(|before| before.is_orphaned_by(self)) {
            let left = before.connection_label();
            warnings.push(format!(
                "leases minted at {left} are renewed and revoked only while config names that. Revoke them before it is changed: \
                 vault lease revoke -prefix {mount}creds"
            ));
        }
        if !self.api_endpoint.is_https() && !self.api_endpoint.is_loopback() {
            warnings.push(
                "api_endpoint begins with http://: the key and every token cross the network unencrypted"
                    .to_owned(),
            );
        }
        if self.tls_skip_verify {
            warnings.push(
                "tls_skip_verify is set: whoever can answer for the token service gets the key and every token".to_owned(),
            );
        }
        warnings
    }

    /// Whether another configuration reaches none of the tokens that this one mints.
    fn is_orphaned_by(&self, other: &Config) -> bool {
        other.check_connection(&self.api_endpoint, &self.account).is_err()
    }

    /// Whether a mint without an answer may be sent again. Earlier versions stored windows that end while it still may be.
    pub(crate) fn retries_mints(&self) -> bool {
        self.idempotency_window >= MIN_IDEMPOTENCY_WINDOW
    }

    /// The parameters without the secret ones.
    pub(super) fn shown_parameters(&self) -> Parameters {
        let declared = self.api().map(|api| api.description);
        let is_shown = |name: &str| {
            let declared = declared.as_ref().ok().and_then(|description| description.config.get(name));
            declared.is_some_and(|parameter| !parameter.secret)
        };
        self.parameters
            .iter()
            .filter(|(name, _)| is_shown(name))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    fn connection_label(&self) -> String {
        match &*self.account {
            "" => self.api_endpoint.to_string(),
            account => format!("{}, account {account}", self.api_endpoint),
        }
    }
}

/// Why the configured connection must not be asked about a token: with the same id, it may know another one.
#[derive(Debug, thiserror::Error)]
#[error(
    "the token was minted at {endpoint}, and the configuration is for {configured}; nothing was sent. Configure the connection that \
     minted it: api_endpoint={endpoint}{account} with its api_key"
)]
pub(crate) struct ConnectionMismatch {
    endpoint: String,
    configured: String,
    account: String,
}

impl From<ConnectionMismatch> for Error {
    fn from(error: ConnectionMismatch) -> Error {
        Error::internal(error.to_string())
    }
}
