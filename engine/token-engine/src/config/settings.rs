//! The stored configuration, and the check whether it applies to a token.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_plugin::logical::{Error, Sensitive};

use super::key_rotation::{KeyRotation, RotationProgress};
use crate::endpoint::Endpoint;
use crate::events::SendEvents;
use crate::schedule::{RotationDue, RotationSettings};
use crate::sensitive;
use crate::stored::Stored;
use crate::upstream::{
    Api, Connection, DEFAULT_PRESET, Description, Node, Parameters, Place, complete, find_preset,
};

/// A stored connection to the token service.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) api_endpoint: Endpoint,
    /// The account of the key, if the service has several. Empty if it is not configured.
    #[serde(default)]
    pub(crate) account: String,
    /// The account of the tokens that were minted while `account` was empty: the first account that was configured.
    /// Empty as long as `account` has never been set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) unnamed_account: String,
    #[serde(serialize_with = "sensitive::serialize_exposed")]
    pub(crate) api_key: Sensitive,
    /// The trusted CA certificates in PEM. Empty for those of the system.
    #[serde(default)]
    pub(crate) ca_cert: String,
    #[serde(default)]
    pub(crate) tls_skip_verify: bool,
    /// The time limit of one request to the service, in seconds.
    pub(crate) request_timeout: u64,
    #[serde(default)]
    pub(crate) renew_upstream: bool,
    /// How long the service recognizes a repeated idempotency key, in seconds. Zero if it does not support the keys.
    #[serde(default = "default_idempotency_window")]
    pub(crate) idempotency_window: u64,
    /// The prefix of the metric names.
    #[serde(default = "default_metrics_prefix")]
    pub(crate) metrics_prefix: String,
    /// The name of the preset that describes the API. Empty if `api` is set.
    #[serde(default = "default_preset", skip_serializing_if = "is_default_preset")]
    pub(crate) preset: String,
    /// A description of the API, if no preset is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api: Option<Node>,
    /// The parameters that the description declares for a connection, as the user has written them.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub(crate) parameters: Parameters,
    /// Whether a token that no search can find may live until it expires.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) accept_orphans: bool,
    /// Whether events about the tokens and the key are sent.
    #[serde(default, skip_serializing_if = "SendEvents::is_default")]
    pub(crate) send_events: SendEvents,
    /// When the key is rotated.
    #[serde(flatten)]
    pub(super) schedule: RotationSettings,
    #[serde(default, skip_serializing_if = "KeyRotation::is_default")]
    pub(crate) key_rotation: KeyRotation,
}

impl Stored for Config {
    const SEAL_WRAP: bool = true;
}

/// In seconds.
pub(super) const DEFAULT_REQUEST_TIMEOUT: u64 = 30;

/// Returns the preset of a configuration that names none.
pub(super) fn default_preset() -> String {
    DEFAULT_PRESET.to_owned()
}

fn is_default_preset(preset: &String) -> bool {
    preset == DEFAULT_PRESET
}

/// Returns one day, the shortest window that services usually document.
pub(super) fn default_idempotency_window() -> u64 {
    24 * 60 * 60
}

/// The shortest window in which a mint is retried. A call is retried for up to 75 seconds, and a service that no longer recognizes the key
/// would mint a second token. Rollback stops 10 minutes before the end of the window.
pub(super) const MIN_IDEMPOTENCY_WINDOW: u64 = 5 * 60;

/// Returns the default metrics prefix.
pub(crate) fn default_metrics_prefix() -> String {
    "custom_plugin".to_owned()
}

impl Config {
    /// Returns a connection with the defaults of all other fields. Its key is empty.
    pub(super) fn new(api_endpoint: Endpoint) -> Config {
        Config {
            api_endpoint,
            account: String::new(),
            unnamed_account: String::new(),
            api_key: Sensitive::default(),
            ca_cert: String::new(),
            tls_skip_verify: false,
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            renew_upstream: false,
            idempotency_window: default_idempotency_window(),
            metrics_prefix: default_metrics_prefix(),
            preset: default_preset(),
            api: None,
            parameters: Parameters::new(),
            accept_orphans: false,
            send_events: SendEvents::default(),
            schedule: RotationSettings::default(),
            key_rotation: KeyRotation::default(),
        }
    }

    /// Returns the settings of the HTTP client.
    pub(crate) fn connection(&self) -> Connection<'_> {
        Connection {
            endpoint: &self.api_endpoint,
            api_key: &self.api_key,
            ca_cert: &self.ca_cert,
            tls_skip_verify: self.tls_skip_verify,
            request_timeout: Duration::from_secs(self.request_timeout),
        }
    }

    /// Returns the description of the API with the parameters of this connection.
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

    /// Checks that this configuration reaches the tokens of an endpoint and an account.
    ///
    /// A token without an account was minted before an account was configured, and belongs to the one that was configured first.
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

    /// Returns the warnings for a write that replaces the configuration `before`.
    pub(super) fn warnings(&self, before: Option<&Config>, mount: &str) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(before) = before.filter(|before| before.is_orphaned_by(self)) {
            let old_connection = before.connection_label();
            warnings.push(format!(
                "leases minted at {old_connection} are renewed and revoked only while config has this connection. Revoke them before changing it: \
                 vault lease revoke -prefix {mount}creds"
            ));
        }
        let replaced = before.filter(|before| before.key_rotation.key_name() != self.key_rotation.key_name());
        warnings.extend(replaced.and_then(Config::unrevoked_key_warning));
        if !self.api_endpoint.is_https() && !self.api_endpoint.is_loopback() {
            warnings.push(
                "api_endpoint begins with http://: the key and every token are sent unencrypted".to_owned(),
            );
        }
        if self.tls_skip_verify {
            warnings.push(
                "tls_skip_verify is set: an attacker who can redirect the connection gets the key and every token".to_owned(),
            );
        }
        warnings
    }

    /// Returns a warning for the loss of a key that a rotation has created. Only this configuration contains it.
    pub(super) fn unrevoked_key_warning(&self) -> Option<String> {
        let name = self.key_rotation.key_name()?;
        Some(format!(
            "the previous api_key was created by a rotation and is not revoked: revoke the key {name:?} at {}",
            self.api_endpoint
        ))
    }

    /// Replaces the key in the rotation with this id, if it still runs.
    pub(crate) fn complete_rotation(
        &mut self,
        id: &str,
        key_name: &str,
        api_key: Sensitive,
        parameters: &Parameters,
    ) {
        if self.key_rotation.progress(id) == RotationProgress::Running {
            self.key_rotation.complete(id, &self.api_key, key_name, Timestamp::now());
            self.replace_key(api_key, parameters);
        }
    }

    /// Replaces the key, and the parameters that belong to it.
    pub(crate) fn replace_key(&mut self, api_key: Sensitive, parameters: &Parameters) {
        self.api_key = api_key;
        self.parameters.extend(parameters.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// Returns whether the schedule requires a rotation of the key.
    pub(crate) fn rotation_due(&self, now: Timestamp) -> RotationDue {
        self.schedule.due(self.key_rotation.counted_from(), now)
    }

    /// Returns whether another configuration does not reach the tokens that this one has minted.
    fn is_orphaned_by(&self, other: &Config) -> bool {
        other.check_connection(&self.api_endpoint, &self.account).is_err()
    }

    /// Checks that the key can be sent. A key that is part of a header must be valid there. A password that is encoded first may contain
    /// spaces and letters of any language.
    pub(crate) fn check_api_key(&self) -> Result<(), Error> {
        let key = self.api_key.expose();
        if self.api()?.description.auth.has_key_in_header() {
            if key.chars().any(|letter| !letter.is_ascii_graphic()) {
                return Err(Error::invalid(
                    "api_key contains a space, a line break or another character that is invalid in an HTTP header; write the key alone",
                ));
            }
        } else if key.chars().any(char::is_control) {
            return Err(Error::invalid(
                "api_key contains a line break or another control character; write the key alone",
            ));
        }
        Ok(())
    }

    /// Returns whether a mint without a response may be retried. Earlier versions stored windows that are too short for that.
    pub(crate) fn retries_mints(&self) -> bool {
        self.idempotency_window >= MIN_IDEMPOTENCY_WINDOW
    }

    /// Returns the parameters that are not secret.
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

/// The configured connection is not the one that minted a token. It must not be used, because the same id may identify another token there.
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
