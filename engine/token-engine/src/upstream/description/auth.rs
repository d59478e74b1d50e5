//! Authentication at an API.

use serde::{Deserialize, Serialize};

use super::call::Login;
use crate::upstream::template::{HeaderFields, PathTemplate, Placeholder, TextTemplate};

/// The credential of every call except the login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    /// Headers that carry the credential, for example Authorization: "Bearer {api_key}".
    #[serde(default, skip_serializing_if = "HeaderFields::is_empty")]
    pub(crate) headers: HeaderFields,
    /// HTTP Basic authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) basic: Option<Basic>,
    /// OAuth 2.0 client credentials: the access token is sent as a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oauth2: Option<OAuth2>,
    /// A call that returns the value of {login.token}, for use in headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<Login>,
}

impl Auth {
    /// Returns whether a header contains the key without encoding.
    pub(crate) fn has_key_in_header(&self) -> bool {
        let has_key = |text: &TextTemplate| text.slots().any(|slot| slot.placeholder == Placeholder::ApiKey);
        self.headers.0.iter().any(|(_, text)| has_key(text))
    }
}

/// User and password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Basic {
    /// The user.
    pub(crate) user: TextTemplate,
    /// The password.
    pub(crate) password: TextTemplate,
}

/// An OAuth 2.0 client (RFC 6749, section 4.4).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct OAuth2 {
    /// Path of the token endpoint, below api_endpoint.
    pub(crate) token_path: PathTemplate,
    /// Id of the client.
    pub(crate) client_id: TextTemplate,
    /// Secret of the client, usually {api_key}.
    pub(crate) client_secret: TextTemplate,
    /// Requested scopes, separated by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<TextTemplate>,
    /// Where client_id and client_secret are sent. Default basic.
    #[serde(default, skip_serializing_if = "ClientCredentials::is_default")]
    pub(crate) credentials: ClientCredentials,
}

/// Where an OAuth 2.0 client sends its credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClientCredentials {
    /// In the header, as HTTP Basic authentication.
    #[default]
    Basic,
    /// In the form.
    Form,
}

impl ClientCredentials {
    fn is_default(&self) -> bool {
        *self == ClientCredentials::default()
    }
}
