//! Who the caller is.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Repeat};

/// `GET auth/token/lookup-self`.
#[derive(Clone, Copy, Debug)]
pub struct LookupSelf;

/// What the server knows of the token. The token itself, which it also sends back, is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Name for people.
    pub display_name: String,
    /// Policies, inherited ones included.
    pub policies: Vec<String>,
    /// Time left; `None` for a token that does not expire.
    pub ttl: Option<Duration>,
    /// Whether it can be renewed.
    pub renewable: bool,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    display_name: String,
    #[serde(default, deserialize_with = "endpoint::null_is_empty")]
    policies: Vec<String>,
    #[serde(default, deserialize_with = "endpoint::null_is_empty")]
    identity_policies: Vec<String>,
    #[serde(default)]
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

impl Endpoint for LookupSelf {
    type Response = Token;
    const REPEAT: Repeat = Repeat::Safe;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("auth/token/lookup-self")
    }

    fn response(reply: Response<Bytes>) -> Result<Token, ApiError> {
        let Body { display_name, mut policies, identity_policies, ttl, renewable } = endpoint::data(reply)?;
        policies.extend(identity_policies);
        Ok(Token { display_name, policies, ttl: (ttl > 0).then(|| Duration::from_secs(ttl)), renewable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::reply;

    #[test]
    fn a_root_token_does_not_expire_and_is_not_kept() {
        let body = r#"{"data":{"id":"hvs.secret","display_name":"root","policies":["root"],"ttl":0}}"#;
        let token = LookupSelf::response(reply(200, body)).expect("an answer");
        assert_eq!(token.ttl, None);
        assert!(!format!("{token:?}").contains("hvs.secret"));
    }
}
