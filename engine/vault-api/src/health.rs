//! Health of a node: product, version, seal and standby state.

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency, RequestScope};

/// `GET sys/health`. Needs no token. Every state of a node is a result, not an error.
#[derive(Clone, Copy, Debug)]
pub struct Read;

/// The response of `sys/health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Vault or OpenBao.
    pub product: Product,
    /// Version as the server reports it, for example `1.21.4` or `1.21.4+ent`.
    pub version: String,
    /// Whether the server is initialized (`operator init`).
    pub initialized: bool,
    /// Whether the server is sealed.
    pub sealed: bool,
    /// Whether the node is a standby.
    pub standby: bool,
    /// Whether the node is a performance standby, which serves reads itself and therefore runs plugins.
    pub performance_standby: bool,
    /// Whether the server supports namespaces. Vault supports them in its Enterprise edition; other editions ignore the header.
    pub has_namespaces: bool,
    /// Name of the cluster; `None` until the server is initialized and unsealed.
    pub cluster_name: Option<String>,
}

/// The product that the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Product {
    /// HashiCorp Vault.
    Vault,
    /// OpenBao.
    OpenBao,
}

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Vault => "Vault",
            Self::OpenBao => "OpenBao",
        })
    }
}

#[derive(Deserialize)]
struct Body {
    initialized: bool,
    sealed: bool,
    standby: bool,
    #[serde(default)]
    performance_standby: bool,
    version: String,
    enterprise: Option<bool>,
    cluster_name: Option<String>,
}

impl Endpoint for Read {
    type Response = Health;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;
    const SCOPE: RequestScope = RequestScope::Public;

    fn request(&self) -> Request<Bytes> {
        // Without these parameters a sealed or standby node returns an error status.
        endpoint::get(
            "sys/health?standbycode=200&performancestandbycode=200&sealedcode=200&uninitcode=200\
             &drsecondarycode=200&haunhealthycode=200&removedcode=200",
        )
    }

    fn response(reply: Response<Bytes>) -> Result<Health, ApiError> {
        let Ok(body) = serde_json::from_slice::<Body>(reply.body()) else {
            return Err(ApiError::from_reply(&reply));
        };
        let product = product(&body);
        let enterprise = body.enterprise.unwrap_or_else(|| body.version.contains("+ent"));
        Ok(Health {
            product,
            has_namespaces: product == Product::OpenBao || enterprise,
            version: body.version,
            initialized: body.initialized,
            sealed: body.sealed,
            standby: body.standby,
            performance_standby: body.performance_standby,
            cluster_name: body.cluster_name,
        })
    }
}

/// Distinguishes the products by version: OpenBao starts at 2.0 and has no `enterprise` field; Vault 2 and later always has it.
fn product(body: &Body) -> Product {
    let major = body.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match (major, body.enterprise) {
        (Some(2..), None) => Product::OpenBao,
        _ => Product::Vault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::reply;

    const VAULT: &str = r#"{"initialized":true,"sealed":false,"standby":true,"performance_standby":false,
        "version":"1.21.4","enterprise":false,"cluster_name":"vault-cluster-1","echo_duration_ms":0}"#;
    const BAO: &str = r#"{"initialized":true,"sealed":true,"standby":true,"performance_standby":false,
        "replication_dr_mode":"disabled","version":"2.6.2"}"#;

    #[test]
    fn every_state_is_a_result_whatever_the_status() {
        for status in [200, 429, 472, 473, 501, 503] {
            assert!(Read::response(reply(status, VAULT)).expect("an answer").standby, "{status}");
        }
    }

    #[test]
    fn openbao_is_distinguished_from_vault() {
        let vault = Read::response(reply(200, VAULT)).expect("an answer");
        let bao = Read::response(reply(200, BAO)).expect("an answer");
        assert_eq!((vault.product, vault.has_namespaces), (Product::Vault, false));
        assert_eq!((bao.product, bao.has_namespaces), (Product::OpenBao, true));
        let enterprise = VAULT.replace(r#""enterprise":false"#, r#""enterprise":true"#);
        assert!(Read::response(reply(200, &enterprise)).expect("an answer").has_namespaces);
        let later = VAULT.replace("1.21.4", "2.1.0");
        assert_eq!(Read::response(reply(200, &later)).expect("an answer").product, Product::Vault);
    }

    #[test]
    fn a_response_of_a_proxy_is_an_error() {
        let error = Read::response(reply(502, "bad gateway")).expect_err("not the response of a server");
        assert_eq!(error.errors, ["bad gateway"]);
    }
}
