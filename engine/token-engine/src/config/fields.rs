//! The fields of a connection in the API: their declaration, their update in a write, and their view in a read.

use serde::{Deserialize, Serialize};
use vault_plugin::framework::{Field, Path};
use vault_plugin::logical::Sensitive;

use super::settings::Config;
use crate::TokenEngine;
use crate::endpoint::Endpoint;
use crate::field_update::FieldUpdate;
use crate::sensitive::salted_sha256;
use crate::upstream::{DEFAULT_PRESET, Node, Parameters};

/// Declares the fields of a connection, except its name.
pub(super) fn declare(path: Path<TokenEngine>) -> Path<TokenEngine> {
    path
        .field(
            "api_endpoint",
            Field::string()
                .required()
                .describe("URL of the token service, http or https. The paths of the API are appended to it."),
        )
        .field(
            "api_key",
            Field::string().required().sensitive().describe("Key for the service. The preset defines how it is sent; the default preset sends a bearer token. Never shown."),
        )
        .field(
            "account",
            Field::string().describe(
                "Account that the key belongs to, if the service has several. A lease is renewed and revoked only while the \
                 configuration has the endpoint and the account that its token was minted with. The first account that is set also \
                 applies to the tokens minted before. It must be set while api_key stays the same. Default none.",
            ),
        )
        .field(
            "ca_cert",
            Field::string().describe("CA certificates to trust instead of those of the system, in PEM. Default: those of the system."),
        )
        .field(
            "tls_skip_verify",
            Field::bool().describe("Accept any certificate of the service. For tests only. Default false."),
        )
        .field(
            "request_timeout",
            Field::duration().describe("Timeout of one request to the service, 1s to 60s. Default 30s."),
        )
        .field(
            "renew_upstream",
            Field::bool().describe(
                "Renew tokens at the service (for the default preset: POST tokens/ID/renew). If true, a token is minted for the ttl of its \
                 role and renewed with its lease. If false, it is minted for the maximum TTL of its lease. Default false.",
            ),
        )
        .field(
            "idempotency_window",
            Field::duration().describe(
                "How long the service recognizes a repeated Idempotency-Key. A request without a response is repeated to find its token, \
                 by rollback until 10m before the end of this time. At least 5m, or 0 if the service does not support idempotency keys: \
                 then no request that may have minted a token is repeated. Default 24h.",
            ),
        )
        .field(
            "metrics_prefix",
            Field::string().describe(
                "Prefix of the metric names: letters, digits and _, for example custom_plugin in \
                 custom_plugin_creds_read. Default custom_plugin.",
            ),
        )
        .field(
            "preset",
            Field::string().describe(
                "Preset of the token API of the service (vault list PATH/presets). Default tokens.",
            ),
        )
        .field(
            "api",
            Field::string().describe(
                "Description of a token API without a preset, as JSON or YAML: api=@my-api.yaml. It replaces preset.",
            ),
        )
        .field(
            "parameters",
            Field::kv_pairs().sensitive().describe(
                "Parameters that the preset or the description declares for a connection (vault read PATH/presets/NAME), for example \
                 parameters=realm=main. A write replaces all of them. Secret parameters are never shown.",
            ),
        )
        .field(
            "accept_orphans",
            Field::bool().describe(
                "Accept that a token lives until it expires if the response to its creation is lost and the API cannot search for \
                 tokens. Required for such APIs. Default false.",
            ),
        )
}

/// The fields of a write.
#[derive(Clone, Deserialize)]
pub(super) struct ConfigUpdate {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) preset: FieldUpdate<String>,
    #[serde(default)]
    pub(super) api: FieldUpdate<String>,
    #[serde(default)]
    pub(super) parameters: FieldUpdate<Parameters>,
    #[serde(default)]
    pub(super) accept_orphans: FieldUpdate<bool>,
    #[serde(default)]
    pub(super) api_endpoint: FieldUpdate<String>,
    #[serde(default)]
    pub(super) api_key: FieldUpdate<Sensitive>,
    #[serde(default)]
    pub(super) account: FieldUpdate<String>,
    #[serde(default)]
    pub(super) ca_cert: FieldUpdate<String>,
    #[serde(default)]
    pub(super) tls_skip_verify: FieldUpdate<bool>,
    #[serde(default)]
    pub(super) request_timeout: FieldUpdate<u64>,
    #[serde(default)]
    pub(super) renew_upstream: FieldUpdate<bool>,
    #[serde(default)]
    pub(super) idempotency_window: FieldUpdate<u64>,
    #[serde(default)]
    pub(super) metrics_prefix: FieldUpdate<String>,
}

/// The response to a read.
#[derive(Serialize)]
pub(super) struct ConfigResponse {
    api_endpoint: Endpoint,
    api_key_sha256: String,
    account: String,
    ca_cert: String,
    tls_skip_verify: bool,
    request_timeout: u64,
    renew_upstream: bool,
    idempotency_window: u64,
    metrics_prefix: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    preset: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<Node>,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    parameters: Parameters,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    accept_orphans: bool,
}

impl From<Config> for ConfigResponse {
    fn from(config: Config) -> ConfigResponse {
        ConfigResponse {
            preset: if config.preset == DEFAULT_PRESET { String::new() } else { config.preset.clone() },
            parameters: config.shown_parameters(),
            accept_orphans: config.accept_orphans,
            api: config.api,
            api_key_sha256: salted_sha256(&config.api_key),
            api_endpoint: config.api_endpoint,
            account: config.account,
            ca_cert: config.ca_cert,
            tls_skip_verify: config.tls_skip_verify,
            request_timeout: config.request_timeout,
            renew_upstream: config.renew_upstream,
            idempotency_window: config.idempotency_window,
            metrics_prefix: config.metrics_prefix,
        }
    }
}
