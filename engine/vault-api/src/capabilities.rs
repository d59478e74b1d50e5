//! Capabilities of the client's token.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency};

/// `POST sys/capabilities-self`: the capabilities of the token on each path.
#[derive(Clone, Debug)]
pub struct CapabilitiesSelf {
    /// Paths without `v1/`.
    pub paths: Vec<String>,
}

/// The capabilities on one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(pub Vec<String>);

impl Capabilities {
    /// Whether the token has `capability` (`create`, `read`, `update`, `delete`, `list`, `sudo` or `patch`).
    pub fn allows(&self, capability: &str) -> bool {
        !self.0.iter().any(|granted| granted == "deny")
            && self.0.iter().any(|granted| granted == capability || granted == "root")
    }
}

impl Endpoint for CapabilitiesSelf {
    type Response = BTreeMap<String, Capabilities>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_with_json(Method::POST, "sys/capabilities-self", &json!({ "paths": self.paths }))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        let mut all: Self::Response = endpoint::data(reply)?;
        // The server repeats the capabilities of a single path under this key.
        all.remove("capabilities");
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    #[test]
    fn root_has_all_capabilities_and_deny_takes_precedence() {
        let body = r#"{"data":{"a":["root"],"b":["deny"],"c":["read","sudo"],"capabilities":["root"]}}"#;
        let all = CapabilitiesSelf::response(reply(200, body)).expect("an answer");
        assert_eq!(all.len(), 3);
        assert!(all["a"].allows("sudo"));
        assert!(!all["b"].allows("read"));
        assert!(all["c"].allows("sudo") && !all["c"].allows("update"));
    }

    #[test]
    fn many_paths_are_sent_in_one_request() {
        let request = CapabilitiesSelf { paths: vec!["sys/mounts".into(), "x".into()] };
        assert_eq!(
            request_line(&request.request()),
            r#"POST /v1/sys/capabilities-self {"paths":["sys/mounts","x"]}"#
        );
    }
}
