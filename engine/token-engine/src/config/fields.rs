//! The fields of a connection in the API: their declaration, their update in a write, and their view in a read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vault_plugin::framework::{Field, Path, ResponseDoc};
use vault_plugin::logical::Sensitive;

use super::settings::{Config, default_metrics_prefix};
use crate::TokenEngine;
use crate::endpoint::Endpoint;
use crate::events::SendEvents;
use crate::field_update::FieldUpdate;
use crate::schedule::{
    RotationDue, RotationSettings, RotationUpdate, with_rotation_fields, with_rotation_response,
};
use crate::sensitive::salted_sha256;
use crate::upstream::{DEFAULT_PRESET, Node, Parameters};

/// Declares the fields of a connection, except its name.
pub(super) fn declare(path: Path<TokenEngine>) -> Path<TokenEngine> {
    with_rotation_fields(path, "api_key").field(
        "api_endpoint",
        Field::string().required().describe(
            "Specifies the URL of the token service, with http or https. The paths of the API are appended to it.",
        ),
    )
    .field(
        "api_key",
        Field::string().required().sensitive().describe(
            "Specifies the key for the service. The preset defines how it is sent. The default preset sends it as a bearer token. It is \
             never shown.",
        ),
    )
    .field(
        "account",
        Field::string().documented_default("").describe(
            "Specifies the account that the key belongs to, if the service has several. A lease is renewed and revoked only while the \
             configuration has the endpoint and the account that its token was minted with. The first account that is set also applies \
             to the tokens minted before. It must be set while api_key stays the same.",
        ),
    )
    .field(
        "ca_cert",
        Field::string().documented_default("").describe(
            "Specifies the CA certificates to trust, in PEM. If it is empty, those of the system are trusted.",
        ),
    )
    .field(
        "tls_skip_verify",
        Field::bool()
            .documented_default(false)
            .describe("Specifies whether any certificate of the service is accepted. Set it for tests only."),
    )
    .field(
        "request_timeout",
        Field::duration()
            .documented_default("30s")
            .describe("Specifies the timeout of one request to the service, from 1s to 60s."),
    )
    .field(
        "renew_upstream",
        Field::bool().documented_default(false).describe(
            "Specifies whether tokens are renewed at the service (for the default preset: POST tokens/ID/renew). If true, a token is \
             minted for the ttl of its role and renewed with its lease. If false, it is minted for the maximum TTL of its lease.",
        ),
    )
    .field(
        "idempotency_window",
        Field::duration().documented_default("24h").describe(
            "Specifies how long the service recognizes a repeated Idempotency-Key. A request without a response is repeated to find its \
             token, by rollback until 10m before the end of this time. It must be at least 5m, or 0 if the service does not support \
             idempotency keys. With 0, no request that may have minted a token is repeated.",
        ),
    )
    .field(
        "metrics_prefix",
        Field::string().documented_default(default_metrics_prefix()).describe(
            "Specifies the prefix of the metric names, for example custom_plugin in custom_plugin_creds_read. It consists of letters, \
             digits and _.",
        ),
    )
    .field(
        "preset",
        Field::string()
            .documented_default(DEFAULT_PRESET)
            .describe("Specifies the preset of the token API of the service (vault list PATH/presets)."),
    )
    .field(
        "api",
        Field::string().describe(
            "Specifies the description of a token API without a preset, as JSON or YAML, for example api=@my-api.yaml. It replaces \
             preset.",
        ),
    )
    .field(
        "parameters",
        Field::kv_pairs().sensitive().describe(
            "Specifies the parameters that the preset or the description declares for a connection (vault read PATH/presets/NAME), for \
             example parameters=realm=main. A write replaces all of them. Secret parameters are never shown.",
        ),
    )
    .field(
        "accept_orphans",
        Field::bool().documented_default(false).describe(
            "Specifies whether a token may live until it expires if the response to its creation is lost and the API cannot search for \
             tokens. Such an API requires true.",
        ),
    )
    .field(
        "send_events",
        Field::string().allowed(SendEvents::VALUES).documented_default("auto").describe(
            "Specifies whether events about the tokens and the key of this connection are sent to the server: auto, always or never. \
             auto sends them to Vault Enterprise, where clients can subscribe to events.",
        ),
    )
}

/// Describes the response to a read.
pub(super) fn response() -> ResponseDoc {
    with_rotation_response(ResponseDoc::new(200, "The connection without its secrets."))
        .field("api_endpoint", Field::string().describe("URL of the token service."))
        .field("api_key_sha256", Field::string().describe("Salted hash of the key: sha256:SALT:DIGEST."))
        .field("account", Field::string().describe("Account of the key. Empty if it is not set."))
        .field(
            "ca_cert",
            Field::string().describe("Trusted CA certificates. Empty if those of the system are trusted."),
        )
        .field(
            "tls_skip_verify",
            Field::bool().describe("Whether any certificate of the service is accepted."),
        )
        .field("request_timeout", Field::int().describe("Timeout of one request to the service, in seconds."))
        .field("renew_upstream", Field::bool().describe("Whether tokens are renewed at the service."))
        .field(
            "idempotency_window",
            Field::int()
                .describe("Time for which the service recognizes a repeated Idempotency-Key, in seconds."),
        )
        .field("metrics_prefix", Field::string().describe("Prefix of the metric names."))
        .field(
            "preset",
            Field::string()
                .describe("Preset of the token API. Omitted if it is the default one, or if api is set."),
        )
        .field("api", Field::map().describe("Description of the token API. Omitted if a preset is used."))
        .field(
            "parameters",
            Field::map().describe(
                "Parameters of the preset or of the description that are not secret. Omitted without any.",
            ),
        )
        .field("accept_orphans", Field::bool().describe("Whether orphans are accepted. Omitted if not."))
        .field(
            "send_events",
            Field::string()
                .allowed(SendEvents::VALUES)
                .describe("Whether events are sent. Omitted if it is auto."),
        )
        .field(
            "last_rotation",
            Field::time().describe("Time of the last rotation of the key. Omitted without any."),
        )
        .field(
            "next_rotation",
            Field::time().describe(
                "Time of the next rotation by schedule. Omitted if automatic rotation is disabled.",
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
    pub(super) send_events: FieldUpdate<String>,
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
    #[serde(flatten)]
    pub(super) schedule: RotationUpdate,
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
    #[serde(skip_serializing_if = "SendEvents::is_default")]
    send_events: SendEvents,
    #[serde(flatten)]
    schedule: RotationSettings,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rotation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_rotation: Option<String>,
}

impl From<Config> for ConfigResponse {
    fn from(config: Config) -> ConfigResponse {
        let now = Timestamp::now();
        let next_rotation = match config.rotation_due(now) {
            RotationDue::Now => Some(now),
            RotationDue::At(next) => Some(next),
            RotationDue::Never => None,
        };
        ConfigResponse {
            last_rotation: config.key_rotation.last().map(|last| last.to_string()),
            next_rotation: next_rotation.map(|next| next.to_string()),
            preset: if config.preset == DEFAULT_PRESET { String::new() } else { config.preset.clone() },
            parameters: config.shown_parameters(),
            accept_orphans: config.accept_orphans,
            send_events: config.send_events,
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
            schedule: config.schedule,
        }
    }
}
