//! Looks up, renews and revokes the token of the client.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::{Deserialize, Serialize};

use crate::endpoint::{self, Endpoint, Idempotency};
use crate::{ApiError, SecretString};

/// `GET auth/token/lookup-self`.
#[derive(Clone, Copy, Debug)]
pub struct LookupSelf;

/// The state of a token. The token itself, which the server also returns, is not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenInfo {
    /// Display name.
    pub display_name: String,
    /// Policies, including those of the identity.
    pub policies: Vec<String>,
    /// Remaining TTL; `None` if the token does not expire.
    pub ttl: Option<Duration>,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// `POST auth/token/renew-self`.
#[derive(Clone, Copy, Debug)]
pub struct RenewSelf;

/// `POST auth/token/revoke-self`. The leases that the token created are revoked with it.
#[derive(Clone, Copy, Debug)]
pub struct RevokeSelf;

/// `POST auth/token/revoke-accessor`: revokes the token of an accessor.
#[derive(Clone, Debug)]
pub struct RevokeAccessor {
    /// Accessor of the token.
    pub accessor: String,
}

/// A token that a login or renewal returned.
#[derive(Clone, Debug)]
pub struct AuthResponse {
    /// The token.
    pub token: SecretString,
    /// TTL; zero if the token does not expire.
    pub duration: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Type of the token. Only a service token can be revoked.
    pub kind: TokenType,
}

/// Type of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// The server stores the token; it can be revoked.
    Service,
    /// The server does not store the token; it is valid until it expires.
    Batch,
}

#[derive(Deserialize)]
struct AuthBody {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
    #[serde(default)]
    token_type: String,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    display_name: String,
    #[serde(default, deserialize_with = "endpoint::null_as_default")]
    policies: Vec<String>,
    #[serde(default, deserialize_with = "endpoint::null_as_default")]
    identity_policies: Vec<String>,
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

impl Endpoint for LookupSelf {
    type Response = TokenInfo;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("auth/token/lookup-self")
    }

    fn response(reply: Response<Bytes>) -> Result<TokenInfo, ApiError> {
        let Body { display_name, mut policies, identity_policies, ttl, renewable } = endpoint::data(reply)?;
        policies.extend(identity_policies);
        Ok(TokenInfo { display_name, policies, ttl: (ttl > 0).then(|| Duration::from_secs(ttl)), renewable })
    }
}

impl Endpoint for RenewSelf {
    type Response = AuthResponse;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_with_json(Method::POST, "auth/token/renew-self", &serde_json::json!({}))
    }

    fn response(reply: Response<Bytes>) -> Result<AuthResponse, ApiError> {
        parse_auth(reply)
    }
}

impl Endpoint for RevokeSelf {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_without_body(Method::POST, "auth/token/revoke-self")
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

impl Endpoint for RevokeAccessor {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        let body = serde_json::json!({ "accessor": self.accessor });
        endpoint::request_with_json(Method::POST, "auth/token/revoke-accessor", &body)
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

/// Parses the token of a successful reply.
pub(crate) fn parse_auth(reply: Response<Bytes>) -> Result<AuthResponse, ApiError> {
    let reply = endpoint::error_for_status(reply)?;
    let auth = endpoint::parse_json::<AuthBody>(&reply)?.auth;
    let Auth { client_token, lease_duration, renewable, token_type } =
        auth.ok_or_else(|| ApiError::malformed_reply(&reply, None))?;
    let kind = if token_type == "batch" { TokenType::Batch } else { TokenType::Service };
    let duration = Duration::from_secs(lease_duration);
    Ok(AuthResponse { token: SecretString::new(client_token), duration, renewable, kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    #[test]
    fn a_renewal_grants_time_and_never_shows_the_token() {
        let body = r#"{"auth":{"client_token":"hvs.secret","lease_duration":60,"renewable":true,"token_type":"service"}}"#;
        let granted = RenewSelf::response(reply(200, body)).expect("an answer");
        assert_eq!((granted.duration, granted.renewable), (Duration::from_secs(60), true));
        assert_eq!((granted.token.expose(), granted.kind), ("hvs.secret", TokenType::Service));
        assert!(!format!("{granted:?}").contains("hvs.secret"));
        assert!(RenewSelf::response(reply(200, r#"{"auth":null}"#)).is_err());
    }

    #[test]
    fn a_token_revokes_itself() {
        assert_eq!(request_line(&RevokeSelf.request()), "POST /v1/auth/token/revoke-self");
        assert!(RevokeSelf::response(reply(204, "")).is_ok());
    }

    #[test]
    fn a_root_token_does_not_expire_and_is_not_stored() {
        let body = r#"{"data":{"id":"hvs.secret","display_name":"root","policies":["root"],"ttl":0}}"#;
        let token = LookupSelf::response(reply(200, body)).expect("an answer");
        assert_eq!(token.ttl, None);
        assert!(!format!("{token:?}").contains("hvs.secret"));
    }
}
