//! What the caller may do.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency};

/// `POST sys/capabilities-self`: what this token may do on each of these paths.
#[derive(Clone, Debug)]
pub struct CapabilitiesSelf {
    /// Paths without `v1/`.
    pub paths: Vec<String>,
}

/// What may be done on one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(pub Vec<String>);

impl Capabilities {
    /// True when the token may do `capability` (`create`, `read`, `update`, `delete`, `list`, `sudo`, `patch`).
    pub fn allows(&self, capability: &str) -> bool {
        !self.0.iter().any(|held| held == "deny")
            && self.0.iter().any(|held| held == capability || held == "root")
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
        // Kept by the server for callers that ask about one path.
        all.remove("capabilities");
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    #[test]
    fn root_may_do_everything_and_deny_wins() {
        let body = r#"{"data":{"a":["root"],"b":["deny"],"c":["read","sudo"],"capabilities":["root"]}}"#;
        let all = CapabilitiesSelf::response(reply(200, body)).expect("an answer");
        assert_eq!(all.len(), 3);
        assert!(all["a"].allows("sudo"));
        assert!(!all["b"].allows("read"));
        assert!(all["c"].allows("sudo") && !all["c"].allows("update"));
    }

    #[test]
    fn many_paths_are_one_call() {
        let asked = CapabilitiesSelf { paths: vec!["sys/mounts".into(), "x".into()] };
        assert_eq!(
            request_line(&asked.request()),
            r#"POST /v1/sys/capabilities-self {"paths":["sys/mounts","x"]}"#
        );
    }
}
