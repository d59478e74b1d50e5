//! Reloading the plugins of mounts.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::json;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency};

/// `POST sys/plugins/reload/backend` by mounts. Returns the warnings of the server.
///
/// A reload by plugin name would stop at the first mount that fails. In-flight requests complete first, and new ones wait. Only the
/// node that handles the request reloads: Vault's community edition and OpenBao ignore a global scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadMounts {
    /// Paths, with or without a trailing slash.
    pub paths: Vec<String>,
}

impl Endpoint for ReloadMounts {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::NotIdempotent;

    fn request(&self) -> Request<Bytes> {
        let mounts: Vec<String> =
            self.paths.iter().map(|path| format!("{}/", path.trim_matches('/'))).collect();
        endpoint::request_with_json(Method::POST, "sys/plugins/reload/backend", &json!({ "mounts": mounts }))
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
        endpoint::warnings(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::request_line;

    #[test]
    fn mounts_are_sent_with_a_trailing_slash() {
        let reload = ReloadMounts { paths: vec!["custom".into(), "team/b/".into()] };
        assert_eq!(
            request_line(&reload.request()),
            r#"POST /v1/sys/plugins/reload/backend {"mounts":["custom/","team/b/"]}"#
        );
    }
}
