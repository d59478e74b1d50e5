//! The Kubernetes auth method: a login with the service account of a pod.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::Serialize;

use crate::endpoint::{self, Endpoint, Idempotency, encode_path};
use crate::token::{self, AuthResponse};
use crate::{ApiError, SecretString};

/// `POST auth/{mount}/login`.
#[derive(Clone, Debug)]
pub struct Login {
    /// Mount path of the auth method without `auth/`, usually `kubernetes`.
    pub mount: String,
    /// Role of the auth method.
    pub role: String,
    /// The token of the service account.
    pub jwt: SecretString,
}

impl Endpoint for Login {
    type Response = AuthResponse;
    /// Each login creates a token.
    const IDEMPOTENCY: Idempotency = Idempotency::NotIdempotent;

    fn request(&self) -> Request<Bytes> {
        #[derive(Serialize)]
        struct Body<'a> {
            role: &'a str,
            jwt: &'a str,
        }
        let path = format!("auth/{}/login", encode_path(self.mount.trim_matches('/')));
        endpoint::request_with_json(Method::POST, &path, &Body { role: &self.role, jwt: self.jwt.expose() })
    }

    fn response(reply: Response<Bytes>) -> Result<AuthResponse, ApiError> {
        token::parse_auth(reply)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::endpoint::tests::{reply, request_line};
    use crate::token::TokenType;

    #[test]
    fn a_login_sends_role_and_token_and_hides_the_token() {
        let login =
            Login { mount: "/eu/kubernetes/".into(), role: "app".into(), jwt: SecretString::new("eyJ.jwt") };
        assert_eq!(
            request_line(&login.request()),
            r#"POST /v1/auth/eu/kubernetes/login {"role":"app","jwt":"eyJ.jwt"}"#
        );
        assert!(!format!("{login:?}").contains("eyJ.jwt"));
    }

    #[test]
    fn a_batch_token_is_distinguished_from_a_service_token() {
        let body = r#"{"auth":{"client_token":"hvb.1","lease_duration":1200,"renewable":false,"token_type":"batch"}}"#;
        let granted = Login::response(reply(200, body)).expect("a token");
        assert_eq!((granted.kind, granted.duration), (TokenType::Batch, Duration::from_mins(20)));
        let denied = Login::response(reply(403, r#"{"errors":["permission denied"]}"#));
        assert!(denied.expect_err("no token").is_permission_denied());
    }
}
