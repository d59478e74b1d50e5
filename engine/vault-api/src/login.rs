//! A login at any auth method, and the token that it creates.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::Deserialize;

use crate::endpoint::{self, Endpoint, Idempotency, encode_path};
use crate::logical::LogicalData;
use crate::token::TokenType;
use crate::{ApiError, SecretString};

/// `POST auth/:mount/:path`: logs in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Full path, such as `auth/userpass/login/alice`.
    pub path: String,
    /// The credentials.
    pub data: LogicalData,
}

/// The token of a login.
#[derive(Clone, Debug)]
pub struct LoginToken {
    /// The token.
    pub token: SecretString,
    /// Its accessor; empty for a batch token.
    pub accessor: String,
    /// Its policies.
    pub policies: Vec<String>,
    /// Its TTL; zero if it does not expire.
    pub ttl: Duration,
    /// Its type. Only a service token can be revoked.
    pub kind: TokenType,
    /// The entity that logged in; empty if the auth method names none.
    pub entity_id: String,
}

#[derive(Deserialize)]
struct Body {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    client_token: String,
    #[serde(default)]
    accessor: String,
    #[serde(default, deserialize_with = "endpoint::null_as_default")]
    policies: Vec<String>,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    token_type: String,
    #[serde(default)]
    entity_id: String,
}

impl Endpoint for Login {
    /// `None` if the response contains no token, for example because a second factor is required.
    type Response = Option<LoginToken>;
    /// Each login creates a token.
    const IDEMPOTENCY: Idempotency = Idempotency::NotIdempotent;

    fn request(&self) -> Request<Bytes> {
        let path = encode_path(self.path.trim_matches('/'));
        endpoint::request_with_json(Method::POST, &path, &self.data.0)
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        let reply = endpoint::error_for_status(reply)?;
        if reply.body().is_empty() {
            return Ok(None);
        }
        let auth = endpoint::parse_json::<Body>(&reply)?.auth.filter(|auth| !auth.client_token.is_empty());
        Ok(auth.map(|auth| {
            let Auth { client_token, accessor, policies, lease_duration, token_type, entity_id } = auth;
            let kind = if token_type == "batch" { TokenType::Batch } else { TokenType::Service };
            let ttl = Duration::from_secs(lease_duration);
            LoginToken { token: SecretString::new(client_token), accessor, policies, ttl, kind, entity_id }
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    #[test]
    fn a_login_sends_its_data_and_shows_neither_it_nor_the_token() {
        let data = LogicalData(json!({"password": "hunter2"}).as_object().expect("an object").clone());
        let login = Login { path: "auth/userpass/login/alice".into(), data };
        assert_eq!(
            request_line(&login.request()),
            r#"POST /v1/auth/userpass/login/alice {"password":"hunter2"}"#
        );
        let body = r#"{"auth":{"client_token":"hvs.secret","accessor":"a1","policies":["default"],"lease_duration":60,"token_type":"service"}}"#;
        let token = Login::response(reply(200, body)).expect("an answer").expect("a token");
        assert_eq!((token.accessor.as_str(), token.ttl), ("a1", Duration::from_secs(60)));
        let shown = format!("{login:?} {token:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("hvs.secret"), "{shown}");
    }

    #[test]
    fn a_response_without_a_token_is_none() {
        for (status, body) in [
            (204, ""),
            (200, r#"{"auth":null,"data":{}}"#),
            (200, r#"{"auth":{"client_token":"","mfa_requirement":{}}}"#),
        ] {
            assert!(Login::response(reply(status, body)).expect("an answer").is_none(), "{body}");
        }
    }
}
