//! What the caller may do.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Repeat};

/// `POST sys/capabilities-self`: what this token may do on each of these paths.
#[derive(Clone, Debug)]
pub struct OfSelf {
    /// Paths without `v1/`.
    pub paths: Vec<String>,
}

/// What may be done on one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(pub Vec<String>);

impl Capabilities {
    /// True when the token may do `capability` (`create`, `read`, `update`, `delete`, `list`, `sudo`, `patch`).
    pub fn allow(&self, capability: &str) -> bool {
        !self.0.iter().any(|held| held == "deny")
            && self.0.iter().any(|held| held == capability || held == "root")
    }
}

impl Endpoint for OfSelf {
    type Response = BTreeMap<String, Capabilities>;
    const REPEAT: Repeat = Repeat::Safe;

    fn request(&self) -> Request<Bytes> {
        endpoint::with_json(Method::POST, "sys/capabilities-self", &json!({ "paths": self.paths }))
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
    use crate::endpoint::tests::{line, reply};

    #[test]
    fn root_may_do_everything_and_deny_wins() {
        let body = r#"{"data":{"a":["root"],"b":["deny"],"c":["read","sudo"],"capabilities":["root"]}}"#;
        let all = OfSelf::response(reply(200, body)).expect("an answer");
        assert_eq!(all.len(), 3);
        assert!(all["a"].allow("sudo"));
        assert!(!all["b"].allow("read"));
        assert!(all["c"].allow("sudo") && !all["c"].allow("update"));
    }

    #[test]
    fn many_paths_are_one_call() {
        let asked = OfSelf { paths: vec!["sys/mounts".into(), "x".into()] };
        assert_eq!(line(&asked.request()), r#"POST /v1/sys/capabilities-self {"paths":["sys/mounts","x"]}"#);
    }
}
