//! The JSON envelope of a reply.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use vault_plugin::logical::Map;

use crate::reply::{BodyFormat, Reply, ReplyAuth, WrappedResponse};

/// Paths whose data is repeated at the top level, for clients older than the envelope.
const TOP_LEVEL_DATA_PATHS: &[&str] = &[
    "sys/audit",
    "sys/audit/*",
    "sys/audit-hash/*",
    "sys/auth",
    "sys/auth/*",
    "sys/capabilities",
    "sys/capabilities-accessor",
    "sys/capabilities-self",
    "sys/ha-status",
    "sys/mounts",
    "sys/mounts/*",
    "sys/policy",
    "sys/policy/*",
    "sys/wrapping/wrap",
];

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(flatten)]
    top: Option<&'a Map>,
    request_id: &'a str,
    lease_id: &'a str,
    renewable: bool,
    lease_duration: u64,
    data: &'a Option<Map>,
    wrap_info: Option<WrapInfo<'a>>,
    warnings: Option<&'a [String]>,
    auth: Option<AuthInfo<'a>>,
    mount_type: &'a str,
}

#[derive(Serialize)]
struct WrapInfo<'a> {
    token: &'a str,
    accessor: &'a str,
    ttl: u64,
    creation_time: String,
    creation_path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    wrapped_accessor: &'a str,
}

#[derive(Serialize)]
struct AuthInfo<'a> {
    client_token: &'a str,
    accessor: &'a str,
    policies: &'a [String],
    token_policies: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    identity_policies: &'a [String],
    metadata: Option<&'a BTreeMap<String, String>>,
    lease_duration: u64,
    renewable: bool,
    entity_id: &'a str,
    token_type: &'static str,
    orphan: bool,
    mfa_requirement: Option<Value>,
    num_uses: i64,
}

/// Where to write the data in the body.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum DataPlacement {
    EnvelopeOnly,
    AlsoTopLevel,
}

impl DataPlacement {
    /// The placement for a path.
    pub(crate) fn for_path(path: &str) -> DataPlacement {
        let is_listed = TOP_LEVEL_DATA_PATHS.iter().any(|listed| match listed.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == *listed,
        });
        if is_listed { DataPlacement::AlsoTopLevel } else { DataPlacement::EnvelopeOnly }
    }
}

/// The body of a JSON reply.
pub(crate) fn render(reply: &Reply, request_id: &str, placement: DataPlacement) -> String {
    if matches!(reply.body, BodyFormat::Bare) {
        return Value::Object(reply.data.clone().unwrap_or_default()).to_string();
    }
    // A wrapped reply does not reveal its content.
    let wrap = reply.wrap.as_ref();
    let envelope = Envelope {
        top: reply.data.as_ref().filter(|_| placement == DataPlacement::AlsoTopLevel),
        request_id: if wrap.is_some() { "" } else { request_id },
        lease_id: reply.lease.as_ref().map_or("", |lease| &lease.id),
        renewable: reply.lease.as_ref().is_some_and(|lease| lease.renewable),
        lease_duration: reply.lease.as_ref().map_or(0, |lease| lease.duration),
        data: &reply.data,
        wrap_info: wrap.map(WrapInfo::from_wrapped),
        warnings: (!reply.warnings.is_empty()).then_some(reply.warnings.as_slice()),
        auth: reply.auth.as_ref().map(AuthInfo::from_auth),
        mount_type: if wrap.is_some() || reply.status == Some(202) { "" } else { &reply.mount_type },
    };
    // An envelope has string keys and finite numbers only.
    serde_json::to_string(&envelope).unwrap_or_default()
}

/// RFC 3339 in UTC with the shortest exact fraction, as Go formats times.
pub(crate) fn timestamp(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| time.to_string()).unwrap_or_default()
}

impl WrapInfo<'_> {
    fn from_wrapped(wrapped: &WrappedResponse) -> WrapInfo<'_> {
        WrapInfo {
            token: &wrapped.token,
            accessor: &wrapped.accessor,
            ttl: wrapped.ttl,
            creation_time: timestamp(wrapped.creation_time),
            creation_path: &wrapped.creation_path,
            wrapped_accessor: &wrapped.wrapped_accessor,
        }
    }
}

impl AuthInfo<'_> {
    fn from_auth(auth: &ReplyAuth) -> AuthInfo<'_> {
        AuthInfo {
            client_token: &auth.client_token,
            accessor: &auth.accessor,
            policies: &auth.policies,
            token_policies: &auth.token_policies,
            identity_policies: &auth.identity_policies,
            metadata: (!auth.metadata.is_empty()).then_some(&auth.metadata),
            lease_duration: auth.lease_duration,
            renewable: auth.renewable,
            entity_id: &auth.entity_id,
            token_type: auth.token_type,
            orphan: auth.orphan,
            mfa_requirement: None,
            num_uses: auth.num_uses,
        }
    }
}
