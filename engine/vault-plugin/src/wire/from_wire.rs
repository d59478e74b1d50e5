//! Messages of the host into [`crate::logical`].

use std::time::{Duration, SystemTime};

use super::pb;
use crate::logical::{
    Alias, Connection, Entity, Group, LeaseOptions, Map, Operation, Request, Secret, WrapInfo, Wrapped,
};

/// A message that makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The message has no request.
    #[error("the host sent no request")]
    NoRequest,
    /// JSON text of a message is not an object or null. The text is not shown.
    #[error("{part} is not a JSON object: fault at line {line} column {column}")]
    Json {
        /// The part of the message.
        part: &'static str,
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
    },
}

pub(crate) fn request(message: Option<pb::Request>) -> Result<Request, WireError> {
    let message = message.ok_or(WireError::NoRequest)?;
    Ok(Request {
        id: message.id,
        operation: Operation::from(message.operation.as_str()),
        path: message.path,
        data: object("request data", &message.data)?,
        secret: message.secret.map(secret).transpose()?,
        headers: message.headers.into_iter().map(|(name, values)| (name, values.header)).collect(),
        client_token: message.client_token,
        client_token_accessor: message.client_token_accessor,
        display_name: message.display_name,
        mount_point: message.mount_point,
        mount_type: message.mount_type,
        mount_accessor: message.mount_accessor,
        wrap_info: message.wrap_info.map(|wrap| WrapInfo {
            ttl: duration(wrap.ttl),
            format: wrap.format,
            seal_wrap: wrap.seal_wrap,
        }),
        entity_id: message.entity_id,
        policy_override: message.policy_override,
        unauthenticated: message.unauthenticated,
        connection: message.connection.map(connection),
        replication_cluster: message.replication_cluster,
        requires_snapshot_id: message.requires_snapshot_id,
        recover_source_path: message.recover_source_path,
    })
}

/// Nanoseconds; what is below zero counts as none.
pub(crate) fn duration(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

pub(crate) fn entity(message: pb::Entity) -> Entity {
    Entity {
        id: message.id,
        name: message.name,
        aliases: message.aliases.into_iter().map(alias).collect(),
        metadata: message.metadata.into_iter().collect(),
        disabled: message.disabled,
        namespace_id: message.namespace_id,
    }
}

fn alias(message: pb::Alias) -> Alias {
    Alias {
        id: message.id,
        name: message.name,
        mount_type: message.mount_type,
        mount_accessor: message.mount_accessor,
        metadata: message.metadata.into_iter().collect(),
        custom_metadata: message.custom_metadata.into_iter().collect(),
        namespace_id: message.namespace_id,
        local: message.local,
    }
}

pub(crate) fn group(message: pb::Group) -> Group {
    Group {
        id: message.id,
        name: message.name,
        metadata: message.metadata.into_iter().collect(),
        namespace_id: message.namespace_id,
    }
}

pub(crate) fn wrapped(message: pb::ResponseWrapInfo) -> Wrapped {
    Wrapped {
        token: message.token.into(),
        accessor: message.accessor,
        ttl: duration(message.ttl),
        creation_time: message.creation_time.and_then(|time| SystemTime::try_from(time).ok()),
        creation_path: message.creation_path,
    }
}

fn secret(message: pb::Secret) -> Result<Secret, WireError> {
    let lease = message.lease_options.unwrap_or_default();
    let issue_time = lease.issue_time.and_then(|time| SystemTime::try_from(time).ok());
    Ok(Secret {
        lease: LeaseOptions {
            ttl: duration(lease.ttl),
            max_ttl: duration(lease.max_ttl),
            renewable: lease.renewable,
            increment: duration(lease.increment),
            issue_time,
        },
        internal_data: object("internal data of the lease", &message.internal_data)?,
        lease_id: message.lease_id,
    })
}

fn connection(message: pb::Connection) -> Connection {
    let chain = message.connection_state.and_then(|state| state.peer_certificates);
    let certificates = chain.map(|chain| chain.certificates).unwrap_or_default();
    Connection {
        remote_addr: message.remote_addr,
        remote_port: message.remote_port,
        peer_certificates: certificates.into_iter().map(|certificate| certificate.asn1_data).collect(),
    }
}

/// `null`, and the empty text that no host sends, are the empty object.
fn object(part: &'static str, text: &str) -> Result<Map, WireError> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str::<Option<Map>>(text) {
        Ok(map) => Ok(map.unwrap_or_default()),
        Err(error) => Err(WireError::Json { part, line: error.line(), column: error.column() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_data_is_an_empty_object_and_rubbish_is_refused_without_being_repeated() {
        assert!(object("data", "null").unwrap().is_empty());
        assert_eq!(object("data", r#"{"a":1}"#).unwrap()["a"], 1);
        let error = object("data", r#"{"api_key": hunter2}"#).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn durations_are_nanoseconds_and_never_negative() {
        assert_eq!(duration(3_600_000_000_000), Duration::from_secs(3600));
        assert_eq!(duration(-1), Duration::ZERO);
    }
}
